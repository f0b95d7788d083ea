package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/internal/verify"
)

// An auditor learns from which position on actors were authenticated: from verify, and from the
// first event about keys. A node without access control lets nobody use such a name, and verify
// counts its events.
func TestAnAuditorLearnsFromWhereActorsAreAuthenticated(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	var first struct {
		Position string `json:"position"`
	}
	line, _, _ := strings.Cut(s.must(s.keys["auditor"], http.MethodGet, "/v1/streams/shopaccess-all?limit=1", ""), "\n")
	if err := json.Unmarshal([]byte(line), &first); err != nil || first.Position == "" {
		t.Fatalf("%v: %s", err, line)
	}
	s.must(s.keys["manager"], http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	code, stdout, stderr := s.console("verify")
	var report verify.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != exitOK {
		t.Fatalf("%d %v: %s %s", code, err, stdout, stderr)
	}
	if actors := report.Actors; actors == nil || actors.From.String() != first.Position || actors.FromTime.IsZero() || actors.Unproven != 0 {
		t.Errorf("verify reports %+v, want position %s", actors, first.Position)
	}
	open := serve(t, "--database-url", s.database, "--access", "off")
	without := &keyedShop{t: t, running: open}
	without.must("", http.MethodPut, "/v1/products/TRAY", `{"title":"Tray","kind":"stocked"}`, "Daybook-Actor", "operator:eve")
	if status, text := without.ask("", http.MethodPut, "/v1/products/POT", `{"title":"Pot","kind":"stocked"}`, "Daybook-Actor", "key:eve"); status != http.StatusUnprocessableEntity {
		t.Errorf("an authenticated name: %d %s", status, text)
	}
	got := call(t, nil, "verify", "--database-url", s.database)
	if want := "Actors were authenticated from position " + first.Position + " of the log ("; got.code != exitOK || !strings.Contains(got.stdout, want) || !strings.Contains(got.stdout, ") on, except in 1 events.\n") {
		t.Errorf("%d: %s%s", got.code, got.stdout, got.stderr)
	}
}
