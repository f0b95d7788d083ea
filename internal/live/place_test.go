package live_test

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/gatewaytest"
	"daybook/internal/httpapi"
	"daybook/internal/live"
	"daybook/readapi"
)

// filled3 is a log in memory with three events.
func filled3(t *testing.T) eventstore.Store {
	t.Helper()
	store := memory.New()
	for range 3 {
		event := eventstore.Event{ID: uuid.New(), Type: "t.v1", Data: []byte(`{}`), Meta: []byte(`{}`)}
		if _, err := store.Append(t.Context(), "foreign", eventstore.Any, []eventstore.Event{event}); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func handlerOf(t *testing.T, log live.Log) http.Handler {
	t.Helper()
	handler, err := httpapi.New(httpapi.Options{Version: "test"}, func(api huma.API) {
		readapi.Register(api, readapi.Config{Log: log})
	})
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// asked returns the status and the problem of a request for events. If a live stream begins, the
// context of the request ends at once.
func asked(t *testing.T, handler http.Handler, target, last string) (status int, problem map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+target, nil)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	w := &untilFlushed{ResponseRecorder: httptest.NewRecorder(), end: cancel}
	handler.ServeHTTP(w, r)
	if bytes.HasPrefix(w.Body.Bytes(), []byte("{")) {
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
			problem = nil // some events
		}
	}
	return w.Code, problem
}

// untilFlushed ends a request when its response begins to stream.
type untilFlushed struct {
	*httptest.ResponseRecorder

	end context.CancelFunc
}

func (u *untilFlushed) Flush() { u.end() }

// No event comes after a position beyond the end of the log, on any engine. A reader that asks for
// such events is refused at once and for good.
func TestAPositionBeyondTheEndIsRefusedOnEveryEngine(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]live.Log{
		"memory":                 {Store: filled3(t)},
		"KurrentDB":              {Store: gatewaytest.Open(t, filled3(t)), Cluster: true},
		"own records at the end": {Store: &ending{Store: filled3(t), end: eventstore.At(9)}, Cluster: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler := handlerOf(t, log)
			end, err := log.Store.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if own, is := log.Store.(*ending); is {
				end = own.end
			}
			last, _ := end.Pair()
			beyond := eventstore.At(last + 1000).String()
			for _, ask := range [][2]string{
				{"/v1/events?after=" + beyond},
				{"/v1/events?type=order.&after=" + beyond},
				{"/v1/events/live?after=" + beyond},
				{"/v1/events/live", beyond},
				{"/v1/events/live?type=order.", beyond},
			} {
				status, problem := asked(t, handler, ask[0], ask[1])
				if status != http.StatusConflict || problem["type"] != "/problems/position-beyond-head" || problem["position"] != beyond || problem["head"] != end.String() {
					t.Errorf("%v: answer %d %v, want 409 with the head %s", ask, status, problem, end)
				}
			}
			for _, target := range []string{"/v1/events?after=" + end.String(), "/v1/events/live?after=" + end.String(), "/v1/events/live", "/v1/events?after=0"} {
				if status, problem := asked(t, handler, target, ""); status != http.StatusOK {
					t.Errorf("%s: answer %d %v, want 200", target, status, problem)
				}
			}
		})
	}
}

// A node that has just become the leader may still lack events that another node has shown. A
// reader that asks for them is not refused for good.
func TestANodeThatIsBehindRefusesNoReader(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/v1/events?after=9", "/v1/events/live?after=9"} {
		store := &ending{Store: filled3(t), end: eventstore.At(9)}
		store.behind.Store(3)
		if status, problem := asked(t, handlerOf(t, live.Log{Store: store, Cluster: true}), target, ""); status != http.StatusOK {
			t.Errorf("%s: answer %d %v, want 200", target, status, problem)
		}
	}
}

// If the log has no record at a position, the position is not a position of this log.
func TestAPositionAtNoEventIsRefused(t *testing.T) {
	t.Parallel()
	handler := handlerOf(t, live.Log{Store: &ending{Store: filled3(t), end: eventstore.At(9), nothingAt: eventstore.At(2)}, Cluster: true})
	for _, target := range []string{"/v1/events?after=2", "/v1/events/live?after=2"} {
		if status, problem := asked(t, handler, target, ""); status != http.StatusUnprocessableEntity || problem["type"] != "/problems/request-invalid" {
			t.Errorf("%s: answer %d %v, want 422", target, status, problem)
		}
	}
	for _, target := range []string{"/v1/events?after=1", "/v1/events/live?after=1"} {
		if status, problem := asked(t, handler, target, ""); status != http.StatusOK {
			t.Errorf("%s: answer %d %v, want 200", target, status, problem)
		}
	}
}

// Only KurrentDB has positions of two numbers. On other engines they are refused.
func TestAPositionOfAnotherEngineIsRefused(t *testing.T) {
	t.Parallel()
	for cluster, want := range map[bool]int{false: http.StatusUnprocessableEntity, true: http.StatusOK} {
		handler := handlerOf(t, live.Log{Store: filled3(t), Cluster: cluster})
		for _, target := range []string{"/v1/events?after=2/1", "/v1/events/live?after=2/1"} {
			status, problem := asked(t, handler, target, "")
			if status != want {
				t.Errorf("%s, cluster %v: answer %d %v, want %d", target, cluster, status, problem, want)
			}
			if errors, _ := problem["errors"].([]any); want != http.StatusOK && (len(errors) != 1 || errors[0].(map[string]any)["parameter"] != "after") {
				t.Errorf("%s: %v, want it to name after", target, problem)
			}
		}
	}
}

// ending is a log whose server has written records of its own after the last event, up to the
// position end. The first calls of End, as many as behind says, do not see these records yet. The
// log has no record at the position nothingAt.
type ending struct {
	eventstore.Store
	end, nothingAt eventstore.Position
	behind         atomic.Int64
}

func (e *ending) End(ctx context.Context) (eventstore.Position, error) {
	if e.behind.Add(-1) >= 0 {
		return e.Head(ctx)
	}
	return e.end, nil
}

func (e *ending) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	if after == e.nothingAt && !after.IsStart() {
		return func(yield func(eventstore.Recorded, error) bool) {
			yield(eventstore.Recorded{}, &eventstore.UnknownPlaceError{Position: after, Head: e.end})
		}
	}
	return e.Store.ReadAll(ctx, after, filter, limit)
}

func (e *ending) Subscribe(ctx context.Context, _ eventstore.Position, _ eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		<-ctx.Done()
		yield(eventstore.Item{}, ctx.Err())
	}
}
