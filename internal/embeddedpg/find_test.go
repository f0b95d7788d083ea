package embeddedpg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestServerIsFoundInOrderOfPreference(t *testing.T) {
	tests := map[string]struct {
		machine map[string]int // folder below the root: version of the server in it
		env     string         // PG_BIN, below the root
		config  string         // what pg_config --bindir prints, below the root
		path    string         // folder of the postgres found by PATH, below the root
		data    int            // version that wrote the data, 0 for new
		want    string
	}{
		"the newest of Debian's": {
			machine: map[string]int{"usr/lib/postgresql/9.6/bin": 9, "usr/lib/postgresql/15/bin": 15, "usr/lib/postgresql/18/bin": 18, "usr/lib/postgresql/16/bin": 16},
			want:    "usr/lib/postgresql/18/bin",
		},
		"the one that wrote the data before a newer one": {
			machine: map[string]int{"usr/lib/postgresql/15/bin": 15, "usr/lib/postgresql/18/bin": 18},
			data:    15,
			want:    "usr/lib/postgresql/15/bin",
		},
		"the one that wrote the data even before the named one": {
			machine: map[string]int{"usr/lib/postgresql/15/bin": 15, "own/bin": 18},
			env:     "own/bin",
			data:    15,
			want:    "usr/lib/postgresql/15/bin",
		},
		"the named one before all": {
			machine: map[string]int{"usr/lib/postgresql/18/bin": 18, "own/bin": 15},
			env:     "own/bin",
			want:    "own/bin",
		},
		"pg_config's before the newest": {
			machine: map[string]int{"usr/lib/postgresql/18/bin": 18, "built/bin": 16},
			config:  "built/bin",
			want:    "built/bin",
		},
		"not pg_config's where only the client library is": {
			machine: map[string]int{"usr/lib/postgresql/18/bin": 18},
			config:  "usr/bin",
			want:    "usr/lib/postgresql/18/bin",
		},
		"Homebrew": {
			machine: map[string]int{"opt/homebrew/opt/postgresql@14/bin": 14, "opt/homebrew/opt/postgresql@17/bin": 17},
			want:    "opt/homebrew/opt/postgresql@17/bin",
		},
		"Postgres.app": {
			machine: map[string]int{"Applications/Postgres.app/Contents/Versions/16/bin": 16, "Applications/Postgres.app/Contents/Versions/17/bin": 17},
			want:    "Applications/Postgres.app/Contents/Versions/17/bin",
		},
		"anywhere on the PATH": {
			machine: map[string]int{"nix/store/pg/bin": 17},
			path:    "nix/store/pg/bin",
			want:    "nix/store/pg/bin",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newMachine(t, test.machine, test.env, test.config, test.path)
			got, err := f.find(t.Context(), "data", test.data)
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(f.root, test.want); got.bin != want {
				t.Errorf("found %s, want %s", got.bin, want)
			}
			if want := test.machine[test.want]; got.major != want {
				t.Errorf("found version %d, want %d", got.major, want)
			}
		})
	}
}

func TestMissingServerIsReportedWithAdvice(t *testing.T) {
	f := newMachine(t, map[string]int{"usr/lib/postgresql/13/bin": 13}, "", "", "")
	_, err := f.find(t.Context(), "data", 0)
	if _, ok := errors.AsType[*NotInstalledError](err); !ok {
		t.Fatalf("find = %v, want NotInstalledError", err)
	}
	for _, part := range []string{"version 13 is too old", "PG_BIN", "DATABASE_URL"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q:\n%v", part, err)
		}
	}
	if advice := installAdvice("linux"); !slices.ContainsFunc(advice, func(line string) bool { return strings.Contains(line, "apt-get install postgresql") }) {
		t.Errorf("the advice for Linux does not name apt-get: %q", advice)
	}
	if advice := installAdvice("darwin"); !strings.Contains(advice[0], "brew install postgresql") {
		t.Errorf("the advice for macOS does not name brew: %q", advice)
	}
}

func TestNamedServerThatIsNotThereIsAnError(t *testing.T) {
	f := newMachine(t, map[string]int{"usr/lib/postgresql/18/bin": 18}, "misspelled/bin", "", "")
	if _, err := f.find(t.Context(), "data", 0); err == nil || !strings.Contains(err.Error(), "PG_BIN") {
		t.Errorf("find = %v, want an error about PG_BIN", err)
	}
}

func TestVersionIsReadFromTheServersWords(t *testing.T) {
	for text, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18beta1\n":                        18,
		"postgres (PostgreSQL) 9.6.24\n":                         9,
	} {
		if got, err := parseVersion(text); err != nil || got != want {
			t.Errorf("parseVersion(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "mysqld 8.0", "postgres (PostgreSQL) devel"} {
		if got, err := parseVersion(text); err == nil {
			t.Errorf("parseVersion(%q) = %d, want an error", text, got)
		}
	}
}

// newMachine returns a finder that sees only the given servers. Tests that use it do not run in
// parallel: another test may start a process, which holds a new program open for writing for a
// moment, and until then the program cannot be run.
func newMachine(t *testing.T, servers map[string]int, env, config, path string) finder {
	t.Helper()
	root := t.TempDir()
	for folder, version := range servers {
		answer := fmt.Sprintf("postgres (PostgreSQL) %d.1", version)
		writeProgram(t, filepath.Join(root, folder, "postgres"), answer)
		writeProgram(t, filepath.Join(root, folder, "initdb"), answer)
	}
	programs := map[string]string{}
	if config != "" {
		programs["pg_config"] = filepath.Join(root, "usr/bin/pg_config")
		writeProgram(t, programs["pg_config"], filepath.Join(root, config))
	}
	if path != "" {
		programs["postgres"] = filepath.Join(root, path, "postgres")
	}
	return finder{
		root: root,
		getenv: func(name string) string {
			if name != "PG_BIN" || env == "" {
				return ""
			}
			return filepath.Join(root, env)
		},
		lookPath: func(name string) (string, error) {
			if program, ok := programs[name]; ok {
				return program, nil
			}
			return "", exec.ErrNotFound
		},
	}
}

// writeProgram makes a program that prints one line.
func writeProgram(t *testing.T, path, line string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+line+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// The finder uses the search path that it is given, and not the one of this process.
func TestProgramsAreSearchedInTheGivenPath(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeProgram(t, filepath.Join(folder, "postgres"), "")
	getenv := func(name string) string {
		if name == "PATH" {
			return strings.Join([]string{"", "relative", t.TempDir(), folder}, string(filepath.ListSeparator))
		}
		return ""
	}
	if found, err := newFinder(getenv).lookPath("postgres"); err != nil || found != filepath.Join(folder, "postgres") {
		t.Errorf("found %q, %v", found, err)
	}
	if found, err := newFinder(func(string) string { return "" }).lookPath("sh"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("without a path, found %q, %v", found, err)
	}
}
