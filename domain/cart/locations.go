package cart

import "daybook/domain/unit"

// Locations are the locations from which a checkout may take goods. Other commands reach none. A
// key that is limited to locations needs all of them.
func Locations(cmd Command, _ State) []unit.LocationID {
	start, is := cmd.(StartCheckout)
	switch {
	case !is:
		return nil
	case len(start.Sourcing.Locations) == 0:
		return []unit.LocationID{unit.DefaultLocation}
	}
	return start.Sourcing.Locations
}
