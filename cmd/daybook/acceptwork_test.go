package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/cmd/daybook/shoppers"
	"daybook/internal/pgtest"
)

// cutLog removes all events after a position, as a restore to a point in time does.
func cutLog(t *testing.T, pool *pgxpool.Pool, position int64) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `DELETE FROM eventstore.events WHERE position > $1`, position); err != nil {
		t.Fatal(err)
	}
	execute(t, pool,
		`UPDATE eventstore.streams s SET revision = (SELECT coalesce(max(e.revision), -1) FROM eventstore.events e WHERE e.stream_id = s.stream_id)`,
		`UPDATE eventstore.head SET (position, recorded_at) = (SELECT position, recorded_at FROM eventstore.events ORDER BY position DESC LIMIT 1)`)
}

func number(t *testing.T, pool *pgxpool.Pool, sql string) (n int64) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// sellStepByStep places an order that is not recorded in one append, because one of its two lines
// is short and is left out.
func (s *shop) sellStepByStep() (order string) {
	s.t.Helper()
	short := shoppers.Product{SKU: "SHORT", Title: "B", Price: shoppers.Money{Amount: "1.00", Currency: "GBP"}, Opening: 1}
	if _, err := shoppers.Open(s.t.Context(), s.client, []shoppers.Product{short}); err != nil {
		s.t.Fatal(err)
	}
	cart, err := s.client.OpenCart(s.t.Context(), "ann", "GBP", "", []shoppers.Line{{SKU: shopSKU, Quantity: 1}, {SKU: short.SKU, Quantity: 2}})
	if err != nil {
		s.t.Fatal(err)
	}
	key := "buy-a-part-of-" + s.name
	placed, _, err := s.client.CheckoutWithoutShortLines(s.t.Context(), key, cart)
	if err != nil {
		s.t.Fatal(err)
	}
	s.sold = append(s.sold, sale{key, cart, placed.OrderID})
	return placed.OrderID
}

// A backup can end in the middle of a checkout. accept-log finishes this checkout, so that no work
// is left undone.
func TestAnAcceptedLogHasNoUnfinishedWork(t *testing.T) {
	slow(t)
	t.Parallel()
	database := pgtest.URL(t)
	flags := []string{"--database-url", database}
	s := openShop(t, flags...)
	s.sell(2)
	order := s.sellStepByStep()
	s.shows(s.sold)
	s.stop()
	pool := poolOf(t, database)
	cutLog(t, pool, number(t, pool, `SELECT max(position) FROM eventstore.events WHERE type = 'stock.reserved.v1'`))
	if n := number(t, pool, `SELECT count(*) FROM eventstore.events WHERE type LIKE 'order.placed.%'`); n != 2 {
		t.Fatalf("%d orders in the log that was cut, want 2", n)
	}
	report := acceptJSON(t, exitOK, append(flags, "--yes")...)
	if orders := report.kind("orders"); orders.Missing != 1 || report.Parked != 0 {
		t.Errorf("orders: %v; report %+v", orders, report)
	}
	if n := number(t, pool, `SELECT count(*) FROM read.orders WHERE order_id = '`+order+`' AND status = 'pending'`); n != 1 {
		t.Error("the order whose checkout was under way was not placed")
	}
	s.start()
	s.shows(s.sold)
	s.stop()
	verifyJSON(t, exitOK, flags...)
}

// An import was complete, and then its log was restored. It is run again, and imports what is
// missing.
func TestAnImportGoesOnInARestoredLog(t *testing.T) {
	slow(t)
	t.Parallel()
	for name, keep := range map[string]string{
		"half of it is left": `SELECT max(position) / 2 FROM eventstore.events`,
		"nothing is left":    `SELECT min(position) FROM eventstore.events`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, database := writeFile(t, "invoices.csv", someInvoices), pgtest.URL(t)
			before := importJSON(t, file, "--database-url", database)
			pool := poolOf(t, database)
			cutLog(t, pool, number(t, pool, keep))
			if report := acceptJSON(t, exitOK, "--database-url", database, "--yes"); report.unknowns() == 0 {
				t.Errorf("report %+v", report)
			}
			after := importJSON(t, file, "--database-url", database)
			if !after.Complete || after.AlreadyIn != 0 || after.OrdersTaken != before.OrdersTaken || after.UnitsTaken != before.UnitsTaken || after.ClosingUnits != before.ClosingUnits {
				t.Errorf("imported again: %+v, the first time %+v", after, before)
			}
			verifyJSON(t, exitOK, "--database-url", database, "--against", file)
		})
	}
}

// The command starts the program's own PostgreSQL if no server is using it.
func TestALogInADataDirectoryIsAccepted(t *testing.T) {
	slow(t)
	t.Parallel()
	dir := dataDir(t)
	s := openShop(t, "--data", dir)
	s.sell(2)
	s.shows(s.sold)
	got := call(t, nil, "accept-log", "--yes", "--data", dir)
	if got.code != exitFailure || !strings.Contains(got.stderr, "a node runs on this data: stop it first") || strings.Contains(got.stderr, "--database-url") {
		t.Errorf("while a node runs: exit code %d, %s", got.code, got.stderr)
	}
	s.stop()
	// A backup has all of an append or nothing, and the second order's checkout is one append.
	query(t, dir, `UPDATE eventstore.head SET position = (SELECT max(position) FROM eventstore.events WHERE type LIKE 'cart.checkout_started.%') - 1`)
	query(t, dir, `DELETE FROM eventstore.events WHERE position > (SELECT position FROM eventstore.head)`)
	query(t, dir, `UPDATE eventstore.streams s SET revision = (SELECT coalesce(max(e.revision), -1) FROM eventstore.events e WHERE e.stream_id = s.stream_id)`)
	report := acceptJSON(t, exitOK, "--data", dir, "--yes")
	if orders := report.kind("orders"); orders.Missing != 1 || !report.Accepted {
		t.Errorf("orders: %v", orders)
	}
	expectVerified(t, dir)
	if got := call(t, nil, "accept-log", "--data", filepath.Join(dir, "mistyped")); got.code != exitFailure || !strings.Contains(got.stderr, "there is nothing to accept") {
		t.Errorf("a missing folder: exit code %d, %s", got.code, got.stderr)
	}
}
