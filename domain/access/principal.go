package access

import (
	"maps"
	"slices"
	"strings"

	"daybook/domain/unit"
)

// Principal is who sends a request or a command, such as the holder of an API key, a person who has
// signed in, or a part of the program itself. The zero Principal is nobody, and may do nothing.
type Principal struct {
	// ID names the principal in the log, such as "key:k3f9a1c2" or "system:reactor". It is the
	// actor of every event that the principal causes.
	ID string
	// Role is the name of the role whose grants the principal has.
	Role   Role
	Grants Grants
	// Customer is the customer whose things Own reaches. If it is empty and Cart is, too, Own
	// reaches nothing.
	Customer unit.CustomerID
	// Cart is the cart of a guest. Own reaches this cart and the order that it becomes.
	Cart unit.CartID
	// ActsFor is the customer in whose name a storefront acts in this request.
	ActsFor unit.CustomerID
	// Scope limits what the principal may do to some locations and channels.
	Scope Scope
	// Credential says by what the principal was recognised, so that a long request can end with it:
	// the hash of a key's secret or of a session's token, or the time at which another token
	// expires. It is empty for a guest and for a part of the program.
	Credential string
}

// System is the principal of a part of the program, such as the reactor or the importer. It may do
// everything.
func System(part string) Principal {
	return Principal{ID: SystemPrefix + part, Role: Admin, Grants: builtIn[Admin]}
}

// The beginnings of the names of actors that were authenticated.
const (
	KeyPrefix    = "key:"    // holders of keys
	StaffPrefix  = "staff:"  // people of the staff who have signed in
	LoginPrefix  = "login:"  // customers who have signed in
	OIDCPrefix   = "oidc:"   // holders of tokens of an identity provider
	GuestPrefix  = "guest:"  // guests
	SystemPrefix = "system:" // parts of the program (System)
)

var authenticatedActors = []string{KeyPrefix, StaffPrefix, LoginPrefix, OIDCPrefix, GuestPrefix, SystemPrefix}

// AuthenticatedPrefix returns the beginning of an actor's name that says that the actor was
// authenticated. It is empty if the name has none. Without access control, nobody may have such a
// name.
func AuthenticatedPrefix(actor string) string {
	for _, prefix := range authenticatedActors {
		if strings.HasPrefix(actor, prefix) {
			return prefix
		}
	}
	return ""
}

// Everyone is the principal of each request to a node without access control. It may do everything.
var Everyone = Principal{ID: "everyone", Role: Admin, Grants: builtIn[Admin]}

// GuestOf is the guest who has a cart.
func GuestOf(cart unit.CartID) Principal {
	return Principal{ID: GuestPrefix + string(cart), Role: Guest, Grants: builtIn[Guest], Cart: cart}
}

// IsZero tells whether the principal is nobody.
func (p Principal) IsZero() bool { return p.ID == "" }

// Reach tells how far a permission of the principal goes. A principal that acts for a customer
// reaches only what belongs to this customer, and the catalogue. Example: a storefront that acts
// for customer 17850 may confirm the orders of 17850, and may not list stock. A principal with a
// scope lacks the permissions that would reach past it.
func (p Principal) Reach(permission Permission) Reach {
	reach := p.Grants[permission]
	switch {
	case p.Scope.Bars(permission):
		return None
	case p.ActsFor == "" || slices.Contains(ofNobody, permission):
		return reach
	case reach == All && (permission.Ownable() || slices.Contains(aboutOwned, permission)):
		return Own
	}
	return None
}

// SeesPersonal tells whether the principal sees the personal data in what it reads with a
// permission. It sees that of its own things, and that of others with ReadPersonal. Example: a
// customer sees the reason of their own return, and an analyst sees no reason. What belongs to the
// customer for whom it acts is not its own, because it may choose this customer. What everybody may
// look at, and what needs no permission, is about the caller. Example: a person who confirms a new
// e-mail address with a link sees this address.
func (p Principal) SeesPersonal(needs Permission) bool {
	if needs == Open || needs == Look {
		return true
	}
	if p.ActsFor != "" {
		return p.Grants[ReadPersonal] == All && !p.Scope.Bars(ReadPersonal)
	}
	return p.Reach(ReadPersonal) == All || p.Reach(needs) == Own
}

// Lacks returns the first permission, by name, that is in the grants and that the principal does
// not have for everything. It returns "" if there is none. A principal that has a permission only
// for its own things lacks it, because the grants may be for somebody else's things.
func (p Principal) Lacks(grants Grants) Permission {
	for _, permission := range slices.Sorted(maps.Keys(grants)) {
		if p.Reach(permission) != All {
			return permission
		}
	}
	return ""
}

// LacksError means that a principal wants to give, change or end a right that it does not have
// itself.
type LacksError struct{ Permission Permission }

func (e *LacksError) Error() string {
	return "the caller does not have the permission " + string(e.Permission) + " itself"
}

// May tells whether the principal has a permission, for everything or for its own things.
func (p Principal) May(permission Permission) bool { return p.Reach(permission) != None }

// Owned returns the owner, a customer or a guest, to whose things a permission is limited. limited
// is false if the permission reaches everything. If limited is true and owner is empty, the
// permission reaches nothing.
func (p Principal) Owned(permission Permission) (owner unit.Owner, limited bool) {
	customer, limited := p.Owner(permission)
	if limited && p.Cart != "" {
		return p.Cart.Owner(), true
	}
	return customer.Owner(), limited
}

// Owner returns the customer to whose things a permission is limited. limited is false if the
// permission reaches everything. If limited is true and customer is empty, the permission reaches
// no customer's things.
func (p Principal) Owner(permission Permission) (customer unit.CustomerID, limited bool) {
	if p.Reach(permission) == All {
		return "", false
	}
	if p.ActsFor != "" {
		return p.ActsFor, true
	}
	return p.Customer, true
}
