package signin

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/rule"
	"daybook/domain/staff"
)

// ConfirmFor is how long a link is good that confirms a new address.
const ConfirmFor = 24 * time.Hour

// The letters about a new address. The notice goes to the old one.
var (
	emailLink = letter{path: emailPath, subject: "Your new address", text: `Hello NAME,

from now on you want to sign in to the shop with this address. Confirm it here:

LINK

The link is good once, until UNTIL. Then your sessions end, and the old
address is not good any more. If you do not know what this mail is about, ignore it.
`}
	emailNotice = letter{subject: "Your address is about to change", text: `Hello NAME,

somebody has asked to change the address with which you sign in to the shop. If it was you, there is
a mail at the new address. Until you confirm it there, nothing changes.

If it was not you, set a new password at once, and tell the shop. Then the change cannot be confirmed.
`}
)

// move is a change of a person's address that was recorded, and whose link is not sent yet.
type move struct {
	person  staff.PersonID
	address string
	until   time.Time
}

// AskEmail begins a change of a person's own address. Run sends a link to the new address and a
// notice to the old one. The address changes once the link is used. If somebody else has the new
// address, AskEmail does the same work and returns the same, but no link is sent. So nobody learns
// who works in the shop.
//
// Errors: *FieldError, *WaitError, ErrNoMail, ErrRefused, ErrBusy, and those of the log and the
// store.
func (d *Desk) AskEmail(ctx context.Context, id staff.PersonID, client, password, email string) error {
	if d.mailer == nil {
		return ErrNoMail
	}
	address, err := ParseAddress(email)
	if err != nil {
		return err
	}
	keys := passwordKeys(id, client)
	if wait := d.limits.take(keys); wait > 0 {
		d.tallies.add(id, delayed)
		return &WaitError{After: wait}
	}
	m, err := d.Member(ctx, id)
	if err != nil {
		return err
	}
	if good, err := d.compare(ctx, m.Person, password, !id.IsLogin()); err != nil || !good {
		d.tallies.addIf(err == nil, id, wrongPassword)
		return orRefused(err)
	}
	d.limits.clear(keys)
	if wait := d.limits.take([]key{{name: "new addresses of " + string(id), free: freeOfMails}}); wait > 0 {
		return &WaitError{After: wait}
	}
	asked, err := d.askEmail(ctx, d.callOf(id), m, address, m.Credential)
	if err != nil {
		return err
	}
	select {
	case d.moves <- asked:
	default:
		d.logger.WarnContext(ctx, "a request for another address was dropped, because too many are waiting", "person_id", id, "waiting", maxResets)
	}
	return nil
}

// ChangeEmail begins a change of a person's address for an admin, who is the sender of the call.
// The token that confirms it goes to the new address by mail, or, without a Mailer, to the caller.
//
// Errors: *FieldError, *access.LacksError, staff.ErrExists if somebody else has the address, and
// those of the log and the store.
func (d *Desk) ChangeEmail(ctx context.Context, call commands.Call, id staff.PersonID, email string) (Member, Token, error) {
	if call.Who.IsZero() {
		return Member{}, Token{}, commands.ErrNobody
	}
	address, err := ParseAddress(email)
	if err != nil {
		return Member{}, Token{}, err
	}
	m, err := d.Member(ctx, id)
	if err != nil {
		return Member{}, Token{}, err
	}
	// The command checks the caller's rights, too. Here they are checked before the caller can
	// learn that somebody has the address.
	if permission := call.Who.Lacks(d.grants(m.Role)); permission != "" {
		return Member{}, Token{}, &access.LacksError{Permission: permission}
	}
	if _, err := d.holderOf(ctx, d.storedAddress(kindOf(id), address)); err != nil && m.Email != address {
		return Member{}, Token{}, err
	}
	asked, err := d.askEmail(ctx, call, m, address, "")
	if err != nil {
		return Member{}, Token{}, err
	}
	token, err := d.emailToken(ctx, asked)
	if err != nil {
		return Member{}, Token{}, err
	}
	if d.mailer != nil {
		d.noteUnmoved(ctx, id, d.send(ctx, m, Token{}, emailNotice))
	}
	to := m
	to.Email = address
	return m, d.deliver(ctx, to, token, emailLink), nil
}

// askEmail records that an address is about to change. current is as in staff.AskEmail.
func (d *Desk) askEmail(ctx context.Context, call commands.Call, m Member, address, current string) (move, error) {
	if m.Email == address {
		return move{}, &FieldError{Field: "email", Detail: "this is the present address"}
	}
	now := d.service.Now()
	asked := move{person: m.ID, address: address, until: now.Add(ConfirmFor).UTC().Truncate(time.Second)}
	_, err := d.service.Staff(ctx, call, m.ID, staff.AskEmail{Person: m.ID, Current: current, Change: randomHex(10), Until: asked.until, Now: now})
	return asked, err
}

// sendMove sends the mails about a person's own request: a notice to the old address, and a link to
// the new one, if nobody else has it.
func (d *Desk) sendMove(ctx context.Context, asked move) {
	m, err := d.Member(ctx, asked.person)
	if err != nil {
		d.noteUnmoved(ctx, asked.person, err)
		return
	}
	d.noteUnmoved(ctx, asked.person, d.send(ctx, m, Token{}, emailNotice))
	if _, err := d.holderOf(ctx, d.storedAddress(kindOf(asked.person), asked.address)); err != nil {
		if !errors.Is(err, staff.ErrExists) {
			d.noteUnmoved(ctx, asked.person, err)
		}
		return
	}
	token, err := d.emailToken(ctx, asked)
	if err != nil {
		d.noteUnmoved(ctx, asked.person, err)
		return
	}
	m.Email = asked.address
	d.noteUnmoved(ctx, asked.person, d.send(ctx, m, token, emailLink))
}

// noteUnmoved logs why a mail about a new address was not sent; nil: nothing is wrong.
func (d *Desk) noteUnmoved(ctx context.Context, id staff.PersonID, err error) {
	if err != nil && ctx.Err() == nil {
		d.logger.WarnContext(ctx, "a mail about a new address was not sent", "person_id", id, "error", err)
	}
}

const emailPrefix = "dbe"

// emailToken makes a token with which the person confirms a new address. It is stored nowhere. It
// has the address, and a code (HMAC) over the address, the change that was recorded last, and the
// person's password and generation. So it is good once, and not good any more after another change
// was asked for, or after another password, role or second factor was set.
func (d *Desk) emailToken(ctx context.Context, asked move) (Token, error) {
	person, err := d.person(ctx, asked.person)
	if err != nil {
		return Token{}, err
	}
	until := asked.until.Unix()
	text := fmt.Sprintf("%s_%s_%d_%s_%s", emailPrefix, asked.person, until, hex.EncodeToString([]byte(asked.address)), d.emailCode(asked.person, person, asked.address, until))
	return Token{Text: text, Until: asked.until}, nil
}

func (d *Desk) emailCode(id staff.PersonID, person staff.Person, address string, until int64) string {
	return hexMAC(d.resetSecret, fmt.Sprintf("email %s %s %d %s %d %s", id, person.Credential, person.Generation, person.Change, until, address)) // none of them has a space
}

// EmailToken is a token for a new address that somebody sends.
type EmailToken struct {
	move
	code string
}

var errEmailToken = errors.New("want the token of the mail, which begins with dbe_")

// ParseEmailToken reads a token for a new address. It does not check that the token is good.
func ParseEmailToken(text string) (EmailToken, error) {
	parts := strings.Split(text, "_")
	if len(parts) != 5 || parts[0] != emailPrefix || !isSecret(parts[4]) {
		return EmailToken{}, errEmailToken
	}
	id, err := staff.ParsePersonID(parts[1])
	until, wrong := strconv.ParseInt(parts[2], 10, 64)
	address, odd := hex.DecodeString(parts[3])
	if err != nil || wrong != nil || odd != nil || until <= 0 {
		return EmailToken{}, errEmailToken
	}
	return EmailToken{move: move{person: id, address: string(address), until: time.Unix(until, 0)}, code: parts[4]}, nil
}

// ConfirmEmail completes a change of an address with a token of its link. From then on the person
// signs in with the new address. All their sessions end.
//
// Errors: staff.ErrTokenRefused, staff.ErrExists if somebody else has got the address meanwhile,
// and those of the log and the store.
func (d *Desk) ConfirmEmail(ctx context.Context, text string) (Member, error) {
	token, err := ParseEmailToken(text)
	if err != nil {
		return Member{}, staff.ErrTokenRefused
	}
	id := token.person
	person, err := d.person(ctx, id)
	if err != nil {
		return Member{}, err
	}
	same := subtle.ConstantTimeCompare([]byte(d.emailCode(id, person, token.address, token.until.Unix())), []byte(token.code)) == 1
	if !same || person.Change == "" || person.Status != staff.Active || !d.service.Now().Before(token.until) {
		return Member{}, staff.ErrTokenRefused
	}
	confirm := staff.ConfirmEmail{Person: id, Change: person.Change, Now: d.service.Now()}
	if id.IsLogin() {
		confirm.Email = token.address
	}
	before, err := d.moveTo(ctx, id, token.address)
	if err != nil {
		return Member{}, err
	}
	m, err := d.change(ctx, d.callOf(id), id, confirm)
	if _, refused := errors.AsType[*rule.Rejection](err); refused {
		// Meanwhile another change was asked for, or the person has another password. So the log
		// does not have this change, and the address must not have changed either.
		if _, undone := d.store.ChangeEmail(ctx, id, before, "", d.service.Now()); undone != nil {
			return Member{}, undone
		}
		return Member{}, staff.ErrTokenRefused
	}
	return m, err
}

// moveTo stores a person's new address, and returns the one before. It is stored before the event
// is recorded, so that two people cannot have one address. If a node stops in between, the person
// can sign in with the new address, and the link is still good.
//
// Both are as they are stored.
func (d *Desk) moveTo(ctx context.Context, id staff.PersonID, address string) (before string, err error) {
	m, err := d.Member(ctx, id)
	if err != nil {
		return "", err
	}
	before, address = d.storedAddress(kindOf(id), m.Email), d.storedAddress(kindOf(id), address)
	holder := id
	if before != address {
		if holder, err = d.holderOf(ctx, address); err != nil {
			return "", err
		}
	}
	changed, err := d.store.ChangeEmail(ctx, id, address, holder, d.service.Now())
	if err == nil && !changed {
		err = staff.ErrExists
	}
	return before, err
}
