package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// refusals has, for each flag of each subcommand, a command line that is refused because of the
// flag's value. It is empty if no value is refused before the subcommand begins its work.
var refusals = map[string]string{
	"serve --data":                                "",
	"serve --database-url":                        "serve --database-url postgres://h:port/d",
	"serve --database-url-file":                   "serve --database-url-file /not/there",
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
	"serve --remedy":                              "serve --remedy magic",
	"serve --gateway":                             "serve --gateway 0.0.0.0:2113",
	"serve --gateway-open":                        "serve --gateway-open",
	"serve --gateway-cert":                        "serve --gateway 127.0.0.1:0 --gateway-cert /not/there",
	"serve --gateway-key":                         "serve --gateway 127.0.0.1:0 --gateway-cert /not/there --gateway-key /not/there",
	"serve --gateway-users":                       "serve --gateway 127.0.0.1:0 --gateway-users /not/there",
	"serve --gateway-advertise":                   "serve --gateway 127.0.0.1:0 --gateway-advertise nowhere",
	"serve --gateway-max-message":                 "serve --gateway 127.0.0.1:0 --gateway-max-message 1",
	"serve --gateway-max-received":                "serve --gateway 127.0.0.1:0 --gateway-max-received 1",
	"serve --gateway-max-connections":             "serve --gateway 127.0.0.1:0 --gateway-max-connections -1",
	"serve --gateway-max-connections-per-address": "serve --gateway 127.0.0.1:0 --gateway-max-connections-per-address -1",
	"serve --public-host":                         "serve --public-host a/b",
	"serve --cors-origin":                         "serve --cors-origin *",
	"serve --body-budget":                         "serve --body-budget 0",
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
	"rebuild --rollback":                          "rebuild magic --rollback",
	"rebuild --drop-old":                          "rebuild orders --drop-old --rollback",
	"accept-log --yes":                            "",
	"accept-log --dry-run":                        "",
	"accept-log --hold-for":                       "accept-log --hold-for 1ms",
	"accept-log --carts-expire-after":             "accept-log --carts-expire-after 1ms",
	"accept-log --earliest-day":                   "accept-log --earliest-day 1066-10-14",
	"accept-log --time-ahead":                     "accept-log --time-ahead 9000h",
	"accept-log --remedy":                         "accept-log --remedy magic",
	"bench --seconds":                             "bench --seconds 0",
	"bench --flush":                               "bench --flush 3ms",
	"bench --cpuprofile":                          "",
	"bench --force":                               "",
}

// If a subcommand refuses the value of a flag, --print-config refuses it in the same words. Every
// flag must be in the table above.
func TestPrintConfigRefusesWhatTheSubcommandRefuses(t *testing.T) {
	t.Parallel()
	var cli commandLine
	parser, err := kong.New(&cli, kong.Vars{"views": "", "benchmarks": ""})
	if err != nil {
		t.Fatal(err)
	}
	var flags []string
	for _, flag := range parser.Model.Flags { // flags that all subcommands have are tested with one
		flags = append(flags, "serve --"+flag.Name)
	}
	for _, command := range parser.Model.Children {
		for _, flag := range command.Flags {
			flags = append(flags, command.Name+" --"+flag.Name)
		}
	}
	flags = slices.DeleteFunc(flags, func(flag string) bool { return strings.HasSuffix(flag, "--help") })
	for _, flag := range flags {
		if _, known := refusals[flag]; !known {
			t.Errorf("%s is in no row", flag)
		}
	}
	file := filepath.Join(t.TempDir(), "invoices.csv")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for flag, line := range refusals {
		if !slices.Contains(flags, flag) {
			t.Errorf("there is no %s", flag)
		}
		if line == "" {
			continue
		}
		args := strings.Fields(strings.ReplaceAll(line, "FILE", file))
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
