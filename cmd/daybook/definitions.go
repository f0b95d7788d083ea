package main

import (
	"context"

	"daybook/commands/pricebook"
)

// bookPart is the part that knows the rules of prices.
func (n *node) bookPart() part {
	return part{
		name: partPrices, onLog: true, needs: "the rules of prices to be read",
		open: func(ctx context.Context) error {
			n.book = pricebook.New(n.events, n.log)
			n.service.Prices = n.book
			if n.diverged() {
				return nil
			}
			return n.book.Open(ctx)
		},
		run: func(ctx context.Context) error { return n.book.Run(ctx) },
	}
}
