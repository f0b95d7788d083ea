package httpapi

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

// How many credentials are remembered as good, and for how long.
const (
	maxRecent  = 10_000
	recentLast = time.Hour
)

// recent remembers which sessions and tokens were good a short time ago. Their holders are served
// even if somebody at their address guesses. It does not replace a check: whatever is remembered is
// checked again with each request, and is forgotten when it is no longer good. It has only hashes,
// so that the memory of the process does not have more secrets than it must.
type recent struct {
	mu    sync.Mutex
	most  int
	good  map[[sha256.Size]byte]*list.Element
	order *list.List // of *goodCredential; the one that was noted last is in front
}

type goodCredential struct {
	hash [sha256.Size]byte
	at   time.Time
}

func newRecent(most int) *recent {
	return &recent{most: most, good: make(map[[sha256.Size]byte]*list.Element), order: list.New()}
}

// note remembers that a credential is good. If there are too many, it forgets the one that was
// noted longest ago.
func (r *recent) note(credential string, now time.Time) {
	hash := sha256.Sum256([]byte(credential))
	r.mu.Lock()
	defer r.mu.Unlock()
	if found, here := r.good[hash]; here {
		found.Value.(*goodCredential).at = now //nolint:forcetypeassert // the list has nothing else
		r.order.MoveToFront(found)
		return
	}
	if r.order.Len() >= r.most {
		r.drop(r.order.Back())
	}
	r.good[hash] = r.order.PushFront(&goodCredential{hash, now})
}

// has tells whether a credential was good a short time ago.
func (r *recent) has(credential string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, here := r.good[sha256.Sum256([]byte(credential))]
	return here && now.Sub(found.Value.(*goodCredential).at) < recentLast //nolint:forcetypeassert // the list has nothing else
}

// forget is called when a credential is not good.
func (r *recent) forget(credential string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found, here := r.good[sha256.Sum256([]byte(credential))]; here {
		r.drop(found)
	}
}

// drop removes an element. The caller has the lock.
func (r *recent) drop(element *list.Element) {
	delete(r.good, r.order.Remove(element).(*goodCredential).hash) //nolint:forcetypeassert // the list has nothing else
}
