package bench

import (
	"context"
	"errors"
	"fmt"
)

// Pair is two nodes with new databases, which differ in one thing: one of them records the texts of
// people sealed, and the other one in clear text.
type Pair struct{ Sealed, Clear Env }

// personalDetails has a name, an e-mail address and two addresses, which the log seals.
const personalDetails = `,"details":{"email":"ann.example@home.example","billing":{"name":"Ann Example","lines":["1 High Street","Flat 2"],"postcode":"SW1A 1AA","city":"London","country":"GB"},` +
	`"shipping":{"name":"Bob Example","lines":["22 Low Street"],"postcode":"M1 1AE","city":"Manchester","country":"GB"}}`

// sellPersonally measures checkouts of orders with the texts of people, sealed and in clear text.
// Both nodes have new databases, because a large one is slower.
func sellPersonally(ctx context.Context, env Env) (sealed Row, clear []Row, err error) {
	pair, closePair, err := env.OpenPair(ctx)
	if err != nil {
		return Row{}, nil, fmt.Errorf("open two nodes with new databases: %w", err)
	}
	defer func() { err = errors.Join(err, closePair()) }()
	var ways [2]func(bool) (Row, error)
	for i, node := range []Env{pair.Sealed, pair.Clear} {
		node.Seconds, node.Profile = env.Seconds/2, nil
		goods, err := listGoods(ctx, node, env.products(), ampleUnits)
		if err != nil {
			return Row{}, nil, err
		}
		shoppers, err := dial(ctx, node.BaseURL, node.ShopKey, clients)
		if err != nil {
			return Row{}, nil, err
		}
		defer func() { err = errors.Join(err, closeAll(shoppers)) }()
		shop, err := openShop(ctx, node, goods, shoppers)
		if err != nil {
			return Row{}, nil, err
		}
		shop.details = personalDetails
		ways[i] = func(bool) (Row, error) { return shop.sell(ctx, node, 0) }
	}
	sealed, open, err := bothWays(env.run, ways[0], ways[1])
	sealed.Variant, open.Variant = "daybook, with a name, an e-mail and two addresses", "the same, in clear text"
	return sealed, []Row{open}, err
}
