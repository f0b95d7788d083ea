package verify

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/projections"
)

func compareOrders(ctx context.Context, b *Book, from build) ([]*Check, error) {
	links := map[link]struct{}{}
	for id, r := range b.Returns {
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
	cards, err := compareTable(ctx, from, "gift_cards", b.stored, &cardRow{})
	if err != nil {
		return nil, err
	}
	reports, err := compareReports(ctx, b, from)
	if err != nil {
		return nil, err
	}
	return append(reports, orders, returned, linked, cards), nil
}

type orderRow struct {
	seed maphash.Seed

	id, reference, customer, cart, currency, country, channel string
	status, payment, fulfillment, guestEmail                  string
	onHold, archived, attention                               bool
	placedTotal, total, owed, captured, refunded              decimal.Decimal
	toReturn, toCollect                                       decimal.Decimal
	reasons                                                   []string
	lineCount                                                 int
	units, revision                                           int64
	placedAt, changedAt                                       time.Time
	skus                                                      []string
	lines, state                                              []byte
}

func (r *orderRow) columns() []column[*Order] {
	return []column[*Order]{
		keyColumn[*Order]("order_id", &r.id),
		equals("reference", &r.reference, func(o *Order) string { return projections.Key(o.Reference) }),
		equals("customer_id", &r.customer, func(o *Order) string { return string(o.CustomerID) }),
		equals("cart_id", &r.cart, func(o *Order) string { return string(o.CartID) }),
		equals("currency", &r.currency, func(o *Order) string { return string(o.Currency()) }),
		equals("country", &r.country, func(o *Order) string { return projections.Key(o.Country) }),
		equals("channel", &r.channel, func(o *Order) string { return o.channel }),
		equals("guest_email_key", &r.guestEmail, func(o *Order) string {
			if o.CustomerID != "" || o.Details == nil || !strings.Contains(o.Details.Email, "@") {
				return ""
			}
			return searched(o.Details.Email)
		}),
		equals("status", &r.status, func(o *Order) string { return string(o.Status) }),
		equals("payment_state", &r.payment, func(o *Order) string { return string(o.PaymentState()) }),
		equals("fulfillment_state", &r.fulfillment, func(o *Order) string { return string(o.FulfillmentState()) }),
		equals("on_hold", &r.onHold, func(o *Order) bool { return o.OnHold }),
		equals("archived", &r.archived, func(o *Order) bool { return o.Archived }),
		equals("needs_attention", &r.attention, func(o *Order) bool {
			return o.AllocationFailed || o.NeedsAttention()
		}),
		equals("placed_total", &r.placedTotal, func(o *Order) decimal.Decimal { return o.placedTotal }),
		equals("total", &r.total, (*Order).worth),
		equals("owed", &r.owed, func(o *Order) decimal.Decimal { return o.pot.owed() }),
		equals("to_return", &r.toReturn, func(o *Order) decimal.Decimal { return o.pot.terms(o.State)[8].want }),
		equals("to_collect", &r.toCollect, func(o *Order) decimal.Decimal { return o.pot.terms(o.State)[9].want }),
		equals("attention", &r.reasons, func(o *Order) []string { return attentionOf(o.Attention()) }),
		comparedBy("captured", &r.captured, func(o *Order, d *rowDifference) {
			captured, _, foreign := o.payments()
			d.columns = append(d.columns, foreign...)
			d.column("captured", r.captured, captured)
		}),
		equals("refunded", &r.refunded, func(o *Order) decimal.Decimal {
			_, back, _ := o.payments()
			return back
		}),
		equals("line_count", &r.lineCount, func(o *Order) int { return len(o.Lines) }),
		equals("units", &r.units, func(o *Order) (sum int64) {
			for _, l := range o.Lines {
				sum += int64(l.Quantity)
			}
			return sum
		}),
		equals("placed_at", &r.placedAt, func(o *Order) time.Time { return o.placedAt }),
		equals("changed_at", &r.changedAt, func(o *Order) time.Time { return o.last.recordedAt }),
		equals("revision", &r.revision, func(o *Order) int64 { return o.last.revision }),
		equals("skus", &r.skus, func(o *Order) []string {
			skus := map[string]bool{}
			for _, l := range o.Lines {
				skus[string(l.SKU)] = true
			}
			return sorted(skus)
		}),
		comparedBy("lines", &r.lines, func(o *Order, d *rowDifference) {
			if maphash.Bytes(r.seed, r.lines) != o.lines {
				d.columns = append(d.columns, "lines are not as they were placed")
			}
		}),
		comparedBy("state", &r.state, func(o *Order, d *rowDifference) { compareFold(d, r.state, o.State, o.times) }),
	}
}

func (r *orderRow) key() unit.OrderID { return unit.OrderID(r.id) }

// worth is the sum of the lines and charges without what was canceled.
func (o *Order) worth() decimal.Decimal { return o.pot.goods.total }

// payments adds up what was captured and what was paid back. foreign describes transactions in
// another currency, which cannot be added up.
func (o *Order) payments() (captured, back decimal.Decimal, foreign []string) {
	for _, t := range o.Transactions {
		if t.State != order.Succeeded {
			continue
		}
		if t.Amount.Currency != o.Currency() { // no command records such a transaction
			foreign = append(foreign, fmt.Sprintf("the log has transaction %s in %s, but the order is in %s", t.ID, t.Amount.Currency, o.Currency()))
			continue
		}
		switch t.Type {
		case order.Capture:
			captured = captured.Add(t.Amount.Amount)
		case order.Refund, order.Chargeback:
			back = back.Add(t.Amount.Amount)
		case order.Reversal:
			back = back.Sub(t.Amount.Amount)
		case order.Authorize, order.Void, order.Dispute:
		}
	}
	return captured, back, foreign
}

func attentionOf(reasons []order.Attention) []string {
	texts := make([]string, len(reasons))
	for i, reason := range reasons {
		texts[i] = string(reason)
	}
	return texts
}

// foldDocument is the JSON document that the view of orders keeps of an order or a return.
type foldDocument struct {
	Fold  jsontext.Value       `json:"fold"`
	Times map[string]time.Time `json:"times"`
}

func compareFold(d *rowDifference, state []byte, fold any, times map[string]time.Time) {
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
			d.columns = append(d.columns, fmt.Sprintf("state.times[%q] is %v, want %v", name, d.display(got), d.display(times[name])))
		}
	}
	d.column("state.times", len(document.Times), len(times))
}

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
		equals("reference", &r.reference, func(want *Return) string { return projections.Key(want.request().Reference) }),
		equals("order_id", &r.order, func(want *Return) string { return string(want.request().OrderID) }),
		equals("customer_id", &r.customer, func(want *Return) string { return string(want.Customer()) }),
		equals("currency", &r.currency, func(want *Return) string { return string(want.request().Currency) }),
		equals("country", &r.country, func(want *Return) string { return projections.Key(want.request().Country) }),
		equals("channel", &r.channel, func(want *Return) string { return want.channel }),
		equals("status", &r.status, func(want *Return) string { return string(want.Status) }),
		equals("reason", &r.reason, func(want *Return) string { return want.request().Reason }),
		equals("value", &r.value, func(want *Return) decimal.Decimal {
			value, _ := want.worth()
			return value
		}),
		equals("refunded", &r.refunded, func(want *Return) (sum decimal.Decimal) {
			for _, refund := range want.Refunds {
				sum = sum.Add(refund.Amount.Amount)
			}
			return sum
		}),
		equals("units", &r.units, func(want *Return) int64 {
			_, units := want.worth()
			return units
		}),
		equals("created_at", &r.createdAt, func(want *Return) time.Time { return want.createdAt }),
		equals("changed_at", &r.changedAt, func(want *Return) time.Time { return want.last.recordedAt }),
		equals("revision", &r.revision, func(want *Return) int64 { return want.last.revision }),
		comparedBy("state", &r.state, func(want *Return, d *rowDifference) { compareFold(d, r.state, want.State, want.times) }),
	}
}

func (r *returnRow) key() unit.ReturnID { return unit.ReturnID(r.id) }

// request is what a return asked for. For a credit note it has the same members, as far as a
// credit note has them.
func (r *Return) request() returns.Requested {
	if r.Status != returns.StatusNoted {
		return r.Requested
	}
	n := r.Noted
	return returns.Requested{Reference: n.Reference, CustomerID: n.CustomerID, Currency: n.Amount.Currency, Country: n.Country, Reason: n.Reason}
}

// worth adds up the lines. The result is positive if the customer gets money. A credit note has
// the opposite sign: its amount is negative if sales fall, so it is subtracted.
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

// orders are the orders that a return names, for the whole return or for a line.
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

// link is a return and an order that it names.
type link struct{ order, returned string }

func (l link) String() string { return "return " + l.returned + " of order " + l.order }

type linkRow struct{ link link }

func (r *linkRow) columns() []column[struct{}] {
	return []column[struct{}]{keyColumn[struct{}]("order_id", &r.link.order), keyColumn[struct{}]("return_id", &r.link.returned)}
}

func (r *linkRow) key() link { return r.link }
