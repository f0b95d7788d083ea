package pricing

import (
	"cmp"
	"slices"
	"strings"

	"daybook/domain/unit"
)

// Rules is a Book in the form in which carts are priced. It does not change, so many goroutines can
// use it.
type Rules struct {
	lists      []list
	promotions map[Class][]*promotion // highest priority first, then by id
	codes      map[string]*promotion
	methods    []ShippingMethod // by id
	entities   []entity
	firstOrder bool
}

// list is a price list with how specific it is.
type list struct {
	*PriceList
	rank [3]int // priority, how specific, whether it has a window; the larger wins
}

// promotion has the amounts of a promotion in minor units.
type promotion struct {
	*Promotion
	amounts  map[unit.Currency]int64 // of the action
	subtotal map[unit.Currency]int64
	of       target
	target   target
}

type target struct {
	all        bool
	skus       map[unit.SKU]bool
	categories []string
}

func (t target) has(item *Item) bool {
	if t.all || t.skus[item.SKU] {
		return true
	}
	return len(t.categories) > 0 && overlap(t.categories, item.Categories)
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(name string) bool { return slices.Contains(b, name) })
}

// entity is a legal entity with its rows by tax class.
type entity struct {
	*LegalEntity
	rows map[string][]TaxRow
}

// Compile prepares the definitions of a shop for pricing. It takes all of them, also those that are
// not active.
func Compile(book Book) *Rules {
	rules := &Rules{promotions: make(map[Class][]*promotion), codes: map[string]*promotion{}}
	for i := range book.Lists {
		rules.lists = append(rules.lists, list{&book.Lists[i], rankOf(&book.Lists[i])})
	}
	slices.SortStableFunc(rules.lists, func(a, b list) int { return cmp.Compare(a.ID, b.ID) })
	for i := range book.Promotions {
		p := compilePromotion(&book.Promotions[i])
		rules.firstOrder = rules.firstOrder || p.Active && p.Conditions.FirstOrder
		rules.promotions[p.Class] = append(rules.promotions[p.Class], p)
		for _, code := range p.Codes {
			rules.codes[code] = p
		}
	}
	for _, promotions := range rules.promotions {
		slices.SortStableFunc(promotions, func(a, b *promotion) int {
			return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID))
		})
	}
	rules.methods = slices.SortedStableFunc(slices.Values(book.Methods), func(a, b ShippingMethod) int { return cmp.Compare(a.ID, b.ID) })
	for i := range book.Entities {
		e := entity{&book.Entities[i], map[string][]TaxRow{}}
		for _, row := range e.Rows {
			e.rows[row.Class] = append(e.rows[row.Class], row)
		}
		rules.entities = append(rules.entities, e)
	}
	slices.SortStableFunc(rules.entities, func(a, b entity) int { return cmp.Compare(a.ID, b.ID) })
	return rules
}

// rankOf says which list wins, before its price is looked at: the one with the highest priority,
// then the most specific one, then one with a window.
func rankOf(l *PriceList) [3]int {
	rank := [3]int{l.Priority, 0, 0}
	for i, names := range []int{len(l.Countries), len(l.Channels), len(l.Groups), len(l.Customers)} {
		if names > 0 {
			rank[1] |= 1 << i
		}
	}
	if l.Window.Bounded() {
		rank[2] = 1
	}
	return rank
}

func compilePromotion(p *Promotion) *promotion {
	return &promotion{
		Promotion: p, amounts: minors(p.Action.Amounts), subtotal: minors(p.Conditions.MinSubtotal),
		of: compileTarget(p.Conditions.Of), target: compileTarget(p.Action.Target),
	}
}

func compileTarget(t Target) target {
	compiled := target{all: len(t.SKUs) == 0 && len(t.Categories) == 0, skus: make(map[unit.SKU]bool, len(t.SKUs)), categories: t.Categories}
	for _, sku := range t.SKUs {
		compiled.skus[sku] = true
	}
	return compiled
}

// minors has amounts by currency. An amount that is finer than its currency is rounded; the
// aggregates accept none.
func minors(amounts []unit.Money) map[unit.Currency]int64 {
	by := make(map[unit.Currency]int64, len(amounts))
	for _, m := range amounts {
		if minor, ok := m.Charge().Minor(); ok {
			by[m.Currency] = minor
		}
	}
	return by
}

// FoldCode writes the code of a coupon in the one form in which codes are compared: upper case,
// without blanks and hyphens. "spring-10" and "SPRING 10" are one code.
func FoldCode(text string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '\t':
			return -1
		}
		return r
	}, strings.ToUpper(strings.TrimSpace(text)))
}

// entityOf is the legal entity that sells on a channel: the one that names it, else the one that
// names no channel. nil: no entity sells there, and the prices are without tax.
func (r *Rules) entityOf(channel string) *entity {
	var rest *entity
	for i := range r.entities {
		e := &r.entities[i]
		if slices.Contains(e.Channels, channel) {
			return e
		}
		if len(e.Channels) == 0 && rest == nil {
			rest = e
		}
	}
	return rest
}

// AsksFirstOrder tells whether an active promotion is only for first orders. Otherwise nobody needs
// to look for earlier orders of a buyer.
func (r *Rules) AsksFirstOrder() bool { return r.firstOrder }

// Plain tells whether nothing is configured, so that each cart costs its lines.
func (r *Rules) Plain() bool {
	return len(r.lists)+len(r.methods)+len(r.entities)+len(r.promotions) == 0
}
