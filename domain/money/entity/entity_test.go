package entity

import (
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/domain/decidertest"
	"daybook/domain/money/pricing"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

var entities = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}

type row = decidertest.Case[Command, Event]

func percent(t testing.TB, text string) unit.Percent {
	t.Helper()
	p, err := unit.ParsePercent(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func terms() Terms {
	return Terms{
		Title: "Example B.V.", Home: pricing.Zone{Country: "NL", Region: "GR", Postcode: "9711*"}, Mode: pricing.Inclusive, Channels: []string{"web"},
		Registrations: []pricing.Registration{{Country: "NL", Number: "NL001234567B01"}, {Country: "CA", Number: "123456789 RT0001"}},
		Rounding:      pricing.RoundByLine, Untaxed: pricing.PaysSame, DefaultClass: "standard", HonorQuotes: 600,
	}
}

func taxes(t testing.TB) []pricing.TaxRow {
	year := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	return []pricing.TaxRow{
		{Place: pricing.Zone{Country: "NL"}, Class: "standard", Component: "NL VAT", Rate: percent(t, "21"), Window: pricing.Window{Until: year}},
		{Place: pricing.Zone{Country: "NL"}, Class: "standard", Component: "NL VAT", Rate: percent(t, "22"), Window: pricing.Window{From: year}},
		{Place: pricing.Zone{Country: "CA"}, Class: "standard", Component: "CA GST", Rate: percent(t, "5")},
		{Place: pricing.Zone{Country: "CA", Region: "QC", Postcode: "H*"}, Class: "standard", Component: "CA-QC QST", Rate: percent(t, "9.975")},
		{Place: pricing.Zone{Country: "US"}, Class: "standard", Component: "export", Treatment: pricing.Export},
	}
}

func wanted(t testing.TB, change func(*Define)) Define {
	cmd := Define{ID: "nl", Terms: terms(), Rows: taxes(t)}
	change(&cmd)
	return cmd
}

func wrong(t testing.TB, field string, change func(*Define)) row {
	return row{When: wanted(t, change), Refused: ErrInvalid.With("", map[string]any{"field": field})}
}

func rows(t testing.TB) map[string]row {
	same := func(*Define) {}
	made := []Event{Created{"nl", terms()}, TaxesSet{taxes(t)}}
	moved := terms()
	moved.Home.Postcode = "1011*"
	return map[string]row{
		"an entity can be made":                                       {When: wanted(t, same), Then: made},
		"the same definition again does nothing":                      {Given: made, When: wanted(t, same), Nothing: true},
		"a policy can be changed without the taxes":                   {Given: made, When: wanted(t, func(d *Define) { d.Home.Postcode = "1011*" }), Then: []Event{Changed{moved}}},
		"taxes can be changed without the policies":                   {Given: made, When: wanted(t, func(d *Define) { d.Rows = d.Rows[:4] }), Then: []Event{TaxesSet{taxes(t)[:4]}}},
		"all taxes can be removed":                                    {Given: []Event{Created{"nl", Terms{Title: "A", Home: pricing.Zone{Country: "NL"}, Mode: pricing.Inclusive}}, TaxesSet{taxes(t)}}, When: Define{ID: "nl", Terms: Terms{Title: "A", Home: pricing.Zone{Country: "NL"}, Mode: pricing.Inclusive}}, Then: []Event{TaxesSet{}}},
		"an entity needs an id":                                       wrong(t, "/entity_id", func(d *Define) { d.ID = "" }),
		"an entity needs a title":                                     wrong(t, "/title", func(d *Define) { d.Title = "" }),
		"an entity has a home":                                        wrong(t, "/home/country", func(d *Define) { d.Home = pricing.Zone{} }),
		"a price mode is incl or excl":                                wrong(t, "/price_mode", func(d *Define) { d.Mode = "gross" }),
		"a rounding must be known":                                    wrong(t, "/rounding", func(d *Define) { d.Rounding = "unit" }),
		"a policy for untaxed buyers must be known":                   wrong(t, "/untaxed_buyer", func(d *Define) { d.Untaxed = "gross" }),
		"the default class must be in the table":                      wrong(t, "/default_class", func(d *Define) { d.DefaultClass = "books" }),
		"what older programs promised of quotes stays without effect": {Given: made, When: wanted(t, func(d *Define) { d.HonorQuotes = 0 }), Nothing: true},
		"a country has one registration":                              wrong(t, "/registrations/1/country", func(d *Define) { d.Registrations[1].Country = "NL" }),
		"a registration has a number":                                 wrong(t, "/registrations/0/number", func(d *Define) { d.Registrations[0].Number = "" }),
		"a row has a class":                                           wrong(t, "/rows/2/class", func(d *Define) { d.Rows[2].Class = "" }),
		"a row has a component":                                       wrong(t, "/rows/2/component", func(d *Define) { d.Rows[2].Component = "" }),
		"a rate is at most 100":                                       wrong(t, "/rows/2/rate", func(d *Define) { d.Rows[2].Rate = percent(t, "100.1") }),
		"a standard rate is not 0":                                    wrong(t, "/rows/2/rate", func(d *Define) { d.Rows[2].Rate = unit.Percent{} }),
		"an exempt supply has no rate":                                wrong(t, "/rows/2/rate", func(d *Define) { d.Rows[2].Treatment = pricing.Exempt }),
		"a treatment must be known":                                   wrong(t, "/rows/2/treatment", func(d *Define) { d.Rows[2].Treatment = "reduced" }),
		"a window does not end before it begins":                      wrong(t, "/rows/0/window/until", func(d *Define) { d.Rows[0].Window.From = d.Rows[0].Window.Until }),
		"rows that count at the same time overlap":                    wrong(t, "/rows/1", func(d *Define) { d.Rows[1].Window.From = d.Rows[1].Window.From.Add(-time.Nanosecond) }),
		"rows without windows overlap": wrong(t, "/rows/3", func(d *Define) {
			d.Rows[2].Place.Postcode, d.Rows[3] = "H 2*", d.Rows[2]
			d.Rows[3].Place.Postcode = "H2*"
		}),
		"a more specific place is no overlap":        {When: wanted(t, func(d *Define) { d.Rows[3].Component = "CA GST" }), Then: []Event{Created{"nl", terms()}, TaxesSet{withComponent(t)}}},
		"an entity can be ended":                     {Given: made, When: End{"sold"}, Then: []Event{Ended{"sold"}}},
		"ending an entity again does nothing":        {Given: append(made, Ended{}), When: End{}, Nothing: true},
		"an entity that does not exist is not ended": {When: End{}, Refused: ErrNotFound},
		"an entity that has ended cannot come back":  {Given: append(made, Ended{}), When: wanted(t, same), Refused: ErrEnded},
		"a reason has at most 500 characters":        {Given: made, When: End{strings.Repeat("x", 501)}, Refused: ErrInvalid.With("", map[string]any{"field": "/reason"})},
	}
}

func withComponent(t testing.TB) []pricing.TaxRow {
	rows := taxes(t)
	rows[3].Component = "CA GST"
	return rows
}

func TestEntity(t *testing.T) { entities.Run(t, rows(t)) }

func TestEveryRefusalHasARow(t *testing.T) {
	// A class that no entity has is the answer about a product or a method; package commands
	// decides it.
	decided := slices.DeleteFunc(slices.Clone(Rejections), func(r *rule.Rejection) bool { return r == ErrClassUnknown })
	entities.EveryRefusalHasARow(t, decided, rows(t))
}

func TestEveryTextIsChecked(t *testing.T) { entities.EveryTextIsChecked(t, nil, rows(t)) }

func TestEntityOf(t *testing.T) {
	got := entities.Fold(Created{"nl", terms()}, TaxesSet{taxes(t)}).Entity()
	if got.ID != "nl" || got.Version != 2 || len(got.Rows) != 5 || got.Untaxed != pricing.PaysSame || got.DefaultClass != "standard" {
		t.Errorf("the entity is %+v", got)
	}
}

func TestWireForm(t *testing.T) {
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{
		Created{"nl", terms()}, Changed{terms()}, TaxesSet{taxes(t)}, Ended{"sold"}, Ended{},
	})
}

func TestStream(t *testing.T) {
	if got, want := Stream("nl"), "legalentity-nl"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The log has times in UTC, however they were given.
func TestTimesAreStoredInUTC(t *testing.T) {
	amsterdam := time.FixedZone("CET", 3600)
	events, err := Decide(wanted(t, func(d *Define) { d.Rows[0].Window.Until = d.Rows[0].Window.Until.In(amsterdam) }), State{})
	if err != nil || len(events) != 2 || events[1].(TaxesSet).Rows[0].Window.Until.Location() != time.UTC {
		t.Errorf("%v, %v", events, err)
	}
}
