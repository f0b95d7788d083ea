package postgres_test

import (
	"context"
	"testing"
	"time"

	"daybook/commands/postgres"
	"daybook/internal/linetest"
	"daybook/internal/pgpool"
)

// A leader whose line falls silent knows that it leads no more, and the server
// lets another one lead, though nothing was closed.
func TestALeaderWhoseLineFallsSilentLeadsNoMore(t *testing.T) {
	t.Parallel()
	direct := answersPool(t)
	line, over := linetest.ToPostgres(t, direct.Config().ConnString())
	pool, err := pgpool.Open(t.Context(), over, pgpool.Options{Size: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	leading, resign, err := postgres.Journal{Pool: pool, Reader: "r"}.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer resign()
	line.SilenceAll()
	const bound, slack = 15 * time.Second, 10 * time.Second
	select {
	case <-leading.Done():
	case <-time.After(bound + slack):
		t.Error("the leader does not know that it leads no more")
	}
	ctx, cancel := context.WithTimeout(t.Context(), bound+slack)
	defer cancel()
	_, resignOther, err := postgres.Journal{Pool: direct, Reader: "r"}.Lead(ctx)
	if err != nil {
		t.Fatalf("nobody else can lead: %v", err)
	}
	resignOther()
}

// A leader that is alive gives its session a sign of life often enough, so that
// the server does not take it for one whose line is silent.
func TestALeaderAtRestLeadsOn(t *testing.T) {
	t.Parallel()
	pool := answersPool(t)
	leading, resign, err := postgres.Journal{Pool: pool, Reader: "r"}.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer resign()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const session = `SELECT a.state_change FROM pg_stat_activity a JOIN pg_locks l USING (pid)
		WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	var signs []time.Time
	pause := time.NewTimer(0) // between two looks
	<-pause.C
	for len(signs) < 5 { // four times the pause between two, longer than the server waits
		var last time.Time
		if err := pool.QueryRow(ctx, session).Scan(&last); err != nil {
			t.Fatalf("the leader's session: %v", err)
		}
		if len(signs) == 0 || last.After(signs[len(signs)-1]) {
			signs = append(signs, last)
		}
		pause.Reset(50 * time.Millisecond)
		<-pause.C
	}
	if leading.Err() != nil {
		t.Error("a leader at rest lost its lead")
	}
}
