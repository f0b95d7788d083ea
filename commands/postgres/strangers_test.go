package postgres

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/reactor"
	"daybook/domain/stock"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pgtest"
)

// The database may not accept the names in an event as a key. Then the event is parked, and the
// reactor goes on.
func TestANameThatTheDatabaseDoesNotTakeEndsNoReactor(t *testing.T) {
	t.Parallel()
	pool, log := pgtest.New(t), memory.New()
	if err := Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]string{"with a zero byte": `a\u0000b`, "too long": strings.Repeat("x", 100_000)} {
		for _, eventType := range []string{
			"stock.reserved.v1", "stock.reservation_extended.v1", "stock.reservation_released.v1", "stock.reservation_expired.v1", "stock.reservation_committed.v1",
		} {
			event := eventstore.Event{ID: aggregate.EventID(uuid.New(), 0), Type: eventType, Data: []byte(`{"reservation_id":"` + id + `","quantity":1,"expires_at":"2026-03-01T12:15:00Z"}`)}
			if _, err := log.Append(t.Context(), stock.Stream("MUG", "main"), eventstore.Any, []eventstore.Event{event}); err != nil {
				t.Fatal(name, err)
			}
		}
	}
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	journal, parking := Journal{Pool: pool, Reader: "processes"}, Parking{Pool: pool}
	reactor := &reactor.Reactor{
		Store: log, Journal: journal, Parking: parking, Grace: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		Finisher: commands.NewService(log, commands.DefaultPolicy(), time.Now, aggregate.Options{}),
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- reactor.Run(ctx) }()
	for at := eventstore.Start; at.Before(head); {
		if at, err = journal.Checkpoint(ctx); err != nil {
			t.Fatalf("the checkpoint never came to the head: %v", err)
		}
	}
	if n, err := parking.CountParked(ctx); err != nil || n != 10 {
		t.Errorf("%d events are parked (%v), want 10", n, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
