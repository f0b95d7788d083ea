package giftcard

import (
	"time"

	"daybook/domain/unit"
)

// Command is what can be asked of a gift card or a credit account.
//
//sumtype:decl
type Command interface{ giftCardCommand() }

// Issue makes a gift card, or gives money to a credit account. A gift card is issued once: the same
// command again changes nothing, and another one is refused (gift-card-exists).
type Issue struct {
	ID         ID
	Kind       Kind
	Amount     unit.Money // > 0
	CustomerID unit.CustomerID
	ExpiresAt  time.Time
	Sold       *Sold
	Reason     string
	Now        time.Time
}

// ShowCode notes that the code is shown. It is refused the second time.
type ShowCode struct{}

// Hold sets money aside for an order. An order has at most one hold, so a repetition changes
// nothing.
type Hold struct {
	OrderID   unit.OrderID
	CartID    unit.CartID
	Amount    unit.Money // > 0
	ExpiresAt time.Time
	Now       time.Time
}

// Redeem pays for a confirmed order out of what is held for it. If nothing is held, it changes
// nothing: it was redeemed before, or given back.
type Redeem struct {
	OrderID unit.OrderID
	Amount  unit.Money // what is due; at most what is held is taken
}

// Release gives back what is held for an order. If nothing is held, it changes nothing.
type Release struct {
	OrderID unit.OrderID
	Reason  Reason
}

// CreditBack gives back money that an order had paid. The command id of the caller keeps a refund
// from being given back twice.
type CreditBack struct {
	RefundID unit.TransactionID
	OrderID  unit.OrderID
	Amount   unit.Money // > 0
}

// Expire ends a card whose time is over.
type Expire struct {
	Now time.Time
}

// Disable ends a card.
type Disable struct {
	Reason string
}

// Revoke ends a gift card because its purchase is undone. A card that was not issued yet is never
// issued.
type Revoke struct {
	Currency unit.Currency
}

func (Issue) giftCardCommand()      {}
func (ShowCode) giftCardCommand()   {}
func (Hold) giftCardCommand()       {}
func (Redeem) giftCardCommand()     {}
func (Release) giftCardCommand()    {}
func (Revoke) giftCardCommand()     {}
func (CreditBack) giftCardCommand() {}
func (Expire) giftCardCommand()     {}
func (Disable) giftCardCommand()    {}
