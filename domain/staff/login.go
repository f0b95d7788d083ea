package staff

import (
	"strings"

	"daybook/domain/access"
	"daybook/domain/unit"
)

// A login is how a customer of the shop signs in. It follows the same rules as a person of the
// staff: password, second factor, sessions, links. It differs in four things:
//
//   - Each login has a stream of its own, because there may be very many, and no decision is about
//     two of them.
//   - Customers make their logins themselves (SignUp), so nobody invites them.
//   - Its role is always access.Customer, and it reaches only what belongs to its customer.
//   - The log has its e-mail address, sealed, because the address says which orders of guests are
//     the customer's.

// LoginCategory starts the names of the streams of logins.
const LoginCategory = "shoplogin"

// loginPrefix begins the ids of logins. The ids of the staff begin with p.
const loginPrefix = "u"

// NewLoginID makes the id of a login of random digits in hex.
func NewLoginID(digits string) PersonID { return PersonID(loginPrefix + digits) }

// IsLogin tells whether an id is that of a login, and not of a person of the staff.
func (id PersonID) IsLogin() bool { return strings.HasPrefix(string(id), loginPrefix) }

// StreamOf names the stream of a person: that of the whole staff, or that of one login.
func StreamOf(id PersonID) string {
	if id.IsLogin() {
		return LoginCategory + "-" + string(id)
	}
	return Stream()
}

// Actor is the name of a person who has signed in, as events have it.
func (id PersonID) Actor() string {
	if id.IsLogin() {
		return access.LoginPrefix + string(id)
	}
	return access.StaffPrefix + string(id)
}

// OfActor returns the id of the person whom an actor's name names. It is empty if the actor is not
// a person who has signed in.
func OfActor(name string) PersonID {
	for _, prefix := range []string{access.StaffPrefix, access.LoginPrefix} {
		if id, is := strings.CutPrefix(name, prefix); is {
			return PersonID(id)
		}
	}
	return ""
}

// signUp refuses a link that has made a login before.
func signUp(cmd SignUp, s State) ([]Event, error) {
	switch {
	case !cmd.Person.IsLogin() || !isPlain(string(cmd.Person)):
		return nil, invalid("person_id", "The id of a login begins with u and has up to 40 lower-case letters and digits.")
	case s.People[cmd.Person].Status != "":
		return nil, ErrTokenRefused
	case cmd.Customer == "":
		return nil, invalid("customer_id", "A login is of a customer.")
	case cmd.Email == "":
		return nil, invalid("email", "A login has an e-mail address.")
	case cmd.Credential == "":
		return nil, invalid("credential_id", "A credential has an id.")
	}
	return []Event{SignedUp(cmd)}, nil
}

// LoginCustomer is the customer of the login that a stream is about. A stream of the staff has
// none.
func (s State) LoginCustomer() unit.CustomerID {
	for _, person := range s.People { // a login's stream has one person
		return person.Customer
	}
	return ""
}
