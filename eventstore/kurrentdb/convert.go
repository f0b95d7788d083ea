package kurrentdb

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/eventstore"
)

const binaryContent = "application/octet-stream"

// outgoing is an event as it is sent. What is in an envelope goes out of it: to
// other clients of the server it is what its writer meant. One that would not
// come back as the same bytes is refused.
func outgoing(i int, e *eventstore.Event) (esdb.EventData, error) {
	content := eventstore.Unwrap(*e)
	sent := esdb.EventData{EventID: e.ID, EventType: e.Type, Data: content.Data, Metadata: content.Meta}
	switch content.Type {
	case eventstore.JSONContent:
		sent.ContentType = esdb.ContentTypeJson
	case binaryContent:
		sent.ContentType = esdb.ContentTypeBinary
	default:
		return sent, &eventstore.InvalidError{Reason: fmt.Sprintf("event %d holds content of type %q, which the client cannot send", i, content.Type)}
	}
	data, meta, err := eventstore.Wrap(content)
	if err != nil || !bytes.Equal(data, e.Data) || !bytes.Equal(meta, e.Meta) {
		return sent, &eventstore.InvalidError{Reason: fmt.Sprintf("event %d has the form of an envelope and is none", i)}
	}
	return sent, nil
}

// errNoPosition is of servers before 22.6, which give positions only with the
// events of $all.
var errNoPosition = errors.New("the server gives no positions with a stream's events; it must be EventStoreDB 22.6 or later")

// incoming is an event as the contract has it.
func incoming(e *esdb.RecordedEvent) (eventstore.Recorded, error) {
	if e.Position.Commit == math.MaxUint64 {
		return eventstore.Recorded{}, errNoPosition
	}
	data, meta, err := eventstore.Wrap(eventstore.Content{Type: e.ContentType, Data: e.Data, Meta: e.UserMetadata})
	if err != nil {
		return eventstore.Recorded{}, err
	}
	return eventstore.Recorded{
		Event:      eventstore.Event{ID: e.EventID, Type: e.EventType, Data: data, Meta: meta},
		Stream:     e.StreamID,
		Revision:   int64(min(e.EventNumber, math.MaxInt64)), //nolint:gosec // bounded in this line
		Position:   eventstore.AtPair(e.Position.Commit, e.Position.Prepare),
		RecordedAt: e.CreatedDate.UTC().Truncate(time.Microsecond),
	}, nil
}

// same tells whether an event was recorded as it was sent. An envelope holds the
// type of its content too.
func same(sent, recorded *eventstore.Event) bool {
	return sent.ID == recorded.ID && sent.Type == recorded.Type &&
		bytes.Equal(sent.Data, recorded.Data) && bytes.Equal(sent.Meta, recorded.Meta)
}

// isSystem tells whether an event is the server's own: of a system stream, or of
// a system type. A tombstone belongs to the stream it ends.
func isSystem(eventType, stream string) bool {
	return strings.HasPrefix(stream, "$") || strings.HasPrefix(eventType, "$") && eventType != eventstore.TombstoneType
}

// selection is a filter as this engine has it: system events are selected only
// by a prefix that says so.
type selection struct {
	filter eventstore.Filter
	system bool
}

func newSelection(filter eventstore.Filter) selection {
	s := selection{filter: filter}
	for _, prefixes := range [][]string{filter.TypePrefixes, filter.StreamPrefixes} {
		for _, prefix := range prefixes {
			s.system = s.system || strings.HasPrefix(prefix, "$") && !strings.HasPrefix(prefix, eventstore.TombstoneType)
		}
	}
	return s
}

func (s selection) selects(e *eventstore.Recorded) bool {
	return (s.system || !isSystem(e.Type, e.Stream)) && s.filter.Selects(e.Type, e.Stream)
}

// serverFilter is the selection as the server is asked for it. It may let more
// through; selects is asked again of what comes. The server takes no empty
// prefix, and none that is not text, which no name can have.
func (s selection) serverFilter() *esdb.SubscriptionFilter {
	kind, prefixes := esdb.EventFilterType, s.filter.TypePrefixes
	if len(s.filter.StreamPrefixes) > 0 {
		kind, prefixes = esdb.StreamFilterType, s.filter.StreamPrefixes
	}
	prefixes = slices.DeleteFunc(slices.Clone(prefixes), func(p string) bool { return !utf8.ValidString(p) })
	switch {
	case slices.Contains(prefixes, "") && s.system:
		return &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "."}
	case slices.Contains(prefixes, "") || len(prefixes) == 0:
		return &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: `^([^$]|\$streamDeleted$)`}
	default:
		return &esdb.SubscriptionFilter{Type: kind, Prefixes: prefixes}
	}
}
