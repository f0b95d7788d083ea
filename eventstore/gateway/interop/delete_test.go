package interop_test

import (
	"errors"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func deleting() []scenario {
	return []scenario{
		{"delete-and-append-again", deleteAndAppendAgain},
		{"delete-wrong-revision", deleteWrongRevision},
		{"tombstone", tombstone},
	}
}

// keeping has the scenarios about the metadata of streams, which says how long events are kept.
func keeping() []scenario {
	return []scenario{
		{"metadata", metadata},
		{"metadata-max-count", metadataMaxCount},
		{"metadata-max-age", metadataMaxAge},
		{"metadata-truncate-before", metadataTruncateBefore},
	}
}

func deleteAndAppendAgain(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 3)...)
	deleted, err := s.DeleteStream(s.ctx, s.name, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(2)})
	if err != nil {
		t.Fatalf("delete: %v", err)
	}
	if deleted.Position.Commit == 0 {
		t.Errorf("delete without a position")
	}
	_, err = s.tryRead(s.name, esdb.ReadStreamOptions{}, everything)
	wantCode(t, "read what was deleted", err, esdb.ErrorCodeResourceNotFound)

	wantWritten(t, s.append(t, s.name, esdb.NoStream{}, events("a", 1)...), 3)
	wantWritten(t, s.append(t, s.name, esdb.Revision(3), events("a", 1)...), 4)
	wantRevisions(t, s.read(t, s.name, esdb.ReadStreamOptions{}, everything), 3, 4)
}

func deleteWrongRevision(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 2)...)
	_, err := s.DeleteStream(s.ctx, s.name, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(0)})
	wantStatus(t, "delete at a wrong revision", err, codes.FailedPrecondition)
	_, err = s.TombstoneStream(s.ctx, s.name, esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Revision(7)})
	wantStatus(t, "tombstone at a wrong revision", err, codes.FailedPrecondition)
	wantRevisions(t, s.read(t, s.name, esdb.ReadStreamOptions{}, everything), 0, 1)
}

func tombstone(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 2)...)
	deleted, err := s.TombstoneStream(s.ctx, s.name, esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Revision(1)})
	if err != nil {
		t.Fatalf("tombstone: %v", err)
	}
	if deleted.Position.Commit == 0 {
		t.Errorf("tombstone without a position")
	}
	_, err = s.tryRead(s.name, esdb.ReadStreamOptions{}, everything)
	wantCode(t, "read", err, esdb.ErrorCodeStreamDeleted)
	_, err = s.AppendToStream(s.ctx, s.name, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, events("a", 1)...)
	wantCode(t, "append", err, esdb.ErrorCodeStreamDeleted)
	_, err = s.DeleteStream(s.ctx, s.name, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
	wantCode(t, "delete", err, esdb.ErrorCodeStreamDeleted)
}

func metadata(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 1)...)
	var sent esdb.StreamMetadata
	sent.SetMaxCount(7)
	sent.SetMaxAge(2 * time.Hour)
	sent.SetTruncateBefore(0)
	sent.SetCacheControl(time.Minute)
	sent.AddCustomProperty("owner", "the interop test")
	acl := esdb.Acl{}
	acl.AddReadRoles("$all")
	acl.AddWriteRoles("writer") // only one role, because the client cannot read back a list of several
	sent.SetAcl(acl)
	s.keep(t, esdb.NoStream{}, sent)

	got, err := s.GetStreamMetadata(s.ctx, s.name, esdb.ReadStreamOptions{})
	if err != nil {
		t.Fatalf("get metadata: %v", err)
	}
	wantSameJSON(t, got, &sent)

	var second esdb.StreamMetadata
	second.AddCustomProperty("owner", "somebody else")
	s.keep(t, esdb.Revision(0), second)
	if got, err = s.GetStreamMetadata(s.ctx, s.name, esdb.ReadStreamOptions{}); err != nil {
		t.Fatalf("get metadata: %v", err)
	}
	wantSameJSON(t, got, &second)
}

func metadataMaxCount(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 5)...)
	var keep esdb.StreamMetadata
	keep.SetMaxCount(2)
	s.keep(t, esdb.Any{}, keep)
	wantRevisions(t, s.read(t, s.name, esdb.ReadStreamOptions{}, everything), 3, 4)
	s.append(t, s.name, esdb.Revision(4), events("a", 1)...)
	backwards := esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}
	wantRevisions(t, s.read(t, s.name, backwards, everything), 5, 4)
}

// metadataMaxAge waits until the events are too old. Then the stream is empty, but still found.
func metadataMaxAge(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 2)...)
	var keep esdb.StreamMetadata
	keep.SetMaxAge(time.Hour)
	s.keep(t, esdb.Any{}, keep)
	wantRevisions(t, s.read(t, s.name, esdb.ReadStreamOptions{}, everything), 0, 1)
	keep.SetMaxAge(time.Second)
	s.keep(t, esdb.Any{}, keep)
	s.eventually(t, "events older than a second are not read", func() bool {
		return len(s.read(t, s.name, esdb.ReadStreamOptions{}, everything)) == 0
	})
	wantWritten(t, s.append(t, s.name, esdb.Revision(1), events("a", 1)...), 2)
}

func metadataTruncateBefore(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 4)...)
	var keep esdb.StreamMetadata
	keep.SetTruncateBefore(3)
	s.keep(t, esdb.Any{}, keep)
	wantRevisions(t, s.read(t, s.name, esdb.ReadStreamOptions{}, everything), 3)
}

// keep sets the metadata of the scenario's stream.
func (s *session) keep(t *testing.T, expected esdb.ExpectedRevision, sent esdb.StreamMetadata) {
	t.Helper()
	_, err := s.SetStreamMetadata(s.ctx, s.name, esdb.AppendToStreamOptions{ExpectedRevision: expected}, sent)
	if err != nil {
		t.Fatalf("set metadata: %v", err)
	}
}

func wantSameJSON(t *testing.T, got, want *esdb.StreamMetadata) {
	t.Helper()
	gotJSON, err := got.ToJson()
	if err != nil {
		t.Fatal(err)
	}
	wantJSON, err := want.ToJson()
	if err != nil {
		t.Fatal(err)
	}
	if string(gotJSON) != string(wantJSON) {
		t.Errorf("metadata %s, want %s", gotJSON, wantJSON)
	}
}

// wantStatus checks errors for which the client has no code of its own.
func wantStatus(t *testing.T, what string, err error, want codes.Code) {
	t.Helper()
	found, ok := errors.AsType[*esdb.Error](err)
	if !ok || status.Code(found.Err()) != want {
		t.Fatalf("%s: error %v, want status %v", what, err, want)
	}
}
