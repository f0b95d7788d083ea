// Code generated from ../delete_test.go by go test -update. DO NOT EDIT.

package kurrentdb_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
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

// keeping is about stream metadata, which says how long events are kept.
func keeping() []scenario {
	return []scenario{
		{"metadata", metadata},
		{"metadata-max-count", metadataMaxCount},
		{"metadata-max-age", metadataMaxAge},
		{"metadata-truncate-before", metadataTruncateBefore},
	}
}

func deleteAndAppendAgain(t *testing.T, s *session) {
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 3)...)
	deleted, err := s.DeleteStream(s.ctx, s.name, kurrentdb.DeleteStreamOptions{StreamState: kurrentdb.Revision(2)})
	if err != nil {
		t.Fatalf("delete: %v", err)
	}
	if deleted.Position.Commit == 0 {
		t.Errorf("delete without a position")
	}
	_, err = s.tryRead(s.name, kurrentdb.ReadStreamOptions{}, everything)
	wantCode(t, "read what was deleted", err, kurrentdb.ErrorCodeResourceNotFound)

	wantWritten(t, s.append(t, s.name, kurrentdb.NoStream{}, events("a", 1)...), 3)
	wantWritten(t, s.append(t, s.name, kurrentdb.Revision(3), events("a", 1)...), 4)
	wantRevisions(t, s.read(t, s.name, kurrentdb.ReadStreamOptions{}, everything), 3, 4)
}

func deleteWrongRevision(t *testing.T, s *session) {
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 2)...)
	_, err := s.DeleteStream(s.ctx, s.name, kurrentdb.DeleteStreamOptions{StreamState: kurrentdb.Revision(0)})
	wantStatus(t, "delete at a wrong revision", err, codes.FailedPrecondition)
	_, err = s.TombstoneStream(s.ctx, s.name, kurrentdb.TombstoneStreamOptions{StreamState: kurrentdb.Revision(7)})
	wantStatus(t, "tombstone at a wrong revision", err, codes.FailedPrecondition)
	wantRevisions(t, s.read(t, s.name, kurrentdb.ReadStreamOptions{}, everything), 0, 1)
}

func tombstone(t *testing.T, s *session) {
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 2)...)
	deleted, err := s.TombstoneStream(s.ctx, s.name, kurrentdb.TombstoneStreamOptions{StreamState: kurrentdb.Revision(1)})
	if err != nil {
		t.Fatalf("tombstone: %v", err)
	}
	if deleted.Position.Commit == 0 {
		t.Errorf("tombstone without a position")
	}
	_, err = s.tryRead(s.name, kurrentdb.ReadStreamOptions{}, everything)
	wantCode(t, "read", err, kurrentdb.ErrorCodeStreamDeleted)
	_, err = s.AppendToStream(s.ctx, s.name, kurrentdb.AppendToStreamOptions{StreamState: kurrentdb.Any{}}, events("a", 1)...)
	wantCode(t, "append", err, kurrentdb.ErrorCodeStreamDeleted)
	_, err = s.DeleteStream(s.ctx, s.name, kurrentdb.DeleteStreamOptions{StreamState: kurrentdb.Any{}})
	wantCode(t, "delete", err, kurrentdb.ErrorCodeStreamDeleted)
}

func metadata(t *testing.T, s *session) {
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 1)...)
	var sent kurrentdb.StreamMetadata
	sent.SetMaxCount(7)
	sent.SetMaxAge(2 * time.Hour)
	sent.SetTruncateBefore(0)
	sent.SetCacheControl(time.Minute)
	sent.AddCustomProperty("owner", "the interop test")
	acl := kurrentdb.Acl{}
	acl.AddReadRoles("$all")
	acl.AddWriteRoles("writer") // one: the client cannot read back a list of its own
	sent.SetAcl(acl)
	s.keep(t, kurrentdb.NoStream{}, sent)

	got, err := s.GetStreamMetadata(s.ctx, s.name, kurrentdb.ReadStreamOptions{})
	if err != nil {
		t.Fatalf("get metadata: %v", err)
	}
	wantSameJSON(t, got, &sent)

	var second kurrentdb.StreamMetadata
	second.AddCustomProperty("owner", "somebody else")
	s.keep(t, kurrentdb.Revision(0), second)
	if got, err = s.GetStreamMetadata(s.ctx, s.name, kurrentdb.ReadStreamOptions{}); err != nil {
		t.Fatalf("get metadata: %v", err)
	}
	wantSameJSON(t, got, &second)
}

func metadataMaxCount(t *testing.T, s *session) {
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 5)...)
	var keep kurrentdb.StreamMetadata
	keep.SetMaxCount(2)
	s.keep(t, kurrentdb.Any{}, keep)
	wantRevisions(t, s.read(t, s.name, kurrentdb.ReadStreamOptions{}, everything), 3, 4)
	s.append(t, s.name, kurrentdb.Revision(4), events("a", 1)...)
	backwards := kurrentdb.ReadStreamOptions{Direction: kurrentdb.Backwards, From: kurrentdb.End{}}
	wantRevisions(t, s.read(t, s.name, backwards, everything), 5, 4)
}

// metadataMaxAge waits until the events are too old: the stream then is empty,
// which is not the same as not found.
func metadataMaxAge(t *testing.T, s *session) {
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 2)...)
	var keep kurrentdb.StreamMetadata
	keep.SetMaxAge(time.Hour)
	s.keep(t, kurrentdb.Any{}, keep)
	wantRevisions(t, s.read(t, s.name, kurrentdb.ReadStreamOptions{}, everything), 0, 1)
	keep.SetMaxAge(time.Second)
	s.keep(t, kurrentdb.Any{}, keep)
	s.eventually(t, "events older than a second are not read", func() bool {
		return len(s.read(t, s.name, kurrentdb.ReadStreamOptions{}, everything)) == 0
	})
	wantWritten(t, s.append(t, s.name, kurrentdb.Revision(1), events("a", 1)...), 2)
}

func metadataTruncateBefore(t *testing.T, s *session) {
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 4)...)
	var keep kurrentdb.StreamMetadata
	keep.SetTruncateBefore(3)
	s.keep(t, kurrentdb.Any{}, keep)
	wantRevisions(t, s.read(t, s.name, kurrentdb.ReadStreamOptions{}, everything), 3)
}

// keep sets the metadata of the scenario's stream.
func (s *session) keep(t *testing.T, expected kurrentdb.StreamState, sent kurrentdb.StreamMetadata) {
	t.Helper()
	_, err := s.SetStreamMetadata(s.ctx, s.name, kurrentdb.AppendToStreamOptions{StreamState: expected}, sent)
	if err != nil {
		t.Fatalf("set metadata: %v", err)
	}
}

func wantSameJSON(t *testing.T, got, want *kurrentdb.StreamMetadata) {
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

// wantStatus is for errors to which the client gives no code of its own.
func wantStatus(t *testing.T, what string, err error, want codes.Code) {
	t.Helper()
	found, ok := errors.AsType[*kurrentdb.Error](err)
	if !ok || status.Code(found.Err()) != want {
		t.Fatalf("%s: error %v, want status %v", what, err, want)
	}
}
