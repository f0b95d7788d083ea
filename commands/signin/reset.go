package signin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"daybook/domain/staff"
)

// ResetFor is how long a link is good if the person has asked for it.
const ResetFor = time.Hour

const (
	freeOfResets = 10  // requests from one address, or from one known browser
	freeOfMails  = 3   // mails to one person
	maxResets    = 200 // requests that may wait for Run
	resetsAtOnce = 4   // mails that are sent at the same time
)

// ErrNoMail means that the server sends no mail, so it can send no link.
var ErrNoMail = errors.New("the server sends no mail")

var resetLink = letter{subject: "A new password", text: `Hello NAME,

somebody has asked for a new password for this address. If it was you, set it here:

LINK

The link is good once, until UNTIL. If it was not you, ignore this mail. Your password stays as it
is.
`}

// RequestReset lets Run send a link for a new password, if a person who has joined has this
// address. It does the same work for every address and returns the same, so nobody learns who works
// in the shop. It records nothing, so strangers cannot fill the log.
//
// Errors: *FieldError, *WaitError, ErrNoMail, and those of the store.
func (d *Desk) RequestReset(ctx context.Context, from From, email string) error {
	if d.mailer == nil {
		return ErrNoMail
	}
	address, err := ParseAddress(email)
	if err != nil {
		return err
	}
	keys, err := d.resetKeys(ctx, from)
	if err != nil {
		return err
	}
	if wait := d.limits.take(keys); wait > 0 {
		return &WaitError{After: wait}
	}
	select {
	case d.resets <- address:
	default:
		d.logger.WarnContext(ctx, "a request for a new password was dropped, because too many are waiting", "waiting", maxResets)
	}
	return nil
}

// resetKeys returns the keys under which a request is counted. A browser with which somebody has
// signed in has a key of its own, so that others at the same address cannot use up its requests.
func (d *Desk) resetKeys(ctx context.Context, from From) ([]key, error) {
	if secret, is := strings.CutPrefix(from.Browser, browserPrefix); is && isSecret(secret) {
		session, err := d.store.Session(ctx, sum(secret))
		if err != nil {
			return nil, err
		}
		if session != nil && session.Stage == KnownBy && d.service.Now().Before(session.ExpiresAt) {
			return []key{{name: "reset browser " + session.Hash, free: freeOfResets}}, nil
		}
	}
	return []key{{name: "reset address " + from.Client, free: freeOfResets}}, nil
}

// sendResets sends links for new passwords and for new addresses until ctx ends.
func (d *Desk) sendResets(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case address := <-d.resets:
			d.sendReset(ctx, address)
		case asked := <-d.moves:
			d.sendMove(ctx, asked)
		}
	}
}

// sendReset sends a link, if a person who has joined has the address. If too many mails were sent
// to this person lately, it sends none. The links in those mails are still good, so nobody can keep
// the person from a new password by asking for many.
func (d *Desk) sendReset(ctx context.Context, address string) {
	id, _, err := d.store.ByEmail(ctx, address)
	if err != nil || id == "" {
		d.noteUnsent(ctx, id, err)
		return
	}
	m, err := d.Member(ctx, id)
	if err != nil || m.Status != staff.Active || d.limits.take([]key{{name: "mails " + string(id), free: freeOfMails}}) > 0 {
		d.noteUnsent(ctx, id, err)
		return
	}
	d.noteUnsent(ctx, id, d.send(ctx, m, d.resetToken(id, m.Person), resetLink))
}

// noteUnsent logs why a link was not sent; nil: nothing is wrong.
func (d *Desk) noteUnsent(ctx context.Context, id staff.PersonID, err error) {
	if err != nil && !errors.Is(err, staff.ErrNotFound) && ctx.Err() == nil {
		d.logger.WarnContext(ctx, "a link for a new password was not sent", "person_id", id, "error", err)
	}
}

const resetPrefix = "dbr"

// resetToken makes a token with which a person sets a new password. It is stored nowhere: it has a
// code (HMAC) over the person's present password and generation. So it is not good any more once
// one of them has changed, and all tokens that were sent before stay good until then. After a
// restore of the log a generation may come again, but the id of a password does not.
func (d *Desk) resetToken(id staff.PersonID, person staff.Person) Token {
	until := d.service.Now().Add(ResetFor).UTC().Truncate(time.Second)
	return Token{Text: fmt.Sprintf("%s_%s_%d_%s", resetPrefix, id, until.Unix(), d.resetCode(id, person, until.Unix())), Until: until}
}

func (d *Desk) resetCode(id staff.PersonID, person staff.Person, until int64) string {
	mac := hmac.New(sha256.New, d.resetSecret)
	fmt.Fprintf(mac, "reset %s %s %d %d", id, person.Credential, person.Generation, until) // none of them has a space
	return hex.EncodeToString(mac.Sum(nil))
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

// redeemReset sets a password with a token of resetToken.
func (d *Desk) redeemReset(ctx context.Context, token GivenToken, password string) (Member, error) {
	id := token.person
	person, err := d.person(ctx, id)
	if err != nil {
		return Member{}, err
	}
	same := subtle.ConstantTimeCompare([]byte(d.resetCode(id, person, token.until)), []byte(token.code)) == 1
	if !same || person.Status != staff.Active || d.service.Now().Unix() >= token.until {
		return Member{}, staff.ErrTokenRefused
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
