package arch

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	if len(packages) == 0 {
		t.Fatal("no packages found")
	}
	for _, violation := range Violations(packages) {
		t.Error(violation)
	}
	lived := map[string]bool{}
	for _, p := range packages {
		room, _ := roomOf(strings.TrimPrefix(p.ImportPath, module))
		lived[room] = true
	}
	for room := range mayImport {
		if !lived[room] {
			t.Errorf("%s has a row in mayImport, but no package", room)
		}
	}
}

func TestAViolationIsReported(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pkg  Package
		want string
	}{
		"the domain reaches out":         {Package{"daybook/domain/order", []string{"daybook/eventstore"}, nil}, "domain may import only itself"},
		"the domain waits":               {Package{"daybook/domain/order", []string{"context"}, nil}, "domain is pure"},
		"the domain serves HTTP":         {Package{"daybook/domain/order", []string{"net/http"}, nil}, "domain is pure"},
		"the domain logs":                {Package{"daybook/domain/order", []string{"log/slog"}, nil}, "domain is pure"},
		"decimals outside money":         {Package{"daybook/domain/order", []string{"github.com/shopspring/decimal"}, nil}, "domain is pure"},
		"JSON outside a codec":           {Package{"daybook/domain/order", []string{"github.com/go-json-experiment/json"}, []string{"order.go"}}, "domain is pure"},
		"the log knows the domain":       {Package{"daybook/eventstore/postgres", []string{"daybook/domain/order"}, nil}, "eventstore may import only internal/pause, internal/pgmigrate, internal/pgpool"},
		"the log's contract knows HTTP":  {Package{"daybook/eventstore", []string{"net/http"}, nil}, "not for this package"},
		"lanes know an aggregate":        {Package{"daybook/commands/aggregate", []string{"daybook/domain/order"}, nil}, "commands/aggregate may import only"},
		"the service knows the reactor":  {Package{"daybook/commands", []string{"daybook/commands/reactor"}, nil}, "commands may import only"},
		"the reactor knows the service":  {Package{"daybook/commands/reactor", []string{"daybook/commands"}, nil}, "commands/reactor may import only"},
		"commands know HTTP":             {Package{"daybook/commands", []string{"net/http"}, nil}, "not for this package"},
		"commands know problems":         {Package{"daybook/commands", []string{"daybook/internal/problem"}, nil}, "commands may import only"},
		"commands know their API":        {Package{"daybook/commands", []string{"daybook/commands/commandapi"}, nil}, "commands may import only"},
		"commands speak SQL":             {Package{"daybook/commands", []string{"github.com/jackc/pgx/v5/pgxpool"}, nil}, "it stays in"},
		"a view sends commands":          {Package{"daybook/projections/orderview", []string{"daybook/commands"}, nil}, "projections/*view may import only"},
		"the runner knows a view":        {Package{"daybook/projections", []string{"daybook/projections/orderview"}, nil}, "projections may import only"},
		"the read API sends commands":    {Package{"daybook/readapi", []string{"daybook/commands"}, nil}, "readapi may import only"},
		"the read API reads the log":     {Package{"daybook/readapi/console", []string{"daybook/eventstore"}, nil}, "readapi may import only"},
		"the read API drives the runner": {Package{"daybook/readapi", []string{"daybook/projections"}, nil}, "readapi may import only"},
		"the memory engine speaks SQL":   {Package{"daybook/eventstore/memory", []string{"database/sql"}, nil}, "it stays in"},
		"KurrentDB outside its engine":   {Package{"daybook/projections", []string{"github.com/EventStore/EventStore-Client-Go/v4/esdb"}, nil}, "it stays in"},
		"the program needs test support": {Package{"daybook/cmd/daybook", []string{"daybook/internal/pgtest"}, nil}, "it is for tests"},
		"a room without a row":           {Package{"daybook/util", nil, nil}, "no room"},
		"an inner room without a row":    {Package{"daybook/internal/helpers", nil, nil}, "no room"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Violations([]Package{test.pkg})
			if len(got) != 1 || !strings.Contains(got[0], test.want) {
				t.Errorf("Violations = %q, want one that says %q", got, test.want)
			}
		})
	}
}

func TestAllowedImportsAreNotReported(t *testing.T) {
	t.Parallel()
	allowed := []Package{
		{"daybook/domain/unit", []string{"fmt", "github.com/shopspring/decimal"}, nil},
		{"daybook/domain/order", []string{"time", "daybook/domain/unit", "github.com/go-json-experiment/json"}, []string{"codec.go"}},
		{"daybook/domain/decidertest", []string{"testing", "reflect", "daybook/domain/rule"}, nil},
		{"daybook/eventstore/postgres", []string{"context", "daybook/eventstore", "github.com/jackc/pgx/v5/pgxpool"}, nil},
		{"daybook/eventstore/gateway", []string{"net/http", "daybook/eventstore"}, nil},
		{"daybook/commands/postgres", []string{"daybook/commands", "github.com/jackc/pgx/v5"}, nil},
		{"daybook/commands/commandapi", []string{"net/http", "daybook/commands", "daybook/internal/problem"}, nil},
		{"daybook/projections/orderview", []string{"daybook/projections", "daybook/domain/order", "github.com/jackc/pgx/v5"}, nil},
		{"daybook/projections/viewtest", []string{"daybook/projections", "daybook/internal/pgtest"}, nil},
		{"daybook/readapi", []string{"net/http", "daybook/projections/orderview", "daybook/internal/problem"}, nil},
		{"daybook/cmd/daybook", []string{"daybook/commands", "daybook/readapi", "github.com/jackc/pgx/v5"}, nil},
		{"github.com/elsewhere/thing", []string{"daybook/commands"}, nil},
	}
	for _, violation := range Violations(allowed) {
		t.Error(violation)
	}
}

const moduleRoot = "../.."

// listPackages returns all packages of the module. It asks the go tool for them.
func listPackages(t *testing.T) []Package {
	t.Helper()
	statFiles(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,GoFiles", module+"...")
	cmd.Dir = moduleRoot
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var packages []Package
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p Package
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("go list's answer: %v", err)
		}
		packages = append(packages, p)
	}
}

// statFiles looks at every source file, because of the cache of go test. The cache repeats an old
// result unless a file that this process has looked at has changed, and it does not see which files
// the go tool reads.
func statFiles(t *testing.T) {
	t.Helper()
	for _, path := range sourceFiles(t, moduleRoot) {
		if _, err := os.Stat(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}
