package logtest

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// Unindexed is a log without an index of ids, like KurrentDB: it recognises events by their
// ids only at the place where an append expects them, and it does not append to several streams at
// once.
type Unindexed struct{ eventstore.Store }

// Append implements eventstore.Store.
func (u Unindexed) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	result, err := u.Store.Append(ctx, stream, expected, events)
	if _, duplicate := errors.AsType[*eventstore.DuplicateEventError](err); !duplicate {
		return result, err
	}
	renamed := make([]eventstore.Event, len(events))
	for i, event := range events {
		event.ID = uuid.New()
		renamed[i] = event
	}
	return u.Store.Append(ctx, stream, expected, renamed)
}
