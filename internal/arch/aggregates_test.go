package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"
)

// aggregateFiles are the files that each aggregate has, in the order in which one should read them,
// and what each must declare. A large aggregate has more files, each for a topic, such as
// order/payment.go.
var aggregateFiles = []struct {
	name     string
	declares []string
}{
	{"event.go", []string{"Category", "Stream", "Event"}},
	{"command.go", []string{"Command"}},
	{"state.go", []string{"FoldVersion", "State", "Evolve"}},
	{"decide.go", []string{"Decide"}},
	{"rejections.go", []string{"Rejections"}},
	{"codec.go", []string{"Types", "Encode", "Decode"}},
}

// aggregates are the packages that declare an Event, a State and a Decide.
func aggregates(t *testing.T) []string {
	t.Helper()
	folders, err := filepath.Glob("../../domain/*/command.go")
	if err != nil {
		t.Fatal(err)
	}
	money, err := filepath.Glob("../../domain/money/*/command.go")
	if err != nil {
		t.Fatal(err)
	}
	folders = append(folders, money...)
	for i, file := range folders {
		folders[i] = filepath.Dir(file)
	}
	if len(folders) < 5 || len(money) < 3 {
		t.Fatalf("aggregates are found in %q only", folders)
	}
	return folders
}

func TestEveryAggregateHasTheSameFiles(t *testing.T) {
	t.Parallel()
	for _, folder := range aggregates(t) {
		for _, file := range aggregateFiles {
			declared := declarations(t, filepath.Join(folder, file.name))
			for _, name := range file.declares {
				if !declared[name] {
					t.Errorf("%s does not declare %s", filepath.Join(folder, file.name), name)
				}
			}
		}
	}
}

// An aggregate declares all its rejections in one file, so that all codes and texts can be found
// there.
func TestRejectionsAreDeclaredInOneFile(t *testing.T) {
	t.Parallel()
	for _, folder := range aggregates(t) {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if filepath.Base(file) == "rejections.go" || isTestFile(file) {
				continue
			}
			for name := range declarations(t, file) {
				if len(name) > 3 && name[:3] == "Err" {
					t.Errorf("%s declares %s: a rejection must be in rejections.go", file, name)
				}
			}
		}
	}
}

func isTestFile(name string) bool {
	matched, _ := filepath.Match("*_test.go", filepath.Base(name))
	return matched
}

// declarations returns the names that a file declares at its top level, without methods.
func declarations(t *testing.T, file string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
		return nil
	}
	source, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	for _, declaration := range source.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				declared[d.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					declared[s.Name.Name] = true
				case *ast.ValueSpec:
					for _, name := range s.Names {
						declared[name.Name] = true
					}
				}
			}
		}
	}
	return declared
}
