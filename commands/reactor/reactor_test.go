package reactor

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// strictJournal accepts a new checkpoint only if the caller knows the present one, as the database
// does.
type strictJournal struct {
	Journal
	t          *testing.T
	checkpoint eventstore.Position
}

func (j *strictJournal) Advance(_ context.Context, from, to eventstore.Position, _ Notes) error {
	if from != j.checkpoint {
		j.t.Errorf("advance from %s, the checkpoint is at %s", from, j.checkpoint)
		return ErrNotLeading
	}
	j.checkpoint = to
	return nil
}

func TestWorkTakenOffTheListBetweenPagesMovesTheCheckpointWithTheNextPage(t *testing.T) {
	journal := &strictJournal{t: t}
	reactor := &Reactor{Journal: journal, tracker: newTracker(eventstore.Start, commands.DefaultPolicy().CartsExpireAfter), begun: newSigns()}
	turn := func(position uint64, event order.Event) {
		t.Helper()
		eventType, data, err := order.Encode(event)
		if err != nil {
			t.Fatal(err)
		}
		recorded := eventstore.Recorded{
			Event:  eventstore.Event{ID: eventstore.EventID(uuid.New(), 0), Type: eventType, Data: data},
			Stream: order.Stream("1"), Position: eventstore.At(position),
		}
		if err := reactor.react(t.Context(), page{items: []eventstore.Item{{Event: &recorded, Checkpoint: recorded.Position}}}); err != nil {
			t.Fatal(err)
		}
	}
	turn(1, order.Confirmed{})
	if journal.checkpoint != eventstore.Start {
		t.Errorf("the checkpoint passed open work: %s", journal.checkpoint)
	}
	for work := range reactor.tracker.inOrder() {
		reactor.tracker.removeWork(work)
	}
	turn(2, order.Delivered{ShipmentID: "1-1"})
	if journal.checkpoint != eventstore.At(2) {
		t.Errorf("the checkpoint is at %s, want 2", journal.checkpoint)
	}
}

// The reactor has taken over from a driver that may only be slow, and not dead.
func TestACheckoutThatTheReactorEndedIsOpenedAgainByALateReservation(t *testing.T) {
	started, reserved := cart.CheckoutStarted{OrderID: "o", CartID: "1"}, stock.Reserved{
		Key: stock.Key{SKU: "A", Location: "main"}, ReservationID: stock.ReservationIDFor("o", "A", "main"), OrderID: "o", Quantity: 1,
	}
	position := uint64(0)
	observe := func(by *tracker, stream, eventType string, data []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		position++
		event := eventstore.Recorded{
			Event: eventstore.Event{ID: eventstore.EventID(uuid.New(), 0), Type: eventType, Data: data}, Stream: stream, Position: eventstore.At(position),
		}
		by.observe(eventstore.Item{Event: &event, Checkpoint: event.Position})
	}
	start := func(by *tracker) {
		eventType, data, err := cart.Encode(started)
		observe(by, cart.Stream("1"), eventType, data, err)
	}
	reserve := func(by *tracker) {
		eventType, data, err := stock.Encode(reserved)
		observe(by, stock.Stream("A", "main"), eventType, data, err)
	}
	drive := func(by *tracker, meanwhile func(*tracker)) {
		for work := range by.inOrder() {
			meanwhile(by)
			by.removeWork(work)
		}
	}
	for name, late := range map[string]func(*tracker){
		"after the end was noted": func(by *tracker) {
			drive(by, func(*tracker) {})
			if len(by.open) != 0 {
				t.Error("work that was driven to its end is still open")
			}
			reserve(by)
		},
		"while it is driven": func(by *tracker) { drive(by, reserve) },
	} {
		by := newTracker(eventstore.Start, commands.DefaultPolicy().CartsExpireAfter)
		start(by)
		late(by)
		work := by.open[checkoutWork("1", "o")]
		if work == nil || work.Stream != cart.Stream("1") || work.held != 1 {
			t.Errorf("%s: open work %+v, want the checkout of the cart with one reservation", name, work)
		}
	}
}

func TestTheReactorPassesOverWhatOthersWrote(t *testing.T) {
	tracker := newTracker(eventstore.Start, commands.DefaultPolicy().CartsExpireAfter)
	for position, stream := range []string{"notes", "order", "cart-1"} {
		odd := eventstore.Recorded{
			Event:  eventstore.Event{ID: uuid.New(), Type: "order.unheard_of.v1", Data: []byte(`{}`)},
			Stream: stream, Position: eventstore.At(uint64(position + 1)),
		}
		tracker.observe(eventstore.Item{Event: &odd, Checkpoint: odd.Position})
	}
	if len(tracker.open)+len(tracker.park) > 0 || tracker.position != eventstore.At(3) {
		t.Errorf("it made work of them: %v, at %s", tracker.open, tracker.position)
	}
}

func TestWorkThatFailsIsTriedLessAndLessOften(t *testing.T) {
	const wait = 100 * time.Millisecond
	var failed failure
	for n, want := range []time.Duration{wait, 2 * wait, 4 * wait, 8 * wait} {
		before := time.Now()
		failed = failed.next(wait, errors.New("who knows"))
		after := time.Now()
		if failed.again.Before(before.Add(want)) || failed.again.After(after.Add(want)) || failed.tries != n+1 {
			t.Errorf("after %d failures the next try is in %s, want %s", failed.tries, failed.again.Sub(before), want)
		}
	}
	for range 100 {
		failed = failed.next(wait, errors.New("who knows"))
	}
	if pause := time.Until(failed.again); pause > finishBackoff || pause < finishBackoff/2 {
		t.Errorf("after %d failures the next try is in %s, want %s", failed.tries, pause, finishBackoff)
	}
}

// busy is a finisher whose node is carrying out all processes itself at the moment.
type busy struct {
	*stubborn
	asked map[string]bool
}

func (b *busy) Driving(stream string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked[stream] = true
	return true
}

func TestTheReactorLeavesAProcessToTheRequestThatCarriesItOut(t *testing.T) {
	t.Parallel()
	log, book := memory.New(), &logbook{timers: map[Deadline]Timer{}}
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 10)
	if err := s.FillCart("c", map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
		t.Fatal(err)
	}
	s.BeginAsBefore("c", "placed")
	confirmed(t, log, "o")
	typ, data, err := returns.Encode(returns.Received{Receipt: 1})
	shoptest.AppendRaw(t, log, returns.Stream("r"), typ, string(data), err)
	finisher := &busy{&stubborn{tried: map[string]int{}, fails: func(string) error { return nil }}, map[string]bool{}}
	react(t, &Reactor{Store: log, Journal: book, Parking: book, Finisher: finisher}, "it has asked for each", func() bool {
		finisher.mu.Lock()
		defer finisher.mu.Unlock()
		return finisher.asked[cart.Stream("c")] && finisher.asked[order.Stream("o")] && finisher.asked[returns.Stream("r")]
	})
	if len(finisher.tried) > 0 {
		t.Errorf("the reactor has finished %v", finisher.tried)
	}
}

func TestTheReactorEndsWhatAReturnHasOpenWithItsOrders(t *testing.T) {
	tracker := newTracker(eventstore.Start, commands.DefaultPolicy().CartsExpireAfter)
	asked := returns.Requested{ReturnID: "1", Admit: []returns.OrderUnits{{OrderID: "o1"}}}
	paid := returns.Refunded{TransactionID: "t", Shares: []returns.Share{{OrderID: "o1"}}}
	position := uint64(0)
	for _, turn := range []struct {
		event returns.Event
		open  int
	}{
		{returns.Requested{}, 0},
		{asked, 1},
		{returns.Admitted{}, 0},
		{returns.Refunded{}, 0},
		{paid, 1},
		{returns.OrdersSettled{Step: returns.StepRefund, Ref: "u"}, 1},
		{returns.OrdersSettled{Step: returns.StepRefund, Ref: "t"}, 0},
		{paid, 1},
		{returns.RefundWithdrawn{TransactionID: "u"}, 1},
		{returns.RefundWithdrawn{TransactionID: "t"}, 0},
		{asked, 1},
		{returns.AdmissionRefused{}, 1},
		{returns.OrdersSettled{Step: returns.StepRelease}, 0},
		{asked, 1},
		{returns.Canceled{}, 1},
		{returns.OrdersSettled{Step: returns.StepRelease}, 0},
		{returns.Declined{}, 1},
		{returns.OrdersSettled{Step: returns.StepRelease}, 0},
	} {
		kind, data, err := returns.Encode(turn.event)
		if err != nil {
			t.Fatal(err)
		}
		position++
		e := eventstore.Recorded{
			Event:  eventstore.Event{ID: eventstore.EventID(uuid.New(), 0), Type: kind, Data: data},
			Stream: returns.Stream("1"), Position: eventstore.At(position), RecordedAt: time.Now(),
		}
		tracker.observe(eventstore.Item{Event: &e, Checkpoint: e.Position})
		if len(tracker.open) != turn.open {
			t.Errorf("after %s %d steps are open, want %d", kind, len(tracker.open), turn.open)
		}
	}
}
