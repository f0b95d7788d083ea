package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/problem"
)

// lockouts is a server with limits, whose clock a test moves.
type lockouts struct {
	t       *testing.T
	handler http.Handler
	now     time.Time
	good    map[string]access.Principal // the credentials that are good now
	checked int
	guests  int
}

var errNotGood = errors.New("the credentials are not good")

// Authenticate implements Access.
func (l *lockouts) Authenticate(_ context.Context, credential string) (access.Principal, error) {
	l.checked++
	if who, good := l.good[credential]; good {
		return who, nil
	}
	return access.Principal{}, errNotGood
}

// Session implements Access.
func (l *lockouts) Session(ctx context.Context, token string) (access.Principal, error) {
	return l.Authenticate(ctx, token)
}

// While implements Access.
func (l *lockouts) While(ctx context.Context, _ access.Principal) (context.Context, func()) {
	return ctx, func() {}
}

func openLockouts(t *testing.T, limits Limits) *lockouts {
	t.Helper()
	l := &lockouts{t: t, now: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), good: map[string]access.Principal{
		"alice": holder("key:alice", access.Customer, "alice"), "dbs_eve": holder("staff:eve", access.Operator, ""),
		"a.b.c": holder("oidc:kim", access.Operator, ""), "dbg_gina": access.GuestOf("gina"), "dbg_gus": access.GuestOf("gus"),
	}}
	handler, err := New(Options{
		PublicHosts: []string{"example.com"}, Access: l, Limits: limits, Now: func() time.Time { return l.now },
		Guests: func() access.Principal {
			l.guests++
			return access.GuestOf(unit.CartID(strings.Repeat("g", l.guests)))
		},
	}, echo, func(api huma.API) {
		huma.Register(api, huma.Operation{OperationID: "open-cart", Method: http.MethodPost, Path: "/v1/carts", DefaultStatus: http.StatusNoContent, Metadata: problem.Listing(access.WriteCarts)},
			func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
		huma.Register(api, huma.Operation{OperationID: "sign-in", Method: http.MethodPost, Path: "/v1/auth/sign-in", DefaultStatus: http.StatusNoContent, Metadata: problem.Listing(access.Open)},
			func(context.Context, *struct{}) (*signedIn, error) {
				return &signedIn{[]http.Cookie{{Name: problem.SessionCookie, Value: "dbs_new"}, {Name: problem.BrowserCookie, Value: "dbb_1"}}}, nil
			})
	})
	if err != nil {
		t.Fatal(err)
	}
	l.handler = handler
	return l
}

type signedIn struct {
	Cookies []http.Cookie `header:"Set-Cookie"`
}

// ask sends a request from an address. A credential that begins with dbs_ is a session.
func (l *lockouts) ask(method, path, credential, from string) int {
	l.t.Helper()
	r := httptest.NewRequestWithContext(l.t.Context(), method, path, http.NoBody)
	r.RemoteAddr = from + ":5"
	switch {
	case strings.HasPrefix(credential, "dbs_"):
		r.Header.Set("Cookie", problem.SessionCookie+"="+credential)
		r.Header.Set(headerPage, "1")
	case credential != "":
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	w := httptest.NewRecorder()
	l.handler.ServeHTTP(w, r)
	return w.Code
}

const (
	here, there = "192.0.2.1", "192.0.2.2"
	ok          = http.StatusOK
	over        = http.StatusTooManyRequests
)

// Somebody who guesses at an address does not lock out sessions and tokens of an issuer that were
// good a short time ago. Others at the address wait until the allowance has filled up.
func TestGuessesDoNotLockOutWhoWasGood(t *testing.T) {
	t.Parallel()
	for _, credential := range []string{"dbs_eve", "a.b.c"} {
		l := openLockouts(t, Limits{WrongPerAddress: rare})
		see := func(from string) int { return l.ask(http.MethodGet, "/problems", credential, from) }
		guess := func() int { return l.ask(http.MethodGet, "/problems", "wrong", here) }
		if got := guess(); got != http.StatusUnauthorized {
			t.Fatalf("a guess gets %d", got)
		}
		if got := see(here); got != over {
			t.Errorf("%s, which was never seen, at an address that has guessed: %d", credential, got)
		}
		if got := see(there); got != ok {
			t.Fatalf("%s at another address: %d", credential, got)
		}
		for range 3 { // it is known now, at every address
			if got := see(here); got != ok {
				t.Errorf("%s, which was good a short time ago: %d", credential, got)
			}
		}
		l.now = l.now.Add(recentLast)
		if guess(); see(here) != over {
			t.Errorf("%s is remembered for longer than %s", credential, recentLast)
		}
		see(there)
		// It ends. Its holder is checked once more, and then it counts as any other.
		delete(l.good, credential)
		before := l.checked
		for i := range 3 {
			if got := see(here); got != over {
				t.Errorf("%s, which has ended, request %d: %d", credential, i, got)
			}
		}
		if l.checked != before+1 {
			t.Errorf("%s, which has ended, was checked %d times", credential, l.checked-before)
		}
		l.now = l.now.Add(100 * time.Second)
		if got := see(here); got != http.StatusUnauthorized {
			t.Errorf("%s, after the allowance has filled up: %d", credential, got)
		}
	}
}

// The session that a sign-in has just begun is good at once, also where somebody guesses.
func TestGuessesDoNotLockOutWhoHasJustSignedIn(t *testing.T) {
	t.Parallel()
	l := openLockouts(t, Limits{WrongPerAddress: rare})
	l.ask(http.MethodGet, "/problems", "wrong", here)
	l.good["dbs_new"] = holder("staff:new", access.Operator, "")
	if got := l.ask(http.MethodGet, "/problems", "dbs_new", here); got != over {
		t.Fatalf("before the sign-in: %d", got)
	}
	if got := l.ask(http.MethodPost, "/v1/auth/sign-in", "", here); got != http.StatusNoContent {
		t.Fatalf("the sign-in: %d", got)
	}
	if got := l.ask(http.MethodGet, "/problems", "dbs_new", here); got != ok {
		t.Errorf("after the sign-in: %d", got)
	}
	if l.ask(http.MethodGet, "/problems", "dbb_1.a.b", here); l.ask(http.MethodGet, "/problems", "dbs_1", here) != over {
		t.Error("another cookie of the sign-in is remembered, too")
	}
}

// Requests without a key, of guests with a token, and with customers' keys have an allowance each.
func TestRequestsWithoutAKeyDoNotUseUpThoseOfCustomers(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"nobody": "", "a wrong key": "wrong", "a guest": "dbg_gina", "a customer": "alice"} {
		l := openLockouts(t, Limits{PerAddress: rare})
		l.ask(http.MethodGet, "/problems", first, here)
		for who, credential := range map[string]string{"nobody": "", "a guest": "dbg_gus", "a customer": "alice"} {
			same := who == name || who == "nobody" && name == "a wrong key"
			if got := l.ask(http.MethodGet, "/problems", credential, here); (got == over) != same {
				t.Errorf("after %s, %s: %d", name, who, got)
			}
		}
		l.now = l.now.Add(100 * time.Second)
		if got := l.ask(http.MethodGet, "/problems", "alice", here); got != ok {
			t.Errorf("after %s and 100 s: %d", name, got)
		}
	}
}

// Guests at one address may open few carts. Whoever has a key or a token may open more, and guests
// may do all else.
func TestGuestsOpenFewCartsAtOneAddress(t *testing.T) {
	t.Parallel()
	l := openLockouts(t, Limits{GuestCartsPerAddress: 0.2}) // two at once
	for i, want := range []int{http.StatusNoContent, http.StatusNoContent, over, over} {
		if got := l.ask(http.MethodPost, "/v1/carts", "", here); got != want {
			t.Errorf("cart %d: %d, want %d", i, got, want)
		}
	}
	for name, got := range map[string]int{
		"a guest at another address": l.ask(http.MethodPost, "/v1/carts", "", there), "a customer": l.ask(http.MethodPost, "/v1/carts", "alice", here),
		"a guest with a token": l.ask(http.MethodPost, "/v1/carts", "dbg_gina", here),
	} {
		if got != http.StatusNoContent {
			t.Errorf("%s opens a cart: %d", name, got)
		}
	}
	if got := l.ask(http.MethodGet, "/problems", "", here); got != ok {
		t.Errorf("a guest who looks: %d", got)
	}
	l.now = l.now.Add(5 * time.Second)
	if first, second := l.ask(http.MethodPost, "/v1/carts", "", here), l.ask(http.MethodPost, "/v1/carts", "", here); first != http.StatusNoContent || second != over {
		t.Errorf("5 s later: %d and %d, want one cart", first, second)
	}
}

// Each request of a guest without a token has a new name. The names do not make the server forget
// how much customers have sent.
func TestGuestsWithoutATokenTakeNoNames(t *testing.T) {
	t.Parallel()
	l := openLockouts(t, Limits{PerCustomer: rare})
	for range 3 {
		if got := l.ask(http.MethodGet, "/problems", "", here); got != ok {
			t.Errorf("a guest without a token: %d", got)
		}
	}
	taken := l.handler.(*front).allowances.perCustomer //nolint:forcetypeassert // New makes no other
	for n := 1; n <= l.guests; n++ {
		if taken.Wait("guest:"+strings.Repeat("g", n), l.now) > 0 {
			t.Errorf("guest %d has a name among the customers", n)
		}
	}
}

// However many credentials are good, the memory is bounded, and those used last are remembered.
func TestFewGoodCredentialsAreRemembered(t *testing.T) {
	t.Parallel()
	r, now := newRecent(3), time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for i := range 100 {
		r.note(strings.Repeat("x", i+1), now)
		r.note("eve", now)
	}
	if len(r.good) != 3 || r.order.Len() != 3 {
		t.Errorf("%d are remembered, in a list of %d", len(r.good), r.order.Len())
	}
	if !r.has("eve", now) || !r.has(strings.Repeat("x", 100), now) || r.has("x", now) {
		t.Error("not those that were used last are remembered")
	}
	if r.forget("eve"); r.has("eve", now) || r.order.Len() != 2 {
		t.Error("one that was forgotten is remembered")
	}
	r.forget("eve")
}

// waiting is a body that arrives after something has happened.
type waiting struct {
	io.Reader

	meanwhile func()
}

func (w waiting) Read(p []byte) (int, error) {
	w.meanwhile()
	return w.Reader.Read(p)
}

// A request whose body arrives after the sender's rights have ended or changed is refused. Within a
// moment, the rights are not checked again.
func TestARightThatEndsWhileTheBodyArrives(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		takes     time.Duration
		meanwhile func(l *lockouts)
		want      int
	}{
		"nothing happens":     {time.Second, func(*lockouts) {}, http.StatusNoContent},
		"the key is revoked":  {time.Second, func(l *lockouts) { delete(l.good, "alice") }, http.StatusUnauthorized},
		"the role is another": {time.Second, func(l *lockouts) { l.good["alice"] = holder("key:alice", access.Admin, "") }, http.StatusUnauthorized},
		"revoked just now":    {time.Millisecond, func(l *lockouts) { delete(l.good, "alice") }, http.StatusNoContent},
	} {
		l := openLockouts(t, Limits{})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/carts", waiting{strings.NewReader(`{}`), func() {
			test.meanwhile(l)
			l.now = l.now.Add(test.takes)
		}})
		r.Header.Set("Authorization", "Bearer alice")
		w := httptest.NewRecorder()
		l.handler.ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, test.want)
		}
	}
}
