package signin

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/domain/access"
	"daybook/domain/staff"
	"daybook/eventstore"
)

// askReset asks for a link.
func (o *office) askReset(client, email string) error {
	return o.RequestReset(o.t.Context(), From{Client: client}, OfStaff, email)
}

// work sends the links that were asked for, as Run does.
func (o *office) work() {
	for len(o.signUps) > 0 {
		asked := <-o.signUps
		o.waiting.leave(asked.client)
		o.sendSignUp(o.t.Context(), asked.address)
	}
	for len(o.links) > 0 {
		asked := <-o.links
		o.waiting.leave(asked.client)
		o.sendReset(o.t.Context(), asked.kind, asked.address, resetLink)
	}
}

// Who has forgotten the password gets a link by mail, and sets a new password with it, once. All
// sessions end. A second factor stays.
func TestAForgottenPassword(t *testing.T) {
	t.Parallel()
	o, mails, log := newPostOffice(t)
	ctx := t.Context()
	o.hireByMail(mails, "eve@shop.example", access.Operator)
	session := o.mustSignIn("eve@shop.example")
	if err := o.askReset("c", "Eve@Shop.example"); err != nil {
		t.Fatal(err)
	}
	o.work()
	to, token := mails.last(t)
	if to != "eve@shop.example" || !strings.HasPrefix(token, "dbr_") {
		t.Fatalf("to %s: %s", to, token)
	}
	if _, err := o.Redeem(ctx, token, "short"); err == nil || !strings.HasPrefix(err.Error(), "password: ") {
		t.Errorf("a weak password: %v", err)
	}
	if _, err := o.Redeem(ctx, token, "a new password"); err != nil {
		t.Fatal(err)
	}
	if o.good(session.Token) {
		t.Error("the session goes on")
	}
	if _, err := o.Redeem(ctx, token, "another password"); !errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("the link again: %v", err)
	}
	if done, err := o.signIn(From{Client: "c"}, "eve@shop.example", "a new password"); err != nil || done.Next != Complete {
		t.Errorf("sign in: %+v, %v", done, err)
	}

	o.hireByMail(mails, "boss@shop.example", access.Manager)
	first, err := o.signIn(From{}, "boss@shop.example", password)
	if err != nil {
		t.Fatal(err)
	}
	o.setUp(first.Token)
	if err := o.askReset("c", "boss@shop.example"); err != nil {
		t.Fatal(err)
	}
	o.work()
	_, token = mails.last(t)
	if _, err := o.Redeem(ctx, token, "a new password"); err != nil {
		t.Fatal(err)
	}
	if next, err := o.signIn(From{}, "boss@shop.example", "a new password"); err != nil || next.Next != NeedsCode {
		t.Errorf("with a new password, but without the second factor: %+v, %v", next, err)
	}

	mails.refuses = errors.New("the mail server replied 451")
	if err := o.askReset("c", "eve@shop.example"); err != nil {
		t.Fatal(err)
	}
	o.work()
	if text := log.String(); !strings.Contains(text, "451") || strings.Contains(text, "dbr_") || strings.Contains(text, "eve@") {
		t.Errorf("the log: %s", text)
	}
}

// hireByMail is hire for an office that sends mail.
func (o *office) hireByMail(mails *postBox, email string, role access.Role) staff.PersonID {
	o.t.Helper()
	member, _, err := o.Invite(o.t.Context(), o.admin(), Contact{Email: email, Name: "Eve"}, role)
	if err != nil {
		o.t.Fatal(err)
	}
	_, token := mails.last(o.t)
	if _, err := o.Redeem(o.t.Context(), token, password); err != nil {
		o.t.Fatal(err)
	}
	return member.ID
}

// asksEverything is a store that lists what it is asked.
type asksEverything struct {
	Store

	mu    sync.Mutex
	calls []string
}

func (a *asksEverything) note(call string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, call)
}

func (a *asksEverything) taken() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	calls := strings.Join(a.calls, " ")
	a.calls = nil
	return calls
}

// asked is how often the store was asked for something.
func (a *asksEverything) asked(call string) (times int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, one := range a.calls {
		if one == call {
			times++
		}
	}
	return times
}

func (a *asksEverything) ByEmail(ctx context.Context, email string) (staff.PersonID, time.Time, error) {
	a.note("ByEmail")
	return a.Store.ByEmail(ctx, email)
}

func (a *asksEverything) Contacts(ctx context.Context) (map[staff.PersonID]Contact, error) {
	a.note("Contacts")
	return a.Store.Contacts(ctx)
}

func (a *asksEverything) Secret(ctx context.Context, id string) (string, error) {
	a.note("Secret")
	return a.Store.Secret(ctx, id)
}

func (a *asksEverything) Session(ctx context.Context, hash string) (*Session, error) {
	a.note("Session")
	return a.Store.Session(ctx, hash)
}

// A request for a link does the same work for every address: it asks the store the same questions,
// hashes nothing, sends nothing and records nothing. Only later, when nobody waits, a mail goes to
// people who have joined.
func TestEveryRequestForALinkCostsTheSame(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	ctx := t.Context()
	o.hireByMail(mails, "eve@shop.example", access.Operator)
	gone := o.hireByMail(mails, "gone@shop.example", access.Operator)
	if _, err := o.Disable(ctx, o.admin(), gone, "left"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.Invite(ctx, o.admin(), Contact{Email: "new@shop.example", Name: "New"}, access.Operator); err != nil {
		t.Fatal(err)
	}
	store := &asksEverything{Store: o.store}
	o.store = store
	sent, hashes, recorded := mails.count(), o.hasher.done.Load(), o.recorded()
	for n, email := range []string{"eve@shop.example", "nobody@shop.example", "gone@shop.example", "new@shop.example"} {
		err := o.RequestReset(ctx, From{Client: fmt.Sprint(n), Browser: browserPrefix + strings.Repeat("0", 64)}, OfStaff, email)
		if err != nil {
			t.Errorf("%s: %v", email, err)
		}
		if calls := store.taken(); calls != "Session" {
			t.Errorf("%s: the store is asked %q", email, calls)
		}
		if len(o.links) != n+1 || mails.count() != sent {
			t.Errorf("%s: %d requests wait, %d mails were sent", email, len(o.links), mails.count()-sent)
		}
	}
	o.work()
	if to, _ := mails.last(t); mails.count() != sent+1 || to != "eve@shop.example" {
		t.Errorf("%d mails, the last to %s", mails.count()-sent, to)
	}
	if o.hasher.done.Load() != hashes || o.recorded() != recorded {
		t.Errorf("requests cost %d hashes and %d events", o.hasher.done.Load()-hashes, o.recorded()-recorded)
	}
	if err := o.askReset("x", "eve@shop.example\r\nBcc: all@shop.example"); err == nil || !strings.HasPrefix(err.Error(), "email: ") {
		t.Errorf("no address: %v", err)
	}
	o.mailer = nil
	if err := o.askReset("x", "eve@shop.example"); !errors.Is(err, ErrNoMail) {
		t.Errorf("without a mail server: %v", err)
	}
}

// recorded is how many events the log has.
func (o *office) recorded() (events int) {
	o.t.Helper()
	for _, err := range o.log.ReadAll(o.t.Context(), eventstore.Position{}, eventstore.Filter{}, 0) {
		if err != nil {
			o.t.Fatal(err)
		}
		events++
	}
	return events
}

// Somebody who asks for many links fills no post box, and keeps nobody from a new password: the
// first link stays good, and so does the token of an admin.
func TestManyRequestsLockNobodyOut(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	id := o.hireByMail(mails, "eve@shop.example", access.Operator)
	before := mails.count()
	if err := o.askReset("home", "eve@shop.example"); err != nil {
		t.Fatal(err)
	}
	o.work()
	_, first := mails.last(t)
	for n := range 30 {
		if err := o.askReset(fmt.Sprint("bot", n), "eve@shop.example"); err != nil {
			t.Fatal(err)
		}
	}
	o.work()
	if sent := mails.count() - before; sent != freeOfMails {
		t.Errorf("%d mails were sent to one person", sent)
	}
	o.later(maxPause)
	if err := o.askReset("home", "eve@shop.example"); err != nil {
		t.Fatal(err)
	}
	o.work()
	if sent := mails.count() - before; sent != freeOfMails+1 {
		t.Errorf("after a pause, %d mails", sent)
	}
	if _, _, err := o.GiveToken(t.Context(), o.admin(), id); err != nil {
		t.Fatal(err)
	}
	_, given := mails.last(t)
	if err := o.askReset("bot", "eve@shop.example"); err != nil {
		t.Fatal(err)
	}
	o.work()
	if person, err := o.person(t.Context(), id); err != nil || person.Token == "" || !strings.HasPrefix(given, "dbt_") {
		t.Errorf("the admin's token is gone: %+v, %v", person, err)
	}
	if _, err := o.Redeem(t.Context(), first, "a new password"); err != nil {
		t.Errorf("the first link: %v", err)
	}
}

// One address may ask only so often. A browser with which somebody has signed in counts for itself,
// so that others at the same address cannot use up its requests.
func TestOneAddressAsksForFewLinks(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	o.hireByMail(mails, "eve@shop.example", access.Operator)
	browser := o.mustSignIn("eve@shop.example").Browser
	ask := func(from From) bool {
		t.Helper()
		err := o.RequestReset(t.Context(), from, OfStaff, "somebody@shop.example")
		if _, waits := errors.AsType[*WaitError](err); err != nil && !waits {
			t.Fatal(err)
		}
		return err == nil
	}
	free := 0
	for ask(From{Client: "thief"}) {
		free++
	}
	if free != freeOfResets {
		t.Errorf("%d requests are free", free)
	}
	if !ask(From{Client: "other"}) || !ask(From{Client: "thief", Browser: browser}) {
		t.Error("another address or a browser that is known must wait")
	}
	if ask(From{Client: "thief", Browser: browserPrefix + strings.Repeat("0", 64)}) {
		t.Error("an unknown browser need not wait")
	}
	o.later(time.Hour + time.Second)
	if !ask(From{Client: "thief"}) {
		t.Error("after an hour the address must still wait")
	}
	for n := range maxResets + 5 { // more than may wait are dropped, and the response is the same
		if !ask(From{Client: fmt.Sprint("bot", n)}) {
			t.Error("a request is refused because others wait")
		}
	}
	if len(o.links) != maxResets {
		t.Errorf("%d requests wait", len(o.links))
	}
}

// A link is good for one person, for an hour, and only as long as nothing of theirs has changed.
func TestLinksThatAreNotGood(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, spoil := range map[string]func(o *office, id, other staff.PersonID, token string) string{
		"nothing": func(_ *office, _, _ staff.PersonID, token string) string { return token },
		"another digit": func(_ *office, _, _ staff.PersonID, token string) string {
			return token[:len(token)-1] + flipped(token)
		},
		"another person": func(_ *office, id, other staff.PersonID, token string) string {
			return strings.Replace(token, string(id), string(other), 1)
		},
		"a later end": func(_ *office, _, _ staff.PersonID, token string) string { return later(token) },
		"nobody": func(_ *office, id, _ staff.PersonID, token string) string {
			return strings.Replace(token, string(id), "p0", 1)
		},
		"no end": func(_ *office, id, _ staff.PersonID, token string) string {
			return "dbr_" + string(id) + token[len(token)-65:]
		},
		"an hour": func(o *office, _, _ staff.PersonID, token string) string { o.later(ResetFor); return token },
		"another password": func(o *office, id, _ staff.PersonID, token string) string {
			_ = o.ChangePassword(ctx, id, "c", password, "a new password")
			return token
		},
		"another role": func(o *office, id, _ staff.PersonID, token string) string {
			_, _ = o.ChangeRole(ctx, o.admin(), id, access.Auditor)
			return token
		},
		"an access's end": func(o *office, id, _ staff.PersonID, token string) string {
			_, _ = o.Disable(ctx, o.admin(), id, "")
			return token
		},
		"another secret": func(o *office, _, _ staff.PersonID, token string) string {
			o.resetSecret = make([]byte, 32)
			return token
		},
		"the admin's token": func(o *office, id, _ staff.PersonID, token string) string {
			return "dbt_" + string(id) + token[len(token)-65:]
		},
	} {
		o, mails, _ := newPostOffice(t)
		id, other := o.hireByMail(mails, "eve@shop.example", access.Operator), o.hireByMail(mails, "ann@shop.example", access.Operator)
		if err := o.askReset("c", "eve@shop.example"); err != nil {
			t.Fatal(err)
		}
		o.work()
		_, token := mails.last(t)
		hashes := int64(0)
		spoiled := spoil(o, id, other, token)
		hashes = o.hasher.done.Load()
		_, err := o.Redeem(ctx, spoiled, "yet another password")
		if good := name == "nothing"; good != (err == nil) || !good && !errors.Is(err, staff.ErrTokenRefused) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && o.hasher.done.Load() != hashes {
			t.Errorf("%s: a token that is not good costs a hash", name)
		}
	}
}

// flipped is another last digit than that of a token.
func flipped(token string) string {
	if strings.HasSuffix(token, "0") {
		return "1"
	}
	return "0"
}

// later is a token that claims to be good for longer.
func later(token string) string {
	parts := strings.Split(token, "_")
	parts[2] = "9" + parts[2]
	return strings.Join(parts, "_")
}

// If two programs send the same link at the same moment, only one of them sets a password.
func TestALinkIsGoodOnceEvenAtTheSameMoment(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	o.hireByMail(mails, "eve@shop.example", access.Operator)
	if err := o.askReset("c", "eve@shop.example"); err != nil {
		t.Fatal(err)
	}
	o.work()
	_, token := mails.last(t)
	store := &asksEverything{Store: o.store}
	o.store = store
	for range hashesAtOnce { // so that all programs wait at the hash, after the token was found good
		o.hasher.slots <- struct{}{}
	}
	o.hasher.spare <- struct{}{}
	var all sync.WaitGroup
	results := make([]error, 4)
	for n := range results {
		all.Go(func() { _, results[n] = o.Redeem(t.Context(), token, fmt.Sprint("a new password ", n)) })
	}
	for store.asked("Contacts") < len(results) {
		runtime.Gosched()
	}
	for range hashesAtOnce {
		<-o.hasher.slots
	}
	<-o.hasher.spare
	all.Wait()
	good := 0
	for _, err := range results {
		if err == nil {
			good++
		} else if !errors.Is(err, staff.ErrTokenRefused) {
			t.Error(err)
		}
	}
	if good != 1 {
		t.Errorf("the link was good %d times", good)
	}
}
