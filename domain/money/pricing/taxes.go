package pricing

import (
	"cmp"
	"math/big"
	"slices"
	"strings"

	"daybook/domain/money/shares"
	"daybook/domain/unit"
)

// taxPart is an amount that is taxed with one set of components: a line, or a part of a charge.
type taxPart struct {
	of      *priced
	amount  int64
	class   string
	entries []TaxEntry // one for each component; their amounts are not computed yet
	home    []TaxEntry // what is taken out of the price of an untaxed buyer
	tax     []int64    // of each entry
	homeTax []int64
}

// taxes computes the tax of all lines and charges. An entity is who sells; without one there is no
// tax.
func (p *pricing) taxes() error {
	if p.entity == nil {
		return nil
	}
	p.buyer()
	var parts []taxPart
	for i := range p.lines {
		l := &p.lines[i]
		if l.item.GiftCard {
			continue // a voucher for several rates: taxed when it is used
		}
		part, err := p.part(l, l.amount, l.out.TaxClass)
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	if p.charge != nil {
		charged, err := p.chargeParts(parts)
		if err != nil {
			return err
		}
		parts = append(parts, charged...)
	}
	p.amounts(parts, func(t *taxPart) ([]TaxEntry, []int64) { return t.entries, t.tax })
	p.amounts(parts, func(t *taxPart) ([]TaxEntry, []int64) { return t.home, t.homeTax })
	for i := range parts {
		p.record(&parts[i])
	}
	return nil
}

// part prepares an amount of one tax class.
func (p *pricing) part(of *priced, amount int64, class string) (taxPart, error) {
	rows, err := p.rowsAt(p.place, class, of, p.registered(p.place.Country))
	part := taxPart{of: of, amount: amount, class: class}
	untaxed := p.untaxed
	if err != nil && untaxed == "" {
		return part, err
	}
	abroad := untaxed != ""
	for _, row := range rows {
		abroad = abroad || row.Treatment == Export || row.Treatment == OutsideScope
	}
	if abroad {
		home, err := p.rowsAt(p.entity.Home, class, of, true)
		if err != nil {
			return part, err
		}
		if untaxed != "" {
			part.entries = []TaxEntry{{Component: componentOf(home, untaxed), Place: placeName(p.place), Class: class, Treatment: untaxed}}
		} else {
			part.entries = p.entries(rows, class, p.place)
		}
		if p.mode == Inclusive && cmp.Or(p.entity.Untaxed, PaysNet) == PaysNet {
			part.home = p.entries(home, class, p.entity.Home)
		}
	} else {
		part.entries = p.entries(rows, class, p.place)
	}
	part.tax, part.homeTax = make([]int64, len(part.entries)), make([]int64, len(part.home))
	return part, nil
}

// componentOf names the entry of a buyer who owes no tax: the tax of the shop's home that is not
// charged.
func componentOf(home []TaxRow, treatment Treatment) string {
	if len(home) > 0 {
		return home[0].Component
	}
	return string(treatment)
}

func (p *pricing) entries(rows []TaxRow, class string, place Zone) []TaxEntry {
	entries := make([]TaxEntry, len(rows))
	for i, row := range rows {
		entries[i] = TaxEntry{Component: row.Component, Place: placeName(place, row.Place), Class: class, Rate: row.Rate, Treatment: cmp.Or(row.Treatment, StandardRate)}
	}
	return entries
}

// placeName is the country of the buyer, and the region if the rate is one of a region.
func placeName(place Zone, row ...Zone) string {
	if len(row) > 0 && (row[0].Region != "" || row[0].Postcode != "") && place.Region != "" {
		return place.Country + "-" + place.Region
	}
	return place.Country
}

// registered tells whether the entity collects tax in a country. An entity that names no
// registration collects it wherever it has rates.
func (p *pricing) registered(country string) bool {
	return len(p.entity.Registrations) == 0 || slices.ContainsFunc(p.entity.Registrations, func(r Registration) bool { return r.Country == country })
}

// rowsAt are the rates of a tax class at a place, at most one for each component: the most specific
// row that is valid. Rows without a country count only if no row of the class names the country.
// Where the entity is not registered, only rows without a rate count, such as that of export.
func (p *pricing) rowsAt(place Zone, class string, of *priced, registered bool) ([]TaxRow, error) {
	var found []TaxRow
	named := false
	for _, row := range p.entity.rows[class] {
		if !row.Window.Contains(p.at) || !row.Place.covers(place) || !registered && row.Rate.Sign() > 0 {
			continue
		}
		if country := row.Place.Country != ""; country != named {
			if named {
				continue
			}
			found, named = nil, true
		}
		i := slices.IndexFunc(found, func(f TaxRow) bool { return f.Component == row.Component })
		switch {
		case i < 0:
			found = append(found, row)
		case row.Place.moreSpecific(found[i].Place):
			found[i] = row
		}
	}
	if len(found) == 0 {
		return nil, p.taxUnknown(place, class, of)
	}
	if len(found) > 1 {
		// A region that does not have a component of its country has a row with the rate 0.
		charged := slices.DeleteFunc(slices.Clone(found), func(r TaxRow) bool { return r.Rate.Sign() == 0 })
		if len(charged) > 0 {
			found = charged
		}
	}
	slices.SortStableFunc(found, func(a, b TaxRow) int { return cmp.Compare(a.Component, b.Component) })
	return found, nil
}

func (p *pricing) taxUnknown(place Zone, class string, of *priced) error {
	facts := map[string]any{"tax_class": class, "country": place.Country, "region": place.Region}
	what := "The shipping charge"
	if of != nil && of.item != nil {
		facts["line"], facts["sku"] = of.item.Number, of.item.SKU
		what = "Line " + string(of.item.SKU)
	}
	if p.trace != nil {
		p.consider("tax", class, 0, false, "no-rate")
	}
	return ErrTaxUnknown.With(what+" has the tax class \""+class+"\", and no rate of it is known for "+placeText(place)+".", facts)
}

func placeText(place Zone) string {
	text := strings.Join(slices.DeleteFunc([]string{place.Country, place.Region, place.Postcode}, func(s string) bool { return s == "" }), ", ")
	return cmp.Or(text, "an unknown country")
}

// chargeParts are the parts of the shipping charge by tax: its own class, or in proportion to the
// goods and taxed as they are.
func (p *pricing) chargeParts(goods []taxPart) ([]taxPart, error) {
	if p.method.TaxClass != "" {
		part, err := p.part(p.charge, p.charge.amount, p.method.TaxClass)
		return []taxPart{part}, err
	}
	var parts []taxPart
	var weights []int64
	var sum int64
	for _, g := range goods {
		sum += g.amount
		i := slices.IndexFunc(parts, func(t taxPart) bool { return sameSet(t.entries, g.entries) })
		if i < 0 {
			parts, weights = append(parts, g), append(weights, 0)
			i = len(parts) - 1
		}
		weights[i] += g.amount
	}
	if sum == 0 { // all goods are free, or there are none
		part, err := p.part(p.charge, p.charge.amount, p.entity.DefaultClass)
		return []taxPart{part}, err
	}
	charged := make([]taxPart, 0, len(parts))
	for i, amount := range shares.Allocate(p.charge.amount, weights) {
		if weights[i] == 0 {
			continue
		}
		t := parts[i]
		t.of, t.amount = p.charge, amount
		t.entries, t.home = slices.Clone(t.entries), slices.Clone(t.home)
		t.tax, t.homeTax = make([]int64, len(t.entries)), make([]int64, len(t.home))
		charged = append(charged, t)
	}
	return charged, nil
}

// sameSet tells whether two parts are taxed alike. Two classes with the same rates are.
func sameSet(a, b []TaxEntry) bool {
	return slices.EqualFunc(a, b, func(a, b TaxEntry) bool { return a.key() == b.key() })
}

// taxKey is what makes one component of tax: one authority and one rate.
type taxKey struct {
	component string
	rate      int64 // millionths of a percent
	treatment Treatment
}

func (t TaxEntry) key() taxKey { return taxKey{t.Component, t.Rate.Millionths(), t.Treatment} }

// slot is the tax of one component of one part.
type slot struct {
	amount int64
	base   int64 // the tax is amount * rate / base
	tax    *int64
}

// amounts computes each component once over the order and allocates it to the parts, or rounds each
// part by itself.
func (p *pricing) amounts(parts []taxPart, of func(*taxPart) ([]TaxEntry, []int64)) {
	slots := map[taxKey][]slot{}
	var keys []taxKey
	for i := range parts {
		entries, tax := of(&parts[i])
		base := int64(unit.Whole)
		if p.mode == Inclusive {
			for _, e := range entries {
				base += e.Rate.Millionths()
			}
		}
		for j, e := range entries {
			k := e.key()
			if slots[k] == nil {
				keys = append(keys, k)
			}
			slots[k] = append(slots[k], slot{parts[i].amount, base, &tax[j]})
		}
	}
	for _, k := range keys {
		switch group := slots[k]; {
		case p.entity.Rounding == RoundByLine:
			for _, s := range group {
				*s.tax = shares.Round(s.amount, k.rate, s.base)
			}
		case slices.ContainsFunc(group, func(s slot) bool { return s.base != group[0].base }):
			mixed(group, k.rate)
		default:
			alike(group, k.rate)
		}
	}
}

// alike is for a component of parts whose rates add up to the same.
func alike(group []slot, rate int64) {
	weights := make([]int64, len(group))
	var sum int64
	for i, s := range group {
		weights[i] = s.amount
		sum += s.amount
	}
	for i, tax := range shares.Allocate(shares.Round(sum, rate, group[0].base), weights) {
		*group[i].tax = tax
	}
}

// mixed is for prices with tax where one part has this component alone and another has further
// ones: then different parts of their amounts are net.
func mixed(group []slot, rate int64) {
	common := big.NewInt(1)
	for _, s := range group {
		base := big.NewInt(s.base)
		common.Mul(common, base.Quo(base, new(big.Int).GCD(nil, nil, common, base)))
	}
	weights := make([]*big.Int, len(group))
	for i, s := range group {
		weights[i] = new(big.Int).Mul(big.NewInt(s.amount), new(big.Int).Quo(common, big.NewInt(s.base)))
	}
	for i, tax := range shares.AllocateExact(roundSum(weights, rate, common), weights) {
		*group[i].tax = tax
	}
}

// record writes the tax of a part into its line or charge.
func (p *pricing) record(t *taxPart) {
	var tax, home int64
	for _, amount := range t.tax {
		tax += amount
	}
	for _, amount := range t.homeTax {
		home += amount
	}
	net := t.amount
	if p.mode == Inclusive {
		net -= tax + home
	}
	t.of.tax += tax
	t.of.homeTax += home
	for i, entry := range t.entries {
		entry.Base, entry.Amount = p.money(net), p.money(t.tax[i])
		t.of.entries = append(t.of.entries, entry)
	}
}

// totals adds up the tax of a quote by component.
func totals(q Quote) []TaxTotal {
	var all []TaxTotal
	add := func(entries []TaxEntry) {
		for _, e := range entries {
			i := slices.IndexFunc(all, func(t TaxTotal) bool {
				return t.Component == e.Component && t.Treatment == e.Treatment && t.Rate.Equal(e.Rate)
			})
			if i < 0 {
				all = append(all, TaxTotal{e.Component, e.Rate, e.Treatment, e.Base, e.Amount})
				continue
			}
			all[i].Base, all[i].Amount = all[i].Base.Plus(e.Base), all[i].Amount.Plus(e.Amount)
		}
	}
	for _, l := range q.Lines {
		add(l.Tax)
	}
	for _, c := range q.Charges {
		add(c.Tax)
	}
	return all
}
