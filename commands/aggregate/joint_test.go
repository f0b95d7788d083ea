package aggregate

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/uuid"

	"daybook/eventstore/memory"
)

// One lane that is at work must not delay each request of a batch that wants it. A Joint waits for
// busy lanes once.
func TestAJointWaitsForBusyLanesOnlySoLong(t *testing.T) {
	t.Parallel()
	log := memory.New()
	gated := &spy{Store: log, gate: make(chan struct{})}
	handler := NewHandler(gated, boxes(0), Options{})
	if err := handler.View(t.Context(), "box-1", func(box, int64) {}); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		if _, err := handler.Handle(t.Context(), put(uuid.New(), 1)); err != nil {
			t.Error(err)
		}
	})
	await(func() bool { return gated.appends.Load() == 1 }) // the lane is at work
	joint := NewJoint(log, Options{})
	boxes := Join(joint, handler)
	ask := func(ctx context.Context) error {
		_, err := boxes.Handle(ctx, put(uuid.New(), 1))
		return err
	}
	const requests = 100
	for range requests {
		if err := joint.Do(t.Context(), ask); !errors.Is(err, ErrStepByStep) {
			t.Errorf("a lane at work was borrowed: %v", err)
		}
	}
	if joint.waited < maxLoanWait || joint.waited > requests/2*maxLoanWait {
		t.Errorf("waited %v for %d requests, want %v once", joint.waited, requests, maxLoanWait)
	}
	joint.Close()
	gated.gate <- struct{}{}
	wait.Wait()
	again := NewJoint(log, Options{})
	defer again.Close()
	boxes = Join(again, handler)
	if err := again.Do(t.Context(), ask); err != nil {
		t.Errorf("an idle lane: %v", err)
	}
	if errs := again.Commit(t.Context()); len(errs) != 1 || errs[0] != nil {
		t.Errorf("commit: %v", errs)
	}
	if total, _ := coinsIn(t, log, "box-1"); total != 2 {
		t.Errorf("%d coins, want 2", total)
	}
}
