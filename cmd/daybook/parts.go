package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// part is one part of a node, such as the log or the reactor. Each of its functions may be nil,
// which means that there is nothing to do.
type part struct {
	name string
	// open makes the part ready. If it fails, it leaves nothing behind. If the reason can go away,
	// such as a database that is not reachable, open is called again, unless once is set. needs
	// says what it waits for, such as "the log".
	open  func(context.Context) error
	needs string
	once  bool
	// run is the work that the part does by itself, until its context ends.
	run func(context.Context) error
	// stop closes the part for good. It is called after all work has ended.
	stop func(context.Context) error
	// onLog means that the part acts on what the log says, so its work ends when the log has
	// diverged.
	onLog bool
}

// parts are the parts of a node. Their list has one order: they are opened and begin their work
// from the first to the last, and are closed from the last to the first.
type parts struct {
	failed chan error // why the work of a part ended by itself
	opened []*workingPart

	mu    sync.Mutex // protects the member ended, and the member end of each part, until stop
	ended bool       // parts with onLog begin no work any more
}

// workingPart is a part that is open. Its work may have begun or not.
type workingPart struct {
	part
	end func() // ends its work, and waits for the end; nil: the work has not begun
}

// openThrough opens the parts of a list one after the other, until one fails. The parts that were
// opened before it must then be stopped by stop.
func (p *parts) openThrough(ctx context.Context, through *start, list []part) error {
	for _, one := range list {
		if one.open != nil {
			if err := through.openPart(ctx, one); err != nil {
				return err
			}
		}
		p.opened = append(p.opened, &workingPart{part: one})
	}
	return nil
}

// begin lets parts begin their work, in the order of the list: the named ones, or all. Their work
// goes on after the end of ctx, because after a signal stop ends it in the right order. If the work
// of a part ends before stop, failed gets the reason.
func (p *parts) begin(ctx context.Context, names ...string) {
	for _, name := range names {
		if !slices.ContainsFunc(p.opened, func(one *workingPart) bool { return one.name == name && one.run != nil }) {
			panic("no part " + name + " that works by itself is open") // a fault in this program
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

// background runs work of a part. It returns a function that ends the work and waits for its end.
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

// endOnLog ends the work of the parts that act on the log, and lets none of them begin any more.
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

// stop closes the parts. First it tells all work to end at the same time, so that work that does
// not end takes no time from the others. Then it closes each part, from the last to the first, even
// if one of them fails.
func (p *parts) stop(ctx context.Context) error {
	errs := []error{p.endWork(ctx)}
	for _, one := range slices.Backward(p.opened) {
		if one.stop != nil {
			errs = append(errs, one.stop(ctx))
		}
	}
	return errors.Join(errs...)
}

// endWork returns when no part works any more, or after two thirds of the time that ctx leaves,
// because closing the parts needs time, too.
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
