package bench

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/commandapi"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/httpapi"
	"daybook/internal/pgtest"
)

// openNode starts a node over a log in memory. The handler around wraps the node's handler.
func openNode(t *testing.T, around func(http.Handler) http.Handler) Env {
	t.Helper()
	store := memory.New()
	service := commands.NewService(store, commands.DefaultPolicy(), time.Now, aggregate.Options{})
	handler, err := httpapi.New(httpapi.Options{Version: "test", PublicHosts: []string{"example.com"}}, func(api huma.API) {
		commandapi.Register(api, service, commandapi.Options{})
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(around(handler))
	t.Cleanup(server.Close)
	return Env{
		Store: store, Service: service, BaseURL: server.URL, Flush: FlushFast, Seconds: 0.1,
		Settle: func(context.Context) error { return nil },
		CPU:    func() (float64, bool) { return 0, false },
	}
}

func always(env Env) func() Env { return func() Env { return env } }

func asItIs(handler http.Handler) http.Handler { return handler }

func sale(t *testing.T, env Env, newCarts bool) (Row, error) {
	t.Helper()
	buyers, err := dial(t.Context(), env.BaseURL, env.Key, clients)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closeAll(buyers); err != nil {
			t.Error(err)
		}
	})
	return runSale(t.Context(), env, buyers, 2*saleUnits, newCarts)
}

func TestAFlashSaleSellsEveryUnitOnce(t *testing.T) {
	t.Parallel()
	for name, newCarts := range map[string]bool{"with the same cart again": false, "with a new cart each": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row, err := sale(t, openNode(t, asItIs), newCarts)
			if err != nil || row.Operations != 2*saleUnits {
				t.Errorf("%d attempts, %v; want %d and no fault", row.Operations, err, 2*saleUnits)
			}
		})
	}
}

// If an API sells more units than there are, the benchmark must return an error and not a result.
func TestASaleThatIsAcknowledgedAndNotRecordedIsAFault(t *testing.T) {
	t.Parallel()
	var lies atomic.Int64
	_, err := sale(t, openNode(t, func(honest http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/checkout") && lies.Add(1) == 1 {
				w.WriteHeader(http.StatusCreated)
				return
			}
			honest.ServeHTTP(w, r)
		})
	}), true)
	if err == nil || !strings.Contains(err.Error(), "201 orders of 200 units") {
		t.Errorf("got %v, want 201 orders of 200 units", err)
	}
}

func TestAnAnswerThatIsNoneEndsTheRun(t *testing.T) {
	t.Parallel()
	_, err := sale(t, openNode(t, func(http.Handler) http.Handler { return http.NotFoundHandler() }), true)
	if err == nil || !strings.Contains(err.Error(), "answers 404") {
		t.Errorf("got %v, want the answer 404", err)
	}
}

// counting is a log that tells how many calls it has made to its server.
type counting struct {
	eventstore.Store
	calls atomic.Uint64
}

const (
	callsOfAppend = 3
	callsOfOthers = 1_000_000 // all calls that are not appends
)

func (c *counting) Calls() uint64 { return c.calls.Load() }

func (c *counting) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	c.calls.Add(callsOfAppend)
	return c.Store.Append(ctx, stream, expected, events)
}

func (c *counting) Head(ctx context.Context) (eventstore.Position, error) {
	c.calls.Add(callsOfOthers)
	return c.Store.Head(ctx)
}

func (c *counting) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	c.calls.Add(callsOfOthers)
	return c.Store.ReadAll(ctx, after, filter, limit)
}

// For an engine with a server, the result counts the calls that the appends made. It does not count
// the calls that the benchmark makes before and after them.
func TestAppendsTellTheirCalls(t *testing.T) {
	t.Parallel()
	log := &counting{Store: memory.New()}
	for name, c := range map[string]struct {
		store eventstore.Store
		note  string
	}{
		"to a server":      {log, "3.00 calls to the log's server for each append"},
		"without a server": {memory.New(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := openNode(t, asItIs)
			env.Store, env.Pool = c.store, pgtest.New(t)
			env.Settle = func(ctx context.Context) error {
				_, err := c.store.Head(ctx) // as a node does
				return err
			}
			ours, _, err := appends(t.Context(), env)
			if err != nil || len(ours) != 1 || ours[0].Note != c.note {
				t.Errorf("%+v, %v; want the note %q", ours, err, c.note)
			}
		})
	}
}

func TestLoadCountsWhatItDid(t *testing.T) {
	t.Parallel()
	var done atomic.Int64
	row, err := load{callers: 7, limit: 100, operate: func(context.Context, int, int64) error {
		done.Add(1)
		return nil
	}}.run(t.Context())
	if err != nil || done.Load() != 100 || row.Operations != 100 || row.done != 100 || row.Callers != 7 {
		t.Errorf("%d done, %+v, %v; want 100 by 7 callers", done.Load(), row, err)
	}
	done.Store(0)
	row, err = load{callers: 3, seconds: 0.05, operate: func(context.Context, int, int64) error {
		done.Add(1)
		return nil
	}}.run(t.Context())
	if err != nil || row.done != done.Load() || row.Operations >= row.done {
		t.Errorf("%d done, %+v, %v; want all done and those of the warming up not counted", done.Load(), row, err)
	}
}

func TestAFaultEndsTheLoad(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	_, err := load{callers: 3, seconds: 3600, operate: func(_ context.Context, _ int, n int64) error {
		if n == 10 {
			return broken
		}
		return nil
	}}.run(t.Context())
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want it broken", err)
	}
}

// If the program stands still, all operations that are due meanwhile are late, and not only the one
// that had begun.
func TestLatencyCountsFromTheScheduledArrival(t *testing.T) {
	t.Parallel()
	const standstill = 200 * time.Millisecond
	row, err := load{callers: 1, limit: 100, rate: 1000, operate: func(_ context.Context, _ int, n int64) error {
		if n == 0 {
			<-time.After(standstill)
		}
		return nil
	}}.run(t.Context())
	if err != nil || row.Rate != 1000 {
		t.Fatalf("%+v, %v; want a rate of 1000", row, err)
	}
	// The 51st of 100 was due 50 ms after the first, so it waited for the other 150 ms.
	if row.P50Ms < 100 {
		t.Errorf("half of the operations took %v ms or less, and the program stood still for %s", row.P50Ms, standstill)
	}
}

func TestOperationsArriveAtTheirRate(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	var early atomic.Int64
	_, err := load{callers: 8, limit: 50, rate: 1000, operate: func(_ context.Context, _ int, n int64) error {
		if time.Since(begun) < time.Duration(n)*time.Millisecond {
			early.Add(1)
		}
		return nil
	}}.run(t.Context())
	if err != nil || early.Load() > 0 {
		t.Errorf("%d operations began before they were due, %v", early.Load(), err)
	}
}

func TestFiguresAreMediansOfAllRuns(t *testing.T) {
	t.Parallel()
	run := 0
	rows, err := Benchmark{Name: "append", run: func(context.Context, Env) ([]Row, []Row, error) {
		run++
		rate := []float64{10, 90, 30}[run-1]
		return []Row{{PerSecond: rate, P99Ms: 2 * rate}}, []Row{{PerSecond: 100, ours: 0}}, nil
	}}.Run(t.Context(), always(Env{Flush: FlushSlow, Runs: 3}))
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v; want 2", len(rows), err)
	}
	if rows[0].PerSecond != 30 || rows[0].P99Ms != 60 || rows[1].Ratio != 0.3 {
		t.Errorf("rows %+v; want those of the run with 30 a second", rows)
	}
}

func TestWhereOrdersArriveAtARateLatenciesAreCompared(t *testing.T) {
	t.Parallel()
	rows, err := Benchmark{Name: "lag", run: func(context.Context, Env) ([]Row, []Row, error) {
		return []Row{{PerSecond: 1}, {PerSecond: 200, Rate: 200, P50Ms: 20}}, []Row{{PerSecond: 200, Rate: 200, P50Ms: 5, ours: 1}}, nil
	}}.Run(t.Context(), always(Env{Flush: FlushFast}))
	if err != nil || rows[2].Ratio != 0.25 {
		t.Errorf("rows %+v, %v; want a ratio of 5 ms to 20 ms", rows, err)
	}
}

// A server closes connections that are idle, for example while a baseline is measured.
func TestAClientConnectsAgainAfterItsIdleConnectionWasClosed(t *testing.T) {
	t.Parallel()
	served := make(chan string, 2)
	env := openNode(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close") // the server closes the connection after its response
			served <- r.RemoteAddr
		})
	})
	one, err := dial(t.Context(), env.BaseURL, env.Key, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := one[0].get(t.Context(), "/", ""); err != nil {
			t.Fatal(err)
		}
		one[0].used = time.Now().Add(-2 * idleMax)
	}
	if first, second := <-served, <-served; first == second {
		t.Errorf("both requests came from %s, want two connections", first)
	}
	if err := closeAll(one); err != nil {
		t.Error(err)
	}
}

func TestATargetIsARateAndALatency(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		row  Row
		want bool
	}{
		{Row{PerSecond: 1000, P99Ms: 149.9}, true},
		{Row{PerSecond: 999, P99Ms: 1}, false},
		{Row{PerSecond: 5000, P99Ms: 150}, false},
	} {
		if got := (Target{PerSecond: 1000, P99Ms: 150}).met(test.row); got != test.want {
			t.Errorf("%+v: met is %v, want %v", test.row, got, test.want)
		}
	}
	if !(Target{PerSecond: 10}).met(Row{PerSecond: 10, P99Ms: 9999}) {
		t.Error("without a latency in the target, any will do")
	}
}

func TestBaselinesAreComparedWithTheFirstRow(t *testing.T) {
	t.Parallel()
	rows, err := Benchmark{Name: "append", run: func(context.Context, Env) ([]Row, []Row, error) {
		return []Row{{PerSecond: 50_000, P99Ms: 20}, {PerSecond: 1}}, []Row{{PerSecond: 100_000}, {}}, nil
	}}.Run(t.Context(), always(Env{Flush: FlushFast}))
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v; want 4", len(rows), err)
	}
	if !rows[0].Met || rows[1].Target != nil || rows[2].Ratio != 0.5 || rows[3].Ratio != 0 || rows[3].Benchmark != "append" {
		t.Errorf("rows %+v", rows)
	}
}
