package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"daybook/internal/pause"
)

// load is a closed loop, or an open one if it has a rate. In a closed loop every caller sends its
// next request when it has its response. In an open loop operations arrive at a constant rate,
// whether earlier ones are answered or not. The latency of an operation then counts from the moment
// at which it was due. So if the program stands still for a second, all operations of that second
// are slow, and not only those that had begun.
//
// It runs for a time, and the first part of that time is not counted. Or it runs for a number of
// operations, which are all counted.
type load struct {
	callers int // in an open loop, how many operations can be under way at once
	seconds float64
	limit   int64   // 0: by time
	rate    float64 // arrivals a second; 0: a closed loop
	// operate does one operation; n numbers them. Its error ends the run.
	operate func(ctx context.Context, caller int, n int64) error
}

// warmUpMax bounds the time that is not counted, in which connections are opened, caches are filled
// and batches find their size.
const warmUpMax = 500 * time.Millisecond

// warmUp is as long as what is counted, but not longer than warmUpMax.
func warmUp(seconds float64) time.Duration {
	return min(warmUpMax, time.Duration(seconds*float64(time.Second)))
}

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
	first := time.Now()
	begin := first
	end := begin.Add(time.Duration(l.seconds * float64(time.Second)))
	if l.limit == 0 {
		begin, end = begin.Add(warmUp(l.seconds)), end.Add(warmUp(l.seconds))
	}
	latencies := make([][]time.Duration, l.callers)
	var next, done atomic.Int64
	var callers sync.WaitGroup
	for caller := range l.callers {
		callers.Go(func() {
			for ctx.Err() == nil {
				n := next.Add(1) - 1
				asked := l.arrival(first, n)
				if l.limit > 0 && n >= l.limit || l.limit == 0 && asked.After(end) || !await(ctx, asked) {
					return
				}
				if err := l.operate(ctx, caller, n); err != nil {
					stop(fmt.Errorf("caller %d, operation %d: %w", caller, n, err))
					return
				}
				done.Add(1)
				if answered := time.Now(); l.counts(asked, answered, begin) {
					latencies[caller] = append(latencies[caller], answered.Sub(asked))
				}
			}
		})
	}
	callers.Wait()
	if ctx.Err() != nil {
		return Row{}, context.Cause(ctx)
	}
	// An operation that began in time counts, and so does the time until its response. So every
	// caller has at least one operation, even in a short run.
	took := time.Since(begin)
	all := slices.Concat(latencies...)
	slices.Sort(all)
	return Row{
		Callers: l.callers, Rate: l.rate, Operations: int64(len(all)), Seconds: took.Seconds(), PerSecond: float64(len(all)) / took.Seconds(),
		P50Ms: percentile(all, 0.50), P99Ms: percentile(all, 0.99), done: done.Load(),
	}, nil
}

// arrival is when operation n is due. In a closed loop that is now.
func (l load) arrival(first time.Time, n int64) time.Time {
	if l.rate == 0 {
		return time.Now()
	}
	return first.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
}

// await waits until a point in time. It returns false if ctx ends first.
func await(ctx context.Context, moment time.Time) bool {
	wait := time.Until(moment)
	if wait <= 0 {
		return true
	}
	pause.For(ctx, wait)
	return ctx.Err() == nil
}

// counts tells whether an operation is counted. In an open loop this depends only on when it was
// due, so that the slow ones are not left out.
func (l load) counts(asked, answered, begin time.Time) bool {
	if l.rate > 0 {
		return !asked.Before(begin)
	}
	return answered.After(begin)
}

func percentile(sorted []time.Duration, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := min(int(p*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[at].Microseconds()) / 1000
}
