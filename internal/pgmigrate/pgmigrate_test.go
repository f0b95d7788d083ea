package pgmigrate

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/pgtest"
)

func scripts(texts ...string) fs.FS {
	files := fstest.MapFS{}
	for i, text := range texts {
		files["migrations/0000"+string(rune('1'+i))+"_script.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + text)}
	}
	return files
}

const (
	make1  = "CREATE TABLE used (n integer);"
	change = "ALTER TABLE used ADD COLUMN m integer;"
)

// readLong reads a table in a transaction that stays open.
func readLong(t *testing.T, pool *pgxpool.Pool) pgx.Tx {
	t.Helper()
	if err := Up(t.Context(), pool, scripts(make1), "versions"); err != nil {
		t.Fatal(err)
	}
	reader, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), "SELECT FROM used"); err != nil {
		t.Fatal(err)
	}
	return reader
}

func TestAMigrationThatWaitsForALongReaderDoesNotHoldUpWriters(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	reader := readLong(t, pool)
	migrated := make(chan error, 1)
	go func() { migrated <- Up(t.Context(), pool, scripts(make1, change), "versions") }()
	for waits := false; !waits; { // the migration waits for its lock
		if err := pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'used'::regclass AND NOT granted)").Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if _, err := pool.Exec(t.Context(), "INSERT INTO used VALUES (1)"); err != nil {
		t.Errorf("a writer behind a migration: %v after %s", err, time.Since(began))
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Errorf("the migration, after the reader has ended: %v", err)
	}
	var m *int
	if err := pool.QueryRow(t.Context(), "SELECT m FROM used").Scan(&m); err != nil {
		t.Errorf("the migration was not made: %v", err)
	}
	rows, _ := pool.Query(t.Context(), "SELECT current_setting('lock_timeout')")
	if got, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string]); err != nil || got != "0" {
		t.Errorf("the session's lock_timeout is left at %s (%v)", got, err)
	}
}

func TestAMigrationThatNeverGetsItsLockSaysWhoHasTheTable(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	reader := readLong(t, pool)
	defer func() { _ = reader.Rollback(t.Context()) }()
	err := up(t.Context(), pool, scripts(make1, change), "versions", 0)
	if err == nil || !strings.Contains(err.Error(), "a table was in use") || !strings.Contains(err.Error(), "idle in transaction") {
		t.Errorf("%v, want an error that tells of the open transaction", err)
	}
}

func TestADatabaseOfANewerProgramIsRefused(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := Up(t.Context(), pool, scripts(make1, change), "versions"); err != nil {
		t.Fatal(err)
	}
	err := Up(t.Context(), pool, scripts(make1), "versions")
	if newer, is := errors.AsType[*NewerError](err); !is || newer.Have != 2 || newer.Known != 1 || newer.Versions != "versions" {
		t.Errorf("got %v, want that version 2 is newer than 1", err)
	}
	if err := Up(t.Context(), pool, scripts(make1, change), "versions"); err != nil {
		t.Errorf("the newer program after that: %v", err)
	}
}
