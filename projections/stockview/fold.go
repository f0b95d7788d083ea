package stockview

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/domain/stock"
	"daybook/projections"
)

// item adds up what a batch changes of one item at one place.
type item struct {
	Change
	policy    *stock.Policy
	crossedAt *time.Time
	changedAt time.Time
	revision  int64
}

// hold names a reservation; ids are unique within an item's stream only.
type hold struct {
	stock.Key
	id string
}

type reservation struct {
	orderID   string
	quantity  int64
	expiresAt time.Time
	event     *projections.Event // that made it
}

type promise struct {
	stock.Key
	orderID string
}

// fold adds up a batch.
type fold struct {
	items    map[stock.Key]*item
	began    map[hold]*reservation // in this batch, and not yet ended
	extended map[hold]time.Time    // began before, new deadline
	ended    map[hold]bool         // began before
	promises map[promise]int64
}

func newFold() *fold {
	return &fold{
		items: make(map[stock.Key]*item), began: make(map[hold]*reservation),
		extended: make(map[hold]time.Time), ended: make(map[hold]bool), promises: make(map[promise]int64),
	}
}

func (f *fold) apply(e *projections.Event, event stock.Event) {
	key := keyOf(e.Stream)
	it := f.items[key]
	if it == nil {
		it = new(item)
		f.items[key] = it
	}
	it.Change = it.plus(ChangeOf(event))
	it.changedAt, it.revision = e.RecordedAt, e.Revision
	switch event := event.(type) {
	case stock.Reserved:
		f.began[hold{key, string(event.ReservationID)}] = &reservation{
			string(event.OrderID), int64(event.Quantity), event.ExpiresAt, e,
		}
	case stock.ReservationExtended:
		if r := f.began[hold{key, string(event.ReservationID)}]; r != nil {
			r.expiresAt = event.ExpiresAt
		} else {
			f.extended[hold{key, string(event.ReservationID)}] = event.ExpiresAt
		}
	case stock.ReservationReleased:
		f.end(hold{key, string(event.ReservationID)})
	case stock.ReservationExpired:
		f.end(hold{key, string(event.ReservationID)})
	case stock.ReservationCommitted:
		f.end(hold{key, string(event.ReservationID)})
		f.promises[promise{key, string(event.OrderID)}] += int64(event.Quantity)
	case stock.Allocated:
		f.promises[promise{key, string(event.OrderID)}] += int64(event.Quantity)
	case stock.Deallocated:
		f.promises[promise{key, string(event.OrderID)}] -= int64(event.Quantity)
	case stock.Shipped:
		f.promises[promise{key, string(event.OrderID)}] -= int64(event.Promised())
	case stock.PolicySet:
		it.policy = &event.Policy
	case stock.ReorderPointCrossed:
		at := effective(e)
		it.crossedAt = &at
	case stock.Received, stock.Adjusted, stock.Counted, stock.Returned, stock.Moved, stock.TransferredOut, stock.TransferredIn:
	}
}

// effective decodes the metadata of the few events whose time is kept.
func effective(e *projections.Event) time.Time {
	meta, _ := projections.ReadMetadata(e.Recorded)
	return meta.EffectiveAt(e.RecordedAt)
}

// end drops a reservation. It is deleted even where it began in this batch, because in
// a log that makes no sense it may have begun before, too.
func (f *fold) end(h hold) {
	delete(f.began, h)
	delete(f.extended, h)
	f.ended[h] = true
}

// keyOf reads a stream's name, which the view's Belongs has checked.
func keyOf(stream string) stock.Key {
	key, _ := stock.ParseStream(stream)
	return key
}

const (
	upsertItems = `INSERT INTO stock_items AS s (sku, location, on_hand, reserved, allocated, damaged, quality_control, other_unavailable,
			safety_stock, backorder_limit, reorder_point, reorder_crossed_at, changed_at, revision)
		SELECT sku, location, on_hand, reserved, allocated, damaged, quality_control, other_unavailable,
			coalesce(safety_stock, 0), coalesce(backorder_limit, 0), coalesce(reorder_point, 0), crossed_at, changed_at, revision
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
			$9::bigint[], $10::bigint[], $11::bigint[], $12::timestamptz[], $13::timestamptz[], $14::bigint[])
			AS n(sku, location, on_hand, reserved, allocated, damaged, quality_control, other_unavailable,
				safety_stock, backorder_limit, reorder_point, crossed_at, changed_at, revision)
		ON CONFLICT (sku, location) DO UPDATE SET on_hand = s.on_hand + excluded.on_hand, reserved = s.reserved + excluded.reserved,
			allocated = s.allocated + excluded.allocated, damaged = s.damaged + excluded.damaged,
			quality_control = s.quality_control + excluded.quality_control, other_unavailable = s.other_unavailable + excluded.other_unavailable,
			reorder_crossed_at = coalesce(excluded.reorder_crossed_at, s.reorder_crossed_at),
			changed_at = excluded.changed_at, revision = excluded.revision`

	setPolicies = `UPDATE stock_items AS s SET safety_stock = n.safety_stock, backorder_limit = n.backorder_limit, reorder_point = n.reorder_point
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) AS n(sku, location, safety_stock, backorder_limit, reorder_point)
		WHERE s.sku = n.sku AND s.location = n.location`

	insertReservations = `INSERT INTO stock_reservations (sku, location, reservation_id, order_id, quantity, expires_at, reserved_at)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::timestamptz[])
		ON CONFLICT (sku, location, reservation_id) DO UPDATE SET order_id = excluded.order_id, quantity = excluded.quantity,
			expires_at = excluded.expires_at, reserved_at = excluded.reserved_at`

	extendReservations = `UPDATE stock_reservations AS r SET expires_at = n.expires_at
		FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS n(sku, location, reservation_id, expires_at)
		WHERE r.sku = n.sku AND r.location = n.location AND r.reservation_id = n.reservation_id`

	endReservations = `DELETE FROM stock_reservations AS r
		USING unnest($1::text[], $2::text[], $3::text[]) AS n(sku, location, reservation_id)
		WHERE r.sku = n.sku AND r.location = n.location AND r.reservation_id = n.reservation_id`

	addPromises = `INSERT INTO stock_allocations AS a (sku, location, order_id, quantity)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
		ON CONFLICT (sku, location, order_id) DO UPDATE SET quantity = a.quantity + excluded.quantity`

	dropKeptPromises = `DELETE FROM stock_allocations AS a
		USING unnest($1::text[], $2::text[], $3::text[]) AS n(sku, location, order_id)
		WHERE a.sku = n.sku AND a.location = n.location AND a.order_id = n.order_id AND a.quantity = 0`
)

// store writes a batch's changes, in the order of their keys.
func (f *fold) store(ctx context.Context, tx pgx.Tx) error {
	var b pgx.Batch
	f.queueItems(&b)
	f.queueReservations(&b)
	f.queuePromises(&b)
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("store stock: %w", err)
	}
	return nil
}

func byKey(a, b stock.Key) int {
	return cmp.Or(cmp.Compare(a.SKU, b.SKU), cmp.Compare(a.Location, b.Location))
}

func (f *fold) queueItems(b *pgx.Batch) {
	var skus, locations, policySKUs, policyLocations []string
	var columns [9][]int64 // on_hand to other_unavailable, then the policy
	var crossed []*time.Time
	var changed []time.Time
	var revisions []int64
	var policies [3][]int64
	for _, key := range slices.SortedFunc(maps.Keys(f.items), byKey) {
		it := f.items[key]
		skus, locations = append(skus, string(key.SKU)), append(locations, string(key.Location))
		var policy stock.Policy
		if it.policy != nil {
			policy = *it.policy
			policySKUs, policyLocations = append(policySKUs, string(key.SKU)), append(policyLocations, string(key.Location))
			for i, q := range []int64{int64(policy.SafetyStock), int64(policy.BackorderLimit), int64(policy.ReorderPoint)} {
				policies[i] = append(policies[i], q)
			}
		}
		for i, q := range []int64{
			int64(it.OnHand), int64(it.Reserved), int64(it.Allocated), int64(it.Damaged), int64(it.QualityControl), int64(it.Other),
			int64(policy.SafetyStock), int64(policy.BackorderLimit), int64(policy.ReorderPoint),
		} {
			columns[i] = append(columns[i], q)
		}
		crossed, changed, revisions = append(crossed, it.crossedAt), append(changed, it.changedAt), append(revisions, it.revision)
	}
	b.Queue(upsertItems, skus, locations, columns[0], columns[1], columns[2], columns[3], columns[4], columns[5],
		columns[6], columns[7], columns[8], crossed, changed, revisions)
	if len(policySKUs) > 0 {
		b.Queue(setPolicies, policySKUs, policyLocations, policies[0], policies[1], policies[2])
	}
}

// holds gives the keys of a map of reservations as columns, sorted.
func holds[V any](of map[hold]V) (keys []hold, skus, locations, ids []string) {
	keys = slices.SortedFunc(maps.Keys(of), func(x, y hold) int {
		return cmp.Or(byKey(x.Key, y.Key), cmp.Compare(x.id, y.id))
	})
	for _, h := range keys {
		skus, locations, ids = append(skus, string(h.SKU)), append(locations, string(h.Location)), append(ids, h.id)
	}
	return keys, skus, locations, ids
}

func (f *fold) queueReservations(b *pgx.Batch) {
	if len(f.ended) > 0 {
		_, skus, locations, ids := holds(f.ended)
		b.Queue(endReservations, skus, locations, ids)
	}
	if len(f.extended) > 0 {
		keys, skus, locations, ids := holds(f.extended)
		deadlines := make([]time.Time, len(keys))
		for i, h := range keys {
			deadlines[i] = f.extended[h]
		}
		b.Queue(extendReservations, skus, locations, ids, deadlines)
	}
	if len(f.began) == 0 {
		return
	}
	keys, skus, locations, ids := holds(f.began)
	var orders []string
	var quantities []int64
	var deadlines, since []time.Time
	for _, h := range keys {
		r := f.began[h]
		orders, quantities = append(orders, r.orderID), append(quantities, r.quantity)
		deadlines, since = append(deadlines, r.expiresAt), append(since, effective(r.event))
	}
	b.Queue(insertReservations, skus, locations, ids, orders, quantities, deadlines, since)
}

func (f *fold) queuePromises(b *pgx.Batch) {
	keys := slices.SortedFunc(maps.Keys(f.promises), func(x, y promise) int {
		return cmp.Or(byKey(x.Key, y.Key), cmp.Compare(x.orderID, y.orderID))
	})
	var skus, locations, orders []string
	var quantities []int64
	for _, k := range keys {
		if f.promises[k] == 0 {
			continue // made and kept within the batch
		}
		skus, locations, orders = append(skus, string(k.SKU)), append(locations, string(k.Location)), append(orders, k.orderID)
		quantities = append(quantities, f.promises[k])
	}
	if len(skus) == 0 {
		return
	}
	b.Queue(addPromises, skus, locations, orders, quantities)
	// Also where all are added: in a log that makes no sense they may add up to nothing.
	b.Queue(dropKeptPromises, skus, locations, orders)
}
