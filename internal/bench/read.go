package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore"
)

const (
	readClients = 16
	listSize    = 20
	pageSize    = 500    // events
	samplesMax  = 10_000 // orders and stocks that are read
)

// sample has the names of the things that are read from a log.
type sample struct {
	orders []string
	stocks [][2]string // SKU and location
	events int64
}

// filled makes sure that there is enough in the log, and chooses what to read. If the log holds
// enough events already, nothing is added.
func filled(ctx context.Context, env Env) (s sample, err error) {
	if s, err = choose(ctx, env); err != nil {
		return s, err
	}
	if missing := env.Events - s.events; missing > 0 || len(s.orders) < listSize {
		if err := newFilling(env).grow(ctx, max(missing, min(env.Events, 20*pageSize))); err != nil {
			return s, err
		}
		s, err = choose(ctx, env)
	}
	if err == nil && len(s.orders) < listSize {
		err = fmt.Errorf("the read models have %d orders, want %d or more", len(s.orders), listSize)
	}
	return s, err
}

func choose(ctx context.Context, env Env) (s sample, err error) {
	if err := env.Settle(ctx); err != nil {
		return s, err
	}
	if s.events, err = countAll(ctx, env); err != nil {
		return s, err
	}
	// Names are hashed, so that what is read is spread over all the rows.
	rows, err := env.Pool.Query(ctx, `SELECT order_id FROM read.orders ORDER BY md5(order_id) LIMIT $1`, samplesMax)
	if err == nil {
		s.orders, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return s, fmt.Errorf("choose orders to read: %w", err)
	}
	rows, err = env.Pool.Query(ctx, `SELECT sku, location FROM read.stock_items ORDER BY md5(sku) LIMIT $1`, samplesMax)
	if err == nil {
		s.stocks, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (key [2]string, err error) {
			return key, row.Scan(&key[0], &key[1])
		})
	}
	if err != nil {
		return s, fmt.Errorf("choose stocks to read: %w", err)
	}
	return s, nil
}

// countAll is how many events the log has.
func countAll(ctx context.Context, env Env) (int64, error) {
	if !env.InDatabase {
		return countEvents(ctx, env, eventstore.Start, eventstore.Filter{})
	}
	head, err := env.Store.Head(ctx)
	if err != nil {
		return 0, fmt.Errorf("head: %w", err)
	}
	return int64(head.Whole()), nil //nolint:gosec // positions are a database's bigint
}

// reading is one kind of read, and the same read by a prepared statement.
type reading struct {
	what   string
	target Target
	units  int // how many things one response has; 0 means one
	// choose returns the path of a request, the arguments of the statement, and a text that a right
	// response contains.
	choose    func() (path string, args []any, has string)
	statement string
	// whole, if set, checks more of a response than that it contains the text.
	whole func(answer []byte) error
}

func (s sample) readings(env Env) []reading {
	return []reading{{
		what: "an order", target: Target{PerSecond: 5000, P99Ms: 20},
		choose: func() (string, []any, string) {
			id := s.orders[rand.IntN(len(s.orders))]
			return "/v1/orders/" + url.PathEscape(id), []any{id}, `"order_id":` + quoted(id)
		},
		statement: `SELECT row_to_json(o)::text FROM read.orders o WHERE order_id = $1`,
	}, {
		what: "a stock level", target: Target{PerSecond: 5000, P99Ms: 20},
		choose: func() (string, []any, string) {
			key := s.stocks[rand.IntN(len(s.stocks))]
			return "/v1/stock/" + url.PathEscape(key[0]) + "/" + url.PathEscape(key[1]), []any{key[0], key[1]}, `"sku":` + quoted(key[0])
		},
		statement: `SELECT row_to_json(i)::text FROM read.stock_items i WHERE sku = $1 AND location = $2`,
	}, {
		what: "the 20 newest orders", target: Target{PerSecond: 5000, P99Ms: 20},
		choose: func() (string, []any, string) {
			return "/v1/orders?limit=" + strconv.Itoa(listSize), []any{listSize}, `"order_id":`
		},
		statement: `SELECT json_agg(o)::text FROM (SELECT order_id, reference, customer_id, cart_id, currency, status, payment_state,
			fulfillment_state, total, line_count, units, placed_at, changed_at, revision
			FROM read.orders ORDER BY placed_at DESC, order_id DESC LIMIT $1) o`,
		whole: func(answer []byte) error { return counted(answer, `"order_id":`, listSize) },
	}, {
		what: "500 events", target: Target{PerSecond: 300_000}, units: pageSize,
		choose: func() (string, []any, string) {
			var after int64
			if env.InDatabase {
				after = rand.Int64N(max(1, s.events-pageSize))
			}
			path := fmt.Sprintf("/v1/events?limit=%d&after=%d", pageSize, after)
			if after == 0 {
				path = fmt.Sprintf("/v1/events?limit=%d", pageSize)
			}
			return path, []any{after, pageSize}, `"specversion":`
		},
		statement: `SELECT string_agg(row_to_json(e)::text, E'\n') || E'\n' FROM (SELECT position, stream, revision, recorded_at, event_id, type, data, meta
			FROM eventstore.events WHERE position > $1 ORDER BY position LIMIT $2) e`,
		whole: func(answer []byte) error { return counted(answer, "\n", min(pageSize, int(s.events))) },
	}}
}

// reads measures reads by HTTP over a filled log. Each baseline reads the same rows by a prepared
// statement, behind a handler that does nothing else.
func reads(ctx context.Context, env Env) (ours, baselines []Row, err error) {
	s, err := filled(ctx, env)
	if err != nil {
		return nil, nil, err
	}
	readers, err := dial(ctx, env.BaseURL, env.Key, readClients)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, closeAll(readers)) }()
	for i, kind := range s.readings(env) {
		row, err := kind.measure(ctx, env, readers)
		if err != nil {
			return nil, nil, err
		}
		if env.Flush == FlushFast {
			row.Target = &kind.target
		}
		ours = append(ours, row)
		if kind.units > 1 && !env.InDatabase {
			continue // its statement reads the log's table
		}
		baseline, err := kind.baseline(ctx, env)
		if err != nil {
			return nil, nil, err
		}
		baseline.ours = i
		baselines = append(baselines, baseline)
	}
	return ours, baselines, nil
}

// measure reads from the node, and checks each response.
func (k reading) measure(ctx context.Context, env Env, readers []*client) (Row, error) {
	row, err := daybook(ctx, env, "read-"+strings.ReplaceAll(k.what, " ", "-"), load{callers: len(readers), seconds: env.Seconds, operate: func(ctx context.Context, caller int, _ int64) error {
		path, _, has := k.choose()
		answer, err := readers[caller].get(ctx, path, "")
		if err != nil {
			return err
		}
		return k.check(path, answer, has)
	}})
	row.Variant = "daybook, " + k.what
	return k.perUnit(row), err
}

func (k reading) check(path string, answer []byte, has string) error {
	if !bytes.Contains(answer, []byte(has)) {
		return fmt.Errorf("GET %s has no %s: %.300s", path, has, answer)
	}
	if k.whole != nil {
		if err := k.whole(answer); err != nil {
			return fmt.Errorf("GET %s: %w", path, err)
		}
	}
	return nil
}

// perUnit turns a rate of responses into a rate of the things in them.
func (k reading) perUnit(row Row) Row {
	if units := float64(k.units); units > 1 {
		row.Operations *= int64(k.units)
		row.PerSecond *= units
		row.CPUMicros /= units
		row.Note = "events a second; latency is of " + k.what
	}
	return row
}

// baseline reads the same by a prepared statement.
func (k reading) baseline(ctx context.Context, env Env) (row Row, err error) {
	readers, stop, err := serveAll(ctx, readClients, func(w http.ResponseWriter, r *http.Request) {
		text, err := k.query(r.Context(), env.Pool, r.URL.Query().Get("args"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(text)) // if the client is gone, it says so itself
	})
	if err != nil {
		return Row{}, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	row, err = load{callers: readClients, seconds: env.Seconds, operate: func(ctx context.Context, caller int, _ int64) error {
		_, args, has := k.choose()
		encoded, err := json.Marshal(args)
		if err != nil {
			return err
		}
		path := "/?args=" + url.QueryEscape(string(encoded))
		answer, err := readers[caller].get(ctx, path, "")
		if err != nil {
			return err
		}
		if k.units > 1 {
			has = `"position":` // an event has no specversion in the table
		}
		return k.check(path, answer, has)
	}}.measure(ctx, env)
	row = k.perUnit(row)
	row.Variant, row.Note = "a prepared statement, "+k.what, strings.TrimPrefix(row.Note+"; by HTTP too", "; ")
	return row, err
}

func (k reading) query(ctx context.Context, pool *pgxpool.Pool, encoded string) (text string, err error) {
	var args []any
	if err := json.Unmarshal([]byte(encoded), &args); err != nil {
		return "", err
	}
	for i, arg := range args {
		if number, is := arg.(float64); is {
			args[i] = int64(number)
		}
	}
	err = pool.QueryRow(ctx, k.statement, args...).Scan(&text)
	return text, err
}

// counted checks that a text occurs in a response as often as it must.
func counted(answer []byte, text string, want int) error {
	if found := bytes.Count(answer, []byte(text)); found != want {
		return fmt.Errorf("the response has %d times %q, want %d", found, text, want)
	}
	return nil
}

// quoted returns a name as JSON.
func quoted(name string) string {
	text, err := json.Marshal(name)
	if err != nil {
		return strconv.Quote(name)
	}
	return string(text)
}
