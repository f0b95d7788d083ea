package order

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"daybook/domain/cart"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
	"daybook/internal/racetest"
)

func euro(amount string) unit.Money {
	m, err := unit.ParseMoney(amount, "EUR")
	if err != nil {
		panic(err)
	}
	return m
}

// pricedOrder is an order of the worked example with a code on three lines, and shipping.
func pricedOrder(t *testing.T) (Place, pricing.Quote) {
	t.Helper()
	place, quote, err := pricedOrderOf(1, 2, "")
	if err != nil {
		t.Fatal(err)
	}
	return place, quote
}

// pricedOrderOf is that order with other quantities of its first two lines, and a tax class of the
// second one.
func pricedOrderOf(first, second unit.Quantity, class string) (Place, pricing.Quote, error) {
	rate, err := unit.ParsePercent("21")
	if err != nil {
		return Place{}, pricing.Quote{}, err
	}
	low, err := unit.ParsePercent("9")
	if err != nil {
		return Place{}, pricing.Quote{}, err
	}
	rules := pricing.Compile(pricing.Book{
		Entities: []pricing.LegalEntity{{
			ID: "shop", Mode: pricing.Inclusive, DefaultClass: "standard", Home: pricing.Zone{Country: "NL"},
			Rows: []pricing.TaxRow{{Class: "standard", Component: "NL VAT", Rate: rate}, {Class: "low", Component: "NL VAT", Rate: low}},
		}},
		Promotions: []pricing.Promotion{{
			ID: "ten", Kind: pricing.Automatic, Class: pricing.OrderClass, Active: true,
			Action: pricing.Action{Type: pricing.FixedOff, Amounts: []unit.Money{euro("10")}},
		}},
		Methods: []pricing.ShippingMethod{{ID: "post", Mode: pricing.Inclusive, Active: true, Rates: []pricing.RateTable{{
			Currency: "EUR", Basis: pricing.Flat, Steps: []pricing.Step{{Price: euro("4.95")}},
		}}}},
	})
	like := pricing.Cart{Currency: "EUR", Method: "post"}
	place := Place{OrderID: "o-1", CartID: "c-1", Currency: "EUR", ConfirmBy: time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)}
	for i, of := range []struct {
		sku      unit.SKU
		quantity unit.Quantity
		price    string
	}{{"A", first, "19.99"}, {"B", second, "5"}, {"C", 1, "33.33"}} {
		price := euro(of.price)
		like.Lines = append(like.Lines, pricing.Item{Number: i + 1, SKU: of.sku, Quantity: of.quantity, Kind: unit.Stocked, Catalogue: &price})
		place.Lines = append(place.Lines, cart.Line{Number: i + 1, SKU: of.sku, Kind: unit.Stocked, Quantity: of.quantity, Price: price})
		place.Reservations = append(place.Reservations, cart.Reservation{ReservationID: unit.ReservationID("r-" + of.sku), SKU: of.sku, Location: "main", Quantity: of.quantity})
	}
	like.Lines[1].TaxClass = class
	quote, err := rules.Price(like, place.ConfirmBy.Add(-time.Hour))
	place.Quote = &quote
	return place, quote, err
}

// do decides commands one after the other.
func do(t *testing.T, s State, commands ...Command) State {
	t.Helper()
	for _, command := range commands {
		events, err := Decide(command, s)
		if err != nil {
			t.Fatalf("%T: %v", command, err)
		}
		for _, e := range events {
			s = Evolve(s, e)
		}
	}
	return s
}

func owes(t *testing.T, s State, want string) {
	t.Helper()
	if got := s.Owed(); !got.Equal(euro(want)) {
		t.Errorf("owed %s, want %s", got, want)
	}
	if left := s.Total.Minus(s.Credited); !left.Equal(s.Left()) {
		t.Errorf("total less credits is %s, and the accounts have %s", left, s.Left())
	}
}

func back(id unit.CreditID, line int) Credit {
	return Credit{CreditID: id, Cause: CreditForReturn, ReturnID: unit.ReturnID("ret-" + id), Currency: "EUR", Lines: []CreditedLine{{Line: line, Quantity: 1, Worth: euro("999")}}}
}

// The steps of the example, through the order: each unit gives back its frozen share.
func TestAPricedOrderGivesBackItsShares(t *testing.T) {
	t.Parallel()
	place, _ := pricedOrder(t)
	s := do(t, State{}, place)
	owes(t, s, "58.27")
	s = do(t, s, Confirm{Now: place.ConfirmBy.Add(-time.Hour), Allocated: true})
	s = do(t, s, Ship{ShipmentID: "p-1", Location: "main", Lines: []LineQuantity{{1, 1}, {2, 2}, {3, 1}}})
	owes(t, s, "58.27")
	for i, step := range []struct {
		line int
		owed string
	}{{2, "54.06"}, {1, "37.23"}, {3, "9.16"}, {2, "4.95"}} {
		s = do(t, s, back(unit.CreditID(rune('a'+i)), step.line))
		owes(t, s, step.owed)
	}
	if tax := s.Credits[0].Parts[0].Tax; len(tax) != 1 || !tax[0].Equal(euro("0.73")) {
		t.Errorf("the first credit has the tax %v, want 0.73", tax)
	}
}

func TestCancelingEverythingTakesShippingOffToo(t *testing.T) {
	t.Parallel()
	place, _ := pricedOrder(t)
	s := do(t, State{}, place, CancelLines{Lines: []LineQuantity{{2, 1}}, Reason: "less"})
	owes(t, s, "54.06")
	s = do(t, s, Cancel{Reason: "no"})
	owes(t, s, "0")
	for _, account := range s.accounts() {
		if !account.Left().IsZero() {
			t.Errorf("%+v is left", account.Left())
		}
	}
}

func TestAPriceReductionIsSplitOverLinesAndCharges(t *testing.T) {
	t.Parallel()
	place, _ := pricedOrder(t)
	s := do(t, State{}, place, Credit{CreditID: "c", Cause: CreditForReduction, Currency: "EUR", Worth: euro("5"), Reason: "late"})
	owes(t, s, "53.27")
	parts := s.Credits[0].Parts
	if len(parts) != 4 || parts[3].Charge != 1 {
		t.Errorf("parts %+v", parts)
	}
}

// A credit of a return that is released comes back into the accounts.
func TestACreditThatIsTakenBackFillsTheAccounts(t *testing.T) {
	t.Parallel()
	place, _ := pricedOrder(t)
	s := do(t, State{}, place, Confirm{Now: place.ConfirmBy.Add(-time.Hour), Allocated: true},
		Ship{ShipmentID: "p-1", Location: "main", Lines: []LineQuantity{{2, 2}}},
		AdmitReturn{ReturnID: "ret-a", Currency: "EUR", Lines: []LineQuantity{{2, 1}}}, back("a", 2))
	owes(t, s, "54.06")
	s = do(t, s, ReleaseReturn{ReturnID: "ret-a"})
	owes(t, s, "58.27")
}

// Ten lines of 0.335 cost ten times 0.34, and not 3.35: what is charged is the sum of the lines.
func TestLinesOfNewOrdersAreRounded(t *testing.T) {
	t.Parallel()
	place := Place{OrderID: "o-1", Currency: "EUR", RoundedLines: true, ConfirmBy: time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)}
	for i := range 10 {
		place.Lines = append(place.Lines, cart.Line{Number: i + 1, SKU: "FEE", Kind: unit.Service, Quantity: 1, Price: euro("0.335")})
	}
	s := do(t, State{}, place)
	owes(t, s, "3.40")
	if amount := s.Amount(s.Lines[0]); !amount.Equal(euro("0.34")) {
		t.Errorf("the line costs %s", amount)
	}
}

func TestAnOrderRefusesTheQuoteOfOtherLines(t *testing.T) {
	t.Parallel()
	place, quote := pricedOrder(t)
	place.Lines[1].Price = euro("4")
	if _, err := Decide(place, State{}); err == nil {
		t.Error("an order was placed with the quote of other prices")
	}
	place, _ = pricedOrder(t)
	quote.Total = euro("1")
	place.Quote = &quote
	if _, err := Decide(place, State{}); err == nil {
		t.Error("an order was placed with a quote that does not add up")
	}
}

// A checkout whose quote is only with its order can repeat the order, and cannot place it.
func TestAQuoteThatIsOnlyWithTheOrder(t *testing.T) {
	t.Parallel()
	place, _ := pricedOrder(t)
	s := do(t, State{}, place)
	again := place
	again.Quote, again.QuoteWithOrder = nil, true
	if events, err := Decide(again, s); err != nil || len(events) != 0 {
		t.Errorf("the order is placed again: %v, %v", events, err)
	}
	if events, err := Decide(again, State{}); err == nil {
		t.Errorf("an order was placed without its quote: %v", events)
	}
	again.QuoteWithOrder = false
	if _, err := Decide(again, s); !errors.Is(err, ErrExists) {
		t.Errorf("an order without a quote is the same: %v", err)
	}
}

// Whatever is canceled, shipped, credited and reduced: the accounts have what is owed.
func TestTheAccountsOfRandomOrdersAddUp(t *testing.T) {
	t.Parallel()
	place, _ := pricedOrder(t)
	for seed := range racetest.Few(uint64(3_000), 200) {
		random := rand.New(rand.NewPCG(seed, 3))
		s := do(t, State{}, place, Confirm{Now: place.ConfirmBy.Add(-time.Hour), Allocated: true})
		for step := range 12 {
			id := string(rune('a' + step))
			line := LineQuantity{Line: 1 + random.IntN(3), Quantity: 1}
			var command Command
			switch random.IntN(7) {
			case 0:
				command = CancelLines{Lines: []LineQuantity{line}, Reason: "no"}
			case 1:
				command = Ship{ShipmentID: unit.ShipmentID("p-" + id), Location: "main", Lines: []LineQuantity{line}}
			case 2:
				command = back(unit.CreditID(id), line.Line)
			case 3:
				command = Credit{CreditID: unit.CreditID(id), Cause: CreditForReduction, Currency: "EUR", Worth: unit.OfMinor(1+random.Int64N(300), "EUR"), Reason: "late"}
			case 4:
				command = Credit{CreditID: unit.CreditID(id), Cause: CreditForCharge, Charge: 1, Worth: unit.OfMinor(1+random.Int64N(300), "EUR"), Reason: "late"}
			case 5:
				worth := back(unit.CreditID(id), line.Line)
				worth.Worth = unit.OfMinor(random.Int64N(300), "EUR")
				worth.Lines = worth.Lines[:random.IntN(2)]
				command = worth
			case 6:
				command = ReleaseReturn{ReturnID: unit.ReturnID("ret-" + string(rune('a'+random.IntN(12))))}
			}
			events, err := Decide(command, s)
			if err != nil {
				continue
			}
			for _, e := range events {
				s = Evolve(s, e)
			}
			if left := s.Total.Minus(s.Credited); !left.Equal(s.Left()) {
				t.Fatalf("seed %d, after %T: total less credits is %s, and the accounts have %s", seed, command, left, s.Left())
			}
		}
	}
}
