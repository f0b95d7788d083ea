package giftcard

import "daybook/domain/rule"

// The refusals of a gift card or a credit account.
var (
	ErrNotFound = &rule.Rejection{Code: "gift-card-not-found", Detail: "There is no such gift card."}
	ErrExists   = &rule.Rejection{Code: "gift-card-exists", Detail: "A gift card with this id was issued with other content."}
	ErrInvalid  = &rule.Rejection{Code: "gift-card-invalid", Detail: "A value of the gift card is wrong."}
	ErrCurrency = &rule.Rejection{Code: "gift-card-currency", Detail: "The currency of a gift card is fixed."}
	// ErrInsufficient means that less is free than is asked for.
	ErrInsufficient = &rule.Rejection{Code: "gift-card-insufficient", Detail: "The gift card does not have enough money."}
	ErrExpired      = &rule.Rejection{Code: "gift-card-expired", Detail: "The time of the gift card is over."}
	ErrDisabled     = &rule.Rejection{Code: "gift-card-disabled", Detail: "The gift card was disabled."}
	ErrCodeShown    = &rule.Rejection{Code: "gift-card-code-shown", Detail: "The code was shown before, and is shown once. Disable the card and issue another one."}
	// ErrBackTooMuch means that more would be given back than orders have paid with the card.
	ErrBackTooMuch = &rule.Rejection{Code: "gift-card-back-exceeded", Detail: "More would be given back than orders have paid with the gift card."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{ErrNotFound, ErrExists, ErrInvalid, ErrCurrency, ErrInsufficient, ErrExpired, ErrDisabled, ErrCodeShown, ErrBackTooMuch}
