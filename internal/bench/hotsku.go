package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

const (
	hotCallers      = 256
	baselineCallers = 64 // each has its own connection, and the database allows few more
	ampleUnits      = 100_000_000
)

// hotSKU measures decisions on one stock stream: each caller reserves one unit
// for an order of its own, again and again. The baselines sell the same unit
// in a transaction of its own.
func hotSKU(ctx context.Context, env Env) (ours, baselines []Row, err error) {
	sku, err := unit.ParseSKU("HOT-" + uuid.NewString())
	if err != nil {
		return nil, nil, err
	}
	key := stock.Key{SKU: sku, Location: unit.DefaultLocation}
	if err := receive(ctx, env, key, ampleUnits); err != nil {
		return nil, nil, err
	}
	until := env.Service.Now().Add(time.Hour)
	run := uuid.NewString()[:8]
	row, err := daybook(ctx, env, "hot-sku", load{callers: hotCallers, seconds: env.Seconds, operate: func(ctx context.Context, _ int, n int64) error {
		order := unit.OrderID(run + "-" + strconv.FormatInt(n, 10))
		_, err := env.Service.MoveStock(ctx, commands.Call{Who: access.System("bench"), Meta: newMeta()}, key, stock.Reserve{
			At: env.Service.At(key), ReservationID: stock.ReservationIDFor(order, key.SKU, key.Location),
			OrderID: order, Quantity: 1, ExpiresAt: until,
		})
		return err
	}})
	if err != nil {
		return nil, nil, err
	}
	if err := checkStock(ctx, env, key, unit.Quantity(row.done), 0); err != nil {
		return nil, nil, err
	}
	for _, way := range sellWays {
		row, err := hotBaseline(ctx, env, way)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", way.name, err)
		}
		baselines = append(baselines, row)
	}
	return []Row{row}, baselines, nil
}

func hotBaseline(ctx context.Context, env Env, way sellWay) (Row, error) {
	if err := openSales(ctx, env, ampleUnits); err != nil {
		return Row{}, err
	}
	row, err := load{callers: baselineCallers, seconds: env.Seconds, operate: func(ctx context.Context, _ int, _ int64) error {
		sold, err := way.sell(ctx, env.Pool)
		if err == nil && !sold {
			err = errors.New("sold out")
		}
		return err
	}}.measure(ctx, env)
	if err != nil {
		return Row{}, err
	}
	row.Variant = way.name
	return row, checkSales(ctx, env, ampleUnits, row.done)
}

func newMeta() eventstore.Metadata {
	return eventstore.Metadata{CommandID: uuid.New(), Actor: "system:bench", Channel: "bench"}
}

func receive(ctx context.Context, env Env, key stock.Key, units unit.Quantity) error {
	_, err := env.Service.MoveStock(ctx, commands.Call{Who: access.System("bench"), Meta: newMeta(), New: true}, key, stock.Receive{At: env.Service.At(key), Quantity: units})
	return err
}

// checkStock checks that exactly the acknowledged units are reserved and allocated, and that
// nothing was oversold.
func checkStock(ctx context.Context, env Env, key stock.Key, reserved, allocated unit.Quantity) error {
	now := env.Service.Now()
	var wrong error
	err := env.Service.ViewStock(ctx, key, func(state stock.State, _ int64) {
		if state.Reserved(now) != reserved || state.Allocated() != allocated {
			wrong = fmt.Errorf("%s: acknowledged were %d units reserved and %d allocated; recorded are %d and %d",
				key.SKU, reserved, allocated, state.Reserved(now), state.Allocated())
		}
		if state.Available(now) < 0 {
			wrong = fmt.Errorf("%s: oversold by %d", key.SKU, -state.Available(now))
		}
	})
	return errors.Join(err, wrong)
}
