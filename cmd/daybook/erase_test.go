package main

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/payments/simulated"
	"daybook/eventstore/sealing"
	"daybook/internal/eventtypes"
	"daybook/internal/pgtest"
	"daybook/internal/simulatedprovider"
	"daybook/internal/smtptest"
)

// mark begins each personal text of the customer who is erased.
const mark = "ERASE-ME-"

// carol is this customer.
const carol = "carol"

// doneBy says which request writes each sealed text of a cart, an order or a return. A new text of
// this kind needs a row, and the request in tellOf.
var doneBy = map[string]string{
	"cart.abandoned.v1 reason":                  "abandoned",
	"cart.checkout_started.v1 details":          "the details",
	"cart.details_set.v1 details":               "the details",
	"cart.checkout_started.v1 quote":            "tax of a cart",
	"cart.tax_status_set.v1 status":             "tax of a cart",
	"order.placed.v1 quote":                     "tax of a cart",
	"customer.tax_status_set.v1 status":         "tax",
	"customer.address_added.v1 address":         "line",
	"customer.address_changed.v1 address":       "line",
	"customer.blocked.v1 reason":                "blocked",
	"customer.note_added.v1 text":               "note",
	"customer.profile_changed.v1 profile":       "renamed",
	"customer.registered.v1 profile":            "person",
	"customer.unblocked.v1 reason":              "unblocked",
	"customer.wish_list_made.v1 name":           "list",
	"customer.wish_list_renamed.v1 name":        "another list",
	"order.placed.v1 details":                   "the details",
	"order.canceled.v1 reason":                  "canceled",
	"order.lines_canceled.v1 reason":            "lines",
	"order.transaction_settled.v1 reference":    "settled",
	"return.canceled.v1 reason":                 "return",
	"return.declined.v1 reason":                 "declined",
	"order.credited.v1 reason":                  "reduced",
	"order.charge_added.v1 reason":              "an island",
	"order.parcel_reported.v1 reason":           "undeliverable",
	"order.parcel_reported.v1 claim":            "claimed",
	"order.parcel_back.v1 reason":               "came back",
	"order.parcel_resent.v1 reason":             "resent",
	"order.deadline_extended.v1 reason":         "more time",
	"order.difference_written_off.v1 reason":    "written off",
	"order.refund_explained.v1 reason":          "explained",
	"order.refund_requested.v1 reason":          "no service",
	"order.refund_settled.v1 reference":         "transfer",
	"order.transaction_recorded.v1 reason":      "disputed",
	"order.transaction_unreadable.v1 reference": "unreadable",
	"shoplogin.signed_up.v1 email":              "login, in lower case",
	"shoplogin.email_changed.v1 email":          "moved, in lower case",
	"shoplogin.disabled.v1 reason":              "shut out",
}

// Every text that is sealed with a customer's key is in the test of the erasure.
func TestEverySealedTextOfACustomerIsErasedInTheTest(t *testing.T) {
	t.Parallel()
	for _, eventType := range slices.Sorted(maps.Keys(eventtypes.All())) {
		category, _, _ := strings.Cut(eventType, ".")
		if !slices.Contains([]string{"cart", "customer", "order", "return", "shoplogin"}, category) {
			continue
		}
		for _, field := range personalFields(eventType) {
			name, _, _ := strings.Cut(string(field), ".") // all members of an address are written by one request
			if name = eventType + " " + name; doneBy[name] == "" {
				t.Errorf("%s is sealed with the key of a customer: write it in tellOf or signsIn, and say so in doneBy", name)
			}
		}
	}
}

// tellOf writes each sealed text of a customer. The last order stays open until finish is called.
func (s *privateShop) tellOf(customer string) (finish func()) {
	s.t.Helper()
	do := func(method, path, body string) {
		s.t.Helper()
		s.must(s.admin, method, path, body, "Idempotency-Key", uuid.NewString())
	}
	do(http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	do(http.MethodPut, "/v1/products/MUG/prices/GBP", `{"amount":"7.50"}`)
	do(http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":100}`)
	text := func(name string) string { return mark + customer + "-" + name }
	address := `{"name":"` + text("name") + `","company":"` + text("company") + `","lines":["` + text("line") + `"],"postcode":"E-` + customer + `","city":"` + text("city") + `","country":"GB"}`
	profile := `{"name":"` + text("person") + `","email":"` + text("mail") + `@home.example","phone":"+44 20 7946 0000"`
	account := "/v1/customers/" + customer
	do(http.MethodPost, "/v1/customers", profile+`,"customer_id":"`+customer+`"}`)
	do(http.MethodPatch, account, `{"name":"`+text("renamed")+`"}`)
	do(http.MethodPost, account+"/addresses", address)
	status := func(name string) string {
		return `{"kind":"business","country":"NL","tax_id":"` + text(name) + `","checked_by":"` + text(name) + `","proof":"` + text(name) + `"}`
	}
	do(http.MethodPut, account+"/tax-status", status("tax"))
	do(http.MethodPost, account+"/notes", `{"text":"`+text("note")+`"}`)
	do(http.MethodPost, account+"/block", `{"reason":"`+text("blocked")+`"}`)
	do(http.MethodPost, account+"/unblock", `{"reason":"`+text("unblocked")+`"}`)
	list := member(s.t, s.must(s.admin, http.MethodPost, account+"/wish-lists", `{"name":"`+text("list")+`"}`), "wish_lists", "0", "list_id")
	do(http.MethodPatch, account+"/wish-lists/"+list, `{"name":"`+text("another list")+`"}`)
	do(http.MethodPut, account+"/wish-lists/"+list+"/wishes/MUG", `{"quantity":2}`)
	open := func(id string) {
		do(http.MethodPost, "/v1/carts", `{"cart_id":"`+id+`","currency":"GBP","customer_id":"`+customer+`","lines":[{"sku":"MUG","quantity":3}]}`)
	}
	details := func(id string) {
		do(http.MethodPut, "/v1/carts/"+id+"/details", `{"billing":`+address+`,"shipping":`+address+`,"email":"`+text("mail")+`@home.example","phone":"+44 20 7946 0000",
			"delivery_notes":"`+text("notes")+`","gift_message":"`+text("gift")+`","buyer_reference":"`+text("buyer")+`"}`)
	}
	open(customer + "-left")
	details(customer + "-left")
	do(http.MethodPost, "/v1/carts/"+customer+"-left/abandon", `{"reason":"`+text("abandoned")+`"}`)
	open(customer + "-off")
	do(http.MethodPost, "/v1/carts/"+customer+"-off/checkout", `{"order_id":"`+customer+`-off"}`)
	do(http.MethodPost, "/v1/orders/"+customer+"-off/cancel", `{"reason":"`+text("canceled")+`"}`)
	open(customer + "-sent")
	details(customer + "-sent")
	do(http.MethodPut, "/v1/carts/"+customer+"-sent/tax-status", status("tax of a cart"))
	order := "/v1/orders/" + customer + "-sent"
	do(http.MethodPost, "/v1/carts/"+customer+"-sent/checkout", `{"order_id":"`+customer+`-sent"}`)
	do(http.MethodPost, order+"/cancel", `{"lines":[{"line":1,"quantity":1}],"reason":"`+text("lines")+`"}`)
	do(http.MethodPost, order+"/transactions", `{"transaction_id":"p","type":"capture","state":"pending","amount":{"amount":"15.00","currency":"GBP"}}`)
	do(http.MethodPatch, order+"/transactions/p", `{"state":"succeeded","reference":"`+text("settled")+`"}`)
	do(http.MethodPost, order+"/confirm", "")
	do(http.MethodPost, order+"/shipments", `{"shipment_id":"`+customer+`"}`)
	for end, name := range map[string]string{"decline": "declined", "cancel": "return"} {
		id := customer + "-" + end
		do(http.MethodPost, "/v1/returns", `{"return_id":"`+id+`","order_id":"`+customer+`-sent","lines":[{"order_line":1,"quantity":1}]}`)
		do(http.MethodPost, "/v1/returns/"+id+"/"+end, `{"reason":"`+text(name)+`"}`)
	}
	return func() {
		do(http.MethodPost, order+"/shipments/"+customer+"/deliver", "")
		do(http.MethodPost, order+"/complete", "")
	}
}

// tellingProvider are the flags for a provider of payments that is asked nothing, and that tells
// something.
func tellingProvider(t *testing.T) []string {
	t.Helper()
	return []string{"--payments", "simulated", "--payments-url", "http://127.0.0.1:1", "--payments-secret-file", secretFile(t, providerSecret)}
}

// moneyOf writes the sealed texts about the money of an order. Some of them come from a provider.
func (s *privateShop) moneyOf(customer string) {
	s.t.Helper()
	do := func(method, path, body string) string {
		s.t.Helper()
		return s.must(s.admin, method, path, body, "Idempotency-Key", uuid.NewString())
	}
	text := func(name string) string { return mark + customer + "-" + name }
	id := customer + "-money"
	order := "/v1/orders/" + id
	do(http.MethodPost, "/v1/carts", `{"cart_id":"`+id+`","currency":"GBP","customer_id":"`+customer+`","lines":[{"sku":"MUG","quantity":3}]}`)
	do(http.MethodPost, "/v1/carts/"+id+"/checkout", `{"order_id":"`+id+`"}`)
	do(http.MethodPost, order+"/extend", fmt.Sprintf(`{"confirm_by":%q,"reason":%q}`, time.Now().Add(48*time.Hour).UTC().Format(time.RFC3339), text("more time")))
	do(http.MethodPost, order+"/transactions", `{"transaction_id":"till-1","type":"capture","amount":{"amount":"10.00","currency":"GBP"}}`)
	report := func(currency, transactions string) {
		s.t.Helper()
		body := fmt.Sprintf(`{"id":"evt_%s","data":{"object":{"id":"pi_%s_%s","object":"payment_intent","currency":%q,"metadata":{"order_id":%q},"transactions":[%s]}}}`,
			uuid.NewString(), customer, currency, currency, id, transactions)
		s.must("", http.MethodPost, "/v1/payments/webhooks/simulated", body, simulated.SignatureHeader, simulatedprovider.Sign(providerSecret, []byte(body), time.Now()))
	}
	report("gbp", `{"id":"ch_1","type":"capture","status":"succeeded","amount":1250},
		{"id":"dp_1","type":"dispute","status":"failed","amount":1250,"parent":"ch_1","reason":"`+text("disputed")+`"}`)
	report("eur", `{"id":"`+text("unreadable")+`","type":"capture","status":"succeeded","amount":100}`)
	do(http.MethodPost, order+"/reductions", `{"amount":{"amount":"1.00","currency":"GBP"},"reason":"`+text("reduced")+`"}`)
	do(http.MethodPost, order+"/surcharges", `{"charge_id":"x","amount":{"amount":"1.00","currency":"GBP"},"reason":"`+text("an island")+`"}`)
	do(http.MethodPost, order+"/charges/1/credits", `{"reason":"`+text("a bridge")+`"}`)
	do(http.MethodPost, order+"/transactions", `{"transaction_id":"till-2","type":"refund","parent":"till-1","amount":{"amount":"3.00","currency":"GBP"}}`)
	do(http.MethodPost, order+"/transactions/till-2/explain", `{"purpose":"compensation","reason":"`+text("explained")+`"}`)
	asked := do(http.MethodPost, order+"/refunds", `{"refund_id":"r","purpose":"compensation","amount":{"amount":"0.50","currency":"GBP"},"parts":[{"payment":"till-1","amount":{"amount":"0.50","currency":"GBP"}}],"reason":"`+text("no service")+`"}`)
	part := member(s.t, asked, "order", "refunds", "0", "parts", "0", "part_id")
	do(http.MethodPost, order+"/refunds/r/parts/"+part+"/settle", `{"state":"succeeded","reference":"`+text("transfer")+`"}`)
	do(http.MethodPost, order+"/write-off", `{"reason":"`+text("written off")+`"}`)
	do(http.MethodPost, order+"/confirm", "")
	do(http.MethodPost, order+"/shipments", `{"shipment_id":"`+id+`-back"}`)
	parcel := order + "/shipments/" + id + "-back"
	do(http.MethodPost, parcel+"/report", `{"state":"undeliverable","reason":"`+text("undeliverable")+`","claim":"`+text("claimed")+`"}`)
	do(http.MethodPost, parcel+"/come-back", `{"lines":[{"line":1,"quantity":3}],"reason":"`+text("came back")+`"}`)
	do(http.MethodPost, parcel+"/resend", `{"reason":"`+text("resent")+`"}`)
	do(http.MethodPost, order+"/shipments", `{"shipment_id":"`+id+`"}`)
	do(http.MethodPost, order+"/shipments/"+id+"/deliver", "")
	do(http.MethodPost, order+"/complete", "")
}

// signsIn lets a customer sign up, change the address and be shut out, and then sign up again.
func (s *privateShop) signsIn(mails *smtptest.Server, customer string) {
	s.t.Helper()
	address := func(name string) string { return strings.ToLower(mark) + customer + "-" + name + "@home.example" }
	invite := func(email string) (session string) {
		s.t.Helper()
		s.must(s.admin, http.MethodPost, "/v1/auth/invitations", fmt.Sprintf(`{"customer_id":%q,"email":%q}`, customer, email))
		session, _ = s.confirm(linkIn(s.t, mails.Next(s.t), email, "sign-up"))
		return session
	}
	session := invite(address("login"))
	s.mustAs(session, http.MethodPost, "/v1/auth/email", fmt.Sprintf(`{"password":%q,"email":%q}`, goodPassword, address("moved")))
	for range 2 { // one is the notice to the present address
		if m := mails.Next(s.t); m.To == address("moved") {
			s.mustAs("", http.MethodPost, "/v1/auth/email/confirm", fmt.Sprintf(`{"token":%q}`, linkIn(s.t, m, m.To, "confirm-email")))
		}
	}
	login := member(s.t, s.must(s.admin, http.MethodGet, "/v1/customers/"+customer+"/login", ""), "person_id")
	s.must(s.admin, http.MethodPost, "/v1/staff/"+login+"/disable", `{"reason":"`+mark+customer+`-shut out"}`)
	invite(address("login"))
}

// reads returns what each route of the API that reads shows, with the ids of a customer's things.
func (s *privateShop) reads(at, customer string) (all string) {
	s.t.Helper()
	var text strings.Builder
	everyRoute(s.t, func(_, method, path, _ string) {
		if method != http.MethodGet || strings.HasSuffix(path, "/live") || !strings.HasPrefix(path, "/v1/") {
			return // a live stream does not end, and the document speaks of erased texts
		}
		for _, which := range []map[string]string{
			{"order_id": customer + "-sent", "cart_id": customer + "-left", "return_id": customer + "-decline", "stream": "order-" + customer + "-sent"},
			{"order_id": customer + "-off", "cart_id": customer + "-sent", "return_id": customer + "-cancel", "stream": "cart-" + customer + "-left"},
			{"stream": "order-" + customer + "-off"},
			{"stream": "order-" + customer + "-money", "order_id": customer + "-money"},
			{"stream": "return-" + customer + "-decline"},
			{"stream": "return-" + customer + "-cancel"},
		} {
			which["customer_id"], which["sku"], which["location"] = customer, "MUG", "main"
			_, body := s.askAt(at, method, filled(path, which), "")
			text.WriteString(body)
		}
	})
	return text.String()
}

// dump is everything that the tables of a database have, as text.
func dump(t *testing.T, pool *pgxpool.Pool) (all string) {
	t.Helper()
	tables, err := pool.Query(t.Context(), `
		SELECT format('%I.%I', schemaname, tablename) FROM pg_catalog.pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for tables.Next() {
		var name string
		if err := tables.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	var text strings.Builder
	for _, name := range names {
		var rows string
		if err := pool.QueryRow(t.Context(), `SELECT coalesce(string_agg(t::text, E'\n'), '') FROM `+name+` t`).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		text.WriteString(name + "\n" + rows + "\n")
	}
	return text.String()
}

// marksIn returns the lines that have a marked text of a customer, also in lower case and in
// hexadecimal digits.
func marksIn(text, customer string) (found []string) {
	var forms []string
	for _, plain := range []string{mark + customer, strings.ToLower(mark) + customer} {
		forms = append(forms, plain, hex.EncodeToString([]byte(plain)))
	}
	for line := range strings.Lines(text) {
		if slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(line, form) }) {
			found = append(found, fmt.Sprintf("%.200s", line))
		}
	}
	return found
}

// aMinuteLater lets the erasures look as if they had been recorded a minute earlier.
func aMinuteLater(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `UPDATE commands.erased SET noted_at = noted_at - interval '1 minute'`); err != nil {
		t.Fatal(err)
	}
}

// erase erases a customer and waits until no copy is left.
func (s *privateShop) erase(pool *pgxpool.Pool, customer string) {
	s.t.Helper()
	body := `{"customer_id":"` + customer + `","reason":"requested"}`
	s.must(s.admin, http.MethodPost, "/v1/erasures", body)
	eventually(s.t, recoveryLimit, "copies are removed once", func() bool {
		var cleaned bool
		if err := pool.QueryRow(s.t.Context(), `SELECT coalesce(bool_and(cleaned_at IS NOT NULL), false) FROM commands.erased`).Scan(&cleaned); err != nil {
			s.t.Fatal(err)
		}
		return cleaned
	})
	aMinuteLater(s.t, pool)
	eventually(s.t, recoveryLimit, "no copy is left", func() bool {
		return strings.Contains(s.must(s.admin, http.MethodPost, "/v1/erasures", body), `"state":"erased"`)
	})
}

// A customer is erased while a second node runs and a read model is built again. No trace of the
// texts is left: not in any table, not in any file, not in any response. Everything of another
// customer stays, and everything adds up.
func TestErasingLeavesNoTrace(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	mails := openMailServer(t)
	provider := tellingProvider(t)
	running := serve(t, append(append(withMail(mails), provider...), "--data", dir)...)
	s := &privateShop{&keyedShop{t: t, running: running}, keyOf(running.url)}
	second := serve(t, append(provider, "--database-url", socketURL(dir))...)
	pool := poolOf(t, socketURL(dir))
	finish := s.tellOf(carol)
	s.tellOf("dave")()
	s.moneyOf(carol)
	s.signsIn(mails, carol)
	// A cart that was Carol's is Dave's now.
	s.must(s.admin, http.MethodPost, "/v1/carts", `{"cart_id":"moved","currency":"GBP","customer_id":"carol"}`)
	s.must(s.admin, http.MethodPut, "/v1/carts/moved/details", `{"gift_message":"`+mark+`carol-moved"}`)
	s.must(s.admin, http.MethodPatch, "/v1/carts/moved", `{"customer_id":"dave"}`)
	for _, at := range []string{running.url, second.url} { // both nodes have the keys and the states in memory
		if shown := s.reads(at, carol); len(marksIn(shown, carol)) == 0 || !strings.Contains(shown, mark+carol+"-settled") {
			t.Errorf("%s does not show the texts", at)
		}
	}
	if status, text := s.ask(s.admin, http.MethodPost, "/v1/erasures", `{"customer_id":"carol","reason":"requested"}`); status != http.StatusConflict || !strings.Contains(text, "erasure-order-open") || !strings.Contains(text, "carol-sent") {
		t.Errorf("with an open order: %d %s", status, text)
	}
	finish()
	sales := s.must(s.admin, http.MethodGet, "/v1/sales", "")

	// A build is kept for --rollback, and another one is under way while the customer is erased.
	call(t, nil, "rebuild", "carts", "--database-url", socketURL(dir))
	if kept := marksIn(dump(t, pool), carol); len(kept) < 2 {
		t.Errorf("before the erasure the tables have %q", kept)
	}
	rebuilt := make(chan outcome, 1)
	go func() { rebuilt <- call(t, nil, "rebuild", "carts", "--database-url", socketURL(dir)) }()
	s.erase(pool, carol)
	if got := <-rebuilt; got.code != exitOK {
		t.Errorf("the rebuild: %d %s", got.code, got.stderr)
	}

	for _, at := range []string{running.url, second.url} {
		var still []string
		defer func() {
			if len(still) > 0 {
				t.Errorf("the node shows %q", still)
			}
		}()
		eventually(t, recoveryLimit, "the node shows nothing", func() bool {
			still = marksIn(s.reads(at, carol), carol)
			return len(still) == 0
		})
		if shown := s.reads(at, carol); !strings.Contains(shown, sealing.Erased) {
			t.Errorf("%s does not say that the texts are erased", at)
		}
	}
	if found := marksIn(dump(t, pool), carol); len(found) > 0 {
		t.Errorf("the database has %q", found)
	}
	if shown := s.reads(running.url, "dave"); len(marksIn(shown, "dave")) < 3 {
		t.Error("the texts of another customer are gone, too")
	}
	if after := s.must(s.admin, http.MethodGet, "/v1/sales", ""); after != sales {
		t.Errorf("the sums are %s, were %s", after, sales)
	}
	verified(t, "--database-url", socketURL(dir))

	// What is written about the customer later is not kept either.
	s.must(s.admin, http.MethodPost, "/v1/carts", `{"cart_id":"late","currency":"GBP","customer_id":"carol"}`)
	s.must(s.admin, http.MethodPost, "/v1/carts/late/abandon", `{"reason":"`+mark+`carol-late"}`)
	if found := marksIn(dump(t, pool), carol); len(found) > 0 {
		t.Errorf("after a later text the database has %q", found)
	}
	noMarksInFiles(t, pool, dir, carol)
	verified(t, "--database-url", socketURL(dir))
}

// noMarksInFiles searches all files of a data directory. Tables are written anew first, so that
// their files have only what they show. Left out is only the WAL (pg_wal): PostgreSQL writes each
// change into it, and uses its files again some time later. docs/privacy.md says so.
func noMarksInFiles(t *testing.T, pool *pgxpool.Pool, dir, customer string) {
	t.Helper()
	for _, statement := range []string{`VACUUM FULL`, `CHECKPOINT`} {
		if _, err := pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		if entry.IsDir() && entry.Name() == "pg_wal" {
			return filepath.SkipDir
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // PostgreSQL has removed it meanwhile
		}
		files++
		if len(marksIn(string(text), customer)) > 0 {
			t.Errorf("%s has a text", path)
		}
		return err
	})
	if err != nil || files < 100 {
		t.Errorf("%d files, %v", files, err)
	}
}

// The same with a log on KurrentDB.
func TestErasingLeavesNoTraceWithKurrentDB(t *testing.T) {
	t.Parallel()
	log, database, file := pgtest.URL(t), pgtest.URL(t), writeMasterKey(t)
	where := []string{"--database-url", database, "--store", storeKurrentDB, "--kurrentdb-url", openGatewayOver(t, log), "--master-key-file", file}
	running := serve(t, where...)
	s := &privateShop{&keyedShop{t: t, running: running, database: database}, keyOf(running.url)}
	s.tellOf(carol)()
	pool := poolOf(t, database)
	before := keyRows(t, pool)
	s.erase(pool, carol)
	for name, of := range map[string]*pgxpool.Pool{"the database": pool, "the log": poolOf(t, log)} {
		if found := marksIn(dump(t, of), carol); len(found) > 0 {
			t.Errorf("%s has %q", name, found)
		}
	}
	eventually(t, recoveryLimit, "no response shows a text", func() bool { return len(marksIn(s.reads(running.url, carol), carol)) == 0 })
	verified(t, where...)

	// PostgreSQL is restored from a backup that is older than the erasure, and the log is not: the
	// table of keys, the list of erased subjects and the places of all readers are old. The next
	// start reads the erasure again.
	running.stop()
	if code := running.exit(t); code != exitOK {
		t.Fatal(code)
	}
	putBack(t, pool, before)
	for _, statement := range []string{`DELETE FROM commands.erased`, `DELETE FROM commands.checkpoints`} {
		if _, err := pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(file + erasedSuffix); err != nil {
		t.Fatal(err)
	}
	again := serve(t, where...)
	eventually(t, recoveryLimit, "the keys are destroyed again", func() bool { return liveKeys(t, pool, "customer:carol") == 0 })
	s.url = again.url
	eventually(t, recoveryLimit, "no response shows a text", func() bool { return len(marksIn(s.reads(again.url, carol), carol)) == 0 })
}

// keyRows are the rows of the table of keys, as JSON.
func keyRows(t *testing.T, pool *pgxpool.Pool) (rows []string) {
	t.Helper()
	found, err := pool.Query(t.Context(), `SELECT to_json(t)::text FROM commands.data_keys t`)
	if err != nil {
		t.Fatal(err)
	}
	for found.Next() {
		var row string
		if err := found.Scan(&row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// putBack replaces the table of keys by older rows.
func putBack(t *testing.T, pool *pgxpool.Pool, rows []string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `DELETE FROM commands.data_keys`); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if _, err := pool.Exec(t.Context(), `INSERT INTO commands.data_keys SELECT * FROM json_populate_record(NULL::commands.data_keys, $1)`, row); err != nil {
			t.Fatal(err)
		}
	}
}

// liveKeys is how many keys of a subject are not destroyed.
func liveKeys(t *testing.T, pool *pgxpool.Pool, subject string) (n int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM commands.data_keys WHERE subject = $1 AND destroyed_at IS NULL`, subject).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A restored backup brings nobody back, whether it is a table of keys or a whole log from before
// the erasure.
func TestARestoredBackupBringsNobodyBack(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openPrivate(t, "--master-key-file", file)
	s.tellOf(carol)()
	pool := poolOf(t, s.database)
	before := keyRows(t, pool)
	backup := filepath.Join(t.TempDir(), "before")
	resultOf[backupResult](t, "backup", backup, "--database-url", s.database)
	s.erase(pool, carol)
	eventually(t, recoveryLimit, "the destroyed key is listed", func() bool {
		text, err := os.ReadFile(file + erasedSuffix)
		return err == nil && len(text) > 0
	})
	s.stop()
	if code := s.exit(t); code != exitOK {
		t.Fatal(code)
	}

	// Only the table of keys is old. Until the next start of a server, verify finds the key.
	putBack(t, pool, before)
	if got := call(t, nil, "verify", "--database-url", s.database, "--master-key-file", file); got.code == exitOK || !strings.Contains(got.stdout, "customer:carol was erased and has a key that is not destroyed") {
		t.Errorf("verify: %d %s %s", got.code, got.stdout, got.stderr)
	}
	started := serve(t, "--database-url", s.database, "--master-key-file", file)
	if n := liveKeys(t, pool, "customer:carol"); n > 0 {
		t.Errorf("after the start, %d keys are there again", n)
	}
	s.url = started.url
	if found := marksIn(s.reads(started.url, carol), carol); len(found) > 0 {
		t.Errorf("the responses have %q", found)
	}

	// The whole log and its tables are old.
	copied := pgtest.URL(t)
	resultOf[restoreResult](t, "restore", backup, "--database-url", copied)
	restored := serve(t, "--database-url", copied, "--master-key-file", file)
	old := &privateShop{&keyedShop{t: t, running: restored, database: copied}, keyOf(restored.url)}
	if n := liveKeys(t, poolOf(t, copied), "customer:carol"); n > 0 {
		t.Errorf("after the restore, %d keys are there again", n)
	}
	eventually(t, recoveryLimit, "the restored shop shows its orders", func() bool { return strings.Contains(old.reads(restored.url, carol), sealing.Erased) })
	if found := marksIn(old.reads(restored.url, carol), carol); len(found) > 0 {
		t.Errorf("after the restore, the responses have %q", found)
	}
	eventually(t, recoveryLimit, "after the restore, the wish lists are gone again", func() bool {
		text := old.must(old.admin, http.MethodGet, "/v1/customers/carol", "")
		return strings.Contains(text, `"customer_id":"carol"`) && !strings.Contains(text, "wish_lists")
	})
	old.must(old.admin, http.MethodPost, "/v1/carts", `{"cart_id":"late","currency":"GBP","customer_id":"carol"}`)
	old.must(old.admin, http.MethodPost, "/v1/carts/late/abandon", `{"reason":"`+mark+`carol-late"}`)
	if found := marksIn(dump(t, poolOf(t, copied)), carol); len(found) > 0 {
		t.Errorf("after the restore, the database has %q", found)
	}
}

// An erasure that was recorded and then cut off is finished by the next node. Keys of a cart that
// the customer had as a guest go, too.
func TestACutOffErasureIsFinished(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openPrivate(t, "--master-key-file", file)
	pool := poolOf(t, s.database)
	s.tellOf(carol)()
	s.must(s.admin, http.MethodPost, "/v1/carts", `{"cart_id":"was-guest","currency":"GBP"}`)
	s.must(s.admin, http.MethodPatch, "/v1/carts/was-guest", `{"customer_id":"carol"}`)
	if _, err := pool.Exec(t.Context(), `INSERT INTO commands.data_keys (id, subject, master, wrapped) SELECT 'guest-key', 'cart:was-guest', id, 'x' FROM commands.master_key`); err != nil {
		t.Fatal(err)
	}
	// Whoever destroys keys waits, so the event is recorded and nothing else is done.
	release := hold(t, s.database, `SELECT FROM commands.master_key FOR UPDATE`)
	answered := make(chan int, 1)
	go func() {
		status, _ := s.ask(s.admin, http.MethodPost, "/v1/erasures", `{"customer_id":"carol","reason":"requested"}`)
		answered <- status
	}()
	eventually(t, recoveryLimit, "the erasure is recorded", func() bool { return strings.Contains(dump(t, pool), "subject.erased.v1") })
	s.stop()
	release()
	<-answered
	s.exit(t)
	next := serve(t, "--database-url", s.database, "--master-key-file", file)
	s.url = next.url
	for _, subject := range []string{"customer:carol", "cart:was-guest"} {
		eventually(t, recoveryLimit, "the keys of "+subject+" are destroyed", func() bool { return liveKeys(t, pool, subject) == 0 })
	}
	s.erase(pool, carol)
	if found := marksIn(dump(t, pool), carol); len(found) > 0 {
		t.Errorf("the database has %q", found)
	}
	verified(t, "--database-url", s.database, "--master-key-file", file)
}

// The command erases beside a running server, which removes the copies. It also erases a guest.
func TestTheCommandErases(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openPrivate(t, "--master-key-file", file)
	pool := poolOf(t, s.database)
	s.tellOf(carol)()
	s.must(s.admin, http.MethodPost, "/v1/carts", `{"cart_id":"guest","currency":"GBP"}`)
	s.must(s.admin, http.MethodPost, "/v1/carts/guest/abandon", `{"reason":"`+mark+`guest"}`)
	for _, args := range [][]string{{"--customer", carol}, {"--cart", "guest", "--reason", "retention"}} {
		got := call(t, nil, append([]string{"erase", "--json", "--database-url", s.database, "--master-key-file", file}, args...)...)
		var result eraseResult
		if err := json.Unmarshal([]byte(got.stdout), &result); got.code != exitOK || err != nil {
			t.Fatalf("%q: %d %s %v", args, got.code, got.stderr, err)
		}
	}
	aMinuteLater(t, pool)
	for _, whom := range []string{carol, "guest"} {
		eventually(t, recoveryLimit, "no text of "+whom+" is left", func() bool { return len(marksIn(dump(t, pool), whom)) == 0 })
	}
	eventually(t, recoveryLimit, "the server shows no text", func() bool { return len(marksIn(s.reads(s.url, carol), carol)) == 0 })
	for _, wrong := range [][]string{{}, {"--customer", "a b"}, {"--customer", "a", "--cart", "b"}, {"--customer", "a", "--reason", "because"}} {
		if got := call(t, nil, append([]string{"erase", "--database-url", s.database, "--master-key-file", file}, wrong...)...); got.code != exitUsage {
			t.Errorf("%q: exit code %d, %s", wrong, got.code, got.stderr)
		}
	}
}
