package pricelist

import "daybook/domain/wire"

// The wire names. They are storage format: a name once used stays readable, and a changed shape
// gets a new version.
const (
	typeCreated     = "pricelist.created.v1"
	typeChanged     = "pricelist.changed.v1"
	typePricesSet   = "pricelist.prices_set.v1"
	typeActivated   = "pricelist.activated.v1"
	typeDeactivated = "pricelist.deactivated.v1"
	typeEnded       = "pricelist.ended.v1"
)

var decoders = wire.Decoders[Event]{
	typeCreated:     read[Created],
	typeChanged:     read[Changed],
	typePricesSet:   read[PricesSet],
	typeActivated:   read[Activated],
	typeDeactivated: read[Deactivated],
	typeEnded:       read[Ended],
}

func read[E Event](data []byte) (Event, error) { return wire.Read[E](data) }

// Types are the wire names of all events, in every version that was ever written.
func Types() []string { return decoders.Types() }

// Encode gives an event's wire name and its JSON.
func Encode(e Event) (typ string, data []byte, err error) { return wire.Write(typeName(e), e) }

// Decode reads what Encode wrote. For an unknown name it returns *wire.UnknownTypeError.
func Decode(typ string, data []byte) (Event, error) { return decoders.Decode(typ, data) }

func typeName(e Event) string {
	switch e.(type) {
	case Created:
		return typeCreated
	case Changed:
		return typeChanged
	case PricesSet:
		return typePricesSet
	case Activated:
		return typeActivated
	case Deactivated:
		return typeDeactivated
	case Ended:
		return typeEnded
	}
	panic("pricelist: unknown event")
}
