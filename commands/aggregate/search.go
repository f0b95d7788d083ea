package aggregate

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

// searchInLane is how many events a lane itself looks through.
const searchInLane = 1000

// search is what a job wants to know of the events before it.
type search[E any] struct {
	name string // of the forgotten thing; empty: the job's own command
	upTo int64  // events up to this revision were looked at; -1: none

	command *receipt // the job's own, if it was found
	about   []E      // the events about the thing, the latest first
	enough  bool     // no earlier event matters

	pass *pass[E] // over the later events, if one did not come to its end
}

// pass is one way back through the events, from a revision down to search.upTo.
type pass[E any] struct {
	from, next int64 // it began at from, and goes on at next
	about      []E   // what it has found, the latest first
}

var (
	// errSearch means that a job must wait for a search of the log.
	errSearch = errors.New("the stream's events are searched first")
	// errLater means that a job can be decided only as the first of its batch.
	errLater = errors.New("the commands before it must be recorded first")
)

// lookUp searches the recorded events. Events of the present batch must be recorded first.
func (l *lane[S, C, E]) lookUp(ctx context.Context, j *job[S, C, E], name string) (*search[E], error) {
	s := j.searches[name]
	if s == nil {
		s = l.handler.searched(searchOf(l.stream, name, j.request.Meta.CommandID))
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
		return s, l.handler.search(ctx, l.stream, l.recordedAt, j.request.Meta.CommandID, s)
	}
}

// findCommand finds what a command did when it was carried out before.
func (l *lane[S, C, E]) findCommand(ctx context.Context, j *job[S, C, E]) (known receipt, repeated bool, err error) {
	command := j.request.Meta.CommandID
	known, repeated = l.memory.find(command)
	if !repeated && (j.duplicate != nil || l.memory.hasForgotten(command)) {
		found, err := l.lookUp(ctx, j, "")
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

// decideCommand decides a command. What the state has forgotten is looked up and told.
func (l *lane[S, C, E]) decideCommand(ctx context.Context, j *job[S, C, E], command C) ([]E, error) {
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
		found, err := l.lookUp(ctx, j, forgotten.Name)
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

// search looks through a stream's events from a revision down to where was looked
// before. If it fails, s knows how far it came, and the next search goes on from there.
func (h *Handler[S, C, E]) search(ctx context.Context, stream string, from int64, command uuid.UUID, s *search[E]) error {
	if s.pass == nil {
		s.pass = &pass[E]{from: from, next: from}
	}
	if s.pass.next > s.upTo {
		if err := h.goBack(ctx, stream, command, s); err != nil {
			return err
		}
	}
	s.about = append(s.pass.about, s.about...)
	s.upTo = max(s.upTo, s.pass.from)
	s.pass = nil
	return nil
}

// goBack reads the events of a search's pass that it has not seen yet.
func (h *Handler[S, C, E]) goBack(ctx context.Context, stream string, command uuid.UUID, s *search[E]) error {
	text := []byte(command.String())
	for recorded, err := range h.store.ReadStreamBackwards(ctx, stream, s.pass.next, 0) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			return nil
		}
		if err != nil {
			return fmt.Errorf("stream %s: search: %w", stream, err)
		}
		if recorded.Revision <= s.upTo {
			return nil
		}
		if s.name == "" {
			s.find(recorded, command, text)
		} else {
			err = h.note(recorded, s)
		}
		if err != nil {
			return &UndecodableError{Stream: stream, Revision: recorded.Revision, Cause: err}
		}
		s.pass.next = recorded.Revision - 1
		if s.enough {
			return nil
		}
	}
	return nil
}

// note keeps an event that is about the thing that is looked for.
func (h *Handler[S, C, E]) note(recorded eventstore.Recorded, s *search[E]) error {
	return Safely(func() error {
		event, err := eventstore.Decode(&recorded, h.aggregate.Decode)
		if eventstore.IsForeign(err) {
			return nil
		}
		if err != nil {
			return err
		}
		about, enough := h.aggregate.About(s.name, event)
		if about {
			s.pass.about = append(s.pass.about, event)
		}
		s.enough = enough
		return nil
	})
}

// find compares an event's command with the one that is looked for.
func (s *search[E]) find(recorded eventstore.Recorded, command uuid.UUID, text []byte) {
	if !bytes.Contains(recorded.Meta, text) || eventstore.Foreign(&recorded) != nil {
		return
	}
	meta := eventstore.MetadataOrNone(recorded.Meta)
	if meta.CommandID == command { // its last event, since the stream is read backwards
		s.command = &receipt{Command: command, Revision: recorded.Revision, Position: recorded.Position, Request: meta.Request}
		s.enough = true
	}
}
