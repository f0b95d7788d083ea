package cart

import (
	"slices"
	"strings"

	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// maxCoupons is how many codes a cart takes.
const maxCoupons = 10

func addCoupon(cmd AddCoupon, s State) ([]Event, error) {
	code := pricing.FoldCode(cmd.Code)
	switch {
	case s.Phase != PhaseOpen:
		return nil, notOpen(s)
	case !unit.FitsLine(cmd.Code, unit.MaxName) || code == "":
		return nil, ErrCouponInvalid
	case slices.Contains(s.Coupons, code):
		return nil, nil
	case len(s.Coupons) >= maxCoupons:
		return nil, ErrCouponLimit.With(ErrCouponLimit.Detail, map[string]any{"max_codes": maxCoupons})
	}
	return []Event{CouponAdded{Code: code}}, nil
}

func removeCoupon(cmd RemoveCoupon, s State) ([]Event, error) {
	code := pricing.FoldCode(cmd.Code)
	switch {
	case s.Phase != PhaseOpen:
		return nil, notOpen(s)
	case !unit.FitsLine(cmd.Code, unit.MaxName) || code == "":
		return nil, ErrCouponInvalid
	case !slices.Contains(s.Coupons, code):
		return nil, nil
	}
	return []Event{CouponRemoved{Code: code}}, nil
}

func chooseShipping(cmd ChooseShipping, s State) ([]Event, error) {
	switch {
	case s.Phase != PhaseOpen:
		return nil, notOpen(s)
	case cmd.Method != "" && (!unit.FitsLine(cmd.Method, unit.MaxName) || strings.ContainsAny(cmd.Method, " /")):
		return nil, ErrMethodInvalid
	case cmd.Method == s.Shipping:
		return nil, nil
	}
	return []Event{ShippingChosen(cmd)}, nil
}

// quoted are the lines of the cart with the list prices of a quote. The quote must be of these
// lines, and add up.
func (s State) quoted(quote *pricing.Quote) ([]Line, error) {
	lines := slices.Clone(s.Lines)
	if quote == nil {
		return lines, nil
	}
	if quote.Currency != s.Currency || !slices.EqualFunc(quote.Lines, lines, func(p pricing.PricedLine, l Line) bool {
		return p.Line == l.Number && p.SKU == l.SKU && p.Quantity == l.Quantity && (!l.Overridden || p.Price.Equal(l.Price))
	}) || !s.follows(quote) {
		return nil, ErrQuoteStale
	}
	if err := quote.Check(); err != nil {
		return nil, ErrQuoteInvalid.With("The quote does not add up: "+err.Error()+".", nil)
	}
	for i := range lines {
		lines[i].Price = quote.Lines[i].Price
	}
	return lines, nil
}

// frozenQuote is what an event keeps of a quote: nothing, if the lines say it all.
func frozenQuote(quote *pricing.Quote) *pricing.Quote {
	if quote == nil || quote.Plain() {
		return nil
	}
	return quote
}
