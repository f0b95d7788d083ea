package stock

import "daybook/domain/wire"

// The wire names. They are storage format: a name once used stays readable, and
// a changed shape gets a new version.
const (
	typeReceived             = "stock.received.v1"
	typeAdjusted             = "stock.adjusted.v1"
	typeCounted              = "stock.counted.v1"
	typeReserved             = "stock.reserved.v1"
	typeReservationExtended  = "stock.reservation_extended.v1"
	typeReservationReleased  = "stock.reservation_released.v1"
	typeReservationExpired   = "stock.reservation_expired.v1"
	typeReservationCommitted = "stock.reservation_committed.v1"
	typeAllocated            = "stock.allocated.v1"
	typeAllocatedV2          = "stock.allocated.v2" // version 2 has a reservation id
	typeDeallocated          = "stock.deallocated.v1"
	typeShipped              = "stock.shipped.v1"
	typeReturned             = "stock.returned.v1"
	typeCameBack             = "stock.came_back.v1"
	typeMoved                = "stock.moved.v1"
	typeTransferredOut       = "stock.transferred_out.v1"
	typeTransferredIn        = "stock.transferred_in.v1"
	typePolicySet            = "stock.policy_set.v1"
	typeReorderPointCrossed  = "stock.reorder_point_crossed.v1"
)

var decoders = wire.Decoders[Event]{
	typeReceived:             read[Received],
	typeAdjusted:             read[Adjusted],
	typeCounted:              read[Counted],
	typeReserved:             read[Reserved],
	typeReservationExtended:  read[ReservationExtended],
	typeReservationReleased:  read[ReservationReleased],
	typeReservationExpired:   read[ReservationExpired],
	typeReservationCommitted: read[ReservationCommitted],
	typeAllocated:            read[Allocated],
	typeAllocatedV2:          read[Allocated],
	typeDeallocated:          read[Deallocated],
	typeShipped:              read[Shipped],
	typeReturned:             read[Returned],
	typeCameBack:             read[CameBack],
	typeMoved:                read[Moved],
	typeTransferredOut:       read[TransferredOut],
	typeTransferredIn:        read[TransferredIn],
	typePolicySet:            read[PolicySet],
	typeReorderPointCrossed:  read[ReorderPointCrossed],
}

func read[E Event](data []byte) (Event, error) { return wire.Read[E](data) }

// Types are the wire names of all events, in every version that was ever written.
func Types() []string { return decoders.Types() }

// Encode gives an event's wire name and its JSON.
func Encode(e Event) (typ string, data []byte, err error) { return wire.Write(typeName(e), e) }

// Decode reads what Encode wrote. For an unknown name it returns *wire.UnknownTypeError.
func Decode(typ string, data []byte) (Event, error) { return decoders.Decode(typ, data) }

func typeName(e Event) string {
	switch e := e.(type) {
	case Received:
		return typeReceived
	case Adjusted:
		return typeAdjusted
	case Counted:
		return typeCounted
	case Reserved:
		return typeReserved
	case ReservationExtended:
		return typeReservationExtended
	case ReservationReleased:
		return typeReservationReleased
	case ReservationExpired:
		return typeReservationExpired
	case ReservationCommitted:
		return typeReservationCommitted
	case Allocated:
		if e.ReservationID != "" {
			return typeAllocatedV2
		}
		return typeAllocated
	case Deallocated:
		return typeDeallocated
	case Shipped:
		return typeShipped
	case Returned:
		return typeReturned
	case CameBack:
		return typeCameBack
	case Moved:
		return typeMoved
	case TransferredOut:
		return typeTransferredOut
	case TransferredIn:
		return typeTransferredIn
	case PolicySet:
		return typePolicySet
	case ReorderPointCrossed:
		return typeReorderPointCrossed
	}
	panic("stock: unknown event")
}
