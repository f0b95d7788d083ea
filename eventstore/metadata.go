package eventstore

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// Metadata is what every event of ours carries beside its data: who caused it,
// by what, and when it took effect. The JSON names are those EventStoreDB
// reserves ("$correlationId", "$causationId") where it has one, so that its
// tools can follow them.
type Metadata struct {
	// CommandID is the command the event answers; event ids derive from it.
	CommandID uuid.UUID `json:"command_id,omitzero"`
	// CorrelationID joins everything that followed from one request.
	CorrelationID string `json:"$correlationId,omitempty"`
	// CausationID is the event or command that directly led to this one.
	CausationID string `json:"$causationId,omitempty"`
	// Actor is who asked: "customer:42", "operator:ann", "system:reactor".
	Actor string `json:"actor,omitempty"`
	// Channel is where it came in: "web", "api", "import", "demo".
	Channel string `json:"channel,omitempty"`
	// OccurredAt is the effective time, where it differs from the recorded one.
	OccurredAt time.Time `json:"occurred_at,omitzero"`
	// Trace is a W3C traceparent.
	Trace string `json:"trace,omitempty"`
	// Request tells the content of the request apart from that of any other under the
	// same command id: "1.", for the way in which it is computed, and a hash. Empty
	// where nobody gave one, as in logs from before there was such a member. See SameRequest.
	Request string `json:"request,omitempty"`
}

// SameRequest tells whether two values of Metadata.Request may be of the same
// content: only two that were computed in the same way, and differ, are not.
func SameRequest(a, b string) bool {
	wayA, _, hashedA := strings.Cut(a, ".")
	wayB, _, hashedB := strings.Cut(b, ".")
	return a == b || !hashedA || !hashedB || wayA != wayB
}

// Encode writes the metadata as JSON.
func (m Metadata) Encode() ([]byte, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	return data, nil
}

// DecodeMetadata reads metadata; unknown members are ignored, for events of
// foreign writers carry their own.
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

// EarliestCredible is the first effective time that readers believe. It is, as
// MostAhead is, wider than any setting of what a writer may give, so that no event
// which was admitted is read differently after a setting has changed.
var EarliestCredible = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)

// MostAhead is how far an effective time may lie after the recorded time and
// still be believed.
const MostAhead = 366 * 24 * time.Hour

// EffectiveAt is when a recorded event took effect: the time its writer gave, or
// else the time it was recorded. A time that cannot be true (see Credible) counts
// as not given. For example, an event of the year 9999 took effect when it was
// recorded: so it heads no list for ever, and every reader can store its time.
func (m Metadata) EffectiveAt(recordedAt time.Time) time.Time {
	if m.OccurredAt.IsZero() || !m.Credible(recordedAt) {
		return recordedAt
	}
	return m.OccurredAt
}

// Credible tells whether the effective time can be true: there is none, or it is
// from EarliestCredible to MostAhead after the recorded time.
func (m Metadata) Credible(recordedAt time.Time) bool {
	return m.OccurredAt.IsZero() ||
		!m.OccurredAt.Before(EarliestCredible) && !m.OccurredAt.After(recordedAt.Add(MostAhead))
}

// MetadataOrNone reads metadata as DecodeMetadata does. What cannot be read is not of
// ours, and counts as none.
func MetadataOrNone(data []byte) Metadata {
	m, err := DecodeMetadata(data)
	if err != nil {
		return Metadata{}
	}
	return m
}
