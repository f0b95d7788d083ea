package views_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"daybook/eventstore/memory"
	"daybook/internal/pgtest"
	"daybook/projections"
	"daybook/projections/salesview"
	"daybook/projections/views"
)

// The list of columns, from which a view's statements are made, has each column of the read model
// once, and no other.
func TestEachColumnStandsOnceInItsList(t *testing.T) {
	t.Parallel()
	all := views.All(salesview.Options{})
	pool := pgtest.New(t)
	if err := projections.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	runner, err := projections.New(projections.Config{Store: memory.New(), Pool: pool, Views: all})
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, view := range all {
		rows, err := pool.Query(t.Context(), `SELECT c.table_name, array_agg(c.column_name::text) FROM information_schema.columns c
			JOIN projections.builds b ON b.schema_name = c.table_schema AND b.state = 'active'
			WHERE b.view = $1 GROUP BY c.table_name`, view.Name)
		if err != nil {
			t.Fatal(err)
		}
		made := map[string][]string{}
		var table string
		var columns []string
		if _, err := pgx.ForEachRow(rows, []any{&table, &columns}, func() error {
			made[table] = slices.Sorted(slices.Values(columns))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(made) == 0 || len(made) != len(view.Columns) {
			t.Errorf("view %s: the database has %d tables, the view lists %d", view.Name, len(made), len(view.Columns))
		}
		for table, listed := range view.Columns {
			looked += len(listed)
			for _, column := range made[table] {
				if !slices.Contains(listed, column) {
					t.Errorf("%s.%s is in the database and not in the list", table, column)
				}
			}
			for at, column := range listed {
				if !slices.Contains(made[table], column) {
					t.Errorf("%s.%s is in the list and not in the database", table, column)
				}
				if slices.Contains(listed[:at], column) {
					t.Errorf("%s.%s is in the list twice", table, column)
				}
			}
		}
	}
	if looked < 100 {
		t.Errorf("%d columns were looked at; there are more", looked)
	}
}
