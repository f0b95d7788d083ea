package customer

import "daybook/domain/rule"

// The refusals of an account.
var (
	ErrNotFound         = &rule.Rejection{Code: "customer-not-found", Detail: "No customer with this id is registered."}
	ErrExists           = &rule.Rejection{Code: "customer-exists", Detail: "The customer is registered already."}
	ErrTextInvalid      = &rule.Rejection{Code: "customer-text-invalid", Detail: "A text of a customer is refused. The member field names it."}
	ErrAddressUnknown   = &rule.Rejection{Code: "customer-address-unknown", Detail: "The customer has no such address."}
	ErrTaxStatusInvalid = &rule.Rejection{Code: "customer-tax-status-invalid", Detail: "A member of the tax status is refused. The member field names it."}
	ErrPurposeUnknown   = &rule.Rejection{Code: "customer-purpose-unknown", Detail: "A consent is for marketing, analytics or terms."}
	ErrWishListUnknown  = &rule.Rejection{Code: "wish-list-unknown", Detail: "The customer has no such wish list, or it is not shared."}
	ErrWishListEmpty    = &rule.Rejection{Code: "wish-list-empty", Detail: "The wish list has none of the products."}
	ErrQuantityInvalid  = &rule.Rejection{Code: "wish-quantity-invalid", Detail: "A wish has 1 to 1,000,000,000 units."}
	ErrLimit            = &rule.Rejection{Code: "customer-limit", Detail: "A customer has at most 50 addresses, 50 groups, 500 notes and 20 wish lists with 200 products each, and at most 100 other accounts are merged into an account."}
	ErrBlocked          = &rule.Rejection{Code: "customer-blocked", Detail: "The shop has blocked this customer, who cannot check out."}
	ErrMerged           = &rule.Rejection{Code: "customer-merged", Detail: "The account was merged into another one, and changes no more."}
	ErrMergeSelf        = &rule.Rejection{Code: "customer-merge-self", Detail: "An account cannot be merged into itself."}
	ErrErased           = &rule.Rejection{Code: "customer-erased", Detail: "The personal texts of this customer were erased, so no account can be merged with theirs."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{ErrNotFound, ErrExists, ErrTextInvalid, ErrAddressUnknown, ErrTaxStatusInvalid, ErrPurposeUnknown, ErrWishListUnknown, ErrWishListEmpty, ErrQuantityInvalid, ErrLimit, ErrBlocked, ErrMerged, ErrMergeSelf, ErrErased}
