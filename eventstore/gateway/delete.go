package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"daybook/eventstore"
)

// deleteAttempts bounds how often the metadata is written again if others write it at the
// same time.
const deleteAttempts = 5

// Delete implements Streams. The stream is not shown any more, and may be begun again.
func (s *Server) Delete(ctx context.Context, req *streams.DeleteReq) (*streams.DeleteResp, error) {
	options := req.GetOptions()
	stream, expected, err := parseDelete(options.GetStreamIdentifier(), options.GetExpectedStreamRevision())
	if err != nil {
		return nil, err
	}
	if err := s.mayDelete(ctx, stream); err != nil {
		return nil, err
	}
	at, err := s.softDelete(ctx, stream, expected)
	if err != nil {
		return nil, err
	}
	commit, prepare := at.Pair()
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{
		Position: &streams.DeleteResp_Position{CommitPosition: commit, PreparePosition: prepare},
	}}, nil
}

// Tombstone implements Streams. The stream is ended for good.
func (s *Server) Tombstone(ctx context.Context, req *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	options := req.GetOptions()
	stream, expected, err := parseDelete(options.GetStreamIdentifier(), options.GetExpectedStreamRevision())
	if err != nil {
		return nil, err
	}
	if err := s.mayDelete(ctx, stream); err != nil {
		return nil, err
	}
	at, err := s.tombstone(ctx, stream, expected)
	if err != nil {
		return nil, err
	}
	commit, prepare := at.Pair()
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{
		Position: &streams.TombstoneResp_Position{CommitPosition: commit, PreparePosition: prepare},
	}}, nil
}

func parseDelete(id *shared.StreamIdentifier, option any) (stream string, expected eventstore.Expected, err error) {
	if stream, err = parseStream(id); err != nil {
		return "", 0, err
	}
	expected, err = parseExpected(option)
	return stream, expected, err
}

// mayDelete returns nil if the caller may delete the stream, or end it.
func (s *Server) mayDelete(ctx context.Context, stream string) error {
	if err := s.protected(stream, ""); err != nil {
		return err
	}
	if err := s.authorize(ctx, stream, toDelete); err != nil {
		return err
	}
	return isDeletable(stream)
}

// isDeletable refuses a stream of metadata. If such a stream ended, the metadata in it would be
// lost, and no new metadata could be written. So a deleted stream would be shown again, for ever.
func isDeletable(stream string) error {
	if _, ok := isMetastream(stream); ok {
		return invalid("stream %s has metadata and cannot be deleted: write new metadata instead", stream)
	}
	return nil
}

// softDelete hides all of a stream, and keeps only the $acl of its metadata. An append
// between the check of the stream's revision and the writing of its metadata is hidden, too.
func (s *Server) softDelete(ctx context.Context, stream string, expected eventstore.Expected) (eventstore.Position, error) {
	for range deleteAttempts {
		m, err := s.readMetadata(ctx, metastreamPrefix+stream)
		if err != nil {
			return eventstore.Start, err
		}
		last, err := s.checkExpected(ctx, stream, expected, m)
		if err != nil {
			return eventstore.Start, err
		}
		if last.Revision < 0 && !m.isThere() { // there never was such a stream
			return eventstore.Start, &eventstore.ConflictError{Stream: stream, Expected: expected, Actual: last.Revision}
		}
		result, err := s.writeTruncateBefore(ctx, stream, m.afterDelete(), softDeleted, uuid.New())
		if !errors.Is(err, errRaced) {
			return result.Position, err
		}
	}
	return eventstore.Start, fmt.Errorf("delete %s: %w", stream, &eventstore.UnavailableError{Cause: errRaced})
}

// writeTruncateBefore writes a stream's metadata with another $tb. If others have written the
// metadata since m was read, the error is errRaced.
func (s *Server) writeTruncateBefore(ctx context.Context, stream string, m streamMetadata, first int64, id uuid.UUID) (eventstore.Result, error) {
	document, err := m.withTruncateBefore(first)
	if err != nil {
		return eventstore.Result{}, fmt.Errorf("metadata of %s: %w", stream, err)
	}
	event := eventstore.Event{ID: id, Type: metadataType, Data: document}
	result, err := s.store.Append(ctx, metastreamPrefix+stream, eventstore.AtRevision(m.revision), []eventstore.Event{event})
	s.cached.drop(stream)
	if isRefused(err) && !isLogWide(err) {
		return result, errRaced
	}
	return result, err
}

func (s *Server) tombstone(ctx context.Context, stream string, expected eventstore.Expected) (eventstore.Position, error) {
	m, err := s.metadata(ctx, stream)
	if err != nil {
		return eventstore.Start, err
	}
	if m.isDeleted() {
		last, err := s.checkExpected(ctx, stream, expected, m)
		if err != nil {
			return eventstore.Start, err
		}
		if expected == eventstore.NoStream {
			expected = eventstore.AtRevision(last.Revision)
		}
	}
	event := eventstore.Event{ID: uuid.New(), Type: eventstore.TombstoneType, Data: []byte(`{}`)}
	result, err := s.appendExpected(ctx, stream, expected, []eventstore.Event{event})
	s.cached.changed(stream)
	return result.Position, s.withActual(ctx, stream, err)
}
