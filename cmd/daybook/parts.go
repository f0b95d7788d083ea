package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// part is one of the things that a node is made of. Each of its functions may be nil,
// which means that there is nothing to do.
type part struct {
	name string
	// open makes the part ready. It is called again if it fails for a reason that passes,
	// unless once is set, and it leaves nothing behind if it fails. needs says what it waits
	// for, such as "the log".
	open  func(context.Context) error
	needs string
	once  bool
	// run is the work that the part does by itself, until its context ends.
	run func(context.Context) error
	// stop takes the part down for good. It is called after all work has ended.
	stop func(context.Context) error
	// onLog: the part acts on what the log says, so its work ends when the log has diverged.
	onLog bool
}

// parts are what a node is made of. The list states one order: parts are opened and begin
// their work from the first to the last, and are taken down from the last to the first.
type parts struct {
	failed chan error // why the work of a part ended by itself
	opened []*workingPart

	mu    sync.Mutex // guards ended, and end of each part, until stop
	ended bool       // onLog parts do not begin any more
}

// workingPart is a part that is open, and perhaps works.
type workingPart struct {
	part
	end func() // ends its work, and waits for that; nil: it has not begun
}

// openThrough opens the parts of a list one after the other, until one fails. Those that
// were opened before that are there to be stopped.
func (p *parts) openThrough(ctx context.Context, through *start, list []part) error {
	for _, one := range list {
		if one.open != nil {
			if err := through.pass(ctx, one); err != nil {
				return err
			}
		}
		p.opened = append(p.opened, &workingPart{part: one})
	}
	return nil
}

// begin has parts do their work, in the order of the list: those that are named, or all.
// Their work goes on after the end of ctx, because a signal is met by stop, in order. A
// part that ends before that is told in failed.
func (p *parts) begin(ctx context.Context, names ...string) {
	for _, name := range names {
		if !slices.ContainsFunc(p.opened, func(one *workingPart) bool { return one.name == name && one.run != nil }) {
			panic("no part " + name + " that works by itself is open") // the name is this program's
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.opened {
		wanted := len(names) == 0 || slices.Contains(names, one.name)
		if one.run != nil && one.end == nil && wanted && (!one.onLog || !p.ended) {
			one.end = p.background(ctx, one.name, one.run)
		}
	}
}

// background runs some work until the function it returns is called, which waits for the
// work's end.
func (p *parts) background(ctx context.Context, name string, run func(context.Context) error) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var working sync.WaitGroup
	working.Go(func() {
		err := run(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("it had no reason to")
		}
		select {
		case p.failed <- fmt.Errorf("%s ended: %w", name, err):
		default:
		}
	})
	return func() {
		cancel()
		working.Wait()
	}
}

// endOnLog has the work of the parts that act on the log end, and lets none begin.
func (p *parts) endOnLog() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for _, one := range p.opened {
		if one.onLog && one.end != nil {
			go one.end()
		}
	}
}

// stop takes the parts down. First all work is told to end at the same time, because work
// that does not come to an end must not cost the others their time. Then each part is
// taken down, from the last to the first, even if another could not be.
func (p *parts) stop(ctx context.Context) error {
	errs := []error{p.endWork(ctx)}
	for _, one := range slices.Backward(p.opened) {
		if one.stop != nil {
			errs = append(errs, one.stop(ctx))
		}
	}
	return errors.Join(errs...)
}

// endWork returns when no part works, or after two thirds of the time that ctx leaves,
// because taking the parts down needs a moment, too.
func (p *parts) endWork(ctx context.Context) error {
	var ending sync.WaitGroup
	for _, one := range p.opened {
		if one.end != nil {
			ending.Go(one.end)
		}
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)*2/3)
		defer cancel()
	}
	if !inTime(ctx, ending.Wait) {
		return fmt.Errorf("parts of the program still at work: %w", ctx.Err())
	}
	return nil
}
