package commandapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Generators of clients read the document. So every operation needs its own name, a description,
// and its possible answers.
func TestTheDocumentDescribesEveryOperation(t *testing.T) {
	t.Parallel()
	s := open(t)
	got := s.must("GET", "/openapi.json", "")
	if version := got.at("openapi"); version != "3.1.0" {
		t.Errorf("OpenAPI %v, want 3.1.0", version)
	}
	var names []string
	paths := commandsOf(got)
	for path, methods := range paths {
		for method, value := range methods.(map[string]any) {
			operation := response{body: value.(map[string]any)}
			where := method + " " + path
			name, _ := operation.at("operationId").(string)
			if name == "" || slices.Contains(names, name) {
				t.Errorf("%s: operationId %q, want one of its own", where, name)
			}
			names = append(names, name)
			if operation.at("summary") == nil || operation.at("tags", 0) == nil {
				t.Errorf("%s: no summary or no tag", where)
			}
			for _, status := range []string{"409", "412", "422", "503"} {
				shared := operation.at("responses", status, "$ref") // of problems that every operation has
				if operation.at("responses", status, "content", "application/problem+json") == nil && shared == nil {
					t.Errorf("%s: problems of status %s are not documented", where, status)
				}
			}
			for _, header := range []string{"ETag", "Daybook-Position"} {
				if header == "Daybook-Position" && keyless(path) {
					continue // it writes nothing to the log
				}
				if header == "ETag" && operation.at("responses", "202") != nil {
					continue // its body says nothing of a thing
				}
				if operation.at("responses", "200", "headers", header) == nil && operation.at("responses", "201", "headers", header) == nil {
					t.Errorf("%s: header %s is not documented", where, header)
				}
			}
		}
	}
	if len(names) < 45 {
		t.Errorf("%d operations, want all commands", len(names))
	}
	if strings.Contains(got.text, `"$schema"`) {
		t.Error("bodies have a $schema member")
	}
}

// keyless tells whether the routes of a path take no Idempotency-Key: a process can be retried
// again without one, an erasure can be asked for again, and a response with a secret or a session
// must not be kept. A provider's message needs none either, because its transactions have names. A
// quote, a preview and a search record nothing.
func keyless(path string) bool {
	return strings.HasSuffix(path, "/quote") || strings.HasSuffix(path, "/share") || strings.HasSuffix(path, "/erasure") || slices.ContainsFunc([]string{"/v1/processes/", "/v1/keys", "/v1/roles/", "/v1/auth/", "/v1/staff", "/v1/erasures", "/v1/price-preview", "/v1/gift-cards/find", "/v1/payments/webhooks/"}, func(prefix string) bool {
		return strings.HasPrefix(path, prefix)
	})
}

// The document says which operations need a key. Exactly these are refused without one.
func TestTheDocumentSaysWhereAKeyIsNeeded(t *testing.T) {
	t.Parallel()
	s := open(t)
	paths := commandsOf(s.must("GET", "/openapi.json", ""))
	for path, methods := range paths {
		for method, value := range methods.(map[string]any) {
			operation := response{body: value.(map[string]any)}
			documented, needed := false, false
			parameters, _ := operation.at("parameters").([]any)
			for i := range parameters {
				if operation.at("parameters", i, "name") == "Idempotency-Key" {
					documented = true
					needed = operation.at("parameters", i, "required") == true
				}
			}
			if !documented && !keyless(path) {
				t.Errorf("%s %s: the key is not documented", method, path)
			}
			address := strings.NewReplacer("{charge}", "1", "{", "", "}", "").Replace(path)
			got := s.ask(strings.ToUpper(method), address, "{")
			if refused := fmt.Sprint(got.body["type"]) == "/problems/idempotency-key-required"; refused != needed {
				t.Errorf("%s %s: documented as needed: %t, refused without: %t", method, path, needed, refused)
			}
		}
	}
}
