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

	// These two say something to servers and nothing here. With a value of another kind
	// a server passes over the whole document.
	memberCacheControl = "$cacheControl"
	memberTemporary    = "$tmp"

	// softDeleted is the $tb of a stream that was deleted and may be begun again.
	softDeleted = math.MaxInt64
)

// metadata is what a stream's own stream, $$name, says of it. The zero metadata
// says nothing.
type streamMetadata struct {
	// Revision is that of the event it was read from; -1 if there is none.
	revision       int64
	maxCount       int64         // events shown at the end of the stream; 0: all
	maxAge         time.Duration // of events shown; 0: any
	truncateBefore int64         // first revision shown
	acl            acl
	// members is the whole document, so that one member can be changed; nil if it
	// was not just read from the log.
	members map[string]jsontext.Value
}

// ofMetastream is the metadata of every stream of metadata: it shows its newest
// event only.
var ofMetastream = streamMetadata{revision: -1, maxCount: 1}

func (m streamMetadata) isDeleted() bool { return m.truncateBefore == softDeleted }

// isThere tells whether there is a document at all. A stream that has one exists,
// even if it holds no event yet.
func (m streamMetadata) isThere() bool { return m.revision >= 0 }

// afterDelete is the document with only its $acl, which outlives a delete of the
// stream. Limits of the old stream do not hold in the one that is begun anew.
func (m streamMetadata) afterDelete() streamMetadata {
	kept := make(map[string]jsontext.Value, 1)
	if value, ok := m.members[memberACL]; ok {
		kept[memberACL] = value
	}
	m.members = kept
	return m
}

// isMetastream tells whether a stream holds the metadata of another, and of which.
func isMetastream(stream string) (of string, ok bool) {
	return strings.CutPrefix(stream, metastreamPrefix)
}

// parseMetadata reads a document. One that cannot be read says nothing, as does a
// member that is not of its kind: whoever wrote it must not lock the stream.
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

// metadata is what a stream's metadata says now, or said a moment ago if another
// node has changed it.
func (s *Server) metadata(ctx context.Context, stream string) (streamMetadata, error) {
	if _, ok := isMetastream(stream); ok {
		return ofMetastream, nil
	}
	s.renew(ctx)
	return s.cached.ofStream(stream, func() (streamMetadata, error) { return s.readMetadata(ctx, metastreamPrefix+stream) })
}

// readMetadata reads the newest document of a stream of documents, in bounded time:
// where it cannot be told what holds for a stream, the call is refused.
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

// isEnded is *DeletedError for the metadata of a stream that was ended for good,
// because metadata ends with its stream. For any other stream it is nil.
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
