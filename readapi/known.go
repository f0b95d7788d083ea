package readapi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// lastKnown is the last answer to a question that may take long, for who must not wait
// for it. It needs a question to ask, and knows nothing yet.
type lastKnown[T any] struct {
	ask func(context.Context) (T, error)

	mu     sync.Mutex
	last   finding[T]
	begun  int           // how many questions were begun
	asking chan struct{} // closed when the answer to the last is there; nil while nobody asks
}

// finding is what is known.
type finding[T any] struct {
	value T
	at    time.Time // when value was asked for; zero: there is none yet
	err   error     // why the last question was not answered; nil if it was
	tries int       // how many questions have ended
}

// known is what is known, without asking.
func (k *lastKnown[T]) known() finding[T] {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last
}

// refresh asks, unless a question is under way, and does not wait. The end of ctx ends the
// question.
func (k *lastKnown[T]) refresh(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begin(ctx)
}

// begin begins a question unless one is under way. It ends after healthAsk.
func (k *lastKnown[T]) begin(ctx context.Context) {
	if k.asking == nil {
		k.begun++
		k.asking = make(chan struct{})
		go k.find(ctx, k.asking)
	}
}

// get asks anew and waits at most so long for the answer. It returns the latest that
// is known then.
func (k *lastKnown[T]) get(most time.Duration) finding[T] {
	timer := time.NewTimer(most)
	defer timer.Stop()
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.begun // the answers to those may be older than who asks now
	for late := false; !late && k.last.tries <= before; {
		k.begin(context.Background()) // others may wait for its answer, too
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

// answered asks, and makes an error of a panic: no handler of a request is there to
// keep it from ending the program.
func answered[T any](ctx context.Context, ask func(context.Context) (T, error)) (value T, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return ask(ctx)
}
