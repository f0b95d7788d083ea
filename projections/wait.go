package projections

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/eventstore"
)

// progress is how far a view's build in use has come, as far as this process knows.
type progress struct {
	mu       sync.Mutex
	position eventstore.Position
	moved    chan struct{}       // closed when position moves
	readers  int                 // how many readers of this process wait
	wanted   eventstore.Position // the latest that one of them waits for
	// hurry gets a signal when a reader begins to wait. A signal may be old, so the receiver calls
	// isAwaited.
	hurry chan struct{}
}

func newProgress() *progress {
	return &progress{moved: make(chan struct{}), hurry: make(chan struct{}, 1)}
}

// await notes that a reader waits for a position, until done is called.
func (p *progress) await(want eventstore.Position) (done func()) {
	p.mu.Lock()
	p.readers++
	if p.readers == 1 || p.wanted.Before(want) {
		p.wanted = want
	}
	p.mu.Unlock()
	signal(p.hurry)
	return func() {
		p.mu.Lock()
		p.readers--
		p.mu.Unlock()
	}
}

// isAwaited tells whether a reader waits for a later position.
func (p *progress) isAwaited() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.readers > 0 && p.position.Before(p.wanted)
}

func (p *progress) advance(to eventstore.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.position.Before(to) {
		return
	}
	p.position = to
	close(p.moved)
	p.moved = make(chan struct{})
}

func (p *progress) at() (eventstore.Position, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.position, p.moved
}

// LagError means that a view had not reached the requested position when the wait ended.
type LagError struct {
	View     string
	Position eventstore.Position // how far the view is
	Want     eventstore.Position
	cause    error
}

func (e *LagError) Error() string {
	return fmt.Sprintf("view %s is at position %s, not yet at %s: %v", e.View, e.Position, e.Want, e.cause)
}
func (e *LagError) Unwrap() error { return e.cause }

const (
	firstPoll = 5 * time.Millisecond
	lastPoll  = 100 * time.Millisecond
)

// WaitFor returns when all named views (none: all views) have posted everything up to a
// position. If ctx ends first, it returns *LagError. For a view that this node posts to, it
// waits for a signal. For other views it reads the checkpoint at intervals.
func (r *Runner) WaitFor(ctx context.Context, position eventstore.Position, views ...string) error {
	if len(views) == 0 {
		for _, view := range r.views {
			views = append(views, view.Name)
		}
	}
	for _, name := range views {
		if err := r.waitFor(ctx, position, name); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) waitFor(ctx context.Context, want eventstore.Position, name string) error {
	p := r.progress[name]
	if p == nil {
		return fmt.Errorf("%w: %q", ErrUnknownView, name)
	}
	if position, _ := p.at(); !position.Before(want) {
		return nil
	}
	defer p.await(want)()
	for interval := firstPoll; ; interval = min(2*interval, lastPoll) {
		position, moved := p.at()
		if !position.Before(want) {
			return nil
		}
		if !r.owns(name) {
			if err := r.readPlace(ctx, name); err != nil && !passing(err) && ctx.Err() == nil {
				return err
			}
			if position, moved = p.at(); !position.Before(want) {
				return nil
			}
		}
		timer := time.NewTimer(interval) // also needed if the view moves to another node
		select {
		case <-ctx.Done():
			timer.Stop()
			return &LagError{View: name, Position: position, Want: want, cause: ctx.Err()}
		case <-moved:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Position is how far the build in use of a view has come.
func (r *Runner) Position(ctx context.Context, name string) (eventstore.Position, error) {
	p := r.progress[name]
	if p == nil {
		return eventstore.Start, fmt.Errorf("%w: %q", ErrUnknownView, name)
	}
	if !r.owns(name) {
		if err := r.readPlace(ctx, name); err != nil {
			return eventstore.Start, err
		}
	}
	position, _ := p.at()
	return position, nil
}

// readPlace reads the checkpoint of a view that another node posts to.
func (r *Runner) readPlace(ctx context.Context, name string) error {
	var text string
	err := r.pool.QueryRow(ctx, `SELECT position FROM projections.builds WHERE view = $1 AND state = 'active'`, name).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // there is no build yet, so the view is at the start
	}
	if err != nil {
		return fmt.Errorf("read checkpoint of %s: %w", name, err)
	}
	position, err := eventstore.ParsePosition(text)
	if err != nil {
		return fmt.Errorf("checkpoint of %s: %w", name, err)
	}
	r.progress[name].advance(position)
	return nil
}
