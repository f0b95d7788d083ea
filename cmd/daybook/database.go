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
	URL      string              // another's; goes over DataDir
	DataDir  string              // of an own one
	Settings map[string]string   // of an own one, over its defaults
	Getenv   func(string) string // tells an own one where its programs are
}

// database is PostgreSQL, an own one or another's.
type database struct {
	url    string
	server *embeddedpg.Server // nil: another's
}

// connectMax bounds the wait for another's server.
const connectMax = 10 * time.Second

func openDatabase(ctx context.Context, cfg databaseConfig, log *slog.Logger) (database, error) {
	if cfg.URL != "" {
		return database{url: cfg.URL}, waitUntilReachable(ctx, cfg.URL)
	}
	server, err := embeddedpg.Start(ctx, embeddedpg.Config{DataDir: cfg.DataDir, Logger: log, Getenv: cfg.Getenv, Settings: cfg.Settings})
	if err != nil {
		return database{}, err
	}
	return database{url: server.URL(), server: server}, nil
}

// waitUntilReachable makes a wrong address or password an error at once.
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

// done is closed when an own server has ended; nil, so never, for another's.
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

// openPool makes a pool for one purpose. Its connections are opened when they
// are first needed, and closed again when they are not for some time.
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

// addressError says what is wrong with a connection string. The error of the
// parser quotes parts of the string, so it is shown only of a string whose
// password is known, and not otherwise.
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

// explain adds to a refused data directory how to work beside the server that
// uses it.
func explain(err error) error {
	inUse, busy := errors.AsType[*embeddedpg.InUseError](err)
	if !busy {
		return err
	}
	socket := url.QueryEscape(filepath.Join(inUse.DataDir, "run"))
	return fmt.Errorf("%w. To work beside a running server: --database-url 'postgres:///daybook?host=%s&user=daybook'", err, socket)
}
