package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands/reactor"
	"daybook/eventstore"
	"daybook/internal/pgmigrate"
	"daybook/internal/pgtest"
)

func TestWorkIsParkedWithTheCheckpointAndKeepsItsFirstTry(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	// The database belongs to an older program, which has used it.
	if err := pgmigrate.Up(t.Context(), pool, before(t, "00005"), "daybook_commands_version"); err != nil {
		t.Fatal(err)
	}
	if err := Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	journal, lot := Journal{Pool: pool, Reader: "reactor"}, Parking{Pool: pool}
	first := time.Now().UTC().Truncate(time.Microsecond)
	work := reactor.UnfinishedWork{
		ID: uuid.New(), Kind: "event", Subject: "order-\x00\xff", Step: "s", Stream: "order-\x00\xff", Revision: 3, Position: eventstore.At(7),
		Since: first, Tries: 3, FirstTried: first, LastTried: first, Reason: "\xfe",
	}
	other := work
	other.ID = uuid.New()
	if err := journal.Advance(t.Context(), eventstore.At(5), eventstore.At(7), reactor.Notes{Park: []reactor.UnfinishedWork{other}}); err != nil {
		// There is no checkpoint yet, so any checkpoint is accepted.
		t.Fatal(err)
	}
	if err := journal.Advance(t.Context(), eventstore.At(5), eventstore.At(9), reactor.Notes{Park: []reactor.UnfinishedWork{work}}); err == nil {
		t.Error("the checkpoint was moved from where it is not")
	}
	if found, err := lot.FindParked(t.Context(), work.ID); err != nil || found != nil {
		t.Errorf("parked without its checkpoint: %+v, %v", found, err)
	}
	for at := uint64(7); at < 9; at++ {
		again := work
		again.LastTried = first.Add(time.Duration(at) * time.Minute)
		if err := journal.Advance(t.Context(), eventstore.At(at), eventstore.At(at+1), reactor.Notes{Park: []reactor.UnfinishedWork{again}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := lot.TryFailed(t.Context(), work.ID, first.Add(time.Hour), "other"); err != nil {
		t.Fatal(err)
	}
	found, err := lot.FindParked(t.Context(), work.ID)
	if err != nil || found == nil {
		t.Fatal(found, err)
	}
	if found.Tries != 7 || !found.FirstTried.Equal(first) || !found.LastTried.Equal(first.Add(time.Hour)) || found.Reason != "other" || found.Position != eventstore.At(7) || found.Revision != 3 {
		t.Errorf("found %+v", found)
	}
	if n, err := lot.CountParked(t.Context()); err != nil || n != 2 {
		t.Errorf("%d are parked (%v), want 2", n, err)
	}
	var listed []uuid.UUID
	for after := uuid.Nil; ; {
		page, err := lot.Parked(t.Context(), after, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		after = page[0].ID
		listed = append(listed, after)
	}
	if len(listed) != 2 || listed[0].String() >= listed[1].String() {
		t.Errorf("listed %v", listed)
	}
	for _, by := range []string{"ann", "bob"} {
		if found, err := lot.Dismiss(t.Context(), other.ID, first, by, "no use to "+by); err != nil || !found {
			t.Errorf("dismissed: %t, %v", found, err)
		}
	}
	if now, err := lot.FindParked(t.Context(), other.ID); err != nil || !now.Dismissed.Equal(first) || now.DismissedBy != "ann" || now.DismissedReason != "no use to ann" {
		t.Errorf("dismissed: %+v, %v", now, err)
	}
	if n, err := lot.CountParked(t.Context()); err != nil || n != 1 {
		t.Errorf("%d are parked and not dismissed (%v), want 1", n, err)
	}
	// The work fails again, for another reason.
	if err := journal.Advance(t.Context(), eventstore.At(9), eventstore.At(10), reactor.Notes{Park: []reactor.UnfinishedWork{other}}); err != nil {
		t.Fatal(err)
	}
	if n, err := lot.CountParked(t.Context()); err != nil || n != 2 {
		t.Errorf("%d are parked (%v), want 2", n, err)
	}
	timer := reactor.Timer{Deadline: reactor.Deadline{Kind: "k", Target: "t"}, DueAt: first.Add(-time.Hour)}
	if err := lot.Unpark(t.Context(), work.ID, []reactor.Timer{timer}, nil); err != nil {
		t.Fatal(err)
	}
	if n, err := lot.CountParked(t.Context()); err != nil || n != 1 {
		t.Errorf("%d are parked (%v), want the other", n, err)
	}
	if fired := firedTimers(t, Timers{Pool: pool}); len(fired) != 1 {
		t.Errorf("fired %v, want the timer that came of it", fired)
	}
}

func TestATimerThatIsGivenUpIsParkedAndGone(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	journal, timers, lot := Journal{Pool: pool, Reader: "reactor"}, Timers{Pool: pool}, Parking{Pool: pool}
	timer := reactor.Timer{Deadline: reactor.Deadline{Kind: "order", Target: "o"}, DueAt: time.Now().Add(-time.Hour)}
	if err := journal.Advance(t.Context(), eventstore.Start, eventstore.At(1), reactor.Notes{Set: []reactor.Timer{timer}}); err != nil {
		t.Fatal(err)
	}
	work := reactor.UnfinishedWork{ID: uuid.New(), Kind: "timer", Subject: "o", Step: "order", Stream: "order-o", Since: timer.DueAt, Tries: 1, FirstTried: time.Now(), LastTried: time.Now(), Reason: "no"}
	for _, want := range []int{1, 0} { // the second time there is none
		due, next, err := timers.FireDue(t.Context(), func(context.Context, reactor.Timer, time.Time) error {
			return &reactor.GiveUpError{Work: work, Cause: errors.New("no")}
		})
		if err != nil || due != want || next != 0 {
			t.Errorf("%d are due, the next in %s (%v), want %d and none", due, next, err, want)
		}
	}
	if found, err := lot.FindParked(t.Context(), work.ID); err != nil || found == nil || found.Kind != "timer" || found.Reason != "no" {
		t.Errorf("parked: %+v, %v", found, err)
	}
}

func TestAQueueTellsHowOftenATimerHasFailed(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	timer := reactor.Timer{Deadline: reactor.Deadline{Kind: "order", Target: "o"}, DueAt: time.Now().Add(-time.Hour)}
	if err := (Journal{Pool: pool, Reader: "reactor"}).Advance(t.Context(), eventstore.Start, eventstore.At(1), reactor.Notes{Set: []reactor.Timer{timer}}); err != nil {
		t.Fatal(err)
	}
	for want := range 3 {
		if _, _, err := (Timers{Pool: pool}).FireDue(t.Context(), func(_ context.Context, timer reactor.Timer, _ time.Time) error {
			if timer.Failures != want {
				t.Errorf("it has failed %d times, want %d", timer.Failures, want)
			}
			return errors.New("no")
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(t.Context(), `UPDATE commands.timers SET due_at = clock_timestamp()`); err != nil {
			t.Fatal(err)
		}
	}
}
