package stock

import "daybook/domain/unit"

// Locations are the locations that a command reaches: that of its stock, and the other end of a
// transfer. A key that is limited to locations needs all of them.
func Locations(cmd Command, _ State) []unit.LocationID {
	here := cmd.at().Location
	switch cmd := cmd.(type) { //nolint:gochecksumtype // the others reach no other location
	case TransferOut:
		return []unit.LocationID{here, cmd.To}
	case TransferIn:
		return []unit.LocationID{here, cmd.From}
	}
	return []unit.LocationID{here}
}
