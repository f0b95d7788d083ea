package resource

import (
	"maps"
	"time"

	"daybook/domain/access"
	"daybook/domain/staff"
)

// StaffMember is a person who may sign in.
type StaffMember struct {
	PersonID     staff.PersonID `json:"person_id"`
	Name         string         `json:"name,omitempty" class:"personal" doc:"What the person is called. Left out if it was deleted."`
	Email        string         `json:"email,omitempty" class:"personal" doc:"The address with which the person signs in. Left out if it was deleted."`
	Role         access.Role    `json:"role"`
	Status       staff.Status   `json:"person_status" enum:"invited,active,disabled"`
	SecondFactor bool           `json:"second_factor"`
	RecoveryLeft int            `json:"recovery_codes_left,omitzero" doc:"How many recovery codes were not used."`
	TokenUntil   time.Time      `json:"token_until,omitzero" doc:"Until when the person can set a password with their token. Left out if they have none."`
}

// StaffMemberOf shows the present state of a person.
func StaffMemberOf(id staff.PersonID, person staff.Person, name, email string) StaffMember {
	return StaffMember{
		PersonID: id, Name: name, Email: email, Role: person.Role, Status: person.Status,
		SecondFactor: person.Factor != "", RecoveryLeft: len(person.Recovery), TokenUntil: Moment(person.Until),
	}
}

// StaffToken is a person with a token, which is shown only once. If the server sends mail, the
// token is in the mail instead.
type StaffToken struct {
	Person StaffMember `json:"person" doc:"The person."`
	Token  string      `json:"token,omitempty" secret:"true" doc:"With it the person sets a password. It is good once. Left out if it goes by mail."`
	Until  time.Time   `json:"token_until"`
	Mail   string      `json:"mail,omitempty" enum:"sent,not-sent" doc:"Whether the mail server has taken the mail with the token. If it has not, give-token sends another one. Left out if the server sends no mail."`
}

// Invitation says what became of the mail to a customer.
type Invitation struct {
	Until time.Time `json:"token_until" doc:"Until when the link in the mail is good."`
	Mail  string    `json:"mail" enum:"sent,not-sent" doc:"Whether the mail server has taken the mail. If it has not, send the request again."`
}

// Login says whether and how a customer signs in.
type Login struct {
	PersonID     staff.PersonID `json:"person_id" doc:"The login, for the routes of people: list-staff-sessions, remove-factor, give-token and disable-staff."`
	Email        string         `json:"email,omitempty" class:"personal" doc:"The confirmed address with which the customer signs in. Left out once the login has ended."`
	Status       staff.Status   `json:"login_status" enum:"active,disabled"`
	SecondFactor bool           `json:"second_factor"`
}

// LoginOf shows the present state of a login.
func LoginOf(id staff.PersonID, person staff.Person) Login {
	return Login{PersonID: id, Email: person.ConfirmedEmail, Status: person.Status, SecondFactor: person.Factor != ""}
}

// SignIn says how far a sign-in is.
type SignIn struct {
	Next     string   `json:"next" enum:"complete,second-factor,set-up-factor"`
	Step     string   `json:"step_token,omitempty" secret:"true" doc:"What the next step must send. Left out if the sign-in is complete."`
	Session  *Session `json:"session,omitempty" doc:"The session that has begun. Its token is in a cookie. Left out if a step is missing."`
	Recovery []string `json:"recovery_codes,omitempty" secret:"true" doc:"New recovery codes, which are shown only here. Only a sign-in that sets up a second factor has them."`
	// CustomerID is a text, because a reader without rights of personal data still sees their own.
	CustomerID string `json:"customer_id,omitempty" doc:"The customer who has signed in. Left out for the staff."`
}

// Session is a session of a person.
type Session struct {
	SessionID string    `json:"session_id"`
	BeganAt   time.Time `json:"began_at"`
	UsedAt    time.Time `json:"used_at"`
	ExpiresAt time.Time `json:"expires_at" doc:"When it ends even if it is used."`
	Current   bool      `json:"current" doc:"true: this request belongs to it."`
}

// SessionList is the sessions of a person.
type SessionList struct {
	Items []Session `json:"items" maxItems:"100" doc:"The sessions that are good now, the oldest first; at most the latest 100."`
}

// FactorSecret is the secret of a second factor, for an app that shows codes.
type FactorSecret struct {
	Secret string `json:"app_secret" secret:"true"`
	URI    string `json:"app_uri"`
}

// NewFactor is the secret of another second factor, and the token with which it is confirmed.
type NewFactor struct {
	Secret string `json:"app_secret" secret:"true"`
	URI    string `json:"app_uri"`
	Step   string `json:"step_token" secret:"true"`
}

// RecoveryCodes are new recovery codes.
type RecoveryCodes struct {
	Recovery []string `json:"recovery_codes" secret:"true" doc:"New recovery codes, which are shown only here. Those before are not good any more."`
}

// Caller is who sends a request.
type Caller struct {
	Actor      string      `json:"actor" doc:"How events name the caller."`
	Role       access.Role `json:"role"`
	CustomerID string      `json:"customer_id,omitempty" doc:"The customer whose things an own permission reaches."`
	Grants     []Grant     `json:"grants" doc:"What the caller may do, by permission."`
	KeyScope
}

// CallerOf is a principal as the API shows it.
func CallerOf(who access.Principal) Caller {
	grants := maps.Clone(who.Grants)
	maps.DeleteFunc(grants, func(permission access.Permission, _ access.Reach) bool { return who.Scope.Bars(permission) })
	return Caller{
		Actor: who.ID, Role: who.Role, CustomerID: string(who.Customer), Grants: RoleOf(who.Role, grants).Grants,
		KeyScope: KeyScope(who.Scope),
	}
}
