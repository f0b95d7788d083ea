package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/internal/pgtest"
)

// scarceInvoices are sales and cancellations of a few SKUs of which there is
// not enough, so that what becomes of an order depends on all before it.
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

// An import is killed twice in its midst, by a signal it cannot see, and run
// again each time. It ends as one that was left alone: the same orders taken
// and refused, the same stock, the same number of events.
func TestAnImportKilledInItsMidstEndsAsIfItWereNot(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a real process; not in short mode")
	}
	t.Parallel()
	file := writeFile(t, "invoices.csv", scarceInvoices(300))
	arguments := func(url string) []string {
		return []string{file, "--opening", "100", "--workers", "16", "--database-url", url}
	}
	whole := importJSON(t, arguments(pgtest.URL(t))...)
	if whole.OrdersTaken == 0 || whole.OrdersRefused == 0 {
		t.Fatalf("the file proves nothing: %+v", whole)
	}

	path, url := build(t), pgtest.URL(t)
	for _, events := range []int64{whole.Events / 4, whole.Events / 2} {
		command := exec.CommandContext(t.Context(), path, append([]string{"import"}, arguments(url)...)...)
		log := &logBuffer{}
		command.Stderr = log
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Minute, fmt.Sprintf("%d events are in the log", events), func() bool { return logLength(t, url) >= events })
		if err := command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := command.Wait(); err == nil {
			t.Fatalf("the import was not killed in its midst\n%s", log.String())
		}
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

// logLength is the number of events in a log; 0 if there is none yet.
func logLength(t *testing.T, url string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var made bool
	var length int64
	if err := conn.QueryRow(ctx, `SELECT to_regclass('eventstore.head') IS NOT NULL`).Scan(&made); err != nil {
		t.Fatal(err)
	}
	if made {
		if err := conn.QueryRow(ctx, `SELECT position FROM eventstore.head`).Scan(&length); err != nil {
			t.Fatal(err)
		}
	}
	return length
}
