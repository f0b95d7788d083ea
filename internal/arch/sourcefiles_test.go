package arch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// generated are folders with files that nobody here has written: git ignores them. make client
// writes folders called build.
var generated = []string{"build", "node_modules"}

// sourceFiles returns the Go files below a folder. It leaves out what git ignores, what go leaves
// out, and folders whose names begin with a point, such as the data of a server that may run.
func sourceFiles(t *testing.T, root string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // a file of another test, which has removed it
		case err != nil:
			return err
		case entry.IsDir() && path != root && (slices.Contains(generated, entry.Name()) || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".")):
			return filepath.SkipDir
		case !entry.IsDir() && filepath.Ext(path) == ".go":
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestFilesThatGitIgnoresAreLeftOut(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{"a.go", "b/build.go", "b/c_test.go", "b/build/made.go", "b/build/ogen/made.go", "node_modules/x/made.go", ".data/made.go", "b/testdata/made.go", "b/text.md"} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("package p"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var found []string
	for _, path := range sourceFiles(t, root) {
		found = append(found, filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator))))
	}
	if want := []string{"a.go", "b/build.go", "b/c_test.go"}; !slices.Equal(found, want) {
		t.Errorf("found %v, want %v", found, want)
	}
}
