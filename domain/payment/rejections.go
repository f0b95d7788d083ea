package payment

import "daybook/domain/rule"

// ErrClaimed does not say which order has the payment, because callers must not learn about the
// orders of other customers.
var ErrClaimed = &rule.Rejection{Code: "payment-claimed", Detail: "Another order has this payment of the provider."}

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{ErrClaimed}
