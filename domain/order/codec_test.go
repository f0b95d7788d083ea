package order

import (
	"testing"

	"daybook/domain/contact"
	"daybook/domain/decidertest"
)

func TestWireForm(t *testing.T) {
	codec := decidertest.Codec[Event]{Encode: Encode, Decode: Decode}
	parcel := wholeParcel
	parcel.Carrier, parcel.Tracking, parcel.Forced = "Royal Mail", "RM123", true
	transaction := tx("c", Capture, Pending, "17.47", "a")
	transaction.Provider, transaction.Reference = "stripe", "ch_1"
	addressed := isPlaced
	addressed.Country = "GB"
	addressed.Details = &contact.Details{Billing: &contact.Address{Lines: []string{"1 High Street"}, Country: "GB"}, Email: "ann@home.example", GiftMessage: "for you"}
	codec.Golden(t, []Event{
		Claimed{CartID: "c1"},
		isPlaced, onlyPostage(),
		Confirmed{},
		Confirmed{Allocated: true},
		Confirmed{Because: CoveredByCapture},
		PutOnHold{Reason: "fraud?"},
		HoldReleased{},
		LinesCanceled{Lines: []LineQuantity{{1, 2}, {4, 1}}, Reason: "changed mind"},
		Canceled{Reason: "fraud"},
		Expired{},
		transaction, authorized, paidBack,
		TransactionSettled{TransactionID: "c", State: Succeeded, Reference: "ch_2"},
		parcel,
		Delivered{ShipmentID: "p1"},
		Completed{},
		settledConfirm,
		StockSettled{Step: StepShipment, Ref: "p1"},
		shortOfB,
		AllocationRetried{Attempt: 1},
		AllocationRetried{Attempt: 2, Lost: []Lost{{SKU: "A", Location: "main", Quantity: 2}}},
		AllocationRecovered{},
		orphan("c", "3.99"),
		twoOfA,
		givenUp,
		claimed,
		takenOver,
		Archived{},
		Unarchived{},
		addressed,
	})
}
