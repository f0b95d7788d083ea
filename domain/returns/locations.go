package returns

import "daybook/domain/unit"

// Locations are the locations at which a command takes goods in. A key that is limited to locations
// needs all of them.
func Locations(cmd Command, _ State) (locations []unit.LocationID) {
	receive, is := cmd.(Receive)
	if !is {
		return nil
	}
	for _, line := range receive.Lines {
		locations = append(locations, line.Location)
	}
	return locations
}
