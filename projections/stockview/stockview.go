// Package stockview is the read model of stock: how much is where, how much of
// it is promised, and to whom.
//
// It keeps no history: what moved is read from the item's own stream, which is
// the movement book (see History). Whether something can be promised is not its
// business either: only stock's own decision tells that.
package stockview

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"daybook/domain/stock"
	"daybook/projections"
)

//go:embed schema.sql
var tables string

//go:embed indexes.sql
var indexes string

// View is the read model, to be given to the runner.
func View() projections.View {
	return projections.View{
		Name:    "stock",
		Version: 4, // indexes for each order of the list
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

func apply(ctx context.Context, tx pgx.Tx, batch []projections.Event) error {
	f := newFold()
	for i := range batch {
		event, ok := batch[i].Value.(stock.Event)
		if !ok {
			return fmt.Errorf("event %s at %s: not of stock", batch[i].Type, batch[i].Position)
		}
		f.apply(&batch[i], event)
	}
	return f.store(ctx, tx)
}
