package commands_test

import (
	"errors"
	"fmt"
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/money/giftcard"
	"daybook/domain/order"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// issuedCards are the cards that order o has sold, by unit.
func (s *shop) issuedCards(store *memory.Store) map[int]giftcard.ID {
	s.T.Helper()
	cards := map[int]giftcard.ID{}
	for e, err := range store.ReadAll(s.T.Context(), eventstore.Start, eventstore.Filter{TypePrefixes: []string{"giftcard.issued"}}, 0) {
		s.Must(err)
		event, err := giftcard.Decode(e.Type, e.Data)
		s.Must(err)
		if issued, is := event.(giftcard.Issued); is && issued.Sold != nil {
			cards[issued.Sold.Unit] = issued.ID
		}
	}
	return cards
}

// Somebody buys two gift cards of 25.00 and spends 10.00 of the second. Then its purchase is
// canceled, and later that of the other, or both at once. What was left goes back, and what was
// spent does not, wherever the driver dies.
func TestWhatIsSpentOfAGiftCardIsNotGivenBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ask                   order.Command
		owed, toReturn, under string
		first                 bool // the first card is still good
	}{
		"one":  {order.CancelLines{Lines: []order.LineQuantity{{Line: 1, Quantity: 1}}, Reason: "not needed"}, "35", "15", "0", true},
		"both": {order.Cancel{Reason: "not needed"}, "10", "0", "40", false},
	} {
		for appends := 1; ; appends++ {
			store := soldTwoCards(t)
			s := withCodes(t, store)
			s.Must(s.FinishOrder(t.Context(), shoptest.NewCall().Meta, "o"))
			cards := s.issuedCards(store)
			s.Sell("MUG", 10)
			s.fill("c2", 4)
			ask := commands.CheckoutRequest{CartID: "c2", OrderID: "o2", GiftCards: []giftcard.ID{cards[2]}, After: &commands.AfterPlacing{Call: shoptest.NewCall(), Confirm: true}}
			if _, err := s.Checkout(t.Context(), shoptest.NewCall(), ask); err != nil {
				t.Fatal(err)
			}
			spent := s.card(cards[2]).Redeemed
			if !spent.Equal(gbp("10")) {
				t.Fatalf("%s are spent", spent)
			}
			dying := withCodes(t, &shoptest.Mortal{Store: stepwise(store), Left: appends})
			_, died := dying.Order(t.Context(), shoptest.NewCall(), "o", c.ask)
			if died != nil && !errors.Is(died, shoptest.ErrDead) {
				t.Fatal(died)
			}
			s = withCodes(t, store)
			recoverFrom(t, s)
			s.Must(s.FinishOrder(t.Context(), shoptest.NewCall().Meta, "o"))
			when := fmt.Sprintf("%s, dead after %d appends", name, appends)
			of := s.OrderState("o")
			if !of.Owed().Equal(gbp(c.owed)) || !of.ToReturn().Equal(gbp(c.toReturn)) || !of.InFlight().Equal(gbp(c.under)) {
				t.Fatalf("%s: %s owed, %s to return, %s under way; want %s, %s, %s", when, of.Owed(), of.ToReturn(), of.InFlight(), c.owed, c.toReturn, c.under)
			}
			if second := s.card(cards[2]); !second.Disabled || second.Balance.Sign() != 0 {
				t.Fatalf("%s: the second card has %s", when, second.Balance)
			}
			if first := s.card(cards[1]); first.Disabled == c.first {
				t.Fatalf("%s: the first card has ended: %t", when, first.Disabled)
			}
			head, err := store.Head(t.Context())
			s.Must(err)
			s.Must(s.FinishOrder(t.Context(), shoptest.NewCall().Meta, "o"))
			if again, err := store.Head(t.Context()); err != nil || again != head {
				t.Fatalf("%s: finishing it again records something", when)
			}
			if died == nil {
				break
			}
		}
	}
}

// A purchase is undone before the driver of the order has issued the card. Then it is never issued.
func TestACardWhosePurchaseWasUndoneIsNeverIssued(t *testing.T) {
	t.Parallel()
	store := soldTwoCards(t)
	s := withCodes(t, store)
	dying := withCodes(t, &shoptest.Mortal{Store: stepwise(store), Left: 1})
	if _, err := dying.Order(t.Context(), shoptest.NewCall(), "o", order.Cancel{Reason: "not needed"}); !errors.Is(err, shoptest.ErrDead) {
		t.Fatal(err)
	}
	s.Must(s.FinishOrder(t.Context(), shoptest.NewCall().Meta, "o"))
	s.Must(s.IssueSold(t.Context(), shoptest.NewCall().Meta, giftcard.Sold{OrderID: "o", Line: 1, Unit: 1}, gbp("25")))
	if cards := s.issuedCards(store); len(cards) > 0 {
		t.Errorf("%d cards are issued", len(cards))
	}
	if of := s.OrderState("o"); of.Owed().Sign() != 0 || !of.InFlight().Equal(gbp("50")) {
		t.Errorf("%s owed, %s under way; want all of it back", of.Owed(), of.InFlight())
	}
}
