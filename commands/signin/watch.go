package signin

import (
	"context"
	"errors"
	"sync"
	"time"

	"daybook/domain/access"
)

// recheck is how often the session of a long request is checked. Sessions can end on another node,
// and by time alone. A long request must end within a second after its session, so the pause is
// half of that, which leaves time for the check.
const recheck = 500 * time.Millisecond

// watches check the sessions of long requests, such as live streams. A session with several of them
// is checked once for all, so that one person cannot make the node send many queries.
type watches struct {
	mu sync.Mutex
	by map[string]*watch // by the hash of the session's token
}

type watch struct {
	requests map[*watched]struct{}
	stop     context.CancelFunc
}

// watched is one long request.
type watched struct {
	who access.Principal // as the request began
	end func()
}

// While returns a context that ends within a second after a session has ended or the rights of its
// holder have changed, on any node. The caller must call stop. While the log or the database does
// not respond, the context does not end.
func (d *Desk) While(ctx context.Context, who access.Principal) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	one := &watched{who: who, end: func() { cancel(ErrSessionEnded) }}
	d.join(who.Credential, one)
	return ctx, func() {
		d.leave(who.Credential, one)
		cancel(nil)
	}
}

func (d *Desk) join(hash string, one *watched) {
	d.watches.mu.Lock()
	defer d.watches.mu.Unlock()
	w := d.watches.by[hash]
	if w == nil {
		ctx, stop := context.WithCancel(context.Background())
		w = &watch{requests: map[*watched]struct{}{}, stop: stop}
		d.watches.by[hash] = w
		go d.watch(ctx, hash, w)
	}
	w.requests[one] = struct{}{}
}

// leave forgets a request. The watch of a session stops with its last request.
func (d *Desk) leave(hash string, one *watched) {
	d.watches.mu.Lock()
	defer d.watches.mu.Unlock()
	w := d.watches.by[hash]
	if w == nil {
		return
	}
	delete(w.requests, one)
	if len(w.requests) == 0 {
		w.stop()
		delete(d.watches.by, hash)
	}
}

func (d *Desk) watch(ctx context.Context, hash string, w *watch) {
	ticker := time.NewTicker(recheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now, err := d.holder(ctx, hash, false)
		if err != nil && !errors.Is(err, ErrNoSession) {
			continue
		}
		d.watches.mu.Lock()
		for one := range w.requests {
			if err != nil || !sameRights(now, one.who) {
				one.end()
			}
		}
		d.watches.mu.Unlock()
	}
}

func sameRights(a, b access.Principal) bool {
	if a.ID != b.ID || a.Role != b.Role || len(a.Grants) != len(b.Grants) {
		return false
	}
	for permission, reach := range a.Grants {
		if b.Grants[permission] != reach {
			return false
		}
	}
	return true
}
