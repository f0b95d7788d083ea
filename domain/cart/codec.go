package cart

import (
	"fmt"

	"daybook/domain/wire"
)

// The wire names. They are storage format: a name once used stays readable, and
// a changed shape gets a new version.
const (
	typeOpenedV1          = "cart.opened.v1"
	typeOpened            = "cart.opened.v2"
	typeLineAdded         = "cart.line_added.v1"
	typeQuantityChanged   = "cart.quantity_changed.v1"
	typeLineRemoved       = "cart.line_removed.v1"
	typeCustomerChanged   = "cart.customer_changed.v1"
	typeCountryChanged    = "cart.country_changed.v1"
	typeDetailsSet        = "cart.details_set.v1"
	typeCouponAdded       = "cart.coupon_added.v1"
	typeCouponRemoved     = "cart.coupon_removed.v1"
	typeShippingChosen    = "cart.shipping_chosen.v1"
	typeDiscountGiven     = "cart.discount_given.v1"
	typeDiscountWithdrawn = "cart.discount_withdrawn.v1"
	typeTaxStatusSet      = "cart.tax_status_set.v1"
	typeCheckoutStarted   = "cart.checkout_started.v1"
	typeRefusedV1         = "cart.checkout_refused.v1"
	typeCheckoutRefused   = "cart.checkout_refused.v2"
	typeCheckedOut        = "cart.checked_out.v1"
	typeAbandoned         = "cart.abandoned.v1"
	typeExpired           = "cart.expired.v1"
	typeMergedInto        = "cart.merged_into.v1"
	typeMergeRefused      = "cart.merge_refused.v1"
	typeMergedFrom        = "cart.merged_from.v1"
	typeMergeDeclined     = "cart.merge_declined.v1"
)

var decoders = wire.Decoders[Event]{
	typeOpenedV1:          read[Opened], // version 1 has no lines
	typeOpened:            read[Opened],
	typeLineAdded:         read[LineAdded],
	typeQuantityChanged:   read[QuantityChanged],
	typeLineRemoved:       read[LineRemoved],
	typeCustomerChanged:   read[CustomerChanged],
	typeCountryChanged:    read[CountryChanged],
	typeDetailsSet:        read[DetailsSet],
	typeCouponAdded:       read[CouponAdded],
	typeCouponRemoved:     read[CouponRemoved],
	typeShippingChosen:    read[ShippingChosen],
	typeDiscountGiven:     read[DiscountGiven],
	typeDiscountWithdrawn: read[DiscountWithdrawn],
	typeTaxStatusSet:      read[TaxStatusSet],
	typeCheckoutStarted:   read[CheckoutStarted],
	typeRefusedV1:         read[CheckoutRefused], // in version 1, CheckoutStarted always comes first
	typeCheckoutRefused:   read[CheckoutRefused],
	typeCheckedOut:        read[CheckedOut],
	typeAbandoned:         read[Abandoned],
	typeExpired:           read[Expired],
	typeMergedInto:        read[MergedInto],
	typeMergeRefused:      read[MergeRefused],
	typeMergedFrom:        read[MergedFrom],
	typeMergeDeclined:     read[MergeDeclined],
}

func read[E Event](data []byte) (Event, error) { return wire.Read[E](data) }

// Types are the wire names of all events, in every version that was ever written.
func Types() []string { return decoders.Types() }

// Encode gives an event's wire name and its JSON.
func Encode(e Event) (typ string, data []byte, err error) {
	if started, ok := e.(CheckoutStarted); ok && started.QuoteWithOrder {
		started.Quote = nil
		e = started
	}
	return wire.Write(typeName(e), e)
}

// Decode reads what Encode wrote. For an unknown name it returns *wire.UnknownTypeError.
func Decode(typ string, data []byte) (Event, error) { return decoders.Decode(typ, data) }

// DecodeUnpriced is Decode without the Quote of CheckoutStarted. Reading a quote takes longer than
// reading everything else, and many readers need no prices.
func DecodeUnpriced(typ string, data []byte) (Event, error) {
	if typ != typeCheckoutStarted {
		return Decode(typ, data)
	}
	event, err := wire.Read[struct {
		CheckoutStarted

		Quote *struct{} `json:"quote"` // hides the member of CheckoutStarted
	}](data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", typ, err)
	}
	return event.CheckoutStarted, nil
}

func typeName(e Event) string {
	switch e.(type) {
	case Opened:
		return typeOpened
	case LineAdded:
		return typeLineAdded
	case QuantityChanged:
		return typeQuantityChanged
	case LineRemoved:
		return typeLineRemoved
	case CustomerChanged:
		return typeCustomerChanged
	case CountryChanged:
		return typeCountryChanged
	case DetailsSet:
		return typeDetailsSet
	case CouponAdded:
		return typeCouponAdded
	case CouponRemoved:
		return typeCouponRemoved
	case ShippingChosen:
		return typeShippingChosen
	case DiscountGiven:
		return typeDiscountGiven
	case DiscountWithdrawn:
		return typeDiscountWithdrawn
	case TaxStatusSet:
		return typeTaxStatusSet
	case CheckoutStarted:
		return typeCheckoutStarted
	case CheckoutRefused:
		return typeCheckoutRefused
	case CheckedOut:
		return typeCheckedOut
	case Abandoned:
		return typeAbandoned
	case Expired:
		return typeExpired
	case MergedInto:
		return typeMergedInto
	case MergeRefused:
		return typeMergeRefused
	case MergedFrom:
		return typeMergedFrom
	case MergeDeclined:
		return typeMergeDeclined
	}
	panic("cart: unknown event")
}
