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
	"daybook/projections/orderview"
)

func (b *Book) readOrder(e *event, id unit.OrderID, value order.Event) {
	if claimed, ok := value.(order.Claimed); ok {
		b.claimed[id] = claimed.CartID // there is no order yet
		return
	}
	o := b.Orders[id]
	if _, places := value.(order.Placed); !b.follows(e, places, o != nil) {
		return
	}
	if o == nil {
		o = &Order{times: map[string]time.Time{}}
		b.Orders[id] = o
	}
	if placed, ok := value.(order.Placed); ok {
		lines, err := json.Marshal(placed.Lines)
		if err != nil {
			b.senseless(e, "its lines cannot be written: "+err.Error())
		}
		o.channel, o.placedAt, o.placedTotal = b.intern(e.meta.Channel), e.at, placed.Total.Amount
		o.lines = maphash.Bytes(b.seed, lines)
	}
	if retried, ok := value.(order.AllocationRetried); ok {
		b.noteLost(id, retried.Lost)
	}
	b.Sales.order(e, o, value) // with the state before
	o.State, o.end = order.Evolve(o.State, value), e.end()
	if key := timeOf(e.Type, value); key != "" {
		o.times[key] = e.at
	}
	o.history = append(o.history, b.entry(e, orderview.OrderWords(value), orderview.OrderFacts(value)))
}

// noteLost notes that an order knows what was taken from it.
func (b *Book) noteLost(id unit.OrderID, lost []order.Lost) {
	for _, l := range lost {
		if shelf := b.Stock[stock.Key{SKU: l.SKU, Location: l.Location}]; shelf != nil {
			shelf.taken[id] = max(0, shelf.taken[id]-l.Quantity)
		}
	}
}

func (b *Book) readReturn(e *event, id unit.ReturnID, value returns.Event) {
	r := b.Returns[id]
	if !b.follows(e, beginsReturn(value), r != nil) {
		return
	}
	if r == nil {
		r = &Return{times: map[string]time.Time{}, channel: b.intern(e.meta.Channel), createdAt: e.at}
		b.Returns[id] = r
	}
	b.Sales.returned(e, r, value)
	if _, admitted := value.(returns.Admitted); admitted {
		r.admitted = true
	}
	if refund, ok := value.(returns.Refunded); ok {
		r.payBack(id, refund)
	}
	r.State, r.end = returns.Evolve(r.State, value), e.end()
	if word := b.intern(word(e.Type)); r.times[word].IsZero() {
		r.times[word] = e.at // of several arrivals or refunds, the first
	}
	r.history = append(r.history, b.entry(e, orderview.ReturnWords(value), orderview.ReturnFacts(value)))
}

// beginsReturn tells whether an event is the first of its stream.
func beginsReturn(value returns.Event) bool {
	_, requested := value.(returns.Requested)
	_, noted := value.(returns.CreditNoted)
	return requested || noted
}

// payBack wants a refund to be of no more than what had come back by then was
// worth. Later it may be worth less: a line that takes something off, because its
// price is below zero, may come last, and what is left may be below zero.
func (r *Return) payBack(id unit.ReturnID, refund returns.Refunded) {
	worth := decimal.Zero
	for _, l := range r.Lines {
		units := l.Ended
		if l.Kind == unit.Service { // never comes back as goods
			units = l.Quantity
		}
		worth = worth.Add(times(l.Price, units))
	}
	refunded := refund.Amount.Amount
	for _, before := range r.Refunds {
		refunded = refunded.Add(before.Amount.Amount)
	}
	if most := worth.Round(r.Requested.Currency.Digits()); refunded.GreaterThan(most) {
		r.overpaid = append(r.overpaid, fmt.Sprintf("return %s: %s refunded, what was received is worth %s", id, refunded, most))
	}
}

// word is an event type's last word: "confirmed" of "order.confirmed.v1".
func word(eventType string) string {
	_, word, _ := strings.Cut(strings.TrimSuffix(eventType, ".v1"), ".")
	return word
}

// timeOf is under which name an order's time is kept; empty: it is not.
func timeOf(eventType string, value order.Event) string {
	switch value := value.(type) {
	case order.Confirmed, order.Canceled, order.Expired, order.Completed:
		return word(eventType)
	case order.TransactionRecorded:
		return "recorded " + string(value.TransactionID)
	case order.TransactionSettled:
		return "settled " + string(value.TransactionID)
	case order.Shipped:
		return "shipped " + string(value.ShipmentID)
	case order.Delivered:
		return "delivered " + string(value.ShipmentID)
	case order.Placed, order.PutOnHold, order.HoldReleased, order.LinesCanceled, order.StockSettled, order.AllocationFailed,
		order.AllocationRetried, order.AllocationRecovered, order.PaymentOrphaned, order.ReturnAdmitted, order.ReturnReleased,
		order.RefundClaimed, order.Archived, order.Unarchived, order.Claimed:
	}
	return ""
}

// entry notes an event for a history. What it says in words is presentation,
// and the view's alone; here it is only held against what the rows say.
func (b *Book) entry(e *event, words string, facts orderview.Facts) entry {
	return entry{
		revision: e.Revision, eventType: b.intern(e.Type), actor: b.intern(e.meta.Actor), channel: b.intern(e.meta.Channel),
		at: e.at, recordedAt: e.RecordedAt, position: e.Position, words: maphash.String(b.seed, words), facts: maphash.Bytes(b.seed, facts.Text()),
	}
}
