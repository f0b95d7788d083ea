package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"daybook/eventstore"
)

var multiRaceRules = []rule{
	{"writes and appends that race record what was acknowledged", racingWrites},
	{"writes in crossing orders do not block each other", crossingWrites},
	{"writes that race at a revision have one winner", oneWinnerOfWrites},
	{"the same writes that race are recorded once", racingSameWrites},
	{"nobody sees a part of the writes", noPartSeen},
	{"a subscription is not told that it caught up among writes", noMarkAmongWrites},
	{"writes at fault in a burst do not disturb the others", faultyWritesInBurst},
	{"a context that ends while writes are under way leaves all or none", contextEndsUnderWay},
}

// appending is a goroutine that appends at random. It keeps what was acknowledged.
type appending struct {
	*log
	random  *rand.Rand
	streams int
	last    map[string]int64 // revisions, as far as this goroutine knows them
	acked   []acknowledged
}

// acknowledged is an append or several writes, with the results.
type acknowledged struct {
	writes  []eventstore.Write
	results []eventstore.Result
}

// next makes writes to a number of streams, in any order.
func (a *appending) next(streams int) []eventstore.Write {
	var writes []eventstore.Write
	for _, n := range a.random.Perm(a.streams)[:streams] {
		w := eventstore.Write{Stream: a.stream(fmt.Sprint("shared-", n)), Expected: eventstore.Any, Events: newEvents(1 + a.random.IntN(3))}
		if a.random.IntN(3) == 0 {
			logWide(w.Events)
		}
		if last, ok := a.last[w.Stream]; ok && a.random.IntN(2) == 0 {
			w.Expected = eventstore.AtRevision(last)
		}
		writes = append(writes, w)
	}
	return writes
}

// run appends again and again, to one stream or to several.
func (a *appending) run(rounds int) error {
	all := a.multi()
	for range rounds {
		writes := a.next(1 + a.random.IntN(3))
		var results []eventstore.Result
		var err error
		if len(writes) == 1 && a.random.IntN(4) > 0 {
			var result eventstore.Result
			w := writes[0]
			result, err = a.Append(a.ctx, w.Stream, w.Expected, w.Events)
			results = []eventstore.Result{result}
		} else {
			results, err = all.AppendAll(a.ctx, writes)
		}
		if conflict, ok := errors.AsType[*eventstore.ConflictError](err); ok {
			if conflict.Actual != eventstore.UnknownRevision {
				a.last[conflict.Stream] = conflict.Actual
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("%d writes: %w", len(writes), err)
		}
		a.acked = append(a.acked, acknowledged{writes, results})
		for i, w := range writes {
			if results[i].Replayed {
				return fmt.Errorf("new events of %s were answered as a replay", w.Stream)
			}
			a.last[w.Stream] = results[i].Revision
		}
	}
	return nil
}

func racingWrites(l *log) {
	l.multi()
	const goroutines, rounds, streams = 12, 25, 5
	callers := make([]*appending, goroutines)
	var group errgroup.Group
	for n := range callers {
		callers[n] = &appending{log: l, random: rand.New(rand.NewPCG(2, uint64(n))), streams: streams, last: make(map[string]int64)}
		group.Go(func() error { return callers[n].run(rounds) })
	}
	if err := group.Wait(); err != nil {
		l.Fatal(err)
	}
	all := l.readAll(l.start)
	l.inOrder(all)
	at := make(map[eventstore.Position]int)
	for i, e := range all {
		at[e.Position] = i
	}
	sum := 0
	for _, caller := range callers {
		for _, a := range caller.acked {
			var want []eventstore.Event
			for _, w := range a.writes {
				want = append(want, w.Events...)
			}
			sum += len(want)
			end := at[a.results[len(a.results)-1].Position]
			if end+1 < len(want) {
				l.Fatalf("%d events were acknowledged up to event %d of the log", len(want), end)
			}
			got := all[end+1-len(want) : end+1]
			for i, e := range got {
				if err := sameEvent(e.Event, want[i]); err != nil || !e.RecordedAt.Equal(got[0].RecordedAt) {
					l.Fatalf("%d writes that were acknowledged are not together: event %d, recorded at %s: %v", len(a.writes), i, e.RecordedAt, err)
				}
			}
			next := 0
			for i, w := range a.writes {
				next += len(w.Events)
				if last := got[next-1]; last.Stream != w.Stream || last.Revision != a.results[i].Revision || last.Position != a.results[i].Position {
					l.Errorf("the result of %s is %+v, its event is at revision %d of %s, position %s", w.Stream, a.results[i], last.Revision, last.Stream, last.Position)
				}
			}
		}
	}
	if len(all) != sum {
		l.Errorf("%d events are recorded, %d were acknowledged", len(all), sum)
	}
}

// crossingWrites tests that (a, b) and (b, a) neither block each other nor fail.
func crossingWrites(l *log) {
	all := l.multi()
	const callers, rounds = 6, 20
	a, b, c := l.stream("a"), l.stream("b"), l.stream("c")
	orders := [][]string{{a, b}, {b, a}, {b, c}, {c, a, b}, {a, c}, {c, b}}
	counts := make([]map[string]int64, callers)
	var group errgroup.Group
	for n := range callers {
		counts[n] = make(map[string]int64)
		group.Go(func() error {
			for range rounds {
				var writes []eventstore.Write
				for _, stream := range orders[n%len(orders)] {
					writes = append(writes, eventstore.Write{Stream: stream, Expected: eventstore.Any, Events: newEvents(1)})
					counts[n][stream]++
				}
				if _, err := all.AppendAll(l.ctx, writes); err != nil {
					return fmt.Errorf("writes that expect nothing: %w", err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		l.Fatal(err)
	}
	for _, stream := range []string{a, b, c} {
		want := 0
		for _, count := range counts {
			want += int(count[stream])
		}
		if got := l.readStream(stream); len(got) != want {
			l.Errorf("%s holds %d events, want %d", stream, len(got), want)
		}
	}
	l.inOrder(l.readAll(l.start))
}

// oneWinnerOfWrites tests that of writes that expect the same revisions, one wins whole, whatever
// their order.
func oneWinnerOfWrites(l *log) {
	all := l.multi()
	const callers, rounds = 8, 15
	streams := []string{l.stream("a"), l.stream("b"), l.stream("c")}
	for round := range rounds {
		var mu sync.Mutex
		var winners [][]eventstore.Write
		var group errgroup.Group
		start := make(chan struct{})
		for n := range callers {
			group.Go(func() error {
				var writes []eventstore.Write
				for i := range streams { // another order for each caller
					stream := streams[(i*(1+n%2)+n)%len(streams)]
					writes = append(writes, eventstore.Write{Stream: stream, Expected: eventstore.AtRevision(int64(round) - 1), Events: newEvents(1)})
				}
				<-start
				_, err := all.AppendAll(l.ctx, writes)
				if err != nil {
					return l.lostTo(err, int64(round))
				}
				mu.Lock()
				defer mu.Unlock()
				winners = append(winners, writes)
				return nil
			})
		}
		close(start)
		if err := group.Wait(); err != nil {
			l.Fatalf("round %d: %v", round, err)
		}
		if len(winners) != 1 {
			l.Fatalf("round %d: %d winners, want 1", round, len(winners))
		}
		for _, w := range winners[0] {
			if held := l.readStream(w.Stream); len(held) != round+1 || held[round].ID != w.Events[0].ID {
				l.Fatalf("round %d: %s holds %d events, and the last is not the winner's", round, w.Stream, len(held))
			}
		}
	}
	l.inOrder(l.readAll(l.start))
}

func racingSameWrites(l *log) {
	all := l.multi()
	const retries = 8
	for _, expected := range []eventstore.Expected{eventstore.NoStream, eventstore.Any} {
		for round := range 6 {
			writes := make([]eventstore.Write, 3)
			for i := range writes {
				writes[i] = eventstore.Write{Stream: l.stream(fmt.Sprintf("%d-%d-%d", expected, round, 7*i%3)), Expected: expected, Events: newEvents(1 + i)}
				if round%2 == 0 {
					logWide(writes[i].Events)
				}
			}
			results := make([][]eventstore.Result, retries)
			var group errgroup.Group
			for n := range retries {
				group.Go(func() (err error) {
					results[n], err = all.AppendAll(l.ctx, writes)
					return err
				})
			}
			if err := group.Wait(); err != nil {
				l.Fatalf("expecting %d: %v", expected, err)
			}
			first := 0
			for _, result := range results {
				for i := range result {
					if result[i].Replayed != result[0].Replayed || result[i].Position != results[0][i].Position || result[i].Revision != results[0][i].Revision {
						l.Errorf("expecting %d: one retry is told %+v, another %+v", expected, results[0], result)
					}
				}
				if !result[0].Replayed {
					first++
				}
			}
			if first != 1 {
				l.Errorf("expecting %d: %d retries were answered as the first, want 1", expected, first)
			}
			l.together(writes, results[0])
			for _, w := range writes {
				l.holds(w.Stream, w.Events)
			}
		}
	}
}

// balance counts events by stream. Writes that add one event to each of the streams keep it even.
type balance map[string]int

// uneven tells whether the streams have different numbers of events.
func (b balance) uneven(streams []string) bool {
	return slices.ContainsFunc(streams, func(stream string) bool { return b[stream] != b[streams[0]] })
}

func noPartSeen(l *log) {
	all := l.multi()
	const writers, rounds = 4, 30
	streams := []string{l.stream("even-b"), l.stream("even-c"), l.stream("even-a")}
	even := eventstore.Filter{StreamPrefixes: []string{l.stream("even-")}}
	var writing atomic.Int64
	writing.Store(writers)
	done, cancel := context.WithCancel(l.ctx)
	defer cancel()
	var group errgroup.Group
	for n := range writers {
		group.Go(func() error {
			defer func() {
				if writing.Add(-1) == 0 {
					cancel()
				}
			}()
			return l.keepEven(all, streams, l.stream(fmt.Sprint("other-", n)), rounds)
		})
	}
	reading := func(name string, read func() error) {
		group.Go(func() error {
			for last := false; !last; {
				last = done.Err() != nil // once more after the last write
				if err := read(); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			return nil
		})
	}
	whole := func(events iter.Seq2[eventstore.Recorded, error]) error {
		seen := make(balance)
		for e, err := range events {
			if err != nil {
				return err
			}
			seen[e.Stream]++
		}
		if seen.uneven(streams) {
			return fmt.Errorf("a part of the writes is seen: %v", seen)
		}
		return nil
	}
	reading("a read of the log", func() error { return whole(l.ReadAll(l.ctx, l.start, even, 0)) })
	reading("a read backwards", func() error { return whole(l.ReadAllBackwards(l.ctx, eventstore.End, even, 0)) })
	reading("reads of the streams", func() error {
		for _, order := range [][]string{{streams[0], streams[2]}, {streams[2], streams[1]}, {streams[1], streams[0]}} {
			seen := l.count(order[0])
			if other := l.count(order[1]); other < seen {
				return fmt.Errorf("%s held %d events, and %s then held %d", order[0], seen, order[1], other)
			}
		}
		return nil
	})
	group.Go(func() error { return l.followEven(streams, even, writers*rounds) })
	if err := group.Wait(); err != nil {
		l.Fatal(err)
	}
}

// keepEven adds one event to each of the streams, so many rounds. Between two rounds it appends to
// another stream.
func (l *log) keepEven(all eventstore.MultiAppender, streams []string, other string, rounds int) error {
	for range rounds {
		writes := make([]eventstore.Write, len(streams))
		for i, stream := range streams {
			writes[i] = eventstore.Write{Stream: stream, Expected: eventstore.Any, Events: newEvents(1)}
		}
		if _, err := all.AppendAll(l.ctx, writes); err != nil {
			return fmt.Errorf("writes: %w", err)
		}
		if _, err := l.Append(l.ctx, other, eventstore.Any, newEvents(1)); err != nil {
			return fmt.Errorf("append: %w", err)
		}
	}
	return nil
}

// followEven subscribes to the streams until each has had so many rounds. When the subscription
// yields an event of one stream, the log must hold the same round of the other streams.
func (l *log) followEven(streams []string, even eventstore.Filter, rounds int) error {
	seen := make(balance)
	for item, err := range l.Subscribe(l.ctx, l.start, even) {
		switch {
		case err != nil:
			return fmt.Errorf("subscription: %w", err)
		case item.Event != nil:
			seen[item.Event.Stream]++
			last := streams[len(streams)-1]
			if held := l.count(last); held < seen[item.Event.Stream] {
				return fmt.Errorf("a subscription yields event %d of %s when %s holds %d", seen[item.Event.Stream], item.Event.Stream, last, held)
			}
			if !seen.uneven(streams) && seen[last] == rounds {
				return nil
			}
		case item.CaughtUp && seen.uneven(streams):
			return fmt.Errorf("a subscription is told that it caught up among writes: %v", seen)
		}
	}
	return errors.New("a subscription ended")
}

// count is how many events a stream holds, -1 if they cannot be read.
func (l *log) count(stream string) int {
	n := 0
	for e, err := range l.ReadStreamBackwards(l.ctx, stream, eventstore.LastRevision, 1) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			return 0
		}
		if err != nil {
			return -1
		}
		n = int(e.Revision) + 1
	}
	return n
}

// noMarkAmongWrites tests writes with more events than engines keep in memory for subscriptions.
func noMarkAmongWrites(l *log) {
	all := l.multi()
	const rounds = 3
	var writes []eventstore.Write
	total := 0
	for i, n := range []int{3000, 5000, 2000} {
		events := newEvents(n)
		for j := range events {
			events[j].Data, events[j].Meta = []byte(`{}`), nil
		}
		writes = append(writes, eventstore.Write{Stream: l.stream(fmt.Sprint(i)), Events: events})
		total += n
	}
	live, done := make(chan struct{}), make(chan error, 1)
	go func() {
		begun := sync.OnceFunc(func() { close(live) })
		defer begun()
		seen := 0
		for item, err := range l.Subscribe(l.ctx, l.start, eventstore.Filter{}) {
			switch {
			case err != nil:
				done <- err
				return
			case item.CaughtUp && seen%total != 0:
				done <- fmt.Errorf("caught up after %d events, and the writes have %d", seen, total)
				return
			case item.CaughtUp:
				begun()
			case item.Event != nil:
				seen++
			}
			if item.CaughtUp && seen == rounds*total {
				done <- nil
				return
			}
		}
		done <- errors.New("it ended")
	}()
	<-live
	for round := range rounds {
		for i := range writes {
			writes[i].Expected = eventstore.AtRevision(int64(round*len(writes[i].Events)) - 1)
			for j := range writes[i].Events {
				writes[i].Events[j].ID = newEvents(1)[0].ID
			}
			writes[i].Events = slices.Clone(writes[i].Events)
		}
		if _, err := all.AppendAll(l.ctx, writes); err != nil {
			l.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		l.Errorf("a subscription: %v", err)
	}
	l.inOrder(l.readAll(l.start))
}

func faultyWritesInBurst(l *log) {
	all := l.multi()
	const callers = 64
	taken, ended := logWide(newEvents(1)), l.stream("ended")
	l.append(l.stream("taken"), eventstore.NoStream, taken)
	l.append(ended, eventstore.NoStream, l.endable(ending(2)))
	before := len(l.readAll(l.start))
	for round := range 4 {
		var group errgroup.Group
		for n := range callers {
			group.Go(func() error { return l.callInBurst(all, round, n, taken, ended) })
		}
		if err := group.Wait(); err != nil {
			l.Fatal(err)
		}
	}
	left := l.readAll(l.start)
	l.inOrder(left)
	whole := callers / 8 * 3 // callers whose three writes are recorded
	if !l.logWideIDs {
		whole += callers / 8
	}
	if want := before + 4*(whole*6+callers/8*2); len(left) != want {
		l.Errorf("%d events are recorded, want %d", len(left), want)
	}
}

// callInBurst makes three writes, as one of the callers in a burst. Every second caller has one
// fault or makes another call. taken is recorded in the stream "taken", and the stream ended has
// ended.
func (l *log) callInBurst(all eventstore.MultiAppender, round, n int, taken []eventstore.Event, ended string) error {
	good := func(part string) eventstore.Write {
		return eventstore.Write{Stream: l.stream(fmt.Sprintf("%d-%d-%s", round, n, part)), Expected: eventstore.NoStream, Events: newEvents(2)}
	}
	writes := []eventstore.Write{good("z"), good("a"), good("m")}
	refused := func(w eventstore.Write) error {
		writes[n/8%3] = w
		_, err := all.AppendAll(l.ctx, writes)
		return err
	}
	switch {
	case n%8 == 1: // stale
		return l.lostTo(refused(eventstore.Write{Stream: writes[0].Stream + "-stale", Expected: eventstore.AtRevision(5), Events: newEvents(1)}), -1)
	case n%8 == 3 && l.logWideIDs: // an id that is recorded
		err := refused(eventstore.Write{Stream: writes[0].Stream + "-taken", Expected: eventstore.Any, Events: taken})
		if _, ok := errors.AsType[*eventstore.DuplicateEventError](err); !ok {
			return fmt.Errorf("writes with an id that is recorded see %w, want a DuplicateEventError", err)
		}
		return nil
	case n%8 == 5: // a stream that has ended
		err := refused(eventstore.Write{Stream: ended, Expected: eventstore.Any, Events: newEvents(1)})
		if _, ok := errors.AsType[*eventstore.DeletedError](err); !ok {
			return fmt.Errorf("writes to an ended stream see %w, want a DeletedError", err)
		}
		return nil
	case n%8 == 7: // a part is recorded
		err := refused(eventstore.Write{Stream: l.stream("taken"), Expected: eventstore.NoStream, Events: taken})
		if !isRefusal(err) {
			return fmt.Errorf("writes of which a part is recorded see %w", err)
		}
		return nil
	case n%8 == 2:
		w := good("alone")
		result, err := l.Append(l.ctx, w.Stream, w.Expected, w.Events)
		if err != nil || result.Revision != 1 || result.Replayed {
			return fmt.Errorf("an append is disturbed by others in the burst: %+v, %w", result, err)
		}
		return nil
	}
	results, err := all.AppendAll(l.ctx, writes)
	if err != nil {
		return fmt.Errorf("writes are disturbed by others in the burst: %w", err)
	}
	for _, result := range results {
		if result.Revision != 1 || result.Replayed {
			return fmt.Errorf("writes are disturbed by others in the burst: %+v", results)
		}
	}
	return nil
}

// contextEndsUnderWay tests that a context may end at any moment. All writes are recorded or none.
// The error says whether they may be recorded, and a repetition finds it out.
func contextEndsUnderWay(l *log) {
	all := l.multi()
	const callers = 48
	var group errgroup.Group
	for n := range callers {
		group.Go(func() error {
			var writes []eventstore.Write
			for _, part := range []string{"z", "a"} {
				writes = append(writes, eventstore.Write{Stream: l.stream(fmt.Sprint(n, part)), Expected: eventstore.NoStream, Events: newEvents(2)})
			}
			// All wait for one another, so that some end while they wait.
			shared := eventstore.Write{Stream: l.stream(fmt.Sprint("shared-", n%3)), Expected: eventstore.Any, Events: newEvents(1)}
			writes = slices.Insert(writes, 1, shared)
			ctx, cancel := context.WithTimeout(l.ctx, time.Duration(n)*50*time.Microsecond)
			defer cancel()
			first, firstErr := all.AppendAll(ctx, writes)
			_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](firstErr)
			if firstErr != nil && !unknown && !errors.Is(firstErr, context.DeadlineExceeded) {
				return fmt.Errorf("a context that ended is reported as %w", firstErr)
			}
			again, err := all.AppendAll(l.ctx, writes)
			if err != nil {
				return fmt.Errorf("repeated after %w: %w", firstErr, err)
			}
			for i := range again {
				switch {
				case again[i].Replayed != again[0].Replayed:
					return fmt.Errorf("after %w a part was recorded: %+v", firstErr, again)
				case firstErr == nil && (!again[i].Replayed || again[i].Revision != first[i].Revision || again[i].Position != first[i].Position):
					return fmt.Errorf("appended as %+v, repeated as %+v", first, again)
				case firstErr != nil && !unknown && again[i].Replayed:
					return fmt.Errorf("error %w, yet the events were recorded", firstErr)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		l.Fatal(err)
	}
	left := l.readAll(l.start)
	l.inOrder(left)
	if len(left) != callers*5 {
		l.Errorf("%d events are recorded, want %d", len(left), callers*5)
	}
}
