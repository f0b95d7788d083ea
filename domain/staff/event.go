// Package staff decides about the people who work in the shop and sign in: who was invited, which
// role each has, and which of their passwords, codes and tokens counts. All people are in one
// stream, so that decisions about two people cannot contradict each other. Customers who sign in
// follow the same rules; see login.go.
//
// The log holds no e-mail, no name and no password of the staff. An event names a credential or a
// second factor by its id, and the thing itself is in a table that no API shows. So a person's data
// can be deleted, and a reader of the log learns nothing that helps to sign in. Package
// commands/signin hashes passwords and compares them.
package staff

import (
	"time"

	"daybook/domain/access"
	"daybook/domain/unit"
)

// Category starts the name of the stream.
const Category = "shopstaff"

// Stream names the only stream: all people of the shop.
func Stream() string { return Category + "-all" }

// Event is what can have happened to people. The wire names in codec.go are storage format: they
// are versioned, never renamed.
//
//sumtype:decl
type Event interface{ staffEvent() }

// PersonID names a person. It is random and says nothing about them.
type PersonID string

// Invited adds a person, who joins with the token that was made for them.
type Invited struct {
	Person PersonID    `json:"person_id"`
	Role   access.Role `json:"role"`
	// Token is the SHA-256 of the token in hex. The token has 256 random bits, so the hash needs no
	// salt and cannot be reversed by guessing.
	Token string    `json:"token_hash" class:"open"`
	Until time.Time `json:"until"`
}

// TokenGiven gives a person another token, which replaces the one before. With it they can join, or
// set a new password.
type TokenGiven struct {
	Person PersonID  `json:"person_id"`
	Token  string    `json:"token_hash" class:"open"`
	Until  time.Time `json:"until"`
}

// Joined notes that an invited person has set a password with their token. The token is used up.
type Joined struct {
	Person     PersonID `json:"person_id"`
	Credential string   `json:"credential_id" class:"open"` // the stored hash of the password
}

// PasswordSet gives a person another password. All their sessions end, and their token is not good
// any more.
type PasswordSet struct {
	Person     PersonID `json:"person_id"`
	Credential string   `json:"credential_id" class:"open"`
	ByToken    bool     `json:"by_token,omitzero"` // with a token, so without the password before
}

// RoleChanged gives a person another role. All their sessions end.
type RoleChanged struct {
	Person PersonID    `json:"person_id"`
	Role   access.Role `json:"role"`
}

// Disabled ends a person's access for good. All their sessions end.
type Disabled struct {
	Person PersonID `json:"person_id"`
	Reason string   `json:"reason,omitempty" class:"personal"`
}

// FactorSet gives a person a second factor: an app that shows codes. It replaces the factor and the
// recovery codes that the person had. All their sessions end.
type FactorSet struct {
	Person PersonID `json:"person_id"`
	Factor string   `json:"factor_id" class:"open"` // the stored secret that the app shares
	// Recovery are the SHA-256 of the recovery codes, in hex. Each code has 100 random bits and is
	// good once, in place of a code of the app.
	Recovery []string `json:"recovery_hashes" class:"open"`
	// Step is the time step of the code that confirmed the factor. No code of this step or of one
	// before it is good any more.
	Step int64 `json:"step"`
}

// RecoverySet gives a person new recovery codes. Those that they had are not good any more.
type RecoverySet struct {
	Person   PersonID `json:"person_id"`
	Recovery []string `json:"recovery_hashes" class:"open"` // as in FactorSet
	// Step is the time step of the code that was used; 0: a recovery code was used.
	Step int64 `json:"step,omitzero"`
}

// FactorRemoved takes a lost second factor away. All sessions of the person end.
type FactorRemoved struct {
	Person PersonID `json:"person_id"`
}

// SignedIn notes that a person has signed in, and how they proved who they are.
type SignedIn struct {
	Person  PersonID `json:"person_id"`
	Session string   `json:"session_id" class:"open"`
	// Step is the time step of the code that was used; 0: none. No code of this step or of one
	// before it is good any more.
	Step int64 `json:"step,omitzero"`
	// Recovery is the hash of the recovery code that was used up.
	Recovery string `json:"recovery_hash,omitempty" class:"open"`
}

// SignedOut notes that a session was ended by its owner or by an admin. A session that was not used
// for long ends without an event.
type SignedOut struct {
	Person  PersonID `json:"person_id"`
	Session string   `json:"session_id" class:"open"`
}

// GuessingNoticed notes that somebody has tried many wrong passwords or codes of a person.
type GuessingNoticed struct {
	Person   PersonID  `json:"person_id"`
	Failures int64     `json:"failures"` // at least so many within an hour, on one node
	Since    time.Time `json:"since"`    // the beginning of this hour
}

// EmailAsked notes that a person's e-mail address is about to change. It changes once a link is
// used that goes to the new address. The event ends the link of an earlier change.
type EmailAsked struct {
	Person PersonID  `json:"person_id"`
	Change string    `json:"change_id" class:"open"`
	Until  time.Time `json:"until"`
	// BySelf means that the person has asked, with their password. Otherwise an admin has.
	BySelf bool `json:"by_self,omitzero"`
}

// EmailChanged notes that the link of a change was used: the person signs in with the new address
// from now on. All their sessions end, and no token or link that went to the old address is good
// any more.
type EmailChanged struct {
	Person PersonID `json:"person_id"`
	Change string   `json:"change_id" class:"open"`
	// Email is the new address of a login. It is empty for the staff.
	Email string `json:"email,omitempty" class:"personal"`
}

// BrowserKnown notes that a link which went to the person's address made a browser known. Failures
// of others do not delay the person in this browser.
type BrowserKnown struct {
	Person  PersonID `json:"person_id"`
	Browser string   `json:"browser_id" class:"open"`
}

// TriesCounted says how often something was tried in a person's name and did not succeed. There is
// at most one for a person, a node and a quarter of an hour, so nobody can fill the log.
type TriesCounted struct {
	Person PersonID  `json:"person_id"`
	Count  string    `json:"count_id" class:"open"` // random
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	// Passwords and Codes are how many were compared and were wrong.
	Passwords int64 `json:"wrong_passwords,omitzero"`
	Codes     int64 `json:"wrong_codes,omitzero"`
	// Delayed is how many tries were refused without a comparison, because too many had failed
	// before.
	Delayed int64 `json:"delayed,omitzero"`
	// Links is how many requests there were for a link by mail, whether or not a mail was sent.
	Links int64 `json:"links_asked,omitzero"`
}

// SignedUp makes a login of a customer, who has confirmed an e-mail address with a link.
type SignedUp struct {
	Person   PersonID        `json:"person_id"`
	Customer unit.CustomerID `json:"customer_id"`
	// Email is the confirmed address, in lower case.
	Email      string `json:"email" class:"personal"`
	Credential string `json:"credential_id" class:"open"` // the stored hash of the password
}

func (Invited) staffEvent()         {}
func (TokenGiven) staffEvent()      {}
func (Joined) staffEvent()          {}
func (PasswordSet) staffEvent()     {}
func (RoleChanged) staffEvent()     {}
func (Disabled) staffEvent()        {}
func (FactorSet) staffEvent()       {}
func (RecoverySet) staffEvent()     {}
func (FactorRemoved) staffEvent()   {}
func (SignedIn) staffEvent()        {}
func (SignedOut) staffEvent()       {}
func (GuessingNoticed) staffEvent() {}
func (EmailAsked) staffEvent()      {}
func (EmailChanged) staffEvent()    {}
func (BrowserKnown) staffEvent()    {}
func (TriesCounted) staffEvent()    {}
func (SignedUp) staffEvent()        {}
