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

// models are the read models of one database at one moment.
type models struct {
	tx      pgx.Tx
	waiting []*model // not compared yet, by where they stand
	posted  *Check   // how far they are
	parked  *Check   // what the command side could not finish
	rows    []*Check
}

// model is the build of a view that is in use.
type model struct {
	view     projections.View
	schema   string
	position eventstore.Position
	behind   int64 // events of the log that it has not posted, and should have
	compared bool
}

// comparers compare the tables of each view with the fold.
var comparers = map[string]func(context.Context, *Book, source) ([]*Check, error){
	"orders":   compareOrders,
	"stock":    compareStock,
	"carts":    compareCarts,
	"products": compareProducts,
	"sales":    compareSales,
}

// openModels finds the builds in use. It begins what the transaction sees.
func openModels(ctx context.Context, tx pgx.Tx, views []projections.View) (*models, error) {
	m := &models{tx: tx, posted: &Check{Name: "views: each is in use and has posted the log"}}
	if err := m.readParked(ctx); err != nil {
		return nil, fmt.Errorf("read parked work: %w", err)
	}
	rows, err := tx.Query(ctx, `SELECT view, schema_name, version, setting, position, error FROM projections.builds WHERE state = 'active'`)
	if err != nil {
		return nil, fmt.Errorf("read builds: %w", err)
	}
	builds := map[string]projection{}
	var b projection
	_, err = pgx.ForEachRow(rows, []any{&b.view, &b.schema, &b.version, &b.setting, &b.position, &b.failure}, func() error {
		builds[b.view] = b
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read builds: %w", err)
	}
	for _, view := range views {
		if comparers[view.Name] == nil {
			return nil, fmt.Errorf("nothing is known of view %s", view.Name)
		}
		m.posted.Examined++
		b, used := builds[view.Name]
		switch {
		case !used:
			m.posted.differ("view %s: no build of it is in use", view.Name)
			continue
		case b.version != view.Version || b.setting != view.Setting:
			m.posted.differ("view %s was made by version %d with %q; this program's is version %d with %q", view.Name, b.version, b.setting, view.Version, view.Setting)
			continue
		case b.failure != "":
			m.posted.differ("view %s stopped at position %s: %s", view.Name, b.position, b.failure)
		}
		position, err := eventstore.ParsePosition(b.position)
		if err != nil {
			m.posted.differ("view %s: its checkpoint cannot be read: %v", view.Name, err)
			continue
		}
		m.waiting = append(m.waiting, &model{view: view, schema: b.schema, position: position})
	}
	slices.SortStableFunc(m.waiting, func(x, y *model) int { return x.position.Compare(y.position) })
	return m, nil
}

// projection is a row of projections.builds.
type projection struct {
	view, schema, setting, position, failure string
	version                                  int
}

// comeTo compares the models that stand before an event: the book holds what
// they do.
func (m *models) comeTo(ctx context.Context, b *Book, e *event, upTo eventstore.Position) error {
	if m == nil {
		return nil
	}
	for _, waiting := range m.waiting {
		if !waiting.position.Before(e.Position) {
			return nil // and so do the others
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

// finish compares the models that stand at the end of the log.
func (m *models) finish(ctx context.Context, b *Book, head eventstore.Position) error {
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
			m.posted.differ("view %s is at position %s, and the log ends at %s: it was made from another log", waiting.view.Name, waiting.position, head)
		}
	}
	return nil
}

// compare compares a model, once. Facts that no program of ours can have written
// may be more than a fold's questions can bear: that is a difference, not a crash.
func (m *models) compare(ctx context.Context, b *Book, waiting *model) (err error) {
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
	// In a part of the transaction of its own, because what fails would fail all
	// that comes after it.
	err = pgx.BeginFunc(ctx, m.tx, func(part pgx.Tx) (err error) {
		checks, err = comparers[waiting.view.Name](ctx, b, source{tx: part, schema: waiting.schema})
		return err
	})
	switch refusal, refused := errors.AsType[*pgconn.PgError](err); {
	case err == nil:
		m.rows = append(m.rows, checks...)
		return nil
	case refused && ctx.Err() == nil: // a table that is not there or not as it should be
		m.posted.differ("view %s cannot be compared: %v", waiting.view.Name, refusal)
		return nil
	}
	return fmt.Errorf("view %s: %w", waiting.view.Name, err)
}

// readParked tells what the command side could not finish. A database that it has
// never used has no table of that.
func (m *models) readParked(ctx context.Context) error {
	var there bool
	if err := m.tx.QueryRow(ctx, `SELECT to_regclass('commands.parked') IS NOT NULL`).Scan(&there); err != nil || !there {
		return err
	}
	// A database of an older program has no column dismissed_at.
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

func (m *models) parkedChecks() []*Check {
	if m == nil || m.parked == nil {
		return nil
	}
	return []*Check{m.parked}
}

func (m *models) checks() []*Check {
	if m == nil {
		return nil
	}
	slices.SortFunc(m.rows, func(x, y *Check) int { return cmp.Compare(x.Name, y.Name) })
	return append([]*Check{m.posted}, m.rows...)
}
