package reactor

import (
	"time"

	"daybook/domain/money/giftcard"
	"daybook/domain/money/promotion"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// The tracker sets a timer for each hold of a promotion or a gift card. Usually the hold ends with
// its order before the timer is due. If a driver was slow, and took a hold after its checkout had
// ended, the timer finds it.

// promotion notes the holds of promotions, and of the uses of one customer.
func (t *tracker) promotion(e eventstore.Recorded, decode func(string, []byte) (promotion.Event, error)) error {
	event, err := eventstore.Decode(&e, decode)
	if err != nil {
		return err
	}
	switch event := event.(type) {
	case promotion.UseHeld:
		t.held(e.Stream, event.OrderID, event.ExpiresAt)
	case promotion.UseCommitted:
		t.timers.remove(holdDeadline(e.Stream, event.OrderID))
	case promotion.UseReleased:
		t.timers.remove(holdDeadline(e.Stream, event.OrderID))
	case promotion.UseExpired:
		t.timers.remove(holdDeadline(e.Stream, event.OrderID))
	case promotion.Created, promotion.Changed, promotion.Activated, promotion.Deactivated, promotion.Ended, promotion.CodesRequested:
		// These hold nothing.
	}
	return nil
}

// giftCard notes the holds of gift cards, and until when a card is good.
func (t *tracker) giftCard(e eventstore.Recorded) error {
	event, err := eventstore.Decode(&e, giftcard.Decode)
	if err != nil {
		return err
	}
	switch event := event.(type) {
	case giftcard.Issued:
		if event.ExpiresAt.IsZero() {
			t.timers.remove(giftCardDeadline(e.Stream))
		} else {
			t.setTimer(Timer{Deadline: giftCardDeadline(e.Stream), DueAt: event.ExpiresAt})
		}
	case giftcard.Held:
		t.held(e.Stream, event.OrderID, event.ExpiresAt)
	case giftcard.Redeemed:
		t.timers.remove(holdDeadline(e.Stream, event.OrderID))
	case giftcard.Released:
		t.timers.remove(holdDeadline(e.Stream, event.OrderID))
	case giftcard.Expired, giftcard.Disabled:
		t.timers.remove(giftCardDeadline(e.Stream))
	case giftcard.CodeShown, giftcard.CreditedBack:
		// These hold nothing, and the card is good as long as before.
	}
	return nil
}

// holdGrace is how long after its deadline a hold is looked at. The order has the same deadline,
// and nearly always ends first.
const holdGrace = time.Minute

func (t *tracker) held(stream string, id unit.OrderID, until time.Time) {
	t.setTimer(Timer{Deadline: holdDeadline(stream, id), DueAt: until.Add(holdGrace)})
}
