package eventstore

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// Metadata is what every event of the shop carries beside its data: who caused it, by what,
// and when it took effect. Some JSON names are those that EventStoreDB reserves
// ("$correlationId", "$causationId"), so that its tools can follow them.
type Metadata struct {
	// CommandID is the id of the command from which the event results. The event's id is derived
	// from it.
	CommandID uuid.UUID `json:"command_id,omitzero" class:"derived"`
	// CorrelationID is the same in everything that followed from one request.
	CorrelationID string `json:"$correlationId,omitempty" class:"chosen"`
	// CausationID is the event or command that directly led to this one.
	CausationID string `json:"$causationId,omitempty" class:"derived"`
	// Actor is who asked: "key:k3f9a1c2", "staff:p3f9a1c2d4", "system:reactor".
	Actor string `json:"actor,omitempty" class:"actor"`
	// OnBehalfOf is who began the work, such as "staff:p3f9a1c2d4", if Actor is a part of the
	// program that finished it. Otherwise it is empty.
	OnBehalfOf string `json:"on_behalf_of,omitempty" class:"actor"`
	// ActingFor is the customer for whom the actor did it, if the actor is a storefront.
	ActingFor string `json:"acting_for,omitempty" class:"customer"`
	// Channel is where it came in: "web", "api", "import", "demo".
	Channel string `json:"channel,omitempty" class:"open"`
	// OccurredAt is the effective time, if it differs from the recorded time.
	OccurredAt time.Time `json:"occurred_at,omitzero"`
	// Trace is a W3C traceparent.
	Trace string `json:"trace,omitempty" class:"chosen"`
	// Request differs between requests with different content that have the same command id.
	// It is "1." (the way in which it is computed) and a hash. It is empty if none was given,
	// as in old logs. See SameRequest.
	Request string `json:"request,omitempty" class:"personal,compared"`
}

// SameRequest tells whether two values of Metadata.Request may stand for the same content. It
// returns false only if both were computed in the same way and differ.
func SameRequest(a, b string) bool {
	wayA, _, hashedA := strings.Cut(a, ".")
	wayB, _, hashedB := strings.Cut(b, ".")
	return a == b || !hashedA || !hashedB || wayA != wayB
}

// Encode writes the metadata as JSON, with the same bytes as json.Marshal. It does so
// without reflection, because every event needs it. The error says that a text is not valid UTF-8,
// or that the effective time is not in the years 0 to 9999.
func (m Metadata) Encode() ([]byte, error) {
	w := metadataWriter{data: append(make([]byte, 0, usualMetadata), '{')}
	if m.CommandID != uuid.Nil {
		w.name("command_id")
		w.text(m.CommandID.String())
	}
	w.member("$correlationId", m.CorrelationID)
	w.member("$causationId", m.CausationID)
	w.member("actor", m.Actor)
	w.member("on_behalf_of", m.OnBehalfOf)
	w.member("acting_for", m.ActingFor)
	w.member("channel", m.Channel)
	if !m.OccurredAt.IsZero() {
		w.name("occurred_at")
		w.time(m.OccurredAt)
	}
	w.member("trace", m.Trace)
	w.member("request", m.Request)
	if w.err != nil {
		return nil, fmt.Errorf("encode metadata: %w", w.err)
	}
	return append(w.data, '}'), nil
}

// usualMetadata is enough bytes for the metadata of most events.
const usualMetadata = 320

// metadataWriter writes the members of an object. It keeps the first error.
type metadataWriter struct {
	data []byte
	err  error
}

func (w *metadataWriter) member(name, text string) {
	if text != "" {
		w.name(name)
		w.text(text)
	}
}

func (w *metadataWriter) name(name string) {
	if len(w.data) > 1 {
		w.data = append(w.data, ',')
	}
	w.data = append(w.data, '"')
	w.data = append(w.data, name...)
	w.data = append(w.data, `":`...)
}

func (w *metadataWriter) text(text string) {
	data, err := jsontext.AppendQuote(w.data, text)
	w.data, w.err = data, cmp.Or(w.err, err)
}

func (w *metadataWriter) time(at time.Time) {
	if year := at.Year(); at.Location() == time.UTC && year >= 0 && year <= 9999 {
		w.data = append(at.AppendFormat(append(w.data, '"'), time.RFC3339Nano), '"')
		return
	}
	data, err := json.Marshal(at)
	w.data, w.err = append(w.data, data...), cmp.Or(w.err, err)
}

// DecodeMetadata reads metadata. It ignores unknown members, because events of foreign
// writers have members of their own.
func DecodeMetadata(data []byte) (Metadata, error) {
	var m Metadata
	if len(data) == 0 {
		return m, nil
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return Metadata{}, fmt.Errorf("decode metadata: %w", err)
	}
	return m, nil
}

// EarliestCredible is the first effective time that readers believe. EarliestCredible and
// MostAhead are wider than any setting for writers. So an event that was accepted is read in
// the same way after the setting has changed.
var EarliestCredible = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)

// MostAhead is how far after the recorded time readers still believe an effective time.
const MostAhead = 366 * 24 * time.Hour

// EffectiveAt is when a recorded event took effect: the time that its writer gave, or else
// the time at which it was recorded. A time that is not Credible counts as not given.
// Example: an event of the year 9999 took effect when it was recorded. So it is not first in
// every list for ever, and every reader can store its time.
func (m Metadata) EffectiveAt(recordedAt time.Time) time.Time {
	if m.OccurredAt.IsZero() || !m.Credible(recordedAt) {
		return recordedAt
	}
	return m.OccurredAt
}

// Credible tells whether readers believe the effective time: there is none, or it is between
// EarliestCredible and MostAhead after the recorded time.
func (m Metadata) Credible(recordedAt time.Time) bool {
	return m.OccurredAt.IsZero() ||
		!m.OccurredAt.Before(EarliestCredible) && !m.OccurredAt.After(recordedAt.Add(MostAhead))
}

// MetadataOrNone reads metadata as DecodeMetadata does. If it cannot be read, another program
// wrote it, and it counts as empty.
func MetadataOrNone(data []byte) Metadata {
	m, err := DecodeMetadata(data)
	if err != nil {
		return Metadata{}
	}
	return m
}
