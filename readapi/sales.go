package readapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"daybook/internal/problem"
	"daybook/internal/resource"
	"daybook/projections/query"
	"daybook/projections/salesview"
)

// Days chooses a period by days, in the merchant's time zone.
type Days struct {
	From string `query:"from" format:"date" example:"2010-12-01" doc:"The first day, included."`
	To   string `query:"to" format:"date" example:"2010-12-31" doc:"The last day, included."`
}

type salesInput struct {
	Reading
	Days
	By       []string `query:"by" maxItems:"4" enum:"day,month,sku,country,channel,kind,currency" default:"month" doc:"What the totals are divided by, separated by commas. Rows are sorted in this order. Totals are always divided by currency, too."`
	Kinds    []string `query:"kind" maxItems:"8" enum:"sale,free_order,order_canceled,return,adjust_in,adjust_out,bad_debt,credit" doc:"Only these kinds of document."`
	SKU      []string `query:"sku" maxItems:"100" minLength:"1" maxLength:"64"`
	Country  []string `query:"country" maxItems:"100" minLength:"1" maxLength:"100"`
	Channel  []string `query:"channel" maxItems:"100" minLength:"1" maxLength:"32"`
	Currency []string `query:"currency" maxItems:"100" minLength:"1" maxLength:"3"`
}

// maxTotals bounds the rows of totals in a response, because totals have no pages.
const maxTotals = 10_000

func (a *api) salesTotals(ctx context.Context, in *salesInput) (resource.SalesTotals, error) {
	var by []salesview.Dimension
	for _, name := range in.By {
		by = append(by, salesview.Dimension(name))
	}
	totals, err := salesview.Totals(ctx, a.DB, salesview.Filter{
		FromDay: in.From, ToDay: in.To, Kinds: in.Kinds, SKUs: skus(in.SKU),
		Countries: values(in.Country), Channels: values(in.Channel), Currencies: upper(in.Currency),
		Max: maxTotals,
	}, by...)
	if many, ok := errors.AsType[*salesview.TooManyError](err); ok {
		return resource.SalesTotals{}, problem.NotValid(problem.InParameter("query", "by",
			fmt.Sprintf("would give more than %d totals: divide by fewer things, or choose fewer days, a SKU or a country", many.Max)))
	}
	return resource.SalesTotals{Items: each(totals, totalOf)}, err
}

type documentsInput struct {
	Reading
	Paging
	Counting
	Days
	Kind       []string `query:"kind" maxItems:"8" enum:"sale,free_order,order_canceled,return,adjust_in,adjust_out,bad_debt,credit"`
	Reference  []string `query:"reference" class:"personal" maxItems:"100" minLength:"1" maxLength:"100"`
	CustomerID []string `query:"customer_id" class:"customer" maxItems:"100" minLength:"1" maxLength:"64"`
	Country    []string `query:"country" maxItems:"100" minLength:"1" maxLength:"100"`
	Channel    []string `query:"channel" maxItems:"100" minLength:"1" maxLength:"32"`
	Currency   []string `query:"currency" maxItems:"100" minLength:"1" maxLength:"3"`
	Sort       string   `query:"sort" enum:"occurred_at,-occurred_at" default:"occurred_at" doc:"The oldest first by default."`
}

func (a *api) salesDocuments(ctx context.Context, in *documentsInput) (query.List[resource.SalesDocument], error) {
	customers, err := a.withAbsorbed(ctx, values(in.CustomerID))
	if err != nil {
		return query.List[resource.SalesDocument]{}, err
	}
	rows, err := salesview.Documents(ctx, a.DB, salesview.DocumentFilter{
		FromDay: in.From, ToDay: in.To, Kinds: in.Kind, References: values(in.Reference),
		CustomerIDs: customers, Countries: values(in.Country), Channels: values(in.Channel), Currencies: upper(in.Currency),
	}, in.listing(in.Counting, in.Sort))
	return page(rows, err, documentOf)
}

type customersInput struct {
	Reading
	Paging
	Counting
	Currency   string   `query:"currency" minLength:"3" maxLength:"3" required:"true" doc:"Amounts of different currencies cannot be ranked."`
	CustomerID []string `query:"customer_id" class:"customer" maxItems:"100" minLength:"1" maxLength:"64"`
	Sort       string   `query:"sort" personalSorts:"customer_id,-customer_id" enum:"amount,-amount,customer_id,-customer_id" default:"-amount" doc:"The largest net amount first by default."`
}

func (a *api) customers(ctx context.Context, in *customersInput) (query.List[resource.SalesCustomer], error) {
	customers, err := a.withAbsorbed(ctx, values(in.CustomerID))
	if err != nil {
		return query.List[resource.SalesCustomer]{}, err
	}
	rows, err := salesview.Customers(ctx, a.DB, salesview.CustomerFilter{
		Currency: strings.ToUpper(in.Currency), CustomerIDs: customers,
	}, in.listing(in.Counting, in.Sort))
	return page(rows, err, customerOf)
}
