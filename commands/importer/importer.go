// Package importer takes invoices of internal/onlineretail through the same
// calls of commands.Service that the HTTP API makes: sales become carts, orders,
// payments and shipments, cancellations become returns, adjustments move stock.
//
// It holds no rules and reads no files. Every command id derives from invoice
// and step, so an import that was cut off anywhere is simply run again.
//
// The log may hold other work of the shop. An import leaves that as it is; see
// besideOthers.
package importer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"daybook/commands"
	"daybook/domain/cart"
	"daybook/eventstore"
	"daybook/internal/onlineretail"
)

// Order says which invoices may run side by side.
type Order string

const (
	// FileOrder has the result of one invoice after the other, whatever the
	// number of workers; see tickets.
	FileOrder Order = "file"
	// AnyOrder lets workers race. Which orders are refused is then chance; what
	// stock promises (never below zero) is not.
	AnyOrder Order = "any"
)

// Options say what is imported and how. They are part of an import's identity,
// but for Workers.
type Options struct {
	Opening Opening
	Kinds   []onlineretail.Kind // empty: all
	Policy  cart.Policy
	Order   Order
	Workers int
}

// Journal remembers how far an import has come. There is one import in a
// database.
type Journal interface {
	// Load returns the import that is in the database; its name is empty if
	// there is none.
	Load(ctx context.Context) (name string, done int64, counts []byte, err error)
	// Save records that the first done invoices are in, and their counts.
	Save(ctx context.Context, name string, done int64, counts []byte) error
}

// Importer takes invoices in.
type Importer struct {
	Service *commands.Service
	Store   eventstore.Store // the service's own, to count what was recorded
	Sparse  bool             // its positions have gaps, so that events are counted one by one
	Journal Journal
	Logger  *slog.Logger
	// Watch, where set, is told of every step forward. It must be quick.
	Watch func(Progress)
	// Grace is how long invoices in flight may take once ctx has ended.
	Grace time.Duration
}

// Progress is how far an import is.
type Progress struct {
	Invoices, InvoicesAll int
	// Lines are what time is proportional to: of this run, of the runs before
	// it, and of the whole file.
	Lines, LinesBefore, LinesAll int
}

// InterruptedError means ctx ended before the file did. What was done is
// recorded.
type InterruptedError struct {
	Done, All int
}

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("interrupted with %d of %d invoices in; run the same command again to continue", e.Done, e.All)
}

// OtherImportError means the database holds another import than the one asked
// for.
type OtherImportError struct {
	Held, Asked string
}

func (e *OtherImportError) Error() string {
	return fmt.Sprintf("the database holds another import (%s) than this one (%s): repeat that one with its options, or import into an empty database", e.Held, e.Asked)
}

// defaultGrace is what a stop may take in all; see Importer.Grace.
const defaultGrace = 10 * time.Second

// saveEvery is how much work a crash can cost at most: that much is done again,
// which changes nothing.
const saveEvery = time.Second

// Run imports a file, or what is missing of it.
//
// Errors: *OtherImportError, *TakenError, *InterruptedError (together with the
// summary so far), and whatever kept an invoice from being taken in, naming the
// invoice.
func (i *Importer) Run(ctx context.Context, file *onlineretail.File, options Options) (Summary, error) {
	plan, err := newPlan(file, options)
	if err != nil {
		return Summary{}, err
	}
	counts, done, fresh, err := i.begin(ctx, plan)
	if err != nil {
		return Summary{}, err
	}
	if done > len(plan.invoices) {
		return Summary{}, fmt.Errorf("the import's record says %d invoices are in, of %d in the file", done, len(plan.invoices))
	}
	i.Logger.InfoContext(ctx, "import begins", "import", plan.name, "invoices", len(plan.invoices), "done", done)
	r := newRun(i, plan, counts, done, fresh)
	if done < len(plan.invoices) {
		if err := r.work(ctx); err != nil {
			return newSummary(file, plan, r.counts, done), err
		}
	}
	if !r.counts.Complete {
		if err := r.complete(context.WithoutCancel(ctx)); err != nil { // it takes a moment, and all is in
			return newSummary(file, plan, r.counts, done), err
		}
	}
	return newSummary(file, plan, r.counts, done), nil
}

// begin finds out where the import stands, and records that it has begun before
// anything else is recorded; fresh says that it had not.
func (i *Importer) begin(ctx context.Context, plan *plan) (_ Counts, done int, fresh bool, err error) {
	name, in, saved, err := i.Journal.Load(ctx)
	switch {
	case err != nil:
		return Counts{}, 0, false, err
	case name == plan.name:
		counts, err := decodeCounts(saved)
		return counts, int(in), false, err
	case name != "":
		return Counts{}, 0, false, &OtherImportError{Held: name, Asked: plan.name}
	}
	counts := newCounts()
	if counts.LogStart, err = i.Store.Head(ctx); err != nil {
		return Counts{}, 0, false, fmt.Errorf("import: %w", err)
	}
	if !counts.LogStart.IsStart() {
		if err := i.besideOthers(ctx, plan); err != nil {
			return Counts{}, 0, false, err
		}
	}
	return counts, 0, true, i.save(ctx, plan, 0, counts)
}

func (i *Importer) save(ctx context.Context, plan *plan, done int, counts Counts) error {
	data, err := counts.encode()
	if err != nil {
		return err
	}
	return i.Journal.Save(ctx, plan.name, int64(done), data)
}

// work runs the invoices that are missing. In-flight invoices have until Grace
// after ctx's end.
func (r *run) work(ctx context.Context) error {
	grace := r.Grace
	if grace == 0 {
		grace = defaultGrace
	}
	working, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cut) })
	defer stop()

	if r.done == 0 {
		if err := r.openStock(ctx, working); err != nil {
			return r.interrupted(ctx, err)
		}
	}
	left, err := r.stockLeft(working)
	if err != nil {
		return r.interrupted(ctx, err)
	}
	r.tickets = newTickets(left, r.fresh)
	saving, stopSaving := context.WithCancel(working)
	saved := make(chan struct{})
	go func() { defer close(saved); r.keepSaving(saving) }()
	err = r.workers(ctx, working)
	stopSaving()
	<-saved
	return errors.Join(r.interrupted(ctx, err), r.saveNow(context.WithoutCancel(ctx)))
}

// interrupted turns an error into the one the caller is told.
func (r *run) interrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil || r.done == len(r.plan.invoices) {
		return err
	}
	interrupted := &InterruptedError{Done: r.done, All: len(r.plan.invoices)}
	if err == nil || errors.Is(err, context.Canceled) {
		return interrupted
	}
	return errors.Join(interrupted, err)
}

func (r *run) keepSaving(ctx context.Context) {
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := r.saveNow(ctx); err != nil && ctx.Err() == nil {
				r.Logger.WarnContext(ctx, "progress not saved", "error", err)
			}
		}
	}
}

func (r *run) saveNow(ctx context.Context) error {
	r.saving.Lock() // so that an older record never overwrites a newer one
	defer r.saving.Unlock()
	r.mu.Lock()
	done, counts := r.done, r.counts.clone()
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return r.save(ctx, r.plan, done, counts)
}
