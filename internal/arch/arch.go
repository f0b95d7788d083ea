// Package arch says for each package which other packages and which libraries it may import. Its
// tests check the code against these rules.
package arch

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// module is the prefix of our own packages.
const module = "daybook/"

// mayImport says which packages a package may import. Its keys are called rooms: a room is a folder
// with all packages below it. A package belongs to the room with the longest name that fits. For
// example, commands/reactor/x belongs to commands/reactor and not to commands. A room may always
// import itself. In a name, * stands for any text without a slash. Packages whose names end in test
// support tests. They may also import each other, and only tests may import them.
var mayImport = map[string][]string{
	"domain": {}, // the rules of the shop; it does no I/O

	"eventstore": {"internal/pause", "internal/pgmigrate", "internal/pgpool"}, // the log: the contract, its suite and its engines

	"commands":            {"domain", "eventstore", "commands/aggregate", "commands/payments"},
	"commands/reactor":    {"domain", "eventstore", "commands/aggregate", "commands/streams", "internal/pause"}, // it declares an interface for what it needs from the service
	"commands/streams":    {"domain", "eventstore"},                                                             // tells which streams and events are the shop's
	"commands/aggregate":  {"domain/rule", "domain/bloom", "eventstore", "internal/pause"},                      // works for any aggregate, so it imports none
	"commands/postgres":   {"domain", "eventstore", "commands", "commands/aggregate", "commands/reactor", "commands/signin", "commands/streams", "internal/pause", "internal/pgmigrate", "internal/pgpool"},
	"commands/commandapi": {"domain", "eventstore", "commands", "commands/aggregate", "commands/keyring", "commands/payments", "commands/reactor", "commands/signin", "internal/apidoc", "internal/etag", "internal/problem", "internal/ratelimit", "internal/resource"},
	"commands/keyring":    {"domain/access", "domain/customer", "domain/unit", "eventstore", "internal/pause"}, // knows the API keys, by following their stream
	"commands/pricebook":  {"domain", "eventstore", "internal/pause"},                                          // knows the rules of prices, by following their streams
	"commands/signin":     {"domain", "eventstore", "commands"},                                                // lets people sign in
	"commands/payments":   {"domain/unit"},                                                                     // the port to providers of payments, and their clients
	"commands/importer":   {"domain", "eventstore", "commands", "commands/aggregate", "internal/onlineretail"},
	"commands/internal":   {"domain", "eventstore", "commands", "commands/aggregate", "commands/reactor", "internal/pause", "internal/verify"}, // for tests

	"projections":       {"domain", "eventstore", "internal/pause", "internal/pgmigrate", "internal/pgpool"}, // the runner gets the views from its caller
	"projections/query": {"domain"},                                                                          // what the queries of all views share
	"projections/table": {},                                                                                  // makes SQL from a list of columns
	"projections/*view": {"domain", "eventstore", "projections", "projections/query", "projections/table"},
	"projections/views": {"projections", "projections/*view"}, // the list of them

	// It reads rows and changes nothing.
	"readapi": {"domain/access", "domain/unit", "internal/apidoc", "internal/etag", "internal/personal", "internal/problem", "internal/resource", "projections/*view", "projections/query"},

	"internal/apidoc":               {"domain", "internal/etag", "internal/eventtypes", "internal/problem", "internal/resource"}, // the texts of the OpenAPI document
	"internal/arch":                 {},
	"internal/backup":               {"eventstore/postgres"},                                                                                        // files with the whole log
	"internal/bench":                {"domain", "eventstore", "commands", "commands/aggregate", "internal/pause", "internal/pgpool", "projections"}, // it measures the APIs, and plain SQL as a baseline
	"internal/certs":                {},                                                                                                             // certificates in files
	"internal/embeddedpg":           {"internal/pgpool"},
	"internal/etag":                 {},
	"internal/eventtypes":           {"domain"},     // the types of all events
	"internal/gatewaytest":          {"eventstore"}, // the engine on KurrentDB, for tests
	"internal/httpapi":              {"domain/access", "domain/unit", "internal/apidoc", "internal/etag", "internal/personal", "internal/problem", "internal/ratelimit"},
	"internal/httpapi/contracttest": {"domain/unit"},                       // money's digits
	"internal/httpapi/needstest":    {"domain/access", "internal/httpapi"}, // a test that two packages share
	"internal/simulatedprovider":    {"internal/pause"},                    // a provider of payments whose money is not real
	"internal/proxytest":            {},
	"internal/racetest":             {},                                                                                                                                                        // which tests the race detector runs
	"internal/mailer":               {},                                                                                                                                                        // sends mail
	"internal/smtptest":             {},                                                                                                                                                        // a mail server for tests
	"internal/pause":                {},                                                                                                                                                        // waits, at most until a context ends
	"internal/idtoken":              {"domain/access", "domain/unit"},                                                                                                                          // checks JSON web tokens of OpenID Connect
	"internal/live":                 {"domain", "eventstore", "commands/pricebook", "internal/pause", "internal/resource", "projections", "projections/*view", "projections/query", "readapi"}, // implements the interfaces of readapi
	"internal/onlineretail":         {"domain"},
	"internal/personal":             {"domain", "eventstore", "internal/eventtypes"}, // which texts of events are personal data
	"internal/pgmigrate":            {"internal/pgpool"},
	"internal/pgpool":               {},
	"internal/pgtest":               {"internal/embeddedpg", "internal/pgpool"},
	"internal/problem":              {"domain", "eventstore", "internal/resource"}, // turns their errors into HTTP statuses
	"internal/ratelimit":            {},                                            // how often something may happen
	"internal/resource":             {"domain"},                                    // the types of response bodies of both APIs
	// Only cmd knows it: the others have hooks that are nil if nothing is measured.
	"internal/telemetry": {"domain/rule", "commands/aggregate", "eventstore", "internal/httpapi", "projections"},
	"internal/walcheck":  {}, // whether PostgreSQL's WAL is archived
	"internal/walk":      {}, // only has tests
	// It may import neither the importer nor the handlers, because it checks what they did with
	// separate code.
	"internal/verify": {"domain", "eventstore", "internal/pgpool", "projections", "projections/*view", "projections/query"},

	"cmd": {everything},
}

// everything stands for all rooms.
const everything = "*"

// pureStandard are the packages of the standard library that domain may use. Package time is among
// them because of its types; the linter checks that domain does not read the clock.
var pureStandard = []string{
	"cmp", "errors", "fmt", "iter", "maps", "math", "slices", "strconv", "strings", "time", "unicode", "unicode/utf8",
	"crypto/sha1", "encoding/hex", // deterministic ids, UUIDv5
	"encoding/json",
	"math/big", "math/bits", // exact shares of money
}

// pureLibraries are the libraries that domain may use. The value is the packages of domain that may
// use the library.
var pureLibraries = map[string]func(Package) bool{
	"github.com/shopspring/decimal":               onlyInPackage("domain/unit"),
	"github.com/bojanz/currency":                  onlyInPackage("domain/unit"), // the currencies and their digits
	"golang.org/x/text/unicode/norm":              onlyInPackage("domain/unit"), // the normal form of Unicode texts
	"github.com/go-json-experiment/json":          isCodec,
	"github.com/go-json-experiment/json/jsontext": isCodec,
}

// onlyIn says which rooms may use a library and the packages below it. No other room may.
var onlyIn = map[string][]string{
	"github.com/jackc/pgx/v5":                       sqlRooms,
	"github.com/pressly/goose/v3":                   {"internal/pgmigrate"},
	"database/sql":                                  sqlRooms,
	"github.com/prometheus":                         {"internal/telemetry", "cmd"},
	"github.com/wneessen/go-mail":                   {"internal/mailer"},
	"go.opentelemetry.io":                           {"internal/telemetry"},
	"github.com/EventStore/EventStore-Client-Go/v4": {"eventstore/kurrentdb", "eventstore/gateway", "internal/bench", "cmd"},
}

var sqlRooms = []string{
	"eventstore/postgres", "eventstore/gateway/postgres", "commands/postgres", "projections", "readapi",
	"internal/bench", "internal/embeddedpg", "internal/pgmigrate", "internal/pgpool", "internal/pgtest", "internal/verify", "internal/walcheck", "cmd",
}

// notIn says which packages may not use a library. The packages below them may.
var notIn = map[string][]string{
	"net/http": {"eventstore", "commands", "commands/reactor"},
}

// Package is what the rules need to know about a package.
type Package struct {
	ImportPath string
	Imports    []string // of its code, not of its tests
	GoFiles    []string
}

// Violations checks packages against the rules. Each result names the package, what it imports, and
// the rule that it breaks.
func Violations(packages []Package) []string {
	var found []string
	for _, p := range packages {
		name, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue
		}
		room, known := roomOf(name)
		if !known {
			found = append(found, fmt.Sprintf("%s is in no room: give it a row in mayImport", name))
			continue
		}
		for _, imported := range p.Imports {
			if complaint := check(p, name, room, imported); complaint != "" {
				found = append(found, fmt.Sprintf("%s imports %s: %s", name, imported, complaint))
			}
		}
	}
	return found
}

// check returns what is wrong with an import. It returns an empty text if nothing is wrong.
func check(p Package, name, room, imported string) string {
	if target, ours := strings.CutPrefix(imported, module); ours {
		if isTestSupport(target) {
			if isTestSupport(name) {
				return ""
			}
			return "it is for tests"
		}
		targetRoom, _ := roomOf(target)
		allowed := mayImport[room]
		if targetRoom == room || slices.Contains(allowed, targetRoom) || slices.Contains(allowed, target) || slices.Contains(allowed, everything) {
			return ""
		}
		return fmt.Sprintf("%s may import only %s", room, joinRooms(allowed))
	}
	if room == "domain" && !isTestSupport(name) && !pure(p, imported) {
		return "domain is pure"
	}
	for library, rooms := range onlyIn {
		if within(imported, library) && !slices.ContainsFunc(rooms, func(room string) bool { return within(name, room) }) {
			return fmt.Sprintf("it stays in %s", joinRooms(rooms))
		}
	}
	if slices.Contains(notIn[imported], name) {
		return "it is not for this package"
	}
	return ""
}

// roomOf returns the room of one of our packages.
func roomOf(name string) (room string, known bool) {
	for prefix := name; prefix != "."; prefix = path.Dir(prefix) {
		for row := range mayImport {
			if matched, err := path.Match(row, prefix); err == nil && matched {
				return row, true
			}
		}
	}
	return "", false
}

// within tells whether a package is the given one or below it.
func within(name, parent string) bool {
	return name == parent || strings.HasPrefix(name, parent+"/")
}

// pure tells whether a package of domain may import a package that is not ours.
func pure(p Package, imported string) bool {
	if slices.Contains(pureStandard, imported) {
		return true
	}
	permits, listed := pureLibraries[imported]
	return listed && permits(p)
}

func onlyInPackage(name string) func(Package) bool {
	return func(p Package) bool { return p.ImportPath == module+name }
}

// isCodec tells whether a package defines the stored form of events, or what all these forms share.
// The linter (depguard) checks that only the file codec.go does so, because rules of this package
// do not see files.
func isCodec(p Package) bool {
	return slices.Contains(p.GoFiles, "codec.go") || onlyInPackage("domain/wire")(p)
}

// isTestSupport tells by its name whether a package supports tests.
func isTestSupport(name string) bool { return strings.HasSuffix(name, "test") }

func joinRooms(rooms []string) string {
	if len(rooms) == 0 {
		return "itself"
	}
	return strings.Join(rooms, ", ")
}
