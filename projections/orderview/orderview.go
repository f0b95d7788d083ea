// Package orderview is the read model of orders, returns and credit notes: what was ordered, and
// how far payment and fulfilment are. It also has the gift cards and credit accounts that orders
// pay with.
//
// It stores no history: who did what when is read from the stream (see History).
//
// It computes no states. It uses the domain's own fold, so the view and the rules cannot
// differ.
package orderview

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"daybook/domain/money/giftcard"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/subject"
	"daybook/projections"
	"daybook/projections/moneyview"
)

//go:embed schema.sql
var tables string

//go:embed indexes.sql
var indexes string

// View returns the view, for the runner. The days of its reports are those of UTC.
func View() projections.View { return ViewIn(time.UTC) }

// ViewIn returns the view. days is the time zone of the merchant's days, in which its reports
// count.
func ViewIn(days *time.Location) projections.View {
	columns := moneyview.Columns()
	columns[orderTable.Name()], columns[returnTable.Name()], columns[returnOrders.Name()] = orderTable.Names(), returnTable.Names(), returnOrders.Names()
	columns[cardTable.Name()] = cardTable.Names()
	return projections.View{
		Name:    "orders",
		Version: 13, // 13 has a row for each gift card and credit account
		// The rows have the aggregates' folds, so a changed fold causes a rebuild.
		Setting:  "folds " + strconv.Itoa(order.FoldVersion) + "," + strconv.Itoa(returns.FoldVersion) + "," + strconv.Itoa(giftcard.FoldVersion) + "|" + days.String(),
		Claims:   []string{order.Category + ".", returns.Category + ".", subject.Category + ".", giftcard.Category + "."},
		Tables:   tables + moneyview.Tables,
		Columns:  columns,
		Indexes:  indexes,
		Belongs:  projections.OfItsKind,
		Decode:   decode,
		Metadata: true,
		Apply: func(ctx context.Context, tx *projections.Tx, batch []projections.Event) error {
			return apply(ctx, tx, days, batch)
		},
	}
}

func decode(eventType string, data []byte) (any, error) {
	if isSubject(eventType) {
		return subject.Decode(eventType, data)
	}
	if strings.HasPrefix(eventType, giftcard.Category+".") {
		return giftcard.Decode(eventType, data)
	}
	if len(eventType) > len(order.Category) && eventType[:len(order.Category)] == order.Category {
		return order.Decode(eventType, data)
	}
	return returns.Decode(eventType, data)
}

// apply folds a batch for each order, each return and each gift card, and writes each changed row
// once.
func apply(ctx context.Context, tx *projections.Tx, days *time.Location, batch []projections.Event) error {
	orders, returned, cards := newOrders(days), newReturns(), newCards()
	var erasures []subject.Erased
	for i := range batch {
		switch batch[i].Value.(type) {
		case order.Event:
			orders.note(&batch[i])
		case returns.Event:
			returned.note(&batch[i])
		case giftcard.Event:
			cards.note(&batch[i])
		}
	}
	if err := orders.load(ctx, tx); err != nil {
		return fmt.Errorf("load orders: %w", err)
	}
	if err := returned.load(ctx, tx); err != nil {
		return fmt.Errorf("load returns: %w", err)
	}
	if err := cards.load(ctx, tx); err != nil {
		return fmt.Errorf("load gift cards: %w", err)
	}
	for i := range batch {
		switch value := batch[i].Value.(type) {
		case order.Event:
			orders.apply(&batch[i], value)
		case returns.Event:
			returned.apply(&batch[i], value)
		case subject.Erased:
			erasures = append(erasures, value)
		case giftcard.Event:
			orders.money.BookStored(value, batch[i].EffectiveAt())
			cards.apply(&batch[i], value)
		}
	}
	if err := redact(ctx, tx, erasures, orders, returned); err != nil {
		return fmt.Errorf("redact: %w", err)
	}
	if err := orders.store(ctx, tx); err != nil {
		return fmt.Errorf("store orders: %w", err)
	}
	if err := returned.store(tx); err != nil {
		return fmt.Errorf("store returns: %w", err)
	}
	if err := cards.store(tx); err != nil {
		return fmt.Errorf("store gift cards: %w", err)
	}
	return nil
}
