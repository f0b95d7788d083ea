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
	orderCanceled  = "order_canceled" // units of an order that were canceled before they shipped
	returnDocument = "return"
	adjustIn       = "adjust_in"
	adjustOut      = "adjust_out"
	badDebt        = "bad_debt"
	credit         = "credit"
)

// Shop is the setting of the sales view: where the shop is.
type Shop struct {
	Location          *time.Location // nil is UTC
	Country, Currency string         // of stock adjustments, because their events name neither
}

// Sum adds up lines of documents.
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

// String is for the comparison with the file, so the amount has at least the digits of the file's
// currency.
func (s Sum) String() string {
	return fmt.Sprintf("%d lines, %d units, %s", s.Lines, s.Units, fileCurrency.Text(s.Amount))
}

func (s Sum) equal(other Sum) bool {
	return s.Lines == other.Lines && s.Units == other.Units && s.Amount.Equal(other.Amount)
}

// party is what all lines of a document have in common.
type party struct{ reference, customer, country, channel, currency string }

// document is an order, the canceled units of an order, a return, a stock adjustment or a credit
// note.
type document struct {
	Sum
	party
	kind string
	day  string
	at   time.Time // effective time of its first event
}

type dayKey struct{ day, kind, country, channel, currency string }

type skuKey struct{ day, sku, kind, country, channel, currency string }

type customerKey struct{ id, currency string }

type daySum struct {
	Sum
	documents int64 // how many documents have their first event on this day
}

type bought struct {
	orders, returns, units int64
	ordered, amount        decimal.Decimal
	firstAt, lastAt        *time.Time
	lastID                 string
}

// Ledger has the documents of the log and their sums. Amounts and units are positive if they add to
// the shop's sales, and negative if they reduce them. A return has negative ones.
type Ledger struct {
	shop      Shop
	documents map[string]*document
	days      map[dayKey]*daySum
	skus      map[skuKey]*Sum
	customers map[customerKey]*bought
}

func newLedger(shop Shop) *Ledger {
	if shop.Location == nil {
		shop.Location = time.UTC
	}
	return &Ledger{
		shop: shop, documents: map[string]*document{}, days: map[dayKey]*daySum{},
		skus: map[skuKey]*Sum{}, customers: map[customerKey]*bought{},
	}
}

// documentHeader says which document a line is booked on.
type documentHeader struct {
	name, kind string
	party
	at time.Time
}

// addLine books units of a SKU on a document. lines is what it adds to the number of lines: 1
// for a new line, 0 if the document has the line already, -1 if the line is removed.
func (l *Ledger) addLine(on documentHeader, sku unit.SKU, lines int64, units unit.Quantity, price unit.Money) {
	l.addSum(on, sku, Sum{Lines: lines, Units: int64(units), Amount: times(price, units)})
}

// addSum books a sum on a document.
func (l *Ledger) addSum(on documentHeader, sku unit.SKU, sum Sum) {
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

// at returns the sum under a key, which it adds if it is missing.
func at[K comparable, V any](sums map[K]*V, key K) *V {
	if sums[key] == nil {
		sums[key] = new(V)
	}
	return sums[key]
}

// addOrder adds an order that was placed at a time.
func (c *bought) addOrder(id string, total decimal.Decimal, when time.Time) {
	c.orders++
	c.ordered = c.ordered.Add(total)
	if c.firstAt == nil || when.Before(*c.firstAt) {
		c.firstAt = &when
	}
	if c.lastAt == nil || !when.Before(*c.lastAt) { // if two have the same time, the one that is later in the log counts
		c.lastAt, c.lastID = &when, id
	}
}

// takeOver gives a document that has no customer to the one who has taken over its order. What was
// booked on it counts as the customer's from now on.
func (l *Ledger) takeOver(name, customer string) {
	d := l.documents[name]
	if d == nil || d.customer != "" || customer == "" {
		return
	}
	d.customer = customer
	c := at(l.customers, customerKey{customer, d.currency})
	c.units += d.Units
	c.amount = c.amount.Add(d.Amount)
	switch kind, id, _ := strings.Cut(name, "/"); kind {
	case "order":
		c.addOrder(id, d.Amount, d.at)
	case "return":
		c.returns++
	}
}

// bookOrder books an event of an order. o is the order as it was before the event.
func (l *Ledger) bookOrder(e *event, o *Order, value order.Event) {
	switch value := value.(type) {
	case order.Placed:
		l.bookPlaced(e, value)
	case order.LinesCanceled:
		for _, canceled := range value.Lines {
			for i := range o.Lines {
				if o.Lines[i].Number == canceled.Line {
					l.bookCanceled(e, o, &o.Lines[i], canceled.Quantity)
				}
			}
		}
	case order.Canceled, order.Expired:
		for i := range o.Lines {
			l.bookCanceled(e, o, &o.Lines[i], o.Lines[i].Open())
		}
	case order.TakenOver:
		l.takeOver("order/"+string(o.OrderID), string(value.CustomerID))
		l.takeOver("canceled/"+string(o.OrderID), string(value.CustomerID))
		l.takeOver("reduced/"+string(o.OrderID), string(value.CustomerID))
	case order.Confirmed, order.PutOnHold, order.HoldReleased, order.TransactionRecorded, order.TransactionSettled, order.Shipped,
		order.Delivered, order.ParcelReported, order.ParcelBack, order.ParcelResent, order.Completed, order.StockSettled, order.AllocationFailed, order.AllocationRetried,
		order.AllocationRecovered, order.PaymentOrphaned, order.ReturnAdmitted, order.ReturnReleased, order.RefundClaimed,
		order.TransactionUnreadable, order.Credited, order.RefundRequested, order.RefundSubmitted, order.RefundSettled,
		order.ReturnRefundRefused, order.RefundExplained, order.DifferenceWrittenOff, order.DeadlineExtended, order.ChargeAdded,
		order.Archived, order.Unarchived, order.Claimed:
	}
}

func (l *Ledger) bookPlaced(e *event, p order.Placed) {
	on := documentHeader{
		name: "order/" + string(p.OrderID), kind: freeOrder, at: e.at,
		party: party{projections.Key(p.Reference), string(p.CustomerID), projections.Key(p.Country), projections.Key(e.meta.Channel), string(p.Currency)},
	}
	for _, line := range p.Lines {
		if line.Price.Sign() != 0 {
			on.kind = sale
		}
	}
	if on.customer != "" {
		at(l.customers, customerKey{on.customer, on.currency}).addOrder(string(p.OrderID), p.Total.Amount, e.at)
	}
	for i, line := range p.Lines {
		l.addSum(on, line.SKU, Sum{Lines: 1, Units: int64(line.Quantity), Amount: amountWhenPlaced(p, i)})
	}
}

// amountWhenPlaced is what a line of an order costs. An older order rounded only its total.
func amountWhenPlaced(p order.Placed, i int) decimal.Decimal {
	line := p.Lines[i]
	if p.Quote != nil {
		for _, quoted := range p.Quote.Lines {
			if quoted.Line == line.Number {
				return quoted.Gross.Amount
			}
		}
	}
	exact := times(line.Price, line.Quantity)
	if p.RoundedLines {
		return exact.Round(p.Currency.Digits())
	}
	return exact
}

func (l *Ledger) bookCanceled(e *event, o *Order, line *order.Line, units unit.Quantity) {
	if units <= 0 || o.pot.goods.pots { // see bookPots
		return
	}
	l.addLine(o.documentHeader(e, "canceled/", orderCanceled), line.SKU, countIf(line.Canceled == 0), -units, line.Price)
}

func (o *Order) documentHeader(e *event, prefix, kind string) documentHeader {
	return documentHeader{
		name: prefix + string(o.OrderID), kind: kind, at: e.at,
		party: party{projections.Key(o.Reference), string(o.CustomerID), projections.Key(o.Country), projections.Key(o.channel), string(o.Currency())},
	}
}

// countIf is 1 for a line that is counted for the first time, and else 0.
func countIf(first bool) int64 {
	if first {
		return 1
	}
	return 0
}

// bookReturn books an event of a return. r is the return as it was before the event. Services are
// booked when the return is approved. Goods are booked when they are received.
func (l *Ledger) bookReturn(e *event, r *Return, value returns.Event) {
	switch value := value.(type) {
	case returns.CreditNoted:
		l.bookCreditNote(e, value)
	case returns.Approved:
		l.bookServices(e, r, 1)
	case returns.Canceled:
		if r.Status == returns.StatusOpen {
			l.bookServices(e, r, -1)
		}
	case returns.Received:
		counted := map[int]bool{}
		for _, received := range value.Lines {
			if received.Line < 1 || received.Line > len(r.Lines) {
				continue // checkReturns reports it
			}
			line := r.Lines[received.Line-1]
			first := countIf(line.Ended == 0 && !counted[received.Line])
			counted[received.Line] = true
			l.addLine(r.documentHeader(e), line.SKU, first, -received.Quantity, line.Price)
		}
	case returns.TakenOver:
		l.takeOver("return/"+string(r.Requested.ReturnID), string(value.CustomerID))
	case returns.Requested, returns.Admitted, returns.AdmissionRefused, returns.Declined, returns.Refunded, returns.RefundWithdrawn, returns.OrdersSettled,
		returns.Closed, returns.StockSettled:
	}
}

func (r *Return) documentHeader(e *event) documentHeader {
	q := r.Requested
	return documentHeader{
		name: "return/" + string(q.ReturnID), kind: returnDocument, at: e.at,
		party: party{projections.Key(q.Reference), string(r.Customer()), projections.Key(q.Country), projections.Key(r.channel), string(q.Currency)},
	}
}

// bookServices books the services of a return. With sign -1 it takes this back.
func (l *Ledger) bookServices(e *event, r *Return, sign int64) {
	for _, line := range r.Lines {
		if line.Kind == unit.Service {
			l.addLine(r.documentHeader(e), line.SKU, sign, -unit.Quantity(sign)*line.Quantity, line.Price)
		}
	}
}

// bookCreditNote books a credit note. A credit note with the reason "adjustment" is booked on the
// same document as the stock adjustments that have its reference.
func (l *Ledger) bookCreditNote(e *event, n returns.CreditNoted) {
	on := documentHeader{
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
		l.addLine(on, line.SKU, 1, line.Quantity, line.Price)
	}
}

func adjustment(change unit.Quantity) string {
	if change < 0 {
		return adjustOut
	}
	return adjustIn
}

// bookStock books stock adjustments. An adjustment that names no document is a document by itself.
func (l *Ledger) bookStock(e *event, value stock.Event) {
	adjusted, ok := value.(stock.Adjusted)
	if !ok {
		return
	}
	on := documentHeader{
		kind: adjustment(adjusted.Change), at: e.at,
		party: party{projections.Key(adjusted.Document), "", l.shop.Country, projections.Key(e.meta.Channel), l.shop.Currency},
	}
	on.name = on.kind + "/" + on.reference
	if adjusted.Document == "" {
		on.name = on.kind + "/" + e.Stream + "/" + strconv.FormatInt(e.Revision, 10)
	}
	l.addLine(on, adjusted.SKU, 1, adjusted.Change, unit.Zero(unit.Currency(l.shop.Currency)))
}

// number is the document's reference. If it has none, it is the id in its name: o-1 for the
// document order/o-1.
func (d *document) number(name string) string {
	if d.reference != "" {
		return d.reference
	}
	_, id, _ := strings.Cut(name, "/")
	return id
}
