package entity

import "daybook/domain/wire"

// The wire names. They are storage format: a name once used stays readable, and a changed shape
// gets a new version.
const (
	typeCreated  = "legalentity.created.v1"
	typeChanged  = "legalentity.changed.v1"
	typeTaxesSet = "legalentity.taxes_set.v1"
	typeEnded    = "legalentity.ended.v1"
)

var decoders = wire.Decoders[Event]{
	typeCreated:  read[Created],
	typeChanged:  read[Changed],
	typeTaxesSet: read[TaxesSet],
	typeEnded:    read[Ended],
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
	case TaxesSet:
		return typeTaxesSet
	case Ended:
		return typeEnded
	}
	panic("entity: unknown event")
}
