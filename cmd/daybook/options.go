package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // not every machine has the time zones

	"github.com/alecthomas/kong"
)

// options are the flags that all subcommands have. The tag "from" names the
// environment variable behind a flag, "secret" one whose value may hold a
// password.
type options struct {
	Data        string `placeholder:"DIR" from:"DAYBOOK_DATA_DIR" help:"Data directory; the program runs its own PostgreSQL in it. Default: ./.daybook (demo, bench: a temporary one)."`
	DatabaseURL string `name:"database-url" placeholder:"URL" from:"DATABASE_URL" secret:"" help:"Use this PostgreSQL instead of an own one. --data goes over the variable."`
	Store       string `enum:"postgres,kurrentdb" default:"postgres" from:"DAYBOOK_STORE" help:"Where the log is: ${enum}. Read models, timers and answers are in PostgreSQL either way. Default: ${default}."`
	KurrentDB   string `name:"kurrentdb-url" placeholder:"URL" from:"KURRENTDB_URL" secret:"" help:"Connection string of the log with --store kurrentdb, such as esdb://user:password@host:2113."`
	JSON        bool   `name:"json" help:"Print the result as JSON."`
	LogLevel    string `enum:"debug,info,warn,error" default:"info" from:"DAYBOOK_LOG_LEVEL" help:"Least level to log: ${enum}."`
	LogFormat   string `enum:"text,json" default:"text" from:"DAYBOOK_LOG_FORMAT" help:"Form of the log on stderr: ${enum}."`
	Timezone    string `default:"UTC" placeholder:"ZONE" from:"DAYBOOK_TIMEZONE" help:"Where the shop's days begin and end, such as Europe/London. Default: ${default}. A change builds the sales anew."`
	Country     string `placeholder:"NAME" from:"DAYBOOK_COUNTRY" help:"The shop's own country, to which stock adjustments count in the sales."`
	Currency    string `placeholder:"CODE" from:"DAYBOOK_CURRENCY" help:"The shop's own currency, in which they count."`
	PrintConfig bool   `help:"Print the effective configuration, passwords hidden, and do nothing else."`

	location *time.Location
}

const defaultDataDir = ".daybook"

// settle takes what was not given on the command line from the environment and
// the defaults.
func (o *options) settle(selected *kong.Context, getenv func(string) string) error {
	given := func(name string) bool {
		return slices.ContainsFunc(selected.Path, func(p *kong.Path) bool { return p.Flag != nil && p.Flag.Name == name })
	}
	if given("data") && given("database-url") {
		return usagef("--data and --database-url exclude each other: data is kept in one place")
	}
	// The place of the data is one choice: a flag leaves nothing of it to the
	// environment. The demo and the benchmarks never take a shared database by accident.
	placed := given("data") || given("database-url") || ownsData(selected.Command())
	for _, flag := range selected.Flags() {
		name := flag.Tag.Get("from")
		if name == "" || given(flag.Name) || placed && (flag.Name == "data" || flag.Name == "database-url") ||
			ownsData(selected.Command()) && (flag.Name == "store" || flag.Name == "kurrentdb-url") {
			continue
		}
		value := getenv(name)
		if value == "" {
			continue
		}
		if err := flag.Parse(kong.ScanAsType(kong.FlagValueToken, value), flag.Target); err != nil {
			return usagef("%s (environment): %v", name, err)
		}
		if flag.Enum != "" && !slices.Contains(flag.EnumSlice(), value) {
			return usagef("%s (environment) must be one of %s, not %q", name, flag.Enum, value)
		}
	}
	if selected.Command() == "demo" && !given("log-level") && getenv("DAYBOOK_LOG_LEVEL") == "" {
		o.LogLevel = "warn" // what the demo says should not be drowned
	}
	if err := o.settleStore(given("kurrentdb-url")); err != nil {
		return err
	}
	var err error
	if o.location, err = time.LoadLocation(o.Timezone); err != nil {
		return usagef("--timezone: %v", err)
	}
	return o.settleData(selected.Command())
}

// settleStore leaves an address of a KurrentDB only where it is used.
func (o *options) settleStore(addressed bool) error {
	switch {
	case o.Store == storeKurrentDB && o.KurrentDB == "":
		return usagef("--store %s needs --kurrentdb-url, such as esdb://127.0.0.1:2113?tls=false", o.Store)
	case o.Store == storePostgres && addressed:
		return usagef("--kurrentdb-url is for --store %s only", storeKurrentDB)
	case o.Store == storePostgres:
		o.KurrentDB = ""
	}
	return nil
}

// ownsData tells of a subcommand that makes a data directory for itself, and
// removes it, unless the command line names one.
func ownsData(command string) bool {
	name, _, _ := strings.Cut(command, " ") // of its arguments
	return name == "demo" || name == "bench"
}

// settleData makes the place of the data one, and its path whole.
func (o *options) settleData(command string) error {
	if o.DatabaseURL != "" {
		o.Data = ""
		return nil
	}
	if o.Data == "" && !ownsData(command) {
		o.Data = defaultDataDir
	}
	if o.Data == "" {
		return nil
	}
	absolute, err := filepath.Abs(o.Data)
	if err != nil {
		return fmt.Errorf("data directory %s: %w", o.Data, err)
	}
	o.Data = absolute
	return nil
}

// helpWithEnvironment adds the variable to a flag's help.
func helpWithEnvironment(value *kong.Value) string {
	help := kong.DefaultHelpValueFormatter(value)
	if name := value.Tag.Get("from"); name != "" {
		help += " ($" + name + ")"
	}
	return help
}

func (o options) logger(stderr io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.LogLevel)); err != nil {
		panic(err) // the flag admits only levels
	}
	if o.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
}

// printConfig prints every flag of the selected subcommand as it would be used.
func (p *program) printConfig(selected *kong.Context) error {
	config := map[string]any{}
	var names []string
	for _, flag := range selected.Flags() {
		if slices.Contains([]string{"help", "json", "print-config"}, flag.Name) {
			continue
		}
		value := flag.Target.Interface()
		switch shown := value.(type) {
		case time.Duration:
			value = shown.String()
		case string:
			if flag.Tag.Has("secret") {
				value = hidePassword(shown)
			}
		}
		config[flag.Name] = value
		names = append(names, flag.Name)
	}
	slices.Sort(names)
	return p.print(config, func(out io.Writer) error {
		for _, name := range names {
			if _, err := fmt.Fprintf(out, "%s = %v\n", name, config[name]); err != nil {
				return err
			}
		}
		return nil
	})
}

const hidden = "xxxxx"

var passwordPair = regexp.MustCompile(`(?i)((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)`)

// hidePassword makes a connection string fit to be shown, be it a URL or
// "key=value" pairs. What cannot be understood is not shown at all.
func hidePassword(connection string) string {
	if !strings.Contains(connection, "://") {
		return passwordPair.ReplaceAllString(connection, "${1}"+hidden)
	}
	u, err := url.Parse(oneHost(connection))
	if err != nil {
		return hidden
	}
	u.Host = hostsOf(connection, u.Host)
	query := u.Query()
	for key := range query {
		if strings.Contains(strings.ToLower(key), "password") {
			query.Set(key, hidden)
			u.RawQuery = query.Encode()
		}
	}
	return u.Redacted()
}

// A cluster's connection string names several hosts, which a URL cannot:
// oneHost puts a single one in their place, and hostsOf gives them back.
var severalHosts = regexp.MustCompile(`^([^/]*//(?:[^/?#@]*@)?)([^/?#@,]+(?:,[^/?#@,]+)+)`)

func oneHost(connection string) string {
	return severalHosts.ReplaceAllString(connection, "${1}cluster")
}

func hostsOf(connection, host string) string {
	if found := severalHosts.FindStringSubmatch(connection); found != nil {
		return found[2]
	}
	return host
}
