package product

import "daybook/domain/unit"

// Command is what can be asked of a product.
//
//sumtype:decl
type Command interface{ productCommand() }

// List puts a code on sale, as goods kept in stock or as a service. Listing it again with the
// same title and kind changes nothing. Listing it again with another kind is refused
// (product-kind-fixed), because stock may have units of it.
type List struct {
	SKU   unit.SKU
	Title string // 1 to 200 characters
	Kind  unit.Kind
}

// SetPrice sets the price of one unit. Zero is allowed. A negative price is allowed only for
// a service (a discount, a voucher).
type SetPrice struct {
	Price unit.Money
}

// Describe says what prices, taxes and shipping need to know of the product. A member that is nil
// stays as it is.
type Describe struct {
	TaxClass   *string
	Categories *[]string
	Grams      *int64
	GiftCard   *bool
}

// Retire takes the product off sale.
type Retire struct {
	Reason string
}

func (List) productCommand()     {}
func (SetPrice) productCommand() {}
func (Describe) productCommand() {}
func (Retire) productCommand()   {}
