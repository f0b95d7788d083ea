package main

import (
	"daybook/projections"
	"daybook/projections/salesview"
	"daybook/projections/views"
)

// views are the read models of this program.
func (o options) views() []projections.View {
	return views.All(salesview.Options{Location: o.location, Country: o.Country, Currency: o.Currency})
}

// viewNames are the names of the views. They do not depend on any option.
func viewNames() []string {
	var names []string
	for _, view := range (options{}).views() {
		names = append(names, view.Name)
	}
	return names
}
