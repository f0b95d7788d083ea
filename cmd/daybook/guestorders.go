package main

import (
	"context"

	"daybook/domain/unit"
	"daybook/projections/orderview"
)

// guestOrders finds orders of guests in the read model.
type guestOrders struct{ node *node }

// Any implements commands.PastOrders. The read model may lack orders of the last moments.
func (g guestOrders) Any(ctx context.Context, customer unit.CustomerID, email string) (bool, error) {
	return orderview.HasOrdered(ctx, g.node.readPool, customer, email)
}

// ByEmail implements commands.GuestOrders. It waits until the read model has everything that is
// recorded.
func (g guestOrders) ByEmail(ctx context.Context, email string) ([]unit.OrderID, error) {
	head, err := g.node.store.Head(ctx)
	if err != nil {
		return nil, err
	}
	if err := g.node.projections.WaitFor(ctx, head); err != nil {
		return nil, err
	}
	return orderview.OfGuest(ctx, g.node.readPool, email)
}
