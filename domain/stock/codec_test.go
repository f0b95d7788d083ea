package stock

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"daybook/domain/decidertest"
	"daybook/domain/unit"
	"daybook/domain/wire"
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
		Deallocated{Key: k, OrderID: "o1", Ref: "cancel/1", Quantity: 6, Reason: "canceled"},
		Deallocated{Key: k, OrderID: "o1", Quantity: 6},
		Shipped{Key: k, OrderID: "o1", ShipmentID: "s1", Quantity: 6},
		Shipped{Key: k, OrderID: "o1", ShipmentID: "s1", Quantity: 6, Forced: true},
		Returned{Key: k, ReturnID: "r1", Receipt: 2, OrderID: "o1", Quantity: 1, Condition: Damaged},
		Returned{Key: k, ReturnID: "r1", Quantity: 1, Condition: Available},
		Moved{Key: k, From: Available, To: QualityControl, Quantity: 2, Note: "looks wet"},
		TransferredOut{Key: k, TransferID: "t1", To: "north", Quantity: 5},
		TransferredIn{Key: k, TransferID: "t1", From: "north", Quantity: 5},
		PolicySet{Key: k, Policy: Policy{SafetyStock: 1, BackorderLimit: 2, ReorderPoint: 3}},
		ReorderPointCrossed{Key: k, Available: -1, ReorderPoint: 3},
	})
}

// What is written by hand must be what the general way writes.
func TestEventsWrittenByHandAreWrittenAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		k := Key{SKU: unit.SKU(text.Draw(t, "sku")), Location: unit.LocationID(text.Draw(t, "location"))}
		id, order := unit.ReservationID(text.Draw(t, "id")), unit.OrderID(text.Draw(t, "order"))
		quantity := unit.Quantity(rapid.Int64().Draw(t, "quantity"))
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "second"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanosecond")).UTC()
		for _, e := range []Event{
			Reserved{Key: k, ReservationID: id, OrderID: order, Quantity: quantity, ExpiresAt: at},
			ReservationCommitted{Key: k, ReservationID: id, OrderID: order, Quantity: quantity},
			Shipped{Key: k, OrderID: order, ShipmentID: unit.ShipmentID(id), Quantity: quantity, Forced: quantity%2 == 0},
		} {
			typ, data, err := Encode(e)
			if err != nil {
				t.Fatal(err)
			}
			wantType, want, err := wire.Write(typeName(e), e)
			if err != nil {
				t.Fatal(err)
			}
			if typ != wantType || string(data) != string(want) {
				t.Errorf("%s\n got %s\nwant %s %s", typ, data, wantType, want)
			}
		}
	})
}

func TestTextThatIsNotUTF8IsNotWritten(t *testing.T) {
	if _, _, err := Encode(Shipped{Key: lamp, OrderID: "\xff"}); err == nil {
		t.Error("want an error")
	}
}
