package stockview

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections"
	"daybook/projections/query"
)

// History lists an item's movements. It reads them from the item's stream, because a table of
// all movements would be a second copy of the log.
type History struct{ Log projections.StreamReader }

// Movement is one entry of an item's history.
type Movement struct {
	Revision int64
	Kind     string // received, reserved, shipped, ...
	Change   Change
	// Quantity is how many units moved. It is 0 if the event moved none.
	Quantity unit.Quantity
	OrderID  string
	ReturnID string
	// Document is the caller's document number, or the id of the shipment, reservation or
	// transfer.
	Document    string
	Reason      string
	Note        string
	Actor       string
	Channel     string
	EffectiveAt time.Time
	RecordedAt  time.Time
	Position    string
}

// scanMax bounds how many events are read for one page if a filter selects only few of them.
// At this number the page ends early, and its cursor goes on from there.
const scanMax = 10_000

// MovementFilter chooses movements; its zero value chooses all.
type MovementFilter struct {
	Kinds []string
	// OldestFirst reverses the order. By default the newest movement comes first.
	OldestFirst bool
}

// Movements gives a page of an item's movements. It reads the stream only up to the revision
// that the read model has. So the page has no movement that the levels do not count yet. If
// the read model does not have the item, it returns query.ErrNotFound.
func (h History) Movements(ctx context.Context, db query.DB, sku unit.SKU, location unit.LocationID, f MovementFilter, p query.Page) (query.List[Movement], error) {
	var last int64
	level, err := LevelOf(ctx, db, string(sku), string(location), time.Time{})
	if err != nil {
		return query.List[Movement]{}, err
	}
	last = level.Revision
	next := last
	if f.OldestFirst {
		next = 0
	}
	if p.After != "" {
		key, err := query.Uncursor(p.After, 1)
		if err != nil {
			return query.List[Movement]{}, err
		}
		if next, err = strconv.ParseInt(key[0], 10, 64); err != nil {
			return query.List[Movement]{}, &query.CursorError{Cursor: p.After}
		}
	}
	list := query.List[Movement]{Items: []Movement{}}
	stream := stock.Stream(sku, location)
	for scanned := 0; next >= 0 && next <= last && len(list.Items) < p.Size() && scanned < scanMax; {
		from, count := next, int(min(int64(p.Size()), last-next+1))
		if !f.OldestFirst {
			from = max(0, next-int64(p.Size())+1)
			count = int(next - from + 1)
		}
		part, err := h.read(ctx, stream, from, count)
		if err != nil {
			return query.List[Movement]{}, err
		}
		scanned += len(part)
		for i := range part {
			m := part[i]
			if !f.OldestFirst {
				m = part[len(part)-1-i]
			}
			if next = m.Revision + 1; !f.OldestFirst {
				next = m.Revision - 1
			}
			if f.selects(m) {
				list.Items = append(list.Items, m)
			}
			if len(list.Items) == p.Size() {
				break
			}
		}
	}
	if p.Count {
		count, err := h.count(ctx, stream, last, f)
		if err != nil {
			return query.List[Movement]{}, err
		}
		list.Count = &count
	}
	if next >= 0 && next <= last {
		list.Next = query.Cursor(strconv.FormatInt(next, 10))
	}
	return list, nil
}

// count counts the movements up to a revision. With a filter it reads the oldest scanMax events.
func (h History) count(ctx context.Context, stream string, last int64, f MovementFilter) (query.Count, error) {
	if len(f.Kinds) == 0 {
		return query.Count{Value: min(last+1, query.MaxCount), Exact: last < query.MaxCount}, nil
	}
	var found query.Count
	var next int64
	for next <= last && next < scanMax {
		part, err := h.read(ctx, stream, next, int(min(query.MaxLimit, last-next+1, scanMax-next)))
		if err != nil {
			return found, err
		}
		for _, m := range part {
			if f.selects(m) {
				found.Value++
			}
		}
		next = part[len(part)-1].Revision + 1
	}
	found.Exact = next > last
	return found, nil
}

func (f MovementFilter) selects(m Movement) bool {
	if len(f.Kinds) == 0 {
		return true
	}
	for _, kind := range f.Kinds {
		if kind == m.Kind {
			return true
		}
	}
	return false
}

func (h History) read(ctx context.Context, stream string, from int64, count int) ([]Movement, error) {
	events, err := projections.ReadRevisions(ctx, h.Log, stream, from, count)
	if err != nil {
		return nil, err
	}
	movements := make([]Movement, 0, count)
	for _, recorded := range events {
		m, err := movementOf(recorded)
		if err != nil {
			return nil, fmt.Errorf("movements of %s: %w", stream, err)
		}
		meta, _ := projections.ReadMetadata(recorded)
		m.Revision, m.RecordedAt, m.Position = recorded.Revision, recorded.RecordedAt, recorded.Position.String()
		m.Actor, m.Channel, m.EffectiveAt = meta.Actor, meta.Channel, meta.EffectiveAt(recorded.RecordedAt)
		movements = append(movements, m)
	}
	return movements, nil
}

// movementOf reads an event with its values within the bounds, as the view does. An event that
// the view skipped moved nothing.
func movementOf(recorded eventstore.Recorded) (Movement, error) {
	event, err := eventstore.Decode(&recorded, stock.Decode)
	if projections.OfANewerProgram(recorded, err) && projections.OfItsKind(recorded.Type, recorded.Stream) {
		return Movement{}, err
	}
	if err != nil {
		return Movement{Kind: "unreadable", Note: recorded.Type}, nil //nolint:nilerr // the view skipped it, too
	}
	bounded, _ := projections.Bounded(event)
	return movement(bounded.(stock.Event)), nil //nolint:forcetypeassert // Bounded keeps the type
}

// movement describes what an event moved, in the words of the trade.
func movement(event stock.Event) Movement {
	m := Movement{Change: ChangeOf(event)}
	switch e := event.(type) {
	case stock.Received:
		m.Kind, m.Quantity, m.Document, m.Note = "received", e.Quantity, e.Document, e.Note
	case stock.Adjusted:
		m.Kind, m.Quantity, m.Document, m.Note, m.Reason = "adjusted", e.Change, e.Document, e.Note, string(e.Reason)
	case stock.Counted:
		m.Kind, m.Quantity, m.Document, m.Note, m.Reason = "counted", e.Counted-e.Expected, e.Document, e.Note, string(stock.CycleCount)
	case stock.Reserved:
		m.Kind, m.Quantity, m.OrderID, m.Document = "reserved", e.Quantity, string(e.OrderID), string(e.ReservationID)
	case stock.ReservationExtended:
		m.Kind, m.Document, m.Note = "reservation_extended", string(e.ReservationID), "until "+e.ExpiresAt.UTC().Format(time.RFC3339)
	case stock.ReservationReleased:
		m.Kind, m.Quantity, m.OrderID = "reservation_released", e.Quantity, string(e.OrderID)
		m.Document, m.Reason = string(e.ReservationID), e.Reason
	case stock.ReservationExpired:
		m.Kind, m.Quantity, m.OrderID, m.Document = "reservation_expired", e.Quantity, string(e.OrderID), string(e.ReservationID)
	case stock.ReservationCommitted:
		m.Kind, m.Quantity, m.OrderID, m.Document = "allocated", e.Quantity, string(e.OrderID), string(e.ReservationID)
	case stock.Allocated:
		m.Kind, m.Quantity, m.OrderID, m.Document = "allocated", e.Quantity, string(e.OrderID), string(e.ReservationID)
	case stock.Deallocated:
		m.Kind, m.Quantity, m.OrderID, m.Reason = "deallocated", e.Quantity, string(e.OrderID), e.Reason
	case stock.Shipped:
		m.Kind, m.Quantity, m.OrderID, m.Document = "shipped", e.Quantity, string(e.OrderID), string(e.ShipmentID)
		m.Reason = e.Override
		if e.Forced {
			m.Note = "forced: the books did not have the goods"
		}
	case stock.Returned:
		m.Kind, m.Quantity, m.OrderID, m.ReturnID = "returned", e.Quantity, string(e.OrderID), string(e.ReturnID)
		m.Reason = string(e.Condition)
	case stock.CameBack:
		m.Kind, m.Quantity, m.OrderID, m.Document = "came_back", e.Quantity, string(e.OrderID), string(e.ShipmentID)
		m.Reason = string(e.Condition)
	case stock.Moved:
		m.Kind, m.Quantity, m.Note = "moved_state", e.Quantity, e.Note
		m.Reason = string(e.From) + " to " + string(e.To)
	case stock.TransferredOut:
		m.Kind, m.Quantity, m.Document, m.Reason = "transfer_out", e.Quantity, string(e.TransferID), "to "+string(e.To)
	case stock.TransferredIn:
		m.Kind, m.Quantity, m.Document, m.Reason = "transfer_in", e.Quantity, string(e.TransferID), "from "+string(e.From)
	case stock.PolicySet:
		m.Kind = "policy_set"
		m.Note = fmt.Sprintf("safety stock %d, backorder limit %d, reorder point %d", e.SafetyStock, e.BackorderLimit, e.ReorderPoint)
	case stock.ReorderPointCrossed:
		m.Kind, m.Note = "reorder_point_crossed", fmt.Sprintf("available %d, reorder point %d", e.Available, e.ReorderPoint)
	}
	return m
}
