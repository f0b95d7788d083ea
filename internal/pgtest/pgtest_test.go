package pgtest

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// childEnv makes TestChild keep a database until its process is killed.
const childEnv = "DAYBOOK_PGTEST_CHILD"

func TestEveryTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	const tests = 8
	var names sync.Map
	t.Run("group", func(t *testing.T) {
		for i := range tests {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				pool := New(t)
				var name string
				if err := pool.QueryRow(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
					t.Fatal(err)
				}
				if _, taken := names.LoadOrStore(name, true); taken {
					t.Errorf("two tests have the database %s", name)
				}
				if _, err := pool.Exec(t.Context(), "CREATE TABLE entries (id int)"); err != nil {
					t.Errorf("the database is not empty: %v", err)
				}
			})
		}
	})
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	names.Range(func(name, _ any) bool {
		var left int
		if err := s.admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_database WHERE datname = $1", name).Scan(&left); err != nil {
			t.Fatal(err)
		}
		if left != 0 {
			t.Errorf("the database %v outlived its test", name)
		}
		return true
	})
}

func TestConnectionLeftOpenDoesNotKeepTheDatabase(t *testing.T) {
	t.Parallel()
	t.Run("leaves one open", func(t *testing.T) {
		if _, err := pgx.Connect(t.Context(), URL(t)); err != nil {
			t.Fatal(err)
		}
	}) // its cleanup fails if the database cannot be dropped
}

func TestNothingIsLeftOfAKilledProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(filepath.Dir(socketDir(t, runChild(t, "kill", ""))))
	waitFor(t, "the killed process's folder to go", func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, fs.ErrNotExist)
	})
}

func TestNothingIsLeftOfAPanic(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(filepath.Dir(socketDir(t, runChild(t, "panic", ""))))
	waitFor(t, "the panicked process's folder to go", func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, fs.ErrNotExist)
	})
}

func TestAnotherServerIsUsedWhereNamed(t *testing.T) {
	t.Parallel()
	named := URL(t)
	used := runChild(t, "kill", named)
	if got, want := socketDir(t, used), socketDir(t, named); got != want {
		t.Errorf("the database is on %s, want %s", got, want)
	}
	if used == named {
		t.Error("the named database itself was given to a test")
	}
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	config, err := pgx.ParseConfig(used)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.drop(t.Context(), config.Database); err != nil { // the killed child could not
		t.Error(err)
	}
}

func TestServerNamedOtherwiseThanByURLIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := connect("host=localhost user=me"); err == nil || !strings.Contains(err.Error(), ServerEnv) {
		t.Errorf("connect = %v, want an error about %s", err, ServerEnv)
	}
}

// TestChild is not a test. Other tests run it in another process.
func TestChild(t *testing.T) {
	end := os.Getenv(childEnv)
	if end == "" {
		t.Skip("runs only as the child process of other tests")
	}
	fmt.Println(URL(t))
	if end == "panic" {
		panic("as asked")
	}
	bufio.NewReader(os.Stdin).ReadString('\n') //nolint:errcheck // it waits to be killed
}

// runChild runs TestChild until it has a database. Then it ends the process and returns the
// database's URL.
func runChild(t *testing.T, end, server string) string {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), childEnv+"="+end, ServerEnv+"="+server)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Errorf("the child process says %q (%v)", line, err)
	}
	if end == "kill" {
		if err := child.Process.Kill(); err != nil {
			t.Error(err)
		}
	}
	if err := child.Wait(); err == nil {
		t.Error("the child process ended well, want it killed or panicked")
	}
	return strings.TrimSpace(line)
}

// socketDir is the folder of the socket in a connection string. It is the folder run of the data
// directory.
func socketDir(t *testing.T, url string) string {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return config.Host
}

// waitFor polls for a condition.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(dropMax)
	for !condition() {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("waited %s for %s", dropMax, what)
		}
	}
}

func BenchmarkCreateAndDrop(b *testing.B) {
	s, err := shared()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		name, err := s.create(b.Context(), emptyName)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.drop(b.Context(), name); err != nil {
			b.Fatal(err)
		}
	}
}
