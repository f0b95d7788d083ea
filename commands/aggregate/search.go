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

// A lane may have forgotten a command, or a state a name, such as a reservation's id. Then the lane
// looks for it in the stream, from the end back. A long stream is searched outside the lane, and
// the lane goes on with other jobs. When the search has ended, its job comes back to the lane with
// the result.

// searchInLane is how many events a lane itself reads for a search. Longer searches run
// outside the lane.
const searchInLane = 1000

// search is one thing that a job looks for in the earlier events of its stream.
type search[E any] struct {
	name string // the forgotten name; empty: the search is for the job's own command
	upTo int64  // events up to this revision were searched; -1: none

	command *pastCommand // the job's own command, if it was found
	about   []E          // the events about the thing, the latest first
	enough  bool         // no earlier event matters

	pass *pass[E] // an unfinished pass over later events
}

// pass is one read of the stream backwards, from a revision down to search.upTo.
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

// lookUp returns what the recorded events say about a name. If jobs before this one in the
// batch have events, these must be recorded first (errLater). If the search would take long,
// the job must wait for it (errSearch).
func (l *lane[S, C, E]) lookUp(ctx context.Context, j *job[S, C, E], name string) (*search[E], error) {
	s := j.searches[name]
	if s == nil {
		s = l.handler.searched(searchOf(l.stream, name, j.request.Meta.CommandID))
		if j.searches == nil {
			j.searches = map[string]*search[E]{}
		}
		j.searches[name] = s
	}
	switch gap := l.recordedRevision - s.upTo; {
	case s.enough || gap <= 0 && l.recordedRevision == l.begunRevision:
		return s, nil
	case gap > searchInLane:
		j.wanted = s
		return nil, errSearch
	case l.recordedRevision != l.begunRevision: // jobs before this one are not recorded yet
		return nil, errLater
	default:
		return s, l.handler.search(ctx, l.stream, l.recordedRevision, j.request.Meta.CommandID, s)
	}
}

// findCommand returns the result of the job's command, if the command was carried out before.
func (l *lane[S, C, E]) findCommand(ctx context.Context, j *job[S, C, E]) (past pastCommand, repeated bool, err error) {
	command := j.request.Meta.CommandID
	past, repeated = l.memory.find(command)
	if !repeated && (j.duplicate != nil || l.memory.hasForgotten(command)) {
		found, err := l.lookUp(ctx, j, "")
		if err != nil {
			return pastCommand{}, false, err
		}
		if found.command != nil {
			past, repeated = *found.command, true
		} else if j.duplicate != nil { // the log has the command's ids, but not in this stream
			return pastCommand{}, false, j.duplicate
		}
	}
	if repeated && !j.request.AnyContent && !eventstore.SameRequest(past.Request, j.request.Meta.Request) {
		return pastCommand{}, false, fmt.Errorf("stream %s, command %s: %w", l.stream, command, ErrCommandReused)
	}
	return past, repeated, nil
}

// decideCommand decides a command. If the state has forgotten a name that is needed, it looks
// the name up and decides again.
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

// search reads a stream's events from a revision down to the events that were searched before.
// If it fails, s has noted how far it came, and the next call goes on from there.
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

// goBack reads the rest of the events of a pass.
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

// note keeps an event if it is about the name of the search.
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

// find checks whether an event belongs to the command of the search.
func (s *search[E]) find(recorded eventstore.Recorded, command uuid.UUID, text []byte) {
	if !bytes.Contains(recorded.Meta, text) || eventstore.Foreign(&recorded) != nil {
		return
	}
	meta := eventstore.MetadataOrNone(recorded.Meta)
	if meta.CommandID == command { // its last event, since the stream is read backwards
		s.command = &pastCommand{Command: command, Revision: recorded.Revision, Position: recorded.Position, Request: meta.Request}
		s.enough = true
	}
}
