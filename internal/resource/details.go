package resource

import "daybook/domain/contact"

// Details say where an order goes and how to reach its buyer.
type Details struct {
	Billing        *Address `json:"billing,omitempty" doc:"The address for the bill."`
	Shipping       *Address `json:"shipping,omitempty" doc:"The address for the parcels."`
	Email          string   `json:"email,omitempty" class:"personal" doc:"The e-mail address." example:"bob@home.example"`
	Phone          string   `json:"phone,omitempty" class:"personal"`
	DeliveryNotes  string   `json:"delivery_notes,omitempty" class:"personal"`
	GiftMessage    string   `json:"gift_message,omitempty" class:"personal"`
	BuyerReference string   `json:"buyer_reference,omitempty" class:"personal"`
}

// detailsOf is nil if there are no details.
func detailsOf(d *contact.Details) *Details {
	if d == nil {
		return nil
	}
	address := func(a *contact.Address) *Address {
		if a == nil {
			return nil
		}
		return new(AddressOf(*a))
	}
	return &Details{
		Billing: address(d.Billing), Shipping: address(d.Shipping), Email: d.Email, Phone: d.Phone,
		DeliveryNotes: d.DeliveryNotes, GiftMessage: d.GiftMessage, BuyerReference: d.BuyerReference,
	}
}
