package interop_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// sharedFiles are the files of the scenarios that both Go clients run. They stand in this
// folder only. The two clients cannot share a binary, so the module in kurrentdb is built
// with the same files, in which the client has the other one's names.
var sharedFiles = []string{
	"scenarios_test.go", "append_test.go", "read_test.go", "delete_test.go", "subscribe_test.go", "persistent_test.go", "connect_test.go",
}

// toKurrentDB turns the scenarios of the one Go client into those of the other,
// which has the same functions under a few other names.
var toKurrentDB = strings.NewReplacer(
	"package interop_test", "package kurrentdb_test",
	"github.com/EventStore/EventStore-Client-Go/v4/esdb", "github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb",
	"ExpectedRevision", "StreamState",
	"esdb.", "kurrentdb.",
)

// overlay makes the shared files for the KurrentDB client, and returns the file that tells
// the go command to read them as if they stood in its module.
func overlay(t *testing.T) string {
	t.Helper()
	made := t.TempDir()
	var files struct{ Replace map[string]string }
	files.Replace = make(map[string]string)
	for _, name := range sharedFiles {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(made, name)
		if err := os.WriteFile(path, []byte(toKurrentDB.Replace(string(source))), 0o600); err != nil {
			t.Fatal(err)
		}
		place, err := filepath.Abs(filepath.Join("kurrentdb", name))
		if err != nil {
			t.Fatal(err)
		}
		files.Replace[place] = path
	}
	text, err := json.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(made, "overlay.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The scenarios that both Go clients share are written once. The files that are made for the
// KurrentDB client must have no name of the other client left.
func TestTheScenariosOfBothGoClientsStandOnce(t *testing.T) {
	t.Parallel()
	var files struct{ Replace map[string]string }
	text, err := os.ReadFile(overlay(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &files); err != nil {
		t.Fatal(err)
	}
	if len(files.Replace) != len(sharedFiles) {
		t.Errorf("%d files were made, want %d", len(files.Replace), len(sharedFiles))
	}
	for place, path := range files.Replace {
		made, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.ParseFile(token.NewFileSet(), path, made, 0); err != nil {
			t.Error(err)
		}
		for _, word := range []string{"esdb.", "EventStore-Client-Go", "interop_test"} {
			if strings.Contains(string(made), word) {
				t.Errorf("%s has %q", filepath.Base(place), word)
			}
		}
	}
	own, err := filepath.Glob(filepath.Join("kurrentdb", "*.go"))
	if err != nil || len(own) != 1 || filepath.Base(own[0]) != "main_test.go" {
		t.Errorf("in kurrentdb stand %v, %v; want main_test.go, what only that client can do", own, err)
	}
}
