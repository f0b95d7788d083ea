package aggregate

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"daybook/internal/pause"
)

// Each context lasts at least as long as the timeout, and at most a twentieth longer. Most share a
// timer.
func TestAppendsShareDeadlinesThatEndInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const timeout = 20 * time.Second
		d := sharedDeadline{timeout: timeout}
		different, ended := map[context.Context]bool{}, atomic.Int64{}
		for range 50 {
			began, ctx := time.Now(), d.next()
			different[ctx] = true
			context.AfterFunc(ctx, func() {
				ended.Add(1)
				if took := time.Since(began); took < timeout || took > timeout*21/20 || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
					t.Errorf("it ended after %s: %v", took, ctx.Err())
				}
			})
			pause.For(t.Context(), 300*time.Millisecond)
		}
		if len(different) > 15 {
			t.Errorf("%d contexts in 15 seconds", len(different))
		}
		pause.For(t.Context(), 2*timeout)
		synctest.Wait()
		if ended.Load() != 50 {
			t.Errorf("%d of 50 contexts ended", ended.Load())
		}
	})
}
