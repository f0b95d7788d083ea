package signin

import (
	"context"
	"errors"
	"strings"
	"sync"

	"daybook/domain/staff"
)

const (
	freeOfResets  = 10  // requests for one person from one address, or from one known browser
	freeOfMails   = 3   // mails to one person
	freeOfSignUp  = 30  // requests to sign up from one address
	maxResets     = 200 // requests that may wait for Run
	maxOfClient   = 5   // of these, requests from one address
	resetsAtOnce  = 4   // mails that are sent at the same time
	signUpsAtOnce = 2   // the same for mails to people who sign up, who may be strangers
)

// ErrNoMail means that the server sends no mail, so it can send no link.
var ErrNoMail = errors.New("the server sends no mail")

// linkRequest is a request for a link that waits for Run.
type linkRequest struct {
	kind            Kind
	signUp          bool // a link to make a login; otherwise one to sign in
	address, client string
}

// waiting counts the requests of each client that wait for Run. So one client cannot fill the queue
// with names that nobody has, and keep others from their links.
type waiting struct {
	mu sync.Mutex
	by map[string]int
}

// enter counts a request. It returns false if too many of the client are waiting.
func (w *waiting) enter(client string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by[client] >= maxOfClient {
		return false
	}
	w.by[client]++
	return true
}

func (w *waiting) leave(client string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by[client]--; w.by[client] <= 0 {
		delete(w.by, client)
	}
}

var resetLink = letter{subject: "A link to sign in", text: `Hello NAME,

somebody has asked for a link to sign in with this address. If it was you, go on here:

LINK

With it you can set a new password. Or you keep your password and make your browser known, so that
others who guess your password cannot make you wait.

The link is good once, until UNTIL. If it was not you, ignore this mail. Your password stays as it
is.
`}

// RequestReset lets Run send a link, if a person who has joined has this address. With the link the
// person sets a new password (Redeem), or makes a browser known (KnowBrowser). RequestReset does
// the same work for every address and returns the same, so nobody learns who works in the shop. It
// records no event of its own, so strangers cannot fill the log: see tallies.
//
// Errors: *FieldError, *WaitError, ErrNoMail, and those of the store.
func (d *Desk) RequestReset(ctx context.Context, from From, kind Kind, email string) error {
	return d.requestLink(ctx, from, email, linkRequest{kind: kind})
}

// requestLink checks and counts a request for a link, and lets Run send it.
func (d *Desk) requestLink(ctx context.Context, from From, email string, asked linkRequest) error {
	if d.mailer == nil {
		return ErrNoMail
	}
	address, err := ParseAddress(email)
	if err != nil {
		return err
	}
	keys, err := d.resetKeys(ctx, from, sum(d.storedAddress(asked.kind, address)))
	if err != nil {
		return err
	}
	queue := d.links
	if asked.signUp { // a mail goes to every address, so a client may ask for few, and has a queue apart
		keys = append(keys, key{name: "sign-ups " + from.Client, free: freeOfSignUp})
		queue = d.signUps
	}
	if wait := d.limits.take(keys); wait > 0 {
		return &WaitError{After: wait}
	}
	if !d.waiting.enter(from.Client) {
		return nil // the same as for a full queue, because the response must not depend on the person
	}
	asked.address, asked.client = address, from.Client
	select {
	case queue <- asked:
	default:
		d.waiting.leave(from.Client)
		d.logger.WarnContext(ctx, "a request for a link was dropped, because too many are waiting", "waiting", maxResets)
	}
	return nil
}

// resetKeys returns the keys under which a request is counted. account stands for the e-mail
// address. There is no key for all requests from one address: somebody at the same address could
// use it up, and keep others from their links. If they use up the requests for one person, then
// this person has got the links. A browser with which somebody has signed in has a key of its own.
func (d *Desk) resetKeys(ctx context.Context, from From, account string) ([]key, error) {
	if secret, is := strings.CutPrefix(from.Browser, browserPrefix); is && isSecret(secret) {
		session, err := d.store.Session(ctx, sum(secret))
		if err != nil {
			return nil, err
		}
		if session != nil && session.Stage == KnownBy && d.service.Now().Before(session.ExpiresAt) {
			return []key{{name: "reset browser " + session.Hash, free: freeOfResets}}, nil
		}
	}
	return []key{{name: "reset pair " + from.Client + " " + account, free: freeOfResets}}, nil
}

// sendResets sends links for new passwords and for new addresses until ctx ends.
func (d *Desk) sendResets(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case asked := <-d.links:
			d.waiting.leave(asked.client)
			d.sendReset(ctx, asked.kind, asked.address, resetLink)
		case asked := <-d.moves:
			d.sendMove(ctx, asked)
		}
	}
}

// sendSignUps sends mails to people who sign up until ctx ends.
func (d *Desk) sendSignUps(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case asked := <-d.signUps:
			d.waiting.leave(asked.client)
			d.sendSignUp(ctx, asked.address)
		}
	}
}

// sendReset sends a link, if a person who has joined has the address. If too many mails were sent
// to this person lately, it sends none. The links in those mails are still good, so nobody can keep
// the person from a new password by asking for many.
func (d *Desk) sendReset(ctx context.Context, kind Kind, address string, of letter) {
	id, _, err := d.store.ByEmail(ctx, d.storedAddress(kind, address))
	if err != nil || id == "" {
		d.noteUnsent(ctx, id, err)
		return
	}
	person, err := d.person(ctx, id)
	if err != nil || person.Status != staff.Active {
		d.noteUnsent(ctx, id, err)
		return
	}
	d.tallies.add(id, linkAsked)
	if d.limits.take([]key{{name: "mails " + string(id), free: freeOfMails}}) > 0 {
		return
	}
	m, err := d.Member(ctx, id)
	if err != nil {
		d.noteUnsent(ctx, id, err)
		return
	}
	d.noteUnsent(ctx, id, d.send(ctx, m, d.resetToken(id, m.Person), of))
}

// noteUnsent logs why a link was not sent; nil: nothing is wrong.
func (d *Desk) noteUnsent(ctx context.Context, id staff.PersonID, err error) {
	if err != nil && !errors.Is(err, staff.ErrNotFound) && ctx.Err() == nil {
		d.logger.WarnContext(ctx, "a link to sign in was not sent", "person_id", id, "error", err)
	}
}
