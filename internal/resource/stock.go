package resource

import (
	"time"

	"daybook/domain/stock"
	"daybook/domain/unit"
)

// Stock has the quantities of a SKU at one location, at the time of the request.
type Stock struct {
	SKU               string `json:"sku"`
	Location          string `json:"location"`
	OnHand            int64  `json:"on_hand"`
	Reserved          int64  `json:"reserved"`
	Allocated         int64  `json:"allocated"`
	Damaged           int64  `json:"damaged"`
	QualityControl    int64  `json:"quality_control"`
	OtherUnavailable  int64  `json:"other_unavailable"`
	Unavailable       int64  `json:"unavailable"`
	SafetyStock       int64  `json:"safety_stock"`
	BackorderLimit    int64  `json:"backorder_limit"`
	Available         int64  `json:"available"`
	Sellable          int64  `json:"sellable"`
	Backordered       int64  `json:"backordered"`
	ReorderPoint      int64  `json:"reorder_point"`
	BelowReorderPoint bool   `json:"below_reorder_point"`
	Revision          int64  `json:"revision"`

	ChangedAt time.Time `json:"changed_at,omitzero" reads:"only"`
}

// StockOf makes a Stock from the state of a stock, at a time.
func StockOf(key stock.Key, s stock.State, now time.Time, revision int64) Stock {
	available, point := s.Available(now), s.Policy.ReorderPoint
	return Stock{
		SKU: string(key.SKU), Location: string(key.Location),
		OnHand: int64(s.OnHand()), Reserved: int64(s.Reserved(now)), Allocated: int64(s.Allocated()),
		Damaged: int64(s.Unavailable(stock.Damaged)), QualityControl: int64(s.Unavailable(stock.QualityControl)),
		OtherUnavailable: int64(s.Unavailable(stock.OtherCondition)), Unavailable: int64(s.UnavailableTotal()),
		SafetyStock: int64(s.SafetyStock()), BackorderLimit: int64(s.Policy.BackorderLimit),
		Available: int64(available), Sellable: int64(max(0, s.Sellable(now))), Backordered: int64(s.Backordered()),
		ReorderPoint: int64(point), BelowReorderPoint: point > 0 && available <= point, Revision: revision,
	}
}

// Reservation is stock that is set aside for an owner until a deadline.
type Reservation struct {
	ReservationID string    `json:"reservation_id"`
	SKU           string    `json:"sku"`
	Location      string    `json:"location"`
	OrderID       string    `json:"order_id" doc:"The owner."`
	Quantity      int64     `json:"quantity"`
	ExpiresAt     time.Time `json:"expires_at"`
	Expired       bool      `json:"expired"`

	ReservedAt time.Time `json:"reserved_at,omitzero" reads:"only"`
}

// ReservationOf returns a reservation of a stock, or nil if it has ended.
func ReservationOf(key stock.Key, id unit.ReservationID, s stock.State, now time.Time) *Reservation {
	h, found := s.Reservations[id]
	if !found {
		return nil
	}
	return &Reservation{
		ReservationID: string(id), SKU: string(key.SKU), Location: string(key.Location), OrderID: string(h.OrderID),
		Quantity: int64(h.Quantity), ExpiresAt: Moment(h.ExpiresAt), Expired: !now.Before(h.ExpiresAt),
	}
}

// Allocation is stock that is promised to an order and has not shipped.
type Allocation struct {
	SKU      string `json:"sku"`
	Location string `json:"location"`
	OrderID  string `json:"order_id"`
	Quantity int64  `json:"quantity"`
}

// ReorderAlert is an item at or below its reorder point.
type ReorderAlert struct {
	SKU          string     `json:"sku"`
	Location     string     `json:"location"`
	Available    int64      `json:"available"`
	ReorderPoint int64      `json:"reorder_point"`
	Since        *time.Time `json:"since,omitempty"`
}

// StockMovement is one change of an item's stock.
type StockMovement struct {
	Revision    int64       `json:"revision"`
	Kind        string      `json:"kind" enum:"received,adjusted,counted,reserved,reservation_extended,reservation_released,reservation_expired,allocated,deallocated,shipped,returned,moved_state,transfer_out,transfer_in,came_back,policy_set,reorder_point_crossed,unreadable" doc:"What happened. unreadable: the event is not one that this program can read; it moved nothing."`
	Change      StockChange `json:"change"`
	Quantity    int64       `json:"quantity"`
	OrderID     string      `json:"order_id,omitempty"`
	ReturnID    string      `json:"return_id,omitempty"`
	Document    string      `json:"document,omitempty"`
	Reason      string      `json:"reason,omitempty"`
	Note        string      `json:"note,omitempty"`
	Actor       string      `json:"actor,omitempty"`
	Channel     string      `json:"channel,omitempty"`
	EffectiveAt time.Time   `json:"effective_at"`
	RecordedAt  time.Time   `json:"recorded_at"`
	Position    string      `json:"position"`
}

// StockChange is what one event does to an item's quantities.
type StockChange struct {
	OnHand           int64 `json:"on_hand,omitzero"`
	Reserved         int64 `json:"reserved,omitzero"`
	Allocated        int64 `json:"allocated,omitzero"`
	Damaged          int64 `json:"damaged,omitzero"`
	QualityControl   int64 `json:"quality_control,omitzero"`
	OtherUnavailable int64 `json:"other_unavailable,omitzero"`
}
