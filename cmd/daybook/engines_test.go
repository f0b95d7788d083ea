package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"daybook/cmd/daybook/shoppers"
	"daybook/eventstore/kurrentdb"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/gatewaytest"
	"daybook/internal/pgtest"
)

// onEachEngine runs a test with each engine of the log. The test gets the flags that name the
// engine; the log is empty.
//
// The KurrentDB is our own gateway over a log of its own, so the test uses the real client and real
// gRPC. KURRENTDB_URL names another server. Its log must be empty, so it can be used for one test
// only.
func onEachEngine(t *testing.T, test func(t *testing.T, log []string)) {
	t.Helper()
	t.Run(storePostgres, func(t *testing.T) {
		t.Parallel()
		test(t, nil)
	})
	t.Run(storeKurrentDB, func(t *testing.T) {
		t.Parallel()
		connection := os.Getenv("KURRENTDB_URL")
		if connection == "" {
			connection = openGatewayOver(t, pgtest.URL(t))
		}
		mustBeEmpty(t, connection)
		test(t, []string{"--store", storeKurrentDB, "--kurrentdb-url", connection})
	})
}

// openGatewayOver serves a log in a fresh database to clients of EventStoreDB,
// and lets them write everything. It returns the connection string.
func openGatewayOver(t *testing.T, database string) string {
	t.Helper()
	pool, err := openPool(t.Context(), database, "gateway", 8, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if err := eventstorepg.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	store, err := eventstorepg.Open(t.Context(), pool, eventstorepg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ending := context.WithoutCancel(t.Context())
	t.Cleanup(func() { store.Close(ending) })
	return gatewaytest.Serve(t, store)
}

// mustBeEmpty skips the test if the server holds events, because they would change what the tests
// count.
func mustBeEmpty(t *testing.T, connection string) {
	t.Helper()
	log, err := kurrentdb.Open(t.Context(), connection, kurrentdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close(t.Context())
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !head.IsStart() {
		t.Skipf("the log in KURRENTDB_URL is not empty (its head is %s): run one test at a time, each on a new server", head)
	}
}

// A whole story through the real server: goods arrive, an order is placed and shipped, and a unit
// comes back. Then the test looks at what readers see.
func TestACheckoutFromShelfToShelf(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, log []string) {
		dir := dataDir(t)
		server := serve(t, append([]string{"--data", dir}, log...)...)
		client := newShopper(server.url, 4)
		defer client.Close()
		goods := shoppers.Product{SKU: "SHELF-1", Title: "A", Price: shoppers.Money{Amount: "3.10", Currency: "GBP"}, Opening: 10}
		if _, err := shoppers.Open(t.Context(), client, []shoppers.Product{goods}); err != nil {
			t.Fatal(err)
		}
		cart, err := client.OpenCart(t.Context(), "ann", "GBP", "", []shoppers.Line{{SKU: goods.SKU, Quantity: 4}})
		if err != nil {
			t.Fatal(err)
		}
		order, _, err := client.Checkout(t.Context(), uuid.NewString(), cart, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Deliver(t.Context(), order.OrderID); err != nil {
			t.Fatal(err)
		}
		eventually(t, recoveryLimit, "the goods have left the shelf", func() bool {
			return get[shoppers.Stock](t, server.url+"/v1/stock/SHELF-1/main") == shoppers.Stock{OnHand: 6, Available: 6}
		})
		var got orderRow
		eventually(t, recoveryLimit, "the view has the whole order", func() bool {
			all := list[orderRow](t, server.url+"/v1/orders?payment_state=paid")
			i := slices.IndexFunc(all, func(o orderRow) bool { return o.OrderID == order.OrderID })
			if i >= 0 {
				got = all[i]
			}
			return i >= 0
		})
		if got.CartID != cart || got.Units != 4 || got.PaymentState != "paid" {
			t.Errorf("order %+v", got)
		}
		if err := client.Return(t.Context(), order); err != nil {
			t.Fatal(err)
		}
		eventually(t, recoveryLimit, "the unit that came back is there", func() bool {
			return get[shoppers.Stock](t, server.url+"/v1/stock/SHELF-1/main") == shoppers.Stock{OnHand: 7, Available: 7}
		})
		server.stop()
		if code := server.exit(t); code != exitOK {
			t.Errorf("exit code %d", code)
		}
		expectVerified(t, dir, log...)
	})
}

// Many buyers ask for the last units at once, each for one.
func TestTheLastUnitsAreSoldOnce(t *testing.T) {
	t.Parallel()
	const buyers, units = 32, 3
	onEachEngine(t, func(t *testing.T, log []string) {
		dir := dataDir(t)
		server := serve(t, append([]string{"--data", dir}, log...)...)
		client := newShopper(server.url, buyers)
		defer client.Close()
		goods := shoppers.Product{SKU: "LAST", Title: "A", Price: shoppers.Money{Amount: "1.00", Currency: "GBP"}, Opening: units}
		if _, err := shoppers.Open(t.Context(), client, []shoppers.Product{goods}); err != nil {
			t.Fatal(err)
		}
		carts := make([]string, buyers)
		for i := range carts {
			var err error
			if carts[i], err = client.OpenCart(t.Context(), fmt.Sprint("buyer-", i), "GBP", "", []shoppers.Line{{SKU: "LAST", Quantity: 1}}); err != nil {
				t.Fatal(err)
			}
		}
		var sold, refused atomic.Int64
		var wait sync.WaitGroup
		for _, cart := range carts {
			wait.Go(func() {
				_, _, err := client.Checkout(t.Context(), uuid.NewString(), cart, true)
				switch {
				case err == nil:
					sold.Add(1)
				case shoppers.IsShort(err):
					refused.Add(1)
				default:
					t.Errorf("checkout: %v", err)
				}
			})
		}
		wait.Wait()
		if sold.Load() != units || refused.Load() != buyers-units {
			t.Errorf("%d sold, %d refused, of %d units and %d buyers", sold.Load(), refused.Load(), units, buyers)
		}
		eventually(t, recoveryLimit, "the stock shows it", func() bool {
			return get[shoppers.Stock](t, server.url+"/v1/stock/LAST/main") == shoppers.Stock{OnHand: units, Allocated: units}
		})
		server.stop()
		if code := server.exit(t); code != exitOK {
			t.Errorf("exit code %d", code)
		}
		expectVerified(t, dir, log...)
	})
}

// One day of real invoices, taken in and compared with the file.
func TestADayOfInvoicesIsVerified(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "day.csv", firstDay(t))
	onEachEngine(t, func(t *testing.T, log []string) {
		dir := dataDir(t)
		imported := importJSON(t, append([]string{file, "--opening", "exact", "--workers", "16", "--data", dir}, log...)...)
		if !imported.Complete || imported.OrdersTaken < 100 || imported.OrdersRefused > 0 {
			t.Errorf("imported: %+v", imported)
		}
		report := verifyJSON(t, exitOK, append([]string{"--against", file, "--data", dir}, log...)...)
		if found := differ(report); found != "" || report.Events != imported.Events {
			t.Errorf("verify: differences in %q, %d events, %d imported", found, report.Events, imported.Events)
		}
	})
}

// firstDay is the real file up to the end of its first day.
func firstDay(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("DAYBOOK_DATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	packed, err := os.Open(filepath.Join(folder, "online_retail.csv.gz"))
	if os.IsNotExist(err) {
		t.Skipf("the real invoices are not in %s: set DAYBOOK_DATA to their folder", folder)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	lines := bufio.NewScanner(unpacked)
	for n := 0; lines.Scan(); n++ {
		if n > 0 && !strings.Contains(lines.Text(), ",2010-12-01 ") {
			break
		}
		text.WriteString(lines.Text() + "\n")
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// A database stays with the log it follows.
func TestADatabaseIsNotUsedWithAnotherLog(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "invoices.csv", someInvoices)
	first, second := openGatewayOver(t, pgtest.URL(t)), openGatewayOver(t, pgtest.URL(t))
	local, followed := pgtest.URL(t), pgtest.URL(t)
	importJSON(t, file, "--database-url", local)
	for _, log := range []string{first, second} {
		importJSON(t, file, "--database-url", pgtest.URL(t), "--store", storeKurrentDB, "--kurrentdb-url", log)
	}
	verifyJSON(t, exitOK, "--database-url", followed, "--store", storeKurrentDB, "--kurrentdb-url", first)
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"a database with a log of its own": {[]string{"--database-url", local, "--store", storeKurrentDB, "--kurrentdb-url", first}, "holds a log of its own"},
		"another KurrentDB":                {[]string{"--database-url", followed, "--store", storeKurrentDB, "--kurrentdb-url", second}, "follows another log"},
		"its own log, which is empty":      {[]string{"--database-url", followed}, "follows another log"},
	} {
		got := call(t, nil, append([]string{"verify"}, test.args...)...)
		if got.code == exitOK || !strings.Contains(got.stderr, test.says) {
			t.Errorf("%s: exit code %d, %q; want %q", name, got.code, got.stderr, test.says)
		}
	}
	verifyJSON(t, exitOK, "--database-url", followed, "--store", storeKurrentDB, "--kurrentdb-url", first)
}

// A cart that nobody uses any more expires by itself. After a restart with another setting, the
// open carts get the new deadline.
func TestACartExpiresByItself(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, log []string) {
		dir := dataDir(t)
		args := append([]string{"--data", dir}, log...)
		// The read model may not have the cart yet.
		status := func(address string) string {
			var row struct {
				Status string `json:"status"`
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode == http.StatusOK && json.UnmarshalRead(answer.Body, &row) != nil {
				t.Errorf("GET %s: no JSON", address)
			}
			return row.Status
		}
		open := func(server running, customer string) string {
			client := newShopper(server.url, 1)
			defer client.Close()
			cart, err := client.OpenCart(t.Context(), customer, "GBP", "", []shoppers.Line{})
			if err != nil {
				t.Fatal(err)
			}
			return server.url + "/v1/carts/" + url.PathEscape(cart)
		}
		server := serve(t, append(args, "--carts-expire-after", "0")...)
		kept := open(server, "ann")
		eventually(t, recoveryLimit, "the cart is open", func() bool { return status(kept) == "open" })
		path := strings.TrimPrefix(kept, server.url)
		server.stop()
		server.exit(t)

		server = serve(t, append(args, "--carts-expire-after", "1s")...)
		eventually(t, recoveryLimit, "the cart of the run before has expired", func() bool { return status(server.url+path) == "expired" })
		left := open(server, "bob")
		eventually(t, recoveryLimit, "the cart has expired", func() bool { return status(left) == "expired" })
		server.stop()
		if code := server.exit(t); code != exitOK {
			t.Errorf("exit code %d", code)
		}
		expectVerified(t, dir, log...)
	})
}
