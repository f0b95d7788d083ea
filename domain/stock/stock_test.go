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
		"units on hand can be reserved":           {Given: given(received(5)), When: reserve(at, "a", 5), Then: given(reserved("a", 5))},
		"missing units cannot be reserved":        {Given: given(received(5)), When: reserve(at, "a", 6), Refused: short(5, 6)},
		"nothing is there at first":               {When: reserve(at, "a", 1), Refused: short(0, 1)},
		"reserved units cannot be reserved again": {Given: given(received(5), reserved("a", 4)), When: reserve(at, "b", 2), Refused: short(1, 2)},
		"allocated units cannot be reserved":      {Given: given(received(5), allocated("o1", 4)), When: reserve(at, "b", 2), Refused: short(1, 2)},
		"damaged goods are not sold":              {Given: given(received(5), moved(Available, Damaged, 4)), When: reserve(at, "b", 2), Refused: short(1, 2)},
		"safety stock is kept back":               {Given: given(received(5), policy(4, 0, 0)), When: reserve(at, "b", 2), Refused: short(1, 2)},
		"a backorder limit can be promised":       {Given: given(received(5), policy(0, 3, 0)), When: reserve(at, "a", 8), Then: given(reserved("a", 8))},
		"and no more":                             {Given: given(received(5), policy(0, 3, 0), reserved("a", 6)), When: reserve(at, "b", 3), Refused: short(2, 3)},
		"overdrawn stock is shown as none left":   {Given: given(received(5), reserved("a", 5), Adjusted{Key: lamp, Change: -2, Reason: Shrinkage}), When: reserve(at, "b", 1), Refused: short(0, 1)},
		"reserving twice is reserving once":       {Given: given(received(5), reserved("a", 5)), When: reserve(at, "a", 5), Nothing: true},
		"another quantity is something else":      {Given: given(received(5), reserved("a", 5)), When: reserve(at, "a", 4), Refused: ErrReservationDiffers.With("", facts{"reservation_id": "a", "order_id": "o-a", "quantity": 5})},
		"another owner is something else":         {Given: given(received(5), reserved("a", 5)), When: Reserve{At: at, ReservationID: "a", OrderID: "o-b", Quantity: 5, ExpiresAt: soon}, Refused: ErrReservationDiffers},
		"a released one is not revived":           {Given: given(received(5), reserved("a", 5), released("a", 5)), When: reserve(at, "a", 5), Refused: endedAs(EndReleased)},
		"nor is an expired one":                   {Given: given(received(5), reserved("a", 5), expired("a", 5)), When: reserve(at, "a", 5), Refused: endedAs(EndExpired)},
		"nor a committed one":                     {Given: given(received(5), reserved("a", 5), committed("a", 5)), When: reserve(at, "a", 5), Refused: endedAs(EndCommitted)},
		"nor one that is due":                     {Given: given(received(5), reserved("a", 5)), When: reserve(then, "a", 5), Refused: endedAs(EndExpired)},
		"no units are no reservation":             {Given: given(received(5)), When: reserve(at, "a", 0), Refused: ErrQuantityInvalid},
		"nor are negative ones":                   {Given: given(received(5)), When: reserve(at, "a", -1), Refused: ErrQuantityInvalid},
		"nor too many":                            {Given: given(received(5), policy(0, unit.MaxQuantity, 0)), When: reserve(at, "a", unit.MaxQuantity+1), Refused: ErrQuantityInvalid},
		"a deadline lies ahead":                   {Given: given(received(5)), When: Reserve{At: at, ReservationID: "a", OrderID: "o-a", Quantity: 5, ExpiresAt: noon}, Refused: ErrDeadlinePassed},
		"a deadline is recorded in UTC":           {Given: given(received(5)), When: Reserve{At: at, ReservationID: "a", OrderID: "o-a", Quantity: 5, ExpiresAt: soon.In(time.FixedZone("CET", 3600))}, Then: given(reserved("a", 5))},
		"from its deadline on a reservation is over, swept or not": {
			Given: given(received(5), reserved("a", 5)), When: reserve(then, "b", 2), Then: given(expired("a", 5), later),
		},
		"an instant before it holds": {
			Given: given(received(5), reserved("a", 5)), When: reserve(At{Key: lamp, Now: soon.Add(-1)}, "b", 2), Refused: short(0, 2),
		},
		"a refusal records no end": {Given: given(received(5), reserved("a", 2)), When: reserve(then, "b", 6), Refused: short(5, 6)},
		"a deadline can be moved": {
			Given: given(received(5), reserved("a", 5)), When: Extend{At: at, ReservationID: "a", ExpiresAt: late}, Then: given(extended("a", late)),
		},
		"to what it is, nothing":    {Given: given(received(5), reserved("a", 5)), When: Extend{At: at, ReservationID: "a", ExpiresAt: soon}, Nothing: true},
		"not into the past":         {Given: given(received(5), reserved("a", 5)), When: Extend{At: at, ReservationID: "a", ExpiresAt: noon}, Refused: ErrDeadlinePassed},
		"not once it is due":        {Given: given(received(5), reserved("a", 5)), When: Extend{At: then, ReservationID: "a", ExpiresAt: late}, Refused: endedAs(EndExpired)},
		"not once it has ended":     {Given: given(received(5), reserved("a", 5), released("a", 5)), When: Extend{At: at, ReservationID: "a", ExpiresAt: late}, Refused: endedAs(EndReleased)},
		"not of none":               {When: Extend{At: at, ReservationID: "a", ExpiresAt: late}, Refused: ErrReservationUnknown.With("", facts{"reservation_id": "a"})},
		"an extended one holds":     {Given: given(received(5), reserved("a", 5), extended("a", late)), When: reserve(then, "b", 2), Refused: short(0, 2)},
		"and a shortened one ends":  {Given: given(received(5), reserved("a", 5), extended("a", noon.Add(time.Minute))), When: reserve(At{Key: lamp, Now: noon.Add(time.Minute)}, "b", 6), Refused: short(5, 6)},
		"a reservation is released": {Given: given(received(5), reserved("a", 5)), When: Release{At: at, ReservationID: "a"}, Then: given(released("a", 5))},
		"the reason is kept": {
			Given: given(received(5), reserved("a", 5)), When: Release{At: at, ReservationID: "a", Reason: "canceled"},
			Then: given(ReservationReleased{Key: lamp, ReservationID: "a", OrderID: "o-a", Quantity: 5, Reason: "canceled"}),
		},
		"releasing again is nothing":  {Given: given(received(5), reserved("a", 5), released("a", 5)), When: Release{At: at, ReservationID: "a"}, Nothing: true},
		"releasing none is nothing":   {When: Release{At: at, ReservationID: "a"}, Nothing: true},
		"a due one released, expires": {Given: given(received(5), reserved("a", 2), reserved("b", 3)), When: Release{At: then, ReservationID: "b"}, Then: given(expired("a", 2), expired("b", 3))},
		"a long reason is refused":    {Given: given(received(5), reserved("a", 5)), When: Release{At: at, ReservationID: "a", Reason: strings.Repeat("x", 501)}, Refused: ErrTextTooLong.With("", facts{"field": "reason", "max_characters": 500})},
		"due reservations expire": {
			Given: given(received(9), reserved("b", 2), reserved("a", 3), extended("a", soon.Add(-time.Minute))), When: ExpireDue{At: then},
			Then: given(expired("a", 3), expired("b", 2)),
		},
		"nothing due, nothing":            {Given: given(received(9), reserved("a", 3)), When: ExpireDue{At: at}, Nothing: true},
		"a reservation is committed":      {Given: given(received(5), reserved("a", 5)), When: Commit{At: at, ReservationID: "a"}, Then: given(committed("a", 5))},
		"committing again is nothing":     {Given: given(received(5), reserved("a", 5), committed("a", 5)), When: Commit{At: at, ReservationID: "a"}, Nothing: true},
		"even after the deadline":         {Given: given(received(5), reserved("a", 5), committed("a", 5)), When: Commit{At: then, ReservationID: "a"}, Nothing: true},
		"a due one is not committed":      {Given: given(received(5), reserved("a", 5)), When: Commit{At: then, ReservationID: "a"}, Refused: endedAs(EndExpired)},
		"a released one is not committed": {Given: given(received(5), reserved("a", 5), released("a", 5)), When: Commit{At: at, ReservationID: "a"}, Refused: endedAs(EndReleased)},
		"none is not committed":           {When: Commit{At: at, ReservationID: "a"}, Refused: ErrReservationUnknown},
		"a promise once made is kept": {
			Given: given(received(5), reserved("a", 5), Adjusted{Key: lamp, Change: -5, Reason: Shrinkage}), When: Commit{At: at, ReservationID: "a"},
			Then: given(committed("a", 5)),
		},
		"a committed one holds beyond its deadline": {Given: given(received(5), reserved("a", 5), committed("a", 5)), When: reserve(then, "b", 1), Refused: short(0, 1)},
	}
}

func promiseRows() map[string]row {
	ship := Ship{At: at, OrderID: "o1", ShipmentID: "s1", Quantity: 3}
	forced := Shipped{Key: lamp, OrderID: "o1", ShipmentID: "s1", Quantity: 3, Forced: true}
	lost := Adjusted{Key: lamp, Change: -4, Reason: Shrinkage}
	withRef := Deallocated{Key: lamp, OrderID: "o1", Ref: "cancel/1", Quantity: 2}
	return map[string]row{
		"goods can be allocated":                      {Given: given(received(5)), When: Allocate{At: at, OrderID: "o1", Quantity: 3}, Then: given(allocated("o1", 3))},
		"the same total again is nothing":             {Given: given(received(5), allocated("o1", 3)), When: Allocate{At: at, OrderID: "o1", Quantity: 3}, Nothing: true},
		"a larger total takes the rest":               {Given: given(received(5), allocated("o1", 3)), When: Allocate{At: at, OrderID: "o1", Quantity: 5}, Then: given(allocated("o1", 2))},
		"a smaller one takes nothing back":            {Given: given(received(5), allocated("o1", 3)), When: Allocate{At: at, OrderID: "o1", Quantity: 2}, Nothing: true},
		"what has shipped is part of it":              {Given: given(received(5), allocated("o1", 3), shipped("o1", "s1", 2)), When: Allocate{At: at, OrderID: "o1", Quantity: 3}, Nothing: true},
		"even when all has shipped":                   {Given: given(received(5), allocated("o1", 3), shipped("o1", "s1", 3)), When: Allocate{At: at, OrderID: "o1", Quantity: 3}, Nothing: true},
		"and more can follow":                         {Given: given(received(5), allocated("o1", 3), shipped("o1", "s1", 3)), When: Allocate{At: at, OrderID: "o1", Quantity: 4}, Then: given(allocated("o1", 1))},
		"and then as much again is nothing":           {Given: given(received(5), allocated("o1", 3), shipped("o1", "s1", 3), allocated("o1", 1), shipped("o1", "s2", 1)), When: Allocate{At: at, OrderID: "o1", Quantity: 4}, Nothing: true},
		"no more is allocated than is there":          {Given: given(received(5), allocated("o1", 3)), When: Allocate{At: at, OrderID: "o2", Quantity: 3}, Refused: short(2, 3)},
		"none is no allocation":                       {Given: given(received(5)), When: Allocate{At: at, OrderID: "o1"}, Refused: ErrQuantityInvalid},
		"due reservations make room for it":           {Given: given(received(5), reserved("a", 5)), When: Allocate{At: then, OrderID: "o1", Quantity: 3}, Then: given(expired("a", 5), allocated("o1", 3))},
		"an allocation can be taken back":             {Given: given(received(5), allocated("o1", 3)), When: Deallocate{At: at, OrderID: "o1", Quantity: 2, Reason: "canceled"}, Then: given(Deallocated{Key: lamp, OrderID: "o1", Quantity: 2, Reason: "canceled"}), Repeats: true},
		"at most the rest of the allocation":          {Given: given(received(5), allocated("o1", 3)), When: Deallocate{At: at, OrderID: "o1", Quantity: 9}, Then: given(Deallocated{Key: lamp, OrderID: "o1", Quantity: 3})},
		"of none, nothing":                            {Given: given(received(5)), When: Deallocate{At: at, OrderID: "o1", Quantity: 9}, Nothing: true},
		"for one step once":                           {Given: given(received(5), allocated("o1", 5)), When: Deallocate{At: at, OrderID: "o1", Ref: "cancel/1", Quantity: 2}, Then: given(withRef)},
		"and for the next step again":                 {Given: given(received(5), allocated("o1", 5), withRef), When: Deallocate{At: at, OrderID: "o1", Ref: "cancel/2", Quantity: 1}, Then: given(Deallocated{Key: lamp, OrderID: "o1", Ref: "cancel/2", Quantity: 1})},
		"a negative quantity takes nothing":           {Given: given(received(5), allocated("o1", 3)), When: Deallocate{At: at, OrderID: "o1", Quantity: -1}, Refused: ErrQuantityInvalid},
		"a reason is bounded":                         {Given: given(received(5), allocated("o1", 3)), When: Deallocate{At: at, OrderID: "o1", Quantity: 1, Reason: strings.Repeat("x", 501)}, Refused: ErrTextTooLong},
		"a ref is bounded":                            {Given: given(received(5), allocated("o1", 3)), When: Deallocate{At: at, OrderID: "o1", Quantity: 1, Ref: strings.Repeat("x", 101)}, Refused: ErrTextTooLong.With("", facts{"field": "ref", "max_characters": 100})},
		"allocated units can be shipped":              {Given: given(received(5), allocated("o1", 3)), When: ship, Then: given(shipped("o1", "s1", 3))},
		"a shipment ships once":                       {Given: given(received(5), allocated("o1", 5), shipped("o1", "s1", 3)), When: ship, Nothing: true},
		"another shipment ships again":                {Given: given(received(9), allocated("o1", 6), shipped("o1", "s0", 3)), When: ship, Then: given(shipped("o1", "s1", 3))},
		"shipments are named within an order":         {Given: given(received(9), allocated("o2", 3), shipped("o2", "s1", 3), allocated("o1", 3)), When: ship, Then: given(shipped("o1", "s1", 3))},
		"with another quantity it is another":         {Given: given(received(5), allocated("o1", 5), shipped("o1", "s1", 2)), When: ship, Refused: ErrMovementDiffers.With("", facts{"recorded": 2, "requested": 3})},
		"units without an allocation are not shipped": {Given: given(received(5), allocated("o1", 2)), When: ship, Refused: ErrNotAllocated.With("", facts{"order_id": "o1", "allocated": 2, "requested": 3})},
		"unless it has left, and force says so":       {Given: given(received(5)), When: Ship{At: at, OrderID: "o1", ShipmentID: "s1", Quantity: 3, Force: true}, Then: given(Shipped{Key: lamp, OrderID: "o1", ShipmentID: "s1", Quantity: 3, Unpromised: 3})},
		"units that are not on hand are not shipped":  {Given: given(received(5), allocated("o1", 3), lost), When: ship, Refused: ErrNotOnHand.With("", facts{"on_hand": 1, "unavailable": 0, "requested": 3})},
		"damaged goods are not shipped":               {Given: given(received(5), Returned{Key: lamp, ReturnID: "r", Quantity: 2, Condition: Damaged}, allocated("o1", 3), lost), When: ship, Refused: ErrNotOnHand.With("", facts{"on_hand": 3, "unavailable": 2, "requested": 3})},
		"unless it is forced, and recorded":           {Given: given(received(5), allocated("o1", 3), lost), When: Ship{At: at, OrderID: "o1", ShipmentID: "s1", Quantity: 3, Force: true}, Then: given(forced)},
		"force without need is not recorded":          {Given: given(received(5), allocated("o1", 3)), When: Ship{At: at, OrderID: "o1", ShipmentID: "s1", Quantity: 3, Force: true}, Then: given(shipped("o1", "s1", 3))},
		"none is no shipment":                         {Given: given(received(5), allocated("o1", 3)), When: Ship{At: at, OrderID: "o1", ShipmentID: "s1"}, Refused: ErrQuantityInvalid},
		"a committed reservation can be shipped": {
			Given: given(received(5), reserved("a", 3), committed("a", 3)), When: Ship{At: at, OrderID: "o-a", ShipmentID: "s1", Quantity: 3},
			Then: given(shipped("o-a", "s1", 3)),
		},
		"a reserved one cannot": {Given: given(received(5), reserved("a", 3)), When: Ship{At: at, OrderID: "o-a", ShipmentID: "s1", Quantity: 3}, Refused: ErrNotAllocated},
		"what came after a forced dispatch mends it first": {
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
	out := TransferOut{At: at, TransferID: "t1", To: "north", Quantity: 4}
	in := TransferIn{At: at, TransferID: "t1", From: "north", Quantity: 4}
	long := strings.Repeat("x", 501)
	return map[string]row{
		"goods can be received":          {When: Receive{At: at, Quantity: 5, Document: "PO-7", Note: "two pallets"}, Then: given(Received{Key: lamp, Quantity: 5, Document: "PO-7", Note: "two pallets"}), Repeats: true},
		"none cannot":                    {When: Receive{At: at}, Refused: ErrQuantityInvalid},
		"a note is bounded":              {When: Receive{At: at, Quantity: 1, Note: long}, Refused: ErrTextTooLong.With("", facts{"field": "note", "max_characters": 500})},
		"a document's number, too":       {When: Receive{At: at, Quantity: 1, Document: long}, Refused: ErrTextTooLong.With("", facts{"field": "document", "max_characters": 100})},
		"on hand can be corrected":       {Given: given(received(5)), When: adjust(-5, ""), Then: given(Adjusted{Key: lamp, Change: -5, Reason: Shrinkage})},
		"upwards, too":                   {When: Adjust{At: at, Change: 5, Reason: OtherReason, Document: "1", Note: "found"}, Then: given(Adjusted{Key: lamp, Change: 5, Reason: OtherReason, Document: "1", Note: "found"}), Repeats: true},
		"not below zero":                 {Given: given(received(5)), When: adjust(-6, ""), Refused: ErrBelowZero.With("", facts{"on_hand": 5, "unavailable": 0, "change": -6})},
		"not into the unavailable units": {Given: given(received(5), moved(Available, Damaged, 2)), When: adjust(-4, Available), Refused: ErrBelowZero.With("", facts{"on_hand": 5, "unavailable": 2, "change": -4})},
		"promised goods may be missing":  {Given: given(received(5), allocated("o1", 5)), When: adjust(-2, ""), Then: given(Adjusted{Key: lamp, Change: -2, Reason: Shrinkage}), Repeats: true},
		"damaged goods can be thrown out, and are then gone": {
			Given: given(received(5), moved(Available, Damaged, 2)), When: adjust(-2, Damaged),
			Then: given(Adjusted{Key: lamp, Change: -2, Reason: Shrinkage, Condition: Damaged}),
		},
		"and no more than there are":      {Given: given(received(5), moved(Available, Damaged, 2)), When: adjust(-3, Damaged), Refused: ErrConditionShort.With("", facts{"condition": "damaged", "available": 2, "requested": 3})},
		"no change is no adjustment":      {Given: given(received(5)), When: adjust(0, ""), Refused: ErrQuantityInvalid},
		"a change is bounded":             {Given: given(received(5)), When: adjust(-unit.MaxQuantity-1, ""), Refused: ErrQuantityInvalid},
		"a condition is known":            {Given: given(received(5)), When: adjust(1, "lost"), Refused: ErrConditionUnknown.With("", facts{"condition": "lost"})},
		"a reason is known":               {Given: given(received(5)), When: Adjust{At: at, Change: 1, Reason: "why not"}, Refused: ErrReasonUnknown},
		"another reason says which":       {Given: given(received(5)), When: Adjust{At: at, Change: 1, Reason: OtherReason}, Refused: ErrNoteMissing},
		"an adjustment's note":            {Given: given(received(5)), When: Adjust{At: at, Change: 1, Reason: Correction, Note: long}, Refused: ErrTextTooLong},
		"a count sets on hand":            {Given: given(received(5)), When: Count{At: at, Expected: 5, Counted: 3, Document: "C-1", Note: "shelf"}, Then: given(Counted{Key: lamp, Expected: 5, Counted: 3, Document: "C-1", Note: "shelf"})},
		"a count that agrees is a fact":   {Given: given(received(5)), When: Count{At: at, Expected: 5, Counted: 5}, Then: given(Counted{Key: lamp, Expected: 5, Counted: 5}), Repeats: true},
		"an empty shelf can be counted":   {Given: given(received(5)), When: Count{At: at, Expected: 5}, Then: given(Counted{Key: lamp, Expected: 5})},
		"a stale count is refused":        {Given: given(received(5)), When: Count{At: at, Expected: 4, Counted: 4}, Refused: ErrCountStale.With("", facts{"on_hand": 5, "expected": 4})},
		"a count is not negative":         {Given: given(received(5)), When: Count{At: at, Expected: 5, Counted: -1}, Refused: ErrQuantityInvalid},
		"not below the unavailable units": {Given: given(received(5), moved(Available, Damaged, 2)), When: Count{At: at, Expected: 5, Counted: 1}, Refused: ErrBelowZero.With("", facts{"counted": 1, "unavailable": 2})},
		"a count's note":                  {Given: given(received(5)), When: Count{At: at, Expected: 5, Counted: 5, Note: long}, Refused: ErrTextTooLong},
		"returned goods come back":        {When: back, Then: given(returned)},
		"an arrival comes back once":      {Given: given(returned), When: back, Nothing: true},
		"the next arrival again":          {Given: given(returned), When: TakeBack{At: at, ReturnID: "r1", Receipt: 2, Quantity: 2, Condition: Damaged}, Then: given(Returned{Key: lamp, ReturnID: "r1", Receipt: 2, Quantity: 2, Condition: Damaged})},
		"and each condition":              {Given: given(returned), When: TakeBack{At: at, ReturnID: "r1", Receipt: 1, Quantity: 2, Condition: Available}, Then: given(Returned{Key: lamp, ReturnID: "r1", Receipt: 1, Quantity: 2, Condition: Available})},
		"another number is another":       {Given: given(returned), When: TakeBack{At: at, ReturnID: "r1", Receipt: 1, Quantity: 3, Condition: Damaged}, Refused: ErrMovementDiffers.With("", facts{"recorded": 2, "requested": 3, "recorded_with": "o1", "requested_with": ""})},
		"a return's condition is known":   {When: TakeBack{At: at, ReturnID: "r1", Quantity: 2}, Refused: ErrConditionUnknown},
		"nothing does not come back":      {When: TakeBack{At: at, ReturnID: "r1", Condition: Available}, Refused: ErrQuantityInvalid},
		"damaged returns are not sold":    {Given: given(returned), When: reserve(at, "a", 1), Refused: short(0, 1)},
		"good returns are":                {Given: given(Returned{Key: lamp, ReturnID: "r1", Quantity: 1, Condition: Available}), When: reserve(at, "a", 1), Then: given(reserved("a", 1))},
		"goods can be set apart":          {Given: given(received(5)), When: Move{At: at, From: Available, To: QualityControl, Quantity: 5, Note: "wet"}, Then: given(Moved{Key: lamp, From: Available, To: QualityControl, Quantity: 5, Note: "wet"})},
		"safety stock, too":               {Given: given(received(5), policy(5, 0, 0)), When: Move{At: at, From: Available, To: Damaged, Quantity: 5}, Then: given(moved(Available, Damaged, 5))},
		"promised units cannot be moved":  {Given: given(received(5), reserved("a", 1), allocated("o1", 1)), When: Move{At: at, From: Available, To: Damaged, Quantity: 4}, Refused: ErrConditionShort.With("", facts{"condition": "available", "available": 3, "requested": 4})},
		"and can come back":               {Given: given(received(5), moved(Available, OtherCondition, 5)), When: Move{At: at, From: OtherCondition, To: Available, Quantity: 5}, Then: given(moved(OtherCondition, Available, 5))},
		"not more than were set apart":    {Given: given(received(5), moved(Available, OtherCondition, 2)), When: Move{At: at, From: OtherCondition, To: Available, Quantity: 3}, Refused: ErrConditionShort.With("", facts{"condition": "other", "available": 2, "requested": 3})},
		"where it stands, nothing":        {Given: given(received(5)), When: Move{At: at, From: Available, To: Available, Quantity: 3}, Nothing: true},
		"from a known condition":          {Given: given(received(5)), When: Move{At: at, From: "lost", To: Available, Quantity: 3}, Refused: ErrConditionUnknown},
		"to a known condition":            {Given: given(received(5)), When: Move{At: at, From: Available, To: "lost", Quantity: 3}, Refused: ErrConditionUnknown},
		"some of them":                    {Given: given(received(5)), When: Move{At: at, From: Available, To: Damaged}, Refused: ErrQuantityInvalid},
		"a move's note":                   {Given: given(received(5)), When: Move{At: at, From: Available, To: Damaged, Quantity: 1, Note: long}, Refused: ErrTextTooLong},
		"goods can be sent on":            {Given: given(received(5)), When: out, Then: given(TransferredOut{Key: lamp, TransferID: "t1", To: "north", Quantity: 4})},
		"a transfer goes out once":        {Given: given(received(9), TransferredOut{Key: lamp, TransferID: "t1", To: "north", Quantity: 4}), When: out, Nothing: true},
		"with another quantity, not":      {Given: given(received(9), TransferredOut{Key: lamp, TransferID: "t1", To: "north", Quantity: 3}), When: out, Refused: ErrMovementDiffers},
		"safety stock stays":              {Given: given(received(5), policy(2, 9, 0)), When: out, Refused: short(3, 4)},
		"promised goods stay":             {Given: given(received(5), reserved("a", 2)), When: out, Refused: short(3, 4)},
		"due ones no longer":              {Given: given(received(5), reserved("a", 2)), When: TransferOut{At: then, TransferID: "t1", To: "north", Quantity: 4}, Then: given(expired("a", 2), TransferredOut{Key: lamp, TransferID: "t1", To: "north", Quantity: 4})},
		"from one place to another":       {Given: given(received(5)), When: TransferOut{At: at, TransferID: "t1", To: "main", Quantity: 4}, Refused: ErrSameLocation},
		"none is not sent":                {Given: given(received(5)), When: TransferOut{At: at, TransferID: "t1", To: "north"}, Refused: ErrQuantityInvalid},
		"goods can be taken in":           {When: in, Then: given(TransferredIn{Key: lamp, TransferID: "t1", From: "north", Quantity: 4})},
		"a transfer comes in once":        {Given: given(TransferredIn{Key: lamp, TransferID: "t1", From: "north", Quantity: 4}), When: in, Nothing: true},
		"out and in are two":              {Given: given(received(4), TransferredOut{Key: lamp, TransferID: "t1", To: "north", Quantity: 4}), When: in, Then: given(TransferredIn{Key: lamp, TransferID: "t1", From: "north", Quantity: 4})},
		"in from another place":           {When: TransferIn{At: at, TransferID: "t1", From: "main", Quantity: 4}, Refused: ErrSameLocation},
		"none is not taken in":            {When: TransferIn{At: at, TransferID: "t1", From: "north"}, Refused: ErrQuantityInvalid},
		"transferred units are gone":      {Given: given(received(4), TransferredOut{Key: lamp, TransferID: "t1", To: "north", Quantity: 4}), When: reserve(at, "a", 1), Refused: short(0, 1)},
		"received transfers are on hand":  {Given: given(TransferredIn{Key: lamp, TransferID: "t1", From: "north", Quantity: 4}), When: reserve(at, "a", 4), Then: given(reserved("a", 4))},
		"shipped units are gone":          {Given: given(received(4), allocated("o1", 3), shipped("o1", "s1", 3)), When: reserve(at, "a", 2), Refused: short(1, 2)},
		"counted units are on hand":       {Given: given(received(4), Counted{Key: lamp, Expected: 4, Counted: 9}), When: reserve(at, "a", 10), Refused: short(9, 10)},
		"goods thrown out are gone once":  {Given: given(received(4), moved(Available, Damaged, 2), Adjusted{Key: lamp, Change: -2, Reason: Shrinkage, Condition: Damaged}), When: reserve(at, "a", 3), Refused: short(2, 3)},
	}
}

func policyRows() map[string]row {
	set := func(p Policy) SetPolicy { return SetPolicy{At: at, Policy: p} }
	return map[string]row{
		"a policy can be set":              {When: set(Policy{1, 2, 3}), Then: given(policy(1, 2, 3), crossed(-1, 3))},
		"as it is, nothing":                {Given: given(policy(1, 2, 3)), When: set(Policy{1, 2, 3}), Nothing: true},
		"safety stock is not negative":     {When: set(Policy{SafetyStock: -1}), Refused: ErrPolicyInvalid},
		"a backorder limit is bounded":     {When: set(Policy{BackorderLimit: unit.MaxQuantity + 1}), Refused: ErrPolicyInvalid},
		"a reorder point is not negative":  {When: set(Policy{ReorderPoint: -1}), Refused: ErrPolicyInvalid},
		"it may break present promises":    {Given: given(received(5), reserved("a", 5)), When: set(Policy{SafetyStock: 2}), Then: given(policy(2, 0, 0))},
		"reaching the reorder point tells": {Given: given(received(5), policy(0, 0, 2)), When: reserve(at, "a", 3), Then: given(reserved("a", 3), crossed(2, 2))},
		"above it, not":                    {Given: given(received(5), policy(0, 0, 2)), When: reserve(at, "a", 2), Then: given(reserved("a", 2))},
		"below it, not again":              {Given: given(received(5), policy(0, 0, 2), reserved("a", 3)), When: reserve(at, "b", 1), Then: given(reserved("b", 1))},
		"from above it, again":             {Given: given(received(5), policy(0, 0, 2), reserved("a", 3), released("a", 3)), When: reserve(at, "b", 4), Then: given(reserved("b", 4), crossed(1, 2))},
		"by an allocation":                 {Given: given(received(5), policy(0, 0, 2)), When: Allocate{At: at, OrderID: "o1", Quantity: 3}, Then: given(allocated("o1", 3), crossed(2, 2))},
		"by an adjustment":                 {Given: given(received(5), policy(0, 0, 2)), When: Adjust{At: at, Change: -4, Reason: Shrinkage}, Then: given(Adjusted{Key: lamp, Change: -4, Reason: Shrinkage}, crossed(1, 2))},
		"not by throwing damaged ones out": {Given: given(received(5), policy(0, 0, 2), moved(Available, Damaged, 2)), When: Adjust{At: at, Change: -2, Reason: Shrinkage, Condition: Damaged}, Then: given(Adjusted{Key: lamp, Change: -2, Reason: Shrinkage, Condition: Damaged})},
		"by a count":                       {Given: given(received(5), policy(0, 0, 2)), When: Count{At: at, Expected: 5, Counted: 1}, Then: given(Counted{Key: lamp, Expected: 5, Counted: 1}, crossed(1, 2))},
		"by setting goods apart":           {Given: given(received(5), policy(0, 0, 2)), When: Move{At: at, From: Available, To: Damaged, Quantity: 3}, Then: given(moved(Available, Damaged, 3), crossed(2, 2))},
		"by a transfer":                    {Given: given(received(5), policy(0, 0, 2)), When: TransferOut{At: at, TransferID: "t", To: "north", Quantity: 3}, Then: given(TransferredOut{Key: lamp, TransferID: "t", To: "north", Quantity: 3}, crossed(2, 2))},
		"by more safety stock":             {Given: given(received(5), policy(0, 0, 2)), When: set(Policy{3, 0, 2}), Then: given(policy(3, 0, 2), crossed(2, 2))},
		"by a higher reorder point":        {Given: given(received(5), policy(0, 0, 2)), When: set(Policy{0, 0, 5}), Then: given(policy(0, 0, 5), crossed(5, 5))},
		"not by a shipment":                {Given: given(received(5), policy(0, 0, 2), allocated("o1", 2)), When: Ship{At: at, OrderID: "o1", ShipmentID: "s1", Quantity: 2}, Then: given(shipped("o1", "s1", 2))},
		"not by a commitment":              {Given: given(received(5), policy(0, 0, 2), reserved("a", 2)), When: Commit{At: at, ReservationID: "a"}, Then: given(committed("a", 2))},
		"a reservation that is due counts as above it": {
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
