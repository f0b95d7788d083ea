package main

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/pgtest"
)

// holdTimers locks the table of timers, so that others cannot change it until let is called.
func holdTimers(t *testing.T, pool *pgxpool.Pool) (let func()) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE commands.timers IN EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

// holds tells whether a query finds something.
func holds(t *testing.T, pool *pgxpool.Pool, sql string) bool {
	t.Helper()
	var found bool
	if err := pool.QueryRow(t.Context(), `SELECT EXISTS (`+sql+`)`).Scan(&found); err != nil {
		t.Fatal(err)
	}
	return found
}

// The command is killed twice: before it deletes what PostgreSQL has, and while it builds
// everything again.
func TestAnAcceptedLogSurvivesKills(t *testing.T) {
	slow(t)
	t.Parallel()
	path, database := build(t), pgtest.URL(t)
	flags := []string{"--database-url", database}
	s := openShop(t, flags...)
	pool := poolOf(t, database)
	s.sell(8)
	restore := dumpLog(t, pool)
	s.sell(8)
	s.shows(s.sold)
	s.settled(pool)
	s.stop()
	restore()

	accept := func() (kill func()) {
		child := exec.CommandContext(context.WithoutCancel(t.Context()), path, append([]string{"accept-log", "--yes"}, flags...)...)
		log := &logBuffer{}
		child.Stderr, child.Stdout, child.WaitDelay = log, log, 10*time.Second
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { defer close(ended); child.Wait() }() //nolint:errcheck // it is killed
		return func() {
			t.Helper()
			select {
			case <-ended:
				t.Errorf("it had ended before it was killed: %s", log)
			default:
			}
			if err := child.Process.Kill(); err != nil {
				t.Error(err)
			}
			<-ended
		}
	}
	gone := func() {
		t.Helper()
		eventually(t, patience, "the killed program's connections have ended", func() bool {
			return !holds(t, pool, `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'daybook %' AND application_name <> 'daybook test'`)
		})
	}

	before, let := everything(t, pool), holdTimers(t, pool)
	kill := accept()
	eventually(t, patience, "it is about to empty the tables", func() bool {
		return holds(t, pool, `SELECT FROM pg_locks WHERE relation = 'commands.timers'::regclass AND NOT granted`)
	})
	kill()
	let()
	gone()
	if after := everything(t, pool); after != before {
		t.Errorf("killed before the end of its transaction, it has changed\n%s\nto\n%s", before, after)
	}

	kill = accept()
	eventually(t, patience, "it builds", func() bool { return holds(t, pool, `SELECT FROM projections.builds WHERE build = 2`) })
	let = holdTimers(t, pool) // so that the command cannot finish
	kill()
	let()
	gone()

	if report := verifyJSON(t, exitOK, flags...); report.Differences != 0 {
		t.Errorf("verify after the kill: %s", differ(report)) // the start of verify has built what was missing
	}
	if report := acceptJSON(t, exitOK, append(flags, "--yes")...); report.Accepted || report.Diverged {
		t.Errorf("it is accepted, but: %+v", report)
	}
	if report := verifyJSON(t, exitOK, flags...); report.Differences != 0 {
		t.Errorf("verify: %s", differ(report))
	}
	s.sold = s.sold[:8]
	s.start()
	s.shows(s.sold)
	s.sell(2)
	s.shows(s.sold)
	s.stop()
}
