package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pause"
)

// logbook is a ParkingLot, too.

func (l *logbook) park(p Process) {
	if l.parked == nil {
		l.parked = map[uuid.UUID]Process{}
	}
	if before, again := l.parked[p.ID]; again {
		p.Tries, p.FirstTried = p.Tries+before.Tries, before.FirstTried
	}
	l.parked[p.ID] = p
}

func (l *logbook) Parked(_ context.Context, after uuid.UUID, limit int) ([]Process, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var page []Process
	for _, id := range slices.SortedFunc(maps.Keys(l.parked), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		if bytes.Compare(id[:], after[:]) > 0 && len(page) < limit {
			page = append(page, l.parked[id])
		}
	}
	return page, nil
}

func (l *logbook) FindParked(_ context.Context, id uuid.UUID) (*Process, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, found := l.parked[id]; found {
		return &p, nil
	}
	return nil, nil
}

func (l *logbook) CountParked(context.Context) (n int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.parked {
		if p.Dismissed.IsZero() {
			n++
		}
	}
	return n, nil
}

func (l *logbook) Dismiss(_ context.Context, id uuid.UUID, at time.Time, by, reason string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, found := l.parked[id]
	if found && p.Dismissed.IsZero() {
		p.Dismissed, p.DismissedBy, p.DismissedReason = at, by, reason
		l.parked[id] = p
	}
	return found, nil
}

func (l *logbook) TryFailed(_ context.Context, id uuid.UUID, at time.Time, reason string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, found := l.parked[id]; found {
		p.Tries, p.LastTried, p.Reason = p.Tries+1, at, reason
		l.parked[id] = p
	}
	return nil
}

func (l *logbook) Unpark(_ context.Context, id uuid.UUID, set []Timer, clear []Deadline) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.parked, id)
	for _, deadline := range clear {
		delete(l.timers, deadline)
	}
	for _, timer := range set {
		l.timers[timer.Deadline] = timer
	}
	return nil
}

// stubborn is a finisher some of whose work fails.
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

func (l *logbook) only(t *testing.T) Process {
	t.Helper()
	all, _ := l.Parked(t.Context(), uuid.Nil, 10)
	if len(all) != 1 {
		t.Fatalf("%d processes are parked, want one: %+v", len(all), all)
	}
	return all[0]
}

func confirmed(t *testing.T, store eventstore.Store, id string) {
	t.Helper()
	typ, data, err := order.Encode(order.Confirmed{})
	appendRaw(t, store, order.Stream(unit.OrderID(id)), typ, string(data), err)
}

func appendRaw(t *testing.T, store eventstore.Store, stream, typ, data string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	meta, err := call().Meta.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Append(t.Context(), stream, eventstore.Any, []eventstore.Event{{ID: eventstore.EventID(uuid.New(), 0), Type: typ, Data: []byte(data), Meta: meta}}); err != nil {
		t.Fatal(err)
	}
}

func (l *logbook) reaches(t *testing.T, store eventstore.Store) func() bool {
	t.Helper()
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func() bool {
		at, _ := l.Checkpoint(t.Context())
		return !at.Before(head)
	}
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
			// Another node takes over: what is parked is not read again.
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
	processes := &Processes{Lot: book, Finisher: finisher, Store: log, Now: time.Now}
	id := book.only(t).ID
	cause = errors.New("second")
	if now, finished, err := processes.Retry(t.Context(), id); err != nil || finished || now.Tries != 2 || now.Reason != "second" || book.only(t).Reason != "second" {
		t.Errorf("in vain: %+v, %t, %v", now, finished, err)
	}
	cause = nil
	if _, finished, err := processes.Retry(t.Context(), id); err != nil || !finished {
		t.Errorf("with success: %t, %v", finished, err)
	}
	if _, _, err := processes.Retry(t.Context(), id); !errors.Is(err, ErrNotParked) {
		t.Errorf("once more: %v, want %v", err, ErrNotParked)
	}
}

func TestAnEventOfOursThatCannotBeReadIsParkedByItself(t *testing.T) {
	t.Parallel()
	// One in a stream of each aggregate that the reactor follows.
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
			s := open(t, memory.New(), DefaultPolicy())
			s.sell("MUG", 10)
			appendRaw(t, s.store, stream, event[0], event[1], nil)
			for i := range 5 {
				id := unit.CartID(fmt.Sprint("c", i))
				if err := s.cart(id, map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
					t.Fatal(err)
				}
				s.beginAsBefore(id, unit.OrderID("o"+id))
			}
			book := &logbook{timers: map[Deadline]Timer{}}
			react(t, &Reactor{Store: s.store, Journal: book, Parking: book, Finisher: s.Service}, "the checkpoint goes on", func() bool {
				return book.reaches(t, s.store)() && s.available("MUG") == 5
			})
			parked := book.only(t)
			if parked.Kind != "event" || parked.Stream != stream || parked.Revision != 0 || !strings.Contains(parked.Step, event[0]) || parked.Reason == "" {
				t.Errorf("parked: %+v", parked)
			}
			processes := &Processes{Lot: book, Finisher: s.Service, Store: s.store, Now: time.Now}
			if _, finished, err := processes.Retry(t.Context(), parked.ID); err != nil || finished {
				t.Errorf("retried: %t, %v; it can still not be read", finished, err)
			}
		})
	}
}

// What was parked by a program that could not read an event is finished by one that
// can.
func TestAnEventThatCanBeReadByNowIsActedOn(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), DefaultPolicy())
	s.sell("MUG", 10)
	if err := s.cart("c", map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
		t.Fatal(err)
	}
	s.beginAsBefore("c", "o")
	book := &logbook{timers: map[Deadline]Timer{}}
	for e, err := range s.store.ReadStream(t.Context(), cart.Stream("c"), 2, 1) {
		if err != nil {
			t.Fatal(err)
		}
		book.park(undecodable(e, errors.New("unknown then"), time.Now()))
	}
	processes := &Processes{Lot: book, Finisher: s.Service, Store: s.store, Now: time.Now}
	if _, finished, err := processes.Retry(t.Context(), book.only(t).ID); err != nil || !finished || s.order("o").Status != order.StatusPending {
		t.Errorf("retried: %t, %v, the order is %q", finished, err, s.order("o").Status)
	}
}

func TestAnOrderWhoseStockIsStuckIsParked(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), DefaultPolicy())
	s.sell("MUG", 10)
	if err := s.cart("c", map[unit.SKU]unit.Quantity{"MUG": 2}); err != nil {
		t.Fatal(err)
	}
	if err := s.checkout("c", "o"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Order(t.Context(), call(), "o", order.Confirm{Now: s.Now()}); err != nil {
		t.Fatal(err)
	}
	// Stock has a parcel of that name already, and of another size.
	typ, data, err := stock.Encode(stock.Shipped{Key: key("MUG"), OrderID: "o", ShipmentID: "p", Quantity: 1})
	appendRaw(t, s.store, stock.Stream("MUG", "main"), typ, string(data), err)
	typ, data, err = order.Encode(order.Shipped{ShipmentID: "p", Location: "main", Lines: []order.ShippedLine{{Line: 1, SKU: "MUG", Kind: unit.Stocked, Quantity: 2}}})
	appendRaw(t, s.store, order.Stream("o"), typ, string(data), err)
	book := &logbook{timers: map[Deadline]Timer{}}
	after := open(t, s.store, DefaultPolicy())
	react(t, &Reactor{Store: s.store, Journal: book, Parking: book, Finisher: after.Service}, "the checkpoint goes on", book.reaches(t, s.store))
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
		tries int // after which it is given up; 0: never
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
	s := open(t, memory.New(), DefaultPolicy())
	s.sell("MUG", 10)
	if err := s.cart("c", map[unit.SKU]unit.Quantity{"MUG": 4}); err != nil {
		t.Fatal(err)
	}
	if err := s.checkout("c", "o"); err != nil {
		t.Fatal(err)
	}
	book := &logbook{timers: map[Deadline]Timer{}}
	timer := Timer{Deadline: orderDeadline("o"), DueAt: time.Now()}
	book.park(timer.process(errors.New("then"), time.Now()))
	later := func() time.Time { return time.Now().Add(24 * time.Hour) }
	processes := &Processes{Lot: book, Finisher: s.Service, Store: s.store, Now: later}
	if _, finished, err := processes.Retry(t.Context(), book.only(t).ID); err != nil || !finished || s.order("o").Status != order.StatusExpired || s.available("MUG") != 10 {
		t.Errorf("retried: %t, %v; the order is %s", finished, err, s.order("o").Status)
	}
	// A cart's deadline may have moved since.
	if err := s.cart("d", map[unit.SKU]unit.Quantity{"MUG": 4}); err != nil {
		t.Fatal(err)
	}
	timer = Timer{Deadline: cartDeadline("d"), DueAt: time.Now()}
	book.park(timer.process(errors.New("then"), time.Now()))
	if _, finished, err := processes.Retry(t.Context(), book.only(t).ID); err != nil || !finished || book.timers[cartDeadline("d")].DueAt.Before(later()) {
		t.Errorf("retried: %t, %v; timers %+v", finished, err, book.timers)
	}
}
