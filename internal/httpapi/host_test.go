package httpapi

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"daybook/internal/problem"
)

// serveHosts starts a server that also answers to the names given.
func serveHosts(t *testing.T, public ...string) (address string) {
	t.Helper()
	handler, err := New(Options{PublicHosts: public}, echo)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(handler, slog.New(slog.DiscardHandler))
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// raw sends bytes as they are, and returns the response.
func raw(t *testing.T, address, request string) (status int, body string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q is answered by no HTTP: %v", request, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return answer.StatusCode, string(text)
}

// If another site makes its own name point to this server, a browser sends that name as the host.
// Such a request is refused.
func TestOnlyRequestsForThisServersNamesAreServed(t *testing.T) {
	t.Parallel()
	address := serveHosts(t, "Shop.Example.", "192.0.2.7", "2001:db8::1")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for host, served := range map[string]bool{
		address: true, "127.0.0.1": true, "127.9.8.7:1": true, "127.0.0.1.": true, "localhost": true, "LocalHost.:" + port: true,
		"[::1]": true, "[::1]:" + port: true, "localhost:": true,
		"shop.example": true, "SHOP.EXAMPLE:443": true, "shop.example.": true, "192.0.2.7": true, "[2001:db8::1]:80": true,

		"evil.example": false, "evil.example:" + port: false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"a.shop.example": false, "shop.example..": false, "evil.example#localhost": false, "localhost,evil.example": false,
		"0.0.0.0": false, "[::]": false, "10.0.0.1": false, "192.0.2.8": false, "2130706433": false, "0x7f.1": false, "127.1": false,
		"::1": false, "[::1": false, "[::1%25lo]": false, "[127.0.0.1]": false, "[::1]evil.example": false, "[::1]x:1": false,
		"localhost:x": false, "localhost:1:2": false, "localhost:123456": false, "user@localhost": false, "": false,
	} {
		status, body := raw(t, address, "POST /echo/a HTTP/1.1\r\nHost: "+host+"\r\nOrigin: http://"+host+"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		if served && status != http.StatusOK {
			t.Errorf("host %q: answer %d %s, want it served", host, status, body)
		}
		if !served && status != http.StatusMisdirectedRequest && status != http.StatusBadRequest {
			t.Errorf("host %q: answer %d %s, want it refused", host, status, body)
		}
	}
}

func TestARequestForAnotherHostIsRefusedInEveryForm(t *testing.T) {
	t.Parallel()
	address := serveHosts(t)
	for name, test := range map[string]struct {
		request string
		status  int
	}{
		"a whole URL of another host":       {"GET http://evil.example/echo/a HTTP/1.1\r\nHost: localhost\r\n", 421},
		"a whole URL of this one":           {"GET http://localhost/openapi.json HTTP/1.1\r\nHost: evil.example\r\n", 200}, // RFC 9112: the target goes over the header
		"a whole URL with a user":           {"GET http://a:b@localhost/openapi.json HTTP/1.1\r\nHost: localhost\r\n", 421},
		"two hosts":                         {"GET /echo/a HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", 400},
		"the older protocol without a host": {"GET /openapi.json HTTP/1.0\r\n", 421},
		"the older protocol with one":       {"GET /openapi.json HTTP/1.0\r\nHost: localhost\r\n", 200},
		"no host":                           {"GET /openapi.json HTTP/1.1\r\n", 400},
		"a tunnel":                          {"CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n", 421},
		"of the server as a whole":          {"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n", 421},
		"a host that a proxy vouches for":   {"GET /openapi.json HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\nForwarded: host=localhost\r\n", 421},
	} {
		status, body := raw(t, address, test.request+"Connection: close\r\n\r\n")
		if status != test.status {
			t.Errorf("%s: answer %d %.200s, want %d", name, status, body, test.status)
		}
	}
}

// A page of another site must learn nothing, not even which paths exist. So its requests are
// refused before routing.
func TestAnotherHostLearnsNothing(t *testing.T) {
	t.Parallel()
	handler := newTestHandler(t, io.Discard)
	for _, path := range []string{"/echo/a", "/docs", "/docs/viewer", "/openapi.json", "/openapi.yaml", "/problems", "/problems/not-found", "/nowhere", "/"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
			r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
			r.Host = "evil.example"
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != http.StatusMisdirectedRequest || !strings.Contains(w.Body.String(), problem.CodeMisdirected) || w.Header().Get("Allow") != "" {
				t.Errorf("%s %s answers %d %s", method, path, w.Code, w.Body)
			}
			if w.Body.Len() > 1000 {
				t.Errorf("%s %s answers %d bytes", method, path, w.Body.Len())
			}
		}
	}
}

func TestAHostInAnAnswerIsShort(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/docs", http.NoBody)
	r.Host = strings.Repeat("a", 20_000)
	w := httptest.NewRecorder()
	newTestHandler(t, io.Discard).ServeHTTP(w, r)
	if w.Code != http.StatusMisdirectedRequest || w.Body.Len() > 1000 {
		t.Errorf("answer %d of %d bytes", w.Code, w.Body.Len())
	}
}

func TestAPublicHostIsANameOrAnAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"shop.example": "shop.example", "Shop.Example.": "shop.example", "xn--caf-dma.example": "xn--caf-dma.example",
		"10.0.0.1": "10.0.0.1", "[2001:DB8::1]": "2001:db8::1", "db_1": "db_1",
		"": "", "shop.example:80": "", "http://shop.example": "", "*.example": "", "a b": "", "café.example": "", ".": "", "a..b": "", "-a": "", "[::1%25lo]": "",
	} {
		if got, err := ParsePublicHost(text); got != want || (err == nil) != (want != "") {
			t.Errorf("ParsePublicHost(%q) = %q, %v; want %q", text, got, err, want)
		}
		if _, err := New(Options{PublicHosts: []string{text}}); (err == nil) != (want != "") {
			t.Errorf("a server for %q: %v", text, err)
		}
	}
}

// A request line or header that is too large is refused before routing. The response is small and
// says what is too large.
func TestRequestLinesAndHeadersAreBounded(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	handler, err := New(Options{PublicHosts: []string{"example.com"}, Logger: slog.New(slog.NewTextHandler(&log, nil))}, echo)
	if err != nil {
		t.Fatal(err)
	}
	many := func(n int, text string) string { return strings.Repeat(text, n) }
	for name, test := range map[string]struct {
		target string
		header http.Header
		status int
		says   string
	}{
		"a long path":       {"/" + many(maxPathBytes, "a"), nil, 414, "4096 bytes of path"},
		"a long name in it": {"/echo/" + many(200, "a"), nil, 422, `"parameter":"name"`},
		"a long query":      {"/echo/a?x=" + many(maxQueryBytes, "a"), nil, 414, "8192 bytes of query"},
		"many parameters":   {"/echo/a?" + many(maxQueryParams, "a&"), nil, 414, "64 parameters"},
		"many unknown ones": {"/echo/a?" + many(50, "a=1&b=1&c=1&d=1&")[:50*4], nil, 422, "unknown query parameter"},
		"a long header":     {"/echo/a", http.Header{"X-Long": {many(maxHeaderLength+1, "a")}}, 431, "X-Long"},
		"many headers":      {"/echo/a", http.Header{"X-Many": strings.Split(many(maxHeaders, "a,"), ",")}, 431, "100 headers"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", test.target, http.NoBody)
		for key, values := range test.header {
			r.Header[key] = values
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) || w.Header().Get("Content-Type") != problem.ContentType {
			t.Errorf("%s: answer %d %.300s, want %d, %s", name, w.Code, w.Body, test.status, test.says)
		}
		if w.Body.Len() > 8<<10 {
			t.Errorf("%s: an answer of %d bytes", name, w.Body.Len())
		}
	}
}

func TestAClientIsItsAddress(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"127.0.0.1:50000": "127.0.0.1", "[::1]:5": "::1", "[::ffff:10.0.0.1]:5": "10.0.0.1",
		"[2001:db8:1:2:3:4:5:6]:5": "2001:db8:1:2::/64", "[fe80::1%eth0]:5": "fe80::/64", "@": "@", "": "",
	} {
		if got := clientAt(remote); got != want {
			t.Errorf("clientAt(%q) = %q, want %q", remote, got, want)
		}
	}
	if a, b := clientAt("[2001:db8::1]:1"), clientAt("[2001:db8::2]:2"); a != b {
		t.Errorf("%s and %s count as two, though one client has both", a, b)
	}
}

// clientAt is the client of a request from an address, if there is no proxy.
func clientAt(remote string) string {
	return (*proxies)(nil).originOf(&http.Request{RemoteAddr: remote}).client
}
