package moneyview

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/money/giftcard"
	"daybook/domain/unit"
	"daybook/projections/query"
)

// Dimension is a value by which totals can be divided, such as the month.
type Dimension string

// Report is one of the reports that add up rows of a table.
type Report struct {
	table      string
	dimensions []Dimension // those that it can be divided by
	sums       string      // SQL
}

// The reports.
var (
	Items = Report{
		"report_items",
		[]Dimension{"day", "month", "kind", "sku", "charge", "entity", "channel", "country", "customer_groups", "currency"},
		"sum(units)::bigint AS units, sum(list) AS list, sum(discount) AS discount, sum(net) AS net, sum(tax) AS tax, sum(net + tax) AS gross",
	}
	Promotions = Report{
		"report_promotions",
		[]Dimension{"day", "month", "kind", "promotion", "code", "sku", "charge", "entity", "channel", "country", "customer_groups", "currency"},
		"sum(discount) AS discount",
	}
	Taxes = Report{
		"report_taxes",
		[]Dimension{"day", "month", "kind", "entity", "country", "component", "place", "rate", "treatment", "currency"},
		"sum(base) AS base, sum(tax) AS tax",
	}
	Payments = Report{
		"report_payments",
		[]Dimension{"day", "month", "entity", "channel", "provider", "tender", "type", "purpose", "currency"},
		"sum(transactions)::bigint AS transactions, sum(amount) AS amount",
	}
)

// StoredValue is the report of gift cards and credit accounts.
var StoredValue = Report{
	"report_stored_value",
	[]Dimension{"day", "month", "kind", "currency"},
	"sum(events)::bigint AS transactions, sum(amount) AS amount",
}

// Filter chooses what is added up; its zero value chooses all. Days have the form YYYY-MM-DD, and
// both are included. Only lists the values of a dimension that count.
type Filter struct {
	FromDay, ToDay string
	Only           map[Dimension][]string
	Max            int // how many rows are allowed; 0: any number
}

func (f Filter) where() query.Where {
	var w query.Where
	w.Text("day >= ?::text::date", f.FromDay)
	w.Text("day <= ?::text::date", f.ToDay)
	for _, d := range slices.Sorted(keysOf(f.Only)) {
		w.In(string(d), f.Only[d])
	}
	return w
}

func keysOf(only map[Dimension][]string) func(func(Dimension) bool) {
	return func(yield func(Dimension) bool) {
		for d := range only {
			if !yield(d) {
				return
			}
		}
	}
}

// TooManyError means that there are more rows than Filter.Max.
type TooManyError struct{ Max int }

func (e *TooManyError) Error() string { return fmt.Sprintf("more than %d totals", e.Max) }

// Row is one row of a report. The fields of dimensions not asked for are empty, and so are the sums
// that the report does not have.
type Row struct {
	Day, Month, Kind, SKU, Charge, Entity, Channel, Country, CustomerGroups, Currency string
	Promotion, Code                                                                   string
	Component, Place, Rate, Treatment                                                 string
	Provider, Tender, Type, Purpose                                                   string

	Units, Transactions                           int64
	List, Discount, Net, Tax, Gross, Base, Amount decimal.Decimal
}

// columns are the dimensions and the sums of a Row.
var (
	dimensions = []Dimension{
		"day", "month", "kind", "sku", "charge", "entity", "channel", "country", "customer_groups", "currency",
		"promotion", "code", "component", "place", "rate", "treatment", "provider", "tender", "type", "purpose",
	}
	sums = []string{"units", "transactions", "list", "discount", "net", "tax", "gross", "base", "amount"}
)

func (d Dimension) expression() string {
	switch d {
	case "day":
		return "to_char(day, 'YYYY-MM-DD')"
	case "month":
		return "to_char(day, 'YYYY-MM')"
	}
	return string(d)
}

// Totals adds up a report, for each value of the dimensions and always for each currency. The rows
// are sorted by the dimensions, in their order. It returns *TooManyError if there are more than
// f.Max rows.
func (r Report) Totals(ctx context.Context, db query.DB, f Filter, by ...Dimension) ([]Row, error) {
	if !slices.Contains(by, "currency") {
		by = append(slices.Clone(by), "currency")
	}
	var columns, keys []string
	for _, d := range by {
		if !slices.Contains(r.dimensions, d) {
			return nil, fmt.Errorf("dimension %q: want one of %v", d, r.dimensions)
		}
		keys = append(keys, d.expression())
	}
	for _, d := range dimensions {
		if slices.Contains(by, d) {
			columns = append(columns, d.expression()+" AS "+string(d))
		} else {
			columns = append(columns, "'' AS "+string(d))
		}
	}
	for _, sum := range sums {
		switch {
		case strings.Contains(r.sums, " AS "+sum):
		case sum == "units" || sum == "transactions":
			columns = append(columns, "0::bigint AS "+sum)
		default:
			columns = append(columns, "0::numeric AS "+sum)
		}
	}
	w := f.where()
	sql := `SELECT ` + strings.Join(columns, ", ") + `, ` + r.sums + ` FROM read.` + r.table + w.SQL() +
		` GROUP BY ` + strings.Join(keys, ", ") + ` ORDER BY ` + strings.Join(keys, ", ")
	if f.Max > 0 {
		sql += ` LIMIT ` + w.Arg(f.Max+1)
	}
	rows, err := query.All[Row](ctx, db, sql, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("total %s: %w", r.table, err)
	}
	if f.Max > 0 && len(rows) > f.Max {
		return nil, &TooManyError{f.Max}
	}
	return rows, nil
}

// CreditAccount is an account that a customer may have.
type CreditAccount struct{ ID, Stream, Currency string }

// CreditAccounts are all credit accounts that a customer can have, sorted by their currency: one in
// each currency in which gift cards or credit were ever issued. Most of them have never begun.
func CreditAccounts(ctx context.Context, db query.DB, of unit.CustomerID) ([]CreditAccount, error) {
	type row struct{ Currency string }
	rows, err := query.All[row](ctx, db, `SELECT DISTINCT currency FROM read.report_stored_value WHERE kind = 'issued' ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("currencies of gift cards: %w", err)
	}
	accounts := make([]CreditAccount, len(rows))
	for i, r := range rows {
		id := giftcard.AccountID(of, unit.Currency(r.Currency))
		accounts[i] = CreditAccount{ID: string(id), Stream: giftcard.Stream(id), Currency: r.Currency}
	}
	return accounts, nil
}

// Bridge says how the money that was kept follows from what was ordered: in a period, or of one
// order. Each term is a sum of a report.
type Bridge struct {
	Day, Month, Entity, Channel, Currency string

	Charged, Canceled, Returned, Reduced, Added, WrittenOff, KeptAsGain, BeyondOwed, Owed decimal.Decimal
	Captured, Refunded, ChargedBack, Reversed, Kept                                       decimal.Decimal
	Compensated, Lost, Balance                                                            decimal.Decimal
}

// Bridges has a row for each value of the dimensions, which are day, month, entity and channel, and
// always for each currency.
func Bridges(ctx context.Context, db query.DB, f Filter, by ...Dimension) ([]Bridge, error) {
	column := func(d Dimension) string {
		if slices.Contains(by, d) {
			return d.expression()
		}
		return "''"
	}
	w := f.where()
	sql := `WITH moved AS (
		SELECT day, entity, channel, currency, kind AS term, net + tax AS amount FROM read.report_items` + w.SQL() + `
		UNION ALL SELECT day, entity, channel, currency, CASE WHEN type = 'refund' AND purpose = 'compensation' THEN 'compensation' ELSE type END, amount FROM read.report_payments` + w.SQL() + `
	), terms AS (
		SELECT ` + column("day") + ` AS day, ` + column("month") + ` AS month, ` + column("entity") + ` AS entity, ` + column("channel") + ` AS channel, currency,
			coalesce(sum(amount) FILTER (WHERE term = 'placed'), 0) AS charged,
			coalesce(-sum(amount) FILTER (WHERE term = 'canceled'), 0) AS canceled,
			coalesce(-sum(amount) FILTER (WHERE term = 'returned'), 0) AS returned,
			coalesce(-sum(amount) FILTER (WHERE term = 'reduced'), 0) AS reduced,
			coalesce(sum(amount) FILTER (WHERE term = 'added'), 0) AS added,
			coalesce(-sum(amount) FILTER (WHERE term = 'written_off'), 0) AS written_off,
			coalesce(sum(amount) FILTER (WHERE term = 'kept_as_gain'), 0) AS kept_as_gain,
			coalesce(sum(amount) FILTER (WHERE term = 'beyond_owed'), 0) AS beyond_owed,
			coalesce(sum(amount) FILTER (WHERE term = 'capture'), 0) AS captured,
			coalesce(sum(amount) FILTER (WHERE term IN ('refund', 'compensation')), 0) AS refunded,
			coalesce(sum(amount) FILTER (WHERE term = 'chargeback'), 0) AS charged_back,
			coalesce(sum(amount) FILTER (WHERE term = 'reversal'), 0) AS reversed,
			coalesce(sum(amount) FILTER (WHERE term = 'compensation'), 0) AS compensated,
			coalesce(sum(amount) FILTER (WHERE term = 'lost'), 0) AS lost
		FROM moved GROUP BY 1, 2, 3, 4, 5
	)
	SELECT *, kept + compensated + lost - owed AS balance FROM (
		SELECT *, charged - canceled - returned - reduced + added - written_off + kept_as_gain + beyond_owed AS owed,
			captured - refunded - charged_back + reversed AS kept FROM terms
	) t ORDER BY day, month, entity, channel, currency`
	if f.Max > 0 {
		sql += ` LIMIT ` + w.Arg(f.Max+1)
	}
	rows, err := query.All[Bridge](ctx, db, sql, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	if f.Max > 0 && len(rows) > f.Max {
		return nil, &TooManyError{f.Max}
	}
	return rows, nil
}

// OpenItems are orders with money that is still to be given back or to be paid, by the age of the
// orders.
type OpenItems struct {
	Age, Channel, Status, Currency string

	Orders              int64
	ToReturn, ToCollect decimal.Decimal
}

// Ages are the ages by which open items are added up, in days since the order was placed.
var Ages = []string{"0-7", "8-30", "31-90", "91+"}

// Open adds up the open items as they are now, for each value of the dimensions, which are age,
// channel and status, and always for each currency. Only the filters of channel, status and
// currency count.
func Open(ctx context.Context, db query.DB, f Filter, now time.Time, by ...Dimension) ([]OpenItems, error) {
	var w query.Where
	w.Add("(to_return > 0 OR to_collect > 0)")
	for _, d := range slices.Sorted(keysOf(f.Only)) {
		w.In(string(d), f.Only[d])
	}
	column := func(d Dimension, expression string) string {
		if slices.Contains(by, d) {
			return expression
		}
		return "''"
	}
	days := "extract(epoch FROM " + w.Arg(now) + "::timestamptz - placed_at) / 86400"
	age := "CASE WHEN " + days + " < 8 THEN '0-7' WHEN " + days + " < 31 THEN '8-30' WHEN " + days + " < 91 THEN '31-90' ELSE '91+' END"
	if !slices.Contains(by, "age") {
		w.Args = w.Args[:len(w.Args)-1] // a parameter has to be used
	}
	sql := `SELECT ` + column("age", age) + ` AS age, ` + column("channel", "channel") + ` AS channel, ` + column("status", "status") + ` AS status, currency,
		count(*) AS orders, sum(to_return) AS to_return, sum(to_collect) AS to_collect FROM read.orders` + w.SQL() +
		` GROUP BY 1, 2, 3, 4 ORDER BY min(placed_at) DESC, channel, status, currency`
	if f.Max > 0 {
		sql += ` LIMIT ` + w.Arg(f.Max+1)
	}
	rows, err := query.All[OpenItems](ctx, db, sql, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("open items: %w", err)
	}
	if f.Max > 0 && len(rows) > f.Max {
		return nil, &TooManyError{f.Max}
	}
	return rows, nil
}
