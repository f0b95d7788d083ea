package signin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"daybook/domain/access"
	"daybook/domain/staff"
	"daybook/eventstore"
)

// link asks for a link and returns its token.
func (o *office) link(mails *postBox, email string) string {
	o.t.Helper()
	before := mails.count()
	if err := o.askReset("home", email); err != nil {
		o.t.Fatal(err)
	}
	o.work()
	if mails.count() != before+1 {
		o.t.Fatalf("%d mails have come", mails.count()-before)
	}
	_, token := mails.last(o.t)
	return token
}

// guesser is somebody who guesses a password from ever new addresses, without end.
type guesser struct {
	*office
	email     string
	addresses int
	tried     int // passwords that were compared
}

// guess tries until the account's limit is used up, and then once more each time a pause is over,
// until a time.
func (g *guesser) guess(until time.Time) {
	g.t.Helper()
	for {
		g.addresses++
		_, err := g.signIn(From{Client: fmt.Sprint("bot", g.addresses)}, g.email, "Summer2026!Summer")
		wait, waits := errors.AsType[*WaitError](err)
		switch {
		case waits && g.service.Now().Add(wait.After).After(until):
			return
		case waits:
			g.later(wait.After)
		case errors.Is(err, ErrRefused):
			g.tried++
		default:
			g.t.Fatal(err)
		}
	}
}

// Somebody guesses a person's password from ever new addresses. The person signs in with a browser
// that the shop has not seen, all the same: with a link, or with the token of an admin. The guesser
// gets no more tries by this than without it.
func TestGuessingFromManyAddressesKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	tries := map[string]int{}
	for name, enter := range map[string]func(o *office, mails *postBox, id staff.PersonID) (browser, password string){
		"nobody comes": func(*office, *postBox, staff.PersonID) (string, string) { return "", "" },
		"a link": func(o *office, mails *postBox, _ staff.PersonID) (string, string) {
			browser, err := o.KnowBrowser(t.Context(), o.link(mails, "eve@shop.example"))
			if err != nil {
				t.Fatal(err)
			}
			return browser, password
		},
		"a link and a new password": func(o *office, mails *postBox, _ staff.PersonID) (string, string) {
			done, err := o.Redeem(t.Context(), o.link(mails, "eve@shop.example"), "a new password")
			if err != nil {
				t.Fatal(err)
			}
			return done.Browser, "a new password"
		},
		"an admin's token": func(o *office, _ *postBox, id staff.PersonID) (string, string) {
			o.mailer = nil
			_, token, err := o.GiveToken(t.Context(), o.admin(), id)
			if err != nil {
				t.Fatal(err)
			}
			done, err := o.Redeem(t.Context(), token.Text, "a new password")
			if err != nil {
				t.Fatal(err)
			}
			return done.Browser, "a new password"
		},
	} {
		o, mails, _ := newPostOffice(t)
		id := o.hireByMail(mails, "eve@shop.example", access.Operator)
		thief := &guesser{office: o, email: "eve@shop.example"}
		start := o.service.Now()
		thief.guess(start.Add(12 * time.Hour))
		if _, err := o.signIn(From{Client: "new"}, "eve@shop.example", password); !isWait(err) {
			t.Errorf("%s: a browser that is not known: %v", name, err)
		}
		if browser, now := enter(o, mails, id); browser != "" {
			for _, client := range []string{"new", "bot1"} { // at the guesser's address, too
				from := From{Client: client, Browser: browser}
				done, err := o.signIn(from, "eve@shop.example", now)
				if err != nil || !o.good(done.Token) {
					t.Fatalf("%s: the person: %v", name, err)
				}
				browser = done.Browser // from now on the browser is known by the sign-in
			}
		}
		thief.guess(start.Add(24 * time.Hour))
		if thief.tried < freeOfAccount || thief.tried > freeOfAccount+24*4+10 {
			t.Errorf("%s: %d passwords were tried in a day", name, thief.tried)
		}
		tries[name] = thief.tried
	}
	for name, tried := range tries {
		if tried > tries["nobody comes"] {
			t.Errorf("%s: %d passwords were tried, and %d otherwise", name, tried, tries["nobody comes"])
		}
	}
}

func isWait(err error) bool {
	_, waits := errors.AsType[*WaitError](err)
	return waits
}

// A link makes a browser known and does nothing else. It is no sign-in, the second factor is still
// needed, and it counts only for its person.
func TestAKnownBrowserIsNoSignIn(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	ctx := t.Context()
	o.hireByMail(mails, "boss@shop.example", access.Manager)
	o.hireByMail(mails, "ann@shop.example", access.Operator)
	first, err := o.signIn(From{}, "boss@shop.example", password)
	if err != nil {
		t.Fatal(err)
	}
	factor, session := o.setUp(first.Token)
	browser, err := o.KnowBrowser(ctx, o.link(mails, "boss@shop.example"))
	if err != nil || o.good(browser) || o.good(sessionPrefix+strings.TrimPrefix(browser, browserPrefix)) {
		t.Fatalf("the token of a known browser is that of a session: %v", err)
	}
	if !o.good(session.Token) {
		t.Error("a link ends a session")
	}
	from := From{Client: "new", Browser: browser}
	if _, err := o.signIn(from, "boss@shop.example", "a wrong password"); !errors.Is(err, ErrRefused) {
		t.Errorf("a wrong password: %v", err)
	}
	step, err := o.signIn(from, "boss@shop.example", password)
	if err != nil || step.Next != NeedsCode || step.Browser != "" {
		t.Fatalf("without a code: %+v, %v", step, err)
	}
	o.later(time.Minute)
	done, err := o.Code(ctx, from, step.Token, o.code(factor.Secret))
	if err != nil || !o.good(done.Token) {
		t.Fatalf("with a code: %v", err)
	}
	if o.limits.failures("device linked "+string(done.Session.Person)) != 0 {
		t.Error("tries in the browser still count as failed after the sign-in")
	}
	for n := range freeOfAccount {
		_, _ = o.signIn(From{Client: fmt.Sprint("bot", n)}, "ann@shop.example", "a wrong password")
	}
	other, err := o.KnowBrowser(ctx, o.link(mails, "boss@shop.example"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.signIn(From{Client: "new", Browser: other}, "ann@shop.example", password); !isWait(err) {
		t.Errorf("a browser that is known for somebody else: %v", err)
	}
	o.later(LinkedFor)
	if device, err := o.device(ctx, From{Browser: other}, done.Session.Person); err != nil || device != "" {
		t.Errorf("after a day the browser is still known: %q, %v", device, err)
	}
}

// Somebody who reads a person's mail has as many links as are sent. All browsers of these links
// have the tries of one browser, for passwords and for codes.
func TestManyLinksAreOneBrowser(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	ctx := t.Context()
	o.hireByMail(mails, "boss@shop.example", access.Manager)
	first, err := o.signIn(From{}, "boss@shop.example", password)
	if err != nil {
		t.Fatal(err)
	}
	factor, owner := o.setUp(first.Token)
	passwords, codes, links := 0, 0, 0
	for end := o.service.Now().Add(24 * time.Hour); o.service.Now().Before(end); o.later(maxPause) {
		links++
		browser, err := o.KnowBrowser(ctx, o.link(mails, "boss@shop.example"))
		if err != nil {
			t.Fatal(err)
		}
		from := From{Client: fmt.Sprint("reader", links), Browser: browser}
		for range 50 {
			if _, err := o.signIn(from, "boss@shop.example", "a wrong password"); errors.Is(err, ErrRefused) {
				passwords++
			}
		}
	}
	if passwords > 2*freeOfDevice+links {
		t.Errorf("with %d links, %d passwords were tried in a day", links, passwords)
	}
	o.later(2 * forgotten)
	for links = 0; links < 96; links++ {
		o.later(maxPause)
		browser, err := o.KnowBrowser(ctx, o.link(mails, "boss@shop.example"))
		if err != nil {
			t.Fatal(err)
		}
		from := From{Client: fmt.Sprint("reader", links), Browser: browser}
		step, err := o.signIn(from, "boss@shop.example", password)
		for range stepTries {
			if err != nil {
				break
			}
			if _, err = o.Code(ctx, from, step.Token, "no"+o.code(factor.Secret)[2:]); errors.Is(err, ErrRefused) {
				codes, err = codes+1, nil
			}
		}
	}
	if codes < freeOfCodes || codes > 150 {
		t.Errorf("with %d links, %d codes were tried in a day", links, codes)
	}
	// The owner signs in with a browser that is known by a sign-in.
	home := From{Client: "home", Browser: owner.Browser}
	step, err := o.signIn(home, "boss@shop.example", password)
	if err == nil {
		_, err = o.Code(ctx, home, step.Token, o.code(factor.Secret))
	}
	if err != nil {
		t.Errorf("the owner: %v", err)
	}
}

// usesAtOnce is a store in which all programs that use a link have found it good before one of them
// uses it up.
type usesAtOnce struct {
	Store

	waiting sync.WaitGroup
}

func (u *usesAtOnce) SaveSession(ctx context.Context, session Session) error {
	if session.Stage == UsedLink {
		u.waiting.Done()
		u.waiting.Wait()
	}
	return u.Store.SaveSession(ctx, session)
}

// A link makes one browser known, even if several programs use it at the same moment. It sets no
// password after that.
func TestALinkIsGoodForOneBrowser(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	ctx := t.Context()
	id := o.hireByMail(mails, "eve@shop.example", access.Operator)
	token := o.link(mails, "eve@shop.example")
	parts := strings.Split(token, "_")
	parts[2] = "0" + parts[2]
	spelt := strings.Join(parts, "_") // the same token in another way
	const programs = 8
	store := &usesAtOnce{Store: o.store}
	store.waiting.Add(programs)
	o.store = store
	var good atomic.Int64
	var all sync.WaitGroup
	for n := range programs {
		all.Go(func() {
			_, err := o.KnowBrowser(ctx, []string{token, spelt}[n%2])
			if err == nil {
				good.Add(1)
			} else if !errors.Is(err, staff.ErrTokenRefused) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	o.store = store.Store
	if good.Load() != 1 {
		t.Errorf("the link was good %d times", good.Load())
	}
	for name, again := range map[string]string{"the link": token, "the link in another spelling": spelt} {
		if _, err := o.KnowBrowser(ctx, again); !errors.Is(err, staff.ErrTokenRefused) {
			t.Errorf("%s again: %v", name, err)
		}
		if _, err := o.Redeem(ctx, again, "a new password"); !errors.Is(err, staff.ErrTokenRefused) {
			t.Errorf("%s for a new password: %v", name, err)
		}
	}
	if events := o.count("shopstaff.browser_known.v1"); events != 1 {
		t.Errorf("%d events say that a browser is known", events)
	}
	_, given, err := o.GiveToken(ctx, o.admin(), id)
	if err != nil {
		t.Fatal(err)
	}
	_, invitation := mails.last(t)
	for name, bad := range map[string]string{
		"an admin's token": invitation, "nothing": "", "a session": sessionPrefix + strings.Repeat("0", 64), "another code": token[:len(token)-1] + flipped(token),
		"an admin's token that goes to nobody": given.Text,
	} {
		if _, err := o.KnowBrowser(ctx, bad); !errors.Is(err, staff.ErrTokenRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o.later(time.Second) // otherwise it is the same link
	late := o.link(mails, "eve@shop.example")
	o.later(ResetFor)
	if _, err := o.KnowBrowser(ctx, late); !errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("a link after an hour: %v", err)
	}
}

// count is how many events of a type the log has.
func (o *office) count(typ string) (events int) {
	o.t.Helper()
	for recorded, err := range o.log.ReadAll(o.t.Context(), eventstore.Position{}, eventstore.Filter{}, 0) {
		if err != nil {
			o.t.Fatal(err)
		}
		if recorded.Type == typ {
			events++
		}
	}
	return events
}

// Somebody at the same address cannot use up the requests for links of others there.
func TestNobodyUsesUpTheLinksOfOthers(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	o.hireByMail(mails, "eve@shop.example", access.Operator)
	sent := mails.count()
	for n := range 100 {
		if err := o.askReset("office", fmt.Sprintf("person%d@shop.example", n)); err != nil {
			t.Fatalf("request %d: %v", n, err)
		}
		o.work()
	}
	if err := o.askReset("office", "eve@shop.example"); err != nil {
		t.Errorf("the person at the same address: %v", err)
	}
	o.work()
	if mails.count() != sent+1 {
		t.Errorf("%d mails were sent", mails.count()-sent)
	}
	for range 100 { // who asks in the person's name sends the links to the person
		_ = o.askReset("office", "eve@shop.example")
	}
	o.work()
	if mails.count() != sent+freeOfMails {
		t.Errorf("%d mails were sent", mails.count()-sent)
	}
	_, token := mails.last(t)
	if _, err := o.KnowBrowser(t.Context(), token); err != nil {
		t.Errorf("a link that somebody else has asked for: %v", err)
	}
}

// Somebody with very many addresses cannot make the node forget the failures of an account.
func TestManyAddressesDoNotClearAnAccount(t *testing.T) {
	t.Parallel()
	l := newLimits(func() time.Time { return time.Unix(0, 0) })
	account := []key{{name: accountKey("eve"), free: freeOfAccount}}
	for range freeOfAccount {
		l.take(account)
	}
	for n := range 3 * maxKeys {
		l.take([]key{{name: fmt.Sprint("pair ", n), free: freeOfPair}})
	}
	if wait := l.take(account); wait == 0 {
		t.Error("the account need not wait any more")
	}
	if len(l.by) > maxKeys {
		t.Errorf("%d keys", len(l.by))
	}
}
