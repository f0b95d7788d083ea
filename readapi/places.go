package readapi

import (
	"fmt"
	"sync"

	"daybook/internal/problem"
)

// places limits how many long requests run at once, such as live streams. It has one limit for
// all clients together, and one for each client, so that one client cannot take all places.
type places struct {
	what      string // "live streams"
	total     int
	perClient int

	mu     sync.Mutex
	taken  int
	having map[string]int // places taken, by client; a client without a place is not in the map
}

// newPlaces makes total places. A client may take perClient of them. 0 means a quarter of
// them, and a negative number means all.
func newPlaces(what string, total, perClient int) *places {
	switch {
	case perClient == 0:
		perClient = max(1, total/4)
	case perClient < 0:
		perClient = total
	}
	return &places{what: what, total: total, perClient: min(perClient, total), having: make(map[string]int)}
}

// enter takes a place for a client until leave is called. If there is no place, err is the
// problem to respond with.
func (p *places) enter(client string) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.having[client] >= p.perClient:
		return nil, problem.TooManyAtOnce(p.perClient, p.what)
	case p.taken >= p.total:
		return nil, problem.Overloaded(fmt.Errorf("%d %s are open", p.total, p.what))
	}
	p.taken++
	p.having[client]++
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.taken--
		if p.having[client]--; p.having[client] == 0 {
			delete(p.having, client)
		}
	}), nil
}
