package access

import "daybook/domain/rule"

// The refusals about keys and roles.
var (
	ErrKeyNotFound  = &rule.Rejection{Code: "key-not-found", Detail: "There is no such API key."}
	ErrKeyExists    = &rule.Rejection{Code: "key-exists", Detail: "There is an API key with this id."}
	ErrKeyEnded     = &rule.Rejection{Code: "key-ended", Detail: "The API key was revoked or has expired. Make a new one."}
	ErrKeyInvalid   = &rule.Rejection{Code: "key-invalid", Detail: "The API key cannot be made in this way."}
	ErrKeyLimit     = &rule.Rejection{Code: "key-limit", Detail: "There are as many API keys as a shop may have (10,000). Revoke keys that nobody uses."}
	ErrRoleNotFound = &rule.Rejection{Code: "role-not-found", Detail: "There is no such role."}
	ErrRoleFixed    = &rule.Rejection{Code: "role-fixed", Detail: "Every shop has this role. It cannot be changed or removed."}
	ErrRoleInvalid  = &rule.Rejection{Code: "role-invalid", Detail: "The role cannot be defined in this way."}
	ErrRoleInUse    = &rule.Rejection{Code: "role-in-use", Detail: "An API key or a person has this role. Revoke the key, or give the person another role, first."}
	ErrLastAdmin    = &rule.Rejection{Code: "last-admin", Detail: "This is the last API key that may make others, or the last one that may give every right. Make another one first."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{
	ErrKeyNotFound, ErrKeyExists, ErrKeyEnded, ErrKeyInvalid, ErrKeyLimit, ErrRoleNotFound, ErrRoleFixed, ErrRoleInvalid, ErrRoleInUse, ErrLastAdmin,
}
