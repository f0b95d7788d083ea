package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	commandspg "daybook/commands/postgres"
	gatewaypg "daybook/eventstore/gateway/postgres"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/embeddedpg"
	"daybook/internal/pgpool"
	"daybook/projections"
)

// databaseConfig says which PostgreSQL keeps the data.
type databaseConfig struct {
	URL      string              // the address of a server that is not our own; if it is set, DataDir is not used
	DataDir  string              // the data directory of our own server
	Named    bool                // a flag or a variable names DataDir, so errors name the flag
	Settings map[string]string   // for our own server, instead of its defaults
	Getenv   func(string) string // reads PG_BIN and PATH, which say where the programs of our own server are
}

// database is a PostgreSQL server: one that this program has started (our own), or another one.
type database struct {
	url    string
	server *embeddedpg.Server // nil if the server is not our own
}

// connectMax bounds the wait for a server that is not our own.
const connectMax = 10 * time.Second

func openDatabase(ctx context.Context, cfg databaseConfig, log *slog.Logger) (database, error) {
	if cfg.URL != "" {
		return database{url: cfg.URL}, waitUntilReachable(ctx, cfg.URL)
	}
	server, err := embeddedpg.Start(ctx, embeddedpg.Config{DataDir: cfg.DataDir, Logger: log, Getenv: cfg.Getenv, Settings: cfg.Settings})
	if err != nil && cfg.Named {
		err = fmt.Errorf("--data: %w", err)
	}
	if err != nil {
		return database{}, err
	}
	return database{url: server.URL(), server: server}, nil
}

// waitUntilReachable returns an error if the server cannot be used within connectMax, for example
// because the password is wrong.
func waitUntilReachable(ctx context.Context, connection string) error {
	ctx, cancel := context.WithTimeout(ctx, connectMax)
	defer cancel()
	pool, err := openPool(ctx, connection, "start", 1, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pool.Ping(ctx); err != nil {
		return fmt.Errorf("reach the database: %w", err)
	}
	return nil
}

// done is closed when our own server has ended. For another server it is nil, so it is never
// closed.
func (d database) done() <-chan struct{} {
	if d.server == nil {
		return nil
	}
	return d.server.Done()
}

func (d database) stop(ctx context.Context) error {
	if d.server == nil {
		return nil
	}
	return d.server.Stop(ctx)
}

// openPool makes a pool for one purpose. A connection is opened when it is first needed, and closed
// again when it has not been used for some time.
func openPool(ctx context.Context, connection, purpose string, size int32, log *slog.Logger) (*pgxpool.Pool, error) {
	if hidePassword(connection) == hidden {
		return nil, addressError(connection, nil)
	}
	pool, err := pgpool.Open(ctx, connection, pgpool.Options{Purpose: purpose, Size: size, Logger: log})
	if address, wrong := errors.AsType[*pgpool.AddressError](err); wrong {
		return nil, addressError(connection, address.Cause)
	}
	return pool, err
}

// addressError says what is wrong with a connection string. The parser's error quotes parts of the
// string. So it is shown only if it is known which part of the string is the password.
func addressError(connection string, err error) error {
	shown := hidePassword(connection)
	if shown == hidden {
		return errors.New("the database's address is neither a URL nor key=value pairs; it is not shown, because it may hold a password. In a URL, characters such as @ / ? # in a password must be percent-encoded")
	}
	if cause := errors.Unwrap(err); cause != nil && shown == connection {
		err = cause
		return fmt.Errorf("the database's address %s: %w", shown, err)
	}
	return fmt.Errorf("the database's address %s cannot be used", shown)
}

// migrate brings all tables to this program's version: the log's, the gateway's,
// the command side's, the projections'.
func migrate(ctx context.Context, pool *pgxpool.Pool) error {
	if err := eventstorepg.Migrate(ctx, pool); err != nil {
		return err
	}
	if err := gatewaypg.Migrate(ctx, pool); err != nil {
		return err
	}
	if err := commandspg.Migrate(ctx, pool); err != nil {
		return err
	}
	return projections.Migrate(ctx, pool)
}

// explain completes the error about a data directory that a server uses: it adds how to work beside
// that server.
func explain(err error) error {
	inUse, busy := errors.AsType[*embeddedpg.InUseError](err)
	if !busy {
		return err
	}
	socket := url.QueryEscape(filepath.Join(inUse.DataDir, "run"))
	return fmt.Errorf("%w. To work beside a running server: --database-url 'postgres:///daybook?host=%s&user=daybook'", err, socket)
}
