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

// No other tool complains if a page of Markdown still has both sides of a conflict.
func TestNoPageHasTheMarksOfAConflict(t *testing.T) {
	t.Parallel()
	for page, text := range tracked(t, "*.md") {
		if mark := conflict.FindString(text); mark != "" {
			t.Errorf("%s has the line %s", page, mark)
		}
	}
}

var conflict = regexp.MustCompile(`(?m)^(?:<{7}|>{7})(?: .*)?$`)

// A comment that has lines of its own is wrapped, too, in each language. A tab counts as four
// characters.
func TestCommentsAreWrapped(t *testing.T) {
	t.Parallel()
	for kind, language := range map[string]struct {
		comment string // what a line of a comment begins with
		least   int    // how many files there are, or more
	}{
		"*.go": {"// ", 300}, "*.ts": {"// ", 2}, "*.js": {"// ", 5}, "*.mjs": {"// ", 2}, "*.sql": {"-- ", 15},
		"*.sh": {"# ", 1}, "*Makefile": {"# ", 1}, "*.yaml": {"# ", 3}, "*.yml": {"# ", 1},
	} {
		files := tracked(t, kind)
		if len(files) < language.least {
			t.Errorf("%d files of %s are found, want more", len(files), kind)
		}
		for file, text := range files {
			for number, line := range strings.Split(text, "\n") {
				comment, is := strings.CutPrefix(strings.TrimLeft(line, "\t "), language.comment)
				if !is || strings.Contains(comment, "://") {
					continue
				}
				if width := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")); width > proseWidth {
					t.Errorf("%s:%d has %d characters, want at most %d", file, number+1, width, proseWidth)
				}
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
