package arch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The glossary lists each word once, with a meaning. It has each word that only some packages may
// use in their names, and the words for the three ways to stop.
func TestTheGlossaryListsEachWordOnce(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(moduleRoot, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, glossary, found := strings.Cut(string(page), "## Glossary")
	if !found {
		t.Fatal("ARCHITECTURE.md has no glossary")
	}
	listed := map[string]bool{}
	for line := range strings.Lines(glossary) {
		cells := strings.SplitN(strings.Trim(strings.TrimSpace(line), "|"), "|", 2)
		if len(cells) != 2 || strings.HasPrefix(cells[0], "---") || strings.TrimSpace(cells[0]) == "word" {
			continue
		}
		for word := range strings.SplitSeq(cells[0], ",") {
			word = strings.TrimSpace(word)
			if listed[word] {
				t.Errorf("the glossary lists %q twice", word)
			}
			listed[word] = true
		}
		if strings.TrimSpace(cells[1]) == "" {
			t.Errorf("the glossary gives no meaning of %q", cells[0])
		}
	}
	if len(listed) < 30 {
		t.Fatalf("%d words are found, want more", len(listed))
	}
	for _, word := range []string{"wait", "pause", "back off"} {
		if !listed[word] {
			t.Errorf("the glossary lacks %q", word)
		}
	}
	for word, rooms := range wordRooms {
		if word = strings.TrimSuffix(strings.ToLower(word), "s"); len(rooms) > 0 && !listed[word] {
			t.Errorf("only some packages may use %q in names, but the glossary lacks it", word)
		}
	}
}
