package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/cwriter"
	"github.com/vbauerster/mpb/v8/decor"

	"daybook/commands/importer"
)

// importProgress shows how far an import is: by a bar on a terminal, otherwise by a line now and
// then.
type importProgress struct {
	out   io.Writer
	bars  *mpb.Progress // nil: lines are written, and no bar
	bar   *mpb.Bar
	began time.Time

	mu     sync.Mutex
	latest importer.Progress
	told   time.Time
}

// tellEvery is how often lines are written.
const tellEvery = 5 * time.Second

func showProgress(out io.Writer, invoices int) *importProgress {
	p := &importProgress{out: out, began: time.Now(), told: time.Now()}
	if f, is := out.(*os.File); is && cwriter.IsTerminal(int(f.Fd())) {
		p.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(40), mpb.WithRefreshRate(200*time.Millisecond))
		p.bar = p.bars.AddBar(int64(invoices),
			mpb.PrependDecorators(decor.CountersNoUnit("%d of %d invoices ")),
			mpb.AppendDecorators(decor.Percentage(), decor.Any(p.pace)),
			mpb.BarRemoveOnComplete(),
		)
	}
	return p
}

// invoices is called after every step. The rate counts lines and not invoices, because lines take
// the time.
func (p *importProgress) invoices(now importer.Progress) {
	if line, due := p.take(now); due {
		fmt.Fprintln(p.out, line)
	}
	// The lock must not be held here, because the bar takes it while it draws.
	if p.bar != nil {
		p.bar.SetCurrent(int64(now.Invoices))
	}
}

// take stores the newest state, and returns a line to write if it is time for one.
func (p *importProgress) take(now importer.Progress) (line string, due bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest = now
	if p.bars != nil || time.Since(p.told) < tellEvery {
		return "", false
	}
	p.told = time.Now()
	return fmt.Sprintf("%d of %d invoices (%.0f %%), %s", now.Invoices, now.InvoicesAll,
		100*float64(now.Invoices)/float64(max(1, now.InvoicesAll)), p.paceLocked()), true
}

func (p *importProgress) pace(decor.Statistics) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return "  " + p.paceLocked()
}

func (p *importProgress) paceLocked() string {
	elapsed := time.Since(p.began)
	if p.latest.Lines == 0 || elapsed <= 0 {
		return ""
	}
	perSecond := float64(p.latest.Lines) / elapsed.Seconds()
	left := time.Duration(float64(p.latest.LinesAll-p.latest.LinesBefore-p.latest.Lines) / perSecond * float64(time.Second))
	return fmt.Sprintf("%.0f lines/s, %s left", perSecond, left.Round(time.Second))
}

// posting prints that all invoices are imported and that the import waits for the read models.
func (p *importProgress) posting() {
	p.close()
	fmt.Fprintln(p.out, "all invoices are imported; the read models catch up")
}

// close removes the bar. It may be called twice. invoices must not be called after it.
func (p *importProgress) close() {
	if p.bars == nil {
		return
	}
	p.bar.Abort(true)
	p.bars.Wait()
	p.bars, p.bar = nil, nil
}
