package pricing

import (
	"slices"
	"time"

	"daybook/domain/money/shares"
	"daybook/domain/unit"
)

// promote applies the promotions of one class, one after the other. Each sees what the earlier ones
// left. There is no search for the best combination.
func (p *pricing) promote(class Class) {
	for _, promo := range p.rules.promotions[class] {
		why, code := p.admits(promo)
		var taken int64
		if why == "" {
			taken = p.apply(promo, code)
			why = "applied"
			if taken == 0 {
				why = p.nothing(promo)
			}
		}
		p.consider("promotion", promo.ID, 0, taken > 0, why)
		if taken == 0 {
			continue // it excludes nothing
		}
		switch promo.Exclusive {
		case EndsItsClass:
			p.end(promo.ID, class)
		case EndsEverything:
			p.end(promo.ID, ItemClass, OrderClass, ShippingClass)
		case Combines:
		}
	}
}

func (p *pricing) end(promotion string, classes ...Class) {
	if p.ended == nil {
		p.ended = make(map[Class]string)
	}
	for _, class := range classes {
		p.ended[class] = promotion
	}
}

// admits says why a promotion may not apply, or "", and the code by which it came.
func (p *pricing) admits(promo *promotion) (why, code string) {
	switch {
	case !promo.Active:
		return "inactive", ""
	case !promo.Window.Contains(p.at):
		return "not-now", ""
	}
	if promo.Kind == Coupon {
		i := slices.IndexFunc(p.cart.Codes, func(code string) bool { return p.rules.codes[code] == promo })
		if i < 0 {
			return "no-code", ""
		}
		code = p.cart.Codes[i]
	}
	if by, ended := p.ended[promo.Class]; ended {
		return "excluded-by-" + by, code
	}
	return p.unmet(promo), code
}

// unmet is the first condition that does not hold, or "".
func (p *pricing) unmet(promo *promotion) string {
	c := &promo.Conditions
	switch {
	case len(c.Channels) > 0 && !slices.Contains(c.Channels, p.cart.Channel):
		return "other-channel"
	case len(c.Countries) > 0 && !slices.Contains(c.Countries, p.place.Country):
		return "other-country"
	case len(c.Groups) > 0 && !overlap(c.Groups, p.cart.Groups):
		return "other-group"
	case c.FirstOrder && !p.cart.FirstOrder:
		return "not-first-order"
	case len(c.Days) > 0 && !slices.Contains(c.Days, p.day):
		return "other-day"
	case !inHours(p.hour, c.FromHour, c.UntilHour):
		return "other-hour"
	}
	if c.MinQuantity > 0 || !promo.of.all {
		var units unit.Quantity
		for i := range p.lines {
			if l := &p.lines[i]; l.eligible() && promo.of.has(l.item) {
				units += l.item.Quantity
			}
		}
		if units < max(1, c.MinQuantity) {
			return "below-quantity"
		}
	}
	if len(c.MinSubtotal) > 0 {
		least, known := promo.subtotal[p.cart.Currency]
		switch {
		case !known:
			return "other-currency"
		case p.subtotal(promo) < least:
			return "below-subtotal"
		}
	}
	return ""
}

// inHours tells whether an hour is in a span. A span such as 22 to 6 goes over midnight.
func inHours(hour, from, until int) bool {
	switch {
	case until == 0:
		return hour >= from
	case from < until:
		return from <= hour && hour < until
	}
	return hour >= from || hour < until
}

// subtotal is the amount of the goods that a promotion's condition looks at. Tenders never lower
// it. A measure that is taken later than the promotion means what is left now.
func (p *pricing) subtotal(promo *promotion) int64 {
	measure := promo.Conditions.Measure
	switch {
	case measure != "":
		return p.measured(measure)
	case promo.Class == ItemClass:
		return p.measured(OfList)
	case promo.Class == OrderClass:
		return p.measured(AfterItems)
	}
	return p.measured(AfterOrder)
}

func (p *pricing) measured(measure Measure) int64 {
	switch {
	case measure == OfList:
		var sum int64
		for i := range p.lines {
			if p.lines[i].eligible() {
				sum += p.lines[i].list
			}
		}
		return sum
	case measure == AfterItems && p.afterItems != nil:
		return *p.afterItems
	case measure == AfterOrder && p.afterOrder != nil:
		return *p.afterOrder
	}
	return p.sum()
}

// apply lets a promotion take off what it can, and returns how much that was.
func (p *pricing) apply(promo *promotion, code string) int64 {
	by := source{promo: promo, code: code}
	switch {
	case promo.Class == OrderClass:
		return p.onOrder(by)
	case promo.Class == ShippingClass:
		return p.onShipping(by)
	case promo.Action.Type == BuyXGetY:
		return p.buyXGetY(by)
	}
	return p.onItems(by)
}

// source is who takes something off: a promotion, or a person.
type source struct {
	promo  *promotion
	code   string        // by which the promotion came
	sets   unit.Quantity // of buy X get Y
	manual *Manual
}

// adjustment is what is recorded of it.
func (s source) adjustment() Adjustment {
	if m := s.manual; m != nil {
		action := FixedOff
		if m.Amount == nil {
			action = PercentOff
		}
		return Adjustment{Promotion: ofManual, Title: m.ID, Class: classOf(m.Line > 0), Action: action, Reason: m.Reason}
	}
	return Adjustment{
		Promotion: s.promo.ID, Version: s.promo.Version, Title: s.promo.Title, Code: s.code, Class: s.promo.Class,
		Action: s.promo.Action.Type, Sets: s.sets,
	}
}

// nothing says why a promotion whose conditions hold took nothing.
func (p *pricing) nothing(promo *promotion) string {
	if promo.Action.Type == FixedOff || promo.Action.Type == FixedPrice {
		if _, known := promo.amounts[p.cart.Currency]; !known {
			return "other-currency"
		}
	}
	return "nothing-to-take-off"
}

// mayTake tells whether a promotion of items may take something off a line. Lines with a price that
// a person gave are left alone unless the promotion includes them.
func (p *pricing) mayTake(promo *promotion, l *priced) bool {
	return l.eligible() && promo.target.has(l.item) && (l.item.Override == nil || promo.Action.IncludeOverridden)
}

// onItems takes off each eligible line by itself.
func (p *pricing) onItems(by source) int64 {
	action := &by.promo.Action
	amount, known := by.promo.amounts[p.cart.Currency]
	var taken int64
	for i := range p.lines {
		l := &p.lines[i]
		if !p.mayTake(by.promo, l) {
			continue
		}
		var off int64
		switch action.Type {
		case PercentOff:
			off = share(action.Percent, l.amount)
		case FixedOff:
			off = times(amount, l.item.Quantity)
		case FixedPrice:
			off = l.amount - times(amount, l.item.Quantity)
			if !known {
				off = 0
			}
		case BuyXGetY, FreeShipping:
		}
		off = max(0, min(off, l.amount))
		p.takeOff(l, off, l.amount, by)
		taken += off
	}
	return taken
}

// share is a rounded part of an amount, at most all of it.
func share(percent unit.Percent, amount int64) int64 {
	return shares.Round(amount, min(percent.Millionths(), unit.Whole), unit.Whole)
}

// times is an amount for a quantity, or a very large amount instead of one beyond the limit.
func times(amount int64, quantity unit.Quantity) int64 {
	if amount > 0 && int64(quantity) > unit.MaxMinor/amount {
		return unit.MaxMinor
	}
	return amount * int64(quantity)
}

// onOrder computes the discount once and allocates it to the lines.
func (p *pricing) onOrder(by source) int64 {
	on := func(l *priced) bool { return l.eligible() && by.promo.target.has(l.item) }
	off := by.promo.amounts[p.cart.Currency]
	if by.promo.Action.Type == PercentOff {
		off = share(by.promo.Action.Percent, p.left(on))
	}
	return p.spread(on, off, by)
}

func (p *pricing) onShipping(by source) int64 {
	c, action := p.charge, &by.promo.Action
	if c == nil || len(action.Target.Methods) > 0 && !slices.Contains(action.Target.Methods, p.method.ID) {
		return 0
	}
	off := c.amount // free
	switch action.Type {
	case PercentOff:
		off = share(action.Percent, c.amount)
	case FixedOff:
		off = by.promo.amounts[p.cart.Currency]
	case BuyXGetY, FixedPrice, FreeShipping:
	}
	off = min(off, c.amount)
	p.takeOff(c, off, c.amount, by)
	return off
}

// CodeFault says why a code takes nothing off a cart: "unknown", or the reason of its promotion. It
// is "" if the cart itself has no price.
func (r *Rules) CodeFault(cart Cart, at time.Time, code string) string {
	promo := r.codes[code]
	if promo == nil {
		return "unknown"
	}
	_, considered, err := r.Explain(cart, at)
	i := slices.IndexFunc(considered, func(c Considered) bool { return c.What == "promotion" && c.ID == promo.ID })
	if err != nil || i < 0 {
		return ""
	}
	return considered[i].Reason
}

// unusedCodes tells of the codes that took nothing off, in a preview.
func (p *pricing) unusedCodes() {
	for _, code := range p.cart.Codes {
		if p.rules.codes[code] == nil {
			p.consider("coupon", code, 0, false, "unknown")
		}
	}
}
