package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// The document and the catalogue of problems do not change while the server runs. So a client that
// has one of them gets 304. A query parameter is refused, because there are none.
func TestWhatNeverChangesIsSentOnce(t *testing.T) {
	t.Parallel()
	handler := both(t)
	for _, path := range []string{"/openapi.json", "/openapi.yaml", "/problems", "/problems/stock-insufficient"} {
		get := func(query string, headers ...string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+query, nil)
			for i := 0; i+1 < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return w
		}
		first := get("")
		tag := first.Header().Get("ETag")
		if first.Code != http.StatusOK || tag == "" || get("").Header().Get("ETag") != tag {
			t.Errorf("%s: answer %d, ETag %q", path, first.Code, tag)
			continue
		}
		for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			if again := get("", "If-None-Match", known); again.Code != http.StatusNotModified || again.Body.Len() > 0 || again.Header().Get("ETag") != tag {
				t.Errorf("%s, If-None-Match: %s: answer %d, ETag %q, %d bytes", path, known, again.Code, again.Header().Get("ETag"), again.Body.Len())
			}
		}
		if other := get("", "If-None-Match", `"x"`); other.Code != http.StatusOK {
			t.Errorf("%s, another tag: answer %d", path, other.Code)
		}
		if status, got := refusal(t, handler, http.MethodGet, path+"?colour=red"); status != http.StatusUnprocessableEntity || !names(got, "query", "colour") {
			t.Errorf("%s?colour=red: answer %d %+v", path, status, got)
		}
	}
}
