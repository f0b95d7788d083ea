package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/jackc/pgx/v5"

	commandspg "daybook/commands/postgres"
	"daybook/eventstore"
	eventstorepg "daybook/eventstore/postgres"
)

// keeperTables are the tables that store places in the log with anchors. For each table, name is an
// SQL expression for the name of a row's keeper. move is the SQL assignment that moves the place of
// a row to the position $1.
var keeperTables = map[string]struct{ name, move string }{
	"projections.builds":   {`view || ' ' || state`, `position = $1`},
	"commands.checkpoints": {`reader`, `position = $1`},
	"gateway.groups": {`source || ' ' || name`, `checkpoint_commit = CASE source WHEN '$all' THEN split_part($1, '/', 1)::bigint ELSE checkpoint_commit END,
		checkpoint_prepare = CASE source WHEN '$all' THEN split_part($1, '/', 1)::bigint ELSE checkpoint_prepare END`},
}

// noKeepers are the columns of other tables that have a position. None of these positions is a
// place from which somebody goes on reading the log.
var noKeepers = []string{
	// This is the position of the event that the parked work follows from.
	"commands.parked position",
	"eventstore.events position", "eventstore.head position", // the log itself
	"gateway.parked place_commit", "gateway.parked place_prepare", // the event that is parked
}

// keeper is somebody who keeps a place in the log: a row of a table.
type keeper struct {
	table, row, name string
	anchor           eventstore.Anchor
}

// keepers returns all keepers in the node's database. It finds them by SQL alone, without the
// program's code.
func (d *divergence) keepers() (all []keeper) {
	d.Helper()
	columns, _ := d.node.Query(d.Context(), `SELECT table_schema || '.' || table_name || ' ' || column_name FROM information_schema.columns
		WHERE table_schema NOT IN ('pg_catalog', 'information_schema', 'earlier', 'latest', 'read') AND table_schema NOT LIKE 'view\_%'
		AND (column_name LIKE '%anchor%' OR column_name LIKE '%position%' OR column_name LIKE '%checkpoint%' OR column_name LIKE 'place%')`) // its error is CollectRows'
	found, err := pgx.CollectRows(columns, pgx.RowTo[string])
	if err != nil {
		d.Fatal(err)
	}
	for _, column := range found {
		table, _, _ := strings.Cut(column, " ")
		if _, known := keeperTables[table]; !known && !slices.Contains(noKeepers, column) {
			d.Errorf("the column %s may keep a place in the log, but this test does not list it", column)
		}
	}
	for table, is := range keeperTables {
		rows, _ := d.node.Query(d.Context(), `SELECT ctid::text, `+is.name+`, anchor FROM `+table) // its error is CollectRows'
		kept, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (keeper, error) {
			k := keeper{table: table}
			var anchor string
			err := row.Scan(&k.row, &k.name, &anchor)
			if err == nil {
				k.anchor, err = eventstore.ParseAnchor(anchor)
			}
			return k, err
		})
		if err != nil {
			d.Fatal(err)
		}
		all = append(all, kept...)
	}
	return all
}

// compares opens the log as each start of the program does, and compares it with all
// places that are kept.
func (d *divergence) compares() error {
	d.Helper()
	cfg := nodeConfig{Views: options{Country: "GB", Currency: "GBP"}.views()}
	if at := slices.Index(d.args, "--kurrentdb-url"); at >= 0 {
		cfg.KurrentDB = d.args[at+1]
	}
	log, err := openLog(d.Context(), d.node, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		d.Fatal(err)
	}
	defer func() {
		if err := log.Close(d.Context()); err != nil {
			d.Error(err)
		}
	}()
	return log.Check(d.Context())
}

// readNotes makes the gateway's groups read: one of a stream, one of the whole log.
func readNotes(t *testing.T, gateway string) {
	t.Helper()
	client := dialGateway(t, gateway)
	settings := esdb.SubscriptionSettingsDefault()
	settings.CheckpointLowerBound, settings.CheckpointUpperBound = 1, 1
	if _, err := client.AppendToStream(t.Context(), "notes", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, note(1), note(2)); err != nil {
		t.Fatal(err)
	}
	if err := client.CreatePersistentSubscription(t.Context(), "notes", "some", esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}, Settings: &settings}); err != nil {
		t.Fatal(err)
	}
	take(t, client, "some", 2)
	if err := client.CreatePersistentSubscriptionToAll(t.Context(), "every", esdb.PersistentAllSubscriptionOptions{StartFrom: esdb.Start{}, Settings: &settings}); err != nil {
		t.Fatal(err)
	}
	every, err := client.SubscribeToPersistentSubscriptionToAll(t.Context(), "every", esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer every.Close()
	for handled := 0; handled < 5; {
		message := every.Recv()
		if message.SubscriptionDropped != nil {
			t.Fatal(message.SubscriptionDropped.Error)
		}
		if message.EventAppeared == nil {
			continue
		}
		if err := every.Ack(message.EventAppeared.Event); err != nil {
			t.Fatal(err)
		}
		handled++
	}
}

// Every keeper stores an anchor with its place as soon as the place moves. For each keeper alone,
// the test makes a log that has another event at this keeper's place and is otherwise the same. The
// program must notice that this is another log.
func TestEachPlaceAloneIsEnoughToFindAnotherLog(t *testing.T) {
	t.Parallel()
	onEachLog(t, func(d *divergence) {
		server := serve(d.T, slices.Concat(d.args, d.also)...)
		d.story(server)
		want := []string{"commands.checkpoints processes", "commands.checkpoints answers", "commands.checkpoints seen"}
		for _, view := range viewNames() {
			want = append(want, "projections.builds "+view+" active")
		}
		if server.gateway != "" {
			readNotes(d.T, server.gateway)
			want = append(want, "gateway.groups notes some", "gateway.groups $all every")
			eventually(d.T, patience, "both groups have a checkpoint", func() bool {
				return !holds(d.T, d.node, `SELECT FROM gateway.groups WHERE checkpoint_commit IS NULL`)
			})
		}
		server.stop()
		server.exit(d.T)

		events := d.latest(len(want) + 1)
		if err := commandspg.KeepSeen(d.Context(), d.node, events[0]); err != nil {
			d.Fatal(err)
		}
		keepers := d.keepers()
		var got []string
		for _, k := range keepers {
			got = append(got, k.table+" "+k.name)
			if k.anchor.IsZero() {
				d.Errorf("%s %s has moved and keeps no event", k.table, k.name)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			d.Fatalf("places are kept by\n%q, want\n%q", got, want)
		}

		// Each keeper's place is moved to another event.
		for i, k := range keepers {
			if _, err := d.node.Exec(d.Context(), `UPDATE `+k.table+` SET anchor = $2, `+keeperTables[k.table].move+` WHERE ctid = $3::tid`,
				events[i].Position.String(), events[i].String(), k.row); err != nil {
				d.Fatal(err)
			}
		}
		if err := d.compares(); err != nil {
			d.Fatalf("the same log: %v", err)
		}
		for i, k := range keepers {
			put := func(id string) {
				d.away(func() {
					d.change(fmt.Sprintf(`UPDATE eventstore.events SET event_id = '%s' WHERE stream = '%s' AND revision = %d`, id, events[i].Stream, events[i].Revision))
				})
			}
			put("00000000-0000-4000-8000-000000000001")
			err := d.compares()
			if diverged, is := errors.AsType[*eventstore.DivergedError](err); !is || diverged.At != events[i].Position {
				d.Errorf("another event is at %s, the place of %s %s; the comparison says %v", events[i].Position, k.table, k.name, err)
			}
			put(events[i].ID.String())
		}
		if err := d.compares(); err != nil {
			d.Errorf("the same log again: %v", err)
		}
	})
}

// latest are the anchors of the latest events of the log.
func (d *divergence) latest(count int) (all []eventstore.Anchor) {
	d.Helper()
	log, err := eventstorepg.Open(d.Context(), d.pool, eventstorepg.Options{})
	if err != nil {
		d.Fatal(err)
	}
	defer func() { _ = log.Close(d.Context()) }()
	for e, err := range log.ReadAllBackwards(d.Context(), eventstore.End, eventstore.Filter{}, count) {
		if err != nil {
			d.Fatal(err)
		}
		all = append(all, eventstore.AnchorOf(&e))
	}
	return all
}
