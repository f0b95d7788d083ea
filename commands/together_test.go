package commands_test

import (
	"context"
	"encoding/json"
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
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// stepwise hides that a log can append to several streams at once.
func stepwise(log eventstore.Store) eventstore.Store { return struct{ eventstore.Store }{log} }

// groupLog is a log that can append to several streams at once. It counts these appends. fault, if
// set, is called instead of each of them, with the append itself.
type groupLog struct {
	eventstore.Store
	mu     sync.Mutex
	groups int
	fault  func(number int, appendAll func() ([]eventstore.Result, error)) ([]eventstore.Result, error)
}

func (g *groupLog) AppendAll(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
	g.mu.Lock()
	g.groups++
	number := g.groups
	g.mu.Unlock()
	all, _ := eventstore.MultiAppenderOf(g.Store)
	appendAll := func() ([]eventstore.Result, error) { return all.AppendAll(ctx, writes) }
	if g.fault == nil {
		return appendAll()
	}
	return g.fault(number, appendAll)
}

func (g *groupLog) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.groups
}

// atNoon opens a shop whose clock stands still and whose command ids are always the same.
func atNoon(t *testing.T, log eventstore.Store) *shop {
	t.Helper()
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	service := commands.NewService(log, commands.DefaultPolicy(), func() time.Time { return noon }, aggregate.Options{})
	return &shop{&shoptest.Shop{Service: service, T: t, Log: log}}
}

func callOf(name string) commands.Call {
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte(name))
	return commands.Call{Who: access.System("test"), Meta: eventstore.Metadata{CommandID: id, CorrelationID: id.String(), Actor: "system:test", Channel: "test"}}
}

// sellMugs sells goods, fills the cart "c1" with two SKUs and returns the request of a whole
// checkout.
func sellMugs(t *testing.T, s *shop) commands.CheckoutRequest {
	t.Helper()
	s.Sell("MUG", 10)
	s.Sell("TRAY", 10)
	for _, sku := range []unit.SKU{"MUG", "TRAY"} {
		s.Available(sku) // now it is in memory
	}
	lines := []commands.WantedLine{{SKU: "MUG", Quantity: 2}, {SKU: "TRAY", Quantity: 1}}
	if _, err := s.AddLines(t.Context(), shoptest.NewCall(), "c1", &cart.Open{CartID: "c1", Currency: "GBP"}, lines); err != nil {
		t.Fatal(err)
	}
	return payNow("c1")
}

// payNow is the request to check out a cart, to pay its order and to confirm it.
func payNow(id unit.CartID) commands.CheckoutRequest {
	return commands.CheckoutRequest{CartID: id, After: &commands.AfterPlacing{
		Call: callOf("pay " + string(id)), Confirm: true,
		Pay: &order.RecordTransaction{Type: order.Capture, State: order.Succeeded},
	}}
}

// eventsOf are the events of the streams of carts, orders and stock, without the catalogue and
// the receipts, and without what differs between two runs: positions and times of recording.
func eventsOf(t *testing.T, log eventstore.Store) map[string][]string {
	t.Helper()
	events := map[string][]string{}
	for e, err := range log.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(e.Stream, "product-") || e.Type == "stock.received.v1" || strings.HasPrefix(e.Type, "cart.opened") {
			continue
		}
		events[e.Stream] = append(events[e.Stream], fmt.Sprintf("%s\t%s\t%s\t%s", e.Type, e.ID, e.Data, e.Meta))
	}
	return events
}

// A checkout in one append records what a checkout step by step records: the same events with the
// same ids. If the order is confirmed, too, there is an allocation in place of a reservation and
// its commitment, and no step is open.
func TestAWholeCheckoutIsOneAppend(t *testing.T) {
	t.Parallel()
	for name, confirm := range map[string]bool{"confirmed": true, "not confirmed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			together, apart := &groupLog{Store: memory.New()}, stepwise(memory.New())
			a, b := checkOutTwice(t, together, confirm), checkOutTwice(t, apart, confirm)
			if n := together.count(); n != 1 {
				t.Errorf("%d appends to several streams, want 1", n)
			}
			got, want := eventsOf(t, together), eventsOf(t, apart)
			if confirm {
				want = inFewerEvents(want)
			}
			for stream := range want {
				if a, b := strings.Join(got[stream], "\n"), strings.Join(want[stream], "\n"); a != b {
					t.Errorf("%s\n together\n%s\n step by step\n%s", stream, a, b)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d streams, want %d", len(got), len(want))
			}
			if a.Cart.Revision != b.Cart.Revision || a.OrderID != b.OrderID {
				t.Errorf("results\n together     %+v\n step by step %+v", a, b)
			}
			for _, r := range []commands.CheckoutResult{a, b} { // each result tells all that was recorded in the order
				if int64(len(r.Final.Events)) != r.Final.Revision+1 {
					t.Errorf("%d events, and the order is at revision %d", len(r.Final.Events), r.Final.Revision)
				}
			}
			if a.Cart.Position == eventstore.Start || a.Order.Position == eventstore.Start || a.Final.Position == eventstore.Start {
				t.Errorf("a result has no position: %+v", a)
			}
		})
	}
}

// checkOutTwice makes one call twice, and returns its first result.
func checkOutTwice(t *testing.T, log eventstore.Store, confirm bool) commands.CheckoutResult {
	t.Helper()
	s := atNoon(t, log)
	ask := sellMugs(t, s)
	ask.After.Confirm = confirm
	result, err := s.Checkout(t.Context(), callOf("checkout"), ask)
	if err != nil || !result.Placed {
		t.Fatalf("%+v, %v", result, err)
	}
	if again, err := s.Checkout(t.Context(), callOf("checkout"), ask); err != nil || !again.Placed || !again.Repeated {
		t.Errorf("made again: %+v, %v", again, err)
	}
	state, want := s.OrderState(result.OrderID), map[bool]order.Status{true: order.StatusConfirmed, false: order.StatusPending}[confirm]
	if state.Status != want || state.PaymentState() != order.Paid || len(state.Unsettled) != 0 {
		t.Errorf("the order is %+v", state)
	}
	if got := s.Available("MUG"); confirm && got != 8 { // the reservation of an old pending order is over
		t.Errorf("%d mugs are available, want 8", got)
	}
	s.Audit()
	return result
}

// inFewerEvents turns the events of a checkout that went step by step into those that it would have
// recorded in one append.
func inFewerEvents(streams map[string][]string) map[string][]string {
	fewer := map[string][]string{}
	for stream, events := range streams {
		for _, e := range events {
			parts := strings.SplitN(e, "\t", 4)
			var data map[string]any
			if err := json.Unmarshal([]byte(parts[2]), &data); err != nil {
				panic(err)
			}
			switch parts[0] {
			case "stock.reservation_committed.v1", "order.stock_settled.v1":
				continue
			case "stock.reserved.v1":
				parts[0] = "stock.allocated.v2"
				parts[2] = fmt.Sprintf(`{"sku":%q,"location":%q,"order_id":%q,"quantity":%v,"reservation_id":%q}`,
					data["sku"], data["location"], data["order_id"], data["quantity"], data["reservation_id"])
			case "order.confirmed.v1":
				parts[0], parts[2] = "order.confirmed.v2", `{"stock_allocated":true}`
			}
			fewer[stream] = append(fewer[stream], strings.Join(parts, "\t"))
		}
	}
	return fewer
}

// errGone is what a log that cannot be reached answers.
var errGone = &eventstore.UnavailableError{Cause: errors.New("gone")}

// Whatever happens to the append of a checkout, the caller is told the truth, and the same call
// made again has the order.
func TestTheAppendOfACheckoutFails(t *testing.T) {
	t.Parallel()
	type answer = []eventstore.Result
	type appendAll = func() ([]eventstore.Result, error)
	other := func(t *testing.T, log eventstore.Store) *shop {
		t.Helper()
		return open(t, stepwise(log), commands.DefaultPolicy())
	}
	for name, c := range map[string]struct {
		fault   func(t *testing.T, log eventstore.Store, n int, do appendAll) (answer, error)
		unknown bool // what the caller is told first
		refused bool // ... or that nothing was done
	}{
		"another node sells the goods first": {fault: func(t *testing.T, log eventstore.Store, _ int, do appendAll) (answer, error) {
			other(t, log).Receive("MUG", 1)
			return do()
		}},
		"the answer is lost": {fault: func(_ *testing.T, _ eventstore.Store, n int, do appendAll) (answer, error) {
			results, err := do()
			if n == 1 && err == nil {
				return nil, &eventstore.OutcomeUnknownError{Cause: errGone}
			}
			return results, err
		}},
		"the request is lost": {fault: func(_ *testing.T, _ eventstore.Store, n int, do appendAll) (answer, error) {
			if n == 1 {
				return nil, &eventstore.OutcomeUnknownError{Cause: errGone}
			}
			return do()
		}},
		"the log is away": {refused: true, fault: func(_ *testing.T, _ eventstore.Store, n int, do appendAll) (answer, error) {
			if n == 1 {
				return nil, errGone
			}
			return do()
		}},
		"the answer is lost, and then the log diverges": {unknown: true, fault: func(_ *testing.T, _ eventstore.Store, n int, do appendAll) (answer, error) {
			results, err := do()
			switch {
			case n == 1 && err == nil:
				return nil, &eventstore.OutcomeUnknownError{Cause: errGone}
			case n == 2:
				return nil, &eventstore.DivergedError{}
			}
			return results, err
		}},
		"the events are too large together": {fault: func(*testing.T, eventstore.Store, int, appendAll) (answer, error) {
			return nil, &eventstore.TooLargeError{What: "bytes"}
		}},
		"the log has one of the ids": {fault: func(*testing.T, eventstore.Store, int, appendAll) (answer, error) {
			return nil, &eventstore.DuplicateEventError{}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &groupLog{Store: memory.New()}
			s := open(t, log, commands.DefaultPolicy())
			ask := sellMugs(t, s)
			log.fault = func(n int, do func() ([]eventstore.Result, error)) ([]eventstore.Result, error) {
				return c.fault(t, log.Store, n, do)
			}
			result, err := s.Checkout(t.Context(), callOf("checkout"), ask)
			_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
			switch {
			case c.unknown != unknown, c.refused != errors.Is(err, errGone):
				t.Fatalf("the caller is told %+v, %v", result, err)
			case !c.unknown && !c.refused && (err != nil || !result.Placed):
				t.Fatalf("checkout: %+v, %v", result, err)
			}
			result, err = s.Checkout(t.Context(), callOf("checkout"), ask)
			if err != nil || !result.Placed {
				t.Fatalf("made again: %+v, %v", result, err)
			}
			if state := s.OrderState(result.OrderID); state.Status != order.StatusConfirmed || state.PaymentState() != order.Paid {
				t.Errorf("the order is %+v", state)
			}
			if log.count() == 0 {
				t.Error("there was no append to several streams, so the test shows nothing")
			}
			s.Audit()
		})
	}
}

// A checkout whose append loses a race is decided again on what the other writer has left, and is
// one append again. A node that has nothing of it in memory reads it, and records it in one append,
// too.
func TestACheckoutIsOneAppendAfterALostRace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lost  int  // races
		fresh bool // another node filled the cart
	}{
		"no race":                               {},
		"one lost race":                         {lost: 1},
		"three lost races":                      {lost: 3},
		"another node filled the cart":          {fresh: true},
		"another node, and then two lost races": {lost: 2, fresh: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &groupLog{Store: memory.New()}
			s := open(t, log, commands.DefaultPolicy())
			ask := sellMugs(t, s)
			other := open(t, stepwise(log.Store), commands.DefaultPolicy())
			if c.fresh {
				s = open(t, log, commands.DefaultPolicy())
			}
			log.fault = func(n int, do func() ([]eventstore.Result, error)) ([]eventstore.Result, error) {
				if n <= c.lost {
					other.Receive("TRAY", 1)
				}
				return do()
			}
			result, err := s.Checkout(t.Context(), callOf("checkout"), ask)
			if err != nil || !result.Placed {
				t.Fatalf("checkout: %+v, %v", result, err)
			}
			if n := log.count(); n != c.lost+1 {
				t.Errorf("%d appends to several streams, want %d", n, c.lost+1)
			}
			for stream, events := range eventsOf(t, log.Store) {
				if strings.HasPrefix(stream, "stock-") && (len(events) != 1 || !strings.HasPrefix(events[0], "stock.allocated.v2")) {
					t.Errorf("%s has %q, want one allocation", stream, events)
				}
			}
			s.Audit()
		})
	}
}

// A checkout with a payment that its order refuses places the order, as it does step by step. It
// does not disturb the checkouts beside it.
func TestARefusedPaymentLeavesTheOrderPlaced(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]eventstore.Store{"together": memory.New(), "step by step": stepwise(memory.New())} {
		s := open(t, log, commands.DefaultPolicy())
		ask := sellMugs(t, s)
		foreign, err := unit.ParseMoney("7.50", "EUR")
		if err != nil {
			t.Fatal(err)
		}
		ask.After.Pay.Amount = foreign
		result, err := s.Checkout(t.Context(), callOf("checkout"), ask)
		if err == nil || !result.Placed || s.OrderState(result.OrderID).Status != order.StatusPending {
			t.Errorf("%s: %+v, %v; want a placed order and a refusal", name, result, err)
		}
		s.Audit()
	}
}

// Buyers on two nodes check out the same goods at once. One node records together, the other step
// by step; or both do the same.
func TestNothingIsOversoldWhicheverWayIsTaken(t *testing.T) {
	t.Parallel()
	for name, nodes := range map[string][2]func(eventstore.Store) eventstore.Store{
		"both together": {asItIs, asItIs}, "one of each": {asItIs, stepwise}, "both step by step": {stepwise, stepwise},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := memory.New()
			const units, buyers = 40, 60
			var shops []*shop
			for _, node := range nodes {
				shops = append(shops, open(t, node(log), commands.DefaultPolicy()))
			}
			for _, sku := range []unit.SKU{"RARE", "MUG", "TRAY"} {
				shops[0].Sell(sku, units)
				shops[1].Available(sku)
			}
			shops[0].Receive("MUG", 1000)
			shops[0].Receive("TRAY", 1000)
			var wait sync.WaitGroup
			var mu sync.Mutex
			placed := 0
			for i := range buyers {
				wait.Go(func() {
					s := shops[i%2]
					id := unit.CartID(fmt.Sprint("c", i))
					other := []unit.SKU{"MUG", "TRAY"}[i/2%2]
					if err := s.FillCart(id, map[unit.SKU]unit.Quantity{"RARE": 1, other: 2}); err != nil {
						t.Error(err)
						return
					}
					result, err := s.Checkout(t.Context(), shoptest.NewCall(), payNow(id))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					if result.Placed {
						placed++
					}
				})
			}
			wait.Wait()
			if placed != units {
				t.Errorf("%d orders of %d units", placed, units)
			}
			if got := shops[0].Available("RARE"); got != 0 {
				t.Errorf("%d units are left", got)
			}
			shops[0].Audit()
		})
	}
}

func asItIs(log eventstore.Store) eventstore.Store { return log }

// A caller whose time ends gets a result in time, even if the append hangs. If the call is made
// again, it gets the order.
func TestACheckoutWhoseCallerGivesUp(t *testing.T) {
	t.Parallel()
	log := &groupLog{Store: memory.New()}
	s := open(t, log, commands.DefaultPolicy())
	ask := sellMugs(t, s)
	begun, goOn := make(chan struct{}), make(chan struct{})
	log.fault = func(n int, do func() ([]eventstore.Result, error)) ([]eventstore.Result, error) {
		if n == 1 {
			close(begun)
			<-goOn
		}
		return do()
	}
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan error)
	go func() {
		_, err := s.Checkout(ctx, callOf("checkout"), ask)
		told <- err
	}()
	<-begun
	cancel()
	if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](<-told); !unknown {
		t.Error("a caller that gave up during the append is not told that the outcome is unknown")
	}
	if err := s.FillCart("c2", map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
		t.Fatal(err)
	}
	second, stop := context.WithCancel(t.Context())
	go func() {
		_, err := s.Checkout(second, callOf("checkout of c2"), payNow("c2"))
		told <- err
	}()
	stop()
	if err := <-told; !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that gave up before its checkout began is told: %v", err)
	}
	close(goOn)
	for call, id := range map[string]unit.CartID{"checkout": "c1", "checkout of c2": "c2"} {
		result, err := s.Checkout(t.Context(), callOf(call), payNow(id))
		if err != nil || !result.Placed {
			t.Errorf("%s made again: %+v, %v", call, result, err)
		}
	}
	s.Audit()
}
