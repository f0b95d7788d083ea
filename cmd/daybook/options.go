package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // not every machine has the time zones

	"github.com/alecthomas/kong"

	"daybook/domain/unit"
	"daybook/eventstore/kurrentdb"
	"daybook/eventstore/sealing"
)

// options are the flags that all subcommands have. The tag "from" names the
// environment variable behind a flag. The tag "secret" marks a flag whose value
// may hold a password; its companion with "-file" reads the value from a file,
// because other users can see the command line of a process.
type options struct {
	Data             string `placeholder:"DIR" from:"DAYBOOK_DATA_DIR" help:"Data directory; the program runs its own PostgreSQL in it. Default: ./.daybook (demo, bench: a temporary one)."`
	DatabaseURL      string `name:"database-url" placeholder:"URL" from:"DATABASE_URL" secret:"" help:"Use this PostgreSQL. Without it, the program starts its own. If --data is given, $$DATABASE_URL is ignored."`
	DatabaseURLFile  string `name:"database-url-file" placeholder:"FILE" from:"DATABASE_URL_FILE" help:"Read --database-url from this file, so that no list of processes shows its password."`
	Store            string `enum:"postgres,kurrentdb" default:"postgres" from:"DAYBOOK_STORE" help:"Where the log is: ${enum}. Read models, timers and answers are in PostgreSQL either way. Default: ${default}."`
	KurrentDB        string `name:"kurrentdb-url" placeholder:"URL" from:"KURRENTDB_URL" secret:"" help:"Connection string of the log with --store kurrentdb, such as esdb://user:password@host:2113."`
	KurrentDBFile    string `name:"kurrentdb-url-file" placeholder:"FILE" from:"KURRENTDB_URL_FILE" help:"Read --kurrentdb-url from this file."`
	MasterKeyFile    string `placeholder:"FILE" from:"DAYBOOK_MASTER_KEY_FILE" help:"File with the master key of personal texts. Default: master.key in the data directory, which the first start writes. With --database-url and no file, personal texts are recorded in clear text."`
	MasterKeyCommand string `name:"master-key-command" placeholder:"'PROGRAM ARG...'" from:"DAYBOOK_MASTER_KEY_COMMAND" help:"Command that wraps and unwraps the keys of personal texts, for example by a service that manages keys: see docs/operations.md. It is split at spaces. It may stand beside --master-key-file, so that one can replace the other."`
	JSON             bool   `name:"json" help:"Print the result as JSON. The result of serve is the address at which it answers."`
	LogLevel         string `enum:"debug,info,warn,error" default:"info" from:"DAYBOOK_LOG_LEVEL" help:"Lowest level of the messages that the program writes to stderr: ${enum}."`
	LogFormat        string `enum:"text,json" default:"text" from:"DAYBOOK_LOG_FORMAT" help:"Form of the messages on stderr: ${enum}."`
	Timezone         string `default:"UTC" placeholder:"ZONE" from:"DAYBOOK_TIMEZONE" help:"Time zone of the shop's days, such as Europe/London. Default: ${default}. After a change the sales are built again."`
	Country          string `placeholder:"NAME" from:"DAYBOOK_COUNTRY" help:"The shop's own country. In the sales figures, stock adjustments count as this country's."`
	Currency         string `placeholder:"CODE" from:"DAYBOOK_CURRENCY" help:"The shop's own currency. In the sales figures, stock adjustments count in this currency."`
	PrintConfig      bool   `help:"Print the effective configuration without passwords, and do nothing else."`

	location  *time.Location
	origins   origins
	dataNamed bool // Data is not the default
}

const defaultDataDir = ".daybook"

// settle sets each flag that the command line does not give: from the environment, or to its
// default.
func (o *options) settle(selected *kong.Context, getenv func(string) string) error {
	given := func(names ...string) bool {
		return slices.ContainsFunc(selected.Path, func(p *kong.Path) bool { return p.Flag != nil && slices.Contains(names, p.Flag.Name) })
	}
	for _, group := range choices {
		if err := group.checkFlags(given); err != nil {
			return err
		}
	}
	for _, flag := range selected.Flags() {
		name := flag.Tag.Get("from")
		if name == "" || given(flag.Name) || chosen(flag.Name, given) || ownsData(selected.Command()) && placesData(flag.Name) {
			continue
		}
		value := getenv(name)
		if value == "" {
			continue
		}
		o.origins.fromVariable(flag.Name, name)
		if err := flag.Parse(kong.ScanAsType(kong.FlagValueToken, value), flag.Target); err != nil {
			return usagef("%v", err) // it names the flag
		}
		if flag.Enum != "" && !slices.Contains(flag.EnumSlice(), value) {
			return usagef("--%s must be one of %s, not %q", flag.Name, flag.Enum, value)
		}
	}
	if selected.Command() == "demo" && !given("log-level") && getenv("DAYBOOK_LOG_LEVEL") == "" {
		o.LogLevel = "warn" // so that the demo's own lines are easy to see among those of the log
	}
	if err := o.readSecretFiles(); err != nil {
		return err
	}
	if err := o.checkMasterKey(); err != nil {
		return err
	}
	if err := o.settleStore(given("kurrentdb-url", "kurrentdb-url-file")); err != nil {
		return err
	}
	if err := o.checkShop(); err != nil {
		return err
	}
	return o.settleData(selected.Command())
}

// checkShop applies the rules for requests to the shop's settings, because events and rows store
// these values as they store values of a request.
func (o *options) checkShop() (err error) {
	if o.location, err = time.LoadLocation(o.Timezone); err != nil || o.Timezone == "Local" {
		return usagef("--timezone %q: want a name of the time zone database, such as Europe/London", o.Timezone)
	}
	if o.Currency != "" {
		code, err := unit.ParseCurrency(o.Currency)
		if err != nil {
			return usagef("--currency: %v", err)
		}
		o.Currency = string(code)
	}
	if o.Country != "" && !unit.FitsLine(o.Country, unit.MaxReference) {
		return usagef("--country %q: want one line of at most %d characters", o.Country, unit.MaxReference)
	}
	return nil
}

// checkMasterKey refuses a file that has no master key, and a command that there is not.
func (o *options) checkMasterKey() error {
	if args := strings.Fields(o.MasterKeyCommand); len(args) > 0 {
		if _, err := exec.LookPath(args[0]); err != nil {
			return usagef("--master-key-command: %v", err)
		}
	}
	if o.MasterKeyFile == "" {
		return nil
	}
	if _, err := sealing.ReadMasterKeys(o.MasterKeyFile); err != nil {
		return usagef("--master-key-file %s: %v", o.MasterKeyFile, err)
	}
	return nil
}

// checkAddresses refuses connection strings that cannot be understood. It asks no server.
func (o *options) checkAddresses(ctx context.Context) error {
	if o.KurrentDB != "" {
		if err := kurrentdb.CheckAddress(o.KurrentDB); err != nil {
			return usagef("%s: %v", o.origins.of("kurrentdb-url"), err)
		}
	}
	if o.DatabaseURL == "" {
		return nil
	}
	// The pool does not connect before it is used.
	pool, err := openPool(ctx, o.DatabaseURL, "start", 1, slog.New(slog.DiscardHandler))
	if err != nil {
		return usagef("%s: %v", o.origins.of("database-url"), err)
	}
	pool.Close()
	return nil
}

// choice names flags that set one thing in different ways, such as --database-url and
// --database-url-file. A command line may use only one of them. If it uses one, the environment
// variables of the others are ignored.
type choice struct {
	flags []string
	of    string
	data  bool // it says where the data is
}

var choices = []choice{
	{[]string{"data", "database-url", "database-url-file"}, "the place of the data", true},
	{[]string{"kurrentdb-url", "kurrentdb-url-file"}, "the address of the log", true},
	{[]string{"smtp-url", "smtp-url-file"}, "the address of the mail server", false},
}

func (c choice) checkFlags(given func(...string) bool) error {
	var used []string
	for _, name := range c.flags {
		if given(name) {
			used = append(used, "--"+name)
		}
	}
	if len(used) > 1 {
		return usagef("%s exclude each other: each of them gives %s", strings.Join(used, " and "), c.of)
	}
	return nil
}

// chosen tells whether the command line has a flag of the same choice as this flag.
func chosen(flag string, given func(...string) bool) bool {
	return slices.ContainsFunc(choices, func(c choice) bool { return slices.Contains(c.flags, flag) && given(c.flags...) })
}

// placesData tells whether a flag says where the data is. The demo and the benchmarks ignore the
// environment variables of such flags, so that they never use a shared database by accident.
func placesData(flag string) bool {
	return flag == "store" || slices.ContainsFunc(choices, func(c choice) bool { return c.data && slices.Contains(c.flags, flag) })
}

// settleStore removes the address of a KurrentDB if the log is not there.
func (o *options) settleStore(addressed bool) error {
	switch {
	case o.Store == storeKurrentDB && o.KurrentDB == "":
		return usagef("--store %s needs --kurrentdb-url, such as esdb://127.0.0.1:2113?tls=false", o.Store)
	case o.Store == storePostgres && addressed:
		return usagef("%s is for --store %s only", o.origins.of("kurrentdb-url"), storeKurrentDB)
	case o.Store == storePostgres:
		o.KurrentDB = ""
	}
	return nil
}

// ownsData tells whether a subcommand makes a data directory for itself and removes it at the end,
// unless the command line names one.
func ownsData(command string) bool {
	name, _, _ := strings.Cut(command, " ") // without its arguments
	return name == "demo" || name == "bench"
}

// settleData makes sure that only one place for the data is set, and makes the path of a data
// directory absolute.
func (o *options) settleData(command string) error {
	if o.DatabaseURL != "" {
		o.Data = ""
		return nil
	}
	o.dataNamed = o.Data != ""
	if o.Data == "" && !ownsData(command) {
		o.Data = defaultDataDir
	}
	if o.Data == "" {
		return nil
	}
	absolute, err := filepath.Abs(o.Data)
	if err != nil {
		return fmt.Errorf("--data %s: %w", o.Data, err)
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
		panic(err) // cannot happen, because the flag accepts only levels
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
