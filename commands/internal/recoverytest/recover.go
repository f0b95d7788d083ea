// Package recoverytest runs, in a test, a node that finishes the work which other nodes have
// left open.
package recoverytest

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"testing"
	"time"

	"daybook/commands/reactor"
	"daybook/eventstore"
	"daybook/internal/pause"
)

// Recover runs a reactor until it has read a log to its end and has finished all that is
// open.
func Recover(t *testing.T, log eventstore.Store, finisher reactor.Finisher) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	head, err := log.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	watched := &watchedLog{Store: log}
	second := &reactor.Reactor{Store: watched, Journal: &journal{}, Finisher: finisher, Logger: slog.New(slog.DiscardHandler), Grace: time.Millisecond}
	ended := make(chan error, 1)
	go func() { ended <- second.Run(ctx) }()
	for {
		read := watched.position()
		open, leading := second.Open()
		if leading && len(open) == 0 && !read.Before(head) {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the reactor has read to %s of %s, open is %+v", read, head, open)
		}
		pause.For(ctx, time.Millisecond)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// watchedLog is a log that notes how far its reader has come.
type watchedLog struct {
	eventstore.Store
	mu sync.Mutex
	at eventstore.Position
}

func (w *watchedLog) position() eventstore.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

// Subscribe notes an item when the reader asks for the next one. Then the reactor has handled
// the page with the item, because a page ends when the reader has caught up.
func (w *watchedLog) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		for item, err := range w.Store.Subscribe(ctx, after, filter) {
			if !yield(item, err) {
				return
			}
			if err == nil && item.CaughtUp {
				w.mu.Lock()
				w.at = item.Checkpoint
				w.mu.Unlock()
			}
		}
	}
}

// journal keeps the checkpoint in memory. It forgets timers.
type journal struct {
	mu sync.Mutex
	at eventstore.Position
}

func (j *journal) Lead(ctx context.Context) (context.Context, func(), error) {
	return ctx, func() {}, nil
}

func (j *journal) Checkpoint(context.Context) (eventstore.Position, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.at, nil
}

func (j *journal) Advance(_ context.Context, from, to eventstore.Position, _ reactor.Notes) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.at != from {
		return reactor.ErrNotLeading
	}
	j.at = to
	return nil
}

func (j *journal) CartExpiry(context.Context) (time.Duration, bool, error) { return 0, true, nil }

func (j *journal) KeepCartExpiry(context.Context, time.Duration, []reactor.Timer) error { return nil }
