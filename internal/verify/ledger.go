package verify

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/projections"
)

// The kinds of document that change sales or stock.
const (
	sale           = "sale"
	freeOrder      = "free_order"
	orderCanceled  = "order_canceled" // what was taken off an order before it shipped
	returnDocument = "return"
	adjustIn       = "adjust_in"
	adjustOut      = "adjust_out"
	badDebt        = "bad_debt"
	credit         = "credit"
)

// Shop says where the merchant is, as the sales were made with it.
type Shop struct {
	Location          *time.Location // nil is UTC
	Country, Currency string         // of stock adjustments, which name none
}

// Sum is what some lines come to.
type Sum struct {
	Lines  int64
	Units  int64
	Amount decimal.Decimal
}

func (s *Sum) add(other Sum) {
	s.Lines += other.Lines
	s.Units += other.Units
	s.Amount = s.Amount.Add(other.Amount)
}

func (s Sum) String() string {
	return fmt.Sprintf("%d lines, %d units, %s", s.Lines, s.Units, s.Amount)
}

func (s Sum) equal(other Sum) bool {
	return s.Lines == other.Lines && s.Units == other.Units && s.Amount.Equal(other.Amount)
}

// party is what all lines of a document share.
type party struct{ reference, customer, country, channel, currency string }

// document is one paper of the merchant's: an order, what was canceled of one, a
// return, an adjustment, a credit note.
type document struct {
	Sum
	party
	kind string
	day  string
	at   time.Time // effective time of the first fact
}

type dayKey struct{ day, kind, country, channel, currency string }

type skuKey struct{ day, sku, kind, country, channel, currency string }

type customerKey struct{ id, currency string }

type daySum struct {
	Sum
	documents int64 // whose first fact is of this day
}

type customer struct {
	orders, returns, units int64
	ordered, amount        decimal.Decimal
	firstAt, lastAt        *time.Time
	lastID                 string
}

// Ledger is the documents of the log and their sums. Amounts and units have the
// sign in which the merchant's sales change.
type Ledger struct {
	shop      Shop
	documents map[string]*document
	days      map[dayKey]*daySum
	skus      map[skuKey]*Sum
	customers map[customerKey]*customer
}

func newLedger(shop Shop) *Ledger {
	if shop.Location == nil {
		shop.Location = time.UTC
	}
	return &Ledger{
		shop: shop, documents: map[string]*document{}, days: map[dayKey]*daySum{},
		skus: map[skuKey]*Sum{}, customers: map[customerKey]*customer{},
	}
}

// paper is where lines are booked.
type paper struct {
	name, kind string
	party
	at time.Time
}

// line books units of a SKU. lines counts them as a line of the document: 1, 0
// where the line is on it already, -1 where it goes again.
func (l *Ledger) line(on paper, sku unit.SKU, lines int64, units unit.Quantity, price unit.Money) {
	sum := Sum{Lines: lines, Units: int64(units), Amount: times(price, units)}
	day := on.at.In(l.shop.Location).Format(time.DateOnly)
	d, opened := l.documents[on.name], false
	if d == nil {
		d, opened = &document{party: on.party, kind: on.kind, day: day, at: on.at}, true
		l.documents[on.name] = d
	}
	d.add(sum)
	days := at(l.days, dayKey{day, on.kind, on.country, on.channel, on.currency})
	days.add(sum)
	at(l.skus, skuKey{day, string(sku), on.kind, on.country, on.channel, on.currency}).add(sum)
	if opened {
		days.documents++
	}
	if on.customer == "" {
		return
	}
	c := at(l.customers, customerKey{on.customer, on.currency})
	c.units += sum.Units
	c.amount = c.amount.Add(sum.Amount)
	if opened && on.kind == returnDocument {
		c.returns++
	}
}

func at[K comparable, V any](sums map[K]*V, key K) *V {
	if sums[key] == nil {
		sums[key] = new(V)
	}
	return sums[key]
}

// order books an event of an order; o is the order before it.
func (l *Ledger) order(e *event, o *Order, value order.Event) {
	switch value := value.(type) {
	case order.Placed:
		l.placed(e, value)
	case order.LinesCanceled:
		for _, canceled := range value.Lines {
			for i := range o.Lines {
				if o.Lines[i].Number == canceled.Line {
					l.takenOff(e, o, &o.Lines[i], canceled.Quantity)
				}
			}
		}
	case order.Canceled, order.Expired:
		for i := range o.Lines {
			l.takenOff(e, o, &o.Lines[i], o.Lines[i].Open())
		}
	case order.Confirmed, order.PutOnHold, order.HoldReleased, order.TransactionRecorded, order.TransactionSettled, order.Shipped,
		order.Delivered, order.Completed, order.StockSettled, order.AllocationFailed, order.AllocationRetried,
		order.AllocationRecovered, order.PaymentOrphaned, order.ReturnAdmitted, order.ReturnReleased, order.RefundClaimed,
		order.Archived, order.Unarchived, order.Claimed:
	}
}

func (l *Ledger) placed(e *event, p order.Placed) {
	on := paper{
		name: "order/" + string(p.OrderID), kind: freeOrder, at: e.at,
		party: party{projections.Key(p.Reference), string(p.CustomerID), projections.Key(p.Country), projections.Key(e.meta.Channel), string(p.Currency)},
	}
	for _, line := range p.Lines {
		if line.Price.Sign() != 0 {
			on.kind = sale
		}
	}
	if on.customer != "" {
		c := at(l.customers, customerKey{on.customer, on.currency})
		c.orders++
		c.ordered = c.ordered.Add(p.Total.Amount)
		when := e.at // not a pointer into the event, which would live as long
		if c.firstAt == nil || when.Before(*c.firstAt) {
			c.firstAt = &when
		}
		if c.lastAt == nil || !when.Before(*c.lastAt) { // of two at one time, the later in the log
			c.lastAt, c.lastID = &when, string(p.OrderID)
		}
	}
	for _, line := range p.Lines {
		l.line(on, line.SKU, 1, line.Quantity, line.Price)
	}
}

func (l *Ledger) takenOff(e *event, o *Order, line *order.Line, units unit.Quantity) {
	if units <= 0 {
		return
	}
	on := paper{
		name: "canceled/" + string(o.OrderID), kind: orderCanceled, at: e.at,
		party: party{projections.Key(o.Reference), string(o.CustomerID), projections.Key(o.Country), projections.Key(o.channel), string(o.Currency())},
	}
	l.line(on, line.SKU, once(line.Canceled == 0), -units, line.Price)
}

// once is 1 for a line that was not counted before.
func once(first bool) int64 {
	if first {
		return 1
	}
	return 0
}

// returned books an event of a return; r is the return before it. Services are
// booked when the return is approved, goods when they come.
func (l *Ledger) returned(e *event, r *Return, value returns.Event) {
	switch value := value.(type) {
	case returns.CreditNoted:
		l.credited(e, value)
	case returns.Approved:
		l.services(e, r, 1)
	case returns.Canceled:
		if r.Status == returns.StatusOpen {
			l.services(e, r, -1)
		}
	case returns.Received:
		counted := map[int]bool{}
		for _, received := range value.Lines {
			if received.Line < 1 || received.Line > len(r.Lines) {
				continue // told by checkReturns
			}
			line := r.Lines[received.Line-1]
			first := once(line.Ended == 0 && !counted[received.Line])
			counted[received.Line] = true
			l.line(r.paper(e), line.SKU, first, -received.Quantity, line.Price)
		}
	case returns.Requested, returns.Admitted, returns.AdmissionRefused, returns.Declined, returns.Refunded, returns.RefundWithdrawn, returns.OrdersSettled,
		returns.Closed, returns.StockSettled:
	}
}

func (r *Return) paper(e *event) paper {
	q := r.Requested
	return paper{
		name: "return/" + string(q.ReturnID), kind: returnDocument, at: e.at,
		party: party{projections.Key(q.Reference), string(q.CustomerID), projections.Key(q.Country), projections.Key(r.channel), string(q.Currency)},
	}
}

// services books the services of a return, or takes that back.
func (l *Ledger) services(e *event, r *Return, sign int64) {
	for _, line := range r.Lines {
		if line.Kind == unit.Service {
			l.line(r.paper(e), line.SKU, sign, -unit.Quantity(sign)*line.Quantity, line.Price)
		}
	}
}

// credited books a credit note. A correction of the books is on the paper of the
// stock adjustments with its reference.
func (l *Ledger) credited(e *event, n returns.CreditNoted) {
	on := paper{
		name: "credit/" + string(n.ReturnID), kind: credit, at: e.at,
		party: party{projections.Key(n.Reference), string(n.CustomerID), projections.Key(n.Country), projections.Key(e.meta.Channel), string(n.Amount.Currency)},
	}
	if n.Reason == badDebt {
		on.kind = badDebt
	}
	for _, line := range n.Lines {
		if n.Reason == "adjustment" {
			on.kind = adjustment(line.Quantity)
			on.name = on.kind + "/" + on.reference
			if n.Reference == "" {
				on.name = on.kind + "/note/" + string(n.ReturnID)
			}
		}
		l.line(on, line.SKU, 1, line.Quantity, line.Price)
	}
}

func adjustment(change unit.Quantity) string {
	if change < 0 {
		return adjustOut
	}
	return adjustIn
}

// stock books adjustments. Without a document each is one of its own.
func (l *Ledger) stock(e *event, value stock.Event) {
	adjusted, ok := value.(stock.Adjusted)
	if !ok {
		return
	}
	on := paper{
		kind: adjustment(adjusted.Change), at: e.at,
		party: party{projections.Key(adjusted.Document), "", l.shop.Country, projections.Key(e.meta.Channel), l.shop.Currency},
	}
	on.name = on.kind + "/" + on.reference
	if adjusted.Document == "" {
		on.name = on.kind + "/" + e.Stream + "/" + strconv.FormatInt(e.Revision, 10)
	}
	l.line(on, adjusted.SKU, 1, adjusted.Change, unit.Zero(unit.Currency(l.shop.Currency)))
}

// number is the document's own number, or the id of what it is of.
func (d *document) number(name string) string {
	if d.reference != "" {
		return d.reference
	}
	_, id, _ := strings.Cut(name, "/")
	return id
}
