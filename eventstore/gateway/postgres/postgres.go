// Package postgres stores in PostgreSQL what the gateway must not forget: how far groups of
// consumers have come, and what they have parked. It also lets the nodes that share a
// database agree on the node that serves the groups.
//
// It contains neither the log nor the rules of groups.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore"
	"daybook/eventstore/gateway/groups"
)

// fenced begins each statement that writes. If fence has no row, another node leads, and
// nothing is written. The lock makes that other node wait, so what it reads at its start is
// complete.
const fenced = `WITH fence AS MATERIALIZED (SELECT epoch FROM gateway.lease WHERE epoch = $1 FOR SHARE) `

const (
	groupsSQL = `SELECT source, name, filter, settings, checkpoint_commit, checkpoint_prepare
		FROM gateway.groups ORDER BY source, name`

	putSQL = fenced + `, put AS (
		INSERT INTO gateway.groups AS g (source, name, filter, settings, checkpoint_commit, checkpoint_prepare)
		SELECT $2, $3, $4, $5, $6, $7 FROM fence
		ON CONFLICT (source, name) DO UPDATE SET filter = excluded.filter, settings = excluded.settings,
			checkpoint_commit = coalesce(excluded.checkpoint_commit, g.checkpoint_commit),
			checkpoint_prepare = coalesce(excluded.checkpoint_prepare, g.checkpoint_prepare)
		RETURNING group_id)
		SELECT (SELECT count(*) FROM fence), (SELECT count(*) FROM put)`

	deleteSQL = fenced + `, gone AS (
		DELETE FROM gateway.groups USING fence WHERE source = $2 AND name = $3 RETURNING group_id)
		SELECT (SELECT count(*) FROM fence), (SELECT count(*) FROM gone)`

	// Parked events get their numbers in the order in which they are given.
	saveSQL = fenced + `, changed AS (
		UPDATE gateway.groups SET
			checkpoint_commit = coalesce($4, checkpoint_commit), checkpoint_prepare = coalesce($5, checkpoint_prepare),
			next_number = next_number + cardinality($6::bigint[]),
			anchor = coalesce(nullif($11, ''), anchor)
		FROM fence WHERE source = $2 AND name = $3
		RETURNING group_id, next_number - cardinality($6::bigint[]) AS first),
	unparked AS (
		DELETE FROM gateway.parked p USING changed c WHERE p.group_id = c.group_id AND p.number = ANY ($10::bigint[])),
	parked AS (
		INSERT INTO gateway.parked (group_id, number, place_commit, place_prepare, event_id, reason)
		SELECT c.group_id, c.first + e.n - 1, e.place_commit, e.place_prepare, e.event_id, e.reason
		FROM changed c, unnest($6::bigint[], $7::bigint[], $8::uuid[], $9::text[])
			WITH ORDINALITY AS e(place_commit, place_prepare, event_id, reason, n)
		ON CONFLICT (group_id, place_commit, place_prepare) DO UPDATE SET number = excluded.number,
			reason = excluded.reason, parked_at = excluded.parked_at, replaying = false)
	SELECT (SELECT count(*) FROM fence), (SELECT count(*) FROM changed)`

	replaySQL = fenced + `, of AS (
		SELECT group_id FROM gateway.groups WHERE source = $2 AND name = $3),
	marked AS (
		UPDATE gateway.parked p SET replaying = true FROM of, fence
		WHERE p.group_id = of.group_id AND p.number < $4 AND NOT p.replaying)
	SELECT (SELECT count(*) FROM fence), (SELECT count(*) FROM of)`

	ofGroupSQL = `WHERE group_id = (SELECT group_id FROM gateway.groups WHERE source = $1 AND name = $2) `

	replayingSQL = `SELECT number, place_commit, place_prepare, event_id, reason FROM gateway.parked ` + ofGroupSQL +
		`AND replaying AND number > $3 ORDER BY number LIMIT $4`

	parkedAfterSQL = `SELECT place_commit, place_prepare FROM gateway.parked ` + ofGroupSQL +
		`AND (place_commit, place_prepare) > ($3, $4) ORDER BY place_commit, place_prepare LIMIT $5`

	countParkedSQL = `SELECT count(*) FROM gateway.parked ` + ofGroupSQL + `AND NOT replaying`
)

// durations makes JSON hold durations as text, such as "1.5s".
var durations = json.JoinOptions(
	json.WithMarshalers(json.MarshalFunc(func(d time.Duration) ([]byte, error) { return json.Marshal(d.String()) })),
	json.WithUnmarshalers(json.UnmarshalFunc(func(value []byte, d *time.Duration) (err error) {
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return err
		}
		*d, err = time.ParseDuration(text)
		return err
	})),
)

// Store holds the state of groups.
type Store struct{ pool *pgxpool.Pool }

var _ groups.Store = (*Store)(nil)

// Open makes a store on a database that Migrate has prepared. The caller owns the pool.
func Open(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// Groups implements groups.Store.
func (s *Store) Groups(ctx context.Context) ([]groups.Group, error) {
	rows, _ := s.pool.Query(ctx, groupsSQL) // its error is CollectRows'
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (g groups.Group, err error) {
		var filter, settings []byte
		var commit, prepare *int64
		if err := row.Scan(&g.Source, &g.Name, &filter, &settings, &commit, &prepare); err != nil {
			return g, err
		}
		if commit != nil && prepare != nil {
			place := placeAt(*commit, *prepare)
			g.Checkpoint = &place
		}
		return g, errors.Join(json.Unmarshal(filter, &g.Filter), json.Unmarshal(settings, &g.Settings, durations))
	})
	if err != nil {
		return nil, fmt.Errorf("read the groups: %w", err)
	}
	return all, nil
}

func placeAt(commit, prepare int64) groups.Place {
	return eventstore.AtPair(uint64(commit), uint64(prepare))
}

// numbers are the two numbers of a place; nil for no place.
func numbers(at *groups.Place) (commit, prepare *int64) {
	if at == nil {
		return nil, nil
	}
	c, p := at.Pair()
	return new(int64(c)), new(int64(p))
}

// Put implements groups.Store.
func (s *Store) Put(ctx context.Context, epoch int64, g groups.Group) error {
	filter, err := json.Marshal(g.Filter)
	if err != nil {
		return fmt.Errorf("group %s: filter: %w", g.Key, err)
	}
	settings, err := json.Marshal(g.Settings, durations)
	if err != nil {
		return fmt.Errorf("group %s: settings: %w", g.Key, err)
	}
	commit, prepare := numbers(g.Checkpoint)
	return s.write(ctx, "put", g.Key, putSQL, epoch, g.Source, g.Name, filter, settings, commit, prepare)
}

// Delete implements groups.Store.
func (s *Store) Delete(ctx context.Context, epoch int64, key groups.Key) error {
	return s.write(ctx, "delete", key, deleteSQL, epoch, key.Source, key.Name)
}

// Save implements groups.Store.
func (s *Store) Save(ctx context.Context, epoch int64, key groups.Key, changes groups.Changes) error {
	count := len(changes.Park)
	commits, prepares := make([]int64, count), make([]int64, count)
	ids, reasons := make([]uuid.UUID, count), make([]string, count)
	for i, p := range changes.Park {
		commit, prepare := p.Place.Pair()
		commits[i], prepares[i], ids[i], reasons[i] = int64(commit), int64(prepare), p.ID, storable(p.Reason)
	}
	unpark := changes.Unpark
	if unpark == nil {
		unpark = []int64{}
	}
	commit, prepare := numbers(changes.Checkpoint)
	return s.write(ctx, "save", key, saveSQL, epoch, key.Source, key.Name, commit, prepare, commits, prepares, ids, reasons, unpark, changes.Seen.String())
}

// Replay implements groups.Store.
func (s *Store) Replay(ctx context.Context, epoch int64, key groups.Key, stopAt int64) error {
	return s.write(ctx, "replay", key, replaySQL, epoch, key.Source, key.Name, stopAt)
}

// write runs a statement that reports whether the fence had a row, and whether there is such
// a group.
func (s *Store) write(ctx context.Context, what string, key groups.Key, sql string, arguments ...any) error {
	var leads, found int
	err := s.pool.QueryRow(ctx, sql, arguments...).Scan(&leads, &found)
	switch {
	case err != nil:
		return fmt.Errorf("%s group %s: %w", what, key, err)
	case leads == 0:
		return fmt.Errorf("%s group %s: %w", what, key, groups.ErrFenced)
	case found == 0:
		return &groups.NotFoundError{Key: key}
	}
	return nil
}

// Replaying implements groups.Store.
func (s *Store) Replaying(ctx context.Context, key groups.Key, after int64, limit int) ([]groups.Parked, error) {
	rows, _ := s.pool.Query(ctx, replayingSQL, key.Source, key.Name, after, limit) // its error is CollectRows'
	parked, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p groups.Parked, err error) {
		var commit, prepare int64
		err = row.Scan(&p.Number, &commit, &prepare, &p.ID, &p.Reason)
		p.Place = placeAt(commit, prepare)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what group %s replays: %w", key, err)
	}
	return parked, nil
}

// ParkedAfter implements groups.Store.
func (s *Store) ParkedAfter(ctx context.Context, key groups.Key, after groups.Place, limit int) ([]groups.Place, error) {
	commit, prepare := numbers(&after)
	rows, _ := s.pool.Query(ctx, parkedAfterSQL, key.Source, key.Name, commit, prepare, limit) // its error is CollectRows'
	places, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (groups.Place, error) {
		var commit, prepare int64
		err := row.Scan(&commit, &prepare)
		return placeAt(commit, prepare), err
	})
	if err != nil {
		return nil, fmt.Errorf("read what group %s has parked: %w", key, err)
	}
	return places, nil
}

// CountParked implements groups.Store.
func (s *Store) CountParked(ctx context.Context, key groups.Key) (count int64, err error) {
	if err := s.pool.QueryRow(ctx, countParkedSQL, key.Source, key.Name).Scan(&count); err != nil {
		return 0, fmt.Errorf("count what group %s has parked: %w", key, err)
	}
	return count, nil
}

// storable makes a consumer's text fit into a column, which takes only valid UTF-8 without
// zero bytes.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
}

// KeptPlaces returns the groups' places in the log. For a group on a stream it is the
// position of the latest event that the group has read.
func KeptPlaces(ctx context.Context, pool *pgxpool.Pool) ([]eventstore.Place, error) {
	rows, _ := pool.Query(ctx, `SELECT source, name, checkpoint_commit, checkpoint_prepare, anchor
		FROM gateway.groups ORDER BY source, name`) // its error is CollectRows'
	places, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p eventstore.Place, err error) {
		var key groups.Key
		var commit, prepare *int64
		var anchor string
		if err := row.Scan(&key.Source, &key.Name, &commit, &prepare, &anchor); err != nil {
			return p, err
		}
		p.Keeper = "the group " + eventstore.Visible(key.String())
		if p.Anchor, err = eventstore.ParseAnchor(anchor); err != nil {
			return p, err
		}
		if p.At = p.Anchor.Position; key.OnAll() && commit != nil && prepare != nil {
			p.At = placeAt(*commit, *prepare)
		}
		return p, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read where groups stand: %w", err)
	}
	return places, nil
}
