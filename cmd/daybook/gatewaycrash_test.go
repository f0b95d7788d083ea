package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"daybook/eventstore"
	"daybook/eventstore/kurrentdb"
)

const (
	writersAtWork  = 64
	writerPatience = time.Second
	// writerGrace is how late a caller may return, because the machine may stand still for some
	// seconds. A caller that waits until its call in the client ends would return even later.
	writerGrace    = 8 * time.Second
	gatewayDeaths  = 3
	writesPerDeath = 400 // acknowledged before the next death
)

// The whole program serves as the log of another one, by its gateway. While 64 writers append over
// a slow connection, it is killed three times by a signal that it cannot catch. Every acknowledged
// event must be in the log once, no repeated event twice, and a subscriber must see each event once
// and in order.
func TestTheGatewayIsKilledThreeTimesUnderLoad(t *testing.T) {
	t.Parallel()
	path, dir := build(t), dataDir(t)
	server := startChild(t, path, dir, "--gateway", "127.0.0.1:0", "--gateway-open", "--access", accessOff)
	at, err := url.Parse(server.gateway)
	if err != nil {
		t.Fatal(err)
	}
	line := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "line", "127.0.0.1:0", at.Host)
	if err := line.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(line.Stop)
	if _, err := line.Toxics.AddToxicJson(strings.NewReader(`{"type":"latency","attributes":{"latency":2,"jitter":2}}`)); err != nil {
		t.Fatal(err)
	}
	store, err := kurrentdb.Open(t.Context(), "esdb://"+line.Listen+"?tls=false", kurrentdb.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ending := context.WithoutCancel(t.Context())
	t.Cleanup(func() { store.Close(ending) })

	w := &writers{t: t, store: store, prefix: "w" + uuid.NewString()[:8] + "-", last: uuid.New(), stop: make(chan struct{})}
	seen := make(chan []eventstore.Recorded, 1)
	following, enough := context.WithCancel(t.Context())
	defer enough()
	go func() { seen <- w.follow(following) }()
	w.start()
	for range gatewayDeaths {
		target := w.acknowledged.Load() + writesPerDeath
		eventually(t, patience, "the writers get on", func() bool { return w.acknowledged.Load() >= target })
		server.kill(t)
		server = startChild(t, path, dir, "--gateway", at.Host, "--gateway-open", "--access", accessOff)
	}
	target := w.acknowledged.Load() + writesPerDeath
	eventually(t, patience, "the writers get on after the last death", func() bool { return w.acknowledged.Load() >= target })
	close(w.stop)
	w.group.Wait()

	var recorded []eventstore.Recorded
	for e, err := range store.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{StreamPrefixes: []string{w.prefix}}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		recorded = append(recorded, e)
	}
	w.compare(recorded)
	last := eventstore.Event{ID: w.last, Type: "t.v1", Data: []byte(`{}`)}
	if _, err := store.Append(t.Context(), w.prefix+"last", eventstore.NoStream, []eventstore.Event{last}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-time.After(patience):
		t.Fatalf("the subscriber did not come to the end, %d events", len(recorded))
	case got := <-seen:
		if len(got) != len(recorded) {
			t.Fatalf("the subscriber saw %d events, the log has %d", len(got), len(recorded))
		}
		for i := range got {
			if got[i].ID != recorded[i].ID || got[i].Position != recorded[i].Position {
				t.Fatalf("the subscriber's event %d is %s at %s, the log's %s at %s", i, got[i].ID, got[i].Position, recorded[i].ID, recorded[i].Position)
			}
		}
	}
	t.Logf("%d appends acknowledged, %d answered with an error (%d of them settled by asking again), latest answer after %s; %d events recorded",
		w.acknowledged.Load(), w.failed.Load(), w.settled.Load(), time.Duration(w.latest.Load()), len(recorded))
	if code := server.terminate(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// writers append to a stream each, one event after the other.
type writers struct {
	t      *testing.T
	store  eventstore.Store
	prefix string
	stop   chan struct{}
	group  sync.WaitGroup

	acknowledged, failed, settled atomic.Int64
	latest                        atomic.Int64 // the longest time that a caller had to wait
	last                          uuid.UUID    // id of the event that comes after all

	written [writersAtWork][]uuid.UUID // in the order they were acknowledged
}

func (w *writers) start() {
	for n := range writersAtWork {
		w.group.Go(func() {
			for !w.stopped() {
				w.append(n)
			}
		})
	}
}

func (w *writers) stopped() bool {
	select {
	case <-w.stop:
		return true
	default:
		return false
	}
}

// append repeats an append until its event is recorded, always with the same id and the same
// expectation.
func (w *writers) append(n int) {
	event := eventstore.Event{ID: uuid.New(), Type: "t.v1", Data: fmt.Appendf(nil, `{"n":%d}`, len(w.written[n]))}
	expected := eventstore.AtRevision(int64(len(w.written[n])) - 1)
	for unknown := false; ; {
		ctx, cancel := context.WithTimeout(context.Background(), writerPatience)
		asked := time.Now()
		_, err := w.store.Append(ctx, fmt.Sprint(w.prefix, n), expected, []eventstore.Event{event})
		took := time.Since(asked)
		cancel()
		for late := w.latest.Load(); int64(took) > late && !w.latest.CompareAndSwap(late, int64(took)); late = w.latest.Load() {
		}
		if took > writerPatience+writerGrace {
			w.t.Errorf("a caller with %s of patience was kept for %s", writerPatience, took)
		}
		if err == nil {
			w.written[n] = append(w.written[n], event.ID)
			w.acknowledged.Add(1)
			if unknown {
				w.settled.Add(1)
			}
			return
		}
		w.failed.Add(1)
		_, lost := errors.AsType[*eventstore.OutcomeUnknownError](err)
		_, away := errors.AsType[*eventstore.UnavailableError](err)
		if !lost && !away && !errors.Is(err, context.DeadlineExceeded) {
			w.t.Errorf("append: %v", err)
			return
		}
		unknown = unknown || lost
	}
}

// compare compares the log with the answers that the writers got.
func (w *writers) compare(recorded []eventstore.Recorded) {
	w.t.Helper()
	next := map[string]int{}
	for _, e := range recorded {
		var n int
		if _, err := fmt.Sscanf(e.Stream, w.prefix+"%d", &n); err != nil {
			w.t.Fatal(err)
		}
		at := next[e.Stream]
		next[e.Stream]++
		if e.Revision != int64(at) || at >= len(w.written[n]) || w.written[n][at] != e.ID {
			w.t.Errorf("%s has an event at revision %d that was not acknowledged there: %s", e.Stream, e.Revision, e.ID)
		}
	}
	for n := range w.written {
		if got := next[fmt.Sprint(w.prefix, n)]; got != len(w.written[n]) {
			w.t.Errorf("writer %d had %d events acknowledged, the log has %d", n, len(w.written[n]), got)
		}
	}
}

// follow collects what a subscription yields up to the last event.
func (w *writers) follow(ctx context.Context) (events []eventstore.Recorded) {
	for item, err := range w.store.Subscribe(ctx, eventstore.Start, eventstore.Filter{StreamPrefixes: []string{w.prefix}}) {
		if err != nil {
			if ctx.Err() == nil {
				w.t.Errorf("the subscription ended: %v", err)
			}
			return events
		}
		switch {
		case item.Event == nil:
		case item.Event.ID == w.last:
			return events
		default:
			events = append(events, *item.Event)
		}
	}
	return events
}
