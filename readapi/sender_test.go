package readapi

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// An event with any name is sent as exactly one server-sent event.
func TestAnEventsNameEndsNoLine(t *testing.T) {
	t.Parallel()
	for typ, name := range map[string]string{
		"a.v1": "a.v1", "a\nb": "ab", "a\r\ndata: x\n\nevent: b": "adata: xevent: b", "caught_up": "message", "error": "message", "a\x00": "a",
	} {
		w := httptest.NewRecorder()
		s := &sender{w: w, control: http.NewResponseController(w)}
		if err := s.event(Event{ID: "i", Type: typ, Position: "7\nid: 8"}); err != nil {
			t.Fatal(err)
		}
		want := "id: 7id: 8\nevent: " + name + "\ndata: "
		if got := w.Body.String(); len(got) < len(want) || got[:len(want)] != want {
			t.Errorf("type %q is sent as %q, want %q", typ, got, want)
		}
	}
}
