package commandapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"daybook/internal/problem"
)

// The test covers every route that writes, because the list has a request for each operation of the
// document.
func TestEveryRouteRefusesAnEffectiveTimeOutOfBounds(t *testing.T) {
	t.Parallel()
	s := open(t)
	methods := map[string]string{}
	paths := commandsOf(s.must("GET", "/openapi.json", ""))
	for _, operations := range paths {
		for method, value := range operations.(map[string]any) {
			id, _ := response{body: value.(map[string]any)}.at("operationId").(string)
			methods[id] = strings.ToUpper(method)
		}
	}
	before, err := s.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for id, method := range methods {
		request, listed := keyedRequests[id]
		if method == http.MethodGet {
			continue
		}
		if !listed {
			t.Errorf("%s is not in the list of requests", id)
		}
		if request.everyTime {
			continue // it records no event, and does not document the header
		}
		asked++
		for _, at := range []string{"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1066-10-14T09:00:00Z", "1989-12-31T23:59:59Z", "9999-12-31T23:59:59Z"} {
			answer := s.ask(method, request.path, request.body, "Idempotency-Key", id+at, "Daybook-Occurred-At", at)
			told := fmt.Sprint(answer.at("errors"))
			if answer.status != http.StatusUnprocessableEntity || answer.at("type") != "/problems/"+problem.CodeInvalid ||
				!strings.Contains(told, "Daybook-Occurred-At") || !strings.Contains(told, "1990-01-01T00:00:00Z") {
				t.Errorf("%s at %s: %d %v", id, at, answer.status, answer.body)
			}
		}
	}
	if asked < 40 {
		t.Errorf("%d routes were asked", asked)
	}
	if after, err := s.store.Head(t.Context()); err != nil || after != before {
		t.Errorf("something was recorded: %s after %s, %v", after, before, err)
	}
}

func TestADeadlineOutOfBoundsIsPointedAt(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, at := range []string{"9999-12-31T23:59:59Z", "2999-01-01T00:00:00Z"} {
		for method, path := range map[string]string{"POST": "/v1/stock/MUG/main/reservations", "PATCH": "/v1/stock/MUG/main/reservations/r"} {
			body := `{"expires_at":"` + at + `"}`
			if method == "POST" {
				body = `{"order_id":"o","quantity":1,"expires_at":"` + at + `"}`
			}
			answer := s.ask(method, path, body, "Idempotency-Key", path+at)
			if answer.status == http.StatusMethodNotAllowed {
				answer = s.ask("PUT", path, body, "Idempotency-Key", path+at)
			}
			if told := fmt.Sprint(answer.at("errors")); answer.status != http.StatusUnprocessableEntity || !strings.Contains(told, "/expires_at") || !strings.Contains(told, "too far away") {
				t.Errorf("%s %s: %d %v", path, at, answer.status, answer.body)
			}
		}
	}
}
