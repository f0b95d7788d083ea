package signin

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/staff"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

const password = "correct horse battery"

// office is a desk with a clock that the test moves.
type office struct {
	t *testing.T
	*Desk
	log   eventstore.Store
	clock atomic.Int64
}

func newOffice(t *testing.T) *office {
	t.Helper()
	return newOfficeOn(t, memory.New())
}

func newOfficeOn(t *testing.T, log eventstore.Store) *office {
	t.Helper()
	o := &office{t: t, log: log}
	o.clock.Store(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC).UnixNano())
	service := commands.NewService(o.log, commands.DefaultPolicy(), func() time.Time { return time.Unix(0, o.clock.Load()).UTC() }, aggregate.Options{})
	o.Desk = New(service, Options{Cost: Cost{Passes: 1, MemoryKiB: 64}})
	return o
}

func (o *office) later(d time.Duration) { o.clock.Add(int64(d)) }

func (o *office) admin() commands.Call {
	return commands.Call{Who: access.System("test"), Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: "system:test"}}
}

// hire invites a person and lets them join.
func (o *office) hire(email string, role access.Role) staff.PersonID {
	o.t.Helper()
	member, token, err := o.Invite(o.t.Context(), o.admin(), Contact{Email: email, Name: "Eve"}, role)
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := o.Redeem(o.t.Context(), token.Text, password); err != nil {
		o.t.Fatal(err)
	}
	return member.ID
}

func (o *office) signIn(from From, email, password string) (SignedIn, error) {
	return o.SignIn(o.t.Context(), from, OfStaff, email, password, false)
}

func (o *office) mustSignIn(email string) SignedIn {
	o.t.Helper()
	done, err := o.signIn(From{Client: "c"}, email, password)
	if err != nil || done.Next != Complete {
		o.t.Fatalf("sign in: %v, %v", done.Next, err)
	}
	return done
}

// good tells whether a session's token is good.
func (o *office) good(token string) bool {
	o.t.Helper()
	who, err := o.Authenticate(o.t.Context(), token)
	if err != nil && !errors.Is(err, ErrNoSession) {
		o.t.Fatal(err)
	}
	return err == nil && who.May(access.Look)
}

func TestAPersonJoinsAndSignsIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := t.Context()
	member, token, err := o.Invite(ctx, o.admin(), Contact{Email: "Eve@Shop.example", Name: "Eve"}, access.Operator)
	if err != nil || member.Status != staff.Waiting || member.Email != "eve@shop.example" {
		t.Fatalf("invited: %+v, %v", member, err)
	}
	for name, other := range map[string]string{"another secret": token.Text[:len(token.Text)-64] + strings.Repeat("0", 64), "nothing": "", "a key": "dbk_k1_" + strings.Repeat("0", 64)} {
		if _, err := o.Redeem(ctx, other, password); !errors.Is(err, staff.ErrTokenRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if hashes := o.hasher.done.Load(); hashes != 0 {
		t.Errorf("tokens that are not good cost %d hashes", hashes)
	}
	if _, err := o.Redeem(ctx, token.Text, password); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Redeem(ctx, token.Text, "another password"); !errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("the token again: %v", err)
	}
	done := o.mustSignIn("EVE@shop.example")
	who, err := o.Authenticate(ctx, done.Token)
	if err != nil || who.ID != "staff:"+string(member.ID) || who.Role != access.Operator || who.Reach(access.ShipOrders) != access.All || who.May(access.WriteAccess) {
		t.Errorf("%+v, %v", who, err)
	}
	if err := o.SignOut(ctx, who); err != nil || o.good(done.Token) {
		t.Errorf("signed out: %v", err)
	}
}

// The log has no address, no name, no password, and no other text with which somebody could sign
// in.
func TestTheLogHasNoSecrets(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.hire("eve@shop.example", access.Admin)
	step, err := o.signIn(From{}, "eve@shop.example", password)
	if err != nil || step.Next != NeedsApp {
		t.Fatalf("%+v, %v", step, err)
	}
	factor, done := o.setUp(step.Token)
	var text strings.Builder
	for recorded, err := range o.log.ReadStream(t.Context(), staff.Stream(), 0, 0) {
		if err != nil {
			t.Fatal(err)
		}
		text.Write(recorded.Data)
	}
	person, err := o.person(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := o.store.Secret(t.Context(), person.Credential)
	if err != nil || !strings.HasPrefix(stored, "$argon2id$") {
		t.Errorf("stored of the password: %q, %v", stored, err)
	}
	for _, secret := range append([]string{"eve@", "Eve", password, stored, factor.Secret, done.Token, sum(strings.TrimPrefix(done.Token, sessionPrefix))}, done.Recovery...) {
		if strings.Contains(text.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if !strings.Contains(text.String(), string(id)) {
		t.Error("the log does not have the person's id")
	}
}

// setUp sets a second factor up and signs in with it.
func (o *office) setUp(token string) (Factor, SignedIn) {
	o.t.Helper()
	factor, err := o.BeginFactor(o.t.Context(), token)
	if err != nil {
		o.t.Fatal(err)
	}
	done, err := o.ConfirmFactor(o.t.Context(), From{}, token, o.code(factor.Secret))
	if err != nil || done.Next != Complete || len(done.Recovery) != recoveryCodes || !o.good(done.Token) {
		o.t.Fatalf("set up: %+v, %v", done, err)
	}
	return factor, done
}

func (o *office) code(secret string) string {
	o.t.Helper()
	code, err := totp.GenerateCode(secret, o.service.Now())
	if err != nil {
		o.t.Fatal(err)
	}
	return code
}

// asked is a store that counts what it is asked for.
type asked struct {
	*Memory

	secrets, sessions atomic.Int64
}

func (a *asked) Secret(ctx context.Context, id string) (string, error) {
	a.secrets.Add(1)
	return a.Memory.Secret(ctx, id)
}

func (a *asked) Session(ctx context.Context, hash string) (*Session, error) {
	a.sessions.Add(1)
	return a.Memory.Session(ctx, hash)
}

// A sign-in costs one hash and the same questions to the store for every address. So its time does
// not tell who works in the shop.
func TestEverySignInCostsTheSame(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	store := &asked{Memory: NewMemory()}
	o.store = store
	o.hire("eve@shop.example", access.Operator)
	gone := o.hire("gone@shop.example", access.Operator)
	if _, err := o.Disable(t.Context(), o.admin(), gone, "left"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.Invite(t.Context(), o.admin(), Contact{Email: "new@shop.example", Name: "New"}, access.Operator); err != nil {
		t.Fatal(err)
	}
	for n, c := range []struct{ email, password string }{
		{"eve@shop.example", "wrong password!"},
		{"nobody@shop.example", password},
		{"gone@shop.example", password},
		{"new@shop.example", password},
		{"new@shop.example", ""},
		{"no address", password},
		{"", ""},
		{"eve@shop.example\r\nBcc: x@y.z", password},
		{"eve@shop.example", strings.Repeat("x", 5000)},
	} {
		before := o.hasher.done.Load()
		store.secrets.Store(0)
		store.sessions.Store(0)
		if _, err := o.signIn(From{Client: fmt.Sprint(n), Browser: browserPrefix + strings.Repeat("0", 64)}, c.email, c.password); !errors.Is(err, ErrRefused) {
			t.Errorf("%q %q: %v", c.email, c.password, err)
		}
		if hashes := o.hasher.done.Load() - before; hashes != 1 {
			t.Errorf("%q %q: %d hashes", c.email, c.password, hashes)
		}
		if secrets, sessions := store.secrets.Load(), store.sessions.Load(); secrets != 1 || sessions != 1 {
			t.Errorf("%q %q: the store is asked for %d secrets and %d sessions", c.email, c.password, secrets, sessions)
		}
	}
	o.mustSignIn("eve@shop.example")
}

// untidy is a store whose Tidy fails, as if it could not be reached at that moment.
type untidy struct{ *Memory }

func (untidy) Tidy(context.Context, staff.PersonID, int64, []string) error {
	return errors.New("away")
}

// A session ends when it is not used for long, when it is old, and when its owner ends it. It also
// ends when the person gets another role or password, or when their access ends.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, end := range map[string]func(o *office, id staff.PersonID){
		"idle":             func(o *office, _ staff.PersonID) { o.later(IdleMax) },
		"disabled":         func(o *office, id staff.PersonID) { _, _ = o.Disable(ctx, o.admin(), id, "") },
		"another role":     func(o *office, id staff.PersonID) { _, _ = o.ChangeRole(ctx, o.admin(), id, access.Auditor) },
		"another password": func(o *office, id staff.PersonID) { _ = o.ChangePassword(ctx, id, "c", password, "a new password") },
		"a reset": func(o *office, id staff.PersonID) {
			_, token, _ := o.GiveToken(ctx, o.admin(), id)
			_, _ = o.Redeem(ctx, token.Text, "a new password")
		},
		"all of 12 hours": func(o *office, _ staff.PersonID) {},
		"ended by its owner": func(o *office, id staff.PersonID) {
			all, _ := o.Sessions(ctx, id)
			for _, session := range all {
				_ = o.EndSession(ctx, id, session.ID)
			}
		},
	} {
		o := newOffice(t)
		o.store = untidy{NewMemory()}
		id := o.hire("eve@shop.example", access.Operator)
		token := o.mustSignIn("eve@shop.example").Token
		for used := time.Duration(0); used < SessionMax && (used == 0 || name == "all of 12 hours"); used += IdleMax - time.Second {
			if !o.good(token) {
				t.Fatalf("%s: ended after %s", name, used)
			}
			if name == "all of 12 hours" {
				o.later(IdleMax - time.Second)
			}
		}
		end(o, id)
		if o.good(token) {
			t.Errorf("%s: the session is still good", name)
		}
		if all, err := o.Sessions(ctx, id); err != nil || len(all) != 0 {
			t.Errorf("%s: the sessions %+v, %v", name, all, err)
		}
	}
}

// The context of a long request ends when its session ends.
func TestALongRequestEndsWithItsSession(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.hire("eve@shop.example", access.Operator)
	who, err := o.Authenticate(t.Context(), o.mustSignIn("eve@shop.example").Token)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := o.While(t.Context(), who)
	defer stop()
	if _, err := o.ChangeRole(t.Context(), o.admin(), id, access.Auditor); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), ErrSessionEnded) {
		t.Errorf("ended because %v", context.Cause(ctx))
	}
}

func TestSecondFactor(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := t.Context()
	id := o.hire("eve@shop.example", access.Manager)
	first, err := o.signIn(From{}, "eve@shop.example", password)
	if err != nil || first.Next != NeedsApp || o.good(first.Token) {
		t.Fatalf("a manager without a factor: %+v, %v", first, err)
	}
	factor, done := o.setUp(first.Token)

	step := func() SignedIn {
		t.Helper()
		next, err := o.signIn(From{}, "eve@shop.example", password)
		if err != nil || next.Next != NeedsCode || o.good(next.Token) {
			t.Fatalf("%+v, %v", next, err)
		}
		return next
	}
	try := func(code string) error {
		t.Helper()
		at := step()
		got, err := o.Code(ctx, From{}, at.Token, code)
		if err == nil && !o.good(got.Token) {
			t.Errorf("the session after %s is not good", code)
		}
		if err == nil {
			if _, again := o.Code(ctx, From{}, at.Token, code); !errors.Is(again, ErrRefused) {
				t.Errorf("the same step again: %v", again)
			}
		}
		return err
	}
	if err := try(o.code(factor.Secret)); !errors.Is(err, ErrRefused) {
		t.Errorf("the code of the set-up again: %v", err)
	}
	o.later(time.Minute)
	code := o.code(factor.Secret)
	if err := try(code); err != nil {
		t.Errorf("a code: %v", err)
	}
	if err := try(code); !errors.Is(err, ErrRefused) {
		t.Errorf("the code again: %v", err)
	}
	if err := try(done.Recovery[3]); err != nil {
		t.Errorf("a recovery code: %v", err)
	}
	if err := try(done.Recovery[3]); !errors.Is(err, ErrRefused) {
		t.Errorf("the recovery code again: %v", err)
	}
	if err := try(strings.ToUpper(strings.ReplaceAll(done.Recovery[4], "-", " "))); err != nil {
		t.Errorf("a recovery code in another form: %v", err)
	}

	o.later(maxPause)
	at := step()
	for range stepTries {
		if _, err := o.Code(ctx, From{}, at.Token, "000000"); !errors.Is(err, ErrRefused) {
			t.Errorf("a wrong code: %v", err)
		}
	}
	if _, err := o.Code(ctx, From{}, at.Token, o.code(factor.Secret)); !errors.Is(err, ErrRefused) {
		t.Errorf("a good code after %d wrong ones: %v", stepTries, err)
	}
	if _, err := o.RemoveFactor(ctx, o.admin(), id); err != nil {
		t.Fatal(err)
	}
	if next, err := o.signIn(From{}, "eve@shop.example", password); err != nil || next.Next != NeedsApp {
		t.Errorf("after the factor was removed: %+v, %v", next, err)
	}
}

// After a restore to an earlier position, the log may name a factor whose secret is gone. Then only
// recovery codes are good.
func TestAFactorWithoutItsSecretTakesOnlyRecoveryCodes(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.hire("eve@shop.example", access.Admin)
	first, err := o.signIn(From{}, "eve@shop.example", password)
	if err != nil {
		t.Fatal(err)
	}
	_, done := o.setUp(first.Token)
	o.later(time.Minute)
	person, err := o.person(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.store.Tidy(t.Context(), id, 0, []string{person.Credential}); err != nil {
		t.Fatal(err)
	}
	step, err := o.signIn(From{}, "eve@shop.example", password)
	if err != nil || step.Next != NeedsCode {
		t.Fatalf("%+v, %v", step, err)
	}
	if _, err := o.Code(t.Context(), From{}, step.Token, o.code("")); !errors.Is(err, ErrRefused) {
		t.Errorf("a code of the empty secret: %v", err)
	}
	if _, err := o.Code(t.Context(), From{}, step.Token, done.Recovery[0]); err != nil {
		t.Errorf("a recovery code: %v", err)
	}
}

// looks are grants that need no second factor.
func looks() access.Grants {
	grants := make(access.Grants)
	grants[access.Look] = access.All
	return grants
}

// The grants of a role decide whether it needs a second factor, and not its name. If a role gets
// such grants later, the sessions that began without a second factor end.
func TestGrantsNeedASecondFactor(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	deputy := looks()
	o.grants = func(role access.Role) access.Grants {
		if role == "deputy" {
			return deputy
		}
		grants, _ := access.BuiltIn(role)
		return grants
	}
	for _, role := range access.Roles() {
		if got, want := o.factorFor(role), role == access.Manager || role == access.Admin; got != want {
			t.Errorf("the role %s needs a second factor: %t", role, got)
		}
	}
	o.hire("eve@shop.example", "deputy")
	for _, permission := range []access.Permission{access.WriteAccess, access.NoteCredit, access.UnlimitedRefunds, access.OverrideStock, access.WriteCatalogue, access.ErasePersonal} {
		o.later(time.Minute) // so that the refused sign-ins of other permissions delay nobody
		deputy = looks()
		session := o.mustSignIn("eve@shop.example")
		if !o.good(session.Token) {
			t.Fatal("the session is not good")
		}
		more := looks()
		more[permission] = access.All
		deputy = more
		if o.good(session.Token) {
			t.Errorf("a session without a second factor is good for %s", permission)
		}
		if next, err := o.signIn(From{}, "eve@shop.example", password); err != nil || next.Next != NeedsApp {
			t.Errorf("sign in with %s: %+v, %v", permission, next, err)
		}
	}
}

// If two programs send the same code at the same moment, only one of them gets a session.
func TestACodeIsGoodOnceEvenAtTheSameMoment(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.hire("eve@shop.example", access.Admin)
	first, err := o.signIn(From{}, "eve@shop.example", password)
	if err != nil {
		t.Fatal(err)
	}
	factor, _ := o.setUp(first.Token)
	o.later(time.Minute)
	code := o.code(factor.Secret)
	var tokens []string
	for range 3 {
		next, err := o.signIn(From{}, "eve@shop.example", password)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, next.Token)
	}
	var good atomic.Int64
	var all sync.WaitGroup
	for _, token := range tokens {
		all.Go(func() {
			if _, err := o.Code(t.Context(), From{}, token, code); err == nil {
				good.Add(1)
			}
		})
	}
	all.Wait()
	if good.Load() != 1 {
		t.Errorf("the code was good %d times", good.Load())
	}
}

// Somebody who guesses must wait. The owner of the account need not wait in a browser that they
// have used.
func TestGuessing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.hire("eve@shop.example", access.Operator)
	browser := o.mustSignIn("eve@shop.example").Browser
	waits := func(from From, email string) bool {
		t.Helper()
		_, err := o.signIn(from, email, "a wrong password")
		if _, waits := errors.AsType[*WaitError](err); waits {
			return true
		}
		if !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
		return false
	}
	free := 0
	for !waits(From{Client: "thief"}, "eve@shop.example") {
		free++
	}
	if free != freeOfPair {
		t.Errorf("one address may guess %d times", free)
	}
	if _, err := o.signIn(From{Client: "thief"}, "eve@shop.example", password); err == nil {
		t.Error("the right password passes during the pause")
	}
	if done, err := o.signIn(From{Client: "home"}, "eve@shop.example", password); err != nil || !o.good(done.Token) {
		t.Errorf("the owner from elsewhere: %v", err)
	}
	for n := range freeOfAccount { // from many addresses
		waits(From{Client: fmt.Sprint("bot", n)}, "eve@shop.example")
	}
	if _, err := o.signIn(From{Client: "bot"}, "eve@shop.example", password); err == nil {
		t.Error("a new address may guess although many others have")
	}
	if done, err := o.signIn(From{Client: "home", Browser: browser}, "eve@shop.example", password); err != nil || !o.good(done.Token) {
		t.Errorf("the owner in a browser that is known: %v", err)
	}
	other := o.hire("ann@shop.example", access.Operator)
	stolen := o.mustSignIn("ann@shop.example").Browser
	if !waits(From{Client: "bot", Browser: stolen}, "eve@shop.example") {
		t.Errorf("the browser of %s counts for %s", other, id)
	}
	if noted := o.noted(); noted != 0 {
		t.Errorf("a sign-in has waited until guessing was noted %d times", noted)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	for o.noted() == 0 || len(o.guesses) > 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if noted := o.noted(); noted != 1 {
		t.Errorf("guessing was noted %d times", noted)
	}
}

// noted is how often the log says that somebody guesses.
func (o *office) noted() (noted int) {
	o.t.Helper()
	for recorded, err := range o.log.ReadStream(o.t.Context(), staff.Stream(), 0, 0) {
		if err != nil {
			o.t.Fatal(err)
		}
		if recorded.Type == "shopstaff.guessing_noticed.v1" {
			noted++
		}
	}
	return noted
}

// An address that tries one password with many accounts must wait, too.
func TestPasswordSpraying(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	tried := 0
	for ; tried < 100; tried++ {
		_, err := o.signIn(From{Client: "thief"}, fmt.Sprintf("person%d@shop.example", tried), "Summer2026!Summer")
		if _, waits := errors.AsType[*WaitError](err); waits {
			break
		}
	}
	if tried != freeOfAddress {
		t.Errorf("%d accounts were tried", tried)
	}
	for n, pause := 0, time.Second; n < 12; n, pause = n+1, min(2*pause, maxPause) { // each failure doubles the pause
		try := func() error {
			_, err := o.signIn(From{Client: "thief"}, fmt.Sprintf("one%d@shop.example", n), "Summer2026!Summer")
			return err
		}
		o.later(pause - time.Millisecond)
		if wait, waits := errors.AsType[*WaitError](try()); !waits || wait.After != time.Millisecond {
			t.Fatalf("just before %s are over: %v", pause, wait)
		}
		o.later(time.Millisecond)
		if err := try(); !errors.Is(err, ErrRefused) {
			t.Fatalf("after %s: %v", pause, err)
		}
	}
}

func TestWhatIsRefusedAtTheDesk(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx := t.Context()
	o.hire("eve@shop.example", access.Operator)
	for _, c := range []struct {
		email, name string
		role        access.Role
		want        string
	}{
		{"eve@shop.example", "Eve", access.Operator, "person-exists"},
		{"EVE@SHOP.EXAMPLE", "Eve", access.Operator, "person-exists"},
		{"ann@shop.example\r\nBcc: all@shop.example", "Ann", access.Operator, "email"},
		{"Ann <ann@shop.example>", "Ann", access.Operator, "email"},
		{"ann@shop.example, bob@shop.example", "Ann", access.Operator, "email"},
		{"ann", "Ann", access.Operator, "email"},
		{"<ann@shop.example>", "Ann", access.Operator, "email"},
		{" ann@shop.example", "Ann", access.Operator, "email"},
		{strings.Repeat("a", 250) + "@x.example", "Ann", access.Operator, "email"},
		{"ann@shop.example", "Ann\r\nBcc: all@shop.example", access.Operator, "name"},
		{"ann@shop.example", "", access.Operator, "name"},
		{"ann@shop.example", "Ann", "king", "role-not-found"},
		{"ann@shop.example", "Ann", access.Customer, "role"},
	} {
		_, _, err := o.Invite(ctx, o.admin(), Contact{Email: c.email, Name: c.name}, c.role)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, weak := range []string{"", "short", strings.Repeat("ab", 10), "my eve@shop.example", strings.Repeat("long phrase", 20), "\xff\xfe not unicode"} {
		id := slices.Collect(keysOf(o))[0]
		_, token, err := o.GiveToken(ctx, o.admin(), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Redeem(ctx, token.Text, weak); err == nil || !strings.HasPrefix(err.Error(), "password: ") {
			t.Errorf("the password %q: %v", weak, err)
		}
	}
}

func keysOf(o *office) func(func(staff.PersonID) bool) {
	return func(yield func(staff.PersonID) bool) {
		all, err := o.Members(o.t.Context())
		if err != nil {
			o.t.Fatal(err)
		}
		for _, member := range all {
			if !yield(member.ID) {
				return
			}
		}
	}
}

// An address is free again when its person's access has ended.
func TestAnAddressIsFreeAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first := o.hire("eve@shop.example", access.Operator)
	if _, err := o.Disable(t.Context(), o.admin(), first, "left"); err != nil {
		t.Fatal(err)
	}
	second := o.hire("eve@shop.example", access.Auditor)
	who, err := o.Authenticate(t.Context(), o.mustSignIn("eve@shop.example").Token)
	if err != nil || PersonOf(who) != second || second == first {
		t.Errorf("%s, %s: %+v, %v", first, second, who, err)
	}
}

// Only a few hashes are computed at once, because each takes much memory.
func TestHashesWaitForEachOther(t *testing.T) {
	t.Parallel()
	h := newHasher(Cost{Passes: 1, MemoryKiB: 64})
	for range hashesAtOnce {
		h.slots <- struct{}{}
	}
	h.spare <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.hash(ctx, password); !errors.Is(err, context.Canceled) {
		t.Errorf("without a slot: %v", err)
	}
}

// HasAddress compares addresses as a sign-in does.
func TestAPersonHasAnAddress(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	eve := o.hire("eve@shop.example", access.Auditor)
	o.hire("ann@shop.example", access.Auditor)
	for text, want := range map[string]bool{"eve@shop.example": true, "EVE@shop.example": true, "ann@shop.example": false, "nobody@shop.example": false, "eve": false, "": false, "Eve <eve@shop.example>": false} {
		if got, err := o.HasAddress(t.Context(), eve, text); got != want || err != nil {
			t.Errorf("%q: %t, %v", text, got, err)
		}
	}
	if got, err := o.HasAddress(t.Context(), "", "nobody@shop.example"); got || err != nil {
		t.Errorf("nobody: %t, %v", got, err)
	}
}
