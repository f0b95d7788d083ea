package importer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/internal/onlineretail"
)

// TakenError means that the shop has a thing of its own with a name that the import needs.
// Example: an order of the shop has the number of an invoice as its id. Run finds nearly all
// of these before it records anything.
type TakenError struct {
	Taken []string // the first few of them, in words
	More  int
}

func (e *TakenError) Error() string {
	more := ""
	if e.More > 0 {
		more = fmt.Sprintf(", and %d more", e.More)
	}
	return fmt.Sprintf("the shop has already what the import would record: %s%s. Import into another database", strings.Join(e.Taken, "; "), more)
}

// maxTaken bounds how many names a TakenError has.
const maxTaken = 5

// besideOthers checks, before an import begins, a log that has other work of the shop. It
// returns a *TakenError if an invoice's number is the id of an order or a return of the shop,
// or if a product of the file has another kind in the shop. Then nothing has been recorded.
// Orders and returns that the import itself recorded are no conflict, even if the record of
// its progress was lost.
func (i *Importer) besideOthers(ctx context.Context, plan *plan) error {
	var mu sync.Mutex
	var taken []string
	take := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		taken = append(taken, fmt.Sprintf(format, args...))
	}
	err := each(ctx, plan.invoices, func(invoice onlineretail.Invoice) error {
		switch invoice.Kind {
		case onlineretail.Sale, onlineretail.FreeOrder:
			return i.Service.ViewOrder(ctx, orderID(invoice), func(state order.State, _ int64) {
				if !state.MayBelongTo(cartID(invoice)) {
					take("order %s", invoice.Number)
				}
			})
		case onlineretail.Cancellation, onlineretail.BadDebt, onlineretail.AdjustIn, onlineretail.AdjustOut:
			return i.Service.ViewReturn(ctx, returnID(invoice), func(state returns.State, _ int64) {
				if state.Status != "" && state.Requested.Reference != invoice.Number && state.Noted.Reference != invoice.Number {
					take("return %s", invoice.Number)
				}
			})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for orders and returns of the shop: %w", err)
	}
	err = each(ctx, plan.products, func(p onlineretail.Product) error {
		return i.Service.ViewProduct(ctx, p.SKU, func(state product.State, _ int64) {
			if state.Phase != product.NotListed && state.Kind != p.Kind {
				take("product %s, which is of kind %s and not %s", p.SKU, state.Kind, p.Kind)
			}
		})
	})
	if err != nil {
		return fmt.Errorf("look at products of the shop: %w", err)
	}
	if len(taken) == 0 {
		return nil
	}
	slices.Sort(taken)
	shown := taken[:min(len(taken), maxTaken)]
	return &TakenError{Taken: shown, More: len(taken) - len(shown)}
}

// listedBefore tells whether the shop has listed a product before the import. Such a product
// stays as it is and keeps its title. If the log was empty, it asks nothing.
func (r *run) listedBefore(ctx context.Context, p onlineretail.Product) (listed bool, err error) {
	if r.counts.LogStart.IsStart() {
		return false, nil
	}
	err = r.Service.ViewProduct(ctx, p.SKU, func(state product.State, _ int64) { listed = state.Phase != product.NotListed })
	if err != nil {
		return false, fmt.Errorf("look at product %s: %w", p.SKU, err)
	}
	return listed, nil
}
