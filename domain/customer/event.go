// Package customer is an account of somebody who buys: a profile, addresses, groups, consents, and
// what the staff noted. A customer without an account has no stream, but may have carts and orders
// under the same id, as those of an import do.
//
// The package does not know what a customer bought, and does not let anybody sign in.
package customer

import (
	"time"

	"daybook/domain/contact"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Category starts the names of customer streams.
const Category = "customer"

// Stream names a customer's stream: "customer-c4f1...".
func Stream(id unit.CustomerID) string { return Category + "-" + string(id) }

type (
	// AddressID names one address of a customer. The server makes it.
	AddressID string
	// NoteID names one note of the staff. The server makes it.
	NoteID string
	// Group is a name that the shop gives to a set of customers, such as "trade".
	Group string
	// Purpose is what a consent is for.
	Purpose string
)

// The purposes of consents.
const (
	Marketing Purpose = "marketing"
	Analytics Purpose = "analytics"
	Terms     Purpose = "terms"
)

// Purposes are all of them.
func Purposes() []Purpose { return []Purpose{Marketing, Analytics, Terms} }

// Event is what can have happened to an account. The wire names in codec.go are storage format:
// they are versioned, never renamed.
//
//sumtype:decl
type Event interface{ customerEvent() }

// Profile says who a customer is and how to reach them.
type Profile struct {
	Name   string `json:"name,omitempty" class:"personal"`
	Email  string `json:"email,omitempty" class:"personal"`
	Phone  string `json:"phone,omitempty" class:"personal"`
	Locale string `json:"locale,omitempty" class:"open"` // a language, such as de-AT
}

// Registered begins the account; it is always a stream's first event.
type Registered struct {
	CustomerID unit.CustomerID `json:"customer_id"`
	Profile    Profile         `json:"profile"`
}

// ProfileChanged replaces the profile.
type ProfileChanged struct {
	Profile Profile `json:"profile"`
}

// AddressAdded gives the customer one more address.
type AddressAdded struct {
	AddressID AddressID       `json:"address_id"`
	Address   contact.Address `json:"address"`
}

// AddressChanged replaces an address. Orders keep the address that they had.
type AddressChanged struct {
	AddressID AddressID       `json:"address_id"`
	Address   contact.Address `json:"address"`
}

// AddressRemoved takes an address away. If it was a default, there is none from then on.
type AddressRemoved struct {
	AddressID AddressID `json:"address_id"`
}

// DefaultsSet says which addresses are used if an order names none. Empty means none.
type DefaultsSet struct {
	Billing  AddressID `json:"billing,omitempty"`
	Shipping AddressID `json:"shipping,omitempty"`
}

// GroupsSet replaces the groups of the customer. They are sorted.
type GroupsSet struct {
	Groups []Group `json:"groups"`
}

// ConsentGiven notes that the customer agrees to a version of a text.
type ConsentGiven struct {
	Purpose Purpose   `json:"purpose"`
	Version string    `json:"version" class:"open"` // of the text, as the shop names it
	At      time.Time `json:"at"`
}

// ConsentWithdrawn notes that the customer no longer agrees.
type ConsentWithdrawn struct {
	Purpose Purpose   `json:"purpose"`
	At      time.Time `json:"at"`
}

// NoteAdded is what the staff writes about the customer.
type NoteAdded struct {
	NoteID NoteID    `json:"note_id"`
	Text   string    `json:"text" class:"personal"`
	At     time.Time `json:"at"`
}

// Blocked keeps the customer from checking out.
type Blocked struct {
	Reason string `json:"reason" class:"personal"`
}

// Unblocked lets the customer check out again.
type Unblocked struct {
	Reason string `json:"reason,omitempty" class:"personal"`
}

// TaxStatusSet says what the law of taxes says of the customer: a business with its tax id and the
// check of it, or an exempt buyer with their certificate.
type TaxStatusSet struct {
	Status pricing.TaxStatus `json:"status"`
}

// TaxStatusWithdrawn makes the customer a consumer again.
type TaxStatusWithdrawn struct{}

// WishListMade gives the customer one more wish list.
type WishListMade struct {
	ListID WishListID `json:"list_id"`
	Name   string     `json:"name" class:"personal"`
}

// WishListRenamed gives a wish list another name.
type WishListRenamed struct {
	ListID WishListID `json:"list_id"`
	Name   string     `json:"name" class:"personal"`
}

// WishListRemoved takes a wish list away, with all its wishes.
type WishListRemoved struct {
	ListID WishListID `json:"list_id"`
}

// WishSet puts a product on a wish list, or changes how many units are wanted.
type WishSet struct {
	ListID   WishListID    `json:"list_id"`
	SKU      unit.SKU      `json:"sku"`
	Quantity unit.Quantity `json:"quantity"` // > 0
}

// WishRemoved takes a product off a wish list.
type WishRemoved struct {
	ListID WishListID `json:"list_id"`
	SKU    unit.SKU   `json:"sku"`
}

// WishListShared lets everybody with a token of this share see the wish list.
type WishListShared struct {
	ListID WishListID `json:"list_id"`
	Share  int        `json:"share"` // 1, 2, ... of this list
}

// WishListUnshared ends the share, and with it its tokens.
type WishListUnshared struct {
	ListID WishListID `json:"list_id"`
}

func (WishListMade) customerEvent()     {}
func (WishListRenamed) customerEvent()  {}
func (WishListRemoved) customerEvent()  {}
func (WishSet) customerEvent()          {}
func (WishRemoved) customerEvent()      {}
func (WishListShared) customerEvent()   {}
func (WishListUnshared) customerEvent() {}

// Merged ends the account, because it and another one are of the same person. The other account
// answers for it from the event Absorbed on. If the other account does not take it, MergeRefused
// opens this one again.
type Merged struct {
	Into    unit.CustomerID `json:"into"`
	Attempt int             `json:"attempt"` // 1, 2, ... of this account's merges
}

// MergeRefused opens the account again, because the other one has not taken it.
type MergeRefused struct {
	Into    unit.CustomerID `json:"into"`
	Attempt int             `json:"attempt"`
	Reason  string          `json:"reason" class:"open"` // as in MergeDeclined
}

// Absorbed says that the account answers for another one from now on: the carts, orders and returns
// of the other customer count as this one's. What the account takes over from the other one is in
// the next events of the same append. Absorbed and MergeDeclined are the two outcomes of a merge:
// the first one that is recorded stands.
type Absorbed struct {
	CustomerID unit.CustomerID `json:"customer_id"` // the other account
	Attempt    int             `json:"attempt"`     // as in Merged
	// Before are the accounts that the other one had absorbed.
	Before []unit.CustomerID `json:"before,omitempty"`
}

// MergeDeclined says that the account does not take another one, now or later. It changes nothing
// here.
type MergeDeclined struct {
	CustomerID unit.CustomerID `json:"customer_id"` // the other account
	Attempt    int             `json:"attempt"`     // as in Merged
	Reason     string          `json:"reason" class:"open"`
}

func (Registered) customerEvent()         {}
func (ProfileChanged) customerEvent()     {}
func (AddressAdded) customerEvent()       {}
func (AddressChanged) customerEvent()     {}
func (AddressRemoved) customerEvent()     {}
func (DefaultsSet) customerEvent()        {}
func (GroupsSet) customerEvent()          {}
func (ConsentGiven) customerEvent()       {}
func (ConsentWithdrawn) customerEvent()   {}
func (NoteAdded) customerEvent()          {}
func (Blocked) customerEvent()            {}
func (Unblocked) customerEvent()          {}
func (TaxStatusSet) customerEvent()       {}
func (TaxStatusWithdrawn) customerEvent() {}
func (Merged) customerEvent()             {}
func (MergeRefused) customerEvent()       {}
func (Absorbed) customerEvent()           {}
func (MergeDeclined) customerEvent()      {}
