// Package cart is what a customer wants to buy. A cart reserves nothing in stock. Its
// checkout does, and package checkout has that process.
package cart

import (
	"time"

	"daybook/domain/contact"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Category starts the names of cart streams.
const Category = "cart"

// Stream names a cart's stream: "cart-7f3a".
func Stream(id unit.CartID) string { return Category + "-" + string(id) }

// Event is what can have happened to a cart. The wire names in codec.go are
// storage format: they are versioned, never renamed.
//
//sumtype:decl
type Event interface{ cartEvent() }

// Opened starts the cart; it is always a stream's first event.
type Opened struct {
	CartID     unit.CartID     `json:"cart_id"`
	CustomerID unit.CustomerID `json:"customer_id,omitempty"` // empty: a guest
	Currency   unit.Currency   `json:"currency"`
	Country    string          `json:"country,omitempty" class:"open"` // where it goes, as given
	// Channel is where the cart was opened. Its prices are those of the channel. Older programs did
	// not record it.
	Channel string `json:"channel,omitempty" class:"open"`
	// Opening is a value that tells which lines the caller asked for. See Open. It is empty if
	// there were no lines, or if an older program opened the cart.
	Opening string `json:"opening,omitempty" class:"open"`
	// Lines are those that the cart was opened with. In version 1 they are in the next events,
	// one LineAdded each.
	Lines []Line `json:"lines,omitempty"`
}

// Line is one line of a cart or an order: a product, a number of units, and the price that
// was offered for one unit. Several lines may have the same SKU, each with its own price.
type Line struct {
	Number   int           `json:"line"` // 1, 2, ... in the order added, never used again
	SKU      unit.SKU      `json:"sku"`
	SKUText  string        `json:"sku_text,omitempty" class:"open"` // the code as given, where it differs from SKU
	Title    string        `json:"title,omitempty" class:"open"`    // of the catalogue, or a text that a trusted caller gave
	Kind     unit.Kind     `json:"kind"`
	Quantity unit.Quantity `json:"quantity"` // > 0
	Price    unit.Money    `json:"price"`    // of one unit
	// Overridden means that a trusted caller gave the price, so it is not the price of the
	// catalogue.
	Overridden bool `json:"overridden,omitzero"`
}

// Total is the exact amount of the line; it is not rounded.
func (l Line) Total() unit.Money { return l.Price.Times(l.Quantity) }

// LineAdded puts a line into the cart.
type LineAdded struct {
	Line
}

// QuantityChanged sets a line's quantity.
type QuantityChanged struct {
	Line     int           `json:"line"`
	Quantity unit.Quantity `json:"quantity"` // > 0, the new quantity
}

// LineRemoved takes a line out.
type LineRemoved struct {
	Line int `json:"line"`
}

// CustomerChanged says whose cart it is now, for example after a guest has logged in.
type CustomerChanged struct {
	CustomerID unit.CustomerID `json:"customer_id,omitempty"` // empty: a guest
}

// CountryChanged says where the cart goes now.
type CountryChanged struct {
	Country string `json:"country,omitempty" class:"open"` // as given; empty: not known
}

// DetailsSet replaces the addresses of the cart and how to reach its buyer. Details without members
// take them away.
type DetailsSet struct {
	Details contact.Details `json:"details"`
}

// CouponAdded puts the code of a coupon on the cart. The code counts only if a promotion has it and
// its conditions hold.
type CouponAdded struct {
	Code string `json:"code" class:"open"` // in the form of pricing.FoldCode
}

// CouponRemoved takes a code off the cart.
type CouponRemoved struct {
	Code string `json:"code" class:"open"`
}

// ShippingChosen says by which method the cart is sent.
type ShippingChosen struct {
	Method string `json:"method,omitempty" class:"open"` // empty: none is chosen
}

// DiscountGiven takes something off the cart or one of its lines, because a person wants it. A
// discount with the same id is replaced.
type DiscountGiven struct {
	Discount pricing.Manual `json:"discount"`
}

// DiscountWithdrawn takes such a discount back.
type DiscountWithdrawn struct {
	ID string `json:"id" class:"open"`
}

// TaxStatusSet says what the law of taxes says of the buyer of this cart, in place of what their
// account says.
type TaxStatusSet struct {
	Status *pricing.TaxStatus `json:"status,omitempty"` // nil: what the account says counts
}

// Policy says what a checkout does when stock is short.
type Policy string

const (
	// AllOrNothing refuses the checkout when any line is short.
	AllOrNothing Policy = "all-or-nothing"
	// LineByLine drops the lines that are short and takes the rest. Lines are served in the
	// order of the cart. The checkout is refused only if no line is left.
	LineByLine Policy = "line-by-line"
)

// Sourcing says which locations may serve a checkout.
type Sourcing struct {
	// Locations in order of preference, at least one.
	Locations []unit.LocationID `json:"locations"`
	// Split allows one SKU to be served from several locations; otherwise the
	// first location that has all of it serves it.
	Split bool `json:"split,omitzero"`
}

// CheckoutStarted freezes lines and prices under the id of the future order. Until the outcome is
// recorded, the cart is completing. The outcome is CheckedOut or CheckoutRefused, and
// CheckoutRefused opens the cart again.
type CheckoutStarted struct {
	OrderID    unit.OrderID    `json:"order_id"`
	CartID     unit.CartID     `json:"cart_id"`
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	Currency   unit.Currency   `json:"currency"`
	Country    string          `json:"country,omitempty" class:"open"`
	// Details are those of the cart, completed from the account of the customer. nil: there are
	// none.
	Details   *contact.Details `json:"details,omitempty"`
	Reference string           `json:"reference,omitempty" class:"personal,compared"` // the caller's own number for the order
	Lines     []Line           `json:"lines"`
	Sourcing  Sourcing         `json:"sourcing"`
	Policy    Policy           `json:"policy"`
	// ReserveUntil is the deadline of the stock reservations and of the order's
	// confirmation.
	ReserveUntil time.Time `json:"hold_until"`
	// Quote is what the lines and charges cost, and why. It is absent if each line costs its price
	// times its units.
	Quote *pricing.Quote `json:"quote,omitempty"`
	// QuoteWithOrder means that the order was recorded in the same append as this event. Then only
	// the order keeps the quote, and the recorded event has none.
	QuoteWithOrder bool `json:"quote_with_order,omitzero"`
	// RoundedLines means that there is no quote and that each line is rounded by itself. Checkouts
	// of older programs and of imports have neither: only their sum is rounded.
	RoundedLines bool `json:"rounded_lines,omitzero"`
	// OrderIDFrom says who chose the order id. It is empty in checkouts that older
	// programs began; the ids of their reservations leave the cart out.
	OrderIDFrom OrderIDSource `json:"order_id_from,omitempty"`
	// Holds are what the order needs besides stock: uses of limited promotions, and money of gift
	// cards. They are held until ReserveUntil, all or none.
	Holds []Hold `json:"holds,omitempty"`
}

// Hold is something that a checkout holds for its order besides stock. The confirmation of the
// order makes it final. If the checkout is refused or the order ends before that, it is given
// back.
type Hold struct {
	Kind HoldKind `json:"kind"`
	ID   HoldID   `json:"id"`
	// Amount is what a promotion takes off, or what a gift card is to pay at most.
	Amount unit.Money `json:"amount"`
	// Limit is how many uses one customer may have; only for HoldCustomerUse.
	Limit int `json:"limit,omitzero"`
	// Keep means that a use stays used if everything is canceled before anything has shipped.
	Keep bool `json:"keep_after_cancel,omitzero"`
}

// HoldKind says what is held.
type HoldKind string

const (
	HoldPromotion   HoldKind = "promotion"    // one use of a limited promotion
	HoldCustomerUse HoldKind = "customer_use" // one of the uses that one customer may have
	HoldGiftCard    HoldKind = "gift_card"    // money of a gift card or a credit account
)

// HoldID is the id of the promotion, of the gift card, or of the uses of one customer, which shows
// nothing of the customer.
type HoldID string

// HoldRefusal says which hold a checkout could not get, and why.
type HoldRefusal struct {
	Kind   HoldKind `json:"kind"`
	ID     HoldID   `json:"id"`
	Reason string   `json:"reason" class:"open"` // the code of the refusal, such as "promotion-exhausted"
}

// OrderIDSource is who chose an order id.
type OrderIDSource string

const (
	// FromCaller: the caller chose it, so the caller of another cart may choose the same id.
	FromCaller OrderIDSource = "caller"
	// FromServer: it is derived from the cart and the request.
	FromServer OrderIDSource = "server"
)

// Shortage says what a checkout asked for and could not get.
type Shortage struct {
	SKU      unit.SKU        `json:"sku"`
	Location unit.LocationID `json:"location,omitempty"`
	// Lines are the numbers of the lines that ask for the SKU, ascending. Older programs
	// did not record them.
	Lines     []int         `json:"lines,omitempty"`
	Requested unit.Quantity `json:"requested"`
	Available unit.Quantity `json:"available"` // >= 0; what was left
	// Reason is the code of the refusal, "stock-insufficient" most often.
	Reason string `json:"reason" class:"open"`
}

// CheckoutRefused ends a checkout without an order; the cart is open again. It is the only
// event of a checkout that is refused before it begins; see Asked.
type CheckoutRefused struct {
	OrderID   unit.OrderID `json:"order_id"`
	Shortages []Shortage   `json:"shortages"`
	// OrderIDTaken means that the order id belongs to another cart.
	OrderIDTaken bool `json:"order_id_taken,omitzero"`
	// Holds are what could not be held. Older programs did not record them.
	Holds []HoldRefusal `json:"holds,omitempty"`
	// Lines are given back to the cart. They are set if the checkout had succeeded and only
	// then another cart was found to have the order id.
	Lines []Line `json:"lines,omitempty"`
	// Asked is set if the checkout was refused before it began. Then no CheckoutStarted comes
	// before this event, and nothing was ever reserved. Example: all units are sold, and the
	// next customer asks for one. Version 1 does not have it.
	Asked *Asked `json:"asked,omitempty"`
}

// Asked is what a checkout asked for, without the lines of the cart, if the checkout was refused
// before it began. The members mean the same as in CheckoutStarted.
type Asked struct {
	OrderIDFrom OrderIDSource `json:"order_id_from"`
	Reference   string        `json:"reference,omitempty" class:"personal,compared"`
	Sourcing    Sourcing      `json:"sourcing"`
	Policy      Policy        `json:"policy"`
}

// Reservation is stock reserved for an order at a location.
type Reservation struct {
	ReservationID unit.ReservationID `json:"reservation_id"`
	SKU           unit.SKU           `json:"sku"`
	Location      unit.LocationID    `json:"location"`
	Quantity      unit.Quantity      `json:"quantity"`
}

// CheckedOut ends a checkout with an order: everything that the order needs is reserved. This
// event is the decision, and the order is placed from it. If another cart owns the order id,
// CheckoutRefused follows and is final.
type CheckedOut struct {
	OrderID      unit.OrderID  `json:"order_id"`
	Reservations []Reservation `json:"held,omitempty"`
	// Dropped are the lines left out under the policy LineByLine.
	Dropped   []int      `json:"dropped,omitempty"`
	Shortages []Shortage `json:"shortages,omitempty"`
}

// Abandoned ends the cart, because its customer or an operator gave it up.
type Abandoned struct {
	Reason string `json:"reason,omitempty" class:"personal"`
}

// Expired ends a cart that was not changed for too long.
type Expired struct{}

// MergedInto ends the cart, the source, because its lines go into another cart, the target.
// MergedFrom there says that they have arrived. If the target does not take them, MergeRefused
// opens the source again.
type MergedInto struct {
	Target  unit.CartID `json:"into"`
	Attempt int         `json:"attempt"` // 1, 2, ... of this cart's merges
	// IfRevision is the revision that the target must still have when it takes the lines. If it is
	// nil, the target may have changed.
	IfRevision *int64 `json:"if_revision,omitempty"`
}

// MergeRefused opens the cart again with its lines, because the target has not taken them.
type MergeRefused struct {
	Target  unit.CartID `json:"into"`
	Attempt int         `json:"attempt"`
	Reason  string      `json:"reason" class:"open"` // as in MergeDeclined
}

// MergedFrom says that the lines of another cart, the source, come into this one. The events that
// add them follow in the same append. MergedFrom and MergeDeclined are the two outcomes of a merge:
// the first one that is recorded stands.
type MergedFrom struct {
	Source  unit.CartID `json:"from"`
	Attempt int         `json:"attempt"` // as in MergedInto
}

// MergeDeclined says that this cart does not take the lines of another one, now or later. It
// changes nothing in this cart, which may have ended.
type MergeDeclined struct {
	Source  unit.CartID `json:"from"`
	Attempt int         `json:"attempt"`             // as in MergedInto
	Reason  string      `json:"reason" class:"open"` // the code of the refusal, such as "cart-full"
}

func (Opened) cartEvent()            {}
func (LineAdded) cartEvent()         {}
func (QuantityChanged) cartEvent()   {}
func (LineRemoved) cartEvent()       {}
func (CustomerChanged) cartEvent()   {}
func (CountryChanged) cartEvent()    {}
func (DetailsSet) cartEvent()        {}
func (CouponAdded) cartEvent()       {}
func (CouponRemoved) cartEvent()     {}
func (ShippingChosen) cartEvent()    {}
func (DiscountGiven) cartEvent()     {}
func (DiscountWithdrawn) cartEvent() {}
func (TaxStatusSet) cartEvent()      {}
func (CheckoutStarted) cartEvent()   {}
func (CheckoutRefused) cartEvent()   {}
func (CheckedOut) cartEvent()        {}
func (Abandoned) cartEvent()         {}
func (Expired) cartEvent()           {}
func (MergedInto) cartEvent()        {}
func (MergeRefused) cartEvent()      {}
func (MergedFrom) cartEvent()        {}
func (MergeDeclined) cartEvent()     {}
