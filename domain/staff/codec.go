package staff

import (
	"strings"

	"daybook/domain/wire"
)

// The wire names. They are storage format: a name once used stays readable, and a changed shape
// gets a new version.
const (
	typeInvited         = "shopstaff.invited.v1"
	typeTokenGiven      = "shopstaff.token_given.v1"
	typeJoined          = "shopstaff.joined.v1"
	typePasswordSet     = "shopstaff.password_set.v1"
	typeRoleChanged     = "shopstaff.role_changed.v1"
	typeDisabled        = "shopstaff.disabled.v1"
	typeFactorSet       = "shopstaff.factor_set.v1"
	typeRecoverySet     = "shopstaff.recovery_set.v1"
	typeFactorRemoved   = "shopstaff.factor_removed.v1"
	typeSignedIn        = "shopstaff.signed_in.v1"
	typeSignedOut       = "shopstaff.signed_out.v1"
	typeGuessingNoticed = "shopstaff.guessing_noticed.v1"
	typeEmailAsked      = "shopstaff.email_asked.v1"
	typeEmailChanged    = "shopstaff.email_changed.v1"
	typeBrowserKnown    = "shopstaff.browser_known.v1"
	typeTriesCounted    = "shopstaff.tries_counted.v1"

	typeSignedUp = "shoplogin.signed_up.v1"
)

var decoders = wire.Decoders[Event]{
	typeInvited:         read[Invited],
	typeTokenGiven:      read[TokenGiven],
	typeJoined:          read[Joined],
	typePasswordSet:     read[PasswordSet],
	typeRoleChanged:     read[RoleChanged],
	typeDisabled:        read[Disabled],
	typeFactorSet:       read[FactorSet],
	typeRecoverySet:     read[RecoverySet],
	typeFactorRemoved:   read[FactorRemoved],
	typeSignedIn:        read[SignedIn],
	typeSignedOut:       read[SignedOut],
	typeGuessingNoticed: read[GuessingNoticed],
	typeEmailAsked:      read[EmailAsked],
	typeEmailChanged:    read[EmailChanged],
	typeBrowserKnown:    read[BrowserKnown],
	typeTriesCounted:    read[TriesCounted],
}

// loginDecoders are those of the events of logins. The names differ in the category.
var loginDecoders = func() wire.Decoders[Event] {
	of := wire.Decoders[Event]{typeSignedUp: read[SignedUp]}
	for name, decode := range decoders {
		switch name {
		case typeInvited, typeJoined, typeRoleChanged:
		default:
			of[loginType(name)] = decode
		}
	}
	return of
}()

// loginType is the wire name of an event of a login that the staff has under name.
func loginType(name string) string {
	return LoginCategory + strings.TrimPrefix(name, Category)
}

func read[E Event](data []byte) (Event, error) { return wire.Read[E](data) }

// Types are the wire names of all events, in every version there was.
func Types() []string { return decoders.Types() }

// Encode gives an event's wire name and its JSON.
func Encode(e Event) (typ string, data []byte, err error) { return wire.Write(typeName(e), e) }

// Decode reads what Encode wrote. For an unknown name it returns *wire.UnknownTypeError.
func Decode(typ string, data []byte) (Event, error) { return decoders.Decode(typ, data) }

// LoginTypes is Types for logins.
func LoginTypes() []string { return loginDecoders.Types() }

// EncodeLogin is Encode for an event of a login.
func EncodeLogin(e Event) (typ string, data []byte, err error) {
	if signed, is := e.(SignedUp); is {
		return wire.Write(typeSignedUp, signed)
	}
	return wire.Write(loginType(typeName(e)), e)
}

// DecodeLogin is Decode for an event of a login.
func DecodeLogin(typ string, data []byte) (Event, error) { return loginDecoders.Decode(typ, data) }

func typeName(e Event) string {
	switch e.(type) {
	case Invited:
		return typeInvited
	case TokenGiven:
		return typeTokenGiven
	case Joined:
		return typeJoined
	case PasswordSet:
		return typePasswordSet
	case RoleChanged:
		return typeRoleChanged
	case Disabled:
		return typeDisabled
	case FactorSet:
		return typeFactorSet
	case RecoverySet:
		return typeRecoverySet
	case FactorRemoved:
		return typeFactorRemoved
	case SignedIn:
		return typeSignedIn
	case SignedOut:
		return typeSignedOut
	case GuessingNoticed:
		return typeGuessingNoticed
	case EmailAsked:
		return typeEmailAsked
	case EmailChanged:
		return typeEmailChanged
	case BrowserKnown:
		return typeBrowserKnown
	case TriesCounted:
		return typeTriesCounted
	case SignedUp:
		return typeSignedUp
	}
	panic("staff: unknown event")
}
