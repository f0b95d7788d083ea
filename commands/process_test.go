package commands_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/internal/recoverytest"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/racetest"
)

// recoverFrom lets another node finish the open work.
func recoverFrom(t *testing.T, s *shop) {
	t.Helper()
	recoverytest.Recover(t, s.Log, s.Service)
}

// shop is a service with helpers for the tests of this package.
type shop struct{ *shoptest.Shop }

func open(t *testing.T, store eventstore.Store, policy commands.Policy) *shop {
	t.Helper()
	return &shop{shoptest.Open(t, store, policy)}
}

func TestACartBecomesAnOrderThatIsPaidShippedAndReturned(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MUG", 10)
	s.Sell("TRAY", 5)
	if err := s.FillCart("c1", map[unit.SKU]unit.Quantity{"MUG": 4, "TRAY": 1}); err != nil {
		t.Fatal(err)
	}
	result, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c1", OrderID: "o1", Reference: "R-1"})
	if err != nil || !result.Placed {
		t.Fatalf("checkout: %+v, %v", result, err)
	}
	if got := s.Available("MUG"); got != 6 {
		t.Errorf("after the checkout %d mugs are available, want 6", got)
	}
	paid := order.RecordTransaction{TransactionID: "t1", Type: order.Capture, State: order.Succeeded, Amount: s.OrderState("o1").Owed()}
	if _, err := s.Order(t.Context(), shoptest.NewCall(), "o1", paid, order.Confirm{Now: s.Now()}); err != nil {
		t.Fatal(err)
	}
	if open := s.OrderState("o1").Unsettled; len(open) != 0 {
		t.Errorf("after confirming, steps are open: %+v", open)
	}
	ship := order.Ship{ShipmentID: "s1", Location: unit.DefaultLocation}
	if _, err := s.Order(t.Context(), shoptest.NewCall(), "o1", ship, order.Deliver{ShipmentID: "s1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Order(t.Context(), shoptest.NewCall(), "o1", order.Complete{}); err != nil {
		t.Errorf("complete: %v", err)
	}
	now := s.OrderState("o1")
	if now.Status != order.StatusCompleted || now.PaymentState() != order.Paid || now.FulfillmentState() != order.Arrived {
		t.Errorf("the order is %s, %s, %s; want it completed, paid, delivered", now.Status, now.PaymentState(), now.FulfillmentState())
	}
	price := now.Lines[0].Price
	back := []returns.Command{
		returns.Request{ReturnID: "r1", OrderID: "o1", Currency: "GBP", Lines: []returns.Line{{SKU: "MUG", Kind: unit.Stocked, Quantity: 3, Price: price}}},
		returns.Approve{},
		returns.Receive{Receipt: 1, Lines: []returns.ReceivedLine{
			{Line: 1, Quantity: 2, Disposition: returns.Restocked, Location: unit.DefaultLocation},
			{Line: 1, Quantity: 1, Disposition: returns.Damaged, Location: unit.DefaultLocation},
		}},
	}
	if _, err := s.Return(t.Context(), shoptest.NewCall(), "r1", back...); err != nil {
		t.Fatal(err)
	}
	if got := s.Available("MUG"); got != 8 {
		t.Errorf("after the return %d mugs are available, want 8", got)
	}
	s.Audit()
}

func TestTwoBuyersOfTheLastUnit(t *testing.T) {
	t.Parallel()
	for range 50 {
		s := open(t, memory.New(), commands.DefaultPolicy())
		s.Sell("LAST", 1)
		results := make([]commands.CheckoutResult, 2)
		var wait sync.WaitGroup
		for i := range results {
			wait.Go(func() {
				id := fmt.Sprint(i)
				if err := s.FillCart(unit.CartID("c"+id), map[unit.SKU]unit.Quantity{"LAST": 1}); err != nil {
					t.Error(err)
				}
				var err error
				results[i], err = s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: unit.CartID("c" + id), OrderID: unit.OrderID("o" + id)})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if results[0].Placed == results[1].Placed {
			t.Fatalf("want one order: %+v", results)
		}
		for _, r := range results {
			if !r.Placed && !errors.Is(r.Refusal(), stock.ErrInsufficient) {
				t.Errorf("the other is refused by %v", r.Refusal())
			}
		}
		s.Audit()
	}
}

func TestARefusedCheckoutReservesNothingAndTheCartIsOpenAgain(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MANY", 10)
	s.Sell("NONE", 0)
	if err := s.FillCart("c1", map[unit.SKU]unit.Quantity{"MANY": 3, "NONE": 1}); err != nil {
		t.Fatal(err)
	}
	first := shoptest.NewCall()
	result, err := s.Checkout(t.Context(), first, commands.CheckoutRequest{CartID: "c1", OrderID: "o1"})
	if err != nil || result.Placed {
		t.Fatalf("checkout: %+v, %v; want it refused", result, err)
	}
	if got := s.Available("MANY"); got != 10 {
		t.Errorf("%d are available, want all 10", got)
	}
	if again, err := s.Checkout(t.Context(), first, commands.CheckoutRequest{CartID: "c1", OrderID: "o1"}); err != nil || again.Placed || len(again.Shortages) != 1 {
		t.Errorf("asked again: %+v, %v; want the same refusal", again, err)
	}
	s.Receive("NONE", 1)
	if result, err = s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c1", OrderID: "o2"}); err != nil || !result.Placed {
		t.Errorf("a second checkout, with stock: %+v, %v", result, err)
	}
	s.Audit()
}

func TestAnOrderNotConfirmedInTimeGivesItsStockBack(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("SLOW", 1)
	if err := s.FillCart("c1", map[unit.SKU]unit.Quantity{"SLOW": 1}); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Hour)
	if result, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c1", OrderID: "o1", ReserveUntil: deadline}); err != nil || !result.Placed {
		t.Fatalf("checkout: %+v, %v", result, err)
	}
	if err := s.ExpireOrder(t.Context(), shoptest.NewCall().Meta, "o1", deadline.Add(-time.Second)); err != nil || s.OrderState("o1").Status != order.StatusPending {
		t.Errorf("before its time: %v, the order is %s", err, s.OrderState("o1").Status)
	}
	if err := s.ExpireOrder(t.Context(), shoptest.NewCall().Meta, "o1", deadline); err != nil || s.OrderState("o1").Status != order.StatusExpired {
		t.Errorf("at its time: %v, the order is %s", err, s.OrderState("o1").Status)
	}
	if got := s.Available("SLOW"); got != 1 {
		t.Errorf("%d available, want 1", got)
	}
	s.Audit()
}

// TestACrashAnywhereEndsInTheSameState lets a node do random work and die after
// each possible number of appends; then another takes over with the reactor.
func TestACrashAnywhereEndsInTheSameState(t *testing.T) {
	t.Parallel()
	for seed := range racetest.Few[uint64](120, 12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			crashAndRecover(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

// rank orders the states that an order can reach in this test.
func rank(status order.Status) int {
	return slices.Index([]order.Status{order.StatusPending, order.StatusConfirmed, order.StatusCanceled}, status)
}

func crashAndRecover(t *testing.T, random *rand.Rand) {
	t.Helper()
	log := memory.New()
	policy := commands.DefaultPolicy()
	policy.Sourcing = cart.Sourcing{Locations: []unit.LocationID{unit.DefaultLocation, "annex"}, Split: random.IntN(2) == 0}
	policy.Shortage = []cart.Policy{cart.AllOrNothing, cart.LineByLine}[random.IntN(2)]
	before := open(t, log, policy)
	skus := []unit.SKU{"A", "B", "C"}
	for _, sku := range skus {
		before.Sell(sku, unit.Quantity(random.IntN(4)))
	}
	var last eventstore.Store = &shoptest.Mortal{Store: log, Left: random.IntN(60)}
	var next eventstore.Store = log
	if random.IntN(2) == 0 { // the log begins with one way to record checkouts
		last = &shoptest.MortalGroups{Mortal: shoptest.Mortal{Store: log, Left: random.IntN(20)}}
	}
	if random.IntN(2) == 0 { // and goes on with the same or the other
		next = stepwise(log)
	}
	dying := open(t, last, policy)
	for _, sku := range skus {
		dying.Available(sku) // now it is in memory
	}
	acknowledged := workUntilDeath(dying, skus, random)

	after := open(t, next, policy)
	recoverFrom(t, after)
	after.Audit()
	for id, want := range acknowledged {
		// The order may be in a later state than its buyer knows, because the last answer was lost.
		if got := after.OrderState(id).Status; rank(got) < rank(want) {
			t.Errorf("order %s was acknowledged as %s and is %s", id, want, got)
		}
	}
}

// workUntilDeath runs a few buyers at the same time and returns the answers that they got.
func workUntilDeath(s *shop, skus []unit.SKU, random *rand.Rand) map[unit.OrderID]order.Status {
	var mu sync.Mutex
	told := map[unit.OrderID]order.Status{}
	tell := func(id unit.OrderID, status order.Status) {
		mu.Lock()
		defer mu.Unlock()
		told[id] = status
	}
	var wait sync.WaitGroup
	for buyer := range 4 {
		lines := map[unit.SKU]unit.Quantity{}
		for _, sku := range skus {
			if n := random.IntN(3); n > 0 {
				lines[sku] = unit.Quantity(n)
			}
		}
		end := random.IntN(4)
		wait.Go(func() {
			ctx := s.T.Context()
			cartID, id := unit.CartID(fmt.Sprint("c", buyer)), unit.OrderID(fmt.Sprint("o", buyer))
			if len(lines) == 0 || s.FillCart(cartID, lines) != nil {
				return
			}
			result, err := s.Checkout(ctx, shoptest.NewCall(), commands.CheckoutRequest{CartID: cartID, OrderID: id})
			if err != nil || !result.Placed {
				return
			}
			tell(id, order.StatusPending)
			if end == 0 {
				return
			}
			if _, err := s.Order(ctx, shoptest.NewCall(), id, order.Confirm{Now: s.Now()}); err != nil {
				return
			}
			tell(id, order.StatusConfirmed)
			switch end {
			case 1:
				if _, err := s.Order(ctx, shoptest.NewCall(), id, order.Cancel{Reason: "changed my mind"}); err == nil {
					tell(id, order.StatusCanceled)
				}
			case 2:
				// The order ships or not, depending on the location of its stock.
				_, _ = s.Order(ctx, shoptest.NewCall(), id, order.Ship{ShipmentID: "s1", Location: unit.DefaultLocation})
			}
		})
	}
	wait.Wait()
	return told
}

func TestAReservationMadeAfterItsCheckoutWasRefusedIsReleased(t *testing.T) {
	t.Parallel()
	log := stepwise(memory.New())
	s, other := open(t, log, commands.DefaultPolicy()), open(t, log, commands.DefaultPolicy())
	s.Sell("NONE", 1)
	s.Available("NONE")
	buy(t, other, "c2", "o2", map[unit.SKU]unit.Quantity{"NONE": 1}) // s does not know of it, so it begins the checkout
	if err := s.FillCart("c1", map[unit.SKU]unit.Quantity{"NONE": 1}); err != nil {
		t.Fatal(err)
	}
	if result, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c1", OrderID: "o1"}); err != nil || result.Placed {
		t.Fatalf("checkout: %+v, %v; want it refused", result, err)
	}
	s.Receive("NONE", 1)
	// A slow driver has made this reservation, and then its node died.
	_, err := s.MoveStock(t.Context(), shoptest.NewCall(), shoptest.Key("NONE"), stock.Reserve{
		At: s.At(shoptest.Key("NONE")), ReservationID: unit.ReservationID(unit.CheckoutReservation.Of("c1", "o1", "NONE", "main").ID()),
		OrderID: "o1", Quantity: 1, ExpiresAt: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	recoverFrom(t, s)
	if got := s.Available("NONE"); got != 1 {
		t.Errorf("%d available, want 1, the unit whose reservation had no order", got)
	}
	s.Audit()
}

func TestAParcelThatStockDoesNotHaveIsRefusedUnlessForced(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("LATER", 0)
	policy := stock.SetPolicy{At: s.At(shoptest.Key("LATER")), Policy: stock.Policy{BackorderLimit: 5}}
	if _, err := s.MoveStock(t.Context(), shoptest.NewCall(), shoptest.Key("LATER"), policy); err != nil {
		t.Fatal(err)
	}
	if err := s.FillCart("c1", map[unit.SKU]unit.Quantity{"LATER": 3}); err != nil {
		t.Fatal(err)
	}
	if result, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c1", OrderID: "o1"}); err != nil || !result.Placed {
		t.Fatalf("checkout of a backorder: %+v, %v", result, err)
	}
	if _, err := s.Order(t.Context(), shoptest.NewCall(), "o1", order.Confirm{Now: s.Now()}); err != nil {
		t.Fatal(err)
	}
	ship := order.Ship{ShipmentID: "s1", Location: unit.DefaultLocation}
	if _, err := s.Order(t.Context(), shoptest.NewCall(), "o1", ship); !errors.Is(err, stock.ErrNotOnHand) {
		t.Errorf("shipping units that are not on hand: %v, want %v", err, stock.ErrNotOnHand)
	}
	if parcels := s.OrderState("o1").Shipments; len(parcels) != 0 {
		t.Errorf("a refused parcel was recorded: %+v", parcels)
	}
	ship.Force = true
	if _, err := s.Order(t.Context(), shoptest.NewCall(), "o1", ship); err != nil {
		t.Errorf("by force: %v", err)
	}
	s.Audit()
}

// A step of a process cannot be sent alone. Example: Checkout sends cart.StartCheckout itself, and
// Cart refuses this command.
func TestAStepOfAProcessCannotBeSentAlone(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 1)
	buy(t, s, "c1", "o1", map[unit.SKU]unit.Quantity{"MUG": 1})
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []any{
		cart.StartCheckout{},
		cart.RefuseCheckout{},
		cart.CompleteCheckout{},
		cart.WithdrawCheckout{},
		cart.MergeInto{},
		cart.MergeFrom{},
		cart.DeclineMerge{},
		cart.RefuseMerge{},
		order.Claim{},
		order.Place{},
		order.SettleStock{},
		order.FailAllocation{},
		order.RecoverAllocation{},
		order.AdmitReturn{},
		order.ReleaseReturn{},
		order.RecordReturnRefund{},
		returns.Admit{},
		returns.RefuseAdmission{},
		returns.SettleStock{},
		returns.SettleOrders{},
		returns.WithdrawRefund{},
	} {
		var err error
		switch step := step.(type) {
		case cart.Command:
			_, err = s.Cart(t.Context(), shoptest.NewCall(), "c1", step)
		case order.Command:
			_, err = s.Order(t.Context(), shoptest.NewCall(), "o1", step)
		case returns.Command:
			_, err = s.Return(t.Context(), shoptest.NewCall(), "r1", step)
		}
		if err == nil || !strings.Contains(err.Error(), "is a step of a process") {
			t.Errorf("%T: %v", step, err)
		}
	}
	if now, err := log.Head(t.Context()); err != nil || now != head {
		t.Errorf("the log has moved from %s to %s (%v)", head, now, err)
	}
}
