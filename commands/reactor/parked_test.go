package reactor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pause"
)

// logbook is a ParkingLot, too.

// stubborn is a finisher that fails for some work.
type stubborn struct {
	Finisher
	mu    sync.Mutex
	fails func(id string) error // nil: it does not
	tried map[string]int        // by the id of an order or a return
}

func (s *stubborn) finish(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried[id]++
	return s.fails(id)
}

func (s *stubborn) FinishCheckout(_ context.Context, _ unit.CartID, id unit.OrderID) error {
	return s.finish(string(id))
}

func (s *stubborn) FinishOrder(_ context.Context, _ eventstore.Metadata, id unit.OrderID) error {
	return s.finish(string(id))
}

func (s *stubborn) FinishReturn(_ context.Context, _ eventstore.Metadata, id unit.ReturnID) error {
	return s.finish(string(id))
}

func (s *stubborn) FinishMerge(_ context.Context, _ eventstore.Metadata, id unit.CartID) error {
	return s.finish(string(id))
}

func (s *stubborn) FinishCustomerMerge(_ context.Context, _ eventstore.Metadata, id unit.CustomerID) error {
	return s.finish(string(id))
}

func (s *stubborn) FinishRefund(_ context.Context, _ eventstore.Metadata, id unit.OrderID, _ unit.TransactionID) error {
	return s.finish(string(id))
}

func (s *stubborn) Driving(string) bool { return false }

func (s *stubborn) tries(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried[id]
}

// react runs a reactor until a condition holds, and stops it.
func react(t *testing.T, reactor *Reactor, what string, until func() bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	reactor.Logger, reactor.Grace = slog.New(slog.DiscardHandler), time.Millisecond
	ended := make(chan error, 1)
	go func() { ended <- reactor.Run(ctx) }()
	for !until() {
		if pause.For(ctx, time.Millisecond); ctx.Err() != nil {
			t.Fatalf("not in time: %s", what)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func confirmed(t *testing.T, store eventstore.Store, id string) {
	t.Helper()
	typ, data, err := order.Encode(order.Confirmed{})
	shoptest.AppendRaw(t, store, order.Stream(unit.OrderID(id)), typ, string(data), err)
}

func TestWorkThatCannotBeFinishedHoldsUpNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cause error
		tries int64 // before it is parked
	}{
		"refused":    {order.ErrNotFound, triesRefused},
		"unreadable": {&aggregate.UndecodableError{Stream: "order-stuck", Cause: errors.New("no")}, 1},
		"deleted":    {&eventstore.DeletedError{Stream: "order-stuck"}, 1},
		"failing":    {errors.New("who knows"), triesFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, book := memory.New(), &logbook{timers: map[Deadline]Timer{}}
			finisher := &stubborn{tried: map[string]int{}, fails: func(id string) error {
				if id == "stuck" {
					return c.cause
				}
				return nil
			}}
			confirmed(t, log, "stuck")
			for i := range 50 {
				confirmed(t, log, fmt.Sprint("o", i))
			}
			react(t, &Reactor{Store: log, Journal: book, Parking: book, Finisher: finisher}, "the checkpoint goes on", book.reaches(t, log))
			parked := book.only(t)
			if parked.Kind != "order" || parked.Subject != "stuck" || parked.Tries != c.tries || !strings.Contains(parked.Reason, c.cause.Error()) ||
				parked.FirstTried.IsZero() || parked.LastTried.Before(parked.FirstTried) || parked.Position != eventstore.At(1) {
				t.Errorf("parked: %+v", parked)
			}
			for i := range 50 {
				if n := finisher.tries(fmt.Sprint("o", i)); n != 1 {
					t.Errorf("o%d was finished %d times", i, n)
				}
			}
			// Another node takes over. It does not read the events of parked work again.
			tried := finisher.tries("stuck")
			confirmed(t, log, "later")
			react(t, &Reactor{Store: log, Journal: book, Parking: book, Finisher: finisher}, "the checkpoint goes on", book.reaches(t, log))
			if now := finisher.tries("stuck"); now != tried || finisher.tries("o7") != 1 {
				t.Errorf("after a restart it was tried %d times, before %d", now, tried)
			}
		})
	}
}

func TestALogThatIsAwayParksNothing(t *testing.T) {
	t.Parallel()
	log, book := memory.New(), &logbook{timers: map[Deadline]Timer{}}
	away := &eventstore.UnavailableError{Cause: errors.New("no leader")}
	finisher := &stubborn{tried: map[string]int{}}
	finisher.fails = func(id string) error {
		if finisher.tried[id] <= triesFailed {
			return away
		}
		return nil
	}
	confirmed(t, log, "o1")
	react(t, &Reactor{Store: log, Journal: book, Parking: book, Finisher: finisher}, "it is finished when the log is back", book.reaches(t, log))
	if n, _ := book.CountParked(t.Context()); n != 0 {
		t.Errorf("%d processes are parked", n)
	}
}

func TestParkedWorkIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		every time.Duration
		stir  func(t *testing.T, log eventstore.Store)
	}{
		"when its stream has a new event": {time.Hour, func(t *testing.T, log eventstore.Store) { confirmed(t, log, "stuck") }},
		"after a while by itself":         {50 * time.Millisecond, func(*testing.T, eventstore.Store) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, book := memory.New(), &logbook{timers: map[Deadline]Timer{}}
			broken := true
			finisher := &stubborn{tried: map[string]int{}, fails: func(string) error {
				if broken {
					return &aggregate.UndecodableError{}
				}
				return nil
			}}
			confirmed(t, log, "stuck")
			reactor := &Reactor{Store: log, Journal: book, Parking: book, Finisher: finisher, RetryEvery: c.every}
			react(t, reactor, "it is parked", func() bool { n, _ := book.CountParked(t.Context()); return n == 1 })
			broken = false
			c.stir(t, log)
			react(t, reactor, "it is not parked any more", func() bool { n, _ := book.CountParked(t.Context()); return n == 0 })
		})
	}
}

func TestARetryOnDemandSaysWhatItDid(t *testing.T) {
	t.Parallel()
	log, book := memory.New(), &logbook{timers: map[Deadline]Timer{}}
	cause := error(&aggregate.UndecodableError{Cause: errors.New("first")})
	finisher := &stubborn{tried: map[string]int{}, fails: func(string) error { return cause }}
	confirmed(t, log, "stuck")
	react(t, &Reactor{Store: log, Journal: book, Parking: book, Finisher: finisher}, "it is parked", book.reaches(t, log))
	processes := &ParkedWork{Lot: book, Finisher: finisher, Store: log, Now: time.Now}
	id := book.only(t).ID
	cause = errors.New("second")
	if now, finished, err := processes.Retry(t.Context(), id); err != nil || finished || now.Tries != 2 || now.Reason != "second" || book.only(t).Reason != "second" {
		t.Errorf("a retry that fails: %+v, %t, %v", now, finished, err)
	}
	cause = nil
	if _, finished, err := processes.Retry(t.Context(), id); err != nil || !finished {
		t.Errorf("a retry that succeeds: %t, %v", finished, err)
	}
	if _, _, err := processes.Retry(t.Context(), id); !errors.Is(err, ErrNotParked) {
		t.Errorf("once more: %v, want %v", err, ErrNotParked)
	}
}

func TestAnEventOfOursThatCannotBeReadIsParkedByItself(t *testing.T) {
	t.Parallel()
	// There is one event in a stream of each aggregate that the reactor follows.
	for stream, event := range map[string][2]string{
		order.Stream("odd"):          {"order.placed.v1", `{"order_id":1}`},
		cart.Stream("odd"):           {"cart.checkout_started.v1", `{"lines":"many"}`},
		"return-odd":                 {"return.requested.v1", `{"lines":7}`},
		stock.Stream("ODD", "main"):  {"stock.reserved.v1", `{"quantity":"x"}`},
		order.Stream("of-tomorrow"):  {"order.teleported.v1", `{}`},
		stock.Stream("ODD", "other"): {"stock.reserved.v2", `{}`},
	} {
		t.Run(stream, func(t *testing.T) {
			t.Parallel()
			s := open(t, memory.New(), commands.DefaultPolicy())
			s.Sell("MUG", 10)
			shoptest.AppendRaw(t, s.Log, stream, event[0], event[1], nil)
			for i := range 5 {
				id := unit.CartID(fmt.Sprint("c", i))
				if err := s.FillCart(id, map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
					t.Fatal(err)
				}
				s.BeginAsBefore(id, unit.OrderID("o"+id))
			}
			book := &logbook{timers: map[Deadline]Timer{}}
			react(t, &Reactor{Store: s.Log, Journal: book, Parking: book, Finisher: s.Service}, "the checkpoint goes on", func() bool {
				return book.reaches(t, s.Log)() && s.Available("MUG") == 5
			})
			parked := book.only(t)
			if parked.Kind != "event" || parked.Stream != stream || parked.Revision != 0 || !strings.Contains(parked.Step, event[0]) || parked.Reason == "" {
				t.Errorf("parked: %+v", parked)
			}
			processes := &ParkedWork{Lot: book, Finisher: s.Service, Store: s.Log, Now: time.Now}
			if _, finished, err := processes.Retry(t.Context(), parked.ID); err != nil || finished {
				t.Errorf("retried: %t, %v; it can still not be read", finished, err)
			}
		})
	}
}

// A program could not read an event and parked work for that reason. A program that can read the
// event finishes the work.
func TestAnEventThatCanBeReadByNowIsActedOn(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MUG", 10)
	if err := s.FillCart("c", map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
		t.Fatal(err)
	}
	s.BeginAsBefore("c", "o")
	book := &logbook{timers: map[Deadline]Timer{}}
	for e, err := range s.Log.ReadStream(t.Context(), cart.Stream("c"), 1, 1) {
		if err != nil {
			t.Fatal(err)
		}
		book.park(undecodable(e, errors.New("unknown then"), time.Now()))
	}
	processes := &ParkedWork{Lot: book, Finisher: s.Service, Store: s.Log, Now: time.Now}
	if _, finished, err := processes.Retry(t.Context(), book.only(t).ID); err != nil || !finished || s.OrderState("o").Status != order.StatusPending {
		t.Errorf("retried: %t, %v, the order is %q", finished, err, s.OrderState("o").Status)
	}
}

func TestAnOrderWhoseStockIsStuckIsParked(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MUG", 10)
	if err := s.FillCart("c", map[unit.SKU]unit.Quantity{"MUG": 2}); err != nil {
		t.Fatal(err)
	}
	if err := s.PlaceOrder("c", "o"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Order(t.Context(), shoptest.NewCall(), "o", order.Confirm{Now: s.Now()}); err != nil {
		t.Fatal(err)
	}
	// Stock already has a parcel of that name, with another number of units.
	typ, data, err := stock.Encode(stock.Shipped{Key: shoptest.Key("MUG"), OrderID: "o", ShipmentID: "p", Quantity: 1})
	shoptest.AppendRaw(t, s.Log, stock.Stream("MUG", "main"), typ, string(data), err)
	typ, data, err = order.Encode(order.Shipped{ShipmentID: "p", Location: "main", Lines: []order.ShippedLine{{Line: 1, SKU: "MUG", Kind: unit.Stocked, Quantity: 2}}})
	shoptest.AppendRaw(t, s.Log, order.Stream("o"), typ, string(data), err)
	book := &logbook{timers: map[Deadline]Timer{}}
	after := open(t, s.Log, commands.DefaultPolicy())
	react(t, &Reactor{Store: s.Log, Journal: book, Parking: book, Finisher: after.Service}, "the checkpoint goes on", book.reaches(t, s.Log))
	if parked := book.only(t); parked.Subject != "o" || !strings.Contains(parked.Reason, stock.ErrMovementDiffers.Code) {
		t.Errorf("parked: %+v", parked)
	}
}

// unexpiring is a finisher that cannot end reservations.
type unexpiring struct {
	Finisher
	cause error
}

func (u unexpiring) ExpireReservations(context.Context, eventstore.Metadata, stock.Key, time.Time) (bool, error) {
	return false, u.cause
}

func TestATimerThatCanDoNothingIsParked(t *testing.T) {
	t.Parallel()
	timer := Timer{Deadline: Deadline{Kind: ReservationDeadline, Target: "stock-MUG@main", Item: "r 1"}, DueAt: time.Now()}
	for name, c := range map[string]struct {
		cause error
		tries int // after which the work is given up; 0: never
	}{
		"unreadable":                   {&aggregate.UndecodableError{Stream: timer.Target, Revision: 7, Cause: errors.New("no")}, 1},
		"deleted":                      {&eventstore.DeletedError{Stream: timer.Target}, 1},
		"refused":                      {stock.ErrQuantityInvalid, triesFailed},
		"failing":                      {errors.New("who knows"), triesFailed},
		"a log that is away":           {&eventstore.UnavailableError{Cause: errors.New("no leader")}, 0},
		"a log that is another":        {&eventstore.DivergedError{}, 0},
		"an answer that does not come": {&eventstore.OutcomeUnknownError{Cause: errors.New("?")}, 0},
		"no room":                      {aggregate.ErrOverloaded, 0},
		"postponed":                    {&PostponedError{Until: time.Now()}, 0},
	} {
		clockwork := NewClockwork(nil, unexpiring{cause: c.cause}, slog.New(slog.DiscardHandler))
		given := 0
		for tries := 1; tries <= 3*triesFailed && given == 0; tries++ {
			again := timer
			again.Failures = tries - 1
			err := clockwork.fire(t.Context(), again, time.Now())
			if _, gone := errors.AsType[*GiveUpError](err); gone {
				given = tries
			} else if !errors.Is(err, c.cause) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if given != c.tries {
			t.Errorf("%s: given up after %d tries, want %d", name, given, c.tries)
		}
	}
}

func TestAParkedTimerIsFiredAgain(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MUG", 10)
	if err := s.FillCart("c", map[unit.SKU]unit.Quantity{"MUG": 4}); err != nil {
		t.Fatal(err)
	}
	if err := s.PlaceOrder("c", "o"); err != nil {
		t.Fatal(err)
	}
	book := &logbook{timers: map[Deadline]Timer{}}
	timer := Timer{Deadline: orderDeadline("o"), DueAt: time.Now()}
	book.park(timer.unfinished(errors.New("then"), time.Now()))
	later := func() time.Time { return time.Now().Add(24 * time.Hour) }
	processes := &ParkedWork{Lot: book, Finisher: s.Service, Store: s.Log, Now: later}
	if _, finished, err := processes.Retry(t.Context(), book.only(t).ID); err != nil || !finished || s.OrderState("o").Status != order.StatusExpired || s.Available("MUG") != 10 {
		t.Errorf("retried: %t, %v; the order is %s", finished, err, s.OrderState("o").Status)
	}
	// The deadline of a cart may have moved in the meantime.
	if err := s.FillCart("d", map[unit.SKU]unit.Quantity{"MUG": 4}); err != nil {
		t.Fatal(err)
	}
	timer = Timer{Deadline: cartDeadline("d"), DueAt: time.Now()}
	book.park(timer.unfinished(errors.New("then"), time.Now()))
	if _, finished, err := processes.Retry(t.Context(), book.only(t).ID); err != nil || !finished || book.timers[cartDeadline("d")].DueAt.Before(later()) {
		t.Errorf("retried: %t, %v; timers %+v", finished, err, book.timers)
	}
}
