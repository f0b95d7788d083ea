package commandapi

import (
	"context"
	"fmt"
	"slices"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

type requestReturnInput struct {
	Headers
	Body struct {
		ReturnID   string            `json:"return_id,omitempty" needs:"fields.trusted" maxLength:"64" doc:"Your own id. If you give none, the server makes one."`
		OrderID    string            `json:"order_id,omitempty" maxLength:"64" doc:"The order, if everything that comes back is of one order. Real returns often name none."`
		CustomerID string            `json:"customer_id,omitempty" maxLength:"64" doc:"By default the order's."`
		Reference  string            `json:"reference,omitempty" maxLength:"100"`
		Currency   string            `json:"currency,omitempty" maxLength:"3" doc:"By default the order's."`
		Country    string            `json:"country,omitempty" maxLength:"100"`
		Reason     string            `json:"reason,omitempty" maxLength:"500"`
		Lines      []ReturnLineInput `json:"lines" minItems:"1" maxItems:"2000" doc:"What comes back. Each item is a line of the return, even if two items name the same line of the order."`
	}
}

// ReturnLineInput is one line of what comes back: units of an order's line, or of a SKU.
type ReturnLineInput struct {
	OrderLine int    `json:"order_line,omitzero" minimum:"1" doc:"Which line of the order. SKU, kind and price are then the order's."`
	SKU       string `json:"sku,omitempty" maxLength:"64" doc:"Without an order line."`
	Quantity  int64  `json:"quantity" minimum:"1" maximum:"1000000000"`
	Price     string `json:"price,omitempty" needs:"fields.trusted" maxLength:"26" doc:"Credited for one unit. By default, and at most, what it was sold for; without an order line it is needed. Only a service, such as a discount, may be below zero."`
}

func (a *api) requestReturn(ctx context.Context, c call, in *requestReturnInput) (*response[resource.Return], error) {
	var bad check
	ask := returns.Request{
		ReturnID:   orElse(&bad, "/return_id", in.Body.ReturnID, unit.ParseReturnID, c.derive(unit.NewReturn)),
		OrderID:    optional(&bad, "/order_id", in.Body.OrderID, unit.ParseOrderID),
		CustomerID: c.customer(&bad, "/customer_id", in.Body.CustomerID),
		Currency:   optional(&bad, "/currency", in.Body.Currency, unit.ParseOldCurrency),
		Reference:  in.Body.Reference, Country: in.Body.Country, Reason: in.Body.Reason,
	}
	if c.Owner() != "" && in.Body.OrderID == "" {
		bad.fault(problem.InBody("/order_id", "required, because only what was bought here can be sent back"))
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	sold, err := a.soldBy(ctx, c.Call, ask.OrderID)
	if err != nil {
		return nil, err
	}
	if ask.OrderID != "" {
		if ask.CustomerID == "" {
			ask.CustomerID = sold.CustomerID
		}
		if sold.CustomerID == "" || c.Who.Cart != "" {
			ask.CartID = sold.CartID
		}
		if ask.Country == "" {
			ask.Country = sold.Country
		}
		if ask.Currency == "" {
			ask.Currency = sold.Currency()
		}
	}
	if ask.Currency == "" {
		bad.fault(problem.InBody("/currency", "required, because the return names no order"))
		return nil, bad.err()
	}
	for i, given := range in.Body.Lines {
		line, err := a.returnLine(ctx, &bad, at("/lines", i), given, sold, ask.Currency)
		if err != nil {
			return nil, err
		}
		ask.Lines = append(ask.Lines, line)
	}
	c.New = true
	done, err := a.changeReturn(ctx, c, &bad, ask.ReturnID, ask)
	if err != nil {
		return nil, err
	}
	return done.at("/v1/returns/" + string(ask.ReturnID)), nil
}

// soldBy is the order that a return names; the zero State if it names none.
func (a *api) soldBy(ctx context.Context, call commands.Call, id unit.OrderID) (order.State, error) {
	if id == "" {
		return order.State{}, nil
	}
	state, err := view(ctx, a.service.ViewOrder, id, func(s order.State, _ int64) order.State { return s.Clone() })
	switch {
	case err != nil:
		return state, err
	case !state.Exists():
		return state, order.ErrNotFound
	case !call.Reaches(state):
		return order.State{}, access.Hide(order.ErrNotFound)
	}
	return state, nil
}

// returnLine makes a line of a return. It is of a line of the order, or of a SKU. The
// catalogue need not have the SKU.
func (a *api) returnLine(ctx context.Context, bad *check, pointer string, given ReturnLineInput, sold order.State, currency unit.Currency) (returns.Line, error) {
	line := returns.Line{Quantity: inBody(bad, pointer+"/quantity", given.Quantity, unit.ParseQuantity)}
	if given.Price != "" {
		line.Price = unit.Money{Amount: inBody(bad, pointer+"/price", given.Price, unit.ParseAmount), Currency: currency}
	}
	if given.OrderLine != 0 {
		ofOrder(bad, pointer, &line, given, sold)
		return line, nil
	}
	if sold.Exists() {
		bad.fault(problem.InBody(pointer+"/order_line", "required, because the return names an order"))
		return line, nil
	}
	line.SKU = inBody(bad, pointer+"/sku", given.SKU, unit.ParseSKU)
	if string(line.SKU) != given.SKU {
		line.SKUText = given.SKU
	}
	if given.Price == "" {
		bad.fault(problem.InBody(pointer+"/price", "required, because the line names no order_line"))
	}
	if len(bad.faults) > 0 {
		return line, nil
	}
	line.Kind = unit.Stocked
	err := a.service.ViewProduct(ctx, line.SKU, func(s product.State, _ int64) {
		if s.Phase != product.NotListed {
			line.Title, line.Kind = s.Title, s.Kind
		}
	})
	return line, err
}

// ofOrder fills a line of a return from the order's line.
func ofOrder(bad *check, pointer string, line *returns.Line, given ReturnLineInput, sold order.State) {
	i := slices.IndexFunc(sold.Lines, func(l order.Line) bool { return l.Number == given.OrderLine })
	if i < 0 {
		bad.fault(problem.InBody(pointer+"/order_line", "the order has no such line"))
		return
	}
	of := sold.Lines[i]
	line.SKU, line.Kind = of.SKU, of.Kind
	line.Links = []returns.Link{{OrderID: sold.OrderID, Line: of.Number, Quantity: line.Quantity}}
	if given.SKU != "" {
		if sku, err := unit.ParseSKU(given.SKU); err != nil || sku != of.SKU {
			bad.fault(problem.InBody(pointer+"/sku", fmt.Sprintf("line %d of the order is of %s", of.Number, of.SKU)))
		}
	}
	if given.Price == "" {
		line.Price = of.Price
	} else if line.Price.Currency == of.Price.Currency && line.Price.Compare(of.Price) > 0 {
		bad.fault(problem.InBody(pointer+"/price", "more than "+of.Price.String()+", the price at which it was sold"))
	} else if line.Price.Sign() < 0 && of.Price.Sign() >= 0 {
		bad.fault(problem.InBody(pointer+"/price", "below zero, but it was sold for "+of.Price.String()))
	}
}
