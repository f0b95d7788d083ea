package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/pgpool"
)

// lagRateOfTarget is the rate at which the target of lag is to be reached.
const lagRateOfTarget = 500

// lag measures how long it takes after an order was acknowledged until reads show it. Orders arrive
// at a constant rate by HTTP. The baseline is a notification of the same database, from its sending
// until a listener has it.
func lag(ctx context.Context, env Env) (ours, baselines []Row, err error) {
	if _, err := filled(ctx, env); err != nil {
		return nil, nil, err
	}
	goods, err := listGoods(ctx, env, env.products(), ampleUnits)
	if err != nil {
		return nil, nil, err
	}
	shoppers, err := dial(ctx, env.BaseURL, env.Key, clients)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, closeAll(shoppers)) }()
	ours, err = measureLag(ctx, env, &shop{goods: goods, shoppers: shoppers})
	if err != nil {
		return nil, nil, err
	}
	baseline, err := notifications(ctx, env)
	return ours, []Row{baseline}, err
}

// measureLag returns two rows: from the acknowledgement of an order until a read shows it, and from
// the moment at which the order was due until then.
func measureLag(ctx context.Context, env Env, s *shop) ([]Row, error) {
	start, err := env.Store.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	run := uuid.NewString()[:8]
	lags := make([][]time.Duration, len(s.shoppers))
	begin := time.Now().Add(warmUp(env.Seconds))
	whole, err := daybook(ctx, env, "lag", load{callers: len(s.shoppers), seconds: env.Seconds, rate: env.Rate, operate: func(ctx context.Context, caller int, n int64) error {
		shopper, id := s.shoppers[caller], run+"-"+strconv.FormatInt(n, 10)
		lines := fillCart(len(s.goods))
		if err := buy(ctx, shopper, id, s.goods, lines[:], nil, ""); err != nil {
			return err
		}
		acknowledged := time.Now()
		answer, err := shopper.get(ctx, "/v1/orders/o-"+id, shopper.position)
		if err != nil {
			return err
		}
		if !bytes.Contains(answer, []byte(`"status":"confirmed"`)) {
			return fmt.Errorf("order o-%s was confirmed, and reads do not show it at position %s: %.300s", id, shopper.position, answer)
		}
		if visible := time.Now(); visible.After(begin) {
			lags[caller] = append(lags[caller], visible.Sub(acknowledged))
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	if err := checkOrders(ctx, env, start, whole.done); err != nil {
		return nil, err
	}
	after := whole
	all := slices.Concat(lags...)
	slices.Sort(all)
	after.Operations = int64(len(all))
	after.P50Ms, after.P99Ms = percentile(all, 0.50), percentile(all, 0.99)
	after.Variant = atRate("daybook", env.Rate)
	after.Note = "from an order's acknowledgement until a read shows it"
	if env.Rate >= lagRateOfTarget && env.Flush == FlushFast {
		after.Target = &Target{P99Ms: 50}
	}
	whole.Variant = atRate("daybook, with the order itself", env.Rate)
	whole.Note = "from the moment at which an order was due until a read shows it"
	return []Row{after, whole}, nil
}

// notifications measures NOTIFY at the same rate.
func notifications(ctx context.Context, env Env) (row Row, err error) {
	l, err := listen(ctx, env.Pool)
	if err != nil {
		return Row{}, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	row, err = load{callers: readClients, seconds: env.Seconds, rate: env.Rate, operate: func(ctx context.Context, _ int, n int64) error {
		return l.roundTrip(ctx, env.Pool, strconv.FormatInt(n, 10))
	}}.measure(ctx, env)
	row.Variant, row.Note = atRate("NOTIFY", env.Rate), "from the sending until a listener has it"
	return row, err
}

// listener gets the notifications of one channel of the database.
type listener struct {
	channel string
	stop    context.CancelCauseFunc
	ctx     context.Context // ends with the reason when the listener has ended
	ended   chan struct{}

	mu      sync.Mutex
	waiting map[string]chan struct{} // by what was sent
}

func listen(ctx context.Context, pool *pgxpool.Pool) (*listener, error) {
	// A listening connection is silent while no order arrives, perhaps for longer than the usual
	// limit of a connection. So it gets a limit of an hour.
	conn, err := pool.Acquire(pgpool.Within(ctx, time.Hour))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	l := &listener{channel: "bench_" + uuid.NewString()[:8], ended: make(chan struct{}), waiting: make(map[string]chan struct{})}
	l.ctx, l.stop = context.WithCancelCause(ctx)
	if _, err := conn.Exec(ctx, `LISTEN `+l.channel); err != nil {
		conn.Release()
		return nil, fmt.Errorf("listen: %w", err)
	}
	go func() {
		defer close(l.ended)
		// The connection is closed and does not return to the pool, because it listens.
		raw := conn.Hijack()
		defer func() { _ = raw.Close(context.WithoutCancel(ctx)) }()
		for {
			got, err := raw.WaitForNotification(l.ctx)
			if err != nil {
				l.stop(fmt.Errorf("listen: %w", err))
				return
			}
			l.mu.Lock()
			if arrived := l.waiting[got.Payload]; arrived != nil {
				delete(l.waiting, got.Payload)
				close(arrived)
			}
			l.mu.Unlock()
		}
	}()
	return l, nil
}

func (l *listener) roundTrip(ctx context.Context, pool *pgxpool.Pool, payload string) error {
	arrived := make(chan struct{})
	l.mu.Lock()
	l.waiting[payload] = arrived
	l.mu.Unlock()
	if _, err := pool.Exec(ctx, `SELECT pg_notify($1, $2)`, l.channel, payload); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	select {
	case <-arrived:
		return nil
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(deliveryMax):
		return fmt.Errorf("a notification did not arrive in %s", deliveryMax)
	}
}

// close ends the listener. It is an error if a notification that was sent did not arrive.
func (l *listener) close() error {
	l.stop(nil)
	<-l.ended
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) > 0 {
		return fmt.Errorf("%d notifications did not arrive", len(l.waiting))
	}
	return nil
}
