package promotion

import "daybook/domain/rule"

// The refusals of a promotion.
var (
	ErrNotFound = &rule.Rejection{Code: "promotion-not-found", Detail: "No promotion has this id."}
	ErrEnded    = &rule.Rejection{Code: "promotion-ended", Detail: "The promotion has ended for good."}
	ErrFixed    = &rule.Rejection{Code: "promotion-fixed", Detail: "Kind and class of a promotion stay as they are."}
	ErrInvalid  = &rule.Rejection{Code: "promotion-invalid", Detail: "The definition of the promotion is wrong."}
	// ErrExhausted means that all uses, or the whole budget, are held or used.
	ErrExhausted = &rule.Rejection{Code: "promotion-exhausted", Detail: "The promotion is used up."}
	// ErrUsedByCustomer means that the customer has held or used the promotion as often as one
	// customer may.
	ErrUsedByCustomer = &rule.Rejection{Code: "promotion-used-by-customer", Detail: "The customer has used the promotion as often as one customer may."}
	// ErrCustomerUnknown means that a promotion with a limit for each customer was asked for by
	// somebody who is not known.
	ErrCustomerUnknown = &rule.Rejection{Code: "promotion-customer-missing", Detail: "The promotion may be used a limited number of times by each customer, so it needs a customer or an e-mail address."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{ErrNotFound, ErrEnded, ErrFixed, ErrInvalid, ErrExhausted, ErrUsedByCustomer, ErrCustomerUnknown}
