// Package ratelimit limits how often something may happen under a name, such as the id of a key. It
// knows nothing about HTTP or about what the names stand for.
package ratelimit

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// MaxNames is how many names a Limiter remembers. If there are more, it forgets the name that was
// used longest ago. If that name comes back, it has a full allowance.
const MaxNames = 50_000

// Limiter gives each name an allowance that fills up steadily. Its methods may be called by several
// goroutines. A nil Limiter has no limit.
type Limiter struct {
	perSecond float64
	burst     int
	most      int

	mu     sync.Mutex
	byName map[string]*list.Element
	order  *list.List // of *allowance; the one that was used last is in front
}

type allowance struct {
	name string
	left *rate.Limiter
}

// New makes a Limiter. Each name may take perSecond on average. A name that has taken nothing for a
// while may take at once what it gets in the time burst, and at least one. New returns nil if
// perSecond is not above 0.
func New(perSecond float64, burst time.Duration) *Limiter {
	if perSecond <= 0 {
		return nil
	}
	return &Limiter{perSecond: perSecond, burst: max(1, int(burst.Seconds()*perSecond)), most: MaxNames, byName: make(map[string]*list.Element), order: list.New()}
}

// Take takes one from a name's allowance, and returns 0. If none is left, it takes nothing and
// returns how long it will be until there is one.
func (l *Limiter) Take(name string, now time.Time) (wait time.Duration) {
	if l == nil {
		return 0
	}
	taken := l.of(name).ReserveN(now, 1)
	if wait = taken.DelayFrom(now); wait > 0 {
		taken.CancelAt(now)
	}
	return wait
}

// Wait is how long Take would make a name wait now. It takes nothing, and a name that is not
// remembered stays so.
func (l *Limiter) Wait(name string, now time.Time) time.Duration {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	found, here := l.byName[name]
	l.mu.Unlock()
	if !here {
		return 0
	}
	missing := 1 - found.Value.(*allowance).left.TokensAt(now) //nolint:forcetypeassert // the list has nothing else
	return time.Duration(max(0, missing) / l.perSecond * float64(time.Second))
}

// PerSecond is the limit of each name, 0 for none.
func (l *Limiter) PerSecond() float64 {
	if l == nil {
		return 0
	}
	return l.perSecond
}

// of is the allowance of a name.
func (l *Limiter) of(name string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found, here := l.byName[name]; here {
		l.order.MoveToFront(found)
		return found.Value.(*allowance).left //nolint:forcetypeassert // the list has nothing else
	}
	if l.order.Len() >= l.most {
		oldest := l.order.Back()
		delete(l.byName, l.order.Remove(oldest).(*allowance).name) //nolint:forcetypeassert // the list has nothing else
	}
	fresh := &allowance{name, rate.NewLimiter(rate.Limit(l.perSecond), l.burst)}
	l.byName[name] = l.order.PushFront(fresh)
	return fresh.left
}
