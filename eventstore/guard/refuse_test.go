package guard_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/guard"
	"daybook/eventstore/memory"
)

// changing is an engine under which a test can replace the log, with or without a new connection.
type changing struct {
	atomic.Pointer[memory.Store]
	connected atomic.Uint64
}

func (c *changing) Connections() uint64 { return c.connected.Load() }

func (c *changing) AskBeforeAppend(func(context.Context) (uint64, error)) {}

func (c *changing) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	return c.Load().Append(ctx, stream, expected, events)
}

func (c *changing) AppendAll(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
	return c.Load().AppendAll(ctx, writes)
}

func (c *changing) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return c.Load().ReadStream(ctx, stream, from, limit)
}

func (c *changing) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return c.Load().ReadAll(ctx, after, filter, limit)
}

func (c *changing) ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return c.Load().ReadStreamBackwards(ctx, stream, from, limit)
}

func (c *changing) ReadAllBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return c.Load().ReadAllBackwards(ctx, before, filter, limit)
}

func (c *changing) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return c.Load().Subscribe(ctx, after, filter)
}

func (c *changing) Head(ctx context.Context) (eventstore.Position, error) { return c.Load().Head(ctx) }

// guarded opens a guard before a log, and reads the log to its end.
func guarded(t *testing.T, log *memory.Store, options guard.Options) (*guard.Store, *changing) {
	t.Helper()
	c := &changing{}
	c.Store(log)
	options.Own = own
	s := guard.New(c, options)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, c
}

func one() []eventstore.Event {
	return []eventstore.Event{{ID: uuid.New(), Type: "order.placed", Data: []byte(`{}`)}}
}

// calls has every method of a log. Each function returns the first error of its call.
var calls = map[string]func(ctx context.Context, log eventstore.Store) error{
	"Append": func(ctx context.Context, log eventstore.Store) error {
		_, err := log.Append(ctx, "order-new", eventstore.Any, one())
		return err
	},
	"AppendAll": func(ctx context.Context, log eventstore.Store) error {
		all, ok := eventstore.MultiAppenderOf(log)
		if !ok {
			return errors.New("it does not append to several streams at once")
		}
		_, err := all.AppendAll(ctx, []eventstore.Write{
			{Stream: "order-new", Expected: eventstore.Any, Events: one()}, {Stream: "order-newer", Expected: eventstore.Any, Events: one()},
		})
		return err
	},
	"ReadStream": func(ctx context.Context, log eventstore.Store) error {
		return firstError(log.ReadStream(ctx, "order-1", 0, 0))
	},
	"ReadStreamBackwards": func(ctx context.Context, log eventstore.Store) error {
		return firstError(log.ReadStreamBackwards(ctx, "order-1", eventstore.LastRevision, 0))
	},
	"ReadAll": func(ctx context.Context, log eventstore.Store) error {
		return firstError(log.ReadAll(ctx, eventstore.Start, eventstore.Filter{}, 0))
	},
	"ReadAllBackwards": func(ctx context.Context, log eventstore.Store) error {
		return firstError(log.ReadAllBackwards(ctx, eventstore.End, eventstore.Filter{}, 0))
	},
	"Subscribe": func(ctx context.Context, log eventstore.Store) error {
		for item, err := range log.Subscribe(ctx, eventstore.Start, eventstore.Filter{}) {
			if err != nil || item.CaughtUp {
				return err
			}
		}
		return nil
	},
	"Head": func(ctx context.Context, log eventstore.Store) error {
		_, err := log.Head(ctx)
		return err
	},
	"End": func(ctx context.Context, log eventstore.Store) error {
		_, err := log.(eventstore.EndReader).End(ctx)
		return err
	},
}

// The end of a log is that of the engine, whose server may have records after the head.
func TestTheEndIsTheEngines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		log  eventstore.Store
		want eventstore.Position
	}{
		{was.log(t, ""), eventstore.At(4)},
		{gapped{Store: was.log(t, ""), extra: 5}, eventstore.At(45)},
	} {
		s := guard.New(c.log, guard.Options{Own: own})
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		if end, err := s.End(t.Context()); err != nil || end != c.want {
			t.Errorf("the end is at %s, %v, want %s", end, err, c.want)
		}
	}
}

func firstError(events iter.Seq2[eventstore.Recorded, error]) error {
	for _, err := range events {
		if err != nil {
			return err
		}
	}
	return nil
}

var (
	was     = story{"order-1 order.placed", "other-1 thing", "order-1 order.paid", "order-2 order.placed"}
	ways    = map[string]story{"shorter": was[:2], "grown": {was[0], was[1], "order-8 order.placed", "order-9 order.placed", "other-1 thing"}, "another": {"a a", "b b", "c c", "d d", "e e"}}
	nothing = story{}
)

// A new connection may lead to another log. So the log is compared before any answer over this
// connection is believed, whichever method is called.
func TestANewConnectionIsComparedBeforeItIsBelieved(t *testing.T) {
	t.Parallel()
	for way, is := range ways {
		for name, do := range calls {
			t.Run(way+"/"+name, func(t *testing.T) {
				t.Parallel()
				s, log := guarded(t, was.log(t, ""), guard.Options{})
				if err := do(t.Context(), s); err != nil {
					t.Fatalf("before: %v", err)
				}
				other := is.log(t, "")
				head, _ := other.Head(t.Context())
				log.Store(other)
				log.connected.Add(1)
				if _, diverged := errors.AsType[*eventstore.DivergedError](do(t.Context(), s)); !diverged {
					t.Error("it was answered")
				}
				if after, _ := other.Head(t.Context()); after != head {
					t.Errorf("the head of the other log is %s and was %s", after, head)
				}
				select {
				case <-s.Final():
				default:
					t.Error("it is not final")
				}
				log.Store(was.log(t, "")) // the old log is back, but the node's memory may be from the other log
				for name, do := range calls {
					if _, diverged := errors.AsType[*eventstore.DivergedError](do(t.Context(), s)); !diverged {
						t.Errorf("%s: answered afterwards", name)
					}
				}
			})
		}
	}
}

// The answer to an append is not believed in two more cases: the connection was made while the call
// was under way, or the answer's position is not after everything that was seen before.
func TestAnAppendIsBelievedOnlyFromTheLogThatWasCompared(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		connects uint64
		is       story
	}{"a new connection to a longer log": {1, ways["grown"]}, "the same connection to a shorter one": {0, nothing}} {
		for _, call := range []string{"Append", "AppendAll"} {
			t.Run(name+"/"+call, func(t *testing.T) {
				t.Parallel()
				log := &changing{}
				log.Store(was.log(t, ""))
				s := guard.New(swapping{log, func() { log.Store(c.is.log(t, "")); log.connected.Add(c.connects) }}, guard.Options{Own: own})
				if err := s.Open(t.Context()); err != nil {
					t.Fatal(err)
				}
				err := calls[call](t.Context(), s)
				_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
				_, diverged := errors.AsType[*eventstore.DivergedError](err)
				if !unknown || !diverged || s.Diverged() == nil {
					t.Errorf("error %v", err)
				}
			})
		}
	}
}

// swapping calls a function just before each append.
type swapping struct {
	*changing
	before func()
}

func (s swapping) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	s.before()
	return s.changing.Append(ctx, stream, expected, events)
}

func (s swapping) AppendAll(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
	s.before()
	return s.changing.AppendAll(ctx, writes)
}

// The guard knows the latest event of each write, as it does of an append.
func TestTheEventsOfSeveralWritesAreNoted(t *testing.T) {
	t.Parallel()
	s, log := guarded(t, was.log(t, ""), guard.Options{})
	all, _ := eventstore.MultiAppenderOf(s)
	writes := []eventstore.Write{
		{Stream: "order-b", Expected: eventstore.NoStream, Events: append(one(), one()...)},
		{Stream: "order-a", Expected: eventstore.NoStream, Events: one()},
		{Stream: "other-9", Expected: eventstore.NoStream, Events: one()},
	}
	results, err := all.AppendAll(t.Context(), writes)
	if err != nil {
		t.Fatal(err)
	}
	want := eventstore.Anchor{Position: results[1].Position, Stream: "order-a", Revision: 0, ID: writes[1].Events[0].ID}
	if got := s.Latest(); got != want {
		t.Errorf("the latest event is %s, want %s", got, want)
	}
	log.Store(was.log(t, ""))
	if _, diverged := errors.AsType[*eventstore.DivergedError](s.Check(t.Context())); !diverged {
		t.Error("a log without the writes was taken for the same")
	}
}

// Before an engine without AppendAll, the guard has none.
func TestTheGuardHasAppendAllIfItsEngineHasIt(t *testing.T) {
	t.Parallel()
	without := struct{ eventstore.Store }{memory.New()}
	if _, ok := eventstore.MultiAppenderOf(guard.New(without, guard.Options{})); ok {
		t.Error("a guard before an engine without AppendAll has it")
	}
	within := guard.New(guard.New(memory.New(), guard.Options{}), guard.Options{})
	if _, ok := eventstore.MultiAppenderOf(within); !ok {
		t.Error("a guard before a guard does not have it")
	}
}

// If the log is replaced without a new connection, the guard notices it within a second, and
// live subscriptions end with the reason.
func TestAChangedLogIsNoticedWithinASecond(t *testing.T) {
	t.Parallel()
	for way, is := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first := was.log(t, "")
				s, log := guarded(t, first, guard.Options{})
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				go s.Run(ctx) //nolint:errcheck // it returns nil
				<-time.After(time.Minute)
				if found := s.Diverged(); found != nil {
					t.Fatal(found)
				}
				log.Store(is.log(t, ""))
				began := time.Now()
				within(t, s)
				if took := time.Since(began); took > time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// within waits until a difference is final, and fails if that takes too long.
func within(t *testing.T, s *guard.Store) {
	t.Helper()
	select {
	case <-s.Final():
	case <-time.After(time.Minute):
		t.Fatal("it was never noticed")
	}
}

// A cluster's new leader may be behind for a moment. During this moment every call is refused, and
// after it calls work again. If the log has another event at a known place, that will not pass, but
// it becomes final only after the same time.
func TestALogThatIsBehindForAMomentIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		full, behind := was.log(t, ""), was[:2].log(t, "")
		s, log := guarded(t, full, guard.Options{Settle: 2 * time.Second})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.Run(ctx) //nolint:errcheck // it returns nil
		log.Store(behind)
		<-time.After(time.Second)
		if _, err := s.Head(t.Context()); s.Diverged() == nil || err == nil {
			t.Errorf("a log that is behind was answered from: %v", err)
		} else if found, is := errors.AsType[*eventstore.DivergedError](err); !is || !found.MayPass || !s.Diverged().MayPass {
			t.Errorf("it does not say that it may pass: %v", err)
		}
		log.Store(full)
		<-time.After(time.Second)
		if _, err := s.Head(t.Context()); err != nil || s.Diverged() != nil {
			t.Errorf("it is as before, but: %v", err)
		}
		log.Store(behind)
		began := time.Now()
		within(t, s)
		if took := time.Since(began); took < 2*time.Second || took > 3*time.Second {
			t.Errorf("final after %s", took)
		}
		if _, err := s.Head(t.Context()); s.Diverged().MayPass || !errors.Is(err, s.Diverged()) {
			t.Errorf("it is final, but: %v", err)
		}
		log.Store(full)
		<-time.After(time.Minute)
		if s.Diverged() == nil {
			t.Error("it was believed again")
		}
	})
}

// If a caller names a place that the log does not know, the log has not diverged.
func TestAWrongPlaceOfACallerIsNoDivergence(t *testing.T) {
	t.Parallel()
	s, _ := guarded(t, was.log(t, ""), guard.Options{})
	for _, err := range s.Subscribe(t.Context(), eventstore.At(99), eventstore.Filter{}) {
		if _, none := errors.AsType[*eventstore.UnknownPlaceError](err); !none {
			t.Errorf("error %v", err)
		}
	}
	if found := s.Diverged(); found != nil {
		t.Error(found)
	}
}

// The places in the database are compared at the start. If they cannot be read, every call is
// refused.
func TestStoredPlacesAreComparedAtTheStart(t *testing.T) {
	t.Parallel()
	log := was.log(t, "")
	kept := []eventstore.Place{{Keeper: "the view", At: eventstore.At(9)}}
	s := guard.New(log, guard.Options{Places: func(context.Context) ([]eventstore.Place, error) { return kept, nil }})
	if found, diverged := errors.AsType[*eventstore.DivergedError](s.Open(t.Context())); !diverged || found.Keeper != "the view" {
		t.Errorf("error %v", found)
	}
	away := guard.New(log, guard.Options{Places: func(context.Context) ([]eventstore.Place, error) { return nil, errors.New("no database") }})
	if _, unavailable := errors.AsType[*eventstore.UnavailableError](away.Open(t.Context())); !unavailable || away.Diverged() != nil {
		t.Errorf("without a database: %v", away.Diverged())
	}
}

// mark is the first mark of a subscription that begins at the end of a log and selects no event.
func mark(t *testing.T, log eventstore.Store) eventstore.Item {
	t.Helper()
	for item, err := range log.Subscribe(t.Context(), eventstore.Start, eventstore.Filter{TypePrefixes: []string{"none"}}) {
		if err != nil {
			t.Fatal(err)
		}
		if item.CaughtUp {
			return item
		}
	}
	t.Fatal("there is no mark")
	return eventstore.Item{}
}

// Marks name the latest event of the shop that the node knows. So a reader that sees only some
// types can store an anchor that nobody deletes.
func TestMarksTellTheLatestOwnEventKnown(t *testing.T) {
	t.Parallel()
	shared := append(was[:4:4], "other-1 thing", "other-1 thing")
	kept := anchors(t, shared.log(t, ""))[4]
	for name, c := range map[string]struct {
		log  story
		kept []eventstore.Place
		want string
	}{
		"the last event is the shop's":           {log: was, want: "order-2"},
		"the last event is another's":            {log: shared, kept: []eventstore.Place{{At: eventstore.At(6), Anchor: kept}}, want: "order-2"},
		"there is none of the shop's":            {log: story{"other-1 thing"}, want: "other-1"},
		"nothing of the shop's was kept or seen": {log: shared, want: "other-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := guarded(t, c.log.log(t, ""), guard.Options{Places: func(context.Context) ([]eventstore.Place, error) { return c.kept, nil }})
			if item := mark(t, s); item.Anchor.Stream != c.want || item.Checkpoint.Before(item.Anchor.Position) {
				t.Errorf("the mark at %s knows %+v", item.Checkpoint, item.Anchor)
			}
		})
	}
}

// If most events of a log are from other programs, each place still has an anchor of the shop. So
// the guard notices that the log was restored and has grown since, even if the other programs'
// events are gone.
func TestARestoredSharedLogThatHasGrownIsFoundDiverged(t *testing.T) {
	t.Parallel()
	log := append(was[:4:4], "other-1 thing")
	s, _ := guarded(t, log.log(t, ""), guard.Options{})
	if err := calls["Subscribe"](t.Context(), s); err != nil {
		t.Fatal(err)
	}
	view := eventstore.Place{Keeper: "the view", At: eventstore.At(5), Anchor: mark(t, s).Anchor, Filter: &eventstore.Filter{TypePrefixes: []string{"order."}}}
	restored := append(was[:2:2], "other-2 thing", "other-2 thing", "other-2 thing", "other-2 thing")
	err := guard.Compare(t.Context(), restored.log(t, ""), []eventstore.Place{view}, own)
	if _, diverged := errors.AsType[*eventstore.DivergedError](err); !diverged {
		t.Errorf("known by %+v: error %v", view.Anchor, err)
	}
}

// A node may see events of another log before it notices the difference. It must notice it all the
// same, even after a restart, when all stored places may already belong to the new log.
func TestSeenEventsOfAnotherLogDoNotHideTheDifference(t *testing.T) {
	t.Parallel()
	var kept eventstore.Anchor
	s, log := guarded(t, was.log(t, ""), guard.Options{Keep: func(_ context.Context, latest eventstore.Anchor) error { kept = latest; return nil }})
	log.Store(ways["grown"].log(t, ""))
	if _, err := s.Append(t.Context(), "order-new", eventstore.NoStream, one()); err != nil {
		t.Fatal(err) // the difference cannot be noticed yet
	}
	if err := calls["Subscribe"](t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if _, diverged := errors.AsType[*eventstore.DivergedError](s.Check(t.Context())); !diverged {
		t.Error("it was not noticed")
	}
	if kept.Stream != "order-2" || kept.Position != eventstore.At(4) {
		t.Errorf("kept is %+v, want the last event of the log that was followed", kept)
	}
	again := guard.New(log, guard.Options{Own: own, Places: func(context.Context) ([]eventstore.Place, error) {
		return []eventstore.Place{{Keeper: "a node", At: kept.Position, Anchor: kept}}, nil
	}})
	if _, diverged := errors.AsType[*eventstore.DivergedError](again.Open(t.Context())); !diverged {
		t.Error("it was not noticed at the next start")
	}
}

// An event in a stream of the server is no anchor, even if the node itself wrote it, because the
// server may delete it.
func TestAnAppendToAServersStreamIsNoAnchor(t *testing.T) {
	t.Parallel()
	s, _ := guarded(t, was.log(t, ""), guard.Options{})
	if _, err := s.Append(t.Context(), "$$other-1", eventstore.Any, one()); err != nil {
		t.Fatal(err)
	}
	if item := mark(t, s); item.Checkpoint != eventstore.At(5) || item.Anchor.Stream != "order-2" {
		t.Errorf("the mark at %s knows %+v", item.Checkpoint, item.Anchor)
	}
}

// telling is an engine that finds by itself, at the next call, that the log has diverged.
type telling struct {
	*changing
	is story
	t  *testing.T
}

func (e telling) finds() error {
	e.Store(e.is.log(e.t, ""))
	return fmt.Errorf("read: %w", &eventstore.DivergedError{Keeper: "this node", Expected: "an event", Found: "none"})
}

func (e telling) Append(context.Context, string, eventstore.Expected, []eventstore.Event) (eventstore.Result, error) {
	return eventstore.Result{}, e.finds()
}

func (e telling) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	if stream != "order-1" || from != 0 { // the guard's own
		return e.changing.ReadStream(ctx, stream, from, limit)
	}
	return func(yield func(eventstore.Recorded, error) bool) { yield(eventstore.Recorded{}, e.finds()) }
}

func (e telling) Subscribe(context.Context, eventstore.Position, eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) { yield(eventstore.Item{}, e.finds()) }
}

// If an engine finds by itself that the log has diverged, the guard refuses all calls at once, and
// not only after its next comparison.
func TestWhatAnEngineFindsIsTheStateAtOnce(t *testing.T) {
	t.Parallel()
	for way, is := range ways {
		for _, name := range []string{"Append", "ReadStream", "Subscribe"} {
			t.Run(way+"/"+name, func(t *testing.T) {
				t.Parallel()
				log := &changing{}
				log.Store(was.log(t, ""))
				s := guard.New(telling{log, is, t}, guard.Options{Own: own})
				if err := s.Open(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, diverged := errors.AsType[*eventstore.DivergedError](calls[name](t.Context(), s)); !diverged {
					t.Error("it was answered")
				}
				select {
				case <-s.Final():
				default:
					t.Error("it is not final")
				}
			})
		}
	}
}
