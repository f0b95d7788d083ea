// Package verify compares what the log says with everything that is computed from it.
// It folds every stream again. It checks each aggregate by itself: for example, an order's
// total is the sum of its lines. It checks aggregates against each other: for example, each
// allocation of stock belongs to an order. And it compares every row of the read models with
// the fold. It only reads, and it reports what it finds; it repairs nothing.
//
// The quantities and amounts are added up here by separate code. Verify uses neither the sums
// of the domain's folds nor those of the views, because then a mistake in them would also be
// in what they are compared with.
//
// The files are named after what they do: checkcarts.go has the check that compares carts with
// orders, and stocktables.go compares the tables of stock with the fold.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore"
	"daybook/internal/pgpool"
	"daybook/projections"
)

// Check is one thing that was verified.
type Check struct {
	Name     string `json:"name"`
	Examined int64  `json:"examined"`
	// Differences counts what was wrong. First describes the first maxFirst of them.
	Differences int64    `json:"differences"`
	First       []string `json:"first,omitempty"`
}

// maxFirst is how many differences of a check are described. The others are only counted.
const maxFirst = 10

func (c *Check) differ(format string, args ...any) {
	c.Differences++
	if len(c.First) < maxFirst {
		c.First = append(c.First, eventstore.Visible(fmt.Sprintf(format, args...)))
	}
}

// expect counts one thing as examined. If got is not want, it also counts a difference.
func expect[T comparable](c *Check, got, want T, what string, args ...any) {
	c.Examined++
	if got != want {
		c.differ("%s: %v, want %v", fmt.Sprintf(what, args...), got, want)
	}
}

// sorted returns the keys of a map in order. The order makes Check.First the same in each run.
func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// Report is the outcome of a verification.
type Report struct {
	Position    eventstore.Position `json:"position"`         // the log was verified up to this position
	Events      int64               `json:"events"`           // in the shop's streams
	Streams     int                 `json:"streams"`          // the shop's
	Others      *Others             `json:"others,omitempty"` // streams of other programs, which were not verified
	Actors      *Actors             `json:"actors,omitempty"` // nil: no event is about keys or roles, so no actor was authenticated for certain
	Checks      []*Check            `json:"checks"`
	Differences int64               `json:"differences"`
	Seconds     float64             `json:"seconds"`
}

func (r *Report) add(checks ...*Check) {
	for _, c := range checks {
		r.Checks = append(r.Checks, c)
		r.Differences += c.Differences
	}
}

// Config says what is verified.
type Config struct {
	Store eventstore.Store
	// Now is the time that deadlines are compared with.
	Now time.Time
	// Grace is how long a checkout, an order or a return may wait for its next step. Work
	// that has waited longer is a difference. Grace is zero if no node runs, because then
	// nothing can still be in progress.
	Grace time.Duration

	// Pool is the database of the read models. If it is nil, only the log is verified.
	// Views are the views that are compared. Shop is the setting of the sales view.
	Pool  *pgxpool.Pool
	Views []projections.View
	Shop  Shop
	// UpTo is the position that every view must have reached. eventstore.Start stands for
	// the log's head. The views of a running node are always a little behind the head, so
	// for such a node the caller gives an earlier position.
	UpTo eventstore.Position

	// Against is the path of an Online Retail file. The documents that imports recorded must
	// be exactly the invoices of this file. If it is empty, no file is compared.
	Against string

	// Progress may be nil. It is called after every 10,000 events with the position that was
	// folded last. The fold waits for it, so it must return quickly.
	Progress func(at, of eventstore.Position, events int64)
}

// Run verifies the log and, if cfg has a pool, the read models.
//
// A node may write at the same time. So all read models are read in one transaction, which
// sees them as they were at one moment. Each is compared with the fold at its own checkpoint.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	if cfg.Pool == nil {
		_, report, err = runOnLog(ctx, cfg, nil)
	} else {
		report, err = runWithReadModels(ctx, cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return report, nil
}

// transactionMax is how long the transaction that reads the read models may be open. It is
// long because the transaction is open while the whole log is folded.
const transactionMax = 6 * time.Hour

// runWithReadModels verifies the log, and the read models as they are at one moment.
func runWithReadModels(ctx context.Context, cfg Config) (report *Report, err error) {
	err = pgx.BeginTxFunc(pgpool.Within(ctx, transactionMax), cfg.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		models, err := openReadModels(ctx, tx, cfg.Views)
		if err != nil {
			return err
		}
		_, report, err = runOnLog(ctx, cfg, models)
		return err
	})
	return report, err
}

// Log verifies only the log, up to its present head. It also returns what the log folds to.
func Log(ctx context.Context, store eventstore.Store, now time.Time, progress func(events int64)) (*Book, *Report, error) {
	cfg := Config{Store: store, Now: now}
	if progress != nil {
		cfg.Progress = func(_, _ eventstore.Position, events int64) { progress(events) }
	}
	book, report, err := runOnLog(ctx, cfg, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("verify: %w", err)
	}
	return book, report, nil
}

// progressEvery is how many events are folded between two calls of Config.Progress.
const progressEvery = 10_000

// runOnLog folds the log. It compares each read model when the fold reaches the model's
// checkpoint.
func runOnLog(ctx context.Context, cfg Config, m *readModels) (*Book, *Report, error) {
	head, err := cfg.Store.Head(ctx) // read after the models were opened, so no model can be ahead of it
	if err != nil {
		return nil, nil, err
	}
	if cfg.UpTo.IsStart() {
		cfg.UpTo = head
	}
	book := newBook(cfg.Now, cfg.Grace, cfg.Shop)
	cut, err := book.fold(ctx, cfg, m, head)
	if err != nil {
		return nil, nil, err
	}
	report := &Report{Position: book.Position, Events: book.events, Streams: len(book.streams) + len(book.unreadable), Others: book.others.summary(), Actors: book.actors}
	if cut != nil {
		// Only a part of the log was folded. So the checks of how orders, carts and returns
		// end are left out, because they would report work that the rest of the log finishes.
		report.add(cut)
		report.add(book.eventChecks()...)
		report.add(m.checks()...)
		report.add(m.parkedChecks()...)
		return book, report, nil
	}
	report.add(book.checks()...)
	report.add(m.checks()...)
	report.add(m.parkedChecks()...)
	if m != nil && m.parked != nil { // the tables of the command side are there
		erased, err := book.checkErased(ctx, cfg.Pool)
		if err != nil {
			return nil, nil, err
		}
		report.add(erased)
	}
	if cfg.Against != "" {
		checks, err := book.Against(cfg.Against)
		if err != nil {
			return nil, nil, err
		}
		report.add(checks...)
	}
	return book, report, nil
}

// Unavailable tells whether an error means only that the log could not be read: the log is
// away, it does not let this program in, or the guard refuses it because it has diverged. Such
// an error says nothing about what is in the log, so it is not a difference.
func Unavailable(err error) bool {
	_, unavailable := errors.AsType[*eventstore.UnavailableError](err)
	_, denied := errors.AsType[*eventstore.DeniedError](err)
	_, diverged := errors.AsType[*eventstore.DivergedError](err)
	return unavailable || denied || diverged
}

// fold folds the log up to its head. If the log cannot be read to its head, cut is the check
// that says why, and the book has what comes before that place.
func (b *Book) fold(ctx context.Context, cfg Config, m *readModels, head eventstore.Position) (cut *Check, err error) {
	for e, err := range decoded(ctx, cfg.Store) {
		if err != nil && (ctx.Err() != nil || Unavailable(err)) {
			return nil, err
		}
		if err != nil {
			cut = &Check{Name: "log: it can be read to its end", Examined: b.eventsRead}
			cut.differ("it cannot be read beyond position %s, and ends at %s: %v", b.Position, head, err)
			return cut, nil
		}
		if head.Before(e.Position) {
			break // it was written after the verification began
		}
		if err := m.compareUpTo(ctx, b, e, cfg.UpTo); err != nil {
			return nil, err
		}
		b.foldEvent(e)
		b.Position = e.Position
		if cfg.Progress != nil && b.eventsRead%progressEvery == 0 {
			cfg.Progress(e.Position, head, b.eventsRead)
		}
	}
	b.Position = head
	return nil, m.finish(ctx, b, head)
}
