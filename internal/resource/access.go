package resource

import (
	"maps"
	"slices"
	"time"

	"daybook/domain/access"
	"daybook/domain/unit"
)

// APIKey is an API key, without its secret.
type APIKey struct {
	KeyID      access.KeyID     `json:"key_id"`
	Name       string           `json:"name" class:"personal"`
	Role       access.Role      `json:"role"`
	CustomerID string           `json:"customer_id,omitempty" class:"customer" doc:"The only customer whose things it reaches."`
	Status     access.KeyStatus `json:"key_status" enum:"active,revoked,expired"`
	ExpiresAt  time.Time        `json:"expires_at,omitzero" doc:"When it ends by itself."`
	OldUntil   time.Time        `json:"old_secret_until,omitzero" doc:"Until when the secret before the last rotation is good, too."`
	UsedAt     time.Time        `json:"last_used_at,omitzero" doc:"When it was last used, to about a minute. Left out: never, or not known in this response."`
	KeyScope
}

// KeyScope is the locations and channels to which a key is limited.
type KeyScope struct {
	Locations []unit.LocationID `json:"locations,omitempty" maxItems:"100" doc:"The only locations whose stock the key reads and changes, and from which it fulfils orders. Left out: all."`
	Channels  []string          `json:"channels,omitempty" maxItems:"20" doc:"The only channels that requests with the key may record. Left out: all."`
}

// APIKeyOf shows a key as it is at a time.
func APIKeyOf(id access.KeyID, key access.Key, now time.Time) APIKey {
	shown := APIKey{
		KeyID: id, Name: key.Name, Role: key.Role, CustomerID: key.Customer, Status: key.Status, ExpiresAt: Moment(key.ExpiresAt),
		KeyScope: KeyScope(key.Scope),
	}
	if key.Status == access.Active && !key.ActiveAt(now) {
		shown.Status = access.Expired // the log will say so soon
	}
	if key.OldUntil.After(now) {
		shown.OldUntil = Moment(key.OldUntil)
	}
	return shown
}

// APIKeySecret is an API key with its secret, which is shown only once.
type APIKeySecret struct {
	Key    APIKey `json:"key" doc:"The key."`
	Secret string `json:"api_key" secret:"true" doc:"What its holder sends: Authorization: Bearer and this text. It is shown only here."`
}

// RoleList is all roles.
type RoleList struct {
	Items []Role `json:"items" maxItems:"200" doc:"First the roles that every shop has, and then the custom roles, by name."`
}

// Role is a role with what it may do.
type Role struct {
	Role    access.Role `json:"role"`
	BuiltIn bool        `json:"built_in" doc:"Every shop has it, and it cannot be changed."`
	Grants  []Grant     `json:"grants" doc:"By permission."`
}

// Grant is one permission of a role.
type Grant struct {
	Permission access.Permission `json:"permission"`
	Reach      access.Reach      `json:"reach" enum:"own,all" doc:"own: for what belongs to the key's customer."`
}

// RoleOf is a role as both APIs show it.
func RoleOf(name access.Role, grants access.Grants) Role {
	_, builtIn := access.BuiltIn(name)
	role := Role{Role: name, BuiltIn: builtIn, Grants: []Grant{}}
	for _, permission := range slices.Sorted(maps.Keys(grants)) {
		role.Grants = append(role.Grants, Grant{Permission: permission, Reach: grants[permission]})
	}
	return role
}
