package main

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func basicOf(name, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(name + ":" + password))
}

// A person opens the page of the documentation in a browser, with a session or with a key as the
// password. No other address accepts a password.
func TestTheDocumentationOpensInABrowser(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	key := "Basic " + basicOf("anybody", s.keys["customer bob"])
	for _, path := range []string{"/docs", "/docs/viewer"} {
		refused := s.plain(http.MethodGet, path, "")
		if refused.status != http.StatusUnauthorized || !strings.HasPrefix(refused.challenge, "Basic ") {
			t.Errorf("%s without a key: %d, challenge %q", path, refused.status, refused.challenge)
		}
		if got := s.plain(http.MethodGet, path, "", "Authorization", key); got.status != http.StatusOK {
			t.Errorf("%s with a key: %d %.200s", path, got.status, got.text)
		}
		if got := s.plain(http.MethodGet, path, "", "Authorization", "Basic "+basicOf(s.keys["customer bob"], "")); got.status != http.StatusUnauthorized {
			t.Errorf("%s with a key as the name: %d", path, got.status)
		}
		if got := s.plain(http.MethodPost, path, "", "Authorization", key); got.status != http.StatusUnauthorized {
			t.Errorf("POST %s with a password: %d", path, got.status)
		}
	}
	for _, path := range []string{"/v1/carts", "/openapi.json", "/docs/", "/%64ocs", "/docs/scalar.js"} {
		if got := s.plain(http.MethodGet, path, "", "Authorization", key); got.status != http.StatusUnauthorized || strings.HasPrefix(got.challenge, "Basic") {
			t.Errorf("%s with a password: %d, challenge %q", path, got.status, got.challenge)
		}
	}
	s.hire("eve@shop.example", "operator")
	if got := s.as(s.mustSignIn("eve@shop.example"), http.MethodGet, "/docs", ""); got.status != http.StatusOK {
		t.Errorf("in a session: %d", got.status)
	}
}

// A real browser shows the page, if the machine has one. The page says so only after the viewer has
// drawn the document.
func TestABrowserShowsTheDocumentation(t *testing.T) {
	t.Parallel()
	browser := ""
	for _, name := range []string{"chromium-headless-shell", "chromium", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && browser == "" {
			browser = found
		}
	}
	if browser == "" {
		t.Skip("there is no browser here")
	}
	s := openKeyed(t)
	server, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	// It adds what a reader types into the browser's question.
	reader := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(server)
		if strings.HasPrefix(r.In.URL.Path, "/docs") {
			r.Out.Header.Set("Authorization", "Basic "+basicOf("reader", s.keys["customer bob"]))
		}
	}})
	t.Cleanup(reader.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	shown := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--virtual-time-budget=60000", "--dump-dom", reader.URL+"/docs")
	shown.WaitDelay = 5 * time.Second
	dom, err := shown.Output()
	if err != nil || !strings.Contains(string(dom), `data-viewer="ready"`) {
		t.Errorf("%v: %s", err, dom)
	}
}
