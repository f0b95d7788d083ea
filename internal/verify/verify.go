// Package verify proves the books: it folds every stream of the log again,
// checks what must hold of each aggregate and between them, and compares every
// read model with the fold. It changes nothing and trusts nothing but the log.
//
// Quantities and amounts are added up here by code of their own, not by the
// folds that decide or the views that show, so that a mistake in one does not
// hide in the other. Mending what is found is not its business.
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
	// Differences counts what was off; First holds the first few, in words.
	Differences int64    `json:"differences"`
	First       []string `json:"first,omitempty"`
}

// maxFirst bounds how many differences of a check are kept in words.
const maxFirst = 10

func (c *Check) differ(format string, args ...any) {
	c.Differences++
	if len(c.First) < maxFirst {
		c.First = append(c.First, eventstore.Visible(fmt.Sprintf(format, args...)))
	}
}

// expect counts one thing examined, and a difference unless got is want.
func expect[T comparable](c *Check, got, want T, what string, args ...any) {
	c.Examined++
	if got != want {
		c.differ("%s: %v, want %v", fmt.Sprintf(what, args...), got, want)
	}
}

// sorted are the keys of a map in their order, so that the first differences
// are the same ones each time.
func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// Report is the outcome of a verification.
type Report struct {
	Position    eventstore.Position `json:"position"`         // of the log, up to which it was verified
	Events      int64               `json:"events"`           // of the shop
	Streams     int                 `json:"streams"`          // of the shop
	Others      *Others             `json:"others,omitempty"` // left out
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
	// Now is the time at which deadlines are judged.
	Now time.Time
	// Grace is how long the work of a checkout, an order or a return may have
	// been under way without counting as left undone. With nothing else running
	// it is zero.
	Grace time.Duration

	// Pool is the database of the read models, Views are those to be compared,
	// and Shop is what the sales were made with. Without a pool the log alone is
	// verified.
	Pool  *pgxpool.Pool
	Views []projections.View
	Shop  Shop
	// UpTo is the position up to which every view must have posted; Start is the
	// log's head. A server at work is always a little behind its head.
	UpTo eventstore.Position

	// Against is the path of an Online Retail file. What imports recorded must be its
	// invoices, all of them and nothing else. Empty: none.
	Against string

	// Progress, where set, is told now and then how far the log is folded. It
	// must be quick.
	Progress func(at, of eventstore.Position, events int64)
}

// Run verifies.
//
// The read models are read as they stood at one moment, and each is compared
// with the fold at its own checkpoint: other programs may write meanwhile.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	if cfg.Pool == nil {
		_, report, err = run(ctx, cfg, nil)
	} else {
		report, err = runAll(ctx, cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return report, nil
}

// modelsMax bounds how long the moment of the read models is held.
const modelsMax = 6 * time.Hour

// runAll verifies the log and the read models of one moment.
func runAll(ctx context.Context, cfg Config) (report *Report, err error) {
	// The transaction is open while the whole log is folded.
	err = pgx.BeginTxFunc(pgpool.Within(ctx, modelsMax), cfg.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		models, err := openModels(ctx, tx, cfg.Views)
		if err != nil {
			return err
		}
		_, report, err = run(ctx, cfg, models)
		return err
	})
	return report, err
}

// Log verifies the log by itself, up to its present head, and returns what it
// folded to.
func Log(ctx context.Context, store eventstore.Store, now time.Time, progress func(events int64)) (*Book, *Report, error) {
	cfg := Config{Store: store, Now: now}
	if progress != nil {
		cfg.Progress = func(_, _ eventstore.Position, events int64) { progress(events) }
	}
	book, report, err := run(ctx, cfg, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("verify: %w", err)
	}
	return book, report, nil
}

// progressEvery is a number of events.
const progressEvery = 10_000

// run folds the log, and compares each read model when the fold has come to
// where the model stands.
func run(ctx context.Context, cfg Config, m *models) (*Book, *Report, error) {
	head, err := cfg.Store.Head(ctx) // after the models were opened: none can be ahead of it
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
	report := &Report{Position: book.Position, Events: book.events, Streams: len(book.streams) + len(book.strange), Others: book.others.summary()}
	if cut != nil {
		// What was folded is not the whole, so nothing can be said of how things end.
		report.add(cut)
		report.add(book.eventChecks()...)
		report.add(m.checks()...)
		report.add(m.parkedChecks()...)
		return book, report, nil
	}
	report.add(book.checks()...)
	report.add(m.checks()...)
	report.add(m.parkedChecks()...)
	if cfg.Against != "" {
		checks, err := book.Against(cfg.Against)
		if err != nil {
			return nil, nil, err
		}
		report.add(checks...)
	}
	return book, report, nil
}

// Unreached tells whether an error says only that the log could not be asked, which is
// no difference: it is away, does not let this program in, or is refused altogether.
func Unreached(err error) bool {
	_, away := errors.AsType[*eventstore.UnavailableError](err)
	_, denied := errors.AsType[*eventstore.DeniedError](err)
	_, diverged := errors.AsType[*eventstore.DivergedError](err)
	return away || denied || diverged
}

// fold reads the log up to its head. Where it cannot be read to there, cut says so
// and the book holds what comes before.
func (b *Book) fold(ctx context.Context, cfg Config, m *models, head eventstore.Position) (cut *Check, err error) {
	for e, err := range decoded(ctx, cfg.Store) {
		if err != nil && (ctx.Err() != nil || Unreached(err)) {
			return nil, err
		}
		if err != nil {
			cut = &Check{Name: "log: it can be read to its end", Examined: b.looked}
			cut.differ("it cannot be read beyond position %s, and ends at %s: %v", b.Position, head, err)
			return cut, nil
		}
		if head.Before(e.Position) {
			break // written since
		}
		if err := m.comeTo(ctx, b, e, cfg.UpTo); err != nil {
			return nil, err
		}
		b.read(e)
		b.Position = e.Position
		if cfg.Progress != nil && b.looked%progressEvery == 0 {
			cfg.Progress(e.Position, head, b.looked)
		}
	}
	b.Position = head
	return nil, m.finish(ctx, b, head)
}
