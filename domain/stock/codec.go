package stock

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"daybook/domain/unit"
	"daybook/domain/wire"
)

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
	typeDeallocated          = "stock.deallocated.v1"
	typeShipped              = "stock.shipped.v1"
	typeReturned             = "stock.returned.v1"
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
	typeDeallocated:          read[Deallocated],
	typeShipped:              read[Shipped],
	typeReturned:             read[Returned],
	typeMoved:                read[Moved],
	typeTransferredOut:       read[TransferredOut],
	typeTransferredIn:        read[TransferredIn],
	typePolicySet:            read[PolicySet],
	typeReorderPointCrossed:  read[ReorderPointCrossed],
}

func read[E Event](data []byte) (Event, error) { return wire.Read[E](data) }

// Decode reads an event back; an unknown name is a *wire.UnknownTypeError.
func Decode(typ string, data []byte) (Event, error) { return decoders.Decode(typ, data) }

// Encode gives an event's wire name and its JSON. The three events of every
// sale are written by hand, which a test holds to the bytes of the general way.
func Encode(e Event) (typ string, data []byte, err error) {
	switch e := e.(type) {
	case Reserved:
		w := begin(e.Key).text(`,"reservation_id":`, string(e.ReservationID)).text(`,"order_id":`, string(e.OrderID)).
			number(`,"quantity":`, e.Quantity).time(`,"expires_at":`, e.ExpiresAt)
		return w.end(typeReserved)
	case ReservationCommitted:
		w := begin(e.Key).text(`,"reservation_id":`, string(e.ReservationID)).text(`,"order_id":`, string(e.OrderID)).
			number(`,"quantity":`, e.Quantity)
		return w.end(typeReservationCommitted)
	case Shipped:
		w := begin(e.Key).text(`,"order_id":`, string(e.OrderID)).text(`,"shipment_id":`, string(e.ShipmentID)).
			number(`,"quantity":`, e.Quantity)
		if e.Forced {
			w.data = append(w.data, `,"forced":true`...)
		}
		return w.end(typeShipped)
	case Received, Adjusted, Counted, ReservationExtended, ReservationReleased, ReservationExpired, Allocated,
		Deallocated, Returned, Moved, TransferredOut, TransferredIn, PolicySet, ReorderPointCrossed:
	}
	return wire.Write(typeName(e), e)
}

// writer appends JSON members; the first error stays.
type writer struct {
	data []byte
	err  error
}

func begin(k Key) writer {
	w := writer{data: make([]byte, 0, 256)}
	return w.text(`{"sku":`, string(k.SKU)).text(`,"location":`, string(k.Location))
}

func (w writer) text(name, value string) writer {
	w.data = append(w.data, name...)
	var err error
	if w.data, err = jsontext.AppendQuote(w.data, value); err != nil && w.err == nil {
		w.err = err
	}
	return w
}

func (w writer) number(name string, value unit.Quantity) writer {
	w.data = strconv.AppendInt(append(w.data, name...), int64(value), 10)
	return w
}

// time writes RFC 3339; Decide has made it UTC, and a year of four digits is
// all a deadline can have.
func (w writer) time(name string, value time.Time) writer {
	w.data = append(append(w.data, name...), '"')
	w.data = append(value.AppendFormat(w.data, time.RFC3339Nano), '"')
	return w
}

func (w writer) end(typ string) (string, []byte, error) {
	if w.err != nil {
		return "", nil, w.err
	}
	return typ, append(w.data, '}'), nil
}

func typeName(e Event) string {
	switch e.(type) {
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
		return typeAllocated
	case Deallocated:
		return typeDeallocated
	case Shipped:
		return typeShipped
	case Returned:
		return typeReturned
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
