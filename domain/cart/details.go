package cart

import (
	"daybook/domain/contact"
	"daybook/domain/unit"
)

// setDetails replaces the details of an open cart. The texts are not compared with those that are
// there, because they are sealed in the log. The country of the cart follows from the address.
func setDetails(cmd SetDetails, s State) ([]Event, error) {
	if s.Phase != PhaseOpen {
		return nil, notOpen(s)
	}
	if err := detailsFault(cmd.Details); err != nil {
		return nil, err
	}
	events := []Event{DetailsSet(cmd)}
	if country := string(cmd.Details.Country()); country != "" && country != s.Country {
		events = append(events, CountryChanged{Country: country})
	}
	return events, nil
}

// detailsFault refuses details with a text that is not allowed.
func detailsFault(d contact.Details) error {
	faults := d.Faults()
	if len(faults) == 0 {
		return nil
	}
	field := faults[0].Member
	return ErrDetailsInvalid.With("The member "+field+" is refused: "+faults[0].Text+".", map[string]any{"field": field})
}

// taken are the events that give a cart the details of a cart that is merged into it. It keeps its
// own, if it has any, and never takes those of another customer.
func (s State) taken(of *contact.Details, from unit.CustomerID) []Event {
	if of == nil || s.Details != nil || from != "" && from != s.CustomerID {
		return nil
	}
	events := []Event{DetailsSet{Details: *of}}
	if country := string(of.Country()); country != "" && country != s.Country {
		events = append(events, CountryChanged{Country: country})
	}
	return events
}

// frozen are the details of an order, and the country that it goes to. More is used where the cart
// has none.
func (s State) frozen(more contact.Details) (*contact.Details, string) {
	var details contact.Details
	if s.Details != nil {
		details = *s.Details
	}
	details = details.Or(more)
	if details.Empty() {
		return nil, s.Country
	}
	if country := details.Country(); country != "" {
		return &details, string(country)
	}
	return &details, s.Country
}
