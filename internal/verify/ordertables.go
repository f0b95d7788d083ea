package verify

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections"
)

func compareOrders(ctx context.Context, b *Book, from source) ([]*Check, error) {
	orderHistory, returnHistory := map[moment]*entry{}, map[moment]*entry{}
	for id, o := range b.Orders {
		for i := range o.history {
			orderHistory[moment{string(id), o.history[i].revision}] = &o.history[i]
		}
	}
	links := map[link]struct{}{}
	for id, r := range b.Returns {
		for i := range r.history {
			returnHistory[moment{string(id), r.history[i].revision}] = &r.history[i]
		}
		for _, of := range r.orders() {
			links[link{of, string(id)}] = struct{}{}
		}
	}
	orders, err := compareTable(ctx, from, "orders", orderColumns, b.Orders, &orderRow{seed: b.seed})
	if err != nil {
		return nil, err
	}
	returned, err := compareTable(ctx, from, "returns", returnColumns, b.Returns, &returnRow{})
	if err != nil {
		return nil, err
	}
	linked, err := compareTable(ctx, from, "return_orders", "order_id, return_id", links, &linkRow{})
	if err != nil {
		return nil, err
	}
	orderTimeline, err := compareTable(ctx, from, "order_timeline", "order_id, "+historyColumns, orderHistory, &historyRow{seed: b.seed})
	if err != nil {
		return nil, err
	}
	returnTimeline, err := compareTable(ctx, from, "return_timeline", "return_id, "+historyColumns, returnHistory, &historyRow{seed: b.seed})
	if err != nil {
		return nil, err
	}
	return []*Check{orders, returned, linked, orderTimeline, returnTimeline}, nil
}

const orderColumns = `order_id, reference, customer_id, cart_id, currency, country, channel, status, payment_state, fulfillment_state,
	on_hold, archived, needs_attention, placed_total, total, owed, captured, refunded, line_count, units, placed_at, changed_at,
	revision, skus, lines, state`

type orderRow struct {
	seed maphash.Seed

	id, reference, customer, cart, currency, country, channel string
	status, payment, fulfillment                              string
	onHold, archived, attention                               bool
	placedTotal, total, owed, captured, refunded              decimal.Decimal
	lineCount                                                 int
	units, revision                                           int64
	placedAt, changedAt                                       time.Time
	skus                                                      []string
	lines, state                                              []byte
}

func (r *orderRow) into() []any {
	return []any{
		&r.id, &r.reference, &r.customer, &r.cart, &r.currency, &r.country, &r.channel, &r.status, &r.payment, &r.fulfillment,
		&r.onHold, &r.archived, &r.attention, &r.placedTotal, &r.total, &r.owed, &r.captured, &r.refunded, &r.lineCount, &r.units,
		&r.placedAt, &r.changedAt, &r.revision, &r.skus, &r.lines, &r.state,
	}
}

func (r *orderRow) key() unit.OrderID { return unit.OrderID(r.id) }

func (r *orderRow) compare(o *Order, d *deviation) {
	d.column("reference", r.reference, projections.Key(o.Reference))
	d.column("customer_id", r.customer, string(o.CustomerID))
	d.column("cart_id", r.cart, string(o.CartID))
	d.column("currency", r.currency, string(o.Currency()))
	d.column("country", r.country, projections.Key(o.Country))
	d.column("channel", r.channel, o.channel)
	d.column("status", r.status, string(o.Status))
	d.column("payment_state", r.payment, string(o.PaymentState()))
	d.column("fulfillment_state", r.fulfillment, string(o.FulfillmentState()))
	d.column("on_hold", r.onHold, o.OnHold)
	d.column("archived", r.archived, o.Archived)
	d.column("placed_at", r.placedAt, o.placedAt)
	d.column("changed_at", r.changedAt, o.end.recordedAt)
	d.column("revision", r.revision, o.end.revision)
	r.compareMoney(o, d)
	r.compareLines(o, d)
	r.compareState(o, d)
}

// compareMoney adds up what the order is worth and what came in.
func (r *orderRow) compareMoney(o *Order, d *deviation) {
	total, captured, back := decimal.Zero, decimal.Zero, decimal.Zero
	for _, l := range o.Lines {
		total = total.Add(times(l.Price, l.Quantity-l.Canceled))
	}
	for _, t := range o.Transactions {
		if t.State != order.Succeeded {
			continue
		}
		if t.Amount.Currency != o.Currency() { // no command records one, and it cannot be added up
			d.columns = append(d.columns, fmt.Sprintf("the log has transaction %s in %s, the order is in %s", t.ID, t.Amount.Currency, o.Currency()))
			continue
		}
		switch t.Type {
		case order.Capture:
			captured = captured.Add(t.Amount.Amount)
		case order.Refund, order.Chargeback:
			back = back.Add(t.Amount.Amount)
		case order.Authorize, order.Void:
		}
	}
	d.column("placed_total", r.placedTotal, o.placedTotal)
	d.column("total", r.total, total)
	d.column("owed", r.owed, decimal.Max(decimal.Zero, total.Round(o.Currency().Digits())))
	d.column("captured", r.captured, captured)
	d.column("refunded", r.refunded, back)
	d.column("needs_attention", r.attention, o.AllocationFailed || len(o.Orphans) > 0 && captured.GreaterThan(back))
}

func (r *orderRow) compareLines(o *Order, d *deviation) {
	units, skus := int64(0), map[string]bool{}
	for _, l := range o.Lines {
		units += int64(l.Quantity)
		skus[string(l.SKU)] = true
	}
	d.column("line_count", r.lineCount, len(o.Lines))
	d.column("units", r.units, units)
	d.column("skus", r.skus, sorted(skus))
	if maphash.Bytes(r.seed, r.lines) != o.lines {
		d.columns = append(d.columns, "lines are not as they were placed")
	}
}

// foldDocument is what the views of orders and returns keep as one document.
type foldDocument struct {
	Fold  jsontext.Value       `json:"fold"`
	Times map[string]time.Time `json:"times"`
}

func (r *orderRow) compareState(o *Order, d *deviation) { compareFold(d, r.state, o.State, o.times) }

func compareFold(d *deviation, state []byte, fold any, times map[string]time.Time) {
	var document foldDocument
	if err := json.Unmarshal(state, &document); err != nil {
		d.columns = append(d.columns, fmt.Sprintf("state cannot be read: %v", err))
		return
	}
	want, err := json.Marshal(fold, json.Deterministic(true))
	if err != nil {
		d.columns = append(d.columns, fmt.Sprintf("state cannot be written: %v", err))
		return
	}
	d.document("state.fold", document.Fold, want)
	for _, name := range sorted(times) {
		if got := document.Times[name]; !got.Equal(times[name]) {
			d.columns = append(d.columns, fmt.Sprintf("state.times[%q] is %v, want %v", name, shown(got), shown(times[name])))
		}
	}
	d.column("state.times", len(document.Times), len(times))
}

// moment is an event's place in a history.
type moment struct {
	id       string
	revision int64
}

func (m moment) String() string { return fmt.Sprintf("%s, revision %d", m.id, m.revision) }

const historyColumns = `revision, entry, type, actor, channel, effective_at, recorded_at, position`

type historyRow struct {
	seed maphash.Seed

	moment                                      moment
	words, eventType, actor, channel, placeText string
	at, recordedAt                              time.Time
}

func (r *historyRow) into() []any {
	return []any{&r.moment.id, &r.moment.revision, &r.words, &r.eventType, &r.actor, &r.channel, &r.at, &r.recordedAt, &r.placeText}
}

func (r *historyRow) key() moment { return r.moment }

func (r *historyRow) compare(e *entry, d *deviation) {
	if maphash.String(r.seed, r.words) != e.words {
		d.columns = append(d.columns, fmt.Sprintf("entry is %q, which is not what happened", r.words))
	}
	d.column("type", r.eventType, e.eventType)
	d.column("actor", r.actor, e.actor)
	d.column("channel", r.channel, e.channel)
	d.column("effective_at", r.at, e.at)
	d.column("recorded_at", r.recordedAt, e.recordedAt)
	if position, err := eventstore.ParsePosition(r.placeText); err != nil || position != e.position {
		d.column("position", r.placeText, e.position.String())
	}
}

const returnColumns = `return_id, reference, order_id, customer_id, currency, country, channel, status, reason, value, refunded, units,
	created_at, changed_at, revision, state`

type returnRow struct {
	id, reference, order, customer, currency, country, channel, status, reason string
	value, refunded                                                            decimal.Decimal
	units, revision                                                            int64
	createdAt, changedAt                                                       time.Time
	state                                                                      []byte
}

func (r *returnRow) into() []any {
	return []any{
		&r.id, &r.reference, &r.order, &r.customer, &r.currency, &r.country, &r.channel, &r.status, &r.reason, &r.value, &r.refunded,
		&r.units, &r.createdAt, &r.changedAt, &r.revision, &r.state,
	}
}

func (r *returnRow) key() unit.ReturnID { return unit.ReturnID(r.id) }

func (r *returnRow) compare(want *Return, d *deviation) {
	q, value, units := want.Requested, decimal.Zero, int64(0)
	for _, l := range q.Lines {
		value = value.Add(times(l.Price, l.Quantity))
		units += int64(l.Quantity)
	}
	if n := want.Noted; want.Status == returns.StatusNoted { // its amount is as sales change, and this is as money goes back
		q = returns.Requested{Reference: n.Reference, CustomerID: n.CustomerID, Currency: n.Amount.Currency, Country: n.Country, Reason: n.Reason}
		for _, l := range n.Lines {
			value = value.Sub(times(l.Price, l.Quantity))
			units += int64(l.Quantity)
		}
	}
	refunded := decimal.Zero
	for _, refund := range want.Refunds {
		refunded = refunded.Add(refund.Amount.Amount)
	}
	d.column("reference", r.reference, projections.Key(q.Reference))
	d.column("order_id", r.order, string(q.OrderID))
	d.column("customer_id", r.customer, string(q.CustomerID))
	d.column("currency", r.currency, string(q.Currency))
	d.column("country", r.country, projections.Key(q.Country))
	d.column("channel", r.channel, want.channel)
	d.column("status", r.status, string(want.Status))
	d.column("reason", r.reason, q.Reason)
	d.column("value", r.value, value)
	d.column("refunded", r.refunded, refunded)
	d.column("units", r.units, units)
	d.column("created_at", r.createdAt, want.createdAt)
	d.column("changed_at", r.changedAt, want.end.recordedAt)
	d.column("revision", r.revision, want.end.revision)
	compareFold(d, r.state, want.State, want.times)
}

// orders are those a return names, as a whole or on its lines.
func (r *Return) orders() []string {
	var ids []string
	if id := r.Requested.OrderID; id != "" {
		ids = append(ids, string(id))
	}
	for _, l := range r.Requested.Lines {
		for _, of := range l.Links {
			ids = append(ids, string(of.OrderID))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// link ties a return to an order.
type link struct{ order, returned string }

func (l link) String() string { return "return " + l.returned + " of order " + l.order }

type linkRow struct{ link link }

func (r *linkRow) into() []any                  { return []any{&r.link.order, &r.link.returned} }
func (r *linkRow) key() link                    { return r.link }
func (r *linkRow) compare(struct{}, *deviation) {}
