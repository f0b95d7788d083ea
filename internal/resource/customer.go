package resource

import (
	"time"

	"daybook/domain/contact"
	"daybook/domain/customer"
	"daybook/domain/unit"
)

// Customer is somebody who buys, with their account if they have one.
type Customer struct {
	CustomerID      string            `json:"customer_id" class:"customer"`
	Registered      bool              `json:"registered" doc:"Whether the customer has an account. A customer without one has carts and orders only."`
	Name            string            `json:"name,omitempty" class:"personal" doc:"What the customer is called."`
	Email           string            `json:"email,omitempty" class:"personal"`
	Phone           string            `json:"phone,omitempty" class:"personal"`
	Locale          string            `json:"locale,omitempty"`
	Addresses       []CustomerAddress `json:"addresses,omitempty" doc:"In the order in which they were added."`
	DefaultBilling  string            `json:"default_billing,omitempty" doc:"The address_id of the address for bills."`
	DefaultShipping string            `json:"default_shipping,omitempty" doc:"The address_id of the address for parcels."`
	TaxStatus       *TaxStatus        `json:"tax_status,omitempty" doc:"What the law of taxes says of the customer. Left out: a consumer."`
	WishLists       []WishList        `json:"wish_lists,omitempty" doc:"In the order in which they were made."`
	Consents        []CustomerConsent `json:"consents,omitempty" doc:"One for each purpose that the customer was asked about."`
	Blocked         bool              `json:"blocked" doc:"The customer cannot check out."`
	BlockReason     string            `json:"block_reason,omitempty" class:"personal" doc:"Only for callers who may read all customers, and in exports."`
	Groups          []string          `json:"groups,omitempty" doc:"Only for callers who may read all customers, and in exports."`
	Notes           []CustomerNote    `json:"notes,omitempty" doc:"What the staff noted, the oldest first. Only for callers who may read all customers, and in exports."`
	MergedInto      string            `json:"merged_into,omitempty" class:"customer" doc:"The account that answers for this one, because both are of the same person. Only for callers who may read all customers."`
	Absorbed        []string          `json:"absorbed,omitempty" class:"customer" doc:"The accounts that were merged into this one. Only for callers who may read all customers."`
	Revision        int64             `json:"revision"`

	RegisteredAt *time.Time      `json:"registered_at,omitempty" reads:"only"`
	ChangedAt    *time.Time      `json:"changed_at,omitempty" reads:"only"`
	Totals       []SalesCustomer `json:"totals,omitzero" reads:"only" doc:"What the customer bought in all, one entry for each currency."`
}

// Address is where goods or a bill go to.
type Address struct {
	Name     string   `json:"name,omitempty" class:"personal" doc:"Who gets the parcel."`
	Company  string   `json:"company,omitempty" class:"personal"`
	Lines    []string `json:"lines" class:"personal" doc:"The street with its number, and the like."`
	Postcode string   `json:"postcode,omitempty" class:"personal"`
	City     string   `json:"city,omitempty" class:"personal"`
	Region   string   `json:"region,omitempty"`
	Country  string   `json:"country" doc:"ISO 3166-1." example:"GB"`
	Phone    string   `json:"phone,omitempty" class:"personal"`
}

// CustomerAddress is one of the addresses of a customer.
type CustomerAddress struct {
	AddressID string `json:"address_id"`
	Address
}

// CustomerConsent is what a customer said last about one purpose.
type CustomerConsent struct {
	Purpose string    `json:"purpose" enum:"marketing,analytics,terms"`
	Version string    `json:"version" doc:"Of the text to which the customer agreed last."`
	Given   bool      `json:"given" doc:"false: the customer has withdrawn the consent."`
	At      time.Time `json:"at"`
}

// WishList is a list of goods that a customer wants.
type WishList struct {
	ListID string `json:"list_id"`
	Name   string `json:"name" class:"personal" doc:"What the list is called." example:"Birthday"`
	Shared bool   `json:"shared" doc:"Whoever has a token can see the list."`
	Wishes []Wish `json:"wishes"`
}

// Wish is some units of a product that a customer wants.
type Wish struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// WishListShare is a token with which others see a wish list.
type WishListShare struct {
	ListID string `json:"list_id"`
	Token  string `json:"share_token" secret:"true" doc:"Whoever sends it as Daybook-Wish-List sees the list, until the list is no longer shared."`
}

// SharedWishList is a wish list as others see it.
type SharedWishList struct {
	Name   string `json:"name" doc:"What the list is called." example:"Birthday"`
	Wishes []Wish `json:"wishes"`
}

// CustomerNote is what the staff noted about a customer.
type CustomerNote struct {
	NoteID string    `json:"note_id"`
	Text   string    `json:"text" class:"personal"`
	At     time.Time `json:"at"`
}

// CustomerSummary is a customer in a list.
type CustomerSummary struct {
	CustomerID   string    `json:"customer_id" class:"customer"`
	Name         string    `json:"name,omitempty" class:"personal" doc:"What the customer is called."`
	Email        string    `json:"email,omitempty" class:"personal"`
	Blocked      bool      `json:"blocked" doc:"The customer cannot check out."`
	RegisteredAt time.Time `json:"registered_at"`
	ChangedAt    time.Time `json:"changed_at"`
	RecordedAt   time.Time `json:"recorded_at"`
	Revision     int64     `json:"revision"`
}

// CustomerOf makes a Customer from the state of an account. staff tells whether the caller sees
// what only the staff sees.
func CustomerOf(id unit.CustomerID, s customer.State, revision int64, staff bool) Customer {
	c := Customer{
		CustomerID: string(id), Registered: s.Registered(), Name: s.Profile.Name, Email: s.Profile.Email, Phone: s.Profile.Phone, Locale: s.Profile.Locale,
		Addresses: each(s.Addresses, func(a customer.SavedAddress) CustomerAddress {
			return CustomerAddress{AddressID: string(a.AddressID), Address: AddressOf(a.Address)}
		}),
		DefaultBilling: string(s.Billing), DefaultShipping: string(s.Shipping),
		WishLists: each(s.WishLists, wishListOf), TaxStatus: taxStatusOf(s.TaxStatus),
		Consents: each(s.Consents, func(a customer.LastConsent) CustomerConsent {
			return CustomerConsent{Purpose: string(a.Purpose), Version: a.Version, Given: a.Given, At: Moment(a.At)}
		}),
		Blocked: s.Blocked, Revision: revision,
	}
	if staff {
		c.BlockReason = s.BlockReason
		c.MergedInto = string(s.MergedInto)
		c.Absorbed = each(s.Absorbed, func(id unit.CustomerID) string { return string(id) })
		c.Groups = each(s.Groups, func(g customer.Group) string { return string(g) })
		c.Notes = each(s.Notes, func(n customer.Note) CustomerNote {
			return CustomerNote{NoteID: string(n.NoteID), Text: n.Text, At: Moment(n.At)}
		})
	}
	return c
}

func wishListOf(l customer.WishList) WishList {
	return WishList{ListID: string(l.ListID), Name: l.Name, Shared: l.Shared, Wishes: wishesOf(l)}
}

func wishesOf(l customer.WishList) []Wish {
	return listed(l.Wishes, func(w customer.Wish) Wish { return Wish{SKU: string(w.SKU), Quantity: int64(w.Quantity)} })
}

// SharedWishListOf is a wish list as others see it.
func SharedWishListOf(l customer.WishList) SharedWishList {
	return SharedWishList{Name: l.Name, Wishes: wishesOf(l)}
}

// AddressOf is an address as responses have it.
func AddressOf(a contact.Address) Address {
	return Address{
		Name: a.Name, Company: a.Company, Lines: append([]string{}, a.Lines...), Postcode: a.Postcode, City: a.City, Region: a.Region,
		Country: string(a.Country), Phone: a.Phone,
	}
}
