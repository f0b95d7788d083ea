package promotion

import (
	"strings"

	"daybook/domain/wire"
)

// The wire names. They are storage format: a name once used stays readable, and a changed shape
// gets a new version.
const (
	typeCreated        = "promotion.created.v1"
	typeChanged        = "promotion.changed.v1"
	typeActivated      = "promotion.activated.v1"
	typeDeactivated    = "promotion.deactivated.v1"
	typeEnded          = "promotion.ended.v1"
	typeCodesRequested = "promotion.codes_requested.v1"
	typeUseHeld        = "promotion.use_held.v1"
	typeUseCommitted   = "promotion.use_committed.v1"
	typeUseReleased    = "promotion.use_released.v1"
	typeUseExpired     = "promotion.use_expired.v1"

	typeCustomerHeld      = "customeruse.use_held.v1"
	typeCustomerCommitted = "customeruse.use_committed.v1"
	typeCustomerReleased  = "customeruse.use_released.v1"
	typeCustomerExpired   = "customeruse.use_expired.v1"
)

var decoders = wire.Decoders[Event]{
	typeCreated:        read[Created],
	typeChanged:        read[Changed],
	typeActivated:      read[Activated],
	typeDeactivated:    read[Deactivated],
	typeEnded:          read[Ended],
	typeCodesRequested: read[CodesRequested],
	typeUseHeld:        read[UseHeld],
	typeUseCommitted:   read[UseCommitted],
	typeUseReleased:    read[UseReleased],
	typeUseExpired:     read[UseExpired],
}

// The uses of one customer are the same events under names of their own.
var customerDecoders = wire.Decoders[Event]{
	typeCustomerHeld:      read[UseHeld],
	typeCustomerCommitted: read[UseCommitted],
	typeCustomerReleased:  read[UseReleased],
	typeCustomerExpired:   read[UseExpired],
}

func read[E Event](data []byte) (Event, error) { return wire.Read[E](data) }

// Types are the wire names of all events of promotions, in every version that was ever written.
func Types() []string { return decoders.Types() }

// CustomerTypes are the wire names of all events about the uses of one customer.
func CustomerTypes() []string { return customerDecoders.Types() }

// Encode gives the wire name and the JSON of an event of a promotion.
func Encode(e Event) (typ string, data []byte, err error) { return wire.Write(typeName(e), e) }

// Decode reads what Encode wrote. For an unknown name it returns *wire.UnknownTypeError.
func Decode(typ string, data []byte) (Event, error) { return decoders.Decode(typ, data) }

// EncodeCustomer gives the wire name and the JSON of an event about the uses of one customer.
func EncodeCustomer(e Event) (typ string, data []byte, err error) {
	_, name, _ := strings.Cut(typeName(e), ".")
	return wire.Write(CustomerCategory+"."+name, e)
}

// DecodeCustomer reads what EncodeCustomer wrote. For an unknown name it returns
// *wire.UnknownTypeError.
func DecodeCustomer(typ string, data []byte) (Event, error) {
	return customerDecoders.Decode(typ, data)
}

func typeName(e Event) string {
	switch e.(type) {
	case Created:
		return typeCreated
	case Changed:
		return typeChanged
	case Activated:
		return typeActivated
	case Deactivated:
		return typeDeactivated
	case Ended:
		return typeEnded
	case CodesRequested:
		return typeCodesRequested
	case UseHeld:
		return typeUseHeld
	case UseCommitted:
		return typeUseCommitted
	case UseReleased:
		return typeUseReleased
	case UseExpired:
		return typeUseExpired
	}
	panic("promotion: unknown event")
}
