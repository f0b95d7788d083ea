package postgres_test

import (
	"testing"

	"golang.org/x/sync/errgroup"

	"daybook/commands/postgres"
	"daybook/internal/pgtest"
)

func TestNodesThatStartTogetherMigrateTogether(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t) // and empty
	var nodes errgroup.Group
	for range 4 {
		nodes.Go(func() error { return postgres.Migrate(t.Context(), pool) })
	}
	if err := nodes.Wait(); err != nil {
		t.Fatal(err)
	}
}
