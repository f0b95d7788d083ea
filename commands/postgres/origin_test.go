package postgres_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"daybook/commands/postgres"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pgtest"
)

func TestADatabaseStaysWithItsLog(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	origin := postgres.Origin{Pool: pool}
	mine, other, empty := memory.New(), memory.New(), memory.New()
	// While the log is empty there is nothing to know it by.
	if err := origin.Check(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	for _, log := range []*memory.Store{mine, other} {
		for n, stream := range []string{"foreign", "stock-a", "stock-a", "stock-b"} {
			// The ids are the same in both, as those of one file imported into both.
			id := uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n))
			events := []eventstore.Event{{ID: id, Type: "t.v1", Data: []byte(`{}`)}}
			if _, err := log.Append(t.Context(), stream, eventstore.Any, events); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		if err := origin.Check(t.Context(), mine); err != nil {
			t.Fatal(err)
		}
	}
	for name, log := range map[string]*memory.Store{"another log": other, "an empty log": empty} {
		err := origin.Check(t.Context(), log)
		if refused, ok := errors.AsType[*postgres.AnotherLogError](err); !ok || refused.Stream != "stock-a" || refused.Revision != 0 {
			t.Errorf("%s: error %v, want an AnotherLogError", name, err)
		}
	}
	if err := origin.Check(t.Context(), mine); err != nil {
		t.Errorf("after others were refused: %v", err)
	}
}
