package access

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"daybook/domain/rule"
	"daybook/domain/unit"
)

// The bounds of keys and roles.
const (
	MaxKeys    = 10_000 // of a shop, including keys that have ended
	MaxOverlap = 30 * 24 * time.Hour
	MaxKeyName = 100 // characters
	maxYear    = 9000
	MaxRoles   = 100 // custom roles
)

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
func Decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case IssueKey:
		return issueKey(cmd, s)
	case RotateKey:
		return rotateKey(cmd, s)
	case RevokeKey:
		return revokeKey(cmd, s)
	case ExpireKeys:
		return expireKeys(cmd, s)
	case DefineRole:
		return defineRole(cmd, s)
	case RemoveRole:
		return removeRole(cmd, s)
	}
	panic("access: unknown command")
}

func issueKey(cmd IssueKey, s State) ([]Event, error) {
	grants := s.GrantsOf(cmd.Role)
	limits, scopeFault := cmd.Scope.fault()
	switch {
	case len(s.Keys) >= MaxKeys:
		return nil, ErrKeyLimit
	case !isID(string(cmd.Key)):
		return nil, invalidKey("key_id", "An id has 1 to 40 lower-case letters and digits.")
	case s.Keys[cmd.Key].Status != "":
		return nil, ErrKeyExists
	case cmd.Name == "" || unit.LineFault(cmd.Name, MaxKeyName) != "":
		return nil, invalidKey("name", "A name is one line of 1 to 100 characters.")
	case cmd.Role == Guest:
		return nil, invalidKey("role", "A guest has the token of a cart, and no key.")
	case grants == nil:
		return nil, ErrRoleNotFound.With(ErrRoleNotFound.Detail, map[string]any{"role": cmd.Role})
	case !isHash(cmd.Hash):
		return nil, invalidKey("hash", "A hash is a SHA-256 in hex.")
	case cmd.ExpiresAt.Year() > maxYear:
		return nil, invalidKey("expires_at", "The end of a key is too far away. Leave it out for a key without an end.")
	case !cmd.ExpiresAt.IsZero() && !cmd.ExpiresAt.After(cmd.Now):
		return nil, invalidKey("expires_at", "The end of a key must be in the future.")
	case grants.limited() && cmd.Customer == "":
		return nil, invalidKey("customer_id", fmt.Sprintf("A key with the role %s needs a customer.", cmd.Role))
	case !grants.limited() && cmd.Customer != "":
		return nil, invalidKey("customer_id", fmt.Sprintf("A key with the role %s reaches everything, so it has no customer.", cmd.Role))
	case scopeFault != "":
		return nil, invalidKey(limits, scopeFault)
	case cmd.Scope.Limited() && grants[WriteAccess] != None:
		return nil, invalidKey("role", fmt.Sprintf("A key with the role %s may make keys, so it cannot be limited to locations or channels.", cmd.Role))
	}
	if cmd.Customer != "" {
		if _, err := unit.ParseCustomerID(cmd.Customer); err != nil {
			return nil, invalidKey("customer_id", err.Error())
		}
	}
	return []Event{KeyIssued{Key: cmd.Key, Name: cmd.Name, Role: cmd.Role, Customer: cmd.Customer, Hash: cmd.Hash, ExpiresAt: cmd.ExpiresAt, Scope: cmd.Scope}}, nil
}

func rotateKey(cmd RotateKey, s State) ([]Event, error) {
	key, known := s.Keys[cmd.Key]
	switch {
	case !known:
		return nil, ErrKeyNotFound
	case !key.ActiveAt(cmd.Now):
		return nil, ErrKeyEnded
	case !isHash(cmd.Hash):
		return nil, invalidKey("hash", "A hash is a SHA-256 in hex.")
	case cmd.Overlap < 0 || cmd.Overlap > MaxOverlap:
		return nil, invalidKey("overlap", "The old secret stays good for 0 to 30 days.")
	case cmd.Hash == key.Hash:
		return nil, nil
	}
	return []Event{KeyRotated{Key: cmd.Key, Hash: cmd.Hash, OldUntil: cmd.Now.Add(cmd.Overlap)}}, nil
}

func revokeKey(cmd RevokeKey, s State) ([]Event, error) {
	key, known := s.Keys[cmd.Key]
	switch {
	case !known:
		return nil, ErrKeyNotFound
	case key.Status != Active:
		return nil, nil
	case unit.TextFault(cmd.Reason, unit.MaxNote) != "":
		return nil, invalidKey("reason", "The reason is refused: "+unit.TextFault(cmd.Reason, unit.MaxNote)+".")
	case s.MayMakeKeys(key) && s.isLast(s.GrantsOf(key.Role), nil, func(id KeyID, _ Key) bool { return id != cmd.Key }):
		return nil, ErrLastAdmin
	}
	return []Event{KeyRevoked{Key: cmd.Key, Reason: cmd.Reason}}, nil
}

func expireKeys(cmd ExpireKeys, s State) ([]Event, error) {
	var events []Event
	for _, id := range s.due(cmd.Now) {
		events = append(events, KeyExpired{Key: id})
	}
	return events, nil
}

func defineRole(cmd DefineRole, s State) ([]Event, error) {
	if _, fixed := BuiltIn(cmd.Role); fixed {
		return nil, ErrRoleFixed
	}
	if !isID(string(cmd.Role)) {
		return nil, invalidRole("role", "A role's name has 1 to 40 lower-case letters and digits.")
	}
	if len(cmd.Grants) == 0 {
		return nil, invalidRole("grants", "A role grants at least one permission.")
	}
	for _, one := range cmd.Grants.list() {
		switch {
		case !one.Permission.Known():
			return nil, invalidRole("grants", fmt.Sprintf("There is no permission %q.", one.Permission))
		case one.Reach != Own && one.Reach != All:
			return nil, invalidRole("grants", fmt.Sprintf("%s is granted for own or for all, not for %q.", one.Permission, one.Reach))
		case one.Reach == Own && !one.Permission.Ownable():
			return nil, invalidRole("grants", fmt.Sprintf("%s can only be granted for all, because nothing of it belongs to a customer.", one.Permission))
		}
	}
	if old, defined := s.Roles[cmd.Role]; defined && maps.Equal(old, cmd.Grants) {
		return nil, nil
	}
	if s.Roles[cmd.Role] == nil && len(s.Roles) >= MaxRoles {
		return nil, invalidRole("role", fmt.Sprintf("There are as many roles as a shop may have of its own (%d).", MaxRoles))
	}
	// Otherwise a key with this role would lack the customer that the role needs, or would have a
	// customer that the role does not use. A person never has a customer.
	if cmd.OfPeople && cmd.Grants.limited() {
		return nil, ErrRoleInUse
	}
	if s.used(cmd.Role) && s.Roles[cmd.Role].limited() != cmd.Grants.limited() {
		return nil, ErrRoleInUse
	}
	if s.used(cmd.Role) && s.isLast(s.GrantsOf(cmd.Role), cmd.Grants, func(_ KeyID, key Key) bool { return key.Role != cmd.Role }) {
		return nil, ErrLastAdmin
	}
	return []Event{RoleDefined{Role: cmd.Role, Grants: cmd.Grants.list()}}, nil
}

func removeRole(cmd RemoveRole, s State) ([]Event, error) {
	if _, fixed := BuiltIn(cmd.Role); fixed {
		return nil, ErrRoleFixed
	}
	switch {
	case s.Roles[cmd.Role] == nil:
		return nil, ErrRoleNotFound
	case s.used(cmd.Role) || cmd.OfPeople:
		return nil, ErrRoleInUse
	}
	return []Event{RoleRemoved{Role: cmd.Role}}, nil
}

// used tells whether an active key has the role.
func (s State) used(role Role) bool {
	for _, key := range s.Keys {
		if key.Role == role && key.Status == Active {
			return true
		}
	}
	return false
}

// isLast tells whether a change of grants from before to after leaves no key that can make keys, or
// none that can give all rights. others is a filter: it returns true for the keys that stay as
// they are. Of these, only keys that are active and have no end count.
func (s State) isLast(before, after Grants, others func(KeyID, Key) bool) bool {
	for _, may := range []func(Grants) bool{mayMake, mayGiveAll} {
		if may(before) && !may(after) && !s.hasKey(may, others) {
			return true
		}
	}
	return false
}

// mayMake tells whether whoever has the grants may make keys.
func mayMake(grants Grants) bool { return grants[WriteAccess] == All }

// mayGiveAll tells whether whoever has the grants may give every right.
func mayGiveAll(grants Grants) bool { return Principal{Grants: grants}.Lacks(builtIn[Admin]) == "" }

// hasKey tells whether there is a key that is active, has no end and has certain grants.
func (s State) hasKey(may func(Grants) bool, which func(KeyID, Key) bool) bool {
	for id, key := range s.Keys {
		if key.Status == Active && key.ExpiresAt.IsZero() && s.MayMakeKeys(key) && may(s.GrantsOf(key.Role)) && which(id, key) {
			return true
		}
	}
	return false
}

func invalidKey(member, detail string) *rule.Rejection {
	return ErrKeyInvalid.With(detail, map[string]any{"field": member})
}

func invalidRole(member, detail string) *rule.Rejection {
	return ErrRoleInvalid.With(detail, map[string]any{"field": member})
}

func isHash(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}
