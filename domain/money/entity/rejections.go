package entity

import "daybook/domain/rule"

// The refusals of a legal entity.
var (
	ErrNotFound = &rule.Rejection{Code: "legal-entity-not-found", Detail: "No legal entity has this id."}
	ErrEnded    = &rule.Rejection{Code: "legal-entity-ended", Detail: "The legal entity has ended. Make another one under another id."}
	ErrInvalid  = &rule.Rejection{Code: "legal-entity-invalid", Detail: "The definition of the entity or one of its taxes is wrong."}
	// ErrClassUnknown is the refusal of a product or a shipping method with a tax class that no
	// legal entity has.
	ErrClassUnknown = &rule.Rejection{Code: "tax-class-unknown", Detail: "No legal entity has taxes of this class."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{ErrNotFound, ErrEnded, ErrInvalid, ErrClassUnknown}
