package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/domain/access"
	"daybook/internal/problem"
)

// guessers guess the password of a person, each time from another address, until the test ends
// them.
type guessers struct {
	compared, delayed int
	end               func() // waits until they have ended
}

// guess starts guessers. It returns after a guess was delayed, so the limit of the account is used
// up then.
func (s *keyedShop) guess(email string) *guessers {
	s.t.Helper()
	g := &guessers{}
	ctx, cancel := context.WithCancel(s.t.Context())
	var working sync.WaitGroup
	delayed := make(chan struct{})
	working.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			address := fmt.Sprintf("198.51.%d.%d", 100+n/250%100, n%250)
			switch got := s.signIn(email, "Summer2026!Summer", "X-Forwarded-For", address); got.status {
			case http.StatusUnauthorized:
				g.compared++
			case http.StatusTooManyRequests:
				if g.delayed++; g.delayed == 1 {
					close(delayed)
				}
			default:
				s.t.Errorf("a guess: %+v", got)
				return
			}
		}
	})
	g.end = func() { cancel(); working.Wait() }
	s.t.Cleanup(g.end)
	select {
	case <-delayed:
	case <-s.t.Context().Done():
	}
	return g
}

// An attacker guesses a person's password from ever new addresses, without end. The person signs in
// with a browser that the shop has not seen, all the same: with a link by mail, and without a mail
// server with the token of an admin. The attacker gets no more guesses by that. What he has tried
// is in the log.
func TestAGuesserKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	mails := openMailServer(t)
	for name, args := range map[string][]string{"with mail": withMail(mails), "without mail": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openKeyed(t, append([]string{"--behind-proxy", "127.0.0.1", "--requests-per-address", "0"}, args...)...)
			text := s.must(s.keys["admin"], http.MethodPost, "/v1/staff", `{"email":"eve@shop.example","name":"Eve","role":"operator"}`)
			id, token := member(t, text, "person", "person_id"), member(t, text, "token")
			if args != nil {
				token = tokenIn(t, mails.Next(t))
			}
			s.redeem(token)
			attack := s.guess("eve@shop.example")

			here := []string{"X-Forwarded-For", "203.0.113.7"}
			got := s.signIn("eve@shop.example", goodPassword, here...)
			if got.status != http.StatusTooManyRequests || !strings.Contains(got.text, "sign-in-delayed") || !strings.Contains(got.text, "request-reset") {
				t.Fatalf("in a new browser: %+v", got)
			}
			if args != nil {
				if got := s.plain(http.MethodPost, "/v1/auth/reset-requests", `{"email":"eve@shop.example"}`, here...); got.status != http.StatusAccepted {
					t.Fatalf("ask for a link: %+v", got)
				}
				got = s.plain(http.MethodPost, "/v1/auth/known-browser", fmt.Sprintf(`{"token":%q}`, tokenIn(t, mails.Next(t))), here...)
			} else {
				text := s.must(s.keys["admin"], http.MethodPost, "/v1/staff/"+id+"/token", "")
				got = s.plain(http.MethodPost, "/v1/auth/token", fmt.Sprintf(`{"token":%q,"password":%q}`, member(t, text, "token"), goodPassword), here...)
			}
			if got.status != http.StatusOK || got.browser == "" || got.session != "" || len(got.cookies) != 1 {
				t.Fatalf("make the browser known: %+v", got)
			}
			if cookie := got.cookies[0]; !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.MaxAge <= 0 {
				t.Errorf("the cookie: %v", cookie)
			}
			got = s.signIn("eve@shop.example", goodPassword, append(here, "Cookie", problem.BrowserCookie+"="+got.browser)...)
			if got.status != http.StatusOK || got.session == "" {
				t.Fatalf("sign in: %+v", got)
			}
			if me := s.as(got.session, http.MethodGet, "/v1/auth/me", ""); member(t, me.text, "actor") != "staff:"+id {
				t.Errorf("me: %+v", me)
			}
			attack.end()
			// 50 guesses are free. After that each pause is twice as long, so 12 more would take an
			// hour.
			if attack.compared < 50 || attack.compared > 62 || attack.delayed < 1 {
				t.Errorf("the attacker's passwords were compared %d times, and refused without that %d times", attack.compared, attack.delayed)
			}

			s.stop()
			if code := s.exit(t); code != exitOK {
				t.Fatalf("stop: %d", code)
			}
			s.running = serve(t, "--database-url", s.database)
			s.countedTries(id, attack)
			if verified := s.verify(); verified != "" {
				t.Error(verified)
			}
		})
	}
}

// countedTries checks what the log says of an attack, to those who may read events.
func (s *keyedShop) countedTries(id string, attack *guessers) {
	s.t.Helper()
	text := s.must(s.keys["auditor"], http.MethodGet, "/v1/streams/shopstaff-all?limit=500", "")
	found := 0
	for line := range strings.Lines(text) {
		var event struct {
			Type string         `json:"type"`
			Data map[string]any `json:"data"`
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			s.t.Fatal(err)
		}
		if event.Type == "shopstaff.tries_counted.v1" && event.Data["person_id"] == id {
			found++
			// The person's own try was delayed, too.
			if event.Data["wrong_passwords"] != float64(attack.compared) || event.Data["delayed"] != float64(attack.delayed+1) {
				s.t.Errorf("the log counts %v, and the attacker %d compared and %d delayed", event.Data, attack.compared, attack.delayed)
			}
		}
	}
	if found != 1 || strings.Contains(text, "@") || strings.Contains(text, "198.51.") {
		s.t.Errorf("%d counts in %s", found, text)
	}
	if status, _ := s.ask(s.keys["operator"], http.MethodGet, "/v1/streams/shopstaff-all", ""); status != http.StatusForbidden {
		s.t.Errorf("an operator reads the counts: %d", status)
	}
}

// One password is tried with many accounts, from many addresses. Each account has the same few
// tries, and the response does not tell which of them exist.
func TestASprayerGainsNothing(t *testing.T) {
	t.Parallel()
	s := openKeyed(t, "--behind-proxy", "127.0.0.1", "--requests-per-address", "0")
	s.hire("eve@shop.example", access.Operator)
	compared := map[string]int{}
	for n := range 62 {
		for _, email := range []string{"eve@shop.example", "nobody@shop.example"} {
			from := fmt.Sprintf("198.51.100.%d", n)
			got := s.signIn(email, "Summer2026!Summer", "X-Forwarded-For", from)
			if got.status == http.StatusUnauthorized {
				compared[email]++
			} else if got.status != http.StatusTooManyRequests {
				t.Fatalf("%s: %+v", email, got)
			}
		}
	}
	for email, tries := range compared {
		if tries < 50 || tries > 60 {
			t.Errorf("%s was tried %d times", email, tries)
		}
	}
	one := 0
	for n := range 60 {
		if got := s.signIn(fmt.Sprintf("person%d@shop.example", n), "Summer2026!Summer", "X-Forwarded-For", "203.0.113.9"); got.status == http.StatusUnauthorized {
			one++
		}
	}
	if one < 20 || one > 30 {
		t.Errorf("one address has tried %d accounts", one)
	}
}
