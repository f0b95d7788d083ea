package cart

import (
	"strconv"
	"time"

	"daybook/domain/contact"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Command is what can be asked of a cart.
//
//sumtype:decl
type Command interface{ cartCommand() }

// Open starts a cart with its first lines. Opening it again with the same content changes nothing,
// even if the cart has changed since. Opening it again with other content is refused (cart-exists).
// Titles and prices of the catalogue are not compared, because they may have changed since.
type Open struct {
	CartID     unit.CartID
	CustomerID unit.CustomerID
	Currency   unit.Currency
	Country    string
	Channel    string // as in Opened; a repeated Open may name another one
	Lines      []AddLine
}

// opening is a value that is computed from the lines as the caller asked for them. Two Opens have
// the same value only if they ask for the same lines. The lines of the cart cannot be compared
// instead, because they may have changed since.
func (o Open) opening() string {
	if len(o.Lines) == 0 {
		return ""
	}
	parts := make([]string, 0, 2*len(o.Lines))
	for _, l := range o.Lines {
		parts = append(parts, string(l.SKU), strconv.FormatInt(int64(l.Quantity), 10))
		if l.Offer.Overridden {
			parts = append(parts, l.Offer.Title, string(l.Offer.Kind), l.Offer.Price.Amount.String()+" "+string(l.Offer.Price.Currency))
		}
		if l.Join {
			parts = append(parts, "join")
		}
	}
	return unit.CartOpening.Of(parts...).ID()
}

// AddLine puts a product into the cart. Offer is what the caller of Decide has found in the
// catalogue just now, or what a trusted caller gave in its place.
type AddLine struct {
	SKU      unit.SKU
	SKUText  string // the code as the caller gave it
	Quantity unit.Quantity
	Offer    Offer
	// Join adds the units to the first line with the same SKU and the same price. That line
	// keeps its texts. If there is no such line, a line is added.
	Join bool
}

// Offer is a product as it is offered to a cart.
type Offer struct {
	Title      string
	Kind       unit.Kind
	Price      unit.Money
	Overridden bool
	// BelowZero allows a price below zero for a service. Imports may have such lines, and carts of
	// older programs, which are merged.
	BelowZero bool
}

// ChangeQuantity sets a line's quantity. Zero takes the line out, as RemoveLine does.
type ChangeQuantity struct {
	Line     int
	Quantity unit.Quantity
}

// RemoveLine takes a line out.
type RemoveLine struct {
	Line int
}

// SetLines sets the lines of an open cart and their quantities. A line that is not named is taken
// out. A line with quantity zero is taken out, too. Lines keep their prices. A line that the cart
// does not have cannot be named.
type SetLines struct {
	Lines []LineQuantity // if two have the same number, the later one counts
}

// LineQuantity is the wanted number of units of a line.
type LineQuantity struct {
	Line     int
	Quantity unit.Quantity
}

// FollowOrder gives a guest's cart that was checked out to the customer who has taken over its
// order. It changes nothing if the cart has a customer, or has another order.
type FollowOrder struct {
	OrderID    unit.OrderID
	CustomerID unit.CustomerID
}

// ChangeCustomer says whose open cart it is. An empty id means that the cart is a guest's.
// The channel does not change, because it says where the cart was opened.
type ChangeCustomer struct {
	CustomerID unit.CustomerID
}

// ChangeCountry says where an open cart goes.
type ChangeCountry struct {
	Country string
}

// SetDetails replaces the addresses of an open cart and how to reach its buyer. If it has an
// address, the cart goes to the country of the address.
type SetDetails struct {
	Details contact.Details
}

// AddCoupon puts a code on an open cart, and RemoveCoupon takes it off. A code that is there, or is
// not there, changes nothing. Whether a promotion has the code is the caller's to know.
type AddCoupon struct {
	Code string
}

// RemoveCoupon is the opposite of AddCoupon.
type RemoveCoupon struct {
	Code string
}

// ChooseShipping says by which method an open cart is sent. An empty method takes the choice back.
type ChooseShipping struct {
	Method string
}

// GiveDiscount takes something off an open cart or one of its lines. A discount of the cart with
// the same id is replaced. The caller does not set Discount.Most: it follows from Limit.
type GiveDiscount struct {
	Discount pricing.Manual
	// Limit is the most that all discounts of the cart may take off together, for this sender. nil:
	// there is no limit.
	Limit *unit.Money
}

// WithdrawDiscount takes a discount back. One that is not there changes nothing.
type WithdrawDiscount struct {
	ID string
}

// SetTaxStatus says what the law of taxes says of the buyer of an open cart. nil: what the account
// of the customer says. A status is recorded even if it is the same, because its texts are sealed.
type SetTaxStatus struct {
	Status *pricing.TaxStatus
}

// StartCheckout freezes the cart for an order. Sent again with the same order id while the
// cart is completing or completed, it changes nothing. An order id whose checkout was refused
// stays refused (cart-checkout-decided), so another attempt needs another order id. No
// locations means the default location, and no policy means AllOrNothing. ReserveUntil must be
// given.
type StartCheckout struct {
	OrderID      unit.OrderID
	Reference    string
	Sourcing     Sourcing
	Policy       Policy
	ReserveUntil time.Time
	// OrderIDFrom says who chose the order id; empty means the caller.
	OrderIDFrom OrderIDSource
	// Details, if it is set, are the order's in place of those of the cart. The cart keeps its own.
	Details *contact.Details
	// Defaults are used where the order has no details, if it is set.
	Defaults *contact.Details
	// Holds are what the order needs besides stock. The caller has worked them out of the prices.
	Holds []Hold
	// Quote is what the cart costs, and why. It must be of the lines that the cart has now
	// (cart-quote-stale). The lines of the order get its list prices. nil: the lines cost what they
	// say.
	Quote *pricing.Quote
	// WithOrder means that the order is recorded in the same append, with all lines. Then only the
	// order keeps the quote. Only a caller that makes this append may set it.
	WithOrder bool
	// RoundedLines means, without a quote, that each line is rounded by itself.
	RoundedLines bool
	// Short is what stock cannot give, if the caller knows that before it begins. Then the
	// checkout is refused at once: CheckoutRefused is its only event.
	Short []Shortage
}

// RefuseCheckout and CompleteCheckout record the outcome of a checkout. The cart's stream is
// the referee: the first outcome that is recorded for an order id stands. A command for the
// other outcome is refused (cart-checkout-decided).
type RefuseCheckout struct {
	OrderID   unit.OrderID
	Shortages []Shortage
	Holds     []HoldRefusal
}

// WithdrawCheckout takes back a CheckedOut and gives the cart its lines back. It is sent if
// the order cannot be placed, because another cart has the order id. Every driver reaches the
// same result, because an order id never moves to another cart. If the checkout has no outcome
// yet, the command records that it is refused.
type WithdrawCheckout struct {
	OrderID unit.OrderID
	Lines   []Line // of the CheckoutStarted
}

// CompleteCheckout records that all stock is reserved; see RefuseCheckout.
type CompleteCheckout struct {
	OrderID      unit.OrderID
	Reservations []Reservation
	Dropped      []int
	Shortages    []Shortage
}

// Abandon ends an open cart.
type Abandon struct {
	Reason string
}

// Expire ends an open cart whose last change is older than the shop allows. The caller has
// compared the time; Decide does not.
type Expire struct{}

// MergeInto ends an open cart, the source, whose lines go into another cart, the target. Sent again
// with the same target, it changes nothing. The caller then sends MergeFrom to the target.
type MergeInto struct {
	Target     unit.CartID
	IfRevision *int64 // as in MergedInto
}

// MergeFrom adds the lines of a cart that was merged into this one. Units join the line that has
// the same offer, as with AddLine.Join. Decide does not notice that a MergeFrom is sent twice. So
// the caller must send the MergeFrom and the DeclineMerge of one merge under the same command id.
// Then the log records only one of them, and only once.
type MergeFrom struct {
	Source  unit.CartID
	Attempt int
	Lines   []Line           // of the source
	Details *contact.Details // of the source; used if the cart has none
	// Customer is that of the source; empty: a guest. The details of a customer are used only in a
	// cart of the same customer.
	Customer unit.CustomerID
}

// DeclineMerge records that this cart does not take the lines; see MergeFrom.
type DeclineMerge struct {
	Source  unit.CartID
	Attempt int
	Reason  string // the code of the refusal
}

// RefuseMerge opens a cart again because the target has declined its lines. If the merge with this
// number (Attempt) is no longer under way, it changes nothing.
type RefuseMerge struct {
	Attempt int
	Reason  string // as in DeclineMerge
}

func (Open) cartCommand()             {}
func (AddLine) cartCommand()          {}
func (ChangeQuantity) cartCommand()   {}
func (RemoveLine) cartCommand()       {}
func (SetLines) cartCommand()         {}
func (ChangeCustomer) cartCommand()   {}
func (FollowOrder) cartCommand()      {}
func (ChangeCountry) cartCommand()    {}
func (SetDetails) cartCommand()       {}
func (AddCoupon) cartCommand()        {}
func (RemoveCoupon) cartCommand()     {}
func (ChooseShipping) cartCommand()   {}
func (GiveDiscount) cartCommand()     {}
func (WithdrawDiscount) cartCommand() {}
func (SetTaxStatus) cartCommand()     {}
func (StartCheckout) cartCommand()    {}
func (RefuseCheckout) cartCommand()   {}
func (CompleteCheckout) cartCommand() {}
func (WithdrawCheckout) cartCommand() {}
func (Abandon) cartCommand()          {}
func (Expire) cartCommand()           {}
func (MergeInto) cartCommand()        {}
func (MergeFrom) cartCommand()        {}
func (DeclineMerge) cartCommand()     {}
func (RefuseMerge) cartCommand()      {}
