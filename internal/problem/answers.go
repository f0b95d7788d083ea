package problem

// metadata is the key of an operation's metadata under which its problems are.
const metadata = "problems"

// Listing returns the metadata of an operation (huma.Operation.Metadata) whose responses may be the
// problems of these codes. The problems that package httpapi gives to any request need not be
// listed.
func Listing(codes ...string) map[string]any { return map[string]any{metadata: codes} }

// Listed returns the codes that Listing was called with.
func Listed(of map[string]any) []string {
	codes, _ := of[metadata].([]string)
	return codes
}

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
	OfAll = []string{CodeMisdirected, CodeCrossOrigin, CodeAddressLong, CodeHeaderLong, CodeInvalid}
)
