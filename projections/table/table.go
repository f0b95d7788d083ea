// Package table makes the statements of a read model's table from one list of its columns.
//
// For each column, the list has its name, the kind of its values, and a function that takes
// the value from a row. It also says what becomes of the old value when a new row has the same
// key. Statements are made once, when the program starts. Each statement writes many rows: it
// gets one array for each column.
//
// The package does not know what the columns mean; each view does.
package table

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"
)

// Kind says how values of a column are sent to the database.
type Kind[V any] struct {
	array  string         // the SQL type of the array's elements
	cast   string         // SQL that makes the column's value from an element, %s; empty: the element is the value
	sent   func(V) string // makes the text that a statement sends; nil: it sends the value as it is
	copied func(V) any    // makes the value that COPY sends; nil: it sends what a statement does
}

// The kinds of columns. A nil value of Maybe is no value: NULL.
var (
	Text        = Kind[string]{array: "text"}
	MaybeText   = Kind[*string]{array: "text"}
	Texts       = Kind[[]string]{array: "text", cast: "%s::text[]", sent: arrayText, copied: func(texts []string) any { return texts }}
	MaybeTexts  = Kind[*[]string]{array: "text", cast: "nullif(%s, '')::text[]", sent: maybeArrayText}
	Flag        = Kind[bool]{array: "boolean"}
	MaybeFlag   = Kind[*bool]{array: "boolean"}
	Number      = Kind[int64]{array: "bigint"}
	MaybeNumber = Kind[*int64]{array: "bigint"}
	Small       = Kind[int32]{array: "integer"}
	Time        = Kind[time.Time]{array: "timestamptz"}
	MaybeTime   = Kind[*time.Time]{array: "timestamptz"}
	Day         = Kind[string]{array: "text", cast: "%s::date"}                                                            // 2010-12-01
	Amount      = Kind[decimal.Decimal]{array: "text", cast: "%s::numeric", sent: decimal.Decimal.String, copied: numeric} // keeps all digits
	Normalized  = Kind[decimal.Decimal]{array: "text", cast: "trim_scale(%s::numeric)", sent: decimal.Decimal.String}      // without zeros at the end
	Document    = Kind[[]byte]{array: "text", cast: "%s::json", sent: func(text []byte) string { return string(text) }}
)

// Column is a column of a table. An R has the values of one row.
type Column[R any] struct {
	name, array, cast string
	key               bool
	merge             string // SQL with {old} and {new}, for a row that exists; empty: the old value stays
	value             func(R) any
	values            func([]R) any // the column's values of all rows, as an array
}

// Key is a column of the primary key.
func Key[R, V any](name string, kind Kind[V], of func(R) V) Column[R] {
	c := Fixed(name, kind, of)
	c.key = true
	return c
}

// Fixed is a column that is written when its row is created, and then never changes.
func Fixed[R, V any](name string, kind Kind[V], of func(R) V) Column[R] {
	return Merged(name, kind, "", of)
}

// Set is a column that always has the latest value.
func Set[R, V any](name string, kind Kind[V], of func(R) V) Column[R] {
	return Merged(name, kind, "{new}", of)
}

// Kept is a column that has the latest value other than NULL.
func Kept[R, V any](name string, kind Kind[V], of func(R) V) Column[R] {
	return Merged(name, kind, "coalesce({new}, {old})", of)
}

// Sum is a column whose new value is added to the old one.
func Sum[R, V any](name string, kind Kind[V], of func(R) V) Column[R] {
	merge := "{old} + {new}"
	if strings.HasPrefix(kind.cast, "trim_scale") {
		merge = "trim_scale({old} + {new})"
	}
	return Merged(name, kind, merge, of)
}

// Merged is a column whose value is computed from the old value, {old}, and the new one,
// {new}. merge is SQL such as "least({old}, {new})". {old.x} and {new.x} are the values of the
// column x.
func Merged[R, V any](name string, kind Kind[V], merge string, of func(R) V) Column[R] {
	c := Column[R]{name: name, array: kind.array, cast: kind.cast, merge: merge}
	if sent := kind.sent; sent != nil {
		c.value = func(row R) any { return sent(of(row)) }
		if copied := kind.copied; copied != nil {
			c.value = func(row R) any { return copied(of(row)) }
		}
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

// New makes a table from its columns.
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

// All is the list of all columns, for a SELECT.
func (t *Table[R]) All() string { return strings.Join(t.Names(), ", ") }

// AllExcept is the list of all columns except those named, for a SELECT.
func (t *Table[R]) AllExcept(names ...string) string {
	t.only(names) // panics if one of them does not exist
	return strings.Join(slices.DeleteFunc(t.Names(), func(name string) bool { return slices.Contains(names, name) }), ", ")
}

// Only is the list of the columns named, for a SELECT, in that order.
func (t *Table[R]) Only(names ...string) string {
	t.only(names)
	return strings.Join(names, ", ")
}

// only returns the columns with these names. It panics if there is no such column, because
// that is a fault of the program.
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

// Queue adds the statement to a batch, for some rows. Without rows it does nothing.
func (s Statement[R]) Queue(b *pgx.Batch, rows []R) {
	if len(rows) > 0 {
		b.Queue(s.SQL, s.Args(rows)...)
	}
}

// Args are the statement's parameters for some rows.
func (s Statement[R]) Args(rows []R) []any {
	args := make([]any, len(s.columns))
	for i, c := range s.columns {
		args[i] = c.values(rows)
	}
	return args
}

// Upsert inserts rows. If a row with the same key exists, its columns change as the list says.
// The rows of one call must have different keys.
func (t *Table[R]) Upsert() Statement[R] {
	var sources, sets []string
	for _, c := range t.columns {
		sources = append(sources, c.source())
		if c.merge != "" {
			sets = append(sets, c.name+" = "+c.merged("excluded."))
		}
	}
	names := t.All()
	return Statement[R]{`INSERT INTO ` + t.name + ` AS t (` + names + `) SELECT ` + strings.Join(sources, ", ") + ` FROM ` + incoming(t.columns) +
		` ON CONFLICT (` + list(t.keys()) + `) DO UPDATE SET ` + strings.Join(sets, ", "), t.columns}
}

// Insert adds rows. None of them may exist already.
func (t *Table[R]) Insert() Statement[R] {
	sources := make([]string, len(t.columns))
	for i, c := range t.columns {
		sources[i] = c.source()
	}
	return Statement[R]{`INSERT INTO ` + t.name + ` (` + t.All() + `) SELECT ` + strings.Join(sources, ", ") + ` FROM ` + incoming(t.columns), t.columns}
}

// Returning makes a statement that also returns some columns of each row.
func (s Statement[R]) Returning(columns string) Statement[R] {
	s.SQL += ` RETURNING ` + columns
	return s
}

// Update changes rows that exist. Without names, it changes all columns that are not fixed, as
// the list says. With names, it sets those columns to the new values.
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

// Delete deletes the rows with the given keys that meet a condition. Without a condition it
// deletes all of them. In the condition, the table's name is t.
func (t *Table[R]) Delete(condition string) Statement[R] {
	sql := `DELETE FROM ` + t.name + ` AS t USING ` + incoming(t.keys()) + ` WHERE ` + t.sameKey()
	if keys := t.keys(); len(keys) == 1 { // so PostgreSQL uses the index, with any number of keys
		sql = `DELETE FROM ` + t.name + ` AS t WHERE t.` + keys[0].name + ` = ANY ($1::` + keys[0].array + `[])`
	}
	if condition != "" {
		sql += ` AND ` + condition
	}
	return Statement[R]{sql, t.keys()}
}

// DeleteWhere deletes all rows that meet a condition. The statement has no parameters. Queue sends
// it if the batch has any row.
func (t *Table[R]) DeleteWhere(condition string) Statement[R] {
	return Statement[R]{`DELETE FROM ` + t.name + ` AS t WHERE ` + condition, nil}
}

// Copier is what Copy needs of a transaction.
type Copier interface {
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
}

// Copy adds rows with COPY. None of them may exist already. It is faster than Insert if there are
// many rows.
func (t *Table[R]) Copy(ctx context.Context, tx Copier, rows []R) error {
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

// source is the SQL of a column's new value, in a statement where the new rows are called n.
func (c Column[R]) source() string {
	if c.cast == "" {
		return "n." + c.name
	}
	return strings.ReplaceAll(c.cast, "%s", "n."+c.name)
}

// merged is the SQL of a column's value after the change. prefix says where the new values
// are: "excluded." in an upsert, where they have been converted already, or "n.".
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

// numeric is an amount in the driver's own form. If the driver got a text, it would first fail with
// it and only then make this form, which takes longer. Zeros at the end are left out, as in the
// text.
func numeric(amount decimal.Decimal) any {
	var n pgtype.Numeric
	if err := n.Scan(amount.String()); err != nil {
		return amount.String() // the driver reports what is wrong with it
	}
	return n
}

var arrayEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// arrayText is a list of texts as PostgreSQL writes an array.
func arrayText(texts []string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, text := range texts {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		b.WriteString(arrayEscapes.Replace(text))
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}

// maybeArrayText is arrayText, or an empty text for no list.
func maybeArrayText(texts *[]string) string {
	if texts == nil {
		return ""
	}
	return arrayText(*texts)
}

// incoming is the SQL of a statement's new rows, with one array for each column.
func incoming[R any](columns []Column[R]) string {
	arrays := make([]string, len(columns))
	for i, c := range columns {
		arrays[i] = fmt.Sprintf("$%d::%s[]", i+1, c.array)
	}
	return `unnest(` + strings.Join(arrays, ", ") + `) AS n(` + list(columns) + `)`
}
