package reactor

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pause"
)

// timerLog drives a youngTimers as the reactor does. It also keeps a table of timers as the
// database would.
type timerLog struct {
	*testing.T
	timers   youngTimers
	table    map[Deadline]time.Time
	now      time.Time
	position uint64
}

func newTimerLog(t *testing.T) *timerLog {
	l := &timerLog{T: t, timers: newYoungTimers(), table: map[Deadline]time.Time{}, now: time.Now()}
	l.timers.now, l.timers.readsFurthest = l.now, true
	return l
}

func (l *timerLog) event(do func(before eventstore.Position)) {
	do(eventstore.At(l.position))
	l.position++
}

// begins is an event that gives a deadline; due is how far away it is.
func (l *timerLog) begins(name string, due time.Duration) {
	l.event(func(before eventstore.Position) {
		l.timers.put(Timer{Deadline: Deadline{Kind: OrderDeadline, Target: name}, DueAt: l.now.Add(due)}, before)
	})
}

func (l *timerLog) moves(name string, due time.Duration) {
	l.event(func(before eventstore.Position) {
		l.timers.move(Timer{Deadline: Deadline{Kind: OrderDeadline, Target: name}, DueAt: l.now.Add(due)}, before)
	})
}

func (l *timerLog) ends(name string) {
	l.event(func(eventstore.Position) { l.timers.remove(Deadline{Kind: OrderDeadline, Target: name}) })
}

// after lets time pass and keeps what is due. It returns how many rows were changed,
// and from where a reader that takes over begins.
func (l *timerLog) after(wait time.Duration) (rows int, checkpoint eventstore.Position) {
	l.now = l.now.Add(wait)
	set, clear := l.timers.due(l.now)
	for _, deadline := range clear {
		delete(l.table, deadline)
	}
	for _, timer := range set {
		l.table[timer.Deadline] = timer.DueAt
	}
	l.timers.now = l.now
	return len(set) + len(clear), l.timers.before(eventstore.At(l.position))
}

func (l *timerLog) holds(names ...string) {
	l.Helper()
	want := map[Deadline]bool{}
	for _, name := range names {
		want[Deadline{Kind: OrderDeadline, Target: name}] = true
	}
	got := map[Deadline]bool{}
	for deadline := range l.table {
		got[deadline] = true
	}
	if !reflect.DeepEqual(got, want) {
		l.Errorf("the database holds timers of %v, want %v", got, want)
	}
}

func TestADeadlineThatEndsWhileItsTimerIsYoungCostsNoRow(t *testing.T) {
	l := newTimerLog(t)
	l.begins("a", time.Hour)
	if rows, checkpoint := l.after(youngFor / 2); rows != 0 || checkpoint != eventstore.At(0) {
		t.Errorf("%d rows changed and the checkpoint is %s; want none, and the place before the event", rows, checkpoint)
	}
	l.ends("a")
	if rows, checkpoint := l.after(youngFor); rows != 0 || checkpoint != eventstore.At(2) {
		t.Errorf("%d rows changed and the checkpoint is %s; want none, and 2", rows, checkpoint)
	}
	l.holds()
}

func TestATimerIsStoredWhenItIsNotYoungAnyMore(t *testing.T) {
	l := newTimerLog(t)
	l.begins("a", time.Hour)
	if _, checkpoint := l.after(youngFor); checkpoint != eventstore.At(1) {
		t.Errorf("the checkpoint is %s after the timer was stored, want 1", checkpoint)
	}
	l.holds("a")
	l.ends("a")
	l.after(0)
	l.holds()
}

func TestATimerThatIsDueSoonIsStoredAtOnce(t *testing.T) {
	l := newTimerLog(t)
	l.begins("a", youngDue-time.Millisecond)
	if _, checkpoint := l.after(0); checkpoint != eventstore.At(1) {
		t.Errorf("the checkpoint is %s, want 1", checkpoint)
	}
	l.holds("a")
}

// A deadline is stored, ends, begins again, moves and ends again. A page may end after each of
// these events or not. At the end, the row of the deadline must be gone.
func TestNoTimerOutlivesItsDeadline(t *testing.T) {
	const steps = 5
	for _, wait := range []time.Duration{0, youngFor} {
		for pages := range 1 << steps {
			l := newTimerLog(t)
			l.begins("a", time.Hour)
			l.after(youngFor)
			for i, step := range []func(){
				func() { l.ends("a") },
				func() { l.begins("a", time.Hour) },
				func() { l.moves("a", time.Second) },
				func() { l.moves("a", 2*time.Hour) },
				func() { l.ends("a") },
			} {
				step()
				if pages&(1<<i) != 0 {
					l.after(wait)
				}
			}
			l.after(youngFor)
			if len(l.table) != 0 {
				t.Errorf("pages %05b, %s between them: a timer is left: %v", pages, wait, l.table)
			}
		}
	}
}

// Before the reactor has caught up for the first time, it may read an event again whose timer an
// earlier leader has stored.
func TestATimerThatAnEarlierLeaderStoredIsCleared(t *testing.T) {
	for _, furthest := range []bool{false, true} {
		l := newTimerLog(t)
		l.timers.readsFurthest = furthest
		l.table[Deadline{Kind: OrderDeadline, Target: "a"}] = l.now.Add(time.Hour)
		l.begins("a", time.Hour)
		l.ends("a")
		l.after(0)
		if left := len(l.table); (left == 0) == furthest {
			t.Errorf("reads furthest: %t, timers left: %d", furthest, left)
		}
	}
}

func TestTheCheckpointStaysBeforeEveryYoungTimer(t *testing.T) {
	l := newTimerLog(t)
	l.begins("old", time.Hour)
	l.after(youngFor)
	for i := range 10 {
		l.begins(fmt.Sprint("young ", i), time.Hour)
	}
	l.moves("young 0", 2*time.Hour) // the place stays the one of its first event
	for i := range 10 {
		if _, checkpoint := l.after(0); checkpoint != eventstore.At(uint64(1+i)) {
			t.Errorf("the checkpoint is %s while timer %d is young", checkpoint, i)
		}
		l.ends(fmt.Sprint("young ", i))
	}
	if _, checkpoint := l.after(0); checkpoint != eventstore.At(l.position) {
		t.Errorf("the checkpoint is %s, want the end", checkpoint)
	}
}

// If a reactor ends while timers are young, it has written none of them. The next reactor begins
// before their events and writes them.
func TestTheNextReactorSetsTheTimersThatWereYoung(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("A", 5)
	if err := s.FillCart("c1", map[unit.SKU]unit.Quantity{"A": 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c1", OrderID: "o1", ReserveUntil: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	book := &logbook{timers: map[Deadline]Timer{}}
	react := func(until func(reactor *Reactor) bool) {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
		defer stop()
		reactor := &Reactor{Store: s.Log, Journal: book, Finisher: s.Service, Logger: slog.New(slog.DiscardHandler), Grace: time.Hour}
		ended := make(chan error, 1)
		go func() { ended <- reactor.Run(ctx) }()
		for !until(reactor) && ctx.Err() == nil {
			pause.For(ctx, time.Millisecond)
		}
		if ctx.Err() != nil {
			t.Error("the reactor did not get there")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	held := func() (timers int) {
		book.mu.Lock()
		defer book.mu.Unlock()
		return len(book.timers)
	}
	young := 0
	react(func(reactor *Reactor) bool {
		reactor.mu.Lock()
		defer reactor.mu.Unlock()
		if reactor.tracker == nil || reactor.tracker.position.Before(head) {
			return false
		}
		young = len(reactor.tracker.timers.young)
		return true
	})
	if at, _ := book.Checkpoint(t.Context()); young > 0 && (held() != 0 || !at.Before(head)) {
		t.Errorf("with %d young timers %d are written, and the checkpoint is %s of %s", young, held(), at, head)
	}
	react(func(*Reactor) bool {
		at, _ := book.Checkpoint(t.Context())
		return !at.Before(head)
	})
	book.mu.Lock()
	defer book.mu.Unlock()
	if _, set := book.timers[orderDeadline("o1")]; !set || len(book.timers) != 2 {
		t.Errorf("timers %v, want the order's and the reservation's", book.timers)
	}
}
