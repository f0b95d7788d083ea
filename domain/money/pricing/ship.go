package pricing

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"daybook/domain/unit"
)

// Option is a shipping method and what it would cost with a cart.
type Option struct {
	Method    string     `json:"method"`
	Title     string     `json:"title"`
	Carrier   string     `json:"carrier,omitempty"`
	Available bool       `json:"available"`
	Reason    string     `json:"reason,omitempty"` // why it is not available
	Price     unit.Money `json:"price"`            // with tax
}

// Shipping says for each active method whether it fits the cart and what it would cost, after
// promotions and with tax.
func (r *Rules) Shipping(cart Cart, at time.Time) ([]Option, error) {
	options := []Option{}
	for i := range r.methods {
		m := &r.methods[i]
		if !m.Active {
			continue
		}
		option := Option{Method: m.ID, Title: m.Title, Carrier: m.Carrier, Price: unit.Zero(cart.Currency)}
		p, err := r.goods(&cart, at, nil)
		if err != nil {
			return nil, err
		}
		if _, _, why := p.rate(m); why != "" {
			option.Reason = why
			options = append(options, option)
			continue
		}
		cart.Method = m.ID
		quote, err := r.Price(cart, at)
		if err != nil {
			return nil, err
		}
		option.Available, option.Price = true, quote.Charges[0].Gross
		options = append(options, option)
	}
	return options, nil
}

// ship adds the charge of the method that was chosen, and applies the promotions of shipping.
func (p *pricing) ship() error {
	if p.cart.Method != "" {
		i := slices.IndexFunc(p.rules.methods, func(m ShippingMethod) bool { return m.ID == p.cart.Method })
		if i < 0 {
			return ErrShipping.With("There is no shipping method "+p.cart.Method+".", map[string]any{"method": p.cart.Method, "reason": "unknown"})
		}
		m := &p.rules.methods[i]
		cost, _, why := p.rate(m)
		if why != "" {
			p.consider("method", m.ID, 0, false, why)
			return ErrShipping.With("The shipping method "+m.ID+" does not fit this cart: "+why+".", map[string]any{"method": m.ID, "reason": why})
		}
		p.consider("method", m.ID, 0, true, "applied")
		p.method, p.charge = m, &priced{list: cost, amount: cost}
	}
	p.promote(ShippingClass)
	return nil
}

// rate is what a method costs for the cart, or why it does not fit.
func (p *pricing) rate(m *ShippingMethod) (cost int64, table *RateTable, why string) {
	var weight int64
	var units unit.Quantity
	for i := range p.lines {
		if l := p.lines[i].item; l.Kind == unit.Stocked && !l.GiftCard {
			weight += times(l.Weight, l.Quantity)
			weight = min(weight, unit.MaxMinor)
			units += l.Quantity
		}
	}
	switch {
	case !m.Active:
		return 0, nil, "inactive"
	case len(m.Channels) > 0 && !slices.Contains(m.Channels, p.cart.Channel):
		return 0, nil, "other-channel"
	case cmp.Or(m.Mode, Inclusive) != p.mode:
		return 0, nil, "other-price-mode"
	case m.MaxWeight > 0 && weight > m.MaxWeight:
		return 0, nil, "too-heavy"
	}
	table, why = p.table(m)
	if table == nil {
		return 0, nil, why
	}
	amount := p.measured(cmp.Or(m.Measure, AfterOrder))
	if f := table.FreeAbove; f != nil && p.money(amount).Compare(*f) >= 0 {
		return 0, table, ""
	}
	size, unitSize := int64(0), int64(1)
	switch table.Basis {
	case ByWeight:
		size = weight
	case ByQuantity:
		size = int64(units)
	case ByAmount:
		size = amount
		for range p.cart.Currency.Digits() {
			unitSize *= 10
		}
	case Flat:
	}
	cost, found := step(table, size, unitSize)
	if !found {
		return 0, table, "no-rate"
	}
	return cost, table, ""
}

// step is the cost of the last step that a size reaches. unitSize is one unit of PerExtra in the
// terms of size: 100 cents are one euro.
func step(table *RateTable, size, unitSize int64) (cost int64, found bool) {
	for i := len(table.Steps) - 1; i >= 0; i-- {
		s := &table.Steps[i]
		from, ok := wholeOf(s.From, unitSize)
		if !ok || from > size {
			continue
		}
		price := s.Price
		if s.PerExtra.Sign() > 0 {
			price = price.Plus(s.PerExtra.Times(unit.Quantity((size - from) / unitSize)))
		}
		return price.Charge().Minor()
	}
	return 0, false
}

// wholeOf reads the beginning of a step: grams and units as they are, amounts in minor units.
func wholeOf(from string, unitSize int64) (int64, bool) {
	if from == "" || from == "0" {
		return 0, true
	}
	amount, err := unit.ParseAmount(from)
	if err != nil {
		return 0, false
	}
	scaled := unit.Money{Amount: amount}.Times(unit.Quantity(unitSize))
	return scaled.Ceiling(), true
}

// table is the rate table in the cart's currency whose zone fits best.
func (p *pricing) table(m *ShippingMethod) (*RateTable, string) {
	var best *RateTable
	why := "other-currency"
	for i := range m.Rates {
		t := &m.Rates[i]
		if t.Currency != p.cart.Currency {
			continue
		}
		if !t.Zone.covers(p.place) {
			if best == nil {
				why = "other-zone"
			}
			continue
		}
		if best == nil || t.Zone.moreSpecific(best.Zone) {
			best = t
		}
	}
	return best, why
}

// covers tells whether a place is in the zone. Region and postcode of the zone may end in "*".
func (z Zone) covers(place Zone) bool {
	return (z.Country == "" || z.Country == place.Country) && matches(z.Region, place.Region) &&
		matches(foldPostcode(z.Postcode), foldPostcode(place.Postcode))
}

func matches(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	if prefix, open := strings.CutSuffix(pattern, "*"); open {
		return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
	}
	return strings.EqualFold(pattern, text)
}

// foldPostcode is a postcode without blanks, as people write it in several ways.
func foldPostcode(text string) string {
	if !strings.Contains(text, " ") {
		return text
	}
	return strings.ReplaceAll(text, " ", "")
}

// rank says how specific a zone is: postcode before region before country; an exact text before a
// pattern, and a longer pattern before a shorter one.
func (z Zone) rank() [3]int {
	return [3]int{exactness(z.Postcode), exactness(z.Region), exactness(z.Country)}
}

func exactness(pattern string) int {
	prefix, open := strings.CutSuffix(pattern, "*")
	switch {
	case pattern == "":
		return 0
	case open:
		return 1 + len(prefix)
	}
	return 1000
}

func (z Zone) moreSpecific(other Zone) bool {
	a, b := z.rank(), other.rank()
	return slices.Compare(a[:], b[:]) > 0
}
