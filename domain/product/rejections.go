package product

import "daybook/domain/rule"

// The refusals of a product.
var (
	ErrNotFound           = &rule.Rejection{Code: "product-not-found", Detail: "No product has this SKU."}
	ErrRetired            = &rule.Rejection{Code: "product-retired", Detail: "The product is no longer sold."}
	ErrNotPriced          = &rule.Rejection{Code: "product-not-priced", Detail: "The product has no price in this currency."}
	ErrKindFixed          = &rule.Rejection{Code: "product-kind-fixed", Detail: "A listed product keeps its kind, because there may be stock of it."}
	ErrKindUnknown        = &rule.Rejection{Code: "product-kind-unknown", Detail: "The kind of a product is stocked or service."}
	ErrTitleInvalid       = &rule.Rejection{Code: "product-title-invalid", Detail: "A title is one line of 1 to 200 characters, and at least one of them must be visible."}
	ErrTextTooLong        = &rule.Rejection{Code: "product-text-too-long", Detail: "A reason has at most 500 characters, and at least one of them must be visible."}
	ErrDescriptionInvalid = &rule.Rejection{Code: "product-description-invalid", Detail: "The tax class, a category or the weight is wrong, or goods are said to be a gift card."}
	ErrPriceNegative      = &rule.Rejection{Code: "price-negative", Detail: "A price is not below zero. A promotion or a discount takes something off."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{
	ErrNotFound, ErrRetired, ErrNotPriced, ErrKindFixed, ErrKindUnknown, ErrTitleInvalid, ErrTextTooLong, ErrPriceNegative, ErrDescriptionInvalid,
}
