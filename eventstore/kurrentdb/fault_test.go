package kurrentdb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"daybook/eventstore"
	"daybook/eventstore/kurrentdb"
	"daybook/eventstore/memory"
)

const (
	callers  = 64
	deadline = time.Second
	// grace is how late a caller may return, because the machine may stand still for some seconds.
	// A caller that waits until its call in the client ends would return even later.
	grace = 8 * time.Second
)

// line is the network between the store and its server, with toxiproxy in it.
type line struct {
	t *testing.T
	*toxiproxy.Proxy
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	l := &line{t, toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "line", "127.0.0.1:0", to)}
	l.restore()
	t.Cleanup(l.cut)
	return l
}

func (l *line) restore() {
	l.t.Helper()
	if err := l.Start(); err != nil {
		l.t.Error(err)
	}
}

func (l *line) cut() { l.Stop() }

// poison adds a fault to the line in both directions (a "toxic" of toxiproxy).
func (l *line) poison(kind, attributes string) {
	l.t.Helper()
	for _, way := range []string{"upstream", "downstream"} {
		text := fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":{%s}}`, kind+way, kind, way, attributes)
		if _, err := l.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			l.t.Error(err)
		}
	}
}

func (l *line) cure() { l.Toxics.ResetToxics(context.Background()) }

// load has callers and the answers that they got. Each caller appends to a stream of its own. The
// callers have deadlines and need the whole machine for them, so tests with a load do not run in
// parallel with others.
type load struct {
	t       *testing.T
	store   eventstore.Store
	prefix  string
	stop    chan struct{}
	group   sync.WaitGroup
	answers atomic.Int64 // appends acknowledged
	errors  atomic.Int64
	unknown atomic.Int64

	mu    sync.Mutex
	acked map[string][]uuid.UUID
}

func begin(t *testing.T, store eventstore.Store, pace time.Duration) *load {
	t.Helper()
	l := &load{t: t, store: store, prefix: "load-" + uuid.NewString()[:8] + "-", stop: make(chan struct{}), acked: make(map[string][]uuid.UUID)}
	for i := range callers {
		l.group.Go(func() { l.call(fmt.Sprintf("%s%d", l.prefix, i), pace) })
	}
	return l
}

// call appends again and again. It repeats a failed append with the same ids and the same
// expectation, and stops when no append of it is open.
func (l *load) call(stream string, pace time.Duration) {
	revision := int64(-1)
	for {
		select {
		case <-l.stop:
			return
		case <-time.After(pace):
		}
		events := newEvents(1)
		for !l.try(stream, revision, events) {
			if l.t.Failed() {
				return
			}
		}
		revision++
		l.mu.Lock()
		l.acked[stream] = append(l.acked[stream], events[0].ID)
		l.mu.Unlock()
	}
}

func (l *load) try(stream string, revision int64, events []eventstore.Event) (done bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.t.Context()), deadline)
	defer cancel()
	began := time.Now()
	result, err := l.store.Append(ctx, stream, eventstore.AtRevision(revision), events)
	if late := time.Since(began) - deadline; late > grace {
		l.t.Errorf("a caller was answered %s after its deadline", late)
	}
	if err == nil {
		l.answers.Add(1)
		if result.Revision != revision+1 {
			l.t.Errorf("%s: appended as revision %d, want %d", stream, result.Revision, revision+1)
		}
		return true
	}
	l.errors.Add(1)
	_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
	_, unavailable := errors.AsType[*eventstore.UnavailableError](err)
	if unknown {
		l.unknown.Add(1)
	}
	if !unknown && !unavailable && !errors.Is(err, context.DeadlineExceeded) {
		l.t.Errorf("%s: %v", stream, err)
	}
	return false
}

// moreAnswers waits for n more acknowledged appends.
func (l *load) moreAnswers(n int64) {
	l.t.Helper()
	want := l.answers.Load() + n
	eventually(l.t, fmt.Sprintf("%d more appends", n), func() bool { return l.answers.Load() >= want })
}

// moreErrors waits for n more appends that failed.
func (l *load) moreErrors(n int64) {
	l.t.Helper()
	want := l.errors.Load() + n
	eventually(l.t, fmt.Sprintf("%d more errors", n), func() bool { return l.errors.Load() >= want })
}

// finish waits until the callers have ended, and compares their answers with the log. The log must
// have every acknowledged event once and in order, and no other event.
func (l *load) finish(log eventstore.Store) {
	l.t.Helper()
	close(l.stop)
	inTime(l.t, &l.group)
	recorded := make(map[string][]uuid.UUID)
	for e, err := range log.ReadAll(l.t.Context(), eventstore.Start, eventstore.Filter{StreamPrefixes: []string{l.prefix}}, 0) {
		if err != nil {
			l.t.Fatal(err)
		}
		recorded[e.Stream] = append(recorded[e.Stream], e.ID)
	}
	total := 0
	for stream, want := range l.acked {
		total += len(want)
		if got := recorded[stream]; !sameIDs(got, want) {
			l.t.Errorf("%s: %d events are recorded, %d acknowledged, or in another order", stream, len(got), len(want))
		}
	}
	if len(recorded) > len(l.acked) {
		l.t.Errorf("%d streams are recorded, %d acknowledged", len(recorded), len(l.acked))
	}
	l.t.Logf("%d appends acknowledged, each recorded once; %d errors, of which %d left the outcome unknown until repeated",
		total, l.errors.Load(), l.unknown.Load())
}

func sameIDs(a, b []uuid.UUID) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	limit := time.After(patience)
	for !condition() {
		select {
		case <-limit:
			t.Fatalf("no %s within %s", what, patience)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// A fault happens on the way to the server. Callers are answered in time, work goes on when the
// fault is over, and the log holds every acknowledged event once.
func TestFaultsOnTheLine(t *testing.T) {
	type setting struct {
		line *line
		node *node
		load *load
	}
	for name, fault := range map[string]func(s setting){
		"cut and mended": func(s setting) {
			s.line.cut()
			s.load.moreErrors(callers)
			s.line.restore()
		},
		"cut for a moment, often": func(s setting) {
			for range 10 {
				s.line.cut()
				s.line.restore()
				s.load.moreAnswers(callers)
			}
		},
		"half open: nothing comes through and nothing is closed": func(s setting) {
			s.line.poison("timeout", `"timeout":0`)
			s.load.moreErrors(callers)
			s.line.cure()
		},
		"slower than the callers' patience": func(s setting) {
			s.line.poison("latency", `"latency":700`)
			s.load.moreErrors(callers)
			s.line.cure()
		},
		"reset in the middle of a message": func(s setting) {
			s.line.poison("limit_data", `"bytes":2000`)
			s.load.moreErrors(callers)
			s.line.cure()
		},
		"the server is killed and comes back": func(s setting) {
			for range 3 {
				s.node.kill()
				s.load.moreErrors(callers)
				s.node.start()
				s.load.moreAnswers(callers)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := memory.New()
			n := serve(t, log, "127.0.0.1:0")
			way := newLine(t, n.at)
			store := open(t, "esdb://"+way.Listen+"?tls=false")
			l := begin(t, store, 5*time.Millisecond)
			l.moreAnswers(callers)
			fault(setting{way, n, l})
			l.moreAnswers(2 * callers)
			l.finish(log)
		})
	}
}

// This is the hardest case: appends and a subscriber all the time, a bad line, and a server that is
// killed and started again three times.
func TestUnderLoadWithAServerThatDiesThreeTimes(t *testing.T) {
	log := memory.New()
	n := serve(t, log, "127.0.0.1:0")
	way := newLine(t, n.at)
	way.poison("latency", `"latency":1,"jitter":1`)
	store := open(t, "esdb://"+way.Listen+"?tls=false")
	l := begin(t, store, time.Millisecond)
	seen := make(chan []eventstore.Recorded, 1)
	watch, stop := context.WithCancel(t.Context())
	defer stop()
	var last atomic.Pointer[eventstore.Position]
	go func() {
		var events []eventstore.Recorded
		defer func() { seen <- events }()
		for item, err := range store.Subscribe(watch, eventstore.Start, eventstore.Filter{}) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("the subscription ended: %v", err)
				}
				return
			}
			if item.Event != nil {
				events = append(events, *item.Event)
				last.Store(&item.Checkpoint)
			}
		}
	}()
	for range 3 {
		l.moreAnswers(20 * callers)
		n.kill()
		l.moreErrors(callers)
		n.start()
	}
	l.moreAnswers(20 * callers)
	l.finish(log)

	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "subscriber at the head", func() bool { p := last.Load(); return p != nil && *p == head })
	stop()
	inLog := 0
	events := <-seen
	for e, err := range log.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if inLog >= len(events) || events[inLog].ID != e.ID {
			t.Fatalf("the subscriber's event %d is not the log's", inLog)
		}
		inLog++
	}
	if inLog != len(events) {
		t.Errorf("the subscriber saw %d events, the log holds %d", len(events), inLog)
	}
}

// However often the server goes away, no goroutine and no connection of the old client stays in
// this process.
func TestOutagesLeaveNothingBehind(t *testing.T) {
	// The client closes a connection a moment after its store is closed. A connection of an earlier
	// test must not be counted here, because it would be missing at the end.
	eventually(t, "end of the connections of earlier tests", func() bool { return connections() == 0 })
	before := goleak.IgnoreCurrent()
	t.Run("outages", func(t *testing.T) {
		log := memory.New()
		n := serve(t, log, "127.0.0.1:0")
		store, err := kurrentdb.Open(t.Context(), address(n), kurrentdb.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer closeIn(t, store.Close)
		watch, stop := context.WithCancel(t.Context())
		defer stop()
		var group sync.WaitGroup
		group.Go(func() {
			for _, err := range store.Subscribe(watch, eventstore.Start, eventstore.Filter{}) {
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		})
		l := begin(t, store, time.Millisecond)
		for range 6 {
			l.moreAnswers(callers)
			n.kill()
			l.moreErrors(callers / 2)
			n.start()
		}
		l.moreAnswers(callers)
		l.finish(log)
		stop()
		inTime(t, &group)
		// The store is still open and has one connection, so exactly one may be left.
		eventually(t, "end of all connections but one", func() bool { return connections() == 1 })
	})
	nothingIsLeft(t, before)
}

// connections counts the client's gRPC connections in this process, in any state. Each connection
// has three goroutines with this function on their stack.
func connections() int {
	all := make([]byte, 8<<20)
	all = all[:runtime.Stack(all, true)]
	return bytes.Count(all, []byte("grpcsync.(*CallbackSerializer).run(")) / 3
}
