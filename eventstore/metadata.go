package eventstore

import (
	"fmt"
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

// EffectiveAt is when a recorded event took effect: the time its writer gave,
// or else the time it was recorded.
func (m Metadata) EffectiveAt(recordedAt time.Time) time.Time {
	if m.OccurredAt.IsZero() {
		return recordedAt
	}
	return m.OccurredAt
}
