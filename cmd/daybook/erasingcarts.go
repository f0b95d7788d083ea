package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// cartsOf returns the carts of customers as the read models have them: those that are theirs now,
// with those of guests that were merged into one of theirs; and those that were theirs before. Of
// all these, guests are the carts whose key, if they have one, belongs to the customers: what a
// guest did belongs to the customer who got the cart first. A cart whose order a customer has taken
// over is theirs, also if the cart has not followed yet.
func (e *erasing) cartsOf(ctx context.Context, customers []string) (now, past, guests []unit.CartID, err error) {
	type row struct {
		ID, Into   unit.CartID
		Now, Moved bool // it is theirs now; it had several customers
		IntoMoved  bool // so had the cart into which it was merged
	}
	found, _ := e.node.readPool.Query(ctx, `
		WITH followed AS (SELECT cart_id FROM read.orders WHERE customer_id = ANY ($1) AND cart_id <> ''),
		own AS (SELECT cart_id, customer_id = ANY ($1) OR cart_id IN (SELECT cart_id FROM followed) AS now, past_customers <> '{}' AS moved
			FROM read.carts WHERE customer_id = ANY ($1) OR past_customers <> '{}' AND past_customers && $1::text[]
				OR customer_id = '' AND cart_id IN (SELECT cart_id FROM followed))
		SELECT cart_id, '', now, moved, false FROM own
		UNION ALL SELECT c.cart_id, c.merged_into, own.now, false, own.moved
		FROM read.carts c JOIN own ON c.merged_into = own.cart_id WHERE c.customer_id = ''`, customers)
	rows, err := pgx.CollectRows(found, pgx.RowToStructByPos[row])
	if err != nil {
		return nil, nil, nil, fmt.Errorf("the carts of a subject: %w", err)
	}
	for _, r := range rows {
		first := true // a customer of ours had it first, or had the other cart when this one came
		switch {
		case r.Moved:
			first, err = e.hadFirst(ctx, r.ID, "", customers)
		case r.IntoMoved:
			first, err = e.hadFirst(ctx, r.Into, r.ID, customers)
		}
		if err != nil {
			return nil, nil, nil, err
		}
		switch {
		case r.Into != "" && first, r.Into == "" && r.Now:
			now = append(now, r.ID)
		case r.Into == "":
			past = append(past, r.ID)
		}
		if first {
			guests = append(guests, r.ID)
		}
	}
	return now, past, guests, nil
}

// hadFirst tells whether one of some customers was the first one of a cart. If merged is not empty,
// it tells whether one of them had the cart when the cart merged came into it, or got it next.
func (e *erasing) hadFirst(ctx context.Context, id, merged unit.CartID, customers []string) (bool, error) {
	waiting, holder := merged == "", unit.CustomerID("")
	for recorded, err := range e.node.events.ReadStream(ctx, cart.Stream(id), 0, 0) {
		if err != nil {
			return false, fmt.Errorf("whose the cart %s was: %w", id, err)
		}
		event, err := eventstore.Decode(&recorded, cart.Decode)
		if err != nil {
			continue // what cannot be decoded changes no cart
		}
		switch event := event.(type) { //nolint:gochecksumtype // no other event changes the customer
		case cart.Opened:
			holder = event.CustomerID
		case cart.CustomerChanged:
			holder = event.CustomerID
		case cart.MergedFrom:
			waiting = waiting || event.Source == merged
		}
		if waiting && holder != "" {
			return slices.Contains(customers, string(holder)), nil
		}
	}
	return false, nil
}
