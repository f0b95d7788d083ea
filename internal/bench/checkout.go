package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"daybook/commands"
	"daybook/domain/product"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

const (
	clients    = 64
	products   = 1000
	cartLines  = 3
	maxOfALine = 5 // units
)

// checkout measures the everyday work of a shop over HTTP: one request fills a cart, and
// another checks it out, pays and confirms. The baseline does the same as CRUD: one request,
// one SQL transaction.
func checkout(ctx context.Context, env Env) (ours, baselines []Row, err error) {
	goods, err := listGoods(ctx, env, products, ampleUnits)
	if err != nil {
		return nil, nil, err
	}
	start, err := env.Store.Head(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("head: %w", err)
	}
	shoppers, err := dial(ctx, env.BaseURL, clients)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, closeAll(shoppers)) }()
	run := uuid.NewString()[:8]
	sold := make([]atomic.Int64, len(goods)) // acknowledged units
	row, err := daybook(ctx, env, "checkout", load{callers: clients, seconds: env.Seconds, operate: func(ctx context.Context, caller int, n int64) error {
		lines := fillCart(len(goods))
		if err := buy(ctx, shoppers[caller], run+"-"+strconv.FormatInt(n, 10), goods, lines); err != nil {
			return err
		}
		for _, line := range lines {
			sold[line.product].Add(line.units)
		}
		return nil
	}})
	if err != nil {
		return nil, nil, err
	}
	row.Note = "two requests an order"
	if err := checkOrders(ctx, env, start, row.done); err != nil {
		return nil, nil, err
	}
	for i, key := range goods {
		if err := checkStock(ctx, env, key, 0, unit.Quantity(sold[i].Load())); err != nil {
			return nil, nil, err
		}
	}
	crud, err := crudCheckout(ctx, env)
	return []Row{row}, []Row{crud}, err
}

// line is one line of a cart: the number of a product, and a quantity.
type line struct {
	product int
	units   int64
}

// fillCart chooses different products.
func fillCart(among int) [cartLines]line {
	var lines [cartLines]line
	for i := range lines {
		lines[i] = line{product: rand.IntN(among), units: 1 + rand.Int64N(maxOfALine)}
		for j := range i {
			if lines[j].product == lines[i].product {
				return fillCart(among)
			}
		}
	}
	return lines
}

// buy takes a cart to a confirmed order.
func buy(ctx context.Context, shopper *client, id string, goods []stock.Key, lines [cartLines]line) error {
	body := make([]byte, 0, 256)
	body = fmt.Appendf(body, `{"cart_id":"c-%s","currency":"GBP","country":"United Kingdom","lines":[`, id)
	for i, line := range lines {
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `{"sku":%q,"quantity":%d}`, string(goods[line.product].SKU), line.units)
	}
	if err := shopper.created(ctx, "/v1/carts", "", string(body)+"]}"); err != nil {
		return err
	}
	return shopper.created(ctx, "/v1/carts/c-"+id+"/checkout", "k-"+id, checkoutBody(id))
}

func checkoutBody(id string) string {
	return `{"order_id":"o-` + id + `","payment":{"provider":"bench"},"confirm":true}`
}

// listGoods puts new products on sale, with so many units of each.
func listGoods(ctx context.Context, env Env, n int, units unit.Quantity) ([]stock.Key, error) {
	run := uuid.NewString()[:8]
	keys := make([]stock.Key, n)
	price := unit.Money{Amount: decimal.New(295, -2), Currency: "GBP"}
	_, err := load{callers: clients, limit: int64(n), operate: func(ctx context.Context, _ int, i int64) error {
		sku, err := unit.ParseSKU(fmt.Sprintf("BENCH-%s-%04d", run, i))
		if err != nil {
			return err
		}
		keys[i] = stock.Key{SKU: sku, Location: unit.DefaultLocation}
		_, err = env.Service.Product(ctx, commands.Call{Meta: newMeta(), New: true}, sku,
			product.List{SKU: sku, Title: "A thing to be sold", Kind: unit.Stocked}, product.SetPrice{Price: price})
		if err != nil {
			return err
		}
		return receive(ctx, env, keys[i], units)
	}}.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return keys, nil
}

// checkOrders checks that the log has as many confirmed orders as were acknowledged.
func checkOrders(ctx context.Context, env Env, start eventstore.Position, acknowledged int64) error {
	found, err := countEvents(ctx, env, start, eventstore.Filter{TypePrefixes: []string{"order.confirmed."}})
	if err == nil && found != acknowledged {
		err = fmt.Errorf("%d orders were acknowledged, %d are recorded", acknowledged, found)
	}
	return err
}
