package signin

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/rule"
	"daybook/domain/staff"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// Limits of sessions and of the steps of a sign-in.
const (
	IdleMax    = 30 * time.Minute // since a session was used last
	SessionMax = 12 * time.Hour   // since it began
	BrowserFor = 180 * 24 * time.Hour
	// maxBrowsers is how many browsers are known for a person. A new one takes the place of the
	// oldest, because each has tries of its own.
	maxBrowsers = 20
	stepFor     = 10 * time.Minute // between the password and the code
	stepTries   = 5                // requests with one step token
	// touchEvery bounds how often the use of a session is stored.
	touchEvery = time.Minute
)

// Reasons why a session is refused.
var (
	ErrNoSession    = errors.New("there is no such session, or it has ended")
	ErrSessionEnded = errors.New("the session has ended, or the rights of its holder have changed")
)

const (
	sessionPrefix = "dbs_"
	browserPrefix = "dbb_"
)

// From says where a sign-in comes from.
type From struct {
	Client  string // the address of the client
	Browser string // the token of a known browser; empty: none
}

// SignedIn is the result of a password or a code that was right.
type SignedIn struct {
	// Next is Complete, or the step that is missing.
	Next Stage
	// Token is the token of the session. If a step is missing, it is the token that this step must
	// send.
	Token   string
	Session Session
	// Browser is the token by which the browser is known from now on. It is empty if a step is
	// missing.
	Browser string
	// Recovery has new recovery codes, if the step has made any. They are shown once.
	Recovery []string
	// Customer is the customer who has signed in. It is empty for the staff.
	Customer unit.CustomerID
}

// SignIn compares a password of the staff or of a customer. setUp asks to set up a second factor
// even if the role needs none.
//
// Errors: ErrRefused, *WaitError, ErrBusy, and those of the log and the store.
func (d *Desk) SignIn(ctx context.Context, from From, kind Kind, email, password string, setUp bool) (SignedIn, error) {
	account := "unknown"
	email, err := ParseAddress(email)
	var id staff.PersonID
	if err == nil { // a text that is no address is nobody's, but costs the same work
		email = d.storedAddress(kind, email)
		account = sum(email)
		if id, _, err = d.store.ByEmail(ctx, email); err != nil {
			return SignedIn{}, err
		}
	}
	reading := id
	if id == "" && kind == OfCustomer {
		reading = unknownLogin
	}
	person, err := d.person(ctx, reading)
	if err != nil {
		return SignedIn{}, err
	}
	keys, err := d.keys(ctx, from, id, account)
	if err != nil {
		return SignedIn{}, err
	}
	if wait := d.limits.take(keys); wait > 0 {
		d.tallies.add(id, delayed)
		return SignedIn{}, &WaitError{After: wait}
	}
	if good, err := d.compare(ctx, person, password, kind == OfStaff && isKnown(keys)); err != nil || !good {
		d.tallies.addIf(err == nil, id, wrongPassword)
		d.noteGuessing(id, accountKey(account))
		return SignedIn{}, orRefused(err)
	}
	next := Complete
	switch {
	case person.Factor != "":
		next = NeedsCode
	case setUp || d.factorFor(person.Role):
		next = NeedsApp
	}
	if next != Complete {
		// The try counts as failed until a good code comes.
		token, session := d.newSession(id, person, next, stepFor)
		return SignedIn{Next: next, Token: token, Session: session}, d.store.SaveSession(ctx, session)
	}
	done, err := d.begin(ctx, from, id, person, staff.SignIn{Person: id, Credential: person.Credential})
	if err == nil {
		d.limits.clear(keys)
	}
	return done, err
}

// keys returns the keys under which a sign-in is counted. A browser counts as known only for the
// person who has signed in with it. The work is the same if there is no such person.
func (d *Desk) keys(ctx context.Context, from From, id staff.PersonID, account string) ([]key, error) {
	device, err := d.device(ctx, from, id)
	return signInKeys(account, from.Client, device), err
}

// device stands for the browser of a sign-in, if it is known. Otherwise it is empty. All browsers
// that links have made known, and with which the person has not signed in yet, are one device.
// Otherwise somebody who reads the person's mail could get ever more devices, each with free tries
// for passwords and codes.
func (d *Desk) device(ctx context.Context, from From, id staff.PersonID) (device string, err error) {
	if secret, is := strings.CutPrefix(from.Browser, browserPrefix); is && len(secret) == 64 {
		session, err := d.store.Session(ctx, sum(secret))
		if err != nil {
			return "", err
		}
		theirs := session != nil && id != "" && session.Person == id && d.service.Now().Before(session.ExpiresAt)
		if theirs && session.Stage == KnownBy {
			device = session.Hash
		}
		if theirs && session.Stage == LinkedBy {
			device = "linked " + string(id)
		}
	}
	return device, nil
}

// guess says that somebody tries to guess the password of a person.
type guess struct {
	person   staff.PersonID
	failures int
}

// maxGuesses is how many of them may wait for Run. Further ones are dropped, because the next
// failure makes one again.
const maxGuesses = 16

// noteGuessing lets Run record that somebody tries to guess, if there are many failures under the
// name of a key. The sign-in does not wait for it, because its time would tell that there is such a
// person.
func (d *Desk) noteGuessing(id staff.PersonID, name string) {
	failures := d.limits.failures(name)
	if id == "" || failures < noteAt {
		return
	}
	select {
	case d.guesses <- guess{id, failures}:
	default:
	}
}

// record records a guess, once an hour for each person.
func (d *Desk) record(ctx context.Context, noticed guess) {
	command := staff.NoteGuessing{Person: noticed.person, Failures: int64(noticed.failures), Since: d.service.Now().UTC().Truncate(time.Hour)}
	who := access.System("sign-in") // whoever guesses was not authenticated
	call := commands.Call{Who: who, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: who.ID, Channel: "api"}}
	if _, err := d.service.Staff(ctx, call, noticed.person, command); err != nil {
		d.logger.WarnContext(ctx, "guessing cannot be recorded", "person_id", noticed.person, "error", err)
	}
}

// newSession makes a session. Its token is always new. So somebody who plants a token in a browser
// before the sign-in does not know the token of the session.
func (d *Desk) newSession(id staff.PersonID, person staff.Person, stage Stage, lasts time.Duration) (token string, session Session) {
	secret, now := randomHex(32), d.service.Now().UTC()
	return sessionPrefix + secret, Session{
		Hash: sum(secret), ID: "s" + randomHex(5), Person: id, Stage: stage, Generation: person.Generation, Credential: person.Credential,
		BeganAt: now, UsedAt: now, ExpiresAt: now.Add(lasts),
	}
}

// begin records a sign-in and stores its session. The commands in more come before it, in the same
// append.
func (d *Desk) begin(ctx context.Context, from From, id staff.PersonID, person staff.Person, signIn staff.SignIn, more ...staff.Command) (SignedIn, error) {
	token, session := d.newSession(id, person, Complete, SessionMax)
	signIn.Session = session.ID
	if _, err := d.service.Staff(ctx, d.callOf(id), id, append(more, signIn)...); err != nil {
		if _, refused := errors.AsType[*rule.Rejection](err); refused {
			return SignedIn{}, ErrRefused // the reason would help somebody who guesses
		}
		return SignedIn{}, err
	}
	session.Generation += int64(len(more)) // a new second factor ends the other sessions, but not this one
	if id.IsLogin() {                      // everybody can make one, so each has few sessions
		if err := d.store.KeepNewest(ctx, id, Complete, maxBrowsers-1); err != nil {
			return SignedIn{}, err
		}
	}
	if err := d.store.SaveSession(ctx, session); err != nil {
		return SignedIn{}, err
	}
	secret := randomHex(32)
	browser := session
	browser.Hash, browser.ID, browser.Stage, browser.ExpiresAt = sum(secret), "b"+randomHex(5), KnownBy, session.BeganAt.Add(BrowserFor)
	done := SignedIn{Next: Complete, Token: token, Session: session, Browser: browserPrefix + secret}
	if id.IsLogin() {
		var err error
		if done.Customer, err = d.service.Answering(ctx, person.Customer); err != nil {
			return SignedIn{}, err
		}
		d.claimOrders(ctx, id, done.Customer, person.ConfirmedEmail)
	}
	if err := d.endBrowser(ctx, from, id); err != nil {
		return SignedIn{}, err
	}
	if err := d.store.KeepNewest(ctx, id, KnownBy, maxBrowsers-1); err != nil {
		return SignedIn{}, err
	}
	return done, d.store.SaveSession(ctx, browser)
}

// endBrowser ends what a browser was known by, because it gets another token. What it was known by
// for somebody else stays, so nobody can make others unknown.
func (d *Desk) endBrowser(ctx context.Context, from From, id staff.PersonID) error {
	secret, is := strings.CutPrefix(from.Browser, browserPrefix)
	if !is {
		return nil
	}
	old, err := d.store.Session(ctx, sum(secret))
	if err != nil || old == nil || old.Person != id || old.Stage != KnownBy && old.Stage != LinkedBy {
		return err
	}
	_, err = d.store.EndSession(ctx, old.Hash)
	return err
}

// IsSession tells whether a text has the form of the token of a session.
func IsSession(text string) bool {
	secret, is := strings.CutPrefix(text, sessionPrefix)
	return is && len(secret) == 64
}

// Authenticate tells who holds a session. The text is what the browser sent.
//
// Errors: ErrNoSession, and those of the log and the store.
func (d *Desk) Authenticate(ctx context.Context, token string) (access.Principal, error) {
	if !IsSession(token) {
		return access.Principal{}, ErrNoSession
	}
	return d.holder(ctx, sum(strings.TrimPrefix(token, sessionPrefix)), true)
}

// HasAddress tells whether a text is the e-mail address of a person.
//
// Errors: those of the store.
func (d *Desk) HasAddress(ctx context.Context, id staff.PersonID, text string) (bool, error) {
	email, err := ParseAddress(text)
	if err != nil {
		return false, nil //nolint:nilerr // it is nobody's
	}
	found, _, err := d.store.ByEmail(ctx, d.storedAddress(kindOf(id), email))
	return err == nil && found == id && id != "", err
}

// holder returns who holds the session whose token has this hash. If uses is true, it notes that
// the session was used.
func (d *Desk) holder(ctx context.Context, hash string, uses bool) (access.Principal, error) {
	session, err := d.store.Session(ctx, hash)
	if err != nil {
		return access.Principal{}, err
	}
	now := d.service.Now()
	if session == nil || session.Stage != Complete || !session.lives(now) {
		return access.Principal{}, ErrNoSession
	}
	person, err := d.person(ctx, session.Person)
	if err != nil {
		return access.Principal{}, err
	}
	if person.Status != staff.Active || person.Generation != session.Generation {
		return access.Principal{}, ErrNoSession
	}
	if person.Factor == "" && d.factorFor(person.Role) {
		return access.Principal{}, ErrNoSession // their role has got such grants since they signed in
	}
	if uses && now.Sub(session.UsedAt) >= touchEvery {
		if err := d.store.Touch(ctx, hash, now.UTC()); err != nil {
			return access.Principal{}, err
		}
	}
	who := access.Principal{ID: session.Person.Actor(), Role: person.Role, Grants: d.grants(person.Role), Credential: hash}
	if session.Person.IsLogin() {
		who.Customer, err = d.service.Answering(ctx, person.Customer)
	}
	return who, err
}

// lives tells whether a session is before its end and was used in the last 30 minutes (IdleMax).
func (s *Session) lives(now time.Time) bool {
	return now.Before(s.ExpiresAt) && now.Sub(s.UsedAt) < IdleMax
}

// PersonOf returns the id of the person behind a principal. It is empty if the principal is not a
// person who has signed in.
func PersonOf(who access.Principal) staff.PersonID {
	return staff.OfActor(who.ID)
}

// Sessions are the sessions of a person that are good now, the oldest first.
func (d *Desk) Sessions(ctx context.Context, id staff.PersonID) ([]Session, error) {
	person, err := d.person(ctx, id)
	if err != nil {
		return nil, err
	}
	all, err := d.store.Sessions(ctx, id)
	var good []Session
	for _, session := range all {
		if session.Generation == person.Generation && session.lives(d.service.Now()) {
			good = append(good, session)
		}
	}
	return good, err
}

// EndSession ends a session of a person. If there is no such session, for example because it has
// ended, EndSession does nothing and returns no error.
func (d *Desk) EndSession(ctx context.Context, id staff.PersonID, session string) error {
	return d.endNamed(ctx, d.callOf(id), id, session)
}

// EndSessionOf is EndSession for an admin, who is the sender of the call.
//
// Errors: staff.ErrNotFound, *access.LacksError, and those of the log and the store.
func (d *Desk) EndSessionOf(ctx context.Context, call commands.Call, id staff.PersonID, session string) (Member, error) {
	if call.Who.IsZero() {
		return Member{}, commands.ErrNobody
	}
	m, err := d.Member(ctx, id)
	if err != nil {
		return Member{}, err
	}
	// The command checks the caller's rights, too. Here they are checked before the session is
	// deleted.
	if permission := call.Who.Lacks(d.grants(m.Role)); permission != "" {
		return Member{}, &access.LacksError{Permission: permission}
	}
	return m, d.endNamed(ctx, call, id, session)
}

func (d *Desk) endNamed(ctx context.Context, call commands.Call, id staff.PersonID, session string) error {
	all, err := d.store.Sessions(ctx, id)
	if err != nil {
		return err
	}
	for _, one := range all {
		if one.ID == session {
			return d.end(ctx, call, one)
		}
	}
	return nil
}

// SignOut ends the session of a principal.
func (d *Desk) SignOut(ctx context.Context, who access.Principal) error {
	session, err := d.store.Session(ctx, who.Credential)
	if err != nil || session == nil {
		return err
	}
	return d.end(ctx, d.callOf(session.Person), *session)
}

func (d *Desk) end(ctx context.Context, call commands.Call, session Session) error {
	ended, err := d.store.EndSession(ctx, session.Hash)
	if err != nil || !ended {
		return err
	}
	_, err = d.service.Staff(ctx, call, session.Person, staff.SignOut{Person: session.Person, Session: session.ID})
	return err
}

// Run deletes old sessions, records that somebody guesses and what was tried, and sends links to
// people who have asked for one, until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	var sending sync.WaitGroup
	defer sending.Wait()
	for range resetsAtOnce {
		sending.Go(func() { d.sendResets(ctx) })
	}
	for range signUpsAtOnce {
		sending.Go(func() { d.sendSignUps(ctx) })
	}
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	counting := time.NewTicker(tallyEvery)
	defer counting.Stop()
	d.prune(ctx)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case noticed := <-d.guesses:
			d.record(ctx, noticed)
		case <-counting.C:
			d.recordTallies(ctx, d.tallies.due())
		case <-ticker.C:
			d.prune(ctx)
		}
	}
}

func (d *Desk) prune(ctx context.Context) {
	if err := d.store.Prune(ctx, d.service.Now()); err != nil && ctx.Err() == nil {
		d.logger.WarnContext(ctx, "old sessions are not deleted", "error", err)
	}
}
