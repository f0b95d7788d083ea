package pricebook_test

import (
	"daybook/domain/product"
	"daybook/domain/unit"
)

func listed(sku unit.SKU) product.Command {
	return product.List{SKU: sku, Title: "A thing", Kind: unit.Stocked}
}

func describing(class string) product.Command { return product.Describe{TaxClass: &class} }
