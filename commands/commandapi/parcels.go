package commandapi

import (
	"context"

	"daybook/domain/access"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/internal/apidoc"
	"daybook/internal/resource"
)

// parcelRoutes are the routes about parcels that did not arrive.
func (a *api) parcelRoutes() {
	const aParcel = "/v1/orders/{order_id}/shipments/{shipment_id}"
	add(a, apidoc.TagOrders, op{method: post, path: aParcel + "/report", id: "report-shipment", needs: access.ShipOrders, summary: "Say where a parcel is that did not arrive", about: "The carrier has given up (`undeliverable`), sends it back (`returning`) or has lost it (`lost`). `shipped`: a lost parcel was found. No money follows from it: say whether its goods are sent again (resend-shipment) or credited (credit-shipment).", refusals: refusals{order.ErrNotFound, order.ErrShipmentUnknown, order.ErrParcelState, order.ErrTextInvalid}}, a.reportShipment)
	add(a, apidoc.TagOrders, op{method: post, path: aParcel + "/come-back", id: "take-shipment-back", needs: access.ShipOrders, lines: true, summary: "Take a parcel back that did not arrive", about: "Its goods are on hand again. All goods of the parcel must be named, also those that are `lost`. With `resend`, all of them are sent again; those that are for sale and came back to where they left are allocated to the order before anybody else can have them. What the buyer has had is a return instead.", refusals: refusals{order.ErrNotFound, order.ErrShipmentUnknown, order.ErrParcelState, order.ErrParcelDiffers, order.ErrParcelUnits, order.ErrParcelOld, order.ErrLineUnknown, order.ErrCanceled, order.ErrCompleted, order.ErrExpired, order.ErrStockUnsettled, order.ErrTextInvalid, stock.ErrLimit}}, a.takeShipmentBack)
	add(a, apidoc.TagOrders, op{method: post, path: aParcel + "/resend", id: "resend-shipment", needs: access.ShipOrders, lines: true, summary: "Send goods of a parcel again", key: true, about: "For a parcel that is lost or came back. The units are open again, and stock allocates other goods at the location from which the parcel left. Ship them as a new parcel. The order owes what it owed before.", refusals: refusals{order.ErrNotFound, order.ErrShipmentUnknown, order.ErrParcelState, order.ErrParcelUnits, order.ErrParcelOld, order.ErrCanceled, order.ErrCompleted, order.ErrExpired, order.ErrStockUnsettled, order.ErrTextInvalid, stock.ErrInsufficient}}, a.resendShipment)
	add(a, apidoc.TagOrders, op{method: post, path: aParcel + "/credit", id: "credit-shipment", needs: access.RefundOrders, lines: true, summary: "Credit goods of a parcel that did not arrive", key: true, about: "For a parcel that is lost or came back. The order owes less, by what was really paid for the units, with its tax. The refund of what was paid is asked for in the same step.", refusals: refusals{order.ErrNotFound, order.ErrShipmentUnknown, order.ErrParcelState, order.ErrParcelUnits, order.ErrParcelOld, order.ErrTextInvalid}}, a.creditShipment)
}

// ParcelPath names a parcel of an order.
type ParcelPath struct {
	OrderPath
	ShipmentID string `path:"shipment_id" maxLength:"64"`
}

func (p *ParcelPath) parcel(bad *check) unit.ShipmentID {
	return inPath(bad, "shipment_id", p.ShipmentID, unit.ParseShipmentID)
}

type reportShipmentInput struct {
	ParcelPath
	Body struct {
		State  string `json:"state" enum:"undeliverable,returning,lost,shipped" doc:"Where it is. shipped: a lost parcel was found."`
		Reason string `json:"reason,omitempty" maxLength:"500"`
		Claim  string `json:"claim,omitempty" maxLength:"500"`
	}
}

func (a *api) reportShipment(ctx context.Context, c call, in *reportShipmentInput) (*response[resource.Order], error) {
	var bad check
	return a.changeOrder(ctx, c, &bad, in.id(&bad), order.ReportParcel{
		ShipmentID: in.parcel(&bad), State: order.ParcelState(in.Body.State), Reason: in.Body.Reason, Claim: in.Body.Claim,
	})
}

// BackUnitsInput is some units of a line that came back in a parcel, or are not in it any more.
type BackUnitsInput struct {
	Line        int    `json:"line" minimum:"1"`
	Quantity    int64  `json:"quantity" minimum:"1" maximum:"1000000000"`
	Disposition string `json:"disposition,omitempty" enum:"restocked,damaged,quarantined,lost" default:"restocked"`
}

type takeShipmentBackInput struct {
	ParcelPath
	Body struct {
		Location string           `json:"location,omitempty" maxLength:"64" default:"main" doc:"The location to which it came back."`
		Lines    []BackUnitsInput `json:"lines" minItems:"1" maxItems:"2000" doc:"All goods of the parcel."`
		Reason   string           `json:"reason,omitempty" maxLength:"500"`
		Resend   bool             `json:"resend,omitzero"`
	}
}

func (a *api) takeShipmentBack(ctx context.Context, c call, in *takeShipmentBackInput) (*response[resource.Order], error) {
	var bad check
	take := order.TakeParcelBack{
		ShipmentID: in.parcel(&bad), Location: inBody(&bad, "/location", in.Body.Location, unit.ParseLocationID), Reason: in.Body.Reason, Resend: in.Body.Resend,
	}
	for i, l := range in.Body.Lines {
		quantity := inBody(&bad, at("/lines", i)+"/quantity", l.Quantity, unit.ParseQuantity)
		take.Lines = append(take.Lines, order.BackUnits{Line: l.Line, Quantity: quantity, Disposition: order.Disposition(l.Disposition)})
	}
	return a.changeOrder(ctx, c, &bad, in.id(&bad), take)
}

type settleShipmentInput struct {
	ParcelPath
	Body struct {
		Lines  []LineQuantityInput `json:"lines,omitempty" maxItems:"2000" doc:"Which units. If you give none: all that are left."`
		Reason string              `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *api) resendShipment(ctx context.Context, c call, in *settleShipmentInput) (*response[resource.Order], error) {
	var bad check
	return a.changeOrder(ctx, c, &bad, in.id(&bad), order.ResendParcel{
		ShipmentID: in.parcel(&bad), Lines: lineQuantities(&bad, in.Body.Lines), Reason: in.Body.Reason,
	})
}

func (a *api) creditShipment(ctx context.Context, c call, in *settleShipmentInput) (*response[resource.Order], error) {
	var bad check
	return a.changeOrder(ctx, c, &bad, in.id(&bad), order.CreditParcel{
		ShipmentID: in.parcel(&bad), Lines: lineQuantities(&bad, in.Body.Lines), Reason: in.Body.Reason,
	})
}
