package access

import (
	"slices"
	"time"

	"daybook/domain/unit"
)

// FoldVersion is that of State's shape and of Evolve; a snapshot of another version is not used.
const FoldVersion = 2

// State is all keys and custom roles.
type State struct {
	Keys  map[KeyID]Key   `json:"keys,omitempty"`
	Roles map[Role]Grants `json:"roles,omitempty"`
}

// Key is an API key as it stands.
type Key struct {
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	Customer  string    `json:"customer_id,omitempty"`
	Hash      string    `json:"hash"`
	OldHash   string    `json:"old_hash,omitempty"`
	OldUntil  time.Time `json:"old_until,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Status    KeyStatus `json:"status"`
	Scope
}

// KeyStatus is where a key is in its life.
type KeyStatus string

// The statuses of a key.
const (
	Active  KeyStatus = "active"
	Revoked KeyStatus = "revoked"
	Expired KeyStatus = "expired"
)

// Evolve is the state after an event. It takes s over: its maps may be changed in place, so the
// caller must not use s again.
func Evolve(s State, e Event) State {
	if s.Keys == nil {
		s.Keys, s.Roles = make(map[KeyID]Key), make(map[Role]Grants)
	}
	switch e := e.(type) {
	case KeyIssued:
		s.Keys[e.Key] = Key{Name: e.Name, Role: e.Role, Customer: e.Customer, Hash: e.Hash, ExpiresAt: e.ExpiresAt, Status: Active, Scope: e.Scope}
	case KeyRotated:
		s.change(e.Key, func(k *Key) { k.Hash, k.OldHash, k.OldUntil = e.Hash, k.Hash, e.OldUntil })
	case KeyRevoked:
		s.change(e.Key, func(k *Key) { k.Status = Revoked })
	case KeyExpired:
		s.change(e.Key, func(k *Key) { k.Status = Expired })
	case RoleDefined:
		s.Roles[e.Role] = grantsOf(e.Grants)
	case RoleRemoved:
		delete(s.Roles, e.Role)
	}
	return s
}

// change alters a key in place.
func (s State) change(id KeyID, alter func(*Key)) {
	key := s.Keys[id]
	alter(&key)
	s.Keys[id] = key
}

// ActiveAt tells whether the key may be used at a time.
func (k Key) ActiveAt(now time.Time) bool {
	return k.Status == Active && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// GrantsOf are the grants of a role. A role that does not exist has none.
func (s State) GrantsOf(role Role) Grants {
	if grants, known := BuiltIn(role); known {
		return grants
	}
	return s.Roles[role]
}

// PrincipalOf returns the holder of a key, with the grants that the key's role has now.
func (s State) PrincipalOf(id KeyID) Principal {
	key := s.Keys[id]
	return Principal{
		ID: KeyPrefix + string(id), Role: key.Role, Grants: s.GrantsOf(key.Role), Customer: unit.CustomerID(key.Customer), Scope: key.Scope,
	}
}

// MayMakeKeys tells whether the holder of a key may make other keys, if the key is active.
func (s State) MayMakeKeys(key Key) bool {
	return !key.Limited() && s.GrantsOf(key.Role)[WriteAccess] == All
}

// Concerns returns the grants that a command gives, changes or ends. Who sends the command must
// have all of them. Otherwise a program that may make keys could make itself an admin.
func (s State) Concerns(cmd Command) []Grants {
	switch cmd := cmd.(type) {
	case IssueKey:
		return []Grants{s.GrantsOf(cmd.Role)}
	case RotateKey:
		return []Grants{s.GrantsOf(s.Keys[cmd.Key].Role)}
	case RevokeKey:
		return []Grants{s.GrantsOf(s.Keys[cmd.Key].Role)}
	case DefineRole:
		return []Grants{s.GrantsOf(cmd.Role), cmd.Grants}
	case RemoveRole:
		return []Grants{s.GrantsOf(cmd.Role)}
	case ExpireKeys:
		return nil
	}
	panic("access: unknown command")
}

// due returns the ids of the active keys that have reached their end, sorted.
func (s State) due(now time.Time) []KeyID {
	var due []KeyID
	for id, key := range s.Keys {
		if key.Status == Active && !key.ActiveAt(now) {
			due = append(due, id)
		}
	}
	slices.Sort(due)
	return due
}
