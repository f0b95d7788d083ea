package order

import (
	"errors"
	"testing"
	"time"

	"daybook/domain/cart"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// adding are cases of charges that are added after the order was placed.
var adding = map[string]row{
	"a surcharge raises what is owed":                       {Given: given(), When: charging("2"), Then: []Event{surcharged("2")}},
	"adding it again changes nothing":                       {Given: given(surcharged("2")), When: charging("2"), Nothing: true},
	"another charge cannot have its id":                     {Given: given(surcharged("2")), When: charging("3"), Refused: ErrChargeDiffers},
	"a surcharge within the limit":                          {Given: given(surcharged("2")), When: chargingWithin("x2", "3", "5"), Then: []Event{ChargeAdded{Charge: 2, ChargeID: "x2", Kind: Surcharge, Limit: amountOf("5"), Reason: "an island", Priced: chargePrice("3", "3")}}},
	"all surcharges count for the limit":                    {Given: given(surcharged("2")), When: chargingWithin("x2", "3.01", "5"), Refused: facts(ErrSurchargeLimit, map[string]any{"limit": pounds("5"), "requested": pounds("5.01")})},
	"a surcharge is more than zero":                         {Given: given(), When: charging("0"), Refused: ErrAmountInvalid},
	"and no finer than the currency":                        {Given: given(), When: charging("0.001"), Refused: ErrAmountTooFine},
	"and of its order's currency":                           {Given: given(), When: AddCharge{ChargeID: "x1", Kind: Surcharge, Amount: euro("1")}, Refused: ErrCurrencyDiffers},
	"a canceled order gets no surcharge":                    {Given: given(Canceled{}), When: charging("2"), Refused: ErrCanceled},
	"there is no other kind":                                {Given: given(), When: AddCharge{ChargeID: "x1", Kind: "tip", Amount: pounds("1")}, Refused: ErrTransactionInvalid},
	"a clawback belongs to a credit":                        {Given: shippedAll(creditOf("r1", "5")), When: clawing("2"), Then: []Event{clawedBack("2")}},
	"it is refused unless the seller does that":             {Given: shippedAll(creditOf("r1", "5")), When: AddCharge{ChargeID: "x2", Kind: Clawback, CreditID: "credit-r1", Amount: pounds("2")}, Refused: ErrClawbackOff},
	"it is refused without a credit":                        {Given: shippedAll(), When: clawing("2"), Refused: ErrCreditUnknown},
	"a price reduction has no clawback":                     {Given: shippedAll(Credited{CreditID: "credit-r1", Cause: CreditForReduction, Worth: pounds("5"), Amount: pounds("5")}), When: clawing("2"), Refused: ErrCreditUnknown},
	"it is at most what the credit gives":                   {Given: shippedAll(creditOf("r1", "5")), When: clawing("5.01"), Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("5"), "requested": pounds("5.01")})},
	"so are all clawbacks of a credit together":             {Given: shippedAll(creditOf("r1", "5"), clawedBack("2")), When: AddCharge{ChargeID: "x3", Kind: Clawback, CreditID: "credit-r1", Amount: pounds("3.01"), Allowed: true}, Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("3"), "requested": pounds("3.01")})},
	"what is owed after a clawback can be reduced once":     {Given: shippedAll(creditOf("r1", "5"), clawedBack("2")), When: reducing("14.48"), Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("14.47"), "requested": pounds("14.48")})},
	"a clawback goes with its credit if nothing comes back": {Given: shippedAll(twoOfA, creditOf("r1", "5"), clawedBack("2"), givenUp), When: reducing("17.48"), Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("17.47"), "requested": pounds("17.48")})},
	"a clawback of a completed order":                       {Given: shippedAll(creditOf("r1", "5"), Completed{}), When: clawing("2"), Then: []Event{clawedBack("2")}},
	"the same clawback for another credit is another one":   {Given: shippedAll(creditOf("r1", "5"), clawedBack("2")), When: AddCharge{ChargeID: "x2", Kind: Clawback, CreditID: "credit-r2", Amount: pounds("2"), Allowed: true}, Refused: ErrChargeDiffers},
}

// cardsSold is an order of three gift cards of 10.00, which is confirmed.
func cardsSold(more ...Event) []Event {
	placed := Placed{
		OrderID: "o1", CartID: "c1", Currency: "GBP", ConfirmBy: later, Total: pounds("30"), Charge: pounds("30"),
		Lines: []cart.Line{{Number: 1, SKU: "CARD", Kind: unit.Service, Quantity: 3, Price: pounds("10")}},
		Quote: &pricing.Quote{Currency: "GBP", Mode: pricing.Inclusive, Total: pounds("30"), Net: pounds("30"), Lines: []pricing.PricedLine{{
			Line: 1, SKU: "CARD", Quantity: 3, Price: pounds("10"), GiftCard: true, Priced: chargePrice("30", "30"),
		}}},
	}
	return append([]Event{placed, captured("30"), Confirmed{}}, more...)
}

func cardCharge(charge, number int) Event {
	of := SoldUnit{Line: 1, Unit: number}
	return ChargeAdded{Charge: charge, ChargeID: unit.ChargeID(GiftCardBack("o1", of).ID()), Kind: ReturnedCard, Card: &of, Priced: chargePrice("10", "10")}
}

func cardCredit(charge, number int, amount string) Event {
	return Credited{
		CreditID: unit.CreditID(GiftCardBack("o1", SoldUnit{Line: 1, Unit: number}).ID()), Cause: CreditForCharge, Worth: pounds(amount), Amount: pounds(amount),
		Parts: []CreditPart{{Charge: charge, Amount: pounds(amount)}},
	}
}

func oneOff() Event { return LinesCanceled{Lines: []LineQuantity{{1, 1}}, Reason: "x"} }

// undoing are cases of gift cards whose purchase is undone.
var undoing = map[string]row{
	"a canceled gift card is charged until it has ended":  {Given: cardsSold(), When: CancelLines{Lines: []LineQuantity{{1, 1}}, Reason: "x"}, Then: []Event{oneOff(), cardCharge(1, 3)}, Repeats: true},
	"the next one is another card":                        {Given: cardsSold(oneOff(), cardCharge(1, 3)), When: CancelLines{Lines: []LineQuantity{{1, 1}}, Reason: "x"}, Then: []Event{oneOff(), cardCharge(2, 2)}, Repeats: true},
	"what was left is credited":                           {Given: cardsSold(oneOff(), cardCharge(1, 3)), When: SettleGiftCard{Of: SoldUnit{1, 3}, Left: pounds("4")}, Then: []Event{cardCredit(1, 3, "4")}},
	"also nothing":                                        {Given: cardsSold(oneOff(), cardCharge(1, 3)), When: SettleGiftCard{Of: SoldUnit{1, 3}, Left: pounds("0")}, Then: []Event{cardCredit(1, 3, "0")}},
	"it is credited once":                                 {Given: cardsSold(oneOff(), cardCharge(1, 3), cardCredit(1, 3, "4")), When: SettleGiftCard{Of: SoldUnit{1, 3}, Left: pounds("5")}, Nothing: true},
	"and at most what was charged":                        {Given: cardsSold(oneOff(), cardCharge(1, 3)), When: SettleGiftCard{Of: SoldUnit{1, 3}, Left: pounds("99")}, Then: []Event{cardCredit(1, 3, "10")}},
	"a card that was not canceled is not credited":        {Given: cardsSold(), When: SettleGiftCard{Of: SoldUnit{1, 3}, Left: pounds("4")}, Refused: ErrChargeUnknown},
	"nobody credits the charge before the card has ended": {Given: cardsSold(oneOff(), cardCharge(1, 3)), When: Credit{CreditID: "c", Cause: CreditForCharge, Charge: 1, Worth: pounds("1")}, Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("0"), "requested": pounds("1")})},
}

func TestGiftCardsWhosePurchaseIsUndone(t *testing.T) { orders.Run(t, undoing) }

func TestChargesThatAreAdded(t *testing.T) { orders.Run(t, adding) }

func charging(amount string) AddCharge {
	return AddCharge{ChargeID: "x1", Kind: Surcharge, Amount: pounds(amount), Reason: "an island"}
}

func chargingWithin(id unit.ChargeID, amount, limit string) AddCharge {
	return AddCharge{ChargeID: id, Kind: Surcharge, Amount: pounds(amount), Limit: amountOf(limit), Reason: "an island"}
}

func clawing(amount string) AddCharge {
	return AddCharge{ChargeID: "x2", Kind: Clawback, CreditID: "credit-r1", Amount: pounds(amount), Reason: "three for two", Allowed: true}
}

func surcharged(amount string) Event {
	return ChargeAdded{Charge: 1, ChargeID: "x1", Kind: Surcharge, Reason: "an island", Priced: chargePrice(amount, amount)}
}

func clawedBack(amount string) Event {
	return ChargeAdded{Charge: 1, ChargeID: "x2", Kind: Clawback, CreditID: "credit-r1", Reason: "three for two", Priced: chargePrice(amount, amount)}
}

func chargePrice(gross, net string) pricing.Priced {
	return pricing.Priced{List: pounds(gross), Amount: pounds(gross), Net: pounds(net), Gross: pounds(gross)}
}

// A surcharge is taxed by the rates that were frozen with the order, and has a pool of its own: it
// is credited like shipping, and goes with the order.
func TestASurchargeHasTheTaxOfTheGoods(t *testing.T) {
	t.Parallel()
	place, _ := pricedOrder(t)
	charge := AddCharge{ChargeID: "x1", Kind: Surcharge, Amount: euro("6.05"), Reason: "an island"}
	s := do(t, State{}, place, charge)
	owes(t, s, "64.32")
	added := s.Charges[1]
	if added.Number != 2 || len(added.Added.Priced.Tax) != 1 || !added.Added.Priced.Tax[0].Amount.Equal(euro("1.05")) || !added.Added.Priced.Net.Equal(euro("5")) {
		t.Errorf("%+v", added.Added)
	}
	part := creditOfShipping("a", "1.21")
	part.Charge = 2
	credited := do(t, s.Clone(), part)
	owes(t, credited, "63.11")
	if tax := credited.Credits[0].Parts[0].Tax; len(tax) != 1 || !tax[0].Equal(euro("0.21")) {
		t.Errorf("the tax of the credit is %v", tax)
	}
	owes(t, do(t, s.Clone(), Cancel{Reason: "no"}), "0")
	sent := do(t, s, Confirm{Now: place.ConfirmBy.Add(-time.Hour), Allocated: true}, Ship{ShipmentID: "p-1", Location: "main", Lines: []LineQuantity{{1, 1}}},
		AddCharge{ChargeID: "x2", Kind: Surcharge, Amount: euro("1"), Reason: "an island"}, Cancel{Reason: "no"})
	owes(t, sent, "28.83") // 16.83 for what has left, 4.95 for shipping, and both surcharges
}

// creditOfShipping credits the charge of pricedOrder; an empty amount: all of it.
func creditOfShipping(id unit.CreditID, amount string) Credit {
	c := Credit{CreditID: id, Cause: CreditForCharge, Charge: 1, Reason: "it came late"}
	if amount != "" {
		c.Worth = euro(amount)
	}
	return c
}

// A charge is credited in parts, and its tax of 0.86 with it, before its parcel and after it.
func TestAChargeIsCreditedInParts(t *testing.T) {
	t.Parallel()
	place, _ := pricedOrder(t)
	s := do(t, State{}, place, creditOfShipping("a", "2"))
	owes(t, s, "56.27")
	s = do(t, s, Confirm{Now: place.ConfirmBy.Add(-time.Hour), Allocated: true}, Ship{ShipmentID: "p-1", Location: "main", Lines: []LineQuantity{{1, 1}}},
		creditOfShipping("a", "2"), creditOfShipping("b", ""))
	owes(t, s, "53.32")
	tax := unit.Zero("EUR")
	for _, c := range s.Credits {
		if len(c.Parts) != 1 || c.Parts[0].Charge != 1 || len(c.Parts[0].Tax) != 1 {
			t.Fatalf("the credit has the parts %+v", c.Parts)
		}
		tax = tax.Plus(c.Parts[0].Tax[0])
	}
	if !tax.Equal(euro("0.86")) {
		t.Errorf("the tax of both credits is %s", tax)
	}
	for i, l := range s.Lines {
		if full := s.Quote.Lines[i].Gross; l.Account.Money() != minorOf(full) {
			t.Errorf("line %d has %d left of %s", l.Number, l.Account.Money(), full)
		}
	}
	for name, c := range map[string]struct {
		command Credit
		want    error
	}{
		"nothing is left":        {creditOfShipping("c", ""), ErrAmountExceeded},
		"more than is left":      {creditOfShipping("c", "0.01"), ErrAmountExceeded},
		"finer than a cent":      {creditOfShipping("c", "0.001"), ErrAmountTooFine},
		"not below zero":         {creditOfShipping("c", "-1"), ErrAmountInvalid},
		"another amount":         {creditOfShipping("a", "1"), ErrCreditDiffers},
		"no such charge":         {Credit{CreditID: "c", Cause: CreditForCharge, Charge: 2}, ErrChargeUnknown},
		"another charge":         {Credit{CreditID: "a", Cause: CreditForCharge, Charge: 2}, ErrCreditDiffers},
		"in another currency":    {Credit{CreditID: "c", Cause: CreditForCharge, Charge: 1, Worth: pounds("1")}, ErrCurrencyDiffers},
		"a text of no character": {Credit{CreditID: "c", Cause: CreditForCharge, Charge: 1, Reason: "\u200b"}, ErrAmountExceeded},
	} {
		if _, err := Decide(c.command, s); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func minorOf(m unit.Money) int64 {
	minor, _ := m.Minor()
	return minor
}

// A return may bring back units of lines, and others that belong to no line. Both are credited.
func TestAReturnOfLinesAndOfOtherUnitsIsCreditedForBoth(t *testing.T) {
	t.Parallel()
	place, _ := pricedOrder(t)
	shipped := do(t, State{}, place, Confirm{Now: place.ConfirmBy.Add(-time.Hour), Allocated: true},
		Ship{ShipmentID: "p-1", Location: "main", Lines: []LineQuantity{{1, 1}, {2, 2}, {3, 1}}},
		AdmitReturn{ReturnID: "ret-a", Currency: "EUR", Lines: []LineQuantity{{2, 1}}})
	both := back("a", 2)
	both.Worth = euro("3")
	s := do(t, shipped.Clone(), both)
	owes(t, s, "51.06") // 58.27 less 4.21 for the unit and 3.00 for the others
	s = do(t, s, ReleaseReturn{ReturnID: "ret-a"})
	owes(t, s, "58.27")

	none := both
	none.Lines = nil
	s = do(t, shipped, none)
	owes(t, s, "55.27")
	s = do(t, s, ReleaseReturn{ReturnID: "ret-a"})
	owes(t, s, "58.27")
}
