package commands_test

import (
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// If the append of a checkout fails, its result names no order.
func TestAFailedAppendPlacesNoOrder(t *testing.T) {
	t.Parallel()
	log := &groupLog{Store: memory.New()}
	s := open(t, log, commands.DefaultPolicy())
	ask := sellMugs(t, s)
	log.fault = func(int, func() ([]eventstore.Result, error)) ([]eventstore.Result, error) { return nil, errGone }
	result, err := s.Checkout(t.Context(), callOf("checkout"), ask)
	if !errors.Is(err, errGone) {
		t.Fatal(err)
	}
	if result.Placed || result.OrderID != "" {
		t.Errorf("nothing is recorded, and the result is Placed=%v, order %s", result.Placed, result.OrderID)
	}
	if s.OrderState(result.OrderID).Exists() {
		t.Error("there is an order")
	}
}

// holdFirst lets the first append of several streams wait, so that the checkouts that come
// meanwhile are one batch.
func holdFirst(log *groupLog, then func(n int, do func() ([]eventstore.Result, error)) ([]eventstore.Result, error)) (begun, goOn chan struct{}) {
	begun, goOn = make(chan struct{}), make(chan struct{})
	log.fault = func(n int, do func() ([]eventstore.Result, error)) ([]eventstore.Result, error) {
		if n == 1 {
			close(begun)
			<-goOn
			return do()
		}
		return then(n, do)
	}
	return begun, goOn
}

// awaitWaiting waits until so many checkouts wait to be recorded together.
func awaitWaiting(s *shop, checkouts int) {
	for s.WaitingTogether() < checkouts {
		runtime.Gosched()
	}
}

// asItComes is a groupLog.fault without a fault: it makes each append.
func asItComes(_ int, do func() ([]eventstore.Result, error)) ([]eventstore.Result, error) {
	return do()
}

// One checkout of a batch is at fault, because its cart's stream has ended. Another one that wants
// the same goods succeeds.
func TestAFaultOfOneCheckoutDoesNotRefuseAnother(t *testing.T) {
	t.Parallel()
	log := &groupLog{Store: memory.New()}
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 100)
	s.Sell("OTHER", 100)
	s.Available("MUG")
	s.Available("OTHER")
	for _, id := range []unit.CartID{"c1", "c2"} {
		s.Must(s.FillCart(id, map[unit.SKU]unit.Quantity{"MUG": 1}))
	}
	s.Must(s.FillCart("c0", map[unit.SKU]unit.Quantity{"OTHER": 1}))
	begun, goOn := holdFirst(log, asItComes)
	var wait sync.WaitGroup
	errs := map[unit.CartID]error{}
	var mu sync.Mutex
	check := func(id unit.CartID) {
		wait.Go(func() {
			result, err := s.Checkout(t.Context(), callOf("check out "+string(id)), payNow(id))
			mu.Lock()
			defer mu.Unlock()
			errs[id] = errors.Join(err, result.Refusal())
		})
	}
	check("c0")
	<-begun
	check("c1")
	check("c2")
	awaitWaiting(s, 2)
	if _, err := log.Append(t.Context(), cart.Stream("c1"), eventstore.Any, []eventstore.Event{{ID: uuid.New(), Type: eventstore.TombstoneType, Data: []byte("{}")}}); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	wait.Wait()
	if errs["c0"] != nil || errs["c2"] != nil || errs["c1"] == nil {
		t.Errorf("c0: %v; c1: %v; c2: %v; want only c1 refused", errs["c0"], errs["c1"], errs["c2"])
	}
}

// A reader that has read up to the position of a result has read all events of the checkout.
func TestThePositionOfAResultIsTheLastOne(t *testing.T) {
	t.Parallel()
	log := &groupLog{Store: memory.New()}
	s := open(t, log, commands.DefaultPolicy())
	ask := sellMugs(t, s)
	ask.OrderID = "o-1"
	if _, err := s.Order(t.Context(), shoptest.NewCall(), "o-1", order.Confirm{Now: time.Now()}); !errors.Is(err, order.ErrNotFound) {
		t.Fatal(err)
	}
	result, err := s.Checkout(t.Context(), callOf("checkout"), ask)
	if err != nil || !result.Placed || log.count() != 1 {
		t.Fatal(result, err, log.count())
	}
	for _, sku := range []unit.SKU{"MUG", "TRAY"} {
		if at := s.LastEvent(stock.Stream(sku, unit.DefaultLocation)).Position; result.Final.Position.Before(at) {
			t.Errorf("the result is at %s, and %s has an event of it at %s", result.Final.Position, sku, at)
		}
	}
}

// A call without a command id is refused, as it is step by step.
func TestACallWithoutIDIsRefused(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]eventstore.Store{"together": memory.New(), "step by step": stepwise(memory.New())} {
		s := open(t, log, commands.DefaultPolicy())
		ask := sellMugs(t, s)
		if result, err := s.Checkout(t.Context(), commands.Call{}, ask); err == nil {
			t.Errorf("%s: %+v", name, result.OrderID)
		}
	}
}

// One batch has a cart twice (two clicks), a call twice, two carts with one order id, and a
// checkout that is not confirmed.
func TestCheckoutsThatConcernEachOtherInOneBatch(t *testing.T) {
	t.Parallel()
	log := &groupLog{Store: memory.New()}
	s := open(t, log, commands.DefaultPolicy())
	for _, sku := range []unit.SKU{"MUG", "FIRST"} {
		s.Sell(sku, 100)
		s.Available(sku)
	}
	s.Must(s.FillCart("first", map[unit.SKU]unit.Quantity{"FIRST": 1}))
	for _, id := range []unit.CartID{"c1", "c2", "c3", "c4", "c5"} {
		s.Must(s.FillCart(id, map[unit.SKU]unit.Quantity{"MUG": 1}))
	}
	begun, goOn := holdFirst(log, asItComes)
	var wait sync.WaitGroup
	type told struct {
		result commands.CheckoutResult
		err    error
	}
	all := map[string]told{}
	var mu sync.Mutex
	check := func(name, call string, ask commands.CheckoutRequest) {
		wait.Go(func() {
			if ask.After != nil {
				after := *ask.After
				after.Call = callOf("after " + call)
				ask.After = &after
			}
			r, err := s.Checkout(t.Context(), callOf(call), ask)
			mu.Lock()
			defer mu.Unlock()
			all[name] = told{r, err}
		})
	}
	check("first", "first", payNow("first"))
	<-begun
	check("click 1", "k1", payNow("c1"))
	check("click 2", "k2", payNow("c1"))
	check("key 1", "k3", payNow("c2"))
	check("key 2", "k3", payNow("c2"))
	own := payNow("c3")
	own.OrderID = "own"
	other := payNow("c4")
	other.OrderID = "own"
	check("own 1", "k4", own)
	check("own 2", "k5", other)
	pending := payNow("c5")
	pending.After = nil
	check("pending", "k6", pending)
	awaitWaiting(s, 7)
	close(goOn)
	wait.Wait()
	for name, r := range all {
		if name[:3] != "own" && (r.err != nil || !r.result.Placed) {
			t.Errorf("%s: %v %v", name, r.err, r.result.Refusal())
		}
	}
	if a, b := all["click 1"], all["click 2"]; a.result.OrderID != b.result.OrderID {
		t.Error("two orders")
	}
	if a, b := all["own 1"], all["own 2"]; a.err == nil && b.err == nil && a.result.Placed == b.result.Placed {
		t.Errorf("%+v %+v", a, b)
	}
	if got := s.Available("MUG"); got != 96 {
		t.Errorf("%d mugs", got)
	}
	s.Audit()
}
