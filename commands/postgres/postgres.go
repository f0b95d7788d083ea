// Package postgres stores what the command side needs in addition to the log: snapshots,
// timers, the reactor's checkpoint, parked work, the kept answers, and what the log must not have
// of people. It does not store the log.
package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/aggregate"
)

// Snapshots implements commands.Snapshots.
type Snapshots struct{ Pool *pgxpool.Pool }

// Load returns the newest snapshot of the fold version, or nil.
func (s Snapshots) Load(ctx context.Context, stream string, foldVersion int) (*aggregate.Snapshot, error) {
	snapshot := aggregate.Snapshot{Stream: stream, FoldVersion: foldVersion}
	err := s.Pool.QueryRow(ctx,
		`SELECT revision, data FROM commands.snapshots WHERE stream = $1 AND fold_version = $2`, stream, foldVersion).
		Scan(&snapshot.Revision, &snapshot.Data)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load snapshot: %w", err)
	}
	return &snapshot, nil
}

// Save stores a snapshot, unless a newer one of the same fold version is stored.
func (s Snapshots) Save(ctx context.Context, snapshot aggregate.Snapshot) error {
	_, err := s.Pool.Exec(ctx, `
		INSERT INTO commands.snapshots AS held (stream, fold_version, revision, data)
		VALUES ($1, $2, $3, $4)
		ON CONFLICT (stream) DO UPDATE
		SET fold_version = excluded.fold_version, revision = excluded.revision, data = excluded.data, saved_at = clock_timestamp()
		WHERE held.fold_version < excluded.fold_version
		   OR held.fold_version = excluded.fold_version AND held.revision < excluded.revision`,
		snapshot.Stream, snapshot.FoldVersion, snapshot.Revision, snapshot.Data)
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	return nil
}
