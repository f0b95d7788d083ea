package problem

import "daybook/domain/access"

// metadata is the key under which an operation's metadata has its problems.
const metadata = "problems"

// needs is the key under which an operation's metadata has the permission that the operation needs.
const needs = "needs"

// Listing returns the metadata of an operation (huma.Operation.Metadata): the permission that it
// needs, and the codes of the problems that its responses may be. The problems that package httpapi
// gives to any request need not be listed.
func Listing(permission access.Permission, codes ...string) map[string]any {
	return map[string]any{needs: permission, metadata: codes}
}

// Needs returns the permission that Listing was called with. It is empty if Listing was not called.
func Needs(of map[string]any) access.Permission {
	permission, _ := of[needs].(access.Permission)
	return permission
}

// Listed returns the codes that Listing was called with.
func Listed(of map[string]any) []string {
	codes, _ := of[metadata].([]string)
	return codes
}

// foreign is the key under which an operation's metadata says that its body is foreign.
const foreign = "foreign body"

// TakingForeign adds to the metadata of an operation that its body is in somebody else's words,
// such as a message that another program has signed. Then only its size is checked.
func TakingForeign(of map[string]any) map[string]any {
	of[foreign] = true
	return of
}

// TakesForeign tells whether TakingForeign was called.
func TakesForeign(of map[string]any) bool { return of[foreign] == true }

// Codes that many operations share.
var (
	// OfReads are the codes of operations that read rows or the log.
	OfReads = []string{CodeUnavailable, CodeTimeout}
	// OfFreshReads are the codes of reads that may wait for a position.
	OfFreshReads = []string{CodeUnavailable, CodeTimeout, CodePositionNotYet, CodeTooManyHere, CodeOverloaded}
	// OfWrites are the codes of operations that append to the log.
	OfWrites = []string{
		CodeKeyReused, CodeStale, CodeConflict, CodeGone, CodeTooLarge, CodeOverloaded, CodeUnavailable, CodeTimeout, CodeOutcomeUnknown,
	}
	// OfBodies are the codes of operations that take a body.
	OfBodies = []string{CodeMalformed, CodeTooLarge, CodeSlow, CodeOverloaded, CodeTimeout}
	// OfAll are the codes of every request. Every request may also get about:blank, which is a
	// fault of the server.
	OfAll = []string{CodeCredentials, CodeMisdirected, CodeCrossOrigin, CodeProxyRequired, CodeRateLimited, CodeAddressLong, CodeHeaderLong, CodeInvalid}
)
