package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/eventstore"
)

const (
	metastreamPrefix = eventstore.MetadataPrefix
	metadataType     = "$metadata"
	settingsStream   = "$settings"
	allStream        = "$all"

	memberTruncateBefore = "$tb"
	memberMaxCount       = "$maxCount"
	memberMaxAge         = "$maxAge"
	memberACL            = "$acl"

	// These two mean something to real servers and nothing here. If their value has another
	// type, a real server ignores the whole document.
	memberCacheControl = "$cacheControl"
	memberTemporary    = "$tmp"

	// softDeleted is the $tb of a stream that was deleted and may be begun again.
	softDeleted = math.MaxInt64
)

// streamMetadata is what a stream's metadata stream, $$name, says about it. The zero value
// says nothing.
type streamMetadata struct {
	// revision is the revision of the event from which this was read; -1 if there is none.
	revision       int64
	maxCount       int64         // events shown at the end of the stream; 0: all
	maxAge         time.Duration // the greatest age of events that are shown; 0: any age
	truncateBefore int64         // first revision shown
	acl            acl
	// members is the whole document, so that one member can be changed. It is nil unless it
	// was just read from the log.
	members map[string]jsontext.Value
}

// ofMetastream is the metadata of every metadata stream: such a stream shows only its newest
// event.
var ofMetastream = streamMetadata{revision: -1, maxCount: 1}

func (m streamMetadata) isDeleted() bool { return m.truncateBefore == softDeleted }

// isThere tells whether there is a document. A stream that has one exists, even if it holds
// no event yet.
func (m streamMetadata) isThere() bool { return m.revision >= 0 }

// afterDelete is the document with only its $acl, which stays after the stream was deleted.
// The limits of the old stream do not apply to the stream that is begun again.
func (m streamMetadata) afterDelete() streamMetadata {
	kept := make(map[string]jsontext.Value, 1)
	if value, ok := m.members[memberACL]; ok {
		kept[memberACL] = value
	}
	m.members = kept
	return m
}

// isMetastream tells whether a stream holds the metadata of another stream, and returns that
// stream.
func isMetastream(stream string) (of string, ok bool) {
	return strings.CutPrefix(stream, metastreamPrefix)
}

// parseMetadata reads a document. A document that cannot be read counts as empty, and a
// member of another type counts as missing. So a faulty document cannot lock a stream.
func parseMetadata(revision int64, document []byte) streamMetadata {
	m := streamMetadata{revision: revision}
	if json.Unmarshal(document, &m.members) != nil {
		m.members = nil
		return m
	}
	m.maxCount = max(m.number(memberMaxCount), 0)
	m.truncateBefore = max(m.number(memberTruncateBefore), 0)
	if seconds := m.number(memberMaxAge); seconds > 0 {
		m.maxAge = time.Duration(min(seconds, int64(math.MaxInt64/time.Second))) * time.Second
	}
	m.acl = parseACL(m.members[memberACL])
	return m
}

func (m streamMetadata) number(member string) (n int64) {
	value, ok := m.members[member]
	if !ok || json.Unmarshal(value, &n) != nil {
		return 0
	}
	return n
}

// withTruncateBefore is the document with another $tb and all else as it is.
func (m streamMetadata) withTruncateBefore(first int64) ([]byte, error) {
	members := make(map[string]jsontext.Value, len(m.members)+1)
	for name, value := range m.members {
		members[name] = value
	}
	value, err := json.Marshal(first)
	if err != nil {
		return nil, err
	}
	members[memberTruncateBefore] = value
	return json.Marshal(members, json.Deterministic(true))
}

// metadata is what a stream's metadata says now. If another node has changed it, it may be
// what it said a moment ago.
func (s *Server) metadata(ctx context.Context, stream string) (streamMetadata, error) {
	if _, ok := isMetastream(stream); ok {
		return ofMetastream, nil
	}
	s.renew(ctx)
	return s.cached.ofStream(stream, func() (streamMetadata, error) { return s.readMetadata(ctx, metastreamPrefix+stream) })
}

// readMetadata reads the newest document of a metadata stream, in bounded time. If it cannot
// be read, the call is refused, because the stream's rights are not known.
func (s *Server) readMetadata(ctx context.Context, metastream string) (streamMetadata, error) {
	limited, cancel := context.WithTimeout(ctx, metadataMax)
	defer cancel()
	e, err := s.lastEvent(limited, metastream)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return streamMetadata{}, &eventstore.UnavailableError{Cause: fmt.Errorf("metadata was not read within %s: %w", metadataMax, err)}
	}
	if isGoneStream(err) {
		return streamMetadata{revision: -1}, nil
	}
	if err != nil {
		return streamMetadata{}, err
	}
	return parseMetadata(e.Revision, eventstore.Unwrap(e.Event).Data), nil
}

// isEnded returns *DeletedError for the metadata of a stream that was ended for good, because
// the metadata ends with its stream. For any other stream it returns nil.
func (s *Server) isEnded(ctx context.Context, stream string) error {
	of, ok := isMetastream(stream)
	if !ok {
		return nil
	}
	_, err := s.lastEvent(ctx, of)
	if _, ended := errors.AsType[*eventstore.DeletedError](err); ended {
		return &eventstore.DeletedError{Stream: stream}
	}
	if isGoneStream(err) {
		return nil
	}
	return err
}

// isGoneStream tells whether a stream was not found, or deleted for good.
func isGoneStream(err error) bool {
	_, missing := errors.AsType[*eventstore.NotFoundError](err)
	_, ended := errors.AsType[*eventstore.DeletedError](err)
	return missing || ended
}

// lastEvent is a stream's last event, shown or not.
func (s *Server) lastEvent(ctx context.Context, stream string) (eventstore.Recorded, error) {
	for e, err := range s.store.ReadStreamBackwards(ctx, stream, eventstore.LastRevision, 1) {
		return e, err
	}
	return eventstore.Recorded{}, &eventstore.NotFoundError{Stream: stream}
}

// lastRevision is the revision of a stream's last event, -1 if there is none.
func (s *Server) lastRevision(ctx context.Context, stream string) (int64, error) {
	e, err := s.lastEvent(ctx, stream)
	if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
		return -1, nil
	}
	return e.Revision, err
}
