package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"daybook/eventstore"
	"daybook/internal/pgpool"
)

// The states of a build.
const (
	stateBuilding = "building"
	stateActive   = "active"
	stateOld      = "old" // kept for a roll-back; no longer posted to
)

// build is one copy of a view's tables.
type build struct {
	view     string
	number   int
	version  int
	setting  string
	schema   string
	state    string
	position eventstore.Position
	anchor   eventstore.Anchor // the latest event known at or before position
	epoch    int64
	indexed  bool
	failure  string
	reached  bool // was at the head of the log once
	ready    bool // has caught up once and has its indexes; not stored
}

const selectBuild = `SELECT view, build, version, setting, schema_name, state, position, anchor, epoch, indexed, error, reached_head_at IS NOT NULL FROM projections.builds `

func scanBuild(row pgx.CollectableRow) (build, error) {
	var b build
	var position, anchor string
	err := row.Scan(&b.view, &b.number, &b.version, &b.setting, &b.schema, &b.state, &position, &anchor, &b.epoch, &b.indexed, &b.failure, &b.reached)
	if err != nil {
		return b, err
	}
	if b.position, err = eventstore.ParsePosition(position); err != nil {
		return b, err
	}
	b.anchor, err = eventstore.ParseAnchor(anchor)
	return b, err
}

func queryBuilds(ctx context.Context, db querier, where string, args ...any) ([]build, error) {
	rows, err := db.Query(ctx, selectBuild+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read builds: %w", err)
	}
	builds, err := pgx.CollectRows(rows, scanBuild)
	if err != nil {
		return nil, fmt.Errorf("read builds: %w", err)
	}
	return builds, nil
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func (r *Runner) loadBuild(ctx context.Context, view string, number int) (build, error) {
	builds, err := queryBuilds(ctx, r.pool, `WHERE view = $1 AND build = $2`, view, number)
	if err != nil {
		return build{}, err
	}
	if len(builds) == 0 || builds[0].state == stateOld {
		return build{}, errLost
	}
	return builds[0], nil
}

// lockView gives the transaction the sole right to change which builds a view has.
func lockView(ctx context.Context, tx pgx.Tx, view string) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('projections.view'), hashtext($1))`, view)
	if err != nil {
		return fmt.Errorf("lock view %s: %w", view, err)
	}
	return nil
}

// Prepare makes sure that each view can be queried. A view that the database does not have
// gets its tables, empty, at once. A view with a changed version gets a second build beside
// the one in use. Run calls Prepare, too. Call it before Run if queries may come before.
func (r *Runner) Prepare(ctx context.Context) error {
	for _, view := range r.views {
		err := pgx.BeginFunc(pgpool.Within(ctx, buildMax), r.pool, func(tx pgx.Tx) error { return prepare(ctx, tx, view) })
		if err != nil {
			return fmt.Errorf("prepare view %s: %w", view.Name, err)
		}
	}
	return nil
}

func prepare(ctx context.Context, tx pgx.Tx, view View) error {
	if err := lockView(ctx, tx, view.Name); err != nil {
		return err
	}
	builds, err := queryBuilds(ctx, tx, `WHERE view = $1 ORDER BY build`, view.Name)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(builds, func(b build) bool { return b.state == stateActive })
	if at < 0 {
		return createInUse(ctx, tx, view, "")
	}
	active := builds[at]
	if view.matches(active) || active.version > view.Version {
		return nil // a newer program's build is in use; use Rollback to go back
	}
	if slices.ContainsFunc(builds, func(b build) bool { return b.state == stateBuilding && view.matches(b) }) {
		return nil
	}
	_, err = createBuild(ctx, tx, view, stateBuilding)
	return err
}

// createInUse makes an empty build and takes it into use. replaced is the schema of the build that
// was in use before, or "" if there was none.
func createInUse(ctx context.Context, tx pgx.Tx, view View, replaced string) error {
	first, err := createBuild(ctx, tx, view, stateActive)
	if err != nil {
		return err
	}
	if err := execIn(ctx, tx, first.schema, view.Indexes); err != nil {
		return fmt.Errorf("create indexes: %w", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE projections.builds SET indexed = true WHERE view = $1 AND build = $2`, view.Name, first.number); err != nil {
		return fmt.Errorf("create build: %w", err)
	}
	return publish(ctx, tx, first.schema, replaced)
}

// matches tells whether a build has the view's present shape.
func (v View) matches(b build) bool { return b.version == v.Version && b.setting == v.Setting }

// createBuild makes a build's schema and tables. An unfinished build of the view is dropped.
func createBuild(ctx context.Context, tx pgx.Tx, view View, state string) (build, error) {
	_, err := tx.Exec(ctx, `UPDATE projections.builds SET state = 'old' WHERE view = $1 AND state = 'building'`, view.Name)
	if err != nil {
		return build{}, fmt.Errorf("give up build: %w", err)
	}
	b := build{view: view.Name, version: view.Version, setting: view.Setting, state: state}
	err = tx.QueryRow(ctx, `SELECT coalesce(max(build), 0) + 1 FROM projections.builds WHERE view = $1`, view.Name).Scan(&b.number)
	if err != nil {
		return b, fmt.Errorf("number build: %w", err)
	}
	b.schema = "view_" + view.Name + "_v" + strconv.Itoa(view.Version) + "_b" + strconv.Itoa(b.number)
	_, err = tx.Exec(ctx, `INSERT INTO projections.builds (view, build, version, setting, schema_name, state, activated_at)
		VALUES ($1, $2, $3, $4, $5, $6, CASE $6 WHEN 'active' THEN clock_timestamp() END)`, b.view, b.number, b.version, b.setting, b.schema, b.state)
	if err != nil {
		return b, fmt.Errorf("register build: %w", err)
	}
	if _, err := tx.Exec(ctx, `CREATE SCHEMA `+quote(b.schema)); err != nil {
		return b, fmt.Errorf("create schema of build: %w", err)
	}
	if err := execIn(ctx, tx, b.schema, view.Tables); err != nil {
		return b, fmt.Errorf("create tables: %w", err)
	}
	if _, err := tx.Exec(ctx, compressFast); err != nil {
		return b, fmt.Errorf("set compression: %w", err)
	}
	return b, nil
}

// compressFast makes the tables compress long values with lz4, if the server was built with
// it. The default method takes several times as long.
const compressFast = `DO $$ DECLARE c record; BEGIN
	IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
		FOR c IN SELECT table_name, column_name FROM information_schema.columns
			WHERE table_schema = current_schema() AND data_type IN ('json', 'jsonb')
		LOOP
			EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET COMPRESSION lz4', c.table_name, c.column_name);
		END LOOP;
	END IF;
END $$`

func quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// execIn runs a script of statements inside a build's schema.
func execIn(ctx context.Context, tx pgx.Tx, schema, script string) error {
	if _, err := tx.Exec(ctx, `SELECT set_config('search_path', $1, true)`, schema); err != nil {
		return err
	}
	if script == "" {
		return nil
	}
	_, err := tx.Exec(ctx, script, pgx.QueryExecModeSimpleProtocol)
	return err
}

// relations lists what a build publishes.
func relations(ctx context.Context, tx pgx.Tx, schema string) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind IN ('r', 'v') AND c.relname NOT LIKE '\_%' ORDER BY c.relname`, schema)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// publish makes read.* show the build with a schema. replaced is as for createInUse.
func publish(ctx context.Context, tx pgx.Tx, schema, replaced string) error {
	names, err := relations(ctx, tx, schema)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	before, err := relations(ctx, tx, replaced)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	for _, name := range before {
		if slices.Contains(names, name) {
			continue
		}
		if _, err := tx.Exec(ctx, `DROP VIEW IF EXISTS `+quote("read", name)); err != nil {
			return fmt.Errorf("withdraw %s: %w", name, err)
		}
	}
	for _, name := range names {
		if err := show(ctx, tx, name, schema); err != nil {
			return fmt.Errorf("publish %s: %w", name, err)
		}
	}
	return nil
}

// show points the SQL view read.<name> at a build. It replaces the SQL view in place, so what users
// have built on it stays. Only if the columns differ, show must drop the SQL view first.
func show(ctx context.Context, tx pgx.Tx, name, schema string) error {
	body := quote("read", name) + ` AS SELECT * FROM ` + quote(schema, name)
	err := pgx.BeginFunc(ctx, tx, func(try pgx.Tx) error {
		_, err := try.Exec(ctx, `CREATE OR REPLACE VIEW `+body)
		return err
	})
	pgErr, refused := errors.AsType[*pgconn.PgError](err)
	if !refused || pgErr.Code != "42P16" { // invalid_table_definition: other columns
		return err
	}
	_, err = tx.Exec(ctx, `DROP VIEW `+quote("read", name)+`; CREATE VIEW `+body, pgx.QueryExecModeSimpleProtocol)
	return err
}

// index makes the indexes that only readers need, after the load.
func (w *worker) index(ctx context.Context) error {
	err := pgx.BeginFunc(pgpool.Within(ctx, buildMax), w.pool, func(tx pgx.Tx) error {
		if err := execIn(ctx, tx, w.build.schema, w.view.Indexes); err != nil {
			return err
		}
		done, err := tx.Exec(ctx, `UPDATE projections.builds SET indexed = true
			WHERE view = $1 AND build = $2 AND epoch = $3 AND state <> 'old'`, w.view.Name, w.build.number, w.epoch)
		if err == nil && done.RowsAffected() == 0 {
			return errLost
		}
		return err
	})
	switch {
	case err == nil:
		w.build.indexed = true
		return nil
	case errors.Is(err, errLost) || passing(err) || ctx.Err() != nil:
		return fmt.Errorf("index build: %w", err)
	}
	return &viewError{fmt.Errorf("index build: %w", err)}
}

// activate takes the build into use if it has posted at least as far as the build that it
// replaces. So no reader ever sees an older state again.
func (w *worker) activate(ctx context.Context) (bool, error) {
	switched := false
	err := pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		switched = false
		if err := lockView(ctx, tx, w.view.Name); err != nil {
			return err
		}
		// The lock on the row of the build in use waits for its current batch, and stops the
		// next one.
		builds, err := queryBuilds(ctx, tx, `WHERE view = $1 AND state <> 'old' ORDER BY build FOR UPDATE`, w.view.Name)
		if err != nil {
			return err
		}
		var mine, active build
		for _, b := range builds {
			if b.number == w.build.number {
				mine = b
			} else if b.state == stateActive {
				active = b
			}
		}
		if mine.number == 0 || mine.epoch != w.epoch || mine.position != w.build.position {
			return errLost
		}
		if mine.position.Before(active.position) {
			return nil
		}
		if err := publish(ctx, tx, mine.schema, active.schema); err != nil {
			return err
		}
		switched = true
		return setActive(ctx, tx, w.view.Name, mine.number)
	})
	if err != nil {
		return false, fmt.Errorf("switch build: %w", err)
	}
	return switched, nil
}

func setActive(ctx context.Context, tx pgx.Tx, view string, number int) error {
	_, err := tx.Exec(ctx, `UPDATE projections.builds SET state = 'old' WHERE view = $1 AND state = 'active'`, view)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE projections.builds SET state = 'active', activated_at = clock_timestamp(),
			reached_head_at = coalesce(reached_head_at, clock_timestamp())
		WHERE view = $1 AND build = $2`, view, number)
	return err
}
