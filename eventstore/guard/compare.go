package guard

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

// scanMax bounds for how long the events between the last anchor and a place are read. Later
// events are not compared. A log may hold many events of other programs, and a node that
// starts cannot wait for all of them.
const scanMax = 5 * time.Second

// Compare tells whether a log is the log in which these places were stored. If not, the error
// is *eventstore.DivergedError. own tells whether only this program deletes or cuts off an
// event.
//
// The log has diverged if
//   - it ends before a place;
//   - another event is where an anchor says, or no event is there although the
//     anchor's event is own;
//   - it does not know a place;
//   - between the last anchor and a keeper's place there is an event that the
//     keeper wants. The keeper cannot have seen it (see scanMax).
//
// A position without an event is not a difference. An event that is missing in a foreign
// stream is not a difference either.
func Compare(ctx context.Context, log eventstore.Store, places []eventstore.Place, own func(eventstore.Anchor) bool) error {
	return newComparison(log, own).run(ctx, places)
}

func newComparison(log eventstore.Store, own func(eventstore.Anchor) bool) *comparison {
	return &comparison{log: log, own: own, anchorsRead: make(map[string]finding), tried: make(map[eventstore.Position]bool)}
}

func (c *comparison) run(ctx context.Context, places []eventstore.Place) error {
	end, err := endOf(ctx, c.log)
	if err != nil {
		return err
	}
	for _, p := range places {
		if err := c.reaches(p, end); err != nil {
			return err
		}
	}
	if err := c.readAnchors(ctx, places); err != nil {
		return err
	}
	for _, p := range places {
		if err := c.anchored(ctx, p); err != nil {
			return err
		}
	}
	return c.findMissed(ctx, places)
}

// endOf is the position of the last record of a log.
func endOf(ctx context.Context, log eventstore.Store) (eventstore.Position, error) {
	if ending, ok := log.(eventstore.EndReader); ok {
		return ending.End(ctx)
	}
	return log.Head(ctx)
}

// finding is what the log has where an anchor says that its event is.
type finding struct {
	same    bool
	missing bool // there is no event, or none that can be read
	hidden  bool // the stream has ended, so its events cannot be read by revision
	found   eventstore.Anchor
}

type comparison struct {
	log         eventstore.Store
	own         func(eventstore.Anchor) bool
	anchorsRead map[string]finding
	tried       map[eventstore.Position]bool
	// The latest of the anchors that the log holds, and the latest of those that are own.
	latest, latestOwn eventstore.Anchor
}

// reaches tells whether the log goes as far as a place.
func (c *comparison) reaches(p eventstore.Place, end eventstore.Position) error {
	expected := "the log to go on"
	at := p.At
	if at.Before(p.Anchor.Position) {
		at = p.Anchor.Position
	}
	if !p.Anchor.IsZero() {
		expected = p.Anchor.Describe()
		if p.Anchor.Position.Before(at) {
			expected = "what comes after " + expected + " at position " + p.Anchor.Position.String()
		}
	}
	if !end.Before(at) {
		return nil
	}
	return &eventstore.DivergedError{Keeper: p.Keeper, At: at, Expected: expected, Found: fmt.Sprintf("the end of the log at position %s", end)}
}

// anchored checks that the log holds the event that a place's anchor names.
func (c *comparison) anchored(ctx context.Context, p eventstore.Place) error {
	if p.Anchor.IsZero() {
		return c.try(ctx, p)
	}
	f := c.anchorsRead[p.Anchor.String()]
	switch {
	case f.same:
		c.latest = c.latest.Later(p.Anchor)
		if c.own(p.Anchor) {
			c.latestOwn = c.latestOwn.Later(p.Anchor)
		}
		return nil
	case f.hidden, f.missing && !c.own(p.Anchor):
		return nil
	}
	found := "none there"
	if !f.missing {
		found = f.found.Describe()
		if f.found.Position != p.Anchor.Position {
			found += " at position " + f.found.Position.String()
		}
	}
	return &eventstore.DivergedError{Keeper: p.Keeper, At: p.Anchor.Position, Expected: p.Anchor.Describe(), Found: found}
}

// readsAtOnce bounds how many events are read at the same time, because a server may need
// much time for each call.
const readsAtOnce = 8

// readAnchors reads the events that anchors name, each event once.
func (c *comparison) readAnchors(ctx context.Context, places []eventstore.Place) error {
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(readsAtOnce)
	var mu sync.Mutex
	begun := make(map[string]bool)
	for _, p := range places {
		key := p.Anchor.String()
		if p.Anchor.IsZero() || begun[key] {
			continue
		}
		begun[key] = true
		reads.Go(func() error {
			f, err := c.locateAnchor(ctx, p.Anchor)
			mu.Lock()
			defer mu.Unlock()
			c.anchorsRead[key] = f
			return err
		})
	}
	return reads.Wait()
}

// locateAnchor reads the event that an anchor names. It asks by stream and revision, because a
// server may refuse a position that it does not know.
func (c *comparison) locateAnchor(ctx context.Context, a eventstore.Anchor) (finding, error) {
	for e, err := range c.log.ReadStream(ctx, a.Stream, a.Revision, 1) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			return finding{missing: true}, nil
		}
		if _, ended := errors.AsType[*eventstore.DeletedError](err); ended {
			return finding{hidden: true}, nil
		}
		switch {
		case err != nil:
			return finding{}, err
		case a.Names(&e):
			return finding{same: true}, nil
		case e.Revision == a.Revision:
			return finding{found: eventstore.Anchor{
				Position: e.Position, Stream: e.Stream, Revision: e.Revision, ID: e.ID, RecordedAt: e.RecordedAt,
			}}, nil
		}
	}
	return finding{missing: true}, nil
}

// try reads on from a place, to find out whether the log knows it.
func (c *comparison) try(ctx context.Context, p eventstore.Place) error {
	if p.At.IsStart() || c.tried[p.At] {
		return nil
	}
	c.tried[p.At] = true
	for _, err := range c.log.ReadAll(ctx, p.At, eventstore.Filter{}, 1) {
		if wrong, none := errors.AsType[*eventstore.UnknownPlaceError](err); none {
			return &eventstore.DivergedError{Keeper: p.Keeper, At: p.At, Expected: "a record of the log", Found: "none there: " + eventstore.Visible(wrong.Error())}
		}
		return err
	}
	return nil
}

// wanted selects every event that one of the keepers wants, and perhaps more. With this filter an
// engine can skip the events in between.
func wanted(by []eventstore.Place) eventstore.Filter {
	var types []string
	for _, p := range by {
		if len(p.Filter.TypePrefixes) == 0 {
			return eventstore.Filter{}
		}
		types = append(types, p.Filter.TypePrefixes...)
	}
	slices.Sort(types)
	return eventstore.Filter{TypePrefixes: slices.Compact(types)}
}

// findMissed tells whether keepers have missed an event that they want, between the last
// event that both logs hold and their places. It checks only keepers whose anchor is not
// after that event. A keeper with a later anchor has read later events. If a keeper has no
// anchor, it is not known what it has read.
func (c *comparison) findMissed(ctx context.Context, places []eventstore.Place) error {
	var beyond []eventstore.Place
	last := c.latest.Position
	for _, p := range places {
		if p.Filter != nil && !p.Anchor.IsZero() && !c.latest.Position.Before(p.Anchor.Position) && c.latest.Position.Before(p.At) {
			beyond = append(beyond, p)
			if last.Before(p.At) {
				last = p.At
			}
		}
	}
	for _, p := range places { // a server whose positions count bytes refuses a position at which no record begins
		if !p.Anchor.IsZero() && c.latest.Position.Before(p.At) {
			if err := c.try(ctx, p); err != nil {
				return err
			}
		}
	}
	if len(beyond) == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, scanMax)
	defer cancel()
	for e, err := range c.log.ReadAll(limited, c.latest.Position, wanted(beyond), 0) {
		if err != nil && limited.Err() != nil && ctx.Err() == nil {
			return nil // none was found within the time
		}
		if err != nil || last.Before(e.Position) {
			return err
		}
		if eventstore.AnchorOf(&e).IsZero() {
			continue // it cannot be an anchor, so the keeper may have read it all the same
		}
		for _, p := range beyond {
			if !p.At.Before(e.Position) && p.Filter.Selects(e.Type, e.Stream) {
				found := eventstore.AnchorOf(&e)
				return &eventstore.DivergedError{
					Keeper: p.Keeper, At: e.Position,
					Expected: fmt.Sprintf("no event for this reader between positions %s and %s", c.latest.Position, p.At), Found: found.Describe(),
				}
			}
		}
	}
	return nil
}
