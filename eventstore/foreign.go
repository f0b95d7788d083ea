package eventstore

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
)

// JSONContent is the content type of every event of ours.
const JSONContent = "application/json"

// Content is what an event of a foreign writer carries: any bytes of any type.
// The log holds JSON objects, so what is not one is put into an envelope, in
// which it is still JSON to everybody who reads the log.
type Content struct {
	Type       string // media type, such as "application/octet-stream"
	Data, Meta []byte
}

// envelope is the form of content in the log that cannot stand there as it is.
type envelope struct {
	Foreign foreign `json:"$foreign"`
}

// foreign tells a member that is missing, and so no envelope, from an empty one.
type foreign struct {
	Type *string `json:"content_type"`
	Data *[]byte `json:"data"` // base64
	Meta []byte  `json:"metadata,omitempty"`
}

var envelopeStart = []byte(`{"$foreign":`)

// Wrap gives content the form in which an event holds it: as it is if both parts
// are JSON objects (no metadata is fine), else in an envelope, which takes a
// third more room.
func Wrap(c Content) (data, meta []byte, err error) {
	plain := c.Type == JSONContent && isObject(c.Data) && (len(c.Meta) == 0 || isObject(c.Meta))
	if plain && !bytes.HasPrefix(c.Data, envelopeStart) {
		return c.Data, c.Meta, nil
	}
	data, err = json.Marshal(envelope{foreign{Type: &c.Type, Data: &c.Data, Meta: c.Meta}})
	if err != nil {
		return nil, nil, fmt.Errorf("wrap content of type %q: %w", c.Type, err)
	}
	return data, nil, nil
}

// Unwrap returns the content that Wrap was given, byte for byte. An event that
// Wrap did not make is content itself, whatever it looks like.
func Unwrap(e Event) Content {
	if bytes.HasPrefix(e.Data, envelopeStart) && len(e.Meta) == 0 {
		var held envelope
		err := json.Unmarshal(e.Data, &held, json.RejectUnknownMembers(true))
		if in := held.Foreign; err == nil && in.Type != nil && in.Data != nil {
			return Content{Type: *in.Type, Data: *in.Data, Meta: in.Meta}
		}
	}
	return Content{Type: JSONContent, Data: e.Data, Meta: e.Meta}
}
