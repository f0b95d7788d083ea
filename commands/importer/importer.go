// Package importer imports the invoices of a file that internal/onlineretail has read. It
// makes the same calls of commands.Service as the HTTP API. Sales become carts, orders,
// payments and shipments; cancellations become returns; adjustments move stock.
//
// It has no rules and reads no files. Every command id derives from the invoice and the step.
// So an import that was interrupted can be run again, and continues.
//
// The log may have other work of the shop. An import does not change that work; see
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

// Order says which invoices may be imported at the same time.
type Order string

const (
	// FileOrder gives the same result as importing one invoice after the other, with any
	// number of workers; see tickets.
	FileOrder Order = "file"
	// AnyOrder imports each invoice as soon as a worker is free. If stock is short, chance
	// decides which orders are refused. Stock never goes below zero in any case.
	AnyOrder Order = "any"
)

// Options say what is imported and how. All of them except Workers are part of an import's
// identity.
type Options struct {
	Opening Opening
	Kinds   []onlineretail.Kind // empty: all
	Policy  cart.Policy
	Order   Order
	Workers int
}

// Journal stores how far an import has come. A database has at most one import.
type Journal interface {
	// Load returns the import of the database. name is empty if there is none.
	Load(ctx context.Context) (name string, done int64, counts []byte, err error)
	// Save records how far the import is: the first done invoices of the file are imported, and
	// counts are their totals.
	Save(ctx context.Context, name string, done int64, counts []byte) error
}

// Importer imports invoices.
type Importer struct {
	Service *commands.Service
	Store   eventstore.Store // the log that Service uses, to count what was recorded
	Sparse  bool             // the log's positions have gaps, so events must be counted one by one
	Journal Journal
	Logger  *slog.Logger
	// Watch, if set, is called after each imported invoice. It must return quickly.
	Watch func(Progress)
	// Grace is how long the invoices that are under way may take after ctx has ended.
	Grace time.Duration
}

// Progress is how far an import is.
type Progress struct {
	Invoices, InvoicesAll int
	// Lines, LinesBefore and LinesAll count lines of invoices: of this run, of the runs before
	// it, and of the whole file. The time that an import takes is proportional to its lines.
	Lines, LinesBefore, LinesAll int
}

// InterruptedError means that ctx ended before the end of the file. The invoices that were
// imported stay imported.
type InterruptedError struct {
	Done, All int
}

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("interrupted after %d of %d invoices; run the same command again to continue", e.Done, e.All)
}

// OtherImportError means that the database has an import of another file, or with other
// options.
type OtherImportError struct {
	Stored, Asked string
}

func (e *OtherImportError) Error() string {
	return fmt.Sprintf("the database holds another import (%s), and not this one (%s): run that one with its own options, or import into an empty database", e.Stored, e.Asked)
}

// defaultGrace is Importer.Grace if it is not set.
const defaultGrace = 10 * time.Second

// saveEvery is how often the progress is stored. After a crash, at most this much work is done
// again, and doing it again changes nothing.
const saveEvery = time.Second

// Run imports a file, or the invoices of it that are not imported yet.
//
// Errors: *OtherImportError, *TakenError, *InterruptedError (together with the summary so
// far), and the error of an invoice that could not be imported, with the invoice's number.
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
		return Summary{}, fmt.Errorf("the import's record says that %d invoices are imported, but the file has %d", done, len(plan.invoices))
	}
	i.Logger.InfoContext(ctx, "import begins", "import", plan.name, "invoices", len(plan.invoices), "done", done)
	r := newRun(i, plan, counts, done, fresh)
	if done < len(plan.invoices) {
		if err := r.work(ctx); err != nil {
			return newSummary(file, plan, r.counts, done), err
		}
	}
	if !r.counts.Complete {
		// All invoices are imported, and this takes only a moment.
		if err := r.complete(context.WithoutCancel(ctx)); err != nil {
			return newSummary(file, plan, r.counts, done), err
		}
	}
	return newSummary(file, plan, r.counts, done), nil
}

// begin reads how far the import has come. If it has not begun before, fresh is true, and
// begin records that it begins now, before anything else is recorded.
func (i *Importer) begin(ctx context.Context, plan *plan) (_ Counts, done int, fresh bool, err error) {
	name, in, saved, err := i.Journal.Load(ctx)
	switch {
	case err != nil:
		return Counts{}, 0, false, err
	case name == plan.name:
		counts, err := decodeCounts(saved)
		return counts, int(in), false, err
	case name != "":
		return Counts{}, 0, false, &OtherImportError{Stored: name, Asked: plan.name}
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

// work imports the missing invoices. After ctx has ended, the invoices that are under way have
// Grace to finish.
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

// interrupted turns an error into an *InterruptedError if ctx caused it.
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
			// The end of ctx must not cancel a save, because this would close the connection that
			// holds the import's record, and the last save needs it.
			if err := r.saveNow(context.WithoutCancel(ctx)); err != nil {
				r.Logger.WarnContext(ctx, "progress not saved", "error", err)
			}
		}
	}
}

func (r *run) saveNow(ctx context.Context) error {
	r.saving.Lock() // an older record must never overwrite a newer one
	defer r.saving.Unlock()
	r.mu.Lock()
	done, counts := r.done, r.counts.clone()
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return r.save(ctx, r.plan, done, counts)
}
