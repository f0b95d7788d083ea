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
	orders, err := compareTable(ctx, from, "orders", b.Orders, &orderRow{seed: b.seed})
	if err != nil {
		return nil, err
	}
	returned, err := compareTable(ctx, from, "returns", b.Returns, &returnRow{})
	if err != nil {
		return nil, err
	}
	linked, err := compareTable(ctx, from, "return_orders", links, &linkRow{})
	if err != nil {
		return nil, err
	}
	orderTimeline, err := compareTable(ctx, from, "order_timeline", orderHistory, &historyRow{seed: b.seed, of: "order_id"})
	if err != nil {
		return nil, err
	}
	returnTimeline, err := compareTable(ctx, from, "return_timeline", returnHistory, &historyRow{seed: b.seed, of: "return_id"})
	if err != nil {
		return nil, err
	}
	return []*Check{orders, returned, linked, orderTimeline, returnTimeline}, nil
}

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

func (r *orderRow) columns() []column[*Order] {
	return []column[*Order]{
		keyColumn[*Order]("order_id", &r.id),
		is("reference", &r.reference, func(o *Order) string { return projections.Key(o.Reference) }),
		is("customer_id", &r.customer, func(o *Order) string { return string(o.CustomerID) }),
		is("cart_id", &r.cart, func(o *Order) string { return string(o.CartID) }),
		is("currency", &r.currency, func(o *Order) string { return string(o.Currency()) }),
		is("country", &r.country, func(o *Order) string { return projections.Key(o.Country) }),
		is("channel", &r.channel, func(o *Order) string { return o.channel }),
		is("status", &r.status, func(o *Order) string { return string(o.Status) }),
		is("payment_state", &r.payment, func(o *Order) string { return string(o.PaymentState()) }),
		is("fulfillment_state", &r.fulfillment, func(o *Order) string { return string(o.FulfillmentState()) }),
		is("on_hold", &r.onHold, func(o *Order) bool { return o.OnHold }),
		is("archived", &r.archived, func(o *Order) bool { return o.Archived }),
		is("needs_attention", &r.attention, func(o *Order) bool {
			captured, back, _ := o.moneyIn()
			return o.AllocationFailed || len(o.Orphans) > 0 && captured.GreaterThan(back)
		}),
		is("placed_total", &r.placedTotal, func(o *Order) decimal.Decimal { return o.placedTotal }),
		is("total", &r.total, (*Order).worth),
		is("owed", &r.owed, func(o *Order) decimal.Decimal {
			return decimal.Max(decimal.Zero, o.worth().Round(o.Currency().Digits()))
		}),
		differs("captured", &r.captured, func(o *Order, d *deviation) {
			captured, _, foreign := o.moneyIn()
			d.columns = append(d.columns, foreign...)
			d.column("captured", r.captured, captured)
		}),
		is("refunded", &r.refunded, func(o *Order) decimal.Decimal {
			_, back, _ := o.moneyIn()
			return back
		}),
		is("line_count", &r.lineCount, func(o *Order) int { return len(o.Lines) }),
		is("units", &r.units, func(o *Order) (sum int64) {
			for _, l := range o.Lines {
				sum += int64(l.Quantity)
			}
			return sum
		}),
		is("placed_at", &r.placedAt, func(o *Order) time.Time { return o.placedAt }),
		is("changed_at", &r.changedAt, func(o *Order) time.Time { return o.end.recordedAt }),
		is("revision", &r.revision, func(o *Order) int64 { return o.end.revision }),
		is("skus", &r.skus, func(o *Order) []string {
			skus := map[string]bool{}
			for _, l := range o.Lines {
				skus[string(l.SKU)] = true
			}
			return sorted(skus)
		}),
		differs("lines", &r.lines, func(o *Order, d *deviation) {
			if maphash.Bytes(r.seed, r.lines) != o.lines {
				d.columns = append(d.columns, "lines are not as they were placed")
			}
		}),
		differs("state", &r.state, func(o *Order, d *deviation) { compareFold(d, r.state, o.State, o.times) }),
	}
}

func (r *orderRow) key() unit.OrderID { return unit.OrderID(r.id) }

// worth adds up the lines, without what was taken off.
func (o *Order) worth() (total decimal.Decimal) {
	for _, l := range o.Lines {
		total = total.Add(times(l.Price, l.Quantity-l.Canceled))
	}
	return total
}

// moneyIn adds up what came in and what went back. foreign says in words what cannot be
// added up.
func (o *Order) moneyIn() (captured, back decimal.Decimal, foreign []string) {
	for _, t := range o.Transactions {
		if t.State != order.Succeeded {
			continue
		}
		if t.Amount.Currency != o.Currency() { // no command records one
			foreign = append(foreign, fmt.Sprintf("the log has transaction %s in %s, the order is in %s", t.ID, t.Amount.Currency, o.Currency()))
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
	return captured, back, foreign
}

// foldDocument is what the views of orders and returns keep as one document.
type foldDocument struct {
	Fold  jsontext.Value       `json:"fold"`
	Times map[string]time.Time `json:"times"`
}

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

type historyRow struct {
	seed maphash.Seed
	of   string // the column of whose history it is

	moment                                      moment
	words, eventType, actor, channel, placeText string
	facts                                       []byte
	at, recordedAt                              time.Time
}

func (r *historyRow) columns() []column[*entry] {
	return []column[*entry]{
		keyColumn[*entry](r.of, &r.moment.id), keyColumn[*entry]("revision", &r.moment.revision),
		differs("entry", &r.words, func(e *entry, d *deviation) {
			if maphash.String(r.seed, r.words) != e.words {
				d.columns = append(d.columns, fmt.Sprintf("entry is %q, which is not what happened", r.words))
			}
		}),
		differs("facts", &r.facts, func(e *entry, d *deviation) {
			if maphash.Bytes(r.seed, r.facts) != e.facts {
				d.columns = append(d.columns, fmt.Sprintf("facts are %s, which is not what happened", r.facts))
			}
		}),
		is("type", &r.eventType, func(e *entry) string { return e.eventType }),
		is("actor", &r.actor, func(e *entry) string { return e.actor }),
		is("channel", &r.channel, func(e *entry) string { return e.channel }),
		is("effective_at", &r.at, func(e *entry) time.Time { return e.at }),
		is("recorded_at", &r.recordedAt, func(e *entry) time.Time { return e.recordedAt }),
		differs("position", &r.placeText, func(e *entry, d *deviation) {
			if position, err := eventstore.ParsePosition(r.placeText); err != nil || position != e.position {
				d.column("position", r.placeText, e.position.String())
			}
		}),
	}
}

func (r *historyRow) key() moment { return r.moment }

type returnRow struct {
	id, reference, order, customer, currency, country, channel, status, reason string
	value, refunded                                                            decimal.Decimal
	units, revision                                                            int64
	createdAt, changedAt                                                       time.Time
	state                                                                      []byte
}

func (r *returnRow) columns() []column[*Return] {
	return []column[*Return]{
		keyColumn[*Return]("return_id", &r.id),
		is("reference", &r.reference, func(want *Return) string { return projections.Key(want.asked().Reference) }),
		is("order_id", &r.order, func(want *Return) string { return string(want.asked().OrderID) }),
		is("customer_id", &r.customer, func(want *Return) string { return string(want.asked().CustomerID) }),
		is("currency", &r.currency, func(want *Return) string { return string(want.asked().Currency) }),
		is("country", &r.country, func(want *Return) string { return projections.Key(want.asked().Country) }),
		is("channel", &r.channel, func(want *Return) string { return want.channel }),
		is("status", &r.status, func(want *Return) string { return string(want.Status) }),
		is("reason", &r.reason, func(want *Return) string { return want.asked().Reason }),
		is("value", &r.value, func(want *Return) decimal.Decimal {
			value, _ := want.worth()
			return value
		}),
		is("refunded", &r.refunded, func(want *Return) (sum decimal.Decimal) {
			for _, refund := range want.Refunds {
				sum = sum.Add(refund.Amount.Amount)
			}
			return sum
		}),
		is("units", &r.units, func(want *Return) int64 {
			_, units := want.worth()
			return units
		}),
		is("created_at", &r.createdAt, func(want *Return) time.Time { return want.createdAt }),
		is("changed_at", &r.changedAt, func(want *Return) time.Time { return want.end.recordedAt }),
		is("revision", &r.revision, func(want *Return) int64 { return want.end.revision }),
		differs("state", &r.state, func(want *Return, d *deviation) { compareFold(d, r.state, want.State, want.times) }),
	}
}

func (r *returnRow) key() unit.ReturnID { return unit.ReturnID(r.id) }

// asked is what was asked for; of a credit note, what it says.
func (r *Return) asked() returns.Requested {
	if r.Status != returns.StatusNoted {
		return r.Requested
	}
	n := r.Noted
	return returns.Requested{Reference: n.Reference, CustomerID: n.CustomerID, Currency: n.Amount.Currency, Country: n.Country, Reason: n.Reason}
}

// worth adds up the lines. The amount of a credit note is as sales change, and this is as
// money goes back.
func (r *Return) worth() (value decimal.Decimal, units int64) {
	for _, l := range r.Requested.Lines {
		value = value.Add(times(l.Price, l.Quantity))
		units += int64(l.Quantity)
	}
	if r.Status == returns.StatusNoted {
		for _, l := range r.Noted.Lines {
			value = value.Sub(times(l.Price, l.Quantity))
			units += int64(l.Quantity)
		}
	}
	return value, units
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

func (r *linkRow) columns() []column[struct{}] {
	return []column[struct{}]{keyColumn[struct{}]("order_id", &r.link.order), keyColumn[struct{}]("return_id", &r.link.returned)}
}

func (r *linkRow) key() link { return r.link }
