package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/reactor"
	"daybook/eventstore"
)

// KeptPlaces returns where the command side's readers of the log stand, and up to where
// the answers under keys follow from it.
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
			p.Keeper = "the node that last looked"
		case answersReader:
			p.Keeper = "what was answered under keys"
		}
		if p.At, err = eventstore.ParsePosition(position); err != nil {
			return p, err
		}
		p.Anchor, err = eventstore.ParseAnchor(anchor)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read where readers stand: %w", err)
	}
	return places, nil
}

const (
	// ReactorReader is the name of the reactor's checkpoint.
	ReactorReader = "processes"
	// answersReader is the name of the place that answers under keys follow from.
	answersReader = "answers"
	// seenReader is the name of the place of a node that has met another log.
	seenReader = "seen"
)

// KeepSeen notes an event of the log that a node has followed, because it has met
// another log.
func KeepSeen(ctx context.Context, pool *pgxpool.Pool, known eventstore.Anchor) error {
	if known.IsZero() {
		return nil
	}
	_, err := pool.Exec(ctx, `INSERT INTO commands.checkpoints (reader, position, anchor) VALUES ($1, $2, $3)
		ON CONFLICT (reader) DO UPDATE SET position = excluded.position, anchor = excluded.anchor`,
		seenReader, known.Position.String(), known.String())
	if err != nil {
		return fmt.Errorf("note the log that was followed: %w", err)
	}
	return nil
}
