// Package views lists all read models, in one place.
package views

import (
	"daybook/projections"
	"daybook/projections/cartview"
	"daybook/projections/customerview"
	"daybook/projections/orderview"
	"daybook/projections/productview"
	"daybook/projections/salesview"
	"daybook/projections/stockview"
)

// All returns the views that a server runs.
func All(sales salesview.Options) []projections.View {
	return []projections.View{
		orderview.View(),
		stockview.View(),
		cartview.View(),
		productview.View(),
		customerview.View(),
		salesview.View(sales),
	}
}
