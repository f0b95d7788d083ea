package stock

import (
	"testing"
	"time"

	"daybook/domain/decidertest"
	"daybook/domain/unit"
)

var lamp = Key{SKU: "LAMP", Location: "main"}

func TestWireForm(t *testing.T) {
	k := Key{SKU: `85123A "£"`, Location: "main"}
	until := time.Date(2026, 3, 1, 12, 15, 0, 123456000, time.UTC)
	const id = unit.ReservationID("2ab60df2-4b0c-5c0b-9e5e-3c1f5f1d1a11")
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{
		Received{Key: k, Quantity: 100, Document: "PO-7", Note: "two pallets"},
		Received{Key: k, Quantity: 100},
		Adjusted{Key: k, Change: -3, Reason: Shrinkage, Document: "563186", Note: "thrown away"},
		Adjusted{Key: k, Change: -3, Reason: DamagedGoods, Condition: Damaged},
		Counted{Key: k, Expected: 100, Counted: 97, Document: "C-1", Note: "shelf 4"},
		Reserved{Key: k, ReservationID: id, OrderID: "o1", Quantity: 6, ExpiresAt: until},
		ReservationExtended{Key: k, ReservationID: id, ExpiresAt: until},
		ReservationReleased{Key: k, ReservationID: id, OrderID: "o1", Quantity: 6, Reason: "checkout refused"},
		ReservationExpired{Key: k, ReservationID: id, OrderID: "o1", Quantity: 6},
		ReservationCommitted{Key: k, ReservationID: id, OrderID: "o1", Quantity: 6},
		Allocated{Key: k, OrderID: "o1", Quantity: 6},
		Allocated{Key: k, OrderID: "o1", Quantity: 6, ReservationID: "h1"},
		Deallocated{Key: k, OrderID: "o1", Ref: "cancel/1", Quantity: 6, Reason: "canceled"},
		Deallocated{Key: k, OrderID: "o1", Quantity: 6},
		Shipped{Key: k, OrderID: "o1", ShipmentID: "s1", Quantity: 6},
		Shipped{Key: k, OrderID: "o1", ShipmentID: "s1", Quantity: 6, Forced: true},
		Returned{Key: k, ReturnID: "r1", Receipt: 2, OrderID: "o1", Quantity: 1, Condition: Damaged},
		Returned{Key: k, ReturnID: "r1", Quantity: 1, Condition: Available},
		Reserved{Key: k, Origin: byHand, ReservationID: id, OrderID: "o1", Quantity: 6, ExpiresAt: until},
		Reserved{Key: k, Origin: byHand, ReservationID: id, OrderID: "o1", Quantity: 6, ExpiresAt: until, ReserveSeconds: 900},
		ReservationExtended{Key: k, Origin: forced, ReservationID: id, ExpiresAt: until},
		ReservationReleased{Key: k, Origin: forced, ReservationID: id, OrderID: "o1", Quantity: 6},
		Deallocated{Key: k, Origin: forced, OrderID: "o1", Ref: "r", Quantity: 6},
		Shipped{Key: k, Origin: forced, OrderID: "o1", ShipmentID: "s1", Quantity: 6},
		Returned{Key: k, Origin: byHand, ReturnID: "r1", Quantity: 1, Condition: Available},
		Shipped{Key: k, OrderID: "o1", ShipmentID: "s1", Quantity: 6, Unpromised: 2},
		CameBack{Key: k, OrderID: "o1", ShipmentID: "s1", Quantity: 2, Condition: Damaged},
		Moved{Key: k, From: Available, To: QualityControl, Quantity: 2, Note: "looks wet"},
		TransferredOut{Key: k, TransferID: "t1", To: "north", Quantity: 5},
		TransferredIn{Key: k, TransferID: "t1", From: "north", Quantity: 5},
		PolicySet{Key: k, Policy: Policy{SafetyStock: 1, BackorderLimit: 2, ReorderPoint: 3}},
		ReorderPointCrossed{Key: k, Available: -1, ReorderPoint: 3},
	})
}

func TestTextThatIsNotUTF8IsNotWritten(t *testing.T) {
	if _, _, err := Encode(Shipped{Key: lamp, OrderID: "\xff"}); err == nil {
		t.Error("want an error")
	}
}
