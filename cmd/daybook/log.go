package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	commandspg "daybook/commands/postgres"
	"daybook/eventstore"
	"daybook/eventstore/kurrentdb"
	eventstorepg "daybook/eventstore/postgres"
)

// Where the log may be.
const (
	storePostgres  = "postgres"
	storeKurrentDB = "kurrentdb"
)

// logStore is the log, and its end.
type logStore interface {
	eventstore.Store
	Close(ctx context.Context) error
}

// openLog opens the log: in the database, or, with an address, in a KurrentDB.
// Either way the database must be one that follows this log.
func openLog(ctx context.Context, pool *pgxpool.Pool, kurrentDB string, log *slog.Logger) (_ logStore, err error) {
	store, err := dial(ctx, pool, kurrentDB, log)
	if err != nil {
		return nil, err
	}
	err = commandspg.Origin{Pool: pool}.Check(ctx, store)
	if _, another := errors.AsType[*commandspg.AnotherLogError](err); another {
		err = fmt.Errorf("%w. A database stays with its log: name the log it belongs to, or a new database, in which the read models are built anew", err)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close(ctx))
	}
	return store, nil
}

func dial(ctx context.Context, pool *pgxpool.Pool, kurrentDB string, log *slog.Logger) (logStore, error) {
	own, err := eventstorepg.Open(ctx, pool, eventstorepg.Options{Logger: log})
	if err != nil || kurrentDB == "" {
		return own, err
	}
	head, err := own.Head(ctx)
	if err = errors.Join(err, own.Close(ctx)); err != nil {
		return nil, err
	}
	if !head.IsStart() {
		return nil, usagef("this database holds a log of its own (%s events), so it cannot follow the one in KurrentDB: name another with --data or --database-url", head)
	}
	return kurrentdb.Open(ctx, kurrentDB, kurrentdb.Options{Logger: log})
}
