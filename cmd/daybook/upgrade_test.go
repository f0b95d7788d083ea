package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/cmd/daybook/shoppers"
	"daybook/internal/pgtest"
)

const databasesDir = "testdata/databases"

// TestRecordADatabaseToKeep makes a dump of a whole database that later versions of the program
// must be able to open; see testdata/databases/README.md.
//
//	DAYBOOK_RECORD_DATABASE  the file to write; without it nothing happens
//	DAYBOOK_PROGRAM          the program that makes the database (by default built from here)
//	DAYBOOK_PG_DUMP          pg_dump (by default the one in PATH)
func TestRecordADatabaseToKeep(t *testing.T) {
	file := os.Getenv("DAYBOOK_RECORD_DATABASE")
	if file == "" {
		t.Skip("DAYBOOK_RECORD_DATABASE names no file to write")
	}
	program, dumper := os.Getenv("DAYBOOK_PROGRAM"), os.Getenv("DAYBOOK_PG_DUMP")
	if program == "" {
		program = build(t)
	}
	if dumper == "" {
		dumper = "pg_dump"
	}
	dir := dataDir(t)
	args := []string{"--access", accessOff}
	if os.Getenv("DAYBOOK_PROGRAM") == "" {
		args = []string{"--guests"}
	}
	server := startChild(t, program, dir, args...)
	s := &storyteller{T: t, url: server.url}
	s.catalogue()
	s.warehouse()
	if s.ask(http.MethodGet, "/roles", nil) == http.StatusOK {
		s.access()
		if os.Getenv("DAYBOOK_PROGRAM") == "" {
			s.people()
			s.secretsOf(strings.TrimSuffix(file, ".sql.gz")+".json", keyOf(server.url))
		}
		s.carts()
		if os.Getenv("DAYBOOK_PROGRAM") == "" {
			s.customers()
		}
		s.sales()
		s.recordReturns()
	} else { // an older program, which lacks some routes of the story
		for i := range 8 {
			s.buy(fmt.Sprintf("old-%d", i), []object{nil, paid}[i%2], "mug", 1+i)
		}
	}
	eventually(t, patience, "the read models at the end of the log", func() bool { return caughtUp(t, server.url) })
	dump := exec.CommandContext(t.Context(), dumper, "--inserts", "--rows-per-insert=100", "--no-owner", "--no-privileges", socketURL(dir))
	text, err := dump.Output()
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := packed.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// dumpSecrets are what the people of a dump know. They were made for the dump, and are good in no
// shop.
type dumpSecrets struct {
	Admin    string `json:"admin_key"`
	Revoked  string `json:"revoked_key"`
	Guest    string `json:"guest_token"`
	Cart     string `json:"guest_cart"`
	Email    string `json:"email"`     // of a person with goodPassword
	OldEmail string `json:"old_email"` // which they had before
	Left     string `json:"left"`      // the address of a person whose access has ended
}

// secretsOf makes a guest, keys and a session, and writes what their holders know into a file.
func (s *storyteller) secretsOf(file, admin string) {
	s.Helper()
	browser := &keyedShop{t: s.T, running: running{url: s.url}}
	secrets := dumpSecrets{Admin: admin, Email: "sue@home.example", OldEmail: "sue@shop.example", Left: "bob@shop.example"}
	person := browser.hireWith(admin, secrets.OldEmail, "auditor")
	token := member(s.T, browser.must(admin, http.MethodPost, "/v1/staff/"+person+"/email", fmt.Sprintf(`{"email":%q}`, secrets.Email)), "token")
	if got := browser.plain(http.MethodPost, "/v1/auth/email/confirm", fmt.Sprintf(`{"token":%q}`, token)); got.status != http.StatusOK {
		s.Fatalf("change an address: %+v", got)
	}
	browser.mustSignIn(secrets.Email) // the session stays
	secrets.Cart, secrets.Guest = browser.openAsGuest("", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`)
	made := browser.must(admin, http.MethodPost, "/v1/keys", `{"name":"old","role":"operator"}`)
	secrets.Revoked = member(s.T, made, "api_key")
	browser.must(secrets.Revoked, http.MethodGet, "/v1/orders", "")
	browser.must(admin, http.MethodPost, "/v1/keys/"+member(s.T, made, "key", "key_id")+"/revoke", `{}`)
	text, err := json.Marshal(secrets, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
		s.Fatal(err)
	}
	eventually(s.T, patience, "the use of a key is stored", func() bool {
		return strings.Contains(browser.must(admin, http.MethodGet, "/v1/keys", ""), "last_used_at")
	})
}

// peopleOfDump checks that the holders of keys and passwords of a dump are known after it was
// opened, and that nobody else is.
func (s *keyedShop) peopleOfDump(file string) {
	s.t.Helper()
	t := s.t
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return // it is from before people
	}
	var secrets dumpSecrets
	if err := errors.Join(err, json.Unmarshal(text, &secrets)); err != nil {
		t.Fatal(err)
	}
	if keys := s.must(secrets.Admin, http.MethodGet, "/v1/keys", ""); !strings.Contains(keys, "last_used_at") || strings.Count(keys, `"key_id"`) < 6 {
		t.Errorf("the keys: %s", keys)
	}
	if people := s.must(secrets.Admin, http.MethodGet, "/v1/staff", ""); strings.Count(people, `"person_id"`) < 5 || !strings.Contains(people, secrets.Email) {
		t.Errorf("the people: %s", people)
	}
	if status, text := s.ask(secrets.Revoked, http.MethodGet, "/v1/orders", ""); status != http.StatusUnauthorized {
		t.Errorf("the revoked key: %d %s", status, text)
	}
	if cart := s.must(secrets.Guest, http.MethodGet, "/v1/carts/"+secrets.Cart, ""); !strings.Contains(cart, `"MUG"`) {
		t.Errorf("the guest's cart: %s", cart)
	}
	session := s.mustSignIn(secrets.Email)
	if me := s.as(session, http.MethodGet, "/v1/auth/me", ""); member(t, me.text, "role") != "auditor" {
		t.Errorf("the person: %+v", me)
	}
	for _, gone := range []string{secrets.OldEmail, secrets.Left} {
		if got := s.signIn(gone, goodPassword); got.status != http.StatusUnauthorized {
			t.Errorf("%s signs in: %+v", gone, got)
		}
	}
}

// caughtUp tells whether the read models in use are at the end of the log.
func caughtUp(t *testing.T, base string) bool {
	t.Helper()
	response, err := http.Get(base + "/v1/projections") //nolint:noctx // ends with the server
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var found struct {
		Items []struct {
			InUse bool   `json:"in_use"`
			Lag   uint64 `json:"lag"`
		} `json:"items"`
	}
	if err := json.UnmarshalRead(response.Body, &found); err != nil {
		t.Fatal(err)
	}
	for _, one := range found.Items {
		if one.InUse && one.Lag > 0 {
			return false
		}
	}
	return len(found.Items) > 0
}

// notForServers are lines of a dump that are for psql, or for servers of a newer version only.
var notForServers = regexp.MustCompile(`(?m)^(\\.*|SET transaction_timeout.*)$`)

// loadDump fills an empty database from a dump.
func loadDump(t *testing.T, url, file string) {
	t.Helper()
	packed, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := poolOf(t, url).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Conn().PgConn().Exec(t.Context(), notForServers.ReplaceAllString(string(text), "")).ReadAll(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Conn().Close(t.Context()); err != nil { // the dump has changed its settings
		t.Fatal(err)
	}
}

// This program opens the databases of earlier versions. It brings the tables to its version, builds
// read models again where their form has changed, and sells. Then verify finds no difference.
func TestDatabasesOfEarlierVersionsOpen(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(databasesDir, "*.sql.gz"))
	if err != nil || len(files) < 2 {
		t.Fatalf("databases %q, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".sql.gz"), func(t *testing.T) {
			t.Parallel()
			url := pgtest.URL(t)
			loadDump(t, url, file)
			server := serve(t, "--database-url", url)
			eventually(t, patience, "the read models at the end of the log", func() bool { return caughtUp(t, server.url) })
			(&keyedShop{t: t, database: url, running: server}).peopleOfDump(strings.TrimSuffix(file, ".sql.gz") + ".json")
			if orders := list[orderRow](t, server.url+"/v1/orders?limit=500"); len(orders) < 8 {
				t.Errorf("%d orders are left", len(orders))
			}
			client := shoppers.NewClient(server.url, keyOf(server.url), 1)
			defer client.Close()
			goods := shoppers.Product{SKU: "NEW", Title: "New", Price: shoppers.Money{Amount: "1.00", Currency: "GBP"}, Opening: 1}
			if _, err := shoppers.Open(t.Context(), client, []shoppers.Product{goods}); err != nil {
				t.Fatal(err)
			}
			cart, err := client.OpenCart(t.Context(), "ann", "GBP", "", []shoppers.Line{{SKU: "NEW", Quantity: 1}})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := client.Checkout(t.Context(), "buy", cart, true); err != nil {
				t.Error(err)
			}
			server.stop()
			server.exit(t)
			for _, command := range [][]string{{"verify"}, {"rebuild", "orders"}, {"rebuild", "stock"}, {"verify"}} {
				if got := call(t, nil, append(command, "--database-url", url)...); got.code != exitOK {
					t.Errorf("%s: %s%s", command, got.stdout, got.stderr)
				}
			}
		})
	}
}
