package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/commands/signin"
)

// outcome is the exit code and the output of a call of the program.
type outcome struct {
	code           int
	stdout, stderr string
}

// call runs the program to its end, with no environment but env.
func call(t *testing.T, env map[string]string, args ...string) outcome {
	t.Helper()
	var stdout, stderr logBuffer // the reactor's router may write a last line after the end
	code := run(t.Context(), args, testEnvironment(env, strings.NewReader(""), &stdout, &stderr))
	return outcome{code, stdout.String(), stderr.String()}
}

// testEnvironment has no variables but those given, and those that say where this machine has
// PostgreSQL and temporary files. Unless `make prove` runs the test, benchmarks are small, and
// passwords are cheap to compare.
func testEnvironment(variables map[string]string, stdin io.Reader, stdout, stderr io.Writer) environment {
	getenv := func(name string) string {
		value, given := variables[name]
		if !given && slices.Contains([]string{"PG_BIN", "PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}, name) {
			return os.Getenv(name)
		}
		return value
	}
	var cost signin.Cost
	if !proving() {
		cost = signin.Cost{Passes: 1, MemoryKiB: 64}
	}
	return environment{getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now, smallBench: !proving(), passwordCost: cost}
}

func TestWrongCallsAreRefusedWithUsage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env  map[string]string
		args string
		says string
	}{
		"no command":                            {args: "", says: `expected one of "serve"`},
		"an unknown command":                    {args: "serv", says: `did you mean "serve"?`},
		"an unknown flag":                       {args: "serve --lisen :0", says: `did you mean "--listen"?`},
		"a flag without its value":              {args: "serve --listen", says: "--listen"},
		"a bad duration":                        {args: "serve --hold-for soon", says: "--hold-for"},
		"no time to reserve stock":              {args: "serve --hold-for 0s", says: "--hold-for"},
		"stock reserved too long":               {args: "serve --hold-for 721h", says: "--hold-for"},
		"an unknown currency":                   {args: "serve --currency XXX1", says: `currency "XXX1"`},
		"the code of a fund, not of a currency": {args: "verify --currency CLF", says: `currency "CLF"`},
		"a bad currency, by its variable": {
			env: map[string]string{"DAYBOOK_CURRENCY": "XXX1"}, args: "serve", says: "DAYBOOK_CURRENCY",
		},
		"a bad listen address, by its variable": {
			env: map[string]string{"DAYBOOK_LISTEN": "8080"}, args: "serve", says: "--listen ($DAYBOOK_LISTEN) 8080: want HOST:PORT",
		},
		"a bad address of the log, by its variable": {
			env: map[string]string{"KURRENTDB_URL": "http://h"}, args: "serve --store kurrentdb", says: "--kurrentdb-url ($KURRENTDB_URL)",
		},
		"a bad gateway address, by its variable": {
			env: map[string]string{"DAYBOOK_GATEWAY": "2113"}, args: "serve", says: "--gateway ($DAYBOOK_GATEWAY) 2113: want HOST:PORT",
		},
		"help for an unknown command": {args: "help serv", says: `did you mean "serve"?`},
		"an unknown time zone":        {args: "serve --timezone Mars/Base", says: `--timezone "Mars/Base"`},
		"the time zone of this machine": {
			env: map[string]string{"DAYBOOK_TIMEZONE": "Local"}, args: "serve", says: "DAYBOOK_TIMEZONE",
		},
		"a country with a line break": {
			env: map[string]string{"DAYBOOK_COUNTRY": "France\nnoise"}, args: "serve", says: "DAYBOOK_COUNTRY",
		},
		"a country that is too long": {
			env: map[string]string{"DAYBOOK_COUNTRY": strings.Repeat("x", 101)}, args: "serve", says: "DAYBOOK_COUNTRY",
		},
		"two addresses of the data":                   {args: "serve --database-url postgres://h/d --database-url-file x", says: "exclude each other"},
		"a folder and a database's address in a file": {args: "serve --data a --database-url-file x", says: "exclude each other"},
		"two addresses of the log":                    {args: "serve --store kurrentdb --kurrentdb-url esdb://h --kurrentdb-url-file x", says: "exclude each other"},
		"two addresses of the data, by variables": {
			env: map[string]string{"DATABASE_URL": "postgres://h/d", "DATABASE_URL_FILE": "x"}, args: "serve", says: "both --database-url ($DATABASE_URL) and --database-url-file ($DATABASE_URL_FILE)",
		},
		"a file of more than a line for --kurrentdb-url": {args: "serve --kurrentdb-url-file cli.go", says: "want one line"},
		"a missing file":                                {args: "serve --database-url-file nowhere", says: "--database-url-file nowhere: no such file"},
		"a folder in place of a file":                   {args: "serve --database-url-file .", says: "--database-url-file ."},
		"a file of more than a line":                    {args: "serve --database-url-file cli.go", says: "want one line"},
		"a bad log level":                               {args: "serve --log-level loud", says: "--log-level must be one of"},
		"two places for the data":                       {args: "serve --data a --database-url postgres://h/d", says: "exclude each other"},
		"a certificate of the API without its key":      {args: "serve --tls-cert x", says: "--tls-cert and --tls-key go together"},
		"a certificate in files and by ACME":            {args: "serve --tls-cert x --tls-key x --acme-domain shop.example", says: "exclude each other"},
		"a folder for certificates, without ACME":       {args: "serve --acme-cache x", says: "does nothing without --acme-domain"},
		"ACME for an address":                           {args: "serve --acme-domain 192.0.2.7", says: "want a name"},
		"ACME with a database and no folder":            {args: "serve --database-url postgres://h/d --acme-domain shop.example", says: "needs --acme-cache"},
		"all addresses are proxies":                     {args: "serve --behind-proxy 0.0.0.0/0", says: "every client could say"},
		"another interface, with TLS and for everybody": {args: "serve --access off --behind-proxy 10.0.0.0/8 --listen 0.0.0.0:8443", says: "needs --access keys"},
		"a bad variable":                                {env: map[string]string{"DAYBOOK_LOG_LEVEL": "loud"}, args: "version", says: "--log-level ($DAYBOOK_LOG_LEVEL)"},
		"a bad listen address":                          {args: "serve --listen 8080", says: "want HOST:PORT"},
		"all interfaces":                                {args: "serve --listen :8080", says: "will not listen"},
		"all interfaces, IPv4":                          {args: "serve --listen 0.0.0.0:8080", says: "will not listen"},
		"all interfaces, IPv6":                          {args: "serve --listen [::]:8080", says: "will not listen"},
		"another interface":                             {args: "serve --listen 192.0.2.7:8080", says: "will not listen"},
		"another interface, by its variable": {
			env: map[string]string{"DAYBOOK_LISTEN": "192.0.2.7:8080"}, args: "serve", says: "will not listen",
		},
		"a KurrentDB without an address":                           {args: "serve --store kurrentdb", says: "needs --kurrentdb-url"},
		"an unknown kind of log":                                   {args: "serve --store etcd", says: "--store must be one of"},
		"an address of a KurrentDB without --store kurrentdb":      {args: "serve --kurrentdb-url esdb://h", says: "--kurrentdb-url is for --store kurrentdb"},
		"a gateway over a KurrentDB":                               {args: "serve --store kurrentdb --kurrentdb-url esdb://h --gateway 127.0.0.1:0", says: "to which its clients speak directly"},
		"a gateway's address without a host":                       {args: "serve --gateway 2113", says: "--gateway 2113: want HOST:PORT"},
		"a gateway on all interfaces":                              {args: "serve --gateway 0.0.0.0:2113", says: "--gateway: will not listen"},
		"--gateway-open without --gateway":                         {args: "serve --gateway-open", says: "--gateway HOST:PORT is missing: without it, --gateway-open would do nothing"},
		"a certificate without its key":                            {args: "serve --gateway 127.0.0.1:0 --gateway-cert x", says: "go together"},
		"passwords in plain text":                                  {args: "serve --gateway 127.0.0.1:0 --gateway-users x", says: "needs --gateway-cert"},
		"a limit of messages that is too small":                    {args: "serve --gateway 127.0.0.1:0 --gateway-max-message 100", says: "want at least 65536"},
		"a limit of connections below zero":                        {args: "serve --gateway 127.0.0.1:0 --gateway-max-connections=-1", says: "want at least 1"},
		"a gateway on all interfaces, with no address for clients": {args: "serve --gateway :2113 --gateway-cert x --gateway-key x --gateway-users x", says: "needs --gateway-advertise"},
		"a bad address for clients":                                {args: "serve --gateway 127.0.0.1:0 --gateway-advertise shop", says: "--gateway-advertise shop: want HOST:PORT"},

		"no view":          {args: "rebuild", says: "expected"},
		"an unknown view":  {args: "rebuild nonsense", says: "there is no read model"},
		"two ways at once": {args: "rebuild orders --rollback --drop-old", says: "can't be used together"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := call(t, test.env, strings.Fields(test.args)...)
			if got.code != exitUsage {
				t.Errorf("exit code %d, want %d", got.code, exitUsage)
			}
			if !strings.Contains(got.stderr, test.says) || !strings.Contains(got.stderr, "Usage: daybook") {
				t.Errorf("stderr %q; want %q and how to call the program", got.stderr, test.says)
			}
			if got.stdout != "" {
				t.Errorf("stdout %q, want nothing", got.stdout)
			}
		})
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	t.Parallel()
	got := call(t, nil, "--help")
	if got.code != exitOK {
		t.Errorf("exit code %d, want %d", got.code, exitOK)
	}
	for _, command := range []string{"serve", "demo", "import", "verify", "rebuild", "accept-log", "bench", "migrate", "version"} {
		if !strings.Contains(got.stdout, "\n  "+command+" ") {
			t.Errorf("help lacks %q:\n%s", command, got.stdout)
		}
	}
}

// Both spellings of help and of the version give the same.
func TestOtherSpellingsAreUnderstood(t *testing.T) {
	t.Parallel()
	for spelled, plain := range map[string]string{"help": "--help", "help serve": "serve --help", "--version": "version"} {
		got, want := call(t, nil, strings.Fields(spelled)...), call(t, nil, strings.Fields(plain)...)
		if got.code != exitOK || got.stdout != want.stdout || got.stdout == "" {
			t.Errorf("daybook %s: exit code %d, %q; want what daybook %s says", spelled, got.code, got.stdout, plain)
		}
	}
}

func TestVersionSaysWhichBuild(t *testing.T) {
	t.Parallel()
	got := call(t, nil, "version", "--json")
	if got.code != exitOK {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var v buildVersion
	if err := json.Unmarshal([]byte(got.stdout), &v); err != nil {
		t.Fatalf("%q: %v", got.stdout, err)
	}
	if v.Version == "" || !strings.HasPrefix(v.Go, "go1.") || !strings.Contains(v.Platform, "/") {
		t.Errorf("incomplete: %+v", v)
	}
	if text := call(t, nil, "version").stdout; !strings.Contains(text, v.Version) || !strings.Contains(text, v.Go) {
		t.Errorf("the text %q lacks %q or %q", text, v.Version, v.Go)
	}
}

func TestPrintConfig(t *testing.T) {
	t.Parallel()
	work, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	url := "postgres://ann:geheim@db.example/shop"
	env := map[string]string{"DATABASE_URL": url, "DAYBOOK_LISTEN": "127.0.0.1:9", "DAYBOOK_LOG_LEVEL": "warn"}
	for name, test := range map[string]struct {
		env  map[string]string
		args string
		want map[string]any // the part of the configuration that is compared
	}{
		"defaults": {args: "serve", want: map[string]any{
			"data": filepath.Join(work, ".daybook"), "database-url": "", "listen": "127.0.0.1:8080", "hold-for": "15m0s", "log-level": "info",
		}},
		"the environment goes over the defaults": {env: env, args: "serve", want: map[string]any{
			"data": "", "database-url": "postgres://ann:xxxxx@db.example/shop", "listen": "127.0.0.1:9", "log-level": "warn",
		}},
		"flags go over the environment": {env: env, args: "serve --listen [::1]:7 --log-level debug", want: map[string]any{
			"listen": "[::1]:7", "log-level": "debug",
		}},
		"a given folder goes over the database of the environment": {env: env, args: "serve --data x", want: map[string]any{
			"data": filepath.Join(work, "x"), "database-url": "",
		}},
		"a given database goes over the folder of the environment": {
			env: map[string]string{"DAYBOOK_DATA_DIR": "x"}, args: "serve --database-url postgres://h/d",
			want: map[string]any{"data": "", "database-url": "postgres://h/d"},
		},
		"the demo keeps away from the database of the environment": {env: env, args: "demo", want: map[string]any{
			"data": "", "database-url": "",
		}},
		"the log is in a cluster": {
			env: map[string]string{"KURRENTDB_URL": "esdb://ann:geheim@n1:2113,n2:2113?nodePreference=leader"}, args: "serve --store kurrentdb",
			want: map[string]any{"store": "kurrentdb", "kurrentdb-url": "esdb://ann:xxxxx@n1:2113,n2:2113?nodePreference=leader"},
		},
		"an address in the environment alone is not used": {
			env: map[string]string{"KURRENTDB_URL": "esdb://ann:geheim@n1:2113"}, args: "serve",
			want: map[string]any{"store": "postgres", "kurrentdb-url": ""},
		},
		"the demo keeps away from the log of the environment": {
			env: map[string]string{"DAYBOOK_STORE": "kurrentdb", "KURRENTDB_URL": "esdb://ann:geheim@n1:2113"}, args: "demo",
			want: map[string]any{"store": "postgres", "kurrentdb-url": ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := call(t, test.env, append(strings.Fields(test.args), "--print-config", "--json")...)
			if got.code != exitOK {
				t.Fatalf("exit code %d: %s", got.code, got.stderr)
			}
			var config map[string]any
			if err := json.Unmarshal([]byte(got.stdout), &config); err != nil {
				t.Fatalf("%q: %v", got.stdout, err)
			}
			for name, want := range test.want {
				if got := config[name]; got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
			text := call(t, test.env, append(strings.Fields(test.args), "--print-config")...).stdout
			if strings.Contains(got.stdout+text, "geheim") {
				t.Errorf("the password is shown:\n%s%s", got.stdout, text)
			}
		})
	}
}

func TestATakenPortIsRefusedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := filepath.Join(t.TempDir(), "data")
	got := call(t, nil, "serve", "--data", dir, "--listen", taken.Addr().String())
	if got.code != exitFailure || !strings.Contains(got.stderr, "address already in use") {
		t.Errorf("exit code %d, stderr %q; want %d and that the address is in use", got.code, got.stderr, exitFailure)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the data directory was made all the same")
	}
}

func TestALoopbackAddressIsAccepted(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "localhost:0"} {
		listener, err := webFlags{}.listen(context.Background(), "--listen", address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		listener.Close()
	}
}
