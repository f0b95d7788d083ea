package salesview

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"daybook/projections/query"
)

// Dimension is a value by which totals can be divided, such as the month.
type Dimension string

// The dimensions.
const (
	ByDay      Dimension = "day"
	ByMonth    Dimension = "month"
	BySKU      Dimension = "sku"
	ByCountry  Dimension = "country"
	ByChannel  Dimension = "channel"
	ByKind     Dimension = "kind"
	ByCurrency Dimension = "currency"
)

// Dimensions are all of them.
var Dimensions = []Dimension{ByDay, ByMonth, BySKU, ByCountry, ByChannel, ByKind, ByCurrency}

// expression is the SQL expression of a dimension. Its result is always text.
func (d Dimension) expression() (string, error) {
	switch d {
	case ByDay:
		return "to_char(day, 'YYYY-MM-DD')", nil
	case ByMonth:
		return "to_char(day, 'YYYY-MM')", nil
	case BySKU, ByCountry, ByChannel, ByKind, ByCurrency:
		return string(d), nil
	}
	return "", fmt.Errorf("dimension %q: want one of %v", string(d), Dimensions)
}

// Filter chooses what is added up; its zero value chooses all. A list chooses what has one of its
// values. Days have the form YYYY-MM-DD, and both are included.
type Filter struct {
	FromDay, ToDay                               string
	Kinds, SKUs, Countries, Channels, Currencies []string
	// Max is how many rows of totals are allowed; 0 means any number.
	Max int
}

// TooManyError means that there are more rows of totals than Filter.Max.
type TooManyError struct{ Max int }

func (e *TooManyError) Error() string { return fmt.Sprintf("more than %d totals", e.Max) }

// Total is one row of totals. The fields of dimensions not asked for are empty.
type Total struct {
	Day      string
	Month    string
	SKU      string
	Country  string
	Channel  string
	Kind     string
	Currency string
	// Documents is not set in totals by SKU, because a document has several SKUs.
	Documents int64
	Lines     int64
	Units     int64
	Amount    decimal.Decimal
}

// Totals adds up what was sold, for each value of the dimensions and always for each currency.
// The rows are sorted by the dimensions, in their order. It returns *TooManyError if there are
// more than f.Max rows.
func Totals(ctx context.Context, db query.DB, f Filter, by ...Dimension) ([]Total, error) {
	if !slices.Contains(by, ByCurrency) {
		by = append(slices.Clone(by), ByCurrency)
	}
	from, counted := "read.sales_days", "sum(documents)::bigint"
	if len(f.SKUs) > 0 || slices.Contains(by, BySKU) {
		from, counted = "read.sales_skus", "0::bigint"
	}
	var columns, keys []string
	for _, d := range Dimensions {
		if !slices.Contains(by, d) {
			columns = append(columns, "'' AS "+string(d))
			continue
		}
		expression, err := d.expression()
		if err != nil {
			return nil, err
		}
		columns = append(columns, expression+" AS "+string(d))
	}
	for _, d := range by {
		expression, err := d.expression()
		if err != nil {
			return nil, err
		}
		keys = append(keys, expression)
	}
	w := f.where()
	sql := `SELECT ` + strings.Join(columns, ", ") + `, ` + counted + ` AS documents, sum(lines)::bigint AS lines,
		sum(units)::bigint AS units, sum(amount) AS amount FROM ` + from + w.SQL() +
		` GROUP BY ` + strings.Join(keys, ", ") + ` ORDER BY ` + strings.Join(keys, ", ")
	if f.Max > 0 {
		sql += ` LIMIT ` + w.Arg(f.Max+1)
	}
	totals, err := query.All[Total](ctx, db, sql, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("total sales: %w", err)
	}
	if f.Max > 0 && len(totals) > f.Max {
		return nil, &TooManyError{f.Max}
	}
	return totals, nil
}

func (f Filter) where() query.Where {
	var w query.Where
	w.Text("day >= ?::text::date", f.FromDay)
	w.Text("day <= ?::text::date", f.ToDay)
	w.In("kind", f.Kinds)
	w.In("sku", f.SKUs)
	w.In("country", f.Countries)
	w.In("channel", f.Channels)
	w.In("currency", f.Currencies)
	return w
}

// Document is one document.
type Document struct {
	Document   string // "order/...", "return/...", "adjust_in/..."
	Kind       string
	Reference  string
	CustomerID string
	Country    string
	Channel    string
	Currency   string
	Day        string
	OccurredAt time.Time // effective time of the first fact
	Lines      int64
	Units      int64
	Amount     decimal.Decimal
}

// DocumentFilter chooses documents; its zero value chooses all. A document matches a list if it
// has one of the list's values. Days have the form YYYY-MM-DD, and both are included.
type DocumentFilter struct {
	FromDay, ToDay                  string
	Kinds, References, CustomerIDs  []string
	Countries, Channels, Currencies []string
	// OfOrder chooses the documents of an order and of its returns.
	OfOrder string
}

// ListedDocuments says how the list of documents is read and sorted.
var ListedDocuments = query.Rows[Document]{
	Select: `SELECT ` + documents.AllExcept("day") + `, to_char(day, 'YYYY-MM-DD') AS day FROM read.sales_documents`,
	Sorts: map[string]query.Sort[Document]{
		"occurred_at": {
			By:  []query.Column{{Name: "occurred_at", Kind: query.Time}, {Name: "document", Kind: query.Text}},
			Key: func(d Document) []string { return []string{query.TimeKey(d.OccurredAt), d.Document} },
		},
	},
	DefaultSort: "occurred_at",
}

// Documents gives a page of documents. By default the oldest comes first.
func Documents(ctx context.Context, db query.DB, f DocumentFilter, p query.Page) (query.List[Document], error) {
	var w query.Where
	w.Text("day >= ?::text::date", f.FromDay)
	w.Text("day <= ?::text::date", f.ToDay)
	w.In("kind", f.Kinds)
	w.In("reference", f.References)
	w.In("customer_id", f.CustomerIDs)
	if f.OfOrder != "" {
		w.Add("(document IN ('order/' || ?::text, 'canceled/' || ?::text, 'reduced/' || ?::text) OR document IN (SELECT 'return/' || return_id FROM read.return_orders WHERE order_id = ?))", f.OfOrder, f.OfOrder, f.OfOrder, f.OfOrder)
	}
	w.In("country", f.Countries)
	w.In("channel", f.Channels)
	w.In("currency", f.Currencies)
	list, err := ListedDocuments.Read(ctx, db, w, p)
	if err != nil {
		return list, fmt.Errorf("list documents: %w", err)
	}
	return list, nil
}

// Customer is what a customer bought, all in all, in one currency.
type Customer struct {
	CustomerID   string
	Currency     string
	Orders       int64
	Returns      int64
	Units        int64           // less what was canceled or came back
	Ordered      decimal.Decimal // as placed
	Amount       decimal.Decimal // less cancellations, returns and credit notes
	FirstOrderAt *time.Time
	LastOrderAt  *time.Time
	LastOrderID  string
}

// customerColumns are those of a Customer.
var customerColumns = customers.All()

// CustomerTotals reads the totals of a customer, one row for each currency. If the customer has
// several accounts, they are the totals of all of them, and the first id is the customer's. If
// there are none, it returns query.ErrNotFound. Package orderview lists the customer's orders.
func CustomerTotals(ctx context.Context, db query.DB, customerIDs []string) ([]Customer, error) {
	rows, err := query.All[Customer](ctx, db, `SELECT `+customerColumns+` FROM read.customers WHERE customer_id = ANY ($1) ORDER BY currency, customer_id`, customerIDs)
	if err == nil && len(rows) == 0 {
		err = query.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("customer %s: %w", customerIDs[0], err)
	}
	var totals []Customer
	for _, row := range rows {
		row.CustomerID = customerIDs[0]
		if last := len(totals) - 1; last >= 0 && totals[last].Currency == row.Currency {
			totals[last] = totals[last].and(row)
			continue
		}
		totals = append(totals, row)
	}
	return totals, nil
}

// and adds what the customer bought under another account.
func (c Customer) and(other Customer) Customer {
	c.Orders, c.Returns, c.Units = c.Orders+other.Orders, c.Returns+other.Returns, c.Units+other.Units
	c.Ordered, c.Amount = c.Ordered.Add(other.Ordered), c.Amount.Add(other.Amount)
	if c.FirstOrderAt == nil || other.FirstOrderAt != nil && other.FirstOrderAt.Before(*c.FirstOrderAt) {
		c.FirstOrderAt = other.FirstOrderAt
	}
	if c.LastOrderAt == nil || other.LastOrderAt != nil && other.LastOrderAt.After(*c.LastOrderAt) {
		c.LastOrderAt, c.LastOrderID = other.LastOrderAt, other.LastOrderID
	}
	return c
}

// CustomerFilter chooses customers who bought in a currency. CustomerIDs, if not empty, are those
// to choose from.
type CustomerFilter struct {
	Currency    string
	CustomerIDs []string
}

// ListedCustomers says how the list of the customers of one currency is read and sorted.
var ListedCustomers = query.Rows[Customer]{
	Select: `SELECT ` + customerColumns + ` FROM read.customers`,
	Sorts: map[string]query.Sort[Customer]{
		"amount": {
			By:  []query.Column{{Name: "currency", Kind: query.Text}, {Name: "amount", Kind: query.Number}, {Name: "customer_id", Kind: query.Text, Hidden: true}},
			Key: func(c Customer) []string { return []string{c.Currency, c.Amount.String(), c.CustomerID} },
		},
		"customer_id": {
			By:  []query.Column{{Name: "customer_id", Kind: query.Text, Hidden: true}, {Name: "currency", Kind: query.Text}},
			Key: func(c Customer) []string { return []string{c.CustomerID, c.Currency} },
		},
	},
	DefaultSort: "-amount",
}

// Customers gives a page of customers. By default the one with the largest net amount comes first.
func Customers(ctx context.Context, db query.DB, f CustomerFilter, p query.Page) (query.List[Customer], error) {
	var w query.Where
	w.Add("currency = ?", f.Currency)
	w.In("customer_id", f.CustomerIDs)
	list, err := ListedCustomers.Read(ctx, db, w, p)
	if err != nil {
		return list, fmt.Errorf("list customers: %w", err)
	}
	return list, nil
}
