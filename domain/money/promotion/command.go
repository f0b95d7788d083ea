package promotion

import (
	"time"

	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Command is what can be asked of a promotion, or of the uses of one customer.
//
//sumtype:decl
type Command interface{ promotionCommand() }

// Define makes a promotion, or changes the terms of one that exists. Kind and class of a promotion
// that exists stay as they are, so other ones are refused (promotion-fixed).
type Define struct {
	ID     string
	Kind   pricing.PromotionKind
	Class  pricing.Class
	Active bool
	Terms
}

// End ends a promotion for good.
type End struct {
	Reason string
}

// RequestCodes asks to give codes to the promotion, or to take codes back. The codes follow in
// their own streams.
type RequestCodes struct {
	Codes    []string // as coupon.Fold makes them, 1 to MaxCodes
	Withdraw bool
}

// HoldUse holds one use for an order. An order has at most one use, so a repetition changes
// nothing.
type HoldUse struct {
	OrderID   unit.OrderID
	CartID    unit.CartID
	Amount    unit.Money // >= 0
	ExpiresAt time.Time
	// Limit is set for the uses of one customer: how many that customer may have in all. For a
	// promotion it is 0, and the limits of the promotion count.
	Limit int
}

// CommitUse makes the use of an order final. If the order holds none, it changes nothing: the use
// is final already, or was given back.
type CommitUse struct {
	OrderID unit.OrderID
}

// ReleaseUse gives the use of an order back.
type ReleaseUse struct {
	OrderID unit.OrderID
	Reason  Reason
	// Expired means that the order was not confirmed in time.
	Expired bool
	// Committed means that the order was confirmed. So if it holds no use any more, its use is
	// final. Amount is that of the use then. The command id of the caller keeps such a use from
	// being given back twice, because ended uses are counted and not kept.
	Committed bool
	Amount    unit.Money
}

func (Define) promotionCommand()       {}
func (End) promotionCommand()          {}
func (RequestCodes) promotionCommand() {}
func (HoldUse) promotionCommand()      {}
func (CommitUse) promotionCommand()    {}
func (ReleaseUse) promotionCommand()   {}
