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

// logStore is the log, which must also be closed.
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

// refuse is the error for requests to a path if the log has diverged. It is nil while the log is as
// expected.
func (l *guardedLog) refuse(path string) error {
	if diverged := l.Diverged(); diverged != nil && strings.HasPrefix(path, "/v1/") {
		return diverged
	}
	return nil
}

// clusterSettles is how long after an election the new leader of a cluster may still lack events
// that the old leader had.
const clusterSettles = 2 * time.Second

// openLog opens the log: in the database or, if an address is given, in a KurrentDB. In both cases
// the database must be one that follows this log. Call Open of the result next, because only Open
// compares the log.
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
		Keep: func(ctx context.Context, latest eventstore.Anchor) error {
			return commandspg.KeepSeen(ctx, pool, latest)
		},
		AlsoCompare: func(ctx context.Context, log eventstore.Store) error {
			err := commandspg.Origin{Pool: pool}.Compare(ctx, log)
			if another, is := errors.AsType[*commandspg.AnotherLogError](err); is {
				return another.Diverged()
			}
			return err
		},
	}
	options.Observe = cfg.Telemetry.Appends()
	if cfg.Serving { // other commands end with the reason, and print it then
		options.Logger = log
	}
	if cfg.KurrentDB != "" {
		options.Settle = clusterSettles
	}
	return &guardedLog{guard.New(store, options), store, kept}, nil
}

// noteUpgraded stores an anchor of the latest event of the present log, if the database has a place
// without an anchor. Older versions stored no anchors, and a place gets one only when it moves. So
// the log can be recognised even if it is restored before the places move.
func (l *guardedLog) noteUpgraded(ctx context.Context, pool *pgxpool.Pool) error {
	kept, err := l.places(ctx)
	if err != nil {
		return err
	}
	var latest eventstore.Anchor
	for _, p := range kept {
		latest = latest.Later(p.Anchor)
	}
	if !slices.ContainsFunc(kept, func(p eventstore.Place) bool { return p.Anchor.IsZero() && latest.Position.Before(p.At) }) {
		return nil
	}
	latest, err = commandspg.Last(ctx, l)
	if err != nil {
		return err
	}
	return commandspg.KeepSeen(ctx, pool, latest)
}

// own tells whether the shop wrote an event. No program deletes such events.
func own(a eventstore.Anchor) bool { return streams.Wrote(a.Stream, a.ID) }

// places returns all places in the log that the database has. If groups is set, the places of the
// gateway's groups are included, because the gateway serves this log.
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
	own, err := eventstorepg.Open(ctx, pool, eventstorepg.Options{}) // its warnings do not matter here
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
