package postgres_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore"
	"daybook/eventstore/postgres"
	"daybook/eventstore/storetest"
	"daybook/internal/pgtest"
)

// open starts an engine over a migrated database, as a node of its own.
func open(tb testing.TB, pool *pgxpool.Pool) *postgres.Store {
	tb.Helper()
	store, err := postgres.Open(tb.Context(), pool, postgres.Options{Logger: testLogger(tb)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := store.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	return store
}

func testLogger(tb testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(tb.Output(), nil))
}

// migrated makes a database with an empty log.
func migrated(tb testing.TB) *pgxpool.Pool {
	tb.Helper()
	pool := pgtest.New(tb)
	if err := postgres.Migrate(tb.Context(), pool); err != nil {
		tb.Fatal(err)
	}
	return pool
}

func TestStore(t *testing.T) {
	store := open(t, migrated(t))
	storetest.Run(t, func(*testing.T) eventstore.Store { return store }, storetest.Contiguous(), storetest.LogWideIDs(), storetest.AppendsAll())
}
