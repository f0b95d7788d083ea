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
		for _, name := range exported(t, path) {
			seen++
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

// exported are the exported names that a file declares at its top level, and methods.
func exported(t *testing.T, file string) []string {
	t.Helper()
	source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var names []*ast.Ident
	for _, declaration := range source.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			names = append(names, d.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name)
				case *ast.ValueSpec:
					names = append(names, s.Names...)
				}
			}
		}
	}
	var found []string
	for _, name := range names {
		if name.IsExported() {
			found = append(found, name.Name)
		}
	}
	return found
}
