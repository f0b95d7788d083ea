package verify

import (
	"fmt"

	"daybook/domain/money/entity"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/shipping"
)

// definition is a price list, a shipping method or a legal entity.
type definition struct {
	id       string
	active   bool
	ended    bool
	currency string // of a price list
}

// foldDefinition folds an event about a definition. The first event begins it, and names it as its
// stream does. Nothing comes after its end. A definition is activated only while it is not active,
// and the other way round. Prices are in the currency of their list, and not below zero.
func (b *Book) foldDefinition(e *event, id string) {
	of := b.definitions[e.Stream]
	began, begins := "", false
	currency := ""
	switch value := e.value.(type) {
	case pricelist.Created:
		began, begins, currency = value.ID, true, string(value.Currency)
	case shipping.Created:
		began, begins = value.ID, true
	case entity.Created:
		began, begins = value.ID, true
	}
	if !b.checkBeginning(e, begins, of != nil) {
		return
	}
	switch {
	case begins && began != id:
		b.report(e, fmt.Sprintf("it begins %q in the stream of %q", began, id))
		return
	case begins:
		b.definitions[e.Stream] = &definition{id: id, currency: currency}
		return
	case of.ended:
		b.report(e, "it comes after the end")
		return
	}
	switch value := e.value.(type) {
	case pricelist.Activated, shipping.Activated:
		b.activate(e, of, true)
	case pricelist.Deactivated, shipping.Deactivated:
		b.activate(e, of, false)
	case pricelist.Ended, shipping.Ended, entity.Ended:
		of.ended = true
	case pricelist.PricesSet:
		for _, entry := range value.Prices {
			for _, tier := range entry.Tiers {
				if string(tier.Price.Currency) != of.currency || tier.Price.Amount.Sign() < 0 {
					b.report(e, fmt.Sprintf("the price of %s is %s, in a list in %s", entry.SKU, tier.Price, of.currency))
				}
			}
		}
	}
}

func (b *Book) activate(e *event, of *definition, active bool) {
	if of.active == active {
		b.report(e, fmt.Sprintf("it is active: %t already", active))
	}
	of.active = active
}
