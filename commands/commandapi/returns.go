package commandapi

import (
	"context"
	"errors"

	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// ReturnPath names a return.
type ReturnPath struct {
	Headers
	ReturnID string `path:"return_id" maxLength:"64"`
}

func (p *ReturnPath) id(bad *check) unit.ReturnID {
	return inPath(bad, "return_id", p.ReturnID, unit.ParseReturnID)
}

// changeReturn carries out a command on a return and puts the goods that came back into stock.
// Then it responds with the return.
func (a *api) changeReturn(ctx context.Context, c call, bad *check, id unit.ReturnID, command returns.Command) (*response[resource.Return], error) {
	if err := bad.err(); err != nil {
		return nil, err
	}
	done, err := a.service.Return(ctx, c.Call, id, command)
	if err != nil {
		return nil, err
	}
	state, err := view(ctx, a.service.ViewReturn, id, resource.ReturnOf)
	if err != nil {
		return nil, err
	}
	return respond(state.Revision, done, state), nil
}

func (a *api) approveReturn(ctx context.Context, c call, in *ReturnPath) (*response[resource.Return], error) {
	var bad check
	return a.changeReturn(ctx, c, &bad, in.id(&bad), returns.Approve{})
}

func (a *api) closeReturn(ctx context.Context, c call, in *ReturnPath) (*response[resource.Return], error) {
	var bad check
	return a.changeReturn(ctx, c, &bad, in.id(&bad), returns.Close{})
}

type declineInput struct {
	ReturnPath
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *api) declineReturn(ctx context.Context, c call, in *declineInput) (*response[resource.Return], error) {
	var bad check
	return a.changeReturn(ctx, c, &bad, in.id(&bad), returns.Decline{Reason: in.Body.Reason})
}

type cancelReturnInput struct {
	ReturnPath
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"500"`
	}
}

func (a *api) cancelReturn(ctx context.Context, c call, in *cancelReturnInput) (*response[resource.Return], error) {
	var bad check
	cancel := returns.Cancel{}
	if in.Body != nil {
		cancel.Reason = in.Body.Reason
	}
	return a.changeReturn(ctx, c, &bad, in.id(&bad), cancel)
}

// ReceivedLineInput is what became of units of a line.
type ReceivedLineInput struct {
	Line        int    `json:"line" minimum:"1"`
	Quantity    int64  `json:"quantity" minimum:"1" maximum:"1000000000"`
	Disposition string `json:"disposition" enum:"restocked,damaged,lost,wrong_item,written_off"`
	Location    string `json:"location,omitempty" maxLength:"64" default:"main"`
}

type receiptInput struct {
	ReturnPath
	Body struct {
		Receipt int                 `json:"receipt,omitzero" minimum:"1" doc:"The number that you expect this arrival to have. A number that was used before, with the same lines, records nothing. By default it is a new arrival with the next number."`
		Lines   []ReceivedLineInput `json:"lines" minItems:"1" maxItems:"2000" doc:"What came. The units of a line that is named twice are added up."`
	}
}

func (a *api) receiveReturn(ctx context.Context, c call, in *receiptInput) (*response[resource.Return], error) {
	var bad check
	id := in.id(&bad)
	receive := returns.Receive{Receipt: in.Body.Receipt}
	for i, l := range in.Body.Lines {
		receive.Lines = append(receive.Lines, returns.ReceivedLine{
			Line: l.Line, Quantity: inBody(&bad, at("/lines", i)+"/quantity", l.Quantity, unit.ParseQuantity),
			Disposition: returns.Disposition(l.Disposition),
			Location:    inBody(&bad, at("/lines", i)+"/location", l.Location, unit.ParseLocationID),
		})
	}
	done, err := a.changeReturn(ctx, c, &bad, id, receive)
	if errors.Is(err, returns.ErrLineUnknown) {
		return nil, a.unknownReturnLines(ctx, id, receive.Lines, err)
	}
	return done, err
}

// unknownReturnLines names all lines that the return does not have. refusal is about the first of
// them.
func (a *api) unknownReturnLines(ctx context.Context, id unit.ReturnID, received []returns.ReceivedLine, refusal error) error {
	var faults []problem.Invalid
	err := a.service.ViewReturn(ctx, id, func(now returns.State, _ int64) {
		faults = unknownLines(len(received), "return", func(i int) (int, bool) {
			return received[i].Line, received[i].Line >= 1 && received[i].Line <= len(now.Lines)
		})
	})
	return withLines(refusal, faults, err)
}

type refundInput struct {
	ReturnPath
	Body struct {
		TransactionID string     `json:"transaction_id,omitempty" maxLength:"64" doc:"If you give none, the server makes one."`
		Amount        MoneyInput `json:"amount" doc:"All refunds together are at most what the received units are worth."`
		Provider      string     `json:"provider,omitempty" maxLength:"100"`
		Reference     string     `json:"reference,omitempty" maxLength:"100"`
	}
}

func (a *api) refundReturn(ctx context.Context, c call, in *refundInput) (*response[resource.Return], error) {
	var bad check
	return a.changeReturn(ctx, c, &bad, in.id(&bad), returns.RecordRefund{
		TransactionID: orElse(&bad, "/transaction_id", in.Body.TransactionID, unit.ParseTransactionID, c.derive(unit.NewRefund)),
		Amount:        money(&bad, "/amount", in.Body.Amount),
		Provider:      in.Body.Provider, Reference: in.Body.Reference,
	})
}

// CreditLineInput is a line of a credit note. Quantity times price is the change
// of the shop's sales.
type CreditLineInput struct {
	SKU      string `json:"sku" minLength:"1" maxLength:"64"`
	Title    string `json:"title,omitempty" maxLength:"200"`
	Quantity int64  `json:"quantity" minimum:"-1000000000" maximum:"1000000000"`
	Price    string `json:"price" maxLength:"26" doc:"The price of one unit. Quantity times price is the change of the shop's sales: below zero is a credit to the customer."`
}

type creditNoteInput struct {
	Headers
	Body struct {
		ReturnID   string            `json:"return_id,omitempty" maxLength:"64" doc:"If you give none, the server makes one."`
		CustomerID string            `json:"customer_id,omitempty" maxLength:"64"`
		Reference  string            `json:"reference,omitempty" maxLength:"100"`
		Currency   string            `json:"currency" minLength:"3" maxLength:"3"`
		Country    string            `json:"country,omitempty" maxLength:"100"`
		Reason     string            `json:"reason" minLength:"1" maxLength:"500" example:"bad_debt"`
		Lines      []CreditLineInput `json:"lines" minItems:"1" maxItems:"2000"`
	}
}

func (a *api) noteCredit(ctx context.Context, c call, in *creditNoteInput) (*response[resource.Return], error) {
	var bad check
	note := returns.NoteCredit{
		ReturnID:   orElse(&bad, "/return_id", in.Body.ReturnID, unit.ParseReturnID, c.derive(unit.NewReturn)),
		CustomerID: optional(&bad, "/customer_id", in.Body.CustomerID, unit.ParseCustomerID),
		Reference:  in.Body.Reference, Country: in.Body.Country, Reason: in.Body.Reason,
		Currency: inBody(&bad, "/currency", in.Body.Currency, unit.ParseOldCurrency),
	}
	for i, l := range in.Body.Lines {
		line := returns.CreditLine{
			Number: i + 1, SKU: inBody(&bad, at("/lines", i)+"/sku", l.SKU, unit.ParseSKU), Title: l.Title,
			Quantity: unit.Quantity(l.Quantity),
			Price:    unit.Money{Amount: inBody(&bad, at("/lines", i)+"/price", l.Price, unit.ParseAmount), Currency: note.Currency},
		}
		if string(line.SKU) != l.SKU {
			line.SKUText = l.SKU
		}
		note.Lines = append(note.Lines, line)
	}
	c.New = true
	done, err := a.changeReturn(ctx, c, &bad, note.ReturnID, note)
	if err != nil {
		return nil, err
	}
	return done.at("/v1/returns/" + string(note.ReturnID)), nil
}
