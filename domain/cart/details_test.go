package cart

import (
	"testing"

	"daybook/domain/contact"
	"daybook/domain/unit"
)

func detailsOf(country unit.Country) contact.Details {
	return contact.Details{
		Shipping: &contact.Address{Name: "Ann Example", Lines: []string{"1 High Street"}, Country: country}, Email: "ann@home.example", Phone: "+44 20 7946 0000",
		DeliveryNotes: "ring twice", GiftMessage: "for you", BuyerReference: "PO 7",
	}
}

func detailsRows(t testing.TB) map[string]row {
	opened := Opened{CartID: "c1", Currency: "GBP", Country: "England"}
	lamp := Line{Number: 1, SKU: "LAMP", Title: "A lamp", Kind: unit.Stocked, Quantity: 3, Price: money(t, "2.55", "GBP")}
	given, of := detailsOf("GB"), func(d contact.Details) *contact.Details { return &d }
	set := []Event{opened, LineAdded{lamp}, DetailsSet{given}, CountryChanged{"GB"}}
	bill := &contact.Address{Lines: []string{"2 Low Street"}, Country: "FR"}
	only := contact.Details{Billing: bill}
	start := StartCheckout{OrderID: "o1", ReserveUntil: deadline}
	started := CheckoutStarted{
		OrderID: "o1", CartID: "c1", Currency: "GBP", Country: "GB", Lines: []Line{lamp},
		Sourcing: Sourcing{Locations: []unit.LocationID{"main"}}, Policy: AllOrNothing, ReserveUntil: deadline, OrderIDFrom: FromCaller,
	}
	frozen := func(country string, details *contact.Details) []Event {
		started.Country, started.Details = country, details
		return []Event{started}
	}
	second := func(details *contact.Details) []Event {
		one := started
		one.OrderID, one.Country, one.Details = "o2", "GB", details
		return []Event{one}
	}
	frozenFor := func(customer unit.CustomerID, details *contact.Details) []Event {
		one := started
		one.CustomerID, one.Country, one.Details = customer, "GB", details
		return []Event{one}
	}
	from := MergeFrom{Source: "c0", Attempt: 1, Lines: []Line{lamp}, Details: &given}
	ofAlice := from
	ofAlice.Customer = "1"
	comes := []Event{MergedFrom{Source: "c0", Attempt: 1}, LineAdded{lamp}}
	return map[string]row{
		"the country of a cart follows from its address":            {Given: []Event{opened}, When: SetDetails{given}, Then: []Event{DetailsSet{given}, CountryChanged{"GB"}}, Repeats: true},
		"an address in the same country changes no country":         {Given: set, When: SetDetails{given}, Then: []Event{DetailsSet{given}}, Repeats: true},
		"without an address for parcels the bill's country counts":  {Given: set, When: SetDetails{only}, Then: []Event{DetailsSet{only}, CountryChanged{"FR"}}, Repeats: true},
		"details can be taken away":                                 {Given: set, When: SetDetails{}, Then: []Event{DetailsSet{}}, Repeats: true},
		"the country of an address is a known code":                 {Given: []Event{opened}, When: SetDetails{detailsOf("UK")}, Refused: ErrDetailsInvalid.With("", map[string]any{"field": "shipping/country"})},
		"details of a cart that is not open cannot be set":          {Given: after(set, Expired{}), When: SetDetails{given}, Refused: ErrNotOpen},
		"the country of a cart with an address is the address's":    {Given: set, When: ChangeCountry{Country: "France"}, Refused: ErrCountryOfAddress.With("", map[string]any{"country": "GB"})},
		"the same country is no change":                             {Given: set, When: ChangeCountry{Country: "GB"}, Nothing: true},
		"without details the country can be changed again":          {Given: after(set, DetailsSet{}), When: ChangeCountry{Country: "France"}, Then: []Event{CountryChanged{"France"}}},
		"a checkout freezes the details":                            {Given: set, When: start, Then: frozen("GB", &given)},
		"an account completes the details of a checkout":            {Given: set, When: StartCheckout{OrderID: "o1", ReserveUntil: deadline, Defaults: &contact.Details{Billing: bill, Shipping: bill, Email: "other@home.example"}}, Then: frozen("GB", of(given.Or(only)))},
		"an account gives a checkout without details its addresses": {Given: set[:2], When: StartCheckout{OrderID: "o1", ReserveUntil: deadline, Defaults: &only}, Then: frozen("FR", &only)},
		"a checkout can bring details of its own":                   {Given: set, When: StartCheckout{OrderID: "o1", ReserveUntil: deadline, Details: &only, Defaults: &contact.Details{Email: "other@home.example"}}, Then: frozen("FR", of(only.Or(contact.Details{Email: "other@home.example"})))},
		"the details of a checkout are checked":                     {Given: set, When: StartCheckout{OrderID: "o1", ReserveUntil: deadline, Details: of(detailsOf("UK"))}, Refused: ErrDetailsInvalid.With("", map[string]any{"field": "shipping/country"})},
		"a cart keeps its details when a checkout brings others":    {Given: after(set, CheckoutStarted{OrderID: "o1", Details: &only}, CheckoutRefused{OrderID: "o1"}), When: StartCheckout{OrderID: "o2", ReserveUntil: deadline}, Then: second(&given)},
		"a checkout without details has none":                       {Given: set[:2], When: start, Then: frozen("England", nil)},
		"the details of a guest go with the cart to a customer":     {Given: after(set, CustomerChanged{"1"}), When: start, Then: frozenFor("1", &given)},
		"another customer does not get the details":                 {Given: after(set, CustomerChanged{"1"}, CustomerChanged{"2"}), When: start, Then: frozenFor("2", nil)},
		"a guest does not get the details of a customer":            {Given: after(set, CustomerChanged{"1"}, CustomerChanged{}), When: start, Then: frozenFor("", nil)},
		"a merged cart brings its details":                          {Given: []Event{opened}, When: from, Then: after(comes, DetailsSet{given}, CountryChanged{"GB"}), Repeats: true},
		"the details of another customer do not come in a merge":    {Given: []Event{opened, CustomerChanged{"2"}}, When: ofAlice, Then: comes, Repeats: true},
		"a cart with details keeps them in a merge":                 {Given: []Event{opened, DetailsSet{only}}, When: from, Then: comes, Repeats: true},
	}
}

func TestDetails(t *testing.T) { carts.Run(t, detailsRows(t)) }
