package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// processMembers are the members of package os that use the process, such as its environment and
// its standard output.
var processMembers = []string{
	"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Unsetenv", "Clearenv",
	"Stdin", "Stdout", "Stderr", "Args", "Exit", "TempDir",
}

// mayUseProcess tells whether a file may use them: the main files of the program and of the sample
// shop, and what only tests use.
func mayUseProcess(name string) bool {
	return name == "cmd/daybook/main.go" || name == "internal/httpapi/client/go/main.go" || strings.HasPrefix(name, "internal/pgtest/") || strings.HasSuffix(name, "_test.go")
}

// Only main takes the environment from the process. All other code gets it as an argument, so that
// a test can give it another one.
func TestOnlyMainUsesTheProcess(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, path := range sourceFiles(t, moduleRoot) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, moduleRoot+string(filepath.Separator)))
		used := processUses(file)
		if mayUseProcess(name) {
			seen += len(used)
			continue
		}
		for _, use := range used {
			t.Errorf("%s uses %s; take it from the environment that main passes in", name, use)
		}
	}
	if seen == 0 {
		t.Error("no use was found at all, and main has some")
	}
}

// processUses returns the members of the process that a file uses.
func processUses(file *ast.File) (found []string) {
	name := ""
	for _, imported := range file.Imports {
		if imported.Path.Value == `"os"` {
			name = "os"
			if imported.Name != nil {
				name = imported.Name.Name
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		selector, is := n.(*ast.SelectorExpr)
		if !is {
			return true
		}
		if of, is := selector.X.(*ast.Ident); is && name != "" && of.Name == name && slices.Contains(processMembers, selector.Sel.Name) {
			found = append(found, "os."+selector.Sel.Name)
		}
		return true
	})
	return found
}

func TestAUseOfTheProcessIsReported(t *testing.T) {
	t.Parallel()
	const text = `package x
import system "os"
var home = system.Getenv("HOME")
func f() { print(system.Stdout, "x"); system.Remove("x") }`
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(processUses(file), " "); got != "os.Getenv os.Stdout" {
		t.Errorf("reported: %s", got)
	}
}
