package stock

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"daybook/domain/decidertest"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

var (
	byHand = Origin{Direct: true}
	forced = Origin{Direct: true, Override: "sold at the counter"}
)

func keptFor(order string, forcible bool) *rule.Rejection {
	return ErrBelongsToOrder.With("", facts{"order_id": order, "forcible": forcible})
}

// lasting is a direct reservation that was asked for with a length.
func lasting(seconds int64) Reserved {
	return Reserved{Key: lamp, Origin: Origin{Direct: true}, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: soon, ReserveSeconds: seconds}
}

// originRows has cases for each direct command: with units that belong to an order's process, and
// with units that do not. The process of order o-a has promised it 5 units.
func originRows() map[string]row {
	process := given(received(9), reserved("a", 5), committed("a", 5))
	reserving := given(received(9), reserved("a", 5))
	own := Reserved{Key: lamp, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: soon}
	mixed := append(slices.Clone(process), Allocated{Key: lamp, OrderID: "o-a", Quantity: 2})
	take := func(from Origin, n int) Deallocate {
		return Deallocate{At: at, Origin: from, OrderID: "o-a", Ref: "x", Quantity: unit.Quantity(n)}
	}
	took := func(from Origin, n int) Event {
		return Deallocated{Key: lamp, Origin: from, OrderID: "o-a", Ref: "x", Quantity: unit.Quantity(n)}
	}
	send := func(from Origin, n int) Ship {
		return Ship{At: at, Origin: from, OrderID: "o-a", ShipmentID: "p", Quantity: unit.Quantity(n)}
	}
	sent := func(from Origin, n int) Event {
		return Shipped{Key: lamp, Origin: from, OrderID: "o-a", ShipmentID: "p", Quantity: unit.Quantity(n)}
	}
	derived := ReservationIDFor("o-a", lamp.SKU, lamp.Location)
	long := Origin{Direct: true, Override: strings.Repeat("x", 501)}
	return map[string]row{
		"a direct command cannot take back a promise of a process":                            {Given: process, When: take(byHand, 3), Refused: keptFor("o-a", true)},
		"a direct command takes back a promise of a process by force, and records the reason": {Given: process, When: take(forced, 3), Then: given(took(forced, 3))},
		"a process takes back its own promise":                                                {Given: process, When: take(Origin{}, 3), Then: given(took(Origin{}, 3))},
		"a direct command takes back only directly allocated units":                           {Given: mixed, When: take(byHand, 4), Then: given(took(byHand, 2))},
		"a direct command takes back all units by force, and records the reason":              {Given: mixed, When: take(forced, 4), Then: given(took(forced, 4))},
		"a reason that was not needed is not recorded":                                        {Given: mixed, When: take(forced, 2), Then: given(took(byHand, 2))},
		"after the direct units were taken back, the process's units are left":                {Given: append(slices.Clone(mixed), took(byHand, 2)), When: Deallocate{At: at, Origin: byHand, OrderID: "o-a", Quantity: 1}, Refused: keptFor("o-a", true)},
		"after the process's units were taken back, the direct units are left":                {Given: append(slices.Clone(mixed), took(Origin{}, 5)), When: Deallocate{At: at, Origin: byHand, OrderID: "o-a", Quantity: 5}, Then: given(Deallocated{Key: lamp, Origin: byHand, OrderID: "o-a", Quantity: 2})},
		"the reason to force a deallocation has at most 500 characters":                       {Given: process, When: take(long, 3), Refused: ErrTextTooLong},

		"a direct command cannot ship goods of a process":    {Given: process, When: send(byHand, 3), Refused: keptFor("o-a", true)},
		"a direct command ships goods of a process by force": {Given: process, When: send(forced, 3), Then: given(sent(forced, 3))},
		"a process ships its own goods":                      {Given: process, When: send(Origin{}, 3), Then: given(sent(Origin{}, 3))},
		"a direct command ships directly allocated units":    {Given: mixed, When: send(byHand, 2), Then: given(sent(byHand, 2))},
		"a process ships units that were taken from it": {
			Given: append(slices.Clone(process), took(forced, 3)), When: Ship{At: at, OrderID: "o-a", ShipmentID: "p", Quantity: 5, Force: true},
			Then: given(Shipped{Key: lamp, OrderID: "o-a", ShipmentID: "p", Quantity: 5, Unpromised: 3}),
		},
		"a process cannot ship units that were taken from it without force":         {Given: append(slices.Clone(process), took(forced, 3)), When: send(Origin{}, 5), Refused: ErrNotAllocated},
		"a direct command cannot force units that are not allocated":                {Given: given(received(9)), When: Ship{At: at, Origin: forced, OrderID: "o-a", ShipmentID: "p", Quantity: 5, Force: true}, Refused: ErrNotAllocated},
		"a direct command cannot ship more units than are promised":                 {Given: process, When: send(byHand, 6), Refused: ErrNotAllocated},
		"a direct command does nothing for a parcel that the process has shipped":   {Given: append(slices.Clone(mixed), sent(Origin{}, 2)), When: send(byHand, 2), Nothing: true},
		"a process ships its parcel although a direct one has the same id":          {Given: append(slices.Clone(mixed), sent(byHand, 2)), When: send(Origin{}, 2), Then: given(sent(Origin{}, 2))},
		"the reason to force a shipment has at most 500 characters":                 {Given: process, When: send(long, 3), Refused: ErrTextTooLong},
		"a direct command cannot allocate more to an order with a process":          {Given: process, When: Allocate{At: at, Origin: byHand, OrderID: "o-a", Quantity: 9}, Refused: keptFor("o-a", false)},
		"a direct command can allocate to an order without a process":               {Given: given(received(9)), When: Allocate{At: at, Origin: byHand, OrderID: "o-a", Quantity: 2}, Then: given(allocated("o-a", 2))},
		"a direct reservation is recorded as direct":                                {Given: given(received(9)), When: Reserve{At: at, Origin: forced, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: soon}, Then: given(own)},
		"a direct reservation with the id of an older checkout's is refused":        {Given: given(received(9)), When: Reserve{At: at, Origin: byHand, ReservationID: derived, OrderID: "o-a", Quantity: 2, ExpiresAt: soon}, Refused: keptFor("o-a", false)},
		"a checkout does not take over a direct reservation":                        {Given: given(received(9), own), When: Reserve{At: at, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: soon}, Refused: ErrReservationDiffers.With("", facts{"reservation_id": "d", "direct": true})},
		"a direct command does not take over a checkout's reservation":              {Given: reserving, When: Reserve{At: at, Origin: byHand, ReservationID: "a", OrderID: "o-a", Quantity: 5, ExpiresAt: soon}, Refused: keptFor("o-a", false)},
		"a direct command cannot release a process's reservation":                   {Given: reserving, When: Release{At: at, Origin: byHand, ReservationID: "a"}, Refused: keptFor("o-a", true)},
		"a direct command releases a process's reservation by force":                {Given: reserving, When: Release{At: at, Origin: forced, ReservationID: "a"}, Then: given(ReservationReleased{Key: lamp, Origin: forced, ReservationID: "a", OrderID: "o-a", Quantity: 5})},
		"a direct command ends a process's due reservation as expired":              {Given: reserving, When: Release{At: then, Origin: byHand, ReservationID: "a"}, Then: given(expired("a", 5))},
		"a direct command releases a direct reservation":                            {Given: given(received(9), own), When: Release{At: at, Origin: forced, ReservationID: "d"}, Then: given(ReservationReleased{Key: lamp, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2})},
		"a direct command cannot extend a process's reservation":                    {Given: reserving, When: Extend{At: at, Origin: byHand, ReservationID: "a", ExpiresAt: late}, Refused: keptFor("o-a", true)},
		"a direct command extends a process's reservation by force":                 {Given: reserving, When: Extend{At: at, Origin: forced, ReservationID: "a", ExpiresAt: late}, Then: given(ReservationExtended{Key: lamp, Origin: forced, ReservationID: "a", ExpiresAt: late})},
		"the reason to force an extension has at most 500 characters":               {Given: reserving, When: Extend{At: at, Origin: long, ReservationID: "a", ExpiresAt: late}, Refused: ErrTextTooLong},
		"a direct command extends a direct reservation":                             {Given: given(received(9), own), When: Extend{At: at, Origin: byHand, ReservationID: "d", ExpiresAt: late}, Then: given(ReservationExtended{Key: lamp, Origin: byHand, ReservationID: "d", ExpiresAt: late})},
		"a direct command cannot commit a process's reservation, not even by force": {Given: reserving, When: Commit{At: at, Origin: forced, ReservationID: "a"}, Refused: keptFor("o-a", false)},
		"a direct command commits a direct reservation":                             {Given: given(received(9), own), When: Commit{At: at, Origin: byHand, ReservationID: "d"}, Then: given(ReservationCommitted{Key: lamp, ReservationID: "d", OrderID: "o-a", Quantity: 2})},
		"units of a direct reservation stay direct after its commit": {
			Given: given(received(9), own, ReservationCommitted{Key: lamp, ReservationID: "d", OrderID: "o-a", Quantity: 2}),
			When:  take(byHand, 2), Then: given(took(byHand, 2)),
		},
		"a process takes back goods although a direct arrival has the same ids": {
			Given: given(Returned{Key: lamp, Origin: byHand, ReturnID: "r", Receipt: 1, Quantity: 2, Condition: Available}),
			When:  TakeBack{At: at, ReturnID: "r", Receipt: 1, Quantity: 2, Condition: Available},
			Then:  given(Returned{Key: lamp, ReturnID: "r", Receipt: 1, Quantity: 2, Condition: Available}),
		},
		"a direct command does nothing for an arrival without Origin": {
			Given: given(Returned{Key: lamp, ReturnID: "r", Receipt: 1, Quantity: 2, Condition: Available}),
			When:  TakeBack{At: at, Origin: byHand, ReturnID: "r", Receipt: 1, Quantity: 2, Condition: Available}, Nothing: true,
		},
		"sending a transfer again to another location is refused": {
			Given: given(received(9), TransferredOut{Key: lamp, TransferID: "t", To: "north", Quantity: 2}), When: TransferOut{At: at, TransferID: "t", To: "south", Quantity: 2},
			Refused: ErrMovementDiffers.With("", facts{"recorded": 2, "requested": 2, "recorded_with": "north", "requested_with": "south"}),
		},
		"taking in a transfer again from another location is refused": {
			Given: given(TransferredIn{Key: lamp, TransferID: "t", From: "north", Quantity: 2}), When: TransferIn{At: at, TransferID: "t", From: "south", Quantity: 2},
			Refused: ErrMovementDiffers,
		},
		"taking back an arrival again for another order is refused": {
			Given: given(Returned{Key: lamp, ReturnID: "r", OrderID: "o-a", Quantity: 2, Condition: Available}), When: TakeBack{At: at, ReturnID: "r", OrderID: "o-b", Quantity: 2, Condition: Available},
			Refused: ErrMovementDiffers,
		},
		"making a direct reservation again with another named deadline is refused": {
			Given: given(received(9), own), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: late, Fixed: true},
			Refused: ErrReservationDiffers.With("", facts{"reservation_id": "d", "expires_at": soon}),
		},
		"making a direct reservation again does nothing if its deadline is counted from now": {
			Given: given(received(9), own), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: late}, Nothing: true,
		},
		"making a direct reservation again with another length is refused": {
			Given: given(received(9), lasting(60)), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: late, ReserveSeconds: 61},
			Refused: ErrReservationDiffers.With("", facts{"reservation_id": "d", "expires_at": soon, "hold_seconds": 60}),
		},
		"making a direct reservation again with the same length does nothing": {
			Given: given(received(9), lasting(60)), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: late, ReserveSeconds: 60}, Nothing: true,
		},
		"the length of a direct reservation is recorded": {
			Given: given(received(9)), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: soon, ReserveSeconds: 60}, Then: given(lasting(60)),
		},
		"making an extended direct reservation again with its first deadline does nothing": {
			Given: given(received(9), own, extended("d", late), extended("d", late.Add(1))), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: soon, Fixed: true}, Nothing: true,
		},
		"making an extended direct reservation again with its present deadline is refused": {
			Given: given(received(9), own, extended("d", late)), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: late, Fixed: true},
			Refused: ErrReservationDiffers.With("", facts{"reservation_id": "d", "expires_at": soon}),
		},
		"the reason to take back goods has at most 500 characters": {When: TakeBack{At: at, Origin: long, ReturnID: "r", Quantity: 1, Condition: Available}, Refused: ErrTextTooLong},
	}
}

func TestWhatBelongsToAnOrder(t *testing.T) { stocks.Run(t, originRows()) }

// Every direct command is in the rows, except those that cannot touch an order's units.
func TestEveryDirectCommandHasItsRows(t *testing.T) {
	tried := map[string]bool{}
	for _, r := range originRows() {
		_, command, _ := strings.Cut(fmt.Sprintf("%T", r.When), ".")
		if o, ok := originOf(r.When); ok && o.Direct {
			tried[command] = true
		}
	}
	notOfOrders := []string{"Receive", "Adjust", "Count", "ExpireDue", "TakeParcelBack", "Move", "TransferOut", "TransferIn", "SetPolicy"}
	for _, command := range decidertest.Sealed(t, "Command") {
		if tried[command] == slices.Contains(notOfOrders, command) {
			t.Errorf("%s: tried directly %t", command, tried[command])
		}
	}
}

// originOf returns the origin of a command.
func originOf(cmd Command) (Origin, bool) {
	field := reflect.ValueOf(cmd).FieldByName("Origin")
	if !field.IsValid() {
		return Origin{}, false
	}
	origin, ok := field.Interface().(Origin)
	return origin, ok
}
