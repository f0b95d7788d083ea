package readapi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// lastKnown keeps the last answer to a slow question, for callers that must not wait for a new one.
// ask must be set. At first it has no answer.
type lastKnown[T any] struct {
	ask func(context.Context) (T, error)

	mu     sync.Mutex
	last   finding[T]
	begun  int           // how many questions were begun
	asking chan struct{} // closed when the question under way has ended; nil if none is
}

// finding is the last answer, and how the last question ended.
type finding[T any] struct {
	value T
	at    time.Time // when the question for value began; zero: there is no value yet
	err   error     // why the last question was not answered; nil if it was
	tries int       // how many questions have ended
}

// latest returns the last answer without asking.
func (k *lastKnown[T]) latest() finding[T] {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last
}

// refresh asks, unless a question is under way. It does not wait for the answer. If ctx ends,
// the question ends.
func (k *lastKnown[T]) refresh(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begin(ctx)
}

// begin begins a question, unless one is under way. The question ends after healthAsk at the
// latest.
func (k *lastKnown[T]) begin(ctx context.Context) {
	if k.asking == nil {
		k.begun++
		k.asking = make(chan struct{})
		go k.find(ctx, k.asking)
	}
}

// get asks again and waits for the answer, but not longer than most. Then it returns the last
// answer.
func (k *lastKnown[T]) get(most time.Duration) finding[T] {
	timer := time.NewTimer(most)
	defer timer.Stop()
	k.mu.Lock()
	defer k.mu.Unlock()
	// A question that is under way began before this call, so its answer may be too old. So get
	// waits for the question after it.
	before := k.begun
	for late := false; !late && k.last.tries <= before; {
		// Other callers may wait for this answer, too, so it must not end with this call.
		k.begin(context.Background())
		asking := k.asking
		k.mu.Unlock()
		select {
		case <-asking:
		case <-timer.C:
			late = true
		}
		k.mu.Lock()
	}
	return k.last
}

func (k *lastKnown[T]) find(ctx context.Context, found chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, healthAsk)
	defer cancel()
	at := time.Now()
	value, err := answered(ctx, k.ask)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s: %w", healthAsk, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last.err = err
	k.last.tries++
	if err == nil {
		k.last.value, k.last.at = value, at
	}
	k.asking = nil
	close(found)
}

// answered asks, and turns a panic into an error. The question runs in its own goroutine,
// where a panic would end the program.
func answered[T any](ctx context.Context, ask func(context.Context) (T, error)) (value T, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return ask(ctx)
}
