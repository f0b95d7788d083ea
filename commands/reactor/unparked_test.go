package reactor

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pause"
)

// headless is a log that does not answer.
type headless struct{ eventstore.Store }

func (headless) Head(context.Context) (eventstore.Position, error) {
	return eventstore.Start, &eventstore.UnavailableError{Cause: errors.New("silent")}
}

func TestWorkIsParkedOnlyForItsOwnFault(t *testing.T) {
	t.Parallel()
	late := context.DeadlineExceeded
	for name, c := range map[string]struct {
		cause       error
		parks       bool // the work is parked after enough tries
		whileSilent bool // the work is parked even while the log does not answer
		countsAsTry bool
	}{
		"a log that is away":           {&eventstore.UnavailableError{Cause: errors.New("no leader")}, false, false, false},
		"no right":                     {&eventstore.DeniedError{}, false, false, false},
		"no room":                      {aggregate.ErrOverloaded, false, false, false},
		"a node that stops":            {aggregate.ErrClosed, false, false, false},
		"a search that takes too long": {late, true, false, true},
		"a read that takes too long":   {&eventstore.UnavailableError{Cause: late}, true, false, true},
		"an append without answer":     {&eventstore.OutcomeUnknownError{Cause: late}, true, false, true},
		"anything else":                {errors.New("who knows"), true, true, true},
	} {
		var failed failure
		for range 3 * triesFailed {
			failed = failed.next(0, c.cause)
		}
		if failed.tries != 3*triesFailed || (failed.counted > 0) != c.countsAsTry {
			t.Errorf("%s: %d tries, of which %d count", name, failed.tries, failed.counted)
		}
		for store, want := range map[eventstore.Store]bool{memory.New(): c.parks, (headless{memory.New()}): c.whileSilent} {
			reactor := &Reactor{Store: store, Parking: &logbook{}}
			if got := reactor.mustPark(t.Context(), c.cause, 100); got != want {
				t.Errorf("%s (%T): parked %t, want %t", name, store, got, want)
			}
			if reactor.mustPark(t.Context(), c.cause, triesFailed-1) {
				t.Errorf("%s (%T): parked too early", name, store)
			}
		}
	}
}

// Parked work that is finished is not looked for any more. It does not matter who finished it.
func TestWorkThatIsNotParkedAnyMoreIsNotWatched(t *testing.T) {
	t.Parallel()
	for name, finish := range map[string]func(*testing.T, *ParkedWork, uuid.UUID){
		"finished by the reactor": func(*testing.T, *ParkedWork, uuid.UUID) {},
		"finished on demand": func(t *testing.T, processes *ParkedWork, id uuid.UUID) {
			t.Helper()
			if _, finished, err := processes.Retry(t.Context(), id); err != nil || !finished {
				t.Errorf("retried: %t, %v", finished, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, book := memory.New(), &logbook{timers: map[Deadline]Timer{}}
			ctx, stop := context.WithCancel(t.Context())
			finisher := &stubborn{tried: map[string]int{}, fails: func(string) error { return &aggregate.UndecodableError{} }}
			reactor := &Reactor{Store: log, Journal: book, Parking: book, Finisher: finisher, Logger: slog.New(slog.DiscardHandler), Grace: time.Millisecond}
			ended := make(chan error, 1)
			go func() { ended <- reactor.Run(ctx) }()
			defer func() {
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}()
			eventually := func(what string, holds func() bool) {
				t.Helper()
				for end := time.Now().Add(time.Minute); !holds(); pause.For(t.Context(), time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("not in time: %s", what)
					}
				}
			}
			watching := func() int {
				reactor.mu.Lock()
				defer reactor.mu.Unlock()
				return len(reactor.tracker.parked)
			}
			confirmed(t, log, "stuck")
			eventually("it is parked", func() bool { n, _ := book.CountParked(t.Context()); return n == 1 })
			if n := watching(); n != 1 {
				t.Errorf("%d streams are watched, want one", n)
			}
			finisher.mu.Lock()
			finisher.fails = func(string) error { return nil }
			finisher.mu.Unlock()
			finish(t, &ParkedWork{Lot: book, Finisher: finisher, Store: log, Now: time.Now}, book.only(t).ID)
			confirmed(t, log, "stuck")
			eventually("no stream is watched", func() bool { return watching() == 0 })
		})
	}
}

// An event that can only be read later sets and clears timers as if it had been read in time.
func TestAnEventThatCanBeReadByNowKeepsTheTimers(t *testing.T) {
	t.Parallel()
	policy := commands.DefaultPolicy()
	s := open(t, memory.New(), policy)
	cartsOfAllPhases(s)
	for name, c := range map[string]struct {
		cart     unit.CartID
		event    string
		expiring bool
	}{
		"a cart that is open":              {"open", "cart.opened.", true},
		"a cart that was refused":          {"refused", "cart.checkout_refused.", true},
		"a checkout that was refused":      {"short", "cart.checkout_started.", true},
		"a cart that is being checked out": {"completing", "cart.checkout_started.", false},
		"a cart that was ended":            {"abandoned", "cart.abandoned.", false},
		"a cart that was ended later":      {"abandoned", "cart.opened.", false},
		"a cart that was merged":           {"merged", "cart.merged_into.", false},
		"a cart that was merged later":     {"merged", "cart.opened.", false},
		"a cart whose lines were declined": {"declined", "cart.merge_refused.", true},
	} {
		book := &logbook{timers: map[Deadline]Timer{}}
		if !c.expiring {
			book.timers[cartDeadline(c.cart)] = Timer{Deadline: cartDeadline(c.cart)}
		}
		for e, err := range s.Log.ReadStream(t.Context(), cart.Stream(c.cart), 0, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(e.Type, c.event) {
				book.park(undecodable(e, errors.New("unknown then"), time.Now()))
			}
		}
		finisher := &stubborn{tried: map[string]int{}, fails: func(string) error { return nil }}
		processes := &ParkedWork{Lot: book, Finisher: finisher, Store: s.Log, Now: time.Now, CartsExpireAfter: policy.CartsExpireAfter}
		if _, finished, err := processes.Retry(t.Context(), book.only(t).ID); err != nil || !finished {
			t.Errorf("%s: %t, %v", name, finished, err)
		}
		if got := slices.Contains(cartsOf(book), c.cart); got != c.expiring {
			t.Errorf("%s: it has a timer: %t, want %t", name, got, c.expiring)
		}
	}
}

// truncated is a log whose streams begin at a revision.
type truncated struct {
	eventstore.Store
	from int64
}

func (s truncated) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.Store.ReadStream(ctx, stream, max(from, s.from), limit)
}

func TestAnEventThatIsGoneIsNotTakenForAnother(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	cartsOfAllPhases(s)
	for _, first := range []int64{2, 1000} { // of what is left
		book := &logbook{timers: map[Deadline]Timer{}}
		book.park(undecodable(eventstore.Recorded{Stream: cart.Stream("refused"), Revision: 1}, errors.New("unknown"), time.Now()))
		processes := &ParkedWork{Lot: book, Finisher: s.Service, Store: truncated{s.Log, first}, Now: time.Now}
		now, finished, err := processes.Retry(t.Context(), book.only(t).ID)
		if err != nil || finished || !strings.Contains(now.Reason, "no event at revision 1") {
			t.Errorf("from revision %d: %t, %v: %s", first, finished, err, now.Reason)
		}
	}
}

func TestDismissedWorkIsTriedOnlyWhenSomethingHappens(t *testing.T) {
	t.Parallel()
	log, book := memory.New(), &logbook{timers: map[Deadline]Timer{}}
	finisher := &stubborn{tried: map[string]int{}, fails: func(string) error { return &aggregate.UndecodableError{} }}
	confirmed(t, log, "stuck")
	confirmed(t, log, "other")
	reactor := &Reactor{Store: log, Journal: book, Parking: book, Finisher: finisher, RetryEvery: 20 * time.Millisecond}
	parked := func(want int64) func() bool {
		return func() bool { n, _ := book.CountParked(t.Context()); return n == want }
	}
	react(t, reactor, "both are parked", parked(2))
	processes := &ParkedWork{Lot: book, Finisher: finisher, Store: log, Now: time.Now}
	id := workID(workOrder, "stuck", "")
	for _, reason := range []string{"it is gone", "again"} {
		if now, err := processes.Dismiss(t.Context(), id, "ann", reason); err != nil || now.Dismissed.IsZero() || now.DismissedBy != "ann" || now.DismissedReason != "it is gone" {
			t.Errorf("dismissed: %+v, %v", now, err)
		}
	}
	if _, err := processes.Dismiss(t.Context(), uuid.New(), "ann", "r"); !errors.Is(err, ErrNotParked) {
		t.Errorf("dismissing missing work: %v", err)
	}
	stuck, other := finisher.tries("stuck"), finisher.tries("other")
	react(t, reactor, "the other is tried by time", func() bool { return finisher.tries("other") >= other+3 })
	if n := finisher.tries("stuck"); n != stuck || !parked(1)() {
		t.Errorf("dismissed work was tried %d times more", n-stuck)
	}
	finisher.fails = func(string) error { return nil }
	confirmed(t, log, "stuck")
	react(t, reactor, "an event in its stream lets it end", func() bool {
		left, _ := book.FindParked(t.Context(), id)
		return left == nil
	})
}
