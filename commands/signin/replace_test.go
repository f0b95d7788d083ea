package signin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/domain/access"
	"daybook/domain/staff"
)

// withFactor is a person who has signed in with a second factor. The code that the app shows now
// was not used yet.
func (o *office) withFactor(email string) (staff.PersonID, Factor, SignedIn) {
	o.t.Helper()
	id := o.hire(email, access.Manager)
	first, err := o.signIn(From{}, email, password)
	if err != nil {
		o.t.Fatal(err)
	}
	factor, done := o.setUp(first.Token)
	o.later(time.Minute)
	return id, factor, done
}

// A person moves to another app with the password, a code of the present app and one of the new
// app. After that, only the new app and the new recovery codes are good.
func TestAPersonReplacesTheirSecondFactor(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := t.Context()
	id, old, done := o.withFactor("eve@shop.example")
	fresh, token, err := o.BeginNewFactor(ctx, id)
	if err != nil || fresh.Secret == old.Secret || fresh.URI == "" {
		t.Fatalf("%+v, %v", fresh, err)
	}
	if !o.good(done.Token) {
		t.Error("the session ends before the factor is replaced")
	}
	if _, err := o.ConfirmFactor(ctx, From{}, token, o.code(fresh.Secret)); !errors.Is(err, ErrRefused) {
		t.Errorf("the token signs in without a password: %v", err)
	}
	codes, err := o.ReplaceFactor(ctx, id, Given{Client: "c", Password: password, Code: o.code(old.Secret)}, token, o.code(fresh.Secret))
	if err != nil || len(codes) != recoveryCodes || slices.Contains(codes, done.Recovery[0]) {
		t.Fatalf("%v, %v", codes, err)
	}
	if o.good(done.Token) {
		t.Error("the session goes on")
	}
	if _, err := o.ReplaceFactor(ctx, id, Given{Client: "c", Password: password, Code: codes[0]}, token, o.code(fresh.Secret)); !errors.Is(err, ErrRefused) {
		t.Errorf("the token again: %v", err)
	}
	for _, c := range []struct {
		name, code string
		good       bool
	}{
		{"the code of the confirmation again", o.code(fresh.Secret), false},
		{"the old app", o.code(old.Secret), false},
		{"an old recovery code", done.Recovery[0], false},
		{"a new recovery code", codes[0], true},
	} {
		if err := o.tryCode("eve@shop.example", c.code); c.good != (err == nil) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	o.later(time.Minute)
	if err := o.tryCode("eve@shop.example", o.code(fresh.Secret)); err != nil {
		t.Errorf("the new app: %v", err)
	}
}

// Somebody begins a new factor again and again. Only the last few secrets are kept, and they can be
// used.
func TestFewNewFactorsAreOpen(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id, old, _ := o.withFactor("eve@shop.example")
	stored := o.store.(*Memory)
	var fresh Factor
	var token string
	before := len(stored.sessions)
	for range 20 {
		var err error
		if fresh, token, err = o.BeginNewFactor(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if made := len(stored.sessions) - before; made != maxNewApps {
		t.Errorf("%d rows are kept", made)
	}
	if _, err := o.ReplaceFactor(t.Context(), id, Given{Client: "c", Password: password, Code: o.code(old.Secret)}, token, o.code(fresh.Secret)); err != nil {
		t.Errorf("the last one: %v", err)
	}
}

// tryCode signs in with a code.
func (o *office) tryCode(email, code string) error {
	o.t.Helper()
	o.later(time.Second)
	next, err := o.signIn(From{Client: fmt.Sprint("client", o.clock.Load())}, email, password)
	if err != nil || next.Next != NeedsCode {
		o.t.Fatalf("%+v, %v", next, err)
	}
	_, err = o.Code(o.t.Context(), From{}, next.Token, code)
	return err
}

// New recovery codes end the old ones. The sessions of the person go on.
func TestAPersonGetsNewRecoveryCodes(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id, app, done := o.withFactor("eve@shop.example")
	codes, err := o.RenewRecovery(t.Context(), id, Given{Client: "c", Password: password, Code: done.Recovery[0]})
	if err != nil || len(codes) != recoveryCodes {
		t.Fatalf("by a recovery code: %v, %v", codes, err)
	}
	for _, old := range []string{done.Recovery[0], done.Recovery[1]} {
		if _, err := o.RenewRecovery(t.Context(), id, Given{Client: "c", Password: password, Code: old}); !errors.Is(err, ErrRefused) {
			t.Errorf("an old code: %v", err)
		}
	}
	code := o.code(app.Secret)
	if _, err = o.RenewRecovery(t.Context(), id, Given{Client: "c", Password: password, Code: code}); err != nil {
		t.Fatalf("by the app: %v", err)
	}
	if _, err = o.RenewRecovery(t.Context(), id, Given{Client: "c", Password: password, Code: code}); !errors.Is(err, ErrRefused) {
		t.Errorf("the code again: %v", err)
	}
	if err := o.tryCode("eve@shop.example", codes[0]); !errors.Is(err, ErrRefused) {
		t.Errorf("a code that was replaced signs in: %v", err)
	}
	if !o.good(done.Token) {
		t.Error("the session ends")
	}
}

// Without the password, a code of the present factor, a code of the new app and the own token,
// nothing is replaced. Whoever guesses must wait, from whichever address.
func TestASecondFactorIsNotReplacedByOthers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := t.Context()
	id, app, done := o.withFactor("eve@shop.example")
	other, otherApp, _ := o.withFactor("ann@shop.example")
	plain := o.hire("bob@shop.example", access.Operator)
	fresh, token, err := o.BeginNewFactor(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	good := func() Given { return Given{Client: "c", Password: password, Code: o.code(app.Secret)} }
	for name, try := range map[string]func() error{
		"another password":   func() error { return o.replace(id, Given{"c1", "wrong", o.code(app.Secret)}, token, fresh.Secret) },
		"another code":       func() error { return o.replace(id, Given{"c2", password, "000000"}, token, fresh.Secret) },
		"no code":            func() error { return o.replace(id, Given{"c3", password, ""}, token, fresh.Secret) },
		"another app's code": func() error { return o.replace(id, good(), token, otherApp.Secret) },
		"another person": func() error {
			return o.replace(other, Given{"c4", password, o.code(otherApp.Secret)}, token, fresh.Secret)
		},
		"a token of a sign-in": func() error { return o.replace(id, good(), done.Token, fresh.Secret) },
		"no token":             func() error { return o.replace(id, good(), "dbs_", fresh.Secret) },
		"codes by a wrong one": func() error { _, err := o.RenewRecovery(ctx, id, Given{"c5", password, "000000"}); return err },
		"codes by no password": func() error { _, err := o.RenewRecovery(ctx, id, Given{"c6", "", o.code(app.Secret)}); return err },
		"codes by another code": func() error {
			_, err := o.RenewRecovery(ctx, id, Given{"c7", password, o.code(otherApp.Secret)})
			return err
		},
	} {
		if err := try(); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := o.BeginNewFactor(ctx, plain); !errors.Is(err, staff.ErrFactorMissing) {
		t.Errorf("who has no factor begins: %v", err)
	}
	if _, err := o.RenewRecovery(ctx, plain, Given{"c8", password, "000000"}); !errors.Is(err, staff.ErrFactorMissing) {
		t.Errorf("who has no factor gets codes: %v", err)
	}
	o.later(codesForgotten + time.Second)
	guesses := 0
	for ; guesses < 100; guesses++ {
		_, err := o.RenewRecovery(ctx, id, Given{fmt.Sprint("bot", guesses), password, "000000"})
		if _, waits := errors.AsType[*WaitError](err); waits {
			break
		}
	}
	if guesses != freeOfCodes {
		t.Errorf("%d codes were guessed", guesses)
	}
	if person, err := o.person(ctx, id); err != nil || len(person.Recovery) != recoveryCodes {
		t.Errorf("%+v, %v", person, err)
	}
}

func (o *office) replace(id staff.PersonID, given Given, token, secret string) error {
	o.t.Helper()
	_, err := o.ReplaceFactor(o.t.Context(), id, given, token, o.code(secret))
	return err
}

// An admin ends a session of somebody else. The log says who did it.
func TestAnAdminEndsASession(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := t.Context()
	id := o.hire("eve@shop.example", access.Operator)
	first, second := o.mustSignIn("eve@shop.example"), o.mustSignIn("eve@shop.example")
	for range 2 { // a session that has ended stays so
		if m, err := o.EndSessionOf(ctx, o.admin(), id, first.Session.ID); err != nil || m.ID != id {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	if o.good(first.Token) || !o.good(second.Token) {
		t.Errorf("the first session is good: %t, the second: %t", o.good(first.Token), o.good(second.Token))
	}
	helper := o.admin()
	helper.Who = access.Principal{ID: "key:k1", Grants: looks()}
	if _, err := o.EndSessionOf(ctx, helper, id, second.Session.ID); err == nil || !strings.Contains(err.Error(), "does not have the permission") || !o.good(second.Token) {
		t.Errorf("by who has fewer rights: %v", err)
	}
	if _, err := o.EndSessionOf(ctx, o.admin(), "p0", second.Session.ID); !errors.Is(err, staff.ErrNotFound) || !o.good(second.Token) {
		t.Errorf("of nobody: %v", err)
	}
	ended := 0
	for recorded, err := range o.log.ReadStream(ctx, staff.Stream(), 0, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if recorded.Type == "shopstaff.signed_out.v1" {
			ended++
			if !strings.Contains(string(recorded.Meta), `"system:test"`) {
				t.Errorf("the session was ended by %s", recorded.Meta)
			}
		}
	}
	if ended != 1 {
		t.Errorf("%d sessions were ended", ended)
	}
}
