package guard_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/guard"
	"daybook/eventstore/memory"
)

// gapped is a log whose positions have gaps, like those of a server that counts bytes: the n-th
// event is at position 10 n. A read that begins between two events fails.
type gapped struct {
	eventstore.Store
	exact bool
	gone  map[string]int64 // by stream: revisions before this one can no longer be read
	extra uint64           // how many records the server itself has written after the last event
}

func spread(p eventstore.Position) eventstore.Position {
	n, _ := p.Pair()
	return eventstore.At(10 * n)
}

func (g gapped) each(events iter.Seq2[eventstore.Recorded, error]) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for e, err := range events {
			if err == nil && e.Revision < g.gone[e.Stream] {
				continue
			}
			e.Position = spread(e.Position)
			if !yield(e, err) {
				return
			}
		}
	}
}

func (g gapped) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return g.each(g.Store.ReadStream(ctx, stream, max(from, g.gone[stream]), limit))
}

func (g gapped) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	n, _ := after.Pair()
	if g.exact && n%10 != 0 {
		return func(yield func(eventstore.Recorded, error) bool) {
			yield(eventstore.Recorded{}, &eventstore.UnknownPlaceError{Position: after, Head: eventstore.At(1000), Cause: errors.New("an exception")})
		}
	}
	return g.each(g.Store.ReadAll(ctx, eventstore.At(n/10), filter, limit))
}

func (g gapped) Head(ctx context.Context) (eventstore.Position, error) {
	head, err := g.Store.Head(ctx)
	return spread(head), err
}

func (g gapped) End(ctx context.Context) (eventstore.Position, error) {
	head, err := g.Head(ctx)
	n, _ := head.Pair()
	return eventstore.At(n + g.extra), err
}

// story is a log: what it appends, in order, as "stream type".
type story []string

func (s story) log(t *testing.T, salt string) *memory.Store {
	t.Helper()
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	log := memory.New(memory.WithClock(func() time.Time { at = at.Add(time.Second); return at }))
	for _, line := range s {
		stream, eventType, _ := strings.Cut(line, " ")
		id := uuid.NewSHA1(uuid.NameSpaceOID, []byte(salt+line+at.String()))
		event := eventstore.Event{ID: id, Type: eventType, Data: []byte(`{}`)}
		if _, err := log.Append(t.Context(), stream, eventstore.Any, []eventstore.Event{event}); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

// anchors are the anchors of all events of a log, by the event's number from 1.
func anchors(t *testing.T, log eventstore.Store) []eventstore.Anchor {
	t.Helper()
	all := []eventstore.Anchor{{}}
	for e, err := range log.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, eventstore.Anchor{Position: e.Position, Stream: e.Stream, Revision: e.Revision, ID: e.ID, RecordedAt: e.RecordedAt})
	}
	return all
}

func own(a eventstore.Anchor) bool { return strings.HasPrefix(a.Stream, "order-") }

// Each case changes a log in one way, and says whether that makes it another log.
func TestWhatIsADifference(t *testing.T) {
	t.Parallel()
	was := story{"order-1 order.placed", "other-1 thing", "order-1 order.paid", "other-1 thing", "stock-1 stock.received", "order-2 order.placed"}
	a := anchors(t, gapped{Store: was.log(t, "")})
	orders := &eventstore.Filter{TypePrefixes: []string{"order."}}
	place := func(at uint64, anchor int, filter *eventstore.Filter) eventstore.Place {
		return eventstore.Place{Keeper: "the view", At: eventstore.At(at), Anchor: a[anchor], Filter: filter}
	}
	cut := was[:4:4]
	grown := append(cut, "other-2 thing", "order-3 order.placed", "other-2 thing")
	for name, c := range map[string]struct {
		log   gapped
		place eventstore.Place
		says  string // of the difference; empty: there is none
	}{
		"the same log": {gapped{Store: was.log(t, "")}, place(60, 6, orders), ""},
		"the same log, and a place between events":               {gapped{Store: was.log(t, "")}, place(65, 6, orders), "the end of the log at position 60"},
		"a record of the server's own at the end":                {gapped{Store: was.log(t, ""), extra: 5}, place(65, 6, orders), ""},
		"the same log, and more":                                 {gapped{Store: append(was, "order-9 order.placed").log(t, "")}, place(60, 6, orders), ""},
		"a place after what another program wrote":               {gapped{Store: was.log(t, "")}, place(40, 3, orders), ""},
		"a place within a gap":                                   {gapped{Store: was.log(t, "")}, place(35, 3, orders), ""},
		"an anchor after the place":                              {gapped{Store: was.log(t, "")}, place(10, 6, nil), ""},
		"at the start":                                           {gapped{Store: story{}.log(t, "")}, eventstore.Place{Keeper: "the view"}, ""},
		"no anchor, within the log":                              {gapped{Store: was.log(t, "")}, place(40, 0, orders), ""},
		"no anchor, beyond the log":                              {gapped{Store: cut.log(t, "")}, place(60, 0, orders), "expected at position 60 the log to go on, found the end of the log at position 40"},
		"no anchor, between two records":                         {gapped{Store: was.log(t, ""), exact: true}, place(45, 0, orders), "an exception"},
		"shorter":                                                {gapped{Store: cut.log(t, "")}, place(60, 6, orders), "(order-2, revision 0, recorded at 2026-11-28T12:00:06Z), found the end of the log at position 40"},
		"shorter than an anchor after the place":                 {gapped{Store: cut.log(t, "")}, place(10, 6, nil), "found the end of the log at position 40"},
		"grown past the place":                                   {gapped{Store: grown.log(t, "")}, place(60, 6, orders), "found none there"},
		"grown past the place, at which nothing was":             {gapped{Store: grown.log(t, "")}, place(60, 3, orders), "expected at position 60 no event for this reader between positions 30 and 60, found event "},
		"grown past the place, with events that no keeper wants": {gapped{Store: grown.log(t, "")}, place(50, 3, orders), ""},
		"grown past the place, and a record begins elsewhere":    {gapped{Store: grown.log(t, ""), exact: true}, place(45, 3, orders), "an exception"},
		"another log":                                            {gapped{Store: was.log(t, "else")}, place(60, 6, orders), "(order-2, revision 0, recorded at 2026-11-28T12:00:06Z), found event "},
		"a log without the stream":                               {gapped{Store: story{"a a", "b b", "c c", "d d", "e e", "f f"}.log(t, "")}, place(60, 6, orders), "found none there"},
		"an event of another program that is gone":               {gapped{Store: was.log(t, ""), gone: map[string]int64{"other-1": 2}}, place(40, 4, nil), ""},
		"an event of the shop that is gone":                      {gapped{Store: was.log(t, ""), gone: map[string]int64{"order-1": 2}}, place(30, 3, nil), "found none there"},
		"a stream of the shop that was ended": {
			gapped{Store: append(was, "order-2 "+eventstore.TombstoneType).log(t, "")}, place(60, 6, nil), "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := guard.Compare(t.Context(), c.log, []eventstore.Place{c.place}, own)
			diverged, is := errors.AsType[*eventstore.DivergedError](err)
			switch {
			case c.says == "" && err != nil:
				t.Errorf("error %v", err)
			case c.says != "" && (!is || !strings.Contains(diverged.Error(), c.says) || diverged.Keeper != "the view"):
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}

// A keeper with a later anchor has read further than the last common event. So it cannot have
// missed the events in between, whatever other keepers know.
func TestKeepersAreAskedOnlyForWhatComesAfterTheirAnchors(t *testing.T) {
	t.Parallel()
	was := story{"order-1 order.placed", "order-1 order.paid", "order-2 order.placed", "other-1 thing", "other-1 thing"}
	a := anchors(t, gapped{Store: was.log(t, "")})
	odd := story{"order-1 order.placed", "$odd order.placed", "other-1 thing"}
	oddAnchors := anchors(t, gapped{Store: odd.log(t, "")})
	orders := &eventstore.Filter{TypePrefixes: []string{"order."}}
	for name, c := range map[string]struct {
		log    gapped
		places []eventstore.Place
	}{
		"the views' anchor is cut off, and that of the answers is older": {
			gapped{Store: was.log(t, ""), gone: map[string]int64{"other-1": 2}},
			[]eventstore.Place{
				{Keeper: "the view", At: eventstore.At(50), Anchor: a[5], Filter: orders},
				{Keeper: "the answers", At: eventstore.At(20), Anchor: a[2]},
			},
		},
		"a rebuild beside a view that has no anchor yet": {
			gapped{Store: was.log(t, "")},
			[]eventstore.Place{
				{Keeper: "the view", At: eventstore.At(50), Filter: orders},
				{Keeper: "the rebuild", At: eventstore.At(10), Anchor: a[1], Filter: orders},
			},
		},
		"an event of which no anchor can be kept": {
			gapped{Store: odd.log(t, "")},
			[]eventstore.Place{{Keeper: "the view", At: eventstore.At(20), Anchor: oddAnchors[1], Filter: orders}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := guard.Compare(t.Context(), c.log, c.places, own); err != nil {
				t.Error(err)
			}
		})
	}
}

// The same events, recorded at other times: a file that was imported into two logs
// gives the same ids at the same positions.
func TestACopyIsAnotherLog(t *testing.T) {
	t.Parallel()
	line := story{"order-1 order.placed"}
	anchor := anchors(t, line.log(t, ""))[1]
	anchor.RecordedAt = anchor.RecordedAt.Add(time.Hour)
	err := guard.Compare(t.Context(), line.log(t, ""), []eventstore.Place{{At: anchor.Position, Anchor: anchor}}, own)
	if _, diverged := errors.AsType[*eventstore.DivergedError](err); !diverged {
		t.Errorf("error %v", err)
	}
}

func TestTheServersOwnEventsAreNoAnchors(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{"$settings", "$$order-1", "a\x00b", "\xff"} {
		if a := eventstore.AnchorOf(&eventstore.Recorded{Stream: stream, Position: eventstore.At(1)}); !a.IsZero() {
			t.Errorf("%q: %v", stream, a)
		}
	}
}

func TestAnAnchorIsKeptAsText(t *testing.T) {
	t.Parallel()
	for _, a := range []eventstore.Anchor{
		{},
		{Position: eventstore.At(7), Stream: "order-1", Revision: 3, ID: uuid.New(), RecordedAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)},
		{Position: eventstore.AtPair(9, 7), Stream: "a stream with spaces ", Revision: 0, ID: uuid.New()},
	} {
		back, err := eventstore.ParseAnchor(a.String())
		if err != nil || back != a {
			t.Errorf("%+v is kept as %q and read as %+v, %v", a, a.String(), back, err)
		}
	}
	for _, text := range []string{"7", "x 3 " + uuid.NewString() + " 0 s", "7 3 no 0 s", "7 3 " + uuid.NewString() + " x s"} {
		if a, err := eventstore.ParseAnchor(text); err == nil {
			t.Errorf("%q is read as %+v", text, a)
		}
	}
}

// The guard finds the event that a keeper has missed, even behind many events of other programs.
func TestWhatWasMissedIsFoundBehindManyForeignEvents(t *testing.T) {
	t.Parallel()
	was := story{"order-1 order.placed"}
	log := was.log(t, "")
	anchor := anchors(t, log)[1]
	foreign := make([]eventstore.Event, 1000)
	for i := range foreign {
		foreign[i] = eventstore.Event{ID: uuid.New(), Type: "thing", Data: []byte(`{}`)}
	}
	const batches = 50
	for range batches {
		if _, err := log.Append(t.Context(), "other-1", eventstore.Any, foreign); err != nil {
			t.Fatal(err)
		}
		for i := range foreign {
			foreign[i].ID = uuid.New()
		}
	}
	if _, err := log.Append(t.Context(), "order-2", eventstore.NoStream, []eventstore.Event{{ID: uuid.New(), Type: "order.placed", Data: []byte(`{}`)}}); err != nil {
		t.Fatal(err)
	}
	at := eventstore.At(batches*1000 + 2)
	orders := eventstore.Place{Keeper: "the view orders", At: at, Anchor: anchor, Filter: &eventstore.Filter{TypePrefixes: []string{"order."}}}
	carts := eventstore.Place{Keeper: "the view carts", At: at, Anchor: anchor, Filter: &eventstore.Filter{TypePrefixes: []string{"cart."}}}
	if err := guard.Compare(t.Context(), log, []eventstore.Place{carts}, own); err != nil {
		t.Errorf("a keeper that has missed nothing: %v", err)
	}
	found, diverged := errors.AsType[*eventstore.DivergedError](guard.Compare(t.Context(), log, []eventstore.Place{carts, orders}, own))
	if !diverged || found.Keeper != "the view orders" || found.At != at {
		t.Errorf("a keeper that has missed an order: %v", found)
	}
}

// endless is a log that yields no event after a certain place and never ends the read.
type endless struct{ *memory.Store }

func (e endless) ReadAll(ctx context.Context, _ eventstore.Position, _ eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		if limit == 0 {
			<-ctx.Done()
			yield(eventstore.Recorded{}, &eventstore.UnavailableError{Cause: ctx.Err()})
		}
	}
}

// A node that starts limits the time in which it looks through the log. When this time ends, it
// does not believe that the log ends there.
func TestALogIsNotLookedThroughForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := was.log(t, "")
		place := eventstore.Place{Keeper: "the view", At: eventstore.At(3), Anchor: anchors(t, log)[1], Filter: &eventstore.Filter{TypePrefixes: []string{"order."}}}
		began := time.Now()
		if err := guard.Compare(t.Context(), endless{log}, []eventstore.Place{place}, own); err != nil || time.Since(began) != 5*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := guard.Compare(ctx, endless{log}, []eventstore.Place{place}, own); err == nil {
			t.Error("nothing was compared, and nothing was said")
		}
	})
}
