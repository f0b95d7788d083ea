package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// The last use of a key is shown to whoever may list keys, whether the key was used over HTTP or
// over the gateway. A key that is refused is not used.
func TestTheLastUseOfAKeyIsShown(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	admin := s.keys["admin"]
	uses := func(text string) map[string]time.Time {
		var keys []struct {
			ID string    `json:"key_id"`
			At time.Time `json:"last_used_at"`
		}
		if err := json.Unmarshal([]byte(text), &keys); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		byID := map[string]time.Time{}
		for _, key := range keys {
			byID[key.ID] = key.At
		}
		return byID
	}
	byAPI := func() map[string]time.Time {
		text := s.must(admin, http.MethodGet, "/v1/keys?limit=500", "")
		return uses(text[strings.Index(text, "[") : strings.LastIndex(text, "]")+1])
	}
	id := func(role string) string { return strings.Split(s.keys[role], "_")[1] }
	s.must(s.keys["operator"], http.MethodGet, "/v1/stock", "")
	s.ask("dbk_"+id("analyst")+"_"+strings.Repeat("0", 64), http.MethodGet, "/v1/stock", "") // a wrong secret
	now := byAPI()
	for role, used := range map[string]bool{"admin": true, "operator": true, "analyst": false, "manager": false} {
		if at := now[id(role)]; at.IsZero() == used || used && time.Since(at) > time.Minute {
			t.Errorf("the key of the %s was last used at %s, want a use: %t", role, at, used)
		}
	}
	eventually(t, patience, "the command line shows it, too", func() bool {
		_, stdout, _ := s.console("keys", "list")
		return !uses(stdout)[id("operator")].IsZero() && uses(stdout)[id("manager")].IsZero()
	})
}

// A call of the gateway is a use of its key.
func TestACallOfTheGatewayIsAUseOfItsKey(t *testing.T) {
	t.Parallel()
	g := openKeyedGateway(t)
	id, key := g.makeKey(`"role":"auditor"`)
	used := func() bool {
		text := g.must(g.admin, http.MethodGet, "/v1/keys", "")
		_, after, _ := strings.Cut(text, `"key_id":"`+id+`"`)
		before, _, _ := strings.Cut(after, `"key_id"`)
		return strings.Contains(before, `"last_used_at"`)
	}
	if used() {
		t.Error("a new key was used")
	}
	if err := g.reads(g.with(key), "$all"); err != nil {
		t.Fatal(err)
	}
	if !used() {
		t.Error("the use of a key in the gateway is not noted")
	}
}
