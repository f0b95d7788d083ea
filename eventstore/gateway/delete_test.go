package gateway_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
)

func TestDeleteAndTombstone(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		methods := map[string]func(string, expectation) (uint64, metadata.MD, error){
			"delete": func(stream string, expected expectation) (uint64, metadata.MD, error) {
				resp, trailers, err := s.delete(stream, expected)
				return resp.GetPosition().GetCommitPosition(), trailers, err
			},
			"tombstone": func(stream string, expected expectation) (uint64, metadata.MD, error) {
				resp, trailers, err := s.tombstone(stream, expected)
				return resp.GetPosition().GetCommitPosition(), trailers, err
			},
		}
		const missing, three, gone, ended = "missing", "with three", "deleted", "ended"
		cases := []struct {
			state    string
			name     string
			expected expectation
			wrong    map[string]string // trailers; nil if it succeeds
		}{
			{missing, "any", anyRevision, nil},
			{missing, "no stream", noStream, nil},
			{missing, "exists", streamExists, map[string]string{"expected-version": "-4", "actual-version": "-1"}},
			{missing, "0", exact(0), map[string]string{"expected-version": "0", "actual-version": "-1"}},
			{three, "any", anyRevision, nil},
			{three, "exists", streamExists, nil},
			{three, "2", exact(2), nil},
			{three, "1", exact(1), map[string]string{"expected-version": "1", "actual-version": "2"}},
			{three, "no stream", noStream, map[string]string{"expected-version": "-1", "actual-version": "2"}},
			{gone, "any", anyRevision, nil},
			{gone, "no stream", noStream, nil},
			{gone, "exists", streamExists, map[string]string{}},
			{ended, "any", anyRevision, map[string]string{}},
			{ended, "3", exact(3), map[string]string{}},
		}
		for method, call := range methods {
			for i, c := range cases {
				t.Run(fmt.Sprintf("%s, %s, expected %s", method, c.state, c.name), func(t *testing.T) {
					stream := fmt.Sprintf("%s-%d", method, i)
					if c.state != missing {
						s.write(stream, several(3, "t.v1")...)
					}
					switch c.state {
					case gone:
						s.mustDelete(stream)
					case ended:
						s.mustTombstone(stream)
					}
					commit, trailers, err := call(stream, c.expected)
					if c.wrong == nil {
						if err != nil || commit == 0 {
							t.Fatalf("position %d, %v", commit, err)
						}
						a := s.read(ofStream(stream))
						if method == "delete" {
							a.wants(t, "not found "+stream)
						} else if a.err == nil {
							t.Error("the stream is read")
						}
						return
					}
					want := refusal{codes.FailedPrecondition, c.wrong}
					want.trailers["stream-name"], want.trailers["exception"] = stream, "stream-deleted"
					if len(c.wrong) > 2 {
						want.trailers["exception"] = "wrong-expected-version"
					}
					checkRefused(t, err, trailers, want)
				})
			}
		}
	})
}

// A delete changes one member of a stream's metadata and keeps the others.
func TestADeleteKeepsTheMetadata(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		document := func() map[string]json.RawMessage {
			t.Helper()
			var members map[string]json.RawMessage
			e := s.read(ofStream("$$a")).messages[0].GetEvent().GetEvent()
			if err := json.Unmarshal(e.GetData(), &members); err != nil || e.GetMetadata()["type"] != "$metadata" {
				t.Fatalf("%v: %v", e, err)
			}
			return members
		}
		wants := func(truncated string) {
			t.Helper()
			members := document()
			if string(members["$tb"]) != truncated || string(members["$maxCount"]) != "7" || string(members["own"]) != "12345678901234567890" {
				t.Errorf("metadata %s", members)
			}
		}
		s.write("a", several(3, "t.v1")...)
		s.setMetadata("a", `{"$maxCount":7,"own":12345678901234567890}`)
		s.mustDelete("a")
		wants("9223372036854775807")
		s.mustAppend("a", noStream, event())
		wants("3")
		s.read(ofStream("a")).wants(t, "a/3")
		s.read(backwards(fromEnd(ofStream("a")))).wants(t, "a/3")
	})
}

func TestMetadataIsNotDeleted(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.setMetadata("a", `{}`)
		_, trailers, err := s.delete("$$a", anyRevision)
		checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})
		_, trailers, err = s.delete("", anyRevision)
		checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})
		_, trailers, err = s.tombstone("", anyRevision)
		checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})
		_, trailers, err = s.delete("a", expectation{delete: func(*streams.DeleteReq_Options) {}})
		checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})
	})
}
