// Package resource has the Go types of response bodies. Each thing has one type: a command and a
// read that return an order use the same one, so clients see one schema.
//
// A response is made from the aggregate's state, here, for both APIs. A view keeps this state in
// its row. A member that only a view knows, such as the time when an order was placed, has the tag
// `reads:"only"`. The command API leaves it out, and readapi sets it. No response contains a type
// of the domain, so the API does not change if a member of a State gets another name.
//
// Events are not here, because their stored form cannot change.
package resource

import (
	"reflect"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/unit"
)

// Money is an exact amount in a currency, with at least the digits that the currency has.
type Money struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// MoneyOf is an amount in the form that responses have.
func MoneyOf(m unit.Money) Money {
	return Money{Amount: m.Currency.Text(m.Amount), Currency: string(m.Currency)}
}

// MoneyIn is an amount from a column of a view. Its currency is in another column.
func MoneyIn(currency string, amount decimal.Decimal) Money {
	return MoneyOf(unit.Money{Amount: amount, Currency: unit.Currency(currency)})
}

// Moment is a time in UTC, to the microsecond, as columns of PostgreSQL have it.
func Moment(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Shortage is a SKU that a checkout or an order could not get enough units of.
type Shortage struct {
	SKU       string `json:"sku"`
	Location  string `json:"location,omitempty"`
	Lines     []int  `json:"lines,omitempty"`
	Requested int64  `json:"requested"`
	Available int64  `json:"available"`
	Reason    string `json:"reason"`
}

// ShortagesOf is nil if there are no shortages.
func ShortagesOf(all []cart.Shortage) []Shortage {
	return each(all, func(s cart.Shortage) Shortage {
		return Shortage{
			SKU: string(s.SKU), Location: string(s.Location), Lines: s.Lines, Requested: int64(s.Requested), Available: int64(s.Available), Reason: s.Reason,
		}
	})
}

// TimelineEntry is one line of a timeline.
type TimelineEntry struct {
	Revision    int64     `json:"revision"`
	Entry       string    `json:"entry"`
	Type        string    `json:"type"`
	Actor       string    `json:"actor,omitempty"`
	Channel     string    `json:"channel,omitempty"`
	EffectiveAt time.Time `json:"effective_at"`
	RecordedAt  time.Time `json:"recorded_at"`
	Position    string    `json:"position"`
	TimelineFacts
}

// TimelineFacts are the members of an entry that say the same as its sentence.
type TimelineFacts struct {
	Amount          *Money         `json:"amount,omitzero" doc:"The amount of the order, the payment or the refund."`
	Quantity        int64          `json:"quantity,omitzero" doc:"How many units the entry is about, in all."`
	Lines           []TimelineLine `json:"lines,omitempty" doc:"Which units the entry is about. Left out if it is about all units."`
	TransactionType string         `json:"transaction_type,omitempty" doc:"What the payment transaction does." example:"capture"`
	State           string         `json:"state,omitempty" doc:"The state of the payment transaction." example:"succeeded"`
	TransactionID   string         `json:"transaction_id,omitempty"`
	ShipmentID      string         `json:"shipment_id,omitempty"`
	Location        string         `json:"location,omitempty"`
	Forced          bool           `json:"forced,omitzero" doc:"Stock did not have the goods on its books."`
	ReturnID        string         `json:"return_id,omitempty"`
	OrderID         string         `json:"order_id,omitempty"`
	CartID          string         `json:"cart_id,omitempty"`
	Receipt         int            `json:"receipt,omitzero" doc:"The number of the arrival." example:"1"`
	Attempt         int            `json:"attempt,omitzero" doc:"How many times stock had been asked again when this happened." example:"1"`
	Step            string         `json:"step,omitempty" doc:"The step that asked stock or orders for something." example:"confirm"`
	Remedy          string         `json:"remedy,omitempty" doc:"What is done about lost stock or late money." example:"backorder"`
	Shortages       []Shortage     `json:"shortages,omitempty"`
	Reason          string         `json:"reason,omitempty"`
}

// TimelineLine is some units of a line.
type TimelineLine struct {
	Line     int   `json:"line"`
	Quantity int64 `json:"quantity"`
}

// OnlyInReads tells whether only a view knows a member, so that only reads have it.
func OnlyInReads(member reflect.StructField) bool { return member.Tag.Get("reads") == "only" }

// each maps a list. The result of an empty list is nil, so that an optional member is left out.
func each[A, B any](all []A, to func(A) B) []B {
	if len(all) == 0 {
		return nil
	}
	mapped := make([]B, len(all))
	for i := range all {
		mapped[i] = to(all[i])
	}
	return mapped
}

// listed maps a list whose member is never left out, even if the list is empty.
func listed[A, B any](all []A, to func(A) B) []B {
	return append([]B{}, each(all, to)...)
}
