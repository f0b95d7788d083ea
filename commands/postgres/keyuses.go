package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain/access"
)

// KeyUses stores when API keys were last used. It implements keyring.UseStore.
type KeyUses struct{ Pool *pgxpool.Pool }

// Keep implements keyring.UseStore. Of two nodes, the later time counts.
func (u KeyUses) Keep(ctx context.Context, uses map[access.KeyID]time.Time) error {
	ids, times := make([]access.KeyID, 0, len(uses)), make([]time.Time, 0, len(uses))
	for id, at := range uses {
		ids, times = append(ids, id), append(times, at)
	}
	// The rows are sorted, so that two nodes do not wait for each other.
	_, err := u.Pool.Exec(ctx, `
		INSERT INTO commands.key_uses AS kept (key_id, used_at)
		SELECT id, at FROM unnest($1::text[], $2::timestamptz[]) AS t (id, at) ORDER BY id COLLATE "C"
		ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at WHERE kept.used_at < excluded.used_at`, ids, times)
	if err != nil {
		return fmt.Errorf("store when API keys were used: %w", err)
	}
	return nil
}

// All implements keyring.UseStore.
func (u KeyUses) All(ctx context.Context) (map[access.KeyID]time.Time, error) {
	rows, err := u.Pool.Query(ctx, `SELECT key_id, used_at FROM commands.key_uses`)
	if err != nil {
		return nil, fmt.Errorf("read when API keys were used: %w", err)
	}
	all := map[access.KeyID]time.Time{}
	var id access.KeyID
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&id, &at}, func() error { all[id] = at; return nil }); err != nil {
		return nil, fmt.Errorf("read when API keys were used: %w", err)
	}
	return all, nil
}
