package pricelist

import "daybook/domain/rule"

// The refusals of a price list.
var (
	ErrNotFound = &rule.Rejection{Code: "price-list-not-found", Detail: "No price list has this id."}
	ErrEnded    = &rule.Rejection{Code: "price-list-ended", Detail: "The price list has ended. Make another one under another id."}
	ErrFixed    = &rule.Rejection{Code: "price-list-fixed", Detail: "Kind, currency and price mode of a list stay as they are."}
	ErrInvalid  = &rule.Rejection{Code: "price-list-invalid", Detail: "The definition of the list or one of its prices is wrong."}
	ErrLimit    = &rule.Rejection{Code: "price-list-full", Detail: "A list has prices of at most 20,000 SKUs."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{ErrNotFound, ErrEnded, ErrFixed, ErrInvalid, ErrLimit}
