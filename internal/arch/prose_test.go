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
	listed, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-files", "*.md").Output()
	if err != nil {
		t.Skipf("this is no checkout of git: %v", err)
	}
	pages := strings.Fields(string(listed))
	if len(pages) < 20 {
		t.Errorf("%d pages are found, want more", len(pages))
	}
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join("../..", page))
		if os.IsNotExist(err) {
			continue // removed, and not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		code := false
		for number, line := range strings.Split(string(text), "\n") {
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
