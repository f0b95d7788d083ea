package product

import "daybook/domain/wire"

// The wire names. They are storage format: a name once used stays readable, and
// a changed shape gets a new version.
const (
	typeListed    = "product.listed.v1"
	typeRetitled  = "product.retitled.v1"
	typePriced    = "product.priced.v1"
	typeDescribed = "product.described.v1"
	typeRetired   = "product.retired.v1"
)

var decoders = wire.Decoders[Event]{
	typeListed:    read[Listed],
	typeRetitled:  read[Retitled],
	typePriced:    read[Priced],
	typeDescribed: read[Described],
	typeRetired:   read[Retired],
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
	case Listed:
		return typeListed
	case Retitled:
		return typeRetitled
	case Priced:
		return typePriced
	case Described:
		return typeDescribed
	case Retired:
		return typeRetired
	}
	panic("product: unknown event")
}
