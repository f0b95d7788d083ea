package commands

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// unindexed is a log that keeps no index of ids, as KurrentDB: it knows events
// by their ids only at the place where an append expects them.
type unindexed struct{ eventstore.Store }

func (u unindexed) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	result, err := u.Store.Append(ctx, stream, expected, events)
	if _, duplicate := errors.AsType[*eventstore.DuplicateEventError](err); !duplicate {
		return result, err
	}
	renamed := make([]eventstore.Event, len(events))
	for i, event := range events {
		event.ID = uuid.New()
		renamed[i] = event
	}
	return u.Store.Append(ctx, stream, expected, renamed)
}

// Each kind of command is forgotten for later ones of its own kind only, whether
// it was carried out here or read from the log.
func TestTheLatestCommandsOfEachKindAreRemembered(t *testing.T) {
	t.Parallel()
	limits := Options{}.withDefaults().limits()
	const pairs = 4096 + 10
	here, folded := commandMemory{limits: limits}, commandMemory{limits: limits}
	read := reading{memory: &folded}
	var ids [2 * pairs]uuid.UUID
	for i := range ids {
		ids[i] = uuid.New()
		meta, err := eventstore.Metadata{CommandID: ids[i]}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		guarded := i%2 == 1
		here.add(receipt{Command: ids[i], Revision: int64(i)}, guarded)
		read.add(eventstore.Recorded{Revision: int64(i), Event: eventstore.Event{ID: EventID(ids[i], 0), Meta: meta}}, guarded)
	}
	read.end()
	for name, memory := range map[string]commandMemory{"carried out": here, "read": folded} {
		for i, id := range ids {
			want := i/2 >= pairs-limits.done
			if i%2 == 1 {
				want = i/2 >= pairs-limits.guarded
			}
			// What is not found is known to be forgotten, but for what the state guards.
			if forgotten := memory.hasForgotten(id); forgotten != (!want && i%2 == 0) {
				t.Fatalf("%s: command %d of %d: forgotten: %v", name, i, len(ids), forgotten)
			}
			if found, known := memory.find(id); known != want || known && found.Revision != int64(i) {
				t.Fatalf("%s: command %d of %d: found %+v, %v; want %v", name, i, len(ids), found, known, want)
			}
		}
	}
}

var mugs = stock.Key{SKU: "MUG", Location: unit.DefaultLocation}

// crowd is more commands on the mugs than a handler remembers of the kind that
// states keep from being recorded twice: reservations, and a large order's
// parcels, of which there are more than a stock remembers.
func crowd(t *testing.T, service *Service) {
	t.Helper()
	at := service.At(mugs)
	const parcels = 1100
	commands := []stock.Command{stock.Allocate{At: at, OrderID: "large", Quantity: parcels}}
	for i := range parcels {
		commands = append(commands, stock.Ship{At: at, OrderID: "large", ShipmentID: unit.ShipmentID(fmt.Sprint("parcel-", i)), Quantity: 1})
	}
	for i := range 512 {
		order := unit.OrderID(fmt.Sprint("small-", i))
		commands = append(commands, stock.Reserve{
			At: at, ReservationID: stock.ReservationIDFor(order, mugs.SKU, mugs.Location), OrderID: order, Quantity: 1, ExpiresAt: at.Now.Add(time.Hour),
		})
	}
	for _, command := range commands {
		if _, err := service.MoveStock(t.Context(), Call{Meta: eventstore.Metadata{CommandID: uuid.New()}}, mugs, command); err != nil {
			t.Fatal(err)
		}
	}
}

// What no state guards is known by the handler's memory alone where the log
// keeps no index of ids, through any number of reservations and shipments.
func TestWhatNoStateGuardsIsRecordedOnceWithoutAnIndexOfIDs(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	at := stock.At{Key: mugs, Now: noon}
	for name, test := range map[string]struct {
		command stock.Command
		undo    stock.Command // done in between
		process bool          // who asks is a process, which asks the rules each time
	}{
		"receive":                  {command: stock.Receive{At: at, Quantity: 5}},
		"adjust":                   {command: stock.Adjust{At: at, Change: -5, Reason: stock.Shrinkage}},
		"count":                    {command: stock.Count{At: at, Expected: 10_000, Counted: 10_000}},
		"move":                     {command: stock.Move{At: at, From: stock.Available, To: stock.Damaged, Quantity: 5}},
		"take back":                {command: stock.TakeBack{At: at, ReturnID: "r1", Quantity: 5, Condition: stock.Damaged}},
		"take back, by a process":  {command: stock.TakeBack{At: at, ReturnID: "r1", Quantity: 5, Condition: stock.Damaged}, process: true},
		"transfer out":             {command: stock.TransferOut{At: at, TransferID: "t1", To: "shop", Quantity: 5}},
		"transfer in":              {command: stock.TransferIn{At: at, TransferID: "t1", From: "shop", Quantity: 5}},
		"allocate":                 {command: stock.Allocate{At: at, OrderID: "o2", Quantity: 1}, undo: stock.Deallocate{At: at, OrderID: "o2", Quantity: 1}},
		"deallocate":               {command: stock.Deallocate{At: at, OrderID: "o1", Ref: "cancel", Quantity: 1}},
		"deallocate, by a process": {command: stock.Deallocate{At: at, OrderID: "o1", Ref: "cancel", Quantity: 1}, process: true},
		"set the policy":           {command: stock.SetPolicy{At: at, Policy: stock.Policy{SafetyStock: 7}}, undo: stock.SetPolicy{At: at}},
		"cross the reorder point":  {command: stock.Adjust{At: at, Change: -6000, Reason: stock.Shrinkage}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, snapshots := unindexed{memory.New()}, &shelf{saved: map[string]Snapshot{}}
			open := func(options Options) *Service {
				return NewService(store, DefaultPolicy(), func() time.Time { return noon }, options)
			}
			ask := func(service *Service, id uuid.UUID, commands ...stock.Command) Answer[stock.Event] {
				t.Helper()
				answer, err := service.Stock.Handle(t.Context(), Request[stock.Command]{
					Stream: stock.Stream(mugs.SKU, mugs.Location), Meta: eventstore.Metadata{CommandID: id},
					Commands: commands, Redecide: test.process,
				})
				if err != nil {
					t.Fatal(err)
				}
				return answer
			}
			first, id := open(Options{Snapshots: snapshots}), uuid.New()
			ask(first, uuid.New(), stock.SetPolicy{At: at, Policy: stock.Policy{ReorderPoint: 5000}},
				stock.Receive{At: at, Quantity: 10_000}, stock.Allocate{At: at, OrderID: "o1", Quantity: 9})
			was := ask(first, id, test.command)
			if test.undo != nil {
				ask(first, uuid.New(), test.undo)
			}
			crowd(t, first)
			if err := first.Close(t.Context()); err != nil { // waits for the snapshots
				t.Fatal(err)
			}
			head, err := store.Head(t.Context())
			if err != nil || len(was.Events) == 0 || len(snapshots.saved) == 0 {
				t.Fatalf("head %s, %v; recorded %v; %d snapshots", head, err, was.Events, len(snapshots.saved))
			}
			for node, options := range map[string]Options{"from a snapshot": {Snapshots: snapshots}, "from the log": {}} {
				again := ask(open(options), id, test.command)
				if test.process && !again.Replayed && len(again.Events) == 0 {
					continue // the state says that it is so
				}
				if !again.Replayed || again.Revision != was.Revision || again.Position != was.Position || len(again.Events) > 0 {
					t.Errorf("%s: asked again, answered %+v; want revision %d replayed", node, again, was.Revision)
				}
			}
			if now, err := store.Head(t.Context()); err != nil || now != head {
				t.Errorf("the log ends at %s, %v, and ended at %s: it was recorded again", now, err, head)
			}
		})
	}
}
