package order

import (
	"testing"
	"time"

	"daybook/domain/unit"
)

func amountOf(text string) *unit.Money {
	amount := pounds(text)
	return &amount
}

// creditOf is the event that lowers what is owed by a return.
func creditOf(id unit.ReturnID, amount string, lines ...CreditedLine) Credited {
	return Credited{
		CreditID: unit.CreditID("credit-" + string(id)), Cause: CreditForReturn, ReturnID: id, Lines: lines,
		Worth: pounds(amount), Amount: pounds(amount),
	}
}

// disputed is a bank's question about a capture, and deskRefund a refund that somebody has made at
// the provider's own desk.
var (
	disputed = TransactionRecorded{
		TransactionID: "d", Type: Dispute, State: Pending, Amount: pounds("17.47"), Parent: "cap", Provider: "stripe", Reference: "dp_1",
		Payment: "pi_1", Reason: "fraudulent", RespondBy: later,
	}
	deskRefund = TransactionRecorded{
		TransactionID: "re", Type: Refund, State: Succeeded, Amount: pounds("5"), Parent: "cap", Provider: "stripe", Reference: "re_9",
		Unexplained: amountOf("5"),
	}
)

// disputeOf is a bank's question about all of a payment.
func disputeOf(payment unit.TransactionID) Event { return tx("dq", Dispute, Pending, "17.47", payment) }

// part is the part of refund rf1 that goes back to a payment.
func part(payment unit.TransactionID, amount string) RefundPart {
	return RefundPart{PartID: unit.TransactionID(unit.RefundPart.Of("o1", "rf1", string(payment)).ID()), Payment: payment, Amount: pounds(amount)}
}

func refunding(purpose RefundPurpose, amount string, parts ...RefundPart) RefundRequested {
	return RefundRequested{RefundID: "rf1", Purpose: purpose, Cause: RefundAsked, Amount: pounds(amount), Parts: parts}
}

// paidTwice is an order that was paid twice: 17.47 are to be given back. inFlight is the same after
// the refund of one of the payments was requested and submitted.
func paidTwice(events ...Event) []Event {
	return append(given(captured("17.47"), second), events...)
}

func inFlight(events ...Event) []Event {
	return paidTwice(append([]Event{refunding(Settlement, "17.47", part("c2", "17.47")), submitted(1)}, events...)...)
}

func submitted(attempt int) Event {
	id := part("c2", "1").PartID
	return RefundSubmitted{RefundID: "rf1", PartID: id, Attempt: attempt, Key: RefundKey(id, attempt)}
}

func ended(state RefundState) RefundSettled {
	return RefundSettled{RefundID: "rf1", PartID: part("c2", "1").PartID, Attempt: 1, State: state}
}

func ending(state RefundState) SettleRefund {
	return SettleRefund{RefundID: "rf1", PartID: part("c2", "1").PartID, Attempt: 1, State: state}
}

func asking(purpose RefundPurpose, amount string, parts ...RefundShare) RequestRefund {
	return RequestRefund{RefundID: "rf1", Purpose: purpose, Amount: pounds(amount), Parts: parts}
}

func byProvider(cmd RecordTransaction) RecordTransaction {
	cmd.ByProvider = true
	return cmd
}

// tenders are three payments: 5.00 by card, 4.00 by gift card, and 8.47 by another card.
func tenders() []Event {
	gift := tx("gift", Capture, Succeeded, "4", "")
	gift.Tender = GiftCard
	return []Event{tx("old", Capture, Succeeded, "5", ""), tx("new", Capture, Succeeded, "8.47", ""), gift}
}

var second = tx("c2", Capture, Succeeded, "17.47", "")

var goingBack = map[string]row{
	"what is to be returned can be refunded":                     {Given: paidTwice(), When: asking(Settlement, "17.47"), Then: []Event{refunding(Settlement, "17.47", part("c2", "17.47"))}},
	"requesting a refund again changes nothing":                  {Given: paidTwice(refunding(Settlement, "17.47", part("c2", "17.47"))), When: asking(Settlement, "17.47"), Nothing: true},
	"requesting a refund again with another amount is refused":   {Given: paidTwice(refunding(Settlement, "17.47", part("c2", "17.47"))), When: asking(Settlement, "17"), Refused: ErrRefundDiffers},
	"requesting it again with the same parts changes nothing":    {Given: paidTwice(refunding(Settlement, "17.47", part("c2", "17.47"))), When: asking(Settlement, "17.47", RefundShare{"c2", pounds("17.47")}), Nothing: true},
	"a settlement is at most what is to be returned":             {Given: paidTwice(), When: asking(Settlement, "17.48"), Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("17.47"), "requested": pounds("17.48")})},
	"nothing can be settled of an order that owes what was paid": {Given: given(captured("17.47")), When: asking(Settlement, "0.01"), Refused: ErrAmountExceeded},
	"a compensation is at most what the payments have left":      {Given: given(captured("17.47")), When: asking(Compensation, "17.47"), Then: []Event{refunding(Compensation, "17.47", part("cap", "17.47"))}},
	"a compensation of more is refused":                          {Given: given(captured("17.47")), When: asking(Compensation, "17.48"), Refused: ErrAmountExceeded},
	"a compensation of an unpaid order is refused":               {Given: given(), When: asking(Compensation, "1"), Refused: ErrAmountExceeded},
	"a refund of nothing is refused":                             {Given: paidTwice(), When: asking(Settlement, "0"), Refused: ErrAmountInvalid},
	"a refund finer than its currency is refused":                {Given: paidTwice(), When: asking(Settlement, "1.001"), Refused: ErrAmountTooFine},
	"a refund in another currency is refused":                    {Given: paidTwice(), When: RequestRefund{RefundID: "rf1", Purpose: Settlement, Amount: euros.Amount}, Refused: ErrCurrencyDiffers},
	"a refund without a purpose is refused":                      {Given: paidTwice(), When: asking("", "1"), Refused: ErrTransactionInvalid},
	"a refund above the limit of its sender is refused":          {Given: paidTwice(), When: RequestRefund{RefundID: "rf1", Purpose: Settlement, Amount: pounds("10.01"), Limit: amountOf("10")}, Refused: facts(ErrRefundLimit, map[string]any{"limit": pounds("10"), "given_back": pounds("0"), "requested": pounds("10.01")})},
	"a refund that followed a cancel needs the limit of whoever settles it": {Given: given(captured("17.47"), func() Event {
		e := refunding(Settlement, "17.47", part("cap", "17.47"))
		e.Cause = RefundOfCanceled
		return e
	}()), When: SettleTransaction{TransactionID: part("cap", "17.47").PartID, State: Succeeded, Limit: amountOf("10")}, Refused: ErrRefundLimit},
	"the sender can choose the parts":                         {Given: paidTwice(), When: asking(Settlement, "5", RefundShare{"cap", pounds("2")}, RefundShare{"c2", pounds("3")}), Then: []Event{refunding(Settlement, "5", part("cap", "2"), part("c2", "3"))}},
	"parts that do not add up are refused":                    {Given: paidTwice(), When: asking(Settlement, "5", RefundShare{"cap", pounds("2")}), Refused: ErrRefundParts},
	"parts that name a payment twice are refused":             {Given: paidTwice(), When: asking(Settlement, "5", RefundShare{"cap", pounds("2")}, RefundShare{"cap", pounds("3")}), Refused: ErrRefundParts},
	"a part of an unknown payment is refused":                 {Given: paidTwice(), When: asking(Settlement, "5", RefundShare{"x", pounds("5")}), Refused: ErrTransactionUnknown},
	"a part of more than its payment is refused":              {Given: paidTwice(tx("r", Refund, Succeeded, "17", "cap"), tx("c3", Capture, Succeeded, "17.47", "")), When: asking(Settlement, "1", RefundShare{"cap", pounds("1")}), Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("0.47"), "requested": pounds("1")})},
	"a part of a refund is refused":                           {Given: paidTwice(tx("r", Refund, Succeeded, "17", "cap")), When: asking(Settlement, "0.47", RefundShare{"r", pounds("0.47")}), Refused: ErrParentMismatch},
	"the newest card is refunded first, and a gift card last": {Given: given(append(tenders(), creditOf("r1", "15"))...), When: asking(Settlement, "15"), Then: []Event{refunding(Settlement, "15", part("new", "8.47"), part("old", "5"), part("gift", "1.53"))}},
	"a payment that takes no refunds is left out":             {Given: inFlight(final()), When: RequestRefund{RefundID: "rf2", Purpose: Settlement, Amount: pounds("17.47")}, Then: []Event{RefundRequested{RefundID: "rf2", Purpose: Settlement, Cause: RefundAsked, Amount: pounds("17.47"), Parts: []RefundPart{{PartID: unit.TransactionID(unit.RefundPart.Of("o1", "rf2", "cap").ID()), Payment: "cap", Amount: pounds("17.47")}}}}},
	"what fits no payment is unplaced": {Given: given(captured("17.47"), compensated("10"), creditOf("r1", "12")), When: asking(Settlement, "12"), Then: []Event{func() Event {
		e := refunding(Settlement, "12", part("cap", "7.47"))
		e.Unplaced = amountOf("4.53")
		return e
	}()}},
	"a refund that fits no payment at all is refused":                     {Given: given(captured("17.47"), compensated("17.47"), creditOf("r1", "5")), When: asking(Settlement, "5"), Refused: ErrRefundUnplaced},
	"it is paid out in another way":                                       {Given: given(captured("17.47"), compensated("17.47"), creditOf("r1", "5")), When: pay(tx("cash", Refund, Succeeded, "5", "")), Then: []Event{tx("cash", Refund, Succeeded, "5", "")}},
	"a second refund of the same money is refused while one is in flight": {Given: inFlight(), When: RequestRefund{RefundID: "rf2", Purpose: Settlement, Amount: pounds("0.01")}, Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("0"), "requested": pounds("0.01")})},
	"also while its outcome is unknown":                                   {Given: inFlight(ended(RefundIsUnknown)), When: RequestRefund{RefundID: "rf2", Purpose: Settlement, Amount: pounds("0.01")}, Refused: ErrAmountExceeded},
	"a failure frees its money":                                           {Given: inFlight(ended(RefundHasFailed)), When: RequestRefund{RefundID: "rf2", Purpose: Settlement, Amount: pounds("17.47")}, Then: []Event{RefundRequested{RefundID: "rf2", Purpose: Settlement, Cause: RefundAsked, Amount: pounds("17.47"), Parts: []RefundPart{{PartID: unit.TransactionID(unit.RefundPart.Of("o1", "rf2", "c2").ID()), Payment: "c2", Amount: pounds("17.47")}}}}},

	"after a dispute that was won, the payment can be refunded": {Given: given(captured("17.47"), tx("cb", Chargeback, Succeeded, "17.47", "cap"), tx("rv", Reversal, Succeeded, "17.47", "cb"), creditOf("r1", "5")), When: asking(Settlement, "5"), Then: []Event{refunding(Settlement, "5", part("cap", "5"))}},
	"a part is submitted":                                        {Given: paidTwice(refunding(Settlement, "17.47", part("c2", "17.47"))), When: SubmitRefund{RefundID: "rf1", PartID: part("c2", "1").PartID, Attempt: 1}, Then: []Event{submitted(1)}},
	"submitting it again changes nothing":                        {Given: inFlight(), When: SubmitRefund{RefundID: "rf1", PartID: part("c2", "1").PartID, Attempt: 1}, Nothing: true},
	"a new attempt needs a known failure":                        {Given: inFlight(ended(RefundIsUnknown)), When: SubmitRefund{RefundID: "rf1", PartID: part("c2", "1").PartID, Attempt: 2}, Refused: facts(ErrRefundUnderWay, map[string]any{"attempt": 1, "state": RefundIsUnknown})},
	"after a failure it can be submitted again":                  {Given: inFlight(ended(RefundHasFailed)), When: SubmitRefund{RefundID: "rf1", PartID: part("c2", "1").PartID, Attempt: 2}, Then: []Event{submitted(2)}},
	"but not if its money went back in another way":              {Given: inFlight(ended(RefundHasFailed), tx("r", Refund, Succeeded, "17.47", "cap")), When: SubmitRefund{RefundID: "rf1", PartID: part("c2", "1").PartID, Attempt: 2}, Refused: ErrAmountExceeded},
	"a part is not sent while a bank asks about its payment":     {Given: paidTwice(refunding(Settlement, "17.47", part("c2", "17.47")), disputeOf("c2")), When: SubmitRefund{RefundID: "rf1", PartID: part("c2", "1").PartID, Attempt: 1}, Refused: ErrAmountExceeded},
	"nor after the bank has taken the money":                     {Given: paidTwice(refunding(Settlement, "17.47", part("c2", "17.47")), tx("cb", Chargeback, Succeeded, "17.47", "c2")), When: SubmitRefund{RefundID: "rf1", PartID: part("c2", "1").PartID, Attempt: 1}, Refused: ErrAmountExceeded},
	"a dispute of another payment does not keep a part":          {Given: paidTwice(refunding(Settlement, "17.47", part("c2", "17.47")), disputeOf("cap")), When: SubmitRefund{RefundID: "rf1", PartID: part("c2", "1").PartID, Attempt: 1}, Then: []Event{submitted(1)}},
	"a part that has succeeded is not submitted":                 {Given: inFlight(ended(RefundSucceeded)), When: SubmitRefund{RefundID: "rf1", PartID: part("c2", "1").PartID, Attempt: 2}, Refused: ErrTransactionSettled},
	"an unknown part is not submitted":                           {Given: inFlight(), When: SubmitRefund{RefundID: "rf1", PartID: "x", Attempt: 1}, Refused: ErrRefundUnknown},
	"a refund succeeds":                                          {Given: inFlight(), When: ending(RefundSucceeded), Then: []Event{ended(RefundSucceeded)}},
	"settling it again changes nothing":                          {Given: inFlight(ended(RefundSucceeded)), When: ending(RefundSucceeded), Nothing: true},
	"settling it again in another state is refused":              {Given: inFlight(ended(RefundSucceeded)), When: ending(RefundHasFailed), Refused: ErrTransactionSettled},
	"an unknown outcome becomes known":                           {Given: inFlight(ended(RefundIsUnknown)), When: ending(RefundHasFailed), Then: []Event{ended(RefundHasFailed)}},
	"an attempt that is not under way cannot be settled":         {Given: inFlight(), When: SettleRefund{RefundID: "rf1", PartID: part("c2", "1").PartID, Attempt: 2, State: RefundSucceeded}, Refused: ErrRefundUnderWay},
	"an unknown refund cannot be settled":                        {Given: inFlight(), When: SettleRefund{RefundID: "x", State: RefundSucceeded}, Refused: ErrRefundUnknown},
	"a refund cannot be settled as requested":                    {Given: inFlight(), When: ending(RefundIsRequested), Refused: ErrTransactionInvalid},
	"somebody with a limit cannot settle a refund above it":      {Given: inFlight(), When: func() Command { c := ending(RefundSucceeded); c.Limit = amountOf("10"); return c }(), Refused: ErrRefundLimit},
	"a part can be settled as a transaction":                     {Given: inFlight(), When: SettleTransaction{TransactionID: part("c2", "1").PartID, State: Succeeded}, Then: []Event{TransactionSettled{TransactionID: part("c2", "1").PartID, State: Succeeded}}},
	"the provider's report of a part takes its place":            {Given: inFlight(), When: pay(tx("re_1", Refund, Succeeded, "17.47", "c2")), Then: []Event{adopted(Succeeded)}},
	"after it the part has ended":                                {Given: inFlight(adopted(Succeeded)), When: ending(RefundSucceeded), Nothing: true},
	"a report that does not name the payment is the part's, too": {Given: inFlight(), When: pay(tx("re_1", Refund, Succeeded, "17.47", "")), Then: []Event{adopted(Succeeded)}},
	"a report that names the part, too": {Given: inFlight(), When: func() Command {
		c := pay(tx("re_1", Refund, Failed, "17.47", "c2"))
		c.Part = part("c2", "1").PartID
		return c
	}(), Then: []Event{adopted(Failed)}},
	"a report of another amount is another refund":                   {Given: inFlight(), When: byProvider(pay(tx("re_1", Refund, Succeeded, "1", "c2"))), Then: []Event{unexplained(tx("re_1", Refund, Succeeded, "1", "c2"), "1")}},
	"a refund that was reported before it was settled is one refund": {Given: inFlight(unrelated(), deskOf("re_7")), When: func() Command { c := ending(RefundSucceeded); c.Reference = "re_7"; return c }(), Then: []Event{func() Event { e := ended(RefundSucceeded); e.Reference, e.SameAs = "re_7", "desk"; return e }()}},

	"a refund beyond what is to be returned has to be explained": {Given: given(captured("17.47")), When: byProvider(pay(tx("re", Refund, Succeeded, "5", "cap"))), Then: []Event{unexplained(tx("re", Refund, Succeeded, "5", "cap"), "5")}},
	"it was a compensation":                                          {Given: given(captured("17.47"), deskRefund), When: ExplainRefund{TransactionID: "re", Purpose: Compensation, Reason: "late"}, Then: []Event{RefundExplained{TransactionID: "re", Purpose: Compensation, Reason: "late"}}},
	"saying it again changes nothing":                                {Given: given(captured("17.47"), deskRefund, RefundExplained{TransactionID: "re", Purpose: Compensation}), When: ExplainRefund{TransactionID: "re", Purpose: Compensation, Reason: "late"}, Nothing: true},
	"saying something else is refused":                               {Given: given(captured("17.47"), deskRefund, RefundExplained{TransactionID: "re", Purpose: Compensation}), When: ExplainRefund{TransactionID: "re", Purpose: Settlement}, Refused: ErrNothingToExplain},
	"a capture has nothing to explain":                               {Given: given(captured("17.47")), When: ExplainRefund{TransactionID: "cap", Purpose: Compensation}, Refused: ErrNothingToExplain},
	"an unknown refund has nothing to explain":                       {Given: given(), When: ExplainRefund{TransactionID: "x", Purpose: Compensation}, Refused: ErrTransactionUnknown},
	"an explanation without a purpose is refused":                    {Given: given(captured("17.47"), deskRefund), When: ExplainRefund{TransactionID: "re"}, Refused: ErrTransactionInvalid},
	"a compensation that somebody records says so":                   {Given: given(captured("17.47")), When: func() Command { c := pay(tx("k", Refund, Succeeded, "5", "cap")); c.Purpose = Compensation; return c }(), Then: []Event{compensated("5")}},
	"a capture has no purpose":                                       {Given: given(), When: func() Command { c := pay(tx("k", Capture, Succeeded, "5", "")); c.Purpose = Compensation; return c }(), Refused: ErrTransactionInvalid},
	"a provider's refund beyond all captures is recorded":            {Given: given(captured("5"), tx("b", Chargeback, Succeeded, "5", "cap")), When: byProvider(pay(tx("re", Refund, Succeeded, "5", "cap"))), Then: []Event{unexplained(tx("re", Refund, Succeeded, "5", "cap"), "5")}},
	"a provider's amount that is too fine is kept":                   {Given: given(), When: byProvider(pay(tx("c", Capture, Succeeded, "7.499", ""))), Then: []Event{tooFine}},
	"keeping it again changes nothing":                               {Given: given(tooFine), When: byProvider(pay(tx("c", Capture, Succeeded, "7.499", ""))), Nothing: true},
	"a provider's amount in another currency is kept":                {Given: given(), When: byProvider(euros), Then: []Event{TransactionUnreadable{TransactionID: "e", Type: Capture, State: Succeeded, Amount: euros.Amount, Code: "currency-differs"}}},
	"a provider's amount of nothing is refused":                      {Given: given(), When: byProvider(pay(tx("c", Capture, Succeeded, "0", ""))), Refused: ErrAmountInvalid},
	"the provider's number says that a report is the same":           {Given: given(numbered("c", "ch_1")), When: byProvider(pay(numbered("other", "ch_1"))), Nothing: true},
	"a bank may ask about a payment":                                 {Given: given(captured("17.47")), When: disputing(), Then: []Event{disputed}},
	"a payment about which a bank asks is not refunded":              {Given: paidTwice(disputed), When: asking(Settlement, "17.47", RefundShare{"cap", pounds("17.47")}), Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("0"), "requested": pounds("17.47")})},
	"the plan leaves it out":                                         {Given: given(second, captured("17.47"), disputed), When: asking(Settlement, "17.47"), Then: []Event{refunding(Settlement, "17.47", part("c2", "17.47"))}},
	"a dispute that is won frees the payment":                        {Given: given(second, captured("17.47"), disputed, TransactionSettled{TransactionID: "d", State: Failed}), When: asking(Settlement, "17.47"), Then: []Event{refunding(Settlement, "17.47", part("cap", "17.47"))}},
	"a chargeback does not hold its money twice":                     {Given: paidTwice(disputed, tx("b", Chargeback, Succeeded, "17.47", "cap"), tx("c3", Capture, Succeeded, "17.47", "")), When: asking(Settlement, "17.47", RefundShare{"c2", pounds("17.47")}), Then: []Event{refunding(Settlement, "17.47", part("c2", "17.47"))}},
	"a chargeback that was reversed may come again":                  {Given: given(captured("17.47"), tx("b", Chargeback, Succeeded, "17.47", "cap"), tx("w", Reversal, Succeeded, "17.47", "b")), When: pay(tx("b2", Chargeback, Succeeded, "17.47", "cap")), Then: []Event{tx("b2", Chargeback, Succeeded, "17.47", "cap")}},
	"a reversal names its chargeback":                                {Given: given(captured("17.47"), tx("b", Chargeback, Succeeded, "17.47", "cap")), When: pay(tx("w", Reversal, Succeeded, "17.47", "cap")), Refused: ErrParentMismatch},
	"no more is reversed than was charged back":                      {Given: given(captured("17.47"), tx("b", Chargeback, Succeeded, "10", "cap")), When: pay(tx("w", Reversal, Succeeded, "10.01", "b")), Refused: ErrAmountExceeded},
	"an order whose money went back does not ship":                   {Given: binding(captured("17.47"), tx("r", Refund, Succeeded, "17.47", "cap")), When: Ship{ShipmentID: "p1", Location: "main"}, Refused: ErrPaymentDue},
	"an order whose money is compensated is completed":               {Given: shippedAll(captured("17.47"), compensated("17.47"), Delivered{ShipmentID: "p1"}, Delivered{ShipmentID: "p2"}), When: Complete{}, Then: []Event{Completed{}}},
	"an order whose money went back is not completed":                {Given: shippedAll(captured("17.47"), tx("r", Refund, Succeeded, "17.47", "cap"), Delivered{ShipmentID: "p1"}, Delivered{ShipmentID: "p2"}), When: Complete{}, Refused: ErrNotFinished},
	"a cancel of a paid order requests its refund":                   {Given: binding(captured("17.47")), When: Cancel{Reason: "x"}, Then: []Event{Canceled{Reason: "x"}, refundOfEnd(RefundOfCanceled, "", "cap", "17.47")}},
	"so does a cancel of all its units":                              {Given: given(captured("17.47")), When: CancelLines{Lines: []LineQuantity{{1, 3}, {2, 4}, {4, 1}, {5, 1}}, Reason: "x"}, Then: []Event{Canceled{Reason: "x"}, refundOfEnd(RefundOfCanceled, "", "cap", "17.47")}},
	"a cancel requests no refund of what is on its way back already": {Given: binding(captured("17.47"), tx("r", Refund, Pending, "17.47", "cap")), When: Cancel{Reason: "x"}, Then: []Event{Canceled{Reason: "x"}}},
	"nor of an order that is not paid":                               {Given: binding(), When: Cancel{Reason: "x"}, Then: []Event{Canceled{Reason: "x"}}},
}

var crediting = map[string]row{
	"units that came back lower what is owed":              {Given: shippedAll(captured("17.47"), twoOfA), When: creditTwo(), Then: []Event{creditOf("r1", "8.95", CreditedLine{1, 2, pounds("5")}, CreditedLine{5, 1, pounds("3.95")})}},
	"crediting again changes nothing":                      {Given: shippedAll(captured("17.47"), creditOf("r1", "8.95")), When: creditTwo(), Nothing: true},
	"another return cannot have the same credit":           {Given: shippedAll(creditOf("r1", "8.95")), When: Credit{CreditID: "credit-r1", Cause: CreditForReturn, ReturnID: "r2", Currency: "GBP"}, Refused: ErrCreditDiffers},
	"a unit is worth at most its price":                    {Given: shippedAll(), When: creditLine(CreditedLine{1, 1, pounds("99")}), Then: []Event{creditOf("r1", "2.50", CreditedLine{1, 1, pounds("2.50")})}},
	"a return may give less":                               {Given: shippedAll(), When: creditLine(CreditedLine{1, 1, pounds("2")}), Then: []Event{creditOf("r1", "2", CreditedLine{1, 1, pounds("2")})}},
	"no more is credited than is owed":                     {Given: shippedAll(creditOf("r0", "17")), When: creditLine(CreditedLine{1, 1, pounds("2.50")}), Then: []Event{Credited{CreditID: "credit-r1", Cause: CreditForReturn, ReturnID: "r1", Worth: pounds("2.50"), Amount: pounds("0.47"), Lines: []CreditedLine{{1, 1, pounds("2.50")}}}}},
	"the last unit takes what is left, to the cent":        {Given: shippedAll(creditOf("r0", "13.45")), When: creditLine(CreditedLine{2, 1, pounds("1.005")}), Then: []Event{Credited{CreditID: "credit-r1", Cause: CreditForReturn, ReturnID: "r1", Worth: pounds("1.005"), Amount: pounds("1"), Lines: []CreditedLine{{2, 1, pounds("1.005")}}}}},
	"units of no line have the worth that the return says": {Given: shippedAll(), When: Credit{CreditID: "credit-r1", Cause: CreditForReturn, ReturnID: "r1", Currency: "GBP", Worth: pounds("3")}, Then: []Event{creditOf("r1", "3")}},
	"a credit of an unknown line is refused":               {Given: shippedAll(), When: creditLine(CreditedLine{3, 1, pounds("1")}), Refused: facts(ErrLineUnknown, map[string]any{"line": 3})},
	"a credit in another currency is refused":              {Given: shippedAll(), When: Credit{CreditID: "c", Cause: CreditForReturn, ReturnID: "r1", Currency: "EUR"}, Refused: ErrCurrencyDiffers},
	"a return that was released is not credited":           {Given: shippedAll(givenUp), When: creditLine(CreditedLine{1, 1, pounds("1")}), Refused: ErrReturnReleased},
	"only a charge that the order has is credited":         {Given: shippedAll(), When: Credit{CreditID: "c", Cause: CreditForCharge, Charge: 1}, Refused: facts(ErrChargeUnknown, map[string]any{"charge": 1})},
	"a price reduction is a credit":                        {Given: shippedAll(captured("17.47")), When: reducing("5"), Then: []Event{Credited{CreditID: "cut", Cause: CreditForReduction, Worth: pounds("5"), Amount: pounds("5"), Reason: "scratched"}}},
	"a price is not reduced below zero":                    {Given: shippedAll(captured("17.47")), When: reducing("17.48"), Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("17.47"), "requested": pounds("17.48")})},
	"a price is not reduced by nothing":                    {Given: shippedAll(), When: reducing("0"), Refused: ErrAmountInvalid},
	"nor by less than a penny":                             {Given: shippedAll(), When: reducing("0.001"), Refused: ErrAmountTooFine},

	"a return gives back at most its order's balance":       {Given: shippedAll(captured("3"), twoOfA, creditOf("r1", "17.47")), When: payBack, Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("3"), "requested": pounds("5")})},
	"what was refunded on the order is not refunded again":  {Given: shippedAll(captured("17.47"), twoOfA, creditOf("r1", "5"), tx("x", Refund, Succeeded, "5", "cap")), When: payBack, Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("0"), "requested": pounds("5")})},
	"a refusal of a return's refund is recorded":            {Given: shippedAll(captured("3"), creditOf("r1", "17.47")), When: RefuseReturnRefund{ReturnID: "r1", TransactionID: "re", Amount: pounds("5")}, Then: []Event{refusedRefund}},
	"recording it again changes nothing":                    {Given: shippedAll(refusedRefund), When: RefuseReturnRefund{ReturnID: "r1", TransactionID: "re", Amount: pounds("5")}, Nothing: true},
	"it stands when more money comes":                       {Given: shippedAll(captured("17.47"), creditOf("r1", "17.47"), refusedRefund), When: payBack, Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("17.47"), "requested": pounds("5")})},
	"a refund that was recorded cannot be refused any more": {Given: shippedAll(captured("17.47"), creditOf("r1", "5"), paidBack), When: RefuseReturnRefund{ReturnID: "r1", TransactionID: "re", Amount: pounds("5")}, Nothing: true},

	"a small difference is written off":                    {Given: given(captured("17.46")), When: WriteOff{Reason: "x", Tolerance: amountOf("0.01")}, Then: []Event{DifferenceWrittenOff{Amount: pounds("-0.01"), Tolerance: amountOf("0.01"), Reason: "x"}}},
	"so is one that the shop keeps":                        {Given: given(captured("17.48")), When: WriteOff{Reason: "x"}, Then: []Event{DifferenceWrittenOff{Amount: pounds("0.01"), Reason: "x"}}},
	"a difference above the sender's tolerance is refused": {Given: given(captured("17.45")), When: WriteOff{Reason: "x", Tolerance: amountOf("0.01")}, Refused: facts(ErrWriteOffLimit, map[string]any{"limit": pounds("0.01"), "requested": pounds("0.02")})},
	"no difference is nothing to write off":                {Given: given(captured("17.47")), When: WriteOff{Reason: "x"}, Nothing: true},
	"an order that was never paid is not written off":      {Given: given(), When: WriteOff{Reason: "x"}, Refused: ErrNothingPaid},
	"nor while money is on its way back":                   {Given: inFlight(), When: WriteOff{Reason: "x"}, Refused: ErrRefundUnderWay},

	"a deadline can be moved":                   {Given: given(), When: extending(noon, 10), Then: []Event{DeadlineExtended{ConfirmBy: later.Add(10 * time.Minute), Reason: "x"}}},
	"moving it again changes nothing":           {Given: given(DeadlineExtended{ConfirmBy: later.Add(10 * time.Minute)}), When: extending(noon, 10), Nothing: true},
	"not after it has passed":                   {Given: given(), When: extending(later, 10), Refused: ErrExpired},
	"not to an earlier time":                    {Given: given(), When: extending(noon, -1), Refused: facts(ErrDeadlineEarlier, map[string]any{"confirm_by": later})},
	"not beyond what the shop allows":           {Given: given(), When: extending(noon, 61), Refused: facts(ErrDeadlineTooLate, map[string]any{"latest": later.Add(time.Hour)})},
	"a confirmed order has no deadline":         {Given: given(Confirmed{}), When: extending(noon, 10), Refused: ErrConfirmed},
	"nor has a canceled one":                    {Given: given(Canceled{}), When: extending(noon, 10), Refused: ErrCanceled},
	"an order expires at its new deadline only": {Given: given(DeadlineExtended{ConfirmBy: later.Add(10 * time.Minute)}), When: Expire{Now: later}, Nothing: true},
}

var (
	tooFine       = TransactionUnreadable{TransactionID: "c", Type: Capture, State: Succeeded, Amount: pounds("7.499"), Code: "amount-too-fine"}
	refusedRefund = ReturnRefundRefused{ReturnID: "r1", TransactionID: "re", Amount: pounds("5"), Limit: pounds("3")}
)

func final() Event {
	e := ended(RefundHasFailed)
	e.Final = true
	return e
}

// adopted is a part that somebody has reported as a transaction of its own.
func adopted(state TransactionState) Event {
	e := tx("re_1", Refund, state, "17.47", "c2")
	e.Part = part("c2", "1").PartID
	return e
}

// unrelated is a transaction that has nothing to do with the refund.
func unrelated() Event { return tx("b", Chargeback, Pending, "1", "cap") }

// deskOf is a refund that the provider has reported, which was not taken for the part.
func deskOf(reference string) Event {
	e := tx("desk", Refund, Succeeded, "17.47", "cap")
	e.Reference = reference
	return e
}

func numbered(id unit.TransactionID, reference string) TransactionRecorded {
	e := tx(id, Capture, Succeeded, "5", "")
	e.Provider, e.Reference = "stripe", reference
	return e
}

func disputing() RecordTransaction {
	cmd := pay(disputed)
	cmd.Payment, cmd.Reason, cmd.RespondBy = disputed.Payment, disputed.Reason, disputed.RespondBy
	return cmd
}

func creditTwo() Credit {
	return creditLine(CreditedLine{1, 2, pounds("5")}, CreditedLine{5, 1, pounds("3.95")})
}

func creditLine(lines ...CreditedLine) Credit {
	return Credit{CreditID: "credit-r1", Cause: CreditForReturn, ReturnID: "r1", Currency: "GBP", Lines: lines}
}

func reducing(amount string) Credit {
	return Credit{CreditID: "cut", Cause: CreditForReduction, Currency: "GBP", Worth: pounds(amount), Reason: "scratched"}
}

func extending(now time.Time, minutes int) Extend {
	return Extend{Until: later.Add(time.Duration(minutes) * time.Minute), Reason: "x", Now: now, Latest: later.Add(time.Hour)}
}

func TestRefunds(t *testing.T)   { orders.Run(t, goingBack) }
func TestCrediting(t *testing.T) { orders.Run(t, crediting) }
