package commandapi

import (
	"context"
	"errors"
	"slices"

	"daybook/commands"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// OrderPath names an order.
type OrderPath struct {
	Headers
	OrderID string `path:"order_id" maxLength:"64"`
}

func (p *OrderPath) id(bad *check) unit.OrderID {
	return inPath(bad, "order_id", p.OrderID, unit.ParseOrderID)
}

// changeOrder carries out a command on an order and moves the stock that it needs. Then it
// responds with the order.
func (a *api) changeOrder(ctx context.Context, c call, bad *check, id unit.OrderID, command order.Command) (*response[resource.Order], error) {
	if err := bad.err(); err != nil {
		return nil, err
	}
	done, err := a.service.Order(ctx, c.Call, id, command)
	if err != nil {
		return nil, err
	}
	state, err := viewFrom(ctx, a.service.ViewOrderFrom, id, done.Revision, resource.OrderOf)
	if err != nil {
		return nil, err
	}
	return respond(state.Revision, done, state), nil
}

// orderCommand makes the handler of a command that needs only the order's id.
func (a *api) orderCommand(command func() order.Command) func(context.Context, call, *OrderPath) (*response[resource.Order], error) {
	return func(ctx context.Context, c call, in *OrderPath) (*response[resource.Order], error) {
		var bad check
		return a.changeOrder(ctx, c, &bad, in.id(&bad), command())
	}
}

func (a *api) confirm() order.Command     { return order.Confirm{Now: a.service.Now()} }
func (a *api) expireOrder() order.Command { return order.Expire{Now: a.service.Now()} }
func (a *api) releaseHold() order.Command { return order.ReleaseHold{Now: a.service.Now()} }
func complete() order.Command             { return order.Complete{} }
func archive() order.Command              { return order.Archive{} }
func unarchive() order.Command            { return order.Unarchive{} }

type claimOrderInput struct {
	OrderPath
	Body struct {
		GuestToken string `json:"guest_token,omitempty" maxLength:"200" example:"dbg_Y2FydA_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" doc:"The token of the guest who placed the order. Left out if the order is the customer's already."`
		CustomerID string `json:"customer_id,omitempty" maxLength:"64" doc:"Left out by a customer, who claims an order for themself."`
	}
}

func (a *api) claimOrder(ctx context.Context, c call, in *claimOrderInput) (*response[resource.Order], error) {
	var bad check
	claim := commands.OrderClaim{OrderID: in.id(&bad), Customer: c.customer(&bad, "/customer_id", in.Body.CustomerID)}
	if claim.Customer == "" {
		bad.fault(problem.InBody("/customer_id", "say for whom the order is claimed"))
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	if in.Body.GuestToken != "" && a.guestOf != nil {
		if cartID, good := a.guestOf(in.Body.GuestToken); good {
			claim.Guest = cartID
		}
	}
	done, err := a.service.ClaimOrder(ctx, c.Call, claim)
	if err != nil {
		return nil, withPosition(ctx, err, done.Position)
	}
	state, err := view(ctx, a.service.ViewOrder, claim.OrderID, resource.OrderOf)
	if err != nil {
		return nil, err
	}
	return respond(state.Revision, done, state), nil
}

// RetryState is an order after its allocation was retried.
type RetryState struct {
	Order resource.Order `json:"order"`
	Retry RetryDone      `json:"retry"`
}

// RetryDone tells what a retry did.
type RetryDone struct {
	Outcome   string              `json:"outcome" enum:"allocated,nothing_to_do,short,canceled" doc:"allocated: what was missing is allocated now. nothing_to_do: nothing was missing. short: stock does not have it, and the order waits. canceled: stock does not have it, and the shop's remedy has canceled the order."`
	Lost      []resource.Lost     `json:"lost,omitempty" doc:"Allocations that stock no longer had, because somebody took them back by force."`
	Shortages []resource.Shortage `json:"shortages,omitempty" doc:"What was missing in stock."`
}

func (a *api) retryAllocation(ctx context.Context, c call, in *OrderPath) (*response[RetryState], error) {
	var bad check
	id := in.id(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	done, err := a.service.RetryAllocation(ctx, c.Call, id)
	if err != nil {
		return nil, err
	}
	state, err := view(ctx, a.service.ViewOrder, id, resource.OrderOf)
	if err != nil {
		return nil, err
	}
	retry := RetryDone{Outcome: string(done.Outcome), Lost: resource.LostOf(done.Lost), Shortages: resource.ShortagesOf(done.Shortages)}
	return respond(state.Revision, done.Order, RetryState{Order: state, Retry: retry}), nil
}

type holdInput struct {
	OrderPath
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *api) holdOrder(ctx context.Context, c call, in *holdInput) (*response[resource.Order], error) {
	var bad check
	return a.changeOrder(ctx, c, &bad, in.id(&bad), order.Hold{Reason: in.Body.Reason})
}

// LineQuantityInput is some units of a line.
type LineQuantityInput struct {
	Line     int   `json:"line" minimum:"1"`
	Quantity int64 `json:"quantity" minimum:"1" maximum:"1000000000"`
}

func lineQuantities(bad *check, given []LineQuantityInput) []order.LineQuantity {
	var wanted []order.LineQuantity
	for i, l := range given {
		quantity := inBody(bad, at("/lines", i)+"/quantity", l.Quantity, unit.ParseQuantity)
		wanted = append(wanted, order.LineQuantity{Line: l.Line, Quantity: quantity})
	}
	return wanted
}

type cancelInput struct {
	OrderPath
	Body struct {
		Lines  []LineQuantityInput `json:"lines,omitempty" maxItems:"2000" doc:"What to take off. The units of a line that is named twice are added up. If you give none, the whole order is canceled."`
		Reason string              `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *api) cancelOrder(ctx context.Context, c call, in *cancelInput) (*response[resource.Order], error) {
	var bad check
	id, taken := in.id(&bad), lineQuantities(&bad, in.Body.Lines)
	if len(taken) == 0 {
		return a.changeOrder(ctx, c, &bad, id, order.Cancel{Reason: in.Body.Reason})
	}
	done, err := a.changeOrder(ctx, c, &bad, id, order.CancelLines{Lines: taken, Reason: in.Body.Reason})
	if errors.Is(err, order.ErrLineUnknown) {
		return nil, a.unknownOrderLines(ctx, id, taken, err)
	}
	return done, err
}

// unknownOrderLines names all lines that the order does not have. refusal is about the first of
// them.
func (a *api) unknownOrderLines(ctx context.Context, id unit.OrderID, wanted []order.LineQuantity, refusal error) error {
	var faults []problem.Invalid
	err := a.service.ViewOrder(ctx, id, func(now order.State, _ int64) {
		faults = unknownLines(len(wanted), "order", func(i int) (int, bool) {
			return wanted[i].Line, slices.ContainsFunc(now.Lines, func(l order.Line) bool { return l.Number == wanted[i].Line })
		})
	})
	return withLines(refusal, faults, err)
}

type transactionInput struct {
	OrderPath
	Body struct {
		TransactionID string     `json:"transaction_id,omitempty" maxLength:"64" doc:"If you give none, the server makes one."`
		Type          string     `json:"type" enum:"authorize,capture,void,refund,chargeback,dispute,reversal"`
		State         string     `json:"state,omitempty" enum:"pending,succeeded,failed" default:"succeeded"`
		Amount        MoneyInput `json:"amount"`
		Parent        string     `json:"parent,omitempty" maxLength:"64" doc:"The earlier transaction that this one belongs to: for a capture or a void, the authorization; for a refund, a chargeback or a dispute, the capture; for a reversal, the chargeback."`
		Provider      string     `json:"provider,omitempty" maxLength:"100"`
		Reference     string     `json:"reference,omitempty" maxLength:"100" doc:"The provider's own."`
		Purpose       string     `json:"purpose,omitempty" enum:"settlement,compensation" doc:"What a refund is for. A settlement gives back what was paid more than is owed. A compensation gives money on top, for trouble: the order owes as much as before, and counts as paid. Without it, a refund is a settlement, and what it gives back too much is due again."`
	}
}

func (a *api) recordTransaction(ctx context.Context, c call, in *transactionInput) (*response[resource.Order], error) {
	var bad check
	newID := c.derive(unit.NewTransaction)
	if in.Body.Provider != "" && in.Body.Reference != "" { // a client and the provider report one fact
		newID = unit.ProviderTransaction.Of(in.Body.Provider, in.Body.Reference, in.Body.Type).ID()
	}
	record := order.RecordTransaction{
		TransactionID: orElse(&bad, "/transaction_id", in.Body.TransactionID, unit.ParseTransactionID, newID),
		Type:          order.TransactionType(in.Body.Type), State: order.TransactionState(in.Body.State),
		Amount:   money(&bad, "/amount", in.Body.Amount),
		Parent:   optional(&bad, "/parent", in.Body.Parent, unit.ParseTransactionID),
		Provider: in.Body.Provider, Reference: in.Body.Reference, Purpose: order.RefundPurpose(in.Body.Purpose),
	}
	if record.Purpose != "" && record.Type != order.Refund {
		bad.fault(problem.InBody("/purpose", "only a refund has a purpose"))
	}
	return a.changeOrder(ctx, c, &bad, in.id(&bad), record)
}

type settleInput struct {
	OrderPath
	TransactionID string `path:"transaction_id" maxLength:"64"`
	Body          struct {
		State     string `json:"state" enum:"succeeded,failed"`
		Reference string `json:"reference,omitempty" maxLength:"100"`
	}
}

func (a *api) settleTransaction(ctx context.Context, c call, in *settleInput) (*response[resource.Order], error) {
	var bad check
	return a.changeOrder(ctx, c, &bad, in.id(&bad), order.SettleTransaction{
		TransactionID: inPath(&bad, "transaction_id", in.TransactionID, unit.ParseTransactionID),
		State:         order.TransactionState(in.Body.State), Reference: in.Body.Reference,
	})
}

type shipInput struct {
	OrderPath
	Body struct {
		ShipmentID string              `json:"shipment_id,omitempty" maxLength:"64" doc:"If you give none, the server makes one."`
		Location   string              `json:"location,omitempty" maxLength:"64" default:"main"`
		Lines      []LineQuantityInput `json:"lines,omitempty" maxItems:"2000" doc:"What is in the parcel. The units of a line that is named twice are added up. If you give none: everything that is still to ship from the location, and services."`
		Carrier    string              `json:"carrier,omitempty" maxLength:"100"`
		Tracking   string              `json:"tracking,omitempty" maxLength:"100"`
		Force      bool                `json:"force,omitzero" needs:"stock.override" doc:"Record the parcel even if stock does not have its goods."`
	}
}

// ShippedOrder is a parcel, together with its order.
type ShippedOrder struct {
	ShipmentID unit.ShipmentID `json:"shipment_id"`
	Order      resource.Order  `json:"order"`
}

func (a *api) shipOrder(ctx context.Context, c call, in *shipInput) (*response[ShippedOrder], error) {
	var bad check
	ship := order.Ship{
		ShipmentID: orElse(&bad, "/shipment_id", in.Body.ShipmentID, unit.ParseShipmentID, c.derive(unit.NewShipment)),
		Location:   inBody(&bad, "/location", in.Body.Location, unit.ParseLocationID),
		Lines:      lineQuantities(&bad, in.Body.Lines),
		Carrier:    in.Body.Carrier, Tracking: in.Body.Tracking, Force: in.Body.Force,
	}
	id := in.id(&bad)
	done, err := a.changeOrder(ctx, c, &bad, id, ship)
	if errors.Is(err, order.ErrLineUnknown) {
		err = a.unknownOrderLines(ctx, id, ship.Lines, err)
	}
	if err != nil {
		return nil, err
	}
	return like(done, ShippedOrder{ShipmentID: ship.ShipmentID, Order: *done.Body}), nil
}

type deliverInput struct {
	OrderPath
	ShipmentID string `path:"shipment_id" maxLength:"64"`
}

func (a *api) deliver(ctx context.Context, c call, in *deliverInput) (*response[resource.Order], error) {
	var bad check
	return a.changeOrder(ctx, c, &bad, in.id(&bad), order.Deliver{
		ShipmentID: inPath(&bad, "shipment_id", in.ShipmentID, unit.ParseShipmentID),
	})
}
