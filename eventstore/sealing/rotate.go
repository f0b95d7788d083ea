package sealing

import (
	"context"
	"fmt"
)

// Rewrapper is a Table whose data keys can get another master key.
type Rewrapper interface {
	// Rewrap replaces up to limit rows that another master key than to wraps, in one transaction.
	// It returns how many it has replaced; 0 means that none is left. If to is not the current
	// master key, it returns ErrMasterChanged and replaces nothing.
	Rewrap(ctx context.Context, to string, limit int, rewrapped func(Row) (Row, error)) (int, error)
}

// rewrapBatch is how many data keys are wrapped again in one transaction. While it lasts, nobody
// can destroy one of them.
const rewrapBatch = 200

// Rewrap wraps all data keys with the master key to, which must be the current one. The log is not
// touched. Nodes go on meanwhile, because they can open what either master key has wrapped. If
// Rewrap ends early, a second call does the rest. told is called after each batch with how many
// keys are done.
func Rewrap(ctx context.Context, table Rewrapper, master Master, to string, told func(done int)) (done int, err error) {
	for {
		replaced, err := table.Rewrap(ctx, to, rewrapBatch, func(row Row) (Row, error) {
			return rewrapped(ctx, master, to, row)
		})
		if err != nil || replaced == 0 {
			return done, err
		}
		done += replaced
		told(done)
	}
}

func rewrapped(ctx context.Context, master Master, to string, row Row) (Row, error) {
	key, err := master.Unwrap(ctx, row.Master, row.Wrapped, row.about())
	if err != nil {
		return row, fmt.Errorf("unwrap the data key %s: %w", row.ID, err)
	}
	row.Master = to
	if row.Wrapped, err = master.Wrap(ctx, to, key, row.about()); err != nil {
		return row, fmt.Errorf("wrap the data key %s: %w", row.ID, err)
	}
	return row, nil
}
