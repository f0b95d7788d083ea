package subject

import "daybook/domain/rule"

// The refusals of an erasure.
var (
	ErrInvalid     = &rule.Rejection{Code: "erasure-invalid", Detail: "An erasure is about one customer or about one cart of a guest, and has a reason: requested, retention or other."}
	ErrHasCustomer = &rule.Rejection{Code: "erasure-cart-of-customer", Detail: "The cart has a customer, so it is not a guest's: erase the customer."}
	ErrOrderOpen   = &rule.Rejection{Code: "erasure-order-open", Detail: "An order is not finished, so its personal texts are still needed."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{ErrInvalid, ErrHasCustomer, ErrOrderOpen}
