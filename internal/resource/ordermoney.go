package resource

import (
	"daybook/domain/order"
	"daybook/domain/unit"
)

// OrderRefund is money of an order that is to go back, or has gone back.
type OrderRefund struct {
	RefundID string            `json:"refund_id"`
	Purpose  string            `json:"purpose" enum:"settlement,compensation" doc:"What the refund is for: settlement gives back what the order does not owe, and compensation gives money on top."`
	Cause    string            `json:"cause" enum:"asked,canceled,expired,parcel,late_payment" doc:"What has led to the refund."`
	Amount   Money             `json:"amount"`
	Unplaced *Money            `json:"unplaced,omitempty" doc:"What fits no payment, and has to be paid out in another way."`
	Parts    []OrderRefundPart `json:"parts" doc:"To which payments it goes."`
}

// OrderRefundPart is the part of a refund that goes back to one payment.
type OrderRefundPart struct {
	PartID        string `json:"part_id"`
	Payment       string `json:"payment" example:"pay-1" doc:"The transaction id of the capture that the part goes back to."`
	TransactionID string `json:"transaction_id" doc:"The refund transaction that the part is: the id of the part, or the id under which somebody has reported it."`
	Amount        Money  `json:"amount"`
	State         string `json:"state" enum:"requested,submitted,unknown,failed,succeeded" doc:"How the part stands. unknown: the provider has not said how it ended."`
	Attempt       int    `json:"attempt" example:"1" doc:"How often it was sent to its provider. 0: it was not sent yet."`
	Code          string `json:"code,omitempty" class:"chosen" example:"expired_card" doc:"Why it failed, in the provider's words."`
}

// OrderCredit is something by which an order owes less.
type OrderCredit struct {
	CreditID   string `json:"credit_id"`
	Cause      string `json:"cause" enum:"return,reduction,charge,parcel" doc:"Why the order owes less. parcel: units of a parcel did not arrive."`
	ReturnID   string `json:"return_id,omitempty"`
	ShipmentID string `json:"shipment_id,omitempty"`
	Amount     Money  `json:"amount" doc:"By how much the order owes less."`
}

func orderRefund(r order.RefundPlan) OrderRefund {
	out := OrderRefund{
		RefundID: string(r.ID), Purpose: string(r.Purpose), Cause: string(r.Cause), Amount: MoneyOf(r.Amount),
		Parts: listed(r.Parts, func(p order.Part) OrderRefundPart {
			return OrderRefundPart{
				PartID: string(p.ID), Payment: string(p.Payment), TransactionID: string(p.Transaction), Amount: MoneyOf(p.Amount),
				State: string(p.State), Attempt: p.Attempt, Code: p.Code,
			}
		}),
	}
	if r.Unplaced.Sign() > 0 {
		out.Unplaced = new(MoneyOf(r.Unplaced))
	}
	return out
}

// orderCredits leaves out credits that an older program did not record: the refund of the return
// stands for such a credit.
func orderCredits(s order.State) (credits []OrderCredit) {
	for _, c := range s.Credits {
		if !c.Implied {
			credits = append(credits, OrderCredit{CreditID: string(c.ID), Cause: string(c.Cause), ReturnID: string(c.ReturnID), ShipmentID: string(c.ShipmentID), Amount: MoneyOf(c.Amount)})
		}
	}
	return credits
}

// OrderMoney explains the amounts of an order by the events that they come from.
type OrderMoney struct {
	OrderID      string            `json:"order_id"`
	Currency     string            `json:"currency"`
	PaymentState string            `json:"payment_state" enum:"unpaid,authorized,partially_authorized,partially_paid,paid,partially_refunded,refunded,overpaid,due,voided"`
	Owed         Money             `json:"owed" doc:"placed less canceled, credited and written_off, and kept_as_gain on top; never below zero."`
	Kept         Money             `json:"kept" doc:"captured less refunded and charged_back, and reversed on top: what the shop has."`
	Balance      Money             `json:"balance" doc:"kept, compensated and lost, less owed: what the shop has more than the order owes; below zero if it has less."`
	ToReturn     Money             `json:"to_return" doc:"What has to be given back, and for which no refund is under way."`
	ToCollect    Money             `json:"to_collect" doc:"What is still to be paid."`
	Terms        []OrderTerm       `json:"terms" doc:"The sums that these amounts are made of. Each is the sum of its changes in the entries."`
	Entries      []OrderMoneyEntry `json:"entries" doc:"The events that have changed an amount, the oldest first."`
	Revision     int64             `json:"revision"`
}

// OrderTerm is one of the sums of an order's money.
type OrderTerm struct {
	Term   string `json:"term" enum:"placed,canceled,added,credited,written_off,kept_as_gain,lost,captured,refunded,charged_back,reversed,compensated,in_flight" doc:"Which sum it is. placed: what the order cost when it was placed. canceled: what was taken off before it shipped. added: surcharges, and discounts that were taken back. credited: what came back, and price reductions. written_off: money that the shop does not ask for any more. kept_as_gain: money that it owes and keeps. lost: money that went out although it never came in, and was written off. compensated: refunds that lower nothing that is owed; they are part of refunded. in_flight: refunds that are under way."`
	Amount Money  `json:"amount"`
}

// OrderMoneyEntry is an event that has changed an amount of an order.
type OrderMoneyEntry struct {
	TimelineEntry
	Changes []OrderTerm       `json:"changes" doc:"By how much it has changed each term."`
	Items   []OrderItemChange `json:"items,omitempty" doc:"By how much it has changed what is left of each line and charge. The quote of the order says how these amounts came about when it was placed. Orders of older versions and of imports do not have it."`
}

// OrderItemChange is by how much an event has changed what is left of a line or a charge.
type OrderItemChange struct {
	Line   int   `json:"line,omitzero"`
	Charge int   `json:"charge,omitzero" example:"1" doc:"The number of the charge, instead of a line."`
	Amount Money `json:"amount" doc:"With tax."`
	Tax    Money `json:"tax" doc:"The part of the amount that is tax."`
}

// OrderMoneyOf explains the money of an order. sums are those of the changes of all
// entries.
func OrderMoneyOf(s order.State, revision int64, sums map[order.Term]unit.Money, entries []OrderMoneyEntry) OrderMoney {
	out := OrderMoney{
		OrderID: string(s.OrderID), Currency: string(s.Currency()), PaymentState: string(s.PaymentState()), Revision: revision,
		Owed: MoneyOf(s.Owed()), Kept: MoneyOf(s.Kept()), Balance: MoneyOf(s.Balance()), ToReturn: MoneyOf(s.ToReturn()), ToCollect: MoneyOf(s.ToCollect()),
		Entries: append([]OrderMoneyEntry{}, entries...),
	}
	for _, term := range order.Terms() {
		sum := unit.Zero(s.Currency())
		sum.Amount = sums[term].Amount
		out.Terms = append(out.Terms, OrderTerm{Term: string(term), Amount: MoneyOf(sum)})
	}
	return out
}

// OrderTermsOf are changes of terms.
func OrderTermsOf(changes []order.Change) []OrderTerm {
	return listed(changes, func(c order.Change) OrderTerm { return OrderTerm{Term: string(c.Term), Amount: MoneyOf(c.Amount)} })
}

// OrderItemChangesOf are changes of lines and charges.
func OrderItemChangesOf(items []order.ItemChange) []OrderItemChange {
	return each(items, func(c order.ItemChange) OrderItemChange {
		return OrderItemChange{Line: c.Line, Charge: c.Charge, Amount: MoneyOf(c.Amount), Tax: MoneyOf(c.Tax)}
	})
}
