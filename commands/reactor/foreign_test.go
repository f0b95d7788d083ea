package reactor

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

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

func TestACartOfAnotherProgramGetsNoTimer(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	shoptest.AppendForeign(t, s.Log, cart.Stream("d"), uuid.New(), cart.Encode, cart.Event(cart.Opened{CartID: "d", Currency: "GBP"}))
	s.Must(s.FillCart("c", nil))
	head, err := s.Log.Head(t.Context())
	s.Must(err)
	book := adopted(t, s, &logbook{at: head, timers: map[Deadline]Timer{}}, time.Hour)
	if got := cartsOf(book); !slices.Equal(got, []unit.CartID{"c"}) {
		t.Errorf("carts with a timer: %v, want the shop's only", got)
	}
}

// Another program's event never becomes the shop's. So it is tried again only once an hour and
// on demand, and not after each event of its stream.
func TestAForeignEventThatIsParkedIsNotWatched(t *testing.T) {
	t.Parallel()
	log, book := memory.New(), &logbook{timers: map[Deadline]Timer{}}
	shoptest.AppendForeign(t, log, order.Stream("o"), uuid.New(), order.Encode, order.Event(order.Confirmed{}))
	shoptest.AppendForeign(t, log, stock.Stream("MUG", "main"), uuid.New(), stock.Encode, stock.Event(stock.Received{Quantity: 1}))
	for _, start := range []string{"the first", "the second"} {
		reactor := &Reactor{
			Store: log, Journal: book, Parking: book, Logger: slog.New(slog.DiscardHandler), Grace: time.Millisecond,
			Finisher: commands.NewService(log, commands.DefaultPolicy(), time.Now, aggregate.Options{}),
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		ended := make(chan error, 1)
		go func() { ended <- reactor.Run(ctx) }()
		shoptest.AppendForeign(t, log, order.Stream("o"), uuid.New(), order.Encode, order.Event(order.Confirmed{}))
		shoptest.AppendForeign(t, log, stock.Stream("MUG", "main"), uuid.New(), stock.Encode, stock.Event(stock.Received{Quantity: 1}))
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
	work := &ParkedWork{Lot: book, Store: log, Now: time.Now}
	for _, p := range parked {
		if now, finished, err := work.Retry(t.Context(), p.ID); err != nil || finished || now.Reason != p.Reason {
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
		Journal: journal, Parking: journal, Logger: slog.New(said), tracker: newTracker(eventstore.Start, time.Hour), begun: newSigns(), young: make(chan struct{}, 1),
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
