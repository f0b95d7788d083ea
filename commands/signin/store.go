package signin

import (
	"context"
	"time"

	"daybook/domain/staff"
	"daybook/domain/unit"
)

// Store keeps what the log must not have: names and addresses of the staff, keyed hashes of the
// addresses of logins, hashes of passwords, secrets of second factors, and sessions. The log says
// which of them count. Package commands/postgres implements it in a database, and Memory in memory.
// Texts that people send, such as the token of a session, are stored as their SHA-256 only.
type Store interface {
	// AddPerson stores the contact of a person. In the same step it takes the address away from
	// holder, if that is not empty. It returns false if somebody else has the address.
	AddPerson(ctx context.Context, id staff.PersonID, contact Contact, holder staff.PersonID, now time.Time) (added bool, err error)
	// ChangeEmail gives a person another address. In the same step it takes the address away from
	// holder, if that is another person. It returns false if somebody else has the address, or if
	// the person has no contact.
	ChangeEmail(ctx context.Context, id staff.PersonID, email string, holder staff.PersonID, now time.Time) (changed bool, err error)
	// ByEmail returns who has an address, and since when. The id is empty if nobody has it.
	ByEmail(ctx context.Context, email string) (id staff.PersonID, since time.Time, err error)
	// Contacts returns the contacts of all people of the staff.
	Contacts(ctx context.Context) (map[staff.PersonID]Contact, error)

	// AddLogin is AddPerson for a login of a customer. address is as Desk stores it: a keyed hash.
	// It also returns false if the customer has another login.
	AddLogin(ctx context.Context, id staff.PersonID, of unit.CustomerID, address string, holder staff.PersonID, now time.Time) (added bool, err error)
	// LoginsOf returns the logins of a customer, by id.
	LoginsOf(ctx context.Context, id unit.CustomerID) ([]staff.PersonID, error)
	// Forget deletes everything that is stored of a person.
	Forget(ctx context.Context, id staff.PersonID) error

	SaveSecret(ctx context.Context, secret Secret) error
	// Secret returns the value of a secret. It is empty if there is no such secret.
	Secret(ctx context.Context, id string) (value string, err error)

	SaveSession(ctx context.Context, session Session) error
	// Session returns the session whose token has this hash, or nil if there is none.
	Session(ctx context.Context, hash string) (*Session, error)
	// Sessions returns the complete sessions of a person, the oldest first.
	Sessions(ctx context.Context, id staff.PersonID) ([]Session, error)
	// Touch notes that a session was used.
	Touch(ctx context.Context, hash string, now time.Time) error
	// Try counts a try for a session that is not complete. It returns false if there were limit
	// tries before, or if there is no such session.
	Try(ctx context.Context, hash string, limit int) (allowed bool, err error)
	// EndSession deletes a session. It returns false if there is none.
	EndSession(ctx context.Context, hash string) (ended bool, err error)
	// KeepNewest deletes what is stored for a person at a stage, except the newest rows.
	KeepNewest(ctx context.Context, id staff.PersonID, stage Stage, newest int) error

	// Tidy deletes the sessions of a person that are of an earlier generation, and all their
	// secrets except those in keep. Known browsers stay known.
	Tidy(ctx context.Context, id staff.PersonID, generation int64, keep []string) error
	// Prune deletes all sessions that ended before a time.
	Prune(ctx context.Context, before time.Time) error
}

// Secret is a stored hash of a password, or the secret of a second factor.
type Secret struct {
	ID     string
	Person staff.PersonID
	Value  string
}

// Stage is how far the sign-in of a session has come.
type Stage string

// The stages of a session.
const (
	Complete  Stage = "complete"      // its holder has signed in
	NeedsCode Stage = "second-factor" // the password was good, and a code is missing
	NeedsApp  Stage = "set-up-factor" // the password was good, and a second factor must be set up
	NewApp    Stage = "new-factor"    // a person who has signed in is about to replace their second factor
	KnownBy   Stage = "browser"       // not a session, but a browser that the person has signed in with
	LinkedBy  Stage = "linked"        // not a session, but a browser that a link has made known
	UsedLink  Stage = "used-link"     // not a session, but a link that was used up
)

// Session is what is stored for a token that a browser holds.
type Session struct {
	Hash       string // the SHA-256 of the token, in hex
	ID         string // its id for its owner and in events, which is not secret
	Person     staff.PersonID
	Stage      Stage
	Generation int64 // see staff.Person
	// Credential is the password that was compared.
	Credential string
	// Pending is the secret of a second factor that is not confirmed yet.
	Pending                    string
	BeganAt, UsedAt, ExpiresAt time.Time
}
