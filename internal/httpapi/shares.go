package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"daybook/domain/access"
	"daybook/internal/problem"
)

// shares limits how much of the budget of bodies one sender has, so that one sender who sends
// bodies slowly cannot keep all others from sending theirs.
type shares struct {
	each int64 // bytes

	mu    sync.Mutex
	taken map[string]*share // by the name of a sender; one without a request is not in the map
}

type share struct {
	room     *semaphore.Weighted
	requests int // how many requests use it now
}

// newShares gives each sender a quarter of the budget, and at least what the largest body needs.
func newShares(budget int64) *shares {
	return &shares{each: max(budget/4, MaxBodyBytes+1), taken: make(map[string]*share)}
}

// senders are the names whose shares a request's body counts against. For customers, guests and
// whoever has no credentials, the address counts: it has a share for each of these three. A key, a
// person or a guest with a token counts, too. Programs and staff have no share of their address, so
// others at the address cannot use it up. Without access control nobody has a share.
func senders(request *problem.Request) []string {
	who := request.Who
	switch {
	case who.ID == access.Everyone.ID:
		return nil
	case who.IsZero() || request.Anonymous:
		return []string{"strangers at " + request.Client}
	case who.Cart != "":
		return []string{"guests at " + request.Client, who.ID}
	case who.Customer != "":
		return []string{"customers at " + request.Client, who.ID}
	}
	return []string{who.ID}
}

// join returns the shares of some senders. The caller must call leave when its request has ended.
func (s *shares) join(names []string) (rooms []*semaphore.Weighted, leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		one, here := s.taken[name]
		if !here {
			one = &share{room: semaphore.NewWeighted(s.each)}
			s.taken[name] = one
		}
		one.requests++
		rooms = append(rooms, one.room)
	}
	return rooms, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, name := range names {
			one := s.taken[name]
			if one.requests--; one.requests == 0 {
				delete(s.taken, name)
			}
		}
	}
}

// holding is what the body of one request has of the budget, and of the shares of its sender.
type holding struct {
	rooms []*semaphore.Weighted // the shares, and then the budget
	most  []int64               // how many bytes each room has
	wait  time.Duration
	bytes int64
	leave func()
}

// hold returns a holding of no bytes. The caller must call release.
func (b *bodies) hold(r *http.Request) *holding {
	rooms, leave := b.shares.join(senders(problem.RequestOf(r.Context())))
	h := &holding{rooms: append(rooms, b.budget), wait: b.wait, leave: leave}
	for range rooms {
		h.most = append(h.most, b.shares.each)
	}
	h.most = append(h.most, b.total)
	return h
}

// grow waits a short time until the holding can have so many bytes in all.
func (h *holding) grow(ctx context.Context, bytes int64) error {
	more, until := bytes-h.bytes, time.Now().Add(h.wait)
	for i, room := range h.rooms {
		if room.TryAcquire(more) {
			continue
		}
		waiting, cancel := context.WithDeadline(ctx, until)
		err := room.Acquire(waiting, more)
		cancel()
		if err != nil {
			for _, earlier := range h.rooms[:i] {
				earlier.Release(more)
			}
			return problem.Overloaded(fmt.Errorf("bodies of %d bytes are being read and handled: %w", h.most[i], err))
		}
	}
	h.bytes = bytes
	return nil
}

// release gives all bytes back.
func (h *holding) release() {
	for _, room := range h.rooms {
		room.Release(h.bytes)
	}
	h.leave()
}
