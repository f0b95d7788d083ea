package aggregate

import "sync"

// queue is the jobs that wait for a lane. It has a lock of its own, because callers add
// to it while the lane works.
type queue[S, C, E any] struct {
	mu      sync.Mutex
	jobs    []*job[S, C, E]
	working bool // somebody takes what is added
}

// add puts a job behind the others. It refuses with ErrOverloaded if as many wait as may.
// idle tells that nobody takes from the queue: the caller must see to it from now on.
func (q *queue[S, C, E]) add(j *job[S, C, E], limit int) (idle bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) >= limit {
		return false, ErrOverloaded
	}
	q.jobs = append(q.jobs, j)
	return q.wake(), nil
}

// putBack puts jobs in front of the others, whatever the limit is; see add.
func (q *queue[S, C, E]) putBack(jobs []*job[S, C, E]) (idle bool) {
	for _, j := range jobs {
		j.stage.Store(waiting)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append(jobs[:len(jobs):len(jobs)], q.jobs...)
	return q.wake()
}

// wake notes that somebody takes from the queue, and tells whether nobody did. The lock is
// held.
func (q *queue[S, C, E]) wake() (idle bool) {
	idle, q.working = !q.working, true
	return idle
}

// take returns the next jobs. None means that nobody takes any more, until add or putBack
// says that the queue is idle.
func (q *queue[S, C, E]) take() []*job[S, C, E] {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.jobs), maxBatchCommands)
	if n == 0 {
		q.jobs, q.working = nil, false
		return nil
	}
	batch := q.jobs[:n:n]
	q.jobs = q.jobs[n:]
	return batch
}

func (q *queue[S, C, E]) isWorking() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.working
}
