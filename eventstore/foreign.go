package eventstore

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
)

// JSONContent is the content type of the shop's events.
const JSONContent = "application/json"

// Content is what an event of a foreign writer carries: any bytes of any type. The log holds
// JSON objects only. So other content is put into an envelope, which is a JSON object and can
// be read by every reader of the log.
type Content struct {
	Type       string // media type, such as "application/octet-stream"
	Data, Meta []byte
}

// envelope is the form in which the log stores content that is not a JSON object. Example: the text
// "hi" of the type text/plain is stored as
// {"$foreign":{"content_type":"text/plain","data":"aGk="}}.
type envelope struct {
	Foreign foreign `json:"$foreign"`
}

// foreign is the only member of an envelope. If one of its two pointers is nil, that member is
// missing, and the JSON is no envelope. An empty member is allowed.
type foreign struct {
	Type *string `json:"content_type"`
	Data *[]byte `json:"data"` // base64
	Meta []byte  `json:"metadata,omitempty"`
}

var envelopeStart = []byte(`{"$foreign":`)

// Wrap returns content in the form in which an event holds it. If data and metadata are JSON
// objects, it is unchanged; empty metadata is allowed. Otherwise it is in an envelope, which
// needs a third more bytes.
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

// Unwrap returns the content that Wrap was given, byte for byte. An event that Wrap did not
// make is returned as it is, whatever it looks like.
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
