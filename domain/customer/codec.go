package customer

import "daybook/domain/wire"

// The wire names. They are storage format: a name once used stays readable, and
// a changed shape gets a new version.
const (
	typeRegistered         = "customer.registered.v1"
	typeProfileChanged     = "customer.profile_changed.v1"
	typeAddressAdded       = "customer.address_added.v1"
	typeAddressChanged     = "customer.address_changed.v1"
	typeAddressRemoved     = "customer.address_removed.v1"
	typeDefaultsSet        = "customer.defaults_set.v1"
	typeGroupsSet          = "customer.groups_set.v1"
	typeConsentGiven       = "customer.consent_given.v1"
	typeConsentWithdrawn   = "customer.consent_withdrawn.v1"
	typeNoteAdded          = "customer.note_added.v1"
	typeBlocked            = "customer.blocked.v1"
	typeUnblocked          = "customer.unblocked.v1"
	typeTaxStatusSet       = "customer.tax_status_set.v1"
	typeTaxStatusWithdrawn = "customer.tax_status_withdrawn.v1"
	typeWishListMade       = "customer.wish_list_made.v1"
	typeWishListRenamed    = "customer.wish_list_renamed.v1"
	typeWishListRemoved    = "customer.wish_list_removed.v1"
	typeWishSet            = "customer.wish_set.v1"
	typeWishRemoved        = "customer.wish_removed.v1"
	typeWishListShared     = "customer.wish_list_shared.v1"
	typeWishListUnshared   = "customer.wish_list_unshared.v1"
	typeMerged             = "customer.merged.v1"
	typeMergeRefused       = "customer.merge_refused.v1"
	typeAbsorbed           = "customer.absorbed.v1"
	typeMergeDeclined      = "customer.merge_declined.v1"
)

var decoders = wire.Decoders[Event]{
	typeRegistered:         read[Registered],
	typeProfileChanged:     read[ProfileChanged],
	typeAddressAdded:       read[AddressAdded],
	typeAddressChanged:     read[AddressChanged],
	typeAddressRemoved:     read[AddressRemoved],
	typeDefaultsSet:        read[DefaultsSet],
	typeGroupsSet:          read[GroupsSet],
	typeConsentGiven:       read[ConsentGiven],
	typeConsentWithdrawn:   read[ConsentWithdrawn],
	typeNoteAdded:          read[NoteAdded],
	typeBlocked:            read[Blocked],
	typeUnblocked:          read[Unblocked],
	typeTaxStatusSet:       read[TaxStatusSet],
	typeTaxStatusWithdrawn: read[TaxStatusWithdrawn],
	typeWishListMade:       read[WishListMade],
	typeWishListRenamed:    read[WishListRenamed],
	typeWishListRemoved:    read[WishListRemoved],
	typeWishSet:            read[WishSet],
	typeWishRemoved:        read[WishRemoved],
	typeWishListShared:     read[WishListShared],
	typeWishListUnshared:   read[WishListUnshared],
	typeMerged:             read[Merged],
	typeMergeRefused:       read[MergeRefused],
	typeAbsorbed:           read[Absorbed],
	typeMergeDeclined:      read[MergeDeclined],
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
	case Registered:
		return typeRegistered
	case ProfileChanged:
		return typeProfileChanged
	case AddressAdded:
		return typeAddressAdded
	case AddressChanged:
		return typeAddressChanged
	case AddressRemoved:
		return typeAddressRemoved
	case DefaultsSet:
		return typeDefaultsSet
	case GroupsSet:
		return typeGroupsSet
	case ConsentGiven:
		return typeConsentGiven
	case ConsentWithdrawn:
		return typeConsentWithdrawn
	case NoteAdded:
		return typeNoteAdded
	case Blocked:
		return typeBlocked
	case Unblocked:
		return typeUnblocked
	case TaxStatusSet:
		return typeTaxStatusSet
	case TaxStatusWithdrawn:
		return typeTaxStatusWithdrawn
	case WishListMade:
		return typeWishListMade
	case WishListRenamed:
		return typeWishListRenamed
	case WishListRemoved:
		return typeWishListRemoved
	case WishSet:
		return typeWishSet
	case WishRemoved:
		return typeWishRemoved
	case WishListShared:
		return typeWishListShared
	case WishListUnshared:
		return typeWishListUnshared
	case Merged:
		return typeMerged
	case MergeRefused:
		return typeMergeRefused
	case Absorbed:
		return typeAbsorbed
	case MergeDeclined:
		return typeMergeDeclined
	}
	panic("customer: unknown event")
}
