package aggregate

import (
	"context"
	"sync"
	"time"
)

// sharedDeadline makes contexts that end after a timeout. Those that are wanted at about the same
// time are one context, because a timer for each costs as much as deciding a command.
type sharedDeadline struct {
	timeout time.Duration

	mu   sync.Mutex
	last context.Context
	made time.Time
}

// next returns a context that ends after the timeout, or up to a twentieth of it later. Its
// deadline ends it, so nobody has to cancel it.
func (d *sharedDeadline) next() context.Context {
	slack := d.timeout / 20
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil || now.Sub(d.made) >= slack {
		ctx, cancel := context.WithDeadline(context.Background(), now.Add(d.timeout+slack))
		context.AfterFunc(ctx, cancel) // has no effect; go vet wants cancel to be used
		d.last, d.made = ctx, now
	}
	return d.last
}
