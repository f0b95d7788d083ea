package signin

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/contact"
	"daybook/domain/customer"
	"daybook/domain/staff"
	"daybook/domain/subject"
	"daybook/domain/unit"
)

// Kind says among which people an address is looked up. A person of the staff who also buys has the
// same address twice, with two passwords.
type Kind string

// The kinds of people who sign in.
const (
	OfStaff    Kind = "staff"
	OfCustomer Kind = "customer"
)

// SignUpFor is how long a link is good with which a customer makes a login.
const SignUpFor = 24 * time.Hour

const (
	signUpPrefix = "dbu"
	// signUpPath is where the page is that takes the token of such a link.
	signUpPath = "/sign-up#token="
	// keyedAddress begins what is stored of a login's address. No address begins so.
	keyedAddress = "hmac-"
)

var (
	signUpLink = letter{path: signUpPath, subject: "Confirm your address", text: `Hello NAME,

somebody wants to shop with this address. If it was you, confirm it here, and set a password:

LINK

The link is good once, until UNTIL. If it was not you, ignore this mail. Then nothing happens.
`}
	invitedLink = letter{path: signUpPath, subject: "Your account in the shop", text: `Hello NAME,

the shop has an account for you. Confirm this address here, and set a password:

LINK

The link is good once, until UNTIL. If you do not know what this mail is about, ignore it.
`}
	existingLoginLetter = letter{subject: "You have an account already", text: `Hello NAME,

somebody wants to make an account with this address. If it was you: you have one already. If you
have forgotten your password, set a new one here:

LINK

The link is good once, until UNTIL. If it was not you, ignore this mail. Your password stays as it
is.
`}
)

// storedAddress is how an address is written in the store: that of the staff as it is, and that of
// a login as a keyed hash. Whoever reads the table cannot tell which customers the shop has.
func (d *Desk) storedAddress(kind Kind, address string) string {
	if kind != OfCustomer {
		return address
	}
	return keyedAddress + mac(d.loginSecret, "address of a login", address)
}

// mac is a keyed hash of a text for one use, in hex.
func mac(secret []byte, use, text string) string { return hexMAC(secret, use+"\x00"+text) }

// hexMAC is a keyed hash of a text, in hex.
func hexMAC(secret []byte, text string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// CustomerOfSubject returns the id of the customer who is a subject of an identity provider. It is
// a keyed hash, so the log does not say who the subject is. Somebody who was erased and comes back
// is another customer, whose id is that of the next life.
//
// Errors: those of the log.
func (d *Desk) CustomerOfSubject(ctx context.Context, issuer, subject string) (unit.CustomerID, error) {
	of := fmt.Sprintf("%q %q", issuer, subject)
	for life := 1; ; life++ {
		id := newCustomer(mac(d.loginSecret, "customer of a subject", of))
		err := d.refuseErased(ctx, id)
		if !errors.Is(err, customer.ErrErased) {
			return id, err
		}
		of = fmt.Sprintf("%q %q %d", issuer, subject, life+1)
	}
}

// newCustomer makes the id of a customer of random digits in hex.
func newCustomer(digits string) unit.CustomerID { return unit.CustomerID("c" + digits[:32]) }

func kindOf(id staff.PersonID) Kind {
	if id.IsLogin() {
		return OfCustomer
	}
	return OfStaff
}

// unknownLogin is looked up in place of a login that does not exist, so that both take the same
// time. No login has this id, because it is too short.
var unknownLogin = staff.NewLoginID("0")

// RequestSignUp lets Run send a link, with which a customer makes a login. If the address has a
// login already, the mail says so, and has a link for a new password. RequestSignUp does the same
// work for every address and returns the same, so nobody learns who buys in the shop. It records
// nothing, so strangers cannot fill the log.
//
// Errors: *FieldError, *WaitError, ErrNoMail, and those of the store.
func (d *Desk) RequestSignUp(ctx context.Context, from From, email string) error {
	if err := reachable(email); err != nil {
		return err
	}
	return d.requestLink(ctx, from, email, linkRequest{kind: OfCustomer, signUp: true})
}

// reachable refuses an address that the account of a customer cannot have.
func reachable(email string) error {
	if fault := contact.EmailFault(email); fault != "" {
		return &FieldError{Field: "email", Detail: fault}
	}
	return nil
}

// sendSignUp sends the mail of RequestSignUp. If too many mails were sent to this address lately,
// it sends none, because the links in those are still good.
func (d *Desk) sendSignUp(ctx context.Context, address string) {
	if d.limits.take([]key{{name: "sign-up mails " + sum(address), free: freeOfMails}}) > 0 {
		return
	}
	holder, err := d.holderOf(ctx, d.storedAddress(OfCustomer, address))
	if errors.Is(err, staff.ErrExists) {
		d.sendReset(ctx, OfCustomer, address, existingLoginLetter)
		return
	}
	if err != nil {
		d.noteUnsent(ctx, holder, err)
		return
	}
	d.noteUnsent(ctx, "", d.send(ctx, Member{Contact: Contact{Email: address}}, d.signUpToken("", address), signUpLink))
}

// signUpToken makes a token with which a customer makes a login. It is stored nowhere: it has the
// address, and a code (HMAC) over everything in it. It is good once, because the id of the login
// derives from the code, and the login can be made once. id is empty if the customer is new.
func (d *Desk) signUpToken(id unit.CustomerID, address string) Token {
	until := d.service.Now().Add(SignUpFor).UTC().Truncate(time.Second)
	token := SignUpToken{customer: id, address: address, until: until.Unix(), nonce: randomHex(8)}
	text := strings.Join([]string{signUpPrefix, strconv.FormatInt(token.until, 10), token.nonce, hex.EncodeToString([]byte(address)), hex.EncodeToString([]byte(id)), d.signUpCode(token)}, "_")
	return Token{Text: text, Until: until}
}

func (d *Desk) signUpCode(t SignUpToken) string {
	return mac(d.resetSecret, "sign up", fmt.Sprintf("%d %s %q %q", t.until, t.nonce, t.address, t.customer))
}

// SignUpToken is a token of a link with which a customer makes a login.
type SignUpToken struct {
	customer unit.CustomerID // empty: a new one
	address  string
	until    int64  // Unix time
	nonce    string // random, so that two links differ
	code     string
}

var errSignUpToken = errors.New("want the token of the mail, which begins with dbu_")

// ParseSignUpToken reads such a token. It does not check that the token is good.
func ParseSignUpToken(text string) (SignUpToken, error) {
	parts := strings.Split(text, "_")
	if len(parts) != 6 || parts[0] != signUpPrefix || !isSecret(parts[5]) {
		return SignUpToken{}, errSignUpToken
	}
	until, wrong := strconv.ParseInt(parts[1], 10, 64)
	address, odd := hex.DecodeString(parts[3])
	id, strange := hex.DecodeString(parts[4])
	if wrong != nil || odd != nil || strange != nil || until <= 0 {
		return SignUpToken{}, errSignUpToken
	}
	return SignUpToken{customer: unit.CustomerID(id), address: string(address), until: until, nonce: parts[2], code: parts[5]}, nil
}

// ConfirmSignUp makes a login with a token of a link, and signs in. If the token names no customer,
// it registers a new one, with this name. A request that fails half-way can be repeated: until the
// login is made, the token stays good, and it leads to the same customer.
//
// Errors: *FieldError, staff.ErrTokenRefused, ErrBusy, and those of the log and the store.
func (d *Desk) ConfirmSignUp(ctx context.Context, from From, text, password, name string) (SignedIn, error) {
	token, err := ParseSignUpToken(text)
	if err != nil || subtle.ConstantTimeCompare([]byte(d.signUpCode(token)), []byte(token.code)) != 1 || d.service.Now().Unix() >= token.until {
		return SignedIn{}, staff.ErrTokenRefused
	}
	id := staff.NewLoginID(mac(d.resetSecret, "id of a login", token.code)[:24])
	customerID := token.customer
	if customerID == "" {
		customerID = newCustomer(mac(d.resetSecret, "customer of a login", token.code))
	}
	if used, err := d.person(ctx, id); err != nil || used.Status != "" {
		return SignedIn{}, cmp.Or(err, error(staff.ErrTokenRefused))
	}
	if name != "" && !unit.FitsLine(name, unit.MaxReference) {
		return SignedIn{}, &FieldError{Field: "name", Detail: "want one line of 1 to 100 characters"}
	}
	if err := d.refuseErased(ctx, customerID); err != nil {
		return SignedIn{}, orTokenIsOld(err)
	}
	if fault := passwordFault(password, Contact{Email: token.address}); fault != "" {
		return SignedIn{}, &FieldError{Field: "password", Detail: fault}
	}
	if err := d.takeLogin(ctx, id, customerID, token.address); err != nil {
		return SignedIn{}, err
	}
	credential, err := d.newCredential(ctx, id, "password", password)
	if err != nil {
		return SignedIn{}, err
	}
	if err := d.register(ctx, id, customerID, customer.Profile{Name: name, Email: token.address}); err != nil {
		return SignedIn{}, err
	}
	_, err = d.service.Staff(ctx, d.callOf(id), id, staff.SignUp{Person: id, Customer: customerID, Email: token.address, Credential: credential})
	if err != nil {
		return SignedIn{}, err
	}
	// The customer may have been erased at this moment, and the erasure did not see the login.
	if err := d.refuseErased(ctx, customerID); err != nil {
		return SignedIn{}, cmp.Or(d.endLogin(ctx, id), orTokenIsOld(err))
	}
	person, err := d.person(ctx, id)
	if err != nil {
		return SignedIn{}, err
	}
	return d.begin(ctx, from, id, person, staff.SignIn{Person: id, Credential: credential})
}

// claimFor bounds how long a sign-in waits for the orders of a guest, because finding them needs
// the read models.
const claimFor = 3 * time.Second

// claimOrders gives a customer the orders that they made as a guest with their confirmed address.
// If it fails, the next sign-in does it.
func (d *Desk) claimOrders(ctx context.Context, id staff.PersonID, customerID unit.CustomerID, address string) {
	if d.ordersOf == nil {
		return
	}
	call := d.callOf(id)
	call.Needs = access.ClaimOrders
	limited, stop := context.WithTimeout(ctx, claimFor)
	defer stop()
	if _, err := d.ordersOf(limited, call, customerID, address); err != nil && ctx.Err() == nil {
		d.logger.WarnContext(ctx, "the orders that a customer made as a guest are not claimed yet", "person_id", id, "error", err)
	}
}

// refuseErased returns customer.ErrErased for a customer who was erased.
func (d *Desk) refuseErased(ctx context.Context, id unit.CustomerID) error {
	state, _, err := d.service.Subject(ctx, id.Owner())
	if err == nil && state.IsErased() {
		err = customer.ErrErased
	}
	return err
}

// orTokenIsOld says of the link of a customer who was erased only that it is not good any more.
func orTokenIsOld(err error) error {
	if errors.Is(err, customer.ErrErased) {
		return staff.ErrTokenRefused
	}
	return err
}

// takeLogin stores the address of a login that is about to be made. Its rules are those of
// takeAddress, and a customer has one login.
func (d *Desk) takeLogin(ctx context.Context, id staff.PersonID, customerID unit.CustomerID, address string) error {
	if err := d.noOther(ctx, customerID, id); err != nil {
		if errors.Is(err, staff.ErrExists) {
			return staff.ErrTokenRefused
		}
		return err
	}
	// What is stored of an earlier login of this customer, which has ended or was never made, would
	// be in the way, because a customer has one login.
	earlier, err := d.store.LoginsOf(ctx, customerID)
	if err != nil {
		return err
	}
	for _, one := range earlier {
		if one == id {
			continue
		}
		if err := d.store.Forget(ctx, one); err != nil {
			return err
		}
	}
	stored := d.storedAddress(OfCustomer, address)
	holder, err := d.holderOf(ctx, stored)
	if errors.Is(err, staff.ErrExists) {
		if holder, _, err = d.store.ByEmail(ctx, stored); err == nil && holder != id {
			return staff.ErrTokenRefused // the link is older than the login that has the address
		}
	}
	if err != nil {
		return err
	}
	taken, err := d.store.AddLogin(ctx, id, customerID, stored, holder, d.service.Now())
	if err == nil && !taken {
		err = staff.ErrTokenRefused
	}
	return err
}

// register makes the account of a customer who has none.
func (d *Desk) register(ctx context.Context, id staff.PersonID, customerID unit.CustomerID, profile customer.Profile) error {
	registered := false
	if err := d.service.ViewCustomer(ctx, customerID, func(_ customer.State, revision int64) { registered = revision >= 0 }); err != nil || registered {
		return err
	}
	call := d.callOf(id)
	call.Needs, call.New = access.WriteCustomers, true
	_, err := d.service.Customer(ctx, call, customerID, customer.Register{CustomerID: customerID, Profile: profile})
	if errors.Is(err, customer.ErrExists) {
		return nil // another request with the link has done it
	}
	return err
}

// InviteCustomer sends a customer a link, with which they make a login for the account that they
// have. The mail goes to the address that the caller gives, for example that of the profile.
//
// Errors: *FieldError, ErrNoMail, *access.LacksError, staff.ErrExists if the customer or the
// address has a login, customer.ErrNotFound, customer.ErrErased, and those of the log and the
// store.
func (d *Desk) InviteCustomer(ctx context.Context, call commands.Call, id unit.CustomerID, email string) (Token, error) {
	if call.Who.IsZero() {
		return Token{}, commands.ErrNobody
	}
	if permission := call.Who.Lacks(d.grants(access.Customer)); permission != "" {
		return Token{}, &access.LacksError{Permission: permission}
	}
	if d.mailer == nil {
		return Token{}, ErrNoMail
	}
	address, err := ParseAddress(email)
	if err = cmp.Or(err, reachable(email)); err != nil {
		return Token{}, err
	}
	name := ""
	var missing error
	err = d.service.ViewCustomer(ctx, id, func(state customer.State, revision int64) {
		if name = state.Profile.Name; revision < 0 {
			missing = customer.ErrNotFound
		}
	})
	if err = cmp.Or(err, missing, d.refuseErased(ctx, id)); err != nil {
		return Token{}, err
	}
	if err := d.noOther(ctx, id, ""); err != nil {
		return Token{}, err
	}
	if _, err := d.holderOf(ctx, d.storedAddress(OfCustomer, address)); err != nil {
		return Token{}, err
	}
	d.logger.InfoContext(ctx, "a customer is invited to sign in", "subject", subject.Stream(id.Owner()), "actor", call.Who.ID)
	to := Member{Contact: Contact{Email: address, Name: name}}
	return d.deliver(ctx, to, d.signUpToken(id, address), invitedLink), nil
}

// Logins are the logins of a customer, by id. At most one of them is active.
func (d *Desk) Logins(ctx context.Context, id unit.CustomerID) (all []Member, err error) {
	stored, err := d.store.LoginsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, one := range stored {
		person, err := d.person(ctx, one)
		if err != nil {
			return nil, err
		}
		if person.Status != "" {
			all = append(all, Member{ID: one, Person: person})
		}
	}
	return all, nil
}

// MayMerge refuses to merge an account that somebody can sign in to, unless the caller has all
// rights of the role customer. Afterwards the login reaches the other account, so whoever merges
// gives these rights.
//
// Errors: *access.LacksError, and those of the log and the store.
func (d *Desk) MayMerge(ctx context.Context, call commands.Call, source unit.CustomerID) error {
	if call.Who.IsZero() {
		return commands.ErrNobody
	}
	err := d.noOther(ctx, source, "")
	if !errors.Is(err, staff.ErrExists) {
		return err
	}
	if permission := call.Who.Lacks(d.grants(access.Customer)); permission != "" {
		return &access.LacksError{Permission: permission}
	}
	return nil
}

// noOther returns staff.ErrExists if a customer has a login that can sign in, other than one.
func (d *Desk) noOther(ctx context.Context, id unit.CustomerID, except staff.PersonID) error {
	all, err := d.Logins(ctx, id)
	if slices.ContainsFunc(all, func(m Member) bool { return m.Status == staff.Active && m.ID != except }) {
		return staff.ErrExists
	}
	return err
}

// ForgetCustomer ends the logins of a customer who is erased, and deletes what the store has of
// them. It does nothing if there are none, so it can be repeated.
func (d *Desk) ForgetCustomer(ctx context.Context, id unit.CustomerID) error {
	all, err := d.store.LoginsOf(ctx, id)
	if err != nil {
		return err
	}
	for _, one := range all {
		if err := d.endLogin(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

// endLogin ends the login of an erased customer, and deletes what the store has of it.
func (d *Desk) endLogin(ctx context.Context, id staff.PersonID) error {
	person, err := d.person(ctx, id)
	if err != nil {
		return err
	}
	if person.Status == staff.Active {
		call := commands.ErasureCall(uuid.New())
		if _, err := d.service.Staff(ctx, call, id, staff.Disable{Person: id, Reason: "the customer was erased"}); err != nil {
			return fmt.Errorf("end the login of an erased customer: %w", err)
		}
	}
	return d.store.Forget(ctx, id)
}
