package signin

import (
	"cmp"
	"context"
	"fmt"
	"strings"
)

// Mailer sends mail. Package internal/mailer implements it.
type Mailer interface {
	// Send sends a text to one address, and has a time limit of its own. The texts of its errors
	// have neither the address nor parts of the mail, because they are logged.
	Send(ctx context.Context, to, subject, text string) error
}

// Delivery says how a token reaches its person.
type Delivery string

// The deliveries of a token.
const (
	ByHand  Delivery = ""         // the server sends no mail, so the caller gets the token
	Sent    Delivery = "sent"     // the mail server has taken the mail
	NotSent Delivery = "not-sent" // it has not; give-token sends another one
)

// linkPath is where the page is that takes a token, below Options.PublicURL. The token is behind #,
// so browsers send it to no server, and no log of a proxy has it.
const linkPath = "/set-password#token="

// emailPath is the same for the page that takes a token for a new address.
const emailPath = "/confirm-email#token="

// deliver sends a token to its person. If mail is set up, the result does not have the token,
// because only the person may see it. The token is recorded already, so a mail that fails costs
// only another token.
func (d *Desk) deliver(ctx context.Context, m Member, token Token, of letter) Token {
	if d.mailer == nil {
		return token
	}
	if err := d.send(ctx, m, token, of); err != nil {
		d.logger.WarnContext(ctx, "a mail to a person was not sent", "person_id", m.ID, "error", err)
		return Token{Until: token.Until, Delivery: NotSent}
	}
	return Token{Until: token.Until, Delivery: Sent}
}

// letter is the text of a mail, with places for the name, the link and the end of the token.
type letter struct {
	subject, text string
	path          string // of the link; empty: linkPath
}

var (
	invitation = letter{subject: "You are invited", text: `Hello NAME,

you are invited to work in the shop. Set your password here:

LINK

The link is good once, until UNTIL. If it is too old, ask for another one. If you do not know what
this mail is about, you need not do anything.
`}
	newLink = letter{subject: "Set a new password", text: `Hello NAME,

the shop has made this link for you. Set a new password here:

LINK

The link is good once, until UNTIL. Your old password stays good until
you set a new one. If you did not ask for this, tell the shop.
`}
)

func (d *Desk) send(ctx context.Context, m Member, token Token, of letter) error {
	greeting := strings.TrimSpace("Hello " + m.Name)
	filled := strings.NewReplacer("Hello NAME", greeting, "LINK", d.publicURL+cmp.Or(of.path, linkPath)+token.Text, "UNTIL", token.Until.Format("2006-01-02 15:04 MST"))
	if err := d.mailer.Send(ctx, m.Email, of.subject, filled.Replace(of.text)); err != nil {
		return fmt.Errorf("send a mail: %w", err)
	}
	return nil
}
