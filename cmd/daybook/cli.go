package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/eventstore"
)

// commandLine is everything that can be asked of the program. A new subcommand
// is a field here, of a type with the method
//
//	Run(ctx context.Context, p *program) error
type commandLine struct {
	options

	Serve    serveCommand             `cmd:"" help:"Run the server."`
	Demo     demoCommand              `cmd:"" help:"Run everything at once, with a sample catalogue and simulated shoppers."`
	Import   importCommand            `cmd:"" help:"Import real invoices from a CSV file in the Online Retail layout, through the same commands as the API."`
	Prices   pricesCommand            `cmd:"" help:"Import the prices of a price list from a CSV file, over the log itself."`
	Verify   verifyCommand            `cmd:"" help:"Check all data: compute everything again from the log, check every invariant, and compare every read model with the result."`
	Backup   backupCommand            `cmd:"" help:"Write a file with the whole log and what cannot be made from it. A server may run meanwhile."`
	Restore  restoreCommand           `cmd:"" help:"Fill an empty database from a file of daybook backup, up to its end, a position or a time."`
	WAL      checkWALCommand          `cmd:"" name:"check-wal" help:"Check whether the PostgreSQL that has the log archives its WAL, and say what would be lost with its disk."`
	Staff    staffCommand             `cmd:"" help:"Invite, list, change and disable people who sign in, over the log itself."`
	Keys     keysCommand              `cmd:"" help:"Make, list, rotate and revoke API keys, over the log itself."`
	Export   exportCommand            `cmd:"" help:"Write everything that the shop holds about a customer, or about the cart of a guest. Servers may run meanwhile."`
	Erase    eraseCommand             `cmd:"" help:"Erase the personal texts of a customer or a guest for good. Servers may run meanwhile."`
	Master   masterKeyCommand         `cmd:"" name:"master-key" help:"Show, add, change and remove the master keys of personal texts, while servers run."`
	Rebuild  rebuildCommand           `cmd:"" help:"Build a read model again beside the one in use and switch to it; or switch back to the one before."`
	Accept   acceptLogCommand         `cmd:"" name:"accept-log" help:"After a restore of the log: print what PostgreSQL knows and the log does not have, ask, and build everything again from the log as it is."`
	Bench    benchCommand             `cmd:"" help:"Measure this program on this machine, each figure beside a baseline."`
	Migrate  migrateCommand           `cmd:"" help:"Bring the database to this program's version, and do nothing else."`
	Provider simulatedProviderCommand `cmd:"" name:"simulated-provider" help:"Run a provider of payments whose money is not real, for tests: slow, with faults, and with webhooks in any order."`
	OpenAPI  openAPICommand           `cmd:"" name:"openapi" help:"Print the OpenAPI document of the HTTP API, which the server has at /openapi.json."`
	Version  versionCommand           `cmd:"" help:"Print the version of this program."`
}

// program is what a subcommand works with.
type program struct {
	options
	environment
	log *slog.Logger
}

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// errReported is the error of a subcommand that failed, if its printed result already says
// everything.
var errReported = errors.New("see the result")

// usageError is a mistake in how the program was called.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// run is the whole program. args and env have all that it uses of the process, so that a test can
// call it with others. It returns the exit code.
func run(ctx context.Context, args []string, env environment) int {
	var cli commandLine
	exited := -1
	plainErr := visibleWriter{env.stderr}
	parser, err := kong.New(&cli, append(plainValues(),
		kong.Name("daybook"),
		kong.Description(description),
		kong.Vars{"views": strings.Join(viewNames(), ", "), "benchmarks": strings.Join(benchmarkNames(), ", ")},
		kong.Writers(env.stdout, env.stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.ValueFormatter(helpWithEnvironment),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 120}),
	)...)
	if err != nil {
		panic(err) // the definition of commandLine is wrong
	}
	selected, err := parser.Parse(spelled(args))
	if exited >= 0 { // --help has printed its text
		return exited
	}
	if err == nil {
		err = cli.settle(selected, env.getenv)
	}
	if err != nil {
		return complain(plainErr, cli.origins.complete(&usageError{err.Error()}))
	}
	env.stdout = visibleWriter{env.stdout}
	p := &program{options: cli.options, environment: env, log: cli.logger(plainErr)}
	if err = p.check(ctx, selected); err != nil {
		return complain(plainErr, cli.origins.complete(err))
	}
	if cli.PrintConfig {
		err = p.printConfig(selected)
	} else {
		selected.BindTo(ctx, (*context.Context)(nil))
		err = selected.Run(p)
	}
	if err != nil {
		return complain(plainErr, cli.origins.complete(err))
	}
	return exitOK
}

// spelled turns two forms that many programs have into the forms of this one:
// "help serve" into "serve --help", and "--version" into "version".
func spelled(args []string) []string {
	switch {
	case len(args) > 0 && args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	case len(args) == 1 && args[0] == "--version":
		return []string{"version"}
	}
	return args
}

// checked is a subcommand that refuses some values of its flags. Its check refuses them before Run,
// so that --print-config refuses them too. The check changes nothing and asks no server.
type checked interface {
	check(ctx context.Context, p *program) error
}

// check refuses the values of flags that the subcommand itself would refuse before it does
// anything.
func (p *program) check(ctx context.Context, selected *kong.Context) error {
	if err := p.checkAddresses(ctx); err != nil {
		return err
	}
	command, is := selected.Selected().Target.Addr().Interface().(checked)
	if !is {
		return nil
	}
	return command.check(ctx, p)
}

// visibleWriter writes text and replaces its control characters, for example by \u001b. Line breaks
// and tabs stay. So a name that a foreign writer chose cannot control the terminal. JSON does not
// change, because it has such characters in this form already. Each call must be a whole piece of
// text.
type visibleWriter struct{ out io.Writer }

func (w visibleWriter) Write(text []byte) (int, error) {
	if _, err := io.WriteString(w.out, visibleLines(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

func visibleLines(text string) string {
	var shown strings.Builder
	for line := range strings.Lines(text) {
		for i, cell := range strings.Split(strings.TrimSuffix(line, "\n"), "\t") {
			if i > 0 {
				shown.WriteByte('\t')
			}
			shown.WriteString(eventstore.Visible(cell))
		}
		if strings.HasSuffix(line, "\n") {
			shown.WriteByte('\n')
		}
	}
	return shown.String()
}

const description = `An event-sourced order and inventory core.

Data lives in PostgreSQL: in one that the program starts by itself under --data, or in any other by --database-url.
A flag has priority over its environment variable. The variable has priority over the default.`

// complain prints an error and returns the exit code for it.
func complain(stderr io.Writer, err error) int {
	if errors.Is(err, errReported) {
		return exitFailure
	}
	if usage, wrong := errors.AsType[*usageError](err); wrong {
		fmt.Fprintf(stderr, "daybook: %s\nUsage: daybook <command> [flags]; daybook --help lists the commands, daybook <command> --help its flags.\n", usage.message)
		return exitUsage
	}
	// Several errors are on lines of their own. Further lines are indented, so that no text in an
	// error looks like a line of the program.
	fmt.Fprintf(stderr, "daybook: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	return exitFailure
}

// print writes the result of a subcommand to stdout: as JSON with --json, otherwise as text.
func (p *program) print(result any, inWords func(out io.Writer) error) error {
	if !p.JSON {
		return inWords(p.stdout)
	}
	text, err := json.Marshal(result, json.Deterministic(true), jsontext.Multiline(true))
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	_, err = p.stdout.Write(append(text, '\n'))
	return err
}
