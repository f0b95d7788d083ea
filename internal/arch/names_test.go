package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// wordRooms has words that once had several meanings. The key is the word, and the value is the
// packages whose exported names may still have it. The glossary in ARCHITECTURE.md gives the
// meaning of each.
var wordRooms = map[string][]string{
	// An order that is stopped; stock is reserved or allocated. Promotions and gift cards are held.
	"Hold":     {"domain/order", "internal/resource", "projections/orderview", "readapi", "domain/cart", "domain/checkout", "domain/fulfilment", "domain/money/promotion", "domain/money/giftcard", "domain/unit", "commands", "commands/reactor"},
	"Held":     {"domain/money/promotion", "domain/money/giftcard", "commands/pricebook", "internal/resource", "projections/orderview"},
	"Holds":    {"domain/cart", "domain/order", "domain/checkout", "domain/fulfilment"},
	"Holding":  {"domain/order"}, // what an order has of a SKU at a location, reserved or allocated
	"Holdings": {"domain/order"},
	"Answer":   {"commands", "commands/postgres"},
	"Answers":  {"commands", "commands/commandapi", "commands/postgres"}, // what is kept under an idempotency key
}

// riddles are words that no name at the top level of a file may have, exported or not, because a
// reader had to look up what they mean here. Each has a plain word in its place.
var riddles = map[string]string{
	"Aside": "excluded", "Club": "gateway with users", "Comeback": "return", "Comebacks": "returns", "Condemn": "exclude", "Forgetful": "what it does not keep",
	"Glance": "read", "Nudge": "what it makes somebody do", "Nudged": "what it makes somebody do", "Paper": "document", "Papers": "documents", "Plainly": "what it does", "Purse": "payment", "Riddle": "what it is",
	"Shelf": "stock level", "Shelves": "stock keys", "Spoiled": "damaged", "Stray": "foreign or left over", "Strange": "unreadable or foreign",
	"Tape": "source", "Till": "box", "Twisted": "changed", "World": "shop or simulation",
}

// oldNames are exported names that were replaced, because another name has the same meaning.
var oldNames = map[string]string{
	"Connecting": "ConnectionReporter", "Ending": "EndReader", "Proving": "PulseReporter", "StoredAnswer": "KeptAnswer",
}

// In these packages no type has the word Answer in its name, exported or not, because an answer is
// what is kept under an idempotency key. A handler returns a result, a route returns a response,
// and stock or an order sends a process a reply.
var roomsOfOtherWords = []string{"commands/aggregate", "commands/reactor", "commands/commandapi", "readapi"}

// riddlesAlone are words that say nothing if they are a whole name. So no parameter, field or
// variable may have such a name. known may stand alone if it is a bool that says whether something
// is known.
var riddlesAlone = map[string]string{
	"known": "what it is, such as latest or expected",
	"look":  "what it does, such as read",
}

// told finds the word "Told" in a name. A test must not have it in its name, as in
// TestAFaultIsTold, because the name does not say what is told. "ToldApart" is allowed, because it
// means distinguished.
var told = regexp.MustCompile(`Told(?:[^A]|A[^p]|$)`)

var camelWord = regexp.MustCompile(`[A-Z]+(?:[a-z0-9]+|$)|[A-Z][a-z0-9]*`)

// In exported names, one word has one meaning. No name is a riddle, exported or not, in tests
// either.
func TestNamesUseWordsWithOneMeaning(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, path := range sourceFiles(t, moduleRoot) {
		room := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../../")
		names := declared(t, path)
		for _, name := range names.types {
			if !isTestFile(path) && slices.Contains(roomsOfOtherWords, room) && strings.Contains(strings.ToLower(name), "answer") {
				t.Errorf("%s declares the type %s, but the word answer means what is kept under an idempotency key", path, name)
			}
		}
		for _, name := range names.all {
			for _, word := range camelWord.FindAllString(upperFirst(name), -1) {
				if plain, riddle := riddles[word]; riddle {
					t.Errorf("%s declares %s: instead of %s say %s", path, name, word, plain)
				}
			}
		}
		if isTestFile(path) {
			continue
		}
		for _, name := range names.exported {
			seen++
			if now, old := oldNames[name]; old {
				t.Errorf("%s exports %s, which is called %s", path, name, now)
			}
			for _, word := range camelWord.FindAllString(name, -1) {
				if rooms, banned := wordRooms[word]; banned && !slices.Contains(rooms, room) {
					t.Errorf("%s exports %s: the word %s has another meaning; only %v may use it", path, name, word, rooms)
				}
			}
		}
	}
	if seen < 4000 {
		t.Errorf("%d exported names are seen, want more", seen)
	}
}

// No parameter, field or variable is a riddle that stands alone, and the name of a test says what
// is told.
func TestNamesInFunctionsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	for _, path := range sourceFiles(t, moduleRoot) {
		for _, fault := range namesInside(t, path) {
			t.Error(path, fault)
		}
	}
}

func namesInside(t *testing.T, path string) (faults []string) {
	t.Helper()
	source, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name ast.Expr, saysWhether bool) {
		ident, ok := name.(*ast.Ident)
		if plain, riddle := riddlesAlone[nameOf(ident)]; ok && riddle && (!saysWhether || ident.Name != "known") {
			faults = append(faults, "declares "+ident.Name+": instead say "+plain)
		}
	}
	ast.Inspect(source, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.FuncDecl:
			if strings.HasPrefix(n.Name.Name, "Test") && told.MatchString(n.Name.Name) {
				faults = append(faults, "declares "+n.Name.Name+", but it does not say what is told")
			}
			check(n.Name, returnsBool(n.Type))
		case *ast.Field:
			for _, name := range n.Names {
				check(name, nameOf(n.Type) == "bool")
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				check(name, nameOf(n.Type) == "bool")
			}
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for i, name := range n.Lhs {
					check(name, i > 0) // the second of value, known := values[key]
				}
			}
		case *ast.RangeStmt:
			check(n.Key, false)
			check(n.Value, false)
		}
		return true
	})
	return faults
}

// nameOf is the name of an expression that is one, and otherwise empty.
func nameOf(e ast.Expr) string {
	if ident, ok := e.(*ast.Ident); ok && ident != nil {
		return ident.Name
	}
	return ""
}

func returnsBool(f *ast.FuncType) bool {
	return f.Results != nil && len(f.Results.List) == 1 && nameOf(f.Results.List[0].Type) == "bool"
}

// The rules about single names report the riddles, and do not report plain names.
func TestRiddlesThatStandAloneAreFound(t *testing.T) {
	t.Parallel()
	for source, faults := range map[string]int{
		"func view(look func()) {}":                                   1,
		"func view() { look := 1; _ = look }":                         1,
		"func keep(known string) {}":                                  1,
		"func keep() { for known := range 3 { _ = known } }":          1,
		"func keep() { known, err := f(); _, _ = known, err }":        1,
		"type a struct{ known string }":                               1,
		"func known(err error) error { return nil }":                  1,
		"func TestAFaultIsTold() {}":                                  1,
		"type a struct{ known bool }":                                 0,
		"func f() { v, known := m[1]; _, _ = v, known }":              0,
		"func f() (value int, known bool) { return 0, false }":        0,
		"func TestTwoCodesCanBeToldApart() {}":                        0,
		"func (c Condition) known() bool { return c == \"damaged\" }": 0,
	} {
		path := filepath.Join(t.TempDir(), "a.go")
		if err := os.WriteFile(path, []byte("package a\n"+source), 0o600); err != nil {
			t.Fatal(err)
		}
		if found := namesInside(t, path); len(found) != faults {
			t.Errorf("%s: found %q, want %d faults", source, found, faults)
		}
	}
}

// names are the names that a file declares at its top level, and its methods. The names of tests
// are left out, because they are sentences.
type names struct{ all, exported, types []string }

func upperFirst(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

func declared(t *testing.T, file string) names {
	t.Helper()
	source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var all []*ast.Ident
	var found names
	ast.Inspect(source, func(node ast.Node) bool {
		var members *ast.FieldList
		switch n := node.(type) {
		case *ast.StructType:
			members = n.Fields
		case *ast.InterfaceType:
			members = n.Methods
		default:
			return true
		}
		for _, member := range members.List {
			all = append(all, member.Names...)
		}
		return true
	})
	for _, declaration := range source.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			all = append(all, d.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					all = append(all, s.Name)
					found.types = append(found.types, s.Name.Name)
				case *ast.ValueSpec:
					all = append(all, s.Names...)
				}
			}
		}
	}
	for _, name := range all {
		if strings.HasPrefix(name.Name, "Test") {
			continue
		}
		found.all = append(found.all, name.Name)
		if name.IsExported() {
			found.exported = append(found.exported, name.Name)
		}
	}
	return found
}
