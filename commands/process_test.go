package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pause"
	"daybook/internal/verify"
)

// shop is a service with a catalogue of goods at 2.50 GBP and stock.
type shop struct {
	*Service
	t     *testing.T
	store eventstore.Store
}

func open(t *testing.T, store eventstore.Store, policy Policy) *shop {
	t.Helper()
	return &shop{Service: NewService(store, policy, time.Now, aggregate.Options{}), t: t, store: store}
}

func call() Call {
	id := uuid.New()
	return Call{Meta: eventstore.Metadata{CommandID: id, CorrelationID: id.String(), Actor: "test", Channel: "test"}}
}

func (s *shop) sell(sku unit.SKU, units unit.Quantity) {
	s.t.Helper()
	price, err := unit.ParseMoney("2.50", "GBP")
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.Product(s.t.Context(), call(), sku, product.List{SKU: sku, Title: "A " + string(sku), Kind: unit.Stocked}, product.SetPrice{Price: price})
	if err != nil {
		s.t.Fatal(err)
	}
	s.receive(sku, units)
}

func key(sku unit.SKU) stock.Key { return stock.Key{SKU: sku, Location: unit.DefaultLocation} }

func (s *shop) receive(sku unit.SKU, units unit.Quantity) {
	s.t.Helper()
	if units == 0 {
		return
	}
	if _, err := s.MoveStock(s.t.Context(), call(), key(sku), stock.Receive{At: s.At(key(sku)), Quantity: units}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) cart(id unit.CartID, lines map[unit.SKU]unit.Quantity) error {
	var wanted []WantedLine
	for sku, quantity := range lines {
		wanted = append(wanted, WantedLine{SKU: sku, Quantity: quantity})
	}
	first := call()
	first.New = true
	_, err := s.AddLines(s.t.Context(), first, id, &cart.Open{CartID: id, Currency: "GBP"}, wanted)
	return err
}

func (s *shop) available(sku unit.SKU) (available unit.Quantity) {
	s.t.Helper()
	err := s.stock.View(s.t.Context(), stock.Stream(sku, unit.DefaultLocation), func(state stock.State, _ int64) { available = state.Available(time.Now()) })
	if err != nil {
		s.t.Fatal(err)
	}
	return available
}

func (s *shop) order(id unit.OrderID) (state order.State) {
	s.t.Helper()
	if err := s.orders.View(s.t.Context(), order.Stream(id), func(now order.State, _ int64) { state = now.Clone() }); err != nil {
		s.t.Fatal(err)
	}
	return state
}

// audit wants the books to be right.
func (s *shop) audit() {
	s.t.Helper()
	_, report, err := verify.Log(s.t.Context(), s.store, time.Now(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, check := range report.Checks {
		for _, first := range check.First {
			s.t.Errorf("%s: %s", check.Name, first)
		}
	}
}

func TestACartBecomesAnOrderThatIsPaidShippedAndReturned(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), DefaultPolicy())
	s.sell("MUG", 10)
	s.sell("TRAY", 5)
	if err := s.cart("c1", map[unit.SKU]unit.Quantity{"MUG": 4, "TRAY": 1}); err != nil {
		t.Fatal(err)
	}
	result, err := s.Checkout(t.Context(), call(), CheckoutRequest{CartID: "c1", OrderID: "o1", Reference: "R-1"})
	if err != nil || !result.Placed {
		t.Fatalf("checkout: %+v, %v", result, err)
	}
	if got := s.available("MUG"); got != 6 {
		t.Errorf("after the checkout %d mugs are available, want 6", got)
	}
	paid := order.RecordTransaction{TransactionID: "t1", Type: order.Capture, State: order.Succeeded, Amount: s.order("o1").Owed()}
	if _, err := s.Order(t.Context(), call(), "o1", paid, order.Confirm{Now: s.Now()}); err != nil {
		t.Fatal(err)
	}
	if open := s.order("o1").Unsettled; len(open) != 0 {
		t.Errorf("after confirming, steps are open: %+v", open)
	}
	ship := order.Ship{ShipmentID: "s1", Location: unit.DefaultLocation}
	if _, err := s.Order(t.Context(), call(), "o1", ship, order.Deliver{ShipmentID: "s1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Order(t.Context(), call(), "o1", order.Complete{}); err != nil {
		t.Errorf("complete: %v", err)
	}
	now := s.order("o1")
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
	if _, err := s.Return(t.Context(), call(), "r1", back...); err != nil {
		t.Fatal(err)
	}
	if got := s.available("MUG"); got != 8 {
		t.Errorf("after the return %d mugs are available, want 8", got)
	}
	s.audit()
}

func TestTwoBuyersOfTheLastUnit(t *testing.T) {
	t.Parallel()
	for range 50 {
		s := open(t, memory.New(), DefaultPolicy())
		s.sell("LAST", 1)
		results := make([]CheckoutResult, 2)
		var wait sync.WaitGroup
		for i := range results {
			wait.Go(func() {
				id := fmt.Sprint(i)
				if err := s.cart(unit.CartID("c"+id), map[unit.SKU]unit.Quantity{"LAST": 1}); err != nil {
					t.Error(err)
				}
				var err error
				results[i], err = s.Checkout(t.Context(), call(), CheckoutRequest{CartID: unit.CartID("c" + id), OrderID: unit.OrderID("o" + id)})
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
		s.audit()
	}
}

func TestARefusedCheckoutHoldsNothingAndTheCartIsOpenAgain(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), DefaultPolicy())
	s.sell("MANY", 10)
	s.sell("NONE", 0)
	if err := s.cart("c1", map[unit.SKU]unit.Quantity{"MANY": 3, "NONE": 1}); err != nil {
		t.Fatal(err)
	}
	first := call()
	result, err := s.Checkout(t.Context(), first, CheckoutRequest{CartID: "c1", OrderID: "o1"})
	if err != nil || result.Placed {
		t.Fatalf("checkout: %+v, %v; want it refused", result, err)
	}
	if got := s.available("MANY"); got != 10 {
		t.Errorf("%d are available, want all 10", got)
	}
	if again, err := s.Checkout(t.Context(), first, CheckoutRequest{CartID: "c1", OrderID: "o1"}); err != nil || again.Placed || len(again.Shortages) != 1 {
		t.Errorf("asked again: %+v, %v; want the same refusal", again, err)
	}
	s.receive("NONE", 1)
	if result, err = s.Checkout(t.Context(), call(), CheckoutRequest{CartID: "c1", OrderID: "o2"}); err != nil || !result.Placed {
		t.Errorf("a second checkout, with stock: %+v, %v", result, err)
	}
	s.audit()
}

func TestAnOrderNotConfirmedInTimeGivesItsStockBack(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), DefaultPolicy())
	s.sell("SLOW", 1)
	if err := s.cart("c1", map[unit.SKU]unit.Quantity{"SLOW": 1}); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Hour)
	if result, err := s.Checkout(t.Context(), call(), CheckoutRequest{CartID: "c1", OrderID: "o1", HoldUntil: deadline}); err != nil || !result.Placed {
		t.Fatalf("checkout: %+v, %v", result, err)
	}
	timer := Timer{Deadline: orderDeadline("o1"), DueAt: deadline}
	if err := FireTimer(t.Context(), s, timer, deadline.Add(-time.Second)); err != nil || s.order("o1").Status != order.StatusPending {
		t.Errorf("fired early: %v, the order is %s", err, s.order("o1").Status)
	}
	timer.DueAt = deadline.Add(time.Nanosecond) // another firing
	if err := FireTimer(t.Context(), s, timer, deadline); err != nil || s.order("o1").Status != order.StatusExpired {
		t.Errorf("fired: %v, the order is %s", err, s.order("o1").Status)
	}
	if got := s.available("SLOW"); got != 1 {
		t.Errorf("%d available, want 1", got)
	}
	s.audit()
}

// mortal is a store under a node that dies: after some appends nothing more gets
// through, and the answer to the last may be lost.
type mortal struct {
	eventstore.Store
	mu   sync.Mutex
	left int
}

var errDead = errors.New("the node is dead")

func (m *mortal) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left--
	if m.left < 0 {
		return eventstore.Result{}, errDead
	}
	result, err := m.Store.Append(ctx, stream, expected, events)
	if err == nil && m.left == 0 {
		return eventstore.Result{}, errDead // recorded, and nobody was told
	}
	return result, err
}

// logbook is a Journal in memory.
type logbook struct {
	mu     sync.Mutex
	at     eventstore.Position
	timers map[Deadline]Timer
	parked map[uuid.UUID]Process

	cartsExpireAfter time.Duration
	cartsKnown       int // how often the rule of the carts was kept
}

func (l *logbook) CartExpiry(context.Context) (time.Duration, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cartsExpireAfter, l.cartsKnown > 0, nil
}

func (l *logbook) KeepCartExpiry(_ context.Context, after time.Duration, set []Timer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cartsExpireAfter = after
	l.cartsKnown++
	for _, timer := range set {
		l.timers[timer.Deadline] = timer
	}
	return nil
}

func (l *logbook) Lead(ctx context.Context) (context.Context, func(), error) {
	return ctx, func() {}, nil
}

func (l *logbook) Checkpoint(context.Context) (eventstore.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, nil
}

func (l *logbook) Advance(_ context.Context, from, to eventstore.Position, notes Notes) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at != from {
		return ErrNotLeading
	}
	l.at = to
	for _, parked := range notes.Park {
		l.park(parked)
	}
	for _, key := range notes.Clear {
		delete(l.timers, key)
	}
	for _, timer := range notes.Set {
		l.timers[timer.Deadline] = timer
	}
	return nil
}

// TestACrashAnywhereEndsInTheSameState lets a node do random work and die after
// each possible number of appends; then another takes over with the reactor.
func TestACrashAnywhereEndsInTheSameState(t *testing.T) {
	t.Parallel()
	rounds := 120
	if testing.Short() {
		rounds = 30
	}
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			crashAndRecover(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

// rank orders what can become of an order here.
func rank(status order.Status) int {
	return slices.Index([]order.Status{order.StatusPending, order.StatusConfirmed, order.StatusCanceled}, status)
}

func crashAndRecover(t *testing.T, random *rand.Rand) {
	t.Helper()
	log := memory.New()
	policy := DefaultPolicy()
	policy.Sourcing = cart.Sourcing{Locations: []unit.LocationID{unit.DefaultLocation, "annex"}, Split: random.IntN(2) == 0}
	policy.Shortage = []cart.Policy{cart.AllOrNothing, cart.LineByLine}[random.IntN(2)]
	before := open(t, log, policy)
	skus := []unit.SKU{"A", "B", "C"}
	for _, sku := range skus {
		before.sell(sku, unit.Quantity(random.IntN(4)))
	}
	dying := open(t, &mortal{Store: log, left: random.IntN(60)}, policy)
	acknowledged := workUntilDeath(dying, skus, random)

	after := open(t, log, policy)
	recoverFrom(t, after)
	after.audit()
	for id, want := range acknowledged {
		// It may have gone on: what was recorded last was not told.
		if got := after.order(id).Status; rank(got) < rank(want) {
			t.Errorf("order %s was acknowledged as %s and is %s", id, want, got)
		}
	}
}

// workUntilDeath runs a few buyers at once and returns what they were told.
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
			ctx := s.t.Context()
			cartID, id := unit.CartID(fmt.Sprint("c", buyer)), unit.OrderID(fmt.Sprint("o", buyer))
			if len(lines) == 0 || s.cart(cartID, lines) != nil {
				return
			}
			result, err := s.Checkout(ctx, call(), CheckoutRequest{CartID: cartID, OrderID: id})
			if err != nil || !result.Placed {
				return
			}
			tell(id, order.StatusPending)
			if end == 0 {
				return
			}
			if _, err := s.Order(ctx, call(), id, order.Confirm{Now: s.Now()}); err != nil {
				return
			}
			tell(id, order.StatusConfirmed)
			switch end {
			case 1:
				if _, err := s.Order(ctx, call(), id, order.Cancel{Reason: "changed my mind"}); err == nil {
					tell(id, order.StatusCanceled)
				}
			case 2:
				// Whether it ships depends on where its stock is held.
				_, _ = s.Order(ctx, call(), id, order.Ship{ShipmentID: "s1", Location: unit.DefaultLocation})
			}
		})
	}
	wait.Wait()
	return told
}

// recoverFrom runs a reactor until it has nothing open.
func recoverFrom(t *testing.T, s *shop) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	head, err := s.store.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	book := &logbook{timers: map[Deadline]Timer{}}
	reactor := &Reactor{Store: s.store, Journal: book, Finisher: s.Service, Logger: slog.New(slog.DiscardHandler), Grace: time.Millisecond}
	ended := make(chan error, 1)
	go func() { ended <- reactor.Run(ctx) }()
	for {
		at, idle := eventstore.Start, false
		reactor.mu.Lock()
		if tracker := reactor.tracker; tracker != nil { // it leads
			at, idle = tracker.position, len(tracker.open) == 0 && tracker.caughtUp
		}
		reactor.mu.Unlock()
		if idle && !at.Before(head) {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the reactor stands at %s of %s", at, head)
		}
		pause.For(ctx, time.Millisecond)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestAReservationMadeAfterItsCheckoutWasRefusedIsReleased(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), DefaultPolicy())
	s.sell("NONE", 0)
	if err := s.cart("c1", map[unit.SKU]unit.Quantity{"NONE": 1}); err != nil {
		t.Fatal(err)
	}
	if result, err := s.Checkout(t.Context(), call(), CheckoutRequest{CartID: "c1", OrderID: "o1"}); err != nil || result.Placed {
		t.Fatalf("checkout: %+v, %v; want it refused", result, err)
	}
	s.receive("NONE", 1)
	// A driver that was slow, on a node that then died.
	_, err := s.MoveStock(t.Context(), call(), key("NONE"), stock.Reserve{
		At: s.At(key("NONE")), ReservationID: unit.ReservationID(unit.CheckoutReservation.Of("c1", "o1", "NONE", "main").ID()),
		OrderID: "o1", Quantity: 1, ExpiresAt: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	recoverFrom(t, s)
	if got := s.available("NONE"); got != 1 {
		t.Errorf("%d available, want the one that was held for nobody", got)
	}
	s.audit()
}

func TestAParcelThatStockDoesNotHaveIsRefusedUnlessForced(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), DefaultPolicy())
	s.sell("LATER", 0)
	policy := stock.SetPolicy{At: s.At(key("LATER")), Policy: stock.Policy{BackorderLimit: 5}}
	if _, err := s.MoveStock(t.Context(), call(), key("LATER"), policy); err != nil {
		t.Fatal(err)
	}
	if err := s.cart("c1", map[unit.SKU]unit.Quantity{"LATER": 3}); err != nil {
		t.Fatal(err)
	}
	if result, err := s.Checkout(t.Context(), call(), CheckoutRequest{CartID: "c1", OrderID: "o1"}); err != nil || !result.Placed {
		t.Fatalf("checkout of a backorder: %+v, %v", result, err)
	}
	if _, err := s.Order(t.Context(), call(), "o1", order.Confirm{Now: s.Now()}); err != nil {
		t.Fatal(err)
	}
	ship := order.Ship{ShipmentID: "s1", Location: unit.DefaultLocation}
	if _, err := s.Order(t.Context(), call(), "o1", ship); !errors.Is(err, stock.ErrNotOnHand) {
		t.Errorf("shipping what is not there: %v, want %v", err, stock.ErrNotOnHand)
	}
	if parcels := s.order("o1").Shipments; len(parcels) != 0 {
		t.Errorf("a refused parcel was recorded: %+v", parcels)
	}
	ship.Force = true
	if _, err := s.Order(t.Context(), call(), "o1", ship); err != nil {
		t.Errorf("by force: %v", err)
	}
	s.audit()
}
