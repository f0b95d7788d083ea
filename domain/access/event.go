// Package access decides who may do what in the shop: permissions, roles, and the API keys of
// programs and people. All keys and custom roles are in one stream, because every node reads them
// whole when it starts and follows the stream from then on. So a key that is revoked is refused by
// every node within a moment. Example: "daybook keys revoke k3f9a1c2" appends KeyRevoked, each node
// hears of it, and a live stream that was opened with the key ends.
//
// Package commands/keyring reads the key of a request and compares its hash.
package access

import (
	"time"
)

// Category starts the name of the stream.
const Category = "shopaccess"

// Stream names the only stream: all keys and roles of the shop.
func Stream() string { return Category + "-all" }

// Event is what can have happened to keys and roles. The wire names in codec.go are storage format:
// they are versioned, never renamed.
//
//sumtype:decl
type Event interface{ accessEvent() }

// KeyID names an API key. It is part of the key's text and not secret.
type KeyID string

// KeyIssued is a new API key. The log has only the hash of its secret.
type KeyIssued struct {
	Key  KeyID  `json:"key_id"`
	Name string `json:"name" class:"personal"` // what it is for, such as "web shop"
	Role Role   `json:"role"`
	// Customer is set if the role reaches only own things. The key then reaches only what belongs
	// to this customer.
	Customer string `json:"customer_id,omitempty" class:"customer,compared"`
	// Hash is the SHA-256 of the secret in hex. The secret has 256 random bits, so the hash needs
	// no salt and cannot be reversed by guessing.
	Hash string `json:"hash" class:"open"`
	// ExpiresAt is when the key ends by itself; zero: never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// Scope limits the key. A key with a scope is recorded in version 2 of this event, which older
	// programs do not read. They would otherwise take it for a key without limits.
	Scope
}

// KeyRotated gives a key a new secret. The earlier secret stays good until OldUntil, so that the
// holder can change over without a gap.
type KeyRotated struct {
	Key      KeyID     `json:"key_id"`
	Hash     string    `json:"hash" class:"open"`
	OldUntil time.Time `json:"old_until,omitzero"`
}

// KeyRevoked ends a key at once and for good.
type KeyRevoked struct {
	Key    KeyID  `json:"key_id"`
	Reason string `json:"reason,omitempty" class:"personal"`
}

// KeyExpired notes that a key has reached its end. It is refused from ExpiresAt on, whether or not
// this event is there yet.
type KeyExpired struct {
	Key KeyID `json:"key_id"`
}

// RoleDefined gives a custom role its grants. They replace the grants that it had.
type RoleDefined struct {
	Role   Role    `json:"role"`
	Grants []Grant `json:"grants"` // sorted by permission
}

// Grant is one permission of a role.
type Grant struct {
	Permission Permission `json:"permission"`
	Reach      Reach      `json:"reach"`
}

// RoleRemoved ends a custom role. Keys that have it may do nothing any more.
type RoleRemoved struct {
	Role Role `json:"role"`
}

func (KeyIssued) accessEvent()   {}
func (KeyRotated) accessEvent()  {}
func (KeyRevoked) accessEvent()  {}
func (KeyExpired) accessEvent()  {}
func (RoleDefined) accessEvent() {}
func (RoleRemoved) accessEvent() {}
