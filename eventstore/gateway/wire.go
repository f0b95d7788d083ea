package gateway

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"daybook/eventstore"
)

// System metadata of an event on the wire.
const (
	metaType        = "type"
	metaContentType = "content-type"
	metaCreated     = "created"
)

// endRevision is what clients send for the end of a stream, and for "no stream" in an
// expected revision.
const endRevision = math.MaxUint64

// tick is the unit of time on the wire, counted from 1970.
const tick = 100 * time.Nanosecond

// ticks is a time on the wire.
func ticks(at time.Time) int64 { return at.UnixNano() / int64(tick) }

// position reads a position on the wire.
func position(commit, prepare uint64) eventstore.Position { return eventstore.AtPair(commit, prepare) }

// revision is an event's revision on the wire. A tombstone has the highest revision.
func revision(e *eventstore.Recorded) uint64 {
	if e.Type == eventstore.TombstoneType {
		return math.MaxInt64
	}
	return uint64(e.Revision)
}

// systemMetadata is what clients need to know about an event besides its bytes. It must
// contain created: without it the Go client ends its process.
func systemMetadata(e *eventstore.Recorded, contentType string) map[string]string {
	return map[string]string{
		metaType:        e.Type,
		metaContentType: contentType,
		metaCreated:     strconv.FormatInt(ticks(e.RecordedAt), 10),
	}
}

// idForm is the form in which a client wants ids.
type idForm bool

const (
	idStructured idForm = false
	idText       idForm = true
)

func (form idForm) wire(id uuid.UUID) *shared.UUID {
	if form == idText {
		return &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
	}
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

// parseID reads an id in either form.
func parseID(id *shared.UUID) (uuid.UUID, error) {
	switch value := id.GetValue().(type) {
	case *shared.UUID_Structured_:
		var parsed uuid.UUID
		binary.BigEndian.PutUint64(parsed[:8], uint64(value.Structured.GetMostSignificantBits()))
		binary.BigEndian.PutUint64(parsed[8:], uint64(value.Structured.GetLeastSignificantBits()))
		return parsed, nil
	case *shared.UUID_String_:
		parsed, err := uuid.Parse(value.String_)
		if err != nil {
			return uuid.Nil, invalid("%q is not a UUID", value.String_)
		}
		return parsed, nil
	default:
		return uuid.Nil, invalid("a UUID is missing")
	}
}

// streamID names a stream on the wire.
func streamID(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

// parseStream reads a stream's name.
func parseStream(id *shared.StreamIdentifier) (string, error) {
	stream := string(id.GetStreamName())
	return stream, checkName(stream)
}

// checkName returns nil if a stream may have this name.
func checkName(stream string) error {
	switch {
	case stream == "":
		return invalid("the stream has no name")
	case !eventstore.IsText(stream): // no log has such a name
		return invalid("stream name is not UTF-8 text")
	case eventstore.StreamNameBytes(stream) > eventstore.MaxStreamName:
		return invalid("the name of a stream has %d bytes, over the limit of %d", eventstore.StreamNameBytes(stream), eventstore.MaxStreamName)
	case stream == metastreamPrefix:
		return invalid("stream %s would hold the metadata of a stream without a name", stream)
	}
	return nil
}

// checkText returns nil if a name may be recorded: it is text without control characters. A
// read may use any name that the log has.
func checkText(what, name string) error {
	if e, ok := errors.AsType[*eventstore.InvalidError](eventstore.CheckName(what, name)); ok {
		return invalid("%s", e.Reason)
	}
	return nil
}

// contentOf is the content of an event for clients. A real server's tombstone has no content.
// In this log it has an empty JSON object, because every event has an object.
func contentOf(e *eventstore.Recorded) eventstore.Content {
	if e.Type == eventstore.TombstoneType && string(e.Data) == "{}" {
		return eventstore.Content{Type: "application/octet-stream"}
	}
	return eventstore.Unwrap(e.Event)
}

// recordedEvent is an event in the form of Streams; nil gives nil.
func (form idForm) recordedEvent(e *eventstore.Recorded) *streams.ReadResp_ReadEvent_RecordedEvent {
	if e == nil {
		return nil
	}
	content := contentOf(e)
	commit, prepare := e.Position.Pair()
	return &streams.ReadResp_ReadEvent_RecordedEvent{
		Id:               form.wire(e.ID),
		StreamIdentifier: streamID(e.Stream),
		StreamRevision:   revision(e),
		PreparePosition:  prepare,
		CommitPosition:   commit,
		Metadata:         systemMetadata(e, content.Type),
		CustomMetadata:   content.Meta,
		Data:             content.Data,
	}
}

// persistentEvent is an event in the form of PersistentSubscriptions; nil gives nil.
func (form idForm) persistentEvent(e *eventstore.Recorded) *persistent.ReadResp_ReadEvent_RecordedEvent {
	if e == nil {
		return nil
	}
	content := contentOf(e)
	commit, prepare := e.Position.Pair()
	return &persistent.ReadResp_ReadEvent_RecordedEvent{
		Id:               form.wire(e.ID),
		StreamIdentifier: streamID(e.Stream),
		StreamRevision:   revision(e),
		PreparePosition:  prepare,
		CommitPosition:   commit,
		Metadata:         systemMetadata(e, content.Type),
		CustomMetadata:   content.Meta,
		Data:             content.Data,
	}
}
