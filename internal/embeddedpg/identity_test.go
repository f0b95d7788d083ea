package embeddedpg

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestRootRunsTheServerAsAnotherUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := newDataDir(t)
	server := start(t, Config{Getenv: os.Getenv, DataDir: dir})
	owner, err := ownerOf(filepath.Join(dir, clusterName))
	if err != nil {
		t.Fatal(err)
	}
	if owner == 0 {
		t.Error("where another user can reach the data, it should be theirs, not root's")
	}
	stop(t, server)
}

func TestRootKeepsDataThatOthersCannotReach(t *testing.T) {
	t.Parallel()
	needRoot(t)
	needUserNamespaces(t)
	dir := newDataDir(t)
	home := filepath.Dir(dir)
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	server := start(t, Config{Getenv: os.Getenv, DataDir: dir})
	query(t, server.URL(), "CREATE TABLE entries AS SELECT 'kept' AS text")
	owner, err := ownerOf(filepath.Join(dir, clusterName))
	if err != nil {
		t.Fatal(err)
	}
	if owner != 0 {
		t.Errorf("data below a private home belongs to user %d, want root", owner)
	}
	stop(t, server)

	server = start(t, Config{Getenv: os.Getenv, DataDir: dir})
	if got, want := query(t, server.URL(), "SELECT text FROM entries"), "kept"; got != want {
		t.Errorf("after the restart the row reads %q, want %q", got, want)
	}
}

// A user may move a data directory to a folder that the server's user cannot reach.
func TestRootTakesOverDataMovedOutOfReach(t *testing.T) {
	t.Parallel()
	needRoot(t)
	needUserNamespaces(t)
	dir := newDataDir(t)
	server := start(t, Config{Getenv: os.Getenv, DataDir: dir})
	query(t, server.URL(), "CREATE TABLE entries AS SELECT 'kept' AS text")
	stop(t, server)
	if err := os.Chmod(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	server = start(t, Config{Getenv: os.Getenv, DataDir: dir})
	if got, want := query(t, server.URL(), "SELECT text FROM entries"), "kept"; got != want {
		t.Errorf("after the move the row reads %q, want %q", got, want)
	}
}

// Root and the owner of the data take turns; the data stays the owner's.
func TestPlainUserRunsTheServer(t *testing.T) {
	t.Parallel()
	needRoot(t) // to become a plain user
	account, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("there is no user nobody on this machine")
	}
	uid, gid := number(t, account.Uid), number(t, account.Gid)
	dir := newDataDir(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(filepath.Dir(dir), "child")
	copyProgram(t, os.Args[0], program)
	asUser := func() *exec.Cmd {
		child := exec.CommandContext(t.Context(), program)
		child.Env = append(os.Environ(), childEnv+"="+dir)
		child.Dir = filepath.Dir(dir)
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return child
	}

	child := asUser()
	query(t, startServerProcess(t, child), "CREATE TABLE entries AS SELECT 'kept' AS text")
	kill(t, child)

	server := start(t, Config{Getenv: os.Getenv, DataDir: dir}) // as root
	if got, want := query(t, server.URL(), "SELECT text FROM entries"), "kept"; got != want {
		t.Errorf("root reads %q, want %q", got, want)
	}
	stop(t, server)

	child = asUser()
	if got, want := query(t, startServerProcess(t, child), "SELECT text FROM entries"), "kept"; got != want {
		t.Errorf("after root, the user reads %q, want %q", got, want)
	}
	// The server runs for a moment after the process has ended. The folder must stay until then,
	// and a start waits until the server has ended.
	kill(t, child)
	stop(t, start(t, Config{Getenv: os.Getenv, DataDir: dir}))
}

func TestPlainUserIsRefusedOthersData(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := newDataDir(t)
	server := start(t, Config{Getenv: os.Getenv, DataDir: dir})
	stop(t, server)
	program := filepath.Join(filepath.Dir(dir), "child")
	copyProgram(t, os.Args[0], program)
	child := exec.CommandContext(t.Context(), program)
	child.Env = append(os.Environ(), childEnv+"="+dir)
	child.Dir = filepath.Dir(dir)
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	said, err := child.Output()
	if err == nil || !strings.Contains(string(said), "permission denied") {
		t.Errorf("the child says %q (%v), want a refusal", said, err)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, which this test run is not")
	}
}

// needUserNamespaces skips the test if the kernel or a container forbids user namespaces.
func needUserNamespaces(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("user namespaces are Linux's")
	}
	for _, who := range renamedRoot() {
		cmd := who.command(t.Context(), "/bin/true")
		if err := cmd.Run(); err != nil {
			t.Skipf("user namespaces are not to be had here: %v", err)
		}
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// copyProgram copies a program to a folder where other users can run it. Another process makes the
// copy. Otherwise a process that this one starts at the same time could hold the copy open for
// writing, and then nobody can run it.
func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	if text, err := exec.CommandContext(t.Context(), "cp", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}
