package staff

import (
	"time"

	"daybook/domain/access"
	"daybook/domain/unit"
)

// Command is what can be asked about people.
//
//sumtype:decl
type Command interface{ staffCommand() }

// Invite adds a person. The caller chooses a random id and a random token, and gives only the
// token's hash. The caller also checks that the role exists and reaches everything.
type Invite struct {
	Person PersonID
	Role   access.Role
	Token  string
	Until  time.Time // at most MaxToken from Now
	Now    time.Time
}

// GiveToken gives a person another token.
type GiveToken struct {
	Person PersonID
	Token  string
	Until  time.Time
	Now    time.Time
}

// RedeemToken sets a password with a token. The token is used up.
type RedeemToken struct {
	Person     PersonID
	Token      string // its hash
	Credential string
	Now        time.Time
}

// ChangePassword sets a password in place of the one that Current names. ByToken means that the
// person has proved by a token that they may, and not by the password before. Such a token is not
// stored, because it names Current and so is good once.
type ChangePassword struct {
	Person     PersonID
	Current    string
	Credential string
	ByToken    bool
}

// ChangeRole gives a person another role. The caller checks it as for Invite.
type ChangeRole struct {
	Person PersonID
	Role   access.Role
}

// Disable ends a person's access for good. A person whose access has ended stays as they are.
type Disable struct {
	Person PersonID
	Reason string
}

// SetFactor gives a second factor to a person who has none. Credential names the password that was
// compared.
type SetFactor struct {
	Person     PersonID
	Credential string
	Factor     string
	Recovery   []string
	Step       int64
}

// Proof is how a person has proved who they are: the ids of the password and of the second factor
// that were compared, and the code that was used. Exactly one of Step and Recovery is given.
type Proof struct {
	Credential string
	Factor     string
	Step       int64
	Recovery   string
}

// ReplaceFactor gives a person another second factor in place of the one of the proof. Confirmed is
// the time step of the code that the new app has shown.
type ReplaceFactor struct {
	Person    PersonID
	Proof     Proof
	Factor    string
	Recovery  []string
	Confirmed int64
}

// RenewRecovery gives a person new recovery codes in place of all that they have.
type RenewRecovery struct {
	Person   PersonID
	Proof    Proof
	Recovery []string
}

// RemoveFactor takes a second factor away. A person without one stays as they are.
type RemoveFactor struct{ Person PersonID }

// SignIn begins a session. Credential and Factor name what was compared. If another password or
// factor was set meanwhile, the command is refused. Exactly one of Step and Recovery is given if
// the person has a second factor.
type SignIn struct {
	Person     PersonID
	Credential string
	Factor     string // empty: the person has none
	Session    string
	Step       int64
	Recovery   string
}

// SignOut notes the end of a session.
type SignOut struct {
	Person  PersonID
	Session string
}

// NoteGuessing notes that somebody tries to guess the password or the codes of a person. It is
// noted at most once an hour for each person.
type NoteGuessing struct {
	Person   PersonID
	Failures int64
	Since    time.Time // the beginning of the hour
}

// AskEmail begins a change of a person's e-mail address. The caller chooses a random id for it. The
// address itself is in the link that goes to it, and in no command. Current names the password by
// which the person has proved who they are. It is empty if somebody else asks.
type AskEmail struct {
	Person  PersonID
	Current string
	Change  string
	Until   time.Time // at most MaxToken from Now
	Now     time.Time
}

// ConfirmEmail completes a change, because its link was used.
type ConfirmEmail struct {
	Person PersonID
	Change string
	Email  string // the new address of a login; empty for the staff
	Now    time.Time
}

// KnowBrowser notes that a link made a browser known. Credential names the password that the person
// had when the link was made.
type KnowBrowser struct {
	Person     PersonID
	Credential string
	Browser    string
}

// CountTries notes what was tried in a person's name, as in TriesCounted. The caller chooses a
// random id for the count.
type CountTries struct {
	Person    PersonID
	Count     string
	Since     time.Time
	Until     time.Time
	Passwords int64
	Codes     int64
	Delayed   int64
	Links     int64
}

// SignUp makes a login. The caller has checked the link that went to the address, and that nobody
// else has the address.
type SignUp struct {
	Person     PersonID
	Customer   unit.CustomerID
	Email      string
	Credential string
}

func (Invite) staffCommand()         {}
func (GiveToken) staffCommand()      {}
func (RedeemToken) staffCommand()    {}
func (ChangePassword) staffCommand() {}
func (ChangeRole) staffCommand()     {}
func (Disable) staffCommand()        {}
func (SetFactor) staffCommand()      {}
func (ReplaceFactor) staffCommand()  {}
func (RenewRecovery) staffCommand()  {}
func (RemoveFactor) staffCommand()   {}
func (SignIn) staffCommand()         {}
func (SignOut) staffCommand()        {}
func (NoteGuessing) staffCommand()   {}
func (AskEmail) staffCommand()       {}
func (ConfirmEmail) staffCommand()   {}
func (KnowBrowser) staffCommand()    {}
func (CountTries) staffCommand()     {}
func (SignUp) staffCommand()         {}
