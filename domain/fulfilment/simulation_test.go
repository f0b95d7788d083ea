package fulfilment

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

// simulation is one order and the stocks that hold it. Each decision is atomic, as in the real
// program. Between two decisions anything may happen.
type simulation struct {
	t      testing.TB
	name   string        // how to repeat it
	pick   func(int) int // 0 to n-1
	now    time.Time
	order  order.State
	stocks map[stock.Key]*stock.State
	count  map[string]int // of events
	remedy order.Remedy

	shipped map[stock.Key]unit.Quantity // by stock, of the order
	resent  map[stock.Key]unit.Quantity // of those, opened again by the order
	back    map[stock.Key]unit.Quantity // of those, taken back by stock
}

func (w *simulation) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf(w.name+": "+format, args...)
}

func (w *simulation) tell(cmd order.Command) error {
	events, err := order.Decide(cmd, w.order)
	for _, e := range events {
		w.order = order.Evolve(w.order, e)
		w.count[fmt.Sprintf("%T", e)]++
		if again, ok := any(e).(order.ParcelResent); ok {
			for _, l := range again.Lines {
				w.resent[stock.Key{SKU: l.SKU, Location: again.Location}] += l.Quantity
				w.count["kept"] += int(l.Kept)
			}
		}
	}
	return err
}

func (w *simulation) stock(key stock.Key, cmd stock.Command) *rule.Rejection {
	if w.stocks[key] == nil {
		w.stocks[key] = &stock.State{}
	}
	events, err := stock.Decide(cmd, *w.stocks[key])
	for _, e := range events {
		*w.stocks[key] = stock.Evolve(*w.stocks[key], e)
		if left, ok := e.(stock.Shipped); ok {
			w.shipped[key] += left.Quantity
		}
		if back, ok := e.(stock.CameBack); ok {
			w.back[key] += back.Quantity
		}
		w.count[fmt.Sprintf("%T", e)]++
	}
	no, refused := errors.AsType[*rule.Rejection](err)
	if err != nil && !refused {
		w.fatalf("%T: %v", cmd, err)
	}
	return no
}

// drive is a driver, whose clock may be slow. It calls pause before each decision. If pause
// says so, the driver dies.
func (w *simulation) drive(slow time.Duration, pause func() bool) bool {
	for range 20 {
		p := Begin(w.order, w.remedy)
		for moves := p.Moves(); len(moves) > 0; moves = p.Moves() {
			var answers []StockReply
			for len(moves) > 0 {
				if !pause() {
					return false
				}
				i := w.pick(len(moves))
				m := moves[i]
				moves = slices.Delete(moves, i, i+1)
				answers = append(answers, StockReply{Move: m, Refusal: w.stock(m.Key, m.Command(w.now.Add(-slow)))})
			}
			p = p.Reply(answers)
		}
		commands := p.Commands()
		if len(commands) == 0 {
			return true
		}
		if !pause() {
			return false
		}
		w.allOrNone(commands)
	}
	w.fatalf("the process does not end")
	return true
}

// allOrNone sends commands as a driver does. The order may have changed since the driver looked at
// it. Then they may be refused, and the driver looks again.
func (w *simulation) allOrNone(commands []order.Command) {
	before := w.order.Clone()
	for _, cmd := range commands {
		if err := w.tell(cmd); err != nil {
			w.order = before
			return
		}
	}
}

var places = []unit.LocationID{"main", "east"}

func (w *simulation) place() {
	lines := []cart.Line{}
	left := map[unit.SKU]unit.Quantity{}
	for i := range 1 + w.pick(4) {
		l := cart.Line{Number: i + 1, SKU: []unit.SKU{"A", "B", "A", "POST"}[w.pick(4)], Kind: unit.Stocked, Quantity: unit.Quantity(1 + w.pick(3)), Price: pounds("1")}
		if l.SKU == "POST" {
			l.Kind = unit.Service
		} else {
			left[l.SKU] += l.Quantity
		}
		lines = append(lines, l)
	}
	cmd := order.Place{OrderID: "o1", Currency: "GBP", Lines: lines, RoundedLines: true, ConfirmBy: w.now.Add(time.Hour)}
	for _, sku := range []unit.SKU{"A", "B"} {
		for i, location := range places {
			key := stock.Key{SKU: sku, Location: location}
			q := unit.Quantity(w.pick(int(left[sku]) + 1))
			if i == len(places)-1 {
				q = left[sku]
			}
			left[sku] -= q
			_ = w.stock(key, stock.Receive{At: stock.At{Key: key, Now: w.now}, Quantity: q + unit.Quantity(1+w.pick(2))})
			if q == 0 {
				continue
			}
			id := stock.ReservationIDFor("o1", sku, location)
			if no := w.stock(key, stock.Reserve{At: stock.At{Key: key, Now: w.now}, ReservationID: id, OrderID: "o1", Quantity: q, ExpiresAt: cmd.ConfirmBy}); no != nil {
				w.fatalf("%v", no)
			}
			cmd.Reservations = append(cmd.Reservations, cart.Reservation{ReservationID: id, SKU: sku, Location: location, Quantity: q})
		}
	}
	if err := w.tell(cmd); err != nil {
		w.fatalf("%v", err)
	}
}

// happen sends a random command to the order or to the stock, as customers and clerks do.
func (w *simulation) happen(step int) {
	key := stock.Key{SKU: []unit.SKU{"A", "B"}[w.pick(2)], Location: places[w.pick(2)]}
	at := stock.At{Key: key, Now: w.now}
	line := order.LineQuantity{Line: 1 + w.pick(4), Quantity: unit.Quantity(1 + w.pick(2))}
	parcel := unit.ShipmentID(fmt.Sprint("p", step))
	switch w.pick(22) {
	case 0, 1, 2:
		_ = w.tell(order.Confirm{Now: w.now})
	case 3:
		_ = w.tell(order.CancelLines{Lines: []order.LineQuantity{line}})
	case 4:
		if w.pick(3) == 0 {
			_ = w.tell(order.Cancel{})
		}
	case 5:
		_ = w.tell(order.Expire{Now: w.now})
	case 6:
		w.ship(order.Ship{ShipmentID: parcel, Location: key.Location, Lines: []order.LineQuantity{line}})
	case 7:
		w.ship(order.Ship{ShipmentID: parcel, Location: key.Location})
	case 8, 12:
		_ = w.stock(key, stock.Receive{At: at, Quantity: unit.Quantity(1 + w.pick(4))})
		_ = w.tell(order.RetryAllocation{})
	case 9:
		w.buyAll(key, unit.OrderID(fmt.Sprint("other", step)))
	case 10:
		w.now = w.now.Add(time.Duration(w.pick(30)) * time.Minute)
	case 11:
		_ = w.stock(key, stock.Adjust{At: at, Change: unit.Quantity(w.pick(5) - 2), Reason: stock.Correction})
	case 13:
		_ = w.stock(key, stock.Deallocate{
			At: at, Origin: stock.Origin{Direct: true, Override: "sold at the counter"}, OrderID: "o1", Quantity: unit.Quantity(1 + w.pick(3)),
		})
		w.count["taken by force"]++
	case 15, 16, 17, 18, 19, 20, 21:
		w.astray()
	case 14:
		_ = w.tell(order.RetryAllocation{Lost: w.lost()})
	}
}

// astray lets something happen to a parcel that does not arrive.
func (w *simulation) astray() {
	if len(w.order.Shipments) == 0 {
		return
	}
	parcel := w.order.Shipments[w.pick(len(w.order.Shipments))]
	switch w.pick(7) {
	case 0:
		states := []order.ParcelState{order.ParcelUndeliverable, order.ParcelReturning, order.ParcelLost, order.ParcelLost, order.ParcelShipped}
		_ = w.tell(order.ReportParcel{ShipmentID: parcel.ID, State: states[w.pick(5)]})
	case 1, 2, 5, 6:
		cmd := order.TakeParcelBack{ShipmentID: parcel.ID, Location: []unit.LocationID{parcel.Location, parcel.Location, "east"}[w.pick(3)], Resend: w.pick(2) == 0}
		for _, l := range parcel.Lines {
			if i := slices.IndexFunc(w.order.Lines, func(of order.Line) bool { return of.Number == l.Line }); w.order.Lines[i].Kind == unit.Service {
				continue
			}
			disposition := []order.Disposition{order.Restocked, order.Restocked, order.Damaged, order.Quarantined, order.Missing}[w.pick(5)]
			cmd.Lines = append(cmd.Lines, order.BackUnits{Line: l.Line, Quantity: l.Quantity, Disposition: disposition})
		}
		_ = w.tell(cmd)
	case 3:
		_ = w.tell(order.ResendParcel{ShipmentID: parcel.ID})
	case 4:
		_ = w.tell(order.CreditParcel{ShipmentID: parcel.ID})
	}
}

// ship asks stock first, as a driver does, and is refused if stock refuses.
func (w *simulation) ship(cmd order.Ship) {
	moves, _ := ShipmentMoves(w.order, cmd)
	for _, m := range moves {
		if _, err := stock.Decide(m.Command(w.now), *w.stocks[m.Key]); err != nil {
			return
		}
	}
	_ = w.tell(cmd)
}

// lost returns the units that the order was promised and stock does not have.
func (w *simulation) lost() []order.Lost {
	return LostBy(w.order, func(key stock.Key) unit.Quantity {
		if s := w.stocks[key]; s != nil {
			return s.Orders["o1"].Open
		}
		return 0
	})
}

// loseTheStock lets the deadline pass between the confirmation and its commits,
// while others buy.
func (w *simulation) loseTheStock() {
	w.now = w.now.Add(time.Hour - time.Second)
	if err := w.tell(order.Confirm{Now: w.now}); err != nil {
		w.fatalf("%v", err)
	}
	w.now = w.now.Add(time.Minute)
	for _, h := range w.order.Holdings {
		if w.pick(2) == 0 {
			w.buyAll(stock.Key{SKU: h.SKU, Location: h.Location}, "other")
		}
	}
}

func (w *simulation) buyAll(key stock.Key, buyer unit.OrderID) {
	if s := w.stocks[key]; s != nil && s.Sellable(w.now) > 0 {
		_ = w.stock(key, stock.Allocate{At: stock.At{Key: key, Now: w.now}, OrderID: buyer, Quantity: s.Sellable(w.now)})
	}
}

type worker struct {
	next func() (struct{}, bool)
	stop func()
}

func (w *simulation) start() *worker {
	slow := time.Duration(w.pick(2)) * 2 * time.Minute
	next, stop := iter.Pull(func(yield func(struct{}) bool) { w.drive(slow, func() bool { return yield(struct{}{}) }) })
	return &worker{next, stop}
}

func (w *simulation) simulate() {
	w.remedy = []order.Remedy{order.RemedyBackorder, order.RemedyVoidOrRefund}[w.pick(2)]
	w.place()
	switch w.pick(6) {
	case 0, 1:
		w.loseTheStock()
	case 2:
		w.now = w.now.Add(time.Hour) // too late to be confirmed
	}
	var workers []*worker
	for step := range 20 + w.pick(80) {
		switch w.pick(9) {
		case 0:
			workers = append(workers, w.start())
		case 1:
			if len(workers) > 0 { // a driver dies
				i := w.pick(len(workers))
				workers[i].stop()
				workers = slices.Delete(workers, i, i+1)
			}
		case 2, 3:
			w.happen(step)
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
	w.drive(0, func() bool { return true })
	if lost := w.lost(); len(lost) > 0 {
		_ = w.tell(order.RetryAllocation{Lost: lost})
		w.count["healed"]++
		w.drive(0, func() bool { return true })
	}
	w.stockIsWhatTheOrderSays()
}

// stockIsWhatTheOrderSays compares the order's quantities with stock. Once everything is
// settled, exactly the order's units are reserved, promised and shipped.
func (w *simulation) stockIsWhatTheOrderSays() {
	s := w.order
	if len(s.Unsettled) > 0 {
		w.fatalf("open: %+v", s.Unsettled)
	}
	if w.remedy == order.RemedyVoidOrRefund && s.Backordered() {
		w.fatalf("a lost order is left without its remedy")
	}
	for _, h := range s.Holdings {
		key := stock.Key{SKU: h.SKU, Location: h.Location}
		var reserved, promised unit.Quantity // what stock should have
		switch {
		case s.Status == order.StatusPending && !h.Released:
			reserved = h.Quantity
		case s.Status == order.StatusConfirmed:
			promised = h.Backed()
		}
		have := w.stocks[key]
		if due := !w.now.Before(s.ConfirmBy); have.Reservations[h.ReservationID].Quantity != reserved && !due {
			w.fatalf("%s order, %+v: stock holds %d, want %d", s.Status, h, have.Reservations[h.ReservationID].Quantity, reserved)
		}
		if open := have.Orders["o1"].Open; open != promised {
			w.fatalf("%s order, %+v: stock has promised %d, want %d", s.Status, h, open, promised)
		}
		if left := have.Reserved(w.now.Add(24 * time.Hour)); left > 0 {
			w.fatalf("%s order, %+v: %d are held for ever", s.Status, h, left)
		}
		if w.shipped[key]-w.resent[key] != h.Shipped {
			w.fatalf("%s order, %+v: stock has shipped %d", s.Status, h, w.shipped[key])
		}
	}
	for _, parcel := range s.Shipments {
		for _, l := range parcel.Back {
			if l.Disposition != order.Missing {
				w.back[stock.Key{SKU: l.SKU, Location: parcel.BackTo}] -= l.Quantity
			}
		}
	}
	for key, more := range w.back {
		if more != 0 {
			w.fatalf("stock %v has taken back %d more than came back", key, more)
		}
	}
}

var simulations = flag.Int("simulations", 3000, "how many simulations to run")

func newSimulation(t testing.TB, name string, count map[string]int, pick func(int) int) *simulation {
	return &simulation{
		t: t, name: name, pick: pick, now: noon, stocks: map[stock.Key]*stock.State{}, count: count, shipped: map[stock.Key]unit.Quantity{},
		resent: map[stock.Key]unit.Quantity{}, back: map[stock.Key]unit.Quantity{},
	}
}

func TestWhateverDriversDoStockIsWhatTheOrderSays(t *testing.T) {
	count := map[string]int{}
	for seed := range uint64(*simulations) {
		newSimulation(t, fmt.Sprintf("seed %d", seed), count, rand.New(rand.NewPCG(seed, 0)).IntN).simulate()
	}
	for _, rare := range []string{
		"order.Canceled", "order.LinesCanceled", "order.Expired", "order.Shipped", "order.AllocationFailed", "order.AllocationRetried", "order.AllocationRecovered",
		"stock.ReservationCommitted", "stock.ReservationReleased", "stock.Deallocated", "stock.Shipped", "stock.Allocated",
		"taken by force", "healed", "order.ParcelBack", "order.ParcelResent", "kept", "stock.CameBack",
	} {
		if count[rare] < *simulations/100 {
			t.Errorf("%s happened %d times: the simulations are too quiet to prove anything", rare, count[rare])
		}
	}
}

func FuzzDrivers(f *testing.F) {
	f.Add([]byte("two drivers, and a death"))
	f.Fuzz(func(t *testing.T, script []byte) {
		newSimulation(t, "script", map[string]int{}, func(n int) int {
			if len(script) == 0 {
				return n - 1 // then only workers go on, and the simulation ends
			}
			next := int(script[0]) % n
			script = script[1:]
			return next
		}).simulate()
	})
}
