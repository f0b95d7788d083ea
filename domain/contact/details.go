package contact

import "daybook/domain/unit"

// Limits of details, in characters.
const (
	MaxGiftMessage = 500
	MaxReference   = 100
)

// Details say where an order goes and how to reach its buyer. All members are optional.
type Details struct {
	Billing  *Address `json:"billing,omitempty"`
	Shipping *Address `json:"shipping,omitempty"`
	Email    string   `json:"email,omitempty" class:"personal"`
	Phone    string   `json:"phone,omitempty" class:"personal"`
	// DeliveryNotes are for the carrier, and GiftMessage goes into the parcel.
	DeliveryNotes string `json:"delivery_notes,omitempty" class:"personal"`
	GiftMessage   string `json:"gift_message,omitempty" class:"personal"`
	// BuyerReference is the customer's own number for the order, such as that of a purchase order.
	// The shop's own number is the reference of the order.
	BuyerReference string `json:"buyer_reference,omitempty" class:"personal"`
}

// Empty tells whether nothing is given.
func (d Details) Empty() bool { return d == Details{} }

// Faults returns what is wrong with details. A member of an address has the name of the address
// before it, such as "billing/country".
func (d Details) Faults() []Fault {
	var found []Fault
	for _, one := range []struct {
		name    string
		address *Address
	}{{"billing", d.Billing}, {"shipping", d.Shipping}} {
		if one.address == nil {
			continue
		}
		for _, fault := range one.address.Faults() {
			found = append(found, Fault{one.name + "/" + fault.Member, fault.Text})
		}
	}
	for _, text := range []Fault{
		{"email", EmailFault(d.Email)},
		{"phone", PhoneFault(d.Phone)},
		{"delivery_notes", unit.TextFault(d.DeliveryNotes, unit.MaxNote)},
		{"gift_message", unit.TextFault(d.GiftMessage, MaxGiftMessage)},
		{"buyer_reference", unit.LineFault(d.BuyerReference, MaxReference)},
	} {
		if text.Text != "" {
			found = append(found, text)
		}
	}
	return found
}

// Country is where the order goes: the country of the address for parcels, or else of the address
// for bills. It is empty if there is neither.
func (d Details) Country() unit.Country {
	switch {
	case d.Shipping != nil:
		return d.Shipping.Country
	case d.Billing != nil:
		return d.Billing.Country
	}
	return ""
}

// ForInvoice is what an invoice needs of the details: the address for bills, or else the one for
// parcels, without its phone number. It is empty if there is no address.
func (d Details) ForInvoice() Details {
	address := d.Billing
	if address == nil {
		address = d.Shipping
	}
	if address == nil {
		return Details{}
	}
	billed := *address
	billed.Phone = ""
	return Details{Billing: &billed}
}

// Or fills in what is not given.
func (d Details) Or(more Details) Details {
	if d.Billing == nil {
		d.Billing = more.Billing
	}
	if d.Shipping == nil {
		d.Shipping = more.Shipping
	}
	for _, text := range []struct{ to, from *string }{
		{&d.Email, &more.Email},
		{&d.Phone, &more.Phone},
		{&d.DeliveryNotes, &more.DeliveryNotes},
		{&d.GiftMessage, &more.GiftMessage},
		{&d.BuyerReference, &more.BuyerReference},
	} {
		if *text.to == "" {
			*text.to = *text.from
		}
	}
	return d
}
