package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
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

// foreign appends an event as another program does, with metadata that names a command.
func foreign[E any](t *testing.T, log eventstore.Store, stream string, command uuid.UUID, encode func(E) (string, []byte, error), event E) {
	t.Helper()
	eventType, data, err := encode(event)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := eventstore.Metadata{CommandID: command}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), stream, eventstore.Any, []eventstore.Event{{ID: uuid.New(), Type: eventType, Data: data, Meta: meta}}); err != nil {
		t.Fatal(err)
	}
}

// A cart expires as long after the shop's last event as the shop allows, however much
// another program has written since.
func TestAnotherProgramsEventsKeepNoCartOpen(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), DefaultPolicy())
	s.sell("MUG", 10)
	for _, written := range []int{1, 2, lastEvents, 2*lastEvents + 1} {
		id := unit.CartID(fmt.Sprint("c", written))
		s.must(s.cart(id, map[unit.SKU]unit.Quantity{"MUG": 1}))
		due := lastEventOf(t, s, id).RecordedAt.Add(DefaultPolicy().CartsExpireAfter)
		for range written {
			foreign(t, s.store, cart.Stream(id), uuid.New(), cart.Encode, cart.Event(cart.QuantityChanged{Line: 1, Quantity: 5}))
		}
		if err := FireTimer(t.Context(), s, Timer{Deadline: cartDeadline(id)}, due); err != nil {
			t.Errorf("after %d events of another program: %v", written, err)
		}
		if got := s.phase(id); got != cart.IsExpired {
			t.Errorf("after %d events of another program the cart is %s", written, got)
		}
	}
	foreign(t, s.store, cart.Stream("x"), uuid.New(), cart.Encode, cart.Event(cart.Opened{CartID: "x"}))
	if err := FireTimer(t.Context(), s, Timer{Deadline: cartDeadline("x")}, time.Now().Add(DefaultPolicy().CartsExpireAfter)); err != nil {
		t.Errorf("a cart that never was: %v", err)
	}
}

// Who reads a stream for something passes over what another program says of it.
func TestWhatIsLookedUpIsTheShopsOnly(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), DefaultPolicy())
	s.sell("MUG", 10)
	s.must(s.cart("c", map[unit.SKU]unit.Quantity{"MUG": 3}))
	s.beginAsBefore("c", "o")
	command := uuid.New()
	foreign(t, s.store, cart.Stream("c"), command, cart.Encode, cart.Event(cart.CheckedOut{OrderID: "o"}))
	foreign(t, s.store, cart.Stream("c"), command, cart.Encode, cart.Event(cart.CheckoutStarted{OrderID: "theirs"}))
	if past, err := s.readCheckouts(t.Context(), "c"); err != nil || len(past) != 1 || past["o"].outcome != nil {
		t.Errorf("the cart's checkouts are %+v, %v; want the shop's, without an outcome", past, err)
	}
	foreign(t, s.store, order.Stream("o"), command, order.Encode, order.Event(order.AllocationFailed{Shortages: []cart.Shortage{{SKU: "MUG"}}}))
	if shortages, err := s.lastShortages(t.Context(), "o"); err != nil || len(shortages) > 0 {
		t.Errorf("shortages %v, %v; want none", shortages, err)
	}
	foreign(t, s.store, cart.Stream("d"), command, cart.Encode, cart.Event(cart.Opened{CartID: "d", Currency: "GBP"}))
	set := map[Deadline]Timer{}
	book := &logbook{timers: set}
	reactor := &Reactor{Store: s.store, Journal: book, Parking: book, Logger: slog.New(slog.DiscardHandler), CartsExpireAfter: time.Hour}
	head, err := s.store.Head(t.Context())
	s.must(err)
	s.must(reactor.adoptCarts(t.Context(), head))
	if _, adopted := set[cartDeadline("d")]; adopted {
		t.Error("a cart of another program has a timer")
	}
}

// A client's If-Match holds as long as the shop itself has changed nothing, and a change by
// the shop is noticed behind whatever another program wrote.
func TestWhatAnotherProgramWroteMakesNoClientStale(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), DefaultPolicy())
	s.sell("MUG", 10)
	at := stock.Stream("MUG", unit.DefaultLocation)
	receive := func(by *Service, revision int64) (aggregate.Result[stock.Event], error) {
		ask := call()
		ask.IfRevision = &revision
		return by.MoveStock(t.Context(), ask, key("MUG"), stock.Receive{At: by.At(key("MUG")), Quantity: 1})
	}
	for name, by := range map[string]func() *Service{
		"a node that knew the stream": func() *Service { return s.Service },
		"another node":                func() *Service { return open(t, s.store, DefaultPolicy()).Service },
	} {
		node := by()
		var before int64
		s.must(node.stock.View(t.Context(), at, func(_ stock.State, revision int64) { before = revision }))
		foreign(t, s.store, at, uuid.New(), stock.Encode, stock.Event(stock.Received{Key: key("MUG"), Quantity: 500}))
		foreign(t, s.store, at, uuid.New(), stock.Encode, stock.Event(stock.Received{Key: key("MUG"), Quantity: 500}))
		if nothing, err := node.MoveStock(t.Context(), call(), key("MUG"), stock.ExpireDue{At: node.At(key("MUG"))}); err != nil || nothing.Revision != before {
			t.Errorf("%s: a command that changes nothing is answered with revision %d (%v), want %d", name, nothing.Revision, err, before)
		}
		answer, err := receive(node, before)
		if err != nil || answer.Revision != before+3 {
			t.Errorf("%s: revision %d, %v; want it recorded at %d", name, answer.Revision, err, before+3)
		}
		for _, old := range []int64{before, before + 2} {
			_, err = receive(node, old)
			if stale, is := errors.AsType[*aggregate.StaleError](err); !is || stale.Actual != before+3 {
				t.Errorf("%s: at revision %d, after the shop's next event: %v; want it refused as stale", name, old, err)
			}
		}
	}
	if got := s.available("MUG"); got != 12 {
		t.Errorf("%d mugs are available, want 12", got)
	}
}

// What another program wrote stays what it is: it is tried once an hour and on demand, and
// not with each event of its stream.
func TestAForeignEventThatIsParkedIsNotWatched(t *testing.T) {
	t.Parallel()
	log, book := memory.New(), &logbook{timers: map[Deadline]Timer{}}
	foreign(t, log, order.Stream("o"), uuid.New(), order.Encode, order.Event(order.Confirmed{}))
	foreign(t, log, stock.Stream("MUG", "main"), uuid.New(), stock.Encode, stock.Event(stock.Received{Quantity: 1}))
	for _, start := range []string{"the first", "the second"} {
		reactor := &Reactor{
			Store: log, Journal: book, Parking: book, Logger: slog.New(slog.DiscardHandler), Grace: time.Millisecond,
			Finisher: NewService(log, DefaultPolicy(), time.Now, aggregate.Options{}),
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		ended := make(chan error, 1)
		go func() { ended <- reactor.Run(ctx) }()
		foreign(t, log, order.Stream("o"), uuid.New(), order.Encode, order.Event(order.Confirmed{}))
		foreign(t, log, stock.Stream("MUG", "main"), uuid.New(), stock.Encode, stock.Event(stock.Received{Quantity: 1}))
		watched := func() int {
			reactor.mu.Lock()
			defer reactor.mu.Unlock()
			if reactor.tracker == nil {
				return -1
			}
			return len(reactor.tracker.parked)
		}
		for !book.reaches(t, log)() || watched() != 0 {
			if pause.For(ctx, time.Millisecond); ctx.Err() != nil {
				t.Fatalf("at %s start %d streams are watched", start, watched())
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	parked, _ := book.Parked(t.Context(), uuid.Nil, 10)
	if len(parked) != 6 {
		t.Errorf("%d events are parked, want 6", len(parked))
	}
	processes := &Processes{Lot: book, Store: log, Now: time.Now}
	for _, p := range parked {
		if now, finished, err := processes.Retry(t.Context(), p.ID); err != nil || finished || now.Reason != p.Reason {
			t.Errorf("retried: %+v, %t, %v", now, finished, err)
		}
	}
}

// Another program may write any number of events under the shop's names. They fill neither
// the database nor the node's log.
func TestTooManyForeignEventsAreNotParked(t *testing.T) {
	t.Parallel()
	journal := &logbook{timers: map[Deadline]Timer{}}
	said := &counted{Handler: slog.DiscardHandler}
	reactor := &Reactor{
		Journal: journal, Parking: journal, Logger: slog.New(said), tracker: newTracker(eventstore.Start, time.Hour), begun: make(chan struct{}, 1), young: make(chan struct{}, 1),
	}
	const pages, each = maxForeign/pageSize + 10, pageSize
	position := uint64(0)
	for range pages {
		var p page
		for range each {
			position++
			recorded := eventstore.Recorded{
				Event:  eventstore.Event{ID: uuid.New(), Type: "order.placed.v1", Data: []byte(`{}`)},
				Stream: order.Stream(unit.OrderID(strconv.FormatUint(position, 10))), Position: eventstore.At(position),
			}
			p.items = append(p.items, eventstore.Item{Event: &recorded, Checkpoint: recorded.Position})
		}
		if err := reactor.react(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if n, _ := journal.CountParked(t.Context()); n != maxForeign || len(reactor.tracker.parked) > 0 {
		t.Errorf("%d of %d events are parked, want %d; %d streams are watched", n, pages*each, maxForeign, len(reactor.tracker.parked))
	}
	if most := (maxForeign/pageSize)*(parkedTold+1) + 1; said.lines > most || said.lines == 0 {
		t.Errorf("the log has %d lines, want at most %d", said.lines, most)
	}
	if at, _ := journal.Checkpoint(t.Context()); at != eventstore.At(position) {
		t.Errorf("the checkpoint is at %s, want %d", at, position)
	}
}

// counted counts what is logged.
type counted struct {
	slog.Handler
	lines int
}

func (c *counted) Enabled(context.Context, slog.Level) bool { return true }

func (c *counted) Handle(context.Context, slog.Record) error { c.lines++; return nil }
