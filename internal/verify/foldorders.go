package verify

import (
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

func (b *Book) foldOrder(e *event, id unit.OrderID, value order.Event) {
	if claimed, ok := value.(order.Claimed); ok {
		b.claimed[id] = claimed.CartID // the order is not placed yet
		return
	}
	o := b.Orders[id]
	if _, places := value.(order.Placed); !b.checkBeginning(e, places, o != nil) {
		return
	}
	if o == nil {
		o = &Order{times: map[string]time.Time{}}
		b.Orders[id] = o
	}
	if placed, ok := value.(order.Placed); ok {
		lines, err := json.Marshal(placed.Lines)
		if err != nil {
			b.report(e, "its lines cannot be written: "+err.Error())
		}
		o.channel, o.placedAt, o.placedTotal = b.intern(e.meta.Channel), e.at, placed.Total.Amount
		o.pot = newPot(placed)
		o.lines = maphash.Bytes(b.seed, lines)
	}
	if retried, ok := value.(order.AllocationRetried); ok {
		b.noteLostAllocation(id, retried.Lost)
	}
	// This comes before the order's state changes, because the ledger needs the state before the
	// event.
	b.Sales.bookOrder(e, o, value)
	before, lines := o.moneyBefore(value), o.pot.goods.linesBefore(value)
	o.State, o.last = order.Evolve(o.State, value), e.lastEvent()
	o.parcels.fold(id, value)
	b.foldMoney(e, o, value, before)
	b.Sales.bookPots(e, o, value, lines)
	if key := timeOf(e.Type, value); key != "" {
		o.times[key] = e.at
	}
}

// noteLostAllocation notes that an order has recorded which units were taken from it by force.
func (b *Book) noteLostAllocation(id unit.OrderID, lost []order.Lost) {
	for _, l := range lost {
		if level := b.Stock[stock.Key{SKU: l.SKU, Location: l.Location}]; level != nil {
			level.takenByForce[id] = max(0, level.takenByForce[id]-l.Quantity)
		}
	}
}

func (b *Book) foldReturn(e *event, id unit.ReturnID, value returns.Event) {
	r := b.Returns[id]
	if !b.checkBeginning(e, beginsReturn(value), r != nil) {
		return
	}
	if r == nil {
		r = &Return{times: map[string]time.Time{}, channel: b.intern(e.meta.Channel), createdAt: e.at}
		b.Returns[id] = r
	}
	b.Sales.bookReturn(e, r, value)
	if _, admitted := value.(returns.Admitted); admitted {
		r.admitted = true
	}
	if refund, ok := value.(returns.Refunded); ok {
		r.checkRefund(id, refund)
	}
	r.State, r.last = returns.Evolve(r.State, value), e.lastEvent()
	if word := b.intern(lastWord(e.Type)); r.times[word].IsZero() {
		r.times[word] = e.at // of several receipts or refunds, the view shows the time of the first
	}
}

// beginsReturn tells whether an event is the first of its stream.
func beginsReturn(value returns.Event) bool {
	_, requested := value.(returns.Requested)
	_, noted := value.(returns.CreditNoted)
	return requested || noted
}

// checkRefund checks that all refunds together are not more than the received units are worth.
// It is called at each refund, because the worth may fall later: a line with a price below zero,
// such as a discount, may be received after the refund.
func (r *Return) checkRefund(id unit.ReturnID, refund returns.Refunded) {
	worth := decimal.Zero
	for _, l := range r.Lines {
		units := l.Ended
		if l.Kind == unit.Service { // a service is never received
			units = l.Quantity
		}
		worth = worth.Add(times(l.Price, units))
	}
	refunded := refund.Amount.Amount
	for _, before := range r.Refunds {
		refunded = refunded.Add(before.Amount.Amount)
	}
	if most := worth.Round(r.Requested.Currency.Digits()); refunded.GreaterThan(most) {
		r.overpaid = append(r.overpaid, fmt.Sprintf("return %s: %s refunded, but what was received is worth %s", id, refunded, most))
	}
}

// lastWord is the last word of an event type without its version: "confirmed" for
// "order.confirmed.v1" and for "order.confirmed.v2".
func lastWord(eventType string) string {
	parts := strings.Split(eventType, ".")
	return parts[max(0, len(parts)-2)]
}

// timeOf is the name under which the view keeps the time of an event. It is empty if the view
// does not keep it.
func timeOf(eventType string, value order.Event) string {
	switch value := value.(type) {
	case order.Confirmed, order.Canceled, order.Expired, order.Completed:
		return lastWord(eventType)
	case order.TransactionRecorded:
		return "recorded " + string(value.TransactionID)
	case order.TransactionSettled:
		return "settled " + string(value.TransactionID)
	case order.Shipped:
		return "shipped " + string(value.ShipmentID)
	case order.Delivered:
		return "delivered " + string(value.ShipmentID)
	case order.ParcelReported:
		return "parcel " + string(value.ShipmentID)
	case order.ParcelBack:
		return "parcel " + string(value.ShipmentID)
	case order.Placed, order.PutOnHold, order.HoldReleased, order.LinesCanceled, order.StockSettled, order.AllocationFailed,
		order.AllocationRetried, order.AllocationRecovered, order.PaymentOrphaned, order.ReturnAdmitted, order.ReturnReleased,
		order.TransactionUnreadable, order.Credited, order.RefundRequested, order.RefundSubmitted, order.RefundSettled,
		order.ReturnRefundRefused, order.RefundExplained, order.DifferenceWrittenOff, order.DeadlineExtended, order.ChargeAdded, order.ParcelResent, order.RefundClaimed, order.TakenOver, order.Archived, order.Unarchived, order.Claimed:
	}
	return ""
}
