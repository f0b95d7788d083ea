// Package promotion is a promotion: it lowers prices by rules that package pricing applies. This
// package decides which promotions may exist, and how often a limited one is used.
//
// A use is a hold, like a reservation of stock: a checkout holds it for its order, the confirmation
// of the order commits it, and the end of the order releases it or lets it expire. So two buyers
// cannot both have the last use. A promotion that has no limit has no holds.
//
// How often one customer has used a promotion is counted in a stream for each customer
// (CustomerStream), by the same rules. So the stream of a promotion stays small, however many
// customers it has. The first order of a customer is counted there, too.
package promotion

import (
	"time"

	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Category starts the names of the streams of promotions.
const Category = "promotion"

// Stream names the stream of a promotion: "promotion-spring".
func Stream(id string) string { return Category + "-" + id }

// CustomerCategory starts the names of the streams that count the uses of one customer.
const CustomerCategory = "customeruse"

// CustomerStream names the stream that counts the uses of one customer. id is that of CustomerUses.
func CustomerStream(id string) string { return CustomerCategory + "-" + id }

// CustomerUses is the id of the uses of a promotion by one customer. The key is CustomerKey or
// EmailKey. The id shows neither the customer nor the promotion.
func CustomerUses(promotion, key string) string {
	return unit.CustomerUses.Of(promotion, key).ID()
}

// FirstOrder is the id of the one first order that a customer can have, over all promotions.
func FirstOrder(key string) string { return unit.FirstOrder.Of(key).ID() }

// CustomerKey is the key of a customer who has an account.
func CustomerKey(id unit.CustomerID) string { return "customer:" + string(id) }

// EmailKey is the key of somebody who is known by an e-mail address only. hash is a keyed hash of
// the folded address, so that nobody can find the address by trying.
func EmailKey(hash string) string { return "email:" + hash }

// Event is what can have happened to a promotion, or to the uses of one customer. The wire names in
// codec.go are storage format: they are versioned, never renamed.
//
//sumtype:decl
type Event interface{ promotionEvent() }

// Created begins a promotion. It is not active yet. Its kind and class stay as they are.
type Created struct {
	ID    string                `json:"promotion_id" class:"open"`
	Kind  pricing.PromotionKind `json:"kind"`
	Class pricing.Class         `json:"class"`
	Terms
}

// Terms are what a promotion does, for whom, and how often. Package pricing says what the members
// mean.
type Terms struct {
	Title              string              `json:"title" class:"open"` // customers see it
	Action             pricing.Action      `json:"action"`
	Conditions         pricing.Conditions  `json:"conditions,omitzero"`
	Priority           int                 `json:"priority,omitzero"`
	Exclusive          pricing.Exclusivity `json:"exclusive,omitempty"`
	Window             pricing.Window      `json:"window,omitzero"`
	Limits             pricing.Limits      `json:"limits,omitzero"`
	KeepUseAfterCancel bool                `json:"keep_use_after_cancel,omitzero"`
}

// Changed gives a promotion other terms. Carts that are being checked out keep those that they had.
type Changed struct {
	Terms
}

// Activated lets the promotion count for carts.
type Activated struct{}

// Deactivated stops that. Orders keep what they got, and uses that are held stay held.
type Deactivated struct{}

// Ended ends the promotion for good. Its codes can be given to another promotion.
type Ended struct {
	Reason string `json:"reason,omitempty" class:"personal"`
}

// CodesRequested says that somebody asked to give codes to the promotion, or to take codes back
// from it. It comes before that is done, so that one request has one event that its preconditions
// and its key are compared with. What became of a code is in the stream of the code.
type CodesRequested struct {
	Codes    []string `json:"codes" class:"open"` // as coupon.Fold makes them
	Withdraw bool     `json:"withdraw,omitzero"`  // they are taken back
}

// UseHeld holds one use for an order, until the order is confirmed or ends.
type UseHeld struct {
	OrderID unit.OrderID `json:"order_id"`
	CartID  unit.CartID  `json:"cart_id"` // whose checkout holds it
	Amount  unit.Money   `json:"amount"`  // what the promotion takes off; it counts for the budget
	// ExpiresAt is the deadline of the order. Then the program looks at the order; see FollowHold
	// in package commands.
	ExpiresAt time.Time `json:"expires_at"`
}

// UseCommitted makes a held use final, because its order is confirmed.
type UseCommitted struct {
	OrderID unit.OrderID `json:"order_id"`
	Amount  unit.Money   `json:"amount"`
}

// UseReleased gives a use back, because its checkout was refused or its order was canceled.
type UseReleased struct {
	OrderID unit.OrderID `json:"order_id"`
	Amount  unit.Money   `json:"amount"`
	// Committed means that the use was final before: its order was confirmed, and then everything
	// was canceled before anything had shipped.
	Committed bool   `json:"committed,omitzero"`
	Reason    Reason `json:"reason" class:"open"`
}

// UseExpired gives a held use back, because its order was not confirmed in time.
type UseExpired struct {
	OrderID unit.OrderID `json:"order_id"`
	Amount  unit.Money   `json:"amount"`
}

// Reason says why a use was given back. It is a word and no free text.
type Reason string

// The reasons.
const (
	NotPlaced Reason = "not_placed" // the checkout was refused
	Canceled  Reason = "canceled"
)

func (Created) promotionEvent()        {}
func (Changed) promotionEvent()        {}
func (Activated) promotionEvent()      {}
func (Deactivated) promotionEvent()    {}
func (Ended) promotionEvent()          {}
func (CodesRequested) promotionEvent() {}
func (UseHeld) promotionEvent()        {}
func (UseCommitted) promotionEvent()   {}
func (UseReleased) promotionEvent()    {}
func (UseExpired) promotionEvent()     {}
