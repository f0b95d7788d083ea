package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/eventstore"
)

// A longer log is put in the place of one that is followed, while nobody looks: what it
// holds beyond the old end is not taken for what came next.
func TestALongerLogInThePlaceOfOneThatIsFollowedIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	store := open(t, pool)
	for range 3 {
		events := []eventstore.Event{{ID: uuid.New(), Type: "t.v1", Data: []byte(`{}`)}}
		if _, err := store.Append(t.Context(), "a", eventstore.Any, events); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for item, err := range store.Subscribe(ctx, eventstore.Start, eventstore.Filter{}) {
		if _, none := errors.AsType[*eventstore.UnknownPlaceError](err); none {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if item.Event != nil && item.Event.Stream != "a" {
			t.Fatalf("event %d of %s was taken for the next one", item.Event.Revision, item.Event.Stream)
		}
		if item.CaughtUp {
			err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `
					UPDATE eventstore.events SET event_id = gen_random_uuid();
					INSERT INTO eventstore.streams (stream, revision) VALUES ('other', 9);
					INSERT INTO eventstore.events (position, stream_id, revision, recorded_at, event_id, stream, type, data)
						SELECT 3 + n, s.stream_id, n - 1, clock_timestamp(), gen_random_uuid(), s.stream, 't.v1', '{}'
						FROM eventstore.streams s, generate_series(1, 10) n WHERE s.stream = 'other';
					UPDATE eventstore.head SET position = 13`, pgx.QueryExecModeSimpleProtocol)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
