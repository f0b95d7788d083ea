package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// All times of leases come from the database's clock, so the nodes' clocks need not agree.

// heartbeat records that this node is alive, and counts the nodes.
func (r *Runner) heartbeat(ctx context.Context) (nodes int, err error) {
	_, err = r.pool.Exec(ctx, `INSERT INTO projections.nodes (owner, views, expires_at)
		VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
		ON CONFLICT (owner) DO UPDATE SET views = excluded.views, expires_at = excluded.expires_at`,
		r.owner, r.peers, r.leaseTTL.Seconds())
	if err != nil {
		return 0, fmt.Errorf("heartbeat: %w", err)
	}
	_, err = r.pool.Exec(ctx, `DELETE FROM projections.nodes WHERE expires_at < clock_timestamp() - interval '1 hour'`)
	if err != nil {
		return 0, fmt.Errorf("forget nodes: %w", err)
	}
	nodes, err = r.nodes(ctx)
	return max(1, nodes), err
}

// nodes is how many nodes with the same views are alive.
func (r *Runner) nodes(ctx context.Context) (nodes int, err error) {
	err = r.pool.QueryRow(ctx, `SELECT count(*) FROM projections.nodes WHERE views = $1 AND expires_at > clock_timestamp()`, r.peers).Scan(&nodes)
	if err != nil {
		return 0, fmt.Errorf("count nodes: %w", err)
	}
	return nodes, nil
}

// renew renews the leases. If a lease is lost, its workers are stopped.
func (r *Runner) renew(ctx context.Context) error {
	for name, o := range r.owned {
		kept, err := r.pool.Exec(ctx, `UPDATE projections.leases SET expires_at = clock_timestamp() + make_interval(secs => $5)
			WHERE view = $1 AND version = $2 AND owner = $3 AND epoch = $4`,
			name, o.view.Version, r.owner, o.epoch, r.leaseTTL.Seconds())
		if err != nil {
			return fmt.Errorf("renew lease of %s: %w", name, err)
		}
		if kept.RowsAffected() == 0 {
			r.log.WarnContext(ctx, "projection lease lost", "view", name, "epoch", o.epoch)
			o.stop()
			r.drop(name)
		}
	}
	return nil
}

// acquire takes leases that are free, up to a share.
func (r *Runner) acquire(ctx context.Context, share int) error {
	for _, view := range r.views {
		if len(r.owned) >= share {
			return nil
		}
		if r.owned[view.Name] != nil {
			continue
		}
		var epoch int64
		// Epochs are counted for each view, over all versions. Otherwise, after a roll-back to an
		// earlier version, the build could have a higher epoch than the lease of that version, and
		// no node could post to it.
		err := r.pool.QueryRow(ctx, `INSERT INTO projections.leases AS l (view, version, owner, epoch, expires_at)
			VALUES ($1, $2, $3, 1 + coalesce((SELECT max(epoch) FROM projections.leases WHERE view = $1), 0), clock_timestamp() + make_interval(secs => $4))
			ON CONFLICT (view, version) DO UPDATE SET owner = excluded.owner, epoch = greatest(excluded.epoch, l.epoch + 1), expires_at = excluded.expires_at
			WHERE l.expires_at < clock_timestamp() RETURNING epoch`,
			view.Name, view.Version, r.owner, r.leaseTTL.Seconds()).Scan(&epoch)
		if errors.Is(err, pgx.ErrNoRows) {
			continue // another node has it
		}
		if err != nil {
			return fmt.Errorf("acquire lease of %s: %w", view.Name, err)
		}
		// The new owner may be a newer program, so an error that stopped the last owner may
		// not stop this one.
		if _, err := r.pool.Exec(ctx, `UPDATE projections.builds SET error = '', failed_at = NULL
			WHERE view = $1 AND version = $2 AND error <> ''`, view.Name, view.Version); err != nil {
			return fmt.Errorf("clear failure of %s: %w", view.Name, err)
		}
		r.take(view.Name, &owned{view: view, epoch: epoch, workers: make(map[int]*worker)})
	}
	return nil
}

// giveOne frees one view for a node that has fewer than its share.
func (r *Runner) giveOne(ctx context.Context) error {
	for name, o := range r.owned {
		o.stop()
		r.drop(name)
		r.log.InfoContext(ctx, "projection given to another node", "view", name)
		return r.release(ctx, o)
	}
	return nil
}

func (r *Runner) release(ctx context.Context, o *owned) error {
	_, err := r.pool.Exec(ctx, `UPDATE projections.leases SET expires_at = '-infinity'
		WHERE view = $1 AND version = $2 AND owner = $3 AND epoch = $4`, o.view.Name, o.view.Version, r.owner, o.epoch)
	if err != nil {
		return fmt.Errorf("release lease of %s: %w", o.view.Name, err)
	}
	return nil
}
