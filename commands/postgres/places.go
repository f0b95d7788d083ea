package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/reactor"
	"daybook/eventstore"
)

// KeptPlaces returns the places in the log that the command side has stored: of its readers,
// and of the kept answers.
func KeptPlaces(ctx context.Context, pool *pgxpool.Pool) ([]eventstore.Place, error) {
	rows, _ := pool.Query(ctx, `SELECT reader, position, anchor FROM commands.checkpoints ORDER BY reader`) // its error is CollectRows'
	places, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p eventstore.Place, err error) {
		var reader, position, anchor string
		if err := row.Scan(&reader, &position, &anchor); err != nil {
			return p, err
		}
		p.Keeper = "the reader " + reader
		switch reader {
		case ReactorReader:
			p.Keeper = "the reactor"
			p.Filter = new(reactor.Filter())
		case seenReader:
			p.Keeper = "the node that last found a difference"
		case answersReader:
			p.Keeper = "the kept answers"
		}
		if p.At, err = eventstore.ParsePosition(position); err != nil {
			return p, err
		}
		p.Anchor, err = eventstore.ParseAnchor(anchor)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the stored places: %w", err)
	}
	return places, nil
}

const (
	// ReactorReader is the name of the reactor's checkpoint.
	ReactorReader = "processes"
	// answersReader is the name of the place of the kept answers: they depend on events up to
	// there.
	answersReader = "answers"
	// seenReader is the name of the place that a node stores when it finds that its log has
	// diverged.
	seenReader = "seen"
)

// KeepSeen stores an event of the log that a node has followed until now. The node calls it
// when it finds that the log has diverged.
func KeepSeen(ctx context.Context, pool *pgxpool.Pool, latest eventstore.Anchor) error {
	if latest.IsZero() {
		return nil
	}
	_, err := pool.Exec(ctx, `INSERT INTO commands.checkpoints (reader, position, anchor) VALUES ($1, $2, $3)
		ON CONFLICT (reader) DO UPDATE SET position = excluded.position, anchor = excluded.anchor`,
		seenReader, latest.Position.String(), latest.String())
	if err != nil {
		return fmt.Errorf("note the log that was followed: %w", err)
	}
	return nil
}
