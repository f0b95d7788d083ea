package embeddedpg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// waitMax is the longest time that these tests wait for anything. A test that passes never waits so
// long.
const waitMax = 3 * time.Minute

// childEnv is the environment variable with the data directory of a child process. The child is
// this test binary, run again; it starts a server and keeps it until the test kills the child.
const childEnv = "DAYBOOK_EMBEDDEDPG_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		runChild(dir)
		return
	}
	os.Exit(m.Run())
}

func runChild(dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), waitMax)
	defer cancel()
	server, err := Start(ctx, Config{Getenv: os.Getenv, DataDir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Printf("error %v\n", err)
		os.Exit(1)
	}
	fmt.Println(server.URL())
	<-server.Done()
}

func TestDataSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	server := start(t, Config{Getenv: os.Getenv, DataDir: dir})
	query(t, server.URL(), "CREATE TABLE entries AS SELECT 'kept' AS text")
	stop(t, server)
	if err := server.Err(); err != nil {
		t.Errorf("Err after Stop = %v, want nil", err)
	}

	server = start(t, Config{Getenv: os.Getenv, DataDir: dir})
	if got, want := query(t, server.URL(), "SELECT text FROM entries"), "kept"; got != want {
		t.Errorf("after the restart the row reads %q, want %q", got, want)
	}
}

func TestServerIsPrivateDurableAndSetAsAsked(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	server := start(t, Config{Getenv: os.Getenv, DataDir: dir, Settings: map[string]string{
		"commit_delay":     "2000",
		"shared_buffers":   "32MB",
		"listen_addresses": "*", // the caller cannot change where the server listens
	}})
	for name, want := range map[string]string{
		"listen_addresses": "", "commit_delay": "2000", "shared_buffers": "32MB", "data_checksums": "on",
		"server_encoding": "UTF8", "lc_collate": "C", "fsync": "on", "synchronous_commit": "on",
		"full_page_writes": "on", "jit": "off", "max_wal_size": "4GB", "checkpoint_timeout": "15min", "TimeZone": "UTC",
	} {
		// lc_collate is a property of the database since version 16.
		got := query(t, server.URL(), "SELECT coalesce(current_setting('"+name+"', true), (SELECT datcollate FROM pg_database WHERE datname = 'daybook'))")
		if got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	info, err := os.Stat(filepath.Join(dir, socketDirName))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode().Perm(), os.FileMode(0o700); got != want {
		t.Errorf("the socket's folder has mode %v, want %v", got, want)
	}
}

// A user who can open the lock file can hold the lock, and a user who reaches a port could connect.
// Other users of the machine can do neither. Data of an earlier version is corrected when it is
// opened.
func TestOtherUsersAreKeptOut(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	server := start(t, Config{Getenv: os.Getenv, DataDir: dir})
	checkPrivate(t, server, dir)
	stop(t, server)

	rules := filepath.Join(dir, clusterName, "pg_hba.conf")
	text, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	const own = "host shop ann 10.1.2.3/32 scram-sha-256" // an operator's
	older := strings.ReplaceAll(string(text), " reject\n", " trust\n") + own + "\n"
	if older == string(text) || os.WriteFile(rules, []byte(older), 0o600) != nil || os.Chmod(filepath.Join(dir, lockName), 0o644) != nil {
		t.Fatal("the data of an earlier version could not be made")
	}
	server = start(t, Config{Getenv: os.Getenv, DataDir: dir})
	checkPrivate(t, server, dir)
	mended, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	if want := string(text) + own + "\n"; string(mended) != want {
		t.Errorf("the rules are now\n%s\nwant\n%s", mended, want)
	}
}

func checkPrivate(t *testing.T, server *Server, dir string) {
	t.Helper()
	if got := query(t, server.URL(), "SELECT count(*) FROM pg_hba_file_rules WHERE type <> 'local' AND auth_method = 'trust'"); got != "0" {
		t.Errorf("%s rules let in every user who reaches a port, want none", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if others := info.Mode().Perm() & 0o077; others != 0 {
			t.Errorf("%s has mode %v: others may use it", entry.Name(), info.Mode())
		}
	}
}

func TestSecondServerOnTheSameDataIsRefused(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	child, url := startChild(t, dir)

	_, err := Start(t.Context(), Config{Getenv: os.Getenv, DataDir: dir})
	inUse, ok := errors.AsType[*InUseError](err)
	if !ok {
		t.Fatalf("Start on data in use = %v, want InUseError", err)
	}
	if got, want := inUse.PID, child.Process.Pid; got != want {
		t.Errorf("the error names process %d, want %d", got, want)
	}
	if got, want := query(t, url, "SELECT 'undisturbed'"), "undisturbed"; got != want {
		t.Errorf("the first server answers %q, want %q", got, want)
	}
}

func TestServerEndsWithAKilledParent(t *testing.T) {
	t.Parallel()
	if !seesAllServers {
		t.Skip("only Linux ends a child with its parent; elsewhere the next start does")
	}
	dir := newDataDir(t)
	child, _ := startChild(t, dir)
	kill(t, child)
	waitFor(t, "the server to end with its parent", func() bool {
		return len(serversOn(filepath.Join(dir, clusterName), 0)) == 0
	})
}

func TestStartAfterAKilledParentFindsTheData(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	child, url := startChild(t, dir)
	query(t, url, "CREATE TABLE entries AS SELECT 'acknowledged' AS text")
	old := postmasterPID(filepath.Join(dir, clusterName))
	kill(t, child)

	server := start(t, Config{Getenv: os.Getenv, DataDir: dir}) // at once: the old server may still be shutting down
	if got, want := query(t, server.URL(), "SELECT text FROM entries"), "acknowledged"; got != want {
		t.Errorf("the row reads %q, want %q", got, want)
	}
	if pid := postmasterPID(filepath.Join(dir, clusterName)); pid == old || pid == 0 {
		t.Errorf("the server's process is %d, want another than the old %d", pid, old)
	}
}

func TestServerLeftWithoutParentIsStoppedFirst(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	first := start(t, Config{Getenv: os.Getenv, DataDir: dir})
	// On some systems nothing ends the children of a killed process. Then a server still runs,
	// although no process holds the lock.
	first.lock.release()

	second := start(t, Config{Getenv: os.Getenv, DataDir: dir})
	select {
	case <-first.Done():
	default:
		t.Error("two servers run on one cluster")
	}
	if got, want := query(t, second.URL(), "SELECT 'ready'"), "ready"; got != want {
		t.Errorf("the new server answers %q, want %q", got, want)
	}
}

func TestServerThatDiesIsReported(t *testing.T) {
	t.Parallel()
	server := start(t, Config{Getenv: os.Getenv, DataDir: newDataDir(t)})
	server.process.signal(syscall.SIGQUIT)
	select {
	case <-server.Done():
	case <-time.After(waitMax):
		t.Fatal("Done is not closed after the server's death")
	}
	if err := server.Err(); err == nil {
		t.Error("Err after the server's death is nil")
	}
}

func TestStopOutOfTimeStillEndsTheServer(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	server := start(t, Config{Getenv: os.Getenv, DataDir: dir})
	query(t, server.URL(), "CREATE TABLE entries AS SELECT 'durable' AS text")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Stop(ended); err == nil {
		// A small server may finish its fast shutdown first. That is fine, too.
		t.Log("the fast shutdown was faster than the deadline")
	}
	server = start(t, Config{Getenv: os.Getenv, DataDir: dir})
	if got, want := query(t, server.URL(), "SELECT text FROM entries"), "durable"; got != want {
		t.Errorf("the row reads %q, want %q", got, want)
	}
}

// A frozen server reacts only to the signal that kills it.
func TestStopEndsAFrozenServer(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	server := start(t, Config{Getenv: os.Getenv, DataDir: dir})
	query(t, server.URL(), "CREATE TABLE entries AS SELECT 'kept' AS text")
	server.process.signal(syscall.SIGSTOP)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Stop(ended); err == nil {
		t.Error("Stop says that a frozen server has shut down")
	}
	server = start(t, Config{Getenv: os.Getenv, DataDir: dir})
	if got, want := query(t, server.URL(), "SELECT text FROM entries"), "kept"; got != want {
		t.Errorf("after the restart the row reads %q, want %q", got, want)
	}
}

func TestStartThatFailsQuotesTheServerAndFreesTheData(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	_, err := Start(t.Context(), Config{Getenv: os.Getenv, DataDir: dir, Settings: map[string]string{"no_such_setting": "1"}, Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), `unrecognized configuration parameter "no_such_setting"`) {
		t.Fatalf("Start = %v, want the server's complaint", err)
	}
	start(t, Config{Getenv: os.Getenv, DataDir: dir})
}

func TestStartGivenUpByItsCallerFreesTheData(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ended, Config{Getenv: os.Getenv, DataDir: dir}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Start = %v, want canceled", err)
	}
	start(t, Config{Getenv: os.Getenv, DataDir: dir})
}

func TestLongPathGetsAShortSocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(newDataDir(t), strings.Repeat("long", 30))
	server := start(t, Config{Getenv: os.Getenv, DataDir: dir})
	if !strings.HasPrefix(server.socket.path, "/tmp/") {
		t.Errorf("the socket is in %s, want a short folder", server.socket.path)
	}
	stop(t, server)
	if _, err := os.Stat(server.socket.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's folder is still there after Stop: %v", err)
	}
}

// newDataDir returns a path that does not exist yet. Other users may enter its parent, as they may
// enter most folders outside a private home.
func newDataDir(t *testing.T) string {
	t.Helper()
	parent := t.TempDir()
	for _, dir := range []string{parent, filepath.Dir(parent)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	parent, err := filepath.EvalSymlinks(parent) // macOS
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(parent, "data")
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithTimeout(t.Context(), waitMax)
	defer cancel()
	server, err := Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop(context.WithoutCancel(ctx)) }) //nolint:errcheck // tests of Stop call it themselves
	return server
}

func stop(t *testing.T, server *Server) {
	t.Helper()
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// query runs a statement and returns its first value as text.
func query(t *testing.T, url, statement string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	results, err := conn.PgConn().Exec(t.Context(), statement).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	if len(results[0].Rows) == 0 {
		return ""
	}
	return string(results[0].Rows[0][0])
}

// startChild runs a server in another process, which keeps it until the process is killed.
func startChild(t *testing.T, dir string) (child *exec.Cmd, url string) {
	t.Helper()
	child = exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+dir)
	child.Stderr = os.Stderr
	return child, startServerProcess(t, child)
}

func startServerProcess(t *testing.T, child *exec.Cmd) (url string) {
	t.Helper()
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(t, child) })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if url, ok := strings.CutSuffix(line, "\n"); ok && strings.HasPrefix(url, "postgres://") {
		return url
	}
	t.Fatalf("the child process says %q (%v)", line, err)
	return ""
}

func kill(t *testing.T, child *exec.Cmd) {
	t.Helper()
	if err := child.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	child.Wait() //nolint:errcheck // its error says that it was killed
}

// waitFor polls for a condition.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(waitMax)
	for !condition() {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("waited %v for %s", waitMax, what)
		}
	}
}
