package checkout

import (
	"errors"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/rule"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// world is a log and the aggregates folded from it. Each decision is atomic, as
// in the real one; between two of them anything may happen.
type world struct {
	t    testing.TB
	name string        // how to repeat it
	pick func(int) int // 0 to n-1
	// alone means that a driver is only started when no other is at work. Then
	// there are no strays, and nobody looks for any.
	alone  bool
	now    time.Time
	log    []any // events of all streams, in order
	stocks map[stock.Key]*stock.State
	carts  map[unit.CartID]*cart.State
	orders map[unit.OrderID]*order.State
}

func newWorld(t testing.TB, name string, pick func(int) int) *world {
	return &world{
		t: t, name: name, pick: pick, now: noon, stocks: map[stock.Key]*stock.State{},
		carts: map[unit.CartID]*cart.State{}, orders: map[unit.OrderID]*order.State{},
	}
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf(w.name+": "+format, args...)
}

// oneOf picks an element.
func oneOf[T any](w *world, from []T) T { return from[w.pick(len(from))] }

// commit decides and appends.
func commit[S, C, E any](w *world, s *S, decide func(C, S) ([]E, error), evolve func(S, E) S, cmd C) error {
	events, err := decide(cmd, *s)
	for _, e := range events {
		*s = evolve(*s, e)
		w.log = append(w.log, e)
	}
	if _, refused := errors.AsType[*rule.Rejection](err); err != nil && !refused {
		w.fatalf("%T: %v", cmd, err)
	}
	return err
}

func (w *world) stock(key stock.Key, cmd stock.Command) error {
	if w.stocks[key] == nil {
		w.stocks[key] = &stock.State{}
	}
	return commit(w, w.stocks[key], stock.Decide, stock.Evolve, cmd)
}

func (w *world) cart(id unit.CartID, cmd cart.Command) error {
	if w.carts[id] == nil {
		w.carts[id] = &cart.State{}
	}
	return commit(w, w.carts[id], cart.Decide, cart.Evolve, cmd)
}

func (w *world) order(id unit.OrderID, cmd order.Command) error {
	if w.orders[id] == nil {
		w.orders[id] = &order.State{}
	}
	return commit(w, w.orders[id], order.Decide, order.Evolve, cmd)
}

// checkout reads how a checkout stands in the log.
func (w *world) checkout(id unit.OrderID) (started cart.CheckoutStarted, outcome cart.Event) {
	for _, e := range w.log {
		switch e := e.(type) {
		case cart.CheckoutStarted:
			if e.OrderID == id {
				started = e
			}
		case cart.CheckedOut:
			if e.OrderID == id {
				outcome = e
			}
		case cart.CheckoutRefused:
			if e.OrderID == id {
				outcome = e
			}
		}
	}
	return started, outcome
}

// drive is a driver. It pauses before each decision; when pause says so, it is
// dead.
func (w *world) drive(id unit.OrderID, pause func() bool) bool {
	started, outcome := w.checkout(id)
	if outcome == nil {
		if !w.decide(started, pause) {
			return false
		}
	}
	if !pause() {
		return false
	}
	if _, outcome = w.checkout(id); outcome == nil {
		w.fatalf("%s is decided and has no outcome", id)
	}
	return w.follow(started, outcome, pause)
}

func (w *world) decide(started cart.CheckoutStarted, pause func() bool) bool {
	p := Begin(started)
	for asks := p.Asks(); len(asks) > 0; asks = p.Asks() {
		var answers []Answer
		for len(asks) > 0 {
			if !pause() {
				return false
			}
			i := w.pick(len(asks))
			ask := asks[i]
			asks = slices.Delete(asks, i, i+1)
			answers = append(answers, Answer{Ask: ask, Err: w.stock(ask.Key, ask.Reserve(w.now))})
		}
		p = p.Answer(answers)
	}
	outcome, known := p.Outcome()
	if !known {
		w.fatalf("nothing to ask and no outcome")
	}
	if !pause() {
		return false
	}
	if err := w.cart(started.CartID, outcome); err != nil && !errors.Is(err, cart.ErrCheckoutDecided) {
		w.fatalf("outcome: %v", err)
	}
	return true
}

func (w *world) follow(started cart.CheckoutStarted, outcome cart.Event, pause func() bool) bool {
	var keep []cart.Held
	if done, ok := outcome.(cart.CheckedOut); ok {
		keep = done.Held
		if !pause() {
			return false
		}
		if err := w.order(started.OrderID, Place(started, done)); err != nil {
			w.fatalf("a checked out cart's order was refused: %v", err)
		}
	}
	for _, r := range Releases(started, keep) {
		if !pause() {
			return false
		}
		if err := w.stock(r.Key, r.Command(w.now)); err != nil {
			w.fatalf("release: %v", err)
		}
	}
	return true
}

// react is what a driver does that reads the log.
func (w *world) react(e any, pause func() bool) bool {
	switch e := e.(type) {
	case cart.CheckoutStarted:
		return w.drive(e.OrderID, pause)
	case cart.CheckedOut:
		return w.drive(e.OrderID, pause)
	case cart.CheckoutRefused:
		return w.drive(e.OrderID, pause)
	case stock.Reserved:
		if w.alone {
			return true
		}
		if _, outcome := w.checkout(e.OrderID); outcome != nil {
			return w.drive(e.OrderID, pause)
		}
	}
	return true
}

// reader follows the log to its end; dead, it starts again at what it had not
// finished.
type reader struct{ done int }

func (r *reader) run(w *world, pause func() bool) {
	for at := r.done; at < len(w.log); at++ {
		if !w.react(w.log[at], pause) {
			return
		}
		r.done = max(r.done, at+1) // two may read at once
	}
}

// worker runs one step at a time, so that another can be between any two.
type worker struct {
	next func() (struct{}, bool)
	stop func()
}

func start(run func(pause func() bool)) *worker {
	next, stop := iter.Pull(func(yield func(struct{}) bool) { run(func() bool { return yield(struct{}{}) }) })
	return &worker{next, stop}
}

var (
	skus   = []unit.SKU{"A", "B"}
	places = []unit.LocationID{"main", "east"}
)

func (w *world) startCheckout(i int) unit.OrderID {
	cartID, id := unit.CartID(fmt.Sprintf("c%d", i)), unit.OrderID(fmt.Sprintf("o%d", i))
	must := func(err error) {
		if err != nil {
			w.fatalf("%v", err)
		}
	}
	must(w.cart(cartID, cart.Open{CartID: cartID, Currency: "GBP"}))
	for range 1 + w.pick(4) {
		offer := cart.Offer{Kind: unit.Stocked, Price: pounds("2")}
		sku := oneOf(w, append(skus, "POST"))
		if sku == "POST" {
			offer = cart.Offer{Kind: unit.Service, Price: pounds("1")}
		}
		must(w.cart(cartID, cart.AddLine{SKU: sku, Quantity: unit.Quantity(1 + w.pick(3)), Offer: offer}))
	}
	must(w.cart(cartID, cart.StartCheckout{
		OrderID: id, HoldUntil: w.now.Add(time.Hour),
		Policy:   oneOf(w, []cart.Policy{cart.AllOrNothing, cart.LineByLine}),
		Sourcing: cart.Sourcing{Locations: places[:1+w.pick(2)], Split: w.pick(2) == 0},
	}))
	return id
}

// happen is what the rest of the world does: goods come, others buy, time goes
// by.
func (w *world) happen(step int) {
	key := stock.Key{SKU: oneOf(w, skus), Location: oneOf(w, places)}
	other := unit.OrderID(fmt.Sprintf("other%d", step))
	switch w.pick(6) {
	case 0, 1:
		_ = w.stock(key, stock.Receive{At: stock.At{Key: key, Now: w.now}, Quantity: unit.Quantity(1 + w.pick(4))})
	case 2, 3:
		_ = w.stock(key, stock.Allocate{At: stock.At{Key: key, Now: w.now}, OrderID: other, Quantity: unit.Quantity(1 + w.pick(3))})
	case 4:
		w.now = w.now.Add(time.Duration(1+w.pick(40)) * time.Minute)
	case 5:
		_ = w.stock(key, stock.ExpireDue{At: stock.At{Key: key, Now: w.now}})
	}
}

// simulate runs drivers of several checkouts, in the request and from the log,
// interleaved and killed at random, and lets one reader finish in peace.
func (w *world) simulate() {
	for _, sku := range skus {
		for _, place := range places {
			if n := w.pick(7); n > 0 {
				key := stock.Key{SKU: sku, Location: place}
				_ = w.stock(key, stock.Receive{At: stock.At{Key: key, Now: w.now}, Quantity: unit.Quantity(n)})
			}
		}
	}
	var ids []unit.OrderID
	for i := range 1 + w.pick(3) {
		ids = append(ids, w.startCheckout(i))
	}
	log := &reader{}
	var workers []*worker
	for step := range 20 + w.pick(80) {
		what := w.pick(13)
		if w.alone && len(workers) > 0 && what <= 3 {
			what = 12
		}
		switch what {
		case 0, 1:
			id := oneOf(w, ids)
			workers = append(workers, start(func(pause func() bool) { w.drive(id, pause) }))
		case 2:
			workers = append(workers, start(func(pause func() bool) { log.run(w, pause) }))
		case 3:
			log.run(w, func() bool { return true })
		case 5:
			w.happen(step)
		case 4:
			if len(workers) > 0 { // a driver dies
				i := w.pick(len(workers))
				workers[i].stop()
				workers = slices.Delete(workers, i, i+1)
			}
		default:
			if len(workers) > 0 {
				i := w.pick(len(workers))
				if _, more := workers[i].next(); !more {
					workers = slices.Delete(workers, i, i+1)
				}
			}
		}
	}
	for _, each := range workers {
		each.stop()
	}
	log.run(w, func() bool { return true })
	for _, id := range ids {
		w.nothingIsHalfHeld(id)
	}
}

// nothingIsHalfHeld wants an outcome, and either an order with exactly the holds
// it keeps (unless they ended at their deadline) or no order and no hold.
func (w *world) nothingIsHalfHeld(id unit.OrderID) {
	started, outcome := w.checkout(id)
	kept := map[stock.Key]unit.Quantity{}
	switch outcome := any(outcome).(type) {
	case nil:
		w.fatalf("%s has no outcome", id)
	case cart.CheckoutRefused:
		if w.orders[id] != nil {
			w.fatalf("%s was refused and is an order", id)
		}
	case cart.CheckedOut:
		if w.orders[id] == nil {
			w.fatalf("%s is checked out and no order", id)
		}
		for _, h := range outcome.Held {
			kept[stock.Key{SKU: h.SKU, Location: h.Location}] = h.Quantity
		}
	}
	for key, s := range w.stocks {
		var held unit.Quantity
		for _, h := range s.Holds {
			if h.OrderID == id {
				held += h.Quantity
			}
		}
		due := !w.now.Before(started.HoldUntil)
		if held != kept[key] && (held != 0 || !due) {
			w.fatalf("%s holds %d of %s at %s, its outcome keeps %d", id, held, key.SKU, key.Location, kept[key])
		}
		if s.Available(w.now) < 0 {
			w.fatalf("%s at %s is oversold", key.SKU, key.Location)
		}
	}
}

var worlds = flag.Int("worlds", 3000, "how many simulated worlds to try")

func TestWhateverDriversDoNothingIsHalfHeld(t *testing.T) {
	outcomes := map[string]int{}
	for seed := range uint64(*worlds) {
		w := newWorld(t, fmt.Sprintf("seed %d", seed), rand.New(rand.NewPCG(seed, 0)).IntN)
		w.alone = seed%2 == 0
		w.simulate()
		for _, e := range w.log {
			outcomes[fmt.Sprintf("%T", e)]++
		}
	}
	for _, rare := range []string{"cart.CheckedOut", "cart.CheckoutRefused", "stock.ReservationReleased", "stock.ReservationExpired"} {
		if outcomes[rare] < *worlds/100 {
			t.Errorf("%s happened %d times: the worlds are too quiet to prove anything", rare, outcomes[rare])
		}
	}
}

func FuzzDrivers(f *testing.F) {
	f.Add([]byte("two drivers, and a death"))
	f.Fuzz(func(t *testing.T, script []byte) {
		newWorld(t, "script", func(n int) int {
			if len(script) == 0 {
				return n - 1 // then workers go on, and the world ends
			}
			next := int(script[0]) % n
			script = script[1:]
			return next
		}).simulate()
	})
}
