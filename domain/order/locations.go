package order

import "daybook/domain/unit"

// Locations are the locations at which a command changes stock or fulfils the order. A key that is
// limited to locations needs all of them. Example: the cancellation of an order reaches each
// location that still holds units of the order.
func Locations(cmd Command, s State) []unit.LocationID {
	switch cmd := cmd.(type) {
	case Ship:
		return []unit.LocationID{cmd.Location}
	case Deliver:
		return s.parcelLocation(cmd.ShipmentID)
	case ReportParcel:
		return s.parcelLocation(cmd.ShipmentID)
	case ResendParcel:
		return s.parcelLocation(cmd.ShipmentID)
	case CreditParcel:
		return s.parcelLocation(cmd.ShipmentID)
	case TakeParcelBack:
		return append(s.parcelLocation(cmd.ShipmentID), cmd.Location)
	case Confirm, CancelLines, Cancel, Expire, Extend, FailAllocation, RetryAllocation:
		return s.holdingLocations()
	case ReleaseHold: // after the deadline it also confirms or ends the order
		if s.Status == StatusPending && !cmd.Now.Before(s.ConfirmBy) {
			return s.holdingLocations()
		}
	case Claim, Place, Hold, RecordTransaction, SettleTransaction, Complete, SettleStock, RecoverAllocation,
		AdmitReturn, ReleaseReturn, RecordReturnRefund, RefuseReturnRefund, RequestRefund, SubmitRefund, SettleRefund, ExplainRefund, Credit, WriteOff, AddCharge, SettleGiftCard, TakeOver, Archive, Unarchive:
	}
	return nil
}

// parcelLocation is the location from which a parcel left.
func (s State) parcelLocation(id unit.ShipmentID) []unit.LocationID {
	if i := s.shipmentIndex(id); i >= 0 {
		return []unit.LocationID{s.Shipments[i].Location}
	}
	return nil
}

// holdingLocations are the locations of units that are neither shipped nor canceled.
func (s State) holdingLocations() (locations []unit.LocationID) {
	for _, h := range s.Holdings {
		if h.Remaining() > 0 {
			locations = append(locations, h.Location)
		}
	}
	return locations
}
