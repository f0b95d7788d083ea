package pgpool_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/pgpool"
	"daybook/internal/pgtest"
	"daybook/internal/proxytest"
)

// responseMax is the limit of the pools in these tests. It is short because the tests often wait
// for it.
const responseMax = 2 * time.Second

// tolerance is how much longer than its limit a wait may take on a busy machine.
const tolerance = 15 * time.Second

func openOverProxy(t *testing.T, size int32, logger *slog.Logger) (*proxytest.Proxy, *pgxpool.Pool) {
	t.Helper()
	proxy, url := proxytest.ToPostgres(t, pgtest.URL(t))
	pool, err := pgpool.Open(t.Context(), url, pgpool.Options{Purpose: "test", Size: size, ResponseMax: responseMax, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return proxy, pool
}

// fillPool makes the pool open n connections. All of them are idle afterwards.
func fillPool(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	var held []*pgxpool.Conn
	for range n {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	for _, conn := range held {
		conn.Release()
	}
}

// Each operation on a silent connection ends in time, also if the caller sets no limit. Then the
// pool has a new connection for the next caller.
func TestNoQueryOutlastsASilentConnection(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(context.Context, *pgxpool.Conn) error{
		"a query": func(ctx context.Context, conn *pgxpool.Conn) error {
			rows, _ := conn.Query(ctx, "SELECT 1")
			_, err := pgx.CollectRows(rows, pgx.RowTo[int])
			return err
		},
		"a statement": func(ctx context.Context, conn *pgxpool.Conn) error {
			_, err := conn.Exec(ctx, "SELECT 1")
			return err
		},
		"a transaction": func(ctx context.Context, conn *pgxpool.Conn) error {
			return pgx.BeginFunc(ctx, conn, func(pgx.Tx) error { return nil })
		},
		"a batch": func(ctx context.Context, conn *pgxpool.Conn) error {
			var batch pgx.Batch
			batch.Queue("SELECT 1")
			return conn.SendBatch(ctx, &batch).Close()
		},
		"a ping": func(ctx context.Context, conn *pgxpool.Conn) error { return conn.Ping(ctx) },
		"more than the system's buffers take": func(ctx context.Context, conn *pgxpool.Conn) error {
			_, err := conn.Exec(ctx, "SELECT length($1)", strings.Repeat("x", 64<<20))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, pool := openOverProxy(t, 1, nil)
			conn, err := pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			proxy.Silence()
			began := time.Now()
			err = ask(t.Context(), conn)
			took := time.Since(began)
			conn.Release()
			if silent, ok := errors.AsType[*pgpool.SilentError](err); !ok || silent.Waited < responseMax {
				t.Errorf("error %v, want a SilentError after %s", err, responseMax)
			}
			if took > responseMax+tolerance {
				t.Errorf("it took %s", took)
			}
			if err := pool.Ping(t.Context()); err != nil {
				t.Errorf("the next query: %v", err)
			}
			if took := time.Since(began); took > responseMax+tolerance {
				t.Errorf("the pool's only connection was replaced after %s", took)
			}
		})
	}
}

// When one connection is found silent, the pool replaces all of them. So the next callers do not
// get one dead connection after the other.
func TestAPoolReplacesAllConnectionsWhenOneIsSilent(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var log bytes.Buffer
	proxy, pool := openOverProxy(t, 8, slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(p)
	}), nil)))
	fillPool(t, pool, 8)
	proxy.Silence()
	began := time.Now()
	for range 8 {
		_ = pool.Ping(t.Context()) // the first ones fail
	}
	if err := pool.Ping(t.Context()); err != nil {
		t.Errorf("after eight others: %v", err)
	}
	if took := time.Since(began); took > 2*responseMax+tolerance {
		t.Errorf("it took %s to have a connection that works", took)
	}
	mu.Lock()
	defer mu.Unlock()
	if text := log.String(); !strings.Contains(text, "does not answer") || !strings.Contains(text, "connections=test") || !strings.Contains(text, "silent_since=") {
		t.Errorf("the log does not say it: %q", text)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// If new connections are silent too, connecting still ends in time. So does the wait for a
// connection while other callers use all of them.
func TestNobodyWaitsForEverForAConnection(t *testing.T) {
	t.Parallel()
	proxy, pool := openOverProxy(t, 1, nil)
	fillPool(t, pool, 1)
	proxy.SilenceAll()
	began := time.Now()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := pool.Ping(t.Context()); err == nil {
				t.Error("a silent server answered")
			}
		})
	}
	group.Wait()
	if took := time.Since(began); took > 30*time.Second+tolerance {
		t.Errorf("they waited %s", took)
	}
	proxy.Restore()
	if err := pool.Ping(t.Context()); err != nil {
		t.Errorf("after the proxy was restored: %v", err)
	}
}

// A caller that gives a longer limit gets the result of a long statement. Neither the client nor
// the server ends the statement.
func TestALongStatementEndsIfTheCallerSetsALongLimit(t *testing.T) {
	t.Parallel()
	pool, err := pgpool.Open(t.Context(), pgtest.URL(t), pgpool.Options{Size: 1, ResponseMax: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	const long = "SELECT pg_sleep(3)"
	for range 2 {
		if _, err := pool.Exec(t.Context(), long); err == nil {
			t.Error("a long statement ended without a longer limit")
		}
		if _, err := pool.Exec(pgpool.Within(t.Context(), time.Minute), long); err != nil {
			t.Errorf("with a longer limit: %v", err)
		}
		var timeouts string
		const show = "SELECT current_setting('statement_timeout') || ' ' || current_setting('idle_in_transaction_session_timeout')"
		if err := pool.QueryRow(pgpool.Within(t.Context(), time.Minute), show).Scan(&timeouts); err != nil || timeouts != "1min 1min" {
			t.Errorf("the server's own timeouts are %q (error %v), want a minute each", timeouts, err)
		}
		if err := pool.QueryRow(t.Context(), show).Scan(&timeouts); err != nil || timeouts != "9s 20s" {
			t.Errorf("afterwards they are %q (error %v), want 9s 20s", timeouts, err)
		}
	}
}

// Timeouts in the connection string replace the defaults.
func TestTimeoutsOfTheConnectionStringAreKept(t *testing.T) {
	t.Parallel()
	pool, err := pgpool.Open(t.Context(), pgtest.URL(t)+"&statement_timeout=4321&connect_timeout=7", pgpool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	var timeout string
	if err := pool.QueryRow(t.Context(), "SHOW statement_timeout").Scan(&timeout); err != nil || timeout != "4321ms" {
		t.Errorf("statement_timeout %q (error %v), want 4321ms", timeout, err)
	}
	if limit := pool.Config().ConnConfig.ConnectTimeout; limit != 7*time.Second {
		t.Errorf("connect timeout %s, want 7s", limit)
	}
}

// When a context ends, its query ends at once. The connection is closed soon after, so that it does
// not keep its place in the pool.
func TestAContextEndsAQueryOnASilentConnection(t *testing.T) {
	t.Parallel()
	proxy, pool := openOverProxy(t, 1, nil)
	fillPool(t, pool, 1)
	proxy.Silence()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := pool.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that of the context", err)
	}
	if took := time.Since(began); took > tolerance {
		t.Errorf("it took %s", took)
	}
	if err := pool.Ping(t.Context()); err != nil {
		t.Errorf("the next query: %v", err)
	}
	if took := time.Since(began); took > responseMax+tolerance {
		t.Errorf("the pool's only connection was replaced after %s", took)
	}
}

const showTimeouts = "SELECT current_setting('statement_timeout') || ' ' || current_setting('idle_in_transaction_session_timeout')"

// A caller may set longer timeouts. Afterwards, the session has those of the connection string
// again.
func TestTimeoutsOfTheConnectionStringComeBack(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]string{
		"parameters": "&statement_timeout=4321&idle_in_transaction_session_timeout=5432",
		"options":    "&options=-c%20statement_timeout%3D4321%20-c%20idle_in_transaction_session_timeout%3D5432",
	} {
		pool, err := pgpool.Open(t.Context(), pgtest.URL(t)+own, pgpool.Options{Size: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		for range 2 {
			var timeouts string
			if err := pool.QueryRow(t.Context(), showTimeouts).Scan(&timeouts); err != nil || timeouts != "4321ms 5432ms" {
				t.Errorf("%s: the timeouts are %q (error %v), want 4321ms 5432ms", name, timeouts, err)
			}
			if err := pool.QueryRow(pgpool.Within(t.Context(), time.Minute), showTimeouts).Scan(&timeouts); err != nil || timeouts != "1min 1min" {
				t.Errorf("%s: asked to wait a minute: %q (error %v)", name, timeouts, err)
			}
		}
	}
}

// A connection outside a pool has the same timeouts as one in it.
func TestConnectionsOutsideAPoolHaveTimeoutsOnTheServer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		own    string
		answer time.Duration
		want   string
	}{
		{"", 0, "9s 20s"},
		{"", time.Minute, "59s 20s"}, // the option ResponseMax sets a longer limit
		{"&statement_timeout=4321", 0, "4321ms 20s"},
	} {
		options := pgpool.Options{ResponseMax: c.answer}
		pool, err := pgpool.Open(t.Context(), pgtest.URL(t)+c.own, options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		for name, open := range map[string]func() (*pgx.Conn, error){
			"Dial":    func() (*pgx.Conn, error) { return pgpool.Dial(t.Context(), pgtest.URL(t)+c.own, options) },
			"Connect": func() (*pgx.Conn, error) { return pgpool.Connect(t.Context(), pool.Config().ConnConfig) },
		} {
			conn, err := open()
			if err != nil {
				t.Fatal(err)
			}
			var timeouts string
			if err := conn.QueryRow(t.Context(), showTimeouts).Scan(&timeouts); err != nil || timeouts != c.want {
				t.Errorf("%s with %q, %s: the timeouts are %q (error %v), want %s", name, c.own, c.answer, timeouts, err, c.want)
			}
			if err := conn.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}
