package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"daybook/eventstore/sealing"
	"daybook/internal/pgtest"
)

// writeMasterKey writes a file with a new master key.
func writeMasterKey(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "keys")
	line, _ := sealing.NewMasterKey()
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// privateShop is a shop whose orders, carts and returns have personal texts.
type privateShop struct {
	*keyedShop
	admin string
}

// markers are the personal texts that tellSecrets writes.
var markers = []string{"MARKER-abandoned", "MARKER-canceled", "MARKER-lines", "MARKER-settled", "MARKER-declined", "MARKER-return"}

// tellSecrets writes each kind of personal text that is sealed. The ids begin with a prefix.
func (s *privateShop) tellSecrets(prefix string) {
	s.t.Helper()
	do := func(method, path, body string) {
		s.must(s.admin, method, path, body, "Idempotency-Key", uuid.NewString())
	}
	do(http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	do(http.MethodPut, "/v1/products/MUG/prices/GBP", `{"amount":"7.50"}`)
	do(http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":100}`)
	for i, customer := range []string{"", `"customer_id":"alice",`, `"customer_id":"bob",`} {
		id := fmt.Sprint(prefix, i)
		do(http.MethodPost, "/v1/carts", `{"cart_id":"`+id+`","currency":"GBP",`+customer+`"lines":[{"sku":"MUG","quantity":3}]}`)
		if customer == "" {
			do(http.MethodPost, "/v1/carts/"+id+"/abandon", `{"reason":"MARKER-abandoned"}`)
			continue
		}
		order := "/v1/orders/" + id
		do(http.MethodPost, "/v1/carts/"+id+"/checkout", `{"order_id":"`+id+`"}`)
		do(http.MethodPost, order+"/transactions", `{"transaction_id":"p`+id+`","type":"capture","state":"pending","amount":{"amount":"15.00","currency":"GBP"}}`)
		do(http.MethodPatch, order+"/transactions/p"+id, `{"state":"succeeded","reference":"MARKER-settled"}`)
		do(http.MethodPost, order+"/cancel", `{"lines":[{"line":1,"quantity":1}],"reason":"MARKER-lines"}`)
	}
	do(http.MethodPost, "/v1/orders/"+prefix+"2/cancel", `{"reason":"MARKER-canceled"}`)
	do(http.MethodPost, "/v1/orders/"+prefix+"1/confirm", "")
	do(http.MethodPost, "/v1/orders/"+prefix+"1/shipments", `{"shipment_id":"`+prefix+`"}`)
	for end, marker := range map[string]string{"decline": "MARKER-declined", "cancel": "MARKER-return"} {
		id := prefix + end
		do(http.MethodPost, "/v1/returns", `{"return_id":"`+id+`","order_id":"`+prefix+`1","lines":[{"order_line":1,"quantity":1}]}`)
		do(http.MethodPost, "/v1/returns/"+id+"/"+end, `{"reason":"`+marker+`"}`)
	}
}

// shownBy returns which of the texts that tellSecrets has written the API shows.
func (s *privateShop) shownBy(prefix string) string {
	s.t.Helper()
	var all strings.Builder
	for _, path := range []string{
		"/v1/orders/" + prefix + "1", "/v1/orders/" + prefix + "2",
		"/v1/returns/" + prefix + "decline", "/v1/returns/" + prefix + "cancel",
	} {
		all.WriteString(s.must(s.admin, http.MethodGet, path, ""))
	}
	return all.String()
}

// inLog returns the texts of a log's tables that have any of the words.
func inLog(t *testing.T, database string, words ...string) (found []string) {
	t.Helper()
	pool := poolOf(t, database)
	for _, table := range []string{"events", "streams"} {
		rows, err := pool.Query(t.Context(), `SELECT t::text FROM eventstore.`+table+` t`)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				t.Fatal(err)
			}
			for _, word := range words {
				if strings.Contains(text, word) {
					found = append(found, text)
				}
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func openPrivate(t *testing.T, args ...string) *privateShop {
	t.Helper()
	s := &privateShop{keyedShop: openKeyed(t, args...)}
	s.admin = s.keys["admin"]
	return s
}

// The log has no clear text of what is sealed. The shop shows it all the same, also after its views
// were built again, and verify finds nothing.
func TestPersonalTextsAreSealedInTheLog(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{storePostgres, storeKurrentDB} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			file, log := writeMasterKey(t), pgtest.URL(t)
			s := &privateShop{}
			if engine == storePostgres {
				s = openPrivate(t, "--master-key-file", file)
				log = s.database
			} else {
				database := pgtest.URL(t)
				where := []string{"--database-url", database, "--store", storeKurrentDB, "--kurrentdb-url", openGatewayOver(t, log)}
				running := serve(t, append(where, "--master-key-file", file)...)
				s = &privateShop{&keyedShop{t: t, running: running, database: database}, keyOf(running.url)}
			}
			s.tellSecrets("a")
			if found := inLog(t, log, "MARKER"); len(found) > 0 {
				t.Errorf("the log has clear text: %q", found)
			}
			if sealed := inLog(t, log, "sealed"); len(sealed) < len(markers) {
				t.Errorf("%d events have sealed fields, want %d or more", len(sealed), len(markers))
			}
			s.showsAll("a")
			if events := s.must(s.admin, http.MethodGet, "/v1/events?limit=500", ""); !strings.Contains(events, "MARKER-abandoned") || strings.Contains(events, `"sealed"`) {
				t.Errorf("the feed of events does not show the texts to an admin: %.300s", events)
			}
		})
	}
}

// showsAll fails if the API does not show all texts.
func (s *privateShop) showsAll(prefix string) {
	s.t.Helper()
	eventually(s.t, recoveryLimit, "the API shows all texts", func() bool {
		shown := s.shownBy(prefix)
		for _, marker := range markers[1:] { // a cart does not show why it was abandoned
			if marker != "MARKER-settled" && !strings.Contains(shown, marker) {
				return false
			}
		}
		return true
	})
}

// A shop with sealed texts starts only with its master key. What is wrong is said, with the file,
// and nothing is changed.
func TestAShopStartsOnlyWithItsMasterKey(t *testing.T) {
	t.Parallel()
	file, other := writeMasterKey(t), writeMasterKey(t)
	s := openPrivate(t, "--master-key-file", file)
	s.tellSecrets("a")
	s.stop()
	if code := s.exit(t); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	before := dumpKeys(t, s.database)
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"none":    {nil, "no master key was given: name its file with --master-key-file"},
		"another": {[]string{"--master-key-file", other}, other + " has only"},
	} {
		for _, command := range []string{"serve --listen 127.0.0.1:0", "verify"} {
			got := call(t, nil, append(append(strings.Fields(command), "--database-url", s.database), c.args...)...)
			if got.code == exitOK || !strings.Contains(got.stderr, c.says) {
				t.Errorf("%s with %s: exit code %d, %s", command, name, got.code, got.stderr)
			}
		}
	}
	if after := dumpKeys(t, s.database); after != before {
		t.Errorf("the keys were changed: %s, before %s", after, before)
	}
	// A command that needs no personal text works without the master key.
	if code, _, stderr := s.console("keys", "list"); code != exitOK {
		t.Errorf("keys list: %d %s", code, stderr)
	}
	verified(t, "--database-url", s.database, "--master-key-file", file)
}

func verified(t *testing.T, args ...string) {
	t.Helper()
	if got := call(t, nil, append([]string{"verify"}, args...)...); got.code != exitOK {
		t.Errorf("verify: %d %s %s", got.code, got.stdout, got.stderr)
	}
}

// dumpKeys returns the rows of the tables of keys.
func dumpKeys(t *testing.T, database string) (all string) {
	t.Helper()
	err := poolOf(t, database).QueryRow(t.Context(), `
		SELECT coalesce(string_agg(t, '; '), '') FROM (
			SELECT d::text AS t FROM commands.data_keys d UNION ALL SELECT m::text FROM commands.master_key m ORDER BY 1) x`).Scan(&all)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The first start in a data directory writes a master key that only its owner can read. Without
// it, the directory does not start again.
func TestADataDirectoryHasAMasterKey(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	running := serve(t, "--data", dir)
	s := &privateShop{&keyedShop{t: t, running: running}, keyOf(running.url)}
	s.tellSecrets("a")
	s.showsAll("a")
	file := filepath.Join(dir, masterKeyFile)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	// A program beside the server finds the file by the socket.
	if got := call(t, nil, "verify", "--database-url", socketURL(dir)); got.code != exitOK {
		t.Errorf("verify beside the server: %d %s %s", got.code, got.stdout, got.stderr)
	}
	running.stop()
	if code := running.exit(t); code != exitOK {
		t.Fatal(code)
	}
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	got := call(t, nil, "serve", "--data", dir)
	if _, err := os.Stat(file); got.code == exitOK || !strings.Contains(got.stderr, file+" is missing") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the file: %d %s; the file: %v", got.code, got.stderr, err)
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	verified(t, "--data", dir)
}

// If the table of keys is away, requests that need a sealed text get 503 with the reason. Nothing
// reads as erased, and nothing is recorded in clear text.
func TestAwayKeysAreNotErased(t *testing.T) {
	t.Parallel()
	s := openPrivate(t, "--master-key-file", writeMasterKey(t))
	s.tellSecrets("a")
	s.showsAll("a")
	pool := poolOf(t, s.database)
	rename := func(from, to string) {
		if _, err := pool.Exec(t.Context(), `ALTER TABLE commands.`+from+` RENAME TO `+to); err != nil {
			t.Fatal(err)
		}
	}
	s.must(s.admin, http.MethodPost, "/v1/carts", `{"cart_id":"new","currency":"GBP"}`)
	rename("data_keys", "hidden_keys")
	status, text := s.ask(s.admin, http.MethodPost, "/v1/carts/new/abandon", `{"reason":"MARKER-new"}`)
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "The keys of personal texts cannot be reached now") {
		t.Errorf("%d %s", status, text)
	}
	s.must(s.admin, http.MethodPost, "/v1/carts/new/lines", `{"lines":[{"sku":"MUG","quantity":1}]}`, "Idempotency-Key", "n") // it needs no key
	rename("hidden_keys", "data_keys")
	s.must(s.admin, http.MethodPost, "/v1/carts/new/abandon", `{"reason":"MARKER-new"}`)
	s.showsAll("a")
	if found := inLog(t, s.database, "MARKER", sealing.Erased); len(found) > 0 {
		t.Errorf("the log has %q", found)
	}
}

// A backup has the keys of personal texts, but not the master key. A backup without secrets has
// neither, so the texts are erased in the copy.
func TestABackupHasTheKeysOfPersonalTexts(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openPrivate(t, "--master-key-file", file)
	s.tellSecrets("a")
	dir := t.TempDir()
	for _, c := range []struct {
		name, flag string
		has, lacks string
	}{
		{"whole", "--json", "MARKER-canceled", sealing.Erased},
		{"without", "--without-secrets", sealing.Erased, "MARKER-canceled"},
	} {
		name := filepath.Join(dir, c.name)
		resultOf[backupResult](t, "backup", name, c.flag, "--database-url", s.database)
		if content := contentOf(t, name); strings.Contains(content, "MARKER") {
			t.Errorf("%s: the backup has clear text", c.name)
		}
		copied := pgtest.URL(t)
		resultOf[restoreResult](t, "restore", name, "--database-url", copied)
		verified(t, "--database-url", copied, "--master-key-file", file)
		running := serve(t, "--database-url", copied, "--master-key-file", file)
		restored := &privateShop{&keyedShop{t: t, running: running, database: copied}, keyOf(running.url)}
		eventually(t, recoveryLimit, "the copy shows "+c.has, func() bool { return strings.Contains(restored.shownBy("a"), c.has) })
		if shown := restored.shownBy("a"); strings.Contains(shown, c.lacks) {
			t.Errorf("%s: the copy shows %s", c.name, c.lacks)
		}
	}
	// Without the master key, the whole copy does not start.
	copied := pgtest.URL(t)
	resultOf[restoreResult](t, "restore", filepath.Join(dir, "whole"), "--database-url", copied)
	if got := call(t, nil, "verify", "--database-url", copied); got.code == exitOK || !strings.Contains(got.stderr, "no master key was given") {
		t.Errorf("without the master key: %d %s", got.code, got.stderr)
	}
}
