package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
		const missing, documented, three, gone, ended = "missing", "with metadata only", "with three", "deleted", "ended"
		cases := []struct {
			state    string
			name     string
			expected expectation
			wrong    map[string]string // trailers of the error; nil if the call succeeds
		}{
			{missing, "any", anyRevision, map[string]string{"expected-version": "-2", "actual-version": "-1"}},
			{missing, "no stream", noStream, map[string]string{"expected-version": "-1", "actual-version": "-1"}},
			{documented, "any", anyRevision, nil},
			{documented, "no stream", noStream, nil},
			{documented, "exists", streamExists, nil},
			{documented, "0", exact(0), map[string]string{"expected-version": "0", "actual-version": "-1"}},
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
					if c.state == three || c.state == gone || c.state == ended {
						s.write(stream, several(3, "t.v1")...)
					}
					wrong := c.wrong
					if c.state == missing && method == "tombstone" && wrong["expected-version"] != "-4" && wrong["expected-version"] != "0" {
						wrong = nil // a stream that never was cannot be deleted, but can be ended
					}
					switch c.state {
					case documented:
						s.setMetadata(stream, `{"own":1}`)
					case gone:
						s.mustDelete(stream)
					case ended:
						s.mustTombstone(stream)
					}
					commit, trailers, err := call(stream, c.expected)
					if wrong == nil {
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
					want := refusal{codes.FailedPrecondition, maps.Clone(wrong)}
					want.trailers["stream-name"], want.trailers["exception"] = stream, "stream-deleted"
					if len(wrong) > 0 {
						want.trailers["exception"] = "wrong-expected-version"
					}
					checkRefused(t, err, trailers, want)
					if c.state == missing {
						s.read(ofStream("$$"+stream)).wants(t, "not found $$"+stream)
						s.read(ofStream(stream)).wants(t, "not found "+stream)
					}
				})
			}
		}
	})
}

// A delete keeps the $acl and drops everything else of the old stream's metadata.
func TestADeleteKeepsTheRightsOnly(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		wants := func(document string) {
			t.Helper()
			e := s.read(ofStream("$$a")).messages[0].GetEvent().GetEvent()
			if string(e.GetData()) != document || e.GetMetadata()["type"] != "$metadata" {
				t.Errorf("metadata %s, want %s", e.GetData(), document)
			}
		}
		s.write("a", several(3, "t.v1")...)
		s.setMetadata("a", `{"$maxCount":1,"$maxAge":5,"$acl":{"$r":"$all"},"own":1}`)
		s.mustDelete("a")
		wants(`{"$acl":{"$r":"$all"},"$tb":9223372036854775807}`)
		s.mustAppend("a", noStream, several(2, "t.v1")...)
		wants(`{"$acl":{"$r":"$all"},"$tb":3}`)
		s.read(ofStream("a")).wants(t, "a/3", "a/4")
		s.read(backwards(fromEnd(ofStream("a")))).wants(t, "a/4", "a/3")

		s.write("plain", several(3, "t.v1")...)
		s.setMetadata("plain", `{"$maxCount":1}`)
		s.mustDelete("plain")
		s.mustAppend("plain", anyRevision, several(2, "t.v1")...)
		s.read(ofStream("plain")).wants(t, "plain/3", "plain/4")
	})
}

// An append was recorded before its stream was deleted. However often it is repeated, it gets the
// first answer, and the stream stays deleted. This also holds for an append that had begun the
// stream again.
func TestARepeatedAppendLeavesItsStreamDeleted(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		for name, expected := range map[string]expectation{
			"any": anyRevision, "no-stream": noStream, "exists": streamExists, "exact": exact(0),
		} {
			for _, again := range []bool{false, true} {
				stream := fmt.Sprintf("%s-%t", name, again)
				if name != "no-stream" || again {
					s.write(stream, event())
				}
				if again && name != "exists" { // a deleted stream does not exist
					s.mustDelete(stream)
				}
				events := several(2, "t.v1")
				revision := s.mustAppend(stream, expected, events...)
				for range 2 {
					s.mustDelete(stream)
					if again := s.mustAppend(stream, expected, events...); again != revision {
						t.Errorf("%s: revision %d, want %d", stream, again, revision)
					}
					s.read(ofStream(stream)).wants(t, "not found "+stream)
				}
				// If another append has one of its events, it is still refused, and the stream
				// stays hidden.
				resp, _, err := s.appendTo(stream, anyRevision, events[1], event())
				if want := fmt.Sprintf("wrong, at %d", revision); outcome(resp, err) != want {
					t.Errorf("%s: an event in another append: %s, want %s", stream, outcome(resp, err), want)
				}
				s.read(ofStream(stream)).wants(t, "not found "+stream)
				s.mustAppend(stream, anyRevision, event())
				s.read(ofStream(stream)).wants(t, fmt.Sprintf("%s/%d", stream, revision+1))
			}
		}
	})
}

// cutOff is a log that is lost just after it has recorded metadata.
type cutOff struct {
	eventstore.Store
	metadata, lost bool
}

func (c *cutOff) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if c.lost {
		c.lost = false
		return eventstore.Result{}, &eventstore.UnavailableError{Cause: errors.New("lost")}
	}
	c.lost = c.metadata && stream == "$$a"
	return c.Store.Append(ctx, stream, expected, events)
}

// An append was cut off while it began its deleted stream again. When it is repeated, it begins the
// stream, even if the stream was deleted once more in the meantime.
func TestAnAppendCutOffAsItBeginsADeletedStreamAgain(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		log := &cutOff{Store: store}
		s := serve(t, log, gateway.Options{})
		s.write("a", several(3, "t.v1")...)
		events := several(2, "t.v1")
		for range 2 {
			s.mustDelete("a")
			log.metadata = true
			if resp, _, err := s.appendTo("a", noStream, events...); outcome(resp, err) != "Unavailable" {
				t.Fatalf("the log was lost: %s", outcome(resp, err))
			}
			log.metadata = false
		}
		for range 2 {
			if revision := s.mustAppend("a", noStream, events...); revision != 4 {
				t.Errorf("revision %d, want 4", revision)
			}
		}
		s.read(ofStream("a")).wants(t, "a/3", "a/4")
	})
}

// A stream of metadata cannot be deleted or ended. Otherwise a deleted stream would be shown again,
// and nobody could delete it any more.
func TestMetadataIsNotDeleted(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.write("a", event())
		s.mustDelete("a")
		_, trailers, err := s.delete("$$a", anyRevision)
		checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})
		_, trailers, err = s.tombstone("$$a", anyRevision)
		checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})
		_, trailers, err = s.appendTo("$$a", anyRevision, typed("$streamDeleted"))
		checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})
		s.read(ofStream("a")).wants(t, "not found a")
		s.mustDelete("a")
		_, trailers, err = s.delete("", anyRevision)
		checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})
		_, trailers, err = s.tombstone("", anyRevision)
		checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})
		_, trailers, err = s.delete("a", expectation{delete: func(*streams.DeleteReq_Options) {}})
		checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})
	})
}
