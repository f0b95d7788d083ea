package stock

import (
	"github.com/go-json-experiment/json"
)

// Recent remembers values by key, up to a limit; then it forgets the key that was put first.
// Its zero value is empty. Its JSON is the list of entries, oldest first.
type Recent[V any] struct {
	values map[string]V
	ring   []string // keys in the order in which they were put; the oldest is at next once the ring is full
	next   int
}

type recentEntry[V any] struct {
	Key   string `json:"key"`
	Value V      `json:"value"`
}

// Get finds the value of a key.
func (r Recent[V]) Get(key string) (V, bool) {
	value, found := r.values[key]
	return value, found
}

// Put remembers a key's value. If the limit was reached, it returns the key that it has
// forgotten, and full is true. A key that is put again keeps its age.
func (r *Recent[V]) Put(key string, value V, limit int) (forgotten string, full bool) {
	if r.values == nil {
		r.values = map[string]V{}
	}
	if _, known := r.values[key]; known {
		r.values[key] = value
		return "", false
	}
	r.values[key] = value
	if len(r.ring) < limit {
		r.ring = append(r.ring, key)
		return "", false
	}
	forgotten = r.ring[r.next]
	delete(r.values, forgotten)
	r.ring[r.next] = key
	r.next = (r.next + 1) % len(r.ring)
	return forgotten, true
}

// Len is how many keys are remembered.
func (r Recent[V]) Len() int { return len(r.ring) }

// IsZero tells whether nothing is remembered. It keeps an empty Recent out of a snapshot.
func (r Recent[V]) IsZero() bool { return len(r.ring) == 0 }

// MarshalJSON writes the entries, oldest first.
func (r Recent[V]) MarshalJSON() ([]byte, error) {
	entries := make([]recentEntry[V], 0, len(r.ring))
	for i := range r.ring {
		key := r.ring[(r.next+i)%len(r.ring)]
		entries = append(entries, recentEntry[V]{Key: key, Value: r.values[key]})
	}
	return json.Marshal(entries)
}

// UnmarshalJSON reads them back.
func (r *Recent[V]) UnmarshalJSON(data []byte) error {
	var entries []recentEntry[V]
	if err := json.Unmarshal(data, &entries); err != nil {
		return err
	}
	*r = Recent[V]{}
	for _, e := range entries {
		r.Put(e.Key, e.Value, len(entries))
	}
	return nil
}
