package verify

import (
	"context"
	"fmt"
	"time"

	"daybook/domain/stock"
	"daybook/domain/unit"
)

func compareStock(ctx context.Context, b *Book, from build) ([]*Check, error) {
	reserved, allocated := map[reservationKey]reservation{}, map[allocationKey]int64{}
	for key, level := range b.Stock {
		for id, h := range level.reservations {
			reserved[reservationKey{key, string(id)}] = h
		}
		for id, q := range level.allocated {
			allocated[allocationKey{key, string(id)}] = int64(q)
		}
	}
	items, err := compareTable(ctx, from, "stock_items", b.Stock, &itemRow{})
	if err != nil {
		return nil, err
	}
	reservations, err := compareTable(ctx, from, "stock_reservations", reserved, &reservationRow{})
	if err != nil {
		return nil, err
	}
	allocations, err := compareTable(ctx, from, "stock_allocations", allocated, &allocationRow{})
	if err != nil {
		return nil, err
	}
	return []*Check{items, reservations, allocations}, nil
}

type itemRow struct {
	sku, location                                                             string
	onHand, reserved, allocated, damaged, qualityControl, other, safety, back int64
	reorder, revision                                                         int64
	crossedAt                                                                 *time.Time
	changedAt                                                                 time.Time
}

// columns compares with the quantities that verify adds up. The column reserved counts all
// reservations whose end is not recorded, also those whose deadline has passed.
func (r *itemRow) columns() []column[*StockLevel] {
	return []column[*StockLevel]{
		keyColumn[*StockLevel]("sku", &r.sku), keyColumn[*StockLevel]("location", &r.location),
		equals("on_hand", &r.onHand, func(s *StockLevel) int64 { return int64(s.onHand) }),
		equals("reserved", &r.reserved, func(s *StockLevel) int64 { return int64(s.reservedTotal) }),
		equals("allocated", &r.allocated, func(s *StockLevel) int64 { return int64(s.allocatedTotal) }),
		equals("damaged", &r.damaged, func(s *StockLevel) int64 { return int64(s.unavailable[stock.Damaged]) }),
		equals("quality_control", &r.qualityControl, func(s *StockLevel) int64 { return int64(s.unavailable[stock.QualityControl]) }),
		equals("other_unavailable", &r.other, func(s *StockLevel) int64 { return int64(s.unavailable[stock.OtherCondition]) }),
		equals("safety_stock", &r.safety, func(s *StockLevel) int64 { return int64(s.policy.SafetyStock) }),
		equals("backorder_limit", &r.back, func(s *StockLevel) int64 { return int64(s.policy.BackorderLimit) }),
		equals("reorder_point", &r.reorder, func(s *StockLevel) int64 { return int64(s.policy.ReorderPoint) }),
		equals("reorder_crossed_at", &r.crossedAt, func(s *StockLevel) *time.Time { return s.crossedAt }),
		equals("changed_at", &r.changedAt, func(s *StockLevel) time.Time { return s.last.recordedAt }),
		equals("revision", &r.revision, func(s *StockLevel) int64 { return s.last.revision }),
	}
}

func (r *itemRow) key() stock.Key {
	return stock.Key{SKU: unit.SKU(r.sku), Location: unit.LocationID(r.location)}
}

type reservationKey struct {
	stock.Key
	id string
}

func (k reservationKey) String() string {
	return fmt.Sprintf("reservation %s of %s@%s", k.id, k.SKU, k.Location)
}

type reservationRow struct {
	sku, location, id, order string
	quantity                 int64
	expiresAt, reservedAt    time.Time
}

func (r *reservationRow) columns() []column[reservation] {
	return []column[reservation]{
		keyColumn[reservation]("sku", &r.sku), keyColumn[reservation]("location", &r.location), keyColumn[reservation]("reservation_id", &r.id),
		equals("order_id", &r.order, func(h reservation) string { return string(h.order) }),
		equals("quantity", &r.quantity, func(h reservation) int64 { return int64(h.quantity) }),
		equals("expires_at", &r.expiresAt, func(h reservation) time.Time { return h.expiresAt }),
		equals("reserved_at", &r.reservedAt, func(h reservation) time.Time { return h.reservedAt }),
	}
}

func (r *reservationRow) key() reservationKey {
	return reservationKey{stock.Key{SKU: unit.SKU(r.sku), Location: unit.LocationID(r.location)}, r.id}
}

type allocationKey struct {
	stock.Key
	order string
}

func (k allocationKey) String() string {
	return fmt.Sprintf("%s@%s for order %s", k.SKU, k.Location, k.order)
}

type allocationRow struct {
	sku, location, order string
	quantity             int64
}

func (r *allocationRow) columns() []column[int64] {
	return []column[int64]{
		keyColumn[int64]("sku", &r.sku), keyColumn[int64]("location", &r.location), keyColumn[int64]("order_id", &r.order),
		equals("quantity", &r.quantity, func(quantity int64) int64 { return quantity }),
	}
}

func (r *allocationRow) key() allocationKey {
	return allocationKey{stock.Key{SKU: unit.SKU(r.sku), Location: unit.LocationID(r.location)}, r.order}
}
