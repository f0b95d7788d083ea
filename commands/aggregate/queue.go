package aggregate

import (
	"slices"
	"sync"
)

// queue has the jobs that wait for a lane. It has its own lock, because callers add jobs while
// the lane works.
type queue[S, C, E any] struct {
	mu      sync.Mutex
	jobs    []*job[S, C, E]
	working bool // a goroutine takes the jobs that are added
}

// add puts a job at the end of the queue. If limit jobs wait already, it returns
// ErrOverloaded. idle is true if no goroutine takes jobs from the queue. Then the caller must
// start one.
func (q *queue[S, C, E]) add(j *job[S, C, E], limit int) (idle bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) >= limit {
		return false, ErrOverloaded
	}
	q.jobs = append(q.jobs, j)
	return q.wake(), nil
}

// putBack puts jobs at the front of the queue, even beyond the limit. For idle, see add.
func (q *queue[S, C, E]) putBack(jobs []*job[S, C, E]) (idle bool) {
	for _, j := range jobs {
		j.stage.Store(waiting)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append(jobs[:len(jobs):len(jobs)], q.jobs...)
	return q.wake()
}

// wake notes that a goroutine takes jobs from now on. idle is true if none did before. The
// caller holds the lock.
func (q *queue[S, C, E]) wake() (idle bool) {
	idle, q.working = !q.working, true
	return idle
}

// take returns the next jobs. If there are none, the caller must stop taking: the queue is
// idle then, and add or putBack will say so. A job that borrows the lane is taken alone.
func (q *queue[S, C, E]) take() []*job[S, C, E] {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.jobs), maxBatchCommands)
	if n == 0 {
		q.jobs, q.working = nil, false
		return nil
	}
	if i := slices.IndexFunc(q.jobs[:n], func(j *job[S, C, E]) bool { return j.lend }); i >= 0 {
		n = max(i, 1)
	}
	batch := q.jobs[:n:n]
	q.jobs = q.jobs[n:]
	return batch
}

// lend marks an idle queue as working, so that no goroutine is started for the lane while the
// caller works on it. ok is false if a goroutine is at work already.
func (q *queue[S, C, E]) lend() (ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wake()
}

// takeBack ends the work of a borrower. It returns true if jobs are waiting: then a goroutine must
// be started for them.
func (q *queue[S, C, E]) takeBack() (waiting bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.working = len(q.jobs) > 0
	return q.working
}

func (q *queue[S, C, E]) isWorking() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.working
}
