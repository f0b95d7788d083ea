package verify

import (
	"fmt"

	"daybook/domain/access"
)

// foldAccess folds an event about API keys and roles. All of them are in one stream. An event about
// a key must come after the event that issued the key, and a key is issued only once.
func (b *Book) foldAccess(e *event, value access.Event) {
	if e.Stream != access.Stream() {
		b.report(e, "keys and roles are in the stream "+access.Stream()+" only")
		return
	}
	_, issues := value.(access.KeyIssued)
	if id, about := keyOf(value); about {
		if _, known := b.Access.Keys[id]; known == issues {
			why := "the key %s was not issued before"
			if issues {
				why = "the key %s was issued before"
			}
			b.report(e, fmt.Sprintf(why, id))
			return
		}
	}
	b.Access = access.Evolve(b.Access, value)
}

// keyOf is the key that an event is about, if it is about one.
func keyOf(value access.Event) (id access.KeyID, about bool) {
	switch value := value.(type) {
	case access.KeyIssued:
		return value.Key, true
	case access.KeyRotated:
		return value.Key, true
	case access.KeyRevoked:
		return value.Key, true
	case access.KeyExpired:
		return value.Key, true
	case access.RoleDefined, access.RoleRemoved:
	}
	return "", false
}
