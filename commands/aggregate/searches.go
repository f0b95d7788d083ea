package aggregate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// A search beside the lanes belongs to the handler and not to the job that asked for
// it: it goes on when its caller gives up, so that a caller who asks again with the same
// command id finds the result, however long the stream is.

const (
	// searchesAtOnce bounds the searches of a handler, because each of them uses
	// a connection to the log.
	searchesAtOnce = 4
	// Results are kept for searchKept after they were last asked for, and no more
	// than searchesKept of them.
	searchKept   = 10 * time.Minute
	searchesKept = 1000
)

// searchKey tells what is searched for; command is set if name is empty.
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

// sharedSearch is a search for whoever asks. While it runs, found is its goroutine's;
// the rest belongs to the handler's lock.
type sharedSearch[S, C, E any] struct {
	found   search[E]
	running bool
	jobs    []*job[S, C, E] // that wait for it
	asked   time.Time       // last
}

// drop forgets the jobs whose callers have given up.
func (s *sharedSearch[S, C, E]) drop() {
	s.jobs = slices.DeleteFunc(s.jobs, func(j *job[S, C, E]) bool { return j.stage.Load() == withdrawn })
}

// searched is a copy of what an earlier search has found, or else a new search.
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

// result is a copy without an unfinished pass, which goes on in the shared search only.
func (s *search[E]) result() *search[E] {
	c := *s
	c.pass = nil
	return &c
}

// searchBeside takes a job out of the lane until the log was searched for it.
func (l *lane[S, C, E]) searchBeside(j *job[S, C, E]) {
	key := searchOf(l.stream, j.wanted.name, j.request.Meta.CommandID)
	j.wanted = nil
	j.stage.Store(waiting)
	if err := l.handler.share(key, l.recordedAt, j); err != nil && j.begin() {
		finish([]*job[S, C, E]{j}, err)
	}
}

// share makes a job wait for a search, which begins if it does not run yet.
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

// dropSearches makes room for one more result; the lock is held.
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

// runSearch searches, and sends the jobs that wait back to their lane with what was found.
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

// isWanted tells whether anybody still waits for a search that has its turn now. If not,
// it ends, and whoever asks then begins another.
func (h *Handler[S, C, E]) isWanted(s *sharedSearch[S, C, E]) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.drop()
	s.running = len(s.jobs) > 0
	return s.running
}
