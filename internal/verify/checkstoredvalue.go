package verify

import (
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/money/coupon"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/promotion"
	"daybook/domain/order"
	"daybook/domain/unit"
)

// This file folds gift cards, credit accounts, promotions and codes with code of its own. Each
// event has to follow from those before it: no card gives more than it has, and no promotion is
// used more often than its limit allows.

// storedValue is a gift card or a credit account. state is the domain's fold, for the document that
// the view keeps of it. All else is folded here.
type storedValue struct {
	state giftcard.State

	customer          unit.CustomerID
	soldIn            unit.OrderID
	issued            decimal.Decimal // what came in, in all
	expiresAt         time.Time       // zero: never
	expired, disabled bool
	issuedAt          time.Time // effective
	last              lastEvent

	kind     giftcard.Kind
	currency unit.Currency
	balance  decimal.Decimal
	held     map[unit.OrderID]decimal.Decimal
	redeemed map[unit.OrderID]decimal.Decimal
}

func (s *storedValue) free() decimal.Decimal {
	return s.balance.Sub(s.heldInAll())
}

func (b *Book) foldGiftCard(e *event, value giftcard.Event) {
	card := b.stored[e.Stream]
	issued, issues := value.(giftcard.Issued)
	if _, ends := value.(giftcard.Disabled); ends && card == nil {
		return // its purchase was undone before it was issued
	}
	if again := card != nil && card.kind == giftcard.Account; !issues || !again { // a credit account gets more
		if !b.checkBeginning(e, issues, card != nil) {
			return
		}
	}
	if card == nil {
		card = &storedValue{kind: issued.Kind, currency: issued.Amount.Currency, held: map[unit.OrderID]decimal.Decimal{}, redeemed: map[unit.OrderID]decimal.Decimal{}}
		card.customer, card.issuedAt = issued.CustomerID, e.at
		if issued.Sold != nil {
			card.soldIn = issued.Sold.OrderID
		}
		b.stored[e.Stream] = card
	}
	card.state, card.last = giftcard.Evolve(card.state, value), e.lastEvent()
	if fault := card.fold(value); fault != "" {
		b.report(e, fault)
	}
}

// status is the word that the view has for how far a card is.
func (s *storedValue) status() string {
	switch {
	case s.disabled:
		return "disabled"
	case s.expired:
		return "expired"
	}
	return "active"
}

// heldInAll is what is set aside for orders.
func (s *storedValue) heldInAll() (sum decimal.Decimal) {
	for _, amount := range s.held {
		sum = sum.Add(amount)
	}
	return sum
}

// fold folds an event. The result says why it does not follow from those before it; empty: it does.
func (s *storedValue) fold(value giftcard.Event) (fault string) {
	more := func(amount unit.Money, sign int64) {
		if amount.Sign() < 0 || amount.Currency != s.currency {
			fault = fmt.Sprintf("its amount is %s, on a card in %s", amount, s.currency)
		}
		s.balance = s.balance.Add(amount.Amount.Mul(decimal.NewFromInt(sign)))
	}
	switch value := value.(type) {
	case giftcard.Issued:
		more(value.Amount, 1)
		s.issued, s.expiresAt, s.expired = s.issued.Add(value.Amount.Amount), value.ExpiresAt, false
	case giftcard.CreditedBack:
		more(value.Amount, 1)
	case giftcard.Held:
		if free := s.free(); value.Amount.Amount.GreaterThan(free) || value.Amount.Currency != s.currency {
			fault = fmt.Sprintf("it holds %s, and %s are free", value.Amount, unit.Money{Amount: free, Currency: s.currency})
		}
		s.held[value.OrderID] = value.Amount.Amount
	case giftcard.Redeemed:
		held, holds := s.held[value.OrderID]
		if more(value.Amount, -1); !holds || value.Amount.Amount.GreaterThan(held) {
			fault = fmt.Sprintf("it redeems %s for order %s, and %s are held for it", value.Amount, value.OrderID, held)
		}
		delete(s.held, value.OrderID)
		s.redeemed[value.OrderID] = s.redeemed[value.OrderID].Add(value.Amount.Amount)
	case giftcard.Released:
		if _, holds := s.held[value.OrderID]; !holds {
			fault = fmt.Sprintf("nothing is held for order %s", value.OrderID)
		}
		delete(s.held, value.OrderID)
	case giftcard.Expired:
		more(value.Amount, -1)
		s.expired = true
	case giftcard.Disabled:
		more(value.Amount, -1)
		s.disabled = true
	case giftcard.CodeShown:
	}
	if fault == "" && s.free().Sign() < 0 {
		fault = fmt.Sprintf("%s are missing on it", unit.Money{Amount: s.free().Neg(), Currency: s.currency})
	}
	return fault
}

// checkHolds compares what gift cards and promotions have for orders with what the orders have of
// them: an order that is not pending holds nothing any more, and has recorded what cards have paid.
// An order with open steps is not compared.
func (b *Book) checkHolds(check *Check) {
	settled := func(id unit.OrderID) *Order {
		if o := b.Orders[id]; o != nil && len(o.Unsettled) == 0 {
			return o
		}
		return nil
	}
	ended := func(stream string, id unit.OrderID) {
		if o := settled(id); o != nil && o.Status != order.StatusPending {
			check.differ("order %s is %s, and %s still holds something for it", id, o.Status, stream)
		}
	}
	for _, stream := range sorted(b.stored) {
		card := b.stored[stream]
		for _, id := range sorted(card.held) {
			ended(stream, id)
		}
		for _, id := range sorted(card.redeemed) {
			if o := settled(id); o != nil {
				of := order.GiftCardPayment(id, cart.HoldID(strings.TrimPrefix(stream, giftcard.Stream(""))))
				if paid, _ := o.Transaction(of); !paid.Amount.Amount.Equal(card.redeemed[id]) {
					check.differ("%s has paid %s for order %s, which has recorded %s", stream, card.redeemed[id], id, paid.Amount.Amount)
				}
			}
		}
	}
	for _, stream := range sorted(b.uses) {
		for _, id := range sorted(b.uses[stream].held) {
			ended(stream, id)
		}
	}
}

// bookStored books what an event of a gift card changes in the report of what cards have.
func (r *reports) bookStored(day time.Time, value giftcard.Event) {
	book := func(kind string, amount unit.Money, sign int64) {
		sum := at(r.stored, reportStored{day.Format(time.DateOnly), kind, string(amount.Currency)})
		sum.transactions++
		sum.amount = sum.amount.Add(amount.Amount.Mul(decimal.NewFromInt(sign)))
	}
	switch value := value.(type) { //nolint:gochecksumtype // the others move no money
	case giftcard.Issued:
		book("issued", value.Amount, 1)
	case giftcard.CreditedBack:
		book("credited_back", value.Amount, 1)
	case giftcard.Redeemed:
		book("redeemed", value.Amount, -1)
	case giftcard.Expired:
		book("expired", value.Amount, -1)
	case giftcard.Disabled:
		book("disabled", value.Amount, -1)
	}
}

// uses are those of a promotion, or of one customer.
type uses struct {
	limit     int // 0: none
	active    bool
	ended     bool
	held      map[unit.OrderID]bool
	committed int
}

func (b *Book) foldPromotion(e *event, id string, value promotion.Event) {
	u := b.uses[e.Stream]
	created, begins := value.(promotion.Created)
	if !strings.HasPrefix(e.Stream, promotion.CustomerCategory+"-") && !b.checkBeginning(e, begins, u != nil) {
		return
	}
	if u == nil {
		u = &uses{held: map[unit.OrderID]bool{}}
		b.uses[e.Stream] = u
	}
	if begins && created.ID != id {
		b.report(e, fmt.Sprintf("it begins %q in the stream of %q", created.ID, id))
	}
	if fault := u.fold(value); fault != "" {
		b.report(e, fault)
	}
}

func (u *uses) fold(value promotion.Event) (fault string) {
	switch value := value.(type) {
	case promotion.Created:
		u.limit = value.Limits.Uses
	case promotion.Changed:
		u.limit = value.Limits.Uses
	case promotion.Activated:
		fault = u.activate(true)
	case promotion.Deactivated:
		fault = u.activate(false)
	case promotion.Ended:
		if u.ended {
			fault = "it comes after the end"
		}
		u.active, u.ended = false, true
	case promotion.CodesRequested: // what became of the codes is in their own streams
	case promotion.UseHeld:
		switch {
		case u.held[value.OrderID]:
			fault = fmt.Sprintf("order %s holds a use already", value.OrderID)
		case u.limit > 0 && len(u.held)+u.committed >= u.limit:
			fault = fmt.Sprintf("all %d uses are taken", u.limit)
		case u.ended:
			fault = "it comes after the end"
		}
		u.held[value.OrderID] = true
	case promotion.UseCommitted:
		fault = u.drop(value.OrderID)
		u.committed++
	case promotion.UseExpired:
		fault = u.drop(value.OrderID)
	case promotion.UseReleased:
		if !value.Committed {
			return u.drop(value.OrderID)
		}
		if u.committed--; u.committed < 0 {
			u.committed, fault = 0, "it gives a use back, and none is final"
		}
	}
	return fault
}

func (u *uses) activate(active bool) (fault string) {
	if u.active == active || u.ended {
		fault = fmt.Sprintf("it is active: %t, and has ended: %t", u.active, u.ended)
	}
	u.active = active
	return fault
}

func (u *uses) drop(order unit.OrderID) (fault string) {
	if !u.held[order] {
		fault = fmt.Sprintf("order %s holds no use", order)
	}
	delete(u.held, order)
	return fault
}

// foldCoupon folds an event of a code: it belongs to at most one promotion at a time.
func (b *Book) foldCoupon(e *event, value coupon.Event) {
	switch value := value.(type) {
	case coupon.Given:
		if of := b.codes[e.Stream]; of != "" {
			b.report(e, fmt.Sprintf("the code belongs to promotion %q", of))
		}
		b.codes[e.Stream] = value.Promotion
	case coupon.Withdrawn:
		if of := b.codes[e.Stream]; of != value.Promotion || of == "" {
			b.report(e, fmt.Sprintf("the code belongs to promotion %q", of))
		}
		b.codes[e.Stream] = ""
	}
}
