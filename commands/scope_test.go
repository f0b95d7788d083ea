package commands_test

import (
	"errors"
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/access"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore/memory"
)

// The service itself keeps a principal to its scope, whichever way a call comes. What is refused
// changes nothing.
func TestACallStaysWithinTheScopeOfItsSender(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MUG", 10)
	if err := errors.Join(s.FillCart("c1", map[unit.SKU]unit.Quantity{"MUG": 4}), s.FillCart("c2", map[unit.SKU]unit.Quantity{"MUG": 1})); err != nil {
		t.Fatal(err)
	}
	s.Must(s.PlaceOrder("c1", "o1"))
	call := func(channel string, locations ...unit.LocationID) commands.Call {
		call := shoptest.NewCall()
		call.Who.Scope = access.Scope{Locations: locations, Channels: []string{"web"}}
		call.Meta.Channel = channel
		return call
	}
	north := call("web", "north")
	at := func(location unit.LocationID) stock.At { return s.At(stock.Key{SKU: "MUG", Location: location}) }
	move := func(call commands.Call, command stock.Command, at stock.At) error {
		_, err := s.MoveStock(t.Context(), call, at.Key, command)
		return err
	}
	if err := move(call("web", "north"), stock.Receive{At: at("north"), Quantity: 5}, at("north")); err != nil {
		t.Fatal(err)
	}
	received := returns.Receive{Lines: []returns.ReceivedLine{{Line: 1, Quantity: 1, Disposition: returns.Restocked, Location: "main"}}}
	before := s.OrderState("o1")
	for name, err := range map[string]error{
		"another location":        move(north, stock.Receive{At: at("south"), Quantity: 5}, at("south")),
		"a transfer to another":   move(north, stock.TransferOut{At: at("north"), TransferID: "t1", To: "south", Quantity: 1}, at("north")),
		"a transfer from another": move(north, stock.TransferIn{At: at("north"), TransferID: "t2", From: "south", Quantity: 1}, at("north")),
		"another channel":         move(call("api"), stock.Receive{At: at("north"), Quantity: 5}, at("north")),
		"no channel":              move(call(""), stock.Receive{At: at("north"), Quantity: 5}, at("north")),
		"a parcel from elsewhere": second(s.Order(t.Context(), north, "o1", order.Ship{ShipmentID: "p", Location: "main"})),
		"an order of elsewhere":   second(s.Order(t.Context(), north, "o1", order.Cancel{Reason: "x"})),
		"a retry of elsewhere":    second(s.RetryAllocation(t.Context(), north, "o1")),
		"a return to elsewhere":   second(s.Return(t.Context(), north, "r1", received)),
		"a checkout of elsewhere": second(s.Checkout(t.Context(), north, commands.CheckoutRequest{CartID: "c2"})),
	} {
		if _, outside := errors.AsType[*access.ScopeError](err); !outside {
			t.Errorf("%s: %v", name, err)
		}
	}
	for location, want := range map[unit.LocationID]unit.Quantity{"north": 5, "south": 0, "main": 10} {
		s.Must(s.ViewStock(t.Context(), at(location).Key, func(state stock.State, _ int64) {
			if state.OnHand() != want {
				t.Errorf("at %s there are %d, want %d", location, state.OnHand(), want)
			}
		}))
	}
	if after := s.OrderState("o1"); after.Status != before.Status || s.Available("MUG") != 6 {
		t.Errorf("the order is %s, and %d mugs are available", after.Status, s.Available("MUG"))
	}
	// With the location of the order, the same commands are carried out.
	s.Must(second(s.Order(t.Context(), call("web", "north", "main"), "o1", order.Cancel{Reason: "x"})))
}
