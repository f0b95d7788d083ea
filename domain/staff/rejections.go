package staff

import (
	"errors"

	"daybook/domain/rule"
)

// The refusals about people.
var (
	ErrNotFound      = &rule.Rejection{Code: "person-not-found", Detail: "There is no such person."}
	ErrExists        = &rule.Rejection{Code: "person-exists", Detail: "There is a person with this id, or somebody else has this e-mail address."}
	ErrDisabled      = &rule.Rejection{Code: "person-disabled", Detail: "The person's access has ended. Invite them again."}
	ErrNotJoined     = &rule.Rejection{Code: "person-not-joined", Detail: "The person has been invited and has not joined yet."}
	ErrInvalid       = &rule.Rejection{Code: "person-invalid", Detail: "This cannot be done for the person in this way."}
	ErrLimit         = &rule.Rejection{Code: "person-limit", Detail: "There are as many people as a shop may have (10,000)."}
	ErrTokenRefused  = &rule.Rejection{Code: "token-refused", Detail: "The token is not good. It may be misspelt, used before, replaced or too old. Ask for another one."}
	ErrChanged       = &rule.Rejection{Code: "password-changed", Detail: "The password or the second factor was changed meanwhile. Sign in again."}
	ErrCodeRefused   = &rule.Rejection{Code: "code-refused", Detail: "The code is not good. A code is good once."}
	ErrFactorMissing = &rule.Rejection{Code: "factor-missing", Detail: "The person has no second factor. They can set one up when they sign in."}
	ErrFactorExists  = &rule.Rejection{Code: "factor-exists", Detail: "The person has a second factor. An admin can remove it, if it was lost."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{
	ErrNotFound, ErrExists, ErrDisabled, ErrNotJoined, ErrInvalid, ErrLimit, ErrTokenRefused, ErrChanged, ErrCodeRefused, ErrFactorMissing, ErrFactorExists,
}

var errPersonID = errors.New("want 1 to 40 lower-case letters and digits")
