package moneyview

import (
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/money/giftcard"
	"daybook/domain/order"
	"daybook/domain/unit"
)

// The kinds of rows of orders taken. All amounts of a kind are of one sign, as a rule: what was
// placed is above zero, what was taken off is below.
const (
	Placed   = "placed"
	Canceled = "canceled"
	Returned = "returned"
	Reduced  = "reduced"
	Added    = "added" // surcharges, and discounts that were taken back
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
var Kinds = []string{Placed, Canceled, Returned, Reduced, Added, WrittenOff, Gain, Beyond}

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

type storedKey struct{ day, kind, currency string }

// Ledger adds up the differences that the events of a batch make.
type Ledger struct {
	days       *time.Location
	items      map[itemKey]amounts
	promotions map[promotionKey]off
	taxes      map[taxKey]taxAmount
	payments   map[paymentKey]moved
	stored     map[storedKey]moved
}

// NewLedger is an empty ledger. days is the time zone of the merchant's days.
func NewLedger(days *time.Location) *Ledger {
	return &Ledger{
		days: days, items: map[itemKey]amounts{}, promotions: map[promotionKey]off{},
		taxes: map[taxKey]taxAmount{}, payments: map[paymentKey]moved{},
		stored: map[storedKey]moved{},
	}
}

// Before is what an order amounted to before an event.
type Before struct {
	kind        string // empty: the event changes no money
	goods       goods
	payments    []row[payment, moved]
	differences []row[string, amounts]
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
	b.differences = differencesOf(s, b.goods)
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
		switch event.Cause {
		case order.CreditForReduction, order.CreditForCharge:
			return Reduced
		case order.CreditForParcel: // the buyer has never had the goods
			return Canceled
		case order.CreditForReturn:
		}
		return Returned
	case order.ChargeAdded:
		return Added
	case order.ReturnReleased:
		return Returned
	case order.TransactionRecorded, order.TransactionSettled, order.RefundClaimed, order.RefundSettled, order.RefundExplained, order.DifferenceWrittenOff:
		return Returned // the refund of a return that has no credit stands for one
	case order.Claimed, order.Confirmed, order.PutOnHold, order.HoldReleased, order.TransactionUnreadable, order.RefundRequested,
		order.RefundSubmitted, order.ReturnRefundRefused, order.DeadlineExtended, order.Shipped, order.Delivered, order.ParcelReported, order.ParcelBack, order.ParcelResent, order.Completed,
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
	goods := goodsOf(s)
	change(l.items, goods.items, b.goods.items, func(k item) itemKey { return itemKey{day, b.kind, of, k} })
	change(l.promotions, goods.promotions, b.goods.promotions, func(k promoted) promotionKey { return promotionKey{day, b.kind, of, k} })
	change(l.taxes, goods.taxes, b.goods.taxes, func(k taxed) taxKey { return taxKey{day, b.kind, of.entity, of.country, of.currency, k} })
	change(l.payments, paymentsOf(s), b.payments, func(k payment) paymentKey { return paymentKey{day, of.entity, of.channel, of.currency, k} })
	change(l.items, differencesOf(s, goods), b.differences, func(kind string) itemKey { return itemKey{day, kind, of, item{charge: Difference}} })
}

// quantity is what a row adds up.
type quantity[V any] interface {
	plus(V) V
	negated() V
	isZero() bool
}

// change adds the difference between after and before to the sums, for each key that an event
// changes. So which rows there are does not depend on the batches in which events come.
func change[K, R comparable, V quantity[V]](sums map[R]V, after, before []row[K, V], under func(K) R) {
	changes := make(map[K]V, len(after))
	for _, r := range after {
		changes[r.key] = changes[r.key].plus(r.value)
	}
	for _, r := range before {
		changes[r.key] = changes[r.key].plus(r.value.negated())
	}
	for key, value := range changes {
		if !value.isZero() {
			sums[under(key)] = sums[under(key)].plus(value)
		}
	}
}

// BookStored books what an event changes on a gift card or a credit account. Each event says by how
// much, so no fold is needed.
func (l *Ledger) BookStored(event giftcard.Event, when time.Time) {
	var kind string
	var amount unit.Money
	sign := int64(-1)
	switch event := event.(type) {
	case giftcard.Issued:
		kind, amount, sign = "issued", event.Amount, 1
	case giftcard.CreditedBack:
		kind, amount, sign = "credited_back", event.Amount, 1
	case giftcard.Redeemed:
		kind, amount = "redeemed", event.Amount
	case giftcard.Expired:
		kind, amount = "expired", event.Amount
	case giftcard.Disabled:
		kind, amount = "disabled", event.Amount
	case giftcard.CodeShown, giftcard.Held, giftcard.Released:
		return
	}
	key := storedKey{when.In(l.days).Format(time.DateOnly), kind, string(amount.Currency)}
	l.stored[key] = l.stored[key].plus(moved{1, amount.Amount.Mul(decimal.NewFromInt(sign))})
}
