// Package giftcard is money that the shop owes to whoever can use it: a gift card, which has a
// code, or a credit account, which belongs to a customer. Its balance follows from its events, and
// never falls below zero.
//
// An order pays with it in two steps. The checkout holds an amount, as it reserves stock, so that
// two checkouts cannot spend the same money. The confirmation redeems what is due, and the rest is
// free again. If the order ends before that, all of it is free again.
//
// The package does not know codes. The id of a gift card is a keyed hash of its code, so whoever
// has the code and the key finds the card, and whoever reads the log finds no code.
package giftcard

import (
	"strings"
	"time"

	"daybook/domain/unit"
)

// Category starts the names of the streams of gift cards and credit accounts.
const Category = "giftcard"

// Stream names the stream of a gift card or a credit account.
func Stream(id ID) string { return Category + "-" + string(id) }

// ID is the id of a gift card or a credit account.
type ID string

// The first letter of an id tells what has it.
const (
	cardPrefix    = "g"
	accountPrefix = "a"
)

// CardID makes the id of a gift card of the keyed hash of its code, in hex.
func CardID(hash string) ID { return ID(cardPrefix + hash) }

// AccountID is the id of the credit account of a customer in a currency.
func AccountID(customer unit.CustomerID, currency unit.Currency) ID {
	return ID(accountPrefix + unit.CreditAccount.Of(string(customer), string(currency)).ID())
}

// Kind is what an id names.
func (id ID) Kind() Kind {
	if strings.HasPrefix(string(id), accountPrefix) {
		return Account
	}
	return Card
}

// Kind tells gift cards and credit accounts apart.
type Kind string

// The kinds.
const (
	Card    Kind = "gift_card"
	Account Kind = "credit"
)

// Event is what can have happened to a gift card or a credit account. The wire names in codec.go
// are storage format: they are versioned, never renamed.
//
//sumtype:decl
type Event interface{ giftCardEvent() }

// Issued begins a gift card or a credit account, and gives it money. It may come again for a credit
// account, and then adds to it.
type Issued struct {
	ID     ID         `json:"gift_card_id"`
	Kind   Kind       `json:"kind"`
	Amount unit.Money `json:"amount"` // > 0
	// CustomerID is the customer of a credit account.
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	ExpiresAt  time.Time       `json:"expires_at,omitzero"` // zero: never
	// Sold says which unit of which order was sold as this card. nil: a person issued it.
	Sold   *Sold  `json:"sold,omitempty"`
	Reason string `json:"reason,omitempty" class:"personal"`
}

// Sold is the unit of an order's line that was sold as a gift card.
type Sold struct {
	OrderID unit.OrderID `json:"order_id"`
	Line    int          `json:"line"`
	Unit    int          `json:"unit"` // 1, 2, ... of the line
}

// CodeShown says that the code was shown. It is shown once.
type CodeShown struct{}

// Held sets money aside for an order, until the order is confirmed or ends.
type Held struct {
	OrderID unit.OrderID `json:"order_id"`
	CartID  unit.CartID  `json:"cart_id"` // whose checkout holds it
	Amount  unit.Money   `json:"amount"`  // > 0
	// ExpiresAt is the deadline of the order. Then the program looks at the order.
	ExpiresAt time.Time `json:"expires_at"`
}

// Redeemed pays for a confirmed order out of what is held for it. The rest of the hold is free
// again.
type Redeemed struct {
	OrderID unit.OrderID `json:"order_id"`
	Amount  unit.Money   `json:"amount"` // > 0
}

// Released gives back what is held for an order, because the order pays nothing with it.
type Released struct {
	OrderID unit.OrderID `json:"order_id"`
	Amount  unit.Money   `json:"amount"`
	Reason  Reason       `json:"reason" class:"open"`
}

// CreditedBack gives back money that an order had paid with the card.
type CreditedBack struct {
	RefundID unit.TransactionID `json:"refund_id"` // the transaction of the order
	OrderID  unit.OrderID       `json:"order_id"`
	Amount   unit.Money         `json:"amount"` // > 0
}

// Expired takes away what is free, because the card's time is over. What is held then may still be
// redeemed. It comes again if some of that is given back later.
type Expired struct {
	Amount unit.Money `json:"amount"`
}

// Disabled takes away what is free, and ends the card. It comes again like Expired.
type Disabled struct {
	Amount unit.Money `json:"amount"`
	Reason string     `json:"reason,omitempty" class:"personal"`
}

// Reason says why a hold was given back. It is a word and no free text.
type Reason string

// The reasons.
const (
	NotPlaced    Reason = "not_placed"    // the checkout was refused
	Canceled     Reason = "canceled"      // the order was canceled before it was confirmed
	OrderExpired Reason = "order_expired" // the order was not confirmed in time
	NothingDue   Reason = "nothing_due"   // the order was confirmed, and was paid in other ways
)

func (Issued) giftCardEvent()       {}
func (CodeShown) giftCardEvent()    {}
func (Held) giftCardEvent()         {}
func (Redeemed) giftCardEvent()     {}
func (Released) giftCardEvent()     {}
func (CreditedBack) giftCardEvent() {}
func (Expired) giftCardEvent()      {}
func (Disabled) giftCardEvent()     {}
