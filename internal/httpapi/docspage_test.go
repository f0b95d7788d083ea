package httpapi

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	scripts = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	tags    = regexp.MustCompile(`<[a-zA-Z/!][^>]*>`)
)

// policyOf returns a page's rules for the browser, by name.
func policyOf(t *testing.T, header http.Header) map[string][]string {
	t.Helper()
	rules := map[string][]string{}
	for rule := range strings.SplitSeq(header.Get("Content-Security-Policy"), ";") {
		words := strings.Fields(rule)
		rules[words[0]] = words[1:]
	}
	return rules
}

// The page of the documentation and its frame load nothing, and run only their own scripts. The
// script of others runs only in the frame, which has an origin of its own: it gets no cookies,
// cannot read the page around it, and cannot send requests or go to another site.
func TestTheDocumentationIsShutIn(t *testing.T) {
	t.Parallel()
	handler := newTestHandler(t, io.Discard)
	outer, viewer := send(t, handler, "GET", "/docs", ""), send(t, handler, "GET", "/docs/viewer", "")
	if outer.Code != http.StatusOK || viewer.Code != http.StatusOK || viewer.Body.Len() < 1<<20 {
		t.Fatalf("answers %d, %d of %d bytes", outer.Code, viewer.Code, viewer.Body.Len())
	}
	page, frame := policyOf(t, outer.Header()), policyOf(t, viewer.Header())
	for name, want := range map[string][]string{"default-src": {"'none'"}, "connect-src": {"'self'"}, "frame-src": {"'self'"}, "frame-ancestors": {"'none'"}, "form-action": {"'none'"}, "base-uri": {"'none'"}} {
		if !slices.Equal(page[name], want) {
			t.Errorf("the page's %s: %q", name, page[name])
		}
	}
	for name, want := range map[string][]string{"sandbox": {"allow-scripts", "allow-forms"}, "default-src": {"'none'"}, "connect-src": {"'none'"}, "frame-ancestors": {"'self'"}, "form-action": {"'none'"}, "base-uri": {"'none'"}, "img-src": {"data:", "blob:"}} {
		if !slices.Equal(frame[name], want) {
			t.Errorf("the frame's %s: %q", name, frame[name])
		}
	}
	if slices.ContainsFunc(append(page["script-src"], frame["script-src"]...), func(source string) bool {
		return source == "'unsafe-inline'" || source == "'self'" || strings.Contains(source, ":")
	}) {
		t.Errorf("scripts: %q, %q", page["script-src"], frame["script-src"])
	}
	for name, c := range map[string]struct {
		body    string
		allowed []string
		count   int
	}{"page": {outer.Body.String(), page["script-src"], 1}, "frame": {viewer.Body.String(), frame["script-src"], 3}} {
		found := scripts.FindAllStringSubmatch(c.body, -1)
		if len(found) != c.count {
			t.Errorf("the %s has %d scripts", name, len(found))
		}
		for i, script := range found {
			sum := sha256.Sum256([]byte(script[1]))
			if !slices.Contains(c.allowed, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
				t.Errorf("the %s may not run its script %d: %.80s", name, i, script[1])
			}
		}
	}
	if !strings.Contains(outer.Body.String(), `sandbox="allow-scripts allow-forms"`) || !strings.Contains(outer.Body.String(), "credentials: 'omit'") {
		t.Error("the page shows the frame without a sandbox, or sends cookies")
	}
	// Each request of the page is without cookies, and it has no other way to send one.
	sends, without := strings.Count(outer.Body.String(), "fetch("), strings.Count(outer.Body.String(), "credentials: 'omit'")
	if sends != 1 || without != sends {
		t.Errorf("the page sends requests at %d places, %d of them without cookies", sends, without)
	}
	for _, way := range []string{"XMLHttpRequest", "sendBeacon", "EventSource", "WebSocket", "import(", "location =", "<form"} {
		if strings.Contains(outer.Body.String(), way) {
			t.Errorf("the page may send cookies with %s", way)
		}
	}
	for _, tag := range tags.FindAllString(outer.Body.String(), -1) {
		if strings.Contains(tag, "://") {
			t.Errorf("the page names a foreign address: %s", tag)
		}
	}
}

// The document stands in the frame, and no text in it can end the script around it.
func TestTheDocumentStandsInItsPage(t *testing.T) {
	t.Parallel()
	handler := newTestHandler(t, io.Discard)
	body := send(t, handler, "GET", "/docs/viewer", "").Body.String()
	_, rest, _ := strings.Cut(body, `id="document">`)
	document, _, _ := strings.Cut(rest, "</script>")
	if !strings.HasPrefix(document, `{"components"`) || !strings.Contains(document, `"/openapi.json"`) || strings.Contains(document, "<") {
		t.Errorf("the document in the page: %.200s", document)
	}
	if strings.Contains(withoutTags("a<!--b<script>c</script>"), "<!--") || strings.Count(body, "<script") != 4 {
		t.Errorf("%d scripts", strings.Count(body, "<script"))
	}
}

// The frame is large, so it is sent compressed, and only once.
func TestTheFrameIsSentOnce(t *testing.T) {
	t.Parallel()
	handler := newTestHandler(t, io.Discard)
	ask := func(headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/docs/viewer", http.NoBody)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	plain, packed := ask(), ask("Accept-Encoding", "gzip, br")
	reader, err := gzip.NewReader(packed.Body)
	if err != nil || packed.Header().Get("Content-Encoding") != "gzip" || plain.Header().Get("Content-Encoding") != "" {
		t.Fatalf("encodings %q and %q, %v", plain.Header().Get("Content-Encoding"), packed.Header().Get("Content-Encoding"), err)
	}
	if text, err := io.ReadAll(reader); err != nil || string(text) != plain.Body.String() {
		t.Errorf("%d bytes, %v, want the %d that a client without gzip gets", len(text), err, plain.Body.Len())
	}
	if again := ask("If-None-Match", packed.Header().Get("ETag"), "Accept-Encoding", "gzip"); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
		t.Errorf("again: %d, %d bytes", again.Code, again.Body.Len())
	}
}
