package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Only one place may decode recorded events, because it is the place that tells whether another
// program wrote the event.
func TestRecordedEventsAreDecodedInOnePlace(t *testing.T) {
	t.Parallel()
	found := map[string]int{}
	for _, path := range sourceFiles(t, moduleRoot) {
		if isTestFile(path) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, moduleRoot+string(filepath.Separator)))
		ast.Inspect(file, func(n ast.Node) bool {
			if decodesRecorded(n) {
				found[name]++
			}
			return true
		})
	}
	const place = "eventstore/writer.go"
	if found[place] != 1 {
		t.Errorf("%s decodes events %d times, want once", place, found[place])
	}
	delete(found, place)
	for name := range found {
		t.Errorf("%s decodes a recorded event by itself; use eventstore.Decode, because another program may have written it", name)
	}
}

// decodesRecorded tells whether a node is a call whose only arguments are an event's type and data.
func decodesRecorded(n ast.Node) bool {
	call, is := n.(*ast.CallExpr)
	if !is || len(call.Args) != 2 {
		return false
	}
	for i, member := range []string{"Type", "Data"} {
		selected, is := call.Args[i].(*ast.SelectorExpr)
		if !is || selected.Sel.Name != member {
			return false
		}
	}
	return true
}
