package orderview

import (
	"time"

	"github.com/shopspring/decimal"

	"daybook/projections"
	"daybook/projections/table"
)

// The fixed columns of orders come from the event Placed. A row is created in the batch that
// has this event, and only in that batch is fresh set.
var orderTable = table.New("orders",
	table.Key("order_id", table.Text, func(r *record) string { return r.id }),
	table.Fixed("reference", table.Text, func(r *record) string { return projections.Key(r.fresh.Reference) }),
	table.Set("customer_id", table.Text, func(r *record) string { return string(r.Fold.CustomerID) }),
	table.Fixed("cart_id", table.Text, func(r *record) string { return string(r.fresh.CartID) }),
	table.Fixed("currency", table.Text, func(r *record) string { return string(r.fresh.Currency) }),
	table.Fixed("country", table.Text, func(r *record) string { return projections.Key(r.fresh.Country) }),
	table.Fixed("channel", table.Text, func(r *record) string { return r.channel }),
	table.Set("guest_email_key", table.Text, func(r *record) string { return guestEmailKey(r.Fold) }),
	table.Set("status", table.Text, func(r *record) string { return string(r.Fold.Status) }),
	table.Set("payment_state", table.Text, func(r *record) string { return string(r.Fold.PaymentState()) }),
	table.Set("fulfillment_state", table.Text, func(r *record) string { return string(r.Fold.FulfillmentState()) }),
	table.Set("on_hold", table.Flag, func(r *record) bool { return r.Fold.OnHold }),
	table.Set("archived", table.Flag, func(r *record) bool { return r.Fold.Archived }),
	table.Set("needs_attention", table.Flag, func(r *record) bool { return r.Fold.NeedsAttention() }),
	table.Set("attention", table.Texts, func(r *record) []string { return reasons(r.Fold.Attention()) }),
	table.Fixed("placed_total", table.Amount, func(r *record) decimal.Decimal { return r.fresh.Total.Amount }),
	table.Set("total", table.Amount, func(r *record) decimal.Decimal { return r.Fold.Total.Amount }),
	table.Set("owed", table.Amount, func(r *record) decimal.Decimal { return r.Fold.Owed().Amount }),
	table.Set("to_return", table.Amount, func(r *record) decimal.Decimal { return r.Fold.ToReturn().Amount }),
	table.Set("to_collect", table.Amount, func(r *record) decimal.Decimal { return r.Fold.ToCollect().Amount }),
	table.Set("captured", table.Amount, func(r *record) decimal.Decimal { return r.Fold.Captured().Amount }),
	table.Set("refunded", table.Amount, func(r *record) decimal.Decimal { return r.Fold.Returned().Amount }),
	table.Fixed("line_count", table.Small, func(r *record) int32 { return int32(len(r.fresh.Lines)) }), //nolint:gosec // an order has few lines
	table.Fixed("units", table.Number, func(r *record) int64 { return units(r.fresh.Lines) }),
	table.Fixed("placed_at", table.Time, func(r *record) time.Time { return r.placedAt }),
	table.Set("changed_at", table.Time, func(r *record) time.Time { return r.changedAt }),
	table.Set("revision", table.Number, func(r *record) int64 { return r.revision }),
	table.Fixed("skus", table.Texts, func(r *record) []string { return skus(r.fresh.Lines) }),
	table.Fixed("lines", table.Document, func(r *record) []byte { return r.lines }),
	table.Set("state", table.Document, func(r *record) []byte { return r.document }),
)

var insertOrders, updateOrders = orderTable.Insert(), orderTable.Update()

// The fixed columns of returns come from the header. It is set in the batch that creates the
// row.
var returnTable = table.New("returns",
	table.Key("return_id", table.Text, func(r *returnRecord) string { return r.id }),
	table.Fixed("reference", table.Text, func(r *returnRecord) string { return projections.Key(r.header.reference) }),
	table.Fixed("order_id", table.Text, func(r *returnRecord) string { return r.header.orderID }),
	table.Set("customer_id", table.Text, func(r *returnRecord) string { return string(r.Fold.Customer()) }),
	table.Fixed("currency", table.Text, func(r *returnRecord) string { return r.header.currency }),
	table.Fixed("country", table.Text, func(r *returnRecord) string { return projections.Key(r.header.country) }),
	table.Fixed("channel", table.Text, func(r *returnRecord) string { return r.channel }),
	table.Set("status", table.Text, func(r *returnRecord) string { return string(r.Fold.Status) }),
	table.Fixed("reason", table.Text, func(r *returnRecord) string { return r.header.reason }),
	table.Fixed("value", table.Amount, func(r *returnRecord) decimal.Decimal { return r.header.value }),
	table.Set("refunded", table.Amount, func(r *returnRecord) decimal.Decimal { return r.refunded() }),
	table.Fixed("units", table.Number, func(r *returnRecord) int64 { return int64(r.header.units) }),
	table.Fixed("created_at", table.Time, func(r *returnRecord) time.Time { return r.createdAt }),
	table.Set("changed_at", table.Time, func(r *returnRecord) time.Time { return r.changedAt }),
	table.Set("revision", table.Number, func(r *returnRecord) int64 { return r.revision }),
	table.Set("state", table.Document, func(r *returnRecord) []byte { return r.document }),
)

var insertReturns, updateReturns = returnTable.Insert(), returnTable.Update()

// returnOrder links a return with an order.
type returnOrder struct{ order, returned string }

var returnOrders = table.New("return_orders",
	table.Key("order_id", table.Text, func(r returnOrder) string { return r.order }),
	table.Key("return_id", table.Text, func(r returnOrder) string { return r.returned }),
)

var insertReturnOrders = returnOrders.Insert()
