package shipping

import "daybook/domain/rule"

// The refusals of a shipping method.
var (
	ErrNotFound = &rule.Rejection{Code: "shipping-method-not-found", Detail: "No shipping method has this id."}
	ErrEnded    = &rule.Rejection{Code: "shipping-method-ended", Detail: "The shipping method has ended. Make another one under another id."}
	ErrInvalid  = &rule.Rejection{Code: "shipping-method-invalid", Detail: "The definition of the method or one of its rates is wrong."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{ErrNotFound, ErrEnded, ErrInvalid}
