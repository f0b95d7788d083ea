package commandapi_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/problem"
)

// newIDs are ids that the caller chooses, by operation. Without them, these requests would make a
// new thing each time.
var newIDs = map[string]string{"open-cart": `"cart_id":"own",`, "request-return": `"return_id":"own",`, "note-credit": `"return_id":"own",`, "register-customer": `"customer_id":"17850",`}

// Every header that an operation documents has an effect: a condition that does not hold refuses
// the request, and the others are found in the events that the request records. The test walks
// the document.
func TestEveryDocumentedHeaderHasAnEffect(t *testing.T) {
	t.Parallel()
	paths := commandsOf(open(t).must("GET", "/openapi.json", ""))
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for method, value := range paths[path].(map[string]any) {
			operation := response{body: value.(map[string]any)}
			id, _ := operation.at("operationId").(string)
			var headers []string
			parameters, _ := operation.at("parameters").([]any)
			for i := range parameters {
				if name, _ := operation.at("parameters", i, "name").(string); operation.at("parameters", i, "in") == "header" {
					headers = append(headers, name)
				}
			}
			t.Run(id, func(t *testing.T) {
				t.Parallel()
				testHeaders(t, strings.ToUpper(method), id, headers)
			})
		}
	}
}

func testHeaders(t *testing.T, method, id string, headers []string) {
	request := keyedRequests[id]
	if request.everyTime { // it is about a process; its Daybook-Actor is tested in cmd/daybook
		want := map[string][]string{"retry-process": nil, "dismiss-process": {"Daybook-Actor"}}[id]
		if !slices.Equal(headers, want) {
			t.Errorf("documents the headers %v, want %v, because a process does nothing with others", headers, want)
		}
		return
	}
	same := func(store eventstore.Store) eventstore.Store { return store }
	if own := newIDs[id]; own != "" {
		request.body = "{" + own + strings.TrimPrefix(request.body, "{")
	}
	given := map[string]string{
		"Idempotency-Key": "k", "Daybook-Actor": "customer:ann", "Daybook-Channel": "web", "X-Correlation-ID": "joined",
		"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Daybook-Occurred-At": time.Now().Add(-time.Minute).UTC().Format(time.RFC3339),
	}
	sent := []string{}
	for _, name := range headers {
		switch name {
		case "If-Match":
			s := prepared(t, memory.New(), same, request)
			s.ask(method, request.path, request.body, "Idempotency-Key", "other", name, `"999999"`).problem(t, http.StatusPreconditionFailed, problem.CodeStale)
		case "If-None-Match": // either the thing is there, or it is there after the first request
			s := prepared(t, memory.New(), same, request)
			got := s.ask(method, request.path, request.body, "Idempotency-Key", "other", name, "*")
			if got.status < http.StatusMultipleChoices {
				got = s.ask(method, request.path, request.body, "Idempotency-Key", "another", name, "*")
			}
			got.problem(t, http.StatusPreconditionFailed, problem.CodeStale)
		default:
			if given[name] == "" {
				t.Fatalf("documents the header %s, of which this test does not know the effect", name)
			}
			sent = append(sent, name, given[name])
		}
	}
	s := prepared(t, memory.New(), same, request)
	head, err := s.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.must(method, request.path, request.body, sent...)
	found := make(map[string]bool)
	for event, err := range s.store.ReadAll(t.Context(), head, eventstore.Filter{}, 1000) {
		if err != nil {
			t.Fatal(err)
		}
		meta, err := eventstore.DecodeMetadata(event.Meta)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{
			"Daybook-Actor": meta.Actor, "Daybook-Channel": meta.Channel, "X-Correlation-ID": meta.CorrelationID, "Traceparent": meta.Trace,
			"Daybook-Occurred-At": meta.OccurredAt.Format(time.RFC3339),
		} {
			if text == given[name] {
				found[name] = true
			}
		}
	}
	if again := s.must(method, request.path, request.body, sent...); again.header.Get("Idempotency-Replayed") == "true" {
		found["Idempotency-Key"] = true
	}
	for _, name := range headers {
		if !found[name] && !strings.HasPrefix(name, "If-") {
			t.Errorf("the header %s has no effect", name)
		}
	}
}
