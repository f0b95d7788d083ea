package staff

import (
	"slices"
	"time"

	"daybook/domain/access"
	"daybook/domain/unit"
)

// FoldVersion is that of State's shape and of Evolve; a snapshot of another version is not used.
const FoldVersion = 5

// State is all people.
type State struct {
	People map[PersonID]Person `json:"people,omitempty"`
}

// Person is the present state of a person.
type Person struct {
	Role   access.Role `json:"role"`
	Status Status      `json:"status"`
	// Customer and ConfirmedEmail are those of a login. They are empty for the staff.
	Customer       unit.CustomerID `json:"customer_id,omitempty"`
	ConfirmedEmail string          `json:"email,omitempty"`
	// Token is the hash of the token that is good until Until; empty: none.
	Token string    `json:"token_hash,omitempty"`
	Until time.Time `json:"until,omitzero"`

	Credential string   `json:"credential_id,omitempty"`
	Factor     string   `json:"factor_id,omitempty"`
	Recovery   []string `json:"recovery_hashes,omitempty"` // of the codes that are not used yet
	Step       int64    `json:"step,omitzero"`             // the last time step whose code was used
	// Generation grows when all sessions of the person end. A session of an earlier generation is
	// not good any more.
	Generation int64 `json:"generation"`

	// Change is the change of the e-mail address that was asked for and not completed; empty: none.
	// Its link is good until ChangeUntil.
	Change      string    `json:"change_id,omitempty"`
	ChangeUntil time.Time `json:"change_until,omitzero"`

	// What was done last, so that it is not done twice.
	Began    string    `json:"began,omitempty"`     // the session that began last
	EndedOne string    `json:"ended_one,omitempty"` // the session that ended last by a SignedOut
	Moved    string    `json:"moved,omitempty"`     // the change of the address that was completed last
	Guessing time.Time `json:"guessing,omitzero"`   // the hour for which guessing was noticed last
	Known    string    `json:"known,omitempty"`     // the browser that a link made known last
	Counted  string    `json:"counted,omitempty"`   // the count of tries that was noted last
}

// Status is where a person is between an invitation and the end of their access.
type Status string

// The statuses of a person.
const (
	Waiting Status = "invited" // has not joined yet
	Active  Status = "active"
	Ended   Status = "disabled"
)

// Evolve is the state after an event. It takes s over: its maps may be changed in place, so the
// caller must not use s again.
func Evolve(s State, e Event) State {
	if s.People == nil {
		s.People = make(map[PersonID]Person)
	}
	switch e := e.(type) {
	case SignedUp:
		s.People[e.Person] = Person{Role: access.Customer, Status: Active, Customer: e.Customer, ConfirmedEmail: e.Email, Credential: e.Credential}
	case Invited:
		s.People[e.Person] = Person{Role: e.Role, Status: Waiting, Token: e.Token, Until: e.Until}
	case TokenGiven:
		s.change(e.Person, func(p *Person) { p.Token, p.Until = e.Token, e.Until })
	case Joined:
		s.change(e.Person, func(p *Person) {
			p.Status = Active
			p.setPassword(e.Credential)
		})
	case PasswordSet:
		s.change(e.Person, func(p *Person) { p.setPassword(e.Credential) })
	case RoleChanged:
		s.change(e.Person, func(p *Person) {
			p.Role = e.Role
			p.endSessions()
		})
	case Disabled:
		s.change(e.Person, func(p *Person) {
			*p = Person{Role: p.Role, Status: Ended, Customer: p.Customer, Generation: p.Generation + 1}
		})
	case FactorSet:
		s.change(e.Person, func(p *Person) {
			p.Factor, p.Recovery, p.Step = e.Factor, slices.Clone(e.Recovery), e.Step
			p.endSessions()
		})
	case RecoverySet:
		s.change(e.Person, func(p *Person) { p.Recovery, p.Step = slices.Clone(e.Recovery), max(p.Step, e.Step) })
	case FactorRemoved:
		s.change(e.Person, func(p *Person) {
			p.Factor, p.Recovery, p.Step = "", nil, 0
			p.endSessions()
		})
	case SignedIn:
		s.change(e.Person, func(p *Person) {
			p.Began, p.Step = e.Session, max(p.Step, e.Step)
			p.Recovery = slices.DeleteFunc(slices.Clone(p.Recovery), func(hash string) bool { return hash == e.Recovery })
		})
	case SignedOut:
		s.change(e.Person, func(p *Person) { p.EndedOne = e.Session })
	case GuessingNoticed:
		s.change(e.Person, func(p *Person) { p.Guessing = e.Since })
	case EmailAsked:
		s.change(e.Person, func(p *Person) { p.Change, p.ChangeUntil = e.Change, e.Until })
	case EmailChanged:
		s.change(e.Person, func(p *Person) {
			p.Moved, p.ConfirmedEmail = e.Change, e.Email
			p.Token, p.Until = "", time.Time{}
			p.endSessions()
		})
	case BrowserKnown:
		s.change(e.Person, func(p *Person) { p.Known = e.Browser })
	case TriesCounted:
		s.change(e.Person, func(p *Person) { p.Counted = e.Count })
	}
	return s
}

// change alters a person in place.
func (s State) change(id PersonID, alter func(*Person)) {
	person := s.People[id]
	alter(&person)
	s.People[id] = person
}

// setPassword makes a credential the only one that counts. The token and all sessions end.
func (p *Person) setPassword(credential string) {
	p.Credential = credential
	p.Token, p.Until = "", time.Time{}
	p.endSessions()
}

// endSessions ends all sessions of a person. The link for another address ends, too, because who
// has asked for it may be the reason for the change.
func (p *Person) endSessions() {
	p.Generation++
	p.Change, p.ChangeUntil = "", time.Time{}
}

// Concerns returns the roles that a command gives, changes or ends. Who sends the command must have
// all rights of these roles. A token counts, because its holder can sign in as the person. So does
// the removal of a second factor, because then the password is enough. A command that a person
// sends about themself has none.
func (s State) Concerns(cmd Command) []access.Role {
	switch cmd := cmd.(type) {
	case Invite:
		return []access.Role{cmd.Role}
	case ChangeRole:
		return []access.Role{s.People[cmd.Person].Role, cmd.Role}
	case GiveToken:
		return []access.Role{s.People[cmd.Person].Role}
	case Disable:
		return []access.Role{s.People[cmd.Person].Role}
	case RemoveFactor:
		return []access.Role{s.People[cmd.Person].Role}
	case SignOut: // of another person, too
		return []access.Role{s.People[cmd.Person].Role}
	case AskEmail: // whoever has the new address can set a new password
		if cmd.Current != "" {
			return nil
		}
		return []access.Role{s.People[cmd.Person].Role}
	case ConfirmEmail, RedeemToken, SignUp, ChangePassword, SetFactor, ReplaceFactor, RenewRecovery, SignIn, NoteGuessing, KnowBrowser, CountTries:
		return nil
	}
	panic("staff: unknown command")
}
