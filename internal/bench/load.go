package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is a closed loop: every caller sends its next request when it has its answer. It runs
// for a time, and the first part of that time is not counted. Or it runs for a number of
// operations, which are all counted.
type load struct {
	callers int
	seconds float64
	limit   int64 // 0: by time
	// operate does one operation; n numbers them. Its error ends the run.
	operate func(ctx context.Context, caller int, n int64) error
}

// warmUp opens connections, fills caches and lets batches find their size.
const warmUp = 500 * time.Millisecond

// measure runs the load and takes its processor time.
func (l load) measure(ctx context.Context, env Env) (Row, error) {
	before, known := env.CPU()
	calls := callsSoFar(env)
	row, err := l.run(ctx)
	row.calls = callsSoFar(env) - calls
	if after, still := env.CPU(); err == nil && known && still {
		row.CPUMicros = (after - before) * 1e6 / float64(max(1, row.done))
	}
	return row, err
}

func (l load) run(ctx context.Context) (Row, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	begin := time.Now()
	end := begin.Add(time.Duration(l.seconds * float64(time.Second)))
	if l.limit == 0 {
		begin, end = begin.Add(warmUp), end.Add(warmUp)
	}
	latencies := make([][]time.Duration, l.callers)
	var next, done atomic.Int64
	var callers sync.WaitGroup
	for caller := range l.callers {
		callers.Go(func() {
			for ctx.Err() == nil {
				asked := time.Now()
				n := next.Add(1) - 1
				if l.limit > 0 && n >= l.limit || l.limit == 0 && asked.After(end) {
					return
				}
				if err := l.operate(ctx, caller, n); err != nil {
					stop(fmt.Errorf("caller %d, operation %d: %w", caller, n, err))
					return
				}
				done.Add(1)
				if answered := time.Now(); answered.After(begin) {
					latencies[caller] = append(latencies[caller], answered.Sub(asked))
				}
			}
		})
	}
	callers.Wait()
	if ctx.Err() != nil {
		return Row{}, context.Cause(ctx)
	}
	// An operation that began in time counts, and so does the time until its answer. So every
	// caller has at least one operation, even in a short run.
	took := time.Since(begin)
	all := slices.Concat(latencies...)
	slices.Sort(all)
	return Row{
		Callers: l.callers, Operations: int64(len(all)), Seconds: took.Seconds(), PerSecond: float64(len(all)) / took.Seconds(),
		P50Ms: percentile(all, 0.50), P99Ms: percentile(all, 0.99), done: done.Load(),
	}, nil
}

func percentile(sorted []time.Duration, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := min(int(p*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[at].Microseconds()) / 1000
}
