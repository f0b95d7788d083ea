package reactor

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"slices"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/commands/payments"
	"daybook/domain/cart"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// timerKinds are the constants of TimerKind, read from the source, so that a new
// one cannot be left out here.
func timerKinds(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "timers.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(file, func(node ast.Node) bool {
		spec, is := node.(*ast.ValueSpec)
		if !is {
			return true
		}
		if typ, named := spec.Type.(*ast.Ident); named && typ.Name == "TimerKind" {
			for _, name := range spec.Names {
				names = append(names, name.Name)
			}
		}
		return true
	})
	return names
}

func TestTwoTimersOfAKindThatDifferInOnePartBothFire(t *testing.T) {
	t.Parallel()
	deadline := time.Now().Add(time.Hour)
	hold := func(s *shop, sku unit.SKU, location unit.LocationID, id unit.ReservationID) func() bool {
		at := stock.Key{SKU: sku, Location: location}
		stamp := stock.At{Key: at, Now: time.Now()}
		if _, err := s.MoveStock(t.Context(), shoptest.NewCall(), at,
			stock.Receive{At: stamp, Quantity: 5},
			stock.Reserve{At: stamp, ReservationID: id, OrderID: "o1", Quantity: 1, ExpiresAt: deadline}); err != nil {
			t.Fatal(err)
		}
		return func() bool {
			ended := false
			if err := s.ViewStock(t.Context(), stock.Key{SKU: sku, Location: location}, func(state stock.State, _ int64) {
				end, known := state.Ended.Get(string(id))
				ended = known && end == stock.EndExpired
			}); err != nil {
				t.Fatal(err)
			}
			return ended
		}
	}
	place := func(s *shop, sku unit.SKU, id unit.OrderID) func() bool {
		s.Sell(sku, 5)
		if err := s.FillCart(unit.CartID("cart-"+id), map[unit.SKU]unit.Quantity{sku: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: unit.CartID("cart-" + id), OrderID: id, ReserveUntil: deadline}); err != nil {
			t.Fatal(err)
		}
		return func() bool { return s.OrderState(id).Status == order.StatusExpired }
	}
	leave := func(s *shop, id unit.CartID) func() bool {
		s.Sell("A", 5)
		if err := s.FillCart(id, map[unit.SKU]unit.Quantity{"A": 1}); err != nil {
			t.Fatal(err)
		}
		return func() bool { return s.CartState(id).Phase == cart.PhaseExpired }
	}
	refund := func(s *shop, id unit.OrderID, payments ...string) func() bool {
		place(s, "A", id)
		var paid []order.Command
		for _, reference := range payments {
			amount := s.OrderState(id).Owed()
			paid = append(paid, order.RecordTransaction{TransactionID: unit.TransactionID(reference), Type: order.Capture, State: order.Succeeded, Amount: amount, Provider: "bank", Reference: reference + " of " + string(id)})
		}
		if _, err := s.Order(t.Context(), shoptest.NewCall(), id, append(paid, order.Cancel{})...); err != nil {
			t.Fatal(err)
		}
		for _, part := range s.OrderState(id).Refunds[0].Parts {
			if err := s.FinishRefund(t.Context(), shoptest.NewCall().Meta, id, part.ID); err != nil {
				t.Fatal(err)
			}
		}
		return func() bool {
			return !slices.ContainsFunc(s.OrderState(id).Refunds[0].Parts, func(p order.Part) bool { return p.State != order.RefundSucceeded })
		}
	}
	// use places an order that uses a promotion and pays with a gift card, as far as they are
	// given.
	use := func(s *shop, id unit.OrderID, promotions []string, cards []giftcard.ID) func() bool {
		s.Sell("A", 5)
		if err := s.FillCart(unit.CartID("cart-"+id), map[unit.SKU]unit.Quantity{"A": 1}); err != nil {
			t.Fatal(err)
		}
		ask := commands.CheckoutRequest{CartID: unit.CartID("cart-" + id), OrderID: id, ReserveUntil: deadline, GiftCards: cards}
		ask.Expect.Unpriced = true
		for _, promotion := range promotions {
			ask.Uses = append(ask.Uses, commands.Use{Promotion: promotion, Amount: pound(t, "0.10")})
		}
		if _, err := s.Checkout(t.Context(), shoptest.NewCall(), ask); err != nil {
			t.Fatal(err)
		}
		return func() bool {
			held := false
			for _, promotion := range promotions {
				held = held || holdsUse(t, s, promotion, id)
			}
			for _, card := range cards {
				held = held || holdsMoney(t, s, card, id)
			}
			return !held
		}
	}
	expiring := func(s *shop) (card giftcard.ID, ended func() bool) {
		card = issueCard(t, s, deadline)
		return card, func() (ended bool) {
			if err := s.ViewGiftCard(t.Context(), card, func(state giftcard.State, _ int64) { ended = state.Expired }); err != nil {
				t.Fatal(err)
			}
			return ended
		}
	}
	policy := commands.DefaultPolicy()
	policy.CartsExpireAfter = time.Minute
	// Each function sets two timers. It returns a function that tells whether both have fired.
	twice := map[string]map[string]func(s *shop) (first, second func() bool){
		"OrderDeadline": {
			"two orders": func(s *shop) (func() bool, func() bool) { return place(s, "A", "o1"), place(s, "A", "o2") },
		},
		"CartDeadline": {
			"two carts": func(s *shop) (func() bool, func() bool) { return leave(s, "c1"), leave(s, "c2") },
		},
		"RefundDeadline": {
			"two orders": func(s *shop) (func() bool, func() bool) { return refund(s, "o1", "p"), refund(s, "o2", "p") },
			"two parts":  func(s *shop) (func() bool, func() bool) { both := refund(s, "o1", "p", "q"); return both, both },
		},
		"HoldDeadline": {
			"two orders": func(s *shop) (func() bool, func() bool) {
				promote(t, s, "few")
				return use(s, "o1", []string{"few"}, nil), use(s, "o2", []string{"few"}, nil)
			},
			"two promotions": func(s *shop) (func() bool, func() bool) {
				promote(t, s, "few")
				promote(t, s, "less")
				both := use(s, "o1", []string{"few", "less"}, nil)
				return both, both
			},
			"two cards": func(s *shop) (func() bool, func() bool) {
				both := use(s, "o1", nil, []giftcard.ID{issueCard(t, s, time.Time{}), issueCard(t, s, time.Time{})})
				return both, both
			},
		},
		"GiftCardDeadline": {
			"two cards": func(s *shop) (func() bool, func() bool) {
				_, first := expiring(s)
				_, second := expiring(s)
				return first, second
			},
		},
		"ReservationDeadline": {
			"two SKUs": func(s *shop) (func() bool, func() bool) { return hold(s, "A", "main", "r"), hold(s, "B", "main", "r") },
			"two locations": func(s *shop) (func() bool, func() bool) {
				return hold(s, "A", "main", "r"), hold(s, "A", "east", "r")
			},
			"two reservations": func(s *shop) (func() bool, func() bool) {
				return hold(s, "A", "main", "r"), hold(s, "A", "main", "q")
			},
		},
	}
	for _, kind := range timerKinds(t) {
		if len(twice[kind]) == 0 {
			t.Errorf("%s: no test makes two timers of this kind", kind)
		}
	}
	for kind, cases := range twice {
		for name, set := range cases {
			s := open(t, memory.New(), policy)
			s.Payments = withBank(t, lateBank{})
			s.Secrets = commands.NewSecrets([]byte("32 bytes that nobody else knows."))
			first, second := set(s)
			timers := timersOf(t, s)
			if of := slices.DeleteFunc(slices.Clone(timers), func(timer Timer) bool { return timer.Kind != kindOf[kind] }); len(of) != 2 {
				t.Errorf("%s, %s: timers %v, want two", kind, name, of)
			}
			// A hold waits for its order, whose timer may come after it.
			for round := 0; len(timers) > 0 && round < 2; round++ {
				var again []Timer
				for _, timer := range timers {
					err := FireTimer(t.Context(), s, timer, deadline)
					if _, postponed := errors.AsType[*PostponedError](err); postponed && round == 0 {
						again = append(again, timer)
					} else if err != nil {
						t.Errorf("%s, %s: %s: %v", kind, name, timer.Deadline, err)
					}
				}
				timers = again
			}
			if !first() || !second() {
				t.Errorf("%s, %s: the first fired: %t, the second: %t", kind, name, first(), second())
			}
			if left := timersOf(t, s); len(left) != 0 {
				t.Errorf("%s, %s: what has ended still has timers: %v", kind, name, left)
			}
		}
	}
}

// kindOf has the kinds of timers by the names of their constants.
var kindOf = map[string]TimerKind{
	"OrderDeadline": OrderDeadline, "CartDeadline": CartDeadline, "RefundDeadline": RefundDeadline, "ReservationDeadline": ReservationDeadline,
	"HoldDeadline": HoldDeadline, "GiftCardDeadline": GiftCardDeadline,
}

func pound(t *testing.T, text string) unit.Money {
	t.Helper()
	money, err := unit.ParseMoney(text, "GBP")
	if err != nil {
		t.Fatal(err)
	}
	return money
}

// promote makes a promotion with a limit, so that its uses are held.
func promote(t *testing.T, s *shop, id string) {
	t.Helper()
	percent, err := unit.ParsePercent("10")
	if err != nil {
		t.Fatal(err)
	}
	define := promotion.Define{ID: id, Kind: pricing.Automatic, Class: pricing.OrderClass, Active: true, Terms: promotion.Terms{
		Title: id, Action: pricing.Action{Type: pricing.PercentOff, Percent: percent}, Limits: pricing.Limits{Uses: 5},
	}}
	if _, err := s.Promotion(t.Context(), shoptest.NewCall(), id, define); err != nil {
		t.Fatal(err)
	}
}

func issueCard(t *testing.T, s *shop, until time.Time) giftcard.ID {
	t.Helper()
	id, _, _, err := s.IssueGiftCard(t.Context(), shoptest.NewCall(), commands.NewGiftCard{Amount: pound(t, "0.10"), ExpiresAt: until})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func holdsUse(t *testing.T, s *shop, id string, of unit.OrderID) (holds bool) {
	t.Helper()
	if err := s.ViewPromotion(t.Context(), id, func(state promotion.State, _ int64) { _, holds = state.Held[of] }); err != nil {
		t.Fatal(err)
	}
	return holds
}

func holdsMoney(t *testing.T, s *shop, id giftcard.ID, of unit.OrderID) (holds bool) {
	t.Helper()
	if err := s.ViewGiftCard(t.Context(), id, func(state giftcard.State, _ int64) { _, holds = state.Held[of] }); err != nil {
		t.Fatal(err)
	}
	return holds
}

// timersOf returns the timers that the reactor keeps after it has read the whole log.
func timersOf(t *testing.T, s *shop) (timers []Timer) {
	t.Helper()
	tracker := newTracker(eventstore.Start, commands.DefaultPolicy().CartsExpireAfter)
	for event, err := range s.Log.ReadAll(t.Context(), eventstore.Start, reactorFilter, 0) {
		if err != nil {
			t.Fatal(err)
		}
		tracker.observe(eventstore.Item{Event: &event, Checkpoint: event.Position})
	}
	timers, _ = tracker.timers.due(time.Now())
	return timers
}

// lateBank is a provider that gives money back later, and says so only if it is asked.
type lateBank struct{ payments.Manual }

func (lateBank) LookUp(_ context.Context, i payments.Instruction) payments.Outcome {
	return payments.Outcome{State: payments.Succeeded, Reference: "refund of " + i.Payment}
}

// withBank are providers with one whose name is bank.
func withBank(t *testing.T, bank payments.Provider) payments.Providers {
	t.Helper()
	all, err := payments.NewProviders(map[string]payments.Provider{"bank": bank})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A refund whose end nobody knows after a day is parked, so that somebody looks at it. When its end
// is recorded, it is finished.
func TestARefundWithoutAnAnswerRaisesAnAlarm(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Payments = withBank(t, payments.Manual{})
	s.Sell("A", 5)
	s.Must(s.FillCart("c1", map[unit.SKU]unit.Quantity{"A": 1}))
	s.Must(s.PlaceOrder("c1", "o1"))
	paid := order.RecordTransaction{TransactionID: "p", Type: order.Capture, State: order.Succeeded, Amount: s.OrderState("o1").Owed(), Provider: "bank", Reference: "p"}
	_, err := s.Order(t.Context(), shoptest.NewCall(), "o1", paid, order.Cancel{})
	s.Must(err)
	part := s.OrderState("o1").Refunds[0].Parts[0]
	s.Must(s.FinishRefund(t.Context(), shoptest.NewCall().Meta, "o1", part.ID))
	timer := Timer{}
	for _, set := range timersOf(t, s) {
		if set.Kind == RefundDeadline {
			timer = set
		}
	}
	if day := timer.DueAt.Sub(s.LastEvent(order.Stream("o1")).RecordedAt); day < 23*time.Hour || day > 25*time.Hour {
		t.Fatalf("the timer %+v is due after %s, want a day", timer, day)
	}
	clockwork := NewClockwork(nil, s, slog.New(slog.DiscardHandler))
	timer.Failures = triesFailed - 1
	err = clockwork.fire(t.Context(), timer, timer.DueAt)
	gaveUp, is := errors.AsType[*GiveUpError](err)
	overdue, said := errors.AsType[*commands.RefundOverdueError](err)
	if !is || !said || overdue.PartID != part.ID || overdue.Provider != "bank" {
		t.Fatalf("a day later: %v, want it parked as overdue", err)
	}
	if work := gaveUp.Work; work.Stream != order.Stream("o1") || work.timer().Deadline != timer.Deadline {
		t.Errorf("what is parked is %+v", work)
	}
	settled := order.SettleRefund{RefundID: s.OrderState("o1").Refunds[0].ID, PartID: part.ID, Attempt: 1, State: order.RefundSucceeded}
	_, err = s.Order(t.Context(), shoptest.NewCall(), "o1", settled)
	s.Must(err)
	if err := clockwork.fire(t.Context(), gaveUp.Work.timer(), timer.DueAt); err != nil {
		t.Errorf("after its end was recorded: %v", err)
	}
}

// A timer that was parked is made again from its work, also if a foreign event has given it a
// blank as its item.
func TestAParkedTimerIsMadeAgain(t *testing.T) {
	for _, item := range []string{"", "o-1", " ", "a b", " a "} {
		timer := Timer{Deadline: Deadline{Kind: HoldDeadline, Target: "promotion-summer", Item: item}, DueAt: time.Unix(1, 0)}
		if got := timer.unfinished(errors.New("away"), time.Unix(2, 0)).timer(); got != timer {
			t.Errorf("%+v comes back as %+v", timer, got)
		}
	}
}
