package gateway

import (
	"context"
	"errors"
	"iter"
	"sort"
	"time"

	"daybook/eventstore"
)

// firstShown is the revision from which on a stream is shown to readers, which
// may be beyond its end. A stream that was deleted is not found, unless it has
// been ended since.
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

// firstSince is the first revision from first to last that was recorded at this
// time or later, or the one after last. Recorded times rise with revisions.
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

// readStream yields what a stream shows from a revision on, at most limit events
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

// readStreamBackwards yields what a stream shows from a revision down.
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
			// What was left out here counts towards the limit of the store only.
			if asked == 0 || seen < asked {
				return
			}
			limit -= given
		}
	}
}

// justBefore is a position before another such that no event of an earlier
// commit is after it. Events of the same commit may be, where one commit has
// several: they are to be skipped.
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

// heads says when a caught-up mark is given: only when the head is reached for the
// first time, as for subscribers, or each time it is reached after something new.
type heads bool

const (
	firstHead heads = false
	eachHead  heads = true
)

// followStream yields what a stream shows after a revision, and then each new
// event, each once and in order. Besides events there are only caught-up marks. It
// ends with *DeletedError if the stream is deleted for good, after the tombstone if it
// was followed until then.
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

// errStopped means the consumer wants no more.
var errStopped = errors.New("the consumer stopped")

type streamFollower struct {
	server *Server
	stream string
	last   int64 // revision
	behind bool  // there was something since the last mark, and another mark is to come
	heads  heads
	yield  func(eventstore.Item) bool
}

func (f *streamFollower) run(ctx context.Context) error {
	for {
		// Whatever is written from here on comes by the subscription.
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

// give yields what is new of the stream, and one mark after it.
func (f *streamFollower) give(item eventstore.Item) error {
	switch e := item.Event; {
	case e == nil && (!item.CaughtUp || !f.behind):
		return nil
	case e == nil:
		f.behind = false
	case e.Stream != f.stream || e.Revision <= f.last && e.Type != eventstore.TombstoneType:
		return nil // a tombstone is after every revision
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

// followAll yields the events of the log after a position that f, which may be
// nil, lets through, and then each new one. There is a caught-up mark when the
// head is reached for the first time and, if each head is to be told of, when it is
// after an event that was let through. With a filter there is a mark after f.interval
// examined events at the latest, and before each caught-up mark. A mark's checkpoint
// is never beyond what was examined.
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
	seen     eventstore.Position // what was examined
	marked   eventstore.Position // by a checkpoint mark
	examined uint64              // events since then
	behind   bool                // there was something since the last caught-up mark, and another is to come
	heads    heads
}

// examine yields what an item of the store is worth to the reader.
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

// distance is how many events were examined to get from a position to an item;
// it may be less if positions are not contiguous, and is a guess if they have
// two counters.
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
