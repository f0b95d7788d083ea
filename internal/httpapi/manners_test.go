package httpapi

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"daybook/domain/access"
	"daybook/internal/problem"
)

const shopOrigin = "https://shop.example"

func sharedHandler(t *testing.T, parts ...Part) http.Handler {
	t.Helper()
	handler, err := New(Options{PublicHosts: []string{"example.com"}, CORSOrigins: []string{"HTTPS://Shop.Example:443/", "http://127.0.0.1:5173"}}, parts...)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

func fromPage(t *testing.T, handler http.Handler, method, target, origin string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	r.Header.Set("Origin", origin)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Mode", "cors")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// Pages of the allowed sites may read and write, and they may read the important headers. Pages of
// other sites may not. No page may send credentials.
func TestPagesOfNamedSitesMayUseTheAPI(t *testing.T) {
	t.Parallel()
	handler := sharedHandler(t, thing)
	for _, origin := range []string{shopOrigin, "http://127.0.0.1:5173"} {
		for _, method := range []string{"GET", "POST"} {
			w := fromPage(t, handler, method, "/v1/thing", origin)
			exposed := strings.Split(strings.Join(w.Header().Values("Access-Control-Expose-Headers"), ", "), ", ")
			if w.Code != http.StatusOK || w.Header().Get("Access-Control-Allow-Origin") != origin || !slices.Contains(w.Header().Values("Vary"), "Origin") {
				t.Errorf("%s from %s: answer %d %v", method, origin, w.Code, w.Header())
			}
			if !slices.ContainsFunc(exposed, func(name string) bool { return strings.EqualFold(name, "ETag") }) {
				t.Errorf("%s from %s: exposed are %v, want ETag among them", method, origin, exposed)
			}
		}
		if w := fromPage(t, handler, "GET", "/nowhere", origin); w.Code != http.StatusNotFound || w.Header().Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("a problem for %s: answer %d %v, want it readable", origin, w.Code, w.Header())
		}
		asked := fromPage(t, handler, "OPTIONS", "/v1/thing", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,if-none-match")
		if asked.Code != http.StatusNoContent || asked.Header().Get("Access-Control-Allow-Origin") != origin ||
			asked.Header().Get("Access-Control-Allow-Methods") != "POST" || !strings.Contains(asked.Header().Get("Access-Control-Allow-Headers"), "if-none-match") ||
			asked.Header().Get("Access-Control-Max-Age") == "" {
			t.Errorf("preflight from %s: answer %d %v", origin, asked.Code, asked.Header())
		}
	}
	for _, origin := range []string{"https://elsewhere.example", "http://shop.example", "https://shop.example:8443", "https://shop.example.evil.example", "null", "https://sub.shop.example"} {
		for _, w := range []*httptest.ResponseRecorder{
			fromPage(t, handler, "GET", "/v1/thing", origin), fromPage(t, handler, "POST", "/v1/thing", origin),
			fromPage(t, handler, "OPTIONS", "/v1/thing", origin, "Access-Control-Request-Method", "POST"),
		} {
			if w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Origin") != "" || !slices.Contains(w.Header().Values("Vary"), "Origin") {
				t.Errorf("from %s: answer %d %v, want 403", origin, w.Code, w.Header())
			}
		}
	}
	for _, origin := range []string{shopOrigin, "https://elsewhere.example"} {
		w := fromPage(t, handler, "GET", "/v1/thing", origin, "Cookie", "a=b")
		if allowed := w.Header().Get("Access-Control-Allow-Credentials"); allowed != "" || w.Header().Get("Access-Control-Allow-Origin") == "*" {
			t.Errorf("from %s with credentials: %v", origin, w.Header())
		}
	}
	if w := fromPage(t, handler, "OPTIONS", "http://evil.example/v1/thing", shopOrigin, "Access-Control-Request-Method", "POST"); w.Code != http.StatusMisdirectedRequest {
		t.Errorf("preflight for another host: answer %d", w.Code)
	}
}

func TestByDefaultNoPageOfAnotherSiteIsAllowed(t *testing.T) {
	t.Parallel()
	handler, err := New(Options{PublicHosts: []string{"example.com"}}, thing)
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "POST", "OPTIONS"} {
		w := fromPage(t, handler, method, "/v1/thing", shopOrigin, "Access-Control-Request-Method", "POST")
		if w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: answer %d %v", method, w.Code, w.Header())
		}
	}
}

func TestAnOriginIsASchemeAndAHost(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://shop.example": "https://shop.example", "HTTPS://Shop.example/": "https://shop.example", "https://shop.example:443": "https://shop.example",
		"http://localhost:5173": "http://localhost:5173", "http://[::1]:80": "http://[::1]", "https://192.0.2.1:8443": "https://192.0.2.1:8443",
		"*": "", "null": "", "": "", "shop.example": "", "https://*.shop.example": "", "https://shop.example/path": "", "https://shop.example?x": "",
		"https://ann@shop.example": "", "ftp://shop.example": "", "https://": "", "file:///": "", "https://shop.example:x": "", "https://sh op.example": "",
		"https://shop.example?": "", "https://shop.example#": "", "https://shop.example/?": "", "https://shop.example:": "", "https://shop.example:0": "",
		"https://shop.example:99999": "", "https://shop.example:65536": "", "https://shop.example:08443": "", "http://[::1]:99999": "",
		"https://shop.example:65535": "https://shop.example:65535",
	} {
		if got, err := ParseOrigin(text); got != want || (err != nil) != (want == "") {
			t.Errorf("%q is read as %q, %v, want %q", text, got, err, want)
		}
	}
}

type largeOutput struct {
	ETag        string `header:"ETag"`
	ContentType string `header:"Content-Type"`
	Body        []byte
}

// large is a part with large responses, which are compressed, and a live stream, which sends its
// next message when the test lets it.
func large(next <-chan struct{}) Part {
	return func(api huma.API) {
		for path, kind := range map[string]string{"/v1/json": "application/json", "/v1/lines": "application/x-ndjson", "/v1/image": "image/png"} {
			huma.Register(api, huma.Operation{OperationID: kind, Method: http.MethodGet, Path: path, Metadata: problem.Listing(access.Look)}, func(context.Context, *struct{}) (*largeOutput, error) {
				return &largeOutput{ETag: `"7"`, ContentType: kind, Body: []byte(strings.Repeat(`{"a":"b"}`+"\n", 1000))}, nil
			})
		}
		huma.Register(api, huma.Operation{OperationID: "live", Method: http.MethodGet, Path: "/v1/live", Metadata: problem.Listing(access.Look)}, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
			return &huma.StreamResponse{Body: func(to huma.Context) {
				_, w := humamux.Unwrap(to)
				w.Header().Set("Content-Type", "text/event-stream")
				for i := range 3 {
					if _, err := fmt.Fprintf(w, "data: %d\n\n", i); err != nil {
						return
					}
					_ = http.NewResponseController(w).Flush()
					<-next
				}
			}}, nil
		})
	}
}

// A client that accepts gzip gets large JSON compressed. The unpacked body is the body that other
// clients get, but the ETag is another one. The server recognizes this ETag in If-None-Match.
func TestLargeAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	handler, err := New(Options{PublicHosts: []string{"example.com"}}, large(nil), thing)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	for path, zipped := range map[string]bool{"/v1/json": true, "/v1/lines": true, "/v1/image": false, "/v1/thing": false, "/problems": true, "/openapi.json": true} {
		plain, packed := get(path), get(path, "Accept-Encoding", "gzip, br")
		if plain.Header().Get("Content-Encoding") != "" || !slices.Contains(plain.Header().Values("Vary"), "Accept-Encoding") {
			t.Errorf("%s: plain: %v", path, plain.Header())
		}
		text := packed.Body.Bytes()
		if is := packed.Header().Get("Content-Encoding") == "gzip"; is != zipped {
			t.Errorf("%s: in gzip: %t, want %t", path, is, zipped)
		} else if zipped {
			unpacked, err := gzip.NewReader(packed.Body)
			if err != nil {
				t.Fatal(err)
			}
			if text, err = io.ReadAll(unpacked); err != nil {
				t.Error(err)
			}
		}
		if string(text) != plain.Body.String() {
			t.Errorf("%s: the unpacked body is another one", path)
		}
		if refused := get(path, "Accept-Encoding", "gzip;q=0, identity"); refused.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: in gzip for a client that refuses it", path)
		}
		tag := packed.Header().Get("ETag")
		if same := tag == plain.Header().Get("ETag"); tag != "" && same == zipped {
			t.Errorf("%s: ETags %s and %s", path, plain.Header().Get("ETag"), tag)
		}
		for _, condition := range []string{tag, "W/" + tag} {
			if response := get(path, "Accept-Encoding", "gzip", "If-None-Match", condition); tag != "" && (response.Code != http.StatusNotModified || response.Header().Get("ETag") != tag || response.Body.Len() > 0) {
				t.Errorf("%s: a client that has ETag %s gets %d, ETag %s, %d bytes", path, tag, response.Code, response.Header().Get("ETag"), response.Body.Len())
			}
		}
	}
}

// Each message of a live stream arrives before the next one is sent, also if the client accepts
// gzip.
func TestALiveStreamIsNotCompressed(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	handler, err := New(Options{}, large(next))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.Header.Get("Content-Encoding") != "" || answer.Header.Get("ETag") != "" {
		t.Errorf("headers %v", answer.Header)
	}
	lines := bufio.NewScanner(answer.Body)
	for i := range 3 {
		if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) || !lines.Scan() {
			t.Fatalf("message %d: %q, %v", i, lines.Text(), lines.Err())
		}
		next <- struct{}{}
	}
}
