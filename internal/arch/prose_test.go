package arch

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// proseWidth is how many characters a line of prose may have. Lines of tables, code and headings
// may be longer.
const proseWidth = 100

// unbreakable finds a line with a single word, such as a long link. Such a line may be longer.
var unbreakable = regexp.MustCompile(`^\s*(?:[-*+]|\d+\.)?\s*\S+$`)

func TestProseIsWrapped(t *testing.T) {
	t.Parallel()
	pages := tracked(t, "*.md")
	if len(pages) < 20 {
		t.Errorf("%d pages are found, want more", len(pages))
	}
	for page, text := range pages {
		code := false
		for number, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				code = !code
			}
			if code || strings.HasPrefix(line, "#") || strings.HasPrefix(strings.TrimSpace(line), "|") || strings.HasPrefix(line, "    ") || unbreakable.MatchString(line) {
				continue
			}
			if width := utf8.RuneCountInString(line); width > proseWidth {
				t.Errorf("%s:%d has %d characters, want at most %d", page, number+1, width, proseWidth)
			}
		}
	}
}

// A comment that has lines of its own is wrapped, too. A tab counts as four characters.
func TestCommentsAreWrapped(t *testing.T) {
	t.Parallel()
	files := tracked(t, "*.go")
	if len(files) < 300 {
		t.Errorf("%d files are found, want more", len(files))
	}
	for file, text := range files {
		for number, line := range strings.Split(text, "\n") {
			comment, is := strings.CutPrefix(strings.TrimLeft(line, "\t"), "// ")
			if !is || strings.Contains(comment, "://") {
				continue
			}
			if width := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")); width > proseWidth {
				t.Errorf("%s:%d has %d characters, want at most %d", file, number+1, width, proseWidth)
			}
		}
	}
}

// tracked returns the texts of the files of this kind that git knows, by path.
func tracked(t *testing.T, kind string) map[string]string {
	t.Helper()
	listed, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-files", kind).Output()
	if err != nil {
		t.Skipf("this is no checkout of git: %v", err)
	}
	texts := map[string]string{}
	for _, path := range strings.Fields(string(listed)) {
		text, err := os.ReadFile(filepath.Join("../..", path))
		if os.IsNotExist(err) {
			continue // removed, and not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(text)
	}
	return texts
}
