package projections

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/internal/pgpool"
)

// ErrNoEarlierBuild means that there is no earlier build for a roll-back.
var ErrNoEarlierBuild = errors.New("there is no earlier build of this version")

// FailedError means that a build has stopped and will not come into use.
type FailedError struct {
	View   string
	Build  int
	Reason string
}

func (e *FailedError) Error() string {
	return "build " + strconv.Itoa(e.Build) + " of view " + e.View + " failed: " + e.Reason
}

// buildMax bounds one statement that makes, indexes, compares or drops a whole build. It also
// bounds how long such a statement waits for another one.
const buildMax = time.Hour

// Rebuild builds a view again from event 0, beside the build in use, and returns when readers
// use the new build. The old build is kept for Rollback, and still older builds are dropped.
// If a rebuild is under way already, Rebuild waits for it. A node must be running the view.
// If ctx ends, the rebuild goes on there.
func (r *Runner) Rebuild(ctx context.Context, name string) error {
	view, err := r.view(name)
	if err != nil {
		return err
	}
	var number int
	err = pgx.BeginFunc(pgpool.Within(ctx, buildMax), r.pool, func(tx pgx.Tx) error {
		if err := prepare(ctx, tx, view); err != nil {
			return err
		}
		underWay, err := queryBuilds(ctx, tx, `WHERE view = $1 AND state = 'building' AND version = $2 AND setting = $3 AND error = ''`, name, view.Version, view.Setting)
		if err != nil {
			return err
		}
		if len(underWay) > 0 {
			number = underWay[0].number
			return nil
		}
		fresh, err := createBuild(ctx, tx, view, stateBuilding)
		if err != nil {
			return err
		}
		number = fresh.number
		return dropOld(ctx, tx, name)
	})
	if err != nil {
		return fmt.Errorf("rebuild %s: %w", name, err)
	}
	return r.awaitSwitch(ctx, name, number)
}

// Rollback goes back to the newest earlier build of this program's version: that build is
// brought up to date, and readers use it again. To go back to an earlier version, call it
// from the program of that version.
func (r *Runner) Rollback(ctx context.Context, name string) error {
	view, err := r.view(name)
	if err != nil {
		return err
	}
	var number int
	err = pgx.BeginFunc(pgpool.Within(ctx, buildMax), r.pool, func(tx pgx.Tx) error {
		if err := lockView(ctx, tx, name); err != nil {
			return err
		}
		earlier, err := queryBuilds(ctx, tx, `WHERE view = $1 AND state = 'old' AND version = $2 AND setting = $3 AND activated_at IS NOT NULL
			ORDER BY activated_at DESC LIMIT 1`, name, view.Version, view.Setting)
		if err != nil {
			return err
		}
		if len(earlier) == 0 {
			return ErrNoEarlierBuild
		}
		number = earlier[0].number
		_, err = tx.Exec(ctx, `UPDATE projections.builds SET state = 'old' WHERE view = $1 AND state = 'building'`, name)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE projections.builds SET state = 'building', error = '', failed_at = NULL WHERE view = $1 AND build = $2`, name, number)
		return err
	})
	if err != nil {
		return fmt.Errorf("roll back %s: %w", name, err)
	}
	return r.awaitSwitch(ctx, name, number)
}

// awaitSwitch returns when a build is in use, or can no longer come into use.
func (r *Runner) awaitSwitch(ctx context.Context, name string, number int) error {
	signal(r.kick)
	ticker := time.NewTicker(lastPoll)
	defer ticker.Stop()
	for {
		builds, err := queryBuilds(ctx, r.pool, `WHERE view = $1 AND build = $2`, name, number)
		switch {
		case err != nil && ctx.Err() == nil && !passing(err):
			return err
		case err != nil:
		case len(builds) == 0 || builds[0].state == stateOld:
			return &FailedError{View: name, Build: number, Reason: "another build took its place"}
		case builds[0].failure != "":
			return &FailedError{View: name, Build: number, Reason: builds[0].failure}
		case builds[0].state == stateActive:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("build %d of view %s is under way: %w", number, name, ctx.Err())
		case <-ticker.C:
		}
	}
}

// DropOld drops what is kept of a view for Rollback.
func (r *Runner) DropOld(ctx context.Context, name string) error {
	if _, err := r.view(name); err != nil {
		return err
	}
	err := pgx.BeginFunc(pgpool.Within(ctx, buildMax), r.pool, func(tx pgx.Tx) error {
		if err := lockView(ctx, tx, name); err != nil {
			return err
		}
		return dropOld(ctx, tx, name)
	})
	if err != nil {
		return fmt.Errorf("drop old builds of %s: %w", name, err)
	}
	return nil
}

func dropOld(ctx context.Context, tx pgx.Tx, name string) error {
	builds, err := queryBuilds(ctx, tx, `WHERE view = $1 AND state = 'old' FOR UPDATE`, name)
	if err != nil {
		return err
	}
	for _, b := range builds {
		if _, err := tx.Exec(ctx, `DROP SCHEMA `+quote(b.schema)+` CASCADE`); err != nil {
			return fmt.Errorf("drop build %d: %w", b.number, err)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM projections.builds WHERE view = $1 AND build = $2`, name, b.number); err != nil {
			return fmt.Errorf("drop build %d: %w", b.number, err)
		}
	}
	return nil
}

// Fingerprint is a hash of the content of a view's build, and the position at which it was
// taken. number is the build's number; 0 means the build in use. Two builds at the same
// position have the same fingerprint if their rows are the same, and otherwise (as far as
// hashes can tell) different ones.
func (r *Runner) Fingerprint(ctx context.Context, name string, number int) (content, position string, err error) {
	err = pgx.BeginTxFunc(pgpool.Within(ctx, buildMax), r.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		builds, err := queryBuilds(ctx, tx, `WHERE view = $1 AND (build = $2 OR $2 = 0 AND state = 'active')`, name, number)
		if err != nil {
			return err
		}
		if len(builds) == 0 {
			return fmt.Errorf("%w: %q, build %d", ErrUnknownView, name, number)
		}
		position = builds[0].position.String()
		rows, err := tx.Query(ctx, `SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = $1 ORDER BY tablename`, builds[0].schema)
		if err != nil {
			return err
		}
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		var sums strings.Builder
		for _, table := range tables {
			var sum string
			err := tx.QueryRow(ctx, `SELECT count(*) || ':' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM `+quote(builds[0].schema, table)+` t`).Scan(&sum)
			if err != nil {
				return err
			}
			sums.WriteString(table + "=" + sum + " ")
		}
		content = strings.TrimSpace(sums.String())
		return nil
	})
	if err != nil {
		return "", "", fmt.Errorf("fingerprint of %s: %w", name, err)
	}
	return content, position, nil
}
