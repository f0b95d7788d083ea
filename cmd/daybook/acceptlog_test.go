package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/cmd/daybook/shoppers"
	"daybook/eventstore"
	gatewaypg "daybook/eventstore/gateway/postgres"
	"daybook/internal/pgtest"
)

// acceptJSON runs accept-log, fails unless it ends with this exit code, and returns its report.
func acceptJSON(t *testing.T, code int, args ...string) acceptReport {
	t.Helper()
	got := call(t, nil, append([]string{"accept-log", "--json"}, args...)...)
	if got.code != code {
		t.Fatalf("exit code %d, want %d: %s%s", got.code, code, got.stdout, got.stderr)
	}
	var report acceptReport
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatalf("%v in %s", err, got.stdout)
	}
	return report
}

// kind is the part of a report about one kind of thing.
func (r acceptReport) kind(name string) unknown {
	for _, u := range r.Unknown {
		if u.Kind == name {
			return *u
		}
	}
	return unknown{Known: -1}
}

func (u unknown) String() string {
	return fmt.Sprintf("%d %s, %d missing, %d different", u.Known, u.Kind, u.Missing, u.Different)
}

func execute(t *testing.T, pool *pgxpool.Pool, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// dumpLog copies the log of a database, as a dump of the schema eventstore does, and returns a
// function that puts the copy back.
func dumpLog(t *testing.T, pool *pgxpool.Pool) (restore func()) {
	t.Helper()
	execute(t, pool, `DROP SCHEMA IF EXISTS dump CASCADE`, `CREATE SCHEMA dump`,
		`CREATE TABLE dump.events AS TABLE eventstore.events`, `CREATE TABLE dump.streams AS TABLE eventstore.streams`, `CREATE TABLE dump.head AS TABLE eventstore.head`)
	return func() {
		t.Helper()
		execute(t, pool, `TRUNCATE eventstore.events, eventstore.streams, eventstore.head`,
			`INSERT INTO eventstore.events SELECT * FROM dump.events`,
			`INSERT INTO eventstore.streams OVERRIDING SYSTEM VALUE SELECT * FROM dump.streams`,
			`INSERT INTO eventstore.head SELECT * FROM dump.head`)
	}
}

// shop sells one SKU, one unit with each order.
type shop struct {
	t      *testing.T
	name   string   // a part of its keys
	args   []string // of serve
	server running
	client *shoppers.Client
	sold   []sale
}

// sale is an order and the request that placed it.
type sale struct{ key, cart, order string }

const (
	shopSKU   = "RESTORED"
	shopUnits = 1000
)

func openShop(t *testing.T, args ...string) *shop {
	t.Helper()
	s := joinShop(t, args...)
	goods := shoppers.Product{SKU: shopSKU, Title: "A", Price: shoppers.Money{Amount: "1.00", Currency: "GBP"}, Opening: shopUnits}
	if _, err := shoppers.Open(t.Context(), s.client, []shoppers.Product{goods}); err != nil {
		t.Fatal(err)
	}
	return s
}

// joinShop sells the stock with which another shop was opened.
func joinShop(t *testing.T, args ...string) *shop {
	t.Helper()
	s := &shop{t: t, name: uuid.NewString(), args: args}
	s.start()
	return s
}

func (s *shop) start() {
	s.t.Helper()
	s.server = serve(s.t, s.args...)
	s.client = newShopper(s.server.url, 4)
}

func (s *shop) stop() {
	s.t.Helper()
	s.client.Close()
	s.server.stop()
	if code := s.server.exit(s.t); code != exitOK {
		s.t.Errorf("exit code %d\n%s", code, s.server.log.String())
	}
}

// sell places orders. Each is paid and confirmed, except every fourth: it waits for both, so that
// it has a timer.
func (s *shop) sell(count int) {
	s.t.Helper()
	for range count {
		cart, err := s.client.OpenCart(s.t.Context(), "ann", "GBP", "", []shoppers.Line{{SKU: shopSKU, Quantity: 1}})
		if err != nil {
			s.t.Fatal(err)
		}
		key := fmt.Sprintf("buy-%d-of-%s", len(s.sold), s.name)
		order, _, err := s.client.Checkout(s.t.Context(), key, cart, s.pays(len(s.sold)))
		if err != nil {
			s.t.Fatal(err)
		}
		s.sold = append(s.sold, sale{key, cart, order.OrderID})
	}
}

func (s *shop) pays(n int) bool { return n%4 != 3 }

// repeat asks for a sale again, under its key.
func (s *shop) repeat(n int) (order string, err error) {
	placed, reply, err := s.client.Checkout(s.t.Context(), s.sold[n].key, s.sold[n].cart, s.pays(n))
	if err == nil && !reply.Replayed {
		s.t.Errorf("the repeated request %d was not known", n)
	}
	return placed.OrderID, err
}

// shows fails unless the read models show exactly these sales, and the stock that is left after
// them.
func (s *shop) shows(sales []sale) {
	s.t.Helper()
	eventually(s.t, patience, "the orders show", func() bool {
		return len(list[orderRow](s.t, s.server.url+"/v1/orders?limit=500")) == len(sales)
	})
	for _, sale := range sales {
		get[orderRow](s.t, s.server.url+"/v1/orders/"+url.PathEscape(sale.order))
	}
	eventually(s.t, patience, "the stock shows them", func() bool {
		got := get[shoppers.Stock](s.t, s.server.url+"/v1/stock/"+shopSKU+"/main")
		return got.OnHand == shopUnits && got.Reserved+got.Allocated == int64(len(sales)) && got.Available == shopUnits-int64(len(sales))
	})
}

// settled waits until the answers and the timers of all sales of a shop are stored.
func (s *shop) settled(pool *pgxpool.Pool) {
	s.t.Helper()
	waiting := 0
	for n := range s.sold {
		if !s.pays(n) {
			waiting++
		}
	}
	eventually(s.t, patience, "answers and timers are stored", func() bool {
		var answers, reservations, orders int
		err := pool.QueryRow(s.t.Context(), `SELECT (SELECT count(*) FROM commands.answers WHERE key LIKE 'buy-%'),
			count(*) FILTER (WHERE kind = 'reservation'), count(*) FILTER (WHERE kind = 'order') FROM commands.timers`).Scan(&answers, &reservations, &orders)
		return err == nil && answers == len(s.sold) && reservations == waiting && orders == waiting
	})
}

// The log of a database is restored from a dump, and the rest of the database is not.
func TestALogThatWasRestoredIsAccepted(t *testing.T) {
	t.Parallel()
	database := pgtest.URL(t)
	flags := []string{"--database-url", database}
	s := openShop(t, flags...)
	pool := poolOf(t, database)
	s.sell(20)
	restore := dumpLog(t, pool)
	s.sell(20)
	s.shows(s.sold)
	s.settled(pool)

	got := call(t, nil, append([]string{"accept-log", "--yes"}, flags...)...)
	if got.code != exitFailure || !strings.Contains(got.stderr, "another Daybook runs on this database") || !strings.Contains(got.stderr, "daybook commands from") || !strings.Contains(got.stderr, "lease ends in") {
		t.Errorf("while a node runs: exit code %d, %s", got.code, got.stderr)
	}
	s.stop()
	if report := acceptJSON(t, exitOK, append(flags, "--dry-run")...); report.unknowns() != 0 || report.kind("orders").Known != 40 || report.kind("answers").Known < 40 || report.Events == 0 {
		t.Errorf("before the restore: %v", report.Unknown)
	}
	restore()

	before := everything(t, pool)
	for _, how := range [][]string{{"--dry-run"}, nil} {
		code := exitOK
		if how == nil {
			code = exitFailure // there is no terminal
		}
		report := acceptJSON(t, code, append(flags, how...)...)
		orders, answers, timers := report.kind("orders"), report.kind("answers"), report.kind("timers")
		if orders.Known != 40 || orders.Missing != 20 || orders.Different != 0 || len(orders.Newest) != 10 || orders.Newest[0].ID != s.sold[39].order {
			t.Errorf("orders: %v, the newest %+v", orders, orders.Newest)
		}
		// Each checkout has a cart that was opened under a key.
		if answers.Missing < 40 || len(answers.Newest) != 10 {
			t.Errorf("answers: %v, the newest %+v", answers, answers.Newest)
		}
		if timers.Missing < 5 || timers.Missing == timers.Known {
			t.Errorf("timers: %v", timers)
		}
		if stock := report.kind("stock"); stock.Different != 1 {
			t.Errorf("stock: %v", stock)
		}
		if report.Accepted || report.AnotherLog != "" || !report.LastRecorded.Before(report.KnownUntil) {
			t.Errorf("report %+v", report)
		}
	}
	if after := everything(t, pool); after != before {
		t.Errorf("something was changed without a yes: %s, was %s", after, before)
	}

	report := acceptJSON(t, exitOK, append(flags, "--yes")...)
	if !report.Accepted || len(report.Views) != len(viewNames()) || report.Timers == 0 || report.Parked != 0 {
		t.Errorf("report %+v", report)
	}
	if report := verifyJSON(t, exitOK, flags...); report.Differences != 0 {
		t.Errorf("verify: %s", differ(report))
	}
	kept := s.sold[:20]
	s.start()
	s.shows(kept)
	if order, err := s.repeat(4); err != nil || order != kept[4].order {
		t.Errorf("a request that the log knows: order %q, %v; want %q", order, err, kept[4].order)
	}
	if order, err := s.repeat(30); err == nil {
		t.Errorf("a request that the log does not know was answered with order %s", order)
	}
	s.sold = kept[:len(kept):len(kept)]
	s.sell(3)
	s.shows(s.sold)
	s.stop()
	if report := verifyJSON(t, exitOK, flags...); report.Differences != 0 {
		t.Errorf("verify after new orders: %s", differ(report))
	}
	if report := acceptJSON(t, exitOK, append(flags, "--dry-run")...); report.unknowns() != 0 {
		t.Errorf("afterwards: %v", report.Unknown)
	}
}

// copyLog replaces the log of one database by that of another, even while programs use them.
func copyLog(t *testing.T, from, to *pgxpool.Pool) {
	t.Helper()
	// All tables are read as they are at one moment.
	whole := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(t.Context(), from, whole, func(read pgx.Tx) error {
		return pgx.BeginFunc(t.Context(), to, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), `TRUNCATE eventstore.events, eventstore.streams, eventstore.head`); err != nil {
				return err
			}
			for table := range strings.FieldsSeq(logTables) {
				var rows bytes.Buffer
				if _, err := read.Conn().PgConn().CopyTo(t.Context(), &rows, `COPY eventstore.`+table+` TO STDOUT`); err != nil {
					return err
				}
				if _, err := tx.Conn().PgConn().CopyFrom(t.Context(), &rows, `COPY eventstore.`+table+` FROM STDIN`); err != nil {
					return err
				}
			}
			_, err := tx.Exec(t.Context(), `SELECT setval(pg_get_serial_sequence('eventstore.streams', 'stream_id'), max(stream_id)) FROM eventstore.streams`)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// In each engine, the log becomes shorter, has grown past the old end, or is a quite different one.
// The node runs meanwhile, or is stopped. No command is taken and nothing is projected until the
// log is accepted. After that verify finds no difference.
func TestARestoredLogIsAccepted(t *testing.T) {
	slow(t)
	t.Parallel()
	const shorter, grown, another = "shorter", "grown past the old end", "another log"
	for _, is := range []string{shorter, grown, another} {
		for _, state := range []string{"running", "stopped"} {
			t.Run(is+", under a "+state+" node", func(t *testing.T) {
				t.Parallel()
				onEachLog(t, func(d *divergence) {
					s := openShop(d.T, slices.Concat(d.args, d.also)...)
					s.sell(8)
					s.shows(s.sold)
					elsewhere := d.another()
					var other *shop
					kept := s.sold[:8:8]
					if is == another {
						other, kept = openShop(d.T, elsewhere.args...), nil
					} else {
						elsewhere.away(func() { copyLog(d.T, d.pool, elsewhere.pool) })
					}
					if is == grown {
						other = joinShop(d.T, elsewhere.args...)
					}
					s.sell(8)
					s.shows(s.sold)
					s.settled(d.node)
					d.atHead(s.server)
					lost := int64(len(s.sold) - len(kept))
					if other != nil {
						other.sell(12)
						other.stop()
						kept = append(kept, other.sold...)
					}

					if state == "stopped" {
						s.stop()
					}
					places := d.places()
					d.away(func() { copyLog(d.T, elsewhere.pool, d.pool) })
					if state == "running" {
						d.notices(s.server, time.Now())
						d.refuses(s.server, places)
						if got := call(d.T, nil, append([]string{"accept-log", "--yes"}, d.args...)...); got.code != exitFailure || !strings.Contains(got.stderr, "another Daybook runs on this database") {
							d.Errorf("while a node runs that has diverged: exit code %d, %s", got.code, got.stderr)
						}
						s.stop()
					}
					s.start()
					d.refuses(s.server, places)
					s.stop()
					if got := call(d.T, nil, append([]string{"verify"}, d.args...)...); got.code != exitFailure || !strings.Contains(got.stderr, "run daybook accept-log") {
						d.Errorf("verify: exit code %d, %s", got.code, got.stderr)
					}

					report := acceptJSON(d.T, exitOK, append(d.args, "--yes")...)
					if orders := report.kind("orders"); orders.Known != 16 || orders.Missing != lost || orders.Different != 0 || !report.Accepted || !report.placesDiverged() {
						d.Errorf("orders: %v; report %+v", orders, report)
					}
					if (report.AnotherLog != "") != (is == another) {
						d.Errorf("another log: %q", report.AnotherLog)
					}
					verifyJSON(d.T, exitOK, d.args...)
					s.start()
					s.shows(kept)
					if is != another {
						if order, err := s.repeat(4); err != nil || order != kept[4].order {
							d.Errorf("a request that the log knows: order %q, %v; want %q", order, err, kept[4].order)
						}
					}
					if order, err := s.repeat(12); err == nil {
						d.Errorf("a request that the log does not know was answered with order %s", order)
					}
					s.sold = kept
					s.sell(2)
					s.shows(s.sold)
					s.stop()
					verifyJSON(d.T, exitOK, d.args...)
				})
			})
		}
	}
}

// park makes a group that handles some events of a stream, leaves the next one
// unanswered and parks the one after that: its checkpoint stays before both.
func park(t *testing.T, client *esdb.Client, stream string, handled int) {
	t.Helper()
	const group = "parkers"
	if err := client.CreatePersistentSubscription(t.Context(), stream, group, esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}}); err != nil {
		t.Fatal(err)
	}
	subscription, err := client.SubscribeToPersistentSubscription(t.Context(), stream, group, esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { subscription.Close() })
	for n := 0; n < handled+2; {
		message := subscription.Recv()
		if message.SubscriptionDropped != nil {
			t.Fatal(message.SubscriptionDropped.Error)
		}
		if message.EventAppeared == nil {
			continue
		}
		switch event := message.EventAppeared.Event; {
		case n < handled:
			err = subscription.Ack(event)
		case n > handled:
			err = subscription.Nack("bad", esdb.NackActionPark, event)
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
}

// A group of the gateway was beyond the end of the restored log. It must still get the events that
// are written there later.
func TestGroupsBeginAgainInARestoredLog(t *testing.T) {
	slow(t)
	t.Parallel()
	database := pgtest.URL(t)
	flags := []string{"--database-url", database}
	s := openShop(t, append(flags[:2:2], "--gateway", "127.0.0.1:0", "--access", accessOff)...)
	client := dialGateway(t, s.server.gateway)
	write := func(notes ...byte) {
		t.Helper()
		for _, n := range notes {
			if _, err := client.AppendToStream(t.Context(), "notes", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, note(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	const group = "readers"
	if err := client.CreatePersistentSubscription(t.Context(), "notes", group, esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}}); err != nil {
		t.Fatal(err)
	}
	write(0, 1, 2)
	take(t, client, group, 3)
	s.sell(2)
	pool := poolOf(t, database)
	restore := dumpLog(t, pool)
	write(3, 4)
	take(t, client, group, 2)
	park(t, client, "notes", 3)
	s.sell(1)
	s.shows(s.sold)
	eventually(t, patience, "an event is parked", func() bool { return holds(t, pool, `SELECT FROM gateway.parked`) })
	s.stop()
	if report := acceptJSON(t, exitOK, append(flags, "--dry-run")...); report.unknowns() != 0 || len(report.Groups) != 0 {
		t.Errorf("before the restore: %v, groups %v", report.Unknown, report.Groups)
	}
	restore()

	report := acceptJSON(t, exitOK, append(flags, "--yes")...)
	if len(report.Groups) != 1 || report.Groups[0] != (gatewaypg.Move{Source: "notes", Name: group, From: eventstore.At(5), To: eventstore.At(3)}) {
		t.Errorf("groups %+v", report.Groups)
	}
	if holds(t, pool, `SELECT FROM gateway.parked`) {
		t.Error("an event is parked that the log does not have")
	}
	s.start()
	client = dialGateway(t, s.server.gateway)
	write(7, 8)
	if took := take(t, client, group, 2); took[0] != 3 || took[1] != 4 {
		t.Errorf("the group was given %v, want the new events 3 and 4", took)
	}
	s.stop()
	verifyJSON(t, exitOK, flags...)
}

// everything returns a text that changes if any table of the database changes. The copies in the
// schema dump do not count.
func everything(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT schemaname || '.' || tablename FROM pg_tables
		WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'dump') ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, table := range tables {
		var sum string
		err := pool.QueryRow(context.WithoutCancel(t.Context()), `SELECT count(*) || ':' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM `+table+` t`).Scan(&sum)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(table + "=" + sum + "\n")
	}
	return all.String()
}

// If the log has not diverged, there is nothing to accept, even with --yes.
func TestALogThatHasNotDivergedIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	database := pgtest.URL(t)
	flags := []string{"--database-url", database}
	s := openShop(t, flags...)
	pool := poolOf(t, database)
	s.sell(4)
	s.shows(s.sold)
	s.settled(pool)
	s.stop()
	before := everything(t, pool)
	for _, how := range []string{"--yes", "--dry-run", ""} {
		args := append([]string{"accept-log"}, flags...)
		if how != "" {
			args = append(args, how)
		}
		if got := call(t, nil, args...); got.code != exitOK || !strings.Contains(got.stdout, "There is nothing to accept: PostgreSQL knows nothing that this log does not have. Nothing was changed.") {
			t.Errorf("accept-log %s: exit code %d, %s%s", how, got.code, got.stdout, got.stderr)
		}
	}
	if report := acceptJSON(t, exitOK, append(flags, "--yes")...); report.Accepted || report.Diverged || report.Events == 0 {
		t.Errorf("report %+v", report)
	}
	if after := everything(t, pool); after != before {
		t.Errorf("it has changed\n%s\nto\n%s", before, after)
	}
}
