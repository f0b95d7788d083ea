package stockview

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/domain/stock"
	"daybook/projections"
)

// item adds up what a batch changes in one item (a SKU at a location).
type item struct {
	Change
	policy    *stock.Policy
	crossedAt *time.Time
	changedAt time.Time
	revision  int64
}

// reservationID identifies a reservation. It has the item's key, too, because a reservation's id is
// unique only within the item's stream.
type reservationID struct {
	stock.Key
	id string
}

type reservation struct {
	orderID   string
	quantity  int64
	expiresAt time.Time
	event     *projections.Event // the Reserved event
}

type promise struct {
	stock.Key
	orderID string
}

// fold adds up the changes of a batch.
type fold struct {
	items    map[stock.Key]*item
	began    map[reservationID]*reservation // began in this batch, and has not ended
	extended map[reservationID]time.Time    // began before this batch; the new deadline
	ended    map[reservationID]bool         // reservations whose rows are to be deleted
	promises map[promise]int64
}

func newFold() *fold {
	return &fold{
		items: make(map[stock.Key]*item), began: make(map[reservationID]*reservation),
		extended: make(map[reservationID]time.Time), ended: make(map[reservationID]bool), promises: make(map[promise]int64),
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
		f.began[reservationID{key, string(event.ReservationID)}] = &reservation{
			string(event.OrderID), int64(event.Quantity), event.ExpiresAt, e,
		}
	case stock.ReservationExtended:
		if r := f.began[reservationID{key, string(event.ReservationID)}]; r != nil {
			r.expiresAt = event.ExpiresAt
		} else {
			f.extended[reservationID{key, string(event.ReservationID)}] = event.ExpiresAt
		}
	case stock.ReservationReleased:
		f.end(reservationID{key, string(event.ReservationID)})
	case stock.ReservationExpired:
		f.end(reservationID{key, string(event.ReservationID)})
	case stock.ReservationCommitted:
		f.end(reservationID{key, string(event.ReservationID)})
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
	case stock.Received, stock.Adjusted, stock.Counted, stock.Returned, stock.CameBack, stock.Moved, stock.TransferredOut, stock.TransferredIn:
	}
}

// effective returns the effective time of an event. Only few events need it, so only their
// metadata is decoded.
func effective(e *projections.Event) time.Time {
	meta, _ := projections.ReadMetadata(e.Recorded)
	return meta.EffectiveAt(e.RecordedAt)
}

// end removes a reservation. It also deletes the row if the reservation began in this batch.
// In a log that makes no sense, the same reservation may have begun in an earlier batch, too.
func (f *fold) end(h reservationID) {
	delete(f.began, h)
	delete(f.extended, h)
	f.ended[h] = true
}

// keyOf reads the key from a stream's name. It cannot fail, because the view's Belongs has
// checked the name.
func keyOf(stream string) stock.Key {
	key, _ := stock.ParseStream(stream)
	return key
}

// store queues a batch's changes, in the order of their keys.
func (f *fold) store(b *pgx.Batch) {
	f.queueItems(b)
	f.queueReservations(b)
	f.queuePromises(b)
}

func byKey(a, b stock.Key) int {
	return cmp.Or(cmp.Compare(a.SKU, b.SKU), cmp.Compare(a.Location, b.Location))
}

func (f *fold) queueItems(b *pgx.Batch) {
	var rows, policies []itemRow
	for _, key := range slices.SortedFunc(maps.Keys(f.items), byKey) {
		row := itemRow{Key: key, item: f.items[key]}
		if row.policy != nil {
			row.Policy = *row.policy
			policies = append(policies, row)
		}
		rows = append(rows, row)
	}
	upsertItems.Queue(b, rows)
	setPolicies.Queue(b, policies)
}

// reservationRows makes rows from a map of reservations, in the order of their keys.
func reservationRows[V any](of map[reservationID]V, row func(reservationID, V) reservationRow) []reservationRow {
	rows := make([]reservationRow, 0, len(of))
	for _, h := range slices.SortedFunc(maps.Keys(of), func(x, y reservationID) int {
		return cmp.Or(byKey(x.Key, y.Key), cmp.Compare(x.id, y.id))
	}) {
		rows = append(rows, row(h, of[h]))
	}
	return rows
}

func (f *fold) queueReservations(b *pgx.Batch) {
	endReservations.Queue(b, reservationRows(f.ended, func(h reservationID, _ bool) reservationRow { return reservationRow{reservationID: h} }))
	extendReservations.Queue(b, reservationRows(f.extended, func(h reservationID, until time.Time) reservationRow {
		return reservationRow{reservationID: h, reservation: reservation{expiresAt: until}}
	}))
	insertReservations.Queue(b, reservationRows(f.began, func(h reservationID, r *reservation) reservationRow {
		return reservationRow{reservationID: h, reservation: *r, reservedAt: effective(r.event)}
	}))
}

func (f *fold) queuePromises(b *pgx.Batch) {
	var rows []promiseRow
	for _, key := range slices.SortedFunc(maps.Keys(f.promises), func(x, y promise) int {
		return cmp.Or(byKey(x.Key, y.Key), cmp.Compare(x.orderID, y.orderID))
	}) {
		if quantity := f.promises[key]; quantity != 0 { // 0: the batch has taken off what it added
			rows = append(rows, promiseRow{key, quantity})
		}
	}
	addPromises.Queue(b, rows)
	// This also runs if the batch only adds to promises. In a log that makes no sense, the sum
	// may still be 0.
	deleteEmptyPromises.Queue(b, rows)
}
