package readapi

import (
	"fmt"
	"sync"

	"daybook/internal/problem"
)

// places bound what goes on at once and takes long: in all, and for each client, so
// that one client cannot shut out the others.
type places struct {
	what      string // "live streams"
	total     int
	perClient int

	mu     sync.Mutex
	taken  int
	having map[string]int // by client; one that has none is not there
}

// newPlaces has total places. A client may have perClient of them; 0 is a quarter,
// and a negative number all.
func newPlaces(what string, total, perClient int) *places {
	switch {
	case perClient == 0:
		perClient = max(1, total/4)
	case perClient < 0:
		perClient = total
	}
	return &places{what: what, total: total, perClient: min(perClient, total), having: make(map[string]int)}
}

// enter takes a place for a client, until leave is called; or it says, as a problem,
// why there is none.
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
