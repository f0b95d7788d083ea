package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"daybook/internal/pgtest"
)

// versionTables has the table with the version of each folder of migrations.
var versionTables = map[string]string{
	"../../commands/postgres/migrations":           "daybook_commands_version",
	"../../eventstore/gateway/postgres/migrations": "daybook_gateway_version",
	"../../eventstore/postgres/migrations":         "daybook_eventstore_version",
	"../../projections/migrations":                 "projections.migrations",
}

// A program refuses a database that a newer program has migrated, whichever tables the newer one
// has changed.
func TestAnOlderProgramRefusesTheDatabaseOfANewerOne(t *testing.T) {
	t.Parallel()
	var folders []string
	for _, pattern := range []string{"../../*/migrations", "../../*/*/migrations", "../../*/*/*/migrations"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		folders = append(folders, found...)
	}
	if len(folders) != len(versionTables) {
		t.Errorf("there are the folders %q, and this test knows of %d", folders, len(versionTables))
	}
	for _, folder := range folders {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			url := pgtest.URL(t)
			if got := call(t, nil, "migrate", "--database-url", url); got.code != exitOK {
				t.Fatalf("exit code %d: %s", got.code, got.stderr)
			}
			pool, err := openPool(t.Context(), url, "test", 1, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			scripts, err := os.ReadDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			next := len(scripts) + 1
			if _, err := pool.Exec(t.Context(), fmt.Sprintf(`INSERT INTO %s (version_id, is_applied) VALUES (%d, true)`, versionTables[folder], next)); err != nil {
				t.Fatal(err)
			}
			for _, command := range []string{"migrate", "verify", "serve --listen 127.0.0.1:0"} {
				got := call(t, nil, append(strings.Fields(command), "--database-url", url)...)
				want := fmt.Sprintf("brought to version %d of %s by a newer program", next, versionTables[folder])
				if got.code != exitFailure || !strings.Contains(got.stderr, want) {
					t.Errorf("%s: exit code %d, %q; want %q", command, got.code, got.stderr, want)
				}
			}
		})
	}
}
