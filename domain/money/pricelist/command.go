package pricelist

import (
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Command is what can be asked of a price list.
//
//sumtype:decl
type Command interface{ priceListCommand() }

// Define makes a list, or changes the terms of one that exists. Kind, currency and price mode of a
// list that exists stay as they are, so other ones are refused (price-list-fixed).
type Define struct {
	ID       string
	Kind     pricing.ListKind
	Currency unit.Currency
	Mode     pricing.Mode
	Active   bool
	Terms
}

// SetPrices sets the prices of some SKUs. An entry without tiers removes its SKU.
type SetPrices struct {
	Prices []Entry // each SKU once
}

// End ends a list for good.
type End struct {
	Reason string
}

func (Define) priceListCommand()    {}
func (SetPrices) priceListCommand() {}
func (End) priceListCommand()       {}
