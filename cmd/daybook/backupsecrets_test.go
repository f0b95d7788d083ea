package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"github.com/pquerna/otp/totp"

	"daybook/domain/access"
	"daybook/domain/staff"
	"daybook/eventstore"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/pgtest"
)

// factor is what a person gets when they set up a second factor.
type factor struct {
	secret   string
	recovery []string
	session  string
}

// setUpFactor sets up a second factor for a person whose role must have one.
func (s *keyedShop) setUpFactor(email string) (made factor) {
	s.t.Helper()
	step := member(s.t, s.signIn(email, goodPassword).text, "step_token")
	made.secret = member(s.t, s.plain(http.MethodPost, "/v1/auth/factor", fmt.Sprintf(`{"step_token":%q}`, step)).text, "app_secret")
	code, err := totp.GenerateCode(made.secret, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	done := s.plain(http.MethodPost, "/v1/auth/factor/confirm", fmt.Sprintf(`{"step_token":%q,"code":%q}`, step, code))
	var shown struct {
		Recovery []string `json:"recovery_codes"`
	}
	if err := json.Unmarshal([]byte(done.text), &shown); err != nil || done.session == "" || len(shown.Recovery) == 0 {
		s.t.Fatalf("set up a second factor: %v %+v", err, done)
	}
	made.recovery, made.session = shown.Recovery, done.session
	return made
}

// aHash is a SHA-256 in hexadecimal digits.
var aHash = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// Whatever can have happened to keys and people, an event without its secrets can still be read,
// and has no hash. The examples are the golden files of the codecs, which have every event.
func TestNoEventWithoutSecretsHasAHash(t *testing.T) {
	t.Parallel()
	id := eventstore.EventID(uuid.New(), 0)
	replaced := 0
	for _, about := range []struct {
		stream, folder string
		read           func(typ string, data []byte) error
	}{
		{access.Stream(), "access", func(typ string, data []byte) error { _, err := access.Decode(typ, data); return err }},
		{staff.Stream(), "staff", func(typ string, data []byte) error { _, err := staff.Decode(typ, data); return err }},
		{staff.StreamOf("u1"), "staff", func(typ string, data []byte) error { _, err := staff.DecodeLogin(typ, data); return err }},
	} {
		files, err := filepath.Glob("../../domain/" + about.folder + "/testdata/*.json")
		if err != nil || len(files) < 6 {
			t.Fatalf("%d examples, %v", len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			typ, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), "~")
			if strings.HasPrefix(typ, staff.LoginCategory+".") != strings.HasPrefix(about.stream, staff.LoginCategory+"-") {
				continue // both kinds of people have their examples in one folder
			}
			before := eventstorepg.Row{Position: 7, Stream: about.stream, Revision: 3, ID: id, Type: typ, Data: string(text)}
			after, err := withoutSecrets(before)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			for _, hash := range aHash.FindAllString(after.Data, -1) {
				if hash != leftOutHash {
					t.Errorf("%s still has the hash %s", file, hash)
				}
			}
			if err := about.read(after.Type, []byte(after.Data)); err != nil {
				t.Errorf("%s without secrets: %v", file, err)
			}
			if after.Data != before.Data {
				replaced++
			}
			before.Data, before.Type = after.Data, after.Type
			if !sameRow(before, after) {
				t.Errorf("%s: %+v became %+v", file, before, after)
			}
		}
	}
	if replaced < 6 {
		t.Errorf("only %d examples have secrets", replaced)
	}
	foreign := eventstorepg.Row{Stream: access.Stream(), ID: uuid.New(), Type: "noted", Data: `{"n": 1}`}
	if got, err := withoutSecrets(foreign); err != nil || !sameRow(got, foreign) {
		t.Errorf("an event of another program: %+v, %v", got, err)
	}
	unknown := eventstorepg.Row{Stream: access.Stream(), ID: id, Type: "shopaccess.of_a_newer_program.v1", Data: `{}`}
	if _, err := withoutSecrets(unknown); err == nil {
		t.Error("an event of a newer program may have secrets, but was kept")
	}
}

// contentOf is what a backup that is not encrypted holds.
func contentOf(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer unpacked.Close()
	var all strings.Builder
	if _, err := bufio.NewReader(unpacked).WriteTo(&all); err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// A backup without secrets has none of the shop's hashes and secrets, and can be restored. No old
// key, password, token or code is good in the restored shop. New ones are made on the command line,
// for the same keys and people.
func TestABackupWithoutSecretsIsRestored(t *testing.T) {
	t.Parallel()
	s, file, whole := openKeyed(t), filepath.Join(t.TempDir(), "b"), filepath.Join(t.TempDir(), "whole")
	eve := s.hire("eve@shop.example", access.Operator)
	owner := s.hire("owner@shop.example", access.Admin)
	app := s.setUpFactor("owner@shop.example")
	invited := member(t, s.must(s.keys["admin"], http.MethodPost, "/v1/staff", `{"email":"ann@shop.example","name":"Ann","role":"operator"}`), "token")
	s.must(s.keys["manager"], http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	made := resultOf[backupResult](t, "backup", file, "--without-secrets", "--database-url", s.database)
	if made.Secrets || made.Position == 0 {
		t.Errorf("made %+v", made)
	}
	if got := resultOf[backupResult](t, "backup", whole, "--database-url", s.database); !got.Secrets || got.Position != made.Position {
		t.Errorf("with secrets: %+v", got)
	}
	// Each secret is in the whole backup, so the search would find it in the other one.
	var secrets []string
	pool := poolOf(t, s.database)
	for _, sql := range []string{
		`SELECT coalesce(string_agg(h, ' '), '') FROM (SELECT jsonb_path_query(data::jsonb, '$.hash') #>> '{}' AS h FROM eventstore.events WHERE stream = 'shopaccess-all') x`,
		`SELECT coalesce(string_agg(h, ' '), '') FROM (SELECT jsonb_path_query(data::jsonb, '$.token_hash') #>> '{}' AS h FROM eventstore.events WHERE stream = 'shopstaff-all') x`,
		`SELECT coalesce(string_agg(h, ' '), '') FROM (SELECT jsonb_path_query(data::jsonb, '$.recovery_hashes[*]') #>> '{}' AS h FROM eventstore.events WHERE stream = 'shopstaff-all') x`,
		`SELECT coalesce(string_agg(to_json(value)::text, ' '), '') FROM commands.people_secrets`,
		`SELECT encode(value, 'hex') FROM commands.secrets WHERE name = 'logins'`,
	} {
		var found string
		if err := pool.QueryRow(t.Context(), sql).Scan(&found); err != nil {
			t.Fatal(err)
		}
		if found == "" {
			t.Errorf("the shop has no secret for %s", sql)
		}
		for one := range strings.FieldsSeq(found) {
			secrets = append(secrets, strings.Trim(one, `"`))
		}
	}
	without, with := contentOf(t, file), contentOf(t, whole)
	for _, secret := range secrets {
		if !strings.Contains(with, secret) || strings.Contains(without, secret) {
			t.Errorf("the secret %q: in the whole backup %t, in the other one %t", secret, strings.Contains(with, secret), strings.Contains(without, secret))
		}
	}
	for _, text := range []string{"argon2", app.secret, invited} {
		if strings.Contains(without, text) {
			t.Errorf("the backup has %q", text)
		}
	}

	copied := &keyedShop{t: t, database: pgtest.URL(t), keys: map[string]string{}}
	if said := call(t, nil, "restore", file, "--database-url", copied.database); said.code != exitOK || !strings.Contains(said.stdout, "daybook keys create --role admin") {
		t.Fatalf("restore: %+v", said)
	}
	if verified := copied.verify(); verified != "" {
		t.Errorf("before the first start: %s", verified)
	}
	copied.keys["admin"] = copied.makeKey("--role", "admin")
	copied.running = serve(t, "--database-url", copied.database)
	for role, key := range s.keys {
		if status, text := copied.ask(key, http.MethodGet, "/v1/products", ""); status != http.StatusUnauthorized {
			t.Errorf("the old key of %s: %d %s", role, status, text)
		}
	}
	copied.keysAndPeopleComeBack(s, eve, owner, app)
	for _, token := range []string{invited, "dbt_" + leftOutHash} {
		if got := copied.plain(http.MethodPost, "/v1/auth/token", fmt.Sprintf(`{"token":%q,"password":%q}`, token, goodPassword)); got.status/100 == 2 {
			t.Errorf("an old token: %+v", got)
		}
	}
	if text := copied.must(copied.keys["admin"], http.MethodGet, "/v1/products/MUG", ""); !strings.Contains(text, `"Mug"`) {
		t.Errorf("the product: %s", text)
	}
	if verified := copied.verify(); verified != "" {
		t.Error(verified)
	}
}

// The backups that a server makes by itself leave secrets out if it is told so, and otherwise not.
func TestScheduledBackupsLeaveSecretsOutIfAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args    []string
		secrets bool
	}{
		"by default":                    {nil, true},
		"with --backup-without-secrets": {[]string{"--backup-without-secrets"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			s := openKeyed(t, append([]string{"--backup-every", "1h", "--backup-dir", folder}, c.args...)...)
			var files []string
			eventually(t, patience, "a backup", func() bool {
				files, _ = filepath.Glob(filepath.Join(folder, "*.backup"))
				return len(files) == 1
			})
			var hashes string
			if err := poolOf(t, s.database).QueryRow(t.Context(), `SELECT string_agg(data::jsonb ->> 'hash', ' ') FROM eventstore.events WHERE type = 'shopaccess.key_issued.v1'`).Scan(&hashes); err != nil {
				t.Fatal(err)
			}
			content, found := contentOf(t, files[0]), 0
			for hash := range strings.FieldsSeq(hashes) { // that of the test's own key is newer than the backup
				if strings.Contains(content, hash) {
					found++
				}
			}
			if c.secrets && found < 5 || !c.secrets && found > 0 {
				t.Errorf("the backup has the hashes of %d keys", found)
			}
			if !strings.Contains(content, `"without_secrets":true`) != c.secrets {
				t.Errorf("the backup says of itself: %.300s", content)
			}
			if len(hashes) < 5*64 {
				t.Errorf("the shop's keys have the hashes %q", hashes)
			}
		})
	}
}

// keysAndPeopleComeBack gives an old key and old people of a shop new secrets in its copy.
func (s *keyedShop) keysAndPeopleComeBack(from *keyedShop, eve, owner string, app factor) {
	t := s.t
	t.Helper()
	manager, _, _ := strings.Cut(strings.TrimPrefix(from.keys["manager"], "dbk_"), "_")
	code, stdout, stderr := s.console("keys", "rotate", manager)
	if code != exitOK {
		t.Fatalf("keys rotate: %d %s", code, stderr)
	}
	renewed := member(t, stdout, "api_key")
	eventually(t, noticeMax, "the old key with its new secret", func() bool {
		status, _ := s.ask(renewed, http.MethodGet, "/v1/products", "")
		return status == http.StatusOK
	})
	for _, email := range []string{"eve@shop.example", "owner@shop.example"} {
		if got := s.signIn(email, goodPassword); got.status != http.StatusUnauthorized {
			t.Errorf("%s signs in with the old password: %+v", email, got)
		}
	}
	for _, id := range []string{eve, owner} {
		code, stdout, stderr := s.console("staff", "token", id)
		if code != exitOK {
			t.Fatalf("staff token: %d %s", code, stderr)
		}
		s.redeem(member(t, stdout, "token"))
	}
	s.mustSignIn("eve@shop.example")
	current, err := totp.GenerateCode(app.secret, time.Now().Add(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range slices.Concat([]string{current}, app.recovery[:1]) {
		next := s.signIn("owner@shop.example", goodPassword)
		if got := s.plain(http.MethodPost, "/v1/auth/second-factor", fmt.Sprintf(`{"step_token":%q,"code":%q}`, member(t, next.text, "step_token"), old)); got.status != http.StatusUnauthorized {
			t.Errorf("the old code %s: %+v", old, got)
		}
	}
	s.must(s.keys["admin"], http.MethodPost, "/v1/staff/"+owner+"/remove-factor", "")
	s.setUpFactor("owner@shop.example")
}

// Whoever adds a table to the backups must decide whether its rows have secrets.
func TestEachTableOfABackupIsKnownToHaveSecretsOrNone(t *testing.T) {
	t.Parallel()
	harmless := []string{"gateway.groups", "gateway.parked", "commands.people", "commands.imports", "commands.erased", "commands.former_master_keys"}
	for _, table := range keptTables {
		if slices.Contains(harmless, table.name) == slices.Contains(secretTables, table.name) {
			t.Errorf("is there a secret in the rows of %s? Put it into secretTables or into this test", table.name)
		}
	}
}
