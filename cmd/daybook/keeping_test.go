package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain/unit"
	"daybook/internal/pgtest"
	"daybook/internal/resource"
)

func TestKeepInvoices(t *testing.T) {
	t.Parallel()
	placed := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	of, err := keepFlags{KeepInvoices: []string{"DE=70080h", " gb=48h", "*=1h"}}.config()
	if err != nil || !of.any() {
		t.Fatal(err)
	}
	for country, want := range map[unit.Country]time.Duration{"DE": 70080 * time.Hour, "GB": 48 * time.Hour, "FR": time.Hour} {
		if end, ok := of.until(country, placed); !ok || !end.Equal(placed.Add(want)) {
			t.Errorf("%s: until %s, %t", country, end, ok)
		}
	}
	one, err := keepFlags{KeepInvoices: []string{"DE=70080h"}}.config()
	if _, ok := one.until("FR", placed); err != nil || ok || !one.any() {
		t.Errorf("a country that is not named is kept: %t, %v", ok, err)
	}
	if none, err := (keepFlags{}).config(); err != nil || none.any() {
		t.Errorf("by default: %+v, %v", none, err)
	}
	for _, c := range []struct {
		values []string
		want   string
	}{
		{[]string{"DE"}, `--keep-invoices needs a country and a time, such as DE=70080h, not "DE"`},
		{[]string{"DE=8 years"}, `--keep-invoices "DE=8 years": want a time such as 70080h`},
		{[]string{"DE=1s"}, "the time must be from 1h0m0s to 876000h0m0s"},
		{[]string{"DE=-1h"}, "the time must be from"},
		{[]string{"DE=900000h"}, "the time must be from"},
		{[]string{"UK=1h"}, `country "UK": want a code of ISO 3166-1 with two letters, such as GB, or * for all other countries`},
		{[]string{"=1h"}, "want a code of ISO 3166-1"},
		{[]string{"DE=1h", "de=2h"}, "--keep-invoices has two times for DE"},
		{[]string{"*=1h", "*=2h"}, "--keep-invoices has two times for all other countries"},
	} {
		if _, err := (keepFlags{KeepInvoices: c.values}).config(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.values, err, c.want)
		}
	}
}

// sold is an order of keptShop.
type sold struct {
	id, customer, country string
	confirmed, canceled   bool
}

// sells lets a customer, or a guest, order something with all details.
func (s *privateShop) sells(o sold) {
	s.t.Helper()
	do := func(method, path, body string) {
		s.t.Helper()
		s.must(s.admin, method, path, body, "Idempotency-Key", uuid.NewString())
	}
	text := func(name string) string { return mark + carol + "-" + o.id + "-" + name }
	owner := ""
	if o.customer != "" {
		owner = `"customer_id":"` + o.customer + `",`
	}
	address := func(name string) string {
		return `{"name":"` + text(name) + `","company":"` + text(name+" company") + `","lines":["` + text(name+" street") + `"],"postcode":"E-` + carol + `","city":"` + text(name+" city") + `","country":"` + o.country + `","phone":"+44 20 7946 0000"}`
	}
	do(http.MethodPost, "/v1/carts", `{"cart_id":"`+o.id+`",`+owner+`"currency":"GBP","lines":[{"sku":"HELP","quantity":1}]}`)
	do(http.MethodPut, "/v1/carts/"+o.id+"/details", `{"billing":`+address("bill")+`,"shipping":`+address("parcel")+`,"email":"`+text("mail")+`@home.example","phone":"+44 20 7946 0001","gift_message":"`+text("gift")+`","buyer_reference":"`+text("buyer")+`"}`)
	do(http.MethodPut, "/v1/carts/"+o.id+"/tax-status", `{"kind":"exempt","checked_by":"till","proof":"`+text("certificate")+`"}`)
	do(http.MethodPost, "/v1/carts/"+o.id+"/checkout", `{"order_id":"`+o.id+`"}`)
	order := "/v1/orders/" + o.id
	if o.confirmed {
		do(http.MethodPost, order+"/confirm", "")
	}
	if o.canceled {
		do(http.MethodPost, order+"/cancel", `{"reason":"`+text("canceled")+`"}`)
		return
	}
	do(http.MethodPost, order+"/transactions", `{"transaction_id":"p","type":"capture","state":"succeeded","amount":{"amount":"7.50","currency":"GBP"}}`)
	do(http.MethodPost, order+"/complete", "")
}

// openKeeping opens a shop that keeps the invoices of a country, with a service to sell.
func openKeeping(t *testing.T, args ...string) *privateShop {
	t.Helper()
	s := openPrivate(t, args...)
	s.must(s.admin, http.MethodPut, "/v1/products/HELP", `{"title":"Help","kind":"service","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	return s
}

// keptIn returns the orders of which a response says that something is kept.
func keptIn(t *testing.T, text string) (ids []string) {
	t.Helper()
	var is struct {
		Kept []resource.KeptOrder `json:"kept"`
	}
	if err := json.Unmarshal([]byte(text), &is); err != nil || is.Kept == nil {
		t.Fatalf("%v: %s", err, text)
	}
	for _, one := range is.Kept {
		ids = append(ids, string(one.OrderID))
		if one.Country != "GB" || one.Reason != "invoice" || one.KeptUntil.Before(time.Now().Add(70079*time.Hour)) || one.KeptUntil.After(time.Now().Add(70080*time.Hour)) {
			t.Errorf("kept is %+v", one)
		}
	}
	slices.Sort(ids)
	return ids
}

// rowsKept are the rows of what is kept.
func rowsKept(t *testing.T, pool *pgxpool.Pool) (all string) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `SELECT coalesce(string_agg(k::text, E'\n' ORDER BY order_id), '') FROM commands.kept k`).Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// When a customer is erased, the name and the address of an invoice are kept if the law of the
// order's country wants it. They are sealed, managers can read them, and they go when their time is
// over. Everything else goes at once.
func TestInvoicesOfAnErasedCustomerAreKept(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openKeeping(t, "--master-key-file", file, "--keep-invoices", "GB=70080h", "--retain-guests", "5s")
	pool := poolOf(t, s.database)
	for _, o := range []sold{
		{id: "home", customer: carol, country: "GB", confirmed: true},
		{id: "credited", customer: carol, country: "GB", confirmed: true, canceled: true},
		{id: "abroad", customer: carol, country: "DE", confirmed: true},
		{id: "never", customer: carol, country: "GB", canceled: true},
		{id: "daves", customer: "dave", country: "GB", confirmed: true},
	} {
		s.sells(o)
	}
	s.erase(pool, carol)
	again := s.must(s.admin, http.MethodPost, "/v1/erasures", `{"customer_id":"carol","reason":"requested"}`)
	if ids := keptIn(t, again); !slices.Equal(ids, []string{"credited", "home"}) {
		t.Errorf("the response keeps %q: %s", ids, again)
	}
	for _, line := range marksIn(dump(t, pool), carol) {
		if !strings.HasPrefix(line, "(daves,") { // his cart and order in the read models
			t.Errorf("the database has %q", line)
		}
	}
	s.onlyKept(pool, file)

	rows := rowsKept(t, pool)
	s.must(s.admin, http.MethodPost, "/v1/erasures", `{"customer_id":"carol","reason":"other"}`)
	if after := rowsKept(t, pool); after != rows || strings.Count(rows, "\n") != 1 {
		t.Errorf("erasing again has changed what is kept: %s, was %s", after, rows)
	}
	if n := strings.Count(s.must(s.admin, http.MethodGet, "/v1/events?limit=500", ""), `"type":"subject.erased.v3"`); n != 1 {
		t.Errorf("the log has %d erasures with something kept", n)
	}

	// A box belongs to its row.
	swap := `UPDATE commands.kept k SET box = o.box, key_id = o.key_id FROM commands.kept o WHERE o.order_id <> k.order_id`
	for _, want := range []int{http.StatusInternalServerError, http.StatusOK} {
		if _, err := pool.Exec(t.Context(), swap); err != nil {
			t.Fatal(err)
		}
		if status, text := s.ask(s.keys["manager"], http.MethodGet, "/v1/orders/home/kept-record", ""); status != want || (want == http.StatusOK) != strings.Contains(text, mark) {
			t.Errorf("after a swap: %d %s, want %d", status, text, want)
		}
	}

	// The time of one of them passes.
	if _, err := pool.Exec(t.Context(), `UPDATE commands.kept SET kept_until = clock_timestamp() WHERE order_id = 'home'`); err != nil {
		t.Fatal(err)
	}
	eventually(t, recoveryLimit, "the row and its key are gone", func() bool {
		return !strings.Contains(rowsKept(t, pool), "home") && liveKeys(t, pool, "kept:home") == 0
	})
	if status, text := s.ask(s.admin, http.MethodGet, "/v1/orders/home/kept-record", ""); status != http.StatusNotFound {
		t.Errorf("after its time: %d %s", status, text)
	}
	if liveKeys(t, pool, "kept:credited") != 1 || !strings.Contains(rowsKept(t, pool), "credited") {
		t.Error("the other one is gone, too")
	}
	s.must(s.admin, http.MethodGet, "/v1/orders/credited/kept-record", "")
	verified(t, "--database-url", s.database, "--master-key-file", file)
}

// onlyKept checks what is shown of Carol's orders after the erasure, and to whom.
func (s *privateShop) onlyKept(pool *pgxpool.Pool, file string) {
	s.t.Helper()
	const path = "/v1/orders/home/kept-record"
	for _, role := range []string{"manager", "auditor", "admin", "storefront"} {
		text := s.must(s.keys[role], http.MethodGet, path, "")
		for _, want := range []string{`"name":"` + mark + `carol-home-bill"`, `"lines":["` + mark + `carol-home-bill street"]`, `"kept_until"`, `"reason":"invoice"`} {
			if !strings.Contains(text, want) {
				s.t.Errorf("%s does not see %s: %s", role, want, text)
			}
		}
		for _, gone := range []string{"7946", "gift", "mail", "buyer", "parcel"} {
			if strings.Contains(text, gone) {
				s.t.Errorf("%s sees more than the invoice needs (%s): %s", role, gone, text)
			}
		}
	}
	eve := s.keyByAPI(s.admin, `{"name":"e","role":"customer","customer_id":"dave"}`)
	for key, want := range map[string]int{
		s.keys["operator"]: http.StatusForbidden, s.keys["analyst"]: http.StatusForbidden, "": http.StatusUnauthorized,
		s.keys["customer alice"]: http.StatusNotFound, eve: http.StatusNotFound,
	} {
		if status, text := s.ask(key, http.MethodGet, path, ""); status != want || strings.Contains(text, mark) {
			s.t.Errorf("somebody else: %d %s, want %d", status, text, want)
		}
	}
	if status, _ := s.ask(s.keys["storefront"], http.MethodGet, path, "", "Daybook-Act-For", "dave"); status != http.StatusNotFound {
		s.t.Errorf("for a customer, a storefront gets %d", status)
	}
	for _, id := range []string{"abroad", "never", "daves", "unknown"} {
		if status, text := s.ask(s.admin, http.MethodGet, "/v1/orders/"+id+"/kept-record", ""); status != http.StatusNotFound {
			s.t.Errorf("%s: %d %s", id, status, text)
		}
	}
	eventually(s.t, recoveryLimit, "the orders are erased", func() bool {
		text := ""
		for _, id := range []string{"home", "credited", "abroad", "never"} {
			text += s.must(s.admin, http.MethodGet, "/v1/orders/"+id, "")
		}
		return !strings.Contains(text, mark) && strings.Contains(text, "(erased)")
	})
	export := s.must(s.admin, http.MethodGet, "/v1/customers/carol/export", "")
	for _, want := range []string{`carol-home-bill street`, `carol-credited-bill street`, `"type":"subject.erased.v3"`} {
		if !strings.Contains(export, want) {
			s.t.Errorf("the export lacks %s", want)
		}
	}
	if strings.Contains(export, mark+"carol-abroad") || strings.Contains(export, "-gift") {
		s.t.Errorf("the export has %q", marksIn(export, carol))
	}
	page := s.must(s.admin, http.MethodGet, "/v1/customers/carol/export", "", "Accept", "text/html")
	if !strings.Contains(page, "carol-home-bill street") {
		s.t.Error("the page of the export lacks what is kept")
	}
	if log := s.log.String(); !strings.Contains(log, "kept record exported") || len(marksIn(log, carol)) > 0 {
		s.t.Errorf("the log does not say who has read it, or has %q", marksIn(log, carol))
	}
	verified(s.t, "--database-url", s.database, "--master-key-file", file)
}

// The invoice of a guest is kept when the retention erases the guest. A guest who orders from
// elsewhere leaves nothing.
func TestInvoicesOfErasedGuestsAreKept(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openKeeping(t, "--master-key-file", file, "--keep-invoices", "*=70080h", "--keep-invoices", "DE=1h", "--retain-guests", "5s")
	pool := poolOf(t, s.database)
	s.sells(sold{id: "guest", country: "GB", confirmed: true})
	s.sells(sold{id: "other", country: "GB", canceled: true})
	for _, id := range []string{"guest", "other"} {
		eventually(t, recoveryLimit, id+" is erased", func() bool { return liveKeys(t, pool, "cart:"+id) == 0 })
	}
	aMinuteLater(t, pool)
	eventually(t, recoveryLimit, "no copy is left", func() bool { return len(marksIn(dump(t, pool), carol)) == 0 })
	if text := s.must(s.keys["manager"], http.MethodGet, "/v1/orders/guest/kept-record", ""); !strings.Contains(text, mark+"carol-guest-bill") || !strings.Contains(text, mark+"carol-guest-certificate") {
		t.Errorf("kept: %s", text)
	}
	if text := s.must(s.admin, http.MethodGet, "/v1/carts/guest/export", ""); !strings.Contains(text, mark+"carol-guest-bill street") {
		t.Errorf("the export lacks what is kept: %s", text)
	}
	if rows := rowsKept(t, pool); strings.Contains(rows, "other") {
		t.Errorf("kept: %s", rows)
	}
	verified(t, "--database-url", s.database, "--master-key-file", file)
}

// An order of an account that was merged into the customer's is kept, too, and the erasure of the
// customer names it.
func TestInvoicesOfMergedAccountsAreKept(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openKeeping(t, "--master-key-file", file, "--keep-invoices", "GB=70080h")
	for _, id := range []string{"carol", "carola"} {
		s.must(s.admin, http.MethodPost, "/v1/customers", `{"customer_id":"`+id+`"}`)
	}
	s.sells(sold{id: "home", customer: "carola", country: "GB", confirmed: true})
	s.must(s.admin, http.MethodPost, "/v1/customers/carola/merge", `{"into_customer_id":"carol"}`)
	text := s.must(s.admin, http.MethodPost, "/v1/erasures", `{"customer_id":"carol","reason":"requested"}`)
	if ids := keptIn(t, text); !slices.Equal(ids, []string{"home"}) {
		t.Errorf("kept: %q", ids)
	}
	if text := s.must(s.admin, http.MethodGet, "/v1/customers/carol/export", ""); !strings.Contains(text, mark+"carol-home-bill street") {
		t.Errorf("the export lacks what is kept: %s", text)
	}
	verified(t, "--database-url", s.database, "--master-key-file", file)
}

// If the program is killed after it has copied an invoice and before the erasure is recorded, the
// next erasure names the copy, and does not make another one.
func TestACutOffCopyIsNamedByTheNextErasure(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openKeeping(t, "--master-key-file", file)
	pool := poolOf(t, s.database)
	s.sells(sold{id: "home", customer: carol, country: "GB", confirmed: true})
	flags := []string{"erase", "--customer", carol, "--database-url", s.database, "--master-key-file", file}
	release := hold(t, s.database, `LOCK TABLE eventstore.events IN SHARE MODE`)
	killed := exec.CommandContext(t.Context(), build(t), append(flags, "--keep-invoices", "GB=70080h")...)
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, recoveryLimit, "the invoice is copied", func() bool { return rowsKept(t, pool) != "" })
	waiting := `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
	eventually(t, recoveryLimit, "the event waits", func() bool { return holds(t, pool, waiting) })
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	if _, err := pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM (`+waiting+`) w`); err != nil {
		t.Fatal(err)
	}
	eventually(t, recoveryLimit, "nothing waits", func() bool { return !holds(t, pool, waiting) })
	release()
	if strings.Contains(dump(t, pool), "subject.erased") {
		t.Fatal("the erasure is recorded")
	}
	rows := rowsKept(t, pool)

	// The next one has no such setting. What was copied is kept all the same.
	var result eraseResult
	got := call(t, nil, append(flags, "--json")...)
	if err := json.Unmarshal([]byte(got.stdout), &result); got.code != exitOK || err != nil || len(result.Kept) != 1 || result.Kept[0].OrderID != "home" {
		t.Fatalf("%d %s %s %v", got.code, got.stdout, got.stderr, err)
	}
	if after := rowsKept(t, pool); after != rows {
		t.Errorf("kept are %s, were %s", after, rows)
	}
	if text := s.must(s.admin, http.MethodGet, "/v1/orders/home/kept-record", ""); !strings.Contains(text, mark+"carol-home-bill") {
		t.Errorf("kept: %s", text)
	}
	if got := call(t, nil, flags...); got.code != exitOK || !strings.Contains(got.stdout, "What the invoice of order home needs is kept until ") {
		t.Errorf("%d %s %s", got.code, got.stdout, got.stderr)
	}
	verified(t, "--database-url", s.database, "--master-key-file", file)
}

// What was erased before the shop has set a time cannot be kept, and does not replace anything.
func TestNothingIsKeptOfWhatWasErasedBefore(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openKeeping(t, "--master-key-file", file)
	pool := poolOf(t, s.database)
	s.sells(sold{id: "home", customer: carol, country: "GB", confirmed: true})
	s.erase(pool, carol)
	got := resultOf[eraseResult](t, "erase", "--customer", carol, "--keep-invoices", "GB=70080h", "--database-url", s.database, "--master-key-file", file)
	if len(got.Kept) != 0 || rowsKept(t, pool) != "" {
		t.Errorf("%+v, kept %q", got, rowsKept(t, pool))
	}
}

// A backup has what is kept, sealed. Without secrets it has nothing of it. What a restored backup
// brings back after its time goes at the next start.
func TestKeptInvoicesAreInBackups(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openKeeping(t, "--master-key-file", file, "--keep-invoices", "GB=70080h")
	pool := poolOf(t, s.database)
	s.sells(sold{id: "home", customer: carol, country: "GB", confirmed: true})
	s.erase(pool, carol)
	for _, secrets := range []bool{true, false} {
		backup, copied := filepath.Join(t.TempDir(), "backup"), pgtest.URL(t)
		args := []string{"backup", backup, "--database-url", s.database}
		if !secrets {
			args = append(args, "--without-secrets")
		}
		resultOf[backupResult](t, args...)
		resultOf[restoreResult](t, "restore", backup, "--database-url", copied)
		there := poolOf(t, copied)
		if same := rowsKept(t, there) == rowsKept(t, pool); same != secrets || len(marksIn(dump(t, there), carol)) > 0 {
			t.Errorf("with secrets %t, the copy has %s", secrets, rowsKept(t, there))
		}
		started := serve(t, "--database-url", copied, "--master-key-file", file)
		of := &privateShop{&keyedShop{t: t, running: started, database: copied}, keyOf(started.url)}
		status, text := of.ask(of.admin, http.MethodGet, "/v1/orders/home/kept-record", "")
		if secrets != (status == http.StatusOK) || secrets != strings.Contains(text, mark+"carol-home-bill") {
			t.Errorf("with secrets %t: %d %s", secrets, status, text)
		}
		if !secrets {
			continue
		}
		if code := func() int { started.stop(); return started.exit(t) }(); code != exitOK {
			t.Fatal(code)
		}
		if _, err := there.Exec(t.Context(), `UPDATE commands.kept SET kept_until = clock_timestamp()`); err != nil {
			t.Fatal(err)
		}
		serve(t, "--database-url", copied, "--master-key-file", file)
		eventually(t, recoveryLimit, "what is over is gone", func() bool { return rowsKept(t, there) == "" && liveKeys(t, there, "kept:home") == 0 })
	}
}

// PostgreSQL was restored from a backup that is older than the erasure, and the log was not. Before
// the keys are destroyed again, the invoice that the erasure names is copied again.
func TestAnInvoiceIsKeptAgainAfterARestore(t *testing.T) {
	t.Parallel()
	log, database, file := pgtest.URL(t), pgtest.URL(t), writeMasterKey(t)
	where := []string{"--database-url", database, "--store", storeKurrentDB, "--kurrentdb-url", openGatewayOver(t, log), "--master-key-file", file}
	running := serve(t, append(where, "--keep-invoices", "GB=70080h")...)
	s := &privateShop{&keyedShop{t: t, running: running, database: database}, keyOf(running.url)}
	s.must(s.admin, http.MethodPut, "/v1/products/HELP", `{"title":"Help","kind":"service","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	s.sells(sold{id: "home", customer: carol, country: "GB", confirmed: true})
	pool := poolOf(t, database)
	before := keyRows(t, pool)
	s.erase(pool, carol)
	running.stop()
	if code := running.exit(t); code != exitOK {
		t.Fatal(code)
	}
	putBack(t, pool, before)
	for _, statement := range []string{`DELETE FROM commands.kept`, `DELETE FROM commands.erased`, `DELETE FROM commands.checkpoints`} {
		if _, err := pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(file + erasedSuffix); err != nil {
		t.Fatal(err)
	}
	again := serve(t, where...) // without the setting: the event says what is kept
	eventually(t, recoveryLimit, "the keys are destroyed again", func() bool { return liveKeys(t, pool, "customer:carol") == 0 })
	s.url = again.url
	if text := s.must(s.admin, http.MethodGet, "/v1/orders/home/kept-record", ""); !strings.Contains(text, mark+"carol-home-bill") {
		t.Errorf("kept: %s", text)
	}
	verified(t, where...)
}

// Without a master key, an erasure leaves the clear text in the log, so nothing is copied.
func TestNothingIsKeptWithoutAMasterKey(t *testing.T) {
	t.Parallel()
	s := openKeeping(t, "--keep-invoices", "GB=70080h")
	pool := poolOf(t, s.database)
	s.sells(sold{id: "home", customer: carol, country: "GB", confirmed: true})
	s.must(s.admin, http.MethodPost, "/v1/erasures", fmt.Sprintf(`{"customer_id":%q,"reason":"requested"}`, carol))
	if rows := rowsKept(t, pool); rows != "" {
		t.Errorf("kept: %s", rows)
	}
	if !strings.Contains(s.log.String(), "--keep-invoices has no effect without a master key") {
		t.Error("the log does not say so")
	}
	if status, text := s.ask(s.admin, http.MethodGet, "/v1/orders/home/kept-record", ""); status != http.StatusNotFound {
		t.Errorf("%d %s", status, text)
	}
}
