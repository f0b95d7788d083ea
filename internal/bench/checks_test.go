package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pgtest"
	"daybook/projections"
)

// The tests of this file have an API, a database or a node that is wrong. Each benchmark must then
// return an error and no figure.

// readFrom runs one kind of read against an API that gives this response.
func readFrom(t *testing.T, kind, answer string) error {
	t.Helper()
	env := openNode(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) })
	})
	env.InDatabase = true
	readers, err := dial(t.Context(), env.BaseURL, env.Key, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closeAll(readers); err != nil {
			t.Error(err)
		}
	})
	s := sample{orders: []string{"o-1"}, stocks: [][2]string{{"MUG", "main"}}, events: 1000}
	for _, reading := range s.readings(env) {
		if reading.what == kind {
			_, err := reading.measure(t.Context(), env, readers)
			return err
		}
	}
	t.Fatalf("there is no read of %s", kind)
	return nil
}

func TestAWrongReadIsAFault(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ what, right, wrong string }{
		{"an order", `{"order_id":"o-1"}`, `{"order_id":"o-2"}`},
		{"a stock level", `{"sku":"MUG"}`, `{"sku":"CUP"}`},
		{"the 20 newest orders", strings.Repeat(`{"order_id":"o"}`, 20), strings.Repeat(`{"order_id":"o"}`, 19)},
		{"500 events", strings.Repeat("{\"specversion\":\"1.0\"}\n", 500), strings.Repeat("{\"specversion\":\"1.0\"}\n", 499)},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			if err := readFrom(t, test.what, test.right); err != nil {
				t.Errorf("a right answer: %v", err)
			}
			if err := readFrom(t, test.what, test.wrong); err == nil {
				t.Error("a wrong answer is no fault")
			}
		})
	}
}

// withReads adds to the command API a read of an order that shows this status.
func withReads(status string) func(http.Handler) http.Handler {
	return func(node http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				fmt.Fprintf(w, `{"status":%q,"at_least":%q}`, status, r.Header.Get("Daybook-Min-Position"))
				return
			}
			node.ServeHTTP(w, r)
		})
	}
}

func lagOf(t *testing.T, status string) ([]Row, error) {
	t.Helper()
	env := openNode(t, withReads(status))
	env.Rate = 100
	goods, err := listGoods(t.Context(), env, cartLines, ampleUnits)
	if err != nil {
		t.Fatal(err)
	}
	shoppers, err := dial(t.Context(), env.BaseURL, env.Key, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closeAll(shoppers); err != nil {
			t.Error(err)
		}
	})
	return measureLag(t.Context(), env, &shop{goods: goods, shoppers: shoppers})
}

func TestAnOrderThatReadsDoNotShowIsAFault(t *testing.T) {
	t.Parallel()
	rows, err := lagOf(t, "confirmed")
	if err != nil || len(rows) != 2 {
		t.Fatalf("%+v, %v; want two rows", rows, err)
	}
	after, whole := rows[0], rows[1]
	if after.Operations == 0 || after.Operations > whole.done || after.P50Ms > whole.P50Ms {
		t.Errorf("from the acknowledgement %+v, from the arrival %+v; the first must be the shorter one", after, whole)
	}
	if _, err := lagOf(t, "pending"); err == nil || !strings.Contains(err.Error(), "reads do not show it") {
		t.Errorf("got %v, want an order that reads do not show", err)
	}
}

func TestANotificationThatDoesNotArriveIsAFault(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	l, err := listen(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.roundTrip(t.Context(), pool, "1"); err != nil {
		t.Error(err)
	}
	l.mu.Lock()
	l.waiting["lost"] = make(chan struct{})
	l.mu.Unlock()
	if err := l.close(); err == nil {
		t.Error("a notification that did not arrive is no fault")
	}
	if err := l.roundTrip(t.Context(), pool, "2"); err == nil {
		t.Error("a round trip without a listener is no fault")
	}
}

// viewOf runs a read model with a row for each event. mark is a column of the row.
func viewOf(t *testing.T, mark func() int64) Env {
	t.Helper()
	env := openNode(t, asItIs)
	env.Pool = pgtest.New(t)
	if err := projections.Migrate(t.Context(), env.Pool); err != nil {
		t.Fatal(err)
	}
	env.Views = []projections.View{{
		Name: "marks", Version: 1, Claims: []string{"bench."}, Tables: `CREATE TABLE marks (id text PRIMARY KEY, mark bigint NOT NULL)`,
		Columns: map[string][]string{"marks": {"id", "mark"}},
		Decode:  func(string, []byte) (any, error) { return struct{}{}, nil },
		Apply: func(ctx context.Context, tx *projections.Tx, batch []projections.Event) error {
			for _, e := range batch {
				if _, err := tx.Exec(ctx, `INSERT INTO marks VALUES ($1, $2)`, e.ID.String(), mark()); err != nil {
					return err
				}
			}
			return nil
		},
	}}
	runner, err := projections.New(projections.Config{Store: env.Store, Pool: env.Pool, Views: env.Views})
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	env.Runner = runner
	env.Settle = func(ctx context.Context) error {
		head, err := env.Store.Head(ctx)
		if err != nil {
			return err
		}
		return runner.WaitFor(ctx, head)
	}
	var events []eventstore.Event
	for range 10 {
		event := freshEvent()
		event.ID[6] = event.ID[6]&0x0f | eventstore.LogWideVersion<<4 // an event of the shop
		events = append(events, event)
	}
	if _, err := env.Store.Append(t.Context(), "marked", eventstore.NoStream, events); err != nil {
		t.Fatal(err)
	}
	return env
}

func TestABuildWithOtherRowsIsAFault(t *testing.T) {
	t.Parallel()
	row, err := rebuildView(t.Context(), viewOf(t, func() int64 { return 7 }), "marks")
	if err != nil || row.Operations != 10 {
		t.Errorf("%+v, %v; want 10 events", row, err)
	}
	var calls atomic.Int64
	_, err = rebuildView(t.Context(), viewOf(t, func() int64 { return calls.Add(1) }), "marks")
	if err == nil || !strings.Contains(err.Error(), "other rows") {
		t.Errorf("got %v, want other rows", err)
	}
}

func TestACopyWithFewerEventsThanTheViewIsAFault(t *testing.T) {
	t.Parallel()
	env := openNode(t, asItIs) // its log is not in the database
	if _, err := env.Store.Append(t.Context(), "s", eventstore.NoStream, []eventstore.Event{freshEvent(), freshEvent()}); err != nil {
		t.Fatal(err)
	}
	view := projections.View{Name: "marks", Claims: []string{"bench."}}
	if row, err := copyOut(t.Context(), env, view, 2); err != nil || row.Operations != 2 {
		t.Errorf("%+v, %v; want 2 events", row, err)
	}
	if _, err := copyOut(t.Context(), env, view, 3); err == nil {
		t.Error("3 events were read by the view, 2 are in the log, and this is no fault")
	}
}

func TestAStartThatLosesEventsIsAFault(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"with its log": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := openNode(t, withReads("confirmed"))
			if _, err := env.Store.Append(t.Context(), "s", eventstore.NoStream, []eventstore.Event{freshEvent()}); err != nil {
				t.Fatal(err)
			}
			env.Restart = func(context.Context) (Restarted, error) {
				again := env
				if lost {
					again.Store = memory.New()
				}
				return Restarted{Env: again, Node: time.Second, Database: time.Millisecond}, nil
			}
			again, err := restart(t.Context(), env, sample{orders: []string{"o-1"}})
			if (err != nil) != lost {
				t.Errorf("got %v", err)
			}
			if !lost && again.Node <= time.Second {
				t.Errorf("the start took %s, want the time until a read was answered, too", again.Node)
			}
		})
	}
}

func TestANodeThatDoesNotAnswerHasNotStarted(t *testing.T) {
	t.Parallel()
	env := openNode(t, func(http.Handler) http.Handler { return http.NotFoundHandler() })
	env.Restart = func(context.Context) (Restarted, error) { return Restarted{Env: env}, nil }
	if _, err := restart(t.Context(), env, sample{orders: []string{"o-1"}}); err == nil {
		t.Error("the node answers 404, and this is no fault")
	}
}

// A reservation that was not released would make the hot SKU's state grow with each measurement.
func TestReserveAndReleaseLeavesNothing(t *testing.T) {
	t.Parallel()
	env := openNode(t, asItIs)
	key := keyOf("MUG")
	if err := receive(t.Context(), env, key, 10); err != nil {
		t.Fatal(err)
	}
	if err := reserveAndRelease(t.Context(), env.Service, key, unit.OrderID("o-1")); err != nil {
		t.Fatal(err)
	}
	if err := env.Service.ViewStock(t.Context(), key, func(state stock.State, revision int64) {
		if state.Reserved(time.Now()) != 0 || revision != 2 {
			t.Errorf("%d units are reserved at revision %d; want none at 2", state.Reserved(time.Now()), revision)
		}
	}); err != nil {
		t.Fatal(err)
	}
}
