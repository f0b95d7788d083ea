package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"daybook/domain/rule"
	"daybook/eventstore"
)

// A lane finds what it has forgotten again by reading its stream backwards. A long
// stream is searched outside the lane, which goes on with other jobs meanwhile. The
// job then comes back with what was found and how far the search went.

const (
	// searchInLane is how many events a lane itself looks through.
	searchInLane = 1000
	// searchesAtOnce bounds the searches of a handler, because each of them uses
	// a connection to the log.
	searchesAtOnce = 4
)

// search is what a job wants to know of the events before it.
type search[E any] struct {
	name string // of the forgotten thing; empty: the job's own command
	upTo int64  // events up to this revision were looked at; -1: none

	command *receipt // the job's own, if it was found
	about   []E      // the events about the thing, the latest first
	enough  bool     // no earlier event matters
}

var (
	// errSearch means that a job must wait for a search of the log.
	errSearch = errors.New("the stream's events are searched first")
	// errLater means that a job can be decided only as the first of its batch.
	errLater = errors.New("the commands before it must be recorded first")
)

// look searches the recorded events. Events of the present batch must be recorded first.
func (l *lane[S, C, E]) look(ctx context.Context, j *job[S, C, E], name string) (*search[E], error) {
	s := j.searches[name]
	if s == nil {
		s = &search[E]{name: name, upTo: -1}
		if j.searches == nil {
			j.searches = map[string]*search[E]{}
		}
		j.searches[name] = s
	}
	switch gap := l.recordedAt - s.upTo; {
	case s.enough || gap <= 0 && l.recordedAt == l.begunAt:
		return s, nil
	case gap > searchInLane:
		j.wanted = s
		return nil, errSearch
	case l.recordedAt != l.begunAt: // jobs before this one are not recorded yet
		return nil, errLater
	default:
		return s, l.handler.search(ctx, l.stream, l.recordedAt, j, s)
	}
}

// known finds what a command did when it was carried out before.
func (l *lane[S, C, E]) known(ctx context.Context, j *job[S, C, E]) (known receipt, repeated bool, err error) {
	command := j.request.Meta.CommandID
	known, repeated = l.memory.find(command)
	if !repeated && (j.duplicate != nil || l.memory.hasForgotten(command)) {
		found, err := l.look(ctx, j, "")
		if err != nil {
			return receipt{}, false, err
		}
		if found.command != nil {
			known, repeated = *found.command, true
		} else if j.duplicate != nil { // the command id was used for another stream
			return receipt{}, false, j.duplicate
		}
	}
	if repeated && !j.request.AnyContent && !eventstore.SameRequest(known.Request, j.request.Meta.Request) {
		return receipt{}, false, fmt.Errorf("stream %s, command %s: %w", l.stream, command, ErrCommandReused)
	}
	return known, repeated, nil
}

// ask decides a command. What the state has forgotten is looked up and told.
func (l *lane[S, C, E]) ask(ctx context.Context, j *job[S, C, E], command C) ([]E, error) {
	state := l.state
	asked := map[string]bool(nil)
	for {
		decided, err := l.handler.aggregate.Decide(command, state)
		if err == nil {
			return decided, nil
		}
		forgotten, ok := errors.AsType[*rule.ForgottenError](err)
		if !ok {
			return nil, err
		}
		if l.handler.aggregate.Recall == nil || asked[forgotten.Name] {
			return nil, fmt.Errorf("stream %s: deciding does not end: %w", l.stream, err)
		}
		found, err := l.look(ctx, j, forgotten.Name)
		if err != nil {
			return nil, err
		}
		if asked == nil {
			asked = map[string]bool{}
		}
		asked[forgotten.Name] = true
		state = l.handler.aggregate.Recall(state, forgotten.Name, found.about)
	}
}

// searchBeside takes a job out of the lane until the log was searched for it.
func (l *lane[S, C, E]) searchBeside(j *job[S, C, E]) {
	h, stream, from, s := l.handler, l.stream, l.recordedAt, j.wanted
	j.wanted = nil
	j.stage.Store(waiting)
	h.work.Add(1)
	go func() {
		defer h.work.Done()
		h.searching <- struct{}{}
		defer func() { <-h.searching }()
		ctx, cancel := context.WithTimeout(context.Background(), h.options.SearchTimeout)
		defer cancel()
		if err := h.search(ctx, stream, from, j, s); err != nil {
			if j.begin() {
				finish([]*job[S, C, E]{j}, err)
			}
			return
		}
		h.resume(j)
	}()
}

// search looks through a stream's events from a revision down to s.upTo, where the
// last search began.
func (h *Handler[S, C, E]) search(ctx context.Context, stream string, from int64, j *job[S, C, E], s *search[E]) error {
	var about []E
	text := []byte(j.request.Meta.CommandID.String())
	for recorded, err := range h.store.ReadStreamBackwards(ctx, stream, from, 0) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			break
		}
		if err != nil {
			return fmt.Errorf("stream %s: search: %w", stream, err)
		}
		if recorded.Revision <= s.upTo || s.enough || j.stage.Load() == withdrawn {
			break
		}
		if s.name == "" {
			if err := s.find(recorded, j.request.Meta.CommandID, text); err != nil {
				return &UndecodableError{Stream: stream, Revision: recorded.Revision, Cause: err}
			}
			continue
		}
		event, err := h.aggregate.Decode(recorded.Type, recorded.Data)
		if err != nil {
			return &UndecodableError{Stream: stream, Revision: recorded.Revision, Cause: err}
		}
		is, enough := h.aggregate.About(s.name, event)
		if is {
			about = append(about, event)
		}
		s.enough = enough
	}
	s.about = append(about, s.about...)
	s.upTo = max(s.upTo, from)
	return nil
}

// find compares an event's command with the one that is looked for.
func (s *search[E]) find(recorded eventstore.Recorded, command uuid.UUID, text []byte) error {
	if !bytes.Contains(recorded.Meta, text) {
		return nil
	}
	meta, err := eventstore.DecodeMetadata(recorded.Meta)
	if err != nil {
		return err
	}
	if meta.CommandID == command { // its last event, since the stream is read backwards
		s.command = &receipt{Command: command, Revision: recorded.Revision, Position: recorded.Position, Request: meta.Request}
		s.enough = true
	}
	return nil
}
