// Package pgpool opens connections to PostgreSQL on which each wait has a limit. A connection can
// fall silent without being closed, for example if a proxy hangs, or if a firewall forgets the
// connection and drops its packets. The driver would then wait until the operating system gives
// the connection up. This takes minutes, or it never happens.
//
// These waits have a limit: connecting, getting a connection from the pool, each read and each
// write, and closing. The limit is in the connection itself, so no query can be without it. A test
// in internal/arch checks that no other package opens connections.
package pgpool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The bounds of connections.
const (
	// ResponseMax is how long the server may send nothing while a statement waits for its result.
	// A long result may take longer, because the time begins again with each part of it.
	ResponseMax = 10 * time.Second
	// statementMax is the server's limit of a statement. It is a little shorter than ResponseMax.
	// So the server ends a long statement with an error before the client closes the connection.
	statementMax = ResponseMax - time.Second
	// connectMax is the limit for opening a connection, with its handshakes.
	connectMax = 5 * time.Second
	// acquireMax is the limit of the wait for a connection if all connections of the pool are in
	// use.
	acquireMax = 10 * time.Second
	// pingMax is the limit of the ping that checks a connection that was idle.
	pingMax = 3 * time.Second
	// idleTrusted is how long a connection may be idle and still be used without a ping.
	idleTrusted = time.Second
	// idleInTransactionMax is how long a session may be idle in a transaction. Then the server
	// ends the session, because the transaction keeps its locks until it ends.
	idleInTransactionMax = 20 * time.Second
	// closeMax is the limit for closing a connection that the driver gives up.
	closeMax = 1500 * time.Millisecond
	// idleMax is how long a connection of the pool may be idle before it is closed.
	idleMax = 5 * time.Minute
)

// Options are the options of a pool. The zero value of each stands for its default.
type Options struct {
	Purpose     string        // the sessions have the name "daybook " and Purpose
	Size        int32         // how many connections at most; the default is the driver's
	ResponseMax time.Duration // how long the server may send nothing; the default is the constant ResponseMax
	Logger      *slog.Logger  // the default discards messages
}

// AddressError means that a connection string cannot be parsed. The text does not say why, because
// the cause quotes the string, which may contain a password.
type AddressError struct{ Cause error }

func (*AddressError) Error() string   { return "the database's address cannot be used" }
func (e *AddressError) Unwrap() error { return e.Cause }

// Open makes a pool from a connection string. It opens no connection. A connection is opened when
// it is first needed, and closed when it was idle for idleMax.
func Open(ctx context.Context, connection string, options Options) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(connection)
	if err != nil {
		return nil, &AddressError{Cause: err}
	}
	if options.Size > 0 {
		config.MaxConns = options.Size
	}
	config.MinConns, config.MinIdleConns = 0, 0
	config.MaxConnIdleTime = idleMax
	if options.Purpose != "" {
		config.ConnConfig.RuntimeParams["application_name"] = "daybook " + options.Purpose
	}
	lines := setBounds(config, options)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	lines.pool.Store(pool)
	return pool, nil
}

// setBounds configures the limits of a pool's connections.
func setBounds(config *pgxpool.Config, options Options) *poolConns {
	all := &poolConns{purpose: options.Purpose, responseMax: options.ResponseMax, logger: options.Logger}
	if all.responseMax <= 0 {
		all.responseMax = ResponseMax
	}
	if all.logger == nil {
		all.logger = slog.New(slog.DiscardHandler)
	}
	if config.ConnConfig.ConnectTimeout <= 0 { // a connection string may set another
		config.ConnConfig.ConnectTimeout = connectMax
	}
	config.ConnConfig.DialFunc = all.dial
	config.ConnConfig.Tracer = tracer{}
	config.PingTimeout = pingMax
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // prepare pings instead
	config.PrepareConn = all.prepare
	all.statement, all.idle = max(statementMax, all.responseMax-time.Second), idleInTransactionMax
	if isSet(config, "statement_timeout") {
		all.statement = fromConnectionString
	}
	if isSet(config, "idle_in_transaction_session_timeout") {
		all.idle = fromConnectionString
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		return setTimeouts(ctx, conn, all.statement, all.idle)
	}
	if !isSet(config, "default_toast_compression") {
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			return setParameters(ctx, conn, timeouts(all.statement, all.idle)+fastCompression)
		}
	}
	return all
}

// fromConnectionString stands for a timeout that the connection string sets.
const fromConnectionString = -1

// isSet tells whether the connection string sets a parameter of the session.
func isSet(config *pgxpool.Config, parameter string) bool {
	chosen := config.ConnConfig.RuntimeParams
	_, own := chosen[parameter]
	return own || strings.Contains(chosen["options"], parameter)
}

// fastCompression lets the server compress large values by LZ4, if it can: PostgreSQL 14 can if it
// was built with it. An order with its prices has about 4 kB, and storing it then takes half the
// time. The server itself still reads what was compressed by the other method.
const fastCompression = `SELECT set_config('default_toast_compression', 'lz4', false) FROM pg_settings
	WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals);`

// setTimeouts sets the session's own timeouts.
func setTimeouts(ctx context.Context, conn *pgx.Conn, statement, idleInTransaction time.Duration) error {
	return setParameters(ctx, conn, timeouts(statement, idleInTransaction))
}

func timeouts(statement, idleInTransaction time.Duration) string {
	return setTimeout("statement_timeout", statement) + setTimeout("idle_in_transaction_session_timeout", idleInTransaction)
}

// setParameters sets parameters of the session, in one round trip.
func setParameters(ctx context.Context, conn *pgx.Conn, sql string) error {
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("set the session's parameters: %w", err)
	}
	return nil
}

func setTimeout(parameter string, limit time.Duration) string {
	if limit == fromConnectionString {
		return "RESET " + parameter + ";"
	}
	return fmt.Sprintf("SET %s = %d;", parameter, limit.Milliseconds())
}

// Dial opens one connection, without a pool. Options.Size means nothing here.
func Dial(ctx context.Context, connection string, options Options) (*pgx.Conn, error) {
	config, err := pgxpool.ParseConfig(connection)
	if err != nil {
		return nil, &AddressError{Cause: err}
	}
	setBounds(config, options)
	return Connect(ctx, config.ConnConfig)
}

// Connect opens a connection outside a pool. config is the configuration of a pool that Open made.
// The connection has the same limits as those of the pool.
func Connect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	c := boundedConnOf(conn)
	if c == nil {
		_ = conn.Close(ctx) // the first error is returned
		return nil, errUnbounded
	}
	if err := setTimeouts(ctx, conn, c.pool.statement, c.pool.idle); err != nil {
		_ = conn.Close(ctx) // the first error is returned
		return nil, err
	}
	c.limit.Store(int64(c.pool.responseMax))
	return conn, nil
}

// CheckBounded returns an error if the pool was not made by Open, because its connections could
// then wait for ever.
func CheckBounded(ctx context.Context, pool *pgxpool.Pool) error {
	return pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		if !Bounded(conn.Conn()) {
			return errUnbounded
		}
		return nil
	})
}

var errUnbounded = errors.New("the connection has no time limits: open it with package pgpool")

// Bounded tells whether the waits of a connection have limits.
func Bounded(conn *pgx.Conn) bool { return boundedConnOf(conn) != nil }

// Limit sets how long the server may send nothing on a connection.
func Limit(conn *pgx.Conn, limit time.Duration) {
	if c := boundedConnOf(conn); c != nil {
		c.limit.Store(int64(limit))
	}
}

// boundedConnOf returns the boundedConn of a connection, also if TLS is on top of it. It returns
// nil if there is none.
func boundedConnOf(conn *pgx.Conn) *boundedConn {
	inner := conn.PgConn().Conn()
	for {
		switch c := inner.(type) {
		case *boundedConn:
			return c
		case interface{ NetConn() net.Conn }:
			inner = c.NetConn()
		default:
			return nil
		}
	}
}

type limitKey struct{}

// Within returns a context that sets another limit for statements: the server may then send nothing
// for up to limit. A long limit is for statements that run long, such as the build of an index. The
// server's timeouts are then as long. The context must be given to the pool; a connection that was
// acquired before keeps its limit.
func Within(ctx context.Context, limit time.Duration) context.Context {
	return context.WithValue(ctx, limitKey{}, limit)
}

func limitOf(ctx context.Context) time.Duration {
	limit, _ := ctx.Value(limitKey{}).(time.Duration)
	return limit
}

// prepare is called before a caller gets a connection from the pool. It pings a connection that was
// idle for longer than idleTrusted, and it sets the limits that the caller wants.
func (p *poolConns) prepare(ctx context.Context, conn *pgx.Conn) (bool, error) {
	c := boundedConnOf(conn)
	if c == nil {
		return true, nil
	}
	if c.idleFor() > idleTrusted {
		c.limit.Store(int64(min(pingMax, p.responseMax)))
		if err := conn.Ping(ctx); err != nil {
			return false, ctx.Err() // with nil, the pool goes on to another connection
		}
	}
	limit := cmp.Or(limitOf(ctx), p.responseMax)
	longer := limit > p.responseMax
	if longer || c.longTimeouts { // this is rare, so its round trip does not matter
		c.limit.Store(int64(pingMax))
		statement, idle := limit, limit
		if !longer {
			statement, idle = p.statement, p.idle
		}
		if err := setTimeouts(ctx, conn, statement, idle); err != nil {
			return false, ctx.Err()
		}
		c.longTimeouts = longer
	}
	c.limit.Store(int64(limit))
	return true, nil
}

// tracer sets the limit of the wait for a connection. It is a tracer because pgxpool asks its
// tracer for the context of this wait, and offers no other way.
type tracer struct{}

type cancelKey struct{}

func (tracer) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	ctx, cancel := context.WithTimeout(ctx, max(acquireMax, limitOf(ctx)))
	return context.WithValue(ctx, cancelKey{}, cancel)
}

func (tracer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireEndData) {
	if cancel, ok := ctx.Value(cancelKey{}).(context.CancelFunc); ok {
		cancel()
	}
}

// TraceQueryStart and TraceQueryEnd do nothing. They are here because pgx requires them.
func (tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
