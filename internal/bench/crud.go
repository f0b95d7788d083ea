package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// crudTables makes the tables of a small shop that updates its rows, with the keys that such a shop
// needs.
var crudTables = fmt.Sprintf(`
	CREATE TABLE baseline.stock (sku text PRIMARY KEY, available bigint NOT NULL, allocated bigint NOT NULL DEFAULT 0);
	CREATE TABLE baseline.carts (id uuid PRIMARY KEY, currency text NOT NULL, country text NOT NULL, status text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
	CREATE TABLE baseline.cart_lines (cart_id uuid NOT NULL REFERENCES baseline.carts, line int NOT NULL, sku text NOT NULL, quantity bigint NOT NULL,
		price numeric NOT NULL, PRIMARY KEY (cart_id, line));
	CREATE TABLE baseline.orders (id uuid PRIMARY KEY, cart_id uuid NOT NULL UNIQUE REFERENCES baseline.carts, status text NOT NULL, total numeric NOT NULL,
		created_at timestamptz NOT NULL DEFAULT now());
	CREATE TABLE baseline.order_lines (order_id uuid NOT NULL REFERENCES baseline.orders, line int NOT NULL, sku text NOT NULL, quantity bigint NOT NULL,
		price numeric NOT NULL, PRIMARY KEY (order_id, line));
	CREATE TABLE baseline.payments (id uuid PRIMARY KEY, order_id uuid NOT NULL REFERENCES baseline.orders, type text NOT NULL, state text NOT NULL, amount numeric NOT NULL);
	CREATE INDEX ON baseline.payments (order_id);
	INSERT INTO baseline.stock SELECT 'SKU-' || n, %d FROM generate_series(0, %d) n;`, ampleUnits, products-1)

type crudOrder struct {
	Lines []crudLine `json:"lines"`
}

type crudLine struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// crudCheckout measures the same work as rows that are updated, behind a plain
// HTTP handler: no events, no history, no read models.
func crudCheckout(ctx context.Context, env Env, rate float64) (row Row, err error) {
	if err := makeTables(ctx, env, crudTables); err != nil {
		return Row{}, err
	}
	shoppers, stop, err := serve(ctx, func(w http.ResponseWriter, r *http.Request) (int, error) {
		var order crudOrder
		if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 1<<20), &order); err != nil {
			return http.StatusBadRequest, err
		}
		return http.StatusCreated, crudPlace(r.Context(), env.Pool, order)
	})
	if err != nil {
		return Row{}, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	row, err = load{callers: clients, seconds: env.Seconds, rate: rate, operate: func(ctx context.Context, caller int, _ int64) error {
		var order crudOrder
		for _, line := range fillCart(products) {
			order.Lines = append(order.Lines, crudLine{SKU: "SKU-" + strconv.Itoa(line.product), Quantity: line.units})
		}
		body, err := json.Marshal(order)
		if err != nil {
			return err
		}
		return shoppers[caller].created(ctx, "/", "", string(body))
	}}.measure(ctx, env)
	if err != nil {
		return Row{}, fmt.Errorf("CRUD: %w", err)
	}
	row.Variant, row.Note = atRate("CRUD in one SQL transaction", rate), "by HTTP too, one request an order"
	return row, crudCheck(ctx, env.Pool, row.done)
}

// crudPlace places an order in four round trips: statements that do not need the result of another
// one are sent together. It takes the stock first, in the order of the SKUs, so that no two orders
// wait for each other.
func crudPlace(ctx context.Context, pool *pgxpool.Pool, order crudOrder) error {
	slices.SortFunc(order.Lines, func(a, b crudLine) int { return cmp.Compare(a.SKU, b.SKU) })
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var take pgx.Batch
		for _, line := range order.Lines {
			take.Queue(`UPDATE baseline.stock SET available = available - $2, allocated = allocated + $2 WHERE sku = $1 AND available >= $2`, line.SKU, line.Quantity).
				Exec(func(tag pgconn.CommandTag) error {
					if tag.RowsAffected() != 1 {
						return errors.New("out of stock")
					}
					return nil
				})
		}
		if err := tx.SendBatch(ctx, &take).Close(); err != nil {
			return err
		}
		cart, placed := uuid.New(), uuid.New()
		var write pgx.Batch
		write.Queue(`INSERT INTO baseline.carts VALUES ($1, 'GBP', 'United Kingdom', 'completed')`, cart)
		for i, line := range order.Lines {
			write.Queue(`INSERT INTO baseline.cart_lines VALUES ($1, $2, $3, $4, 2.95)`, cart, i+1, line.SKU, line.Quantity)
		}
		write.Queue(`INSERT INTO baseline.orders SELECT $1, $2, 'placed', sum(quantity * price) FROM baseline.cart_lines WHERE cart_id = $2`, placed, cart)
		write.Queue(`INSERT INTO baseline.order_lines SELECT $1, line, sku, quantity, price FROM baseline.cart_lines WHERE cart_id = $2`, placed, cart)
		write.Queue(`INSERT INTO baseline.payments SELECT $1, $2, 'capture', 'succeeded', total FROM baseline.orders WHERE id = $2`, uuid.New(), placed)
		write.Queue(`UPDATE baseline.orders SET status = 'confirmed' WHERE id = $1`, placed)
		return tx.SendBatch(ctx, &write).Close()
	})
}

func crudCheck(ctx context.Context, pool *pgxpool.Pool, acknowledged int64) error {
	var orders, ordered, allocated, oversold int64
	err := pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM baseline.orders WHERE status = 'confirmed'), (SELECT sum(quantity) FROM baseline.order_lines),
		(SELECT sum(allocated) FROM baseline.stock), (SELECT count(*) FROM baseline.stock WHERE available < 0)`).Scan(&orders, &ordered, &allocated, &oversold)
	if err != nil {
		return fmt.Errorf("check CRUD: %w", err)
	}
	if orders != acknowledged || ordered != allocated || oversold > 0 {
		return fmt.Errorf("CRUD acknowledged %d orders and holds %d; %d units ordered, %d allocated; %d SKUs oversold",
			acknowledged, orders, ordered, allocated, oversold)
	}
	return nil
}

// serve puts a baseline behind HTTP, connects the clients to it, and returns
// them with what ends both.
func serve(ctx context.Context, handle func(http.ResponseWriter, *http.Request) (status int, err error)) ([]*client, func() error, error) {
	return serveAll(ctx, clients, func(w http.ResponseWriter, r *http.Request) {
		status, err := handle(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(status)
	})
}

// serveAll is serve for any handler and number of clients.
func serveAll(ctx context.Context, clients int, handler http.HandlerFunc) ([]*client, func() error, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("serve a baseline: %w", err)
	}
	server := &http.Server{ReadHeaderTimeout: requestMax, Handler: handler}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	closeServer := func() error {
		err := server.Close()
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
		return err
	}
	all, err := dial(ctx, "http://"+listener.Addr().String(), "", clients)
	if err != nil {
		return nil, nil, errors.Join(err, closeServer())
	}
	return all, func() error { return errors.Join(closeAll(all), closeServer()) }, nil
}
