package signin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/customer"
	"daybook/domain/staff"
	"daybook/domain/subject"
	"daybook/domain/unit"
)

// signUpToken is the token in the last mail, which must be a link to sign up, and its address.
func (p *postBox) signUpToken(t *testing.T) (to, token string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.to) == 0 {
		t.Fatal("there is no mail")
	}
	_, rest, found := strings.Cut(p.texts[len(p.texts)-1], "https://shop.example/sign-up#token=")
	if !found {
		t.Fatalf("the mail: %s", p.texts[len(p.texts)-1])
	}
	token, _, _ = strings.Cut(rest, "\n")
	return p.to[len(p.to)-1], token
}

// askSignUp asks for a link, and has it sent.
func (o *office) askSignUp(email string) {
	o.t.Helper()
	if err := o.RequestSignUp(o.t.Context(), From{Client: "c"}, email); err != nil {
		o.t.Fatal(err)
	}
	o.work()
}

// signUp makes a login of a new customer.
func (o *office) signUp(mails *postBox, email string) SignedIn {
	o.t.Helper()
	o.askSignUp(email)
	_, token := mails.signUpToken(o.t)
	done, err := o.ConfirmSignUp(o.t.Context(), From{Client: "c"}, token, password, "Ann Example")
	if err != nil {
		o.t.Fatal(err)
	}
	return done
}

func (o *office) signInAsCustomer(email, password string) (SignedIn, error) {
	return o.SignIn(o.t.Context(), From{Client: "c"}, OfCustomer, email, password, false)
}

func TestACustomerSignsUpAndSignsIn(t *testing.T) {
	t.Parallel()
	o, mails, log := newPostOffice(t)
	ctx := t.Context()
	o.askSignUp("Ann@Home.example")
	to, token := mails.signUpToken(t)
	if to != "ann@home.example" || o.recorded() != 0 {
		t.Fatalf("a request: a mail to %s, and %d events", to, o.recorded())
	}
	if _, err := o.ConfirmSignUp(ctx, From{}, token, "short", ""); err == nil || !strings.HasPrefix(err.Error(), "password: ") {
		t.Errorf("a weak password: %v", err)
	}
	if _, err := o.ConfirmSignUp(ctx, From{}, token, "ann@home.example!", ""); err == nil || !strings.HasPrefix(err.Error(), "password: ") {
		t.Errorf("the address as the password: %v", err)
	}
	for name, other := range map[string]string{"nothing": "", "another code": flipped(token), "another address": strings.Replace(token, "616e6e", "626f62", 1), "of the staff": "dbt_p1_" + strings.Repeat("0", 64)} {
		if _, err := o.ConfirmSignUp(ctx, From{}, other, password, ""); !errors.Is(err, staff.ErrTokenRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if o.recorded() != 0 || o.hasher.done.Load() != 0 {
		t.Errorf("what was refused has cost %d events and %d hashes", o.recorded(), o.hasher.done.Load())
	}
	first, err := o.ConfirmSignUp(ctx, From{Client: "c"}, token, password, "Ann Example")
	if err != nil || first.Next != Complete || first.Customer == "" || !o.good(first.Token) {
		t.Fatalf("%+v, %v", first, err)
	}
	if _, err := o.ConfirmSignUp(ctx, From{}, token, "another password", ""); !errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("the link again: %v", err)
	}
	var profile customer.Profile
	if err := o.service.ViewCustomer(ctx, first.Customer, func(state customer.State, _ int64) { profile = state.Profile }); err != nil || profile.Email != "ann@home.example" || profile.Name != "Ann Example" {
		t.Errorf("the account: %+v, %v", profile, err)
	}
	who, err := o.Authenticate(ctx, first.Token)
	if err != nil || !strings.HasPrefix(who.ID, "login:u") || who.Role != access.Customer || who.Customer != first.Customer || who.Reach(access.ReadOrders) != access.Own || who.May(access.ReadAccess) {
		t.Errorf("the session is of %+v, %v", who, err)
	}
	again, err := o.signInAsCustomer("ANN@home.example", password)
	if err != nil || again.Customer != first.Customer {
		t.Errorf("sign in: %+v, %v", again, err)
	}
	for _, wrong := range []string{"a wrong password", ""} {
		if _, err := o.signInAsCustomer("ann@home.example", wrong); !errors.Is(err, ErrRefused) {
			t.Errorf("with %q: %v", wrong, err)
		}
	}
	if _, err := o.signIn(From{Client: "c"}, "ann@home.example", password); !errors.Is(err, ErrRefused) {
		t.Errorf("as a person of the staff: %v", err)
	}
	members, err := o.Members(ctx)
	if err != nil || len(members) != 0 {
		t.Errorf("the staff: %+v, %v", members, err)
	}
	if text := log.String(); strings.Contains(text, "@") || strings.Contains(text, "dbu_") {
		t.Errorf("the log: %s", text)
	}
}

// A person of the staff who also buys signs in with one address and two passwords.
func TestAnAddressCanBeOfTheStaffAndOfACustomer(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	o.hireByMail(mails, "eve@shop.example", access.Operator)
	customer := o.signUp(mails, "eve@shop.example")
	if _, err := o.ChangeRole(t.Context(), o.admin(), customer.Session.Person, access.Operator); err == nil {
		t.Error("a customer's login gets a role of the staff")
	}
	who, err := o.Authenticate(t.Context(), o.mustSignIn("eve@shop.example").Token)
	if err != nil || who.Role != access.Operator || who.Customer != "" {
		t.Errorf("of the staff: %+v, %v", who, err)
	}
	if !o.good(customer.Token) {
		t.Error("the session of the customer has ended")
	}
}

// Whoever asks for a link learns nothing. The mail to an address that has a login says so, and has
// a link for a new password.
func TestASecondSignUpIsALinkForAPassword(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	first := o.signUp(mails, "ann@home.example")
	o.askSignUp("ann@home.example")
	to, token := mails.last(t)
	if to != "ann@home.example" || !strings.HasPrefix(token, "dbr_u") || !strings.Contains(mails.texts[len(mails.texts)-1], "you have one already") {
		t.Fatalf("to %s: %s", to, mails.texts)
	}
	if _, err := o.Redeem(t.Context(), token, "a new password"); err != nil {
		t.Fatal(err)
	}
	if o.good(first.Token) {
		t.Error("the session goes on")
	}
	if done, err := o.signInAsCustomer("ann@home.example", "a new password"); err != nil || done.Customer != first.Customer {
		t.Errorf("%+v, %v", done, err)
	}
	if err := o.RequestReset(t.Context(), From{Client: "c"}, OfCustomer, "ann@home.example"); err != nil {
		t.Fatal(err)
	}
	before := mails.count()
	if o.work(); mails.count() != before+1 {
		t.Errorf("a forgotten password: %d mails more", mails.count()-before)
	}
}

// Two links to one address make one login. An old link is not good once another one was used.
func TestTwoLinksMakeOneLogin(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	o.askSignUp("ann@home.example")
	_, old := mails.signUpToken(t)
	o.later(time.Minute)
	first := o.signUp(mails, "ann@home.example")
	if _, err := o.ConfirmSignUp(t.Context(), From{}, old, "another password", ""); !errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("the old link: %v", err)
	}
	if done, err := o.signInAsCustomer("ann@home.example", password); err != nil || done.Customer != first.Customer {
		t.Errorf("%+v, %v", done, err)
	}
	o.askSignUp("bob@home.example")
	_, late := mails.signUpToken(t)
	o.later(SignUpFor)
	if _, err := o.ConfirmSignUp(t.Context(), From{}, late, password, ""); !errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("a day later: %v", err)
	}
}

// failsOnce is a Store that fails once, at one of its calls.
type failsOnce struct {
	Store
	at string
}

var errStore = errors.New("the store is away")

func (f *failsOnce) fails(call string) error {
	if f.at != call {
		return nil
	}
	f.at = ""
	return errStore
}

func (f *failsOnce) AddLogin(ctx context.Context, id staff.PersonID, of unit.CustomerID, address string, holder staff.PersonID, now time.Time) (bool, error) {
	added, err := f.Store.AddLogin(ctx, id, of, address, holder, now)
	return added, errors.Join(err, f.fails("AddLogin"))
}

func (f *failsOnce) SaveSecret(ctx context.Context, secret Secret) error {
	return errors.Join(f.fails("SaveSecret"), f.Store.SaveSecret(ctx, secret))
}

// A sign-up that fails half-way is repeated with the same link. There is one account.
func TestASignUpThatFailedIsRepeated(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"AddLogin", "SaveSecret"} {
		o, mails, _ := newPostOffice(t)
		o.store = &failsOnce{Store: o.store, at: at}
		o.askSignUp("ann@home.example")
		_, token := mails.signUpToken(t)
		if _, err := o.ConfirmSignUp(t.Context(), From{}, token, password, ""); !errors.Is(err, errStore) {
			t.Fatalf("%s: %v", at, err)
		}
		done, err := o.ConfirmSignUp(t.Context(), From{}, token, password, "")
		if err != nil || o.count("customer.registered.v1") != 1 {
			t.Errorf("%s: %+v, %v, and %d accounts", at, done, err, o.count("customer.registered.v1"))
		}
	}
}

// The shop invites a customer who has an account. The login is of this account.
func TestACustomerIsInvited(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	ctx := t.Context()
	register := commands.Call{Who: access.System("test"), Meta: o.admin().Meta}
	if _, err := o.service.Customer(ctx, register, "17850", customer.Register{CustomerID: "17850", Profile: customer.Profile{Name: "Ann"}}); err != nil {
		t.Fatal(err)
	}
	limited := o.admin()
	grants, _ := access.BuiltIn(access.Operator)
	limited.Who = access.Principal{ID: "staff:p1", Role: access.Operator, Grants: grants}
	if _, err := o.InviteCustomer(ctx, limited, "17850", "ann@home.example"); err == nil {
		t.Error("an operator, who may not erase a customer, gives a customer's rights")
	}
	if _, err := o.InviteCustomer(ctx, o.admin(), "nobody", "ann@home.example"); !errors.Is(err, customer.ErrNotFound) {
		t.Errorf("a customer without an account: %v", err)
	}
	token, err := o.InviteCustomer(ctx, o.admin(), "17850", "ann@home.example")
	if err != nil || token.Text != "" || token.Delivery != Sent {
		t.Fatalf("%+v, %v", token, err)
	}
	_, text := mails.signUpToken(t)
	if !strings.Contains(mails.texts[0], "Hello Ann,") {
		t.Errorf("the mail: %s", mails.texts[0])
	}
	done, err := o.ConfirmSignUp(ctx, From{}, text, password, "")
	if err != nil || done.Customer != "17850" {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := o.InviteCustomer(ctx, o.admin(), "17850", "other@home.example"); !errors.Is(err, staff.ErrExists) {
		t.Errorf("a customer who signs in is invited again: %v", err)
	}
	all, err := o.Logins(ctx, "17850")
	if err != nil || len(all) != 1 || all[0].ID != done.Session.Person || all[0].ConfirmedEmail != "ann@home.example" {
		t.Errorf("%+v, %v", all, err)
	}
}

// A login has everything that the staff has: a second factor, another address, links, and the end
// of sessions.
func TestALoginHasWhatTheStaffHas(t *testing.T) {
	t.Parallel()
	o, mails, log := newPostOffice(t)
	ctx := t.Context()
	id := o.signUp(mails, "ann@home.example").Session.Person
	begun, err := o.SignIn(ctx, From{Client: "c"}, OfCustomer, "ann@home.example", password, true)
	if err != nil || begun.Next != NeedsApp {
		t.Fatalf("%+v, %v", begun, err)
	}
	factor, done := o.setUp(begun.Token)
	if !strings.Contains(factor.URI, "ann@home.example") && !strings.Contains(factor.URI, "ann%40home.example") || done.Customer == "" || len(done.Recovery) != recoveryCodes {
		t.Errorf("%s, %+v", factor.URI, done)
	}
	if err := o.AskEmail(ctx, id, "c", password, "new@home.example"); err != nil {
		t.Fatal(err)
	}
	o.move()
	if mails.noticesTo("ann@home.example") != 1 {
		t.Errorf("the notices: %q", mails.to)
	}
	m, err := o.ConfirmEmail(ctx, mails.linkTo("new@home.example"))
	if err != nil || m.Email != "new@home.example" || o.good(done.Token) {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := o.signInAsCustomer("ann@home.example", password); !errors.Is(err, ErrRefused) {
		t.Errorf("with the old address: %v", err)
	}
	if step, err := o.signInAsCustomer("new@home.example", password); err != nil || step.Next != NeedsCode {
		t.Errorf("with the new one: %+v, %v", step, err)
	}
	if _, err := o.RemoveFactor(ctx, o.admin(), id); err != nil {
		t.Fatal(err)
	}
	again, err := o.signInAsCustomer("new@home.example", password)
	if err != nil || again.Next != Complete {
		t.Fatalf("%+v, %v", again, err)
	}
	if err := o.invite("new@home.example"); err != nil {
		t.Errorf("the address is taken for the staff: %v", err)
	}
	if _, err := o.Disable(ctx, o.admin(), id, "fraud"); err != nil || o.good(again.Token) {
		t.Errorf("ended: %v", err)
	}
	o.later(2 * time.Minute)
	if o.signUp(mails, "new@home.example").Customer == again.Customer {
		t.Error("an address whose login has ended leads to the old account")
	}
	if text := log.String(); strings.Contains(text, "@") {
		t.Errorf("the log: %s", text)
	}
}

// Of a customer who is erased, nothing is stored any more, and the address is free.
func TestALoginEndsWithItsCustomer(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	ctx := t.Context()
	done := o.signUp(mails, "ann@home.example")
	for range 2 {
		if err := o.ForgetCustomer(ctx, done.Customer); err != nil {
			t.Fatal(err)
		}
	}
	stored := o.store.(*Memory)
	if o.good(done.Token) || len(stored.contacts)+len(stored.logins)+len(stored.secrets)+len(stored.sessions) != 0 {
		t.Errorf("the session is good: %t; stored: %+v", o.good(done.Token), stored)
	}
	if _, err := o.signInAsCustomer("ann@home.example", password); !errors.Is(err, ErrRefused) {
		t.Errorf("sign in: %v", err)
	}
	if person, err := o.person(ctx, done.Session.Person); err != nil || person.Status != staff.Ended || person.ConfirmedEmail != "" {
		t.Errorf("%+v, %v", person, err)
	}
	if again := o.signUp(mails, "ann@home.example"); again.Customer == done.Customer {
		t.Error("somebody who signs up after the erasure gets the old id")
	}
}

// After a merge, a login reaches what belongs to the account that answers for its own.
func TestALoginFollowsAMerge(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	ctx := t.Context()
	done := o.signUp(mails, "ann@home.example")
	call := o.admin()
	if _, err := o.service.Customer(ctx, call, "17850", customer.Register{CustomerID: "17850"}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.service.MergeCustomer(ctx, o.admin(), done.Customer, "17850"); err != nil {
		t.Fatal(err)
	}
	o.later(6 * time.Second)
	who, err := o.Authenticate(ctx, done.Token)
	if err != nil || who.Customer != "17850" {
		t.Errorf("%+v, %v", who, err)
	}
}

// A sign-in claims the orders that the customer made as a guest with the confirmed address, and it
// does not fail if they cannot be claimed.
func TestASignInClaimsOrdersOfGuests(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	var claimed []string
	var failure error
	o.ordersOf = func(_ context.Context, call commands.Call, of unit.CustomerID, email string) (int, error) {
		claimed = append(claimed, call.Who.ID+" "+string(of)+" "+email)
		return 1, failure
	}
	done := o.signUp(mails, "ann@home.example")
	failure = errors.New("the read models are away")
	if _, err := o.signInAsCustomer("ann@home.example", password); err != nil {
		t.Fatal(err)
	}
	want := "login:" + string(done.Session.Person) + " " + string(done.Customer) + " ann@home.example"
	if !slices.Equal(claimed, []string{want, want}) {
		t.Errorf("%q", claimed)
	}
}

// Somebody who guesses at the address of a customer waits, as for the staff, and the tries at the
// same address of the staff are others.
func TestGuessingAtACustomerDelays(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	o.hireByMail(mails, "eve@shop.example", access.Operator)
	o.signUp(mails, "eve@shop.example")
	delays := 0
	for range 20 {
		if _, err := o.SignIn(t.Context(), From{Client: "guesser"}, OfCustomer, "eve@shop.example", "a wrong password", false); isWait(err) {
			delays++
		}
	}
	if delays == 0 {
		t.Error("nobody waits")
	}
	if done, err := o.signIn(From{Client: "c"}, "eve@shop.example", password); err != nil || done.Next != Complete {
		t.Errorf("the staff: %+v, %v", done, err)
	}
}

// Whoever merges an account that somebody can sign in to gives that login the other account. So
// they need all rights of a customer.
func TestAnAccountWithALoginIsNotMergedByEverybody(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	done := o.signUp(mails, "ann@home.example")
	for role, may := range map[access.Role]bool{
		access.Guest: false, access.Customer: false, access.Storefront: false, access.Operator: false, access.Auditor: false, access.Analyst: false, access.Manager: true, access.Admin: true,
	} {
		grants, _ := access.BuiltIn(role)
		call := commands.Call{Who: access.Principal{ID: "staff:p1", Role: role, Grants: grants}}
		if err := o.MayMerge(t.Context(), call, done.Customer); (err == nil) != may {
			t.Errorf("%s: %v", role, err)
		}
		if err := o.MayMerge(t.Context(), call, "without-a-login"); err != nil {
			t.Errorf("%s, without a login: %v", role, err)
		}
	}
}

// A link does not bring an erased customer back, however late or early it is used.
func TestALinkOfAnErasedCustomerIsNotGood(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	ctx := t.Context()
	if _, err := o.service.Customer(ctx, o.admin(), "17850", customer.Register{CustomerID: "17850"}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.InviteCustomer(ctx, o.admin(), "17850", "ann@home.example"); err != nil {
		t.Fatal(err)
	}
	_, token := mails.signUpToken(t)
	erase := func() {
		if _, err := o.service.Erase(ctx, o.admin(), subject.Erased{CustomerID: "17850", Reason: subject.Requested}); err != nil {
			t.Error(err)
		}
	}
	stored := o.store
	o.store = &erasesOnce{Store: stored, erase: erase} // while the password is being stored
	if _, err := o.ConfirmSignUp(ctx, From{}, token, password, ""); !errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("while the customer is erased: %v", err)
	}
	if _, err := o.ConfirmSignUp(ctx, From{}, token, password, ""); !errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("after that: %v", err)
	}
	memory := stored.(*Memory)
	if len(memory.contacts)+len(memory.logins)+len(memory.secrets)+len(memory.sessions) != 0 {
		t.Errorf("stored: %+v", memory)
	}
	if _, err := o.InviteCustomer(ctx, o.admin(), "17850", "ann@home.example"); !errors.Is(err, customer.ErrErased) {
		t.Errorf("another invitation: %v", err)
	}
}

// erasesOnce is a Store that erases a customer before it stores a password.
type erasesOnce struct {
	Store
	erase func()
}

func (e *erasesOnce) SaveSecret(ctx context.Context, secret Secret) error {
	e.erase()
	return e.Store.SaveSecret(ctx, secret)
}

// A customer has one login, however many links were sent and wherever they are used at once.
func TestACustomerHasOneLogin(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	ctx := t.Context()
	if _, err := o.service.Customer(ctx, o.admin(), "17850", customer.Register{CustomerID: "17850"}); err != nil {
		t.Fatal(err)
	}
	var tokens []string
	for _, address := range []string{"first@home.example", "second@home.example"} {
		if _, err := o.InviteCustomer(ctx, o.admin(), "17850", address); err != nil {
			t.Fatal(err)
		}
		_, token := mails.signUpToken(t)
		tokens = append(tokens, token)
	}
	done, err := o.ConfirmSignUp(ctx, From{}, tokens[0], password, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.ConfirmSignUp(ctx, From{}, tokens[1], password, ""); !errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("the second link: %v", err)
	}
	if added, err := o.store.AddLogin(ctx, staff.NewLoginID("9"), "17850", "hmac-other", "", o.service.Now()); added || err != nil {
		t.Errorf("another login is stored: %t, %v", added, err)
	}
	if !o.good(done.Token) {
		t.Error("the session has ended")
	}
}

// Strangers cannot have the server write to very many addresses.
func TestOneClientSignsUpForFewAddresses(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	for n := range 100 {
		err := o.RequestSignUp(t.Context(), From{Client: "c"}, fmt.Sprintf("victim+%d@home.example", n))
		if err != nil && !isWait(err) {
			t.Fatal(err)
		}
		o.work()
	}
	if sent := mails.count(); sent > freeOfSignUp {
		t.Errorf("%d mails were sent", sent)
	}
	if err := o.RequestSignUp(t.Context(), From{Client: "c"}, "root@intranet"); err == nil || isWait(err) {
		t.Errorf("an address that no account can have: %v", err)
	}
}
