package stockview

import (
	"context"
	"fmt"
	"time"

	"daybook/projections/query"
)

// Level has the quantities of an item (a SKU at a location) at the time of the query.
type Level struct {
	SKU            string
	Location       string
	OnHand         int64
	Reserved       int64 // in reservations whose deadline has not passed
	Allocated      int64
	Damaged        int64
	QualityControl int64
	OtherUnavail   int64 `db:"other_unavailable"`
	Unavailable    int64 // the sum of the three conditions above
	SafetyStock    int64
	BackorderLimit int64
	// Available is on hand, less what is promised, unavailable or kept back as safety stock.
	// If it is below zero, more is promised than is there.
	Available   int64
	Sellable    int64 // available plus the backorder limit; at least 0
	Backordered int64 // allocated without goods on hand for it
	// ReorderPoint is 0 if no alert is wanted.
	ReorderPoint int64
	BelowReorder bool      // available is at or below the reorder point
	ChangedAt    time.Time // recorded time of the last event
	Revision     int64     // of the item's stream
}

// withComputed computes levels at the time $1. A reservation that is due no longer counts, even if
// its end is not recorded yet. There are never many such reservations, because a node records their
// ends soon.
const withComputed = `WITH due AS (
		SELECT sku, location, sum(quantity)::bigint AS quantity FROM read.stock_reservations WHERE expires_at <= $1 GROUP BY sku, location
	), level AS (
		SELECT i.*, i.reserved - coalesce(d.quantity, 0) AS held, i.damaged + i.quality_control + i.other_unavailable AS unavailable
		FROM read.stock_items i LEFT JOIN due d ON d.sku = i.sku AND d.location = i.location
	), computed AS (
		SELECT *, on_hand - unavailable - safety_stock - allocated - held AS available FROM level
	) `

// levelColumns are those of a Level.
var levelColumns = `SELECT ` + items.AllExcept("reserved", "reorder_crossed_at") + `, held AS reserved, unavailable, available,
		greatest(0, available + backorder_limit) AS sellable, greatest(0, allocated - greatest(0, on_hand - unavailable)) AS backordered,
		reorder_point > 0 AND available <= reorder_point AS below_reorder`

// LevelOf reads the level of one item now, or returns query.ErrNotFound.
func LevelOf(ctx context.Context, db query.DB, sku, location string, now time.Time) (Level, error) {
	level, err := query.One[Level](ctx, db, withComputed+levelColumns+` FROM computed WHERE sku = $2 AND location = $3`, now, sku, location)
	if err != nil {
		return Level{}, fmt.Errorf("stock of %s at %s: %w", sku, location, err)
	}
	return level, nil
}

// Filter chooses items; its zero value chooses all. An item matches a list if it has one of
// the list's values.
type Filter struct {
	SKUs, Locations []string
	// SKUPrefix chooses items whose SKU begins with this text.
	SKUPrefix    string
	BelowReorder bool // only items at or below their reorder point
	Backordered  bool // only items with promises for which there are no goods
}

// Listed says how the list of items is read and sorted. It cannot be sorted by quantities,
// because these change with each movement, and so would their index.
var Listed = query.Rows[Level]{
	Select: withComputed + levelColumns + ` FROM computed`,
	Sorts: map[string]query.Sort[Level]{
		"sku": {
			By:  []query.Column{{Name: "sku", Kind: query.Text}, {Name: "location", Kind: query.Text}},
			Key: func(l Level) []string { return []string{l.SKU, l.Location} },
		},
		"location": {
			By:  []query.Column{{Name: "location", Kind: query.Text}, {Name: "sku", Kind: query.Text}},
			Key: func(l Level) []string { return []string{l.Location, l.SKU} },
		},
	},
	DefaultSort: "sku",
}

// Levels gives a page of levels as they are now. By default they are sorted by SKU and
// location.
func Levels(ctx context.Context, db query.DB, f Filter, now time.Time, p query.Page) (query.List[Level], error) {
	list, err := Listed.Read(ctx, db, f.where(now), p)
	if err != nil {
		return list, fmt.Errorf("list stock: %w", err)
	}
	return list, nil
}

// LevelsOf reads all levels of some SKUs as they are now, sorted by SKU and location.
func LevelsOf(ctx context.Context, db query.DB, skus []string, now time.Time) ([]Level, error) {
	levels, err := query.All[Level](ctx, db, Listed.Select+` WHERE sku = ANY ($2) ORDER BY sku, location`, now, skus)
	if err != nil {
		return nil, fmt.Errorf("stock of products: %w", err)
	}
	return levels, nil
}

func (f Filter) where(now time.Time) query.Where {
	w := query.Where{Args: []any{now}}
	w.In("sku", f.SKUs)
	w.In("location", f.Locations)
	w.Text("starts_with(sku, ?)", f.SKUPrefix)
	if f.BelowReorder {
		w.Add("reorder_point > 0 AND available <= reorder_point")
	}
	if f.Backordered {
		w.Add("allocated > greatest(0, on_hand - unavailable)")
	}
	return w
}

// Alert is an item at or below its reorder point.
type Alert struct {
	SKU          string
	Location     string
	Available    int64
	ReorderPoint int64
	// Since is the effective time at which available last fell to the reorder point. It is nil
	// if the alert has another cause: the reorder point was raised.
	Since *time.Time
}

// Alerts gives a page of the reorder alerts that are open now. Alerts are not stored: an item
// has an alert while its available units are at or below its reorder point.
func Alerts(ctx context.Context, db query.DB, f Filter, now time.Time, p query.Page) (query.List[Alert], error) {
	f.BelowReorder = true
	list, err := ListedAlerts.Read(ctx, db, f.where(now), p)
	if err != nil {
		return list, fmt.Errorf("list reorder alerts: %w", err)
	}
	return list, nil
}

// ListedAlerts says how the list of alerts is read and sorted.
var ListedAlerts = query.Rows[Alert]{
	Select: withComputed + `SELECT sku, location, available, reorder_point, reorder_crossed_at AS since FROM computed`,
	Sorts: map[string]query.Sort[Alert]{
		"sku": {
			By:  []query.Column{{Name: "sku", Kind: query.Text}, {Name: "location", Kind: query.Text}},
			Key: func(a Alert) []string { return []string{a.SKU, a.Location} },
		},
		"location": {
			By:  []query.Column{{Name: "location", Kind: query.Text}, {Name: "sku", Kind: query.Text}},
			Key: func(a Alert) []string { return []string{a.Location, a.SKU} },
		},
	},
	DefaultSort: "sku",
}

// Reservation is a reservation without a recorded end.
type Reservation struct {
	ReservationID string
	SKU           string
	Location      string
	OrderID       string // the owner
	Quantity      int64
	ExpiresAt     time.Time
	ReservedAt    time.Time // effective time
	Expired       bool      // its deadline has passed, so its units are free again
}

// PromiseFilter chooses reservations or allocations. A reservation or an allocation matches a list
// if it has one of the list's values, and an empty list matches all. The zero value chooses all
// allocations, and all reservations whose deadline has not passed.
type PromiseFilter struct {
	SKUs, Locations, OrderIDs []string
	// Expired includes reservations whose deadline has passed and whose end is
	// not yet recorded.
	Expired bool
}

// Reservations gives a page of the reservations open now, by SKU and location.
func Reservations(ctx context.Context, db query.DB, f PromiseFilter, now time.Time, p query.Page) (query.List[Reservation], error) {
	w := query.Where{Args: []any{now}}
	f.add(&w)
	if !f.Expired {
		w.Add("expires_at > $1")
	}
	list, err := ListedReservations.Read(ctx, db, w, p)
	if err != nil {
		return list, fmt.Errorf("list reservations: %w", err)
	}
	return list, nil
}

// ListedReservations says how the list of reservations is read and sorted.
var ListedReservations = query.Rows[Reservation]{
	Select: `SELECT ` + reservations.All() + `, expires_at <= $1 AS expired FROM read.stock_reservations`,
	Sorts: map[string]query.Sort[Reservation]{
		"sku": {
			By:  []query.Column{{Name: "sku", Kind: query.Text}, {Name: "location", Kind: query.Text}, {Name: "reservation_id", Kind: query.Text}},
			Key: func(r Reservation) []string { return []string{r.SKU, r.Location, r.ReservationID} },
		},
	},
	DefaultSort: "sku",
}

// Allocation is what is promised to an order and has not shipped.
type Allocation struct {
	SKU      string
	Location string
	OrderID  string
	Quantity int64
}

// Allocations gives a page of open allocations, by SKU, location and order.
func Allocations(ctx context.Context, db query.DB, f PromiseFilter, p query.Page) (query.List[Allocation], error) {
	var w query.Where
	f.add(&w)
	list, err := ListedAllocations.Read(ctx, db, w, p)
	if err != nil {
		return list, fmt.Errorf("list allocations: %w", err)
	}
	return list, nil
}

// ListedAllocations says how the list of allocations is read and sorted.
var ListedAllocations = query.Rows[Allocation]{
	Select: `SELECT ` + allocations.All() + ` FROM read.stock_allocations`,
	Sorts: map[string]query.Sort[Allocation]{
		"sku": {
			By:  []query.Column{{Name: "sku", Kind: query.Text}, {Name: "location", Kind: query.Text}, {Name: "order_id", Kind: query.Text}},
			Key: func(a Allocation) []string { return []string{a.SKU, a.Location, a.OrderID} },
		},
	},
	DefaultSort: "sku",
}

func (f PromiseFilter) add(w *query.Where) {
	w.In("sku", f.SKUs)
	w.In("location", f.Locations)
	w.In("order_id", f.OrderIDs)
}
