package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/google/uuid"

	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

const (
	saleUnits    = 200
	saleAttempts = 10_000
)

// flashSale measures many buyers of few units over HTTP. An attempt is a checkout with
// payment and confirmation. It sells a unit, or is refused because no unit is left. Every
// attempt is recorded, including the refused ones.
//
// A buyer who was refused keeps the cart and tries again with it. A buyer who got an order
// fills another cart. In a second measurement, every attempt has a new cart, so it is two
// requests.
func flashSale(ctx context.Context, env Env) (ours, baselines []Row, err error) {
	buyers, err := dial(ctx, env.BaseURL, env.Key, clients)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, closeAll(buyers)) }()
	for _, newCarts := range []bool{false, true} {
		row, err := runSale(ctx, env, buyers, saleAttempts, newCarts)
		if err != nil {
			return nil, nil, err
		}
		ours = append(ours, row)
	}
	for _, way := range sellWays {
		row, err := saleBaseline(ctx, env, way)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", way.name, err)
		}
		baselines = append(baselines, row)
	}
	return ours, baselines, nil
}

// buyer is a client that tries to buy a unit.
type buyer struct {
	*client
	cart string // empty: needs one
}

func runSale(ctx context.Context, env Env, connections []*client, attempts int64, newCarts bool) (Row, error) {
	goods, err := listGoods(ctx, env, 1, saleUnits)
	if err != nil {
		return Row{}, err
	}
	start, err := env.Store.Head(ctx)
	if err != nil {
		return Row{}, fmt.Errorf("head: %w", err)
	}
	buyers := make([]buyer, len(connections))
	for i := range buyers {
		buyers[i].client = connections[i]
	}
	run := uuid.NewString()[:8]
	var sold atomic.Int64
	name := "flash-sale"
	if newCarts {
		name += "-new-carts"
	}
	row, err := daybook(ctx, env, name, load{callers: clients, limit: attempts, operate: func(ctx context.Context, caller int, n int64) error {
		b := &buyers[caller]
		if newCarts {
			b.cart = ""
		}
		won, err := b.attempt(ctx, run+"-"+strconv.FormatInt(n, 10), goods[0])
		if won {
			sold.Add(1)
		}
		return err
	}})
	if err != nil {
		return Row{}, err
	}
	row.Note = "a checkout an attempt"
	if newCarts {
		row.Variant, row.Note = "daybook, a new cart each attempt", "a cart and a checkout an attempt"
	}
	return row, checkSale(ctx, env, start, goods[0], sold.Load())
}

// attempt tries to buy one unit. It returns false if the attempt is refused because no unit is
// left.
func (b *buyer) attempt(ctx context.Context, id string, key stock.Key) (bool, error) {
	if b.cart == "" {
		body := fmt.Sprintf(`{"cart_id":"c-%s","currency":"GBP","lines":[{"sku":%q,"quantity":1}]}`, id, string(key.SKU))
		if err := b.created(ctx, "/v1/carts", "", body); err != nil {
			return false, err
		}
		b.cart = "c-" + id
	}
	path := "/v1/carts/" + b.cart + "/checkout"
	status, answer, err := b.post(ctx, path, "k-"+id, checkoutBody(id, ""))
	switch {
	case err != nil:
		return false, err
	case status == http.StatusCreated:
		b.cart = ""
		return true, nil
	case status == http.StatusConflict && bytes.Contains(answer, []byte(`"/problems/`+stock.ErrInsufficient.Code+`"`)):
		return false, nil
	}
	return false, fmt.Errorf("POST %s answers %d %s", path, status, answer)
}

// checkSale checks that every unit was sold once: no unit twice, and no unit left although
// thousands asked for it.
func checkSale(ctx context.Context, env Env, start eventstore.Position, key stock.Key, sold int64) error {
	if sold != saleUnits {
		return fmt.Errorf("%d orders of %d units", sold, saleUnits)
	}
	if err := checkOrders(ctx, env, start, sold); err != nil {
		return err
	}
	return checkStock(ctx, env, key, 0, unit.Quantity(saleUnits))
}

// saleBaseline serves one way to sell over HTTP and lets all buyers use it.
func saleBaseline(ctx context.Context, env Env, way sellWay) (row Row, err error) {
	if err := openSales(ctx, env, saleUnits); err != nil {
		return Row{}, err
	}
	buyers, stop, err := serve(ctx, func(_ http.ResponseWriter, r *http.Request) (int, error) {
		sold, err := way.sell(r.Context(), env.Pool)
		if !sold {
			return http.StatusConflict, err
		}
		return http.StatusCreated, err
	})
	if err != nil {
		return Row{}, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	var sold atomic.Int64
	row, err = load{callers: clients, limit: saleAttempts, operate: func(ctx context.Context, caller int, _ int64) error {
		status, answer, err := buyers[caller].post(ctx, "/", "", `{}`)
		switch {
		case err != nil:
			return err
		case status == http.StatusCreated:
			sold.Add(1)
		case status != http.StatusConflict:
			return fmt.Errorf("the baseline answers %d %s", status, answer)
		}
		return nil
	}}.measure(ctx, env)
	if err != nil {
		return Row{}, err
	}
	if sold.Load() != saleUnits {
		return Row{}, fmt.Errorf("%d sold of %d units", sold.Load(), saleUnits)
	}
	row.Variant, row.Note = way.name, "by HTTP too; no cart, no order, and a refusal leaves no trace"
	return row, checkSales(ctx, env, saleUnits, saleUnits)
}
