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
		"a promise of a process is not taken back":      {Given: process, When: take(byHand, 3), Refused: keptFor("o-a", true)},
		"unless it is forced, and the reason is kept":   {Given: process, When: take(forced, 3), Then: given(took(forced, 3))},
		"the process takes it back":                     {Given: process, When: take(Origin{}, 3), Then: given(took(Origin{}, 3))},
		"units of a direct allocation are taken back":   {Given: mixed, When: take(byHand, 4), Then: given(took(byHand, 2))},
		"forced, both are, and the reason is kept":      {Given: mixed, When: take(forced, 4), Then: given(took(forced, 4))},
		"a reason that was not needed is not kept":      {Given: mixed, When: take(forced, 2), Then: given(took(byHand, 2))},
		"after the direct units the process's are left": {Given: append(slices.Clone(mixed), took(byHand, 2)), When: Deallocate{At: at, Origin: byHand, OrderID: "o-a", Quantity: 1}, Refused: keptFor("o-a", true)},
		"after the process's units the direct are left": {Given: append(slices.Clone(mixed), took(Origin{}, 5)), When: Deallocate{At: at, Origin: byHand, OrderID: "o-a", Quantity: 5}, Then: given(Deallocated{Key: lamp, Origin: byHand, OrderID: "o-a", Quantity: 2})},
		"a long reason to take is refused":              {Given: process, When: take(long, 3), Refused: ErrTextTooLong},

		"goods of a process are not shipped":       {Given: process, When: send(byHand, 3), Refused: keptFor("o-a", true)},
		"unless that is forced":                    {Given: process, When: send(forced, 3), Then: given(sent(forced, 3))},
		"the process ships them":                   {Given: process, When: send(Origin{}, 3), Then: given(sent(Origin{}, 3))},
		"units of a direct allocation are shipped": {Given: mixed, When: send(byHand, 2), Then: given(sent(byHand, 2))},
		"a process ships units that were taken from it": {
			Given: append(slices.Clone(process), took(forced, 3)), When: Ship{At: at, OrderID: "o-a", ShipmentID: "p", Quantity: 5, Force: true},
			Then: given(Shipped{Key: lamp, OrderID: "o-a", ShipmentID: "p", Quantity: 5, Unpromised: 3}),
		},
		"only by force":                            {Given: append(slices.Clone(process), took(forced, 3)), When: send(Origin{}, 5), Refused: ErrNotAllocated},
		"by hand no force does it":                 {Given: given(received(9)), When: Ship{At: at, Origin: forced, OrderID: "o-a", ShipmentID: "p", Quantity: 5, Force: true}, Refused: ErrNotAllocated},
		"more than is promised is not theirs":      {Given: process, When: send(byHand, 6), Refused: ErrNotAllocated},
		"the order's parcel is known by hand":      {Given: append(slices.Clone(mixed), sent(Origin{}, 2)), When: send(byHand, 2), Nothing: true},
		"a parcel by hand is not the order's":      {Given: append(slices.Clone(mixed), sent(byHand, 2)), When: send(Origin{}, 2), Then: given(sent(Origin{}, 2))},
		"a long reason to ship is refused":         {Given: process, When: send(long, 3), Refused: ErrTextTooLong},
		"an order with a process gets no more":     {Given: process, When: Allocate{At: at, Origin: byHand, OrderID: "o-a", Quantity: 9}, Refused: keptFor("o-a", false)},
		"an order without one does":                {Given: given(received(9)), When: Allocate{At: at, Origin: byHand, OrderID: "o-a", Quantity: 2}, Then: given(allocated("o-a", 2))},
		"a reservation by itself is marked":        {Given: given(received(9)), When: Reserve{At: at, Origin: forced, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: soon}, Then: given(own)},
		"one under a checkout's id is refused":     {Given: given(received(9)), When: Reserve{At: at, Origin: byHand, ReservationID: derived, OrderID: "o-a", Quantity: 2, ExpiresAt: soon}, Refused: keptFor("o-a", false)},
		"a checkout does not take it over":         {Given: given(received(9), own), When: Reserve{At: at, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: soon}, Refused: ErrReservationDiffers.With("", facts{"reservation_id": "d", "direct": true})},
		"nor the other way round":                  {Given: reserving, When: Reserve{At: at, Origin: byHand, ReservationID: "a", OrderID: "o-a", Quantity: 5, ExpiresAt: soon}, Refused: keptFor("o-a", false)},
		"a process's reservation is not released":  {Given: reserving, When: Release{At: at, Origin: byHand, ReservationID: "a"}, Refused: keptFor("o-a", true)},
		"unless it is forced":                      {Given: reserving, When: Release{At: at, Origin: forced, ReservationID: "a"}, Then: given(ReservationReleased{Key: lamp, Origin: forced, ReservationID: "a", OrderID: "o-a", Quantity: 5})},
		"one that is due expires":                  {Given: reserving, When: Release{At: then, Origin: byHand, ReservationID: "a"}, Then: given(expired("a", 5))},
		"one by itself is released":                {Given: given(received(9), own), When: Release{At: at, Origin: forced, ReservationID: "d"}, Then: given(ReservationReleased{Key: lamp, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2})},
		"a process's reservation is not extended":  {Given: reserving, When: Extend{At: at, Origin: byHand, ReservationID: "a", ExpiresAt: late}, Refused: keptFor("o-a", true)},
		"unless it is forced, too":                 {Given: reserving, When: Extend{At: at, Origin: forced, ReservationID: "a", ExpiresAt: late}, Then: given(ReservationExtended{Key: lamp, Origin: forced, ReservationID: "a", ExpiresAt: late})},
		"a long reason to extend is refused":       {Given: reserving, When: Extend{At: at, Origin: long, ReservationID: "a", ExpiresAt: late}, Refused: ErrTextTooLong},
		"one by itself is extended":                {Given: given(received(9), own), When: Extend{At: at, Origin: byHand, ReservationID: "d", ExpiresAt: late}, Then: given(ReservationExtended{Key: lamp, Origin: byHand, ReservationID: "d", ExpiresAt: late})},
		"a process's reservation is not committed": {Given: reserving, When: Commit{At: at, Origin: forced, ReservationID: "a"}, Refused: keptFor("o-a", false)},
		"one by itself is committed":               {Given: given(received(9), own), When: Commit{At: at, Origin: byHand, ReservationID: "d"}, Then: given(ReservationCommitted{Key: lamp, ReservationID: "d", OrderID: "o-a", Quantity: 2})},
		"and is then no process's": {
			Given: given(received(9), own, ReservationCommitted{Key: lamp, ReservationID: "d", OrderID: "o-a", Quantity: 2}),
			When:  take(byHand, 2), Then: given(took(byHand, 2)),
		},
		"a return by itself is not a return's receipt": {
			Given: given(Returned{Key: lamp, Origin: byHand, ReturnID: "r", Receipt: 1, Quantity: 2, Condition: Available}),
			When:  TakeBack{At: at, ReturnID: "r", Receipt: 1, Quantity: 2, Condition: Available},
			Then:  given(Returned{Key: lamp, ReturnID: "r", Receipt: 1, Quantity: 2, Condition: Available}),
		},
		"an older return is taken for a direct one": {
			Given: given(Returned{Key: lamp, ReturnID: "r", Receipt: 1, Quantity: 2, Condition: Available}),
			When:  TakeBack{At: at, Origin: byHand, ReturnID: "r", Receipt: 1, Quantity: 2, Condition: Available}, Nothing: true,
		},
		"a transfer elsewhere is another": {
			Given: given(received(9), TransferredOut{Key: lamp, TransferID: "t", To: "north", Quantity: 2}), When: TransferOut{At: at, TransferID: "t", To: "south", Quantity: 2},
			Refused: ErrMovementDiffers.With("", facts{"recorded": 2, "requested": 2, "recorded_with": "north", "requested_with": "south"}),
		},
		"a transfer from elsewhere is another": {
			Given: given(TransferredIn{Key: lamp, TransferID: "t", From: "north", Quantity: 2}), When: TransferIn{At: at, TransferID: "t", From: "south", Quantity: 2},
			Refused: ErrMovementDiffers,
		},
		"a return of another order is another": {
			Given: given(Returned{Key: lamp, ReturnID: "r", OrderID: "o-a", Quantity: 2, Condition: Available}), When: TakeBack{At: at, ReturnID: "r", OrderID: "o-b", Quantity: 2, Condition: Available},
			Refused: ErrMovementDiffers,
		},
		"a deadline that is named is part of it": {
			Given: given(received(9), own), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: late, Fixed: true},
			Refused: ErrReservationDiffers.With("", facts{"reservation_id": "d", "expires_at": soon}),
		},
		"one that is counted from now is not": {
			Given: given(received(9), own), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: late}, Nothing: true,
		},
		"but its length is": {
			Given: given(received(9), lasting(60)), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: late, ReserveSeconds: 61},
			Refused: ErrReservationDiffers.With("", facts{"reservation_id": "d", "expires_at": soon, "hold_seconds": 60}),
		},
		"the same length is the same": {
			Given: given(received(9), lasting(60)), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: late, ReserveSeconds: 60}, Nothing: true,
		},
		"a length is recorded": {
			Given: given(received(9)), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: soon, ReserveSeconds: 60}, Then: given(lasting(60)),
		},
		"the first deadline counts after it was moved": {
			Given: given(received(9), own, extended("d", late), extended("d", late.Add(1))), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: soon, Fixed: true}, Nothing: true,
		},
		"not the one it was moved to": {
			Given: given(received(9), own, extended("d", late)), When: Reserve{At: at, Origin: byHand, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: late, Fixed: true},
			Refused: ErrReservationDiffers.With("", facts{"reservation_id": "d", "expires_at": soon}),
		},
		"a long reason to take back is refused": {When: TakeBack{At: at, Origin: long, ReturnID: "r", Quantity: 1, Condition: Available}, Refused: ErrTextTooLong},
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
	notOfOrders := []string{"Receive", "Adjust", "Count", "ExpireDue", "Move", "TransferOut", "TransferIn", "SetPolicy"}
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
