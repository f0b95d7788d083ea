package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"daybook/eventstore"
)

// checkDocuments refuses a document of metadata or of settings that could not be read back.
// Its writer would rely on rights and limits that are not applied. Other streams may hold
// anything.
func checkDocuments(stream string, events []eventstore.Event) error {
	check := checkSettings
	if _, ok := isMetastream(stream); ok {
		check = checkMetadata
	} else if stream != settingsStream {
		return nil
	}
	for i := range events {
		var members map[string]jsontext.Value
		err := json.Unmarshal(eventstore.Unwrap(events[i]).Data, &members)
		switch {
		case err != nil:
			err = fmt.Errorf("it must be one JSON object, with no name twice and nothing before or after it: %w", err)
		case members == nil:
			err = errors.New("it is null, and not a JSON object")
		default:
			err = check(members)
		}
		if err != nil {
			return invalid("stream %s: the document of event %d cannot be read, so it would have no effect: %v", stream, i, err)
		}
	}
	return nil
}

// checkMetadata names the first member that could not be understood. nil means that there is
// none.
func checkMetadata(members map[string]jsontext.Value) error {
	for _, name := range []string{memberMaxCount, memberMaxAge, memberTruncateBefore, memberCacheControl} {
		var n int64
		if value := members[name]; !isNull(value) && json.Unmarshal(value, &n) != nil {
			return fmt.Errorf("%s is not a whole number of 64 bits", name)
		}
	}
	var temporary bool
	if value := members[memberTemporary]; !isNull(value) && json.Unmarshal(value, &temporary) != nil {
		return fmt.Errorf("%s is neither true nor false", memberTemporary)
	}
	value := members[memberACL]
	if value.Kind() == '"' {
		if parsed := parseACL(value); parsed.defaultList != userACL && parsed.defaultList != systemACL {
			return fmt.Errorf("%s is a text, but neither %s nor %s", memberACL, userACL, systemACL)
		}
		return nil
	}
	return checkACL(memberACL, value)
}

// checkSettings names the first list of $settings that could not be understood.
func checkSettings(members map[string]jsontext.Value) error {
	for _, name := range []string{userACL, systemACL} {
		if err := checkACL(name, members[name]); err != nil {
			return err
		}
	}
	return nil
}

// checkACL names the first list of roles that parseACL would ignore.
func checkACL(name string, value jsontext.Value) error {
	if isNull(value) {
		return nil
	}
	var lists map[operation]jsontext.Value
	if json.Unmarshal(value, &lists) != nil {
		return fmt.Errorf("%s is not an object with lists of users and groups", name)
	}
	for op, roles := range lists {
		if !slices.Contains(operations, op) {
			return fmt.Errorf("%s has the member %q, and may have only %v", name, op, operations)
		}
		if _, ok := parseRoles(roles); !ok && !isNull(roles) {
			return fmt.Errorf("%s: the value of %s must be the name of a user or group, or a list of such names", name, op)
		}
	}
	return nil
}

// isNull tells whether a member is missing or null.
func isNull(value jsontext.Value) bool { return len(value) == 0 || value.Kind() == 'n' }

// documentAttempts bounds how often a document is written again if others write to its stream
// at the same time. In each round one of them succeeds.
const documentAttempts = 100

// appendMetadata appends documents of a stream. If the stream was deleted, its events stay
// hidden: the last document is written once more in the same append, with a $tb after the
// last event. The append expects the newest document that was read. Otherwise it could remove
// the $tb of a delete that came in between.
func (s *Server) appendMetadata(ctx context.Context, of string, a appendRequest) (eventstore.Result, error) {
	defer s.cached.changed(a.stream)
	if err := s.isEnded(ctx, a.stream); err != nil {
		return eventstore.Result{}, err
	}
	for range documentAttempts {
		m, err := s.readMetadata(ctx, a.stream)
		if err != nil {
			return eventstore.Result{}, err
		}
		if recorded, err := s.mayRepeat(ctx, a, m.revision); err != nil {
			return eventstore.Result{}, err
		} else if recorded {
			return s.store.Append(ctx, a.stream, a.expected, a.events)
		}
		if !a.expects(m.revision) {
			return eventstore.Result{}, &eventstore.ConflictError{Stream: a.stream, Expected: a.expected, Actual: m.revision}
		}
		events := a.events
		if m.isDeleted() {
			if events, err = s.stillHidden(ctx, of, a.events); err != nil {
				return eventstore.Result{}, err
			}
		}
		result, err := s.store.Append(ctx, a.stream, eventstore.AtRevision(m.revision), events)
		if isRefused(err) && !isLogWide(err) { // another writer has written a document
			continue
		}
		if err == nil && len(events) > len(a.events) {
			return s.beforeLast(ctx, a.stream, result)
		}
		return result, err
	}
	return eventstore.Result{}, fmt.Errorf("write %s: %w", a.stream, &eventstore.UnavailableError{Cause: errRaced})
}

// expects tells whether a stream with this last revision is as the append expects it. -1 is the
// last revision of a stream without events.
func (a appendRequest) expects(last int64) bool {
	return a.expected == eventstore.Any || int64(a.expected) == last || a.expected == eventstore.StreamExists && last >= 0
}

// mayRepeat tells whether the log would add nothing for this append, because it can only be a
// repetition or be refused. That is so if the stream is beyond the revision that it expects,
// or if it expects no revision and its first id is recorded.
func (s *Server) mayRepeat(ctx context.Context, a appendRequest, last int64) (bool, error) {
	if a.expected < eventstore.NoStream {
		return s.isRecorded(ctx, a)
	}
	return int64(a.expected) < last, nil
}

// stillHidden adds the last document of a deleted stream once more, with a $tb that hides the
// stream's events. It adds nothing if that document already hides as much.
func (s *Server) stillHidden(ctx context.Context, of string, documents []eventstore.Event) ([]eventstore.Event, error) {
	last, err := s.lastRevision(ctx, of)
	if err != nil {
		return nil, err
	}
	newest := documents[len(documents)-1]
	m := parseMetadata(-1, eventstore.Unwrap(newest).Data)
	if m.truncateBefore > last {
		return documents, nil
	}
	document, err := m.withTruncateBefore(last + 1)
	if err != nil {
		return nil, fmt.Errorf("metadata of %s: %w", of, err)
	}
	again := eventstore.Event{ID: uuid.NewSHA1(newest.ID, []byte(memberTruncateBefore)), Type: metadataType, Data: document}
	return append(slices.Clip(documents), again), nil
}

// beforeLast is the result of the same append without its last event.
func (s *Server) beforeLast(ctx context.Context, stream string, of eventstore.Result) (eventstore.Result, error) {
	for e, err := range s.store.ReadStream(ctx, stream, of.Revision-1, 1) {
		if err == nil {
			of.Revision, of.Position = e.Revision, e.Position
		}
		return of, err
	}
	return of, &eventstore.NotFoundError{Stream: stream}
}
