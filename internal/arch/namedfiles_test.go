package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// namedPath finds a path in backticks that begins with a folder of the project, such as
// `commands/checkout.go`.
var namedPath = regexp.MustCompile("`((?:domain|commands|eventstore|projections|readapi|internal|cmd|docs)/[A-Za-z0-9_./-]*)`")

// Each file that a page names must exist. Decisions and the changelog are not checked, because they
// say what was true when they were written.
func TestFilesThatPagesNameExist(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, page := range append(pages, more...) {
		if filepath.Base(page) == "CHANGELOG.md" {
			continue
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for number, line := range strings.Split(string(text), "\n") {
			for _, match := range namedPath.FindAllStringSubmatch(line, -1) {
				named++
				if _, err := os.Stat(filepath.Join("../..", match[1])); err != nil {
					t.Errorf("%s:%d names %s, which does not exist", page, number+1, match[1])
				}
			}
		}
	}
	if named < 20 {
		t.Errorf("%d paths are found in the pages, want more", named)
	}
}
