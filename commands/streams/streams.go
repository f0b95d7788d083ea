// Package streams says which streams, events and event ids of the log belong to the shop. It
// does not know what an event means; package domain does.
package streams

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/money/coupon"
	"daybook/domain/money/entity"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/staff"
	"daybook/domain/stock"
	"daybook/domain/subject"
	"daybook/eventstore"
)

var categories = []string{
	product.Category, cart.Category, stock.Category, order.Category, returns.Category, access.Category, staff.Category, staff.LoginCategory, customer.Category, subject.Category,
	pricelist.Category, shipping.Category, entity.Category, promotion.Category, promotion.CustomerCategory, coupon.Category, giftcard.Category, payment.Category,
}

// Prefixes begin the names of all streams that aggregates decide about.
func Prefixes() []string {
	prefixes := make([]string, len(categories))
	for i, category := range categories {
		prefixes[i] = category + "-"
	}
	return prefixes
}

// TypePrefixes begin the types of all events of aggregates.
func TypePrefixes() []string {
	prefixes := make([]string, len(categories))
	for i, category := range categories {
		prefixes[i] = category + "."
	}
	return prefixes
}

// Owns tells whether an event of this type in this stream would count as a fact of the shop.
// Only the aggregates may write such an event. One of the two is enough, because read models
// select events by type, and handlers by stream. Example: "order.placed.v1" in any stream, and
// any type in "order-o-1".
func Owns(stream, eventType string) bool {
	return slices.ContainsFunc(categories, func(category string) bool {
		return strings.HasPrefix(stream, category+"-") || strings.HasPrefix(eventType, category+".")
	})
}

// Wrote tells whether Daybook wrote an event: the event is in a stream with one of the shop's
// names, and only Daybook makes ids of its kind. The stream's name alone is not enough.
// Another program may use such a name for its own stream, and delete that stream later. Only
// events that Daybook wrote are sure to stay in the log.
func Wrote(stream string, id uuid.UUID) bool {
	return OwnsID(id) && slices.ContainsFunc(categories, func(category string) bool { return strings.HasPrefix(stream, category+"-") })
}

// OwnsID tells whether an event id is of the kind that only the shop's events have. Other
// programs must not record such an id. These ids are unique in the log, so the log would then
// refuse the shop's own event with that id for ever.
func OwnsID(id uuid.UUID) bool { return eventstore.LogWide(id) }
