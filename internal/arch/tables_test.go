package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// writes finds the beginning of an SQL statement that writes rows.
var writes = regexp.MustCompile(`(?i)\b(INSERT\s+INTO|UPDATE\s+\w+\s+(AS\s+\w+\s+)?SET|DELETE\s+FROM)\b`)

// A view lists its columns once. Package projections/table makes its statements from this list, so
// no view may write them out.
func TestViewsWriteByTheListsOfTheirColumns(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(moduleRoot, "projections", "*view", "*.go"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range writtenStatements(file) {
			t.Errorf("%s writes out %q; make it by projections/table, of the list of columns", path, statement)
		}
	}
}

func writtenStatements(file *ast.File) (found []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		if text, is := n.(*ast.BasicLit); is && text.Kind == token.STRING {
			found = append(found, writes.FindAllString(text.Value, -1)...)
		}
		return true
	})
	return found
}

func TestAStatementThatIsWrittenOutIsReported(t *testing.T) {
	t.Parallel()
	const text = "package x\nvar a, b, c, d = `INSERT INTO carts`, `UPDATE carts AS c SET x = 1`, `delete from carts`, `SELECT updated FROM carts`"
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := writtenStatements(file); len(got) != 3 {
		t.Errorf("reported: %q", got)
	}
}
