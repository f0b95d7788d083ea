package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"daybook/commands"
	"daybook/domain/access"
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
// one SQL transaction. In a second measurement of both, orders arrive at a constant rate.
func checkout(ctx context.Context, env Env) (ours, baselines []Row, err error) {
	goods, err := listGoods(ctx, env, env.products(), ampleUnits)
	if err != nil {
		return nil, nil, err
	}
	shoppers, err := dial(ctx, env.BaseURL, env.ShopKey, clients)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, closeAll(shoppers)) }()
	shop, err := openShop(ctx, env, goods, shoppers)
	if err != nil {
		return nil, nil, err
	}
	for i, rate := range []float64{0, env.Rate} {
		row, open, err := shop.sellBothWays(ctx, env, rate)
		if err != nil {
			return nil, nil, err
		}
		baselines = append(baselines, open...)
		crud, err := crudCheckout(ctx, env, rate)
		if err != nil {
			return nil, nil, err
		}
		crud.ours = i
		ours, baselines = append(ours, row), append(baselines, crud)
	}
	priced, plain, err := sellPriced(ctx, env, goods)
	if err != nil {
		return nil, nil, err
	}
	plain[0].ours = len(ours)
	ours, baselines = append(ours, priced), append(baselines, plain...)
	if env.OpenPair == nil {
		return ours, baselines, nil
	}
	personal, clear, err := sellPersonally(ctx, env)
	for i := range clear {
		clear[i].ours = len(ours)
	}
	return append(ours, personal), append(baselines, clear...), err
}

// sellBothWays measures checkouts with access control and, in a closed loop, without it.
func (s *shop) sellBothWays(ctx context.Context, env Env, rate float64) (row Row, open []Row, err error) {
	if rate > 0 || env.OpenURL == "" {
		row, err = s.sell(ctx, env, rate)
		return row, nil, err
	}
	env.Seconds /= 2
	row, keyless, err := bothWays(env.run, func(counted bool) (Row, error) {
		one := env
		if one.Profile = nil; counted {
			one.Profile, env.Profile = env.Profile, nil // a second profile would replace the first
		}
		return s.sell(ctx, one, 0)
	}, func(bool) (Row, error) { return s.sellOpenly(ctx, env) })
	return row, []Row{keyless}, err
}

// bothWays measures two ways of doing the same. It tells them whether the measurement counts.
//
// The first measurement after a pause is always a little worse, because caches have become cold and
// batches small. So one measurement of each way that is not counted comes first. After it, each way
// is measured twice, in the order A B B A, so that neither way always has the larger database.
// Every second run begins with the second way.
func bothWays(run int, first, second func(counted bool) (Row, error)) (one, other Row, err error) {
	for _, way := range []func(bool) (Row, error){first, second} {
		if _, err := way(false); err != nil {
			return Row{}, Row{}, err
		}
	}
	var ones, others []Row
	for _, isFirst := range inTurn(run) {
		way, rows := second, &others
		if isFirst {
			way, rows = first, &ones
		}
		row, err := way(true)
		if err != nil {
			return Row{}, Row{}, err
		}
		*rows = append(*rows, row)
	}
	return together(ones), together(others), nil
}

// inTurn says for each of a run's measurements whether it is of the first way.
func inTurn(run int) [4]bool {
	first := run%2 == 0
	return [4]bool{first, !first, !first, first}
}

// together makes one row of two measurements of the same.
func together(parts []Row) Row {
	row := medians([][]Row{parts[:1], parts[1:]})[0]
	row.Operations, row.Seconds = parts[0].Operations+parts[1].Operations, parts[0].Seconds+parts[1].Seconds
	return row
}

// sellOpenly measures checkouts over the same API without access control, so that the cost of
// access control can be seen in one run.
func (s *shop) sellOpenly(ctx context.Context, env Env) (row Row, err error) {
	env.BaseURL, env.Key, env.Profile = env.OpenURL, "", nil // a profile is of Daybook's own row
	shoppers, err := dial(ctx, env.BaseURL, env.Key, len(s.shoppers))
	if err != nil {
		return Row{}, err
	}
	defer func() { err = errors.Join(err, closeAll(shoppers)) }()
	keyed := s.shoppers
	s.shoppers = shoppers
	defer func() { s.shoppers = keyed }()
	row, err = s.sell(ctx, env, 0)
	row.Variant = "the same, without access control"
	return row, err
}

// shop is what the shoppers of checkout can buy, and what they have bought.
type shop struct {
	details  string   // what the body of a checkout has beside what every order has
	third    *request // sent between the request that fills a cart and the checkout; nil: none
	goods    []stock.Key
	sold     []atomic.Int64 // acknowledged units, for each of the goods
	before   []promised     // units of each of the goods that orders had before
	shoppers []*client
}

// promised is how many units of a SKU are not for sale any more.
type promised struct{ reserved, allocated unit.Quantity }

// openShop notes how many units of the goods are already promised to orders.
func openShop(ctx context.Context, env Env, goods []stock.Key, shoppers []*client) (*shop, error) {
	s := &shop{goods: goods, sold: make([]atomic.Int64, len(goods)), before: make([]promised, len(goods)), shoppers: shoppers}
	now := env.Service.Now()
	for i, key := range goods {
		err := env.Service.ViewStock(ctx, key, func(state stock.State, _ int64) {
			s.before[i] = promised{reserved: state.Reserved(now), allocated: state.Allocated()}
		})
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// sell measures checkouts, and checks what they have recorded.
func (s *shop) sell(ctx context.Context, env Env, rate float64) (Row, error) {
	start, err := env.Store.Head(ctx)
	if err != nil {
		return Row{}, fmt.Errorf("head: %w", err)
	}
	name := "checkout"
	if rate > 0 {
		name += "-at-a-rate"
	}
	run := uuid.NewString()[:8]
	row, err := daybook(ctx, env, name, load{callers: len(s.shoppers), seconds: env.Seconds, rate: rate, operate: func(ctx context.Context, caller int, n int64) error {
		lines := fillCart(len(s.goods))
		if err := buy(ctx, s.shoppers[caller], run+"-"+strconv.FormatInt(n, 10), s.goods, lines[:], s.third, s.details); err != nil {
			return err
		}
		for _, line := range lines {
			s.sold[line.product].Add(line.units)
		}
		return nil
	}})
	if err != nil {
		return Row{}, err
	}
	row.Variant, row.Note = atRate(row.Variant, rate), "two requests an order"
	if err := checkOrders(ctx, env, start, row.done); err != nil {
		return Row{}, err
	}
	for i, key := range s.goods {
		before := s.before[i]
		if err := checkStock(ctx, env, key, before.reserved, before.allocated+unit.Quantity(s.sold[i].Load())); err != nil {
			return Row{}, err
		}
	}
	return row, nil
}

// atRate adds to the name of a row that its operations arrive at a constant rate.
func atRate(variant string, rate float64) string {
	if rate == 0 {
		return variant
	}
	return fmt.Sprintf("%s, %g arriving a second", variant, rate)
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
func buy(ctx context.Context, shopper *client, id string, goods []stock.Key, lines []line, third *request, details string) error {
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
	if third != nil {
		status, answer, err := shopper.write(ctx, third.method, "/v1/carts/c-"+id+third.path, "", third.body)
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return fmt.Errorf("%s of the cart answers %d %s", third.method, status, answer)
		}
	}
	return shopper.created(ctx, "/v1/carts/c-"+id+"/checkout", "k-"+id, checkoutBody(id, details))
}

func checkoutBody(id, details string) string {
	return `{"order_id":"o-` + id + `","payment":{"provider":"bench"},"confirm":true` + details + `}`
}

// listGoods puts n new products on sale, with this number of units of each.
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
		_, err = env.Service.Product(ctx, commands.Call{Who: access.System("bench"), Meta: newMeta(), New: true}, sku,
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
