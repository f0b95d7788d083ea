package problem

// metadata is where an operation says which problems it may answer with.
const metadata = "problems"

// Listing is the metadata of an operation (huma.Operation.Metadata) that may be
// answered with the problems of these codes, beside those that the front gives to any
// request.
func Listing(codes ...string) map[string]any { return map[string]any{metadata: codes} }

// Listed are the codes that Listing was given.
func Listed(of map[string]any) []string {
	codes, _ := of[metadata].([]string)
	return codes
}

// Codes that many operations share.
var (
	// OfReads are those of what reads rows or the log.
	OfReads = []string{CodeUnavailable, CodeTimeout}
	// OfFreshReads are those of reads that may wait for a position.
	OfFreshReads = []string{CodeUnavailable, CodeTimeout, CodePositionNotYet, CodeTooManyHere, CodeOverloaded}
	// OfWrites are those of what appends to the log.
	OfWrites = []string{
		CodeKeyReused, CodeStale, CodeConflict, CodeGone, CodeTooLarge, CodeOverloaded, CodeUnavailable, CodeTimeout, CodeOutcomeUnknown,
	}
	// OfBodies are those of what may have a body.
	OfBodies = []string{CodeMalformed, CodeTooLarge, CodeSlow, CodeOverloaded, CodeTimeout}
	// OfAll are those of every request, whatever it asks for. About:blank, a fault of the
	// server, comes beside them.
	OfAll = []string{CodeMisdirected, CodeCrossOrigin, CodeAddressLong, CodeHeaderLong, CodeInvalid}
)
