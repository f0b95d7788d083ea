package commandapi

import (
	"context"
	"time"

	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// StockPath names one SKU at one location.
type StockPath struct {
	Headers
	SKU      string `path:"sku" maxLength:"64" example:"MUG" doc:"Percent-encode blanks and slashes."`
	Location string `path:"location" maxLength:"64" example:"main"`
}

func (p *StockPath) key(bad *check) stock.Key {
	return stock.Key{
		SKU:      inPath(bad, "sku", p.SKU, unit.ParseSKU),
		Location: inPath(bad, "location", p.Location, unit.ParseLocationID),
	}
}

// moveStock carries out one command on a stock, and responds with the stock as it is now. The
// caller has read the request, and bad has the faults that it found.
func (a *api) moveStock(ctx context.Context, c call, bad *check, key stock.Key, command func(stock.At) stock.Command) (*response[resource.Stock], error) {
	return moveStock(ctx, a, c, bad, key, command, func(s stock.State, now time.Time, revision int64) resource.Stock {
		return resource.StockOf(key, s, now, revision)
	})
}

// moveStock is like the method moveStock, but the caller says how the body of the response is made.
func moveStock[B any](ctx context.Context, a *api, c call, bad *check, key stock.Key, command func(stock.At) stock.Command, body func(stock.State, time.Time, int64) B) (*response[B], error) {
	if err := bad.err(); err != nil {
		return nil, err
	}
	done, err := a.service.MoveStock(ctx, c.Call, key, command(a.service.At(key)))
	if err != nil {
		return nil, err
	}
	now, revision := a.service.Now(), int64(0)
	state, err := view(ctx, a.service.ViewStock, key, func(s stock.State, at int64) B {
		revision = at
		return body(s, now, at)
	})
	if err != nil {
		return nil, err
	}
	return respond(revision, done, state), nil
}

// QuantityBody is a number of units, with a document and a note.
type QuantityBody struct {
	Quantity int64  `json:"quantity" minimum:"1" maximum:"1000000000"`
	Document string `json:"document,omitempty" maxLength:"100" doc:"The number of the delivery note, the count sheet, ..."`
	Note     string `json:"note,omitempty" maxLength:"500"`
}

type receiveInput struct {
	StockPath
	Body QuantityBody
}

func (a *api) receiveStock(ctx context.Context, c call, in *receiveInput) (*response[resource.Stock], error) {
	var bad check
	key, quantity := in.key(&bad), inBody(&bad, "/quantity", in.Body.Quantity, unit.ParseQuantity)
	return a.moveStock(ctx, c, &bad, key, func(at stock.At) stock.Command {
		return stock.Receive{At: at, Quantity: quantity, Document: in.Body.Document, Note: in.Body.Note}
	})
}

type adjustInput struct {
	StockPath
	Body struct {
		Change    int64  `json:"change" minimum:"-1000000000" maximum:"1000000000" doc:"How many units were found (above 0) or are missing (below 0)."`
		Reason    string `json:"reason" enum:"correction,cycle_count,received,restock,damaged,shrinkage,promotion,other"`
		Condition string `json:"condition,omitempty" enum:"available,damaged,quality_control,other" default:"available" doc:"The condition of the units that were found or are missing."`
		Document  string `json:"document,omitempty" maxLength:"100"`
		Note      string `json:"note,omitempty" maxLength:"500" doc:"Needed for the reason other."`
	}
}

func (a *api) adjustStock(ctx context.Context, c call, in *adjustInput) (*response[resource.Stock], error) {
	var bad check
	key := in.key(&bad)
	if in.Body.Change == 0 {
		bad.fault(problem.InBody("/change", "a change of 0 changes nothing"))
	}
	return a.moveStock(ctx, c, &bad, key, func(at stock.At) stock.Command {
		return stock.Adjust{
			At: at, Change: unit.Quantity(in.Body.Change), Reason: stock.Reason(in.Body.Reason),
			Condition: stock.Condition(in.Body.Condition), Document: in.Body.Document, Note: in.Body.Note,
		}
	})
}

type countInput struct {
	StockPath
	Body struct {
		Expected int64  `json:"expected" doc:"On hand when the count began. If on hand has changed since, the count is refused, and the problem has the present number."`
		Counted  int64  `json:"counted" minimum:"0" maximum:"1000000000000"`
		Document string `json:"document,omitempty" maxLength:"100"`
		Note     string `json:"note,omitempty" maxLength:"500"`
	}
}

func (a *api) countStock(ctx context.Context, c call, in *countInput) (*response[resource.Stock], error) {
	var bad check
	return a.moveStock(ctx, c, &bad, in.key(&bad), func(at stock.At) stock.Command {
		return stock.Count{
			At: at, Expected: unit.Quantity(in.Body.Expected), Counted: unit.Quantity(in.Body.Counted),
			Document: in.Body.Document, Note: in.Body.Note,
		}
	})
}

type moveInput struct {
	StockPath
	Body struct {
		From     string `json:"from" enum:"available,damaged,quality_control,other"`
		To       string `json:"to" enum:"available,damaged,quality_control,other"`
		Quantity int64  `json:"quantity" minimum:"1" maximum:"1000000000"`
		Note     string `json:"note,omitempty" maxLength:"500"`
	}
}

func (a *api) moveCondition(ctx context.Context, c call, in *moveInput) (*response[resource.Stock], error) {
	var bad check
	key, quantity := in.key(&bad), inBody(&bad, "/quantity", in.Body.Quantity, unit.ParseQuantity)
	return a.moveStock(ctx, c, &bad, key, func(at stock.At) stock.Command {
		return stock.Move{At: at, From: stock.Condition(in.Body.From), To: stock.Condition(in.Body.To), Quantity: quantity, Note: in.Body.Note}
	})
}

type transferOutInput struct {
	StockPath
	Body struct {
		TransferID string `json:"transfer_id,omitempty" maxLength:"64" doc:"If you give none, the server makes one."`
		To         string `json:"to" minLength:"1" maxLength:"64" doc:"The location it goes to."`
		Quantity   int64  `json:"quantity" minimum:"1" maximum:"1000000000"`
	}
}

func (a *api) transferOut(ctx context.Context, c call, in *transferOutInput) (*response[resource.Stock], error) {
	var bad check
	key, quantity := in.key(&bad), inBody(&bad, "/quantity", in.Body.Quantity, unit.ParseQuantity)
	id := orElse(&bad, "/transfer_id", in.Body.TransferID, unit.ParseTransferID, c.derive(unit.NewTransfer))
	to := inBody(&bad, "/to", in.Body.To, unit.ParseLocationID)
	return a.moveStock(ctx, c, &bad, key, func(at stock.At) stock.Command {
		return stock.TransferOut{At: at, TransferID: id, To: to, Quantity: quantity}
	})
}

type transferInInput struct {
	StockPath
	Body struct {
		TransferID string `json:"transfer_id" minLength:"1" maxLength:"64" doc:"That of the transfer out."`
		From       string `json:"from" minLength:"1" maxLength:"64" doc:"The location it comes from."`
		Quantity   int64  `json:"quantity" minimum:"1" maximum:"1000000000" doc:"The number of units that arrived. It may be less than the number that was sent."`
	}
}

func (a *api) transferIn(ctx context.Context, c call, in *transferInInput) (*response[resource.Stock], error) {
	var bad check
	key, quantity := in.key(&bad), inBody(&bad, "/quantity", in.Body.Quantity, unit.ParseQuantity)
	id := inBody(&bad, "/transfer_id", in.Body.TransferID, unit.ParseTransferID)
	from := inBody(&bad, "/from", in.Body.From, unit.ParseLocationID)
	return a.moveStock(ctx, c, &bad, key, func(at stock.At) stock.Command {
		return stock.TransferIn{At: at, TransferID: id, From: from, Quantity: quantity}
	})
}

type setPolicyInput struct {
	StockPath
	Body struct {
		SafetyStock    int64 `json:"safety_stock" minimum:"0" maximum:"1000000000" doc:"How many units are kept back from sale."`
		BackorderLimit int64 `json:"backorder_limit" minimum:"0" maximum:"1000000000" doc:"How many units may be sold beyond what is there."`
		ReorderPoint   int64 `json:"reorder_point" minimum:"0" maximum:"1000000000" doc:"When available falls to this number or below it, an alert is raised. 0 means no alert."`
	}
}

func (a *api) setPolicy(ctx context.Context, c call, in *setPolicyInput) (*response[resource.Stock], error) {
	var bad check
	return a.moveStock(ctx, c, &bad, in.key(&bad), func(at stock.At) stock.Command {
		return stock.SetPolicy{At: at, Policy: stock.Policy{
			SafetyStock: unit.Quantity(in.Body.SafetyStock), BackorderLimit: unit.Quantity(in.Body.BackorderLimit),
			ReorderPoint: unit.Quantity(in.Body.ReorderPoint),
		}}
	})
}

type returnStockInput struct {
	StockPath
	Body struct {
		ReturnID  string `json:"return_id" minLength:"1" maxLength:"64"`
		Receipt   int    `json:"receipt,omitzero" minimum:"0" maximum:"1000000" doc:"The number of the arrival, if one return arrives in several parts."`
		OrderID   string `json:"order_id,omitempty" maxLength:"64"`
		Quantity  int64  `json:"quantity" minimum:"1" maximum:"1000000000"`
		Condition string `json:"condition" enum:"available,damaged,quality_control,other"`
		Force     bool   `json:"force,omitzero" needs:"stock.override" doc:"Take goods back even though a return with this id exists. Needs a reason."`
		Reason    string `json:"reason,omitempty" maxLength:"500" doc:"Why it is forced."`
	}
}

func (a *api) returnStock(ctx context.Context, c call, in *returnStockInput) (*response[resource.Stock], error) {
	var bad check
	key, quantity := in.key(&bad), inBody(&bad, "/quantity", in.Body.Quantity, unit.ParseQuantity)
	id := inBody(&bad, "/return_id", in.Body.ReturnID, unit.ParseReturnID)
	orderID := optional(&bad, "/order_id", in.Body.OrderID, unit.ParseOrderID)
	from := forcing(&bad, in.Body.Force, in.Body.Reason)
	if err := bad.err(); err != nil {
		return nil, err
	}
	if from.Override == "" {
		belongs, err := view(ctx, a.service.ViewReturn, id, func(s returns.State, _ int64) bool { return s.Exists() })
		if err != nil {
			return nil, err
		}
		if belongs {
			// If this request took goods back before the return existed, it is a repetition
			// and is not refused.
			belongs, err = a.notRepeated(ctx, c, key)
			if err != nil {
				return nil, err
			}
		}
		if belongs {
			return nil, stock.ErrBelongsToOrder.With("A return with the id "+string(id)+" exists: record its receipts there, or force this with a reason.",
				map[string]any{"return_id": id, "forcible": true})
		}
	}
	return a.moveStock(ctx, c, &bad, key, func(at stock.At) stock.Command {
		return stock.TakeBack{At: at, Origin: from, ReturnID: id, Receipt: in.Body.Receipt, OrderID: orderID, Quantity: quantity, Condition: stock.Condition(in.Body.Condition)}
	})
}

// notRepeated tells a new request from one that has been carried out before.
func (a *api) notRepeated(ctx context.Context, c call, key stock.Key) (bool, error) {
	repeats, err := a.service.StockRepeats(ctx, key, c.Meta)
	return !repeats, err
}

func (a *api) expireDue(ctx context.Context, c call, in *StockPath) (*response[resource.Stock], error) {
	var bad check
	return a.moveStock(ctx, c, &bad, in.key(&bad), func(at stock.At) stock.Command { return stock.ExpireDue{At: at} })
}

// deadline reads when a reservation ends: at a time, or a number of seconds from now.
func (a *api) deadline(bad *check, at time.Time, inSeconds int64) time.Time {
	switch {
	case at.IsZero() == (inSeconds == 0):
		bad.fault(problem.InBody("/expires_at", "want either expires_at or hold_seconds"))
		return time.Time{}
	case inSeconds != 0:
		return a.service.Now().Add(time.Duration(inSeconds) * time.Second)
	}
	return at.UTC()
}
