package order

import "testing"

// ofGuest is an order that no customer has.
func ofGuest(events ...Event) []Event {
	placed := isPlaced
	placed.CustomerID = ""
	return append([]Event{placed}, events...)
}

func placeForGuest() Place {
	place := asked
	place.CustomerID = ""
	return place
}

var takenOver = TakenOver{CustomerID: "u2"}

var takingOver = map[string]row{
	"a customer takes over the order of a guest":                {Given: ofGuest(), When: TakeOver{CustomerID: "u2"}, Then: []Event{takenOver}},
	"a customer takes over an order that has ended":             {Given: ofGuest(Expired{}), When: TakeOver{CustomerID: "u2"}, Then: []Event{takenOver}},
	"a customer takes over an order that is archived":           {Given: ofGuest(Canceled{}, Archived{}), When: TakeOver{CustomerID: "u2"}, Then: []Event{takenOver}},
	"taking over an order again changes nothing":                {Given: ofGuest(takenOver), When: TakeOver{CustomerID: "u2"}, Nothing: true},
	"taking over an own order changes nothing":                  {Given: given(), When: TakeOver{CustomerID: "u1"}, Nothing: true},
	"nobody takes over an order of nobody":                      {Given: ofGuest(), When: TakeOver{}, Nothing: true},
	"an order of another customer is not taken over":            {Given: given(), When: TakeOver{CustomerID: "u2"}, Refused: ErrHasCustomer},
	"an order that was taken over is not taken over":            {Given: ofGuest(takenOver), When: TakeOver{CustomerID: "u3"}, Refused: ErrHasCustomer},
	"an order that was taken over is not given away":            {Given: ofGuest(takenOver), When: TakeOver{}, Refused: ErrHasCustomer},
	"an order that was never placed is not taken over":          {When: TakeOver{CustomerID: "u2"}, Refused: ErrNotFound},
	"an order id that is kept for a cart is not taken over":     {Given: []Event{isClaimed}, When: TakeOver{CustomerID: "u2"}, Refused: ErrNotFound},
	"a checkout that is finished late finds the order":          {Given: ofGuest(takenOver), When: placeForGuest(), Nothing: true},
	"a checkout of the customer is not that of the guest":       {Given: ofGuest(TakenOver{CustomerID: "u1"}), When: asked, Refused: ErrExists},
	"of two who took over an order, the first one has it":       {Given: ofGuest(takenOver, TakenOver{CustomerID: "u3"}), When: TakeOver{CustomerID: "u2"}, Nothing: true},
	"an event that gives an order to nobody gives it to nobody": {Given: ofGuest(TakenOver{}), When: TakeOver{CustomerID: "u2"}, Then: []Event{takenOver}},
}

func TestTakingOver(t *testing.T) { orders.Run(t, takingOver) }

// The guest's token and the carts of others are not good for an order that a customer has.
func TestWhoOwnsAnOrderThatWasTakenOver(t *testing.T) {
	s := orders.Fold(ofGuest()...)
	if !s.OwnedBy("cart:c1") || s.OwnedBy("customer:u2") {
		t.Errorf("before, it is %+v", s)
	}
	s = orders.Fold(ofGuest(takenOver)...)
	if s.OwnedBy("cart:c1") || !s.OwnedBy("customer:u2") {
		t.Errorf("afterwards, it is %+v", s)
	}
}
