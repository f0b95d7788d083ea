package readapi

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/apidoc"
	"daybook/internal/problem"
	"daybook/internal/resource"
	"daybook/projections/query"
)

type keptRecordInput struct {
	OrderID string `path:"order_id" maxLength:"64"`
}

type keptRecordOutput struct{ Body resource.KeptRecord }

// keptRecord shows what is kept of an order whose customer or guest was erased. For a caller who
// may export only their own things, there is no such record: their own export has it.
func (a *api) keptRecord(ctx context.Context, in *keptRecordInput) (*keptRecordOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	if !seesPersonal(ctx, access.ExportPersonal) {
		return nil, problem.From(ctx, problem.Forbidden(access.ReadPersonal))
	}
	record, err := a.keptOf(ctx, in.OrderID)
	who := problem.RequestOf(ctx).Who
	if _, limited := who.Owned(access.ExportPersonal); limited && err == nil {
		problem.RequestOf(ctx).NoteHidden()
		record = nil
	}
	if err == nil && record == nil {
		err = query.ErrNotFound
	}
	if err != nil {
		return nil, problem.From(ctx, typedProblem(err))
	}
	a.Logger.InfoContext(ctx, "kept record exported", slog.String("order_id", in.OrderID), slog.String("actor", who.ID), slog.String("request_id", problem.RequestOf(ctx).ID))
	return &keptRecordOutput{Body: *record}, nil
}

// keptOf returns what is kept of an order; nil if nothing is.
func (a *api) keptOf(ctx context.Context, id string) (*resource.KeptRecord, error) {
	order, err := unit.ParseOrderID(id)
	if err != nil || a.Erasures == nil {
		return nil, nil //nolint:nilerr // no order has such an id
	}
	return a.Erasures.KeptRecord(ctx, order)
}

// registerKept adds the route.
func (a *api) registerKept() {
	huma.Register(a.huma, huma.Operation{
		OperationID: "get-kept-record", Method: http.MethodGet, Path: "/v1/orders/{order_id}/kept-record", Summary: "Show what the law wants of an erased order", Tags: []string{apidoc.TagPrivacy},
		Metadata: problem.Listing(access.ExportPersonal, append([]string{problem.CodeNotFound}, problem.OfReads...)...), Middlewares: huma.Middlewares{noteFaults, asPrivatePage},
		Description: "The name and the address of the invoice, which are kept for some time although the customer or the guest was erased (`--keep-invoices`). 404 if nothing is kept of the order, or no longer. The caller needs the permission for all customers, and `personal.read`. Each read is noted in the program's log.",
	}, a.keptRecord)
}
