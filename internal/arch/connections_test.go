package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// openFunctions are the functions of the driver that open connections. Their connections have no
// time limits. The connections of package pgpool have time limits.
var openFunctions = map[string][]string{
	"github.com/jackc/pgx/v5":         {"Connect", "ConnectConfig", "ConnectWithOptions"},
	"github.com/jackc/pgx/v5/pgxpool": {"New", "NewWithConfig"},
	"github.com/jackc/pgx/v5/pgconn":  {"Connect", "ConnectConfig", "ConnectWithOptions"},
	"github.com/jackc/pgx/v5/stdlib":  {"OpenDB", "GetConnector", "GetDefaultDriver", "RegisterConnConfig"},
	"database/sql":                    {"Open", "OpenDB"},
}

// Only package pgpool may open connections, so that no query can wait for ever.
func TestOnlyOnePackageOpensConnectionsToPostgres(t *testing.T) {
	t.Parallel()
	files, opened := 0, 0
	for _, path := range sourceFiles(t, moduleRoot) {
		if isTestFile(path) {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files++
		for _, call := range openings(source) {
			if filepath.Dir(path) == filepath.Join(moduleRoot, "internal", "pgpool") {
				opened++
				continue
			}
			t.Errorf("%s uses %s: open connections with package pgpool, so that no query waits for ever", path, call)
		}
	}
	if files == 0 || opened == 0 {
		t.Errorf("%d files and %d openings in pgpool were looked at; there are more", files, opened)
	}
}

// openings returns the uses of functions that open connections, such as pgxpool.New.
func openings(source *ast.File) (found []string) {
	names := map[string][]string{} // the package's name in the file
	for _, imported := range source.Imports {
		path, err := strconv.Unquote(imported.Path.Value)
		if err != nil || openFunctions[path] == nil {
			continue
		}
		name := filepath.Base(strings.TrimSuffix(path, "/v5"))
		if imported.Name != nil {
			name = imported.Name.Name
		}
		names[name] = openFunctions[path]
	}
	ast.Inspect(source, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if of, ok := selector.X.(*ast.Ident); ok && slices.Contains(names[of.Name], selector.Sel.Name) {
			found = append(found, of.Name+"."+selector.Sel.Name)
		}
		return true
	})
	return found
}

func TestAnOpenedConnectionIsReported(t *testing.T) {
	t.Parallel()
	const text = `package x
import (
	"database/sql"
	driver "github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)
var _, _ = pgxpool.New(ctx, url)
var open = driver.ConnectConfig
func f(db *sql.DB, pool *pgxpool.Pool) { sql.Open("pgx", url); pool.Close() }`
	source, err := parser.ParseFile(token.NewFileSet(), "x.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(openings(source), " "); got != "pgxpool.New driver.ConnectConfig sql.Open" {
		t.Errorf("reported: %s", got)
	}
}
