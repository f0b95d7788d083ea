package moneyview

import (
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/order"
)

// The kinds of rows of orders taken. All amounts of a kind are of one sign, as a rule: what was
// placed is above zero, what was taken off is below.
const (
	Placed   = "placed"
	Canceled = "canceled"
	Returned = "returned"
	Reduced  = "reduced"
	// WrittenOff and Gain are differences between what was paid and what was owed that somebody
	// ended.
	WrittenOff = "written_off"
	Gain       = "kept_as_gain"
	// Beyond is what was taken off an order although it did not owe it any more: nobody owes less
	// than nothing. Examples are a cancel after a write-off, and a discount above the price in an
	// order of an older program.
	Beyond = "beyond_owed"
)

// Kinds are all of them.
var Kinds = []string{Placed, Canceled, Returned, Reduced, WrittenOff, Gain, Beyond}

type itemKey struct {
	day, kind string
	party
	item
}

type promotionKey struct {
	day, kind string
	party
	promoted
}

type taxKey struct {
	day, kind, entity, country, currency string
	taxed
}

type paymentKey struct {
	day, entity, channel, currency string
	payment
}

// Ledger adds up the differences that the events of a batch make.
type Ledger struct {
	days       *time.Location
	items      map[itemKey]*amounts
	promotions map[promotionKey]*decimal.Decimal
	taxes      map[taxKey]*taxAmount
	payments   map[paymentKey]*moved
}

// NewLedger is an empty ledger. days is the time zone of the merchant's days.
func NewLedger(days *time.Location) *Ledger {
	return &Ledger{
		days: days, items: map[itemKey]*amounts{}, promotions: map[promotionKey]*decimal.Decimal{},
		taxes: map[taxKey]*taxAmount{}, payments: map[paymentKey]*moved{},
	}
}

// Before is what an order amounted to before an event.
type Before struct {
	kind                     string // empty: the event changes no money
	goods                    goods
	payments                 []row[payment, moved]
	writtenOff, gain, beyond decimal.Decimal
}

// Note is called before an event is folded. A nil ledger notes and books nothing.
func (l *Ledger) Note(s order.State, event order.Event) Before {
	if l == nil {
		return Before{}
	}
	b := Before{kind: kindOf(event)}
	if b.kind == "" {
		return b
	}
	b.goods, b.payments = goodsOf(s), paymentsOf(s)
	b.writtenOff, b.gain, b.beyond = differencesOf(s)
	return b
}

// kindOf is how the change of an order's items is booked; empty if the event changes no money.
func kindOf(event order.Event) string {
	switch event := event.(type) {
	case order.Placed:
		return Placed
	case order.LinesCanceled, order.Canceled, order.Expired:
		return Canceled
	case order.Credited:
		if event.Cause == order.CreditForReduction {
			return Reduced
		}
		return Returned
	case order.ReturnReleased:
		return Returned
	case order.TransactionRecorded, order.TransactionSettled, order.RefundClaimed, order.RefundSettled, order.RefundExplained, order.DifferenceWrittenOff:
		return Returned // the refund of a return that has no credit stands for one
	case order.Claimed, order.Confirmed, order.PutOnHold, order.HoldReleased, order.TransactionUnreadable, order.RefundRequested,
		order.RefundSubmitted, order.ReturnRefundRefused, order.DeadlineExtended, order.Shipped, order.Delivered, order.Completed,
		order.StockSettled, order.AllocationFailed, order.AllocationRetried, order.AllocationRecovered, order.PaymentOrphaned,
		order.ReturnAdmitted, order.TakenOver, order.Archived, order.Unarchived:
	}
	return ""
}

// Book books what has changed since Note. s is the order after the event, and when is the event's
// effective time.
func (l *Ledger) Book(b Before, s order.State, channel string, when time.Time) {
	if b.kind == "" {
		return
	}
	of, day := partyOf(s, channel), when.In(l.days).Format(time.DateOnly)
	l.bookGoods(day, b.kind, of, goodsOf(s), 1)
	l.bookGoods(day, b.kind, of, b.goods, -1)
	l.bookPayments(day, of, paymentsOf(s), 1)
	l.bookPayments(day, of, b.payments, -1)
	writtenOff, gain, beyond := differencesOf(s)
	for _, d := range []row[string, decimal.Decimal]{
		{WrittenOff, writtenOff.Sub(b.writtenOff)}, {Gain, gain.Sub(b.gain)}, {Beyond, beyond.Sub(b.beyond)},
	} {
		if !d.value.IsZero() {
			entry(l.items, itemKey{day, d.key, of, item{charge: Difference}}).add(amounts{net: d.value})
		}
	}
}

// bookGoods adds goods to the sums, or takes them off with sign -1.
func (l *Ledger) bookGoods(day, kind string, of party, g goods, sign int64) {
	factor := decimal.NewFromInt(sign)
	for _, r := range g.items {
		a := r.value
		if sign < 0 {
			a = a.negated()
		}
		entry(l.items, itemKey{day, kind, of, r.key}).add(a)
	}
	for _, r := range g.promotions {
		sum := entry(l.promotions, promotionKey{day, kind, of, r.key})
		*sum = sum.Add(r.value.Mul(factor))
	}
	for _, r := range g.taxes {
		entry(l.taxes, taxKey{day, kind, of.entity, of.country, of.currency, r.key}).add(taxAmount{r.value.base.Mul(factor), r.value.tax.Mul(factor)})
	}
}

func (l *Ledger) bookPayments(day string, of party, all []row[payment, moved], sign int64) {
	for _, r := range all {
		entry(l.payments, paymentKey{day, of.entity, of.channel, of.currency, r.key}).
			add(moved{sign * r.value.count, r.value.amount.Mul(decimal.NewFromInt(sign))})
	}
}

// entry returns the sum under a key, which it adds if it is missing.
func entry[K comparable, V any](sums map[K]*V, key K) *V {
	if sums[key] == nil {
		sums[key] = new(V)
	}
	return sums[key]
}
