// Package table makes the statements of a read model's table from one list of its columns.
//
// The list says of each column how it is called, of which kind its values are, where a row
// has its value, and what becomes of the value that is there when another row of the same
// key comes. Statements are made once, when the program starts. Each writes many rows: it
// gets one array for each column.
//
// What the columns mean is not its business: that is each view's.
package table

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"
)

// Kind is how values of a column come to the database.
type Kind[V any] struct {
	array string         // the SQL type of the array's elements
	cast  string         // makes an element, %s, the column's value; empty: it is that
	sent  func(V) string // its text; nil: it is sent as it is
}

// The kinds of columns. A nil value of Maybe is no value: NULL.
var (
	Text       = Kind[string]{array: "text"}
	MaybeText  = Kind[*string]{array: "text"}
	Texts      = Kind[[]string]{} // only for tables that are copied into
	Flag       = Kind[bool]{array: "boolean"}
	MaybeFlag  = Kind[*bool]{array: "boolean"}
	Number     = Kind[int64]{array: "bigint"}
	Small      = Kind[int32]{array: "integer"}
	Time       = Kind[time.Time]{array: "timestamptz"}
	MaybeTime  = Kind[*time.Time]{array: "timestamptz"}
	Day        = Kind[string]{array: "text", cast: "%s::date"}                                                       // 2010-12-01
	Amount     = Kind[decimal.Decimal]{array: "text", cast: "%s::numeric", sent: decimal.Decimal.String}             // exact
	Normalized = Kind[decimal.Decimal]{array: "text", cast: "trim_scale(%s::numeric)", sent: decimal.Decimal.String} // without zeros at its end
	Document   = Kind[[]byte]{array: "text", cast: "%s::json", sent: func(text []byte) string { return string(text) }}
)

// Column is a column of a table whose rows are made of an R.
type Column[R any] struct {
	name, array, cast string
	key               bool
	merge             string // the value of a row that is there, of {old} and {new}; empty: it stays
	value             func(R) any
	values            func([]R) any // all of them, as an array
}

// Key is a column of the primary key.
func Key[R, V any](name string, kind Kind[V], of func(R) V) Column[R] {
	c := Fixed(name, kind, of)
	c.key = true
	return c
}

// Fixed is a column that is written with its row and stays.
func Fixed[R, V any](name string, kind Kind[V], of func(R) V) Column[R] {
	return Merged(name, kind, "", of)
}

// Set is a column that always has the latest value.
func Set[R, V any](name string, kind Kind[V], of func(R) V) Column[R] {
	return Merged(name, kind, "{new}", of)
}

// Kept is a column that has the latest value that is not NULL.
func Kept[R, V any](name string, kind Kind[V], of func(R) V) Column[R] {
	return Merged(name, kind, "coalesce({new}, {old})", of)
}

// Sum is a column that each row adds to.
func Sum[R, V any](name string, kind Kind[V], of func(R) V) Column[R] {
	merge := "{old} + {new}"
	if strings.HasPrefix(kind.cast, "trim_scale") {
		merge = "trim_scale({old} + {new})"
	}
	return Merged(name, kind, merge, of)
}

// Merged is a column that is made of the value that is there, {old}, and of the one that
// comes, {new}: SQL such as "least({old}, {new})". {old.x} and {new.x} are those of the
// column x.
func Merged[R, V any](name string, kind Kind[V], merge string, of func(R) V) Column[R] {
	c := Column[R]{name: name, array: kind.array, cast: kind.cast, merge: merge}
	if sent := kind.sent; sent != nil {
		c.value = func(row R) any { return sent(of(row)) }
		c.values = func(rows []R) any {
			all := make([]string, len(rows))
			for i, row := range rows {
				all[i] = sent(of(row))
			}
			return all
		}
		return c
	}
	c.value = func(row R) any { return of(row) }
	c.values = func(rows []R) any {
		all := make([]V, len(rows))
		for i, row := range rows {
			all[i] = of(row)
		}
		return all
	}
	return c
}

// Table is a table with its columns.
type Table[R any] struct {
	name    string
	columns []Column[R]
}

// New makes a table of its columns.
func New[R any](name string, columns ...Column[R]) *Table[R] { return &Table[R]{name, columns} }

// Name is the table's name.
func (t *Table[R]) Name() string { return t.name }

// Names are the columns' names, in the order of the list.
func (t *Table[R]) Names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

// List is the list of all columns for a SELECT, but for those named.
func (t *Table[R]) List(except ...string) string {
	t.only(except) // each must be there
	return strings.Join(slices.DeleteFunc(t.Names(), func(name string) bool { return slices.Contains(except, name) }), ", ")
}

// Only is the list of the columns named, for a SELECT, in that order.
func (t *Table[R]) Only(names ...string) string {
	t.only(names)
	return strings.Join(names, ", ")
}

// only are the columns named. A name that is not in the list is a fault of the program.
func (t *Table[R]) only(names []string) []Column[R] {
	var columns []Column[R]
	for _, name := range names {
		at := slices.IndexFunc(t.columns, func(c Column[R]) bool { return c.name == name })
		if at < 0 {
			panic(fmt.Sprintf("table %s has no column %s", t.name, name))
		}
		columns = append(columns, t.columns[at])
	}
	return columns
}

func (t *Table[R]) keys() (columns []Column[R]) {
	for _, c := range t.columns {
		if c.key {
			columns = append(columns, c)
		}
	}
	return columns
}

// Statement writes rows of a table.
type Statement[R any] struct {
	SQL     string
	columns []Column[R] // whose values it takes
}

// Queue adds the statement for some rows to a batch, if there are any.
func (s Statement[R]) Queue(b *pgx.Batch, rows []R) {
	if len(rows) > 0 {
		b.Queue(s.SQL, s.Args(rows)...)
	}
}

// Exec writes some rows, if there are any.
func (s Statement[R]) Exec(ctx context.Context, tx pgx.Tx, rows []R) error {
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, s.SQL, s.Args(rows)...)
	return err
}

// Args are the statement's parameters for some rows.
func (s Statement[R]) Args(rows []R) []any {
	args := make([]any, len(s.columns))
	for i, c := range s.columns {
		args[i] = c.values(rows)
	}
	return args
}

// Upsert writes rows. Where a row of the same key is there, its columns become what the
// list says. Rows of one statement have different keys.
func (t *Table[R]) Upsert() Statement[R] {
	var sources, sets []string
	for _, c := range t.columns {
		sources = append(sources, c.source())
		if c.merge != "" {
			sets = append(sets, c.name+" = "+c.merged("excluded."))
		}
	}
	names := t.List()
	return Statement[R]{`INSERT INTO ` + t.name + ` AS t (` + names + `) SELECT ` + strings.Join(sources, ", ") + ` FROM ` + incoming(t.columns) +
		` ON CONFLICT (` + list(t.keys()) + `) DO UPDATE SET ` + strings.Join(sets, ", "), t.columns}
}

// Returning is the statement that also returns some columns of each row.
func (s Statement[R]) Returning(columns string) Statement[R] {
	s.SQL += ` RETURNING ` + columns
	return s
}

// Update changes rows that are there: all columns that the list has changed, or those named,
// which get the values that come.
func (t *Table[R]) Update(names ...string) Statement[R] {
	changed := t.only(names)
	for i := range changed {
		changed[i].merge = "{new}"
	}
	if len(names) == 0 {
		changed = slices.DeleteFunc(slices.Clone(t.columns), func(c Column[R]) bool { return c.merge == "" })
	}
	taken := append(t.keys(), changed...)
	sets := make([]string, len(changed))
	for i, c := range changed {
		sets[i] = c.name + " = " + c.merged("n.")
	}
	return Statement[R]{`UPDATE ` + t.name + ` AS t SET ` + strings.Join(sets, ", ") + ` FROM ` + incoming(taken) + ` WHERE ` + t.sameKey(), taken}
}

// Delete deletes the rows of the same keys that meet a condition; an empty one is met by all.
// The condition calls the table t.
func (t *Table[R]) Delete(condition string) Statement[R] {
	sql := `DELETE FROM ` + t.name + ` AS t USING ` + incoming(t.keys()) + ` WHERE ` + t.sameKey()
	if keys := t.keys(); len(keys) == 1 { // found by its index, however many there are
		sql = `DELETE FROM ` + t.name + ` AS t WHERE t.` + keys[0].name + ` = ANY ($1::` + keys[0].array + `[])`
	}
	if condition != "" {
		sql += ` AND ` + condition
	}
	return Statement[R]{sql, t.keys()}
}

// Copy adds rows, none of which is there.
func (t *Table[R]) Copy(ctx context.Context, tx pgx.Tx, rows []R) error {
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.Names(), pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
		values := make([]any, len(t.columns))
		for at, c := range t.columns {
			values[at] = c.value(rows[i])
		}
		return values, nil
	}))
	return err
}

func (t *Table[R]) sameKey() string {
	var same []string
	for _, c := range t.keys() {
		same = append(same, "t."+c.name+" = n."+c.name)
	}
	return strings.Join(same, " AND ")
}

// source is a column's value in a statement whose rows come as n.
func (c Column[R]) source() string {
	if c.cast == "" {
		return "n." + c.name
	}
	return strings.ReplaceAll(c.cast, "%s", "n."+c.name)
}

// merged is what a column becomes where the row's values are under a prefix: "excluded.",
// where they have been made the columns', or "n.".
func (c Column[R]) merged(prefix string) string {
	value := prefix + c.name
	if prefix == "n." {
		value = c.source()
	}
	merged := strings.NewReplacer("{new}", value, "{old}", "t."+c.name, "{new.", prefix, "{old.", "t.").Replace(c.merge)
	return strings.ReplaceAll(merged, "}", "")
}

func list[R any](columns []Column[R]) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// incoming are the rows of a statement: an array for each column.
func incoming[R any](columns []Column[R]) string {
	arrays := make([]string, len(columns))
	for i, c := range columns {
		if c.array == "" {
			panic("column " + c.name + " cannot be sent as an array")
		}
		arrays[i] = fmt.Sprintf("$%d::%s[]", i+1, c.array)
	}
	return `unnest(` + strings.Join(arrays, ", ") + `) AS n(` + list(columns) + `)`
}
