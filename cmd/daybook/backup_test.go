package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/backup"
	"daybook/internal/pgtest"
)

// resultOf calls the program, which must succeed, and reads its result.
func resultOf[T any](t *testing.T, args ...string) (result T) {
	t.Helper()
	got := call(t, nil, append(args, "--json")...)
	if got.code != exitOK {
		t.Fatalf("daybook %s: exit code %d: %s", strings.Join(args, " "), got.code, got.stderr)
	}
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// logRows are the rows of a log up to a position.
func logRows(t *testing.T, url string, upTo int64) (all []eventstorepg.Row) {
	t.Helper()
	for row, err := range eventstorepg.Rows(t.Context(), poolOf(t, url), 0, upTo) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	return all
}

func sameRow(a, b eventstorepg.Row) bool {
	return a.Position == b.Position && a.Stream == b.Stream && a.Revision == b.Revision && a.RecordedAt.Equal(b.RecordedAt) && a.ID == b.ID &&
		equalOrNil(a.GivenID, b.GivenID) && a.Type == b.Type && a.Data == b.Data && equalOrNil(a.Meta, b.Meta)
}

func equalOrNil[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// A backup is made while shoppers buy. While they still buy, the shop is destroyed. The restored
// one has every order that was acknowledged before the backup, and verify finds no difference.
func TestABackupOutlivesTheShop(t *testing.T) {
	t.Parallel()
	dir, file, fresh := dataDir(t), filepath.Join(t.TempDir(), "shop.backup"), pgtest.URL(t)
	source := openShop(t, "--data", dir)
	source.sell(5)
	var enough, sold atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for buyer := 0; enough.Load() == 0; buyer++ {
			body := `{"cart_id":"late-` + strconv.Itoa(buyer) + `","currency":"GBP","lines":[{"sku":"` + shopSKU + `","quantity":1}]}`
			key := "late-" + strconv.Itoa(buyer)
			if status, _, err := post(context.WithoutCancel(t.Context()), source.server.url+"/v1/carts", key+"c", body); err != nil || status != 201 {
				return
			}
			if status, _, err := post(context.WithoutCancel(t.Context()), source.server.url+"/v1/carts/"+key+"/checkout", key, `{"order_id":"`+key+`"}`); err != nil || status != 201 {
				return
			}
			sold.Add(1)
		}
	}()
	eventually(t, patience, "orders meanwhile", func() bool { return sold.Load() > 3 })
	before := sold.Load()
	made := resultOf[backupResult](t, "backup", file, "--data", dir)
	after := sold.Load()
	eventually(t, patience, "orders after the backup", func() bool { return sold.Load() > after+1 })
	original := logRows(t, socketURL(dir), made.Position)
	if again := call(t, nil, "backup", file, "--data", dir); again.code != exitFailure || !strings.Contains(again.stderr, "exists already") {
		t.Errorf("a second backup into the same file: %d %s", again.code, again.stderr)
	}
	if err := syscall.Kill(postmaster(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	source.server.exit(t)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	enough.Store(1)
	<-ended

	restored := resultOf[restoreResult](t, "restore", file, "--database-url", fresh)
	if restored.Position != made.Position || !restored.Restored {
		t.Errorf("restored %+v of %+v", restored, made)
	}
	if got := logRows(t, fresh, made.Position); !slices.EqualFunc(got, original, sameRow) || len(got) == 0 {
		t.Errorf("%d rows are restored of %d, or they differ", len(got), len(original))
	}
	if again := call(t, nil, "restore", file, "--database-url", fresh); again.code != exitFailure || !strings.Contains(again.stderr, "has a log already") {
		t.Errorf("a second restore: %d %s", again.code, again.stderr)
	}
	copied := serve(t, "--database-url", fresh)
	eventually(t, patience, "the read models at the end of the log", func() bool { return recovered(t, copied.url) })
	for i := range before {
		get[map[string]any](t, copied.url+"/v1/orders/late-"+strconv.FormatInt(i, 10))
	}
	for _, sale := range source.sold {
		get[map[string]any](t, copied.url+"/v1/orders/"+sale.order)
	}
	if status, _, err := post(t.Context(), copied.url+"/v1/carts", "new", `{"cart_id":"new","currency":"GBP"}`); err != nil || status != 201 {
		t.Errorf("a new cart: %d, %v", status, err)
	}
	if got := call(t, nil, "verify", "--database-url", fresh); got.code != exitOK {
		t.Errorf("verify: %s%s", got.stdout, got.stderr)
	}
}

// A backup can be encrypted, and is then refused without its key. It can be restored as a copy in
// which no key of the shop is good.
func TestAnEncryptedBackupBecomesACopyWithoutKeys(t *testing.T) {
	t.Parallel()
	owner, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	source, fresh, file := pgtest.URL(t), pgtest.URL(t), filepath.Join(t.TempDir(), "b")
	if got := call(t, nil, "backup", file, "--database-url", source); got.code != exitFailure || !strings.Contains(got.stderr, "daybook migrate") {
		t.Errorf("a database without tables: %d %s", got.code, got.stderr)
	}
	if got := call(t, nil, "keys", "create", "--name", "a", "--role", "admin", "--database-url", source); got.code != exitOK {
		t.Fatal(got.stderr)
	}
	if got := call(t, nil, "staff", "invite", "--email", "eve@shop.example", "--name", "Eve", "--role", "admin", "--database-url", source); got.code != exitOK {
		t.Fatal(got.stderr)
	}
	made := resultOf[backupResult](t, "backup", file, "--recipient", owner.Recipient().String(), "--database-url", source)
	if !made.Encrypted || made.Position == 0 {
		t.Errorf("made %+v", made)
	}
	if got := call(t, nil, "restore", file, "--database-url", fresh); got.code != exitFailure || !strings.Contains(got.stderr, "--identity-file") {
		t.Errorf("without the key: %d %s", got.code, got.stderr)
	}
	identity := writeFile(t, "key", owner.String()+"\n")
	if got := resultOf[restoreResult](t, "restore", file, "--identity-file", identity, "--check"); got.Restored || got.InFile != made.Position {
		t.Errorf("checked %+v", got)
	}
	if got := resultOf[restoreResult](t, "restore", file, "--identity-file", identity, "--revoke-keys", "--database-url", fresh); got.Revoked != 1 || got.Disabled != 1 || !strings.HasPrefix(got.Key, "dbk_") {
		t.Errorf("restored %+v", got)
	}
	if got := call(t, nil, "keys", "list", "--database-url", fresh).stdout; strings.Count(got, "revoked") != 1 || strings.Count(got, "active") != 1 || !strings.Contains(got, "restored copy") {
		t.Errorf("keys of the copy: %s", got)
	}
	if got := call(t, nil, "staff", "list", "--database-url", fresh).stdout; !strings.Contains(got, "disabled") {
		t.Errorf("people of the copy: %s", got)
	}
	if got := call(t, nil, "staff", "list", "--database-url", source).stdout; strings.Contains(got, "disabled") {
		t.Errorf("people of the shop: %s", got)
	}
	if got := call(t, nil, "keys", "list", "--database-url", source).stdout; !strings.Contains(got, "active") {
		t.Errorf("keys of the shop: %s", got)
	}
}

// madeFile is a backup of events that were recorded at the given seconds.
func madeFile(t *testing.T, kept []backup.Kept, rows ...eventstorepg.Row) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.backup")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w, err := backup.NewWriter(file, backup.Header{Program: "test", Position: int64(len(rows))})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range kept {
		if err := w.Keep(row); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range rows {
		if err := w.Event(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func noteRow(position int64, stream string, revision int64, second int) eventstorepg.Row {
	return eventstorepg.Row{
		Position: position, Stream: stream, Revision: revision, RecordedAt: time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC),
		ID: uuid.NewSHA1(uuid.Nil, []byte{byte(position)}), Type: "noted", Data: `{"n": 1}`,
	}
}

// A restore ends at a position or at a time. It never ends within an append, because all events of
// an append have the same recorded time.
func TestARestoreEndsBetweenAppends(t *testing.T) {
	t.Parallel()
	file := madeFile(t, nil, noteRow(1, "a", 0, 1), noteRow(2, "a", 1, 2), noteRow(3, "b", 0, 2), noteRow(4, "c", 0, 2), noteRow(5, "a", 2, 3))
	for _, c := range []struct {
		command restoreCommand
		want    int64
	}{
		{restoreCommand{}, 5},
		{restoreCommand{ToPosition: 9}, 5},
		{restoreCommand{ToPosition: 5}, 5},
		{restoreCommand{ToPosition: 4}, 4},
		{restoreCommand{ToPosition: 3}, 1},
		{restoreCommand{ToPosition: 2}, 1},
		{restoreCommand{ToPosition: 1}, 1},
		{restoreCommand{ToTime: "2026-01-01T00:00:02Z"}, 4},
		{restoreCommand{ToTime: "2026-01-01T00:00:01.999Z"}, 1},
		{restoreCommand{ToTime: "2025-12-31T23:59:59Z"}, 0},
	} {
		c.command.File = file
		until, err := c.command.until()
		if err != nil {
			t.Fatal(err)
		}
		end, _, err := c.command.findEnd(t.Context(), until)
		if err != nil || end.position != c.want || end.whole != (c.want == 5) {
			t.Errorf("%+v ends at %+v, want %d; %v", c.command, end, c.want, err)
		}
	}
}

// If a log is restored in part, the places of the gateway's groups move back to its end. Ended
// streams stay ended, and ids that two streams share are kept.
func TestAPartialRestoreFitsItself(t *testing.T) {
	t.Parallel()
	ended := noteRow(3, "b", 1, 3)
	ended.Type, ended.Data = "$streamDeleted", "{}"
	twin := noteRow(4, "c", 0, 4)
	given := noteRow(1, "a", 0, 1).ID
	twin.GivenID = &given
	group := func(id int, source string, commit, prepare int) backup.Kept {
		row := `{"group_id":` + strconv.Itoa(id) + `,"source":"` + source + `","name":"g","filter":{},"settings":{},"checkpoint_commit":` + strconv.Itoa(commit) +
			`,"checkpoint_prepare":` + strconv.Itoa(prepare) + `,"next_number":3,"anchor":"x"}`
		return backup.Kept{Table: "gateway.groups", Row: jsontext.Value(row)}
	}
	parked := func(number, place int) backup.Kept {
		return backup.Kept{Table: "gateway.parked", Row: jsontext.Value(`{"group_id":7,"number":` + strconv.Itoa(number) + `,"place_commit":` + strconv.Itoa(place) + `,"place_prepare":` + strconv.Itoa(place) +
			`,"event_id":"` + uuid.NewString() + `","reason":"r","parked_at":"2026-01-01T00:00:00Z","replaying":false}`)}
	}
	file := madeFile(t, []backup.Kept{group(7, "$all", 5, 5), group(9, "a", 2, 2), parked(1, 2), parked(2, 5)},
		noteRow(1, "a", 0, 1), noteRow(2, "b", 0, 2), ended, twin, noteRow(5, "a", 1, 5))
	url := pgtest.URL(t)
	resultOf[restoreResult](t, "restore", file, "--to-position", "4", "--database-url", url)
	pool := poolOf(t, url)
	for sql, want := range map[string]string{
		`SELECT position || ' ' || extract(second FROM recorded_at)::int FROM eventstore.head`:                                            "4 4",
		`SELECT string_agg(stream || revision || ended, ' ' ORDER BY stream) FROM eventstore.streams`:                                     "a0false b1true c0false",
		`SELECT string_agg(source || checkpoint_commit || checkpoint_prepare || anchor, ' ' ORDER BY group_id) FROM gateway.groups`:       "$all44 a11",
		`SELECT string_agg(number::text, ' ') FROM gateway.parked`:                                                                        "1",
		`SELECT (given_id = (SELECT event_id FROM eventstore.events WHERE position = 1))::text FROM eventstore.events WHERE position = 4`: "true",
		`INSERT INTO gateway.groups (source, name, filter, settings) VALUES ('z', 'z', '{}', '{}') RETURNING group_id::text`:              "10",
	} {
		var got string
		if err := pool.QueryRow(t.Context(), sql).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q, want %q; %v", sql, got, want, err)
		}
	}
	damaged := writeFile(t, "damaged", "not a backup")
	if got := call(t, nil, "restore", damaged, "--database-url", pgtest.URL(t)); got.code != exitFailure || !strings.Contains(got.stderr, "not a whole backup") {
		t.Errorf("a damaged file: %d %s", got.code, got.stderr)
	}
}
