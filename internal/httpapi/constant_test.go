package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"daybook/internal/httpapi/contracttest"
)

// The document and the catalogue of problems do not change while the server runs. So a client that
// has one of them gets 304. A query parameter is refused, because there are none.
func TestWhatNeverChangesIsSentOnce(t *testing.T) {
	t.Parallel()
	handler := new(contracttest.Server).Checked(t, both(t))
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
		for _, condition := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			if again := get("", "If-None-Match", condition); again.Code != http.StatusNotModified || again.Body.Len() > 0 || again.Header().Get("ETag") != tag {
				t.Errorf("%s, If-None-Match: %s: answer %d, ETag %q, %d bytes", path, condition, again.Code, again.Header().Get("ETag"), again.Body.Len())
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

// The document is completed when it is first read, and requests are checked at the same time. The
// race detector finds it if both use the same parts.
func TestBodiesAreCheckedWhileTheDocumentIsMade(t *testing.T) {
	t.Parallel()
	handler := both(t)
	send := func(method, path, body string) int {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	made := make(chan int)
	go func() { made <- send(http.MethodGet, "/openapi.json", "") }()
	for checked := 0; ; checked++ {
		select {
		case status := <-made:
			if status != http.StatusOK || checked == 0 {
				t.Errorf("answer %d, after %d bodies", status, checked)
			}
			return
		default:
			if status := send(http.MethodPost, "/v1/carts", `{"lines":[{"sku":1,"quantity":1}]}`); status != http.StatusUnprocessableEntity {
				t.Errorf("a wrong body: answer %d", status)
			}
		}
	}
}
