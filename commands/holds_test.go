package commands_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/domain/contact"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// onEachRecording runs a test with the engines that record a whole checkout in one append, and with
// one that goes step by step.
func onEachRecording(t *testing.T, test func(t *testing.T, store eventstore.Store)) {
	t.Helper()
	onIndexedStores(t, test)
	t.Run("step by step", func(t *testing.T) {
		t.Parallel()
		test(t, stepwise(memory.New()))
	})
}

func gbp(text string) unit.Money {
	m, err := unit.ParseMoney(text, "GBP")
	if err != nil {
		panic(err)
	}
	return m
}

// withCodes opens a shop that can make codes.
func withCodes(t *testing.T, store eventstore.Store) *shop {
	t.Helper()
	s := open(t, store, commands.DefaultPolicy())
	s.Secrets = commands.NewSecrets([]byte("32 bytes that nobody else knows."))
	return s
}

// promote makes a promotion with limits.
func (s *shop) promote(id string, limits pricing.Limits, more func(*promotion.Define)) {
	s.T.Helper()
	percent, _ := unit.ParsePercent("10")
	d := promotion.Define{ID: id, Kind: pricing.Automatic, Class: pricing.OrderClass, Active: true, Terms: promotion.Terms{
		Title: id, Action: pricing.Action{Type: pricing.PercentOff, Percent: percent}, Limits: limits,
	}}
	if more != nil {
		more(&d)
	}
	_, err := s.Promotion(s.T.Context(), shoptest.NewCall(), id, d)
	s.Must(err)
}

func (s *shop) promotion(id string) (state promotion.State) {
	s.T.Helper()
	s.Must(s.ViewPromotion(s.T.Context(), id, func(now promotion.State, _ int64) { state = now.Clone() }))
	return state
}

func (s *shop) issue(amount string) giftcard.ID {
	s.T.Helper()
	id, _, _, err := s.IssueGiftCard(s.T.Context(), shoptest.NewCall(), commands.NewGiftCard{Amount: gbp(amount)})
	s.Must(err)
	return id
}

func (s *shop) card(id giftcard.ID) (state giftcard.State) {
	s.T.Helper()
	s.Must(s.ViewGiftCard(s.T.Context(), id, func(now giftcard.State, _ int64) { state = now.Clone() }))
	return state
}

// fill opens a cart with mugs at 2.50.
func (s *shop) fill(id unit.CartID, mugs unit.Quantity) {
	s.T.Helper()
	s.Must(s.FillCart(id, map[unit.SKU]unit.Quantity{"MUG": mugs}))
}

func uses(id, amount string) []commands.Use {
	return []commands.Use{{Promotion: id, Amount: gbp(amount)}}
}

// 64 buyers want the last uses of a promotion at once. Exactly as many get one as there are, the
// others are told, and the uses of canceled orders can be used again.
func TestOnlyAsManyBuyersUseAPromotionAsItHasUses(t *testing.T) {
	t.Parallel()
	onEachRecording(t, func(t *testing.T, store eventstore.Store) {
		s := withCodes(t, store)
		s.Sell("MUG", 1000)
		s.promote("few", pricing.Limits{Uses: 3}, nil)
		buyers := buyAtOnce(t, s, 64, func(i int, ask *commands.CheckoutRequest) { ask.Uses, ask.Expect.Unpriced = uses("few", "0.25"), true })
		placed := buyers.placed()
		if len(placed) != 3 {
			t.Fatalf("%d orders were placed, want 3", len(placed))
		}
		for i, result := range buyers.results {
			if !result.Placed && !errors.Is(result.Refusal(), promotion.ErrExhausted) {
				t.Errorf("buyer %d: %v", i, result.Refusal())
			}
		}
		if now := s.promotion("few"); len(now.Held) != 3 || now.Committed != 0 {
			t.Errorf("%d held, %d committed", len(now.Held), now.Committed)
		}
		_, err := s.Order(t.Context(), shoptest.NewCall(), placed[0], order.Confirm{Now: s.Now()})
		s.Must(err)
		_, err = s.Order(t.Context(), shoptest.NewCall(), placed[1], order.Cancel{})
		s.Must(err)
		s.Must(s.ExpireOrder(t.Context(), shoptest.NewCall().Meta, placed[2], s.Now().Add(time.Hour)))
		if now := s.promotion("few"); len(now.Held) != 0 || now.Committed != 1 {
			t.Errorf("after a confirmation, a cancel and an expiry: %d held, %d committed", len(now.Held), now.Committed)
		}
		_, err = s.Order(t.Context(), shoptest.NewCall(), placed[0], order.Cancel{})
		s.Must(err)
		if now := s.promotion("few"); now.Uses() != 0 {
			t.Errorf("after everything was canceled before shipping, %d uses are left", now.Uses())
		}
		if left := s.Available("MUG"); left != 1000 {
			t.Errorf("%d mugs are available", left)
		}
		for _, id := range placed {
			if open := s.OrderState(id).Unsettled; len(open) != 0 {
				t.Errorf("%s has open steps: %+v", id, open)
			}
		}
	})
}

type boughtAtOnce struct {
	results []commands.CheckoutResult
	errs    []error
}

func (b boughtAtOnce) placed() (ids []unit.OrderID) {
	for _, result := range b.results {
		if result.Placed {
			ids = append(ids, result.OrderID)
		}
	}
	return ids
}

// buyAtOnce lets many buyers check out one mug each at once.
func buyAtOnce(t *testing.T, s *shop, buyers int, how func(i int, ask *commands.CheckoutRequest)) boughtAtOnce {
	t.Helper()
	b := boughtAtOnce{make([]commands.CheckoutResult, buyers), make([]error, buyers)}
	for i := range buyers {
		s.fill(unit.CartID(fmt.Sprintf("c%d", i)), 1)
	}
	start := make(chan struct{})
	var wait sync.WaitGroup
	for i := range buyers {
		wait.Go(func() {
			ask := commands.CheckoutRequest{CartID: unit.CartID(fmt.Sprintf("c%d", i))}
			how(i, &ask)
			<-start
			b.results[i], b.errs[i] = s.Checkout(t.Context(), shoptest.NewCall(), ask)
		})
	}
	close(start)
	wait.Wait()
	return b
}

// 64 buyers want to pay with one gift card at once. It never pays more than it has, and what it has
// paid is what the orders have recorded.
func TestAGiftCardNeverPaysMoreThanItHas(t *testing.T) {
	t.Parallel()
	onEachRecording(t, func(t *testing.T, store eventstore.Store) {
		s := withCodes(t, store)
		s.Sell("MUG", 1000)
		id := s.issue("20") // eight mugs
		buyers := buyAtOnce(t, s, 64, func(i int, ask *commands.CheckoutRequest) {
			ask.GiftCards = []giftcard.ID{id}
			if i%2 == 0 {
				ask.After = &commands.AfterPlacing{Call: shoptest.NewCall(), Confirm: true}
			}
		})
		if n := len(buyers.placed()); n != 8 {
			t.Fatalf("%d orders were placed, want 8", n)
		}
		for i, err := range buyers.errs {
			if err == nil {
				err = buyers.results[i].Refusal()
			}
			if err != nil && !errors.Is(err, giftcard.ErrInsufficient) {
				t.Errorf("buyer %d: %v", i, err)
			}
		}
		paid := gbp("0")
		for _, placed := range buyers.placed() {
			_, err := s.Order(t.Context(), shoptest.NewCall(), placed, order.Confirm{Now: s.Now()})
			s.Must(err)
			now := s.OrderState(placed)
			paid = paid.Plus(now.Captured())
			if now.PaymentState() != order.Paid || len(now.Unsettled) != 0 {
				t.Errorf("order %s is %s, open %+v", placed, now.PaymentState(), now.Unsettled)
			}
		}
		now := s.card(id)
		if now.Balance.Sign() != 0 || len(now.Held) != 0 || !now.Redeemed.Equal(gbp("20")) || !paid.Equal(gbp("20")) {
			t.Errorf("balance %s, %d holds, redeemed %s, orders have %s", now.Balance, len(now.Held), now.Redeemed, paid)
		}
	})
}

// Two cards pay one order, and never more than is due.
func TestTwoGiftCardsPayWhatIsDue(t *testing.T) {
	t.Parallel()
	onEachRecording(t, func(t *testing.T, store eventstore.Store) {
		s := withCodes(t, store)
		s.Sell("MUG", 10)
		one, two := s.issue("3"), s.issue("50")
		s.fill("c", 4)
		result, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c", OrderID: "o", GiftCards: []giftcard.ID{one, two, one}})
		if err != nil || !result.Placed {
			t.Fatal(result, err)
		}
		_, err = s.Order(t.Context(), shoptest.NewCall(), "o", order.CancelLines{Lines: []order.LineQuantity{{Line: 1, Quantity: 1}}}, order.Confirm{Now: s.Now()})
		s.Must(err)
		if a, b := s.card(one), s.card(two); !a.Redeemed.Equal(gbp("3")) || !b.Redeemed.Equal(gbp("4.50")) || len(a.Held)+len(b.Held) != 0 {
			t.Errorf("the cards have paid %s and %s of 7.50", a.Redeemed, b.Redeemed)
		}
		if now := s.OrderState("o"); now.PaymentState() != order.Paid {
			t.Errorf("the order is %s: %+v", now.PaymentState(), now.Transactions)
		}
	})
}

// A customer who has an account, or only an e-mail address, has one use; and one first order, over
// all promotions.
func TestACustomerUsesAPromotionOnce(t *testing.T) {
	t.Parallel()
	onEachRecording(t, func(t *testing.T, store eventstore.Store) {
		s := withCodes(t, store)
		s.Sell("MUG", 1000)
		s.promote("once", pricing.Limits{UsesPerCustomer: 1}, nil)
		first := func(d *promotion.Define) { d.Conditions.FirstOrder = true }
		s.promote("first", pricing.Limits{}, first)
		s.promote("other", pricing.Limits{}, first)
		same, other := contact.Details{Email: "ann@EXAMPLE.com"}, contact.Details{Email: "bob@example.com"}
		for _, step := range []struct {
			cart    unit.CartID
			details contact.Details
			of      string
			want    error
		}{
			{"c1", ann, "once", nil},
			{"c2", same, "once", promotion.ErrUsedByCustomer},
			{"c3", other, "once", nil},
			{"c4", contact.Details{Phone: "+441632960000"}, "once", promotion.ErrCustomerUnknown},
			{"c5", ann, "first", nil},
			{"c6", same, "other", promotion.ErrUsedByCustomer},
			{"c7", other, "other", nil},
		} {
			if err := checkOutAs(t, s, step.cart, step.details, uses(step.of, "0.25")); !errors.Is(err, step.want) {
				t.Errorf("%s uses %s: %v, want %v", step.cart, step.of, err, step.want)
			}
		}
	})
}

// 64 guests with one e-mail address order for the first time at once.
func TestTwoFirstOrdersAtOnceCannotBothWin(t *testing.T) {
	t.Parallel()
	onEachRecording(t, func(t *testing.T, store eventstore.Store) {
		s := withCodes(t, store)
		s.Sell("MUG", 1000)
		for _, id := range []string{"a", "b"} {
			s.promote(id, pricing.Limits{}, func(d *promotion.Define) { d.Conditions.FirstOrder = true })
		}
		buyers := buyAtOnce(t, s, 64, func(i int, ask *commands.CheckoutRequest) {
			ask.Uses, ask.Expect.Unpriced, ask.Details = uses([]string{"a", "b"}[i%2], "0.25"), true, &ann
		})
		if n := len(buyers.placed()); n != 1 {
			t.Errorf("%d first orders, want 1", n)
		}
	})
}

var ann = contact.Details{Email: "Ann@Example.com"}

func checkOutAs(t *testing.T, s *shop, id unit.CartID, details contact.Details, of []commands.Use) error {
	t.Helper()
	s.fill(id, 1)
	result, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: id, Details: &details, Uses: of, Expect: commands.Expectation{Unpriced: true}})
	if err == nil {
		err = result.Refusal()
	}
	return err
}

// The node dies after each number of appends of a checkout with a promotion and a gift card, of
// its confirmation, its cancel or its expiry. Another node finishes the work. Then nothing is held
// for an order that has ended, everything is final for one that is confirmed, and all of it is
// there again otherwise.
func TestHoldsFollowTheirOrderWhereverADriverDies(t *testing.T) {
	t.Parallel()
	ends := map[string]func(s *shop) error{
		"confirm": func(s *shop) error {
			_, err := s.Order(s.T.Context(), shoptest.NewCall(), "o", order.Confirm{Now: s.Now()})
			return err
		},
		"cancel": func(s *shop) error {
			_, err := s.Order(s.T.Context(), shoptest.NewCall(), "o", order.Cancel{})
			return err
		},
		"confirm and cancel": func(s *shop) error {
			_, err := s.Order(s.T.Context(), shoptest.NewCall(), "o", order.Confirm{Now: s.Now()})
			if err == nil {
				_, err = s.Order(s.T.Context(), shoptest.NewCall(), "o", order.Cancel{})
			}
			return err
		},
		"expire": func(s *shop) error {
			return s.ExpireOrder(s.T.Context(), shoptest.NewCall().Meta, "o", s.Now().Add(time.Hour))
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for appends := 1; ; appends++ {
				store := memory.New()
				s := withCodes(t, store)
				s.Sell("MUG", 10)
				s.promote("few", pricing.Limits{Uses: 1, UsesPerCustomer: 1}, nil)
				id := s.issue("4")
				s.fill("c", 2)
				mortal := &shoptest.Mortal{Store: stepwise(store), Left: appends}
				dying := withCodes(t, mortal)
				ask := commands.CheckoutRequest{CartID: "c", OrderID: "o", Details: &ann, Uses: uses("few", "0.50"), Expect: commands.Expectation{Unpriced: true}, GiftCards: []giftcard.ID{id}}
				_, err := dying.Checkout(t.Context(), shoptest.NewCall(), ask)
				if err == nil {
					err = end(dying)
				}
				after := withCodes(t, store)
				recoverFrom(t, after)
				followAll(t, after)
				holdsAgree(t, after, id)
				if err == nil {
					break
				}
				if !errors.Is(err, shoptest.ErrDead) {
					t.Fatalf("after %d appends: %v", appends, err)
				}
				if appends > 60 {
					t.Fatal("it does not end")
				}
				// What the node had begun can go on: the same end, by a node that lives.
				if after.OrderState("o").Status == order.StatusPending {
					after.Must(end(after))
					recoverFrom(t, after) // it gives the money of refunds back
					holdsAgree(t, after, id)
				}
			}
		})
	}
}

// followAll looks at every hold, as its timer would do.
func followAll(t *testing.T, s *shop) {
	t.Helper()
	for e, err := range s.Log.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{TypePrefixes: []string{"promotion.use_held", "customeruse.use_held", "giftcard.held"}}, 0) {
		s.Must(err)
		_, err := s.FollowHold(t.Context(), shoptest.NewCall().Meta, e.Stream, "o", s.Now())
		s.Must(err)
	}
}

// holdsAgree compares what is held with the order "o".
func holdsAgree(t *testing.T, s *shop, id giftcard.ID) {
	t.Helper()
	now, few, card := s.OrderState("o"), s.promotion("few"), s.card(id)
	want := "0 held, 0 committed; card: 0 held, balance 4.00 GBP; order has 0.00 GBP"
	switch now.Status {
	case order.StatusPending:
		want = "1 held, 0 committed; card: 1 held, balance 4.00 GBP; order has 0.00 GBP"
	case order.StatusConfirmed, order.StatusCompleted:
		want = "0 held, 1 committed; card: 0 held, balance 0.00 GBP; order has 4.00 GBP"
	case order.StatusCanceled:
		if now.Captured().Sign() > 0 { // it was confirmed before, so a refund has put the money back on the card
			want = "0 held, 0 committed; card: 0 held, balance 4.00 GBP; order has 4.00 GBP"
			if refunded := now.Returned(); !refunded.Equal(gbp("4")) {
				t.Fatalf("the order has refunded %s of the card's 4.00 GBP: %+v", refunded, now.Refunds)
			}
		}
	case order.StatusExpired, "":
	}
	captured := now.Captured()
	if now.Status == "" {
		captured = gbp("0")
	}
	got := fmt.Sprintf("%d held, %d committed; card: %d held, balance %s; order has %s", len(few.Held), few.Committed, len(card.Held), card.Balance, captured)
	if got != want {
		t.Fatalf("the order is %q:\n got %s\nwant %s", now.Status, got, want)
	}
	if len(now.Unsettled) > 0 {
		t.Fatalf("steps are open: %+v", now.Unsettled)
	}
	if c := s.CartState("c"); c.Phase == cart.Completing {
		t.Fatal("the checkout has no outcome")
	}
}

// soldTwoCards is a log with order o: two gift cards of 25.00, paid and confirmed, and not issued.
func soldTwoCards(t *testing.T) *memory.Store {
	t.Helper()
	store := memory.New()
	line := cart.Line{Number: 1, SKU: "CARD", Kind: unit.Service, Quantity: 2, Price: gbp("25")}
	priced := pricing.PricedLine{Line: 1, SKU: "CARD", Quantity: 2, Price: gbp("25"), GiftCard: true}
	priced.List, priced.Amount, priced.Net, priced.Gross = gbp("50"), gbp("50"), gbp("50"), gbp("50")
	command := uuid.New()
	var events []eventstore.Event
	for i, event := range []order.Event{
		order.Placed{
			OrderID: "o", CartID: "c", Currency: "GBP", Lines: []cart.Line{line}, Total: gbp("50"), Charge: gbp("50"), ConfirmBy: time.Now().Add(time.Hour),
			Quote: &pricing.Quote{Currency: "GBP", Mode: pricing.Inclusive, Lines: []pricing.PricedLine{priced}, Net: gbp("50"), Total: gbp("50")},
		},
		order.TransactionRecorded{TransactionID: "t", Type: order.Capture, State: order.Succeeded, Amount: gbp("50")},
		order.Confirmed{},
	} {
		typ, data, err := order.Encode(event)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, eventstore.Event{ID: aggregate.EventID(command, i), Type: typ, Data: data})
	}
	if _, err := store.Append(t.Context(), order.Stream("o"), eventstore.NoStream, events); err != nil {
		t.Fatal(err)
	}
	return store
}

// A gift card that was sold is issued once per unit, wherever a driver dies. Its code is shown
// once, and finds it.
func TestAGiftCardThatWasSoldIsIssuedOncePerUnit(t *testing.T) {
	t.Parallel()
	for appends := 1; appends <= 3; appends++ {
		store := soldTwoCards(t)
		dying := withCodes(t, &shoptest.Mortal{Store: stepwise(store), Left: appends})
		if err := dying.FinishOrder(t.Context(), shoptest.NewCall().Meta, "o"); appends < 3 != errors.Is(err, shoptest.ErrDead) {
			t.Fatalf("after %d appends: %v", appends, err)
		}
		s := withCodes(t, store)
		recoverFrom(t, s)
		s.Must(s.FinishOrder(t.Context(), shoptest.NewCall().Meta, "o"))
		var issued []giftcard.ID
		for e, err := range store.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{TypePrefixes: []string{"giftcard.issued"}}, 0) {
			s.Must(err)
			issued = append(issued, giftcard.ID(strings.TrimPrefix(e.Stream, giftcard.Stream(""))))
		}
		if len(issued) != 2 || issued[0] == issued[1] {
			t.Fatalf("%d cards are issued: %v", len(issued), issued)
		}
		for _, id := range issued {
			code, _, err := s.ShowGiftCardCode(t.Context(), shoptest.NewCall(), id)
			s.Must(err)
			if found, err := s.FindGiftCard(t.Context(), strings.ToLower(code)); err != nil || found != id || !s.card(id).Balance.Equal(gbp("25")) {
				t.Errorf("the code finds %s, %v, with %s", found, err, s.card(id).Balance)
			}
			if _, _, err := s.ShowGiftCardCode(t.Context(), shoptest.NewCall(), id); !errors.Is(err, giftcard.ErrCodeShown) {
				t.Errorf("the second time: %v", err)
			}
		}
	}
}

// Two orders that were paid with one card have refunds with the same id. Each comes back once.
func TestMoneyComesBackToAGiftCardOncePerRefund(t *testing.T) {
	t.Parallel()
	s := withCodes(t, memory.New())
	s.Sell("MUG", 10)
	id := s.issue("20")
	for _, of := range []string{"a", "b"} {
		s.fill(unit.CartID(of), 2)
		ask := commands.CheckoutRequest{CartID: unit.CartID(of), OrderID: unit.OrderID(of), GiftCards: []giftcard.ID{id}, After: &commands.AfterPlacing{Call: shoptest.NewCall(), Confirm: true}}
		if result, err := s.Checkout(t.Context(), shoptest.NewCall(), ask); err != nil || !result.Placed {
			t.Fatal(result, err)
		}
		for range 2 {
			s.Must(s.CreditBack(t.Context(), shoptest.NewCall().Meta, id, giftcard.CreditBack{RefundID: "r", OrderID: unit.OrderID(of), Amount: gbp("2")}))
		}
	}
	if now := s.card(id); !now.Balance.Equal(gbp("14")) || !now.Back.Equal(gbp("4")) {
		t.Errorf("balance %s, came back %s", now.Balance, now.Back)
	}
}

// An order that was paid with a gift card and in another way gives back the other money first, and
// then that of the card. It comes back once, wherever a driver dies. A card that has ended refuses
// it, and the refund has failed.
func TestARefundComesBackToTheGiftCardLast(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"at once", "after each death", "to a card that has ended"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := memory.New()
			s := withCodes(t, store)
			s.Sell("MUG", 10)
			id := s.issue("3")
			s.fill("c", 4)
			cash := order.RecordTransaction{TransactionID: "cash", Type: order.Capture, State: order.Succeeded, Amount: gbp("7"), Provider: "manual"}
			_, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c", OrderID: "o", GiftCards: []giftcard.ID{id}})
			s.Must(err)
			_, err = s.Order(t.Context(), shoptest.NewCall(), "o", cash, order.Confirm{Now: s.Now()})
			s.Must(err)
			of := order.GiftCardPayment("o", cart.HoldID(id))
			if payment, _ := s.OrderState("o").Transaction(of); payment.Tender != order.GiftCard || !s.card(id).Redeemed.Equal(gbp("3")) {
				t.Fatalf("the payment of the card: %+v, redeemed %s", payment, s.card(id).Redeemed)
			}
			if name == "to a card that has ended" {
				_, err := s.DisableGiftCard(t.Context(), shoptest.NewCall(), id, "lost")
				s.Must(err)
			}
			_, err = s.Order(t.Context(), shoptest.NewCall(), "o", order.CancelLines{Lines: []order.LineQuantity{{Line: 1, Quantity: 3}}})
			s.Must(err)
			asked := order.RequestRefund{RefundID: "r", Purpose: order.Settlement, Amount: gbp("7.50")}
			_, err = s.Order(t.Context(), shoptest.NewCall(), "o", asked)
			s.Must(err)
			refund, _ := s.OrderState("o").Refund("r")
			if len(refund.Parts) != 2 || refund.Parts[0].Payment != "cash" || !refund.Parts[0].Amount.Equal(gbp("7")) || refund.Parts[1].Payment != of || !refund.Parts[1].Amount.Equal(gbp("0.50")) {
				t.Fatalf("the plan is %+v", refund.Parts)
			}
			part := refund.Parts[1].ID
			if name == "after each death" {
				for left := 1; left <= 2; left++ {
					dying := withCodes(t, &shoptest.Mortal{Store: stepwise(store), Left: left})
					if err := dying.FinishRefund(t.Context(), shoptest.NewCall().Meta, "o", part); !errors.Is(err, shoptest.ErrDead) {
						if _, unknown := errors.AsType[*commands.RefundUnknownError](err); !unknown {
							t.Fatalf("after %d appends: %v", left, err)
						}
					}
				}
				s = withCodes(t, store)
			}
			for range 2 {
				s.Must(s.FinishRefund(t.Context(), shoptest.NewCall().Meta, "o", part))
			}
			refund, _ = s.OrderState("o").Refund("r")
			now, state := s.card(id), refund.Parts[1].State
			if name == "to a card that has ended" {
				if state != order.RefundHasFailed || now.Back.Sign() != 0 || !s.OrderState("o").ToReturn().Equal(gbp("0.50")) {
					t.Errorf("the refund is %s, %s came back, to return %s", state, now.Back, s.OrderState("o").ToReturn())
				}
			} else if state != order.RefundSucceeded || !now.Back.Equal(gbp("0.50")) || !now.Balance.Equal(gbp("0.50")) {
				t.Errorf("the refund is %s, %s came back, balance %s", state, now.Back, now.Balance)
			}
		})
	}
}
