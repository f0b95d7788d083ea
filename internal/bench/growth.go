package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"time"

	"github.com/google/uuid"

	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/pgpool"
)

// costLimit is the cost above which a figure is marked: see Point.CostsMore.
const costLimit = 1.2

// Figure is one thing that was measured in logs of several sizes.
type Figure struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Flush  string  `json:"flush"`
	Points []Point `json:"points"` // the smallest log first
}

// Point is a figure in a log of one size.
type Point struct {
	Events int64   `json:"events"` // that the log had when it was filled
	Value  float64 `json:"value"`
	// Cost compares the value with that of the smallest log; 2 means that it is twice as bad. For a
	// rate, it is the smallest log's rate divided by this rate. For any other value, such as a
	// time, it is this value divided by the smallest log's.
	Cost float64 `json:"cost"`
	// CostsMore means that the cost is larger by more than a fifth.
	CostsMore bool `json:"costs_more,omitzero"`
}

const (
	unitRate   = "a second"
	unitMicros = "CPU µs"
	unitMillis = "ms"
	unitBytes  = "bytes an event"
	unitMemory = "MiB"
)

// measured is a figure at one size.
type measured struct {
	name, unit string
	value      float64
}

// Growth measures the same things in logs of several sizes. It begins with an empty log, and fills
// it to each size. The smallest log is the baseline of the others. CRUD, which does not depend on
// the log, is measured at each size, too: it shows how much the machine itself has changed.
func Growth(ctx context.Context, present func() Env) ([]Figure, error) {
	env := present()
	events, err := countAll(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("growth: %w", err)
	}
	for _, key := range []string{env.Key, env.ShopKey} {
		if key != "" {
			events-- // the key's own
		}
	}
	if events > 0 {
		return nil, fmt.Errorf("growth: it begins with an empty log, and this one has %d events", events)
	}
	g := &growth{fill: newFilling(env)}
	// Nothing else of the first node is kept. Otherwise its memory would be counted with that of
	// the later nodes.
	sizes, flush := env.Sizes, env.Flush
	if g.empty, err = databaseSize(ctx, env); err != nil {
		return nil, fmt.Errorf("growth: %w", err)
	}
	var figures []Figure
	for _, size := range sizes {
		g.env = present()
		all, err := g.at(ctx, size)
		if err != nil {
			return nil, fmt.Errorf("growth, %d events: %w", size, err)
		}
		if figures == nil {
			figures = make([]Figure, len(all))
		}
		for i, one := range all {
			f := &figures[i]
			f.Name, f.Unit, f.Flush = one.name, one.unit, flush
			f.Points = append(f.Points, Point{Events: g.fill.done.Events, Value: one.value})
		}
	}
	for _, f := range figures {
		f.compare()
	}
	return figures, nil
}

// compare sets the cost of each point, compared with the smallest log.
func (f Figure) compare() {
	for i := range f.Points {
		p, smallest := &f.Points[i], f.Points[0].Value
		switch {
		case p.Value == 0 || smallest == 0:
			continue
		case f.Unit == unitRate:
			p.Cost = smallest / p.Value
		default:
			p.Cost = p.Value / smallest
		}
		p.CostsMore = p.Cost > costLimit
	}
}

// growth is a log that is filled to one size after the other.
type growth struct {
	env    Env
	fill   *filling
	sample sample
	empty  int64 // bytes of the database before there were any events
}

// at fills the log to a size, and measures. Each figure is the median of all runs.
func (g *growth) at(ctx context.Context, size int64) ([]measured, error) {
	if err := g.fillTo(ctx, size); err != nil {
		return nil, err
	}
	var runs [][]measured
	for range max(1, g.env.Runs) {
		run, err := g.once(ctx)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	all := runs[0]
	for i := range all {
		values := make([]float64, len(runs))
		for n, run := range runs {
			values[n] = run[i].value
		}
		all[i].value = median(values)
	}
	return all, nil
}

// fillTo makes the events that are missing. Then it does what a program that has run for long has
// done: the database has statistics, and long streams have snapshots.
func (g *growth) fillTo(ctx context.Context, size int64) (err error) {
	g.fill.env = g.env
	// What was measured before has added events, too.
	before, err := countAll(ctx, g.env)
	if err != nil {
		return err
	}
	g.fill.done.Events = before
	if err := g.fill.grow(ctx, size); err != nil {
		return err
	}
	events, err := countAll(ctx, g.env)
	if err != nil {
		return err
	}
	if events < size || events != g.fill.done.Events {
		return fmt.Errorf("the log has %d events after it was filled, want %d, and %d or more", events, g.fill.done.Events, size)
	}
	keys := append(g.fill.goods(), g.fill.hot())
	_, err = load{callers: fillCalls, limit: int64(len(keys)), operate: func(ctx context.Context, _ int, n int64) error {
		return reserveAndRelease(ctx, g.env.Service, keys[n], unit.OrderID("look-"+uuid.NewString()))
	}}.run(ctx)
	if err != nil {
		return fmt.Errorf("make snapshots: %w", err)
	}
	if _, err := g.env.Pool.Exec(pgpool.Within(ctx, copyMax), `VACUUM ANALYZE`); err != nil {
		return fmt.Errorf("vacuum: %w", err)
	}
	g.sample, err = choose(ctx, g.env)
	return err
}

// once measures every figure once, at the present size of the log.
func (g *growth) once(ctx context.Context) (all []measured, err error) {
	for _, step := range []func(context.Context) ([]measured, error){
		g.starting, g.selling, g.deciding, g.reading, g.waiting, g.timers, g.lagging, g.space,
	} {
		some, err := step(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// starting starts the node again. After that, nothing is in its memory.
func (g *growth) starting(ctx context.Context) ([]measured, error) {
	again, err := restart(ctx, g.env, g.sample)
	if err != nil {
		return nil, err
	}
	g.env, g.fill.env = again.Env, again.Env
	began := time.Now()
	if err := until(ctx, func(context.Context) (bool, error) { return g.env.ReactorIdle(), nil }); err != nil {
		return nil, fmt.Errorf("the reactor does not get ready: %w", err)
	}
	reactor := again.Node + time.Since(began)
	memory := heap()
	began = time.Now()
	if err := g.env.Service.ViewStock(ctx, g.fill.hot(), func(stock.State, int64) {}); err != nil {
		return nil, err
	}
	return []measured{
		{"start of the node", unitMillis, millis(again.Node)},
		{"start of the reactor", unitMillis, millis(reactor)},
		{"memory after the start", unitMemory, memory},
		{"hot SKU, the first command after the start", unitMillis, millis(time.Since(began))},
	}, nil
}

// selling measures checkouts of goods that are in many orders.
func (g *growth) selling(ctx context.Context) (all []measured, err error) {
	shoppers, err := dial(ctx, g.env.BaseURL, g.env.Key, clients)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll(shoppers)) }()
	shop, err := openShop(ctx, g.env, g.fill.goods(), shoppers)
	if err != nil {
		return nil, err
	}
	row, err := shop.sell(ctx, g.env, 0)
	if err != nil {
		return nil, err
	}
	crud, err := crudCheckout(ctx, g.env, 0)
	if err != nil {
		return nil, err
	}
	all = append(g.figuresOf("checkout", row), g.figuresOf("CRUD checkout, in no log", crud)...)
	return append(all, measured{"checkout, p99", unitMillis, row.P99Ms}), nil
}

// figuresOf are the rate of a row, and its processor time if that can be known at all.
func (g *growth) figuresOf(name string, row Row) []measured {
	all := []measured{{name, unitRate, row.PerSecond}}
	if _, known := g.env.CPU(); known {
		all = append(all, measured{name, unitMicros, row.CPUMicros})
	}
	return all
}

// deciding measures decisions on the hot SKU. Each reservation is released again, so that its state
// stays as it is.
func (g *growth) deciding(ctx context.Context) ([]measured, error) {
	var before int64
	revision := func(to *int64) error {
		return g.env.Service.ViewStock(ctx, g.fill.hot(), func(_ stock.State, last int64) { *to = last })
	}
	if err := revision(&before); err != nil {
		return nil, err
	}
	run := uuid.NewString()[:8]
	row, err := daybook(ctx, g.env, "growth-hot-sku", load{callers: hotCallers, seconds: g.env.Seconds, operate: func(ctx context.Context, _ int, n int64) error {
		return reserveAndRelease(ctx, g.env.Service, g.fill.hot(), unit.OrderID(run+"-"+strconv.FormatInt(n, 10)))
	}})
	if err != nil {
		return nil, err
	}
	var after int64
	if err := revision(&after); err != nil {
		return nil, err
	}
	if after-before != 2*row.done {
		return nil, fmt.Errorf("%d pairs of decisions were acknowledged, and the hot SKU has %d events more", row.done, after-before)
	}
	if err := checkStock(ctx, g.env, g.fill.hot(), 0, 0); err != nil {
		return nil, err
	}
	return g.figuresOf("hot SKU, a reservation and its release", row), nil
}

// reading measures reads by key, and lists.
func (g *growth) reading(ctx context.Context) (all []measured, err error) {
	readers, err := dial(ctx, g.env.BaseURL, g.env.Key, readClients)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll(readers)) }()
	for _, kind := range append(g.sample.readings(g.env), g.lists()...) {
		row, err := kind.measure(ctx, g.env, readers)
		if err != nil {
			return nil, err
		}
		all = append(all, g.figuresOf("read "+kind.what, row)...)
	}
	return all, nil
}

// lists are reads of the lists of a filled log, such as the orders of a customer.
func (g *growth) lists() []reading {
	fill := g.fill
	entries := func(what, entry string, path func() string) reading {
		return reading{what: what, choose: func() (string, []any, string) { return path(), nil, entry }}
	}
	good := func() string { return url.PathEscape(string(fill.good(rand.Int64N(fill.sold)))) }
	fixed := func(path string) func() string { return func() string { return path } }
	return []reading{
		entries("a cart", `"cart_id":"open-`, func() string { return "/v1/carts/open-" + fill.name(rand.Int64N(fill.done.Carts)) }),
		entries("a product", `"sku":"FILL-`, func() string { return "/v1/products/" + string(fill.sku(rand.Int64N(fill.done.SKUs))) }),
		entries("20 confirmed orders", `"order_id":`, fixed("/v1/orders?limit=20&status=confirmed")),
		entries("20 orders of a customer", `"order_id":`, func() string {
			return "/v1/orders?limit=20&customer_id=customer-" + strconv.FormatInt(rand.Int64N(min(fill.done.Orders, fillCustomers)), 10)
		}),
		entries("20 orders of a SKU", `"order_id":`, func() string {
			return "/v1/orders?limit=20&sku=" + string(fill.good(rand.Int64N(min(fill.done.Orders, fill.sold))))
		}),
		entries("20 open carts", `"cart_id":`, fixed("/v1/carts?limit=20&status=open")),
		entries("20 stocks", `"sku":`, fixed("/v1/stock?limit=20")),
		entries("20 products by a word", `"sku":`, fixed("/v1/products?limit=20&q=thing")),
		entries("the only product with a word", `"sku":"FILL-`, func() string { return "/v1/products?limit=20&q=" + string(fill.sku(rand.Int64N(fill.done.SKUs))) }),
		entries("20 open reservations", `"reservation_id":`, fixed("/v1/reservations?limit=20")),
		entries("20 open reservations of a SKU", `"reservation_id":`, func() string {
			return "/v1/reservations?limit=20&sku=" + string(fill.good(rand.Int64N(min(fill.done.Reservations, fill.sold))))
		}),
		entries("20 movements of the hot SKU", `"kind":`, fixed("/v1/stock/"+url.PathEscape(string(fill.hot().SKU))+"/main/movements?limit=20")),
		entries("20 movements of a SKU", `"kind":`, func() string { return "/v1/stock/" + good() + "/main/movements?limit=20" }),
	}
}

// waiting measures reads that wait for the position of a write.
func (g *growth) waiting(ctx context.Context) (all []measured, err error) {
	readers, err := dial(ctx, g.env.BaseURL, g.env.Key, readClients)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll(readers)) }()
	goods, run := g.fill.goods(), uuid.NewString()[:8]
	row, err := daybook(ctx, g.env, "growth-wait", load{callers: readClients, seconds: g.env.Seconds, operate: func(ctx context.Context, caller int, n int64) error {
		reader, path := readers[caller], "/v1/stock/"+url.PathEscape(string(goods[rand.IntN(len(goods))].SKU))+"/main"
		status, answer, err := reader.post(ctx, path+"/receipts", run+"-"+strconv.FormatInt(n, 10), `{"quantity":1}`)
		if err != nil {
			return err
		}
		if status != http.StatusOK && status != http.StatusCreated {
			return fmt.Errorf("POST %s/receipts answers %d %s", path, status, answer)
		}
		written := reader.position
		if _, err = reader.get(ctx, path, written); err != nil {
			return err
		}
		return reached(written, reader.position)
	}})
	if err != nil {
		return nil, err
	}
	return append(g.figuresOf("a receipt, and a read that waits for it", row), measured{"a receipt, and a read that waits for it, p50", unitMillis, row.P50Ms}), nil
}

// reached checks that a read reflects a position.
func reached(want, got string) error {
	wanted, err := eventstore.ParsePosition(want)
	if err != nil {
		return err
	}
	at, err := eventstore.ParsePosition(got)
	if err == nil && at.Before(wanted) {
		err = fmt.Errorf("a read that waits for position %s reflects %s", want, got)
	}
	return err
}

const (
	timerSKUs    = 20
	timersOfSKU  = 10
	timersDueIn  = 3 * time.Second // long enough for the timers to be stored in the database
	expiriesMax  = 2 * time.Minute
	expiredEvent = "stock.reservation_expired."
)

// timers makes many reservations with the same deadline, and measures how long after the deadline
// the last of them has expired.
func (g *growth) timers(ctx context.Context) ([]measured, error) {
	goods, err := listGoods(ctx, g.env, timerSKUs, ampleUnits)
	if err != nil {
		return nil, err
	}
	if err := g.env.Settle(ctx); err != nil {
		return nil, err
	}
	start, err := g.env.Store.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	due, run := g.env.Service.Now().Add(timersDueIn), uuid.NewString()[:8]
	_, err = load{callers: timerSKUs, limit: timerSKUs * timersOfSKU, operate: func(ctx context.Context, _ int, n int64) error {
		key := goods[n%timerSKUs]
		reserve := reservation(g.env.Service, key, unit.OrderID(run+"-"+strconv.FormatInt(n, 10)), timersDueIn)
		reserve.ExpiresAt = due
		_, err := g.env.Service.MoveStock(ctx, newCall(), key, reserve)
		return err
	}}.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("reserve: %w", err)
	}
	last, err := g.awaitExpiries(ctx, start, timerSKUs*timersOfSKU)
	if err != nil {
		return nil, err
	}
	if last.Before(due) {
		return nil, fmt.Errorf("reservations that are due at %s expired at %s", due, last)
	}
	return []measured{{"200 deadlines at once, until the last one is recorded", unitMillis, millis(last.Sub(due))}}, nil
}

// awaitExpiries returns when the last of so many expiries was recorded. There must not be more.
func (g *growth) awaitExpiries(ctx context.Context, start eventstore.Position, want int64) (last time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, expiriesMax)
	defer cancel()
	var found int64
	err = until(ctx, func(ctx context.Context) (bool, error) {
		found = 0
		for e, err := range g.env.Store.ReadAll(ctx, start, eventstore.Filter{TypePrefixes: []string{expiredEvent}}, 0) {
			if err != nil {
				return false, err
			}
			found, last = found+1, e.RecordedAt
		}
		return found >= want, nil
	})
	if err != nil {
		return last, fmt.Errorf("%d reservations have expired, want %d: %w", found, want, err)
	}
	if found != want {
		return last, fmt.Errorf("%d reservations have expired, want %d", found, want)
	}
	return last, nil
}

// lagging measures how long it takes until an order is visible.
func (g *growth) lagging(ctx context.Context) (all []measured, err error) {
	shoppers, err := dial(ctx, g.env.BaseURL, g.env.Key, clients)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll(shoppers)) }()
	rows, err := measureLag(ctx, g.env, &shop{goods: g.fill.goods(), shoppers: shoppers})
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("from an order to a read that shows it, %g arriving a second", g.env.Rate)
	return []measured{{name + ", p50", unitMillis, rows[0].P50Ms}, {name + ", p99", unitMillis, rows[0].P99Ms}}, nil
}

// space measures memory and disk.
func (g *growth) space(ctx context.Context) ([]measured, error) {
	size, err := databaseSize(ctx, g.env)
	if err != nil {
		return nil, err
	}
	events, err := countAll(ctx, g.env)
	if err != nil {
		return nil, err
	}
	return []measured{
		{"memory after all this", unitMemory, heap()},
		{"disk with all read models, without WAL", unitBytes, float64(size-g.empty) / float64(events)},
	}, nil
}

func databaseSize(ctx context.Context, env Env) (bytes int64, err error) {
	if err := env.Pool.QueryRow(ctx, `SELECT pg_database_size(current_database())`).Scan(&bytes); err != nil {
		return 0, fmt.Errorf("size of the database: %w", err)
	}
	return bytes, nil
}

// heap is the memory in MiB that is in use after a garbage collection, with that of the clients.
func heap() float64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc) / (1 << 20)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// until waits for a condition, and asks for it again and again.
func until(ctx context.Context, reached func(context.Context) (bool, error)) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		if done, err := reached(ctx); done || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
