package stock

import (
	"strings"
	"testing"
	"time"

	"daybook/domain/decidertest"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

var stocks = decidertest.Decider[Command, Event, State]{
	Decide: Decide, Evolve: Evolve, About: About, Recall: Recall,
}

type (
	row   = decidertest.Case[Command, Event]
	facts = map[string]any
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	soon = noon.Add(15 * time.Minute)
	late = noon.Add(time.Hour)
	at   = At{Key: lamp, Now: noon}
	then = At{Key: lamp, Now: soon} // the very instant of the deadline
)

// The rows use these events of LAMP at main.
func received(n unit.Quantity) Event { return Received{Key: lamp, Quantity: n} }

func reserved(id string, n unit.Quantity) Event {
	return Reserved{Key: lamp, ReservationID: unit.ReservationID(id), OrderID: unit.OrderID("o-" + id), Quantity: n, ExpiresAt: soon}
}

func released(id string, n unit.Quantity) Event {
	return ReservationReleased{Key: lamp, ReservationID: unit.ReservationID(id), OrderID: unit.OrderID("o-" + id), Quantity: n}
}

func expired(id string, n unit.Quantity) Event {
	return ReservationExpired{Key: lamp, ReservationID: unit.ReservationID(id), OrderID: unit.OrderID("o-" + id), Quantity: n}
}

func committed(id string, n unit.Quantity) Event {
	return ReservationCommitted{Key: lamp, ReservationID: unit.ReservationID(id), OrderID: unit.OrderID("o-" + id), Quantity: n}
}

func extended(id string, until time.Time) Event {
	return ReservationExtended{Key: lamp, ReservationID: unit.ReservationID(id), ExpiresAt: until}
}

func allocated(order string, n unit.Quantity) Event {
	return Allocated{Key: lamp, OrderID: unit.OrderID(order), Quantity: n}
}

func shipped(order, id string, n unit.Quantity) Event {
	return Shipped{Key: lamp, OrderID: unit.OrderID(order), ShipmentID: unit.ShipmentID(id), Quantity: n}
}

func policy(safety, backorder, reorder unit.Quantity) Event {
	return PolicySet{Key: lamp, Policy: Policy{SafetyStock: safety, BackorderLimit: backorder, ReorderPoint: reorder}}
}

func moved(from, to Condition, n unit.Quantity) Event {
	return Moved{Key: lamp, From: from, To: to, Quantity: n}
}

func crossed(available, point unit.Quantity) Event {
	return ReorderPointCrossed{Key: lamp, Available: available, ReorderPoint: point}
}

func reserve(when At, id string, n unit.Quantity) Reserve {
	return Reserve{At: when, ReservationID: unit.ReservationID(id), OrderID: unit.OrderID("o-" + id), Quantity: n, ExpiresAt: when.Now.Add(15 * time.Minute)}
}

func given(events ...Event) []Event { return events }

func short(available, requested int) *rule.Rejection {
	return ErrInsufficient.With("", facts{"sku": "LAMP", "location": "main", "available": available, "requested": requested})
}

func reservationRows() map[string]row {
	later := Reserved{Key: lamp, ReservationID: "b", OrderID: "o-b", Quantity: 2, ExpiresAt: soon.Add(15 * time.Minute)}
	endedAs := func(end End) *rule.Rejection {
		return ErrReservationEnded.With("", facts{"reservation_id": "a", "end": end})
	}
	return map[string]row{
		"units on hand can be reserved":                                     {Given: given(received(5)), When: reserve(at, "a", 5), Then: given(reserved("a", 5))},
		"missing units cannot be reserved":                                  {Given: given(received(5)), When: reserve(at, "a", 6), Refused: short(5, 6)},
		"a new stock has nothing to reserve":                                {When: reserve(at, "a", 1), Refused: short(0, 1)},
		"reserved units cannot be reserved again":                           {Given: given(received(5), reserved("a", 4)), When: reserve(at, "b", 2), Refused: short(1, 2)},
		"allocated units cannot be reserved":                                {Given: given(received(5), allocated("o1", 4)), When: reserve(at, "b", 2), Refused: short(1, 2)},
		"damaged goods cannot be reserved":                                  {Given: given(received(5), moved(Available, Damaged, 4)), When: reserve(at, "b", 2), Refused: short(1, 2)},
		"safety stock cannot be reserved":                                   {Given: given(received(5), policy(4, 0, 0)), When: reserve(at, "b", 2), Refused: short(1, 2)},
		"units up to the backorder limit can be reserved":                   {Given: given(received(5), policy(0, 3, 0)), When: reserve(at, "a", 8), Then: given(reserved("a", 8))},
		"units beyond the backorder limit cannot be reserved":               {Given: given(received(5), policy(0, 3, 0), reserved("a", 6)), When: reserve(at, "b", 3), Refused: short(2, 3)},
		"the refusal of an overdrawn stock says that 0 units are available": {Given: given(received(5), reserved("a", 5), Adjusted{Key: lamp, Change: -2, Reason: Shrinkage}), When: reserve(at, "b", 1), Refused: short(0, 1)},
		"making a reservation again does nothing":                           {Given: given(received(5), reserved("a", 5)), When: reserve(at, "a", 5), Nothing: true},
		"making a reservation again with another quantity is refused":       {Given: given(received(5), reserved("a", 5)), When: reserve(at, "a", 4), Refused: ErrReservationDiffers.With("", facts{"reservation_id": "a", "order_id": "o-a", "quantity": 5})},
		"making a reservation again for another order is refused":           {Given: given(received(5), reserved("a", 5)), When: Reserve{At: at, ReservationID: "a", OrderID: "o-b", Quantity: 5, ExpiresAt: soon}, Refused: ErrReservationDiffers},
		"a released reservation cannot be made again":                       {Given: given(received(5), reserved("a", 5), released("a", 5)), When: reserve(at, "a", 5), Refused: endedAs(EndReleased)},
		"an expired reservation cannot be made again":                       {Given: given(received(5), reserved("a", 5), expired("a", 5)), When: reserve(at, "a", 5), Refused: endedAs(EndExpired)},
		"a committed reservation cannot be made again":                      {Given: given(received(5), reserved("a", 5), committed("a", 5)), When: reserve(at, "a", 5), Refused: endedAs(EndCommitted)},
		"a reservation that is due cannot be made again":                    {Given: given(received(5), reserved("a", 5)), When: reserve(then, "a", 5), Refused: endedAs(EndExpired)},
		"a reservation of zero units is refused":                            {Given: given(received(5)), When: reserve(at, "a", 0), Refused: ErrQuantityInvalid},
		"a reservation of negative units is refused":                        {Given: given(received(5)), When: reserve(at, "a", -1), Refused: ErrQuantityInvalid},
		"a reservation of more than 1,000,000,000 units is refused":         {Given: given(received(5), policy(0, unit.MaxQuantity, 0)), When: reserve(at, "a", unit.MaxQuantity+1), Refused: ErrQuantityInvalid},
		"a reservation with a deadline that has passed is refused":          {Given: given(received(5)), When: Reserve{At: at, ReservationID: "a", OrderID: "o-a", Quantity: 5, ExpiresAt: noon}, Refused: ErrDeadlinePassed},
		"a deadline is recorded in UTC":                                     {Given: given(received(5)), When: Reserve{At: at, ReservationID: "a", OrderID: "o-a", Quantity: 5, ExpiresAt: soon.In(time.FixedZone("CET", 3600))}, Then: given(reserved("a", 5))},
		"units of a reservation can be reserved again from its deadline on": {
			Given: given(received(5), reserved("a", 5)), When: reserve(then, "b", 2), Then: given(expired("a", 5), later),
		},
		"units of a reservation cannot be reserved again before its deadline": {
			Given: given(received(5), reserved("a", 5)), When: reserve(At{Key: lamp, Now: soon.Add(-1)}, "b", 2), Refused: short(0, 2),
		},
		"a refused reservation does not record the ends of due ones": {Given: given(received(5), reserved("a", 2)), When: reserve(then, "b", 6), Refused: short(5, 6)},
		"a deadline can be moved": {
			Given: given(received(5), reserved("a", 5)), When: Extend{At: at, ReservationID: "a", ExpiresAt: late}, Then: given(extended("a", late)),
		},
		"moving a deadline to what it is does nothing":                                      {Given: given(received(5), reserved("a", 5)), When: Extend{At: at, ReservationID: "a", ExpiresAt: soon}, Nothing: true},
		"a deadline cannot be moved into the past":                                          {Given: given(received(5), reserved("a", 5)), When: Extend{At: at, ReservationID: "a", ExpiresAt: noon}, Refused: ErrDeadlinePassed},
		"the deadline of a due reservation cannot be moved":                                 {Given: given(received(5), reserved("a", 5)), When: Extend{At: then, ReservationID: "a", ExpiresAt: late}, Refused: endedAs(EndExpired)},
		"the deadline of a released reservation cannot be moved":                            {Given: given(received(5), reserved("a", 5), released("a", 5)), When: Extend{At: at, ReservationID: "a", ExpiresAt: late}, Refused: endedAs(EndReleased)},
		"the deadline of an unknown reservation cannot be moved":                            {When: Extend{At: at, ReservationID: "a", ExpiresAt: late}, Refused: ErrReservationUnknown.With("", facts{"reservation_id": "a"})},
		"units of an extended reservation cannot be reserved again before the new deadline": {Given: given(received(5), reserved("a", 5), extended("a", late)), When: reserve(then, "b", 2), Refused: short(0, 2)},
		"units of a shortened reservation can be reserved again from the new deadline on":   {Given: given(received(5), reserved("a", 5), extended("a", noon.Add(time.Minute))), When: reserve(At{Key: lamp, Now: noon.Add(time.Minute)}, "b", 6), Refused: short(5, 6)},
		"a reservation can be released":                                                     {Given: given(received(5), reserved("a", 5)), When: Release{At: at, ReservationID: "a"}, Then: given(released("a", 5))},
		"the reason of a release is recorded": {
			Given: given(received(5), reserved("a", 5)), When: Release{At: at, ReservationID: "a", Reason: "canceled"},
			Then: given(ReservationReleased{Key: lamp, ReservationID: "a", OrderID: "o-a", Quantity: 5, Reason: "canceled"}),
		},
		"releasing a reservation again does nothing":              {Given: given(received(5), reserved("a", 5), released("a", 5)), When: Release{At: at, ReservationID: "a"}, Nothing: true},
		"releasing an unknown reservation does nothing":           {When: Release{At: at, ReservationID: "a"}, Nothing: true},
		"releasing a due reservation records that it has expired": {Given: given(received(5), reserved("a", 2), reserved("b", 3)), When: Release{At: then, ReservationID: "b"}, Then: given(expired("a", 2), expired("b", 3))},
		"the reason of a release has at most 500 characters":      {Given: given(received(5), reserved("a", 5)), When: Release{At: at, ReservationID: "a", Reason: strings.Repeat("x", 501)}, Refused: ErrTextTooLong.With("", facts{"field": "reason", "max_characters": 500})},
		"ExpireDue ends the due reservations, the earliest first": {
			Given: given(received(9), reserved("b", 2), reserved("a", 3), extended("a", soon.Add(-time.Minute))), When: ExpireDue{At: then},
			Then: given(expired("a", 3), expired("b", 2)),
		},
		"ExpireDue does nothing if no reservation is due":                {Given: given(received(9), reserved("a", 3)), When: ExpireDue{At: at}, Nothing: true},
		"a reservation can be committed":                                 {Given: given(received(5), reserved("a", 5)), When: Commit{At: at, ReservationID: "a"}, Then: given(committed("a", 5))},
		"committing a reservation again does nothing":                    {Given: given(received(5), reserved("a", 5), committed("a", 5)), When: Commit{At: at, ReservationID: "a"}, Nothing: true},
		"committing a reservation again does nothing after its deadline": {Given: given(received(5), reserved("a", 5), committed("a", 5)), When: Commit{At: then, ReservationID: "a"}, Nothing: true},
		"a due reservation cannot be committed":                          {Given: given(received(5), reserved("a", 5)), When: Commit{At: then, ReservationID: "a"}, Refused: endedAs(EndExpired)},
		"a released reservation cannot be committed":                     {Given: given(received(5), reserved("a", 5), released("a", 5)), When: Commit{At: at, ReservationID: "a"}, Refused: endedAs(EndReleased)},
		"an unknown reservation cannot be committed":                     {When: Commit{At: at, ReservationID: "a"}, Refused: ErrReservationUnknown},
		"a reservation can be committed although its goods are gone": {
			Given: given(received(5), reserved("a", 5), Adjusted{Key: lamp, Change: -5, Reason: Shrinkage}), When: Commit{At: at, ReservationID: "a"},
			Then: given(committed("a", 5)),
		},
		"units of a committed reservation cannot be reserved again after its deadline": {Given: given(received(5), reserved("a", 5), committed("a", 5)), When: reserve(then, "b", 1), Refused: short(0, 1)},
	}
}

func promiseRows() map[string]row {
	ship := Ship{At: at, OrderID: "o1", ShipmentID: "s1", Quantity: 3}
	forced := Shipped{Key: lamp, OrderID: "o1", ShipmentID: "s1", Quantity: 3, Forced: true}
	lost := Adjusted{Key: lamp, Change: -4, Reason: Shrinkage}
	withRef := Deallocated{Key: lamp, OrderID: "o1", Ref: "cancel/1", Quantity: 2}
	return map[string]row{
		"goods can be allocated":                                                      {Given: given(received(5)), When: Allocate{At: at, OrderID: "o1", Quantity: 3}, Then: given(allocated("o1", 3))},
		"allocating the same total again does nothing":                                {Given: given(received(5), allocated("o1", 3)), When: Allocate{At: at, OrderID: "o1", Quantity: 3}, Nothing: true},
		"allocating a larger total allocates the difference":                          {Given: given(received(5), allocated("o1", 3)), When: Allocate{At: at, OrderID: "o1", Quantity: 5}, Then: given(allocated("o1", 2))},
		"allocating a smaller total does nothing":                                     {Given: given(received(5), allocated("o1", 3)), When: Allocate{At: at, OrderID: "o1", Quantity: 2}, Nothing: true},
		"the total of an allocation includes what has shipped":                        {Given: given(received(5), allocated("o1", 3), shipped("o1", "s1", 2)), When: Allocate{At: at, OrderID: "o1", Quantity: 3}, Nothing: true},
		"the total of an allocation includes what has shipped, also if all of it has": {Given: given(received(5), allocated("o1", 3), shipped("o1", "s1", 3)), When: Allocate{At: at, OrderID: "o1", Quantity: 3}, Nothing: true},
		"more can be allocated after everything has shipped":                          {Given: given(received(5), allocated("o1", 3), shipped("o1", "s1", 3)), When: Allocate{At: at, OrderID: "o1", Quantity: 4}, Then: given(allocated("o1", 1))},
		"allocating the same total again does nothing after two parcels have shipped": {Given: given(received(5), allocated("o1", 3), shipped("o1", "s1", 3), allocated("o1", 1), shipped("o1", "s2", 1)), When: Allocate{At: at, OrderID: "o1", Quantity: 4}, Nothing: true},
		"more units than are available cannot be allocated":                           {Given: given(received(5), allocated("o1", 3)), When: Allocate{At: at, OrderID: "o2", Quantity: 3}, Refused: short(2, 3)},
		"an allocation of zero units is refused":                                      {Given: given(received(5)), When: Allocate{At: at, OrderID: "o1"}, Refused: ErrQuantityInvalid},
		"units of a due reservation can be allocated":                                 {Given: given(received(5), reserved("a", 5)), When: Allocate{At: then, OrderID: "o1", Quantity: 3}, Then: given(expired("a", 5), allocated("o1", 3))},
		"an allocation can be taken back":                                             {Given: given(received(5), allocated("o1", 3)), When: Deallocate{At: at, OrderID: "o1", Quantity: 2, Reason: "canceled"}, Then: given(Deallocated{Key: lamp, OrderID: "o1", Quantity: 2, Reason: "canceled"}), Repeats: true},
		"at most the rest of an allocation is taken back":                             {Given: given(received(5), allocated("o1", 3)), When: Deallocate{At: at, OrderID: "o1", Quantity: 9}, Then: given(Deallocated{Key: lamp, OrderID: "o1", Quantity: 3})},
		"taking back an unknown allocation does nothing":                              {Given: given(received(5)), When: Deallocate{At: at, OrderID: "o1", Quantity: 9}, Nothing: true},
		"a step can take back a part of an allocation":                                {Given: given(received(5), allocated("o1", 5)), When: Deallocate{At: at, OrderID: "o1", Ref: "cancel/1", Quantity: 2}, Then: given(withRef)},
		"the next step can take back another part of an allocation":                   {Given: given(received(5), allocated("o1", 5), withRef), When: Deallocate{At: at, OrderID: "o1", Ref: "cancel/2", Quantity: 1}, Then: given(Deallocated{Key: lamp, OrderID: "o1", Ref: "cancel/2", Quantity: 1})},
		"taking back a negative quantity is refused":                                  {Given: given(received(5), allocated("o1", 3)), When: Deallocate{At: at, OrderID: "o1", Quantity: -1}, Refused: ErrQuantityInvalid},
		"the reason of a deallocation has at most 500 characters":                     {Given: given(received(5), allocated("o1", 3)), When: Deallocate{At: at, OrderID: "o1", Quantity: 1, Reason: strings.Repeat("x", 501)}, Refused: ErrTextTooLong},
		"the ref of a deallocation has at most 100 characters":                        {Given: given(received(5), allocated("o1", 3)), When: Deallocate{At: at, OrderID: "o1", Quantity: 1, Ref: strings.Repeat("x", 101)}, Refused: ErrTextTooLong.With("", facts{"field": "ref", "max_characters": 100})},
		"allocated units can be shipped":                                              {Given: given(received(5), allocated("o1", 3)), When: ship, Then: given(shipped("o1", "s1", 3))},
		"shipping a parcel again does nothing":                                        {Given: given(received(5), allocated("o1", 5), shipped("o1", "s1", 3)), When: ship, Nothing: true},
		"a second parcel of an order can be shipped":                                  {Given: given(received(9), allocated("o1", 6), shipped("o1", "s0", 3)), When: ship, Then: given(shipped("o1", "s1", 3))},
		"two orders can have parcels with the same id":                                {Given: given(received(9), allocated("o2", 3), shipped("o2", "s1", 3), allocated("o1", 3)), When: ship, Then: given(shipped("o1", "s1", 3))},
		"shipping a parcel again with another quantity is refused":                    {Given: given(received(5), allocated("o1", 5), shipped("o1", "s1", 2)), When: ship, Refused: ErrMovementDiffers.With("", facts{"recorded": 2, "requested": 3})},
		"units without an allocation are not shipped":                                 {Given: given(received(5), allocated("o1", 2)), When: ship, Refused: ErrNotAllocated.With("", facts{"order_id": "o1", "allocated": 2, "requested": 3})},
		"units without an allocation are shipped by force":                            {Given: given(received(5)), When: Ship{At: at, OrderID: "o1", ShipmentID: "s1", Quantity: 3, Force: true}, Then: given(Shipped{Key: lamp, OrderID: "o1", ShipmentID: "s1", Quantity: 3, Unpromised: 3})},
		"units that are not on hand are not shipped":                                  {Given: given(received(5), allocated("o1", 3), lost), When: ship, Refused: ErrNotOnHand.With("", facts{"on_hand": 1, "unavailable": 0, "requested": 3})},
		"damaged goods are not shipped":                                               {Given: given(received(5), Returned{Key: lamp, ReturnID: "r", Quantity: 2, Condition: Damaged}, allocated("o1", 3), lost), When: ship, Refused: ErrNotOnHand.With("", facts{"on_hand": 3, "unavailable": 2, "requested": 3})},
		"units that are not on hand are shipped by force, which is recorded":          {Given: given(received(5), allocated("o1", 3), lost), When: Ship{At: at, OrderID: "o1", ShipmentID: "s1", Quantity: 3, Force: true}, Then: given(forced)},
		"force that was not needed is not recorded":                                   {Given: given(received(5), allocated("o1", 3)), When: Ship{At: at, OrderID: "o1", ShipmentID: "s1", Quantity: 3, Force: true}, Then: given(shipped("o1", "s1", 3))},
		"a parcel of zero units is refused":                                           {Given: given(received(5), allocated("o1", 3)), When: Ship{At: at, OrderID: "o1", ShipmentID: "s1"}, Refused: ErrQuantityInvalid},
		"units of a committed reservation can be shipped": {
			Given: given(received(5), reserved("a", 3), committed("a", 3)), When: Ship{At: at, OrderID: "o-a", ShipmentID: "s1", Quantity: 3},
			Then: given(shipped("o-a", "s1", 3)),
		},
		"units of a reservation cannot be shipped before it is committed": {Given: given(received(5), reserved("a", 3)), When: Ship{At: at, OrderID: "o-a", ShipmentID: "s1", Quantity: 3}, Refused: ErrNotAllocated},
		"goods that are received after a forced shipment first make up for it": {
			Given: given(received(1), policy(0, 2, 0), allocated("o1", 3), forced, received(3)), When: reserve(at, "a", 4), Refused: short(3, 4),
		},
	}
}

func movementRows() map[string]row {
	adjust := func(change unit.Quantity, c Condition) Adjust {
		return Adjust{At: at, Change: change, Reason: Shrinkage, Condition: c}
	}
	back := TakeBack{At: at, ReturnID: "r1", Receipt: 1, OrderID: "o1", Quantity: 2, Condition: Damaged}
	returned := Returned{Key: lamp, ReturnID: "r1", Receipt: 1, OrderID: "o1", Quantity: 2, Condition: Damaged}
	parcel := TakeParcelBack{At: at, OrderID: "o1", ShipmentID: "p1", Quantity: 3, Condition: Available, Keep: 2, ReservationID: "k"}
	cameBack := CameBack{Key: lamp, OrderID: "o1", ShipmentID: "p1", Quantity: 3, Condition: Available}
	kept := Allocated{Key: lamp, OrderID: "o1", Quantity: 2, ReservationID: "k"}
	out := TransferOut{At: at, TransferID: "t1", To: "north", Quantity: 4}
	in := TransferIn{At: at, TransferID: "t1", From: "north", Quantity: 4}
	long := strings.Repeat("x", 501)
	return map[string]row{
		"goods of a parcel come back, and its order keeps some":          {When: parcel, Then: given(cameBack, kept)},
		"a parcel that came back is taken back once":                     {Given: given(cameBack, kept), When: parcel, Nothing: true},
		"goods that others were promised before are not kept":            {Given: given(Allocated{Key: lamp, OrderID: "o2", Quantity: 2}), When: parcel, Then: given(cameBack)},
		"nothing is kept of damaged goods":                               {When: TakeParcelBack{At: at, OrderID: "o1", ShipmentID: "p1", Quantity: 3, Condition: Damaged, Keep: 2, ReservationID: "k"}, Then: given(CameBack{Key: lamp, OrderID: "o1", ShipmentID: "p1", Quantity: 3, Condition: Damaged})},
		"a parcel that came back in an unknown condition is refused":     {When: TakeParcelBack{At: at, OrderID: "o1", ShipmentID: "p1", Quantity: 3}, Refused: ErrConditionUnknown},
		"a parcel that came back again with another quantity is refused": {Given: given(cameBack, kept), When: TakeParcelBack{At: at, OrderID: "o1", ShipmentID: "p1", Quantity: 4, Condition: Available}, Refused: ErrMovementDiffers},
		"goods can be received":                                          {When: Receive{At: at, Quantity: 5, Document: "PO-7", Note: "two pallets"}, Then: given(Received{Key: lamp, Quantity: 5, Document: "PO-7", Note: "two pallets"}), Repeats: true},
		"a receipt of zero units is refused":                             {When: Receive{At: at}, Refused: ErrQuantityInvalid},
		"the note of a receipt has at most 500 characters":               {When: Receive{At: at, Quantity: 1, Note: long}, Refused: ErrTextTooLong.With("", facts{"field": "note", "max_characters": 500})},
		"the document of a receipt has at most 100 characters":           {When: Receive{At: at, Quantity: 1, Document: long}, Refused: ErrTextTooLong.With("", facts{"field": "document", "max_characters": 100})},
		"on hand can be corrected":                                       {Given: given(received(5)), When: adjust(-5, ""), Then: given(Adjusted{Key: lamp, Change: -5, Reason: Shrinkage})},
		"on hand can be corrected upwards":                               {When: Adjust{At: at, Change: 5, Reason: OtherReason, Document: "1", Note: "found"}, Then: given(Adjusted{Key: lamp, Change: 5, Reason: OtherReason, Document: "1", Note: "found"}), Repeats: true},
		"on hand cannot be corrected below zero":                         {Given: given(received(5)), When: adjust(-6, ""), Refused: ErrBelowZero.With("", facts{"on_hand": 5, "unavailable": 0, "change": -6})},
		"on hand cannot be corrected below the unavailable units":        {Given: given(received(5), moved(Available, Damaged, 2)), When: adjust(-4, Available), Refused: ErrBelowZero.With("", facts{"on_hand": 5, "unavailable": 2, "change": -4})},
		"promised goods can be reported missing":                         {Given: given(received(5), allocated("o1", 5)), When: adjust(-2, ""), Then: given(Adjusted{Key: lamp, Change: -2, Reason: Shrinkage}), Repeats: true},
		"damaged goods can be adjusted away": {
			Given: given(received(5), moved(Available, Damaged, 2)), When: adjust(-2, Damaged),
			Then: given(Adjusted{Key: lamp, Change: -2, Reason: Shrinkage, Condition: Damaged}),
		},
		"more damaged goods than there are cannot be adjusted away":         {Given: given(received(5), moved(Available, Damaged, 2)), When: adjust(-3, Damaged), Refused: ErrConditionShort.With("", facts{"condition": "damaged", "available": 2, "requested": 3})},
		"an adjustment by zero is refused":                                  {Given: given(received(5)), When: adjust(0, ""), Refused: ErrQuantityInvalid},
		"an adjustment by more than 1,000,000,000 units is refused":         {Given: given(received(5)), When: adjust(-unit.MaxQuantity-1, ""), Refused: ErrQuantityInvalid},
		"an adjustment of an unknown condition is refused":                  {Given: given(received(5)), When: adjust(1, "lost"), Refused: ErrConditionUnknown.With("", facts{"condition": "lost"})},
		"an adjustment with an unknown reason is refused":                   {Given: given(received(5)), When: Adjust{At: at, Change: 1, Reason: "why not"}, Refused: ErrReasonUnknown},
		"an adjustment with the reason other needs a note":                  {Given: given(received(5)), When: Adjust{At: at, Change: 1, Reason: OtherReason}, Refused: ErrNoteMissing},
		"the note of an adjustment has at most 500 characters":              {Given: given(received(5)), When: Adjust{At: at, Change: 1, Reason: Correction, Note: long}, Refused: ErrTextTooLong},
		"a count sets on hand":                                              {Given: given(received(5)), When: Count{At: at, Expected: 5, Counted: 3, Document: "C-1", Note: "shelf"}, Then: given(Counted{Key: lamp, Expected: 5, Counted: 3, Document: "C-1", Note: "shelf"})},
		"a count that finds the expected number is recorded":                {Given: given(received(5)), When: Count{At: at, Expected: 5, Counted: 5}, Then: given(Counted{Key: lamp, Expected: 5, Counted: 5}), Repeats: true},
		"an empty shelf can be counted":                                     {Given: given(received(5)), When: Count{At: at, Expected: 5}, Then: given(Counted{Key: lamp, Expected: 5})},
		"a count with a wrong expected number is refused":                   {Given: given(received(5)), When: Count{At: at, Expected: 4, Counted: 4}, Refused: ErrCountStale.With("", facts{"on_hand": 5, "expected": 4})},
		"a negative count is refused":                                       {Given: given(received(5)), When: Count{At: at, Expected: 5, Counted: -1}, Refused: ErrQuantityInvalid},
		"a count below the unavailable units is refused":                    {Given: given(received(5), moved(Available, Damaged, 2)), When: Count{At: at, Expected: 5, Counted: 1}, Refused: ErrBelowZero.With("", facts{"counted": 1, "unavailable": 2})},
		"the note of a count has at most 500 characters":                    {Given: given(received(5)), When: Count{At: at, Expected: 5, Counted: 5, Note: long}, Refused: ErrTextTooLong},
		"returned goods can be taken back":                                  {When: back, Then: given(returned)},
		"taking back an arrival again does nothing":                         {Given: given(returned), When: back, Nothing: true},
		"the next arrival of a return can be taken back":                    {Given: given(returned), When: TakeBack{At: at, ReturnID: "r1", Receipt: 2, Quantity: 2, Condition: Damaged}, Then: given(Returned{Key: lamp, ReturnID: "r1", Receipt: 2, Quantity: 2, Condition: Damaged})},
		"each condition of an arrival can be taken back":                    {Given: given(returned), When: TakeBack{At: at, ReturnID: "r1", Receipt: 1, Quantity: 2, Condition: Available}, Then: given(Returned{Key: lamp, ReturnID: "r1", Receipt: 1, Quantity: 2, Condition: Available})},
		"taking back an arrival again with another quantity is refused":     {Given: given(returned), When: TakeBack{At: at, ReturnID: "r1", Receipt: 1, Quantity: 3, Condition: Damaged}, Refused: ErrMovementDiffers.With("", facts{"recorded": 2, "requested": 3, "recorded_with": "o1", "requested_with": ""})},
		"taking back goods of an unknown condition is refused":              {When: TakeBack{At: at, ReturnID: "r1", Quantity: 2}, Refused: ErrConditionUnknown},
		"taking back zero units is refused":                                 {When: TakeBack{At: at, ReturnID: "r1", Condition: Available}, Refused: ErrQuantityInvalid},
		"returned goods that are damaged cannot be reserved":                {Given: given(returned), When: reserve(at, "a", 1), Refused: short(0, 1)},
		"returned goods that are available can be reserved":                 {Given: given(Returned{Key: lamp, ReturnID: "r1", Quantity: 1, Condition: Available}), When: reserve(at, "a", 1), Then: given(reserved("a", 1))},
		"goods can be set apart":                                            {Given: given(received(5)), When: Move{At: at, From: Available, To: QualityControl, Quantity: 5, Note: "wet"}, Then: given(Moved{Key: lamp, From: Available, To: QualityControl, Quantity: 5, Note: "wet"})},
		"goods of the safety stock can be set apart":                        {Given: given(received(5), policy(5, 0, 0)), When: Move{At: at, From: Available, To: Damaged, Quantity: 5}, Then: given(moved(Available, Damaged, 5))},
		"promised units cannot be set apart":                                {Given: given(received(5), reserved("a", 1), allocated("o1", 1)), When: Move{At: at, From: Available, To: Damaged, Quantity: 4}, Refused: ErrConditionShort.With("", facts{"condition": "available", "available": 3, "requested": 4})},
		"goods that were set apart can become available again":              {Given: given(received(5), moved(Available, OtherCondition, 5)), When: Move{At: at, From: OtherCondition, To: Available, Quantity: 5}, Then: given(moved(OtherCondition, Available, 5))},
		"more goods than were set apart cannot become available":            {Given: given(received(5), moved(Available, OtherCondition, 2)), When: Move{At: at, From: OtherCondition, To: Available, Quantity: 3}, Refused: ErrConditionShort.With("", facts{"condition": "other", "available": 2, "requested": 3})},
		"moving goods to the condition that they have does nothing":         {Given: given(received(5)), When: Move{At: at, From: Available, To: Available, Quantity: 3}, Nothing: true},
		"moving goods from an unknown condition is refused":                 {Given: given(received(5)), When: Move{At: at, From: "lost", To: Available, Quantity: 3}, Refused: ErrConditionUnknown},
		"moving goods to an unknown condition is refused":                   {Given: given(received(5)), When: Move{At: at, From: Available, To: "lost", Quantity: 3}, Refused: ErrConditionUnknown},
		"moving zero units is refused":                                      {Given: given(received(5)), When: Move{At: at, From: Available, To: Damaged}, Refused: ErrQuantityInvalid},
		"the note of a move has at most 500 characters":                     {Given: given(received(5)), When: Move{At: at, From: Available, To: Damaged, Quantity: 1, Note: long}, Refused: ErrTextTooLong},
		"goods can be sent to another location":                             {Given: given(received(5)), When: out, Then: given(TransferredOut{Key: lamp, TransferID: "t1", To: "north", Quantity: 4})},
		"sending a transfer again does nothing":                             {Given: given(received(9), TransferredOut{Key: lamp, TransferID: "t1", To: "north", Quantity: 4}), When: out, Nothing: true},
		"sending a transfer again with another quantity is refused":         {Given: given(received(9), TransferredOut{Key: lamp, TransferID: "t1", To: "north", Quantity: 3}), When: out, Refused: ErrMovementDiffers},
		"safety stock cannot be sent to another location":                   {Given: given(received(5), policy(2, 9, 0)), When: out, Refused: short(3, 4)},
		"promised goods cannot be sent to another location":                 {Given: given(received(5), reserved("a", 2)), When: out, Refused: short(3, 4)},
		"goods of a due reservation can be sent to another location":        {Given: given(received(5), reserved("a", 2)), When: TransferOut{At: then, TransferID: "t1", To: "north", Quantity: 4}, Then: given(expired("a", 2), TransferredOut{Key: lamp, TransferID: "t1", To: "north", Quantity: 4})},
		"goods cannot be sent to their own location":                        {Given: given(received(5)), When: TransferOut{At: at, TransferID: "t1", To: "main", Quantity: 4}, Refused: ErrSameLocation},
		"a transfer out of zero units is refused":                           {Given: given(received(5)), When: TransferOut{At: at, TransferID: "t1", To: "north"}, Refused: ErrQuantityInvalid},
		"goods can be taken in":                                             {When: in, Then: given(TransferredIn{Key: lamp, TransferID: "t1", From: "north", Quantity: 4})},
		"taking in a transfer again does nothing":                           {Given: given(TransferredIn{Key: lamp, TransferID: "t1", From: "north", Quantity: 4}), When: in, Nothing: true},
		"a transfer out does not count as the transfer in with the same id": {Given: given(received(4), TransferredOut{Key: lamp, TransferID: "t1", To: "north", Quantity: 4}), When: in, Then: given(TransferredIn{Key: lamp, TransferID: "t1", From: "north", Quantity: 4})},
		"goods cannot be taken in from their own location":                  {When: TransferIn{At: at, TransferID: "t1", From: "main", Quantity: 4}, Refused: ErrSameLocation},
		"a transfer in of zero units is refused":                            {When: TransferIn{At: at, TransferID: "t1", From: "north"}, Refused: ErrQuantityInvalid},
		"units that were sent away cannot be reserved":                      {Given: given(received(4), TransferredOut{Key: lamp, TransferID: "t1", To: "north", Quantity: 4}), When: reserve(at, "a", 1), Refused: short(0, 1)},
		"units that were taken in can be reserved":                          {Given: given(TransferredIn{Key: lamp, TransferID: "t1", From: "north", Quantity: 4}), When: reserve(at, "a", 4), Then: given(reserved("a", 4))},
		"shipped units cannot be reserved":                                  {Given: given(received(4), allocated("o1", 3), shipped("o1", "s1", 3)), When: reserve(at, "a", 2), Refused: short(1, 2)},
		"counted units can be reserved":                                     {Given: given(received(4), Counted{Key: lamp, Expected: 4, Counted: 9}), When: reserve(at, "a", 10), Refused: short(9, 10)},
		"damaged goods that were adjusted away are taken off once":          {Given: given(received(4), moved(Available, Damaged, 2), Adjusted{Key: lamp, Change: -2, Reason: Shrinkage, Condition: Damaged}), When: reserve(at, "a", 3), Refused: short(2, 3)},
	}
}

func policyRows() map[string]row {
	set := func(p Policy) SetPolicy { return SetPolicy{At: at, Policy: p} }
	return map[string]row{
		"a policy can be set":                                                {When: set(Policy{1, 2, 3}), Then: given(policy(1, 2, 3), crossed(-1, 3))},
		"setting the same policy again does nothing":                         {Given: given(policy(1, 2, 3)), When: set(Policy{1, 2, 3}), Nothing: true},
		"a negative safety stock is refused":                                 {When: set(Policy{SafetyStock: -1}), Refused: ErrPolicyInvalid},
		"a backorder limit of more than 1,000,000,000 units is refused":      {When: set(Policy{BackorderLimit: unit.MaxQuantity + 1}), Refused: ErrPolicyInvalid},
		"a negative reorder point is refused":                                {When: set(Policy{ReorderPoint: -1}), Refused: ErrPolicyInvalid},
		"a policy can be set that the present promises exceed":               {Given: given(received(5), reserved("a", 5)), When: set(Policy{SafetyStock: 2}), Then: given(policy(2, 0, 0))},
		"a reservation can reach the reorder point":                          {Given: given(received(5), policy(0, 0, 2)), When: reserve(at, "a", 3), Then: given(reserved("a", 3), crossed(2, 2))},
		"a reservation that stays above the reorder point does not cross it": {Given: given(received(5), policy(0, 0, 2)), When: reserve(at, "a", 2), Then: given(reserved("a", 2))},
		"a reservation below the reorder point does not cross it again":      {Given: given(received(5), policy(0, 0, 2), reserved("a", 3)), When: reserve(at, "b", 1), Then: given(reserved("b", 1))},
		"a reservation can cross the reorder point again after a release":    {Given: given(received(5), policy(0, 0, 2), reserved("a", 3), released("a", 3)), When: reserve(at, "b", 4), Then: given(reserved("b", 4), crossed(1, 2))},
		"an allocation can reach the reorder point":                          {Given: given(received(5), policy(0, 0, 2)), When: Allocate{At: at, OrderID: "o1", Quantity: 3}, Then: given(allocated("o1", 3), crossed(2, 2))},
		"an adjustment can reach the reorder point":                          {Given: given(received(5), policy(0, 0, 2)), When: Adjust{At: at, Change: -4, Reason: Shrinkage}, Then: given(Adjusted{Key: lamp, Change: -4, Reason: Shrinkage}, crossed(1, 2))},
		"an adjustment of damaged goods does not cross the reorder point":    {Given: given(received(5), policy(0, 0, 2), moved(Available, Damaged, 2)), When: Adjust{At: at, Change: -2, Reason: Shrinkage, Condition: Damaged}, Then: given(Adjusted{Key: lamp, Change: -2, Reason: Shrinkage, Condition: Damaged})},
		"a count can reach the reorder point":                                {Given: given(received(5), policy(0, 0, 2)), When: Count{At: at, Expected: 5, Counted: 1}, Then: given(Counted{Key: lamp, Expected: 5, Counted: 1}, crossed(1, 2))},
		"setting goods apart can reach the reorder point":                    {Given: given(received(5), policy(0, 0, 2)), When: Move{At: at, From: Available, To: Damaged, Quantity: 3}, Then: given(moved(Available, Damaged, 3), crossed(2, 2))},
		"a transfer can reach the reorder point":                             {Given: given(received(5), policy(0, 0, 2)), When: TransferOut{At: at, TransferID: "t", To: "north", Quantity: 3}, Then: given(TransferredOut{Key: lamp, TransferID: "t", To: "north", Quantity: 3}, crossed(2, 2))},
		"more safety stock can reach the reorder point":                      {Given: given(received(5), policy(0, 0, 2)), When: set(Policy{3, 0, 2}), Then: given(policy(3, 0, 2), crossed(2, 2))},
		"a higher reorder point can be reached at once":                      {Given: given(received(5), policy(0, 0, 2)), When: set(Policy{0, 0, 5}), Then: given(policy(0, 0, 5), crossed(5, 5))},
		"a shipment does not cross the reorder point":                        {Given: given(received(5), policy(0, 0, 2), allocated("o1", 2)), When: Ship{At: at, OrderID: "o1", ShipmentID: "s1", Quantity: 2}, Then: given(shipped("o1", "s1", 2))},
		"a commitment does not cross the reorder point":                      {Given: given(received(5), policy(0, 0, 2), reserved("a", 2)), When: Commit{At: at, ReservationID: "a"}, Then: given(committed("a", 2))},
		"units of a due reservation count as available for the reorder point": {
			Given: given(received(5), policy(0, 0, 2), reserved("a", 3)), When: Allocate{At: then, OrderID: "o1", Quantity: 3},
			Then: given(expired("a", 3), allocated("o1", 3), crossed(2, 2)),
		},
	}
}

func TestReservations(t *testing.T) { stocks.Run(t, reservationRows()) }
func TestPromises(t *testing.T)     { stocks.Run(t, promiseRows()) }
func TestMovements(t *testing.T)    { stocks.Run(t, movementRows()) }
func TestPolicy(t *testing.T)       { stocks.Run(t, policyRows()) }

func TestEveryRefusalHasARow(t *testing.T) {
	stocks.EveryRefusalHasARow(t, Rejections, reservationRows(), promiseRows(), movementRows(), policyRows(), limitRows(), originRows())
}
