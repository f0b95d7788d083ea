package main

import (
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestPasswordsAreHidden(t *testing.T) {
	t.Parallel()
	for connection, want := range map[string]string{
		"postgres://ann:geheim@h:5/d?sslmode=require": "postgres://ann:xxxxx@h:5/d?sslmode=require",
		"postgres://h/d?user=ann&password=geheim":     "postgres://h/d?xxxxx",
		"postgres://h/d?sslpassword=geheim":           "postgres://h/d?xxxxx",
		"postgres://ann@h/d":                          "postgres://ann@h/d",
		"esdb://ann:geheim@h:2113?tls=true":           "esdb://ann:xxxxx@h:2113?tls=true",
		"esdb://ann:geheim@h:1,i:2,j:3":               "esdb://ann:xxxxx@h:1,i:2,j:3",
		"esdb+discover://ann:geheim@h":                "esdb+discover://ann:xxxxx@h",
		"esdb://h:1,i:2?tls=false":                    "esdb://h:1,i:2?tls=false",
		"postgres://ann:ge%heim@h/d":                  "xxxxx", // not a URL
		"host=h password=geheim user=ann":             "host=h password=xxxxx user=ann",
		`host=h password = 'ge\'h eim' user=ann`:      "host=h password = xxxxx user=ann",
		`host=h password=s3c\ r3ttail user=ann`:       "host=h password=xxxxx user=ann",
		"host=h password='ge'heim":                    "xxxxx", // a value cannot end in this way
		"host=h password='geheim":                     "xxxxx",
		"ann:geheim@h:2113":                           "xxxxx",
		"n1:2113,n2:2113":                             "xxxxx", // not clear what this is
		// An unknown setting may be a secret, too.
		"esdb://h:2113?tls=true&apiKey=geheim":        "esdb://h:2113?xxxxx",
		"esdb://h:2113?pwd=geheim":                    "esdb://h:2113?xxxxx",
		"esdb://h:2113?tls=true&credentials=ann%3Ag":  "esdb://h:2113?xxxxx",
		"kurrentdb://h?defaultCredentials=ann:geheim": "kurrentdb://h?xxxxx",
		"esdb://h?TLS=false&TlsCaFile=/etc/ca.crt":    "esdb://h?TLS=false&TlsCaFile=/etc/ca.crt",
		"postgres://h/d?passwd=geheim":                "postgres://h/d?xxxxx",
		"host=h pwd=geheim":                           "host=h pwd=xxxxx",
		"":                                            "",
	} {
		if got := hidePassword(connection); got != want {
			t.Errorf("%q is shown as %q, want %q", connection, got, want)
		}
	}
}

// Whatever characters a password has, and in whatever form the connection string is, neither the
// configuration nor an error shows a part of the password.
func TestNoFormOfAPasswordIsShown(t *testing.T) {
	t.Parallel()
	// Each password has two marks, and between them a character at which a wrong reading may end
	// the password.
	const before, after = "s3c", "r3t"
	forms := map[string]func(string) string{
		"pair":                   func(p string) string { return "host=127.0.0.1 port=1 password=" + p + " user=ann" },
		"pair, last":             func(p string) string { return "host=127.0.0.1 port=1 user=ann password=" + p },
		"pair, escaped":          func(p string) string { return "host=127.0.0.1 port=1 password=" + escapePair(p) },
		"pair, quoted":           func(p string) string { return "host=127.0.0.1 port=1 password='" + escapePair(p) + "'" },
		"pair, quoted as it is":  func(p string) string { return "host=127.0.0.1 port=1 password='" + p + "'" },
		"pair, of a certificate": func(p string) string { return "host=127.0.0.1 port=1 sslpassword='" + escapePair(p) + "'" },
		"URL":                    func(p string) string { return "postgres://ann:" + p + "@127.0.0.1:1/d" },
		"URL, escaped":           func(p string) string { return "postgres://ann:" + url.QueryEscape(p) + "@127.0.0.1:1/d" },
		"URL, no user":           func(p string) string { return "postgres://:" + p + "@127.0.0.1:1/d" },
		"query":                  func(p string) string { return "postgres://127.0.0.1:1/d?password=" + p },
		"query, escaped":         func(p string) string { return "postgres://127.0.0.1:1/d?user=ann&password=" + url.QueryEscape(p) },
		"query, escaped name":    func(p string) string { return "postgres://127.0.0.1:1/d?pass%77ord=" + url.QueryEscape(p) },
		"cluster":                func(p string) string { return "esdb://ann:" + p + "@127.0.0.1:1,127.0.0.1:2?tls=false" },
		"cluster, escaped":       func(p string) string { return "esdb://ann:" + url.QueryEscape(p) + "@127.0.0.1:1,127.0.0.1:2" },
		"no scheme":              func(p string) string { return "ann:" + p + "@127.0.0.1:1" },
		"no scheme, database":    func(p string) string { return "ann:" + p + "@127.0.0.1/d?sslmode=disable" },
		"wrong scheme":           func(p string) string { return "mailto:ann:" + p + "@127.0.0.1" },
	}
	for form, write := range forms {
		for _, special := range []string{"", " ", `\ `, "'", `\'`, `"`, "@", ":", "/", "?", "#", "%", "%4", "&", ";", "=", ",", "\t", "\n", "[", "é", "1@", ":1/"} {
			connection := write(before + special + after)
			shown := hidePassword(connection)
			if err := waitUntilReachable(t.Context(), connection); err != nil {
				shown += err.Error()
			}
			if _, err := openPool(t.Context(), connection, "test", 1, slog.New(slog.DiscardHandler)); err != nil {
				shown += err.Error()
			}
			if strings.Contains(shown, before) || strings.Contains(shown, after) {
				t.Errorf("%s, %q in the password: %q is shown as %q", form, special, connection, shown)
			}
		}
	}
}

// escapePair writes a value for a "key=value" connection string.
func escapePair(value string) string {
	return strings.NewReplacer(`\`, `\\`, `'`, `\'`, " ", `\ `, "\t", "\\\t", "\n", "\\\n").Replace(value)
}

// A flag whose value may hold a password can be given as a file, too.
func TestEachSecretCanComeFromAFile(t *testing.T) {
	t.Parallel()
	secrets := 0
	names := map[string]bool{}
	var walk func(reflect.Type)
	walk = func(of reflect.Type) {
		for field := range of.Fields() {
			if field.Type.Kind() == reflect.Struct {
				walk(field.Type)
			}
			names[field.Tag.Get("name")] = true
		}
	}
	walk(reflect.TypeFor[commandLine]())
	for field := range reflect.TypeFor[options]().Fields() {
		if _, secret := field.Tag.Lookup("secret"); !secret {
			continue
		}
		secrets++
		if file := field.Tag.Get("name") + "-file"; !names[file] {
			t.Errorf("there is no --%s", file)
		}
	}
	if secrets < 2 {
		t.Errorf("%d flags are marked as secret, want at least 2", secrets)
	}
}

func TestAnAddressIsReadFromItsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "address")
	if err := os.WriteFile(file, []byte("postgres://ann:geheim@127.0.0.1:1/shop\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	shows := "database-url = postgres://ann:xxxxx@127.0.0.1:1/shop\n"
	for name, got := range map[string]outcome{
		"by its flag":               call(t, nil, "serve", "--database-url-file", file, "--print-config"),
		"by its variable":           call(t, map[string]string{"DATABASE_URL_FILE": file}, "serve", "--print-config"),
		"over the other's variable": call(t, map[string]string{"DATABASE_URL": "postgres://h/d"}, "serve", "--database-url-file", file, "--print-config"),
	} {
		if got.code != exitOK || !strings.Contains(got.stdout, shows) || strings.Contains(got.stdout, "geheim") {
			t.Errorf("%s: exit code %d, %q; want %q\n%s", name, got.code, got.stdout, shows, got.stderr)
		}
	}
	// The address is really used: the command fails, because nothing answers at that port.
	if got := call(t, nil, "migrate", "--database-url-file", file); got.code != exitFailure || strings.Contains(got.stderr, "geheim") || !strings.Contains(got.stderr, "127.0.0.1") {
		t.Errorf("exit code %d, %q; want %d and the address", got.code, got.stderr, exitFailure)
	}
	// The demo ignores this variable, as it ignores DATABASE_URL.
	if got := call(t, map[string]string{"DATABASE_URL_FILE": file}, "demo", "--print-config"); !strings.Contains(got.stdout, "database-url = \n") {
		t.Errorf("the demo would use %q", got.stdout)
	}
}
