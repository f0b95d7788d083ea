package projections_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/postgres"
	"daybook/internal/pgtest"
	"daybook/projections"
)

// The other tests use the log in memory. This one uses the log that is on the same PostgreSQL
// server as the read models, because it has its own wake-ups, marks and positions.
func TestAViewFollowsTheLogInPostgres(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if err := projections.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	log, err := postgres.Open(t.Context(), pool, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close(context.WithoutCancel(t.Context())) })
	r, err := projections.New(projections.Config{Store: log, Pool: pool, Views: []projections.View{tally()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	done := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	go func() { done <- r.Run(running) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	want := 0
	for round := range 4 {
		var head eventstore.Position
		for stream := range 5 {
			batch := make([]eventstore.Event, 400)
			for i := range batch {
				batch[i] = eventstore.Event{ID: eventstore.EventID(uuid.New(), 0), Type: "number.v1", Data: fmt.Appendf(nil, `{"n":%d}`, i), Meta: []byte(`{}`)}
				if stream == 4 {
					batch[i].Type = "other.v1" // the last events of each round are not for the view
					continue
				}
				want += i
			}
			result, err := log.Append(ctx, fmt.Sprintf("s-%d", stream), eventstore.AtRevision(int64(400*round)-1), batch)
			if err != nil {
				t.Fatal(err)
			}
			head = result.Position
		}
		if err := r.WaitFor(ctx, head); err != nil {
			t.Fatal(err)
		}
		var got string
		if err := pool.QueryRow(ctx, total).Scan(&got); err != nil || got != strconv.Itoa(want) {
			t.Fatalf("total %s, want %d (%v)", got, want, err)
		}
	}
	before, _, err := r.Fingerprint(ctx, "tally", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Rebuild(ctx, "tally"); err != nil {
		t.Fatal(err)
	}
	if after, _, err := r.Fingerprint(ctx, "tally", 0); err != nil || after != before {
		t.Errorf("rebuilt %q, live %q (%v)", after, before, err)
	}
}
