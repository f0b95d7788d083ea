package main

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"daybook/eventstore/sealing"
	"daybook/eventstore/sealing/mastercommand/mastercommandtest"
)

// The master key is in a service, which a command of the operator asks. While the command fails,
// texts whose keys are not in memory cannot be read or written (503), and nothing reads as erased.
func TestACommandHasTheMasterKey(t *testing.T) {
	t.Parallel()
	fake := mastercommandtest.New(t)
	with := []string{"--master-key-command", strings.Join(fake.Args, " ")}
	s := openPrivate(t, with...)
	pool := poolOf(t, s.database)
	s.tellOf(carol)()
	if by := wrappedBy(t, pool); len(by) != 1 || by[fake.ID()] == 0 {
		t.Fatalf("the keys are wrapped by %v, want %s", by, fake.ID())
	}
	if found := marksIn(logText(t, pool, 1<<40), carol); len(found) > 0 {
		t.Errorf("the log has %q", found)
	}
	second := serve(t, append(with, "--database-url", s.database)...) // it has no key in memory
	for _, mode := range []string{mastercommandtest.Refuses, mastercommandtest.Dies, mastercommandtest.Hangs, mastercommandtest.Nonsense} {
		fake.Behave(mode)
		for method, path := range map[string]string{http.MethodGet: "/v1/streams/cart-carol-left", http.MethodPost: "/v1/customers"} {
			body := ""
			if method == http.MethodPost {
				body = `{"customer_id":"new-` + mode + `","name":"` + mark + `erin"}`
			}
			status, text := s.keyedAt(second.url, s.admin, method, path, body)
			if status != http.StatusServiceUnavailable || !strings.Contains(text, "The keys of personal texts cannot be reached now") || strings.Contains(text, mark) {
				t.Errorf("%s, %s: %d %.300s", mode, method, status, text)
			}
		}
	}
	if shown := s.reads(second.url, carol); strings.Contains(shown, sealing.Erased) {
		t.Error("something reads as erased")
	}
	if got := call(t, nil, append([]string{"keys", "list", "--database-url", s.database}, with...)...); got.code != exitOK {
		t.Errorf("who needs no personal text: %d %s", got.code, got.stderr)
	}
	fake.Behave(mastercommandtest.Well)
	eventually(t, recoveryLimit, "texts are read and written again", func() bool {
		status, text := s.keyedAt(second.url, s.admin, http.MethodGet, "/v1/streams/cart-carol-left", "")
		return status == http.StatusOK && strings.Contains(text, mark) && !strings.Contains(text, sealing.Erased)
	})
	if text := s.log.String() + second.log.String(); strings.Contains(text, "0123456789abcdef") || !strings.Contains(text, "the command of the master key has failed") {
		t.Error("the log does not say that the command has failed, or shows a secret")
	}
	verified(t, append(with, "--database-url", s.database)...)
}

// keyedAt sends a request to another node.
func (s *keyedShop) keyedAt(url, key, method, path, body string) (int, string) {
	s.t.Helper()
	other := *s
	other.url = url
	return other.ask(key, method, path, body)
}

// A shop moves its master key from a file to a service, while a server runs that has both.
func TestTheMasterKeyMovesFromAFileToACommand(t *testing.T) {
	t.Parallel()
	fake, file := mastercommandtest.New(t), writeMasterKey(t)
	s := openPrivate(t, "--master-key-file", file)
	pool := poolOf(t, s.database)
	s.tellOf(carol)()
	with := []string{"--master-key-command", strings.Join(fake.Args, " "), "--database-url", s.database}
	both := append(slices.Clone(with), "--master-key-file", file)

	got := call(t, nil, append([]string{"master-key", "rotate", "--wait", "0s"}, both...)...)
	if got.code != exitFailure || !strings.Contains(got.stderr, fake.ID()) {
		t.Errorf("the running node lacks the key of the command: %d %s", got.code, got.stderr)
	}
	s.stop()
	s.exit(t)
	s.running = serve(t, both...)
	rotated := resultOf[masterKeyRotated](t, append([]string{"master-key", "rotate"}, both...)...)
	if by := wrappedBy(t, pool); rotated.Current != fake.ID() || rotated.Wrapped == 0 || len(by) != 1 || by[fake.ID()] == 0 || len(rotated.Drop) != 1 {
		t.Errorf("%+v, wrapped by %v", rotated, by)
	}
	status := resultOf[masterKeyStatus](t, append([]string{"master-key", "status"}, both...)...)
	for _, key := range status.Keys {
		if key.InFile == key.InCommand || key.InCommand != (key.ID == fake.ID()) || key.Current != key.InCommand || key.Missing {
			t.Errorf("%+v", key)
		}
	}
	s.tellOf("dave")()
	s.stop()
	s.exit(t)

	s.running = serve(t, with...) // without the file
	for _, whom := range []string{carol, "dave"} {
		if found := marksIn(s.reads(s.url, whom), whom); len(found) == 0 {
			t.Errorf("nothing of %s is shown", whom)
		}
	}
	for _, args := range [][]string{{"add"}, {"drop", "0f3c5a9be1d2c4a7"}} {
		if got := call(t, nil, append(append([]string{"master-key"}, args...), with...)...); got.code != exitFailure || !strings.Contains(got.stderr, "there is no file with a master key") {
			t.Errorf("%q: %d %s", args, got.code, got.stderr)
		}
	}
	verified(t, with...)

	other := mastercommandtest.New(t) // another service
	got = call(t, nil, "verify", "--database-url", s.database, "--master-key-command", strings.Join(other.Args, " "))
	if got.code != exitFailure || !strings.Contains(got.stderr, fake.ID()) || !strings.Contains(got.stderr, "has only "+other.ID()) {
		t.Errorf("with another service: %d %s", got.code, got.stderr)
	}
}

// With a command, the data directory gets no file with a master key.
func TestACommandNeedsNoFile(t *testing.T) {
	t.Parallel()
	fake, dir := mastercommandtest.New(t), dataDir(t)
	server := serve(t, "--data", dir, "--master-key-command", strings.Join(fake.Args, " "))
	s := &privateShop{&keyedShop{t: t, running: server, database: socketURL(dir)}, keyOf(server.url)}
	s.tellOf(carol)()
	if _, err := os.Stat(filepath.Join(dir, masterKeyFile)); err == nil {
		t.Error("there is a file with a master key")
	}
	if by := wrappedBy(t, poolOf(t, s.database)); !slices.Equal(slices.Collect(maps.Keys(by)), []string{fake.ID()}) {
		t.Errorf("the keys are wrapped by %v", by)
	}
}

// A command gets the variables of the program, but none with a password of the program.
func TestACommandGetsNoPasswords(t *testing.T) {
	t.Parallel()
	e := environment{environ: func() []string {
		return []string{"PATH=/bin", "DATABASE_URL=postgres://u:geheim@h", "KURRENTDB_URL=x", "DAYBOOK_SMTP_URL=y", "VAULT_TOKEN=t"}
	}}
	if got := e.withoutSecrets(); !slices.Equal(got, []string{"PATH=/bin", "VAULT_TOKEN=t"}) {
		t.Errorf("got %q", got)
	}
	for name, flag := range allFlags(t) {
		if variable := flag.Tag.Get("from"); flag.Tag.Has("secret") && !slices.Contains(secretVariables, variable) {
			t.Errorf("%s may have a password, and a command gets %s", name, variable)
		}
	}
}
