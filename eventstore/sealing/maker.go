package sealing

import (
	"context"
	"sync"
	"time"
)

const (
	// mostMade bounds how many keys are asked for at once.
	mostMade = 64
	// makeMax bounds how long that may take.
	makeMax = 10 * time.Second
)

// maker asks for the keys of subjects that are not in memory. Callers that ask while an answer is
// on its way share the next one. So many new guests cost one transaction of the table, and not one
// each. Nobody waits for a timer.
type maker struct {
	all func(ctx context.Context, subjects []string) (map[string]*dataKey, error)

	mu      sync.Mutex
	waiting []*wanted
	working bool
}

// wanted is a key that a caller waits for.
type wanted struct {
	subject string
	key     *dataKey
	err     error
	done    chan struct{}
}

// get returns the key of a subject. The error is ErrSubjectErased, or that of the table or the
// master key.
func (m *maker) get(ctx context.Context, subject string) (*dataKey, error) {
	w := &wanted{subject: subject, done: make(chan struct{})}
	m.mu.Lock()
	m.waiting = append(m.waiting, w)
	if !m.working {
		m.working = true
		go m.work()
	}
	m.mu.Unlock()
	select {
	case <-w.done:
		return w.key, w.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// work answers until nobody waits.
func (m *maker) work() {
	for {
		m.mu.Lock()
		batch := m.waiting
		if len(batch) == 0 {
			m.working = false
			m.mu.Unlock()
			return
		}
		m.waiting = nil
		if len(batch) > mostMade {
			batch, m.waiting = batch[:mostMade], batch[mostMade:]
		}
		m.mu.Unlock()
		m.answer(batch)
	}
}

func (m *maker) answer(batch []*wanted) {
	ctx, cancel := context.WithTimeout(context.Background(), makeMax) // the batch has many callers
	defer cancel()
	var subjects []string
	asked := make(map[string]bool, len(batch))
	for _, w := range batch {
		if !asked[w.subject] {
			asked[w.subject] = true
			subjects = append(subjects, w.subject)
		}
	}
	keys, err := m.all(ctx, subjects)
	if err != nil && len(subjects) > 1 {
		m.answerEach(batch)
		return
	}
	for _, w := range batch {
		if w.err = err; err == nil {
			if w.key = keys[w.subject]; w.key == nil {
				w.err = ErrSubjectErased
			}
		}
		close(w.done)
	}
}

// answerEach asks for each key alone, because one of them has failed all.
func (m *maker) answerEach(batch []*wanted) {
	var asking sync.WaitGroup
	for _, w := range batch {
		asking.Go(func() { m.answer([]*wanted{w}) })
	}
	asking.Wait()
}
