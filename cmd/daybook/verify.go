package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"daybook/commands"
	"daybook/eventstore"
	"daybook/internal/verify"
	"daybook/projections"
)

type verifyCommand struct {
	Against string `type:"existingfile" placeholder:"FILE" help:"Also compare with this Online Retail file (CSV, or its gzip): all its invoices must have been imported, and no other file. Other work of the shop is not compared with it."`
}

// verifyGrace is how long work may be under way before verify reports it as left undone, if other
// nodes may use the database.
const verifyGrace = time.Minute

// verifyGC lets garbage be collected when it is three quarters of the memory in use. Most of this
// memory is the folded log, which is needed until the end.
const verifyGC = 75

// Run verifies the log and all read models. Only the read models work meanwhile, to catch up. The
// reactor does not run, so verify finds work that is left undone and does not finish it.
func (c *verifyCommand) Run(ctx context.Context, p *program) (err error) {
	started := time.Now()
	if err := p.mustHaveData("verify"); err != nil {
		return err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(verifyGC))
	cfg := p.nodeConfig(commands.DefaultPolicy())
	cfg.Guest = true
	n, err := openNode(ctx, cfg, p.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.closeInTime(ctx)) }()
	n.parts.begin(ctx, partGuard, partProjections)
	books := p.verification()
	books.Against = c.Against
	report, err := n.verify(ctx, books, p.stderr)
	if err != nil {
		return err
	}
	report.Seconds = time.Since(started).Seconds()
	if err := p.print(report, func(out io.Writer) error { return printReport(out, report) }); err != nil {
		return err
	}
	if report.Differences > 0 {
		return errReported
	}
	return nil
}

// mustHaveData returns an error if the data directory does not exist. Without this check, a
// mistyped folder would become an empty database, and verify would find nothing wrong in it.
func (o options) mustHaveData(to string) error {
	if o.Data == "" {
		return nil
	}
	if _, err := os.Stat(o.Data); err != nil {
		return fmt.Errorf("--data: there is nothing to %s: %w", to, err)
	}
	return nil
}

// verification says what is compared: everything that the program stores.
func (o options) verification() verify.Config {
	return verify.Config{Views: o.views(), Shop: verify.Shop{Location: o.location, Country: o.Country, Currency: o.Currency}}
}

// verify waits for the read models and compares. cfg says what is compared; the node adds the log
// and the database.
func (n *node) verify(ctx context.Context, cfg verify.Config, progress io.Writer) (*verify.Report, error) {
	ctx, end := n.guard(ctx)
	defer end()
	head, err := n.store.Head(ctx)
	if err != nil {
		return nil, because(ctx, err)
	}
	if err := n.catchUp(ctx, head, progress); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if verify.Unavailable(err) || projections.Passing(err) {
			return nil, err // the read models may be behind only because of this error
		}
		// An error of the read models is itself a difference of the report.
		fmt.Fprintf(progress, "the read models are compared where they are: %s\n", eventstore.Visible(err.Error()))
	}
	cfg.Store, cfg.Pool, cfg.UpTo, cfg.Now = n.events, n.readPool, head, n.now()
	if n.database.server == nil {
		cfg.Grace = verifyGrace
	}
	told := time.Now()
	cfg.Progress = func(at, of eventstore.Position, events int64) {
		if time.Since(told) >= progressEvery {
			told = time.Now()
			fmt.Fprintf(progress, "%s of the log, %d events\n", share(at, of), events)
		}
	}
	report, err := verify.Run(ctx, cfg)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return report, err
}

// catchUp returns when the read models have reached a position, or when one of them has stopped for
// good. The verification then reports that one.
func (n *node) catchUp(ctx context.Context, to eventstore.Position, progress io.Writer) error {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- n.projections.WaitFor(waiting, to) }()
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		posted := false
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-done:
			if err != nil {
				return err
			}
			posted, done = true, nil
		case <-ticker.C:
			posted = done == nil
		}
		all, err := n.projections.Status(ctx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(s projections.Status) bool { return s.InUse && s.State == projections.Failed }) {
			return nil
		}
		// A build for this program's version of a view may be under way beside the build of another
		// version.
		pending, err := n.projections.Pending(ctx)
		if err != nil {
			return err
		}
		if posted && !pending {
			return nil
		}
		tellViews(progress, all)
	}
}

// tellViews prints how far the builds that are behind have come.
func tellViews(progress io.Writer, all []projections.Status) {
	var behind []string
	for _, s := range all {
		if s.State == projections.CatchingUp || s.State == projections.Rebuilding || s.State == projections.Unowned {
			behind = append(behind, s.View+" "+percent(s.Share))
		}
	}
	if len(behind) > 0 {
		fmt.Fprintf(progress, "the read models catch up: %s\n", strings.Join(behind, ", "))
	}
}

// share is the part of the log up to a position, in percent.
func share(at, of eventstore.Position) string {
	here, _ := at.Pair()
	end, _ := of.Pair()
	return percent(float64(here) / float64(max(end, 1)))
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// printReport prints the table of checks, and under it the first differences of each check.
func printReport(out io.Writer, report *verify.Report) error {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{"check", "examined", "differences"})
	t.SetColumnConfigs([]table.ColumnConfig{
		{Name: "examined", Align: text.AlignRight, AlignHeader: text.AlignRight},
		{Name: "differences", Align: text.AlignRight, AlignHeader: text.AlignRight},
	})
	for _, check := range report.Checks {
		t.AppendRow(table.Row{check.Name, check.Examined, check.Differences})
	}
	w := &lineWriter{out: out}
	w.printf("%s\n", t.Render())
	for _, check := range report.Checks {
		if check.Differences == 0 {
			continue
		}
		w.printf("\n%s:\n", check.Name)
		for _, first := range check.First {
			w.printf("  %s\n", first)
		}
		if more := check.Differences - int64(len(check.First)); more > 0 {
			w.printf("  and %d more\n", more)
		}
	}
	if others := report.Others; others != nil {
		w.printf("%s\n", tellOthers(others))
	}
	if actors := report.Actors; actors != nil {
		w.printf("Actors were authenticated from position %s of the log (%s) on, except in %d events.\n", actors.From, actors.FromTime.Format(time.RFC3339), actors.Unproven)
	}
	verdict := "Nothing is off"
	if report.Differences > 0 {
		verdict = fmt.Sprintf("\n%d differences", report.Differences)
	}
	w.printf("%s: %d events of %d streams, up to position %s of the log (%.1f s).\n",
		verdict, report.Events, report.Streams, report.Position, report.Seconds)
	return w.err
}

// tellOthers names the streams of other programs in one line.
func tellOthers(others *verify.Others) string {
	names := make([]string, 0, len(others.Names)+1)
	for _, name := range others.Names {
		names = append(names, name.String())
	}
	if others.More > 0 {
		names = append(names, fmt.Sprintf("and %d other names", others.More))
	}
	return fmt.Sprintf("Left out: %d events in %d streams of other programs: %s.", others.Events, others.Streams, strings.Join(names, ", "))
}
