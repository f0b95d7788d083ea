package stockview

import (
	"time"

	"daybook/domain/stock"
	"daybook/projections/table"
)

// itemRow is what a batch changes in one item.
type itemRow struct {
	stock.Key
	*item
	stock.Policy // the latest policy that the batch sets, if it sets one
}

// The quantities are added to those in the row. A row that exists keeps its policy;
// setPolicies writes a new one.
var items = table.New("stock_items",
	table.Key("sku", table.Text, func(i itemRow) string { return string(i.SKU) }),
	table.Key("location", table.Text, func(i itemRow) string { return string(i.Location) }),
	table.Sum("on_hand", table.Number, func(i itemRow) int64 { return int64(i.OnHand) }),
	table.Sum("reserved", table.Number, func(i itemRow) int64 { return int64(i.Reserved) }),
	table.Sum("allocated", table.Number, func(i itemRow) int64 { return int64(i.Allocated) }),
	table.Sum("damaged", table.Number, func(i itemRow) int64 { return int64(i.Damaged) }),
	table.Sum("quality_control", table.Number, func(i itemRow) int64 { return int64(i.QualityControl) }),
	table.Sum("other_unavailable", table.Number, func(i itemRow) int64 { return int64(i.Other) }),
	table.Fixed("safety_stock", table.Number, func(i itemRow) int64 { return int64(i.SafetyStock) }),
	table.Fixed("backorder_limit", table.Number, func(i itemRow) int64 { return int64(i.BackorderLimit) }),
	table.Fixed("reorder_point", table.Number, func(i itemRow) int64 { return int64(i.ReorderPoint) }),
	table.Kept("reorder_crossed_at", table.MaybeTime, func(i itemRow) *time.Time { return i.crossedAt }),
	table.Set("changed_at", table.Time, func(i itemRow) time.Time { return i.changedAt }),
	table.Set("revision", table.Number, func(i itemRow) int64 { return i.revision }),
)

var upsertItems, setPolicies = items.Upsert(), items.Update("safety_stock", "backorder_limit", "reorder_point")

// reservationRow is a reservation, or what a batch changes in one.
type reservationRow struct {
	reservationID
	reservation
	reservedAt time.Time
}

var reservations = table.New("stock_reservations",
	table.Key("sku", table.Text, func(r reservationRow) string { return string(r.SKU) }),
	table.Key("location", table.Text, func(r reservationRow) string { return string(r.Location) }),
	table.Key("reservation_id", table.Text, func(r reservationRow) string { return r.id }),
	table.Set("order_id", table.Text, func(r reservationRow) string { return r.orderID }),
	table.Set("quantity", table.Number, func(r reservationRow) int64 { return r.quantity }),
	table.Set("expires_at", table.Time, func(r reservationRow) time.Time { return r.expiresAt }),
	table.Set("reserved_at", table.Time, func(r reservationRow) time.Time { return r.reservedAt }),
)

var insertReservations, extendReservations, endReservations = reservations.Upsert(), reservations.Update("expires_at"), reservations.Delete("")

// promiseRow is what a batch adds to a promise to an order.
type promiseRow struct {
	promise
	quantity int64
}

var allocations = table.New("stock_allocations",
	table.Key("sku", table.Text, func(p promiseRow) string { return string(p.SKU) }),
	table.Key("location", table.Text, func(p promiseRow) string { return string(p.Location) }),
	table.Key("order_id", table.Text, func(p promiseRow) string { return p.orderID }),
	table.Sum("quantity", table.Number, func(p promiseRow) int64 { return p.quantity }),
)

// deleteEmptyPromises needs no keys, because an index has exactly the promises that are to be
// deleted. The index is nearly always empty.
var addPromises, deleteEmptyPromises = allocations.Upsert(), allocations.DeleteWhere("t.quantity = 0")
