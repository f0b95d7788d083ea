package eventstore

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
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

// Encode writes the metadata as JSON. It stands on every event, so it is written
// by hand; a test holds it to the struct's own form.
func (m Metadata) Encode() ([]byte, error) {
	data := append(make([]byte, 0, 320), '{')
	if m.CommandID != uuid.Nil {
		data = append(data, `"command_id":"`...)
		data = append(append(data, m.CommandID.String()...), '"')
	}
	var err error
	for _, member := range []struct{ name, value string }{
		{`"$correlationId":`, m.CorrelationID},
		{`"$causationId":`, m.CausationID},
		{`"actor":`, m.Actor},
		{`"channel":`, m.Channel},
		{`"occurred_at":`, timeText(m.OccurredAt)},
		{`"trace":`, m.Trace},
	} {
		if member.value == "" {
			continue
		}
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = append(data, member.name...)
		if data, err = jsontext.AppendQuote(data, member.value); err != nil {
			return nil, fmt.Errorf("encode metadata, %s %w", member.name, err)
		}
	}
	return append(data, '}'), nil
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
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
