package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// running is a server in this process.
type running struct {
	url     string
	gateway string // connection string
	admin   string // address of the admin port
	stop    context.CancelFunc
	code    <-chan int // its exit code, once it has ended
	log     *logBuffer
}

// serve starts a server and waits until it says that it is ready. It is stopped
// when the test ends.
func serve(t *testing.T, args ...string) running {
	t.Helper()
	server, announced := launch(t, args...)
	said := <-announced
	if said.URL == "" {
		t.Fatalf("the server did not get ready:\n%s", server.log.String())
	}
	server.url, server.gateway, server.admin = said.URL, said.Gateway, said.Admin
	learnKey(t, server.url, args)
	server.gateway = withAdmin(t, server.gateway, server.url)
	return server
}

// launch starts a server and does not wait for it. announced gets what the server prints when it is
// ready, or is closed if the server ends before. The server is stopped when the test ends.
func launch(t *testing.T, args ...string) (server running, announced <-chan ready) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	out, said := io.Pipe()
	code, log, told := make(chan int, 1), &logBuffer{}, make(chan ready, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		args := append([]string{"serve", "--json", "--listen", "127.0.0.1:0", "--log-level", "debug"}, args...)
		code <- run(ctx, args, testEnvironment(nil, strings.NewReader(""), said, log))
		said.Close()
	}()
	go func() {
		defer close(told)
		var first ready
		if err := json.UnmarshalDecode(jsontext.NewDecoder(out), &first); err == nil {
			told <- first
		}
		_, _ = io.Copy(io.Discard, out) // the rest is of no interest
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		if t.Failed() {
			t.Logf("the server's log:\n%s", log.String())
		}
	})
	return running{stop: stop, code: code, log: log}, told
}

// logBuffer collects output, and can be read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// exit waits for the server's exit code.
func (r running) exit(t *testing.T) int {
	t.Helper()
	select {
	case code := <-r.code:
		return code
	case <-time.After(patience):
		t.Fatalf("the server did not end\n%s", r.log.String())
		return 0
	}
}

// postmaster is the process id of the database in a data directory, 0 if none
// runs there.
func postmaster(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "postgres", "postmaster.pid"))
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func dataDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	// If root runs the tests, PostgreSQL runs as another user. That user must be able to pass
	// through these folders.
	for _, path := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(path, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "data")
}

func TestAServerStopsInOrderAndStartsAgain(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	for range 2 {
		s := serve(t, "--data", dir)
		response, err := http.Get(s.url + "/openapi.json") //nolint:noctx // ends with the server
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("the description of the API: %s", response.Status)
		}
		s.stop()
		if code := s.exit(t); code != exitOK {
			t.Errorf("exit code %d, want %d\n%s", code, exitOK, s.log.String())
		}
		if pid := postmaster(t, dir); pid != 0 {
			t.Errorf("the database still runs, as process %d", pid)
		}
	}
}

func TestASecondServerOnTheSameDataIsRefused(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	serve(t, "--data", dir)
	for _, command := range []string{"serve --listen 127.0.0.1:0", "migrate", "rebuild orders"} {
		got := call(t, nil, append(strings.Fields(command), "--data", dir)...)
		if got.code != exitFailure {
			t.Errorf("%s: exit code %d, want %d", command, got.code, exitFailure)
		}
		for _, want := range []string{fmt.Sprintf("in use by process %d", os.Getpid()), "--database-url"} {
			if !strings.Contains(got.stderr, want) {
				t.Errorf("%s: stderr %q lacks %q", command, got.stderr, want)
			}
		}
	}
}

func TestADatabaseThatDiesTakesTheServerDown(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := serve(t, "--data", dir)
	if err := syscall.Kill(postmaster(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := s.exit(t); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	if log := s.log.String(); !strings.Contains(log, "PostgreSQL ended by itself") {
		t.Errorf("the log does not say why:\n%s", log)
	}
}

func TestWorkBesideARunningServerGoesByItsSocket(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	serve(t, "--data", dir)
	refused := call(t, nil, "migrate", "--data", dir).stderr
	_, address, found := strings.Cut(refused, "--database-url '")
	address, _, _ = strings.Cut(address, "'")
	if !found {
		t.Fatalf("the refusal names no address: %s", refused)
	}
	if got := call(t, nil, "migrate", "--database-url", address); got.code != exitOK {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

func TestMigrateSaysWhenItIsDone(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	for range 2 { // the second has nothing to do
		got := call(t, nil, "migrate", "--data", dir, "--json")
		if got.code != exitOK || !strings.Contains(got.stdout, `"migrated": true`) {
			t.Errorf("exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
		}
	}
}

func TestMigrateFailsAtOnceIfTheDatabaseIsOutOfReach(t *testing.T) {
	t.Parallel()
	got := call(t, nil, "migrate", "--database-url", "postgres://ann:geheim@127.0.0.1:1/d")
	if got.code != exitFailure || !strings.Contains(got.stderr, "reach the database") {
		t.Errorf("exit code %d, stderr %q", got.code, got.stderr)
	}
	if strings.Contains(got.stderr, "geheim") {
		t.Errorf("the password is shown: %s", got.stderr)
	}
}
