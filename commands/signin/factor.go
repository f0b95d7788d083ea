package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"

	"daybook/domain/staff"
)

const (
	codePeriod = 30 // seconds for which an app shows a code
	codeSkew   = 1  // periods by which a clock may be wrong
	issuer     = "Daybook"
	// recoveryCodes are made with a second factor.
	recoveryCodes = 10
)

// step is a sign-in whose password was good and whose code is missing, and its person.
type step struct {
	Session

	person staff.Person
}

// openStep finds the step of a token, and counts the request against stepTries.
func (d *Desk) openStep(ctx context.Context, token string, stage Stage) (step, error) {
	secret, is := strings.CutPrefix(token, sessionPrefix)
	if !is || len(secret) != 64 {
		return step{}, ErrRefused
	}
	session, err := d.store.Session(ctx, sum(secret))
	if err != nil {
		return step{}, err
	}
	if session == nil || session.Stage != stage || !d.service.Now().Before(session.ExpiresAt) {
		return step{}, ErrRefused
	}
	if allowed, err := d.store.Try(ctx, session.Hash, stepTries); err != nil || !allowed {
		d.tallies.addIf(err == nil, session.Person, delayed)
		return step{}, orRefused(err)
	}
	person, err := d.person(ctx, session.Person)
	if err != nil {
		return step{}, err
	}
	if person.Status != staff.Active || person.Generation != session.Generation {
		return step{}, ErrRefused
	}
	return step{*session, person}, nil
}

// Code completes a sign-in with a code of an app, or with a recovery code.
//
// Errors: ErrRefused, *WaitError, and those of the log and the store.
func (d *Desk) Code(ctx context.Context, from From, token, code string) (SignedIn, error) {
	at, err := d.openStep(ctx, token, NeedsCode)
	if err != nil {
		return SignedIn{}, err
	}
	device, err := d.device(ctx, from, at.Person)
	if err != nil {
		return SignedIn{}, err
	}
	keys := codeKeys(at.Person, device)
	if wait := d.limits.take(keys); wait > 0 {
		d.tallies.add(at.Person, delayed)
		return SignedIn{}, &WaitError{After: wait}
	}
	secret, err := d.store.Secret(ctx, at.person.Factor)
	if err != nil {
		return SignedIn{}, err
	}
	signIn := staff.SignIn{Person: at.Person, Credential: at.Credential, Factor: at.person.Factor}
	if signIn.Step = stepOf(secret, code, d.service.Now()); signIn.Step == 0 {
		signIn.Recovery = sum(plainCode(code)) // staff.Decide refuses it if it is not a recovery code of the person
	}
	done, err := d.complete(ctx, from, at, signIn)
	if err != nil {
		d.noteGuessing(at.Person, keys[0].name)
		d.tallies.addIf(errors.Is(err, ErrRefused), at.Person, wrongCode)
		return SignedIn{}, err
	}
	d.limits.clear(keys)
	return done, nil
}

// complete ends the step and begins the session. The password, whose try has counted as failed
// until now, counts as right.
func (d *Desk) complete(ctx context.Context, from From, at step, signIn staff.SignIn, more ...staff.Command) (SignedIn, error) {
	contact, err := d.contact(ctx, at.Person, at.person)
	if err != nil {
		return SignedIn{}, err
	}
	// These are the keys under which the password was counted. After begin, the browser has another
	// token.
	keys, err := d.keys(ctx, from, at.Person, sum(d.storedAddress(kindOf(at.Person), contact.Email)))
	if err != nil {
		return SignedIn{}, err
	}
	done, err := d.begin(ctx, from, at.Person, at.person, signIn, more...)
	if err != nil {
		return SignedIn{}, err
	}
	if _, err := d.store.EndSession(ctx, at.Hash); err != nil {
		return SignedIn{}, err
	}
	d.limits.clear(keys)
	return done, nil
}

// Factor is the secret of a second factor, for an app.
type Factor struct {
	Secret string // in base32
	URI    string // otpauth://..., which apps read as a QR code
}

// BeginFactor makes the secret of a second factor. The person has the factor only after
// ConfirmFactor got a code that was made with the secret.
func (d *Desk) BeginFactor(ctx context.Context, token string) (Factor, error) {
	at, err := d.openStep(ctx, token, NeedsApp)
	if err != nil {
		return Factor{}, err
	}
	factor, err := d.newSecret(ctx, at.Person)
	if err != nil {
		return Factor{}, err
	}
	at.Pending = factor.Secret
	return factor, d.store.SaveSession(ctx, at.Session)
}

// newSecret makes a random secret for an app.
func (d *Desk) newSecret(ctx context.Context, id staff.PersonID) (Factor, error) {
	person, err := d.person(ctx, id)
	if err != nil {
		return Factor{}, err
	}
	contact, err := d.contact(ctx, id, person)
	if err != nil {
		return Factor{}, err
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: contact.Email, SecretSize: 20, Rand: rand.Reader})
	if err != nil {
		return Factor{}, err
	}
	return Factor{Secret: key.Secret(), URI: key.URL()}, nil
}

// ConfirmFactor sets up a second factor with a code of the app, and completes the sign-in. The
// result has recovery codes.
//
// Errors: ErrRefused, and those of the log and the store.
func (d *Desk) ConfirmFactor(ctx context.Context, from From, token, code string) (SignedIn, error) {
	at, err := d.openStep(ctx, token, NeedsApp)
	if err != nil {
		return SignedIn{}, err
	}
	shown := stepOf(at.Pending, code, d.service.Now())
	if shown == 0 {
		d.tallies.add(at.Person, wrongCode)
		return SignedIn{}, ErrRefused
	}
	factor := uuid.NewString()
	if err := d.store.SaveSecret(ctx, Secret{ID: factor, Person: at.Person, Value: at.Pending}); err != nil {
		return SignedIn{}, err
	}
	codes, hashes := newRecovery()
	// A code is good once, and this code both confirms the factor and signs in. So SetFactor gets
	// the time step before that of the code, and SignIn gets the code's own.
	set := staff.SetFactor{Person: at.Person, Credential: at.Credential, Factor: factor, Recovery: hashes, Step: shown - 1}
	done, err := d.complete(ctx, from, at, staff.SignIn{Person: at.Person, Credential: at.Credential, Factor: factor, Step: shown}, set)
	done.Recovery = codes
	return done, err
}

// stepOf returns the time step at which an app shows a code. It is 0 if the app shows the code at
// none of the steps that are accepted now. If the secret is missing, no code is accepted, because
// everybody can compute the codes of an empty secret.
func stepOf(secret, code string, now time.Time) int64 {
	if secret == "" {
		return 0
	}
	present := now.Unix() / codePeriod
	found := int64(0)
	for at := present - codeSkew; at <= present+codeSkew; at++ {
		want, err := totp.GenerateCode(secret, time.Unix(at*codePeriod, 0))
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(strings.ReplaceAll(code, " ", ""))) == 1 {
			found = at
		}
	}
	return found
}

// newRecovery draws recovery codes of 100 random bits.
func newRecovery() (codes, hashes []string) {
	for range recoveryCodes {
		random := make([]byte, 13)
		_, _ = rand.Read(random) // it never fails
		text := strings.ToLower(base32.StdEncoding.EncodeToString(random))[:20]
		codes = append(codes, text[:5]+"-"+text[5:10]+"-"+text[10:15]+"-"+text[15:])
		hashes = append(hashes, sum(text))
	}
	return codes, hashes
}

// plainCode returns a recovery code without hyphens and spaces, in lower case.
func plainCode(code string) string {
	return strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code))
}
