package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"daybook/domain/stock"
)

// nodesSaleAttempts is how many buyers try to get one of the units of a flash sale over several
// nodes. They are fewer than in flash-sale, because what counts is the moment in which all nodes
// sell the last units.
const nodesSaleAttempts = 2_000

// severalNodes measures checkouts and a flash sale over several nodes of one database, with as many
// clients in all as over one node. The baseline is one node, in the same run. All nodes, their
// clients and the database share the machine. So a second node adds no processor, and the ratio
// shows what the nodes cost each other.
func severalNodes(ctx context.Context, env Env) (ours, baselines []Row, err error) {
	goods, err := listGoods(ctx, env, env.products(), ampleUnits)
	if err != nil {
		return nil, nil, err
	}
	if baselines, err = overNodes(ctx, env, goods, []string{env.BaseURL}); err != nil {
		return nil, nil, fmt.Errorf("one node: %w", err)
	}
	others, closeNodes, err := env.OpenNodes(ctx, env.Nodes-1)
	if err != nil {
		return nil, nil, fmt.Errorf("open more nodes: %w", err)
	}
	ours, err = overNodes(ctx, env, goods, append(others, env.BaseURL))
	if err != nil {
		err = fmt.Errorf("%d nodes: %w", env.Nodes, err)
	}
	for i := range baselines {
		baselines[i].ours = i
	}
	return ours, baselines, errors.Join(err, closeNodes())
}

// overNodes measures checkouts and a flash sale with clients that are spread over nodes. A client
// stays with its node.
func overNodes(ctx context.Context, env Env, goods []stock.Key, urls []string) (rows []Row, err error) {
	shoppers, err := dialEach(ctx, env, urls, clients)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll(shoppers)) }()
	shop, err := openShop(ctx, env, goods, shoppers)
	if err != nil {
		return nil, err
	}
	name := "daybook, one node"
	if len(urls) > 1 {
		name = fmt.Sprintf("daybook, %d nodes", len(urls))
	}
	if err := shop.visit(ctx, env, urls); err != nil {
		return nil, err
	}
	row, err := shop.sell(ctx, env, 0)
	if err != nil {
		return nil, err
	}
	row.Variant = name
	attempts := int64(nodesSaleAttempts)
	if env.Small {
		attempts = 2 * saleUnits
	}
	sale, err := runSale(ctx, env, shoppers, attempts, false)
	if err != nil {
		return nil, err
	}
	sale.Variant = name + ", a flash sale"
	return []Row{row, sale}, nil
}

// visit buys one unit of each of the goods on each node. After that, new nodes have all products
// and stocks in memory, as nodes have that have been running for a while.
func (s *shop) visit(ctx context.Context, env Env, urls []string) error {
	const most = 50 // lines of a cart
	run := uuid.NewString()[:8]
	for node, url := range urls {
		visitor, err := dial(ctx, url, env.Key, 1)
		if err != nil {
			return err
		}
		for first := 0; first < len(s.goods) && err == nil; first += most {
			var lines []line
			for i := first; i < min(first+most, len(s.goods)); i++ {
				lines = append(lines, line{product: i, units: 1})
				s.sold[i].Add(1)
			}
			err = buy(ctx, visitor[0], fmt.Sprintf("%s-%d-%d", run, node, first), s.goods, lines, nil, "")
		}
		if err = errors.Join(err, closeAll(visitor)); err != nil {
			return fmt.Errorf("visit %s: %w", url, err)
		}
	}
	return nil
}

// dialEach opens the connections of a number of clients, and spreads them over addresses.
func dialEach(ctx context.Context, env Env, urls []string, clients int) (all []*client, err error) {
	for i, url := range urls {
		share := (clients - len(all)) / (len(urls) - i)
		some, err := dial(ctx, url, env.Key, share)
		if err != nil {
			return nil, errors.Join(err, closeAll(all))
		}
		all = append(all, some...)
	}
	return all, nil
}
