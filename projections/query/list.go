package query

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Kind says how the values of a column look in a cursor.
type Kind string

// The kinds of columns.
const (
	Text   Kind = "text"
	Time   Kind = "timestamptz"
	Number Kind = "numeric"
)

// holds tells whether a cursor's text is a value of the kind.
func (k Kind) holds(text string) bool {
	var err error
	switch k {
	case Text:
	case Time:
		_, err = time.Parse(time.RFC3339Nano, text)
	case Number:
		_, err = decimal.NewFromString(text)
	}
	return err == nil
}

// Column is a column by which a list is sorted.
type Column struct {
	Name string
	Kind Kind
	// Hidden says that some readers must not see the column, such as a customer's id. Its Kind is
	// Text.
	Hidden bool
}

// expression is what rows are sorted by for a page.
func (c Column) expression(w *Where, p Page) string {
	if !c.Hidden || p.Secret == "" {
		return c.Name
	}
	return "encode(sha256(convert_to(" + w.Arg(p.Secret) + "::text || " + c.Name + ", 'UTF8')), 'hex')"
}

// value is the value of expression in a row. value is that of the column.
func (c Column) value(p Page, value string) string {
	if !c.Hidden || p.Secret == "" {
		return value
	}
	hash := sha256.Sum256([]byte(p.Secret + value))
	return hex.EncodeToString(hash[:])
}

// Sort is an order of a list. No two rows have the same values in all its columns. An index
// has the columns in this order, so a late page costs no more than the first one. With a secret
// (Page.Secret), the database also sorts the rows that are equal up to a hidden column.
type Sort[T any] struct {
	By  []Column
	Key func(T) []string // the values of the columns in a row
}

// Rows describes a list that is read page by page.
type Rows[T any] struct {
	// Select is the statement up to its WHERE.
	Select string
	// Sorts are the orders by their names. "-" before a name reverses the order.
	Sorts map[string]Sort[T]
	// DefaultSort is the order if none is asked for.
	DefaultSort string
}

// Orders returns the columns of each order, by the order's name.
func (r Rows[T]) Orders() map[string][]string {
	orders := make(map[string][]string, len(r.Sorts))
	for name, sort := range r.Sorts {
		for _, column := range sort.By {
			orders[name] = append(orders[name], column.Name)
		}
	}
	return orders
}

// Read gives a page of the rows that w chooses.
func (r Rows[T]) Read(ctx context.Context, db DB, w Where, p Page) (List[T], error) {
	var list List[T]
	if p.Sort == "" {
		p.Sort = r.DefaultSort
	}
	name, descending := strings.CutPrefix(p.Sort, "-")
	sort, known := r.Sorts[name]
	if !known {
		return list, &SortError{Sort: p.Sort}
	}
	if p.Count {
		count, err := r.count(ctx, db, w)
		if err != nil {
			return list, err
		}
		list.Count = &count
	}
	names := make([]string, len(sort.By))
	for i, column := range sort.By {
		names[i] = column.expression(&w, p)
	}
	if err := sort.after(&w, p, names, descending); err != nil {
		return list, err
	}
	direction := ""
	if descending {
		direction = " DESC"
	}
	rows, err := All[T](ctx, db, r.Select+w.SQL()+` ORDER BY `+strings.Join(names, direction+", ")+direction+` LIMIT `+w.Arg(p.Size()+1), w.Args...)
	if err != nil {
		return list, err
	}
	cut := Cut(rows, p, func(row T) string { return r.CursorAt(row, p) })
	list.Items, list.Next = cut.Items, cut.Next
	return list, nil
}

// CursorAt is the cursor of the rows after a row, in the order that p asks for.
func (r Rows[T]) CursorAt(row T, p Page) string {
	return Cursor(append([]string{p.Sort}, r.Sorts[strings.TrimPrefix(p.Sort, "-")].key(row, p)...)...)
}

// key has the values by which a row is sorted for a page.
func (s Sort[T]) key(row T, p Page) []string {
	key := s.Key(row)
	for i, column := range s.By {
		key[i] = column.value(p, key[i])
	}
	return key
}

// after adds the condition that a row comes after the last page. names are the expressions by which
// the rows are sorted.
func (s Sort[T]) after(w *Where, p Page, names []string, descending bool) error {
	if p.After == "" {
		return nil
	}
	key, err := Uncursor(p.After, 1+len(s.By))
	if err != nil {
		return err
	}
	marks, values := make([]string, len(s.By)), make([]any, len(s.By))
	for i, column := range s.By {
		if key[0] != p.Sort || !column.Kind.holds(key[1+i]) {
			return &CursorError{Cursor: p.After} // the cursor belongs to another order
		}
		marks[i], values[i] = "?::text::"+string(column.Kind), key[1+i]
	}
	than := " > "
	if descending {
		than = " < "
	}
	w.Add("("+strings.Join(names, ", ")+")"+than+"("+strings.Join(marks, ", ")+")", values...)
	return nil
}

// MaxCount is the number at which counting rows stops.
const MaxCount = 10_000

// Count is how many rows there are on all pages.
type Count struct {
	Value int64 `json:"value" example:"120" doc:"10,000 at most."`
	Exact bool  `json:"exact" example:"true" doc:"false: counting stopped at a limit, and there may be more than value."`
}

func (r Rows[T]) count(ctx context.Context, db DB, w Where) (Count, error) {
	var found int64
	w.Args = slices.Clip(w.Args)
	err := db.QueryRow(ctx, `SELECT count(*) FROM (`+r.Select+w.SQL()+` LIMIT `+w.Arg(MaxCount+1)+`) AS counted`, w.Args...).Scan(&found)
	return Count{Value: min(found, MaxCount), Exact: found <= MaxCount}, err
}
