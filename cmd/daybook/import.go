package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"

	"daybook/commands"
	"daybook/commands/importer"
	commandspg "daybook/commands/postgres"
	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/internal/onlineretail"
)

type importCommand struct {
	File       string    `arg:"" type:"existingfile" help:"CSV file in the Online Retail layout, or its gzip."`
	Opening    string    `default:"exact" placeholder:"STOCK" help:"Stock before the first invoice: exact (just so much that no line is short in file order), ample, or a number of units of each SKU. Default: ${default}."`
	Kinds      []string  `placeholder:"KIND" help:"Kinds of invoice to import, separated by commas: sale, free-order, cancellation, adjust-in, adjust-out, bad-debt. Default: all."`
	Policy     string    `enum:"all-or-nothing,line-by-line" default:"all-or-nothing" help:"What happens to an order when stock is short: it is refused (all-or-nothing), or the lines that are short are left out (line-by-line). Default: ${default}."`
	Order      string    `enum:"file,any" default:"file" help:"file: for each SKU the invoices are imported in file order, whatever the number of workers. any: chance decides which invoice comes first. Default: ${default}."`
	Workers    int       `default:"256" placeholder:"N" help:"How many invoices are imported at once. With more invoices, more events share a commit. Default: ${default}."`
	Quarantine string    `placeholder:"FILE" help:"Write bad rows, each with its whole invoice, into this CSV file and import the rest. Without this flag, the file is refused if it has a bad row."`
	Times      timeFlags `embed:""`
}

// importResult is what import prints.
type importResult struct {
	importer.Summary
	Seconds float64 `json:"seconds"` // of this run, until the read models had caught up
}

// all is how many invoices are imported.
func (r importResult) all() int {
	sum := 0
	for _, count := range r.Invoices {
		sum += count
	}
	return sum
}

func (c *importCommand) check(_ context.Context, p *program) error {
	if _, err := c.options(); err != nil {
		return err
	}
	_, err := c.Times.bounds(p.now())
	return err
}

// Run imports a file. It is read and checked to its end before anything is
// started.
func (c *importCommand) Run(ctx context.Context, p *program) (err error) {
	started := time.Now()
	if p.getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(importGCPercent))
	}
	options, err := c.options()
	if err != nil {
		return err
	}
	policy := commands.DefaultPolicy()
	if policy.Times, err = c.Times.bounds(p.now()); err != nil {
		return err
	}
	file, err := c.read(policy.Times, p.now())
	if err != nil {
		return err
	}
	cfg := p.nodeConfig(policy)
	cfg.CacheStreams, cfg.ViewGap = importCacheStreams, importViewGap
	n, err := openNode(ctx, cfg, p.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.closeInTime(ctx)) }()
	summary, err := n.importFile(ctx, file, options, p.stderr)
	if err != nil {
		return err
	}
	result := importResult{Summary: summary, Seconds: time.Since(started).Seconds()}
	return p.print(result, func(out io.Writer) error { return c.tell(out, result) })
}

func (c *importCommand) options() (importer.Options, error) {
	opening, err := importer.ParseOpening(c.Opening)
	if err != nil {
		return importer.Options{}, usagef("--opening: %v", err)
	}
	kinds, err := importer.ParseKinds(c.Kinds)
	if err != nil {
		return importer.Options{}, usagef("--kinds: %v", err)
	}
	if c.Workers < 1 || c.Workers > maxImportWorkers {
		return importer.Options{}, usagef("--workers must be 1 to %d, not %d", maxImportWorkers, c.Workers)
	}
	return importer.Options{
		Opening: opening, Kinds: kinds, Policy: cart.Policy(c.Policy), Order: importer.Order(c.Order), Workers: c.Workers,
	}, nil
}

// importGCPercent makes an import faster and lets it take more memory. With the usual 100, a
// quarter of the processor time is needed for garbage collection.
const importGCPercent = 200

// importCacheStreams is how many streams of each kind are kept in memory. It is enough for the SKUs
// of a large shop and the orders under way, because an import seldom needs an older order again.
const importCacheStreams = 5000

// importViewGap is the least time between two transactions of a read model. Most reads wait until
// the import has ended, so the read models may be a bit later and need less processor time.
const importViewGap = 300 * time.Millisecond

// maxImportWorkers is the largest number of workers. More of them would only wait for each other.
const maxImportWorkers = 1000

func (c *importCommand) read(times unit.TimeBounds, now time.Time) (*onlineretail.File, error) {
	f, err := os.Open(c.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	mode := onlineretail.Strict
	if c.Quarantine != "" {
		mode = onlineretail.Quarantine
		if err := notTheInput(f, c.Quarantine); err != nil {
			return nil, err
		}
	}
	file, err := onlineretail.ReadWithin(f, mode, func(at time.Time) error { return times.Check(at, now) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	if c.Quarantine == "" {
		return file, nil
	}
	return file, writeQuarantine(c.Quarantine, file.Excluded)
}

// notTheInput returns an error if the path of the quarantine is the file that is read, perhaps
// under another name.
func notTheInput(input *os.File, path string) error {
	from, err := input.Stat()
	if err != nil {
		return err
	}
	if to, err := os.Stat(path); err == nil && os.SameFile(from, to) {
		return usagef("--quarantine names the file that is imported: %s", path)
	}
	return nil
}

// writeQuarantine writes the rows that are not imported, whole or not at all.
func writeQuarantine(path string, rows []onlineretail.ExcludedRow) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".quarantine-*")
	if err != nil {
		return fmt.Errorf("--quarantine: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("--quarantine: %w", err), f.Close(), os.Remove(f.Name()))
		}
	}()
	w := csv.NewWriter(f)
	records := [][]string{{"row", "column", "invoice", "reason", "text"}}
	for _, row := range rows {
		column := ""
		if row.Column > 0 {
			column = strconv.Itoa(row.Column)
		}
		records = append(records, []string{strconv.Itoa(row.Row), column, row.Invoice, row.Reason, row.Text})
	}
	if err := w.WriteAll(records); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// importFile imports the invoices and waits until the read models have them.
func (n *node) importFile(ctx context.Context, file *onlineretail.File, options importer.Options, progress io.Writer) (_ importer.Summary, err error) {
	journal, err := commandspg.LockImports(ctx, n.commandPool)
	if err != nil {
		return importer.Summary{}, err
	}
	defer func() { err = errors.Join(err, journal.Close(context.WithoutCancel(ctx))) }()
	n.start(ctx)
	ctx, end := n.guard(ctx)
	defer end()
	defer func() {
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
	}()
	shown := showProgress(progress, len(file.Invoices))
	defer shown.close()
	i := importer.Importer{
		Service: n.service, Store: n.events, Sparse: n.sparse, Journal: journal, Logger: n.log, Watch: shown.invoices, Grace: importGrace,
	}
	summary, err := i.Run(ctx, file, options)
	if err != nil {
		return summary, err
	}
	head, err := n.store.Head(ctx)
	if err != nil {
		return summary, err
	}
	shown.posting()
	return summary, n.projections.WaitFor(ctx, head)
}

// importGrace is how long an import may go on after a stop was asked for. It leaves the node time
// to close within the ten seconds of a stop.
const importGrace = 6 * time.Second

// tell prints the result in words.
func (c *importCommand) tell(out io.Writer, r importResult) error {
	w := &lineWriter{out: out}
	w.printf("%s is imported.", c.File)
	if r.Complete && r.AlreadyIn == r.all() {
		w.printf(" It was imported before; nothing has changed.")
	}
	w.printf("\n\n")
	if r.Quarantined > 0 {
		w.printf("%10d rows set aside in %s, of %d\n", r.Quarantined, c.Quarantine, r.Rows)
	}
	for _, kind := range onlineretail.Kinds {
		if count, asked := r.Invoices[kind]; asked {
			w.printf("%10d %s\n", count, kindWords[kind])
		}
	}
	w.printf("%10d orders taken, %d refused; %d lines of goods taken, %d not\n", r.OrdersTaken, r.OrdersRefused, r.LinesTaken, r.LinesRefused)
	w.printf("%10d units sold, orders worth %s GBP\n", r.UnitsTaken, r.ValueTaken)
	if r.AdjustmentsRefused > 0 {
		w.printf("%10d adjustments refused: the goods were not there\n", r.AdjustmentsRefused)
	}
	w.printf("%10d units of opening stock received, %d units on hand at the end\n", r.OpeningUnits, r.ClosingUnits)
	for _, match := range matchWords {
		if tally := r.Matching[match.match]; tally.Lines > 0 {
			w.printf("%10d canceled lines (%d units, %s GBP) %s\n", tally.Lines, tally.Units, tally.Amount, match.words)
		}
	}
	w.printf("%10d events in all; this run took %.1f s\n", r.Events, r.Seconds)
	return w.err
}

var kindWords = map[onlineretail.Kind]string{
	onlineretail.Sale:         "sales",
	onlineretail.FreeOrder:    "orders free of charge",
	onlineretail.Cancellation: "cancellations",
	onlineretail.AdjustIn:     "adjustments that add stock",
	onlineretail.AdjustOut:    "adjustments that take stock out",
	onlineretail.BadDebt:      "bad debts",
}

var matchWords = []struct {
	match onlineretail.Match
	words string
}{
	{onlineretail.MatchExact, "match an earlier line with the same quantity and price"},
	{onlineretail.MatchCovered, "are covered by what the customer had bought before"},
	{onlineretail.MatchPartly, "are covered only in part by what the customer had bought before"},
	{onlineretail.MatchNoSale, "have no earlier sale in the file"},
	{onlineretail.MatchNoCustomer, "name no customer"},
	{onlineretail.MatchService, "are of services"},
}

// lineWriter keeps the first error of many writes.
type lineWriter struct {
	out io.Writer
	err error
}

func (w *lineWriter) printf(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.out, format, args...)
	}
}
