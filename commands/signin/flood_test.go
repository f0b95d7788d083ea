package signin

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"daybook/domain/access"
)

// Others send so many wrong passwords that no slot for a hash is free. Somebody with a known
// browser signs in all the same, and so does somebody who sets a password with a token.
func TestAFloodOfPasswordsKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.hire("eve@shop.example", access.Operator)
	browser := o.mustSignIn("eve@shop.example").Browser
	for range hashesAtOnce {
		o.hasher.slots <- struct{}{}
	}
	if done, err := o.signIn(From{Client: "home", Browser: browser}, "eve@shop.example", password); err != nil || !o.good(done.Token) {
		t.Errorf("a known browser: %v", err)
	}
	_, token, err := o.GiveToken(t.Context(), o.admin(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Redeem(t.Context(), token.Text, password); err != nil {
		t.Errorf("a token: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := o.hasher.matches(ended, "", password, false); !errors.Is(err, context.Canceled) {
		t.Errorf("somebody else does not wait: %v", err)
	}
}

// Somebody knows a password and has many addresses. In a day they can try so few codes that they
// would need years. They cannot do better by waiting until failures are forgotten. The owner can
// sign in with a known browser all the time, and the log says that somebody guesses.
func TestCodesCannotBeGuessed(t *testing.T) {
	t.Parallel()
	for name, patience := range map[string]time.Duration{"as soon as possible": 0, "when passwords are forgotten": forgotten + time.Second} {
		o := newOffice(t)
		o.hire("eve@shop.example", access.Manager)
		first, err := o.signIn(From{}, "eve@shop.example", password)
		if err != nil {
			t.Fatal(err)
		}
		factor, owner := o.setUp(first.Token)
		tried, addresses := 0, 0
		for end := o.clock.Load() + int64(24*time.Hour); o.clock.Load() < end; {
			addresses++
			from := From{Client: fmt.Sprint("bot", addresses)}
			step, err := o.signIn(from, "eve@shop.example", password)
			for range stepTries {
				if err != nil {
					break
				}
				if _, err = o.Code(t.Context(), from, step.Token, "no"+o.code(factor.Secret)[2:]); errors.Is(err, ErrRefused) {
					tried, err = tried+1, nil
				}
			}
			if wait, waits := errors.AsType[*WaitError](err); waits {
				o.later(max(wait.After, patience))
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if tried < freeOfCodes || tried > 150 {
			t.Errorf("%s: %d codes were tried in a day", name, tried)
		}
		if len(o.guesses) == 0 {
			t.Errorf("%s: nobody has noticed", name)
		}
		home := From{Client: "home", Browser: owner.Browser}
		next, err := o.signIn(home, "eve@shop.example", password)
		if err == nil {
			_, err = o.Code(t.Context(), home, next.Token, o.code(factor.Secret))
		}
		if err != nil {
			t.Errorf("%s: the owner: %v", name, err)
		}
	}
}
