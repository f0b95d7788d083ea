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

// simulation is a log and the aggregates folded from it. Each decision is atomic, as in the real
// program. Between two decisions anything may happen.
type simulation struct {
	t    testing.TB
	name string        // how to repeat it
	pick func(int) int // 0 to n-1
	// alone means that a driver starts only when no other driver is at work. Then no driver
	// can make a late reservation, and none is looked for.
	alone bool
	// old means that the checkouts were begun by an older program.
	old    bool
	now    time.Time
	log    []fact // of all streams, in order
	stocks map[stock.Key]*stock.State
	ids    []attempt
	carts  map[unit.CartID]*cart.State
	orders map[unit.OrderID]*order.State
}

// fact is an event, and whose.
type fact struct {
	event any
	cart  unit.CartID // of a cart's
}

// attempt is a checkout of a cart under an order id, which several carts may have.
type attempt struct {
	cart  unit.CartID
	order unit.OrderID
}

func newSimulation(t testing.TB, name string, pick func(int) int) *simulation {
	return &simulation{
		t: t, name: name, pick: pick, now: noon, stocks: map[stock.Key]*stock.State{},
		carts: map[unit.CartID]*cart.State{}, orders: map[unit.OrderID]*order.State{},
	}
}

func (w *simulation) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf(w.name+": "+format, args...)
}

// oneOf picks an element.
func oneOf[T any](w *simulation, from []T) T { return from[w.pick(len(from))] }

// commit decides and appends.
func commit[S, C, E any](w *simulation, s *S, of unit.CartID, decide func(C, S) ([]E, error), evolve func(S, E) S, cmd C) error {
	events, err := decide(cmd, *s)
	for _, e := range events {
		*s = evolve(*s, e)
		w.log = append(w.log, fact{e, of})
	}
	if _, refused := errors.AsType[*rule.Rejection](err); err != nil && !refused {
		w.fatalf("%T: %v", cmd, err)
	}
	return err
}

func (w *simulation) stock(key stock.Key, cmd stock.Command) error {
	if w.stocks[key] == nil {
		w.stocks[key] = &stock.State{}
	}
	return commit(w, w.stocks[key], "", stock.Decide, stock.Evolve, cmd)
}

func (w *simulation) cart(id unit.CartID, cmd cart.Command) error {
	if w.carts[id] == nil {
		w.carts[id] = &cart.State{}
	}
	return commit(w, w.carts[id], id, cart.Decide, cart.Evolve, cmd)
}

func (w *simulation) order(id unit.OrderID, cmd order.Command) error {
	if w.orders[id] == nil {
		w.orders[id] = &order.State{}
	}
	return commit(w, w.orders[id], "", order.Decide, order.Evolve, cmd)
}

// checkout returns the state of a checkout, as the log has it.
func (w *simulation) checkout(of attempt) (started cart.CheckoutStarted, outcome cart.Event) {
	for _, f := range w.log {
		switch e := f.event.(type) {
		case cart.CheckoutStarted:
			if f.cart == of.cart && e.OrderID == of.order {
				started = e
			}
		case cart.CheckedOut:
			if f.cart == of.cart && e.OrderID == of.order {
				outcome = e
			}
		case cart.CheckoutRefused:
			if f.cart == of.cart && e.OrderID == of.order {
				outcome = e
			}
		}
	}
	return started, outcome
}

// drive is a driver. It calls pause before each decision. If pause says so, the driver dies.
func (w *simulation) drive(id attempt, pause func() bool) bool {
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
		w.fatalf("%v is decided and has no outcome", id)
	}
	return w.follow(started, outcome, pause)
}

func (w *simulation) decide(started cart.CheckoutStarted, pause func() bool) bool {
	p := Begin(started)
	for asks := p.Asks(); len(asks) > 0; asks = p.Asks() {
		var answers []StockReply
		for len(asks) > 0 {
			if !pause() {
				return false
			}
			i := w.pick(len(asks))
			ask := asks[i]
			asks = slices.Delete(asks, i, i+1)
			answers = append(answers, StockReply{Ask: ask, Err: w.stock(ask.Key, ask.Reserve(w.now))})
		}
		p = p.Reply(answers)
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

func (w *simulation) follow(started cart.CheckoutStarted, outcome cart.Event, pause func() bool) bool {
	var keep []cart.Reservation
	if done, ok := outcome.(cart.CheckedOut); ok {
		keep = done.Reservations
		if !pause() {
			return false
		}
		switch err := w.order(started.OrderID, Place(started, done)); {
		case errors.Is(err, order.ErrIDTaken):
			keep = nil
			if !pause() {
				return false
			}
			if err := w.cart(started.CartID, Withdraw(started)); err != nil {
				w.fatalf("withdraw: %v", err)
			}
		case err != nil:
			w.fatalf("a checked out cart's order was refused: %v", err)
		}
	} else if claim, chosen := Claim(started); chosen {
		if !pause() {
			return false
		}
		if err := w.order(started.OrderID, claim); err != nil && !errors.Is(err, order.ErrIDTaken) {
			w.fatalf("claim: %v", err)
		}
	}
	for _, r := range Releases(started, keep, OfAnother(started, w.ordersState(started.OrderID))) {
		if !pause() {
			return false
		}
		if err := w.stock(r.Key, r.Command(w.now)); err != nil {
			w.fatalf("release: %v", err)
		}
	}
	return true
}

func (w *simulation) ordersState(id unit.OrderID) order.State {
	if s := w.orders[id]; s != nil {
		return s.Clone()
	}
	return order.State{}
}

// react is the part of a driver that reads the log.
func (w *simulation) react(f fact, pause func() bool) bool {
	switch e := f.event.(type) {
	case cart.CheckoutStarted:
		return w.drive(attempt{f.cart, e.OrderID}, pause)
	case cart.CheckedOut:
		return w.drive(attempt{f.cart, e.OrderID}, pause)
	case cart.CheckoutRefused:
		return w.drive(attempt{f.cart, e.OrderID}, pause)
	case stock.Reserved:
		for _, id := range w.ids {
			if _, outcome := w.checkout(id); id.order == e.OrderID && outcome != nil && !w.alone && !w.drive(id, pause) {
				return false
			}
		}
	}
	return true
}

// reader follows the log to its end. If it dies, it starts again with the work that it had not
// finished.
type reader struct{ done int }

func (r *reader) run(w *simulation, pause func() bool) {
	for at := r.done; at < len(w.log); at++ {
		if !w.react(w.log[at], pause) {
			return
		}
		r.done = max(r.done, at+1) // two may read at once
	}
}

// worker runs one step at a time, so that another worker can run between any two steps.
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

// startCheckout checks a new cart out, often under an order id that another cart
// has, and sometimes as an older program did.
func (w *simulation) startCheckout(i int) attempt {
	cartID, id, from := unit.CartID(fmt.Sprintf("c%d", i)), unit.OrderID("chosen"), cart.FromCaller
	if w.pick(3) == 0 {
		id, from = unit.OrderID(fmt.Sprintf("o%d", i)), cart.FromServer
	}
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
		OrderID: id, ReserveUntil: w.now.Add(time.Hour),
		Policy:      oneOf(w, []cart.Policy{cart.AllOrNothing, cart.LineByLine}),
		Sourcing:    cart.Sourcing{Locations: places[:1+w.pick(2)], Split: w.pick(2) == 0},
		OrderIDFrom: from,
	}))
	if from == cart.FromCaller && w.old {
		last := &w.log[len(w.log)-1]
		started := last.event.(cart.CheckoutStarted)
		started.OrderIDFrom = ""
		last.event = started
	}
	return attempt{cartID, id}
}

// happen does what everybody else does: goods arrive, others buy, time passes.
func (w *simulation) happen(step int) {
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

// simulate runs drivers of several checkouts, some in a request and some from the log. Their steps
// are interleaved, and drivers are killed, at random. At the end one reader finishes without being
// disturbed.
func (w *simulation) simulate() {
	for _, sku := range skus {
		for _, place := range places {
			if n := w.pick(7); n > 0 {
				key := stock.Key{SKU: sku, Location: place}
				_ = w.stock(key, stock.Receive{At: stock.At{Key: key, Now: w.now}, Quantity: unit.Quantity(n)})
			}
		}
	}
	for i := range 1 + w.pick(3) {
		w.ids = append(w.ids, w.startCheckout(i))
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
			id := oneOf(w, w.ids)
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
	for _, id := range w.ids {
		w.nothingIsHalfReserved(id)
	}
}

// nothingIsHalfReserved checks that a checkout has an outcome. If it succeeded, there is an order
// with exactly the reservations that the outcome keeps, unless they ended at their deadline.
// If not, there is no order, the cart has no reservation, and the cart is open with its lines.
func (w *simulation) nothingIsHalfReserved(id attempt) {
	started, outcome := w.checkout(id)
	kept := map[unit.ReservationID]unit.Quantity{}
	o := w.ordersState(id.order)
	switch outcome := any(outcome).(type) {
	case nil:
		w.fatalf("%v has no outcome", id)
	case cart.CheckoutRefused:
		if o.Exists() && o.CartID == id.cart {
			w.fatalf("%v was refused and is an order", id)
		}
		if c := w.carts[id.cart]; c.Phase != cart.PhaseOpen || fmt.Sprint(c.Lines) != fmt.Sprint(started.Lines) {
			w.fatalf("%v was refused, the cart is %s with %v, it had %v", id, c.Phase, c.Lines, started.Lines)
		}
		if _, chosen := Claim(started); chosen && o.MayBelongTo("any other cart") {
			w.fatalf("%v was refused and its order id is free for others", id)
		}
	case cart.CheckedOut:
		if !o.Exists() || o.CartID != id.cart {
			w.fatalf("%v is checked out and no order", id)
		}
		for _, h := range outcome.Reservations {
			kept[h.ReservationID] = h.Quantity
		}
	}
	due := !w.now.Before(started.ReserveUntil)
	for key, s := range w.stocks {
		reservation := ReservationID(started, key.SKU, key.Location)
		reserved := s.Reservations[reservation].Quantity
		shared := w.old && id.order == "chosen" // by two carts, and each of them may release it
		if reserved != kept[reservation] && (reserved != 0 || !due && !shared) && (!shared || !o.Exists()) {
			w.fatalf("%v holds %d of %s at %s, its outcome keeps %d", id, reserved, key.SKU, key.Location, kept[reservation])
		}
		if s.Available(w.now) < 0 {
			w.fatalf("%s at %s is oversold", key.SKU, key.Location)
		}
	}
}

var simulations = flag.Int("simulations", 3000, "how many simulations to run")

func TestWhateverDriversDoNothingIsHalfHeld(t *testing.T) {
	outcomes := map[string]int{}
	for seed := range uint64(*simulations) {
		w := newSimulation(t, fmt.Sprintf("seed %d", seed), rand.New(rand.NewPCG(seed, 0)).IntN)
		w.alone, w.old = seed%2 == 0, seed%5 == 0
		w.simulate()
		for _, e := range w.log {
			outcomes[fmt.Sprintf("%T", e.event)]++
			if refused, ok := e.event.(cart.CheckoutRefused); ok && len(refused.Lines) > 0 {
				outcomes["withdrawn"]++
			}
		}
	}
	for _, rare := range []string{"cart.CheckedOut", "cart.CheckoutRefused", "stock.ReservationReleased", "stock.ReservationExpired", "withdrawn", "order.Claimed"} {
		if outcomes[rare] < *simulations/100 {
			t.Errorf("%s happened %d times: the simulations are too quiet to prove anything", rare, outcomes[rare])
		}
	}
}

func FuzzDrivers(f *testing.F) {
	f.Add([]byte("two drivers, and a death"))
	f.Fuzz(func(t *testing.T, script []byte) {
		newSimulation(t, "script", func(n int) int {
			if len(script) == 0 {
				return n - 1 // then only workers go on, and the simulation ends
			}
			next := int(script[0]) % n
			script = script[1:]
			return next
		}).simulate()
	})
}
