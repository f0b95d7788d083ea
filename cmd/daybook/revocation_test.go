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

	"daybook/domain/access"
	"daybook/internal/problem"
)

// twoNodes are two whole servers on one database.
type twoNodes struct {
	t      *testing.T
	a, b   *keyedGateway
	issuer *provider
}

func openTwoNodes(t *testing.T) *twoNodes {
	t.Helper()
	n := &twoNodes{t: t, issuer: newProvider(t)}
	n.a = openPeopled(t, n.issuer.flags()...)
	cert, key := certificate(t)
	args := append(n.issuer.flags(), "--database-url", n.a.database, "--gateway", "127.0.0.1:0", "--gateway-cert", cert, "--gateway-key", key)
	n.b = &keyedGateway{t: t, keyedShop: keyedShop{t: t, database: n.a.database, keys: n.a.keys}, admin: n.a.admin}
	n.b.running = serve(t, args...)
	n.b.gateway += "&tlsCAFile=" + cert
	return n
}

// held is a credential, as both interfaces of a node take it.
type held struct {
	header, value  string // of HTTP
	name, password string // in the gateway
}

func heldKey(key string) held {
	return held{"Authorization", "Bearer " + key, strings.Split(key, "_")[1], key}
}

func heldSession(email, session string) held {
	return held{"Cookie", problem.SessionCookie + "=" + session, email, session}
}

func heldToken(token string) held { return held{"Authorization", "Bearer " + token, oidcName, token} }

// endsOnB checks that a live stream and subscriptions on node b end after end was called, and that
// further requests with the credential are refused there. goes is true if a further request with
// the credential is good, because only the rights have changed. endsOnB returns how long it took
// until the stream and the subscriptions had ended.
func (n *twoNodes) endsOnB(t *testing.T, who held, goes bool, end func()) (took time.Duration) {
	t.Helper()
	asB := func() int { return n.b.plain(http.MethodGet, "/v1/auth/me", "", who.header, who.value).status }
	eventually(t, noticeMax, "node b knows the credential", func() bool { return asB() == http.StatusOK })
	ctx, cancel := context.WithTimeout(t.Context(), noticeMax+slack)
	defer cancel()
	client := n.b.as(who.name, who.password)
	ofAll, err := client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	ofStream, err := client.SubscribeToStream(ctx, "product-MUG", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	subscriptions := []*esdb.Subscription{ofAll, ofStream}
	for _, one := range subscriptions {
		if first := one.Recv(); first.SubscriptionDropped != nil {
			t.Fatalf("dropped at once: %v", first.SubscriptionDropped.Error)
		}
	}
	live := n.b.followWith(who.header, who.value)
	end()
	ended := time.Now()
	for _, one := range subscriptions {
		for got := one.Recv(); ; got = one.Recv() {
			if got.SubscriptionDropped != nil {
				if err := got.SubscriptionDropped.Error; status.Code(err) != codes.Unauthenticated {
					t.Errorf("a subscription ended with %v", err)
				}
				break
			}
		}
	}
	if text := <-live; !strings.Contains(text, "has ended, or its rights have changed") {
		t.Errorf("the live stream ended with %q", text)
	}
	took = time.Since(ended)
	t.Logf("after %s, all had ended on the other node", took.Round(time.Millisecond))
	if goes {
		return took
	}
	if got := asB(); got != http.StatusUnauthorized {
		t.Errorf("a further request on the other node: %d", got)
	}
	wantCode(t, "a further call on the other node", n.b.reads(client, "product-MUG"), esdb.ErrorCodeUnauthenticated)
	wantCode(t, "a further call of a new client", n.b.reads(n.b.as(who.name, who.password), "product-MUG"), esdb.ErrorCodeUnauthenticated)
	return took
}

// soon is how long it may take until a right has ended on the other node. On an idle machine it
// takes half a second at most. The machine may be busy just then, so one of up to attempts attempts
// must be in time. A node that always takes longer fails.
const (
	soon     = time.Second
	attempts = 3
)

// endsSoon checks that a right ends in time in one of several attempts. attempt makes a new holder
// each time and returns how long it took. number counts the attempts from 1.
func endsSoon(t *testing.T, attempt func(number int) time.Duration) {
	t.Helper()
	for number := range attempts {
		took := attempt(number + 1)
		if took < soon || t.Failed() {
			return
		}
		t.Logf("attempt %d took %s, want less than %s", number+1, took, soon)
	}
	t.Errorf("in none of %d attempts all had ended on the other node within %s", attempts, soon)
}

// A right ends on node a, or by time. Whatever ended it, the live stream and the subscriptions of
// its holder on node b have ended within a second, and node b refuses the holder.
func TestARightEndsOnEveryNode(t *testing.T) {
	t.Parallel()
	n := openTwoNodes(t)
	n.a.must(n.a.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	const reads, looks, prices = `{"permission":"events.read","reach":"all"}`, `{"permission":"api.look","reach":"all"}`, `{"permission":"catalogue.write","reach":"all"}`
	role := func(name string, grants ...string) {
		n.a.must(n.a.admin, http.MethodPut, "/v1/roles/"+name, `{"grants":[`+strings.Join(grants, ",")+`]}`)
	}
	post := func(path, body string) { n.a.must(n.a.admin, http.MethodPost, path, body) }
	role("tokens", reads, looks)
	for name, c := range map[string]struct {
		end  func(id string)
		goes bool
	}{
		"a key is revoked":             {end: func(id string) { post("/v1/keys/"+id+"/revoke", `{}`) }},
		"a secret is replaced":         {end: func(id string) { post("/v1/keys/"+id+"/rotate", `{}`) }},
		"a role of keys may something": {end: func(string) { role("keys", reads, looks, prices) }, goes: true},
	} {
		t.Run(name, func(t *testing.T) {
			endsSoon(t, func(int) time.Duration {
				role("keys", reads, looks)
				id, key := n.a.makeKey(`"role":"keys"`)
				return n.endsOnB(t, heldKey(key), c.goes, func() { c.end(id) })
			})
		})
	}
	count := 0
	for name, end := range map[string]func(id, role string, session answer){
		"a person signs out": func(_, _ string, in answer) {
			if got := n.a.inSession(in.session, http.MethodPost, "/v1/auth/sign-out"); got.status != http.StatusOK {
				t.Errorf("sign out: %+v", got)
			}
		},
		"an admin ends a session": func(id, _ string, in answer) {
			post("/v1/staff/"+id+"/sessions/"+member(t, in.text, "session", "session_id")+"/end", "")
		},
		"the access of a person ends": func(id, _ string, _ answer) { post("/v1/staff/"+id+"/disable", `{}`) },
		"a person gets another role":  func(id, _ string, _ answer) { post("/v1/staff/"+id+"/role", `{"role":"analyst"}`) },
		"a person gets another password": func(id, _ string, _ answer) {
			n.a.redeem(member(t, n.a.must(n.a.admin, http.MethodPost, "/v1/staff/"+id+"/token", ""), "token"))
		},
		"a role needs a second factor": func(_, name string, _ answer) { role(name, reads, looks, prices) },
		"a session is idle": func(_, _ string, in answer) {
			n.a.change(`UPDATE commands.people_sessions SET used_at = used_at - interval '31 minutes' WHERE id = $1`, member(t, in.text, "session", "session_id"))
		},
		"a session is 12 hours old": func(_, _ string, in answer) {
			n.a.change(`UPDATE commands.people_sessions SET expires_at = now() WHERE id = $1`, member(t, in.text, "session", "session_id"))
		},
	} {
		count++
		way := count
		t.Run(name, func(t *testing.T) {
			endsSoon(t, func(number int) time.Duration {
				own, email := fmt.Sprintf("people%dx%d", way, number), fmt.Sprintf("eve%d-%d@shop.example", way, number)
				role(own, reads, looks)
				id := n.a.hire(email, access.Role(own))
				in := n.a.signIn(email, goodPassword)
				return n.endsOnB(t, heldSession(email, in.session), false, func() { end(id, own, in) })
			})
		})
	}
	t.Run("a token expires", func(t *testing.T) {
		endsSoon(t, func(int) time.Duration {
			// 30 s are allowed between the clocks, so this token is good for a few more seconds.
			end := time.Now().Add(10*time.Second - 30*time.Second).Truncate(time.Second)
			token := n.issuer.sign(map[string]any{"exp": end.Unix(), "daybook_role": "tokens"})
			return n.endsOnB(t, heldToken(token), false, func() {
				timer := time.NewTimer(time.Until(end.Add(30 * time.Second)))
				defer timer.Stop()
				<-timer.C
			})
		})
	})
	t.Run("the role of a token may less", func(t *testing.T) {
		endsSoon(t, func(int) time.Duration {
			role("tokens", reads, looks)
			token := n.issuer.sign(map[string]any{"daybook_role": "tokens"})
			return n.endsOnB(t, heldToken(token), true, func() { role("tokens", looks) })
		})
	})
}
