// Package views lists all read models, in one place.
package views

import (
	"time"

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
	days := sales.Location
	if days == nil {
		days = time.UTC
	}
	return []projections.View{
		orderview.ViewIn(days),
		stockview.View(),
		cartview.View(),
		productview.View(),
		customerview.View(),
		salesview.View(sales),
	}
}
