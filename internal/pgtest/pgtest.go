// Package pgtest gives each test an empty PostgreSQL database of its own.
//
// The first test of a process starts a server. All tests of the process share it, also if they run
// in parallel. The server's settings favour speed over durability, so a test of durability must use
// embeddedpg itself. Tests need no TestMain and no cleanup (see reaper.go). They make their own
// tables.
//
// DAYBOOK_TEST_DATABASE_URL names another server to use. Its user must be allowed to create
// databases.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/embeddedpg"
	"daybook/internal/pgpool"
)

// ServerEnv is the environment variable that names another server.
const ServerEnv = "DAYBOOK_TEST_DATABASE_URL"

const (
	// The limit of a start. It is long because the tests of all packages start their servers at the
	// same time, which may take a minute on a busy machine.
	startMax = 5 * time.Minute
	dropMax  = 2 * time.Minute

	// poolConns is how many connections the pool of a test has. It is enough for tests of races,
	// which use sixteen writers.
	poolConns = 20
	// adminConns is how many connections create and drop databases, for tests that run in parallel.
	adminConns = 4

	// emptyName is the server's own empty database.
	emptyName = "template0"
)

// New returns a pool on a new, empty database. The database is dropped when the test ends.
// pool.Config().ConnString() is its connection string.
func New(tb testing.TB) *pgxpool.Pool {
	tb.Helper()
	pool, err := pgpool.Open(tb.Context(), URL(tb), pgpool.Options{Size: poolConns})
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() { closePool(tb, pool) })
	return pool
}

// URL returns the connection string of a new, empty database. When the test ends, the database is
// dropped, and connections that are still open are closed.
func URL(tb testing.TB) string {
	tb.Helper()
	s, err := shared()
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	return s.urlFor(tb, emptyName)
}

// urlFor returns the connection string of a new copy of a database, which is dropped when the test
// ends.
func (s *server) urlFor(tb testing.TB, original string) string {
	tb.Helper()
	name, err := s.create(tb.Context(), original)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		// This context is used because the test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), dropMax)
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return s.urlOf(name)
}

// closePool waits a limited time for the test's connections. A connection that the test never gives
// back is an error of the test.
func closePool(tb testing.TB, pool *pgxpool.Pool) {
	tb.Helper()
	closed := make(chan struct{})
	go func() {
		pool.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(dropMax):
		tb.Errorf("pgtest: %d connections were not given back to the pool", pool.Stat().AcquiredConns())
	}
}

// server is the server that has the databases.
type server struct {
	base  *url.URL
	admin *pgxpool.Pool
	// prefix begins the names of this process's databases, because several processes may share a
	// server.
	prefix      string
	count       atomic.Int64
	reaperInput *os.File // open as long as this process lives; see startReaper
}

// shared is the server of this process, started at its first use.
var shared = sync.OnceValues(func() (*server, error) {
	if named := os.Getenv(ServerEnv); named != "" {
		return connect(named)
	}
	return startServer()
})

func startServer() (*server, error) {
	dir, err := os.MkdirTemp("", "daybook-pgtest-")
	if err != nil {
		return nil, err
	}
	// If root runs the tests, the server runs as another user, who must be able to enter the
	// folder.
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, err
	}
	held, err := startReaper(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	ctx, cancel := context.WithTimeout(context.Background(), startMax)
	defer cancel()
	running, err := embeddedpg.Start(ctx, embeddedpg.Config{
		DataDir: filepath.Join(dir, dataName),
		Logger:  slog.New(slog.DiscardHandler),
		Getenv:  os.Getenv,
		Settings: map[string]string{
			"fsync":              "off",
			"synchronous_commit": "off",
			"full_page_writes":   "off",
			"autovacuum":         "off",
			"wal_level":          "minimal",
			"max_wal_senders":    "0",
			"max_connections":    "400",
			"shared_buffers":     "64MB",
			"min_wal_size":       "80MB",
			"checkpoint_timeout": "1h",
		},
	})
	if err != nil {
		return nil, err
	}
	s, err := connect(running.URL())
	if err != nil {
		return nil, err
	}
	s.reaperInput = held
	return s, nil
}

func connect(base string) (*server, error) {
	parsed, err := url.Parse(base)
	if err != nil || !strings.HasPrefix(parsed.Scheme, "postgres") {
		return nil, fmt.Errorf("%s must be a URL such as postgres://user@host/database", ServerEnv)
	}
	admin, err := pgpool.Open(context.Background(), base, pgpool.Options{Size: adminConns, ResponseMax: dropMax})
	if err != nil {
		return nil, err
	}
	random := strings.ReplaceAll(uuid.NewString(), "-", "")
	return &server{base: parsed, admin: admin, prefix: "daybook_test_" + random[:12]}, nil
}

// create makes a database as a copy of another one, to which nobody can be connected. So it never
// has to wait.
func (s *server) create(ctx context.Context, original string) (name string, err error) {
	ctx = pgpool.Within(ctx, dropMax)
	name = fmt.Sprintf("%s_%d", s.prefix, s.count.Add(1))
	if _, err := s.admin.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+original+" ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"); err != nil {
		return "", fmt.Errorf("create a database: %w", err)
	}
	return name, nil
}

func (s *server) drop(ctx context.Context, name string) error {
	ctx = pgpool.Within(ctx, dropMax)
	if _, err := s.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop a database: %w", err)
	}
	return nil
}

func (s *server) urlOf(name string) string {
	database := *s.base
	database.Path = "/" + name
	return database.String()
}
