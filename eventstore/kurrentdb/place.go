package kurrentdb

import (
	"context"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/eventstore"
)

// Connections implements eventstore.ConnectionReporter.
func (s *Store) Connections() uint64 { return s.supervisor.connections.Load() }

// AskBeforeAppend implements eventstore.ConnectionReporter.
func (s *Store) AskBeforeAppend(admit func(ctx context.Context) (upTo uint64, err error)) {
	s.admit = admit
}

// End implements eventstore.EndReader. The server's own events count.
func (s *Store) End(ctx context.Context) (eventstore.Position, error) {
	p, err := s.read(ctx, eventstore.Start, backwardsFrom(esdb.End{}), 1)
	if err != nil {
		return eventstore.Start, readError(ctx, "end of the log", err)
	}
	if len(p.events) == 0 {
		return eventstore.Start, nil
	}
	return p.events[0].Position, nil
}
