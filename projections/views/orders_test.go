package views_test

import (
	"slices"
	"strings"
	"testing"

	"daybook/eventstore/memory"
	"daybook/internal/pgtest"
	"daybook/projections"
	"daybook/projections/cartview"
	"daybook/projections/customerview"
	"daybook/projections/orderview"
	"daybook/projections/productview"
	"daybook/projections/query"
	"daybook/projections/salesview"
	"daybook/projections/stockview"
	"daybook/projections/views"
)

// A list that can be sorted by something has an index for it. Without one, each page would
// read the whole table.
func TestEachOrderOfAListHasAnIndex(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := projections.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	runner, err := projections.New(projections.Config{Store: memory.New(), Pool: pool, Views: views.All(salesview.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, list := range []struct {
		table  string
		orders map[string][]string
	}{
		{"orders", orderview.Listed.Orders()},
		{"returns", orderview.ListedReturns.Orders()},
		{"gift_cards", orderview.ListedCards.Orders()},
		{"carts", cartview.Listed.Orders()},
		{"products", productview.Listed.Orders()},
		{"stock_items", stockview.Listed.Orders()},
		{"stock_items", stockview.ListedAlerts.Orders()},
		{"stock_reservations", stockview.ListedReservations.Orders()},
		{"stock_allocations", stockview.ListedAllocations.Orders()},
		{"sales_documents", salesview.ListedDocuments.Orders()},
		{"customers", salesview.ListedCustomers.Orders()},
		{"customer_accounts", customerview.Listed.Orders()},
	} {
		table := list.table
		if len(list.orders) == 0 {
			t.Errorf("%s has no orders", table)
		}
		for name, columns := range list.orders {
			found := 0
			err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_indexes i JOIN projections.builds b ON b.schema_name = i.schemaname AND b.state = 'active'
				WHERE i.tablename = $1 AND i.indexdef LIKE '%(' || $2 || ')'`, table, strings.Join(columns, ", ")).Scan(&found)
			if err != nil || found != 1 {
				t.Errorf("%s by %s: %d indexes of (%s), %v", table, name, found, strings.Join(columns, ", "), err)
			}
		}
	}
}

// personalColumns are the columns whose values not every reader may see.
var personalColumns = []string{"customer_id", "reference", "reason", "note", "tracking", "actor", "provider", "carrier"}

// sortColumns are all columns by which a list can be sorted.
func sortColumns[T any](list query.Rows[T]) (columns []query.Column) {
	for _, sort := range list.Sorts {
		columns = append(columns, sort.By...)
	}
	return columns
}

// A list that is sorted by a personal text says so. Otherwise the order of its rows would tell a
// reader something about texts that are withheld.
func TestListsHideTheOrderOfPersonalTexts(t *testing.T) {
	t.Parallel()
	hidden := 0
	for _, column := range slices.Concat(
		sortColumns(orderview.Listed), sortColumns(orderview.ListedReturns), sortColumns(orderview.ListedCards), sortColumns(cartview.Listed), sortColumns(productview.Listed),
		sortColumns(stockview.Listed), sortColumns(stockview.ListedAlerts), sortColumns(stockview.ListedReservations), sortColumns(stockview.ListedAllocations),
		sortColumns(salesview.ListedDocuments), sortColumns(salesview.ListedCustomers),
	) {
		if column.Hidden != slices.Contains(personalColumns, column.Name) || column.Hidden && column.Kind != query.Text {
			t.Errorf("the column %s: hidden %t, of the kind %s", column.Name, column.Hidden, column.Kind)
		}
		if column.Hidden {
			hidden++
		}
	}
	if hidden == 0 {
		t.Error("no column is hidden")
	}
}
