package access

import "time"

// Command is what can be asked about keys and roles.
//
//sumtype:decl
type Command interface{ accessCommand() }

// IssueKey makes an API key. The caller chooses a random id and a random secret, and gives only the
// secret's hash.
type IssueKey struct {
	Key       KeyID
	Name      string // 1 to 100 characters
	Role      Role
	Customer  string // only for a role that reaches own things
	Hash      string
	ExpiresAt time.Time // zero: never
	Scope     Scope     // of a role that may not make keys
	Now       time.Time
}

// RotateKey gives a key a new secret. The old secret stays good for Overlap, at most 30 days.
type RotateKey struct {
	Key     KeyID
	Hash    string
	Overlap time.Duration
	Now     time.Time
}

// RevokeKey ends a key. A key that has ended stays as it is.
type RevokeKey struct {
	Key    KeyID
	Reason string
}

// ExpireKeys notes the end of all keys whose time has come.
type ExpireKeys struct{ Now time.Time }

// DefineRole gives a custom role its grants. If there is no such role, it makes one. While a person
// has the role, it cannot become one that reaches own things.
type DefineRole struct {
	Role   Role
	Grants Grants
	// OfPeople means that a person who signs in has the role. People are in another stream, so the
	// caller looks.
	OfPeople bool
}

// RemoveRole ends a custom role. It is refused while an active key or a person has the role.
type RemoveRole struct {
	Role     Role
	OfPeople bool // as in DefineRole
}

func (IssueKey) accessCommand()   {}
func (RotateKey) accessCommand()  {}
func (RevokeKey) accessCommand()  {}
func (ExpireKeys) accessCommand() {}
func (DefineRole) accessCommand() {}
func (RemoveRole) accessCommand() {}
