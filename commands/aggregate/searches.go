package aggregate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// A search outside the lanes belongs to the handler, and not to the job that needs it. It goes
// on if the job's caller gives up. So a caller who asks again with the same command id finds
// the result, even if the stream is very long.

const (
	// searchesAtOnce bounds the searches of a handler, because each of them uses
	// a connection to the log.
	searchesAtOnce = 4
	// A result is kept until searchKept after it was last asked for. At most searchesKept
	// results are kept.
	searchKept   = 10 * time.Minute
	searchesKept = 1000
)

// searchKey identifies a search: for a name in a stream, or, if name is empty, for a command.
type searchKey struct {
	stream, name string
	command      uuid.UUID
}

func searchOf(stream, name string, command uuid.UUID) searchKey {
	if name != "" {
		command = uuid.Nil
	}
	return searchKey{stream: stream, name: name, command: command}
}

// sharedSearch is a search that several jobs may wait for. While it runs, only its goroutine
// uses found. The handler's lock protects the rest.
type sharedSearch[S, C, E any] struct {
	found   search[E]
	running bool
	jobs    []*job[S, C, E] // the jobs that wait for it
	asked   time.Time       // when it was last asked for
}

// drop removes the jobs whose callers have given up.
func (s *sharedSearch[S, C, E]) drop() {
	s.jobs = slices.DeleteFunc(s.jobs, func(j *job[S, C, E]) bool { return j.stage.Load() == withdrawn })
}

// searched returns a copy of the result of an earlier search, or a new search.
func (h *Handler[S, C, E]) searched(key searchKey) *search[E] {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, known := h.searches[key]
	if !known || s.running {
		return &search[E]{name: key.name, upTo: -1}
	}
	s.asked = time.Now()
	return s.found.result()
}

// result returns a copy without the unfinished pass, because only the shared search goes on
// with that.
func (s *search[E]) result() *search[E] {
	c := *s
	c.pass = nil
	return &c
}

// searchBeside takes a job out of the lane until its search has ended.
func (l *lane[S, C, E]) searchBeside(j *job[S, C, E]) {
	key := searchOf(l.stream, j.wanted.name, j.request.Meta.CommandID)
	j.wanted = nil
	j.stage.Store(waiting)
	if err := l.handler.share(key, l.recordedRevision, j); err != nil && j.begin() {
		finish([]*job[S, C, E]{j}, err)
	}
}

// share makes a job wait for a search, and begins the search if it is not running.
func (h *Handler[S, C, E]) share(key searchKey, from int64, j *job[S, C, E]) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	total := 0
	for _, s := range h.searches {
		if s.running {
			s.drop()
			total += max(1, len(s.jobs))
		}
	}
	if total >= h.options.SearchLimit {
		return fmt.Errorf("stream %s: %d commands wait for searches of the log: %w", key.stream, total, ErrOverloaded)
	}
	s, known := h.searches[key]
	if !known {
		h.dropSearches()
		s = &sharedSearch[S, C, E]{found: search[E]{name: key.name, upTo: -1}}
		h.searches[key] = s
	}
	s.asked = time.Now()
	s.jobs = append(s.jobs, j)
	if !s.running {
		s.running = true
		h.work.Add(1)
		go h.runSearch(key, from, s)
	}
	return nil
}

// dropSearches removes old results, so that there is room for one more. The caller holds the
// lock.
func (h *Handler[S, C, E]) dropSearches() {
	var oldest searchKey
	at, kept := time.Now(), 0
	for key, s := range h.searches {
		switch {
		case s.running:
			continue
		case time.Since(s.asked) > searchKept:
			delete(h.searches, key)
			continue
		case s.asked.Before(at):
			oldest, at = key, s.asked
		}
		kept++
	}
	if kept >= searchesKept {
		delete(h.searches, oldest)
	}
}

// runSearch runs a search, and then sends the waiting jobs back to their lane.
func (h *Handler[S, C, E]) runSearch(key searchKey, from int64, s *sharedSearch[S, C, E]) {
	defer h.work.Done()
	err := ErrClosed
	select {
	case h.searching <- struct{}{}:
		defer func() { <-h.searching }()
		if !h.isWanted(s) {
			return
		}
		ctx, cancel := context.WithTimeout(h.life, h.options.SearchTimeout)
		defer cancel()
		if err = h.search(ctx, key.stream, from, key.command, &s.found); err != nil && h.life.Err() != nil {
			err = ErrClosed
		}
	case <-h.life.Done():
	}
	h.mu.Lock()
	jobs := s.jobs
	s.jobs, s.running = nil, false
	for _, j := range jobs {
		j.searches[key.name] = s.found.result()
	}
	h.mu.Unlock()
	for _, j := range jobs {
		if err == nil {
			err = h.resume(j)
		}
		if err != nil && j.begin() {
			finish([]*job[S, C, E]{j}, err)
		}
	}
}

// isWanted is called when a search may begin to read. It returns false, and ends the search,
// if no job waits for it any more. A later job begins a new search.
func (h *Handler[S, C, E]) isWanted(s *sharedSearch[S, C, E]) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.drop()
	s.running = len(s.jobs) > 0
	return s.running
}
