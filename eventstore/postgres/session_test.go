package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"daybook/eventstore"
	"daybook/internal/pgtest"
)

// A commit is acknowledged only when it is on disk, even if the database's default is weaker. If
// the default is stronger, it stays.
func TestSessionSettings(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{"off": "on", "local": "on", "remote_write": "on", "on": "on", "remote_apply": "remote_apply"} {
		pool := pgtest.New(t)
		if _, err := pool.Exec(t.Context(), "ALTER DATABASE "+pool.Config().ConnConfig.Database+" SET synchronous_commit = "+given); err != nil {
			t.Fatal(err)
		}
		store := &Store{config: pool.Config()}
		conn, err := store.connect(t.Context(), "writer")
		if err != nil {
			t.Fatal(err)
		}
		defer closeQuietly(conn)
		var commit, lock, statement, idle string
		if err := conn.QueryRow(t.Context(), `SELECT current_setting('synchronous_commit'), current_setting('lock_timeout'),
			current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')`).Scan(&commit, &lock, &statement, &idle); err != nil {
			t.Fatal(err)
		}
		if commit != want || lock != "5s" || statement != "9s" || idle != "10s" {
			t.Errorf("database has %s: commit %s, lock %s, statement %s, idle %s", given, commit, lock, statement, idle)
		}
	}
}

// The engine's own connections get their credentials from the pool's hook, because credentials may
// change.
func TestConnectAsThePoolDoes(t *testing.T) {
	t.Parallel()
	config := pgtest.New(t).Config()
	config.BeforeConnect = func(_ context.Context, config *pgx.ConnConfig) error {
		config.RuntimeParams["search_path"] = "asked"
		return nil
	}
	conn, err := (&Store{config: config}).connect(t.Context(), "writer")
	if err != nil {
		t.Fatal(err)
	}
	defer closeQuietly(conn)
	var path string
	if err := conn.QueryRow(t.Context(), "SHOW search_path").Scan(&path); err != nil || path != "asked" {
		t.Errorf("search_path %q (error %v): the hook was not asked", path, err)
	}
}

func TestErrorsSayWhetherTheAppendMayHaveHappened(t *testing.T) {
	reply := func(severity, code string) error {
		return fmt.Errorf("batch: %w", &pgconn.PgError{SeverityUnlocalized: severity, Code: code})
	}
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"the connection broke":      {io.ErrUnexpectedEOF, &eventstore.OutcomeUnknownError{}},
		"never sent":                {neverSentError{io.EOF}, &eventstore.UnavailableError{}},
		"terminated by the admin":   {reply("FATAL", "57P01"), &eventstore.OutcomeUnknownError{}},
		"crash of another backend":  {reply("WARNING", "57P02"), &eventstore.OutcomeUnknownError{}},
		"server panics":             {reply("PANIC", "58030"), &eventstore.OutcomeUnknownError{}},
		"lock timeout":              {reply("ERROR", "55P03"), &eventstore.UnavailableError{}},
		"statement timeout":         {reply("ERROR", "57014"), &eventstore.UnavailableError{}},
		"disk full":                 {reply("ERROR", "53100"), &eventstore.UnavailableError{}},
		"deadlock, again and again": {reply("ERROR", "40P01"), &eventstore.UnavailableError{}},
		"a replica":                 {reply("ERROR", "25006"), &eventstore.UnavailableError{}},
		"bad bytes":                 {reply("ERROR", "22021"), &eventstore.InvalidError{}},
		"unknown answer":            {errUnknownForm, &eventstore.OutcomeUnknownError{}},
	} {
		got := translate(c.err)
		if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", c.want) {
			t.Errorf("%s: %T, want %T", name, got, c.want)
		}
		if _, invalid := errors.AsType[*eventstore.InvalidError](got); !invalid && !errors.Is(got, c.err) {
			t.Errorf("%s: the cause is lost", name)
		}
	}
}
