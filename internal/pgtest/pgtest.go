// Package pgtest gives each test an empty PostgreSQL database of its own.
//
// The first test of a process starts a server, and all tests of the process
// share it, in parallel too. It is set for speed, not for safety: a test of
// durability needs embeddedpg itself. Nothing has to be set up in TestMain or
// cleaned up at the end; see reaper.go. Schema and data are the tests' own.
//
// DAYBOOK_TEST_DATABASE_URL names another server to use; its user must be
// allowed to create databases.
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
	// What hangs is given up after this. All packages' tests start a server at the
	// same time, and a busy machine may take a minute for that.
	startMax = 5 * time.Minute
	dropMax  = 2 * time.Minute

	// poolConns is enough for the sixteen writers that tests of races use.
	poolConns = 20
	// adminConns create and drop databases for tests that run in parallel.
	adminConns = 4
)

// New is a pool on a fresh, empty database, which is dropped when the test
// ends. Its connection string is New(tb).Config().ConnString().
func New(tb testing.TB) *pgxpool.Pool {
	tb.Helper()
	pool, err := pgpool.Open(tb.Context(), URL(tb), pgpool.Options{Size: poolConns})
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() { closePool(tb, pool) })
	return pool
}

// URL is the connection string of a fresh, empty database, which is dropped,
// with whatever is still connected to it, when the test ends.
func URL(tb testing.TB) string {
	tb.Helper()
	s, err := shared()
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	name, err := s.create(tb.Context())
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), dropMax)
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return s.urlOf(name)
}

// closePool waits for the test's connections, but not forever: one that is
// never given back is the test's fault and is told so.
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

// server is where the databases are made.
type server struct {
	base  *url.URL
	admin *pgxpool.Pool
	// prefix keeps processes that share a server apart.
	prefix      string
	count       atomic.Int64
	reaperInput *os.File // tells the reaper that this process lives
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
	// Run by root, the server is another user's and must be able to pass.
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

// create makes a database from template0, which nobody can be connected to, so
// that creating does not wait for anybody.
func (s *server) create(ctx context.Context) (name string, err error) {
	ctx = pgpool.Within(ctx, dropMax)
	name = fmt.Sprintf("%s_%d", s.prefix, s.count.Add(1))
	if _, err := s.admin.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"); err != nil {
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
