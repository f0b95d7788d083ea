package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/eventstore/sealing"
)

var _ sealing.Rewrapper = DataKeys{}

// masterNodeLives is how long a node counts as running after its last report. It reports every 10
// seconds.
const masterNodeLives = time.Minute

// ReportMasters notes which master keys the file of a running node has.
func (d DataKeys) ReportMasters(ctx context.Context, node string, masters []string) error {
	_, err := d.Pool.Exec(ctx, `
		WITH gone AS (DELETE FROM commands.master_key_nodes WHERE seen_at < clock_timestamp() - interval '1 hour' AND node <> $1)
		INSERT INTO commands.master_key_nodes (node, masters) VALUES ($1, $2)
		ON CONFLICT (node) DO UPDATE SET masters = excluded.masters, seen_at = clock_timestamp()`, node, masters)
	if err != nil {
		return fmt.Errorf("report the master keys of this node: %w", err)
	}
	return nil
}

// ForgetMasters removes the report of a node that ends.
func (d DataKeys) ForgetMasters(ctx context.Context, node string) error {
	if _, err := d.Pool.Exec(ctx, `DELETE FROM commands.master_key_nodes WHERE node = $1`, node); err != nil {
		return fmt.Errorf("remove the report of the master keys of this node: %w", err)
	}
	return nil
}

// MasterUse is what the tables know of master keys.
type MasterUse struct {
	Current string           // the id of the one that wraps new keys; empty if there is none yet
	Keys    map[string]int64 // how many data keys each wraps
	Former  []string         // those that were the current one once
	Nodes   []MasterNode     // that run now
}

// MasterNode is a running node, and the master keys that its file has.
type MasterNode struct {
	Name    string
	Masters []string
}

// Lacking returns the names of the running nodes whose files lack a master key.
func (u MasterUse) Lacking(master string) (names []string) {
	for _, node := range u.Nodes {
		if !slices.Contains(node.Masters, master) {
			names = append(names, node.Name)
		}
	}
	return names
}

// Needed tells whether a master key is the current one or wraps a data key.
func (u MasterUse) Needed(master string) bool { return master == u.Current || u.Keys[master] > 0 }

// MasterUse returns what the tables know of master keys.
func (d DataKeys) MasterUse(ctx context.Context) (use MasterUse, err error) {
	err = pgx.BeginTxFunc(ctx, d.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		use, err = masterUse(ctx, tx)
		return err
	})
	return use, err
}

func masterUse(ctx context.Context, tx pgx.Tx) (use MasterUse, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("the use of the master keys: %w", err)
		}
	}()
	use.Keys = map[string]int64{}
	err = tx.QueryRow(ctx, `SELECT id FROM commands.master_key`).Scan(&use.Current)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return use, err
	}
	rows, err := tx.Query(ctx, `SELECT master, count(*) FROM commands.data_keys WHERE destroyed_at IS NULL GROUP BY 1`)
	if err != nil {
		return use, err
	}
	var master string
	var count int64
	if _, err = pgx.ForEachRow(rows, []any{&master, &count}, func() error {
		use.Keys[master] = count
		return nil
	}); err != nil {
		return use, err
	}
	if rows, err = tx.Query(ctx, `SELECT id FROM commands.former_master_keys ORDER BY until`); err != nil {
		return use, err
	}
	if use.Former, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return use, err
	}
	if rows, err = tx.Query(ctx, `SELECT node, masters FROM commands.master_key_nodes WHERE seen_at > clock_timestamp() - $1::interval ORDER BY 1`, masterNodeLives); err != nil {
		return use, err
	}
	use.Nodes, err = pgx.CollectRows(rows, pgx.RowToStructByPos[MasterNode])
	return use, err
}

// NodesLackError means that running nodes do not have a master key.
type NodesLackError struct {
	Master string
	Nodes  []string
}

func (e *NodesLackError) Error() string {
	return fmt.Sprintf("the files of these nodes do not have the master key %s: %v", e.Master, e.Nodes)
}

// SetMaster makes a master key the current one: from now on, it wraps all new keys. It returns
// *NodesLackError if a running node does not have it. A node that starts later and does not have it
// does not get ready.
func (d DataKeys) SetMaster(ctx context.Context, master string) error {
	err := pgx.BeginFunc(ctx, d.Pool, func(tx pgx.Tx) error {
		var before string
		// The lock waits until no node is about to store a key that the master key before wraps.
		err := tx.QueryRow(ctx, `SELECT id FROM commands.master_key FOR UPDATE`).Scan(&before)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		use, err := masterUse(ctx, tx)
		if err != nil || before == master {
			return err
		}
		if lacking := use.Lacking(master); len(lacking) > 0 {
			return &NodesLackError{master, lacking}
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO commands.master_key (id) VALUES ($1)
			ON CONFLICT (only_row) DO UPDATE SET id = excluded.id, since = clock_timestamp()`, master); err != nil || before == "" {
			return err
		}
		if _, err = tx.Exec(ctx, `INSERT INTO commands.former_master_keys (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET until = clock_timestamp()`, before); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM commands.former_master_keys WHERE id = $1`, master)
		return err
	})
	if err != nil {
		return fmt.Errorf("change the current master key: %w", err)
	}
	return nil
}

// Rewrap implements sealing.Rewrapper.
func (d DataKeys) Rewrap(ctx context.Context, to string, limit int, rewrapped func(sealing.Row) (sealing.Row, error)) (replaced int, err error) {
	err = pgx.BeginFunc(ctx, d.Pool, func(tx pgx.Tx) error {
		var current string
		if err := tx.QueryRow(ctx, `SELECT id FROM commands.master_key FOR SHARE`).Scan(&current); err != nil {
			return err
		}
		if current != to {
			return sealing.ErrMasterChanged
		}
		found, err := tx.Query(ctx, `
			SELECT id, subject, master, wrapped FROM commands.data_keys
			WHERE destroyed_at IS NULL AND master <> $1 ORDER BY id LIMIT $2 FOR UPDATE`, to, limit)
		if err != nil {
			return err
		}
		rows, err := pgx.CollectRows(found, pgx.RowToStructByPos[sealing.Row])
		if err != nil {
			return err
		}
		ids, wrapped := make([]string, len(rows)), make([][]byte, len(rows))
		for i, row := range rows {
			if row, err = rewrapped(row); err != nil {
				return err
			}
			ids[i], wrapped[i] = row.ID, row.Wrapped
		}
		tag, err := tx.Exec(ctx, `
			UPDATE commands.data_keys k SET master = $1, wrapped = n.wrapped
			FROM unnest($2::text[], $3::bytea[]) AS n (id, wrapped) WHERE k.id = n.id`, to, ids, wrapped)
		replaced = int(tag.RowsAffected())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("wrap data keys again: %w", err)
	}
	return replaced, nil
}
