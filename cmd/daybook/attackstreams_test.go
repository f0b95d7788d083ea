package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A right can end in many ways while a client follows the events. Each of them ends the live stream
// of the HTTP API and the subscriptions of the gateway, and the client's next request is refused.
func TestStreamsEndWithTheRightToThem(t *testing.T) {
	t.Parallel()
	g := openKeyedGateway(t)
	g.must(g.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	role := func(name, permissions string) {
		g.must(g.admin, http.MethodPut, "/v1/roles/"+name, `{"grants":[`+permissions+`]}`)
	}
	const reads, writes, looks = `{"permission":"events.read","reach":"all"}`, `{"permission":"events.write","reach":"all"}`, `{"permission":"api.look","reach":"all"}`
	soon := func() string { return time.Now().Add(3 * time.Second).UTC().Format(time.RFC3339Nano) }
	for name, c := range map[string]struct {
		members func(role string) string
		end     func(id, role string)
	}{
		"revoked":                 {end: func(id, _ string) { g.must(g.admin, http.MethodPost, "/v1/keys/"+id+"/revoke", `{}`) }},
		"its secret was replaced": {end: func(id, _ string) { g.must(g.admin, http.MethodPost, "/v1/keys/"+id+"/rotate", `{}`) }},
		"its overlap is over": {end: func(id, _ string) {
			g.must(g.admin, http.MethodPost, "/v1/keys/"+id+"/rotate", `{"overlap_seconds":1}`)
		}},
		"it expires": {
			members: func(role string) string { return `"role":"` + role + `","expires_at":"` + soon() + `"` },
			end:     func(string, string) {},
		},
		"its role may less": {end: func(_, name string) { role(name, looks) }},
		"its role may more": {end: func(_, name string) { role(name, reads+","+looks+","+writes) }},
	} {
		t.Run(name, func(t *testing.T) {
			own := "r" + strings.ReplaceAll(name, " ", "")
			role(own, reads+","+looks)
			members := `"role":"` + own + `"`
			if c.members != nil {
				members = c.members(own)
			}
			id, key := g.makeKey(members)
			eventually(t, noticeMax, "the key is known", func() bool {
				got, _ := g.ask(key, http.MethodGet, "/problems", "")
				return got == http.StatusOK
			})
			client := g.with(key)
			ctx, cancel := context.WithTimeout(t.Context(), noticeMax+slack)
			defer cancel()
			subscription, err := client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
			if err != nil {
				t.Fatal(err)
			}
			if first := subscription.Recv(); first.SubscriptionDropped != nil {
				t.Fatalf("dropped at once: %v", first.SubscriptionDropped.Error)
			}
			live := g.follow(key)
			c.end(id, own)
			for got := subscription.Recv(); ; got = subscription.Recv() {
				if got.SubscriptionDropped != nil {
					if err := got.SubscriptionDropped.Error; status.Code(err) != codes.Unauthenticated {
						t.Errorf("the subscription ended with %v", err)
					}
					break
				}
			}
			if text := <-live; !strings.Contains(text, "has ended, or its rights have changed") {
				t.Errorf("the live stream ended with %q", text)
			}
			if name == "its role may more" {
				return
			}
			if status, text := g.ask(key, http.MethodGet, "/v1/events", ""); status != http.StatusUnauthorized && status != http.StatusForbidden {
				t.Errorf("then the key gets %d %s", status, text)
			}
		})
	}
}

// The role of a person changes while their browser follows the events. The stream ends, also if the
// new role may follow the events, too.
func TestALiveStreamEndsWithThePersonsRole(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	for _, next := range []string{"operator", "analyst"} {
		email := next + "@shop.example"
		id := s.hire(email, "auditor")
		session := s.mustSignIn(email)
		live := s.followWith("Cookie", "__Host-daybook="+session)
		s.must(s.keys["admin"], http.MethodPost, "/v1/staff/"+id+"/role", fmt.Sprintf(`{"role":%q}`, next))
		if text := <-live; !strings.Contains(text, "the session has ended, or its rights") {
			t.Errorf("%s: the stream ended with %q", next, text)
		}
		if got := s.as(session, http.MethodGet, "/v1/events", ""); got.status != http.StatusUnauthorized {
			t.Errorf("%s: then the session gets %d", next, got.status)
		}
	}
}
