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

	"daybook/domain/unit"
)

// build is the database schema with the tables of one build of a view.
type build struct {
	tx     pgx.Tx
	schema string
}

// row is one row of a table while it is compared. All rows of the table are scanned into the
// same variable, one after the other. V is what the log says about a row.
type row[K comparable, V any] interface {
	// columns are all columns of the table. They are listed only here.
	columns() []column[V]
	key() K
}

// column is a column of a table: its name, the variable that its value is scanned into, and
// how this value is compared with the log.
type column[V any] struct {
	name    string
	sql     string // the expression that is selected; empty stands for the name
	into    any
	compare func(V, *rowDifference) // nil for a column of the key
}

// keyColumn returns a column of the table's key.
func keyColumn[V any](name string, into any) column[V] { return column[V]{name: name, into: into} }

// equals returns a column whose value must be the one that want computes from the fold.
func equals[V, T any](name string, into *T, want func(V) T) column[V] {
	return column[V]{name: name, into: into, compare: func(v V, d *rowDifference) { d.column(name, *into, want(v)) }}
}

// comparedBy returns a column that the function compare compares.
func comparedBy[V any](name string, into any, compare func(V, *rowDifference)) column[V] {
	return column[V]{name: name, into: into, compare: compare}
}

// asText returns the same column, read as text.
func (c column[V]) asText() column[V] {
	c.sql = c.name + "::text"
	return c
}

// rowDifference collects the differences of one row.
type rowDifference struct {
	currency unit.Currency // of the row's amounts
	columns  []string
}

// column compares one column. Times are compared to the microsecond, because PostgreSQL keeps
// no more of them. Amounts are compared as numbers, so 2.5 equals 2.50.
func (d *rowDifference) column(name string, got, want any) {
	if !same(got, want) {
		d.columns = append(d.columns, fmt.Sprintf("%s is %v, want %v", name, d.display(got), d.display(want)))
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

// display is a value as a difference shows it: an amount with its currency and the currency's
// digits, a text in quotes, a time in UTC.
func (d *rowDifference) display(value any) any {
	switch value := value.(type) {
	case decimal.Decimal:
		return unit.Money{Amount: value, Currency: d.currency}
	case time.Time:
		return value.UTC().Format(time.RFC3339Nano)
	case *time.Time:
		if value == nil {
			return "none"
		}
		return d.display(*value)
	case string:
		return fmt.Sprintf("%q", value)
	}
	return value
}

// document compares a JSON document with what it must be, byte for byte.
func (d *rowDifference) document(name string, got, want []byte) {
	if string(got) == string(want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	d.columns = append(d.columns, fmt.Sprintf("%s has %q, want %q", name, excerpt(got, at), excerpt(want, at)))
}

// excerpt returns a part of text: 20 bytes before at, and 40 bytes from there on.
func excerpt(text []byte, at int) string {
	const before, after = 20, 40
	return string(text[max(0, at-before):min(len(text), at+after)])
}

// compareTable compares a table with want, which is what the log says is in it. It finds rows
// with wrong columns, rows that are too many and rows that are missing. It reads the rows one
// after the other and does not keep them.
func compareTable[K comparable, V any](ctx context.Context, from build, table string, want map[K]V, r row[K, V]) (*Check, error) {
	check := &Check{Name: "read." + table}
	columns := r.columns()
	names, into := make([]string, len(columns)), make([]any, len(columns))
	currency := new(string) // of the row that was scanned; empty if the table has none
	for i, c := range columns {
		names[i], into[i] = cmp.Or(c.sql, c.name), c.into
		if text, is := c.into.(*string); is && c.name == "currency" {
			currency = text
		}
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
		d := rowDifference{currency: unit.Currency(*currency)}
		for _, c := range columns {
			if c.compare != nil {
				c.compare(should, &d)
			}
		}
		if len(d.columns) > 0 {
			wrong = append(wrong, fmt.Sprintf("%v: %s", key, strings.Join(d.columns, "; ")))
		}
	})
	// Rows are missing, because keys are unique. To find out which rows takes memory for all keys,
	// so it is done only in this case.
	if err == nil && matched < len(want) {
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

// each scans every row of a query into the variables, and calls do after each.
func (s build) each(ctx context.Context, query string, into []any, do func()) error {
	rows, err := s.tx.Query(ctx, query)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, into, func() error { do(); return nil })
	return err
}
