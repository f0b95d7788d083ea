package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"daybook/eventstore"
	"daybook/projections"
)

// readModels are the read models of one database, as one transaction sees them.
type readModels struct {
	tx      pgx.Tx
	waiting []*activeBuild // in the order of their checkpoints
	posted  *Check         // whether each view has read the log
	parked  *Check         // work that the reactor could not finish
	rows    []*Check
}

// activeBuild is the active build of a view.
type activeBuild struct {
	view     projections.View
	schema   string
	position eventstore.Position
	behind   int64 // how many events up to Config.UpTo it has not read
	compared bool
}

// comparers compare the tables of each view with the fold.
var comparers = map[string]func(context.Context, *Book, build) ([]*Check, error){
	"orders":    compareOrders,
	"stock":     compareStock,
	"carts":     compareCarts,
	"products":  compareProducts,
	"sales":     compareSales,
	"customers": compareCustomers,
}

// openReadModels finds the active builds. It makes the first query of the transaction, so the
// transaction sees the database as it is now.
func openReadModels(ctx context.Context, tx pgx.Tx, views []projections.View) (*readModels, error) {
	m := &readModels{tx: tx, posted: &Check{Name: "views: each is in use and has read the log"}}
	if err := m.readParked(ctx); err != nil {
		return nil, fmt.Errorf("read parked work: %w", err)
	}
	rows, err := tx.Query(ctx, `SELECT view, schema_name, version, setting, position, error FROM projections.builds WHERE state = 'active'`)
	if err != nil {
		return nil, fmt.Errorf("read builds: %w", err)
	}
	builds := map[string]buildRow{}
	var b buildRow
	_, err = pgx.ForEachRow(rows, []any{&b.view, &b.schema, &b.version, &b.setting, &b.position, &b.failure}, func() error {
		builds[b.view] = b
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read builds: %w", err)
	}
	for _, view := range views {
		if comparers[view.Name] == nil {
			return nil, fmt.Errorf("view %s is unknown: verify has no code that compares its tables", view.Name)
		}
		m.posted.Examined++
		b, used := builds[view.Name]
		switch {
		case !used:
			m.posted.differ("view %s has no active build", view.Name)
			continue
		case b.version != view.Version || b.setting != view.Setting:
			m.posted.differ("view %s was built by version %d with setting %q; this program has version %d with setting %q", view.Name, b.version, b.setting, view.Version, view.Setting)
			continue
		case b.failure != "":
			m.posted.differ("view %s stopped at position %s: %s", view.Name, b.position, b.failure)
		}
		position, err := eventstore.ParsePosition(b.position)
		if err != nil {
			m.posted.differ("view %s: its checkpoint cannot be read: %v", view.Name, err)
			continue
		}
		m.waiting = append(m.waiting, &activeBuild{view: view, schema: b.schema, position: position})
	}
	slices.SortStableFunc(m.waiting, func(x, y *activeBuild) int { return x.position.Compare(y.position) })
	return m, nil
}

// buildRow is a row of projections.builds.
type buildRow struct {
	view, schema, setting, position, failure string
	version                                  int
}

// compareUpTo is called before event e is folded. It compares the models whose checkpoint is
// before e, because the book and these models have then read the same events.
func (m *readModels) compareUpTo(ctx context.Context, b *Book, e *event, upTo eventstore.Position) error {
	if m == nil {
		return nil
	}
	for _, waiting := range m.waiting {
		if !waiting.position.Before(e.Position) {
			return nil // the checkpoints of the others are not before it either
		}
		if err := m.compare(ctx, b, waiting); err != nil {
			return err
		}
		claimed := eventstore.Filter{TypePrefixes: waiting.view.Claims}
		if !upTo.Before(e.Position) && claimed.Selects(e.Type, e.Stream) {
			waiting.behind++
		}
	}
	return nil
}

// finish compares the models whose checkpoint is the end of the log.
func (m *readModels) finish(ctx context.Context, b *Book, head eventstore.Position) error {
	if m == nil {
		return nil
	}
	for _, waiting := range m.waiting {
		if err := m.compare(ctx, b, waiting); err != nil {
			return err
		}
		if waiting.behind > 0 {
			m.posted.differ("view %s is at position %s, %d events behind", waiting.view.Name, waiting.position, waiting.behind)
		}
		if head.Before(waiting.position) {
			m.posted.differ("view %s is at position %s, but the log ends at %s: it was built from another log", waiting.view.Name, waiting.position, head)
		}
	}
	return nil
}

// compare compares a model, the first time that it is called. A state that was folded from
// events that no version of Daybook can have written may make a method of the fold panic. This
// is reported as a difference, and the program goes on.
func (m *readModels) compare(ctx context.Context, b *Book, waiting *activeBuild) (err error) {
	if waiting.compared {
		return nil
	}
	waiting.compared = true
	defer func() {
		if cause := recover(); cause != nil {
			m.posted.differ("view %s cannot be compared: %v", waiting.view.Name, cause)
		}
	}()
	var checks []*Check
	// It uses a savepoint, because a query that fails would otherwise make all later queries
	// of the transaction fail.
	err = pgx.BeginFunc(ctx, m.tx, func(part pgx.Tx) (err error) {
		checks, err = comparers[waiting.view.Name](ctx, b, build{tx: part, schema: waiting.schema})
		return err
	})
	switch refusal, refused := errors.AsType[*pgconn.PgError](err); {
	case err == nil:
		m.rows = append(m.rows, checks...)
		return nil
	case refused && ctx.Err() == nil: // for example, a table or a column is missing
		m.posted.differ("view %s cannot be compared: %v", waiting.view.Name, refusal)
		return nil
	}
	return fmt.Errorf("view %s: %w", waiting.view.Name, err)
}

// readParked reads the work that is parked. A database that no command side has used has no
// table of parked work.
func (m *readModels) readParked(ctx context.Context) error {
	var there bool
	if err := m.tx.QueryRow(ctx, `SELECT to_regclass('commands.parked') IS NOT NULL`).Scan(&there); err != nil || !there {
		return err
	}
	// The query reads dismissed_at as JSON, because a database of an older version has no such
	// column.
	m.parked = &Check{Name: "processes: nothing is parked"}
	rows, err := m.tx.Query(ctx, `SELECT id::text, kind, subject, step, tries, last_tried, reason FROM commands.parked AS p
		WHERE to_jsonb(p)->>'dismissed_at' IS NULL ORDER BY first_tried, id`)
	if err != nil {
		return err
	}
	var id, kind, subject, step, reason string
	var tries int64
	var last time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &kind, &subject, &step, &tries, &last, &reason}, func() error {
		m.parked.Examined++
		m.parked.differ("%s (process %s) was tried %d times, at last %s: %s", strings.TrimSpace(kind+" "+subject+" "+step), id, tries, last.UTC().Format(time.RFC3339), reason)
		return nil
	})
	return err
}

func (m *readModels) parkedChecks() []*Check {
	if m == nil || m.parked == nil {
		return nil
	}
	return []*Check{m.parked}
}

func (m *readModels) checks() []*Check {
	if m == nil {
		return nil
	}
	slices.SortFunc(m.rows, func(x, y *Check) int { return cmp.Compare(x.Name, y.Name) })
	return append([]*Check{m.posted}, m.rows...)
}
