package embeddedpg

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestDataOfAnotherVersionIsRefusedAndUntouched(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	server := start(t, Config{Getenv: os.Getenv, DataDir: dir})
	stop(t, server)
	version := filepath.Join(dir, clusterName, "PG_VERSION")
	if err := os.WriteFile(version, []byte("99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := fingerprint(t, filepath.Join(dir, clusterName))

	_, err := Start(t.Context(), Config{Getenv: os.Getenv, DataDir: dir})
	mismatch, ok := errors.AsType[*VersionError](err)
	if !ok {
		t.Fatalf("Start = %v, want VersionError", err)
	}
	if got, want := mismatch.Data, 99; got != want {
		t.Errorf("the error names version %d, want %d", got, want)
	}
	for _, advice := range []string{"postgresql-99", "pg_dump", "pg_restore"} {
		if !strings.Contains(err.Error(), advice) {
			t.Errorf("the error does not advise %s:\n%v", advice, err)
		}
	}
	if after := fingerprint(t, filepath.Join(dir, clusterName)); after != before {
		t.Error("the data was changed")
	}
}

func TestForeignFolderIsRefusedAndUntouched(t *testing.T) {
	t.Parallel()
	for name, files := range map[string][]string{
		"somebody's documents":              {"letter.txt"},
		"another server's cluster":          {"PG_VERSION", "base/1/112"},
		"a folder of the same name":         {"postgres/README"},
		"a locked one, its cluster damaged": {"postgres.lock", "postgres/base/1/112"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newDataDir(t)
			for _, file := range files {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte("15\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before := fingerprint(t, dir)
			_, err := Start(t.Context(), Config{Getenv: os.Getenv, DataDir: dir})
			if err == nil || !strings.Contains(err.Error(), dir) {
				t.Fatalf("Start = %v, want an error that names the folder", err)
			}
			if after := fingerprint(t, dir); after != before {
				t.Error("the folder was changed")
			}
		})
	}
}

func TestUnusableDataDirIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file, filepath.Join(file, "below")} {
		if _, err := Start(t.Context(), Config{Getenv: os.Getenv, DataDir: dir}); err == nil || !strings.Contains(err.Error(), "data directory") {
			t.Errorf("Start on %q = %v, want an error about the data directory", dir, err)
		}
	}
}

func TestInterruptedInitializationIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	for _, path := range []string{unfinishedName + "/base/1", clusterName} {
		if err := os.MkdirAll(filepath.Join(dir, path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	start(t, Config{Getenv: os.Getenv, DataDir: dir})
	if _, err := os.Stat(filepath.Join(dir, unfinishedName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the unfinished folder is still there: %v", err)
	}
}

func TestStalePIDFileOfAReusedNumberDoesNotBlock(t *testing.T) {
	t.Parallel()
	if !seesAllServers {
		t.Skip("only on Linux can a pid file be judged")
	}
	dir := newDataDir(t)
	server := start(t, Config{Getenv: os.Getenv, DataDir: dir})
	stop(t, server)

	// Another process of the server's user has the number of the pid file by chance.
	layout := dataDir{root: dir, cluster: filepath.Join(dir, clusterName)}
	install, err := newFinder(os.Getenv).find(t.Context(), layout.cluster, 0)
	if err != nil {
		t.Fatal(err)
	}
	who, err := chooseIdentity(t.Context(), install, layout, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	other := who.command(t.Context(), "/bin/sh", "-c", "echo ready; read line")
	stdin, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close() // ends the process
		other.Wait()  //nolint:errcheck // it does not matter how the process ends
	}()
	if _, err := stdout.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	stale := []string{strconv.Itoa(other.Process.Pid), layout.cluster, "1700000000", socketPort, "", "", "", "ready"}
	path := filepath.Join(layout.cluster, pidFileName)
	if err := os.WriteFile(path, []byte(strings.Join(stale, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, who.uid, who.gid); err != nil {
		t.Fatal(err)
	}
	start(t, Config{Getenv: os.Getenv, DataDir: dir})
}

// fingerprint hashes the names, owners, modes and contents below a folder.
func fingerprint(t *testing.T, root string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		owner, err := ownerOf(path)
		if err != nil {
			return err
		}
		line := fmt.Sprint(path, info.Mode(), owner, info.ModTime())
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(content))
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(lines, "\n"))))
}
