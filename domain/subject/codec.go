package subject

import "daybook/domain/wire"

// The wire names. They are storage format: a name once used stays readable, and
// a changed shape gets a new version.
const (
	typeErasedV1 = "subject.erased.v1"
	typeErasedV2 = "subject.erased.v2"
	typeErased   = "subject.erased.v3"
)

var decoders = wire.Decoders[Event]{
	typeErasedV1: read[Erased], // version 1 has no customers
	typeErasedV2: read[Erased], // version 2 has nothing that is kept
	typeErased:   read[Erased],
}

func read[E Event](data []byte) (Event, error) { return wire.Read[E](data) }

// Types are the wire names of all events, in every version that was ever written.
func Types() []string { return decoders.Types() }

// Encode gives an event's wire name and its JSON.
func Encode(e Event) (typ string, data []byte, err error) { return wire.Write(typeName(e), e) }

// Decode reads what Encode wrote. For an unknown name it returns *wire.UnknownTypeError.
func Decode(typ string, data []byte) (Event, error) { return decoders.Decode(typ, data) }

// typeName is the oldest version that can tell what an event says. So an older program can go on
// with what it understands, and stops at what it would carry out only in part.
func typeName(e Event) string {
	switch e := e.(type) {
	case Erased:
		switch {
		case len(e.Kept) > 0:
			return typeErased
		case len(e.Customers) > 0:
			return typeErasedV2
		}
		return typeErasedV1
	}
	panic("subject: unknown event")
}
