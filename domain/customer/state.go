package customer

import (
	"slices"
	"time"

	"daybook/domain/contact"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// FoldVersion names the shape of State: rows of another version are built again. Raise it with
// every change of State or Evolve.
const FoldVersion = 3

// State is an account. The zero State is a customer without one.
type State struct {
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	Profile    Profile         `json:"profile"`
	// Addresses are in the order in which they were added.
	Addresses []SavedAddress `json:"addresses,omitempty"`
	Billing   AddressID      `json:"billing,omitempty"` // the default
	Shipping  AddressID      `json:"shipping,omitempty"`
	Groups    []Group        `json:"groups,omitempty"`
	// Consents has one for each purpose that was ever asked for, in the order of the first answer.
	Consents    []LastConsent      `json:"consents,omitempty"`
	Notes       []Note             `json:"notes,omitempty"`
	Blocked     bool               `json:"blocked,omitempty"`
	BlockReason string             `json:"block_reason,omitempty"`
	TaxStatus   *pricing.TaxStatus `json:"tax_status,omitempty"` // nil: a consumer
	WishLists   []WishList         `json:"wish_lists,omitempty"` // in the order in which they were made
	// MergedInto is the account that answers for this one, or will do so unless it declines.
	MergedInto unit.CustomerID `json:"merged_into,omitempty"`
	Merges     int             `json:"merges,omitempty"` // how often a merge has begun
	// Absorbed are the accounts for which this one answers.
	Absorbed []unit.CustomerID `json:"absorbed,omitempty"`
}

// SavedAddress is an address of a customer.
type SavedAddress struct {
	AddressID AddressID       `json:"address_id"`
	Address   contact.Address `json:"address"`
}

// LastConsent is what the customer said last about a purpose.
type LastConsent struct {
	Purpose Purpose   `json:"purpose"`
	Version string    `json:"version"` // that was given last; kept when it is withdrawn
	Given   bool      `json:"given"`
	At      time.Time `json:"at"`
}

// Note is what the staff noted.
type Note struct {
	NoteID NoteID    `json:"note_id"`
	Text   string    `json:"text"`
	At     time.Time `json:"at"`
}

// Registered tells whether there is an account.
func (s State) Registered() bool { return s.CustomerID != "" }

// OwnedBy tells whether the account belongs to an owner.
func (s State) OwnedBy(owner unit.Owner) bool { return owner != "" && s.CustomerID.Owner() == owner }

// Evolve is the state after one more event. It makes new lists, so states that share one stay as
// they are.
func Evolve(s State, e Event) State {
	switch e := e.(type) {
	case Registered:
		s.CustomerID, s.Profile = e.CustomerID, e.Profile
	case ProfileChanged:
		s.Profile = e.Profile
	case AddressAdded:
		s.Addresses = append(slices.Clip(s.Addresses), SavedAddress(e))
	case AddressChanged:
		if i := s.address(e.AddressID); i >= 0 {
			s.Addresses = slices.Clone(s.Addresses)
			s.Addresses[i] = SavedAddress(e)
		}
	case AddressRemoved:
		s = s.withoutAddress(e.AddressID)
	case DefaultsSet:
		s.Billing, s.Shipping = e.Billing, e.Shipping
	case GroupsSet:
		s.Groups = e.Groups
	case ConsentGiven:
		s.Consents = answered(s.Consents, LastConsent{Purpose: e.Purpose, Version: e.Version, Given: true, At: e.At})
	case ConsentWithdrawn:
		s.Consents = answered(s.Consents, LastConsent{Purpose: e.Purpose, Version: s.consent(e.Purpose).Version, At: e.At})
	case NoteAdded:
		s.Notes = append(slices.Clip(s.Notes), Note(e))
	case Blocked:
		s.Blocked, s.BlockReason = true, e.Reason
	case Unblocked:
		s.Blocked, s.BlockReason = false, ""
	case TaxStatusSet:
		s.TaxStatus = &e.Status
	case TaxStatusWithdrawn:
		s.TaxStatus = nil
	case WishListMade, WishListRenamed, WishListRemoved, WishSet, WishRemoved, WishListShared, WishListUnshared:
		return evolveWishes(s, e)
	case Merged:
		s.MergedInto, s.Merges = e.Into, e.Attempt
	case MergeRefused:
		s.MergedInto = ""
	case Absorbed:
		s.Absorbed = s.absorbing(e.CustomerID, e.Before)
	case MergeDeclined:
	}
	return s
}

// Defaults are the details of an order that names none: the default addresses, and how to reach the
// customer.
func (s State) Defaults() contact.Details {
	d := contact.Details{Email: s.Profile.Email, Phone: s.Profile.Phone}
	if i := s.address(s.Billing); i >= 0 {
		d.Billing = new(s.Addresses[i].Address)
	}
	if i := s.address(s.Shipping); i >= 0 {
		d.Shipping = new(s.Addresses[i].Address)
	}
	return d
}

func (s State) address(id AddressID) int {
	return slices.IndexFunc(s.Addresses, func(a SavedAddress) bool { return a.AddressID == id })
}

func (s State) withoutAddress(id AddressID) State {
	s.Addresses = slices.DeleteFunc(slices.Clone(s.Addresses), func(a SavedAddress) bool { return a.AddressID == id })
	if s.Billing == id {
		s.Billing = ""
	}
	if s.Shipping == id {
		s.Shipping = ""
	}
	return s
}

// consent is the last answer about a purpose; the zero value if there is none.
func (s State) consent(of Purpose) LastConsent {
	if i := slices.IndexFunc(s.Consents, func(a LastConsent) bool { return a.Purpose == of }); i >= 0 {
		return s.Consents[i]
	}
	return LastConsent{}
}

func answered(all []LastConsent, one LastConsent) []LastConsent {
	all = slices.Clone(all)
	if i := slices.IndexFunc(all, func(a LastConsent) bool { return a.Purpose == one.Purpose }); i >= 0 {
		all[i] = one
		return all
	}
	return append(all, one)
}
