package signin

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
	"time"

	"daybook/domain/rule"
	"daybook/domain/staff"
)

// ResetFor is how long a link is good if the person has asked for it.
const ResetFor = time.Hour

// LinkedFor is how long a browser stays known after a link has made it known. If the person signs
// in with it in this time, it is known for BrowserFor from then on.
const LinkedFor = 24 * time.Hour

const resetPrefix = "dbr"

// resetToken makes a token with which a person sets a new password or makes a browser known. It is
// stored nowhere: it has a code (HMAC) over the person's present password and generation. So it is
// not good any more once one of them has changed, and all tokens that were sent before stay good
// until then. After a restore of the log a generation may come again, but the id of a password does
// not.
func (d *Desk) resetToken(id staff.PersonID, person staff.Person) Token {
	until := d.service.Now().Add(ResetFor).UTC().Truncate(time.Second)
	return Token{Text: fmt.Sprintf("%s_%s_%d_%s", resetPrefix, id, until.Unix(), d.resetCode(id, person, until.Unix())), Until: until}
}

func (d *Desk) resetCode(id staff.PersonID, person staff.Person, until int64) string {
	return hexMAC(d.resetSecret, fmt.Sprintf("reset %s %s %d %d", id, person.Credential, person.Generation, until)) // none of them has a space
}

// parseResetToken reads the parts of a token that resetToken has made. It does not check that the
// token is good.
func parseResetToken(parts []string) (GivenToken, error) {
	if len(parts) != 4 || !isSecret(parts[3]) {
		return GivenToken{}, errMalformed
	}
	id, err := staff.ParsePersonID(parts[1])
	if err != nil {
		return GivenToken{}, errMalformed
	}
	until, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || until <= 0 {
		return GivenToken{}, errMalformed
	}
	return GivenToken{person: id, code: parts[3], until: until}, nil
}

var errLinkToken = errors.New("want the token of the mail, which begins with dbr_")

// ParseLinkToken is ParseToken for tokens that a person has asked for.
func ParseLinkToken(text string) (GivenToken, error) {
	token, err := ParseToken(text)
	if err != nil || token.code == "" {
		return GivenToken{}, errLinkToken
	}
	return token, nil
}

// used names the row that is stored once a link has made a browser known. It is made from the code,
// and not from the text, because one token can be written in several ways (such as 017 for 17).
func (t GivenToken) used() string { return sum("used link " + t.code) }

// holderOfLink returns the person of a token of resetToken.
//
// Errors: staff.ErrTokenRefused, and those of the log and the store.
func (d *Desk) holderOfLink(ctx context.Context, token GivenToken) (staff.Person, error) {
	person, err := d.person(ctx, token.person)
	if err != nil {
		return staff.Person{}, err
	}
	same := subtle.ConstantTimeCompare([]byte(d.resetCode(token.person, person, token.until)), []byte(token.code)) == 1
	if !same || person.Status != staff.Active || d.service.Now().Unix() >= token.until {
		return staff.Person{}, staff.ErrTokenRefused
	}
	used, err := d.store.Session(ctx, token.used())
	if err == nil && used != nil {
		err = staff.ErrTokenRefused
	}
	return person, err
}

// redeemReset sets a password with a token of resetToken.
func (d *Desk) redeemReset(ctx context.Context, token GivenToken, password string) (Member, error) {
	id := token.person
	person, err := d.holderOfLink(ctx, token)
	if err != nil {
		return Member{}, err
	}
	credential, err := d.newCredential(ctx, id, "password", password)
	if err != nil {
		return Member{}, err
	}
	m, err := d.change(ctx, d.callOf(id), id, staff.ChangePassword{Person: id, Current: person.Credential, Credential: credential, ByToken: true})
	if errors.Is(err, staff.ErrChanged) || errors.Is(err, staff.ErrDisabled) {
		err = staff.ErrTokenRefused // it was used, or the access has ended, at the same moment
	}
	return m, err
}

// KnowBrowser makes a browser known for the person to whom a link was sent, and returns the token
// by which it is known. Whoever guesses the person's password cannot delay a known browser, so
// nobody can be kept from signing in. The link is used up, unless the event cannot be recorded.
// A sign-in still needs the password and the second factor.
//
// Errors: staff.ErrTokenRefused, and those of the log and the store.
func (d *Desk) KnowBrowser(ctx context.Context, text string) (browser string, err error) {
	token, err := ParseLinkToken(text)
	if err != nil {
		return "", staff.ErrTokenRefused
	}
	person, err := d.holderOfLink(ctx, token)
	if err != nil {
		return "", err
	}
	now := d.service.Now().UTC()
	used := Session{
		Hash: token.used(), ID: "l" + randomHex(5), Person: token.person, Stage: UsedLink, Generation: person.Generation, Credential: person.Credential,
		BeganAt: now, UsedAt: now, ExpiresAt: time.Unix(token.until, 0).UTC(),
	}
	if err := d.store.SaveSession(ctx, used); err != nil {
		return "", err
	}
	// Only one of several requests at the same moment passes here.
	if first, err := d.store.Try(ctx, used.Hash, 1); err != nil || !first {
		return "", orTokenRefused(err)
	}
	text, session := d.linkedBrowser(token.person, person)
	_, err = d.service.Staff(ctx, d.callOf(token.person), token.person, staff.KnowBrowser{Person: token.person, Credential: person.Credential, Browser: session.ID})
	if errors.Is(err, staff.ErrChanged) || errors.Is(err, staff.ErrDisabled) {
		err = staff.ErrTokenRefused
	}
	if err != nil {
		if _, refused := errors.AsType[*rule.Rejection](err); !refused {
			// The link did nothing, so it is good again. The error says why the request failed.
			_, _ = d.store.EndSession(context.WithoutCancel(ctx), used.Hash)
		}
		return "", err
	}
	return text, d.store.SaveSession(ctx, session)
}

// linkedBrowser makes a token by which a browser is known, because a link or a token that only the
// person can have was used in it.
func (d *Desk) linkedBrowser(id staff.PersonID, person staff.Person) (text string, session Session) {
	secret, now := randomHex(32), d.service.Now().UTC()
	return browserPrefix + secret, Session{
		Hash: sum(secret), ID: "b" + randomHex(5), Person: id, Stage: LinkedBy, Generation: person.Generation, Credential: person.Credential,
		BeganAt: now, UsedAt: now, ExpiresAt: now.Add(LinkedFor),
	}
}

func orTokenRefused(err error) error {
	if err != nil {
		return err
	}
	return staff.ErrTokenRefused
}
