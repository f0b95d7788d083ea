package order

import (
	"testing"

	"daybook/domain/unit"
)

// twoOfA is return r1, by which two units of A come back.
var (
	admitTwo = AdmitReturn{ReturnID: "r1", Currency: "GBP", Lines: []LineQuantity{{1, 2}, {5, 1}}}
	twoOfA   = ReturnAdmitted{ReturnID: "r1", Lines: []LineQuantity{{1, 2}, {5, 1}}}
	claimed  = RefundClaimed{TransactionID: "re", ReturnID: "r1"}
	givenUp  = ReturnReleased{ReturnID: "r1"}
	payBack  = RecordReturnRefund{ReturnID: "r1", TransactionID: "re", Amount: pounds("5"), Provider: "stripe", Reference: "re_1"}
	paidBack = TransactionRecorded{
		TransactionID: "re", Type: Refund, State: Succeeded, Amount: pounds("5"), Provider: "stripe", Reference: "re_1", ReturnID: "r1",
	}
)

func paidBackOf(amount string) Event {
	e := paidBack
	e.Amount = pounds(amount)
	return e
}

func admit(id unit.ReturnID, lines ...LineQuantity) AdmitReturn {
	return AdmitReturn{ReturnID: id, Currency: "GBP", Lines: lines}
}

// reported is a refund of five pounds that the payment provider has reported.
func reported(state TransactionState) Event {
	return TransactionRecorded{TransactionID: "re", Type: Refund, State: state, Amount: pounds("5")}
}

var comingBack = map[string]row{
	"units that have shipped may come back":              {Given: shippedAll(), When: admitTwo, Then: []Event{twoOfA}},
	"the same return is admitted once":                   {Given: shippedAll(twoOfA), When: admitTwo, Nothing: true},
	"with the same units":                                {Given: shippedAll(twoOfA), When: admit("r1", LineQuantity{1, 1}), Refused: ErrReturnDiffers},
	"the rest may come back by another":                  {Given: shippedAll(twoOfA), When: admit("r2", LineQuantity{1, 1}), Then: []Event{ReturnAdmitted{ReturnID: "r2", Lines: []LineQuantity{{1, 1}}}}},
	"a unit comes back once":                             {Given: shippedAll(twoOfA), When: admit("r2", LineQuantity{1, 2}), Refused: facts(ErrReturnExceeded, map[string]any{"line": 1, "returnable": unit.Quantity(1), "requested": unit.Quantity(2)})},
	"also a service":                                     {Given: shippedAll(twoOfA), When: admit("r2", LineQuantity{5, 1}), Refused: ErrReturnExceeded},
	"what has not shipped does not come back":            {Given: binding(eastParcel), When: admit("r1", LineQuantity{2, 2}), Refused: facts(ErrReturnExceeded, map[string]any{"line": 2, "returnable": unit.Quantity(1), "requested": unit.Quantity(2)})},
	"also of an order canceled since":                    {Given: binding(eastParcel, Canceled{}), When: admit("r1", LineQuantity{2, 1}), Then: []Event{ReturnAdmitted{ReturnID: "r1", Lines: []LineQuantity{{2, 1}}}}},
	"a missing line has nothing":                         {Given: shippedAll(), When: admit("r1", LineQuantity{3, 1}), Refused: facts(ErrLineUnknown, map[string]any{"line": 3})},
	"some unit comes back":                               {Given: shippedAll(), When: admit("r1", LineQuantity{1, 0}), Refused: ErrLineQuantityInvalid},
	"a line is asked for once":                           {Given: shippedAll(), When: admit("r1", LineQuantity{1, 1}, LineQuantity{1, 1}), Refused: ErrLinesDisordered},
	"a return counts in the order's money":               {Given: shippedAll(), When: AdmitReturn{ReturnID: "r1", Currency: "EUR"}, Refused: ErrCurrencyDiffers},
	"what does not come is released":                     {Given: shippedAll(twoOfA), When: ReleaseReturn{ReturnID: "r1"}, Then: []Event{givenUp}},
	"once":                                               {Given: shippedAll(twoOfA, givenUp), When: ReleaseReturn{ReturnID: "r1"}, Nothing: true},
	"and may come back by another":                       {Given: shippedAll(twoOfA, givenUp), When: admit("r2", LineQuantity{1, 3}), Then: []Event{ReturnAdmitted{ReturnID: "r2", Lines: []LineQuantity{{1, 3}}}}},
	"but not by the same":                                {Given: shippedAll(twoOfA, givenUp), When: admitTwo, Refused: ErrReturnReleased},
	"a return is released before it is admitted":         {Given: shippedAll(), When: ReleaseReturn{ReturnID: "r1"}, Then: []Event{givenUp}},
	"and then never is":                                  {Given: shippedAll(givenUp), When: admitTwo, Refused: ErrReturnReleased},
	"a refund that a return recorded":                    {Given: shippedAll(captured("17.47"), twoOfA), When: payBack, Then: []Event{paidBack}},
	"is recorded once":                                   {Given: shippedAll(captured("17.47"), twoOfA, paidBack), When: payBack, Nothing: true},
	"though nothing was captured":                        {Given: shippedAll(twoOfA), When: payBack, Then: []Event{paidBack}},
	"in the order's money":                               {Given: shippedAll(), When: RecordReturnRefund{TransactionID: "re", Amount: unit.Money{Amount: pounds("5").Amount, Currency: "EUR"}}, Refused: ErrCurrencyDiffers},
	"one that the provider reported is that":             {Given: shippedAll(captured("17.47"), reported(Succeeded)), When: payBack, Then: []Event{claimed}},
	"and has succeeded":                                  {Given: shippedAll(captured("17.47"), reported(Pending)), When: payBack, Then: []Event{TransactionSettled{TransactionID: "re", State: Succeeded, Reference: "re_1"}, claimed}},
	"and is claimed once":                                {Given: shippedAll(captured("17.47"), reported(Succeeded), claimed), When: payBack, Nothing: true},
	"and of one return":                                  {Given: shippedAll(captured("17.47"), reported(Succeeded), claimed), When: RecordReturnRefund{ReturnID: "r2", TransactionID: "re", Amount: pounds("5")}, Refused: ErrTransactionDiffers},
	"not one that failed":                                {Given: shippedAll(captured("17.47"), reported(Failed)), When: payBack, Refused: ErrTransactionDiffers},
	"nor one of another return":                          {Given: shippedAll(captured("17.47"), paidBack), When: RecordReturnRefund{ReturnID: "r2", TransactionID: "re", Amount: pounds("5")}, Refused: ErrTransactionDiffers},
	"nor one of other money":                             {Given: shippedAll(captured("17.47"), paidBack), When: RecordReturnRefund{ReturnID: "r1", TransactionID: "re", Amount: pounds("6")}, Refused: ErrTransactionDiffers},
	"nor a payment of another kind":                      {Given: shippedAll(captured("5")), When: RecordReturnRefund{ReturnID: "r1", TransactionID: "cap", Amount: pounds("5")}, Refused: ErrTransactionDiffers},
	"what the provider reports after it is that":         {Given: shippedAll(captured("17.47"), paidBack), When: pay(tx("re", Refund, Succeeded, "5", "cap")), Nothing: true},
	"also while it is under way there":                   {Given: shippedAll(captured("17.47"), paidBack), When: pay(tx("re", Refund, Pending, "5", "")), Nothing: true},
	"not of other money":                                 {Given: shippedAll(captured("17.47"), paidBack), When: pay(tx("re", Refund, Succeeded, "6", "cap")), Refused: ErrTransactionDiffers},
	"nor of another kind":                                {Given: shippedAll(captured("17.47"), paidBack), When: pay(tx("re", Chargeback, Succeeded, "5", "cap")), Refused: ErrTransactionDiffers},
	"nor one that failed there":                          {Given: shippedAll(captured("17.47"), paidBack), When: pay(tx("re", Refund, Failed, "5", "cap")), Refused: ErrTransactionDiffers},
	"one under way before a return's refund has its end": {Given: shippedAll(captured("5"), tx("r", Refund, Pending, "5", "cap"), paidBack), When: SettleTransaction{TransactionID: "r", State: Succeeded}, Then: []Event{TransactionSettled{TransactionID: "r", State: Succeeded}}},
	"but not beyond what else went back":                 {Given: shippedAll(captured("5"), tx("r", Refund, Pending, "5", "cap"), paidBack, tx("b", Chargeback, Succeeded, "1", "cap")), When: SettleTransaction{TransactionID: "r", State: Succeeded}, Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("4"), "requested": pounds("5")})},
	"a provider's refund counts a return's as its":       {Given: shippedAll(captured("17.47"), paidBack), When: RecordTransaction{TransactionID: "re2", Type: Refund, State: Succeeded, Amount: pounds("12.48")}, Refused: ErrAmountExceeded},
}

func TestComingBack(t *testing.T) { orders.Run(t, comingBack) }

func TestARefundOfAReturnShowsInThePaymentState(t *testing.T) {
	for _, test := range []struct {
		refunds []Event
		want    PaymentState
	}{{nil, Paid}, {[]Event{paidBack}, PartiallyRefunded}, {[]Event{paidBackOf("17.47")}, Refunded}} {
		given := shippedAll(append([]Event{captured("17.47"), twoOfA}, test.refunds...)...)
		if got := orders.Fold(given...).PaymentState(); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}
