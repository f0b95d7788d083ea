// Package arch holds the map of the house: which room may import which, and
// which libraries stay in which rooms. Its test keeps the code to it. What a
// room does inside is not its business.
package arch

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// module is the prefix of our own packages.
const module = "daybook/"

// mayImport says which rooms a room may import, besides itself. A package
// belongs to the longest row that it is or is below of; * stands for any part
// of one name. A room may also name single packages that it imports. Packages that support tests, those whose name ends in test, may
// also import each other, and nothing but tests may import them.
var mayImport = map[string][]string{
	"domain": {}, // what may happen: pure

	"eventstore": {"internal/pause", "internal/pgmigrate", "internal/pgpool"}, // the log: the contract, its suite and its engines

	"commands":            {"domain", "eventstore", "commands/aggregate"},
	"commands/reactor":    {"domain", "eventstore", "commands/aggregate", "commands/streams", "internal/pause"}, // it declares what it needs of the service
	"commands/streams":    {"domain", "eventstore"},                                                             // which streams and events are the shop's
	"commands/aggregate":  {"domain/rule", "domain/bloom", "eventstore", "internal/pause"},                      // any aggregate, and none by name
	"commands/postgres":   {"domain", "eventstore", "commands", "commands/aggregate", "commands/reactor", "commands/streams", "internal/pgmigrate", "internal/pgpool"},
	"commands/commandapi": {"domain", "eventstore", "commands", "commands/aggregate", "commands/reactor", "internal/apidoc", "internal/etag", "internal/problem", "internal/resource"},
	"commands/importer":   {"domain", "eventstore", "commands", "commands/aggregate", "internal/onlineretail"},
	"commands/internal":   {"domain", "eventstore", "commands", "commands/aggregate", "commands/reactor", "internal/pause", "internal/verify"}, // for tests

	"projections":       {"domain", "eventstore", "internal/pgmigrate", "internal/pgpool"}, // the runner knows no view
	"projections/query": {"domain"},                                                        // what the views' queries share
	"projections/table": {},                                                                // statements from a list of columns
	"projections/*view": {"domain", "eventstore", "projections", "projections/query", "projections/table"},
	"projections/views": {"projections", "projections/*view"}, // the list of them

	// Answers from rows, and changes nothing.
	"readapi": {"internal/apidoc", "internal/etag", "internal/problem", "internal/resource", "projections/*view", "projections/query"},

	"internal/apidoc":               {"domain", "internal/etag", "internal/problem", "internal/resource"}, // what the API's document says of members and events
	"internal/arch":                 {},
	"internal/bench":                {"domain", "eventstore", "commands", "commands/aggregate", "projections"}, // the front doors, beside plain SQL
	"internal/embeddedpg":           {"internal/pgpool"},
	"internal/etag":                 {},
	"internal/httpapi":              {"internal/apidoc", "internal/etag", "internal/problem"},
	"internal/httpapi/contracttest": {"domain/unit"}, // money's digits
	"internal/proxytest":            {},
	"internal/pause":                {},                                                                                           // waits no longer than a context
	"internal/live":                 {"domain", "eventstore", "projections", "projections/*view", "projections/query", "readapi"}, // the running program, as readapi sees it
	"internal/onlineretail":         {"domain"},
	"internal/pgmigrate":            {"internal/pgpool"},
	"internal/pgpool":               {},
	"internal/pgtest":               {"internal/embeddedpg", "internal/pgpool"},
	"internal/problem":              {"domain", "eventstore", "internal/resource"}, // their errors, as HTTP
	"internal/resource":             {"domain"},                                    // the one shape of what both APIs answer with
	"internal/walk":                 {},                                            // a test of everything together
	// Recomputes by code of its own: neither by the importer's nor by the handlers'.
	"internal/verify": {"domain", "eventstore", "internal/pgpool", "projections", "projections/*view", "projections/query"},

	"cmd": {everything},
}

// everything in a row of mayImport stands for all rooms.
const everything = "*"

// pureStandard is all that domain may use of the standard library. It has time
// for its types; that nobody reads the clock with it is for the linter.
var pureStandard = []string{
	"cmp", "errors", "fmt", "iter", "maps", "math", "slices", "strconv", "strings", "time", "unicode", "unicode/utf8",
	"crypto/sha1", "encoding/hex", // deterministic ids, UUIDv5
	"encoding/json",
}

// pureLibraries are the libraries that domain may use, and where.
var pureLibraries = map[string]func(Package) bool{
	"github.com/shopspring/decimal":               in("domain/unit"),
	"github.com/bojanz/currency":                  in("domain/unit"), // which currencies there are, and their digits
	"golang.org/x/text/unicode/norm":              in("domain/unit"), // which texts are the same to a person
	"github.com/go-json-experiment/json":          isCodec,
	"github.com/go-json-experiment/json/jsontext": isCodec,
}

// onlyIn keeps a library, with all packages below it, in some rooms.
var onlyIn = map[string][]string{
	"github.com/jackc/pgx/v5":                       sqlRooms,
	"github.com/pressly/goose/v3":                   {"internal/pgmigrate"},
	"database/sql":                                  sqlRooms,
	"github.com/EventStore/EventStore-Client-Go/v4": {"eventstore/kurrentdb", "eventstore/gateway", "internal/bench", "cmd"},
}

var sqlRooms = []string{
	"eventstore/postgres", "eventstore/gateway/postgres", "commands/postgres", "projections", "readapi",
	"internal/bench", "internal/embeddedpg", "internal/pgmigrate", "internal/pgpool", "internal/pgtest", "internal/verify", "cmd",
}

// notIn keeps a library out of single packages; the ones below may use it.
var notIn = map[string][]string{
	"net/http": {"eventstore", "commands", "commands/reactor"},
}

// Package is what the rules look at.
type Package struct {
	ImportPath string
	Imports    []string // of its code, not of its tests
	GoFiles    []string
}

// Violations checks packages against the rules; each result names the package,
// what it imports, and the rule.
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

// check returns what is wrong with one import, or nothing.
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
		return fmt.Sprintf("%s may import only %s", room, words(allowed))
	}
	if room == "domain" && !isTestSupport(name) && !pure(p, imported) {
		return "domain is pure"
	}
	for library, rooms := range onlyIn {
		if within(imported, library) && !slices.ContainsFunc(rooms, func(room string) bool { return within(name, room) }) {
			return fmt.Sprintf("it stays in %s", words(rooms))
		}
	}
	if slices.Contains(notIn[imported], name) {
		return "it is not for this package"
	}
	return ""
}

// roomOf finds the row of mayImport for a package of ours.
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

func in(name string) func(Package) bool {
	return func(p Package) bool { return p.ImportPath == module+name }
}

// isCodec: the package defines a wire form, or what all wire forms share. That
// only its codec.go does so is for depguard, which sees files.
func isCodec(p Package) bool {
	return slices.Contains(p.GoFiles, "codec.go") || in("domain/wire")(p)
}

// isTestSupport: the package is for tests, by its name.
func isTestSupport(name string) bool { return strings.HasSuffix(name, "test") }

func words(rooms []string) string {
	if len(rooms) == 0 {
		return "itself"
	}
	return strings.Join(rooms, ", ")
}
