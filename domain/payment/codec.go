package payment

import "daybook/domain/wire"

// The wire names. They are storage format: a name once used stays readable, and a changed shape
// gets a new version.
const typeClaimed = "payment.claimed.v1"

var decoders = wire.Decoders[Event]{typeClaimed: read[Claimed]}

func read[E Event](data []byte) (Event, error) { return wire.Read[E](data) }

// Types are the wire names of all events, in every version that was ever written.
func Types() []string { return decoders.Types() }

// Encode gives an event's wire name and its JSON.
func Encode(e Event) (typ string, data []byte, err error) { return wire.Write(typeOf(e), e) }

// Decode reads what Encode wrote. For an unknown name it returns *wire.UnknownTypeError.
func Decode(typ string, data []byte) (Event, error) { return decoders.Decode(typ, data) }

func typeOf(e Event) string {
	switch e.(type) {
	case Claimed:
		return typeClaimed
	}
	panic("payment: unknown event") // a programmer's error, never input
}
