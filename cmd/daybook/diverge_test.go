package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"daybook/cmd/daybook/shoppers"
	"daybook/eventstore/gateway"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/pgtest"
)

// restores are the ways in which a log can become another one. Each has statements that run on the
// log's tables in one transaction. The schema "then" has the tables as they were earlier.
var restores = map[string][]string{
	"shorter": {restoreThen},
	"grown past the old place": {restoreThen, `
		INSERT INTO eventstore.streams (stream, revision) VALUES ('order-restored', 499);
		INSERT INTO eventstore.events (position, stream_id, revision, recorded_at, event_id, stream, type, data)
			SELECT h.position + n, s.stream_id, n - 1, clock_timestamp(), gen_random_uuid(), s.stream, 'order.placed.v1', '{}'
			FROM eventstore.head h, eventstore.streams s, generate_series(1, 500) n WHERE s.stream = 'order-restored';
		UPDATE eventstore.head SET position = position + 500, recorded_at = clock_timestamp()`},
	"another log altogether": {`
		LOCK TABLE eventstore.head IN EXCLUSIVE MODE; -- or events that are appended meanwhile stay
		UPDATE eventstore.events SET event_id = gen_random_uuid(), recorded_at = recorded_at - interval '1 hour'`},
}

const (
	logTables   = `streams events head`
	restoreThen = `
		TRUNCATE eventstore.streams, eventstore.events, eventstore.head;
		INSERT INTO eventstore.streams OVERRIDING SYSTEM VALUE SELECT * FROM earlier.streams;
		INSERT INTO eventstore.events SELECT * FROM earlier.events;
		INSERT INTO eventstore.head SELECT * FROM earlier.head`
	restoreLatest = `
		TRUNCATE eventstore.streams, eventstore.events, eventstore.head;
		INSERT INTO eventstore.streams OVERRIDING SYSTEM VALUE SELECT * FROM latest.streams;
		INSERT INTO eventstore.events SELECT * FROM latest.events;
		INSERT INTO eventstore.head SELECT * FROM latest.head`
)

// A restored log must be noticed within a second, and no answer may take longer than a second. Both
// bounds are longer by busySlack, because the machine may be busy.
const (
	askEvery  = 50 * time.Millisecond
	noticeIn  = time.Second
	answerIn  = time.Second
	busySlack = 2 * time.Second
)

// divergence is a node and its log. A test can restore the log, or replace it by another one, while
// the node runs.
type divergence struct {
	*testing.T
	pool *pgxpool.Pool // the database that has the tables of the log
	args []string      // flags of every subcommand
	also []string      // further flags of serve
	// away calls a function. If the log has a server of its own, that server is stopped while the
	// function runs.
	away func(func())
	node *pgxpool.Pool // the node's database; with the log in PostgreSQL it is the same as pool
	// another opens one more log of this kind, with a database of its own.
	another func() *divergence
}

// logs opens a divergence for each kind of log. Both kinds keep the log in tables, which a test can
// restore.
var logs = map[string]func(t *testing.T) *divergence{
	storePostgres: func(t *testing.T) *divergence {
		t.Helper()
		url := pgtest.URL(t)
		pool := poolOf(t, url)
		if err := eventstorepg.Migrate(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
		return &divergence{T: t, pool: pool, node: pool, args: []string{"--database-url", url}, also: []string{"--gateway", "127.0.0.1:0", "--access", accessOff}, away: func(do func()) { do() }}
	},
	storeKurrentDB: func(t *testing.T) *divergence {
		t.Helper()
		log, url := pgtest.URL(t), pgtest.URL(t)
		served := openServedLog(t, log)
		return &divergence{
			T: t, pool: poolOf(t, log), node: poolOf(t, url), away: served.away,
			args: []string{"--database-url", url, "--store", storeKurrentDB, "--kurrentdb-url", "esdb://" + served.address + "?tls=false"},
			also: []string{"--access", accessOff},
		}
	},
}

// onEachLog runs a test over each place of the log.
func onEachLog(t *testing.T, test func(d *divergence)) {
	t.Helper()
	for name, open := range logs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			d.another = func() *divergence { return open(t) }
			test(d)
		})
	}
}

func poolOf(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := openPool(t.Context(), url, "test", 2, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// servedLog is a server of a log. A test can stop it and start it again at the same address, as
// when somebody restores the server's files.
type servedLog struct {
	t       *testing.T
	url     string
	address string
	stop    func()
}

func openServedLog(t *testing.T, url string) *servedLog {
	t.Helper()
	s := &servedLog{t: t, url: url, address: "127.0.0.1:0"}
	if err := eventstorepg.Migrate(t.Context(), poolOf(t, url)); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *servedLog) away(do func()) {
	s.stop()
	do()
	s.start()
}

func (s *servedLog) start() {
	s.t.Helper()
	ctx := context.WithoutCancel(s.t.Context())
	pool, err := openPool(ctx, s.url, "gateway", 8, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	store, err := eventstorepg.Open(ctx, pool, eventstorepg.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	server, err := gateway.New(store, gateway.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.stop = sync.OnceFunc(func() {
		cut, cancel := context.WithCancel(ctx)
		cancel()
		_ = server.Close(cut) // it is cut off
		if err := <-served; err != nil {
			s.t.Errorf("the gateway: %v", err)
		}
		_ = store.Close(cut)
		pool.Close()
	})
}

// change runs statements on the log's tables, all or none.
func (d *divergence) change(statements ...string) {
	d.Helper()
	err := pgx.BeginFunc(d.Context(), d.pool, func(tx pgx.Tx) error {
		for _, sql := range statements {
			if _, err := tx.Exec(d.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		return nil
	})
	if err != nil {
		d.Fatal(err)
	}
}

// keep copies the log's tables into a schema.
func (d *divergence) keep(schema string) {
	d.Helper()
	statements := []string{`CREATE SCHEMA ` + schema}
	for table := range strings.FieldsSeq(logTables) {
		statements = append(statements, fmt.Sprintf(`CREATE TABLE %s.%s AS TABLE eventstore.%s`, schema, table, table))
	}
	d.change(statements...)
}

// sell sells one unit to each of some buyers.
func (d *divergence) sell(url, name string, buyers int) (orders []string) {
	d.Helper()
	client := newShopper(url, 4)
	defer client.Close()
	for i := range buyers {
		cart, err := client.OpenCart(d.Context(), fmt.Sprint(name, i), "GBP", "", []shoppers.Line{{SKU: "MUG", Quantity: 1}})
		if err != nil {
			d.Fatal(err)
		}
		// The first order is not paid, so it has timers.
		order, _, err := client.Checkout(d.Context(), uuid.NewString(), cart, i > 0)
		if err != nil {
			d.Fatal(err)
		}
		orders = append(orders, order.OrderID)
	}
	return orders
}

// story makes a log with two parts, and keeps copies of it between the parts and at the end.
func (d *divergence) story(server running) {
	d.Helper()
	client := newShopper(server.url, 1)
	defer client.Close()
	goods := shoppers.Product{SKU: "MUG", Title: "A", Price: shoppers.Money{Amount: "3.10", Currency: "GBP"}, Opening: 100}
	if _, err := shoppers.Open(d.Context(), client, []shoppers.Product{goods}); err != nil {
		d.Fatal(err)
	}
	d.sell(server.url, "early", 3)
	d.atHead(server)
	d.keep("earlier")
	d.sell(server.url, "late", 3)
	d.atHead(server)
	d.keep("latest")
}

// atHead waits until all sales are in the views and the views' places are stored.
func (d *divergence) atHead(server running) {
	d.Helper()
	eventually(d.T, recoveryLimit, "all views are at the head and have noted it", func() bool {
		var head, behind string
		if err := d.pool.QueryRow(d.Context(), `SELECT position::text FROM eventstore.head`).Scan(&head); err != nil {
			d.Fatal(err)
		}
		if err := d.node.QueryRow(d.Context(), `SELECT count(*)::text FROM projections.builds WHERE state = 'active' AND (split_part(position, '/', 1) <> $1 OR anchor = '')`, head).Scan(&behind); err != nil {
			d.Fatal(err)
		}
		return behind == "0"
	})
}

// places returns the places that the node's database has.
func (d *divergence) places() string {
	d.Helper()
	var all string
	err := d.node.QueryRow(d.Context(), `SELECT
		(SELECT string_agg(view || build || ' ' || position || ' ' || anchor || ' ' || events, ',' ORDER BY view, build) FROM projections.builds)
		|| (SELECT string_agg(reader || ' ' || position || ' ' || anchor, ',' ORDER BY reader) FROM commands.checkpoints WHERE reader <> 'seen')
		|| (SELECT count(*) FROM commands.timers)`).Scan(&all)
	if err != nil {
		d.Fatal(err)
	}
	return all
}

func (d *divergence) events() (n int) {
	d.Helper()
	if err := d.pool.QueryRow(d.Context(), `SELECT count(*) FROM eventstore.events`).Scan(&n); err != nil {
		d.Fatal(err)
	}
	return n
}

// reply is an answer to a request, with those of its members that say why it was refused.
type reply struct {
	status       int
	Type, Detail string
	body         string
	took         time.Duration
}

func (d *divergence) ask(method, url, key, body string) reply {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.Context(), answerIn+busySlack)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	began := time.Now()
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		d.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		d.Fatal(err)
	}
	r := reply{status: answer.StatusCode, body: string(text), took: time.Since(began)}
	var members struct {
		Type, Detail string
	}
	// An answer that is not a problem has no such members.
	_ = json.Unmarshal(text, &members, json.MatchCaseInsensitiveNames(true))
	r.Type, r.Detail = members.Type, members.Detail
	return r
}

// notices waits until a server says at every place that the log has diverged. The server must do so
// soon after the log was replaced. notices returns the answer to a request about orders.
func (d *divergence) notices(server running, there time.Time) reply {
	d.Helper()
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		r := d.ask(http.MethodGet, server.url+"/v1/orders", "", "")
		ready := d.ask(http.MethodGet, server.url+"/readyz", "", "")
		took := time.Since(there)
		noticed := r.Type == "/problems/log-diverged" && strings.Contains(ready.body, `"diverged"`)
		if took > noticeIn+busySlack {
			d.Fatalf("after %s (noticed: %t): /v1/orders %d %s, /readyz %d %s", took, noticed, r.status, r.body, ready.status, ready.body)
		}
		if noticed {
			d.Logf("noticed after %s", took)
			return r
		}
		<-ticker.C
	}
}

// mayPass is in the text about a difference that is not final yet.
const mayPass = "may pass while a cluster elects a leader"

// refuses fails unless the server refuses every request and says why, takes no command and projects
// nothing.
func (d *divergence) refuses(server running, kept string) {
	d.Helper()
	events := d.events()
	eventually(d.T, recoveryLimit, "the difference is final", func() bool {
		return !strings.Contains(d.ask(http.MethodGet, server.url+"/v1/orders", "", "").Detail, mayPass)
	})
	var why string
	for what, r := range map[string]reply{
		"a command":                   d.ask(http.MethodPost, server.url+"/v1/stock/MUG/main/receipts", uuid.NewString(), `{"quantity":1,"document":"PO-2"}`),
		"a command that was answered": d.ask(http.MethodPost, server.url+"/v1/stock/MUG/main/receipts", "answered", `{"quantity":1,"document":"PO-1"}`),
		"a command that is not valid": d.ask(http.MethodPost, server.url+"/v1/carts", "", `{"no":1}`),
		"a read of orders":            d.ask(http.MethodGet, server.url+"/v1/orders", "", ""),
		"a read of stock":             d.ask(http.MethodGet, server.url+"/v1/stock/MUG/main", "", ""),
		"a read of the log":           d.ask(http.MethodGet, server.url+"/v1/events", "", ""),
		"processes":                   d.ask(http.MethodGet, server.url+"/v1/processes", "", ""),
	} {
		if r.status != http.StatusServiceUnavailable || r.Type != "/problems/log-diverged" || !strings.Contains(r.Detail, "the log has diverged from what ") {
			d.Errorf("%s: %d %s", what, r.status, r.body)
		}
		why = r.Detail
	}
	if r := d.ask(http.MethodGet, server.url+"/readyz", "", ""); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, `"diverged"`) || !strings.Contains(r.body, strings.TrimSpace(why)) || r.took > time.Second {
		d.Errorf("/readyz after %s: %d %s, want it to say %q", r.took, r.status, r.body, why)
	}
	if r := d.ask(http.MethodGet, server.url+"/livez", "", ""); r.status != http.StatusOK || r.took > time.Second {
		d.Errorf("/livez after %s: %d %s", r.took, r.status, r.body)
	}
	if server.gateway != "" {
		ctx, cancel := context.WithTimeout(d.Context(), 5*time.Second)
		defer cancel()
		if _, err := dialGateway(d.T, server.gateway).AppendToStream(ctx, "notes", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, note(1)); err == nil || !strings.Contains(err.Error(), "it has diverged from what this server knows of it") {
			d.Errorf("the gateway took an event or gave another reason: %v", err)
		}
	}
	if got := d.events(); got != events {
		d.Errorf("%d events were added to a log that has diverged", got-events)
	}
	if got := d.places(); got != kept {
		d.Errorf("the places are\n%s\nand were\n%s", got, kept)
	}
}

// says fails unless a command of the program fails because of the log.
func (d *divergence) says(command ...string) {
	d.Helper()
	got := call(d.T, nil, append(command, d.args...)...)
	if got.code != exitFailure || strings.Count(got.stderr, "the log has diverged from what ") != 1 || got.stdout != "" {
		d.Errorf("%s: exit code %d, %s%s", command[0], got.code, got.stdout, got.stderr)
	}
}

// A log that is restored under a node is refused, and everything says why. Nothing is
// changed by that: with the right log all goes on.
func TestALogThatWasRestoredIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range restores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEachLog(t, func(d *divergence) {
				server := serve(d.T, slices.Concat(d.args, d.also)...)
				d.story(server)
				d.ask(http.MethodPost, server.url+"/v1/stock/MUG/main/receipts", "answered", `{"quantity":1,"document":"PO-1"}`)
				d.atHead(server)
				d.change(`DROP SCHEMA latest CASCADE`)
				d.keep("latest")
				eventually(d.T, recoveryLimit, "the timers of both orders that are not paid are stored", func() bool {
					var timers string
					err := d.node.QueryRow(d.Context(), `SELECT coalesce(string_agg(kind || ' ' || target || ' ' || item, ','), '') FROM commands.timers`).Scan(&timers)
					return err == nil && strings.Count(timers, "order ") == 2 && strings.Count(timers, "reservation ") == 2
				})
				kept := d.places()

				d.away(func() { d.change(change...) })
				d.notices(server, time.Now())
				d.refuses(server, kept)
				server.stop()
				if code := server.exit(d.T); code != exitOK {
					d.Errorf("exit code %d", code)
				}

				// A node that was stopped while the log was restored refuses everything, too. It
				// still does so after another stop and start.
				if _, err := d.node.Exec(d.Context(), `UPDATE commands.timers SET due_at = clock_timestamp()`); err != nil {
					d.Fatal(err)
				}
				server = serve(d.T, slices.Concat(d.args, d.also)...)
				d.refuses(server, kept)
				server.stop()
				server.exit(d.T)
				d.says("verify")
				d.says("verify", "--json")
				d.says("rebuild", "orders")

				d.away(func() { d.change(restoreLatest) })
				verifyJSON(d.T, exitOK, d.args...)
				server = serve(d.T, slices.Concat(d.args, d.also)...)
				d.sell(server.url, "after", 1)
				d.atHead(server)
				if r := d.ask(http.MethodGet, server.url+"/readyz", "", ""); r.status != http.StatusOK {
					d.Errorf("with the right log: %s", r.body)
				}
				server.stop()
				server.exit(d.T)
				verifyJSON(d.T, exitOK, d.args...)
			})
		})
	}
}

// If a node starts on a restored log, it says so after its first comparison, and not only when the
// difference is final.
func TestANodeThatStartsOverARestoredLogSaysSoAtOnce(t *testing.T) {
	t.Parallel()
	for name, change := range restores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEachLog(t, func(d *divergence) {
				server := serve(d.T, slices.Concat(d.args, d.also)...)
				d.story(server)
				server.stop()
				server.exit(d.T)
				kept := d.places()
				d.away(func() { d.change(change...) })

				began := time.Now()
				server, announced := launched(d.T, slices.Concat(d.args, d.also)...)
				first := d.notices(server, began)
				if slices.Contains(d.args, storeKurrentDB) {
					command := d.ask(http.MethodPost, server.url+"/v1/carts", uuid.NewString(), `{"currency":"GBP"}`)
					ready := d.ask(http.MethodGet, server.url+"/readyz", "", "")
					for what, r := range map[string]reply{"a read": first, "a command": command} {
						if r.status != http.StatusServiceUnavailable || r.Type != "/problems/log-diverged" || !strings.Contains(r.Detail, mayPass) {
							d.Errorf("%s: %d %s", what, r.status, r.body)
						}
					}
					if ready.status != http.StatusServiceUnavailable || !strings.Contains(ready.body, mayPass) {
						d.Errorf("/readyz: %d %s", ready.status, ready.body)
					}
				} else if strings.Contains(first.Detail, mayPass) {
					d.Errorf("the detail says that it may pass, although a log on PostgreSQL elects no leader: %s", first.body)
				}
				said := <-announced
				if said.URL == "" {
					d.Fatal("the server has ended")
				}
				server.gateway = said.Gateway
				d.refuses(server, kept)
			})
		})
	}
}

// A log in PostgreSQL is replaced in one transaction while clients send commands. Every command
// that is sent after that is told that the log has diverged, although the guard compares only a
// while later. Nothing is written into the restored log.
func TestNoCommandIsTakenByALogThatWasRestored(t *testing.T) {
	t.Parallel()
	for name, change := range restores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.URL(t)
			pool := poolOf(t, url)
			d := &divergence{T: t, pool: pool, node: pool, args: []string{"--database-url", url}}
			server := serve(t, slices.Concat(d.args, d.also)...)
			d.story(server)
			d.ask(http.MethodPost, server.url+"/v1/stock/MUG/main/receipts", "answered", `{"quantity":1,"document":"PO-1"}`)

			load := d.load(server)
			var events int
			load.Go(func() error {
				ctx := load.ctx
				load.runs()
				for {
					err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
						for _, sql := range change {
							if _, err := tx.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
								return err
							}
						}
						return tx.QueryRow(ctx, `SELECT count(*) FROM eventstore.events`).Scan(&events)
					})
					if reply, is := errors.AsType[*pgconn.PgError](err); is && reply.Code == "40P01" {
						continue // the statements and a reader waited for each other, and PostgreSQL ended the statements: do them again
					}
					load.replaced.Store(true)
					return err
				}
			})
			if err := load.Wait(); err != nil {
				t.Error(err)
			}
			if got := d.events(); got != events {
				t.Errorf("%d events were written into the log that was restored", got-events)
			}
			server.stop()
			server.exit(t)
		})
	}
}

// The same with a log in KurrentDB: its server is stopped, and its files are restored. While it
// starts, a command may be told that the log is away, or that its outcome is unknown. But nothing
// is written into the restored log, and soon every command is told that the log has diverged.
func TestNoCommandIsTakenByALogThatWasRestoredUnderItsServer(t *testing.T) {
	slow(t)
	t.Parallel()
	for name, change := range restores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := logs[storeKurrentDB](t)
			server := serve(t, slices.Concat(d.args, d.also)...)
			d.story(server)
			d.ask(http.MethodPost, server.url+"/v1/stock/MUG/main/receipts", "answered", `{"quantity":1,"document":"PO-1"}`)

			load := d.load(server, "unavailable", "outcome-unknown")
			load.runs()
			var events int
			d.away(func() {
				d.change(change...)
				events = d.events()
				load.replaced.Store(true)
			})
			d.notices(server, time.Now())
			if err := load.Wait(); err != nil {
				t.Error(err)
			}
			if got := d.events(); got != events {
				t.Errorf("%d events were written into the log that was restored", got-events)
			}
			server.stop()
			server.exit(t)
			if got := d.events(); got != events {
				t.Errorf("%d events were written when the node stopped", got-events)
			}
		})
	}
}

// load is eight clients that send commands, until each has been told 20 times that the log has
// diverged.
type load struct {
	*errgroup.Group
	ctx      context.Context // ends when a client fails
	replaced atomic.Bool     // set once the log was replaced
	enough   chan struct{}   // closed when 200 commands have been answered before the log was replaced
}

// load starts the clients. The answer to each command that is sent after the log was replaced must
// say that the log has diverged. Other problems are allowed only if also names them.
func (d *divergence) load(server running, also ...string) *load {
	l := &load{enough: make(chan struct{})}
	l.Group, l.ctx = errgroup.WithContext(d.Context())
	var answered atomic.Int64
	for client := range 8 {
		l.Go(func() error {
			for turn, refused := 0, 0; refused < 20; turn++ {
				path, key, body := "/v1/stock/MUG/main/receipts", uuid.NewString(), `{"quantity":1,"document":"PO-2"}`
				switch (client + turn) % 4 {
				case 1:
					path, body = "/v1/carts", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`
				case 2:
					key = "answered"
					body = `{"quantity":1,"document":"PO-1"}`
				case 3: // a command that a rule refuses
					path, body = "/v1/stock/MUG/main/shipments", `{"order_id":"none","shipment_id":"p","quantity":2,"force":true,"reason":"x"}`
				}
				after, began := l.replaced.Load(), time.Now()
				status, text, err := post(l.ctx, server.url+path, key, body)
				if err != nil {
					return err
				}
				is := func(kind string) bool {
					return status == http.StatusServiceUnavailable && strings.Contains(text, `"/problems/`+kind+`"`)
				}
				switch {
				case after && is("log-diverged"):
					refused++
				case after && key == "answered" && status == http.StatusOK && slices.Contains(also, "unavailable") && time.Since(began) >= time.Second:
					// The log was away for a second, so this answer is allowed.
				case after && !slices.ContainsFunc(also, is):
					return fmt.Errorf("%s with key %s after the log was replaced: %d %s", path, key, status, text)
				case !after && answered.Add(1) == 200:
					close(l.enough)
				}
			}
			return nil
		})
	}
	return l
}

// runs waits until the load is under way, or has failed.
func (l *load) runs() {
	select {
	case <-l.enough:
	case <-l.ctx.Done():
	}
}

// post sends a command.
func post(ctx context.Context, url, key, body string) (status int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(all), err
}

// A log is restored table by table, so tables are missing for a while. The node says so in plain
// words. It takes no command until it is started again, even if the same log comes back, because
// the log came back piece by piece.
func TestALogWhoseTablesAreMissingIsSaidToBeRestored(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	pool := poolOf(t, url)
	d := &divergence{T: t, pool: pool, node: pool, args: []string{"--database-url", url}}
	server := serve(t, slices.Concat(d.args, d.also)...)
	d.story(server)
	d.change(`DROP SCHEMA latest CASCADE; ALTER SCHEMA eventstore RENAME TO away`)
	receipt := func() reply {
		return d.ask(http.MethodPost, server.url+"/v1/stock/MUG/main/receipts", uuid.NewString(), `{"quantity":1,"document":"PO-2"}`)
	}
	refuses := func(when string) {
		t.Helper()
		if r := receipt(); r.Type != "/problems/log-diverged" || !strings.Contains(r.Detail, "found not all tables of the log, because it is being restored, or was dropped") {
			t.Errorf("%s, a command: %d %s", when, r.status, r.body)
		}
		if r := d.ask(http.MethodGet, server.url+"/readyz", "", ""); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "it is being restored") {
			t.Errorf("%s, /readyz: %d %s", when, r.status, r.body)
		}
	}
	refuses("without the tables")
	got := call(t, nil, append([]string{"verify"}, d.args...)...)
	if got.code != exitFailure || !strings.Contains(got.stderr, "it is being restored") {
		t.Errorf("verify: exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	d.change(`ALTER SCHEMA away RENAME TO eventstore`)
	events := d.events()
	refuses("with the same tables again")
	if got := d.events(); got != events {
		t.Errorf("%d events were added", got-events)
	}
	server.stop()
	server.exit(t)
	server = serve(t, slices.Concat(d.args, d.also)...)
	if r := receipt(); r.status != http.StatusOK {
		t.Errorf("after a new start: %d %s", r.status, r.body)
	}
	server.stop()
	server.exit(t)
	verifyJSON(t, exitOK, d.args...)
}

// The database of an older program has no anchors with its places. The first start stores an anchor
// of the present log, so that a restore right after the upgrade is noticed, although no place has
// moved.
func TestARestoreRightAfterAnUpgradeIsNoticed(t *testing.T) {
	t.Parallel()
	for name, change := range restores {
		if name == "another log altogether" { // this needs no anchor, because the database knows the first event of its log
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEachLog(t, func(d *divergence) {
				server := serve(d.T, slices.Concat(d.args, d.also)...)
				d.story(server)
				server.stop()
				server.exit(d.T)
				if _, err := d.node.Exec(d.Context(), `
					UPDATE projections.builds SET anchor = '';
					UPDATE gateway.groups SET anchor = '';
					UPDATE commands.checkpoints SET anchor = '';
					DELETE FROM commands.checkpoints WHERE reader IN ('seen', 'answers')`, pgx.QueryExecModeSimpleProtocol); err != nil {
					d.Fatal(err)
				}
				server = serve(d.T, slices.Concat(d.args, d.also)...)
				server.stop()
				server.exit(d.T)

				d.away(func() { d.change(change...) })
				d.says("verify")
				d.away(func() { d.change(restoreLatest) })
				verifyJSON(d.T, exitOK, d.args...)
			})
		})
	}
}
