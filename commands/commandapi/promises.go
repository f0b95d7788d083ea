package commandapi

import (
	"context"
	"time"

	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// direct marks a command that a caller sends straight to stock. Commands of an order's process do
// not have this mark.
var direct = stock.Origin{Direct: true}

// forcing is direct with a reason. With a reason, the command may change what belongs to an
// order.
func forcing(bad *check, force bool, reason string) stock.Origin {
	from := direct
	switch {
	case force && unit.Blank(reason):
		bad.fault(problem.InBody("/reason", "required with force, and not blank"))
	case force:
		from.Override = override(bad, reason)
	}
	return from
}

// override reads the reason why something is forced.
func override(bad *check, reason string) string {
	if fault := unit.TextFault(reason, unit.MaxNote); fault != "" {
		bad.fault(problem.InBody("/reason", fault))
	}
	return reason
}

type reserveInput struct {
	StockPath
	Body struct {
		OrderID        string    `json:"order_id" minLength:"1" maxLength:"64" doc:"The owner. If you ask twice for the same order, it is the same reservation."`
		ReservationID  string    `json:"reservation_id,omitempty" maxLength:"64" doc:"By default derived from the order, the SKU and the location."`
		Quantity       int64     `json:"quantity" minimum:"1" maximum:"1000000000"`
		ExpiresAt      time.Time `json:"expires_at,omitzero" doc:"When it ends by itself. Give this or hold_seconds."`
		ReserveSeconds int64     `json:"hold_seconds,omitzero" minimum:"1" maximum:"2592000" doc:"How long the goods are reserved from now on. If you ask again with the same length, the first deadline stays. Another length is refused (reservation-differs)."`
	}
}

// ReservationState is a reservation, together with its stock.
type ReservationState struct {
	ReservationID unit.ReservationID    `json:"reservation_id"`
	Reservation   *resource.Reservation `json:"reservation,omitempty" doc:"Left out when it has ended."`
	Stock         resource.Stock        `json:"stock"`
}

func (a *api) reserve(ctx context.Context, c call, in *reserveInput) (*response[ReservationState], error) {
	var bad check
	key, quantity := in.key(&bad), inBody(&bad, "/quantity", in.Body.Quantity, unit.ParseQuantity)
	owner := inBody(&bad, "/order_id", in.Body.OrderID, unit.ParseOrderID)
	id := orElse(&bad, "/reservation_id", in.Body.ReservationID, parseReservation, string(stock.DirectReservationIDFor(owner, key.SKU, key.Location)))
	until := a.deadline(&bad, in.Body.ExpiresAt, in.Body.ReserveSeconds)
	return a.movePromise(ctx, c, &bad, key, id, func(at stock.At) stock.Command {
		return stock.Reserve{
			At: at, Origin: direct, ReservationID: id, OrderID: owner, Quantity: quantity,
			ExpiresAt: until, Fixed: !in.Body.ExpiresAt.IsZero(), ReserveSeconds: in.Body.ReserveSeconds,
		}
	})
}

// ReservationPath names a reservation.
type ReservationPath struct {
	StockPath
	ReservationID string `path:"reservation_id" maxLength:"64"`
}

func (in *ReservationPath) id(bad *check) unit.ReservationID {
	return inPath(bad, "reservation_id", in.ReservationID, parseReservation)
}

type extendInput struct {
	ReservationPath
	Body struct {
		ExpiresAt      time.Time `json:"expires_at,omitzero" doc:"The new deadline. Give this, or hold_seconds, which count from now."`
		ReserveSeconds int64     `json:"hold_seconds,omitzero" minimum:"1" maximum:"2592000"`
		Force          bool      `json:"force,omitzero" needs:"stock.override" doc:"Move the deadline even though the reservation belongs to an order's checkout. Needs a reason."`
		Reason         string    `json:"reason,omitempty" maxLength:"500" doc:"Why it is forced."`
	}
}

func (a *api) extend(ctx context.Context, c call, in *extendInput) (*response[ReservationState], error) {
	var bad check
	key, id := in.key(&bad), in.id(&bad)
	until := a.deadline(&bad, in.Body.ExpiresAt, in.Body.ReserveSeconds)
	from := forcing(&bad, in.Body.Force, in.Body.Reason)
	return a.movePromise(ctx, c, &bad, key, id, func(at stock.At) stock.Command {
		return stock.Extend{At: at, Origin: from, ReservationID: id, ExpiresAt: until}
	})
}

type releaseInput struct {
	ReservationPath
	Reason string `query:"reason" maxLength:"500"`
	Force  bool   `query:"force" needs:"stock.override" doc:"Release it even though it belongs to an order's checkout. Needs a reason."`
}

func (a *api) release(ctx context.Context, c call, in *releaseInput) (*response[ReservationState], error) {
	var bad check
	key, id := in.key(&bad), in.id(&bad)
	reason := note(&bad, "reason", in.Reason)
	from := direct
	if in.Force && unit.Blank(reason) {
		bad.fault(problem.InParameter("query", "reason", "required with force, and not blank"))
	} else if in.Force {
		from.Override = reason
	}
	return a.movePromise(ctx, c, &bad, key, id, func(at stock.At) stock.Command {
		return stock.Release{At: at, Origin: from, ReservationID: id, Reason: reason}
	})
}

func (a *api) commit(ctx context.Context, c call, in *ReservationPath) (*response[ReservationState], error) {
	var bad check
	key, id := in.key(&bad), in.id(&bad)
	return a.movePromise(ctx, c, &bad, key, id, func(at stock.At) stock.Command {
		return stock.Commit{At: at, Origin: direct, ReservationID: id}
	})
}

func (a *api) movePromise(ctx context.Context, c call, bad *check, key stock.Key, id unit.ReservationID, command func(stock.At) stock.Command) (*response[ReservationState], error) {
	return moveStock(ctx, a, c, bad, key, command, func(s stock.State, now time.Time, revision int64) ReservationState {
		return ReservationState{
			ReservationID: id, Reservation: resource.ReservationOf(key, id, s, now), Stock: resource.StockOf(key, s, now, revision),
		}
	})
}

// parseReservation reads a reservation's id. It has the same form as an order's id.
func parseReservation(text string) (unit.ReservationID, error) {
	id, err := unit.ParseOrderID(text)
	return unit.ReservationID(id), err
}

type allocateInput struct {
	StockPath
	Body struct {
		OrderID  string `json:"order_id" minLength:"1" maxLength:"64"`
		Quantity int64  `json:"quantity" minimum:"1" maximum:"1000000000" doc:"How many units the order shall have allocated here in all. If it has as many or more already, nothing changes."`
	}
}

func (a *api) allocate(ctx context.Context, c call, in *allocateInput) (*response[resource.Stock], error) {
	var bad check
	key, quantity := in.key(&bad), inBody(&bad, "/quantity", in.Body.Quantity, unit.ParseQuantity)
	owner := inBody(&bad, "/order_id", in.Body.OrderID, unit.ParseOrderID)
	return a.moveStock(ctx, c, &bad, key, func(at stock.At) stock.Command {
		return stock.Allocate{At: at, Origin: direct, OrderID: owner, Quantity: quantity}
	})
}

type deallocateInput struct {
	StockPath
	Body struct {
		OrderID  string `json:"order_id" minLength:"1" maxLength:"64"`
		Quantity int64  `json:"quantity" minimum:"1" maximum:"1000000000" doc:"At most this many are taken back."`
		Reason   string `json:"reason,omitempty" maxLength:"500"`
		Force    bool   `json:"force,omitzero" needs:"stock.override" doc:"Also take back units that belong to an order. Needs a reason. The order's retry-allocation allocates them again."`
	}
}

func (a *api) deallocate(ctx context.Context, c call, in *deallocateInput) (*response[resource.Stock], error) {
	var bad check
	key, quantity := in.key(&bad), inBody(&bad, "/quantity", in.Body.Quantity, unit.ParseQuantity)
	owner := inBody(&bad, "/order_id", in.Body.OrderID, unit.ParseOrderID)
	from := forcing(&bad, in.Body.Force, in.Body.Reason)
	return a.moveStock(ctx, c, &bad, key, func(at stock.At) stock.Command {
		return stock.Deallocate{At: at, Origin: from, OrderID: owner, Ref: c.derive(unit.NewDeallocation), Quantity: quantity, Reason: in.Body.Reason}
	})
}

type shipStockInput struct {
	StockPath
	Body struct {
		OrderID    string `json:"order_id" minLength:"1" maxLength:"64"`
		ShipmentID string `json:"shipment_id" minLength:"1" maxLength:"64"`
		Quantity   int64  `json:"quantity" minimum:"1" maximum:"1000000000"`
		Force      bool   `json:"force,omitzero" needs:"stock.override" doc:"Ship even if stock does not have the goods. With a reason, also ship goods that belong to an order."`
		Reason     string `json:"reason,omitempty" maxLength:"500" doc:"Why goods that belong to an order are shipped apart from it."`
	}
}

func (a *api) shipStock(ctx context.Context, c call, in *shipStockInput) (*response[resource.Stock], error) {
	var bad check
	key, quantity := in.key(&bad), inBody(&bad, "/quantity", in.Body.Quantity, unit.ParseQuantity)
	owner := inBody(&bad, "/order_id", in.Body.OrderID, unit.ParseOrderID)
	id := inBody(&bad, "/shipment_id", in.Body.ShipmentID, unit.ParseShipmentID)
	from := direct
	if in.Body.Force {
		from.Override = override(&bad, in.Body.Reason)
	}
	return a.moveStock(ctx, c, &bad, key, func(at stock.At) stock.Command {
		return stock.Ship{At: at, Origin: from, OrderID: owner, ShipmentID: id, Quantity: quantity, Force: in.Body.Force}
	})
}
