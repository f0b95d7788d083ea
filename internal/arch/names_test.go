package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// wordRooms are words that had several meanings, and the only rooms whose exported names may have them
// now. The glossary in ARCHITECTURE.md says what each means.
var wordRooms = map[string][]string{
	"Hold":    {"domain/order"}, // an order that is stopped; stock is reserved or allocated
	"Held":    {},
	"Holds":   {},
	"Holding": {"domain/order"}, // what an order has of a SKU at a location, reserved or allocated
	"Answer":  {"commands", "commands/postgres"},
	"Answers": {"commands", "commands/postgres"}, // what is kept under an idempotency key
	"Purse":   {}, "Comeback": {}, "Shelf": {}, "Glance": {}, "Papers": {}, "Stray": {}, "Spoiled": {}, "Plainly": {},
}

// oldNames are exported names that are given up because another name has the same meaning.
var oldNames = map[string]string{
	"StoredAnswer": "KeptAnswer",
}

// In these rooms no type has the word Answer in its name, exported or not, because an answer is what is
// kept under an idempotency key. What a handler returns is a result, what a route returns a response, and what
// stock or an order says to a process a reply.
var roomsOfOtherWords = []string{"commands/aggregate", "commands/reactor", "commands/commandapi", "readapi"}

var camelWord = regexp.MustCompile(`[A-Z]+(?:[a-z0-9]+|$)|[A-Z][a-z0-9]*`)

// One word has one meaning, in the names that other packages see.
func TestNoExportedNameUsesAWordOfAnotherMeaning(t *testing.T) {
	t.Parallel()
	seen := 0
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "node_modules" || entry.Name() == ".git"):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || isTestFile(path):
			return nil
		}
		room := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../../")
		names := declared(t, path)
		for _, name := range names.types {
			if slices.Contains(roomsOfOtherWords, room) && strings.Contains(strings.ToLower(name), "answer") {
				t.Errorf("%s declares the type %s: an answer is what is kept under an idempotency key", path, name)
			}
		}
		for _, name := range names.exported {
			seen++
			if now, old := oldNames[name]; old {
				t.Errorf("%s exports %s, which is called %s", path, name, now)
			}
			for _, word := range camelWord.FindAllString(name, -1) {
				if rooms, banned := wordRooms[word]; banned && !slices.Contains(rooms, room) {
					t.Errorf("%s exports %s: the word %s means something else (it is of %v)", path, name, word, rooms)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 1000 {
		t.Errorf("%d exported names are seen, want more", seen)
	}
}

// names are what a file declares at its top level, and its methods.
type names struct{ exported, types []string }

func declared(t *testing.T, file string) names {
	t.Helper()
	source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var all []*ast.Ident
	var found names
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
		if name.IsExported() {
			found.exported = append(found.exported, name.Name)
		}
	}
	return found
}
