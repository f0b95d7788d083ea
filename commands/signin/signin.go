// Package signin lets people sign in, those of the staff and customers: it invites them, compares
// passwords and codes, and keeps sessions. Package domain/access decides what a person may do, by
// their role. Package domain/staff decides which events are recorded. This package does what those
// two must not do: it hashes, draws random numbers, and stores what the log must not have.
//
//   - signin.go has the desk: invitations, tokens, and the passwords of people.
//   - session.go begins and ends sessions, and tells who sends a request.
//   - watch.go ends long requests when their session ends.
//   - factor.go has the second factor: codes of an app, and recovery codes.
//   - replace.go replaces the second factor and the recovery codes of a person who has signed in.
//   - hash.go hashes passwords, a few at a time.
//   - limit.go makes whoever guesses wait.
//   - mail.go sends tokens to people by mail.
//   - reset.go sends links to people who have forgotten their passwords, or whom others delay.
//   - link.go has what such a link does.
//   - tally.go counts failed tries, and records the counts.
//   - email.go changes the addresses of people.
//   - login.go lets customers sign up and sign in.
//   - store.go is what is stored beside the log; memory.go keeps it in memory.
package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/customer"
	"daybook/domain/staff"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// The bounds of passwords, in characters. TokenFor is how long a token is good with which a person
// sets a password.
const (
	MinPassword = 12
	MaxPassword = 200
	TokenFor    = 72 * time.Hour
)

// ErrRefused means that somebody did not prove who they are. It does not say what was wrong: an
// unknown address, a wrong password, a wrong code or an access that has ended.
var ErrRefused = errors.New("the sign-in is refused")

// FieldError means that a member of a request is not allowed.
type FieldError struct {
	Field  string // its name in the request, such as "password"
	Detail string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Detail }

// Options are what a Desk needs beside the commands.
type Options struct {
	// Store keeps what the log must not have; nil: in memory.
	Store Store
	// Grants are those of a role; nil: only the roles that every shop has.
	Grants func(access.Role) access.Grants
	// FactorFor tells whether people of a role need a second factor. If it is nil, the grants of
	// the role decide: see factorPermissions.
	FactorFor func(access.Role) bool
	// Cost is what a hash of a password costs. The zero value stands for DefaultCost.
	Cost Cost
	// Mailer sends tokens to people; nil: callers get the tokens, and hand them over.
	Mailer Mailer
	// PublicURL is where people reach this server, without a slash at the end. Links in mails
	// begin with it.
	PublicURL string
	// ResetSecret signs the tokens of the links in mails. All nodes must have the same. nil: a
	// random one.
	ResetSecret []byte
	// LoginSecret makes the keyed hashes of the addresses of logins, and the ids of customers of an
	// identity provider. All nodes must have the same and keep it, because without it no customer
	// can sign in. nil: a random one.
	LoginSecret []byte
	// ClaimOrders gives a customer the orders that a guest made with an e-mail address which the
	// customer has confirmed, and returns how many; nil: nothing is claimed.
	ClaimOrders func(ctx context.Context, call commands.Call, customer unit.CustomerID, email string) (int, error)
	Logger      *slog.Logger
}

// Desk is where people sign in. Its methods may be called by several goroutines.
type Desk struct {
	service   *commands.Service
	store     Store
	grants    func(access.Role) access.Grants
	factorFor func(access.Role) bool
	hasher    *hasher
	limits    *limits
	mailer    Mailer
	publicURL string
	logger    *slog.Logger
	guesses   chan guess // to be recorded by Run
	links     chan linkRequest
	signUps   chan linkRequest
	waiting   *waiting
	moves     chan move // new addresses of people, to which Run sends links

	resetSecret []byte
	loginSecret []byte
	ordersOf    func(ctx context.Context, call commands.Call, customer unit.CustomerID, email string) (int, error)
	watches     watches
	tallies     tallies
}

// New makes a Desk.
func New(service *commands.Service, options Options) *Desk {
	d := &Desk{
		service: service, store: options.Store, grants: options.Grants, factorFor: options.FactorFor,
		hasher: newHasher(options.Cost), limits: newLimits(service.Now), logger: options.Logger,
		mailer: options.Mailer, publicURL: options.PublicURL,
		guesses: make(chan guess, maxGuesses), links: make(chan linkRequest, maxResets), signUps: make(chan linkRequest, maxResets), waiting: &waiting{by: map[string]int{}}, moves: make(chan move, maxResets), resetSecret: options.ResetSecret, loginSecret: options.LoginSecret, ordersOf: options.ClaimOrders,
		watches: watches{by: map[string]*watch{}}, tallies: newTallies(service.Now),
	}
	for _, secret := range []*[]byte{&d.resetSecret, &d.loginSecret} {
		if *secret == nil {
			*secret = make([]byte, 32)
			_, _ = rand.Read(*secret) // it never fails
		}
	}
	if d.store == nil {
		d.store = NewMemory()
	}
	if d.grants == nil {
		d.grants = func(role access.Role) access.Grants {
			grants, _ := access.BuiltIn(role)
			return grants
		}
	}
	if d.factorFor == nil {
		d.factorFor = func(role access.Role) bool { return needsFactor(d.grants(role)) }
	}
	if d.logger == nil {
		d.logger = slog.New(slog.DiscardHandler)
	}
	return d
}

// factorPermissions are those that need a second factor, because whoever steals a password could do
// great harm with them: make keys, credit money, give back more than the limit, force what a rule
// refuses, or change prices. Managers and admins have such permissions, and roles of the shop's own
// may.
var factorPermissions = []access.Permission{
	access.WriteAccess, access.NoteCredit, access.UnlimitedRefunds, access.UnlimitedDiscounts, access.OverrideStock, access.WriteCatalogue, access.WritePrices, access.WriteShipping, access.WriteTaxes,
	access.ErasePersonal, access.ReducePrices, access.WriteOffs, access.UnlimitedSurcharges, access.ClawBack,
}

func needsFactor(grants access.Grants) bool {
	return slices.ContainsFunc(factorPermissions, func(p access.Permission) bool { return grants[p] != access.None })
}

// Member is a person, with their contact.
type Member struct {
	ID staff.PersonID
	staff.Person
	Contact
}

// Contact is the name and the address of a person. This is personal data. For the staff only the
// store has it. For a login the log has it, sealed.
type Contact struct{ Email, Name string }

// Token is a text with which a person sets a password. It is shown once.
type Token struct {
	Text     string // empty if it goes by mail
	Until    time.Time
	Delivery Delivery
}

// Invite adds a person who can join with a token. The token goes to the person by mail, or, without
// a Mailer, to the caller. The call says who invites.
//
// Errors: *FieldError, staff.ErrExists if somebody else has the address, and those of the log.
func (d *Desk) Invite(ctx context.Context, call commands.Call, contact Contact, role access.Role) (Member, Token, error) {
	if call.Who.IsZero() {
		return Member{}, Token{}, commands.ErrNobody
	}
	contact, err := cleaned(contact)
	if err == nil {
		err = d.checkRole(call, role)
	}
	if err != nil {
		return Member{}, Token{}, err
	}
	id := staff.PersonID("p" + randomHex(5))
	if err := d.takeAddress(ctx, id, contact); err != nil {
		return Member{}, Token{}, err
	}
	token, hash := newToken(id, d.service.Now())
	_, err = d.service.Staff(ctx, call, id, staff.Invite{Person: id, Role: role, Token: hash, Until: token.Until, Now: d.service.Now()})
	if err != nil {
		return Member{}, Token{}, err // the address can be taken over after a minute; see takeAddress
	}
	member, err := d.Member(ctx, id)
	if err != nil {
		return Member{}, Token{}, err
	}
	return member, d.deliver(ctx, member, token, invitation), nil
}

// takeAddress stores the contact of a person who is about to be invited. An address can be taken
// over if the access of its holder has ended. It can also be taken over if its holder was never
// invited, for example because a node stopped before it recorded the invitation.
func (d *Desk) takeAddress(ctx context.Context, id staff.PersonID, contact Contact) error {
	holder, err := d.holderOf(ctx, contact.Email)
	if err != nil {
		return err
	}
	taken, err := d.store.AddPerson(ctx, id, contact, holder, d.service.Now())
	if err == nil && !taken {
		err = staff.ErrExists
	}
	return err
}

// holderOf returns from whom an address, as it is stored, can be taken over; empty: nobody has it.
// The error is staff.ErrExists if its holder keeps it.
func (d *Desk) holderOf(ctx context.Context, email string) (staff.PersonID, error) {
	holder, since, err := d.store.ByEmail(ctx, email)
	if err != nil || holder == "" {
		return "", err
	}
	person, err := d.person(ctx, holder)
	if err != nil {
		return "", err
	}
	if person.Status == staff.Ended || person.Status == "" && d.service.Now().Sub(since) > time.Minute {
		return holder, nil
	}
	return "", staff.ErrExists
}

// GiveToken gives a person another token, to join or to set a new password. It goes the same way as
// that of Invite.
func (d *Desk) GiveToken(ctx context.Context, call commands.Call, id staff.PersonID) (Member, Token, error) {
	token, hash := newToken(id, d.service.Now())
	if _, err := d.service.Staff(ctx, call, id, staff.GiveToken{Person: id, Token: hash, Until: token.Until, Now: d.service.Now()}); err != nil {
		return Member{}, Token{}, err
	}
	member, err := d.Member(ctx, id)
	if err != nil {
		return Member{}, Token{}, err
	}
	if member.Status == staff.Waiting {
		return member, d.deliver(ctx, member, token, invitation), nil
	}
	return member, d.deliver(ctx, member, token, newLink), nil
}

// ChangeRole gives a person another role. Their sessions end.
func (d *Desk) ChangeRole(ctx context.Context, call commands.Call, id staff.PersonID, role access.Role) (Member, error) {
	if call.Who.IsZero() {
		return Member{}, commands.ErrNobody
	}
	if id.IsLogin() {
		return Member{}, &FieldError{Field: "role", Detail: "a customer who signs in has the role customer"}
	}
	if err := d.checkRole(call, role); err != nil {
		return Member{}, err
	}
	return d.change(ctx, call, id, staff.ChangeRole{Person: id, Role: role})
}

// Disable ends a person's access for good.
func (d *Desk) Disable(ctx context.Context, call commands.Call, id staff.PersonID, reason string) (Member, error) {
	return d.change(ctx, call, id, staff.Disable{Person: id, Reason: reason})
}

// RemoveFactor takes away a second factor that a person has lost.
func (d *Desk) RemoveFactor(ctx context.Context, call commands.Call, id staff.PersonID) (Member, error) {
	return d.change(ctx, call, id, staff.RemoveFactor{Person: id})
}

// change carries out a command on a person, and deletes the sessions and secrets that are no longer
// good.
func (d *Desk) change(ctx context.Context, call commands.Call, id staff.PersonID, command staff.Command) (Member, error) {
	if _, err := d.service.Staff(ctx, call, id, command); err != nil {
		return Member{}, err
	}
	member, err := d.Member(ctx, id)
	if err != nil {
		return Member{}, err
	}
	d.tidy(ctx, id, member.Person)
	return member, nil
}

// tidy deletes the sessions and secrets of a person that are no longer good. They would be refused
// even if they stayed, so a failure is only logged.
func (d *Desk) tidy(ctx context.Context, id staff.PersonID, person staff.Person) {
	if err := d.store.Tidy(ctx, id, person.Generation, []string{person.Credential, person.Factor}); err != nil {
		d.logger.WarnContext(ctx, "old secrets of a person are not deleted", "person_id", id, "error", err)
	}
}

// Member is a person as they stand.
//
// Errors: staff.ErrNotFound, and those of the log and the store.
func (d *Desk) Member(ctx context.Context, id staff.PersonID) (Member, error) {
	person, err := d.person(ctx, id)
	if err == nil && person.Status == "" {
		err = staff.ErrNotFound
	}
	if err != nil {
		return Member{}, err
	}
	contact, err := d.contact(ctx, id, person)
	return Member{ID: id, Person: person, Contact: contact}, err
}

// contact is how to reach a person. The log has that of a login: its address, and the name of the
// customer's account.
func (d *Desk) contact(ctx context.Context, id staff.PersonID, person staff.Person) (of Contact, err error) {
	if !id.IsLogin() {
		contacts, err := d.store.Contacts(ctx)
		return contacts[id], err
	}
	of.Email = person.ConfirmedEmail
	err = d.service.ViewCustomer(ctx, person.Customer, func(account customer.State, _ int64) { of.Name = account.Profile.Name })
	return of, err
}

// Members are all people of the staff, by id.
func (d *Desk) Members(ctx context.Context) ([]Member, error) {
	contacts, err := d.store.Contacts(ctx)
	if err != nil {
		return nil, err
	}
	var all []Member
	err = d.service.ViewStaff(ctx, func(state staff.State, _ int64) {
		for id, person := range state.People {
			person.Recovery = slices.Clone(person.Recovery)
			all = append(all, Member{ID: id, Person: person, Contact: contacts[id]})
		}
	})
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return all, err
}

// person reads a person from the log. A person who does not exist has no status.
func (d *Desk) person(ctx context.Context, id staff.PersonID) (staff.Person, error) {
	return d.service.Person(ctx, id)
}

// Redeemed is a person who has set a password with a token.
type Redeemed struct {
	Member

	// Browser is the token by which the browser is known from now on. It is empty if it could not
	// be stored.
	Browser string
}

// Redeem sets a password with a token. The browser is known from then on, as by KnowBrowser. Other
// browsers are not known any more.
//
// Errors: *FieldError, staff.ErrTokenRefused, ErrBusy, and those of the log and the store.
func (d *Desk) Redeem(ctx context.Context, text, password string) (Redeemed, error) {
	token, err := ParseToken(text)
	if err != nil {
		return Redeemed{}, staff.ErrTokenRefused
	}
	redeem := d.redeemGiven
	if token.code != "" {
		redeem = d.redeemReset
	}
	member, err := redeem(ctx, token, password)
	if err != nil {
		return Redeemed{}, err
	}
	// Somebody else may have signed in with the old password. Their browser has tries of its own.
	if err := d.store.KeepNewest(ctx, member.ID, KnownBy, 0); err != nil {
		d.logger.WarnContext(ctx, "browsers stay known, although a password was set by a token", "person_id", member.ID, "error", err)
	}
	browser, session := d.linkedBrowser(member.ID, member.Person)
	if err := d.store.SaveSession(ctx, session); err != nil {
		d.logger.WarnContext(ctx, "a browser is not known, although a password was set in it", "person_id", member.ID, "error", err)
		browser = ""
	}
	return Redeemed{Member: member, Browser: browser}, nil
}

// redeemGiven sets a password with a token that an admin has given.
func (d *Desk) redeemGiven(ctx context.Context, token GivenToken, password string) (Member, error) {
	id, hash := token.person, token.hash
	person, err := d.person(ctx, id)
	if err != nil {
		return Member{}, err
	}
	// Check the token first, because hashing a password is expensive.
	if subtle.ConstantTimeCompare([]byte(person.Token), []byte(hash)) != 1 || !d.service.Now().Before(person.Until) {
		return Member{}, staff.ErrTokenRefused
	}
	credential, err := d.newCredential(ctx, id, "password", password)
	if err != nil {
		return Member{}, err
	}
	return d.change(ctx, d.callOf(id), id, staff.RedeemToken{Person: id, Token: hash, Credential: credential, Now: d.service.Now()})
}

// ChangePassword sets a new password if present is the person's password. All their sessions end.
//
// Errors: *FieldError, *WaitError, ErrRefused, ErrBusy, and those of the log and the store.
func (d *Desk) ChangePassword(ctx context.Context, id staff.PersonID, client, present, next string) error {
	keys := passwordKeys(id, client)
	if wait := d.limits.take(keys); wait > 0 {
		d.tallies.add(id, delayed)
		return &WaitError{After: wait}
	}
	person, err := d.person(ctx, id)
	if err != nil {
		return err
	}
	if good, err := d.compare(ctx, person, present, !id.IsLogin()); err != nil || !good {
		d.tallies.addIf(err == nil, id, wrongPassword)
		return orRefused(err)
	}
	d.limits.clear(keys)
	credential, err := d.newCredential(ctx, id, "new_password", next)
	if err != nil {
		return err
	}
	_, err = d.change(ctx, d.callOf(id), id, staff.ChangePassword{Person: id, Current: person.Credential, Credential: credential})
	return err
}

// newCredential hashes a new password and stores the hash. The hash is not used until an event
// names it.
func (d *Desk) newCredential(ctx context.Context, id staff.PersonID, field, password string) (credential string, err error) {
	person, err := d.person(ctx, id)
	if err != nil {
		return "", err
	}
	contact, err := d.contact(ctx, id, person)
	if err != nil {
		return "", err
	}
	if fault := passwordFault(password, contact); fault != "" {
		return "", &FieldError{Field: field, Detail: fault}
	}
	hashed, err := d.hasher.hash(ctx, normal(password))
	if err != nil {
		return "", err
	}
	credential = uuid.NewString()
	return credential, d.store.SaveSecret(ctx, Secret{ID: credential, Person: id, Value: hashed})
}

// compare tells whether a password is the person's. It asks the store once and computes one hash in
// every case, so the time does not tell whether there is such a person. known says that the person
// has a known browser or a session.
func (d *Desk) compare(ctx context.Context, person staff.Person, password string, known bool) (bool, error) {
	stored, err := d.store.Secret(ctx, person.Credential)
	if err != nil {
		return false, err
	}
	same, err := d.hasher.matches(ctx, stored, normal(password), known)
	return same && person.Status == staff.Active, err
}

// callOf is the call for a command that a person sends about themself. It has all rights, because
// these commands are about nobody else.
func (d *Desk) callOf(id staff.PersonID) commands.Call {
	who := access.System("sign-in")
	who.ID = id.Actor()
	return commands.Call{Who: who, Needs: access.WriteAccess, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: who.ID, Channel: "api"}}
}

// checkRole refuses a role that does not exist, that reaches only the things of a customer, or that
// has a right which the caller does not have. The commands check the caller's rights, too. Here
// they are checked first, so that a refused invitation stores no address.
func (d *Desk) checkRole(call commands.Call, role access.Role) error {
	grants := d.grants(role)
	if permission := call.Who.Lacks(grants); permission != "" {
		return &access.LacksError{Permission: permission}
	}
	if len(grants) == 0 {
		return access.ErrRoleNotFound.With(access.ErrRoleNotFound.Detail, map[string]any{"role": role})
	}
	for _, reach := range grants {
		if reach == access.Own {
			return &FieldError{Field: "role", Detail: fmt.Sprintf("the role %s is for customers, because it reaches only the things of one", role)}
		}
	}
	return nil
}

// cleaned checks a name and an address. An address is compared in lower case.
func cleaned(contact Contact) (Contact, error) {
	if !unit.FitsLine(contact.Name, unit.MaxReference) {
		return contact, &FieldError{Field: "name", Detail: "want one line of 1 to 100 characters"}
	}
	address, err := ParseAddress(contact.Email)
	contact.Email = address
	return contact, err
}

const maxAddress = 254 // bytes, by RFC 5321

// ParseAddress returns an e-mail address in lower case. Its errors are FieldErrors of email.
func ParseAddress(text string) (string, error) {
	parsed, err := mail.ParseAddress(text)
	if err != nil || parsed.Name != "" || parsed.Address != text || len(text) > maxAddress || strings.ContainsFunc(text, unprintable) {
		return "", &FieldError{Field: "email", Detail: "want one e-mail address, such as eve@shop.example"}
	}
	return strings.ToLower(text), nil
}

// unprintable tells whether a character could begin another header of a message.
func unprintable(r rune) bool { return r <= ' ' || r > '~' }

// passwordFault says what is wrong with a new password. There are no rules about kinds of
// characters, such as digits, because length is what counts.
func passwordFault(password string, of Contact) string {
	length := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password) || length < MinPassword || length > MaxPassword:
		return fmt.Sprintf("want %d to %d characters", MinPassword, MaxPassword)
	case of.Email != "" && strings.Contains(strings.ToLower(password), of.Email):
		return "it must not contain the e-mail address"
	case distinct(password) < 5:
		return "want at least 5 different characters"
	}
	return ""
}

func distinct(text string) int {
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	return len(seen)
}

// normal is the form in which a password is hashed, because two keyboards may write the same
// characters in different ways.
func normal(password string) string { return norm.NFKC.String(password) }

const tokenPrefix = "dbt"

func newToken(id staff.PersonID, now time.Time) (token Token, hash string) {
	secret := randomHex(32)
	return Token{Text: tokenPrefix + "_" + string(id) + "_" + secret, Until: now.Add(TokenFor).UTC()}, sum(secret)
}

var errMalformed = errors.New("want a token, such as dbt_p3f9a1c2d4_ and 64 digits")

// GivenToken is a token that somebody sends. It has a hash if an admin has given it, and a code if
// the person has asked for it.
type GivenToken struct {
	person staff.PersonID
	hash   string
	code   string
	until  int64 // Unix time; only with code
}

// ParseToken reads a token of a person. It does not check that the token is good.
func ParseToken(text string) (GivenToken, error) {
	parts := strings.Split(text, "_")
	if parts[0] == resetPrefix {
		return parseResetToken(parts)
	}
	if len(parts) != 3 || parts[0] != tokenPrefix || !isSecret(parts[2]) {
		return GivenToken{}, errMalformed
	}
	id, err := staff.ParsePersonID(parts[1])
	if err != nil {
		return GivenToken{}, errMalformed
	}
	return GivenToken{person: id, hash: sum(parts[2])}, nil
}

// IsToken tells whether a text has the form of a session's token.
func IsToken(text string) bool {
	secret, is := strings.CutPrefix(text, sessionPrefix)
	return is && isSecret(secret)
}

// isSecret tells whether a text has the form of 256 random bits in hex.
func isSecret(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}

func randomHex(bytes int) string {
	random := make([]byte, bytes)
	_, _ = rand.Read(random) // it never fails
	return hex.EncodeToString(random)
}

// sum is the hash of a random text. Such a text cannot be guessed, so the hash needs no salt.
func sum(text string) string {
	hash := sha256.Sum256([]byte(text))
	return hex.EncodeToString(hash[:])
}

func orRefused(err error) error {
	if err != nil {
		return err
	}
	return ErrRefused
}
