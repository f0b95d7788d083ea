package coupon

import "daybook/domain/rule"

// The refusals of a code.
var (
	ErrInvalid = &rule.Rejection{Code: "coupon-invalid", Detail: "This cannot be the code of a coupon."}
	ErrTaken   = &rule.Rejection{Code: "coupon-taken", Detail: "The code belongs to another promotion."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{ErrInvalid, ErrTaken}
