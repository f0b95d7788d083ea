// Package resource has the one shape of each thing that the API answers with. A command's
// answer and a read's answer of an order are the same Go type, and so one schema.
//
// What an aggregate's state tells of a thing is mapped here, once, for both APIs: a view
// keeps the aggregate's state beside its row. What only a view knows, such as when an order
// was placed, is marked with the tag `reads:"only"`. The command API leaves it out, and
// readapi fills it in. No type of the domain stands in an answer, so a renamed member of a
// State does not change the API.
//
// How events look in the log is not the business of this package: their form is stored.
package resource

import (
	"reflect"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/unit"
)

// Money is an exact amount of a currency, with the currency's digits at least.
type Money struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// MoneyOf is an amount as answers show it.
func MoneyOf(m unit.Money) Money {
	return Money{Amount: m.Currency.Text(m.Amount), Currency: string(m.Currency)}
}

// MoneyIn is an amount of a view's column, whose currency is in another column.
func MoneyIn(currency string, amount decimal.Decimal) Money {
	return MoneyOf(unit.Money{Amount: amount, Currency: unit.Currency(currency)})
}

// AmountIn is the text of an amount beside which its currency stands.
func AmountIn(currency string, amount decimal.Decimal) string {
	return unit.Currency(currency).Text(amount)
}

// Moment is a time to the microsecond, in UTC: what a column of a table keeps of it.
func Moment(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Shortage is what a checkout or an order asked for and could not get.
type Shortage struct {
	SKU       string `json:"sku"`
	Location  string `json:"location,omitempty"`
	Lines     []int  `json:"lines,omitempty"`
	Requested int64  `json:"requested"`
	Available int64  `json:"available"`
	Reason    string `json:"reason"`
}

// ShortagesOf is nil where nothing was short.
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

// TimelineFacts are what the entry of a timeline says in words, as members.
type TimelineFacts struct {
	Amount          *Money         `json:"amount,omitzero" doc:"Of the order, the payment or the refund."`
	Quantity        int64          `json:"quantity,omitzero" doc:"Units in all."`
	Lines           []TimelineLine `json:"lines,omitempty" doc:"Which units, where they are not all."`
	TransactionType string         `json:"transaction_type,omitempty" doc:"What the payment transaction does." example:"capture"`
	State           string         `json:"state,omitempty" doc:"How the payment transaction stands." example:"succeeded"`
	TransactionID   string         `json:"transaction_id,omitempty"`
	ShipmentID      string         `json:"shipment_id,omitempty"`
	Location        string         `json:"location,omitempty"`
	Forced          bool           `json:"forced,omitzero" doc:"Stock did not have the goods on its books."`
	ReturnID        string         `json:"return_id,omitempty"`
	OrderID         string         `json:"order_id,omitempty"`
	CartID          string         `json:"cart_id,omitempty"`
	Receipt         int            `json:"receipt,omitzero" doc:"The number of the arrival." example:"1"`
	Attempt         int            `json:"attempt,omitzero" doc:"How often stock was asked again by then." example:"1"`
	Step            string         `json:"step,omitempty" doc:"What asked stock, or orders, for something." example:"confirm"`
	Remedy          string         `json:"remedy,omitempty" doc:"What is done about lost stock or late money." example:"backorder"`
	Shortages       []Shortage     `json:"shortages,omitempty"`
	Reason          string         `json:"reason,omitempty"`
}

// TimelineLine is some units of a line.
type TimelineLine struct {
	Line     int   `json:"line"`
	Quantity int64 `json:"quantity"`
}

// OnlyInReads tells of a member of an answer whether only a view knows it.
func OnlyInReads(member reflect.StructField) bool { return member.Tag.Get("reads") == "only" }

// each maps a list; an empty one stays nil, so that an optional member is left out.
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

// listed maps a list whose member is always there, also where it is empty.
func listed[A, B any](all []A, to func(A) B) []B {
	return append([]B{}, each(all, to)...)
}
