package readapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/shopspring/decimal"

	"daybook/domain/access"
	"daybook/internal/apidoc"
	"daybook/internal/problem"
	"daybook/internal/resource"
	"daybook/projections/moneyview"
)

// reportRoutes are the routes of the reports about money.
func (a *api) reportRoutes() {
	in := []string{orders}
	get(a, apidoc.TagReports, route{path: "/v1/reports/orders-taken", id: "report-orders-taken", needs: access.ReadSales, summary: "Total what was ordered", views: in, about: "What orders cost when they were placed, and what was taken off them, each on its own day, with discounts and taxes. The sum of all kinds is what the orders owe. Each currency has its own rows."}, nil, a.ordersTaken)
	get(a, apidoc.TagReports, route{path: "/v1/reports/discounts", id: "report-discounts", needs: access.ReadSales, summary: "Total what promotions took off", views: in, about: "The discounts of orders by promotion and code. Canceled and returned units take their share of a discount with them."}, nil, a.discounts)
	get(a, apidoc.TagReports, route{path: "/v1/reports/taxes", id: "report-taxes", needs: access.ReadSales, summary: "Total taxes", views: in, about: "The taxes of orders, by component and rate, with what they are a tax of. Untaxed turnover has rows, too, with its treatment and a tax of 0. Orders whose taxes are not known are in no row."}, nil, a.taxes)
	get(a, apidoc.TagReports, route{path: "/v1/reports/money", id: "report-money", needs: access.ReadSales, summary: "Total the money that moved", views: in, about: "Captures, refunds, chargebacks and their reversals, on the day on which they are known to have succeeded."}, nil, a.money)
	get(a, apidoc.TagReports, route{path: "/v1/reports/open-items", id: "report-open-items", needs: access.ReadSales, summary: "Total what is still to be paid or given back", views: in, about: "As of now: money of orders that has to be given back or is still to be paid, by the age of the orders; and what the shop owes to those who have gift cards and credit accounts. list-orders with `to_return` or `to_collect` lists the orders."}, nil, a.openItems)
	get(a, apidoc.TagReports, route{path: "/v1/reports/bridge", id: "report-bridge", needs: access.ReadSales, summary: "Follow the money from orders to what was kept", views: in, about: "Each term is the sum of another report. `owed` is `charged` less `canceled`, `returned`, `reduced` and `written_off`, plus `kept_as_gain` and `beyond_owed`. `kept` is `captured` less `refunded` and `charged_back`, plus `reversed`. `balance` is `kept` plus `compensated` and `lost`, less `owed`: it is what the shop has too much, or too little if it is below zero."}, nil, a.bridge)
}

// Reported chooses what a report adds up.
type Reported struct {
	Days
	Currency []string `query:"currency" maxItems:"100" minLength:"1" maxLength:"3"`
}

func (r Reported) filter(only map[moneyview.Dimension][]string) moneyview.Filter {
	only["currency"] = upper(r.Currency)
	return moneyview.Filter{FromDay: r.From, ToDay: r.To, Only: only, Max: maxTotals}
}

type dimensions = map[moneyview.Dimension][]string

func dividedBy(names []string) []moneyview.Dimension {
	by := make([]moneyview.Dimension, len(names))
	for i, name := range names {
		by[i] = moneyview.Dimension(name)
		if name == "promotion_id" {
			by[i] = "promotion"
		}
	}
	return by
}

// tooMany makes a report with too many rows a fault of the request.
func tooMany(err error) error {
	if many, ok := errors.AsType[*moneyview.TooManyError](err); ok {
		return problem.NotValid(problem.InParameter("query", "by",
			fmt.Sprintf("would give more than %d rows: divide by fewer things, or choose fewer days or a currency", many.Max)))
	}
	return err
}

// report reads the rows of a report.
func report[R any](ctx context.Context, a *api, r moneyview.Report, f moneyview.Filter, by []string, to func(moneyview.Row) R) ([]R, error) {
	rows, err := r.Totals(ctx, a.DB, f, dividedBy(by)...)
	return each(rows, to), tooMany(err)
}

type ordersTakenInput struct {
	Reading
	Reported
	By      []string `query:"by" maxItems:"6" enum:"day,month,kind,sku,charge,entity,channel,country,customer_groups,currency" default:"month,kind" doc:"What the report is divided by, separated by commas. Rows are sorted in this order. They are always divided by currency, too."`
	Kind    []string `query:"kind" maxItems:"8" enum:"placed,canceled,returned,reduced,added,written_off,kept_as_gain,beyond_owed"`
	SKU     []string `query:"sku" maxItems:"100" minLength:"1" maxLength:"64"`
	Entity  []string `query:"entity" maxItems:"100" minLength:"1" maxLength:"64"`
	Channel []string `query:"channel" maxItems:"100" minLength:"1" maxLength:"32"`
	Country []string `query:"country" maxItems:"100" minLength:"1" maxLength:"100"`
}

func (a *api) ordersTaken(ctx context.Context, in *ordersTakenInput) (resource.OrdersTaken, error) {
	f := in.filter(dimensions{
		"kind": in.Kind, "sku": skus(in.SKU), "entity": values(in.Entity), "channel": values(in.Channel), "country": values(in.Country),
	})
	items, err := report(ctx, a, moneyview.Items, f, in.By, func(r moneyview.Row) resource.OrdersTakenTotal {
		return resource.OrdersTakenTotal{
			Day: r.Day, Month: r.Month, Kind: r.Kind, SKU: r.SKU, Charge: r.Charge, Entity: r.Entity, Channel: r.Channel, Country: r.Country,
			CustomerGroups: r.CustomerGroups, Currency: r.Currency, Units: r.Units, List: resource.MoneyIn(r.Currency, r.List),
			Discount: resource.MoneyIn(r.Currency, r.Discount), Net: resource.MoneyIn(r.Currency, r.Net), Tax: resource.MoneyIn(r.Currency, r.Tax),
			Gross: resource.MoneyIn(r.Currency, r.Gross),
		}
	})
	return resource.OrdersTaken{Items: items}, err
}

type discountsInput struct {
	Reading
	Reported
	By          []string `query:"by" maxItems:"6" enum:"day,month,kind,promotion_id,code,sku,charge,entity,channel,country,customer_groups,currency" default:"month,promotion_id" doc:"What the report is divided by, separated by commas. Rows are sorted in this order. They are always divided by currency, too."`
	Kind        []string `query:"kind" maxItems:"4" enum:"placed,canceled,returned,reduced"`
	PromotionID []string `query:"promotion_id" maxItems:"100" minLength:"1" maxLength:"64"`
	Code        []string `query:"code" maxItems:"100" minLength:"1" maxLength:"64"`
	Channel     []string `query:"channel" maxItems:"100" minLength:"1" maxLength:"32"`
}

func (a *api) discounts(ctx context.Context, in *discountsInput) (resource.Discounts, error) {
	f := in.filter(dimensions{"kind": in.Kind, "promotion": values(in.PromotionID), "code": values(in.Code), "channel": values(in.Channel)})
	items, err := report(ctx, a, moneyview.Promotions, f, in.By, func(r moneyview.Row) resource.DiscountTotal {
		return resource.DiscountTotal{
			Day: r.Day, Month: r.Month, Kind: r.Kind, PromotionID: r.Promotion, Code: r.Code, SKU: r.SKU, Charge: r.Charge, Entity: r.Entity,
			Channel: r.Channel, Country: r.Country, CustomerGroups: r.CustomerGroups, Currency: r.Currency, Discount: resource.MoneyIn(r.Currency, r.Discount),
		}
	})
	return resource.Discounts{Items: items}, err
}

type taxesInput struct {
	Reading
	Reported
	By      []string `query:"by" maxItems:"6" enum:"day,month,kind,entity,country,component,place,rate,treatment,currency" default:"month,component,rate,treatment" doc:"What the report is divided by, separated by commas. Rows are sorted in this order. They are always divided by currency, too."`
	Kind    []string `query:"kind" maxItems:"5" enum:"placed,canceled,returned,reduced,added"`
	Entity  []string `query:"entity" maxItems:"100" minLength:"1" maxLength:"64"`
	Country []string `query:"country" maxItems:"100" minLength:"1" maxLength:"100"`
}

func (a *api) taxes(ctx context.Context, in *taxesInput) (resource.Taxes, error) {
	f := in.filter(dimensions{"kind": in.Kind, "entity": values(in.Entity), "country": values(in.Country)})
	items, err := report(ctx, a, moneyview.Taxes, f, in.By, func(r moneyview.Row) resource.TaxTotal {
		return resource.TaxTotal{
			Day: r.Day, Month: r.Month, Kind: r.Kind, Entity: r.Entity, Country: r.Country, Component: r.Component, Place: r.Place, Rate: r.Rate,
			Treatment: r.Treatment, Currency: r.Currency, Base: resource.MoneyIn(r.Currency, r.Base), Tax: resource.MoneyIn(r.Currency, r.Tax),
		}
	})
	return resource.Taxes{Items: items}, err
}

type moneyInput struct {
	Reading
	Reported
	By       []string `query:"by" maxItems:"6" enum:"day,month,type,purpose,provider,tender,entity,channel,currency" default:"month,type" doc:"What the report is divided by, separated by commas. Rows are sorted in this order. They are always divided by currency, too."`
	Type     []string `query:"type" maxItems:"5" enum:"capture,refund,chargeback,reversal,lost"`
	Provider []string `query:"provider" maxItems:"100" minLength:"1" maxLength:"64"`
	Tender   []string `query:"tender" maxItems:"2" enum:"gift_card,store_credit"`
	Entity   []string `query:"entity" maxItems:"100" minLength:"1" maxLength:"64"`
	Channel  []string `query:"channel" maxItems:"100" minLength:"1" maxLength:"32"`
}

func (a *api) money(ctx context.Context, in *moneyInput) (resource.MoneyMoved, error) {
	f := in.filter(dimensions{
		"type": in.Type, "provider": values(in.Provider), "tender": in.Tender, "entity": values(in.Entity), "channel": values(in.Channel),
	})
	items, err := report(ctx, a, moneyview.Payments, f, in.By, func(r moneyview.Row) resource.MoneyTotal {
		return resource.MoneyTotal{
			Day: r.Day, Month: r.Month, Type: r.Type, Purpose: r.Purpose, Provider: r.Provider, Tender: r.Tender, Entity: r.Entity, Channel: r.Channel,
			Currency: r.Currency, Transactions: r.Transactions, Amount: resource.MoneyIn(r.Currency, r.Amount),
		}
	})
	return resource.MoneyMoved{Items: items}, err
}

type openItemsInput struct {
	Reading
	By       []string `query:"by" maxItems:"4" enum:"age,channel,status,currency" default:"age" doc:"What the open items are divided by, separated by commas. They are always divided by currency, too. The items of the newest orders come first."`
	Channel  []string `query:"channel" maxItems:"100" minLength:"1" maxLength:"32"`
	Status   []string `query:"status" maxItems:"5" enum:"pending,confirmed,completed,canceled,expired"`
	Currency []string `query:"currency" maxItems:"100" minLength:"1" maxLength:"3"`
}

func (a *api) openItems(ctx context.Context, in *openItemsInput) (resource.OpenItems, error) {
	only := dimensions{"channel": values(in.Channel), "status": in.Status, "currency": upper(in.Currency)}
	rows, err := moneyview.Open(ctx, a.DB, moneyview.Filter{Only: only, Max: maxTotals}, a.Now(), dividedBy(in.By)...)
	if err != nil {
		return resource.OpenItems{}, tooMany(err)
	}
	stored, err := moneyview.StoredValue.Totals(ctx, a.DB, moneyview.Filter{Only: dimensions{"currency": upper(in.Currency)}}, "currency", "kind")
	return resource.OpenItems{
		Items: each(rows, func(r moneyview.OpenItems) resource.OpenItemTotal {
			return resource.OpenItemTotal{
				Age: r.Age, Channel: r.Channel, Status: r.Status, Currency: r.Currency, Orders: r.Orders,
				ToReturn: resource.MoneyIn(r.Currency, r.ToReturn), ToCollect: resource.MoneyIn(r.Currency, r.ToCollect),
			}
		}),
		StoredValue: storedValues(stored),
	}, err
}

// storedValues are the totals by currency. rows are by currency and kind.
func storedValues(rows []moneyview.Row) []resource.StoredValue {
	all := []resource.StoredValue{}
	var balance, ended decimal.Decimal
	for _, r := range rows {
		if len(all) == 0 || all[len(all)-1].Currency != r.Currency {
			none := resource.MoneyIn(r.Currency, decimal.Zero)
			all = append(all, resource.StoredValue{Currency: r.Currency, Issued: none, Redeemed: none, CreditedBack: none, Ended: none, Balance: none})
			balance, ended = decimal.Zero, decimal.Zero
		}
		of := &all[len(all)-1]
		switch r.Kind {
		case "issued":
			of.Issued = resource.MoneyIn(r.Currency, r.Amount)
		case "redeemed":
			of.Redeemed = resource.MoneyIn(r.Currency, r.Amount.Neg())
		case "credited_back":
			of.CreditedBack = resource.MoneyIn(r.Currency, r.Amount)
		default: // expired, disabled
			ended = ended.Sub(r.Amount)
			of.Ended = resource.MoneyIn(r.Currency, ended)
		}
		balance = balance.Add(r.Amount)
		of.Balance = resource.MoneyIn(r.Currency, balance)
	}
	return all
}

type bridgeInput struct {
	Reading
	Reported
	By      []string `query:"by" maxItems:"4" enum:"day,month,entity,channel,currency" default:"currency" doc:"What the bridge is divided by, separated by commas: days or months, not both. It is always divided by currency, too."`
	Entity  []string `query:"entity" maxItems:"100" minLength:"1" maxLength:"64"`
	Channel []string `query:"channel" maxItems:"100" minLength:"1" maxLength:"32"`
}

func (a *api) bridge(ctx context.Context, in *bridgeInput) (resource.Bridge, error) {
	rows, err := moneyview.Bridges(ctx, a.DB, in.filter(dimensions{"entity": values(in.Entity), "channel": values(in.Channel)}), dividedBy(in.By)...)
	return resource.Bridge{Items: each(rows, func(b moneyview.Bridge) resource.BridgeTotal {
		money := func(amount decimal.Decimal) resource.Money { return resource.MoneyIn(b.Currency, amount) }
		return resource.BridgeTotal{
			Day: b.Day, Month: b.Month, Entity: b.Entity, Channel: b.Channel, Currency: b.Currency,
			Charged: money(b.Charged), Canceled: money(b.Canceled), Returned: money(b.Returned), Reduced: money(b.Reduced), Added: money(b.Added), BeyondOwed: money(b.BeyondOwed),
			WrittenOff: money(b.WrittenOff), KeptAsGain: money(b.KeptAsGain), Owed: money(b.Owed), Captured: money(b.Captured), Refunded: money(b.Refunded),
			ChargedBack: money(b.ChargedBack), Reversed: money(b.Reversed), Kept: money(b.Kept), Compensated: money(b.Compensated), Lost: money(b.Lost),
			Balance: money(b.Balance),
		}
	})}, tooMany(err)
}
