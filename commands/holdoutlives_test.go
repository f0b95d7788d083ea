package commands_test

import (
	"errors"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// An order is put on hold, and its deadline passes. Its reservation of stock ends then, and others
// may buy the goods. Its use of a code and its money of a gift card stay set aside until the order
// has ended. So nothing is sold twice, no code is used twice, and no money is lost, whatever the
// release of the hold decides.
func TestAHoldThatOutlivesWhatTheOrderHolds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		paid, sold bool // the rest of the order is paid; the goods are sold to somebody else
		status     order.Status
		uses       int    // of the code in the end
		card       string // what the gift card has in the end
		kept       string
	}{
		"paid, and the goods are there":   {true, false, order.StatusConfirmed, 1, "0.00 GBP", "22.50 GBP"},
		"paid, and the goods are sold":    {true, true, order.StatusCanceled, 0, "4.00 GBP", "0.00 GBP"},
		"unpaid, and the goods are there": {false, false, order.StatusExpired, 0, "4.00 GBP", "0.00 GBP"},
		"unpaid, and the goods are sold":  {false, true, order.StatusExpired, 0, "4.00 GBP", "0.00 GBP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEachRecording(t, func(t *testing.T, store eventstore.Store) {
				s := openBank(t).node(store)
				s.Sell("MUG", 10)
				s.promote("few", pricing.Limits{Uses: 1}, nil)
				id := s.issue("4")
				s.fill("c", 9)
				ask := commands.CheckoutRequest{CartID: "c", OrderID: "o", Uses: uses("few", "0.00"), Expect: commands.Expectation{Unpriced: true}, GiftCards: []giftcard.ID{id}}
				result, err := s.Checkout(t.Context(), shoptest.NewCall(), ask)
				s.Must(errors.Join(err, result.Refusal()))
				if test.paid {
					s.captures("18.50")
				}
				_, err = s.Order(t.Context(), shoptest.NewCall(), "o", order.Hold{Reason: "review"})
				s.Must(err)
				after := s.OrderState("o").ConfirmBy.Add(time.Hour)
				s.timers(after, id)
				if s.OrderState("o").Status != order.StatusPending || s.Available("MUG") != 10 || len(s.promotion("few").Held) != 1 || len(s.card(id).Held) != 1 {
					t.Fatalf("on hold the order is %s, %d mugs are free, %d uses and %d holds of the card", s.OrderState("o").Status, s.Available("MUG"), len(s.promotion("few").Held), len(s.card(id).Held))
				}
				for cart, want := range map[unit.CartID]error{"with-code": promotion.ErrExhausted, "with-card": giftcard.ErrInsufficient} {
					s.fill(cart, 2)
					other := commands.CheckoutRequest{CartID: cart, Expect: commands.Expectation{Unpriced: true}}
					if cart == "with-code" {
						other.Uses = uses("few", "0.25")
					} else {
						other.GiftCards = []giftcard.ID{id}
					}
					result, err := s.Checkout(t.Context(), shoptest.NewCall(), other)
					if err == nil {
						err = result.Refusal()
					}
					if !errors.Is(err, want) {
						t.Errorf("%s: %v, want %v", cart, err, want)
					}
				}
				if test.sold {
					s.fill("d", 2)
					s.Must(s.PlaceOrder("d", "quick"))
					_, err := s.Order(t.Context(), shoptest.NewCall(), "quick", order.Confirm{Now: s.Now()})
					s.Must(err)
				}
				_, err = s.Order(t.Context(), shoptest.NewCall(), "o", order.ReleaseHold{Now: after})
				s.Must(err)
				recoverFrom(t, s)
				s.timers(after, id)
				s.settleAll("o")
				now, few, card := s.OrderState("o"), s.promotion("few"), s.card(id)
				if now.Status != test.status || few.Uses() != test.uses || len(few.Held) != 0 || len(card.Held) != 0 || card.Balance.String() != test.card || now.Kept().String() != test.kept {
					t.Errorf("the order is %s and keeps %s; the code has %d uses, %d held; the card has %s, %d held", now.Status, now.Kept(), few.Uses(), len(few.Held), card.Balance, len(card.Held))
				}
				sold := s.allocated("o", "MUG")
				if test.sold {
					sold += s.allocated("quick", "MUG")
				}
				if sold > 10 || s.Available("MUG") != 10-sold || len(now.Unsettled) > 0 || now.NeedsAttention() && test.status != order.StatusCanceled {
					t.Errorf("%d mugs are sold and %d are free, of 10; open %+v, attention %v", sold, s.Available("MUG"), now.Unsettled, now.Attention())
				}
				s.auditLater()
			})
		})
	}
}

// timers lets the timers of a shop with one order "o", one promotion "few" and one gift card act.
func (s *shop) timers(now time.Time, card giftcard.ID) {
	s.T.Helper()
	for some := true; some; {
		var err error
		some, err = s.ExpireReservations(s.T.Context(), shoptest.NewCall().Meta, shoptest.Key("MUG"), now)
		s.Must(err)
	}
	s.Must(s.ExpireOrder(s.T.Context(), shoptest.NewCall().Meta, "o", now))
	for _, stream := range []string{promotion.Stream("few"), giftcard.Stream(card)} {
		_, err := s.FollowHold(s.T.Context(), shoptest.NewCall().Meta, stream, "o", now)
		s.Must(err)
	}
}

// settleAll lets a person pay out what of an order's refunds no provider pays.
func (s *shop) settleAll(id unit.OrderID) {
	s.T.Helper()
	for _, refund := range s.OrderState(id).Refunds {
		for _, part := range refund.Parts {
			if part.Open() {
				_, err := s.Order(s.T.Context(), shoptest.NewCall(), id, order.SettleRefund{RefundID: refund.ID, PartID: part.ID, Latest: true, State: order.RefundSucceeded})
				s.Must(err)
			}
		}
	}
}
