package main

import (
	"context"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// refusals has, for each flag of each subcommand, a command line that is refused because of the
// flag's value. It is empty if no value is refused before the subcommand begins its work.
var refusals = map[string]string{
	"serve --data":                                "",
	"serve --database-url":                        "serve --database-url postgres://h:port/d",
	"serve --database-url-file":                   "serve --database-url-file /not/there",
	"serve --master-key-file":                     "serve --master-key-file /not/there",
	"serve --master-key-command":                  "serve --master-key-command /not/there",
	"serve --store":                               "serve --store paper",
	"serve --kurrentdb-url":                       "serve --store kurrentdb --kurrentdb-url esdb://h?apiKey=geheim",
	"serve --kurrentdb-url-file":                  "serve --store kurrentdb --kurrentdb-url-file /not/there",
	"serve --json":                                "",
	"serve --print-config":                        "",
	"serve --log-level":                           "serve --log-level loud",
	"serve --log-format":                          "serve --log-format song",
	"serve --timezone":                            "serve --timezone Nowhere",
	"serve --country":                             "serve --country " + strings.Repeat("x", 200),
	"serve --currency":                            "serve --currency ZZZ",
	"serve --listen":                              "serve --listen 0.0.0.0:80",
	"serve --hold-for":                            "serve --hold-for 1ms",
	"serve --carts-expire-after":                  "serve --carts-expire-after 1ms",
	"serve --earliest-day":                        "serve --earliest-day 1066-10-14",
	"serve --time-ahead":                          "serve --time-ahead 9000h",
	"serve --keep-invoices":                       "serve --keep-invoices UK=70080h",
	"serve --refund-limit":                        "serve --refund-limit 100.00",
	"serve --discount-limit":                      "serve --discount-limit 20.00",
	"serve --remedy":                              "serve --remedy magic",
	"serve --payments":                            "serve --payments magic",
	"serve --payments-url":                        "serve --payments-url http://127.0.0.1:8090",
	"serve --payments-secret-file":                "serve --payments-secret-file /not/there",
	"simulated-provider --listen":                 "simulated-provider --secret-file SECRET --listen 0.0.0.0:8090",
	"simulated-provider --secret-file":            "simulated-provider --secret-file /not/there",
	"simulated-provider --webhooks":               "simulated-provider --secret-file SECRET --webhooks shop.example",
	"simulated-provider --seed":                   "simulated-provider --secret-file SECRET --seed -1",
	"simulated-provider --faults":                 "simulated-provider --secret-file SECRET --faults 2",
	"simulated-provider --slow":                   "simulated-provider --secret-file SECRET --slow 1h",
	"prices import --list":                        "prices import FILE --list a/b",
	"prices import --dry-run":                     "",
	"prices import --replace":                     "",
	"serve --write-off-limit":                     "serve --write-off-limit 100.00",
	"serve --surcharge-limit":                     "serve --surcharge-limit 10.00",
	"accept-log --surcharge-limit":                "accept-log --surcharge-limit GBP=-1",
	"serve --extend-at-most":                      "serve --extend-at-most 1ms",
	"accept-log --write-off-limit":                "accept-log --write-off-limit GBP=1,GBP=2",
	"accept-log --extend-at-most":                 "accept-log --extend-at-most 1ms",
	"serve --gateway":                             "serve --gateway 0.0.0.0:2113",
	"serve --gateway-open":                        "serve --gateway 127.0.0.1:0 --gateway-open",
	"serve --gateway-cert":                        "serve --gateway 127.0.0.1:0 --gateway-cert /not/there",
	"serve --gateway-key":                         "serve --gateway 127.0.0.1:0 --gateway-key /not/there --gateway-cert /not/there",
	"serve --gateway-users":                       "serve --gateway 127.0.0.1:0 --gateway-users /not/there",
	"serve --gateway-advertise":                   "serve --gateway 127.0.0.1:0 --gateway-advertise nowhere",
	"serve --gateway-max-message":                 "serve --gateway 127.0.0.1:0 --gateway-max-message 1",
	"serve --gateway-max-received":                "serve --gateway 127.0.0.1:0 --gateway-max-received 1",
	"serve --gateway-max-connections":             "serve --gateway 127.0.0.1:0 --gateway-max-connections -1",
	"serve --gateway-max-connections-per-address": "serve --gateway 127.0.0.1:0 --gateway-max-connections-per-address -1",
	"serve --public-host":                         "serve --public-host a/b",
	"serve --cors-origin":                         "serve --cors-origin *",
	"serve --access":                              "serve --access off --listen 0.0.0.0:80",
	"serve --tls-cert":                            "serve --tls-key /not/there --tls-cert /not/there",
	"serve --tls-key":                             "serve --tls-cert /not/there --tls-key /not/there",
	"serve --acme-domain":                         "serve --acme-domain localhost",
	"serve --acme-cache":                          "serve --acme-cache /not/there",
	"serve --acme-email":                          "serve --acme-domain shop.example --acme-email nobody",
	"serve --acme-directory":                      "serve --acme-domain shop.example --acme-directory http://ca.example",
	"serve --behind-proxy":                        "serve --behind-proxy 10.0.0.0/99",
	"serve --proxy-header":                        "serve --proxy-header via",
	"serve --admin-address":                       "serve --admin-address 0.0.0.0:80",
	"serve --admin-token-file":                    "serve --admin-address 127.0.0.1:0 --admin-token-file /not/there",
	"serve --backup-every":                        "serve --backup-every 1s --backup-dir /",
	"serve --backup-dir":                          "serve --backup-every 1h --backup-dir /not/there",
	"serve --backup-keep":                         "serve --backup-keep 0",
	"serve --backup-recipient":                    "serve --backup-every 1h --backup-dir / --backup-recipient ann",
	"serve --backup-passphrase-file":              "serve --backup-every 1h --backup-dir / --backup-passphrase-file /not/there",
	"serve --backup-without-secrets":              "serve --backup-without-secrets",
	"backup --recipient":                          "backup FILE --recipient ann",
	"backup --passphrase-file":                    "backup FILE --passphrase-file /not/there",
	"backup --without-secrets":                    "",
	"restore --to-position":                       "restore FILE --to-position -1",
	"restore --to-time":                           "restore FILE --to-time yesterday",
	"restore --identity-file":                     "restore FILE --identity-file /not/there",
	"restore --passphrase-file":                   "restore FILE --passphrase-file /not/there",
	"restore --check":                             "",
	"restore --revoke-keys":                       "",
	"serve --guests":                              "",
	"serve --requests-per-key":                    "serve --requests-per-key -1",
	"serve --requests-per-person":                 "serve --requests-per-person -1",
	"serve --answers-per-person":                  "serve --answers-per-person -1",
	"serve --answers-per-key":                     "serve --answers-per-key 2e6",
	"serve --requests-per-customer":               "serve --requests-per-customer 1e9",
	"serve --requests-per-address":                "serve --requests-per-address -1",
	"serve --guest-carts-per-address":             "serve --guest-carts-per-address NaN",
	"serve --wrong-keys-per-address":              "serve --wrong-keys-per-address NaN",
	"serve --answers-per-customer":                "serve --answers-per-customer -1",
	"serve --live-streams-per-key":                "serve --live-streams-per-key -2",
	"serve --oidc-issuer":                         "serve --oidc-audience shop --oidc-issuer http://login.shop.example",
	"serve --oidc-audience":                       "serve --oidc-audience shop",
	"serve --oidc-role-claim":                     "serve --oidc-role-claim " + strings.Repeat("x", 101),
	"serve --oidc-customer-claim":                 "serve --oidc-customer-claim " + strings.Repeat("x", 101),
	"serve --second-factor":                       "serve --second-factor never",
	"serve --smtp-url":                            "serve --smtp-url smtp://u:geheim@h?tls=false --mail-from a@b.c --public-url https://shop.example",
	"serve --smtp-url-file":                       "serve --smtp-url-file /not/there --mail-from a@b.c --public-url https://shop.example",
	"serve --mail-from":                           "serve --smtp-url smtp://u:geheim@h --mail-from nobody --public-url https://shop.example",
	"serve --public-url":                          "serve --smtp-url smtp://u:geheim@h --mail-from a@b.c --public-url http://shop.example",
	"serve --body-budget":                         "serve --body-budget 32",
	"serve --live-streams":                        "serve --live-streams 0",
	"serve --live-streams-per-client":             "serve --live-streams-per-client -2",
	"demo --for":                                  "demo --for -1s",
	"demo --shoppers":                             "demo --shoppers 0",
	"demo --keep":                                 "",
	"demo --listen":                               "demo --listen shop.example:80",
	"import --workers":                            "import FILE --workers 0",
	"import --opening":                            "import FILE --opening much",
	"import --kinds":                              "import FILE --kinds magic",
	"import --policy":                             "import FILE --policy magic",
	"import --order":                              "import FILE --order magic",
	"import --earliest-day":                       "import FILE --earliest-day 1066-10-14",
	"import --time-ahead":                         "import FILE --time-ahead 9000h",
	"import --quarantine":                         "", // its path is checked only when the file of invoices is read
	"verify --against":                            "verify --against /not/there",
	"rebuild --rollback":                          "rebuild orders --rollback --drop-old",
	"rebuild --drop-old":                          "rebuild orders --drop-old --rollback",
	"accept-log --yes":                            "",
	"accept-log --dry-run":                        "",
	"accept-log --hold-for":                       "accept-log --hold-for 1ms",
	"accept-log --carts-expire-after":             "accept-log --carts-expire-after 1ms",
	"accept-log --earliest-day":                   "accept-log --earliest-day 1066-10-14",
	"accept-log --time-ahead":                     "accept-log --time-ahead 9000h",
	"accept-log --discount-limit":                 "accept-log --discount-limit GBP=1,GBP=2",
	"accept-log --refund-limit":                   "accept-log --refund-limit GBP=1,GBP=2",
	"accept-log --remedy":                         "accept-log --remedy magic",
	"staff invite --email":                        "staff invite --name a --role admin --email nobody",
	"staff invite --name":                         "staff invite --email a@b.c --role admin --name " + strings.Repeat("x", 101),
	"staff invite --role":                         "staff invite --email a@b.c --name a --role KING",
	"staff invite --smtp-url":                     "staff invite --email a@b.c --name a --role admin --smtp-url http://h",
	"staff invite --smtp-url-file":                "staff invite --email a@b.c --name a --role admin --smtp-url-file /not/there",
	"staff invite --mail-from":                    "staff invite --email a@b.c --name a --role admin --mail-from a@b.c",
	"staff invite --public-url":                   "staff invite --email a@b.c --name a --role admin --public-url https://shop.example",
	"staff token --smtp-url":                      "staff token p1 --smtp-url smtp://u:geheim@h:0",
	"staff token --smtp-url-file":                 "staff token p1 --smtp-url-file /not/there",
	"staff token --mail-from":                     "staff token p1 --smtp-url smtp://h --public-url https://shop.example --mail-from nobody",
	"staff token --public-url":                    "staff token p1 --smtp-url smtp://h --mail-from a@b.c --public-url https://u@shop.example",
	"staff email --smtp-url":                      "staff email p1 a@b.c --smtp-url http://h",
	"staff email --smtp-url-file":                 "staff email p1 a@b.c --smtp-url-file /not/there",
	"staff email --mail-from":                     "staff email p1 a@b.c --mail-from a@b.c",
	"staff email --public-url":                    "staff email p1 a@b.c --public-url https://shop.example",
	"staff end-session --all":                     "staff end-session p1 s1 --all",
	"staff disable --reason":                      "staff disable p1 --reason " + strings.Repeat("x", 501),
	"keys create --name":                          "keys create --role admin --name " + strings.Repeat("x", 101),
	"keys create --role":                          "keys create --name a --role KING",
	"keys create --customer":                      "keys create --name a --role customer --customer a/b",
	"keys create --lasts":                         "keys create --name a --role admin --lasts -1h",
	"keys create --location":                      "keys create --name a --role operator --location a/b",
	"keys create --channel":                       "keys create --name a --role operator --channel " + strings.Repeat("x", 1000),
	"keys rotate --overlap":                       "keys rotate k1 --overlap 9000h",
	"keys revoke --reason":                        "keys revoke k1 --reason " + strings.Repeat("x", 501),
	"serve --retain-guests":                       "serve --retain-guests 1ms",
	"serve --retain-answers":                      "serve --retain-answers 1s",
	"export --cart":                               "export --cart a/b",
	"export --html":                               "export c1 --html --json",
	"export --output":                             "export c1 --output /not/there/file",
	"erase --customer":                            "erase --customer a/b",
	"erase --cart":                                "erase --cart a/b",
	"erase --reason":                              "erase --customer c1 --reason anger",
	"erase --keep-invoices":                       "erase --customer c1 --keep-invoices DE=8years",
	"erase --wait":                                "",
	"master-key rotate --to":                      "master-key rotate --to k1",
	"master-key rotate --wait":                    "master-key rotate --wait -1s",
	"bench --seconds":                             "bench --seconds 0",
	"bench --runs":                                "bench --runs 0",
	"bench --rate":                                "bench --rate 0",
	"bench --events":                              "bench --events 0",
	"bench --sizes":                               "bench --sizes 1",
	"bench --flush":                               "bench --flush 3ms",
	"bench --nodes":                               "bench nodes --nodes 1",
	"bench --cpuprofile":                          "",
	"bench --force":                               "",
}

// If a subcommand refuses the value of a flag, --print-config refuses it in the same words. Every
// flag must be in the table above.
func TestPrintConfigRefusesWhatTheSubcommandRefuses(t *testing.T) {
	t.Parallel()
	flags := slices.Collect(maps.Keys(allFlags(t)))
	for _, flag := range flags {
		if _, known := refusals[flag]; !known {
			t.Errorf("%s is in no row", flag)
		}
	}
	file := filepath.Join(t.TempDir(), "invoices.csv")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := writeFile(t, "secret", strings.Repeat("s", 32))
	for flag, line := range refusals {
		if !slices.Contains(flags, flag) {
			t.Errorf("there is no %s", flag)
		}
		if line == "" {
			continue
		}
		args := strings.Fields(strings.NewReplacer("FILE", file, "SECRET", secret).Replace(line))
		shown := call(t, nil, append(slices.Clone(args), "--print-config")...)
		if shown.code == exitOK {
			t.Errorf("%s --print-config is not refused", line)
			continue // the subcommand accepts it too, and would not end
		}
		refused := call(t, nil, args...)
		if shown.code != refused.code || shown.stderr != refused.stderr || shown.stdout != "" {
			t.Errorf("%s: refused with %d %q; with --print-config %d %q%s", line, refused.code, refused.stderr, shown.code, shown.stderr, shown.stdout)
		}
		if strings.Contains(refused.stderr+shown.stderr, "geheim") {
			t.Errorf("%s: a secret is shown: %s", line, refused.stderr)
		}
	}
}

// allFlags has every flag of every subcommand, such as "demo --for". Flags that all subcommands
// have are there as flags of serve.
func allFlags(t *testing.T) map[string]*kong.Flag {
	t.Helper()
	var cli commandLine
	parser, err := kong.New(&cli, kong.Vars{"views": "", "benchmarks": ""})
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]*kong.Flag{}
	add := func(command string, of []*kong.Flag) {
		for _, flag := range of {
			if flag.Name != "help" {
				flags[command+" --"+flag.Name] = flag
			}
		}
	}
	add("serve", parser.Model.Flags)
	for _, command := range parser.Model.Children {
		add(command.Name, command.Flags)
		for _, part := range command.Children {
			add(command.Name+" "+part.Name, part.Flags)
		}
	}
	return flags
}

// failures has command lines that fail because of a flag's value only after the subcommand has
// begun its work. FILE is a file, so nothing can be made in it.
var failures = map[string][]string{
	"serve --data": {
		"serve --listen 127.0.0.1:0 --data FILE/x", "migrate --data FILE/x", "verify --data FILE/x", "accept-log --data FILE/x",
		"import INVOICES --data FILE/x", "rebuild orders --data FILE/x", "demo --data FILE/x", "bench append --data FILE/x",
	},
	"serve --listen":        {"serve --listen TAKEN"},
	"serve --gateway":       {"serve --listen 127.0.0.1:0 --gateway TAKEN"},
	"serve --admin-address": {"serve --listen 127.0.0.1:0 --admin-address TAKEN"},
	"serve --gateway-cert":  {"serve --gateway 127.0.0.1:0 --gateway-cert /not/there --gateway-key FILE"},
	"demo --listen":         {"demo --listen TAKEN"},
	"bench --cpuprofile":    {"bench --cpuprofile FILE/x"},
	"import --quarantine":   {"import INVOICES --quarantine FILE/x"},
	"serve --database-url":  {"serve --database-url foo", "migrate --database-url foo", "version --database-url foo"},
	"serve --database-url-file": {
		"serve --database-url-file FILE", "verify --database-url-file FILE",
	},
	"serve --kurrentdb-url-file":      {"serve --store kurrentdb --kurrentdb-url-file FILE"},
	"serve --gateway-max-connections": {"serve --gateway-max-connections 5"},
}

// An error about the value of a flag names the flag. If the value came from an environment
// variable, the error names the variable, too, and otherwise it names none. The test gives a wrong
// value for each flag of each subcommand in both ways. An error about a value that is no number, no
// duration or neither true nor false says so in plain words, and names the flag once.
func TestErrorsNameWhereAValueCameFrom(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file, invoices := writeFile(t, "file", "foo"), writeFile(t, "invoices.csv", someInvoices)
	fill := strings.NewReplacer("FILE", file, "INVOICES", invoices, "SECRET", writeFile(t, "secret", strings.Repeat("s", 32)), "TAKEN", taken.Addr().String())
	tried := 0
	for name, flag := range allFlags(t) {
		command, _, _ := strings.Cut(name, " --")
		lines := slices.Clone(failures[name])
		if refused := refusals[name]; refused != "" {
			lines = append(lines, refused)
		}
		unreadable := ""
		if kind := flag.Target.Kind(); kind != reflect.String && kind != reflect.Slice {
			unreadable = strings.Replace(command, "import", "import FILE", 1) + " --" + flag.Name + "=?"
			lines = append(lines, unreadable)
		}
		if len(lines) == 0 {
			t.Errorf("no line tries a wrong value of %s", name)
		}
		for _, line := range lines {
			tried++
			args := strings.Fields(fill.Replace(line))
			got := callBriefly(t, nil, args...)
			if got.code == exitOK || endOfFlag(got.stderr, flag.Name) < 0 || strings.Contains(got.stderr, "($") {
				t.Errorf("%s: exit code %d, %q; want an error that names --%s and no variable", line, got.code, got.stderr, flag.Name)
			}
			if line == unreadable && !saysWhatIsWanted(got.stderr, flag.Name, "") {
				t.Errorf("%s: %q; want what the flag takes, in plain words", line, got.stderr)
			}
			variable := flag.Tag.Get("from")
			if variable == "" || (command == "demo" || strings.HasPrefix(line, "demo") || strings.HasPrefix(line, "bench")) && placesData(flag.Name) {
				continue // the demo and the benchmarks do not use these variables
			}
			rest, value := withoutFlag(args, flag.Name)
			got = callBriefly(t, map[string]string{variable: value}, rest...)
			if got.code == exitOK || !strings.Contains(got.stderr, "--"+flag.Name+" ($"+variable+")") || strings.Count(got.stderr, "($") != 1 {
				t.Errorf("%s=%s %s: exit code %d, %q; want an error that names the flag and the variable", variable, value, rest, got.code, got.stderr)
			}
			if line == unreadable && !saysWhatIsWanted(got.stderr, flag.Name, " ($"+variable+")") {
				t.Errorf("%s=%s: %q; want what the flag takes, in plain words", variable, value, got.stderr)
			}
		}
	}
	if tried < 80 {
		t.Errorf("%d lines, want several for each flag", tried)
	}
}

// saysWhatIsWanted tells whether an error names a flag once and says in plain words which values
// the flag takes. from names the variable that the value came from.
func saysWhatIsWanted(stderr, flag, from string) bool {
	_, said, found := strings.Cut(stderr, "--"+flag+from+": want ")
	return found && endOfFlag(said, flag) < 0 && strings.Contains(said, `, not "?"`)
}

// callBriefly is call for a command line that has to fail soon.
func callBriefly(t *testing.T, env map[string]string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var stdout, stderr logBuffer
	code := run(ctx, args, testEnvironment(env, strings.NewReader(""), &stdout, &stderr))
	return outcome{code, stdout.String(), stderr.String()}
}

// withoutFlag takes a flag out of a command line, and returns its value.
func withoutFlag(args []string, flag string) (rest []string, value string) {
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "--"+flag+"="):
			return slices.Concat(args[:i], args[i+1:]), arg[len("--"+flag+"="):]
		case arg == "--"+flag && i+1 < len(args) && !strings.HasPrefix(args[i+1], "--"):
			return slices.Concat(args[:i], args[i+2:]), args[i+1]
		case arg == "--"+flag:
			return slices.Concat(args[:i], args[i+1:]), "true"
		}
	}
	return args, ""
}
