// Package pgpool opens connections to PostgreSQL on which nothing waits for
// ever. A connection can fall silent without being closed: a proxy hangs, or a
// firewall forgets it, and packets vanish. The driver would then wait until the
// operating system gives the connection up, which takes minutes, or never.
//
// Every wait here has a bound: connecting, getting a connection from the pool,
// each read and each write of a connection, and closing it. The bound is in the
// connection itself, so that no query can be made without it; internal/arch
// keeps the code from opening connections in another way.
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
	// ResponseMax is how long the server may send nothing while an answer is waited
	// for. A long answer takes longer in all, because each part of it counts anew.
	ResponseMax = 10 * time.Second
	// statementMax is the server's own limit of a statement: it ends a statement
	// that runs long in order, just before the client would close the connection.
	statementMax = ResponseMax - time.Second
	// connectMax bounds making a connection, with its handshakes.
	connectMax = 5 * time.Second
	// acquireMax bounds the wait for a connection of a pool that is used up.
	acquireMax = 10 * time.Second
	// pingMax bounds the look at whether a connection that rested is still good.
	pingMax = 3 * time.Second
	// restTrusted is how long a connection may rest and be used without that look.
	restTrusted = time.Second
	// idleInTransactionMax is after how long the server ends a session whose
	// client stopped in the middle of a transaction and holds its locks.
	idleInTransactionMax = 20 * time.Second
	// closeMax bounds what the driver does with a connection that it gives up.
	closeMax = 1500 * time.Millisecond
	// idleMax is after how long a connection that nobody needs is closed.
	idleMax = 5 * time.Minute
)

// Options of a pool; the zero value of each is its default.
type Options struct {
	Purpose string        // names the pool's sessions: "daybook " and this
	Size    int32         // connections at most; default the driver's
	Answer  time.Duration // how long the server may send nothing; default ResponseMax
	Logger  *slog.Logger  // default: discards
}

// AddressError is of a connection string that cannot be understood. Its text does
// not tell why, because the cause quotes the string, which may hold a password.
type AddressError struct{ Cause error }

func (*AddressError) Error() string   { return "the database's address cannot be used" }
func (e *AddressError) Unwrap() error { return e.Cause }

// Open makes a pool from a connection string. Its connections are opened when
// they are first needed, and closed again when they are not for some time.
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
	lines := bound(config, options)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	lines.pool.Store(pool)
	return pool, nil
}

// bound gives a pool's connections their bounds.
func bound(config *pgxpool.Config, options Options) *lines {
	all := &lines{purpose: options.Purpose, answer: options.Answer, logger: options.Logger}
	if all.answer <= 0 {
		all.answer = ResponseMax
	}
	if all.logger == nil {
		all.logger = slog.New(slog.DiscardHandler)
	}
	if config.ConnConfig.ConnectTimeout <= 0 { // a connection string may say another
		config.ConnConfig.ConnectTimeout = connectMax
	}
	config.ConnConfig.DialFunc = all.dial
	config.ConnConfig.Tracer = tracer{}
	config.PingTimeout = pingMax
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // prepare does
	config.PrepareConn = all.prepare
	all.statement, all.idle = max(statementMax, all.answer-time.Second), idleInTransactionMax
	if says(config, "statement_timeout") {
		all.statement = asConnected
	}
	if says(config, "idle_in_transaction_session_timeout") {
		all.idle = asConnected
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		return setTimeouts(ctx, conn, all.statement, all.idle)
	}
	return all
}

// asConnected is a session's timeout as the connection string says it.
const asConnected = -1

// says tells whether the connection string sets a parameter of the session.
func says(config *pgxpool.Config, parameter string) bool {
	chosen := config.ConnConfig.RuntimeParams
	_, own := chosen[parameter]
	return own || strings.Contains(chosen["options"], parameter)
}

// setTimeouts sets the session's own timeouts, in one round trip.
func setTimeouts(ctx context.Context, conn *pgx.Conn, statement, idleInTransaction time.Duration) error {
	sql := setTimeout("statement_timeout", statement) + setTimeout("idle_in_transaction_session_timeout", idleInTransaction)
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("set the session's timeouts: %w", err)
	}
	return nil
}

func setTimeout(parameter string, limit time.Duration) string {
	if limit == asConnected {
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
	bound(config, options)
	return Connect(ctx, config.ConnConfig)
}

// Connect opens a connection outside a pool, by the configuration of one that
// Open made. Its session has the same timeouts as the pool's.
func Connect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	l := lineOf(conn)
	if l == nil {
		_ = conn.Close(ctx) // the first error is the one to tell
		return nil, errUnbounded
	}
	if err := setTimeouts(ctx, conn, l.all.statement, l.all.idle); err != nil {
		_ = conn.Close(ctx) // the first error is the one to tell
		return nil, err
	}
	l.limit.Store(int64(l.all.answer))
	return conn, nil
}

// CheckBounded returns an error if a pool's connections can wait for ever,
// because it was not made by Open.
func CheckBounded(ctx context.Context, pool *pgxpool.Pool) error {
	return pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		if !Bounded(conn.Conn()) {
			return errUnbounded
		}
		return nil
	})
}

var errUnbounded = errors.New("the connection has no time limits: open it by package pgpool")

// Bounded tells whether the waits of a connection have bounds.
func Bounded(conn *pgx.Conn) bool { return lineOf(conn) != nil }

// Limit bounds how long the server may send nothing on a connection.
func Limit(conn *pgx.Conn, limit time.Duration) {
	if l := lineOf(conn); l != nil {
		l.limit.Store(int64(limit))
	}
}

// lineOf finds the line under a connection, which TLS may cover.
func lineOf(conn *pgx.Conn) *line {
	inner := conn.PgConn().Conn()
	for {
		switch c := inner.(type) {
		case *line:
			return c
		case interface{ NetConn() net.Conn }:
			inner = c.NetConn()
		default:
			return nil
		}
	}
}

type limitKey struct{}

// Within returns a context with which the pool's connections wait up to limit for
// an answer, instead of the pool's own limit. A longer one is for statements that
// run long, such as the build of an index; the server's timeouts are then as long.
// It does not apply to a connection that was acquired before.
func Within(ctx context.Context, limit time.Duration) context.Context {
	return context.WithValue(ctx, limitKey{}, limit)
}

func limitOf(ctx context.Context) time.Duration {
	limit, _ := ctx.Value(limitKey{}).(time.Duration)
	return limit
}

// prepare readies a connection that a caller gets from the pool: one that rested
// for a while is asked for a sign of life, and its bounds are the caller's.
func (a *lines) prepare(ctx context.Context, conn *pgx.Conn) (bool, error) {
	l := lineOf(conn)
	if l == nil {
		return true, nil
	}
	if l.rested() > restTrusted {
		l.limit.Store(int64(min(pingMax, a.answer)))
		if err := conn.Ping(ctx); err != nil {
			return false, ctx.Err() // with nil, the pool goes on to another connection
		}
	}
	limit := cmp.Or(limitOf(ctx), a.answer)
	patient := limit > a.answer
	if patient || l.patient { // rare, so a round trip does not matter
		l.limit.Store(int64(pingMax))
		statement, idle := limit, limit
		if !patient {
			statement, idle = a.statement, a.idle
		}
		if err := setTimeouts(ctx, conn, statement, idle); err != nil {
			return false, ctx.Err()
		}
		l.patient = patient
	}
	l.limit.Store(int64(limit))
	return true, nil
}

// tracer bounds the wait for a connection. The pool asks its tracer for the
// context of each such wait.
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

// TraceQueryStart and TraceQueryEnd do nothing; pgx asks for them.
func (tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
