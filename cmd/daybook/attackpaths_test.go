package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"daybook/internal/httpapi"
	"daybook/internal/telemetry"
)

// sendRaw sends a request as it is written, and returns the response. A client of net/http would
// clean the path and the headers first.
func sendRaw(t *testing.T, server, request string) (response *http.Response, body string) {
	t.Helper()
	at, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, request+"Host: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err = http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return response, string(text)
}

// disguises are other ways to write a path, of which a server might check one and serve another.
func disguises(path string) []string {
	first := path[1:2]
	all := []string{
		"/" + path, path + "/", "/." + path, "/x/.." + path, path + "/.", path + "/x/..", path + ";a=b", path + ".json", path + "%00", path + "%2f", path + "%20",
		strings.ToUpper(path), "/" + fmt.Sprintf("%%%02X", first[0]) + path[2:], "/" + fmt.Sprintf("%%25%02X", first[0]) + path[2:],
		strings.Replace(path[:1]+"\x00"+path[1:], "\x00", "%2e%2e/", 1), "/livez/.." + path, "/livez%2f.." + path, "/v1/auth/sign-in/../../.." + path,
	}
	if at := strings.LastIndex(path, "/"); at > 0 {
		all = append(all, path[:at]+"%2f"+path[at+1:], path[:at]+"//"+path[at+1:], path[:at]+"\\"+path[at+1:])
	}
	return all
}

// secretPaths are addresses that other servers have, and that this one has only at its admin port.
var secretPaths = []string{"/metrics", "/debug/pprof/", "/debug/pprof/profile", "/debug/vars", "/.git/config", "/admin", "/admin.key", "/health", "/docs/scalar.js", "/%6Civez", "/readyz%00", "/livez/", "/LIVEZ"}

// However a path is written, nobody gets anything without credentials, and no header chooses
// another path or method. With the key of a customer, such a path leads to nothing of another
// customer.
func TestDisguisedPathsLeadNowhere(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	s.running = serve(t, "--database-url", s.database, "--requests-per-customer", "0", "--requests-per-address", "0", "--wrong-keys-per-address", "0")
	const mug = `{"currency":"GBP"}`
	hers := member(t, s.must(s.keys["customer alice"], http.MethodPost, "/v1/carts", mug), "cart_id")
	routes, err := httpapi.Routes(apiParts()...)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, route := range routes {
		if route.Path == webhooks { // however its last part is written, it names a provider
			continue
		}
		path := filled(route.Path, map[string]string{"cart_id": hers, "customer_id": "alice"})
		paths = append(paths, path)
		paths = append(paths, disguises(path)...)
	}
	slices.Sort(paths)
	bob := "Authorization: Bearer " + s.keys["customer bob"] + "\r\n"
	for _, path := range slices.Concat(slices.Compact(paths), secretPaths) {
		if slices.Contains(openToAll, path) {
			continue
		}
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			response, text := sendRaw(t, s.url, method+" "+path+" HTTP/1.1\r\nX-HTTP-Method-Override: DELETE\r\nX-Original-URL: /livez\r\nX-Rewrite-URL: /livez\r\nContent-Length: 0\r\n")
			if response.StatusCode != http.StatusUnauthorized && response.StatusCode != http.StatusBadRequest {
				t.Errorf("without a key, %s %s: %d %s", method, path, response.StatusCode, text)
			}
			response, text = sendRaw(t, s.url, method+" "+path+" HTTP/1.1\r\n"+bob+"X-HTTP-Method: DELETE\r\nContent-Length: 0\r\nIdempotency-Key: k\r\n")
			if response.StatusCode/100 == 2 && strings.Contains(path, hers) || strings.Contains(text, `"customer_id":"alice"`) {
				t.Errorf("bob, %s %s: %d %s", method, path, response.StatusCode, text)
			}
			if slices.Contains(secretPaths, path) && response.StatusCode != http.StatusNotFound && response.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("bob, %s %s: %d %s", method, path, response.StatusCode, text)
			}
		}
	}
}

// Two headers that say who sends a request are refused, because a proxy may check one of them and
// this server another. An empty header is refused as well, because it is not the same as none.
func TestARequestSaysOnceWhoSendsIt(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	good, bob, shop := "Authorization: Bearer "+s.keys["auditor"]+"\r\n", "Authorization: Bearer "+s.keys["customer bob"]+"\r\n", "Authorization: Bearer "+s.keys["storefront"]+"\r\n"
	s.hire("eve@shop.example", "operator")
	cookie := "Cookie: __Host-daybook=" + s.mustSignIn("eve@shop.example") + "\r\n"
	for name, c := range map[string]struct {
		headers string
		want    int
	}{
		"a key":                         {good, http.StatusOK},
		"a session":                     {cookie, http.StatusOK},
		"the same key twice":            {good + good, http.StatusUnauthorized},
		"a good key and a bad one":      {good + "Authorization: Bearer x\r\n", http.StatusUnauthorized},
		"a bad key and a good one":      {"Authorization: Bearer x\r\n" + good, http.StatusUnauthorized},
		"two keys in one":               {"Authorization: Bearer " + s.keys["auditor"] + ", Bearer " + s.keys["customer bob"] + "\r\n", http.StatusUnauthorized},
		"no key and a session":          {"Authorization:\r\n" + cookie, http.StatusUnauthorized},
		"a bad key and a session":       {"Authorization: Bearer x\r\n" + cookie, http.StatusUnauthorized},
		"a key as a password":           {"Authorization: Basic " + basicOf("any", s.keys["auditor"]) + "\r\n", http.StatusUnauthorized},
		"a customer for another one":    {bob + "Daybook-Act-For: alice\r\n", http.StatusForbidden},
		"a customer for themself":       {bob + "Daybook-Act-For: bob\r\n", http.StatusForbidden},
		"a customer for nobody":         {bob + "Daybook-Act-For:\r\n", http.StatusForbidden},
		"a storefront for a customer":   {shop + "Daybook-Act-For: alice\r\n", http.StatusOK},
		"a storefront for nobody":       {shop + "Daybook-Act-For:\r\n", http.StatusUnprocessableEntity},
		"a storefront for two":          {shop + "Daybook-Act-For: alice\r\nDaybook-Act-For: bob\r\n", http.StatusUnprocessableEntity},
		"a storefront for two in one":   {shop + "Daybook-Act-For: alice, bob\r\n", http.StatusUnprocessableEntity},
		"two actors":                    {shop + "Daybook-Actor: key:a\r\nDaybook-Actor: key:b\r\n", http.StatusUnprocessableEntity},
		"somebody else as the actor":    {shop + "Daybook-Actor: system:reactor\r\n", http.StatusForbidden},
		"a name of the header in parts": {"Authorization : Bearer " + s.keys["auditor"] + "\r\n", http.StatusBadRequest},
	} {
		response, text := sendRaw(t, s.url, "GET /v1/carts HTTP/1.1\r\n"+c.headers)
		if response.StatusCode != c.want {
			t.Errorf("%s: %d %s, want %d", name, response.StatusCode, text, c.want)
		}
	}
}

// A page of another site can make a browser ask the admin port, whose profiles cost time. The port
// refuses such a request.
func TestPagesOfOtherSitesAskNothingOfTheAdminPort(t *testing.T) {
	t.Parallel()
	handler := (&admin{}).handler(telemetry.NewMetrics("test"))
	for site, want := range map[string]int{"": http.StatusNotFound, "none": http.StatusNotFound, "same-origin": http.StatusNotFound, "same-site": http.StatusForbidden, "cross-site": http.StatusForbidden} {
		r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "http://127.0.0.1/nothing", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d, want %d", site, w.Code, want)
		}
	}
}
