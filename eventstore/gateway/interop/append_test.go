package interop_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func appending() []scenario {
	return []scenario{
		{"append-any", appendAny},
		{"append-no-stream", appendNoStream},
		{"append-stream-exists", appendStreamExists},
		{"append-exact-revision", appendExactRevision},
		{"append-wrong-revision", appendWrongRevision},
		{"append-repeated", appendRepeated},
		{"append-json-and-binary", appendJSONAndBinary},
		{"append-many", appendMany},
		{"append-at-once", appendAtOnce},
		{"append-too-large", appendTooLarge},
		{"append-too-many", appendTooMany},
		{"append-long-names", appendLongNames},
	}
}

func appendAny(t *testing.T, s *session) {
	wantWritten(t, s.append(t, s.name, esdb.Any{}, events("a", 1)...), 0)
	wantWritten(t, s.append(t, s.name, esdb.Any{}, events("a", 2)...), 2)
}

func appendNoStream(t *testing.T, s *session) {
	wantWritten(t, s.append(t, s.name, esdb.NoStream{}, events("a", 2)...), 1)
}

func appendStreamExists(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 1)...)
	wantWritten(t, s.append(t, s.name, esdb.StreamExists{}, events("a", 1)...), 1)
}

func appendExactRevision(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 1)...)
	wantWritten(t, s.append(t, s.name, esdb.Revision(0), events("a", 2)...), 2)
	wantWritten(t, s.append(t, s.name, esdb.Revision(2), events("a", 1)...), 3)
}

func appendWrongRevision(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 1)...)
	for _, test := range []struct {
		stream   string
		expected esdb.ExpectedRevision
		says     string
	}{
		{s.name, esdb.NoStream{}, "expecting 'no_stream' but got '0'"},
		{s.name, esdb.Revision(7), "expecting '7' but got '0'"},
		{s.name + "-missing", esdb.Revision(0), "expecting '0' but got 'no_stream'"},
		{s.name + "-missing", esdb.StreamExists{}, "expecting 'stream_exists' but got 'no_stream'"},
	} {
		options := esdb.AppendToStreamOptions{ExpectedRevision: test.expected}
		_, err := s.AppendToStream(s.ctx, test.stream, options, events("a", 1)...)
		wantCode(t, test.says, err, esdb.ErrorCodeWrongExpectedVersion)
		if !strings.Contains(err.Error(), test.says) {
			t.Errorf("append expecting %#v: %v, want one that says %s", test.expected, err, test.says)
		}
	}
	wantRevisions(t, s.read(t, s.name, esdb.ReadStreamOptions{}, everything), 0)
}

// appendRepeated appends the same events again, as after a lost answer.
func appendRepeated(t *testing.T, s *session) {
	first, second := events("a", 2), events("a", 2)
	for _, step := range []struct {
		expected esdb.ExpectedRevision
		events   []esdb.EventData
		last     uint64
	}{
		{esdb.NoStream{}, first, 1},
		{esdb.Revision(1), second, 3},
		{esdb.NoStream{}, first, 1}, // once more, after the stream has grown
		{esdb.Any{}, second, 3},
	} {
		wantWritten(t, s.append(t, s.name, step.expected, step.events...), step.last)
		wantWritten(t, s.append(t, s.name, step.expected, step.events...), step.last)
	}
	wantRevisions(t, s.read(t, s.name, esdb.ReadStreamOptions{}, everything), 0, 1, 2, 3)
}

func appendJSONAndBinary(t *testing.T, s *session) {
	sent := []esdb.EventData{
		{ContentType: esdb.ContentTypeJson, Data: []byte(`{"b": 1,  "a": [2]}`), Metadata: []byte(`{"who": "me"}`)},
		{ContentType: esdb.ContentTypeJson, Data: []byte(`{"no": "metadata"}`)},
		{ContentType: esdb.ContentTypeJson, Data: []byte(`[1, "two"]`), Metadata: []byte(`{"not": "an object"}`)},
		{ContentType: esdb.ContentTypeBinary, Data: []byte{0, 1, 0xfe, 0xff}, Metadata: []byte{0xff, 0}},
		{ContentType: esdb.ContentTypeBinary, Data: []byte(`{"binary": "nevertheless"}`)},
		{ContentType: esdb.ContentTypeBinary},
	}
	for i := range sent {
		sent[i].EventID, sent[i].EventType = uuid.New(), "content"
	}
	written := s.append(t, s.name, esdb.NoStream{}, sent...)

	got := s.read(t, s.name, esdb.ReadStreamOptions{}, everything)
	if len(got) != len(sent) {
		t.Fatalf("%d events, want %d", len(got), len(sent))
	}
	for i, resolved := range got {
		wantRecorded(t, s.name, resolved.Event, sent[i])
	}
	if last := got[len(got)-1].Event.Position; last != position(written) {
		t.Errorf("last event at %v, the append said %v", last, position(written))
	}
}

func wantRecorded(t *testing.T, stream string, got *esdb.RecordedEvent, sent esdb.EventData) {
	t.Helper()
	contentType := map[esdb.ContentType]string{
		esdb.ContentTypeJson:   "application/json",
		esdb.ContentTypeBinary: "application/octet-stream",
	}[sent.ContentType]
	if got.StreamID != stream || got.EventID != sent.EventID || got.EventType != sent.EventType || got.ContentType != contentType {
		t.Errorf("got %+v, want %+v in %s", got, sent, stream)
	}
	if !bytes.Equal(got.Data, sent.Data) || !bytes.Equal(got.UserMetadata, sent.Metadata) {
		t.Errorf("got data %q, metadata %q, want %q, %q", got.Data, got.UserMetadata, sent.Data, sent.Metadata)
	}
	if got.CreatedDate.Year() < 2020 {
		t.Errorf("created %v", got.CreatedDate)
	}
}

func appendMany(t *testing.T, s *session) {
	sent := events("many", 2_000)
	for i := range sent {
		sent[i].Metadata = []byte(`{"filler": "` + strings.Repeat("x", 300) + `"}`)
	}
	wantWritten(t, s.append(t, s.name, esdb.NoStream{}, sent...), 1_999)
	for i, got := range s.read(t, s.name, esdb.ReadStreamOptions{}, everything) {
		if got.Event.EventID != sent[i].EventID || got.Event.EventNumber != uint64(i) {
			t.Fatalf("event %d is %s at %d, want %s", i, got.Event.EventID, got.Event.EventNumber, sent[i].EventID)
		}
	}
}

// appendAtOnce has many appends to one stream under way at the same time.
func appendAtOnce(t *testing.T, s *session) {
	const count = 50
	type outcome struct {
		result *esdb.WriteResult
		err    error
	}
	outcomes := make(chan outcome, count)
	for range count {
		go func() {
			result, err := s.AppendToStream(s.ctx, s.name, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, events("a", 1)...)
			outcomes <- outcome{result, err}
		}()
	}
	answered := make(map[uint64]bool)
	for range count {
		got := <-outcomes
		if got.err != nil {
			t.Fatalf("append: %v", got.err)
		}
		answered[got.result.NextExpectedVersion] = true
	}
	if got := s.read(t, s.name, esdb.ReadStreamOptions{}, everything); len(got) != count || len(answered) != count {
		t.Errorf("%d events, and %d revisions in the answers, want %d", len(got), len(answered), count)
	}
}

// appendTooLarge exceeds the limit with one event, and with several.
func appendTooLarge(t *testing.T, s *session) {
	large := func(size int) esdb.EventData {
		return esdb.EventData{EventID: uuid.New(), EventType: "large", ContentType: esdb.ContentTypeBinary, Data: make([]byte, size)}
	}
	for _, sent := range [][]esdb.EventData{
		{large(2 << 20)},
		{large(600 << 10), large(600 << 10)},
	} {
		_, err := s.AppendToStream(s.ctx, s.name, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, sent...)
		found, ok := errors.AsType[*esdb.Error](err)
		if !ok || status.Code(found.Err()) != codes.InvalidArgument {
			t.Fatalf("append of %d events that are too large: %v, want an invalid argument", len(sent), err)
		}
	}
	wantWritten(t, s.append(t, s.name, esdb.NoStream{}, events("small", 1)...), 0)
}

// appendTooMany appends too many events. The error is about events and not about bytes. Half as
// many events are accepted.
func appendTooMany(t *testing.T, s *session) {
	wantWritten(t, s.append(t, s.name, esdb.NoStream{}, events("a", 5_000)...), 4_999)
	_, err := s.AppendToStream(s.ctx, s.name, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, events("a", 10_001)...)
	found, ok := errors.AsType[*esdb.Error](err)
	if !ok || status.Code(found.Err()) != codes.InvalidArgument || !strings.Contains(err.Error(), "too many events in one append") {
		t.Fatalf("append of 10,001 events: %v", err)
	}
}

// appendLongNames writes, reads and follows a stream and a type of 512 bytes each.
func appendLongNames(t *testing.T, s *session) {
	s.name += strings.Repeat("n", 512-len(s.name))
	long := strings.Repeat("T", 512)
	wantWritten(t, s.append(t, s.name, esdb.NoStream{}, events(long, 1)...), 0)
	read := s.read(t, s.name, esdb.ReadStreamOptions{}, everything)
	wantRevisions(t, read, 0)
	if got := read[0].Event.EventType; got != long {
		t.Errorf("read type %q", got)
	}
	var keep esdb.StreamMetadata
	keep.SetMaxCount(1)
	s.keep(t, esdb.Any{}, keep)
	wantNext(t, s.subscribe(t, esdb.SubscribeToStreamOptions{From: esdb.Start{}}), place{s.name, 0})
}

func wantWritten(t *testing.T, got *esdb.WriteResult, revision uint64) {
	t.Helper()
	if got.NextExpectedVersion != revision {
		t.Errorf("append ends at revision %d, want %d", got.NextExpectedVersion, revision)
	}
	if got.CommitPosition == 0 || got.PreparePosition == 0 {
		t.Errorf("append without a position: %+v", got)
	}
}
