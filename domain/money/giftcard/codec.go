package giftcard

import "daybook/domain/wire"

// The wire names. They are storage format: a name once used stays readable, and a changed shape
// gets a new version.
const (
	typeIssued       = "giftcard.issued.v1"
	typeCodeShown    = "giftcard.code_shown.v1"
	typeHeld         = "giftcard.held.v1"
	typeRedeemed     = "giftcard.redeemed.v1"
	typeReleased     = "giftcard.released.v1"
	typeCreditedBack = "giftcard.credited_back.v1"
	typeExpired      = "giftcard.expired.v1"
	typeDisabled     = "giftcard.disabled.v1"
)

var decoders = wire.Decoders[Event]{
	typeIssued:       read[Issued],
	typeCodeShown:    read[CodeShown],
	typeHeld:         read[Held],
	typeRedeemed:     read[Redeemed],
	typeReleased:     read[Released],
	typeCreditedBack: read[CreditedBack],
	typeExpired:      read[Expired],
	typeDisabled:     read[Disabled],
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
	case Issued:
		return typeIssued
	case CodeShown:
		return typeCodeShown
	case Held:
		return typeHeld
	case Redeemed:
		return typeRedeemed
	case Released:
		return typeReleased
	case CreditedBack:
		return typeCreditedBack
	case Expired:
		return typeExpired
	case Disabled:
		return typeDisabled
	}
	panic("giftcard: unknown event")
}
