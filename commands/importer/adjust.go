package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/onlineretail"
)

// errPartly should never occur. It means that somebody else changed the stock after mayAdjust
// checked it and before the adjustment was recorded.
var errPartly = errors.New("some lines of the adjustment are recorded, others were refused")

// adjust corrects stock line by line. Lines of services move no stock, so they are recorded in
// a credit note.
func (r *run) adjust(ctx context.Context, j *job) (outcome, error) {
	invoice := *j.invoice
	if err := j.ticket.wait(ctx); err != nil {
		return outcome{}, err
	}
	if r.wasRefused(j) {
		return outcome{adjustmentsRefused: 1}, nil
	}
	var goods, services []onlineretail.Line
	for _, line := range invoice.Lines {
		if line.Kind == unit.Stocked {
			goods = append(goods, line)
		} else {
			services = append(services, line)
		}
	}
	// An adjustment that takes units out of several stocks is recorded whole or not at all. Each of
	// its lines is recorded in another stream, so all lines are checked first; see mayAdjust.
	if len(goods) > 1 && invoice.Kind == onlineretail.AdjustOut {
		may, err := r.mayAdjust(ctx, invoice.Number, goods)
		if err != nil {
			return outcome{}, err
		}
		if !may {
			return r.refuse(ctx, j)
		}
	}
	for i, line := range goods {
		err := r.adjustLine(ctx, invoice, line)
		switch {
		case errors.Is(err, stock.ErrBelowZero) && i == 0:
			return r.refuse(ctx, j)
		case errors.Is(err, stock.ErrBelowZero):
			return outcome{}, fmt.Errorf("%w: %w", errPartly, err)
		case err != nil:
			return outcome{}, fmt.Errorf("adjust %s: %w", line.SKU, err)
		}
	}
	j.ticket.releaseAll()
	if len(services) > 0 {
		return outcome{}, r.noteCredit(ctx, j, "adjustment", services)
	}
	return outcome{}, nil
}

// refuse stores a refusal before a later invoice can change the stock. Otherwise an import
// that is run again might accept the adjustment.
func (r *run) refuse(ctx context.Context, j *job) (outcome, error) {
	r.mu.Lock()
	r.counts.Refused = append(r.counts.Refused, j.index)
	r.mu.Unlock()
	return outcome{adjustmentsRefused: 1}, r.saveNow(ctx)
}

func (r *run) wasRefused(j *job) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.counts.Refused, j.index)
}

func (r *run) adjustLine(ctx context.Context, invoice onlineretail.Invoice, line onlineretail.Line) error {
	at := key(line.SKU)
	_, err := r.Service.MoveStock(ctx, call(invoice, "adjust", strconv.Itoa(line.Number)), at, stock.Adjust{
		At: r.Service.At(at), Change: line.Quantity, Reason: reasonOf(line.Note, line.Quantity), Document: invoice.Number, Note: line.Note,
	})
	return err
}

// mayAdjust tells whether every SKU has the units that the lines take out. It also returns
// true if an earlier run has recorded the first of these lines.
func (r *run) mayAdjust(ctx context.Context, document string, lines []onlineretail.Line) (bool, error) {
	out := map[unit.SKU]unit.Quantity{}
	for _, line := range lines {
		out[line.SKU] -= line.Quantity
	}
	enough := true
	for sku, quantity := range out {
		err := r.Service.ViewStock(ctx, stock.Key{SKU: sku, Location: unit.DefaultLocation}, func(state stock.State, _ int64) {
			enough = enough && state.OnHand()-state.UnavailableTotal() >= quantity
		})
		if err != nil {
			return false, err
		}
	}
	if enough {
		return true, nil
	}
	return r.begunToAdjust(ctx, document, lines[0].SKU)
}

// begunToAdjust tells whether the log has the first line of an adjustment.
func (r *run) begunToAdjust(ctx context.Context, document string, sku unit.SKU) (bool, error) {
	for recorded, err := range r.Store.ReadStream(ctx, stock.Stream(sku, unit.DefaultLocation), 0, 0) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		event, err := eventstore.Decode(&recorded, stock.Decode)
		if eventstore.IsForeign(err) {
			continue
		}
		if err != nil {
			return false, err
		}
		if adjusted, is := event.(stock.Adjusted); is && adjusted.Document == document {
			return true, nil
		}
	}
	return false, nil
}
