package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/internal/embeddedpg"
	"daybook/internal/pgtest"
)

// archiving is a PostgreSQL of a shop that copies its WAL into a folder.
type archiving struct {
	*embeddedpg.Server

	dir     string // the data directory
	archive string // the folder
}

// startArchiving starts a server that archives WAL, or starts it on a copy of its data.
func startArchiving(t *testing.T, dir, archive string) *archiving {
	t.Helper()
	server, err := embeddedpg.Start(t.Context(), embeddedpg.Config{
		DataDir: dir, Logger: slog.New(slog.DiscardHandler), Getenv: os.Getenv,
		Settings: map[string]string{
			"wal_level": "replica", "archive_mode": "on", "archive_command": "test ! -f " + archive + "/%f && cp %p " + archive + "/%f", "archive_timeout": "60",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(t.Context())); err != nil && !t.Failed() {
			t.Logf("stop: %v", err) // a test may have killed it
		}
	})
	return &archiving{server, dir, archive}
}

// archiveFolder is a folder into which the server may write, even if it runs as another user.
func archiveFolder(t *testing.T) string {
	t.Helper()
	folder := dataDir(t)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o777); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	return folder
}

// checkWAL calls check-wal, and returns the codes of what it found.
func checkWAL(t *testing.T, url string) (result walResult, codes []string) {
	t.Helper()
	got := call(t, nil, "check-wal", "--json", "--database-url", url)
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	if (got.code == exitOK) != result.Good || got.code != exitOK && got.code != exitFailure {
		t.Errorf("exit code %d, and the result says %t", got.code, result.Good)
	}
	for _, one := range result.Findings {
		codes = append(codes, one.Code)
	}
	return result, codes
}

// check-wal says what is missing in a server without an archive, and in one whose archive works,
// fails, or is held back by a slot.
func TestCheckWALSaysWhatWouldBeLost(t *testing.T) {
	t.Parallel()
	if os.Getenv(pgtest.ServerEnv) == "" { // otherwise its settings are not known
		bare := pgtest.URL(t)
		if _, codes := checkWAL(t, bare); !slices.Equal(codes, []string{"fsync-off", "full-page-writes-off", "synchronous-commit-off", "wal-level-minimal", "archive-off"}) {
			t.Errorf("the server of the tests: %q", codes)
		}
		if got := call(t, nil, "check-wal", "--database-url", bare); !strings.Contains(got.stdout, "PROBLEM archive-off") || !strings.Contains(got.stdout, "everything since the last backup is lost") || got.stderr != "" {
			t.Errorf("in words: %+v", got)
		}
	}
	if got := call(t, nil, "check-wal"); got.code != exitUsage || !strings.Contains(got.stderr, "--backup-every") {
		t.Errorf("the program's own PostgreSQL: %+v", got)
	}

	server := startArchiving(t, dataDir(t), archiveFolder(t))
	pool := poolOf(t, server.URL())
	if _, codes := checkWAL(t, server.URL()); !slices.Equal(codes, []string{"archive-never"}) {
		t.Errorf("before the first segment: %q", codes)
	}
	execute(t, pool, `CREATE TABLE a (n int)`, `SELECT pg_switch_wal()`)
	eventually(t, patience, "a segment is archived", func() bool { result, _ := checkWAL(t, server.URL()); return result.Good })
	if got := call(t, nil, "check-wal", "--database-url", server.URL()); got.code != exitOK || !strings.Contains(got.stdout, "in about the last 1m0s") {
		t.Errorf("in words: %+v", got)
	}

	// A user without any rights learns the same.
	execute(t, pool, `CREATE ROLE plain LOGIN`)
	if _, codes := checkWAL(t, strings.Replace(server.URL(), "user=daybook", "user=plain", 1)); len(codes) != 0 {
		t.Errorf("for a plain user: %q", codes)
	}

	// A slot whose receiver does not come holds back WAL.
	execute(t, pool, `SELECT pg_create_physical_replication_slot('gone', true)`)
	if result, codes := checkWAL(t, server.URL()); !slices.Equal(codes, []string{"slot-unused"}) || result.Good || result.Facts.Slots[0].Name != "gone" {
		t.Errorf("with a slot: %q", codes)
	}
	execute(t, pool, `SELECT pg_drop_replication_slot('gone')`)

	// The place of the archive goes away.
	if err := os.Rename(server.archive, server.archive+".away"); err != nil {
		t.Fatal(err)
	}
	execute(t, pool, `CREATE TABLE b (n int)`, `SELECT pg_switch_wal()`)
	eventually(t, patience, "a failure is noticed", func() bool {
		_, codes := checkWAL(t, server.URL())
		return slices.Equal(codes, []string{"archive-fails"})
	})
}

// basebackup makes a base backup of a server with PostgreSQL's own tool, as a data directory that
// embeddedpg can start. The copy fetches the WAL from the archive.
func (a *archiving) basebackup(t *testing.T) (dir string) {
	t.Helper()
	var programs string
	if err := poolOf(t, a.URL()).QueryRow(t.Context(), `SELECT setting FROM pg_config WHERE name = 'BINDIR'`).Scan(&programs); err != nil {
		t.Fatal(err)
	}
	dir = dataDir(t)
	cluster := filepath.Join(dir, "postgres")
	if err := os.Mkdir(dir, 0o711); err != nil { //nolint:gosec // the server may run as another user
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(programs, "pg_basebackup"), "-d", a.URL(), "-D", cluster, "-X", "none", "-c", "fast").CombinedOutput() //nolint:gosec // the path is the server's
	if err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
	settings, err := os.OpenFile(filepath.Join(cluster, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = settings.WriteString("\nrestore_command = 'cp " + a.archive + "/%f %p'\n")
	if err = errors.Join(err, settings.Close(), os.WriteFile(filepath.Join(cluster, "recovery.signal"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	owner, err := os.Stat(filepath.Join(a.dir, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	ids := owner.Sys().(*syscall.Stat_t) //nolint:forcetypeassert // the tests need Unix
	err = filepath.WalkDir(cluster, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && os.Geteuid() == 0 {
			err = os.Lchown(path, int(ids.Uid), int(ids.Gid))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// The shop's PostgreSQL archives its WAL. Orders are sold before and after a base backup. Then the
// server is killed and its disk is gone. The base backup and the archive together have every order,
// and verify finds no difference.
func TestABaseBackupAndItsArchiveOutliveTheShop(t *testing.T) {
	t.Parallel()
	slow(t)
	original := startArchiving(t, dataDir(t), archiveFolder(t))
	source := openShop(t, "--database-url", original.URL())
	source.sell(5)
	dir := original.basebackup(t)
	source.sell(20)
	pool := poolOf(t, original.URL())
	var segment string
	if err := pool.QueryRow(t.Context(), `SELECT pg_walfile_name(pg_switch_wal())`).Scan(&segment); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the last orders are archived", func() bool {
		_, err := os.Stat(filepath.Join(original.archive, segment))
		result, _ := checkWAL(t, original.URL())
		return err == nil && result.Good
	})
	source.stop()
	pool.Close()
	if err := syscall.Kill(postmaster(t, original.dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-original.Done()
	if err := os.RemoveAll(original.dir); err != nil {
		t.Fatal(err)
	}

	copied := startArchiving(t, dir, original.archive)
	recovered := poolOf(t, copied.URL())
	eventually(t, patience, "the copy has read its archive", func() bool {
		var going bool
		return recovered.QueryRow(t.Context(), `SELECT pg_is_in_recovery()`).Scan(&going) == nil && !going
	})
	if got := call(t, nil, "verify", "--database-url", copied.URL()); got.code != exitOK {
		t.Errorf("verify: %s%s", got.stdout, got.stderr)
	}
	restored := &shop{t: t, name: source.name, args: []string{"--database-url", copied.URL()}, sold: source.sold}
	restored.start()
	restored.shows(source.sold)
	restored.sell(1)
	if got := call(t, nil, "verify", "--database-url", copied.URL()); got.code != exitOK {
		t.Errorf("verify after another order: %s%s", got.stdout, got.stderr)
	}
}
