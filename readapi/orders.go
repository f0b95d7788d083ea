package readapi

import (
	"context"
	"time"

	"daybook/domain/access"
	"daybook/internal/resource"
	"daybook/projections/orderview"
	"daybook/projections/query"
)

// Period chooses by time.
type Period struct {
	From time.Time `query:"from" example:"2026-01-01T00:00:00Z" doc:"Effective time, included."`
	To   time.Time `query:"to" example:"2026-02-01T00:00:00Z" doc:"Effective time, not included."`
}

type listOrdersInput struct {
	Reading
	Paging
	Counting
	Period
	Status         []string `query:"status" maxItems:"10" enum:"pending,confirmed,completed,canceled,expired"`
	Payment        []string `query:"payment_state" maxItems:"20" enum:"unpaid,authorized,partially_authorized,partially_paid,paid,partially_refunded,refunded,overpaid,due,voided"`
	Fulfillment    []string `query:"fulfillment_state" maxItems:"20" enum:"unfulfilled,partially_fulfilled,fulfilled,partially_delivered,delivered,backordered,not_required"`
	CustomerID     []string `query:"customer_id" class:"customer" maxItems:"100" minLength:"1" maxLength:"64"`
	Reference      []string `query:"reference" class:"personal" maxItems:"100" minLength:"1" maxLength:"100" doc:"The caller's own number for the order."`
	CartID         []string `query:"cart_id" maxItems:"100" minLength:"1" maxLength:"64"`
	SKU            []string `query:"sku" maxItems:"100" minLength:"1" maxLength:"64" doc:"Orders with a line of any of these."`
	Country        []string `query:"country" maxItems:"100" minLength:"1" maxLength:"100"`
	Channel        []string `query:"channel" maxItems:"100" minLength:"1" maxLength:"32"`
	Currency       []string `query:"currency" maxItems:"100" minLength:"1" maxLength:"3"`
	OnHold         string   `query:"on_hold" enum:"true,false"`
	Archived       string   `query:"archived" enum:"true,false"`
	NeedsAttention string   `query:"needs_attention" enum:"true,false" doc:"true: only orders that somebody has to look at. false: only the others."`
	Attention      []string `query:"attention" maxItems:"20" enum:"stock_lost,to_return,due,refund_failed,refund_unknown,refund_unplaced,refund_unexplained,dispute_open,transaction_unreadable" doc:"Orders that somebody has to look at for any of these reasons."`
	ToReturn       string   `query:"to_return" enum:"true,false" doc:"true: only orders of which money has to be given back, and for which no refund is under way. false: only the others."`
	ToCollect      string   `query:"to_collect" enum:"true,false" doc:"true: only orders for which money is still to be paid. false: only the others."`
	Sort           string   `query:"sort" enum:"placed_at,-placed_at,changed_at,-changed_at,total,-total" default:"-placed_at" doc:"The newest first by default. Totals in different currencies are compared as plain numbers, so choose a currency, too."`
}

func (a *api) listOrders(ctx context.Context, in *listOrdersInput) (query.List[resource.OrderSummary], error) {
	customers, err := a.ownRows(ctx, access.ReadOrders, values(in.CustomerID))
	if err != nil {
		return query.List[resource.OrderSummary]{}, err
	}
	rows, err := orderview.List(ctx, a.DB, orderview.Filter{
		Statuses: in.Status, PaymentStates: in.Payment, FulfillmentStates: in.Fulfillment,
		CustomerIDs: customers, References: values(in.Reference), CartIDs: values(in.CartID), SKUs: skus(in.SKU),
		Countries: values(in.Country), Channels: values(in.Channel), Currencies: upper(in.Currency), From: in.From, To: in.To,
		OnHold: yesOrNo(in.OnHold), Archived: yesOrNo(in.Archived), NeedsAttention: yesOrNo(in.NeedsAttention),
		Attention: values(in.Attention), ToReturn: yesOrNo(in.ToReturn), ToCollect: yesOrNo(in.ToCollect),
	}, in.listing(in.Counting, in.Sort))
	return page(rows, err, orderSummary)
}

type orderInput struct {
	Reading
	OrderID string `path:"order_id" maxLength:"64"`
}

func (a *api) order(ctx context.Context, in *orderInput) (resource.Order, error) {
	row, err := orderview.Get(ctx, a.DB, in.OrderID)
	if err == nil {
		err = a.mayRead(ctx, access.ReadOrders, row.CustomerID, row.CartID)
	}
	if err != nil {
		return resource.Order{}, err
	}
	history, err := a.history(ctx, access.ReadOrders)
	if err != nil {
		return resource.Order{}, err
	}
	timeline, err := history.OrderTimeline(ctx, row.OrderID, row.Revision)
	if err != nil {
		return resource.Order{}, err
	}
	return orderOf(row, hideStaff(ctx, access.ReadOrders, timeline)), nil
}

func (a *api) orderMoney(ctx context.Context, in *orderInput) (resource.OrderMoney, error) {
	row, err := orderview.Get(ctx, a.DB, in.OrderID)
	if err == nil {
		err = a.mayRead(ctx, access.ReadOrders, row.CustomerID, row.CartID)
	}
	if err != nil {
		return resource.OrderMoney{}, err
	}
	history, err := a.history(ctx, access.ReadOrders)
	if err != nil {
		return resource.OrderMoney{}, err
	}
	money, err := history.OrderMoney(ctx, row.OrderID, row.Revision)
	if err != nil {
		return resource.OrderMoney{}, err
	}
	timeline := make([]orderview.Entry, len(money.Entries))
	for i, e := range money.Entries {
		timeline[i] = e.Entry
	}
	entries := make([]resource.OrderMoneyEntry, len(money.Entries))
	for i, shown := range hideStaff(ctx, access.ReadOrders, timeline) {
		changes, items := money.Entries[i].Changes, money.Entries[i].Items
		entries[i] = resource.OrderMoneyEntry{TimelineEntry: timelineEntry(shown), Changes: resource.OrderTermsOf(changes), Items: resource.OrderItemChangesOf(items)}
	}
	return resource.OrderMoneyOf(row.Fold, row.Revision, money.Sums, entries), nil
}

type listReturnsInput struct {
	Reading
	Paging
	Counting
	Period
	Status     []string `query:"status" maxItems:"10" enum:"requested,open,received,closed,declined,canceled,noted" doc:"noted is a credit note."`
	CustomerID []string `query:"customer_id" class:"customer" maxItems:"100" minLength:"1" maxLength:"64"`
	Reference  []string `query:"reference" class:"personal" maxItems:"100" minLength:"1" maxLength:"100"`
	OrderID    []string `query:"order_id" maxItems:"100" minLength:"1" maxLength:"64" doc:"Returns that bring back units of any of these orders."`
	Sort       string   `query:"sort" enum:"created_at,-created_at,changed_at,-changed_at,value,-value" default:"-created_at" doc:"The newest first by default. Values in different currencies are compared as plain numbers."`
}

func (a *api) listReturns(ctx context.Context, in *listReturnsInput) (query.List[resource.ReturnSummary], error) {
	customers, err := a.ownRows(ctx, access.ReadReturns, values(in.CustomerID))
	if err != nil {
		return query.List[resource.ReturnSummary]{}, err
	}
	rows, err := orderview.ListReturns(ctx, a.DB, orderview.ReturnFilter{
		Statuses: in.Status, CustomerIDs: customers, References: values(in.Reference), OrderIDs: values(in.OrderID),
		From: in.From, To: in.To,
	}, in.listing(in.Counting, in.Sort))
	return page(rows, err, returnSummary)
}

type returnInput struct {
	Reading
	ReturnID string `path:"return_id" maxLength:"64"`
}

func (a *api) getReturn(ctx context.Context, in *returnInput) (resource.Return, error) {
	row, err := orderview.GetReturn(ctx, a.DB, in.ReturnID)
	if err == nil {
		err = a.mayRead(ctx, access.ReadReturns, row.CustomerID, string(row.Fold.Requested.CartID))
	}
	if err != nil {
		return resource.Return{}, err
	}
	history, err := a.history(ctx, access.ReadReturns)
	if err != nil {
		return resource.Return{}, err
	}
	timeline, err := history.ReturnTimeline(ctx, row.ReturnID, row.Revision)
	if err != nil {
		return resource.Return{}, err
	}
	return returnOf(row, hideStaff(ctx, access.ReadReturns, timeline)), nil
}

type customerOrdersInput struct {
	Reading
	Paging
	Counting
	CustomerID string `path:"customer_id" class:"customer" maxLength:"64"`
	Sort       string `query:"sort" enum:"placed_at,-placed_at,changed_at,-changed_at,total,-total" default:"-placed_at" doc:"The newest first by default. Totals in different currencies are compared as plain numbers."`
}

func (a *api) customerOrders(ctx context.Context, in *customerOrdersInput) (query.List[resource.OrderSummary], error) {
	if err := a.mayRead(ctx, access.ReadOrders, in.CustomerID, ""); err != nil {
		return query.List[resource.OrderSummary]{}, err
	}
	customers, err := a.withAbsorbed(ctx, []string{in.CustomerID})
	if err != nil {
		return query.List[resource.OrderSummary]{}, err
	}
	rows, err := orderview.List(ctx, a.DB, orderview.Filter{CustomerIDs: customers}, in.listing(in.Counting, in.Sort))
	return page(rows, err, orderSummary)
}
