package problem

// LinesRefused is the problem of lines that the catalogue refuses. cause is the refusal of the
// first of them, whose code the problem has, and sku is its SKU. faults has the place of each.
func LinesRefused(cause error, sku string, faults []Invalid) *Document {
	d := table(cause)
	d.Detail = sku + ": " + d.Detail
	d.Errors = faults
	return d.With(map[string]any{"sku": sku})
}
