package salesview

import (
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/projections"
)

// head has the values that all lines of a document share.
type head struct {
	Reference string `json:"reference,omitempty"`
	Customer  string `json:"customer,omitempty"`
	Country   string `json:"country,omitempty"`
	Channel   string `json:"channel,omitempty"`
	Currency  string `json:"currency,omitempty"`
}

// sums are the quantities that are added up.
type sums struct {
	lines  int64
	units  int64
	amount decimal.Decimal
}

func (s *sums) add(other sums) {
	s.lines += other.lines
	s.units += other.units
	s.amount = s.amount.Add(other.amount)
}

type document struct {
	head
	kind string
	day  string
	at   time.Time
	sums
}

type dayKey struct{ day, kind, country, channel, currency string }

type skuKey struct{ day, sku, kind, country, channel, currency string }

// ledger adds up the changes of a batch.
type ledger struct {
	location  *time.Location
	documents map[string]*document
	days      map[dayKey]*sums
	skus      map[skuKey]*sums
	customers map[customerKey]*customer

	stored map[string]*document // what the table has of the documents that are taken over in this batch
	taken  []takenRow
}

func newLedger(location *time.Location) *ledger {
	return &ledger{
		location: location, documents: make(map[string]*document),
		days: make(map[dayKey]*sums), skus: make(map[skuKey]*sums), customers: make(map[customerKey]*customer),
		stored: make(map[string]*document),
	}
}

func (l *ledger) day(at time.Time) string { return at.In(l.location).Format(time.DateOnly) }

// open returns a document, and creates it if it is new. A document keeps the head and the day
// of its first event.
func (l *ledger) open(name, kind string, h head, at time.Time) *document {
	d := l.documents[name]
	if d == nil {
		d = &document{head: h, kind: kind, day: l.day(at), at: at}
		l.documents[name] = d
	}
	return d
}

// count adds a line to a document, and to the sums of the day on which it happened. The sums use
// the kind and the head of the event itself, and not those of the document. In a batch, a document
// has the head of its first event in this batch. With other batches, another event could be the
// first, and the sums must not depend on that.
func (l *ledger) count(d *document, kind string, h head, at time.Time, sku string, s sums) {
	d.add(s)
	day := l.day(at)
	if h.Customer != "" {
		c := l.customer(h)
		c.units += s.units
		c.amount = c.amount.Add(s.amount)
	}
	dk := dayKey{day, kind, h.Country, h.Channel, h.Currency}
	if l.days[dk] == nil {
		l.days[dk] = new(sums)
	}
	l.days[dk].add(s)
	sk := skuKey{day, sku, kind, h.Country, h.Channel, h.Currency}
	if l.skus[sk] == nil {
		l.skus[sk] = new(sums)
	}
	l.skus[sk].add(s)
}

// worth returns the sums for a number of units at a price. lines is how many lines it counts as.
func worth(lines int64, units unit.Quantity, price decimal.Decimal) sums {
	return sums{lines: lines, units: int64(units), amount: price.Mul(decimal.NewFromInt(int64(units)))}
}

// placedWorth is what a line of an order counts when it is placed: its amount, which is rounded in
// an order whose lines have amounts.
func placedWorth(p order.Placed, i int) sums {
	line := p.Lines[i]
	counted := worth(1, line.Quantity, line.Price.Amount)
	switch {
	case p.Quote != nil && i < len(p.Quote.Lines):
		counted.amount = p.Quote.Lines[i].Gross.Amount
	case p.RoundedLines:
		counted.amount = counted.amount.Round(p.Currency.Digits())
	}
	return counted
}

func (l *ledger) order(o *remainders, e *projections.Event, event order.Event, at time.Time) {
	if placed, ok := event.(order.Placed); ok {
		if !e.Follows(true, o.byStream[e.Stream] != nil) {
			return
		}
		o.byStream[e.Stream] = l.placed(placed, e.Meta.Channel, at)
		return
	}
	if taken, ok := event.(order.TakenOver); ok {
		l.takenOver(o, e.Stream, string(taken.CustomerID))
		return
	}
	r := o.byStream[e.Stream]
	if r == nil {
		return // the order was never placed, or nothing of it can change any more
	}
	if r.Order != nil {
		l.accounted(r, event, at)
		return
	}
	switch event := event.(type) { //nolint:gochecksumtype // only claimed types come here
	case order.Shipped:
		for _, shipped := range event.Lines {
			if line := r.line(shipped.Line); line != nil {
				line.Units -= shipped.Quantity
			}
		}
	case order.LinesCanceled:
		for _, canceled := range event.Lines {
			if line := r.line(canceled.Line); line != nil {
				l.takenOff(r, e.Stream, line, canceled.Quantity, at)
			}
		}
	case order.Canceled, order.Expired:
		for i := range r.Lines {
			l.takenOff(r, e.Stream, &r.Lines[i], r.Lines[i].Units, at)
		}
	case order.Completed:
		o.byStream[e.Stream] = nil
	}
}

func (l *ledger) placed(p order.Placed, channel string, at time.Time) *remainder {
	r := &remainder{Head: head{
		Reference: projections.Key(p.Reference), Customer: string(p.CustomerID), Country: projections.Key(p.Country), Channel: projections.Key(channel), Currency: string(p.Currency),
	}}
	kind := FreeOrder
	for _, line := range p.Lines {
		if !line.Price.Amount.IsZero() {
			kind = Sale
		}
	}
	d := l.open(orderDocument+string(p.OrderID), kind, r.Head, at)
	if p.CustomerID != "" {
		l.customer(r.Head).ordered(string(p.OrderID), p.Total.Amount, at)
	}
	for i, line := range p.Lines {
		l.count(d, kind, r.Head, at, string(line.SKU), placedWorth(p, i))
	}
	if r.follow(p); r.Order != nil {
		return r
	}
	r.Lines = make([]remainderLine, len(p.Lines))
	for i, line := range p.Lines {
		r.Lines[i] = remainderLine{Number: line.Number, SKU: string(line.SKU), Price: line.Price.Amount, Units: line.Quantity}
	}
	return r
}

// takenOff counts units of an order's line as canceled.
func (l *ledger) takenOff(r *remainder, stream string, line *remainderLine, units unit.Quantity, at time.Time) {
	if units <= 0 {
		return
	}
	var lines int64
	if line.Counted == 0 {
		lines = 1
	}
	line.Units -= units
	line.Counted += units
	d := l.open(canceledDocument+stream[len(order.Category)+1:], OrderCanceled, r.Head, at)
	l.count(d, OrderCanceled, r.Head, at, line.SKU, worth(lines, -units, line.Price))
}

func (l *ledger) bookReturn(o *remainders, e *projections.Event, event returns.Event, at time.Time) {
	switch event := event.(type) {
	case returns.Requested:
		if e.Follows(true, o.byStream[e.Stream] != nil) {
			o.byStream[e.Stream] = requested(event, e.Meta.Channel)
		}
		return
	case returns.CreditNoted:
		if e.Follows(true, o.byStream[e.Stream] != nil) {
			l.credited(event, e.Meta.Channel, at)
		}
		return
	case returns.TakenOver:
		l.takenOver(o, e.Stream, string(event.CustomerID))
		return
	case returns.Admitted, returns.AdmissionRefused, returns.Approved, returns.Declined, returns.Canceled, returns.Received,
		returns.Refunded, returns.RefundWithdrawn, returns.OrdersSettled, returns.Closed, returns.StockSettled:
	}
	r := o.byStream[e.Stream]
	if r == nil {
		return
	}
	name := returnDocument + e.Stream[len(returns.Category)+1:]
	switch event := event.(type) {
	case returns.Approved:
		for i := range r.Lines {
			if line := &r.Lines[i]; line.Service {
				l.cameBack(r, name, line, line.Units, at)
				r.Revocable = true
			}
		}
	case returns.Received:
		r.Revocable = false
		for _, received := range event.Lines {
			if line := r.line(received.Line); line != nil {
				l.cameBack(r, name, line, received.Quantity, at)
			}
		}
	case returns.Canceled:
		l.takenBack(r, name, at)
		o.byStream[e.Stream] = nil
	case returns.AdmissionRefused, returns.Declined, returns.Closed:
		o.byStream[e.Stream] = nil
	case returns.Requested, returns.Admitted, returns.CreditNoted, returns.Refunded, returns.RefundWithdrawn, returns.OrdersSettled, returns.TakenOver, returns.StockSettled:
	}
}

func requested(q returns.Requested, channel string) *remainder {
	r := &remainder{
		Head: head{
			Reference: projections.Key(q.Reference), Customer: string(q.CustomerID), Country: projections.Key(q.Country), Channel: projections.Key(channel), Currency: string(q.Currency),
		},
		Lines: make([]remainderLine, len(q.Lines)),
	}
	for i, line := range q.Lines {
		r.Lines[i] = remainderLine{
			Number: line.Number, SKU: string(line.SKU), Service: line.Kind == unit.Service, Price: line.Price.Amount, Units: line.Quantity,
		}
	}
	return r
}

func (l *ledger) cameBack(r *remainder, name string, line *remainderLine, units unit.Quantity, at time.Time) {
	if units <= 0 {
		return
	}
	var lines int64
	if line.Counted == 0 {
		lines = 1
	}
	line.Units -= units
	line.Counted += units
	l.count(l.open(name, Return, r.Head, at), Return, r.Head, at, line.SKU, worth(lines, -units, line.Price))
}

// takenBack undoes what was counted at the approval of a return. It is called when the return
// is canceled.
func (l *ledger) takenBack(r *remainder, name string, at time.Time) {
	for i := range r.Lines {
		if line := &r.Lines[i]; line.Counted > 0 {
			l.count(l.open(name, Return, r.Head, at), Return, r.Head, at, line.SKU, worth(-1, line.Counted, line.Price))
		}
	}
}

// credited counts a credit note. A credit note with the reason "adjustment" corrects services.
// It counts as an adjustment, in the same document as the stock adjustments with the same
// reference.
func (l *ledger) credited(n returns.CreditNoted, channel string, at time.Time) {
	h := head{
		Reference: projections.Key(n.Reference), Customer: string(n.CustomerID), Country: projections.Key(n.Country), Channel: projections.Key(channel), Currency: string(n.Amount.Currency),
	}
	for _, line := range n.Lines {
		kind, document := Credit, "credit/"+string(n.ReturnID)
		switch n.Reason {
		case "adjustment":
			kind = adjustment(line.Quantity)
			name := h.Reference
			if name == "" {
				name = "note/" + string(n.ReturnID)
			}
			document = kind + "/" + name
		case BadDebt:
			kind = BadDebt
		}
		l.count(l.open(document, kind, h, at), kind, h, at, string(line.SKU), worth(1, line.Quantity, line.Price.Amount))
	}
}

func adjustment(change unit.Quantity) string {
	if change < 0 {
		return AdjustOut
	}
	return AdjustIn
}

func (l *ledger) adjusted(o Options, e *projections.Event, a stock.Adjusted, at time.Time) {
	kind := adjustment(a.Change)
	document := projections.Key(a.Document)
	name := document
	if name == "" { // without a document number, each adjustment is its own document
		name = e.Stream + "/" + strconv.FormatInt(e.Revision, 10)
	}
	h := head{Reference: document, Country: o.Country, Channel: projections.Key(e.Meta.Channel), Currency: o.Currency}
	l.count(l.open(kind+"/"+name, kind, h, at), kind, h, at, string(a.SKU), worth(1, a.Change, decimal.Zero))
}
