package importer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/product"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/onlineretail"
)

// atOnce is how many short commands on different streams run at the same time.
const atOnce = 256

// openingDocument is the document number with which opening stock is received.
const openingDocument = "opening"

// openStock lists the products and receives the opening stock, with the time of the first
// invoice. If ctx ends, it stops between two products.
func (r *run) openStock(ctx, working context.Context) error {
	meta := func(step string, sku unit.SKU) commands.Call {
		return commands.Call{Who: access.System("import"), New: true, Meta: eventstore.Metadata{
			CommandID: commandID(step, string(sku)), CorrelationID: "import/" + openingDocument,
			Actor: "system:import", Channel: "import", OccurredAt: r.plan.invoices[0].Time,
		}}
	}
	err := each(ctx, r.plan.products, func(p onlineretail.Product) error {
		if listed, err := r.listedBefore(working, p); err != nil || listed {
			return err
		}
		_, err := r.Service.Product(working, meta("list", p.SKU), p.SKU, product.List{SKU: p.SKU, Title: p.Title, Kind: p.Kind})
		if err != nil {
			return fmt.Errorf("list product %s: %w", p.SKU, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return each(ctx, slices.Sorted(maps.Keys(r.plan.opening)), func(sku unit.SKU) error {
		at := key(sku)
		_, err := r.Service.MoveStock(working, meta("receive", sku), at, openingReceipts(r.Service.At(at), r.plan.opening[sku])...)
		if err != nil {
			return fmt.Errorf("opening stock of %s: %w", sku, err)
		}
		return nil
	})
}

// openingReceipts divides a quantity among as few receipts as possible, because a receipt has
// a limit.
func openingReceipts(at stock.At, quantity unit.Quantity) (receipts []stock.Command) {
	for quantity > 0 {
		one := min(quantity, unit.MaxQuantity)
		receipts = append(receipts, stock.Receive{At: at, Quantity: one, Document: openingDocument})
		quantity -= one
	}
	return receipts
}

// stockLeft returns how many units of each stocked SKU are available.
func (r *run) stockLeft(ctx context.Context) (map[unit.SKU]unit.Quantity, error) {
	now := r.Service.Now()
	var mu sync.Mutex
	left := make(map[unit.SKU]unit.Quantity, len(r.plan.opening))
	err := r.eachStock(ctx, func(sku unit.SKU, state stock.State) {
		mu.Lock()
		defer mu.Unlock()
		left[sku] = state.Available(now)
	})
	if err != nil {
		return nil, fmt.Errorf("look at the stock: %w", err)
	}
	return left, nil
}

// eachStock calls read with the stock of each stocked SKU. It reads several stocks at once.
func (r *run) eachStock(ctx context.Context, read func(unit.SKU, stock.State)) error {
	return each(ctx, r.plan.products, func(p onlineretail.Product) error {
		if p.Kind != unit.Stocked {
			return nil
		}
		return r.Service.ViewStock(ctx, stock.Key{SKU: p.SKU, Location: unit.DefaultLocation}, func(state stock.State, _ int64) { read(p.SKU, state) })
	})
}

// complete ends the import: it notes what is on hand, and how many events were recorded.
func (r *run) complete(ctx context.Context) error {
	var mu sync.Mutex
	var closing int64
	err := r.eachStock(ctx, func(_ unit.SKU, state stock.State) {
		mu.Lock()
		defer mu.Unlock()
		closing += int64(state.OnHand())
	})
	if err != nil {
		return fmt.Errorf("look at the closing stock: %w", err)
	}
	events, err := r.grown(ctx)
	if err != nil {
		return fmt.Errorf("count what was recorded: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.ClosingUnits, r.counts.Events, r.counts.Complete = closing, events, true
	return r.save(ctx, r.plan, r.done, r.counts)
}

// grown is how many events were recorded since the import began.
func (r *run) grown(ctx context.Context) (events int64, err error) {
	if r.Sparse {
		for _, err := range r.Store.ReadAll(ctx, r.counts.LogStart, eventstore.Filter{}, 0) {
			if err != nil {
				return 0, err
			}
			events++
		}
		return events, nil
	}
	head, err := r.Store.Head(ctx)
	if err != nil {
		return 0, err
	}
	last, _ := head.Pair()
	first, _ := r.counts.LogStart.Pair()
	return int64(last - first), nil //nolint:gosec // a log has fewer than 2^63 events
}

// each calls do for every item, at most atOnce at the same time. It stops early if ctx ends or if a
// call of do fails, and then returns that error.
func each[T any](ctx context.Context, items []T, do func(T) error) error {
	var group sync.WaitGroup
	var mu sync.Mutex
	var failed error
	failure := func() error {
		mu.Lock()
		defer mu.Unlock()
		return failed
	}
	slots := make(chan struct{}, atOnce)
	for _, item := range items {
		slots <- struct{}{}
		if ctx.Err() != nil || failure() != nil {
			break
		}
		group.Go(func() {
			defer func() { <-slots }()
			if err := do(item); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if failed == nil {
					failed = err
				}
			}
		})
	}
	group.Wait()
	if err := failure(); err != nil {
		return err
	}
	return ctx.Err()
}
