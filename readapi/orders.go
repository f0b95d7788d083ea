package readapi

import (
	"context"
	"time"

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
	Period
	Status         string `query:"status" enum:"pending,confirmed,completed,canceled,expired"`
	Payment        string `query:"payment_state" enum:"unpaid,authorized,partially_authorized,partially_paid,paid,partially_refunded,refunded,overcharged,voided"`
	Fulfillment    string `query:"fulfillment_state" enum:"unfulfilled,partially_fulfilled,fulfilled,partially_delivered,delivered,backordered,not_required"`
	CustomerID     string `query:"customer_id" maxLength:"64"`
	Reference      string `query:"reference" maxLength:"100" doc:"The caller's own number."`
	CartID         string `query:"cart_id" maxLength:"64"`
	SKU            string `query:"sku" maxLength:"64" doc:"Orders with a line of it."`
	Country        string `query:"country" maxLength:"100"`
	Channel        string `query:"channel" maxLength:"32"`
	OnHold         string `query:"on_hold" enum:"true,false"`
	Archived       string `query:"archived" enum:"true,false"`
	NeedsAttention string `query:"needs_attention" enum:"true,false" doc:"Stock was lost, or money is to be given back."`
	Sort           string `query:"sort" enum:"placed_at,-placed_at" default:"-placed_at" doc:"The newest first by default."`
}

func (a *api) listOrders(ctx context.Context, in *listOrdersInput) (query.List[resource.OrderSummary], error) {
	rows, err := orderview.List(ctx, a.DB, orderview.Filter{
		Status: in.Status, PaymentState: in.Payment, FulfillmentState: in.Fulfillment,
		CustomerID: in.CustomerID, Reference: in.Reference, CartID: in.CartID, SKU: sku(in.SKU),
		Country: in.Country, Channel: in.Channel, From: in.From, To: in.To,
		OnHold: yesOrNo(in.OnHold), Archived: yesOrNo(in.Archived), NeedsAttention: yesOrNo(in.NeedsAttention),
		OldestFirst: in.Sort == "placed_at",
	}, in.page())
	return page(rows, err, orderSummary)
}

type orderInput struct {
	Reading
	OrderID string `path:"order_id" maxLength:"64"`
}

func (a *api) order(ctx context.Context, in *orderInput) (resource.Order, error) {
	row, err := orderview.Get(ctx, a.DB, in.OrderID)
	return one(row, err, orderOf)
}

type listReturnsInput struct {
	Reading
	Paging
	Period
	Status     string `query:"status" enum:"requested,open,received,closed,declined,canceled,noted" doc:"noted is a credit note."`
	CustomerID string `query:"customer_id" maxLength:"64"`
	Reference  string `query:"reference" maxLength:"100"`
	OrderID    string `query:"order_id" maxLength:"64" doc:"Returns that have something of it."`
	Sort       string `query:"sort" enum:"created_at,-created_at" default:"-created_at"`
}

func (a *api) listReturns(ctx context.Context, in *listReturnsInput) (query.List[resource.ReturnSummary], error) {
	rows, err := orderview.ListReturns(ctx, a.DB, orderview.ReturnFilter{
		Status: in.Status, CustomerID: in.CustomerID, Reference: in.Reference, OrderID: in.OrderID,
		From: in.From, To: in.To, OldestFirst: in.Sort == "created_at",
	}, in.page())
	return page(rows, err, returnSummary)
}

type returnInput struct {
	Reading
	ReturnID string `path:"return_id" maxLength:"64"`
}

func (a *api) getReturn(ctx context.Context, in *returnInput) (resource.Return, error) {
	row, err := orderview.GetReturn(ctx, a.DB, in.ReturnID)
	return one(row, err, returnOf)
}

type customerOrdersInput struct {
	Reading
	Paging
	CustomerID string `path:"customer_id" maxLength:"64"`
}

func (a *api) customerOrders(ctx context.Context, in *customerOrdersInput) (query.List[resource.OrderSummary], error) {
	rows, err := orderview.List(ctx, a.DB, orderview.Filter{CustomerID: in.CustomerID}, in.page())
	return page(rows, err, orderSummary)
}
