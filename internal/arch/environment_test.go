package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ofTheProcess are the members of package os that reach for the process around the program.
var ofTheProcess = []string{
	"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Unsetenv", "Clearenv",
	"Stdin", "Stdout", "Stderr", "Args", "Exit", "TempDir",
}

// takesItself tells of the files that may reach for the process: the mains of the program
// and of the sample shop, and what only tests use.
func takesItself(name string) bool {
	return name == "cmd/daybook/main.go" || name == "internal/httpapi/client/go/main.go" || strings.HasPrefix(name, "internal/pgtest/") || strings.HasSuffix(name, "_test.go")
}

// What is given the environment can be tested with another one. So nothing but main takes
// it from the process.
func TestOnlyMainReachesForTheProcess(t *testing.T) {
	t.Parallel()
	seen := 0
	err := filepath.WalkDir(moduleRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, moduleRoot+string(filepath.Separator)))
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		used := reachesForProcess(file)
		if takesItself(name) {
			seen += len(used)
			return nil
		}
		for _, use := range used {
			t.Errorf("%s uses %s; take it from the environment that main passes in", name, use)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Error("no use was found at all, and main has some")
	}
}

// reachesForProcess names what a file uses of the process around the program.
func reachesForProcess(file *ast.File) (found []string) {
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
		if of, is := selector.X.(*ast.Ident); is && name != "" && of.Name == name && slices.Contains(ofTheProcess, selector.Sel.Name) {
			found = append(found, "os."+selector.Sel.Name)
		}
		return true
	})
	return found
}

func TestAReachForTheProcessIsReported(t *testing.T) {
	t.Parallel()
	const text = `package x
import system "os"
var home = system.Getenv("HOME")
func f() { print(system.Stdout, "x"); system.Remove("x") }`
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(reachesForProcess(file), " "); got != "os.Getenv os.Stdout" {
		t.Errorf("reported: %s", got)
	}
}
