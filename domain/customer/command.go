package customer

import (
	"time"

	"daybook/domain/contact"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Command is what can be asked of an account.
//
//sumtype:decl
type Command interface{ customerCommand() }

// Register makes an account.
type Register struct {
	CustomerID unit.CustomerID
	Profile    Profile
}

// ChangeProfile sets members of the profile. A member that is nil stays as it is. The rules do not
// compare the texts with those that are there, because these are sealed in the log. So each change
// is recorded, even if it changes nothing.
type ChangeProfile struct {
	Name, Email, Phone, Locale *string
}

// AddAddress adds an address.
type AddAddress struct {
	AddressID AddressID
	Address   contact.Address
	// Billing and Shipping make it the default address of this kind. The first address becomes
	// both.
	Billing, Shipping bool
}

// ChangeAddress replaces an address. A default stays one.
type ChangeAddress struct {
	AddressID         AddressID
	Address           contact.Address
	Billing, Shipping bool
}

// RemoveAddress takes an address away.
type RemoveAddress struct {
	AddressID AddressID
}

// SetGroups replaces the groups.
type SetGroups struct {
	Groups []Group
}

// Consent notes that the customer agrees, or no longer agrees. To agree to the same version again
// changes nothing.
type Consent struct {
	Purpose Purpose
	Version string // needed if Given
	Given   bool
	At      time.Time
}

// AddNote notes something about the customer.
type AddNote struct {
	NoteID NoteID
	Text   string
	At     time.Time
}

// Block keeps the customer from checking out. A customer who is blocked already stays blocked, for
// the first reason.
type Block struct {
	Reason string
}

// Unblock lets the customer check out again.
type Unblock struct {
	Reason string
}

// SetTaxStatus says what the law of taxes says of the customer. It is recorded even if it is the
// same, because its texts are sealed in the log.
type SetTaxStatus struct {
	Status pricing.TaxStatus
}

// WithdrawTaxStatus makes the customer a consumer. It changes nothing if they are one.
type WithdrawTaxStatus struct{}

// MakeWishList makes an empty wish list.
type MakeWishList struct {
	ListID WishListID
	Name   string
}

// RenameWishList gives a wish list another name. It is recorded even if the name is the same,
// because the name is sealed in the log.
type RenameWishList struct {
	ListID WishListID
	Name   string
}

// RemoveWishList takes a wish list away.
type RemoveWishList struct {
	ListID WishListID
}

// RemoveWishLists takes all wish lists away. It changes nothing if there are none.
type RemoveWishLists struct{}

// SetWish says how many units of a product are wanted. Zero takes the product off the list.
type SetWish struct {
	ListID   WishListID
	SKU      unit.SKU
	Quantity unit.Quantity
}

// ShareWishList lets others see a wish list.
type ShareWishList struct {
	ListID WishListID
}

// UnshareWishList ends that.
type UnshareWishList struct {
	ListID WishListID
}

func (MakeWishList) customerCommand()    {}
func (RenameWishList) customerCommand()  {}
func (RemoveWishList) customerCommand()  {}
func (RemoveWishLists) customerCommand() {}
func (SetWish) customerCommand()         {}
func (ShareWishList) customerCommand()   {}
func (UnshareWishList) customerCommand() {}

// MergeInto ends the account, because another one of the same person answers for it. Sent again
// with the same account, it changes nothing. The caller then sends Absorb to the other account.
type MergeInto struct {
	Into unit.CustomerID
}

// Absorb takes an account that was merged into this one. The Absorb and the DeclineMerge of one
// merge must be sent under the same command id. Then only one of them is recorded.
type Absorb struct {
	Source  State // the other account; it does not change while it is merged
	Attempt int
}

// DeclineMerge records that this account does not take another one; see Absorb. It is possible
// whatever the account is.
type DeclineMerge struct {
	CustomerID unit.CustomerID
	Attempt    int
	Reason     string // the code of the refusal
}

// RefuseMerge opens an account again, because the other one has declined it. If the merge with this
// number (Attempt) is no longer under way, it changes nothing.
type RefuseMerge struct {
	Attempt int
	Reason  string // as in DeclineMerge
}

func (Register) customerCommand()          {}
func (ChangeProfile) customerCommand()     {}
func (AddAddress) customerCommand()        {}
func (ChangeAddress) customerCommand()     {}
func (RemoveAddress) customerCommand()     {}
func (SetGroups) customerCommand()         {}
func (Consent) customerCommand()           {}
func (AddNote) customerCommand()           {}
func (Block) customerCommand()             {}
func (Unblock) customerCommand()           {}
func (SetTaxStatus) customerCommand()      {}
func (WithdrawTaxStatus) customerCommand() {}
func (MergeInto) customerCommand()         {}
func (Absorb) customerCommand()            {}
func (DeclineMerge) customerCommand()      {}
func (RefuseMerge) customerCommand()       {}
