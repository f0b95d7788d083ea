package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	commandspg "daybook/commands/postgres"
	"daybook/commands/streams"
	"daybook/eventstore"
	gatewaypg "daybook/eventstore/gateway/postgres"
	"daybook/eventstore/guard"
	"daybook/eventstore/kurrentdb"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/projections"
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

// guardedLog is the log that every part of a node uses.
type guardedLog struct {
	*guard.Store
	log    logStore
	places func(context.Context) ([]eventstore.Place, error)
}

func (l *guardedLog) Close(ctx context.Context) error { return l.log.Close(ctx) }

// Calls is how many calls the log's engine has made to its server; 0 if it has none.
func (l *guardedLog) Calls() uint64 {
	if engine, counts := l.log.(interface{ Calls() uint64 }); counts {
		return engine.Calls()
	}
	return 0
}

// refuse is why nothing is answered at a path; nil while the log is as expected.
func (l *guardedLog) refuse(path string) error {
	if diverged := l.Diverged(); diverged != nil && strings.HasPrefix(path, "/v1/") {
		return diverged
	}
	return nil
}

// clusterSettles is how long the new leader of a cluster may be behind the one before.
const clusterSettles = 2 * time.Second

// openLog opens the log: in the database, or, with an address, in a KurrentDB.
// Either way the database must be one that follows this log. Call Open of what is
// returned, which compares.
func openLog(ctx context.Context, pool *pgxpool.Pool, cfg nodeConfig, log *slog.Logger) (*guardedLog, error) {
	store, err := dial(ctx, pool, cfg.KurrentDB, log)
	if err != nil {
		return nil, err
	}
	kept := func(ctx context.Context) ([]eventstore.Place, error) {
		return places(ctx, pool, cfg.Views, cfg.KurrentDB == "")
	}
	options := guard.Options{
		Own:    own,
		Places: kept,
		Keep:   func(ctx context.Context, known eventstore.Anchor) error { return commandspg.KeepSeen(ctx, pool, known) },
		Known: func(ctx context.Context, log eventstore.Store) error {
			err := commandspg.Origin{Pool: pool}.Compare(ctx, log)
			if another, is := errors.AsType[*commandspg.AnotherLogError](err); is {
				return another.Diverged()
			}
			return err
		},
	}
	if cfg.Serving { // others end with the reason, and say it then
		options.Logger = log
	}
	if cfg.KurrentDB != "" {
		options.Settle = clusterSettles
	}
	return &guardedLog{guard.New(store, options), store, kept}, nil
}

// noteUpgraded notes the latest event of the log as it is, if the database keeps a place
// that no event is noted for: older versions noted none, and a place that does not move
// gets none. So the log is known even if it is restored before the places move.
func (l *guardedLog) noteUpgraded(ctx context.Context, pool *pgxpool.Pool) error {
	kept, err := l.places(ctx)
	if err != nil {
		return err
	}
	var known eventstore.Anchor
	for _, p := range kept {
		known = known.Later(p.Anchor)
	}
	if !slices.ContainsFunc(kept, func(p eventstore.Place) bool { return p.Anchor.IsZero() && known.Position.Before(p.At) }) {
		return nil
	}
	latest, err := commandspg.Last(ctx, l)
	if err != nil {
		return err
	}
	return commandspg.KeepSeen(ctx, pool, latest)
}

// own tells whether the shop wrote an event: nobody deletes those.
func own(a eventstore.Anchor) bool { return streams.Wrote(a.Stream, a.ID) }

// places returns all places in the log that the database keeps. With groups, those of
// the gateway's groups are among them, because the gateway serves this log.
func places(ctx context.Context, pool *pgxpool.Pool, views []projections.View, groups bool) ([]eventstore.Place, error) {
	all, err := projections.KeptPlaces(ctx, pool, views)
	if err != nil {
		return nil, err
	}
	readers, err := commandspg.KeptPlaces(ctx, pool)
	if err != nil {
		return nil, err
	}
	all = append(all, readers...)
	if groups {
		served, err := gatewaypg.KeptPlaces(ctx, pool)
		if err != nil {
			return nil, err
		}
		all = append(all, served...)
	}
	return all, nil
}

func dial(ctx context.Context, pool *pgxpool.Pool, kurrentDB string, log *slog.Logger) (logStore, error) {
	if kurrentDB == "" {
		return eventstorepg.Open(ctx, pool, eventstorepg.Options{Logger: log})
	}
	own, err := eventstorepg.Open(ctx, pool, eventstorepg.Options{}) // what it would warn of is no danger here
	if err != nil {
		return nil, err
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
