package httpapi

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What trusted proxies say about the client counts. What the client itself wrote does not.
func TestTheClientBehindAProxy(t *testing.T) {
	t.Parallel()
	const proxy, inner, client, liar = "10.0.0.1:9", "10.1.1.1", "192.0.2.7", "203.0.113.9"
	for name, test := range map[string]struct {
		header, peer string
		sent         http.Header
		want         origin
	}{
		"through the proxy":              {ForwardedFor, proxy, http.Header{"X-Forwarded-For": {client}}, origin{client: client}},
		"a list":                         {ForwardedFor, proxy, http.Header{"X-Forwarded-For": {liar + ", " + client}}, origin{client: client}},
		"two headers":                    {ForwardedFor, proxy, http.Header{"X-Forwarded-For": {liar, client}}, origin{client: client}},
		"two proxies":                    {ForwardedFor, proxy, http.Header{"X-Forwarded-For": {liar + "," + client + ", " + inner}}, origin{client: client}},
		"a client that claims a proxy":   {ForwardedFor, proxy, http.Header{"X-Forwarded-For": {inner + ", " + client}}, origin{client: client}},
		"only proxies":                   {ForwardedFor, proxy, http.Header{"X-Forwarded-For": {inner}}, origin{client: inner}},
		"with a port":                    {ForwardedFor, proxy, http.Header{"X-Forwarded-For": {"[2001:db8::7]:80"}}, origin{client: "2001:db8::/64"}},
		"no address":                     {ForwardedFor, proxy, http.Header{"X-Forwarded-For": {client + ", unknown"}}, origin{client: "10.0.0.1"}},
		"nothing":                        {ForwardedFor, proxy, nil, origin{client: "10.0.0.1"}},
		"TLS at the proxy":               {ForwardedFor, proxy, http.Header{"X-Forwarded-For": {client}, "X-Forwarded-Proto": {"http, https"}}, origin{client: client, secure: true}},
		"another header":                 {ForwardedFor, proxy, http.Header{"Forwarded": {"for=" + liar}}, origin{client: "10.0.0.1"}},
		"by the standard":                {Forwarded, proxy, http.Header{"Forwarded": {`for=` + liar + `, For="[2001:db8::7]:80";by=x;proto=https`}}, origin{client: "2001:db8::/64", secure: true}},
		"a comma in quotes":              {Forwarded, proxy, http.Header{"Forwarded": {`for="` + liar + `, for=` + inner + `", for=` + client}}, origin{client: client}},
		"a quote without an end":         {Forwarded, proxy, http.Header{"Forwarded": {`for=` + liar + `;x=",for=` + client + `;proto=https`}}, origin{client: "10.0.0.1"}},
		"such a quote, two headers":      {Forwarded, proxy, http.Header{"Forwarded": {`for=` + liar + `;x="`, `for=` + client + `;proto=https`}}, origin{client: "10.0.0.1"}},
		"such a quote, a quoted hop":     {Forwarded, proxy, http.Header{"Forwarded": {`for=` + liar + `;x=", for="[2001:db8::7]:80"`}}, origin{client: "10.0.0.1"}},
		"a quote that ends in an escape": {Forwarded, proxy, http.Header{"Forwarded": {`for=` + liar + `;x="\", for=` + client}}, origin{client: "10.0.0.1"}},
		"an escape within quotes":        {Forwarded, proxy, http.Header{"Forwarded": {`for=` + liar + `;x="\"", for=` + client}}, origin{client: client}},
		"a quote in the other list":      {ForwardedFor, proxy, http.Header{"X-Forwarded-For": {`"` + liar + `, ` + client}, "X-Forwarded-Proto": {`", https`}}, origin{client: client, secure: true}},
		"the other by the standard":      {Forwarded, proxy, http.Header{"X-Forwarded-For": {liar}, "X-Forwarded-Proto": {"https"}}, origin{client: "10.0.0.1"}},
		"past the proxy":                 {ForwardedFor, liar + ":7", http.Header{"X-Forwarded-For": {client}, "X-Forwarded-Proto": {"https"}}, origin{client: liar, direct: true}},
		"from this machine":              {ForwardedFor, "127.0.0.1:7", http.Header{"X-Forwarded-For": {client}}, origin{client: "127.0.0.1"}},
	} {
		behind, err := newProxies([]string{"10.0.0.0/8"}, test.header)
		if err != nil {
			t.Fatal(err)
		}
		if got := behind.originOf(&http.Request{RemoteAddr: test.peer, Header: test.sent}); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
	var none *proxies
	if got := none.originOf(&http.Request{RemoteAddr: proxy, Header: http.Header{"X-Forwarded-For": {liar}}}); got != (origin{client: "10.0.0.1"}) {
		t.Errorf("without proxies: %+v", got)
	}
}

// A server behind a proxy refuses plain-text requests that do not come through the proxy, except
// probes.
func TestRequestsPastTheProxyAreRefused(t *testing.T) {
	t.Parallel()
	handler, err := New(Options{Proxies: []string{"10.0.0.1"}, ProxyHeader: ForwardedFor, PublicHosts: []string{"shop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		peer, path string
		tls        *tls.ConnectionState
		refused    bool
	}{
		"past it":              {"192.0.2.1:5", "/problems", nil, true},
		"through it":           {"10.0.0.1:5", "/problems", nil, false},
		"past it, with TLS":    {"192.0.2.1:5", "/problems", &tls.ConnectionState{}, false},
		"from this machine":    {"127.0.0.1:5", "/problems", nil, false},
		"a probe":              {"192.0.2.1:5", "/livez", nil, false},
		"from nobody":          {"@", "/problems", nil, true},
		"of another machine's": {"10.0.0.2:5", "/problems", nil, true},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop.example"+test.path, http.NoBody)
		r.RemoteAddr, r.TLS = test.peer, test.tls
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if refused := w.Code == http.StatusForbidden && strings.Contains(w.Body.String(), "proxy-required"); refused != test.refused {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestParseProxy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.0.0.7": "10.0.0.7/32", "10.1.2.3/8": "10.0.0.0/8", "2001:db8::/32": "2001:db8::/32", "::ffff:10.0.0.7": "10.0.0.7/32",
		"": "", "proxy": "", "0.0.0.0/0": "", "::/0": "", "10.0.0.0/33": "", "fe80::1%eth0": "", "::ffff:10.0.0.0/104": "",
	} {
		got, err := ParseProxy(text)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("ParseProxy(%q) = %v, %v, want %q", text, got, err, want)
		}
	}
}

// Every response tells browsers to load nothing for it, to show it in no other page, and to send no
// referrer. Only a client with TLS is told to use TLS from now on.
func TestEveryResponseHasTheHeadersOfSecurity(t *testing.T) {
	t.Parallel()
	handler, err := New(Options{Proxies: []string{"10.0.0.1"}, ProxyHeader: ForwardedFor, PublicHosts: []string{"shop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/problems", "/nothing", "/docs"} {
		for _, proto := range []string{"http", "https"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop.example"+path, http.NoBody)
			r.RemoteAddr = "10.0.0.1:5"
			r.Header.Set("X-Forwarded-Proto", proto)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			h := w.Header()
			if !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %v", path, h)
			}
			if (h.Get("Strict-Transport-Security") != "") != (proto == "https") {
				t.Errorf("%s by %s: %v", path, proto, h)
			}
		}
	}
}
