package signin

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/staff"
)

// move sends the mails about new addresses, as Run does.
func (o *office) move() {
	for len(o.moves) > 0 {
		o.sendMove(o.t.Context(), <-o.moves)
	}
}

// invite invites a person who has an address.
func (o *office) invite(email string) error {
	o.t.Helper()
	_, _, err := o.Invite(o.t.Context(), o.admin(), Contact{Email: email, Name: "Other"}, access.Operator)
	return err
}

// linkTo is the token in the last mail to an address; empty: there is no such mail with a link.
func (p *postBox) linkTo(address string) (token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, to := range p.to {
		if _, rest, found := strings.Cut(p.texts[i], "https://shop.example/confirm-email#token="); found && to == address {
			token, _, _ = strings.Cut(rest, "\n")
		}
	}
	return token
}

// noticesTo counts the notices to an address.
func (p *postBox) noticesTo(address string) (count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, to := range p.to {
		if to == address && strings.Contains(p.texts[i], "somebody has asked to change the address") {
			count++
		}
	}
	return count
}

// A person changes their address with their password. Nothing changes until the link is used that
// went to the new address. Then the sessions end, only the new address is good, and everything that
// went to the old address is not.
func TestAPersonChangesTheirAddress(t *testing.T) {
	t.Parallel()
	o, mails, log := newPostOffice(t)
	ctx := t.Context()
	id := o.hireByMail(mails, "eve@shop.example", access.Operator)
	session := o.mustSignIn("eve@shop.example")
	if err := o.AskEmail(ctx, id, "c", "a wrong password", "eve@home.example"); !errors.Is(err, ErrRefused) {
		t.Errorf("with a wrong password: %v", err)
	}
	for _, wrong := range []string{"nothing", "eve@home.example\r\nBcc: all@shop.example", "EVE@shop.example"} {
		if err := o.AskEmail(ctx, id, "c", password, wrong); err == nil || !strings.HasPrefix(err.Error(), "email: ") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if o.move(); mails.noticesTo("eve@shop.example") != 0 {
		t.Error("a request that was refused sends a mail")
	}
	if err := o.askReset("c", "eve@shop.example"); err != nil {
		t.Fatal(err)
	}
	o.work()
	_, reset := mails.last(t)
	if err := o.AskEmail(ctx, id, "c", password, "Eve@home.example"); err != nil {
		t.Fatal(err)
	}
	o.move()
	token := mails.linkTo("eve@home.example")
	if token == "" || mails.noticesTo("eve@shop.example") != 1 || mails.linkTo("eve@shop.example") != "" {
		t.Fatalf("the mails: %q %q", mails.to, mails.texts)
	}
	if _, err := o.signIn(From{Client: "c"}, "eve@home.example", password); !errors.Is(err, ErrRefused) {
		t.Errorf("with the new address before it is confirmed: %v", err)
	}
	if !o.good(session.Token) {
		t.Error("the session has ended before the address is confirmed")
	}
	m, err := o.ConfirmEmail(ctx, token)
	if err != nil || m.Email != "eve@home.example" || m.ID != id {
		t.Fatalf("confirm: %+v, %v", m, err)
	}
	if o.good(session.Token) {
		t.Error("the session goes on")
	}
	if _, err := o.signIn(From{Client: "c"}, "eve@shop.example", password); !errors.Is(err, ErrRefused) {
		t.Errorf("with the old address: %v", err)
	}
	o.mustSignIn("eve@home.example")
	if _, err := o.ConfirmEmail(ctx, token); !errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("the link again: %v", err)
	}
	if _, err := o.Redeem(ctx, reset, "another password"); !errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("a link for a new password that went to the old address: %v", err)
	}
	if text := log.String(); strings.Contains(text, "@") || strings.Contains(text, "dbe_") {
		t.Errorf("the log: %s", text)
	}
	if err := o.invite("eve@shop.example"); err != nil {
		t.Errorf("the old address is not free: %v", err)
	}
}

// A link for a new address ends in many ways. A forged one is never good.
func TestLinksForAnAddressEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(o *office, id staff.PersonID, mails *postBox) error
		keep bool
	}{
		"nothing happens": {func(*office, staff.PersonID, *postBox) error { return nil }, true},
		"time passes":     {func(o *office, _ staff.PersonID, _ *postBox) error { o.later(ConfirmFor); return nil }, false},
		"another change": {func(o *office, id staff.PersonID, _ *postBox) error {
			return o.AskEmail(o.t.Context(), id, "c", password, "eve@other.example")
		}, false},
		"another password": {func(o *office, id staff.PersonID, _ *postBox) error {
			return o.ChangePassword(o.t.Context(), id, "c", password, "another password")
		}, false},
		"another role": {func(o *office, id staff.PersonID, _ *postBox) error {
			_, err := o.ChangeRole(o.t.Context(), o.admin(), id, access.Auditor)
			return err
		}, false},
		"the end of the access": {func(o *office, id staff.PersonID, _ *postBox) error {
			_, err := o.Disable(o.t.Context(), o.admin(), id, "left")
			return err
		}, false},
		"somebody else gets the address": {func(o *office, _ staff.PersonID, _ *postBox) error {
			return o.invite("eve@home.example")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, mails, _ := newPostOffice(t)
			id := o.hireByMail(mails, "eve@shop.example", access.Operator)
			if err := o.AskEmail(t.Context(), id, "c", password, "eve@home.example"); err != nil {
				t.Fatal(err)
			}
			o.move()
			token := mails.linkTo("eve@home.example")
			if err := c.end(o, id, mails); err != nil {
				t.Fatal(err)
			}
			other := strings.Replace(token, "6576", "6577", 1) // another address
			forged := token[:len(token)-1] + map[bool]string{true: "1", false: "0"}[strings.HasSuffix(token, "0")]
			for _, wrong := range []string{"", "dbe_x", other, forged, strings.Replace(token, "dbe_", "dbr_", 1)} {
				if _, err := o.ConfirmEmail(t.Context(), wrong); !errors.Is(err, staff.ErrTokenRefused) {
					t.Errorf("%q: %v", wrong, err)
				}
			}
			_, err := o.ConfirmEmail(t.Context(), token)
			if (err == nil) != c.keep {
				t.Errorf("the link: %v", err)
			}
			contacts, err := o.store.Contacts(t.Context())
			if want := map[bool]string{true: "eve@home.example", false: "eve@shop.example"}[c.keep]; err != nil || contacts[id].Email != want {
				t.Errorf("then the address is %q, %v", contacts[id].Email, err)
			}
		})
	}
}

// A request for an address that somebody else has costs the same and gets the same response. The
// holder of the address gets no mail, and the address stays theirs.
func TestEveryNewAddressCostsTheSame(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	ctx := t.Context()
	o.hireByMail(mails, "ann@shop.example", access.Operator)
	id := o.hireByMail(mails, "eve@shop.example", access.Operator)
	store := &asksEverything{Store: o.store}
	o.store = store
	var first string
	for n, address := range []string{"free@home.example", "ann@shop.example"} {
		sent, hashes, recorded := mails.count(), o.hasher.done.Load(), o.recorded()
		if err := o.AskEmail(ctx, id, "c", password, address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		calls := store.taken()
		if n == 0 {
			first = calls
		}
		if calls != first || o.hasher.done.Load() != hashes+1 || o.recorded() != recorded+1 || mails.count() != sent {
			t.Errorf("%s: the store is asked %q and not %q, %d hashes, %d events, %d mails", address, calls, first, o.hasher.done.Load()-hashes, o.recorded()-recorded, mails.count()-sent)
		}
		o.move()
		store.taken()
	}
	if mails.linkTo("ann@shop.example") != "" || mails.noticesTo("ann@shop.example") != 0 || mails.noticesTo("eve@shop.example") != 2 {
		t.Errorf("the mails: %q %q", mails.to, mails.texts)
	}
	o.mustSignIn("ann@shop.example")
}

// Few mails go to new addresses, so that a person cannot fill the post box of a stranger.
func TestFewMailsGoToNewAddresses(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	id := o.hireByMail(mails, "eve@shop.example", access.Operator)
	var wait *WaitError
	for n := range freeOfMails {
		if err := o.AskEmail(t.Context(), id, "c", password, "stranger@home.example"); err != nil {
			t.Errorf("request %d: %v", n+1, err)
		}
	}
	if err := o.AskEmail(t.Context(), id, "c", password, "stranger@home.example"); !errors.As(err, &wait) {
		t.Errorf("one more: %v", err)
	}
	o.mailer = nil
	if err := o.AskEmail(t.Context(), id, "c", password, "x@home.example"); !errors.Is(err, ErrNoMail) {
		t.Errorf("without a mail server: %v", err)
	}
}

// An admin changes the address of a person. The token goes to the new address, or to the admin if
// there is no mail server. Somebody with less rights than the person cannot do it, and does not
// learn who has an address.
func TestAnAdminChangesAnAddress(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	ctx := t.Context()
	id := o.hireByMail(mails, "eve@shop.example", access.Manager)
	o.hireByMail(mails, "ann@shop.example", access.Operator)
	waiting, _, err := o.Invite(ctx, o.admin(), Contact{Email: "new@shop.example", Name: "New"}, access.Operator)
	if err != nil {
		t.Fatal(err)
	}
	grants, _ := access.BuiltIn(access.Auditor)
	weak := o.admin()
	weak.Who = access.Principal{ID: "key:weak", Grants: grants}
	var lacks *access.LacksError
	for name, c := range map[string]struct {
		call    commands.Call
		person  staff.PersonID
		address string
		refused func(error) bool
	}{
		"an address of somebody else": {o.admin(), id, "ann@shop.example", func(err error) bool { return errors.Is(err, staff.ErrExists) }},
		"nobody":                      {o.admin(), "p0", "x@home.example", func(err error) bool { return errors.Is(err, staff.ErrNotFound) }},
		"who has not joined":          {o.admin(), waiting.ID, "x@home.example", func(err error) bool { return errors.Is(err, staff.ErrNotJoined) }},
		"with less rights":            {weak, id, "x@home.example", func(err error) bool { return errors.As(err, &lacks) }},
		"with less rights, taken":     {weak, id, "ann@shop.example", func(err error) bool { return errors.As(err, &lacks) }},
		"the present address":         {o.admin(), id, "EVE@shop.example", func(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "email: ") }},
	} {
		if _, shown, err := o.ChangeEmail(ctx, c.call, c.person, c.address); !c.refused(err) || shown.Text != "" {
			t.Errorf("%s: %+v, %v", name, shown, err)
		}
	}
	_, shown, err := o.ChangeEmail(ctx, o.admin(), id, "eve@home.example")
	if err != nil || shown.Text != "" || shown.Delivery != Sent || mails.noticesTo("eve@shop.example") != 1 {
		t.Fatalf("by mail: %+v, %v", shown, err)
	}
	if m, err := o.ConfirmEmail(ctx, mails.linkTo("eve@home.example")); err != nil || m.Email != "eve@home.example" {
		t.Errorf("confirm: %+v, %v", m, err)
	}
	o.mailer = nil
	_, shown, err = o.ChangeEmail(ctx, o.admin(), id, "eve@other.example")
	if err != nil || !strings.HasPrefix(shown.Text, "dbe_") || shown.Delivery != ByHand {
		t.Fatalf("without a mail server: %+v, %v", shown, err)
	}
	if m, err := o.ConfirmEmail(ctx, shown.Text); err != nil || m.Email != "eve@other.example" {
		t.Errorf("confirm: %+v, %v", m, err)
	}
}

// If a link is used many times at once, the address changes once.
func TestALinkForAnAddressIsUsedOnce(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	id := o.hireByMail(mails, "eve@shop.example", access.Operator)
	if err := o.AskEmail(t.Context(), id, "c", password, "eve@home.example"); err != nil {
		t.Fatal(err)
	}
	o.move()
	token, before := mails.linkTo("eve@home.example"), o.recorded()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := o.ConfirmEmail(t.Context(), token); err != nil && !errors.Is(err, staff.ErrTokenRefused) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	contacts, err := o.store.Contacts(t.Context())
	if recorded := o.recorded() - before; err != nil || recorded != 1 || contacts[id].Email != "eve@home.example" {
		t.Errorf("%d events, the address %q, %v", recorded, contacts[id].Email, err)
	}
}

// interferes does something between the moment at which an address is stored and the one at which
// it is recorded.
type interferes struct {
	Store
	once sync.Once
	what func()
}

func (i *interferes) ChangeEmail(ctx context.Context, id staff.PersonID, email string, holder staff.PersonID, now time.Time) (bool, error) {
	changed, err := i.Store.ChangeEmail(ctx, id, email, holder, now)
	i.once.Do(i.what)
	return changed, err
}

// If another change is asked for while a link is used, the log does not have the address of the
// link, so the address must not have changed.
func TestAnAddressThatIsNotRecordedIsTakenBack(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	id := o.hireByMail(mails, "eve@shop.example", access.Operator)
	if err := o.AskEmail(t.Context(), id, "c", password, "eve@home.example"); err != nil {
		t.Fatal(err)
	}
	o.move()
	inner := &interferes{Store: o.store}
	inner.what = func() {
		_, err := o.service.Staff(t.Context(), o.callOf(id), id, staff.AskEmail{Person: id, Change: "another", Until: o.service.Now().Add(time.Hour), Now: o.service.Now()})
		if err != nil {
			t.Error(err)
		}
	}
	o.store = inner
	if _, err := o.ConfirmEmail(t.Context(), mails.linkTo("eve@home.example")); !errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("the link: %v", err)
	}
	contacts, err := o.store.Contacts(t.Context())
	if err != nil || contacts[id].Email != "eve@shop.example" {
		t.Errorf("then the address is %q, %v", contacts[id].Email, err)
	}
	o.later(time.Second)
	o.mustSignIn("eve@shop.example")
}
