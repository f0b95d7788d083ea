package order

import (
	"testing"

	"daybook/domain/unit"
)

// twoOfA is return r1, with which two units of A and the postage come back.
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
	"a return of shipped units is admitted":                                     {Given: shippedAll(), When: admitTwo, Then: []Event{twoOfA}},
	"admitting a return again changes nothing":                                  {Given: shippedAll(twoOfA), When: admitTwo, Nothing: true},
	"admitting a return again with other units is refused":                      {Given: shippedAll(twoOfA), When: admit("r1", LineQuantity{1, 1}), Refused: ErrReturnDiffers},
	"a second return of the remaining units is admitted":                        {Given: shippedAll(twoOfA), When: admit("r2", LineQuantity{1, 1}), Then: []Event{ReturnAdmitted{ReturnID: "r2", Lines: []LineQuantity{{1, 1}}}}},
	"a return of units that another return has is refused":                      {Given: shippedAll(twoOfA), When: admit("r2", LineQuantity{1, 2}), Refused: facts(ErrReturnExceeded, map[string]any{"line": 1, "returnable": unit.Quantity(1), "requested": unit.Quantity(2)})},
	"a return of a service that another return has is refused":                  {Given: shippedAll(twoOfA), When: admit("r2", LineQuantity{5, 1}), Refused: ErrReturnExceeded},
	"a return of units that have not shipped is refused":                        {Given: binding(eastParcel), When: admit("r1", LineQuantity{2, 2}), Refused: facts(ErrReturnExceeded, map[string]any{"line": 2, "returnable": unit.Quantity(1), "requested": unit.Quantity(2)})},
	"a return of shipped units of a canceled order is admitted":                 {Given: binding(eastParcel, Canceled{}), When: admit("r1", LineQuantity{2, 1}), Then: []Event{ReturnAdmitted{ReturnID: "r1", Lines: []LineQuantity{{2, 1}}}}},
	"a return of an unknown line is refused":                                    {Given: shippedAll(), When: admit("r1", LineQuantity{3, 1}), Refused: facts(ErrLineUnknown, map[string]any{"line": 3})},
	"a return of zero units is refused":                                         {Given: shippedAll(), When: admit("r1", LineQuantity{1, 0}), Refused: ErrLineQuantityInvalid},
	"a return that names a line twice is refused":                               {Given: shippedAll(), When: admit("r1", LineQuantity{1, 1}, LineQuantity{1, 1}), Refused: ErrLinesDisordered},
	"a return in another currency is refused":                                   {Given: shippedAll(), When: AdmitReturn{ReturnID: "r1", Currency: "EUR"}, Refused: ErrCurrencyDiffers},
	"a return can be released":                                                  {Given: shippedAll(twoOfA), When: ReleaseReturn{ReturnID: "r1"}, Then: []Event{givenUp}},
	"releasing a return again changes nothing":                                  {Given: shippedAll(twoOfA, givenUp), When: ReleaseReturn{ReturnID: "r1"}, Nothing: true},
	"released units can come back with another return":                          {Given: shippedAll(twoOfA, givenUp), When: admit("r2", LineQuantity{1, 3}), Then: []Event{ReturnAdmitted{ReturnID: "r2", Lines: []LineQuantity{{1, 3}}}}},
	"a released return is not admitted again":                                   {Given: shippedAll(twoOfA, givenUp), When: admitTwo, Refused: ErrReturnReleased},
	"a return that was not admitted can be released":                            {Given: shippedAll(), When: ReleaseReturn{ReturnID: "r1"}, Then: []Event{givenUp}},
	"a return that was released before is not admitted":                         {Given: shippedAll(givenUp), When: admitTwo, Refused: ErrReturnReleased},
	"a return's refund is recorded":                                             {Given: shippedAll(captured("17.47"), twoOfA), When: payBack, Then: []Event{paidBack}},
	"recording a return's refund again changes nothing":                         {Given: shippedAll(captured("17.47"), twoOfA, paidBack), When: payBack, Nothing: true},
	"a return's refund is refused if nothing was captured":                      {Given: shippedAll(twoOfA), When: payBack, Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("0"), "requested": pounds("5")})},
	"a return's refund in another currency is refused":                          {Given: shippedAll(), When: RecordReturnRefund{TransactionID: "re", Amount: unit.Money{Amount: pounds("5").Amount, Currency: "EUR"}}, Refused: ErrCurrencyDiffers},
	"a return claims a refund that the provider has reported":                   {Given: shippedAll(captured("17.47"), reported(Succeeded)), When: payBack, Then: []Event{claimed}},
	"a return's claim settles a pending refund":                                 {Given: shippedAll(captured("17.47"), reported(Pending)), When: payBack, Then: []Event{TransactionSettled{TransactionID: "re", State: Succeeded, Reference: "re_1"}, claimed}},
	"claiming a refund again changes nothing":                                   {Given: shippedAll(captured("17.47"), reported(Succeeded), claimed), When: payBack, Nothing: true},
	"a refund that another return has claimed is refused":                       {Given: shippedAll(captured("17.47"), reported(Succeeded), claimed), When: RecordReturnRefund{ReturnID: "r2", TransactionID: "re", Amount: pounds("5")}, Refused: ErrTransactionDiffers},
	"a return's refund is refused if the provider has reported it as failed":    {Given: shippedAll(captured("17.47"), reported(Failed)), When: payBack, Refused: ErrTransactionDiffers},
	"a refund that another return has recorded is refused":                      {Given: shippedAll(captured("17.47"), paidBack), When: RecordReturnRefund{ReturnID: "r2", TransactionID: "re", Amount: pounds("5")}, Refused: ErrTransactionDiffers},
	"a return's refund again with another amount is refused":                    {Given: shippedAll(captured("17.47"), paidBack), When: RecordReturnRefund{ReturnID: "r1", TransactionID: "re", Amount: pounds("6")}, Refused: ErrTransactionDiffers},
	"a return's refund is at most what the order has to return":                 {Given: shippedAll(captured("17.47"), creditOf("r1", "5")), When: RecordReturnRefund{ReturnID: "r1", TransactionID: "re", Amount: pounds("5.01")}, Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("5"), "requested": pounds("5.01")})},
	"a return's refund with the id of a capture is refused":                     {Given: shippedAll(captured("5")), When: RecordReturnRefund{ReturnID: "r1", TransactionID: "cap", Amount: pounds("5")}, Refused: ErrTransactionDiffers},
	"the provider's report of a return's refund changes nothing":                {Given: shippedAll(captured("17.47"), paidBack), When: pay(tx("re", Refund, Succeeded, "5", "cap")), Nothing: true},
	"the provider's report of a return's refund as pending changes nothing":     {Given: shippedAll(captured("17.47"), paidBack), When: pay(tx("re", Refund, Pending, "5", "")), Nothing: true},
	"the provider's report of a return's refund with another amount is refused": {Given: shippedAll(captured("17.47"), paidBack), When: pay(tx("re", Refund, Succeeded, "6", "cap")), Refused: ErrTransactionDiffers},
	"the provider's report of a return's refund as a chargeback is refused":     {Given: shippedAll(captured("17.47"), paidBack), When: pay(tx("re", Chargeback, Succeeded, "5", "cap")), Refused: ErrTransactionDiffers},
	"the provider's report of a return's refund as failed is refused":           {Given: shippedAll(captured("17.47"), paidBack), When: pay(tx("re", Refund, Failed, "5", "cap")), Refused: ErrTransactionDiffers},
	"a return's refund above the limit of its sender is refused":                {Given: shippedAll(captured("17.47"), paidBack), When: RecordReturnRefund{ReturnID: "r2", TransactionID: "re2", Amount: pounds("5.01"), Limit: within(RecordTransaction{}).Limit}, Refused: facts(ErrRefundLimit, map[string]any{"limit": pounds("10"), "given_back": pounds("5"), "requested": pounds("5.01")})},
	"a return claims a reported refund of as much as the limit":                 {Given: shippedAll(captured("17.47"), tx("re", Refund, Succeeded, "10", "cap")), When: RecordReturnRefund{ReturnID: "r1", TransactionID: "re", Amount: pounds("10"), Limit: within(RecordTransaction{}).Limit}, Then: []Event{claimed}},
	"a return does not claim a reported refund above the limit":                 {Given: shippedAll(captured("17.47"), tx("re", Refund, Succeeded, "10.01", "cap")), When: RecordReturnRefund{ReturnID: "r1", TransactionID: "re", Amount: pounds("10.01"), Limit: within(RecordTransaction{}).Limit}, Refused: facts(ErrRefundLimit, map[string]any{"limit": pounds("10"), "given_back": pounds("0"), "requested": pounds("10.01")})},
	"a share that is recorded is repeated in spite of the limit":                {Given: shippedAll(captured("17.47"), paidBack, tx("other", Refund, Succeeded, "10", "cap")), When: RecordReturnRefund{ReturnID: "r1", TransactionID: "re", Amount: pounds("5"), Limit: within(RecordTransaction{}).Limit}, Nothing: true},
	"a share that was refused stays refused after another refund has failed":    {Given: shippedAll(captured("17.47"), tx("other", Refund, Pending, "8", "cap"), TransactionSettled{TransactionID: "other", State: Failed}), When: RecordReturnRefund{ReturnID: "r1", TransactionID: "re", Amount: pounds("5"), Limit: within(RecordTransaction{}).Limit}, Refused: facts(ErrRefundLimit, map[string]any{"limit": pounds("10"), "given_back": pounds("8"), "requested": pounds("5")})},
	"a refund that was recorded as failed never counts":                         {Given: shippedAll(captured("17.47"), tx("other", Refund, Failed, "8", "cap")), When: RecordReturnRefund{ReturnID: "r1", TransactionID: "re", Amount: pounds("5"), Provider: "stripe", Reference: "re_1", Limit: within(RecordTransaction{}).Limit}, Then: []Event{paidBack}},
	"a pending refund can succeed after a return's refund":                      {Given: shippedAll(captured("5"), tx("r", Refund, Pending, "5", "cap"), paidBack), When: SettleTransaction{TransactionID: "r", State: Succeeded}, Then: []Event{TransactionSettled{TransactionID: "r", State: Succeeded}}},
	"a pending refund can succeed after a chargeback, because it is a fact":     {Given: shippedAll(captured("5"), tx("r", Refund, Pending, "5", "cap"), paidBack, tx("b", Chargeback, Succeeded, "1", "cap")), When: SettleTransaction{TransactionID: "r", State: Succeeded}, Then: []Event{TransactionSettled{TransactionID: "r", State: Succeeded}}},
	"a return's refund counts against the provider's next refund":               {Given: shippedAll(captured("17.47"), paidBack), When: RecordTransaction{TransactionID: "re2", Type: Refund, State: Succeeded, Amount: pounds("12.48")}, Refused: ErrAmountExceeded},
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
