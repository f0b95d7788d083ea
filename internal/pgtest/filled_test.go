package pgtest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// do runs a statement on a connection of its own.
func do(ctx context.Context, url, statement string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// The original is filled once. Each copy has its rows, and none has what another test wrote.
func TestCopiesOfAFilledDatabase(t *testing.T) {
	t.Parallel()
	var filled atomic.Int64
	f := NewFilled(func(ctx context.Context, url string) error {
		filled.Add(1)
		return do(ctx, url, "CREATE TABLE entries AS SELECT 1 AS id")
	})
	t.Run("group", func(t *testing.T) {
		for range 4 {
			t.Run("copy", func(t *testing.T) {
				t.Parallel()
				url := f.URL(t)
				// It fails if there is no such row, or another test's row is there.
				if err := do(t.Context(), url, "DO $$ BEGIN ASSERT (SELECT array_agg(id) FROM entries) = '{1}'; END $$"); err != nil {
					t.Error(err)
				}
				if err := do(t.Context(), url, "INSERT INTO entries VALUES (2)"); err != nil {
					t.Error(err)
				}
			})
		}
	})
	if n := filled.Load(); n != 1 {
		t.Errorf("filled %d times", n)
	}
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	if err := do(t.Context(), s.urlOf(f.name), "SELECT 1"); err == nil {
		t.Error("a connection to the original is possible, for which a copy would have to wait")
	}
	if err := f.Remove(); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := s.admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_database WHERE datname = $1", f.name).Scan(&left); err != nil || left != 0 {
		t.Errorf("the original is still there (%v)", err)
	}
}

// If filling fails, no database is left.
func TestADatabaseThatCannotBeFilled(t *testing.T) {
	t.Parallel()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	var url string
	name, err := s.createFilled(t.Context(), func(ctx context.Context, at string) error {
		url = at
		return do(ctx, at, "SELECT 1/0")
	})
	if err == nil || name != "" {
		t.Errorf("%q, %v", name, err)
	}
	if err := do(t.Context(), url, "SELECT 1"); err == nil {
		t.Error("the database is still there")
	}
}
