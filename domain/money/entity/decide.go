package entity

import (
	"slices"
	"strings"

	"daybook/domain/money/faults"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Limits of an entity.
const (
	MaxRows          = 2_000
	MaxRegistrations = 100
	maxComponent     = 40 // characters
)

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
func Decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case Define:
		return define(cmd, s)
	case End:
		return end(cmd, s)
	}
	panic("entity: unknown command")
}

func define(cmd Define, s State) (events []Event, err error) {
	if s.Ended {
		return nil, ErrEnded
	}
	cmd.Rows = slices.Clone(cmd.Rows)
	for i := range cmd.Rows {
		window := &cmd.Rows[i].Window
		window.From, window.Until = window.From.UTC(), window.Until.UTC()
	}
	if err := cmd.Faults().Refusal(ErrInvalid); err != nil {
		return nil, err
	}
	switch {
	case s.ID == "":
		events = append(events, Created{ID: cmd.ID, Terms: cmd.Terms})
	case !sameTerms(cmd.Terms, s.Terms):
		events = append(events, Changed{cmd.Terms})
	}
	if !slices.EqualFunc(cmd.Rows, s.Rows, sameRow) {
		events = append(events, TaxesSet{cmd.Rows})
	}
	return events, nil
}

func end(cmd End, s State) ([]Event, error) {
	switch {
	case s.ID == "":
		return nil, ErrNotFound
	case s.Ended:
		return nil, nil
	}
	if err := faults.OfReason(cmd.Reason, ErrInvalid); err != nil {
		return nil, err
	}
	return []Event{Ended{Reason: cmd.Reason}}, nil
}

// Faults are what is wrong with a definition.
func (cmd Define) Faults() (found faults.List) {
	found.If(cmd.ID == "", "/entity_id", "it is missing")
	found.Code("/entity_id", cmd.ID)
	found.Line("/title", cmd.Title, unit.MaxTitle, true)
	found.Zone("/home", cmd.Home)
	found.If(cmd.Home.Country == "", "/home/country", "it is missing")
	found.Mode("/price_mode", cmd.Mode)
	found.Channels("/channels", cmd.Channels)
	found.If(!slices.Contains([]pricing.RoundTax{"", pricing.RoundByOrder, pricing.RoundByLine}, cmd.Rounding), "/rounding", "want order or line")
	found.If(!slices.Contains([]pricing.UntaxedBuyer{"", pricing.PaysNet, pricing.PaysSame}, cmd.Untaxed), "/untaxed_buyer", "want net or same")
	found.Code("/default_class", cmd.DefaultClass)
	inTable := slices.ContainsFunc(cmd.Rows, func(row pricing.TaxRow) bool { return row.Class == cmd.DefaultClass })
	found.If(cmd.DefaultClass != "" && !inTable, "/default_class", "no row has the tax class %q", cmd.DefaultClass)

	found.If(len(cmd.Registrations) > MaxRegistrations, "/registrations", "there are %d, and at most %d are allowed", len(cmd.Registrations), MaxRegistrations)
	countries := make([]string, 0, len(cmd.Registrations))
	for i, registration := range cmd.Registrations {
		at := faults.At("/registrations", i)
		found.If(!unit.Country(registration.Country).Known(), at+"/country", "want a code of ISO 3166-1 in capital letters, such as GB")
		found.If(slices.Contains(countries, registration.Country), at+"/country", "%s is named twice", registration.Country)
		countries = append(countries, registration.Country)
		found.Line(at+"/number", registration.Number, unit.MaxReference, true)
	}

	found.If(len(cmd.Rows) > MaxRows, "/rows", "there are %d rows, and at most %d are allowed", len(cmd.Rows), MaxRows)
	for i, row := range cmd.Rows {
		rowFaults(&found, faults.At("/rows", i), row)
	}
	overlaps(&found, cmd.Rows)
	return found
}

func rowFaults(found *faults.List, at string, row pricing.TaxRow) {
	found.Zone(at+"/place", row.Place)
	found.If(row.Class == "", at+"/class", "it is missing")
	found.Code(at+"/class", row.Class)
	found.Line(at+"/component", row.Component, maxComponent, true)
	found.Window(at+"/window", row.Window)
	hundred, _ := unit.ParsePercent("100") // it has no fault
	found.If(row.Rate.Sign() < 0 || row.Rate.Compare(hundred) > 0, at+"/rate", "want 0 to 100")
	switch row.Treatment {
	case "", pricing.StandardRate:
		found.If(row.Rate.IsZero(), at+"/rate", "a rate of 0 needs another treatment, such as zero or exempt")
	case pricing.ZeroRate, pricing.Exempt, pricing.ReverseCharge, pricing.Export, pricing.OutsideScope:
		found.If(!row.Rate.IsZero(), at+"/rate", "with this treatment, the rate is 0")
	default:
		found.Add(at+"/treatment", "want standard, zero, exempt, reverse_charge, export or outside")
	}
}

// overlaps finds rows of which it would be open which one counts: they are for the same class,
// component and place, and there is a time at which both count.
func overlaps(found *faults.List, rows []pricing.TaxRow) {
	type key struct {
		place            pricing.Zone
		class, component string
	}
	before := make(map[key][]int, len(rows))
	for i, row := range rows {
		of := key{row.Place, row.Class, row.Component}
		of.place.Postcode = strings.ReplaceAll(of.place.Postcode, " ", "") // blanks do not tell postcodes apart
		for _, j := range before[of] {
			if intersect(row.Window, rows[j].Window) {
				found.Add(faults.At("/rows", i), "row %d has the same class, component and place at the same time", j)
				break
			}
		}
		before[of] = append(before[of], i)
	}
}

// intersect tells whether two spans of time have a moment in common.
func intersect(a, b pricing.Window) bool {
	return (a.Until.IsZero() || b.From.Before(a.Until)) && (b.Until.IsZero() || a.From.Before(b.Until))
}

func sameTerms(a, b Terms) bool {
	return a.Title == b.Title && a.Home == b.Home && a.Mode == b.Mode && slices.Equal(a.Channels, b.Channels) &&
		slices.Equal(a.Registrations, b.Registrations) && a.Rounding == b.Rounding && a.Untaxed == b.Untaxed &&
		a.DefaultClass == b.DefaultClass && a.Clawback == b.Clawback
}

func sameRow(a, b pricing.TaxRow) bool {
	return a.Place == b.Place && a.Class == b.Class && a.Component == b.Component && a.Rate.Equal(b.Rate) && a.Treatment == b.Treatment &&
		a.Window.From.Equal(b.Window.From) && a.Window.Until.Equal(b.Window.Until)
}
