package problem

// LinesRefused is the problem of lines that the catalogue or the cart refuses. cause is the refusal
// of the first of these lines, and sku is the SKU of that line. The problem has the code of cause.
// faults has the place of each line.
func LinesRefused(cause error, sku string, faults []Invalid) *Document {
	d := table(cause)
	d.Detail = sku + ": " + d.Detail
	d.Errors = faults
	return d.With(map[string]any{"sku": sku})
}

// MemberRefused is the problem of a refusal that is about some members of the body. If there are
// several refusals, cause is the first.
func MemberRefused(cause error, faults ...Invalid) *Document {
	d := table(cause)
	d.Errors = faults
	return d
}
