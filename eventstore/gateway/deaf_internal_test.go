package gateway

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// deafening is a log whose subscriptions fall silent or whose reads hang, as on a connection over
// which nothing comes any more.
type deafening struct {
	eventstore.Store
	deaf, hanging      atomic.Bool
	subscribed, looked atomic.Int64
	read               atomic.Int64
}

func (d *deafening) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		d.subscribed.Add(1)
		for item, err := range d.Store.Subscribe(ctx, after, filter) {
			if d.deaf.Load() {
				<-ctx.Done()
				yield(eventstore.Item{}, ctx.Err())
				return
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

func (d *deafening) Head(ctx context.Context) (eventstore.Position, error) {
	d.looked.Add(1)
	return d.Store.Head(ctx)
}

func (d *deafening) ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	d.read.Add(1)
	if d.hanging.Load() {
		return func(yield func(eventstore.Recorded, error) bool) {
			<-ctx.Done()
			yield(eventstore.Recorded{}, ctx.Err())
		}
	}
	return d.Store.ReadStreamBackwards(ctx, stream, from, limit)
}

// watched runs a test with a gateway that watches a log. The test runs in a bubble of synctest,
// with a clock of its own.
func watched(t *testing.T, test func(t *testing.T, s *Server, log *deafening)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := &deafening{Store: memory.New()}
		s, err := New(log, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.watch(ctx) }()
		synctest.Wait()
		test(t, s, log)
		cancel()
		<-ended
	})
}

// pass lets time of the bubble's clock pass. That takes no real time.
func pass(d time.Duration) { <-time.After(d) }

// elsewhere writes directly into the log, as another node does.
func elsewhere(t *testing.T, log *deafening, stream, document string) {
	t.Helper()
	e := eventstore.Event{ID: uuid.New(), Type: metadataType, Data: []byte(document)}
	if _, err := log.Append(t.Context(), stream, eventstore.Any, []eventstore.Event{e}); err != nil {
		t.Fatal(err)
	}
}

// facts are what the cache may know.
type facts struct {
	deleted           bool
	readers, defaults []string
}

func knows(t *testing.T, s *Server) (f facts) {
	t.Helper()
	m, metaErr := s.metadata(t.Context(), "a")
	readers, readErr := s.roles(t.Context(), "a", toRead)
	defaults, defaultErr := s.roles(t.Context(), "b", toRead)
	if err := errors.Join(metaErr, readErr, defaultErr); err != nil {
		t.Fatal(err)
	}
	return facts{m.isDeleted(), readers, defaults}
}

func (f facts) are(other facts) bool {
	return f.deleted == other.deleted && slices.Equal(f.readers, other.readers) && slices.Equal(f.defaults, other.defaults)
}

var (
	factsBefore = facts{false, []string{"ann"}, []string{"ann"}}
	factsAfter  = facts{true, []string{"bob"}, []string{"bob"}}
)

func writeBefore(t *testing.T, log *deafening) {
	t.Helper()
	elsewhere(t, log, "$$a", `{"$acl":{"$r":"ann"}}`)
	elsewhere(t, log, settingsStream, `{"$userStreamAcl":{"$r":"ann"}}`)
}

func writeAfter(t *testing.T, log *deafening) {
	t.Helper()
	elsewhere(t, log, "$$a", `{"$tb":9223372036854775807,"$acl":{"$r":"bob"}}`)
	elsewhere(t, log, settingsStream, `{"$userStreamAcl":{"$r":"bob"}}`)
}

// When the watch over the log has fallen silent, a deleted stream is shown only as long as the
// cache is trusted, and a right that was taken away holds no longer than that. Then the watch is
// started again.
func TestADeafWatchIsNotTrusted(t *testing.T) {
	watched(t, func(t *testing.T, s *Server, log *deafening) {
		writeBefore(t, log)
		synctest.Wait()
		for range 3 {
			if got := knows(t, s); !got.are(factsBefore) {
				t.Fatalf("at first %+v", got)
			}
			pass(proveEvery)
		}
		log.deaf.Store(true)
		before := log.subscribed.Load()
		writeAfter(t, log)
		for range 8 { // the cache is used all the time
			knows(t, s)
			pass((trustMax + proveEvery) / 8)
		}
		if got := knows(t, s); !got.are(factsAfter) {
			t.Errorf("with a deaf watch, after %s: %+v", trustMax+proveEvery, got)
		}
		for limit := time.Now().Add(deafMax + proveMax + watchBackoff); log.subscribed.Load() == before; {
			if time.Now().After(limit) {
				t.Fatal("the watch was not begun again")
			}
			knows(t, s)
			pass(proveEvery / 2)
		}
		log.deaf.Store(false)
		pass(deafMax + trustMax) // subscriptions that began while the log was deaf stay deaf
		for range 20 {
			knows(t, s)
			pass(proveEvery)
		}
		reads := log.read.Load()
		if got := knows(t, s); !got.are(factsAfter) || log.read.Load() != reads {
			t.Errorf("when it is heard again: %+v, with %d reads", got, log.read.Load()-reads)
		}
	})
}

// If nothing happens in the log, or nothing about metadata, the cache is trusted for ever and no
// metadata is read. If nobody uses the cache, not even the head is read.
func TestAWatchThatIsAliveIsTrusted(t *testing.T) {
	watched(t, func(t *testing.T, s *Server, log *deafening) {
		writeBefore(t, log)
		synctest.Wait()
		knows(t, s)
		pass(2 * proveEvery)
		knows(t, s)
		reads := log.read.Load()
		for i := range 600 {
			if i >= 300 {
				e := eventstore.Event{ID: uuid.New(), Type: "t.v1", Data: []byte(`{}`)}
				if _, err := log.Append(t.Context(), "busy", eventstore.Any, []eventstore.Event{e}); err != nil {
					t.Fatal(err)
				}
			}
			pass(proveEvery / 10)
			if got := knows(t, s); !got.are(factsBefore) {
				t.Fatal(got)
			}
		}
		if n := log.read.Load() - reads; n != 0 {
			t.Errorf("metadata was read %d times in a minute in which none was written", n)
		}
		pass(proveEvery)
		looks := log.looked.Load()
		pass(time.Hour)
		if n := log.looked.Load() - looks; n > 1 {
			t.Errorf("the head was looked at %d times in an hour without use", n)
		}
		writeAfter(t, log)
		synctest.Wait()
		if got := knows(t, s); !got.are(factsAfter) {
			t.Errorf("after an hour: %+v", got)
		}
	})
}

// If metadata can neither be trusted nor read, a call is refused in bounded time.
func TestMetadataThatCannotBeReadRefusesTheCall(t *testing.T) {
	watched(t, func(t *testing.T, s *Server, log *deafening) {
		writeBefore(t, log)
		synctest.Wait()
		knows(t, s)
		log.deaf.Store(true)
		log.hanging.Store(true)
		writeAfter(t, log)
		pass(trustMax + proveEvery)
		began := time.Now()
		for name, err := range map[string]error{
			"metadata": func() error { _, err := s.metadata(t.Context(), "a"); return err }(),
			"a right":  func() error { _, err := s.roles(t.Context(), "a", toRead); return err }(),
			"defaults": func() error { _, err := s.roles(t.Context(), "b", toRead); return err }(),
		} {
			if !isUnavailable(err) {
				t.Errorf("%s: %v, want an UnavailableError", name, err)
			}
		}
		if took := time.Since(began); took > 3*metadataMax {
			t.Errorf("it took %s", took)
		}
	})
}

// A node that is called only now and then reads the head, and does not read the metadata again.
func TestACacheThatRestedIsProvenWhenItIsUsed(t *testing.T) {
	watched(t, func(t *testing.T, s *Server, log *deafening) {
		writeBefore(t, log)
		synctest.Wait()
		knows(t, s)
		reads, looks := log.read.Load(), log.looked.Load()
		const calls = 20
		for range calls {
			pass(trustMax + proveEvery)
			if got := knows(t, s); !got.are(factsBefore) {
				t.Fatal(got)
			}
		}
		if n := log.read.Load() - reads; n != 0 {
			t.Errorf("metadata was read %d times", n)
		}
		if n := log.looked.Load() - looks; n > 2*calls+1 {
			t.Errorf("the head was looked at %d times for %d calls", n, calls)
		}
		writeAfter(t, log)
		log.deaf.Store(true)
		pass(trustMax + proveEvery)
		if got := knows(t, s); !got.are(factsAfter) {
			t.Errorf("with a watch that fell silent meanwhile: %+v", got)
		}
	})
}
