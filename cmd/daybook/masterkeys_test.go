package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore/sealing"
)

// masterOf runs a subcommand of master-key.
func masterOf[R any](t *testing.T, database, file string, args ...string) R {
	t.Helper()
	return resultOf[R](t, append(append([]string{"master-key"}, args...), "--database-url", database, "--master-key-file", file)...)
}

// refusedMaster fails if a subcommand of master-key is not refused with a reason.
func refusedMaster(t *testing.T, database, file, says string, args ...string) {
	t.Helper()
	got := call(t, nil, append(append([]string{"master-key"}, args...), "--database-url", database, "--master-key-file", file)...)
	if got.code == exitOK || !strings.Contains(got.stderr, says) {
		t.Errorf("%q: exit code %d, %s, want %q", args, got.code, got.stderr, says)
	}
}

// wrappedBy returns how many data keys each master key wraps.
func wrappedBy(t *testing.T, pool *pgxpool.Pool) map[string]int {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT master FROM commands.data_keys WHERE destroyed_at IS NULL`)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for rows.Next() {
		var master string
		if err := rows.Scan(&master); err != nil {
			t.Fatal(err)
		}
		counts[master]++
	}
	return counts
}

// copyKeys copies a file of master keys, as an operator copies it to another machine.
func copyKeys(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// logText is everything that a log has, as text.
func logText(t *testing.T, pool *pgxpool.Pool, upTo int64) (all string) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `SELECT string_agg(e::text, E'\n' ORDER BY position) FROM eventstore.events e WHERE position <= $1`, upTo).Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// The master key is changed while two nodes with files of their own work. The change waits until
// both have the key. Both nodes read all texts, old and new ones, before, during and after it. The
// log stays as it is.
func TestTheMasterKeyIsRotatedUnderLoad(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	other := filepath.Join(t.TempDir(), "keys")
	copyKeys(t, file, other)
	s := openPrivate(t, "--master-key-file", file)
	second := serve(t, "--database-url", s.database, "--master-key-file", other)
	pool := poolOf(t, s.database)
	s.tellSecrets("a")
	var head int64
	if err := pool.QueryRow(t.Context(), `SELECT position FROM eventstore.head`).Scan(&head); err != nil {
		t.Fatal(err)
	}
	before := logText(t, pool, head)
	old := masterOf[masterKeyStatus](t, s.database, file, "status").Keys[0].ID

	// The load: guests, so each of them gets a key of their own.
	ctx, end := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var written atomic.Int64
	for i, at := range []string{s.url, second.url} {
		load.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprintf("load-%d-%d", i, n)
				for _, request := range [][2]string{{"", `{"cart_id":"` + id + `","currency":"GBP"}`}, {"/" + id + "/abandon", `{"reason":"MARKER-` + id + `"}`}} {
					if status, text := s.askAt(at, http.MethodPost, "/v1/carts"+request[0], request[1]); status >= http.StatusMultipleChoices {
						t.Errorf("%s: %d %s", request[0], status, text)
						return
					}
				}
				written.Add(1)
			}
		})
	}
	many := func(more int64) {
		from := written.Load()
		eventually(t, recoveryLimit, "more is written", func() bool { return written.Load() >= from+more })
	}
	many(50)

	added := masterOf[masterKeyAdded](t, s.database, file, "add")
	refusedMaster(t, s.database, file, "nothing was changed. Copy the master key file to them", "rotate", "--wait", "0s")
	if by := wrappedBy(t, pool); by[added.ID] > 0 || by[old] == 0 {
		t.Errorf("the refused rotation has changed keys: %v", by)
	}
	refusedMaster(t, s.database, file, "still needed: it wraps", "drop", old)
	copyKeys(t, file, other)
	rotated := masterOf[masterKeyRotated](t, s.database, file, "rotate")
	if rotated.Current != added.ID || rotated.Wrapped == 0 || !slices.Equal(rotated.Drop, []string{old}) {
		t.Errorf("rotated: %+v", rotated)
	}
	many(20)
	for _, path := range []string{file, other} {
		masterOf[masterKeyAdded](t, s.database, path, "drop", old)
	}
	many(20)
	end()
	load.Wait()
	if by := wrappedBy(t, pool); len(by) != 1 || by[added.ID] < int(written.Load()) {
		t.Errorf("the keys are wrapped by %v, want all by %s", by, added.ID)
	}
	if after := logText(t, pool, head); after != before {
		t.Error("the log was changed")
	}
	refusedMaster(t, s.database, file, "still needed: it wraps", "drop", added.ID)

	// Both nodes and a new one read everything. The new one never had the old master key.
	third := serve(t, "--database-url", s.database, "--master-key-file", other)
	for _, at := range []string{s.url, second.url, third.url} {
		for _, id := range []string{"a0", "load-0-0", "load-1-0", fmt.Sprintf("load-0-%d", written.Load()/4)} {
			if events := s.mustAt(at, http.MethodGet, "/v1/streams/cart-"+id, ""); !strings.Contains(events, "MARKER-") || strings.Contains(events, sealing.Erased) {
				t.Errorf("%s at %s: %s", id, at, events)
			}
		}
	}
	verified(t, "--database-url", s.database, "--master-key-file", file)
}

// mustAt is must at another node.
func (s *privateShop) mustAt(at, method, path, body string) string {
	s.t.Helper()
	there := *s.keyedShop
	there.url = at
	return there.must(s.admin, method, path, body)
}

// askAt is ask at another node.
func (s *privateShop) askAt(at, method, path, body string) (status int, text string) {
	there := *s.keyedShop
	there.url = at
	return there.ask(s.admin, method, path, body)
}

// A rotation that is killed in the middle is finished by the next call. Until then, nodes read
// everything.
func TestAKilledRotationGoesOn(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openPrivate(t, "--master-key-file", file)
	const guests = 450 // more than two batches
	pool := poolOf(t, s.database)
	for i := range guests {
		id := fmt.Sprint("g", i)
		s.must(s.admin, http.MethodPost, "/v1/carts", `{"cart_id":"`+id+`","currency":"GBP"}`)
		s.must(s.admin, http.MethodPost, "/v1/carts/"+id+"/abandon", `{"reason":"MARKER"}`)
	}
	added := masterOf[masterKeyAdded](t, s.database, file, "add")

	// A row that is locked holds the rotation in its second batch, and there it is killed.
	release := hold(t, s.database, `SELECT FROM commands.data_keys WHERE id = (SELECT id FROM commands.data_keys ORDER BY id OFFSET 300 LIMIT 1) FOR UPDATE`)
	killed := exec.CommandContext(t.Context(), build(t), "master-key", "rotate", "--database-url", s.database, "--master-key-file", file)
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, recoveryLimit, "a batch is done", func() bool { return wrappedBy(t, pool)[added.ID] > 0 })
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	release()
	by := wrappedBy(t, pool)
	if len(by) != 2 {
		t.Fatalf("after the kill the keys are wrapped by %v, want two master keys", by)
	}
	shown := func() {
		t.Helper()
		node := serve(t, "--database-url", s.database, "--master-key-file", file)
		for _, id := range []string{"g0", "g200", "g449"} {
			if events := s.mustAt(node.url, http.MethodGet, "/v1/streams/cart-"+id, ""); !strings.Contains(events, "MARKER") {
				t.Errorf("%s: %s", id, events)
			}
		}
	}
	shown()
	rotated := masterOf[masterKeyRotated](t, s.database, file, "rotate")
	if want := guests - by[added.ID]; rotated.Wrapped != want {
		t.Errorf("the second call has wrapped %d keys, want the other %d", rotated.Wrapped, want)
	}
	shown()
	if again := masterOf[masterKeyRotated](t, s.database, file, "rotate"); again.Wrapped != 0 || again.Current != added.ID {
		t.Errorf("a third call: %+v, want nothing to do", again)
	}
}

// hold takes the locks of a statement, until the function that it returns is called.
func hold(t *testing.T, database, statement string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{`BEGIN`, statement} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Wrong and missing master keys change nothing, and the reason names the key and the file.
func TestAWrongMasterKeyIsNotRotatedTo(t *testing.T) {
	t.Parallel()
	file, wrong := writeMasterKey(t), writeMasterKey(t)
	s := openPrivate(t, "--master-key-file", file)
	s.tellSecrets("a")
	first := masterOf[masterKeyStatus](t, s.database, file, "status").Keys[0]
	if !first.Current || first.DataKeys == 0 || first.Missing {
		t.Errorf("status: %+v", first)
	}
	before := dumpKeys(t, s.database)
	refusedMaster(t, s.database, wrong, "lacks the master key "+first.ID, "rotate")
	refusedMaster(t, s.database, file, "has no master key 0123456789abcdef", "rotate", "--to", "0123456789abcdef")
	refusedMaster(t, s.database, file, "no master key of this id", "drop", "0123456789abcdef")
	refusedMaster(t, s.database, file, "still needed", "drop", first.ID)
	masterOf[masterKeyAdded](t, s.database, file, "add")
	masterOf[masterKeyAdded](t, s.database, file, "add")
	refusedMaster(t, s.database, file, "several new master keys", "rotate")
	if after := dumpKeys(t, s.database); after != before {
		t.Errorf("the keys were changed: %s, before %s", after, before)
	}
	status := masterOf[masterKeyStatus](t, s.database, wrong, "status")
	if last := status.Keys[len(status.Keys)-1]; last.ID != first.ID || !last.Missing {
		t.Errorf("status with the wrong file: %+v", status)
	}
	s.showsAll("a")
}
