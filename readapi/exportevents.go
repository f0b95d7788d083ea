package readapi

// The events whose data an export looks into, by their wire names. The rest of the export works
// with events of any type. The names are storage format, and package eventtypes has them all.
const (
	cartOpenedV1        = "cart.opened.v1"
	cartOpened          = "cart.opened.v2"
	cartCustomerChanged = "cart.customer_changed.v1"
	cartMergedFrom      = "cart.merged_from.v1"
	customerMerged      = "customer.merged.v1"
	customerRefused     = "customer.merge_refused.v1"
)
