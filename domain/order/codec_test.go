package order

import (
	"testing"

	"daybook/domain/contact"
	"daybook/domain/decidertest"
	"daybook/domain/unit"
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
		creditOf("r1", "5", CreditedLine{Line: 1, Quantity: 2, Worth: pounds("5")}),
		Credited{CreditID: "cr2", Cause: CreditForReduction, Worth: pounds("1"), Amount: pounds("1"), Reason: "scratched"},
		Credited{CreditID: "cr3", Cause: CreditForCharge, Worth: pounds("1"), Amount: pounds("1"), Parts: []CreditPart{{Charge: 1, Amount: pounds("1"), Tax: []unit.Money{pounds("0.17")}}}, Reason: "late"},
		ChargeAdded{Charge: 2, ChargeID: "x1", Kind: Surcharge, Limit: amountOf("10"), Reason: "an island", Priced: chargePrice("2.10", "1.75")},
		ChargeAdded{Charge: 3, ChargeID: "x2", Kind: Clawback, CreditID: "cr1", Reason: "three for two", Priced: chargePrice("2.50", "2.50")},
		ChargeAdded{Charge: 1, ChargeID: "x3", Kind: ReturnedCard, Card: &SoldUnit{Line: 1, Unit: 2}, Priced: chargePrice("25", "25")},
		disputed,
		TransactionUnreadable{TransactionID: "c", Type: Capture, State: Succeeded, Amount: pounds("7.499"), Provider: "stripe", Reference: "ch_1", Code: "amount-too-fine"},
		RefundRequested{RefundID: "rf1", Purpose: Settlement, Cause: RefundOfCanceled, Amount: pounds("17.47"), Parts: []RefundPart{{PartID: "p1", Payment: "cap", Amount: pounds("17")}}, Unplaced: amountOf("0.47")},
		RefundRequested{RefundID: "rf1", Purpose: Compensation, Cause: RefundAsked, Amount: pounds("5"), Parts: []RefundPart{{PartID: "p1", Payment: "cap", Amount: pounds("5")}}, Reason: "it was late"},
		RefundSubmitted{RefundID: "rf1", PartID: "p1", Attempt: 1, Key: "p1-1"},
		RefundSettled{RefundID: "rf1", PartID: "p1", Attempt: 1, State: RefundSucceeded, Reference: "re_1"},
		RefundSettled{RefundID: "rf1", PartID: "p1", Attempt: 1, State: RefundHasFailed, Code: "expired_card", Final: true},
		RefundSettled{RefundID: "rf1", PartID: "p1", Attempt: 1, State: RefundSucceeded, Reference: "re_1", SameAs: "re"},
		ReturnRefundRefused{ReturnID: "r1", TransactionID: "re", Amount: pounds("5"), Limit: pounds("4")},
		RefundExplained{TransactionID: "re", Purpose: Compensation, Reason: "it was late"},
		DifferenceWrittenOff{Amount: pounds("-0.01"), Reason: "bank fee"},
		DifferenceWrittenOff{Amount: pounds("0.01"), Tolerance: amountOf("0.05"), Reason: "bank fee"},
		DeadlineExtended{ConfirmBy: later, Reason: "the bank is slow"},
		ParcelReported{ShipmentID: "p1", State: ParcelLost, Reason: "the carrier cannot find it", Claim: "claim 17: 20 pounds"},
		ParcelReported{ShipmentID: "p1", State: ParcelReturning},
		ParcelBack{ShipmentID: "p1", Location: "main", Lines: []BackLine{{1, "A", 2, Restocked}, {1, "A", 1, Damaged}}, Reason: "nobody was at home"},
		ParcelResent{ShipmentID: "p1", Location: "main", Lines: []ResentLine{{1, "A", 3, 2}}, Reason: "to the new address"},
		Credited{CreditID: "cr3", Cause: CreditForParcel, ShipmentID: "p1", Lines: []CreditedLine{{Line: 1, Quantity: 2, Worth: pounds("5")}}, Worth: pounds("5"), Amount: pounds("5"), Reason: "lost"},
		deskRefund,
		takenOver,
		Archived{},
		Unarchived{},
		addressed,
	})
}
