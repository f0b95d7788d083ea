package importer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/onlineretail"
)

// run is one run of an import.
type run struct {
	*Importer
	plan    *plan
	fresh   bool // no earlier run of this import has begun
	tickets *tickets
	saving  sync.Mutex

	mu       sync.Mutex
	stopped  bool
	next     int             // the next invoice to begin
	done     int             // all invoices before this one are imported
	finished map[int]outcome // imported invoices from done on
	counts   Counts          // of the invoices before done
	lines    int             // imported by this run, for progress
	// linesBefore counts the lines that earlier runs imported.
	linesBefore int
	jobs        map[int]*job // invoices under way
}

func newRun(i *Importer, plan *plan, counts Counts, done int, fresh bool) *run {
	before := 0
	for _, invoice := range plan.invoices[:done] {
		before += len(invoice.Lines)
	}
	return &run{
		Importer: i, plan: plan, fresh: fresh, linesBefore: before, jobs: map[int]*job{},
		next: done, done: done, counts: counts, finished: map[int]outcome{},
	}
}

// job is an invoice that is being imported.
type job struct {
	index   int
	invoice *onlineretail.Invoice
	ticket  *ticket
	ended   chan struct{} // closed when the invoice is imported
}

// errHalted ends the waiting of invoices that come after one that failed.
var errHalted = errors.New("an invoice before this one failed")

// workers imports invoices until all are imported, ctx ends or one fails. Invoices that are under
// way use the context working and not ctx. So they can be finished after ctx has ended.
func (r *run) workers(ctx, working context.Context) error {
	working, halt := context.WithCancelCause(working)
	defer halt(nil)
	errs := make([]error, r.plan.options.Workers)
	var group sync.WaitGroup
	for w := range errs {
		group.Go(func() {
			for j := r.begin(ctx); j != nil; j = r.begin(ctx) {
				result, err := r.invoice(working, j)
				if err != nil {
					r.stop()
					if first := working.Err() == nil; first || !errors.Is(err, context.Canceled) && !errors.Is(err, errHalted) {
						errs[w] = fmt.Errorf("invoice %s (row %d): %w", j.invoice.Number, j.invoice.Lines[0].Row, err)
					}
					halt(errHalted) // later invoices must not overtake it
					return
				}
				r.end(j, result)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (r *run) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
}

// begin returns the next invoice with its ticket; nil if there is none, or ctx has ended.
func (r *run) begin(ctx context.Context) *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil || r.stopped || r.next == len(r.plan.invoices) {
		return nil
	}
	j := &job{index: r.next, invoice: &r.plan.invoices[r.next], ended: make(chan struct{})}
	r.next++
	var changes map[unit.SKU]unit.Quantity
	if r.plan.options.Order != AnyOrder {
		changes = stockChanges(*j.invoice)
	}
	j.ticket = r.tickets.take(changes, j.invoice.Kind == onlineretail.AdjustOut)
	r.jobs[j.index] = j
	return j
}

// stockChanges is how an invoice changes the stock of each SKU if all of it is accepted.
func stockChanges(invoice onlineretail.Invoice) map[unit.SKU]unit.Quantity {
	changes := make(map[unit.SKU]unit.Quantity, len(invoice.Lines))
	for _, line := range invoice.Lines {
		if change := onlineretail.StockChange(invoice.Kind, line); change != 0 {
			changes[line.SKU] += change
		}
	}
	return changes
}

// end counts an invoice that was imported.
func (r *run) end(j *job, result outcome) {
	j.ticket.finish()
	close(j.ended)
	result.kind, result.lines = j.invoice.Kind, len(j.invoice.Lines)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.jobs, j.index)
	r.finished[j.index] = result
	for {
		next, in := r.finished[r.done]
		if !in {
			break
		}
		delete(r.finished, r.done)
		r.counts.add(next)
		r.done++
	}
	r.lines += result.lines
	if r.Watch != nil {
		r.Watch(Progress{Invoices: r.done + len(r.finished), InvoicesAll: len(r.plan.invoices), Lines: r.lines, LinesBefore: r.linesBefore, LinesAll: r.plan.lines})
	}
}

// after waits until an earlier invoice is imported.
func (r *run) after(ctx context.Context, index int) error {
	r.mu.Lock()
	earlier := r.jobs[index]
	r.mu.Unlock()
	if earlier == nil {
		return nil
	}
	select {
	case <-earlier.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *run) invoice(ctx context.Context, j *job) (outcome, error) {
	switch j.invoice.Kind {
	case onlineretail.Sale, onlineretail.FreeOrder:
		return r.order(ctx, j)
	case onlineretail.Cancellation:
		return r.giveBack(ctx, j)
	case onlineretail.AdjustIn, onlineretail.AdjustOut:
		return r.adjust(ctx, j)
	case onlineretail.BadDebt:
		return outcome{}, r.noteCredit(ctx, j, "bad_debt", j.invoice.Lines)
	}
	return outcome{}, fmt.Errorf("unknown kind %q", j.invoice.Kind)
}

// call is the call for a step of an invoice. Its command id is the same in every run.
func call(invoice onlineretail.Invoice, step ...string) commands.Call {
	return commands.Call{Who: access.System("import"), Meta: eventstore.Metadata{
		CommandID:     commandID(append([]string{invoice.Number}, step...)...),
		CorrelationID: "import/" + invoice.Number,
		Actor:         "system:import",
		Channel:       "import",
		OccurredAt:    invoice.Time,
	}}
}

func commandID(parts ...string) uuid.UUID {
	return uuid.UUID(unit.ImportCommand.Of(parts...).UUID())
}

func key(sku unit.SKU) stock.Key { return stock.Key{SKU: sku, Location: unit.DefaultLocation} }
