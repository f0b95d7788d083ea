package gateway

import (
	"context"
	"errors"
	"iter"
	"sort"
	"time"

	"daybook/eventstore"
)

// firstShown is the first revision of a stream that readers see. It may be beyond the
// stream's end. A deleted stream is not found, unless it has been ended since.
func (s *Server) firstShown(ctx context.Context, stream string) (int64, error) {
	if err := s.isEnded(ctx, stream); err != nil {
		return 0, err
	}
	m, err := s.metadata(ctx, stream)
	switch {
	case err != nil:
		return 0, err
	case m.isDeleted():
		if _, err := s.lastEvent(ctx, stream); err != nil {
			return 0, err
		}
		return 0, &eventstore.NotFoundError{Stream: stream}
	case m.maxCount == 0 && m.maxAge == 0:
		return m.truncateBefore, nil
	}
	last, err := s.lastEvent(ctx, stream)
	if err != nil {
		return 0, err
	}
	first := m.truncateBefore
	if m.maxCount > 0 {
		first = max(first, last.Revision-m.maxCount+1)
	}
	if m.maxAge > 0 {
		return s.firstSince(ctx, stream, first, last.Revision, s.now().Add(-m.maxAge))
	}
	return first, nil
}

// firstSince is the first revision between first and last that was recorded at this time or later.
// If there is none, it is last+1. A later revision never has an earlier recorded time.
func (s *Server) firstSince(ctx context.Context, stream string, first, last int64, since time.Time) (int64, error) {
	var failed error
	older := sort.Search(int(max(last-first+1, 0)), func(i int) bool {
		for e, err := range s.store.ReadStream(ctx, stream, first+int64(i), 1) {
			failed = errors.Join(failed, err)
			return err != nil || !e.RecordedAt.Before(since)
		}
		return true
	})
	return first + int64(older), failed
}

// readStream yields the visible events of a stream from a revision on, at most limit events
// (0: all).
func (s *Server) readStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		first, err := s.firstShown(ctx, stream)
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		s.store.ReadStream(ctx, stream, max(from, first), limit)(yield)
	}
}

// readStreamBackwards yields the visible events of a stream from a revision down.
func (s *Server) readStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		first, err := s.firstShown(ctx, stream)
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		for e, err := range s.store.ReadStreamBackwards(ctx, stream, from, limit) {
			if err == nil && e.Revision < first || !yield(e, err) {
				return
			}
		}
	}
}

// readAll yields the log's events from a position on, that one included.
func (s *Server) readAll(ctx context.Context, from eventstore.Position, f *filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for after := justBefore(from); ; {
			asked, seen, given := f.atOnce(limit), 0, 0
			for e, err := range s.store.ReadAll(ctx, after, f.readFilter(), asked) {
				if err != nil {
					yield(e, err)
					return
				}
				after = e.Position
				if seen++; e.Position.Before(from) || !f.selects(&e) {
					continue
				}
				if given++; !yield(e, nil) || given == limit {
					return
				}
			}
			// Events that are left out here count only towards the store's limit.
			if asked == 0 || seen < asked {
				return
			}
			limit -= given
		}
	}
}

// justBefore is a position before p, with no event of an earlier commit after it. Events of
// the same commit may be after it, because one commit may have several. The caller skips
// those.
func justBefore(p eventstore.Position) eventstore.Position {
	commit, _ := p.Pair()
	return eventstore.At(max(commit, 1) - 1)
}

// readAllBackwards yields the log's events before a position, the latest first.
func (s *Server) readAllBackwards(ctx context.Context, before eventstore.Position, f *filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for {
			asked, seen, given := f.atOnce(limit), 0, 0
			for e, err := range s.store.ReadAllBackwards(ctx, before, f.readFilter(), asked) {
				if err != nil {
					yield(e, err)
					return
				}
				before = e.Position
				if seen++; !f.selects(&e) {
					continue
				}
				if given++; !yield(e, nil) || given == limit {
					return
				}
			}
			if asked == 0 || seen < asked {
				return
			}
			limit -= given
		}
	}
}

// heads says how often a caught-up mark comes: only when the head is reached for the first
// time, as subscribers expect, or each time the head is reached after something new.
type heads bool

const (
	firstHead heads = false
	eachHead  heads = true
)

// followStream yields the visible events of a stream after a revision, and then each new event,
// each once and in order. The only other items are caught-up marks. If the stream has ended for
// good, or ends meanwhile, the sequence ends with *DeletedError. If it ends meanwhile, the
// tombstone comes before the error.
func (s *Server) followStream(ctx context.Context, stream string, after int64, heads heads) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		f := &streamFollower{
			server: s, stream: stream, last: after, behind: true, heads: heads,
			yield: func(item eventstore.Item) bool { return yield(item, nil) },
		}
		if err := f.run(ctx); err != nil && !errors.Is(err, errStopped) {
			yield(eventstore.Item{}, err)
		}
	}
}

// errStopped means that the consumer wants no more items.
var errStopped = errors.New("the consumer stopped")

type streamFollower struct {
	server *Server
	stream string
	last   int64 // revision
	behind bool  // something came since the last mark, and another mark is due
	heads  heads
	yield  func(eventstore.Item) bool
}

func (f *streamFollower) run(ctx context.Context) error {
	for {
		// Everything that is written after this head comes from the subscription in live.
		head, err := f.server.store.Head(ctx)
		if err != nil {
			return err
		}
		last := f.last
		if err := f.catchUp(ctx); err != nil {
			return err
		}
		if f.last == last {
			return f.live(ctx, head)
		}
	}
}

func (f *streamFollower) catchUp(ctx context.Context) error {
	for e, err := range f.server.readStream(ctx, f.stream, f.last+1, 0) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f.give(eventstore.Item{Event: &e, Checkpoint: e.Position}); err != nil {
			return err
		}
	}
	return nil
}

func (f *streamFollower) live(ctx context.Context, head eventstore.Position) error {
	named := eventstore.Filter{StreamPrefixes: []string{f.stream}}
	for item, err := range f.server.store.Subscribe(ctx, head, named) {
		if err != nil {
			return err
		}
		if err := f.give(item); err != nil {
			return err
		}
	}
	return nil
}

// give yields the new events of the stream, and one mark after them.
func (f *streamFollower) give(item eventstore.Item) error {
	switch e := item.Event; {
	case e == nil && (!item.CaughtUp || !f.behind):
		return nil
	case e == nil:
		f.behind = false
	case e.Stream != f.stream || e.Revision <= f.last && e.Type != eventstore.TombstoneType:
		return nil // a tombstone comes after every revision
	default:
		f.last, f.behind = e.Revision, f.behind || f.heads == eachHead
	}
	if !f.yield(item) {
		return errStopped
	}
	if e := item.Event; e != nil && e.Type == eventstore.TombstoneType {
		return &eventstore.DeletedError{Stream: f.stream}
	}
	return nil
}

// followAll yields the events of the log after a position that f selects (nil: all), and then
// each new one. There is a caught-up mark when the head is reached for the first time. If
// heads asks for it, there is also one each time the head is reached after a selected event.
// With a filter, there is a mark at least after f.interval examined events, and before each
// caught-up mark. A mark's checkpoint is never beyond what was examined.
func (s *Server) followAll(ctx context.Context, after eventstore.Position, f *filter, heads heads) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		a := &allFollower{
			filter: f, seen: after, marked: after, behind: true, heads: heads,
			yield: func(item eventstore.Item) bool { return yield(item, nil) },
		}
		for item, err := range s.store.Subscribe(ctx, after, f.followFilter()) {
			if err != nil {
				yield(item, err)
				return
			}
			if !a.examine(item) {
				return
			}
		}
	}
}

type allFollower struct {
	filter   *filter
	yield    func(eventstore.Item) bool
	seen     eventstore.Position // up to here events were examined
	marked   eventstore.Position // by a checkpoint mark
	examined uint64              // events since then
	behind   bool                // something came since the last caught-up mark, and another mark is due
	heads    heads
}

// examine yields what the reader needs of an item of the store.
func (a *allFollower) examine(item eventstore.Item) bool {
	if item.Checkpoint != a.seen {
		a.examined += distance(a.seen, item)
		a.seen = item.Checkpoint
	}
	if item.Event != nil && a.filter.selects(item.Event) {
		a.behind = a.behind || a.heads == eachHead
		if !a.yield(item) {
			return false
		}
	}
	caughtUp := item.CaughtUp && a.behind
	if a.filter != nil && a.seen != a.marked && (caughtUp || a.examined >= a.filter.interval) {
		a.marked, a.examined = a.seen, 0
		if !a.yield(eventstore.Item{Checkpoint: a.seen}) {
			return false
		}
	}
	if !caughtUp {
		return true
	}
	a.behind = false
	return a.yield(eventstore.Item{Checkpoint: a.seen, CaughtUp: true})
}

// distance is how many events were examined between a position and an item. It is exact if
// positions are contiguous, and too high if they have gaps. If the two counters of a position
// differ, it is a guess: 1 for an event, and for a mark the most that the store examines between
// two marks.
func distance(from eventstore.Position, to eventstore.Item) uint64 {
	start, prepare := from.Pair()
	end, endPrepare := to.Checkpoint.Pair()
	switch {
	case start == prepare && end == endPrepare:
		return end - start
	case to.Event != nil:
		return 1
	default:
		return storeMarks
	}
}
