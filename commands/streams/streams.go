// Package streams says which streams, events and event ids of the log are the shop's. What
// an event means is the business of domain.
package streams

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/eventstore"
)

var categories = []string{product.Category, cart.Category, stock.Category, order.Category, returns.Category}

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

// Owns tells whether an event of this type in this stream would count as a fact
// of the domain, so that nobody may write it but the aggregates: read models
// know their events by type, handlers by stream.
func Owns(stream, eventType string) bool {
	return slices.ContainsFunc(categories, func(category string) bool {
		return strings.HasPrefix(stream, category+"-") || strings.HasPrefix(eventType, category+".")
	})
}

// Wrote tells whether a program of ours wrote an event: it is in a stream with a name of
// the shop's, and its id is of the kind that only the domain's events have. Another
// program may use such a name for a stream of its own, and delete that again, so only
// what was written by us is sure to stay in the log.
func Wrote(stream string, id uuid.UUID) bool {
	return OwnsID(id) && slices.ContainsFunc(categories, func(category string) bool { return strings.HasPrefix(stream, category+"-") })
}

// OwnsID tells whether an event id is of the kind that only the domain's events
// have. Whoever else recorded one could keep a command out of the log for good,
// because these ids are unique in the log.
func OwnsID(id uuid.UUID) bool { return eventstore.LogWide(id) }
