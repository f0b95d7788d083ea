package pricing

import (
	"cmp"
	"slices"

	"daybook/domain/unit"
)

// offer is a price of one unit and where it comes from.
type offer struct {
	price unit.Money
	list  *list // nil: the catalogue
	tier  unit.Quantity
}

// listPrices gives each line its list price.
func (p *pricing) listPrices() error {
	quantities := make(map[unit.SKU]unit.Quantity, len(p.cart.Lines))
	for i := range p.cart.Lines {
		if l := &p.cart.Lines[i]; l.Override == nil {
			quantities[l.SKU] += l.Quantity
		}
	}
	p.lines = make([]priced, len(p.cart.Lines))
	for i := range p.cart.Lines {
		p.lines[i].item = &p.cart.Lines[i]
	}
	slices.SortStableFunc(p.lines, func(a, b priced) int { return cmp.Compare(a.item.Number, b.item.Number) })
	lists := p.openLists()
	var sum int64
	for i := range p.lines {
		l := &p.lines[i]
		l.out = PricedLine{
			Line: l.item.Number, SKU: l.item.SKU, Quantity: l.item.Quantity, Weight: l.item.Weight, GiftCard: l.item.GiftCard,
			TaxClass: l.item.TaxClass,
		}
		if p.entity != nil && !l.item.GiftCard {
			l.out.TaxClass = cmp.Or(l.item.TaxClass, p.entity.DefaultClass)
		}
		if err := p.listPrice(l, lists, quantities[l.item.SKU]); err != nil {
			return err
		}
		if l.out.Price.Sign() < 0 {
			return p.refuse(ErrAmount, l.item, "its price is below zero. A promotion or a discount lowers what an order costs.")
		}
		minor, ok := l.out.Price.Times(l.item.Quantity).Charge().Minor()
		if !ok || l.item.Quantity <= 0 || l.out.Price.Currency != p.cart.Currency {
			return p.refuse(ErrAmount, l.item, "its price or its amount is not possible.")
		}
		l.list, l.amount = minor, minor
		if sum += minor; sum > unit.MaxMinor {
			return p.refuse(ErrAmount, l.item, "the cart costs too much.")
		}
	}
	return nil
}

// openLists are the lists whose filters match the cart.
func (p *pricing) openLists() []*list {
	var open []*list
	for i := range p.rules.lists {
		l := &p.rules.lists[i]
		if why := p.closed(l.PriceList); why != "" {
			p.consider("price_list", l.ID, 0, false, why)
			continue
		}
		open = append(open, l)
	}
	return open
}

// closed says why a list does not count for the cart, or "".
func (p *pricing) closed(l *PriceList) string {
	c := p.cart
	switch {
	case !l.Active:
		return "inactive"
	case !l.Window.Contains(p.at):
		return "not-now"
	case l.Currency != c.Currency:
		return "other-currency"
	case cmp.Or(l.Mode, Inclusive) != p.mode:
		return "other-price-mode"
	case len(l.Channels) > 0 && !slices.Contains(l.Channels, c.Channel):
		return "other-channel"
	case len(l.Countries) > 0 && !slices.Contains(l.Countries, p.place.Country):
		return "other-country"
	case len(l.Groups) > 0 && !overlap(l.Groups, c.Groups):
		return "other-group"
	case len(l.Customers) > 0 && (c.Customer == "" || !slices.Contains(l.Customers, c.Customer)):
		return "other-customer"
	}
	return ""
}

// listPrice finds the price of one line: what a person gave, else the best sale price below the
// best regular one, else that one, else the price of the catalogue.
func (p *pricing) listPrice(l *priced, lists []*list, quantity unit.Quantity) error {
	var regular, sale *offer
	if c := l.item.Catalogue; c != nil && c.Currency == p.cart.Currency {
		regular = &offer{price: *c}
	}
	if l.item.Override != nil {
		quantity = l.item.Quantity // for the price that the override replaces
	}
	if best := bestOf(lists, Regular, l.item.SKU, quantity, nil); best != nil {
		regular = best
	}
	if regular != nil {
		sale = bestOf(lists, Sale, l.item.SKU, quantity, &regular.price)
	}
	chosen := cmp.Or(sale, regular)
	if p.trace != nil {
		p.explainLists(l, lists, quantity, chosen, regular)
	}
	if o := l.item.Override; o != nil {
		override := *o
		if override.Was == nil && chosen != nil {
			override.Was = &chosen.price
		}
		l.out.Price, l.out.Override = o.Price, &override
		return nil
	}
	if chosen == nil {
		return p.refuse(ErrPriceMissing, l.item, "it has no price in "+string(p.cart.Currency)+".")
	}
	l.out.Price, l.out.Tier = chosen.price, chosen.tier
	if chosen.list != nil {
		l.out.PriceList, l.out.ListVersion = chosen.list.ID, chosen.list.Version
	}
	if sale != nil {
		l.out.Reference = &regular.price
	}
	return nil
}

// bestOf is the offer that wins among the lists of one kind. With below, only prices below it
// count.
func bestOf(lists []*list, kind ListKind, sku unit.SKU, quantity unit.Quantity, below *unit.Money) *offer {
	var best offer
	for _, l := range lists {
		if cmp.Or(l.Kind, Regular) != kind {
			continue
		}
		tier, found := tierOf(l.Prices[sku], quantity)
		if !found || below != nil && tier.Price.Compare(*below) >= 0 {
			continue
		}
		if best.list == nil || wins(l, tier, &best) {
			best = offer{tier.Price, l, tier.From}
		}
	}
	if best.list == nil {
		return nil
	}
	return &best
}

// wins tells whether a list comes before the best one so far. Lists are ordered by id, so the lower
// id stays if everything else is equal.
func wins(l *list, tier Tier, best *offer) bool {
	if order := slices.Compare(l.rank[:], best.list.rank[:]); order != 0 {
		return order > 0
	}
	return tier.Price.Compare(best.price) < 0
}

// tierOf is the tier for a quantity. A list whose tiers all start above it has none.
func tierOf(tiers []Tier, quantity unit.Quantity) (Tier, bool) {
	for i := len(tiers) - 1; i >= 0; i-- {
		if tiers[i].From <= quantity {
			return tiers[i], true
		}
	}
	return Tier{}, false
}

func (p *pricing) explainLists(l *priced, lists []*list, quantity unit.Quantity, chosen, regular *offer) {
	for _, candidate := range lists {
		tiers, has := candidate.Prices[l.item.SKU]
		if !has {
			continue
		}
		tier, found := tierOf(tiers, quantity)
		why, applied := "lower-rank", false
		switch {
		case !found:
			why = "quantity-below-first-tier"
		case l.item.Override != nil:
			why = "price-overridden"
		case chosen != nil && chosen.list == candidate:
			why, applied = "applied", true
		case regular != nil && regular.list == candidate:
			why = "reference-of-sale"
		case candidate.Kind == Sale && (regular == nil || tier.Price.Compare(regular.price) >= 0):
			why = "not-below-regular-price"
		}
		p.consider("price_list", candidate.ID, l.item.Number, applied, why)
	}
}
