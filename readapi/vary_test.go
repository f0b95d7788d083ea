package readapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Every answer to a read tells caches on which headers of the request it depends: on Origin and
// Accept-Encoding, and where there are several forms on Accept. A live stream tells it, too, and so
// does a problem.
func TestEveryReadSaysOnWhichHeadersItDepends(t *testing.T) {
	t.Parallel()
	s := open(t)
	reads := s.taggedReads()
	reads["list-events"], reads["read-stream"], reads["follow-events"] = "/v1/events", "/v1/streams/order-o-1", "/v1/events/live?after=0"
	reads["is-ready"], reads["get-problem"], reads["document"] = "/readyz", "/problems/not-found", "/openapi.json"
	reads["nothing"], reads["no-order"] = "/v1/nothing", "/v1/orders/none"
	for id, target := range reads {
		want := []string{"Origin", "Accept-Encoding"}
		forms := map[string][]string{
			"list-events": {"text/event-stream", "application/json"}, "read-stream": {"text/event-stream", "application/json"},
			"export-customer": {"text/html", "application/json"}, "export-cart": {"text/html", "application/json"},
		}[id]
		if forms != nil {
			want = append(want, "Accept")
			for _, headers := range [][]string{{"Accept", forms[0]}, {"Accept", forms[1]}, {"Accept", "text/csv"}, {"If-None-Match", "*"}} {
				s.dependsOn(target, want, headers...)
			}
		}
		if id == "get-shared-wish-list" {
			want = append(want, "Daybook-Wish-List")
		}
		s.dependsOn(target, want)
	}
}

// dependsOn checks that the header Vary of an answer has each name once. headers are name, value.
func (s *shop) dependsOn(target string, want []string, headers ...string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	r.Header.Set("Origin", pageOrigin)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := &firstFlush{ResponseRecorder: httptest.NewRecorder(), then: cancel}
	s.handler.ServeHTTP(w, r)
	named := make(map[string]int)
	for name := range strings.SplitSeq(strings.Join(w.Header().Values("Vary"), ","), ",") {
		named[strings.TrimSpace(name)]++
	}
	for _, name := range want {
		if named[name] != 1 {
			s.Errorf("GET %s %q: answer %d, Vary %q, want %s once", target, headers, w.Code, w.Header().Values("Vary"), name)
		}
	}
}

// firstFlush ends a stream when its first part is sent.
type firstFlush struct {
	*httptest.ResponseRecorder

	then func()
}

func (f *firstFlush) Flush() {
	f.ResponseRecorder.Flush()
	f.then()
}
