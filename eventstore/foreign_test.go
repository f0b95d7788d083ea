package eventstore_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"daybook/eventstore"
)

// held is an event with content in the form in which the log holds it.
func held(tb rapid.TB, content eventstore.Content) eventstore.Event {
	tb.Helper()
	data, meta, err := eventstore.Wrap(content)
	if err != nil {
		tb.Fatalf("wrap %+v: %v", content, err)
	}
	return eventstore.Event{ID: uuid.New(), Type: "foreign", Data: data, Meta: meta}
}

// comesBack appends content, and fails if the content that it reads is different.
func comesBack(tb rapid.TB, content eventstore.Content) {
	tb.Helper()
	event := held(tb, content)
	if err := eventstore.CheckAppend("foreign-1", eventstore.Any, []eventstore.Event{event}); err != nil {
		tb.Fatalf("%+v is held as %q, %q, which no log takes: %v", content, event.Data, event.Meta, err)
	}
	got := eventstore.Unwrap(event)
	if got.Type != content.Type || !bytes.Equal(got.Data, content.Data) || !bytes.Equal(got.Meta, content.Meta) {
		tb.Fatalf("%+v is held as %q, %q and read as %+v", content, event.Data, event.Meta, got)
	}
}

// foreignBytes makes bytes of any kind. They often look nearly like an envelope.
func foreignBytes() *rapid.Generator[[]byte] {
	object := rapid.Map(rapid.MapOf(rapid.StringMatching(`[a-z$]{0,8}`), rapid.Int()), func(m map[string]int) []byte {
		var text strings.Builder
		text.WriteString("{")
		for name, value := range m {
			if text.Len() > 1 {
				text.WriteString(", ")
			}
			text.WriteString(`"` + name + `":` + strings.Repeat(" ", value&1) + "1")
		}
		return []byte(text.String() + "}")
	})
	return rapid.OneOf(
		rapid.Just([]byte(nil)),
		rapid.SliceOfN(rapid.Byte(), 0, 200),
		object,
		rapid.SampledFrom([][]byte{
			{},
			[]byte(" "), []byte("null"), []byte("[]"), []byte(`"text"`), []byte("{"), []byte("{}"), []byte(" {}\n"), []byte("{} {}"),
			[]byte(`{"$foreign":`), []byte(`{"$foreign":1}`), []byte(`{"$foreign":{}}`), []byte(` {"$foreign":{}}`), []byte(`{"$foreign" :{}}`),
			[]byte(`{"$foreign":{"content_type":"a","data":"AA=="}}`), []byte(`{"$foreign":{"content_type":"a","data":"AA=="},"more":1}`),
			[]byte(`{"a":1,"a":2}`), []byte(`{"a":"\ud800"}`), []byte("{\"a\":\"\xff\"}"), []byte("\xef\xbb\xbf{}"),
		}),
	)
}

func TestForeignContentComesBack(t *testing.T) {
	types := rapid.OneOf(
		rapid.SampledFrom([]string{eventstore.JSONContent, "application/octet-stream", "", "application/json; charset=utf-8", `text/"<&>é😀`}),
		rapid.String(),
	)
	rapid.Check(t, func(t *rapid.T) {
		comesBack(t, eventstore.Content{
			Type: types.Draw(t, "type"),
			Data: foreignBytes().Draw(t, "data"),
			Meta: foreignBytes().Draw(t, "metadata"),
		})
	})
}

// Content can be an envelope itself, for example if a foreign client copies one log into
// another. It is then put into a second envelope.
func TestForeignContentIsWrappedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inner := held(t, eventstore.Content{Type: "text/plain", Data: foreignBytes().Draw(t, "data"), Meta: foreignBytes().Draw(t, "metadata")})
		comesBack(t, eventstore.Content{Type: eventstore.JSONContent, Data: inner.Data, Meta: inner.Meta})
	})
}

func TestJSONObjectsAreHeldAsTheyAre(t *testing.T) {
	data, meta := []byte(" {\"b\" : 1.0,\n\"a\":[] }"), []byte(`{"actor":"x"}`)
	for name, content := range map[string]eventstore.Content{
		"with metadata":    {Type: eventstore.JSONContent, Data: data, Meta: meta},
		"without metadata": {Type: eventstore.JSONContent, Data: data},
	} {
		if event := held(t, content); !bytes.Equal(event.Data, content.Data) || !bytes.Equal(event.Meta, content.Meta) {
			t.Errorf("%s: held as %q, %q", name, event.Data, event.Meta)
		}
	}
}

// An event of the shop is never taken for an envelope, and no part of it is lost. If something is
// not exactly an envelope, it is content.
func TestOnlyAnEnvelopeIsUnwrapped(t *testing.T) {
	for _, text := range []string{
		`{"$foreign":{}}`, `{"$foreign":null}`, `{"$foreign":{"data":"AA=="}}`, `{"$foreign":{"content_type":"a"}}`, `{"$foreign":{"content_type":null,"data":null}}`,
		`{"$foreign":1}`, `{"$foreign":{"content_type":"a","data":"AA==","else":1}}`, `{"$foreign":{"content_type":"a","data":"AA=="},"more":1}`,
		`{"$foreign":{"content_type":"a","data":"no base64"}}`, `{ "$foreign":{"content_type":"a","data":"AA=="}}`, `{"a":{"$foreign":{}}}`,
	} {
		isContent(t, eventstore.Event{Data: []byte(text)})
	}
	event := held(t, eventstore.Content{Type: "text/plain", Data: []byte("x")})
	event.Meta = []byte(`{"actor":"x"}`) // an envelope has its metadata inside, so this is none
	isContent(t, event)
}

func isContent(t *testing.T, event eventstore.Event) {
	t.Helper()
	got := eventstore.Unwrap(event)
	if got.Type != eventstore.JSONContent || !bytes.Equal(got.Data, event.Data) || !bytes.Equal(got.Meta, event.Meta) {
		t.Errorf("%q, %q is read as %+v", event.Data, event.Meta, got)
	}
}

func TestContentTypeMustBeText(t *testing.T) {
	if data, _, err := eventstore.Wrap(eventstore.Content{Type: "text/\xff", Data: []byte("x")}); err == nil {
		t.Errorf("held as %q, want an error: the type would not come back", data)
	}
}

func FuzzForeignContent(f *testing.F) {
	f.Add(eventstore.JSONContent, []byte(`{"$foreign":{"content_type":"a","data":"AA=="}}`), []byte(`{}`))
	f.Add("application/octet-stream", []byte{0, 0xff}, []byte("x"))
	f.Fuzz(func(t *testing.T, contentType string, data, meta []byte) {
		if _, _, err := eventstore.Wrap(eventstore.Content{Type: contentType, Data: data, Meta: meta}); err != nil {
			t.Skip(err) // a content type that is no text
		}
		comesBack(t, eventstore.Content{Type: contentType, Data: data, Meta: meta})
	})
}
