// Package query has what the views' query functions share: filters that are made from
// parameters, and pages with cursors.
//
// It knows neither the views nor HTTP.
package query

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/domain/unit"
)

// SKU writes a code, or the beginning of a code, in the form that the read models have.
func SKU(text string) string { return unit.FoldSKU(text) }

// DB is what queries need of a pool, a connection or a transaction.
type DB interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// ErrNotFound means that the read model does not have the thing. The read model may be behind
// the log.
var ErrNotFound = errors.New("not found")

// CursorError means that no list gave out this cursor, or that another list did.
type CursorError struct{ Cursor string }

func (e *CursorError) Error() string { return fmt.Sprintf("cursor %q: not one of this list", e.Cursor) }

// SortError means that the list has no order with this name.
type SortError struct{ Sort string }

func (e *SortError) Error() string { return fmt.Sprintf("sort %q: the list has no such order", e.Sort) }

// The size of pages.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// Page asks for a part of a list.
type Page struct {
	After string // the cursor of the last page; empty for the first
	Limit int    // 0 is DefaultLimit; more than MaxLimit is MaxLimit
	Sort  string // the name of an order, with "-" before it to reverse it; empty is the list's default order
	Count bool   // also count the rows of all pages
	// Secret is set for a reader who must not see the hidden columns (Column.Hidden). Rows are then
	// sorted by a hash of the secret and the value of such a column, so their order tells nothing
	// about the value. Empty: rows are sorted by the value itself.
	Secret string
}

// Size is Limit, put within its bounds.
func (p Page) Size() int {
	if p.Limit <= 0 {
		return DefaultLimit
	}
	return min(p.Limit, MaxLimit)
}

// List is a page. Next is empty on the last one.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
	// Count is there if it was asked for.
	Count *Count `json:"count,omitempty" doc:"There if it was asked for."`
}

// ReplaceNext changes the form of the cursor of the next page, if there is one.
func (l *List[T]) ReplaceNext(form func(cursor string) string) {
	if l.Next != "" {
		l.Next = form(l.Next)
	}
}

// Cut makes a page from rows. The caller has read one row more than the page's size. If that
// row is there, a next page follows, which begins after the last row of this page.
func Cut[T any](rows []T, p Page, cursor func(T) string) List[T] {
	if len(rows) <= p.Size() {
		return List[T]{Items: rows}
	}
	rows = rows[:p.Size()]
	return List[T]{Items: rows, Next: cursor(rows[len(rows)-1])}
}

// Cursor makes a cursor from the sort key of a row.
func Cursor(key ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(key, "\x1f")))
}

// Uncursor reads a cursor whose sort key has n parts.
func Uncursor(cursor string, n int) ([]string, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	key := strings.Split(string(text), "\x1f")
	if err != nil || len(key) != n {
		return nil, &CursorError{Cursor: cursor}
	}
	return key, nil
}

// TimeKey writes a time for a cursor, to the microsecond that Postgres keeps.
func TimeKey(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Where collects conditions. Values from outside are always passed as parameters, never in the
// SQL text.
type Where struct {
	conditions []string
	Args       []any
}

// Add adds a condition in which each "?" stands for the next value.
func (w *Where) Add(condition string, values ...any) {
	for _, value := range values {
		condition = strings.Replace(condition, "?", w.Arg(value), 1)
	}
	w.conditions = append(w.conditions, condition)
}

// Text adds a condition unless the value is empty.
func (w *Where) Text(condition, value string) {
	if value != "" {
		w.Add(condition, value)
	}
}

// In adds the condition that a column has one of the values. Without values it adds nothing. A
// single value is compared with "=", because then an index gives its rows in order.
func (w *Where) In(column string, values []string) {
	switch len(values) {
	case 0:
	case 1:
		w.Add(column+" = ?", values[0])
	default:
		w.Add(column+" = ANY (?::text[])", values)
	}
}

// AnyOf adds a condition in which "?" stands for the list of values. Without values it adds
// nothing.
func (w *Where) AnyOf(condition string, values []string) {
	if len(values) > 0 {
		w.Add(condition, values)
	}
}

// Period adds the bounds of a time, from included and to not; a zero time is no bound.
func (w *Where) Period(column string, from, to time.Time) {
	if !from.IsZero() {
		w.Add(column+" >= ?", from)
	}
	if !to.IsZero() {
		w.Add(column+" < ?", to)
	}
}

// Arg adds a parameter and returns its name, such as "$3".
func (w *Where) Arg(value any) string {
	w.Args = append(w.Args, value)
	return "$" + strconv.Itoa(len(w.Args))
}

// SQL is the clause, empty if there is no condition.
func (w *Where) SQL() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// One reads the one row of a struct, or ErrNotFound.
func One[T any](ctx context.Context, db DB, sql string, args ...any) (T, error) {
	var none T
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return none, err
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
	if errors.Is(err, pgx.ErrNoRows) {
		return none, ErrNotFound
	}
	return row, err
}

// All reads rows into structs. Without rows it returns an empty slice.
func All[T any](ctx context.Context, db DB, sql string, args ...any) ([]T, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[T])
}
