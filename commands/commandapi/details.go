package commandapi

import (
	"context"

	"daybook/domain/cart"
	"daybook/domain/contact"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// DetailsInput says where an order goes and how to reach its buyer.
type DetailsInput struct {
	Billing        *AddressInput `json:"billing,omitempty" doc:"The address for the bill."`
	Shipping       *AddressInput `json:"shipping,omitempty" doc:"The address for the parcels. The country of the cart and the order follows from it, or else from the address for the bill."`
	Email          string        `json:"email,omitempty" maxLength:"254" example:"bob@home.example" doc:"The e-mail address."`
	Phone          string        `json:"phone,omitempty" maxLength:"32"`
	DeliveryNotes  string        `json:"delivery_notes,omitempty" maxLength:"500"`
	GiftMessage    string        `json:"gift_message,omitempty" maxLength:"500"`
	BuyerReference string        `json:"buyer_reference,omitempty" maxLength:"100"`
}

// details reads details at a place of the body.
func details(bad *check, pointer string, given DetailsInput) contact.Details {
	to := func(name string, a *AddressInput) *contact.Address {
		if a == nil {
			return nil
		}
		return new(address(bad, pointer+"/"+name, *a))
	}
	d := contact.Details{Billing: to("billing", given.Billing), Shipping: to("shipping", given.Shipping)}
	texts := contact.Details{
		Email: given.Email, Phone: given.Phone, DeliveryNotes: given.DeliveryNotes, GiftMessage: given.GiftMessage, BuyerReference: given.BuyerReference,
	}
	for _, fault := range texts.Faults() {
		bad.fault(problem.InBody(pointer+"/"+fault.Member, fault.Text))
	}
	return texts.Or(d)
}

type setDetailsInput struct {
	CartPath
	Body DetailsInput
}

func (a *api) setDetails(ctx context.Context, c call, in *setDetailsInput) (*response[resource.Cart], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	set := cart.SetDetails{Details: details(&bad, "", in.Body)}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCart(ctx, c, id, set)
}
