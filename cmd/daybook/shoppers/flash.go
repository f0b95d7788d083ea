package shoppers

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Rush is the result of a flash sale.
type Rush struct {
	Units    int64   // how many units there were
	Buyers   int     // how many bought at once
	Attempts int64   // checkouts
	Orders   int64   // orders that were placed
	Refused  int64   // checkouts that were refused, because nothing was left
	Seconds  float64 // from the first attempt to the last answer
}

// Flash sells a product to buyers who all want one unit at the same time. They try again and again,
// until there were attempts of them all together or ctx ends. Attempts that have begun are
// finished. Flash returns an error if an answer was neither an order nor a shortage.
func Flash(ctx context.Context, c *Client, p Product, buyers int, attempts int64, tally *Tally) (Rush, error) {
	rush := Rush{Units: p.Opening, Buyers: buyers, Attempts: attempts}
	var next, orders, short atomic.Int64
	failed := make(chan error, buyers)
	began := time.Now()
	var wait sync.WaitGroup
	for n := range buyers {
		wait.Go(func() {
			customer := fmt.Sprintf("buyer-%02d", n+1)
			for ctx.Err() == nil && next.Add(1) <= attempts {
				placed, err := grab(context.WithoutCancel(ctx), c, customer, p.SKU, tally)
				if err != nil {
					failed <- err
					return
				}
				if placed {
					orders.Add(1)
				} else {
					short.Add(1)
				}
			}
		})
	}
	wait.Wait()
	rush.Orders, rush.Refused, rush.Seconds = orders.Load(), short.Load(), time.Since(began).Seconds()
	rush.Attempts = rush.Orders + rush.Refused
	select {
	case err := <-failed:
		return rush, fmt.Errorf("flash sale: %w", err)
	default:
		return rush, nil
	}
}

// grab is one attempt to buy one unit.
func grab(ctx context.Context, c *Client, customer, sku string, tally *Tally) (placed bool, err error) {
	cart, err := c.OpenCart(ctx, customer, currency, countries[0], []Line{{SKU: sku, Quantity: 1}})
	if err != nil {
		return false, err
	}
	order, _, err := c.Checkout(ctx, newKey(), cart, true)
	if IsShort(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	tally.note(func() { tally.Orders++ })
	return true, tally.sold(order, 1)
}
