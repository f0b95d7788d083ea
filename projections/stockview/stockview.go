// Package stockview is the read model of stock: how many units are where, how many of them are
// promised, and to whom.
//
// It stores no history: movements are read from the item's stream (see History). It also does
// not decide whether units can be promised. Only the stock aggregate decides that.
package stockview

import (
	"context"
	_ "embed"
	"fmt"

	"daybook/domain/stock"
	"daybook/projections"
)

//go:embed schema.sql
var tables string

//go:embed indexes.sql
var indexes string

// View returns the view, for the runner.
func View() projections.View {
	return projections.View{
		Name:    "stock",
		Version: 5, // 5 added an index of the promises that are to be deleted
		Claims:  []string{stock.Category + "."},
		Tables:  tables,
		Columns: map[string][]string{
			items.Name(): items.Names(), reservations.Name(): reservations.Names(), allocations.Name(): allocations.Names(),
		},
		Belongs: func(eventType, stream string) bool {
			_, err := stock.ParseStream(stream)
			return err == nil && projections.OfItsKind(eventType, stream)
		},
		Indexes: indexes,
		Decode: func(eventType string, data []byte) (any, error) {
			return stock.Decode(eventType, data)
		},
		Apply: apply,
	}
}

func apply(_ context.Context, tx *projections.Tx, batch []projections.Event) error {
	f := newFold()
	for i := range batch {
		event, ok := batch[i].Value.(stock.Event)
		if !ok {
			return fmt.Errorf("event %s at %s: not of stock", batch[i].Type, batch[i].Position)
		}
		f.apply(&batch[i], event)
	}
	f.store(tx.Writes())
	return nil
}
