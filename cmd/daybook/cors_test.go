package main

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/internal/pgtest"
)

// A page of a named site may send each header of the document, and read each header of a response.
// It never acts in a session, because no browser sends cookies with its requests.
func TestAPageOfANamedSiteSendsKeysAndNoCookies(t *testing.T) {
	t.Parallel()
	const site = "https://shop.example"
	s := &keyedShop{t: t, database: pgtest.URL(t)}
	admin := s.makeKey("--role", "admin")
	s.running = serve(t, "--database-url", s.database, "--guests", "--cors-origin", site)
	from := []string{"Origin", site, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}
	preflight := func(method, headers string) *http.Response {
		response, _ := s.send("", http.MethodOptions, "/v1/carts", "", append(from, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", headers)...)
		return response
	}
	wanted := append(documentedHeaders(t), "authorization", "content-type", "daybook-act-for", "x-requested-with")
	for _, name := range wanted {
		name = strings.ToLower(name)
		if got := preflight(http.MethodPost, name); got.StatusCode != http.StatusNoContent || got.Header.Get("Access-Control-Allow-Headers") != name {
			t.Errorf("a page asks for %s: %d %v", name, got.StatusCode, got.Header)
		}
	}
	if got := preflight(http.MethodPost, "x-strange"); got.Header.Get("Access-Control-Allow-Headers") != "" {
		t.Errorf("a page may send a header that the document does not have: %v", got.Header)
	}
	for name, key := range map[string]string{"with a key": admin, "as a guest": ""} {
		response, text := s.send(key, http.MethodPost, "/v1/carts", `{"currency":"GBP"}`, from...)
		exposed := strings.ToLower(strings.Join(response.Header.Values("Access-Control-Expose-Headers"), ","))
		if response.StatusCode != http.StatusCreated || response.Header.Get("Access-Control-Allow-Origin") != site || !strings.Contains(exposed, "daybook-guest-token") || !strings.Contains(exposed, "daybook-position") {
			t.Errorf("%s: %d %s %v", name, response.StatusCode, text, response.Header)
		}
		if response.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: a page may send cookies", name)
		}
	}
}

// documentedHeaders are the headers of all requests in the document.
func documentedHeaders(t *testing.T) []string {
	t.Helper()
	text, err := apiDocument()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name string `json:"name"`
				In   string `json:"in"`
			} `json:"parameters"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, methods := range doc.Paths {
		for _, operation := range methods {
			for _, parameter := range operation.Parameters {
				if parameter.In == "header" {
					names[parameter.Name] = true
				}
			}
		}
	}
	if len(names) < 8 {
		t.Errorf("the document has the headers %v", names)
	}
	return slices.Sorted(maps.Keys(names))
}
