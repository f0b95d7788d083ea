package resource

import (
	"time"

	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/unit"
)

// Promotion is a promotion with its terms, and with how often it is used.
type Promotion struct {
	PromotionID string              `json:"promotion_id"`
	Title       string              `json:"title" doc:"Customers see it."`
	Kind        string              `json:"kind" enum:"automatic,coupon" doc:"A coupon counts only with one of its codes."`
	Class       string              `json:"class" enum:"item,order,shipping" doc:"What it takes something off."`
	Action      PromotionAction     `json:"action"`
	Conditions  PromotionConditions `json:"conditions"`
	Priority    int                 `json:"priority" doc:"Of one class, the promotion with the highest priority goes first."`
	Exclusive   string              `json:"exclusive" enum:"none,class,all" doc:"What may follow once it took something off: everything, nothing of its class, or nothing at all."`
	Status      string              `json:"status" enum:"active,inactive,ended"`
	ValidFrom   time.Time           `json:"valid_from,omitzero"`
	ValidUntil  time.Time           `json:"valid_until,omitzero" doc:"The first moment at which it does not count any more."`
	Limits      PromotionLimits     `json:"limits"`
	KeepUse     bool                `json:"keep_use_after_cancel,omitzero" doc:"A use stays used if everything is canceled before anything has shipped."`
	Held        int                 `json:"uses_held" doc:"Uses that are set aside for orders which are not confirmed yet. Counted only for a promotion with a limit in all."`
	Committed   int                 `json:"uses_committed" doc:"Uses of confirmed orders. Counted only for a promotion with a limit in all."`
	Version     int64               `json:"version" doc:"How many changes there were. A quote names it."`
	Revision    int64               `json:"revision"`
}

// PromotionAction is the one thing that a promotion does.
type PromotionAction struct {
	Type              string          `json:"type" enum:"percent_off,fixed_off,buy_x_get_y,fixed_price,free_shipping"`
	Percent           string          `json:"percent,omitempty" doc:"Of percent_off; of buy_x_get_y what is taken off the free units, 100 if it is left out."`
	Amounts           []Money         `json:"amounts,omitempty" doc:"Of fixed_off and fixed_price: one for each currency."`
	Buy               int64           `json:"buy,omitzero"`
	Get               int64           `json:"get,omitzero"`
	MaxSets           int64           `json:"max_sets,omitzero" doc:"0: no bound."`
	OnFreeUnits       bool            `json:"on_free_units,omitzero" doc:"The discount is on the free units only, and not on all units of the set."`
	Target            PromotionTarget `json:"target"`
	IncludeOverridden bool            `json:"include_overridden,omitzero" doc:"It also takes something off lines whose price a person gave."`
}

// PromotionTarget names lines or shipping methods. Without a name it is about all.
type PromotionTarget struct {
	SKUs       []string `json:"skus,omitempty"`
	Categories []string `json:"categories,omitempty"`
	Methods    []string `json:"methods,omitempty" doc:"Of a promotion of shipping."`
}

// PromotionConditions must all hold.
type PromotionConditions struct {
	MinSubtotal    []Money         `json:"min_subtotal,omitempty" doc:"One for each currency."`
	Measure        string          `json:"measure,omitempty" enum:"list,after_items,after_order" doc:"What the subtotal is compared with."`
	MinQuantity    int64           `json:"min_quantity,omitzero" doc:"Units of what of names."`
	Of             PromotionTarget `json:"of" doc:"This must be in the cart."`
	CustomerGroups []string        `json:"customer_groups,omitempty"`
	Countries      []string        `json:"countries,omitempty"`
	Channels       []string        `json:"channels,omitempty"`
	FirstOrder     bool            `json:"first_order,omitzero" doc:"Only the first order of a customer."`
	Days           []int           `json:"days,omitempty" doc:"1 Monday to 7 Sunday, in UTC."`
	FromHour       int             `json:"from_hour,omitzero" doc:"In UTC."`
	UntilHour      int             `json:"until_hour,omitzero" doc:"In UTC. 0: no bound."`
}

// PromotionLimits bound how often a promotion is used. 0 is no limit.
type PromotionLimits struct {
	Uses            int    `json:"uses,omitzero" doc:"In all."`
	UsesPerCustomer int    `json:"uses_per_customer,omitzero"`
	Budget          *Money `json:"budget,omitempty" doc:"What it may take off in all."`
}

// PromotionOf shows a promotion.
func PromotionOf(s promotion.State, revision int64) Promotion {
	t := s.Terms
	p := Promotion{
		PromotionID: s.ID, Title: t.Title, Kind: string(s.Kind), Class: string(s.Class), Priority: t.Priority, Exclusive: string(t.Exclusive),
		Status: definitionStatus(s.Active, s.Ended), ValidFrom: t.Window.From, ValidUntil: t.Window.Until, KeepUse: t.KeepUseAfterCancel,
		Limits: PromotionLimits{Uses: t.Limits.Uses, UsesPerCustomer: t.Limits.UsesPerCustomer},
		Held:   len(s.Held), Committed: s.Committed, Version: s.Version, Revision: revision,
		Action: PromotionAction{
			Type: string(t.Action.Type), Amounts: each(t.Action.Amounts, MoneyOf), Buy: int64(t.Action.Buy), Get: int64(t.Action.Get), MaxSets: int64(t.Action.MaxSets),
			OnFreeUnits: t.Action.OnFreeUnits, Target: targetOf(t.Action.Target), IncludeOverridden: t.Action.IncludeOverridden,
		},
		Conditions: PromotionConditions{
			MinSubtotal: each(t.Conditions.MinSubtotal, MoneyOf), Measure: string(t.Conditions.Measure), MinQuantity: int64(t.Conditions.MinQuantity), Of: targetOf(t.Conditions.Of),
			CustomerGroups: t.Conditions.Groups, Countries: t.Conditions.Countries, Channels: t.Conditions.Channels, FirstOrder: t.Conditions.FirstOrder,
			Days: t.Conditions.Days, FromHour: t.Conditions.FromHour, UntilHour: t.Conditions.UntilHour,
		},
	}
	if p.Exclusive == "" {
		p.Exclusive = string(pricing.Combines)
	}
	if t.Action.Percent.Sign() > 0 {
		p.Action.Percent = t.Action.Percent.String()
	}
	if len(t.Limits.Budget) > 0 {
		budget := MoneyOf(t.Limits.Budget[0])
		p.Limits.Budget = &budget
	}
	return p
}

func targetOf(t pricing.Target) PromotionTarget {
	return PromotionTarget{SKUs: each(t.SKUs, func(sku unit.SKU) string { return string(sku) }), Categories: t.Categories, Methods: t.Methods}
}

// PromotionCodes are codes of a promotion.
type PromotionCodes struct {
	PromotionID string   `json:"promotion_id"`
	Codes       []string `json:"codes" doc:"In capital letters, without blanks and hyphens."`
}

// CouponCode is a code of a coupon.
type CouponCode struct {
	Code string `json:"code" doc:"In capital letters, without blanks and hyphens."`
}

// GiftCard is a gift card or the credit account of a customer. It never has a code.
type GiftCard struct {
	GiftCardID string    `json:"gift_card_id" doc:"A keyed hash of the code, or of the customer and the currency. Nobody can find the code by it."`
	Kind       string    `json:"kind" enum:"gift_card,credit"`
	Status     string    `json:"status" enum:"active,expired,disabled"`
	CustomerID string    `json:"customer_id,omitempty" class:"customer" doc:"Of a credit account."`
	Balance    Money     `json:"balance" doc:"What the shop owes."`
	Held       Money     `json:"held" doc:"The part of the balance that is set aside for orders which are not confirmed yet."`
	Available  Money     `json:"available" doc:"What another order can use now."`
	Issued     Money     `json:"issued" doc:"What came in, in all."`
	Redeemed   Money     `json:"redeemed" doc:"What orders have paid with it, in all."`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	OrderID    string    `json:"sold_in_order,omitempty" doc:"The order in which it was sold."`
	CodeShown  bool      `json:"code_shown,omitzero" doc:"The code was shown, and is not shown again."`
	Revision   int64     `json:"revision"`
	// Entries are what has happened, the oldest first.
	Entries []GiftCardEntry `json:"entries,omitempty" reads:"only" doc:"What has happened, the oldest first: the latest 200. What came before is in the stream, giftcard- and the id."`
}

// GiftCardSummary is a gift card or a credit account in a list. It never has a code.
type GiftCardSummary struct {
	GiftCardID string    `json:"gift_card_id" doc:"A keyed hash of the code, or of the customer and the currency. Nobody can find the code by it."`
	Kind       string    `json:"kind" enum:"gift_card,credit"`
	Status     string    `json:"status" enum:"active,expired,disabled"`
	CustomerID string    `json:"customer_id,omitempty" class:"customer" doc:"Of a credit account."`
	OrderID    string    `json:"sold_in_order,omitempty" doc:"The order in which it was sold."`
	Currency   string    `json:"currency"`
	Issued     Money     `json:"issued" doc:"What came in, in all."`
	Balance    Money     `json:"balance" doc:"What the shop owes."`
	Held       Money     `json:"held" doc:"The part of the balance that is set aside for orders which are not confirmed yet."`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	IssuedAt   time.Time `json:"issued_at"`
	ChangedAt  time.Time `json:"changed_at"`
	Revision   int64     `json:"revision"`
}

// MaxGiftCardEntries is how many entries a gift card shows, the latest ones.
const MaxGiftCardEntries = 200

// GiftCardEntry is one thing that has happened to a gift card or a credit account.
type GiftCardEntry struct {
	At       time.Time `json:"at"`
	Type     string    `json:"type" enum:"issued,code_shown,set_aside,redeemed,released,credited_back,expired,disabled" doc:"set_aside and released do not change the balance, because the shop owes the money all the same."`
	Amount   *Money    `json:"amount,omitempty" doc:"What it is about. Left out: no money."`
	OrderID  string    `json:"order_id,omitempty" doc:"The order that pays with it."`
	RefundID string    `json:"refund_id,omitempty" doc:"The transaction of the order that gave the money back."`
	Balance  Money     `json:"balance" doc:"The balance afterwards."`
}

// GiftCardEntryOf shows an event of a gift card. after is the state after it. The entry never has
// the reason, which may be personal.
func GiftCardEntryOf(event giftcard.Event, after giftcard.State) GiftCardEntry {
	entry := GiftCardEntry{Balance: MoneyOf(after.Balance)}
	about := func(what string, amount unit.Money, order unit.OrderID) {
		entry.Type, entry.OrderID, entry.Amount = what, string(order), new(MoneyOf(amount))
	}
	switch e := event.(type) {
	case giftcard.Issued:
		about("issued", e.Amount, "")
	case giftcard.CodeShown:
		entry.Type = "code_shown"
	case giftcard.Held:
		about("set_aside", e.Amount, e.OrderID)
	case giftcard.Redeemed:
		about("redeemed", e.Amount, e.OrderID)
	case giftcard.Released:
		about("released", e.Amount, e.OrderID)
	case giftcard.CreditedBack:
		about("credited_back", e.Amount, e.OrderID)
		entry.RefundID = string(e.RefundID)
	case giftcard.Expired:
		about("expired", e.Amount, "")
	case giftcard.Disabled:
		about("disabled", e.Amount, "")
	}
	return entry
}

// GiftCardOf shows a gift card at a time.
func GiftCardOf(s giftcard.State, revision int64, now time.Time) GiftCard {
	card := GiftCard{
		GiftCardID: string(s.ID), Kind: string(s.Kind), Status: "active", CustomerID: string(s.CustomerID),
		Balance: MoneyOf(s.Balance), Held: MoneyOf(s.HeldInAll()), Available: MoneyOf(s.Available(now)), Issued: MoneyOf(s.Issued), Redeemed: MoneyOf(s.Redeemed),
		ExpiresAt: s.ExpiresAt, CodeShown: s.Shown, Revision: revision,
	}
	switch {
	case s.Disabled:
		card.Status = "disabled"
	case s.Expired || !s.ExpiresAt.IsZero() && !now.Before(s.ExpiresAt):
		card.Status = "expired"
	}
	if s.Sold != nil {
		card.OrderID = string(s.Sold.OrderID)
	}
	return card
}

// GiftCardCode is a gift card with its code.
type GiftCardCode struct {
	GiftCard GiftCard `json:"gift_card"`
	Code     string   `json:"code,omitempty" secret:"true" doc:"Whoever has it can pay with the card. No other response ever has it. A credit account has none."`
}
