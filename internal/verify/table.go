package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"
)

// source is where the tables of a build are.
type source struct {
	tx     pgx.Tx
	schema string
}

// row is one row of a table while it is compared; every row of the table is
// scanned into the same one. V is what the log says of it.
type row[K comparable, V any] interface {
	// columns are all that the table has. They stand here and nowhere else.
	columns() []column[V]
	key() K
}

// column is a column of a table: how it is called, where its value goes, and how that is
// compared with what the log says.
type column[V any] struct {
	name    string
	sql     string // what is read of it; empty: itself
	into    any
	compare func(V, *deviation) // nil: it is of the key
}

// keyColumn is a column by which rows are found.
func keyColumn[V any](name string, into any) column[V] { return column[V]{name: name, into: into} }

// is is a column whose value must be as the log says.
func is[V, T any](name string, into *T, want func(V) T) column[V] {
	return column[V]{name: name, into: into, compare: func(v V, d *deviation) { d.column(name, *into, want(v)) }}
}

// differs is a column that is compared in a way of its own.
func differs[V any](name string, into any, compare func(V, *deviation)) column[V] {
	return column[V]{name: name, into: into, compare: compare}
}

// asText is a column that is read as text.
func (c column[V]) asText() column[V] {
	c.sql = c.name + "::text"
	return c
}

// deviation collects what is wrong with one row.
type deviation struct{ columns []string }

// column compares one column. Times count to the microsecond, as Postgres keeps
// them; amounts by their worth.
func (d *deviation) column(name string, got, want any) {
	if !same(got, want) {
		d.columns = append(d.columns, fmt.Sprintf("%s is %v, want %v", name, shown(got), shown(want)))
	}
}

func same(got, want any) bool {
	switch got := got.(type) {
	case time.Time:
		want, ok := want.(time.Time)
		return ok && got.Equal(want.Truncate(time.Microsecond))
	case *time.Time:
		want, ok := want.(*time.Time)
		return ok && (got == nil) == (want == nil) && (got == nil || same(*got, *want))
	case decimal.Decimal:
		want, ok := want.(decimal.Decimal)
		return ok && got.Equal(want)
	case []string:
		want, ok := want.([]string)
		return ok && slices.Equal(got, want)
	}
	return got == want
}

func shown(value any) any {
	switch value := value.(type) {
	case time.Time:
		return value.UTC().Format(time.RFC3339Nano)
	case *time.Time:
		if value == nil {
			return "none"
		}
		return shown(*value)
	case string:
		return fmt.Sprintf("%q", value)
	}
	return value
}

// document compares a JSON document with what it must be, byte for byte.
func (d *deviation) document(name string, got, want []byte) {
	if string(got) == string(want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	d.columns = append(d.columns, fmt.Sprintf("%s has %q, want %q", name, around(got, at), around(want, at)))
}

// around is the text at a place, with a little of what stands before it.
func around(text []byte, at int) string {
	const before, after = 20, 40
	return string(text[max(0, at-before):min(len(text), at+after)])
}

// compareTable holds a table against what the log says is in it: every row, and
// every row that should be there. The rows stream by.
func compareTable[K comparable, V any](ctx context.Context, from source, table string, want map[K]V, r row[K, V]) (*Check, error) {
	check := &Check{Name: "read." + table}
	columns := r.columns()
	names, into := make([]string, len(columns)), make([]any, len(columns))
	for i, c := range columns {
		names[i], into[i] = cmp.Or(c.sql, c.name), c.into
	}
	query := `SELECT ` + strings.Join(names, ", ") + ` FROM ` + pgx.Identifier{from.schema, table}.Sanitize()
	matched := 0
	var missing, surplus, wrong []string
	err := from.each(ctx, query, into, func() {
		check.Examined++
		key := r.key()
		should, known := want[key]
		if !known {
			surplus = append(surplus, fmt.Sprintf("%v is there, and nothing in the log makes it", key))
			return
		}
		matched++
		var d deviation
		for _, c := range columns {
			if c.compare != nil {
				c.compare(should, &d)
			}
		}
		if len(d.columns) > 0 {
			wrong = append(wrong, fmt.Sprintf("%v: %s", key, strings.Join(d.columns, "; ")))
		}
	})
	if err == nil && matched < len(want) { // as keys are unique; only then is it worth the memory to find which
		seen := make(map[K]struct{}, len(want))
		err = from.each(ctx, query, into, func() { seen[r.key()] = struct{}{} })
		for key := range want {
			if _, there := seen[key]; !there {
				check.Examined++
				missing = append(missing, fmt.Sprintf("%v is missing", key))
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", table, err)
	}
	for _, differences := range [][]string{missing, surplus, wrong} {
		slices.Sort(differences)
		for _, difference := range differences {
			check.differ("%s", difference)
		}
	}
	return check, nil
}

// each scans every row of a query.
func (s source) each(ctx context.Context, query string, into []any, do func()) error {
	rows, err := s.tx.Query(ctx, query)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, into, func() error { do(); return nil })
	return err
}
