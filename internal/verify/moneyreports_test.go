package verify_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/money/pricing"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/racetest"
	"daybook/projections/moneyview"
	"daybook/projections/salesview"
	"daybook/projections/viewtest"
)

// moneyFollows is the check that folds prices and pools.
const moneyFollows = "orders: prices, what is left of them, and money follow from the events"

// moneyChecks are the checks of verify that the tests here look at. The orders here have no carts
// and no returns, so other checks find differences.
var moneyChecks = []string{
	moneyFollows, "orders: what is owed and the money that moved add up",
	"read.orders", "read.report_items", "read.report_promotions", "read.report_taxes", "read.report_payments",
	"read.sales_documents", "read.sales_days", "read.sales_skus", "read.customers",
}

func (s *shop) moneyDifferences() map[string][]string {
	s.Helper()
	found := differences(s.verify())
	for name := range found {
		if !slices.Contains(moneyChecks, name) {
			delete(found, name)
		}
	}
	return found
}

func amount(text string, currency unit.Currency) unit.Money {
	return unit.Money{Amount: decimal.RequireFromString(text), Currency: currency}
}

func rate(text string) unit.Percent {
	p, err := unit.ParsePercent(text)
	if err != nil {
		panic(err)
	}
	return p
}

// moneyRules are those of a shop with taxes of two rates, one of two components, with shipping that
// is taxed as the goods, and with promotions.
func moneyRules(currency unit.Currency, mode pricing.Mode) *pricing.Rules {
	row := func(class, component, percent string) pricing.TaxRow {
		return pricing.TaxRow{Class: class, Component: component, Rate: rate(percent)}
	}
	percentOff := func(id string, class pricing.Class, percent string) pricing.Promotion {
		return pricing.Promotion{
			ID: id, Version: 1, Kind: pricing.Automatic, Active: true, Class: class,
			Action: pricing.Action{Type: pricing.PercentOff, Percent: rate(percent)},
		}
	}
	book := pricing.Book{
		Entities: []pricing.LegalEntity{{
			ID: "seller", Version: 1, Home: pricing.Zone{Country: "NL"}, Mode: mode, DefaultClass: "standard",
			Rows: []pricing.TaxRow{row("standard", "VAT21", "21"), row("food", "VAT9", "9"), row("local", "GST", "5"), row("local", "QST", "9.975")},
		}},
		Methods: []pricing.ShippingMethod{{
			ID: "parcel", Version: 1, Mode: mode, Active: true,
			Rates: []pricing.RateTable{{Currency: currency, Basis: pricing.Flat, Steps: []pricing.Step{{Price: amount("5", currency)}}}},
		}},
		Promotions: []pricing.Promotion{percentOff("seven", pricing.ItemClass, "7"), percentOff("order", pricing.OrderClass, "11.5"), percentOff("post", pricing.ShippingClass, "33")},
	}
	return pricing.Compile(book)
}

// walker makes one random order.
type walker struct {
	*rand.Rand
	*shop
	state    order.State
	id       unit.OrderID
	currency unit.Currency
	at       time.Time
	n        int
}

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// walk places a random order, and does random things with it.
func (s *shop) walk(random *rand.Rand, id unit.OrderID) order.State {
	s.Helper()
	w := &walker{Rand: random, shop: s, id: id, currency: []unit.Currency{"EUR", "JPY"}[random.IntN(2)], at: noon.AddDate(0, 0, random.IntN(3))}
	place := order.Place{OrderID: id, Currency: w.currency, Country: "NL", ConfirmBy: w.at.Add(time.Hour), RoundedLines: random.IntN(2) == 0}
	priced := pricing.Cart{Currency: w.currency, Channel: "web", Method: []string{"", "parcel"}[random.IntN(2)], Groups: [][]string{nil, {"gold", "trade"}}[random.IntN(2)]}
	for n := range 1 + random.IntN(3) {
		price := amount(fmt.Sprintf("%d.%04d", random.IntN(40), random.IntN(10_000)), w.currency)
		line := cart.Line{Number: n + 1, SKU: unit.SKU(fmt.Sprint("S", random.IntN(3))), Kind: unit.Service, Quantity: 1 + unit.Quantity(random.IntN(7)), Price: price}
		place.Lines = append(place.Lines, line)
		priced.Lines = append(priced.Lines, pricing.Item{
			Number: n + 1, SKU: line.SKU, Quantity: line.Quantity, Catalogue: &price, Kind: unit.Service, TaxClass: []string{"standard", "food", "local"}[random.IntN(3)],
		})
	}
	if random.IntN(4) > 0 {
		mode := []pricing.Mode{pricing.Inclusive, pricing.Exclusive}[random.IntN(2)]
		quote, err := moneyRules(w.currency, mode).Price(priced, w.at)
		if err != nil {
			s.Fatal(err)
		}
		place.Quote = &quote
	}
	w.do(place)
	for range random.IntN(14) {
		w.at = w.at.Add(time.Duration(random.IntN(30)) * time.Hour)
		w.do(w.command())
	}
	return w.state
}

// do carries out a command; a refusal changes nothing.
func (w *walker) do(cmd order.Command) {
	w.Helper()
	events, err := order.Decide(cmd, w.state.Clone())
	if err != nil || len(events) == 0 {
		return
	}
	for _, e := range events {
		w.state = order.Evolve(w.state, e)
	}
	viewtest.Fact(w.Bench, order.Stream(w.id), eventstore.Metadata{Channel: "web", OccurredAt: w.at}, order.Encode, events...)
}

func (w *walker) some() unit.Money {
	if owed := w.state.Owed(); w.IntN(2) == 0 && owed.Sign() > 0 {
		return owed
	}
	return unit.OfMinor(1+w.Int64N(3000), w.currency)
}

func (w *walker) line() order.Line { return w.state.Lines[w.IntN(len(w.state.Lines))] }

func (w *walker) transaction(types ...order.TransactionType) unit.TransactionID {
	var found []unit.TransactionID
	for _, t := range w.state.Transactions {
		if slices.Contains(types, t.Type) {
			found = append(found, t.ID)
		}
	}
	if len(found) == 0 {
		return ""
	}
	return found[w.IntN(len(found))]
}

// command is something that may be refused.
func (w *walker) command() order.Command {
	w.n++
	id := fmt.Sprint(w.id, "-", w.n)
	record := func(of order.TransactionType, parent unit.TransactionID) order.Command {
		return order.RecordTransaction{
			TransactionID: unit.TransactionID(id), Type: of, State: []order.TransactionState{order.Succeeded, order.Succeeded, order.Pending}[w.IntN(3)],
			Amount: w.some(), Parent: parent, Provider: []string{"card", "bank"}[w.IntN(2)], Reference: id, ByProvider: w.IntN(2) == 0,
		}
	}
	l, limit := w.line(), unit.OfMinor(600, w.currency)
	switch w.IntN(22) {
	case 0, 1:
		return order.Confirm{Now: w.state.ConfirmBy.Add(-time.Minute)}
	case 2, 3:
		return record(order.Capture, "")
	case 4:
		return record(order.Refund, w.transaction(order.Capture))
	case 5:
		return record(order.Chargeback, w.transaction(order.Capture))
	case 6:
		return record(order.Reversal, w.transaction(order.Chargeback))
	case 7:
		return order.CancelLines{Lines: []order.LineQuantity{{Line: l.Number, Quantity: 1 + unit.Quantity(w.IntN(2))}}, Reason: "no"}
	case 8, 9:
		return order.Ship{ShipmentID: unit.ShipmentID(id), Location: unit.DefaultLocation, Lines: []order.LineQuantity{{Line: l.Number, Quantity: 1 + unit.Quantity(w.IntN(3))}}}
	case 10:
		back := []order.LineQuantity{{Line: l.Number, Quantity: min(1+unit.Quantity(w.IntN(2)), max(1, l.Returnable()))}}
		if _, err := order.Decide(order.AdmitReturn{ReturnID: unit.ReturnID(id), Currency: w.currency, Lines: back}, w.state.Clone()); err != nil {
			return order.Archive{}
		}
		w.do(order.AdmitReturn{ReturnID: unit.ReturnID(id), Currency: w.currency, Lines: back})
		return order.Credit{
			Worth:    unit.OfMinor(max(0, w.Int64N(600)-400), w.currency), // of units that belong to no line
			CreditID: unit.CreditID(id), Cause: order.CreditForReturn, ReturnID: unit.ReturnID(id), Currency: w.currency,
			Lines: []order.CreditedLine{{Line: l.Number, Quantity: back[0].Quantity, Worth: l.Price.Times(1 + unit.Quantity(w.IntN(2)))}},
		}
	case 11:
		if w.IntN(2) == 0 {
			return order.Credit{CreditID: unit.CreditID(id), Cause: order.CreditForCharge, Charge: 1 + w.IntN(3), Worth: unit.OfMinor(1+w.Int64N(200), w.currency)}
		}
		return order.Credit{CreditID: unit.CreditID(id), Cause: order.CreditForReduction, Currency: w.currency, Worth: unit.OfMinor(1+w.Int64N(400), w.currency)}
	case 15:
		return order.AddCharge{ChargeID: unit.ChargeID(id), Kind: order.Surcharge, Amount: unit.OfMinor(1+w.Int64N(500), w.currency), Limit: &limit}
	case 16:
		if len(w.state.Credits) > 0 {
			credit := w.state.Credits[w.IntN(len(w.state.Credits))]
			return order.AddCharge{ChargeID: unit.ChargeID(id), Kind: order.Clawback, CreditID: credit.ID, Amount: unit.OfMinor(1+w.Int64N(500), w.currency), Allowed: true}
		}
	case 12:
		return order.RequestRefund{RefundID: unit.RefundID(id), Purpose: []order.RefundPurpose{order.Settlement, order.Compensation}[w.IntN(2)], Amount: w.some()}
	case 13:
		return order.SettleTransaction{TransactionID: w.transaction(order.Refund, order.Capture, order.Chargeback), State: []order.TransactionState{order.Succeeded, order.Failed}[w.IntN(2)]}
	case 14:
		if w.IntN(3) == 0 {
			return order.Cancel{Reason: "no"}
		}
		return order.Confirm{Now: w.at}
	case 18, 19, 20, 21:
		if len(w.state.Shipments) > 0 {
			return w.astray(w.state.Shipments[w.IntN(len(w.state.Shipments))])
		}
	}
	if len(w.state.Returns) > 0 && w.IntN(2) == 0 {
		return order.ReleaseReturn{ReturnID: w.state.Returns[0].ID}
	}
	return order.WriteOff{Reason: "small"}
}

// astray lets something happen to a parcel that does not arrive.
func (w *walker) astray(parcel order.Shipment) order.Command {
	switch w.IntN(5) {
	case 0:
		return order.ResendParcel{ShipmentID: parcel.ID}
	case 1:
		back := order.TakeParcelBack{ShipmentID: parcel.ID, Location: unit.DefaultLocation, Resend: w.IntN(2) == 0}
		for _, l := range parcel.Lines {
			back.Lines = append(back.Lines, order.BackUnits{Line: l.Line, Quantity: l.Quantity, Disposition: order.Missing})
		}
		return back
	case 2, 3:
		w.do(order.ReportParcel{ShipmentID: parcel.ID, State: order.ParcelLost})
	}
	return order.CreditParcel{ShipmentID: parcel.ID}
}

// Whatever happens to orders: the reports are what the orders amount to, and verify agrees with
// them.
func TestTheReportsEqualTheOrders(t *testing.T) {
	s := newShop(t)
	random := rand.New(rand.NewPCG(12, 8))
	want := map[unit.Currency]*moneyview.Bridge{}
	discounts, units := map[unit.Currency]decimal.Decimal{}, map[unit.Currency]int64{}
	sold := map[unit.Currency]decimal.Decimal{}
	for n := range racetest.Few(10_000, 200) {
		state := s.walk(random, unit.OrderID(fmt.Sprint("o-", n)))
		b := want[state.Currency()]
		if b == nil {
			b = &moneyview.Bridge{}
			want[state.Currency()] = b
		}
		b.Owed, b.Kept = b.Owed.Add(state.Owed().Amount), b.Kept.Add(state.Kept().Amount)
		b.Balance, b.Compensated = b.Balance.Add(state.Balance().Amount), b.Compensated.Add(state.Compensated().Amount)
		b.WrittenOff, b.KeptAsGain, b.Lost = b.WrittenOff.Add(state.WrittenOff.Amount), b.KeptAsGain.Add(state.KeptAsGain.Amount), b.Lost.Add(state.Lost.Amount)
		if state.Quote != nil {
			for _, l := range state.Quote.Lines {
				for _, a := range l.Adjustments {
					discounts[state.Currency()] = discounts[state.Currency()].Add(a.Amount.Amount)
				}
			}
			for _, c := range state.Quote.Charges {
				for _, a := range c.Adjustments {
					discounts[state.Currency()] = discounts[state.Currency()].Add(a.Amount.Amount)
				}
			}
		}
		for _, l := range state.Lines {
			units[state.Currency()] += int64(l.Quantity)
		}
		sold[state.Currency()] = sold[state.Currency()].Add(salesOf(state))
	}
	s.CaughtUp()
	if found := s.moneyDifferences(); len(found) > 0 {
		t.Fatalf("verify finds %v", found)
	}
	bridges, err := moneyview.Bridges(t.Context(), s.Pool, moneyview.Filter{})
	if err != nil || len(bridges) != len(want) {
		t.Fatalf("%d bridges, %v", len(bridges), err)
	}
	for _, b := range bridges {
		w := want[unit.Currency(b.Currency)]
		for name, pair := range map[string][2]decimal.Decimal{
			"owed": {b.Owed, w.Owed}, "kept": {b.Kept, w.Kept}, "balance": {b.Balance, w.Balance}, "compensated": {b.Compensated, w.Compensated},
			"written off": {b.WrittenOff, w.WrittenOff}, "kept as gain": {b.KeptAsGain, w.KeptAsGain}, "lost": {b.Lost, w.Lost},
		} {
			if !pair[0].Equal(pair[1]) {
				t.Errorf("%s in %s: the report has %s, the orders %s", name, b.Currency, pair[0], pair[1])
			}
		}
		if b.Charged.IsZero() || b.Canceled.IsZero() || b.Returned.IsZero() || b.Reduced.IsZero() || b.Added.IsZero() || b.ChargedBack.IsZero() || b.Compensated.IsZero() {
			t.Errorf("the walk did too little: %+v", b)
		}
		only := map[moneyview.Dimension][]string{"currency": {b.Currency}, "kind": {moneyview.Placed}}
		placed, err := moneyview.Items.Totals(t.Context(), s.Pool, moneyview.Filter{Only: only})
		if err != nil || len(placed) != 1 || !placed[0].Gross.Equal(b.Charged) || !placed[0].Discount.Equal(discounts[unit.Currency(b.Currency)]) {
			t.Errorf("placed in %s: %+v, %v; want %s and discounts of %s", b.Currency, placed, err, b.Charged, discounts[unit.Currency(b.Currency)])
		}
		taxes := decimal.Zero
		rows, err := moneyview.Taxes.Totals(t.Context(), s.Pool, moneyview.Filter{Only: map[moneyview.Dimension][]string{"currency": {b.Currency}}}, "rate", "kind")
		for _, row := range rows {
			taxes = taxes.Add(row.Tax)
		}
		all, err2 := moneyview.Items.Totals(t.Context(), s.Pool, moneyview.Filter{Only: map[moneyview.Dimension][]string{"currency": {b.Currency}}})
		if err != nil || err2 != nil || len(all) != 1 || !all[0].Tax.Equal(taxes) || !all[0].Gross.Equal(b.Owed) {
			t.Errorf("all in %s: %+v, taxes of %s, %v, %v", b.Currency, all, taxes, err, err2)
		}
	}
	sales, err := salesview.Totals(t.Context(), s.Pool, salesview.Filter{})
	if err != nil || len(sales) != len(sold) {
		t.Fatal(sales, err)
	}
	for _, total := range sales {
		if want := sold[unit.Currency(total.Currency)]; !total.Amount.Equal(want) {
			t.Errorf("sales in %s are %s, the orders' %s", total.Currency, total.Amount, want)
		}
	}
	s.SameWhenRebuilt("orders")
	s.SameWhenRebuilt("sales")
}

// salesOf is what is left of the lines of an order. The returns of the walk have no streams, which
// would count what comes back at its price. So only the difference to what the order takes off is
// counted.
func salesOf(s order.State) decimal.Decimal {
	var sum decimal.Decimal
	for _, l := range s.Lines {
		if !s.Accounts {
			sum = sum.Add(l.Price.Times(l.Quantity - l.Canceled).Amount)
			continue
		}
		sum = sum.Add(unit.OfMinor(l.Account.Money(), s.Currency()).Amount)
	}
	for _, c := range s.Credits {
		if s.Accounts && c.Cause == order.CreditForReturn {
			for _, back := range c.Lines {
				sum = sum.Add(back.Worth.Amount)
			}
			for _, part := range c.Parts {
				if part.Quantity == 0 && part.Line != 0 { // of units that belong to no line: the return counts them
					sum = sum.Add(part.Amount.Amount)
				}
			}
		}
	}
	return sum
}

// A row of a report that is off by a cent, and a quote with a wrong share, are found and named.
func TestAWrongCentIsFound(t *testing.T) {
	s := newShop(t)
	random := rand.New(rand.NewPCG(3, 3))
	for n := range 40 {
		s.walk(random, unit.OrderID(fmt.Sprint("o-", n)))
	}
	s.CaughtUp()
	for table, column := range map[string]string{"report_items": "net", "report_promotions": "discount", "report_taxes": "tax", "report_payments": "amount"} {
		var schema string
		if err := s.Pool.QueryRow(t.Context(), `SELECT schema_name FROM projections.builds WHERE view = 'orders' AND state = 'active'`).Scan(&schema); err != nil {
			t.Fatal(err)
		}
		var at string
		if err := s.Pool.QueryRow(t.Context(), `UPDATE `+schema+`.`+table+` SET `+column+` = `+column+` + 0.01
			WHERE ctid = (SELECT ctid FROM `+schema+`.`+table+` LIMIT 1) RETURNING ctid::text`).Scan(&at); err != nil {
			t.Fatal(err)
		}
		found := s.moneyDifferences()
		if text := strings.Join(found["read."+table], "\n"); len(found) != 1 || strings.Count(text, column+" is ") != 1 {
			t.Errorf("%s off by a cent: verify finds %v", table, found)
		}
		s.mustExec(`UPDATE `+schema+`.`+table+` SET `+column+` = `+column+` - 0.01 WHERE ctid = $1::text::tid`, at)
	}
}

// Of a quote with a wrong term, verify names the first one that differs.
func TestAWrongTermOfAQuoteIsNamed(t *testing.T) {
	s := newShop(t)
	cent := func(m *unit.Money, minor int64) { *m = m.Plus(unit.OfMinor(minor, m.Currency)) }
	faults := []struct {
		want string
		make func(*pricing.Quote)
	}{
		{"line 1: list is 30.01, want 30", func(q *pricing.Quote) { cent(&q.Lines[0].List, 1) }},
		{"line 1: amount is", func(q *pricing.Quote) { cent(&q.Lines[0].Adjustments[0].Amount, -1) }},
		{"line 2: net is", func(q *pricing.Quote) { cent(&q.Lines[1].Tax[0].Amount, 1) }},
		{"line 2: gross is", func(q *pricing.Quote) { cent(&q.Lines[1].Gross, 1) }},
		{"line 1: base of its taxes is", func(q *pricing.Quote) { cent(&q.Lines[0].Tax[0].Base, 1) }},
		{"line 1: tax VAT21 is", func(q *pricing.Quote) { // a share of another line
			cent(&q.Lines[0].Tax[0].Amount, 3)
			cent(&q.Lines[0].Tax[0].Base, -3)
			cent(&q.Lines[0].Net, -3)
		}},
		{"net is", func(q *pricing.Quote) { cent(&q.Net, 1) }},
		{"tax VAT21 at 21% is", func(q *pricing.Quote) { cent(&q.Taxes[0].Amount, 1) }},
		{"base of tax VAT21 at 21% is", func(q *pricing.Quote) { cent(&q.Taxes[0].Base, 1) }},
	}
	for n, fault := range faults {
		id := unit.OrderID(fmt.Sprint("q-", n))
		placed := placedWithQuote(t, id)
		fault.make(placed.Quote)
		viewtest.Fact(s.Bench, order.Stream(id), eventstore.Metadata{OccurredAt: noon}, order.Encode, order.Event(placed))
	}
	s.CaughtUp()
	found := strings.Join(s.moneyDifferences()[moneyChecks[0]], "\n")
	for n, fault := range faults {
		if want := fmt.Sprintf("order q-%d, placed at revision 0: %s", n, fault.want); !strings.Contains(found, want) {
			t.Errorf("no difference begins with %q; found\n%s", want, found)
		}
	}
}

// placedWithQuote is an order of two lines and shipping, with promotions and taxes.
func placedWithQuote(t testing.TB, id unit.OrderID) order.Placed {
	t.Helper()
	price := amount("10", "EUR")
	priced := pricing.Cart{Currency: "EUR", Channel: "web", Method: "parcel", Groups: []string{"gold"}}
	place := order.Place{OrderID: id, Currency: "EUR", Country: "NL", ConfirmBy: noon.Add(time.Hour)}
	for n, class := range []string{"standard", "food"} {
		place.Lines = append(place.Lines, cart.Line{Number: n + 1, SKU: unit.SKU(class), Kind: unit.Service, Quantity: 3, Price: price})
		priced.Lines = append(priced.Lines, pricing.Item{Number: n + 1, SKU: unit.SKU(class), Kind: unit.Service, Quantity: 3, Catalogue: &price, TaxClass: class})
	}
	quote, err := moneyRules("EUR", pricing.Inclusive).Price(priced, noon)
	if err != nil {
		t.Fatal(err)
	}
	place.Quote = &quote
	events, err := order.Decide(place, order.State{})
	if err != nil {
		t.Fatal(err)
	}
	return events[0].(order.Placed)
}
