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

// outgoing is an event in the form in which it is sent. Content in an envelope is sent
// without the envelope, so that other clients of the server see what its writer meant. An
// event that would not come back with the same bytes is refused.
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

// errNoPosition is the error for servers before 22.6, which give positions only for events of
// $all.
var errNoPosition = errors.New("the server gives no positions with a stream's events; it must be EventStoreDB 22.6 or later")

// incoming is an event in the form of the contract.
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

// same tells whether an event was recorded as it was sent. An envelope also holds the type of
// its content.
func same(sent, recorded *eventstore.Event) bool {
	return sent.ID == recorded.ID && sent.Type == recorded.Type &&
		bytes.Equal(sent.Data, recorded.Data) && bytes.Equal(sent.Meta, recorded.Meta)
}

// isSystem tells whether an event belongs to the server: its stream or its type is a system
// one. A tombstone belongs to the stream that it ends.
func isSystem(eventType, stream string) bool {
	return strings.HasPrefix(stream, "$") || strings.HasPrefix(eventType, "$") && eventType != eventstore.TombstoneType
}

// selection is a filter of this engine. It selects system events only by a prefix that begins
// with '$'.
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

// serverFilter is the filter for the server. It may let more events through, so selects checks each
// event that comes. Prefixes that are empty or not text are left out: the server refuses them.
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
