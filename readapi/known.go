package readapi

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// lastKnown is the last answer to a question that may take long, for who must not wait
// for it. The zero value knows nothing yet.
type lastKnown[T any] struct {
	mu     sync.Mutex
	last   finding[T]
	asking chan struct{} // closed when the answer is there; nil while nobody asks
}

// finding is what is known.
type finding[T any] struct {
	value T
	at    time.Time // when value was asked for; zero: there is none yet
	err   error     // why the last question was not answered; nil if it was
}

// get asks anew and waits at most so long for the answer. It returns the latest that
// is known then. One question at a time is under way; it ends after queryTimeout.
func (k *lastKnown[T]) get(ask func(context.Context) (T, error), most time.Duration) finding[T] {
	k.mu.Lock()
	asking := k.asking
	if asking == nil {
		asking = make(chan struct{})
		k.asking = asking
		go k.find(ask, asking)
	}
	k.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-asking:
	case <-timer.C:
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last
}

func (k *lastKnown[T]) find(ask func(context.Context) (T, error), found chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	at := time.Now()
	value, err := answered(ctx, ask)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last.err = err; err == nil {
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
