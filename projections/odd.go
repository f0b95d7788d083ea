package projections

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"daybook/eventstore"
)

// readable parts the events that are handed to the view from those that could
// not be read.
func readable(events []Event) (readable, skipped []Event) {
	if !slices.ContainsFunc(events, func(e Event) bool { return e.skipped }) {
		return events, nil
	}
	for _, e := range events {
		if e.skipped {
			skipped = append(skipped, e)
		} else {
			readable = append(readable, e)
		}
	}
	return readable, skipped
}

// oddOf are the events that are as no command can have recorded them.
func oddOf(events []Event) (odd []Event) {
	for i := range events {
		if events[i].odd != "" {
			odd = append(odd, events[i])
		}
	}
	return odd
}

func (w *worker) applyAll(ctx context.Context, tx pgx.Tx, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	return w.view.apply(ctx, tx, events)
}

// countOdd counts odd events with the build, in the transaction of their rows.
func (w *worker) countOdd(ctx context.Context, tx pgx.Tx, count int) error {
	if count == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE projections.builds SET odd = odd + $3 WHERE view = $1 AND build = $2`, w.view.Name, w.build.number, count)
	if err != nil {
		return fmt.Errorf("count odd events: %w", err)
	}
	return nil
}

// oddTold bounds how many odd events of a batch are named in the log.
const oddTold = 5

// tellOdd names odd events in the log.
func (w *worker) tellOdd(ctx context.Context, odd []Event) {
	for _, e := range odd[:min(len(odd), oddTold)] {
		w.log.WarnContext(ctx, "odd event", "type", eventstore.Visible(e.Type), "stream", eventstore.Visible(e.Stream),
			"position", e.Position, "reason", eventstore.Visible(e.odd), "skipped", e.skipped)
	}
	if more := len(odd) - oddTold; more > 0 {
		w.log.WarnContext(ctx, "more odd events in the same batch", "count", more)
	}
}
