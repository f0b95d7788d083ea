package main

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"daybook/internal/pgtest"
)

// scarceInvoices has sales and cancellations of a few SKUs with too little stock. So the outcome of
// an order depends on all invoices before it.
func scarceInvoices(invoices int) string {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same in every run
	var text strings.Builder
	text.WriteString(invoicesHead)
	for n := range invoices {
		number, sign, customer := fmt.Sprint(1000+n), "", 1+random.IntN(9)
		if random.IntN(6) == 0 {
			number, sign = "C"+number, "-"
		}
		for range 1 + random.IntN(12) {
			fmt.Fprintf(&text, "%s,SKU%d,A THING,%s%d,2010-12-01 08:26:00,1.25,%d,United Kingdom\n",
				number, random.IntN(30), sign, 1+random.IntN(9), customer)
		}
	}
	return text.String()
}

// An import is killed twice in the middle, by a signal that it cannot catch, and run again each
// time. Its result must be that of an import without interruption: the same orders placed and
// refused, the same stock, the same number of events.
func TestAnImportKilledInItsMidstEndsAsIfItWereNot(t *testing.T) {
	t.Parallel()
	invoices := 100
	if proving() {
		invoices = 300
	}
	file := writeFile(t, "invoices.csv", scarceInvoices(invoices))
	arguments := func(url string) []string {
		return []string{file, "--opening", "100", "--workers", "16", "--database-url", url}
	}
	whole := importJSON(t, arguments(pgtest.URL(t))...)
	if whole.OrdersTaken == 0 || whole.OrdersRefused == 0 {
		t.Fatalf("the file proves nothing: %+v", whole)
	}

	path, url := build(t), pgtest.URL(t)
	for _, events := range []int64{whole.Events / 4, whole.Events / 2} {
		reached, letGo := halt(t, url, events)
		command := exec.CommandContext(t.Context(), path, append([]string{"import"}, arguments(url)...)...)
		log := &logBuffer{}
		command.Stderr = log
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, patience, fmt.Sprintf("%d events are in the log", events), reached)
		if err := command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := command.Wait(); err == nil {
			t.Fatalf("the import was not killed in the middle\n%s", log.String())
		}
		letGo()
	}
	again := importJSON(t, arguments(url)...)
	again.Seconds, again.AlreadyIn = whole.Seconds, 0
	if a, b := encode(t, whole), encode(t, again); string(a) != string(b) {
		t.Errorf("killed:\n%s\nleft alone:\n%s", b, a)
	}
	if got := call(t, nil, "verify", "--database-url", url); got.code != exitOK {
		t.Errorf("verify: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}

// halt stops a log from growing beyond a number of events, so that a slow test cannot miss this
// moment. reached tells whether an append waits there. letGo lets the log grow again.
func halt(t *testing.T, url string, events int64) (reached func() bool, letGo func()) {
	t.Helper()
	if got := call(t, nil, "migrate", "--database-url", url); got.code != exitOK {
		t.Fatalf("migrate: exit code %d\n%s", got.code, got.stderr)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	exec(fmt.Sprintf(`CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF NEW.position >= %d THEN
				PERFORM pg_advisory_xact_lock_shared(1);
			END IF;
			RETURN NEW;
		END $$`, events))
	exec(`CREATE TRIGGER halt BEFORE UPDATE ON eventstore.head FOR EACH ROW EXECUTE FUNCTION halt()`)
	exec(`SELECT pg_advisory_lock(1)`)
	reached = func() (waits bool) {
		err := conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory')`).Scan(&waits)
		if err != nil {
			t.Fatal(err)
		}
		return waits
	}
	letGo = func() {
		exec(`SELECT pg_advisory_unlock(1)`)
		exec(`DROP FUNCTION halt() CASCADE`)
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	return reached, letGo
}
