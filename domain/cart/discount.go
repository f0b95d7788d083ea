package cart

import (
	"fmt"
	"slices"

	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// maxDiscounts is how many discounts of persons a cart takes.
const maxDiscounts = 20

// giveDiscount takes something off the cart. Pricing caps it by what there is.
func giveDiscount(cmd GiveDiscount, s State) ([]Event, error) {
	given := cmd.Discount
	if s.Phase != PhaseOpen {
		return nil, notOpen(s)
	}
	if why := s.discountFault(given); why != "" {
		return nil, ErrDiscountInvalid.With("The discount is refused: "+why+".", map[string]any{"discount_id": given.ID})
	}
	if _, found := s.line(given.Line); given.Line != 0 && !found {
		return nil, lineUnknown(given.Line)
	}
	at := s.discount(given.ID)
	if at < 0 && len(s.Discounts) >= maxDiscounts {
		return nil, ErrDiscountCount.With(ErrDiscountCount.Detail, map[string]any{"max_discounts": maxDiscounts})
	}
	most, err := s.withinDiscountLimit(given, cmd.Limit)
	if err != nil {
		return nil, err
	}
	if given.Most = most; at >= 0 && s.Discounts[at].Same(given) {
		return nil, nil
	}
	return []Event{DiscountGiven{Discount: given}}, nil
}

func (s State) discount(id string) int {
	return slices.IndexFunc(s.Discounts, func(d pricing.Manual) bool { return d.ID == id })
}

// discountFault says what is wrong with a discount, or "".
func (s State) discountFault(d pricing.Manual) string {
	_, badID := unit.ParseCode(d.ID)
	_, badReason := unit.ParseCode(d.Reason)
	switch {
	case badID != nil:
		return "the id: " + badID.Error()
	case badReason != nil:
		return "the reason: " + badReason.Error()
	case (d.Amount == nil) == d.Percent.IsZero():
		return "want an amount or a percentage"
	case d.Amount == nil && (d.Percent.Sign() < 0 || d.Percent.Millionths() > unit.Whole):
		return "want a percentage of more than 0 and at most 100"
	case d.Amount != nil && (d.Amount.Currency != s.Currency || d.Amount.Sign() <= 0 || d.Amount.TooFine()):
		return "want an amount of " + string(s.Currency) + " above zero, not finer than the currency"
	case slices.ContainsFunc(s.Lines, func(l Line) bool { return l.Price.Sign() < 0 }):
		return "the cart has a line below zero, and takes no discounts"
	}
	return ""
}

// withinDiscountLimit refuses a discount with which the discounts of the cart could take off more
// than limit. most is the bound that a percentage gets, so that it stays within the limit whatever
// is put into the cart later.
func (s State) withinDiscountLimit(given pricing.Manual, limit *unit.Money) (most *unit.Money, err error) {
	if limit == nil {
		return nil, nil
	}
	before, bounded := unit.Zero(s.Currency), true
	for _, d := range s.Discounts {
		if d.ID == given.ID {
			continue
		}
		bound, has := d.Bound()
		if bounded = bounded && has; has {
			before = before.Plus(bound)
		}
	}
	left := limit.Minus(before)
	if !bounded {
		left = unit.Zero(s.Currency)
	}
	if given.Amount == nil && left.Sign() > 0 {
		return &left, nil
	}
	if given.Amount != nil && given.Amount.Compare(left) <= 0 {
		return nil, nil
	}
	return nil, ErrDiscountLimit.With(
		fmt.Sprintf("Without the permission discounts.unlimited, all discounts that persons gave to one cart may be %s. %s are left.", limit, left),
		map[string]any{"limit": *limit, "left": left})
}

func withdrawDiscount(cmd WithdrawDiscount, s State) ([]Event, error) {
	_, bad := unit.ParseCode(cmd.ID)
	switch {
	case bad != nil:
		return nil, ErrDiscountInvalid.With("The id of the discount is refused: "+bad.Error()+".", nil)
	case s.Phase != PhaseOpen:
		return nil, notOpen(s)
	case s.discount(cmd.ID) < 0:
		return nil, nil
	}
	return []Event{DiscountWithdrawn(cmd)}, nil
}

func setTaxStatus(cmd SetTaxStatus, s State) ([]Event, error) {
	switch {
	case s.Phase != PhaseOpen:
		return nil, notOpen(s)
	case cmd.Status == nil && s.TaxStatus == nil:
		return nil, nil
	case cmd.Status == nil:
		return []Event{TaxStatusSet{}}, nil
	}
	if field, why := cmd.Status.Fault(); field != "" {
		return nil, ErrTaxStatusInvalid.With("The member "+field+" is refused: "+why+".", map[string]any{"field": field})
	}
	return []Event{TaxStatusSet(cmd)}, nil
}

// follows tells whether a quote has what the cart says of discounts and of the buyer. A discount
// that was withdrawn since then does not count.
func (s State) follows(quote *pricing.Quote) bool {
	for _, id := range quote.ManualIDs() {
		if s.discount(id) < 0 {
			return false
		}
	}
	return s.TaxStatus == nil || quote.Status != nil && quote.Status.Same(*s.TaxStatus)
}
