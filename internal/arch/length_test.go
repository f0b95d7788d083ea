package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// maxLines is how many lines a function may have, so that it can be read without scrolling.
const maxLines = 70

// No function outside the tests has more than maxLines lines. Functions of tests may be longer,
// because tables of cases are. storetest and other packages for tests are not tests themselves.
func TestFunctionsAreShort(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, path := range sourceFiles(t, moduleRoot) {
		if isTestFile(path) {
			continue
		}
		files := token.NewFileSet()
		source, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range source.Decls {
			function, is := declaration.(*ast.FuncDecl)
			if !is {
				continue
			}
			seen++
			if lines := files.Position(function.End()).Line - files.Position(function.Pos()).Line + 1; lines > maxLines {
				t.Errorf("%s: %s has %d lines, want at most %d", path, function.Name.Name, lines, maxLines)
			}
		}
	}
	if seen < 1000 {
		t.Errorf("%d functions are seen, want more", seen)
	}
}
