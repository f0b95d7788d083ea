package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"

	"daybook/internal/pgtest"
)

// keyByAPI makes a key with an admin's key.
func (s *keyedShop) keyByAPI(admin, body string) string {
	s.t.Helper()
	var made struct {
		Key string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(s.must(admin, http.MethodPost, "/v1/keys", body)), &made); err != nil {
		s.t.Fatal(err)
	}
	return made.Key
}

// keptAnswers are the idempotency keys under which answers are kept, sorted. If an answer has a
// guest's token, the list says so.
func (s *keyedShop) keptAnswers() []string {
	s.t.Helper()
	connection, err := pgx.Connect(s.t.Context(), s.database)
	if err != nil {
		s.t.Fatal(err)
	}
	defer connection.Close(s.t.Context())
	rows, err := connection.Query(s.t.Context(), `
		SELECT key || CASE WHEN headers::text LIKE '%dbg!_%' ESCAPE '!' THEN ' with a token' ELSE '' END FROM commands.answers ORDER BY key`)
	if err != nil {
		s.t.Fatal(err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.t.Fatal(err)
	}
	return keys
}

// A server keeps to the limits of its flags, and counts and logs what it refuses.
func TestLimitsOfAServer(t *testing.T) {
	t.Parallel()
	s := &keyedShop{t: t, database: pgtest.URL(t)}
	admin := s.makeKey("--role", "admin")
	s.running = serve(t, "--access", "keys", "--database-url", s.database, "--answers-per-customer", "1", "--requests-per-customer", "0.5", "--live-streams-per-key", "1")
	alice, bob := s.keyByAPI(admin, `{"name":"a","role":"customer","customer_id":"alice"}`), s.keyByAPI(admin, `{"name":"b","role":"customer","customer_id":"bob"}`)

	// Only the first answer is kept, and a repeat of the second request has no second effect.
	open := func(customer, key string) (cart string) {
		text := s.must(customer, http.MethodPost, "/v1/carts", `{"currency":"GBP"}`, "Idempotency-Key", key)
		var made struct {
			ID string `json:"cart_id"`
		}
		if err := json.Unmarshal([]byte(text), &made); err != nil || made.ID == "" {
			t.Fatalf("open a cart: %v %s", err, text)
		}
		return made.ID
	}
	first, second := open(alice, "first"), open(alice, "second")
	if again := open(alice, "first"); again != first {
		t.Errorf("the cart of the first request is %s, and then %s", first, again)
	}
	if again := open(alice, "second"); again != second {
		t.Errorf("the cart of the second request is %s, and then %s", second, again)
	}
	open(bob, "bob")
	eventually(t, noticeMax, "the answers are written", func() bool { return slices.Contains(s.keptAnswers(), "bob") })
	if kept := strings.Join(s.keptAnswers(), " "); kept != "bob first" {
		t.Errorf("answers are kept under the keys %s", kept)
	}
	// Alice has sent four of her five requests.
	s.must(alice, http.MethodGet, "/v1/carts/"+first, "")
	if status, text := s.ask(alice, http.MethodGet, "/v1/carts/"+first, ""); status != http.StatusTooManyRequests || !strings.Contains(text, "rate-limited") {
		t.Errorf("the sixth request: %d %s", status, text)
	}
	if status, _ := s.ask(bob, http.MethodGet, "/v1/carts/"+first, ""); status != http.StatusNotFound {
		t.Errorf("bob reads alice's cart: %d", status)
	}
	s.ask(bob, http.MethodPost, "/v1/carts/"+first+"/abandon", "")
	s.ask(bob, http.MethodGet, "/v1/carts/none", "")
	for _, reason := range []string{"reason=rate-limited", "reason=not-owned status=404"} {
		if !strings.Contains(s.log.String(), reason) {
			t.Errorf("the log has no %s", reason)
		}
	}
	if hidden := strings.Count(s.log.String(), "reason=not-owned"); hidden != 2 {
		t.Errorf("%d requests for things of others are in the log, want 2", hidden)
	}
	s.follow(admin)
	if status, text := s.ask(admin, http.MethodGet, "/v1/events/live", ""); status != http.StatusTooManyRequests || !strings.Contains(text, "with this key") {
		t.Errorf("a second live stream: %d %s", status, text)
	}
}
