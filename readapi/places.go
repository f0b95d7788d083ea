package readapi

import (
	"fmt"
	"sync"

	"daybook/domain/access"
	"daybook/internal/problem"
)

// places limits how many long requests run at once, such as live streams. It has one limit for
// all clients together, one for each address and one for each key, so that one client cannot take
// all places.
type places struct {
	what      string // "live streams"
	total     int
	perClient int
	perKey    int

	mu      sync.Mutex
	taken   int
	takenBy map[string]int // how many places each address and key has; one without a place is not in the map
}

// newPlaces makes total places, of which one address may take perClient and one key perKey. If one
// of these is 0, it stands for a quarter of the places, and if it is negative, for all.
func newPlaces(what string, total, perClient, perKey int) *places {
	share := func(most int) int {
		switch {
		case most == 0:
			return max(1, total/4)
		case most < 0:
			return total
		}
		return min(most, total)
	}
	return &places{what: what, total: total, perClient: share(perClient), perKey: share(perKey), takenBy: make(map[string]int)}
}

// enter takes a place for a request until leave is called. If there is no place, err is the problem
// to respond with. Without access control nobody has a key, and only the address counts.
func (p *places) enter(request *problem.Request) (leave func(), err error) {
	takers := []string{request.Client}
	if who := request.Who; !who.IsZero() && who.ID != access.Everyone.ID {
		takers = append(takers, who.ID+" for "+string(who.ActsFor))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.takenBy[takers[0]] >= p.perClient:
		return nil, problem.TooManyAtOnce(p.perClient, p.what, "from this address")
	case len(takers) > 1 && p.takenBy[takers[1]] >= p.perKey:
		return nil, problem.TooManyAtOnce(p.perKey, p.what, "with this key")
	case p.taken >= p.total:
		return nil, problem.Overloaded(fmt.Errorf("%d %s are open", p.total, p.what))
	}
	p.taken++
	for _, taker := range takers {
		p.takenBy[taker]++
	}
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.taken--
		for _, taker := range takers {
			if p.takenBy[taker]--; p.takenBy[taker] == 0 {
				delete(p.takenBy, taker)
			}
		}
	}), nil
}
