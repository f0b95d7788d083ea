package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"daybook/eventstore"
)

var raceRules = []rule{
	{"sixteen writers, one winner, every loser sees a conflict", oneWinner},
	{"writers without expectation share a stream without gaps", sharedStream},
	{"retries that race are recorded once and answered alike", racingRetries},
	{"a log-wide id that races to two streams is recorded once", racingLogWideIDs},
	{"an id that races to two streams is recorded in both", racingIDs},
	{"losers in a burst do not disturb the others", losersInBurst},
	{"a context that ends on the way leaves all or nothing", contextEndsOnTheWay},
	{"reading the tail during writes equals reading it afterwards", tailEqualsAfterwards},
}

func oneWinner(l *log) {
	const writers, rounds = 16, 25
	stream := l.stream("a")
	var want []eventstore.Event
	for round := range rounds {
		count := 1 + round%3
		expected := eventstore.AtRevision(int64(len(want)) - 1)
		var mu sync.Mutex
		var winners [][]eventstore.Event
		var group errgroup.Group
		start := make(chan struct{})
		for range writers {
			group.Go(func() error {
				events := newEvents(count)
				<-start
				result, err := l.Append(l.ctx, stream, expected, events)
				if err != nil {
					return l.lostTo(err, int64(len(want)+count-1))
				}
				mu.Lock()
				defer mu.Unlock()
				winners = append(winners, events)
				if last := int64(len(want) + count - 1); result.Revision != last {
					return fmt.Errorf("the winner's revision is %d, want %d", result.Revision, last)
				}
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
		want = append(want, winners[0]...)
	}
	l.holds(stream, want)
	l.inOrder(l.readAll(l.start))
}

// lostTo returns nil if err is a conflict with the revision of the winner.
func (l *log) lostTo(err error, actual int64) error {
	conflict, ok := errors.AsType[*eventstore.ConflictError](err)
	if !ok {
		return fmt.Errorf("a loser sees %w, want a ConflictError", err)
	}
	if conflict.Actual != actual && conflict.Actual != eventstore.UnknownRevision {
		return fmt.Errorf("a loser is told revision %d, want %d", conflict.Actual, actual)
	}
	return nil
}

func sharedStream(l *log) {
	const writers, appends = 8, 20
	stream := l.stream("a")
	revisions := make([][]int64, writers)
	var group errgroup.Group
	for w := range writers {
		group.Go(func() error {
			for n := range appends {
				result, err := l.Append(l.ctx, stream, eventstore.Any, newEvents(1+n%2))
				if err != nil {
					return fmt.Errorf("append: %w", err)
				}
				revisions[w] = append(revisions[w], result.Revision)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		l.Fatal(err)
	}
	all := slices.Concat(revisions...)
	slices.Sort(all)
	if unique := slices.Compact(slices.Clone(all)); len(unique) != writers*appends {
		l.Errorf("%d appends were given %d places", writers*appends, len(unique))
	}
	if want := int64(writers*appends*3/2 - 1); all[len(all)-1] != want {
		l.Errorf("the last revision given is %d, want %d", all[len(all)-1], want)
	}
	l.inOrder(l.readAll(l.start))
}

func racingRetries(l *log) {
	const retries = 8
	for _, expected := range []eventstore.Expected{eventstore.NoStream, eventstore.AtRevision(2), eventstore.Any, eventstore.StreamExists} {
		for round := range 6 {
			stream := l.stream(fmt.Sprintf("%d-%d", expected, round))
			var held []eventstore.Event
			if expected != eventstore.NoStream {
				held = newEvents(3)
				l.append(stream, eventstore.NoStream, held)
			}
			events := newEvents(1 + round%3)
			results := make([]eventstore.Result, retries)
			var group errgroup.Group
			for i := range retries {
				group.Go(func() (err error) {
					results[i], err = l.Append(l.ctx, stream, expected, events)
					return err
				})
			}
			if err := group.Wait(); err != nil {
				l.Fatalf("expecting %d: %v", expected, err)
			}
			first := 0
			for _, result := range results {
				if !result.Replayed {
					first++
				}
				if result.Revision != results[0].Revision || result.Position != results[0].Position {
					l.Errorf("expecting %d: one retry is told %+v, another %+v", expected, results[0], result)
				}
			}
			if first != 1 {
				l.Errorf("expecting %d: %d retries were answered as the first, want 1", expected, first)
			}
			l.holds(stream, append(held, events...))
		}
	}
	l.inOrder(l.readAll(l.start))
}

func racingLogWideIDs(l *log) {
	if !l.logWideIDs {
		l.Skip("the engine compares ids only with those at the place expected")
	}
	const streams = 6
	for round := range 5 {
		events := logWide(newEvents(2))
		taken := make([]bool, streams)
		var group errgroup.Group
		for i := range streams {
			group.Go(func() error {
				_, err := l.Append(l.ctx, l.stream(fmt.Sprintf("%d-%d", round, i)), eventstore.NoStream, events)
				if _, duplicate := errors.AsType[*eventstore.DuplicateEventError](err); duplicate {
					return nil
				}
				taken[i] = err == nil
				return err
			})
		}
		if err := group.Wait(); err != nil {
			l.Fatalf("want a DuplicateEventError for all but one: %v", err)
		}
		winners := 0
		for i, won := range taken {
			if won {
				winners++
				l.holds(l.stream(fmt.Sprintf("%d-%d", round, i)), events)
			}
		}
		if winners != 1 {
			l.Fatalf("the same ids were recorded in %d streams, want 1", winners)
		}
	}
	l.inOrder(l.readAll(l.start))
}

func racingIDs(l *log) {
	const streams, retries = 6, 2
	for round := range 5 {
		events := newEvents(2)
		var group errgroup.Group
		results := make([][retries]eventstore.Result, streams)
		for i := range streams {
			for retry := range retries {
				group.Go(func() (err error) {
					results[i][retry], err = l.Append(l.ctx, l.stream(fmt.Sprintf("%d-%d", round, i)), eventstore.NoStream, events)
					return err
				})
			}
		}
		if err := group.Wait(); err != nil {
			l.Fatalf("the ids are taken in each stream: %v", err)
		}
		for i := range streams {
			l.holds(l.stream(fmt.Sprintf("%d-%d", round, i)), events)
			if results[i][0].Replayed == results[i][1].Replayed || results[i][0].Position != results[i][1].Position {
				l.Errorf("two appends of the same event to one stream got the results %+v", results[i])
			}
		}
	}
	l.inOrder(l.readAll(l.start))
}

func losersInBurst(l *log) {
	const writers = 64
	taken := logWide(newEvents(1))
	l.append(l.stream("taken"), eventstore.NoStream, taken)
	ended := l.endable(ending(2))
	l.append(l.stream("ended"), eventstore.NoStream, ended)
	for round := range 4 {
		var group errgroup.Group
		for w := range writers {
			group.Go(func() error {
				stream := l.stream(fmt.Sprintf("%d-%d", round, w))
				switch {
				case w%8 == 3: // stale
					_, err := l.Append(l.ctx, stream, eventstore.AtRevision(5), newEvents(2))
					return l.lostTo(err, -1)
				case w%16 == 7 && l.logWideIDs: // an id that is recorded
					_, err := l.Append(l.ctx, stream, eventstore.NoStream, append(newEvents(1), taken...))
					if _, ok := errors.AsType[*eventstore.DuplicateEventError](err); !ok {
						return fmt.Errorf("a duplicate in a burst sees %w, want a DuplicateEventError", err)
					}
					return nil
				case w%16 == 7: // a conflict, and its first event is recorded already
					_, err := l.Append(l.ctx, l.stream("taken"), eventstore.NoStream, append(taken[:1:1], newEvents(1)...))
					if !isRefusal(err) {
						return fmt.Errorf("an append of which a part is recorded sees %w in a burst", err)
					}
					return nil
				case w%16 == 15: // all its events are recorded, in a stream that has ended since
					_, err := l.settle(l.ctx, l.stream("ended"), eventstore.NoStream, ended)
					if _, ok := errors.AsType[*eventstore.DeletedError](err); !ok {
						return fmt.Errorf("an append to an ended stream sees %w in a burst, want a DeletedError", err)
					}
					return nil
				}
				result, err := l.Append(l.ctx, stream, eventstore.NoStream, newEvents(2))
				if err != nil || result.Revision != 1 || result.Replayed {
					return fmt.Errorf("disturbed by losers in the burst: %+v, %w", result, err)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			l.Fatal(err)
		}
	}
	all := l.readAll(l.start)
	l.inOrder(all)
	if want := 1 + len(ended) + 4*(writers-writers/8-writers/16-writers/16)*2; len(all) != want {
		l.Errorf("%d events are recorded, want %d", len(all), want)
	}
}

// contextEndsOnTheWay tests that a context may end at any moment: the error tells whether the
// events may be recorded, and a repetition finds out.
func contextEndsOnTheWay(l *log) {
	var group errgroup.Group
	for i := range 48 {
		group.Go(func() error {
			stream, events := l.stream(fmt.Sprint(i)), newEvents(2)
			ctx, cancel := context.WithTimeout(l.ctx, time.Duration(i)*50*time.Microsecond)
			defer cancel()
			first, firstErr := l.Append(ctx, stream, eventstore.NoStream, events)
			_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](firstErr)
			if firstErr != nil && !unknown && !errors.Is(firstErr, context.DeadlineExceeded) {
				return fmt.Errorf("a context that ended is reported as %w", firstErr)
			}
			again, err := l.Append(l.ctx, stream, eventstore.NoStream, events)
			switch {
			case err != nil:
				return fmt.Errorf("repeated after %w: %w", firstErr, err)
			case firstErr == nil && (!again.Replayed || again.Revision != first.Revision || again.Position != first.Position):
				return fmt.Errorf("appended as %+v, repeated as %+v", first, again)
			case firstErr != nil && !unknown && again.Replayed:
				return fmt.Errorf("error %w, yet the events were recorded", firstErr)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		l.Fatal(err)
	}
	all := l.readAll(l.start)
	l.inOrder(all)
	if len(all) != 48*2 {
		l.Errorf("%d events are recorded, want %d", len(all), 48*2)
	}
}

func tailEqualsAfterwards(l *log) {
	const writers, appends, streams = 12, 40, 20
	total := 0
	var group errgroup.Group
	for w := range writers {
		for n := range appends {
			total += 1 + (w+n)%3
		}
		group.Go(func() error {
			for n := range appends {
				stream := l.stream(fmt.Sprint("shared-", (w*7+n)%streams))
				if _, err := l.Append(l.ctx, stream, eventstore.Any, newEvents(1+(w+n)%3)); err != nil {
					return fmt.Errorf("append: %w", err)
				}
			}
			return nil
		})
	}
	seen := make([][]eventstore.Recorded, 4)
	for i := range 2 {
		group.Go(func() (err error) {
			seen[i], err = l.subscribe(l.start, eventstore.Filter{}, total)
			return err
		})
	}
	for i, limit := range []int{0, 7} {
		group.Go(func() (err error) {
			seen[2+i], err = l.poll(total, limit)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		l.Fatal(err)
	}
	want := l.readAll(l.start)
	l.inOrder(want)
	if len(want) != total {
		l.Fatalf("the log holds %d events, want %d", len(want), total)
	}
	for i, name := range []string{"a subscription", "another subscription", "reading on and on", "reading on by sevens"} {
		if err := same(seen[i], want); err != nil {
			l.Errorf("%s during writes differs from reading afterwards: %v", name, err)
		}
	}
}

// poll reads on from the last event seen until the wanted number is there.
func (l *log) poll(want, limit int) ([]eventstore.Recorded, error) {
	var events []eventstore.Recorded
	for after := l.start; len(events) < want; {
		for e, err := range l.ReadAll(l.ctx, after, eventstore.Filter{}, limit) {
			if err != nil {
				return events, fmt.Errorf("read after %d of %d events: %w", len(events), want, err)
			}
			events = append(events, e)
			after = e.Position
		}
		if err := l.ctx.Err(); err != nil {
			return events, fmt.Errorf("%d of %d events came: %w", len(events), want, err)
		}
	}
	return events, nil
}
