package access

import "daybook/domain/wire"

// The wire names. They are storage format: a name once used stays readable, and a changed shape
// gets a new version.
const (
	typeKeyIssued   = "shopaccess.key_issued.v1"
	typeKeyIssuedV2 = "shopaccess.key_issued.v2" // version 2 has the scope of a key that is limited
	typeKeyRotated  = "shopaccess.key_rotated.v1"
	typeKeyRevoked  = "shopaccess.key_revoked.v1"
	typeKeyExpired  = "shopaccess.key_expired.v1"
	typeRoleDefined = "shopaccess.role_defined.v1"
	typeRoleRemoved = "shopaccess.role_removed.v1"
)

var decoders = wire.Decoders[Event]{
	typeKeyIssued:   read[KeyIssued],
	typeKeyIssuedV2: read[KeyIssued],
	typeKeyRotated:  read[KeyRotated],
	typeKeyRevoked:  read[KeyRevoked],
	typeKeyExpired:  read[KeyExpired],
	typeRoleDefined: read[RoleDefined],
	typeRoleRemoved: read[RoleRemoved],
}

func read[E Event](data []byte) (Event, error) { return wire.Read[E](data) }

// Types are the wire names of all events, in every version there was.
func Types() []string { return decoders.Types() }

// Encode gives an event's wire name and its JSON.
func Encode(e Event) (typ string, data []byte, err error) { return wire.Write(typeName(e), e) }

// Decode reads what Encode wrote. For an unknown name it returns *wire.UnknownTypeError.
func Decode(typ string, data []byte) (Event, error) { return decoders.Decode(typ, data) }

func typeName(e Event) string {
	switch e := e.(type) {
	case KeyIssued:
		if e.Limited() {
			return typeKeyIssuedV2
		}
		return typeKeyIssued
	case KeyRotated:
		return typeKeyRotated
	case KeyRevoked:
		return typeKeyRevoked
	case KeyExpired:
		return typeKeyExpired
	case RoleDefined:
		return typeRoleDefined
	case RoleRemoved:
		return typeRoleRemoved
	}
	panic("access: unknown event")
}
