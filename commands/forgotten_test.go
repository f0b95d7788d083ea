package commands_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/internal/shoptest"
	"daybook/domain/access"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/logtest"
	"daybook/eventstore/memory"
)

// withAndWithoutIndex runs a test with the engines that have an index of event ids, and with a log
// in memory that has none, like KurrentDB. With KurrentDB itself these tests would take too long.
func withAndWithoutIndex(t *testing.T, test func(t *testing.T, store eventstore.Store)) {
	onIndexedStores(t, test)
	t.Run("no index of ids", func(t *testing.T) { t.Parallel(); test(t, logtest.Unindexed{Store: memory.New()}) })
}

// flood makes a stock forget what happened before: more reservations end, more movements
// are made and more commands are given than it remembers of each.
func flood(t *testing.T, service *commands.Service, key stock.Key) {
	t.Helper()
	const orders = 4200
	at, flood := service.At(key), uuid.NewString()
	var batch []stock.Command
	give := func() {
		t.Helper()
		if _, err := service.MoveStock(t.Context(), commands.Call{Who: access.Everyone, Meta: eventstore.Metadata{CommandID: uuid.New()}}, key, batch...); err != nil {
			t.Fatal(err)
		}
		batch = nil
	}
	for i := range orders {
		id := unit.OrderID(fmt.Sprint(flood, "-", i))
		reservation := stock.ReservationIDFor(id, key.SKU, key.Location)
		batch = append(batch,
			stock.Reserve{At: at, ReservationID: reservation, OrderID: id, Quantity: 1, ExpiresAt: at.Now.Add(time.Hour)},
			stock.Commit{At: at, ReservationID: reservation},
			stock.Ship{At: at, OrderID: id, ShipmentID: "s", Quantity: 1})
		if len(batch) >= 900 {
			give()
		}
	}
	var receipts sync.WaitGroup
	for range 64 {
		receipts.Go(func() {
			for range 66 {
				receive := commands.Call{Who: access.Everyone, Meta: eventstore.Metadata{CommandID: uuid.New()}}
				if _, err := service.MoveStock(t.Context(), receive, key, stock.Receive{At: at, Quantity: 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	receipts.Wait()
}

// forgettable is a command on the mugs. Each command is about its own order, which has 9 mugs
// allocated and 4 more reserved.
type forgettable struct {
	command stock.Command
	undo    stock.Command // sent between the first time and the second, so that the state no longer shows the first; nil for some
	// each means that the command makes another change under each command id, because nothing in
	// its content identifies the change. Example: two receipts of 5 units are two deliveries.
	each bool
	was  aggregate.Result[stock.Event]
	id   uuid.UUID
}

func forgettables(at stock.At) map[string]*forgettable {
	soon, late := at.Now.Add(time.Hour), at.Now.Add(3*time.Hour)
	later := stock.At{Key: at.Key, Now: at.Now.Add(90 * time.Minute)}
	return map[string]*forgettable{
		"Receive": {command: stock.Receive{At: at, Quantity: 5}, each: true},
		"Adjust":  {command: stock.Adjust{At: at, Change: -5, Reason: stock.Shrinkage}, each: true},
		"Reserve": {
			command: stock.Reserve{At: at, ReservationID: "r-new", OrderID: "o-new", Quantity: 2, ExpiresAt: soon},
			undo:    stock.Release{At: at, ReservationID: "r-new"},
		},
		"Extend": {
			command: stock.Extend{At: at, ReservationID: "r-Extend", ExpiresAt: late.Add(time.Hour)},
			undo:    stock.Release{At: at, ReservationID: "r-Extend"},
		},
		"Release":   {command: stock.Release{At: at, ReservationID: "r-Release"}},
		"ExpireDue": {command: stock.ExpireDue{At: later}},
		"Commit": {
			command: stock.Commit{At: at, ReservationID: "r-Commit"},
			undo:    stock.Ship{At: at, OrderID: "o-Commit", ShipmentID: "all", Quantity: 13},
		},
		"Allocate": {
			command: stock.Allocate{At: at, OrderID: "o-new2", Quantity: 3},
			undo:    stock.Ship{At: at, OrderID: "o-new2", ShipmentID: "s2", Quantity: 3},
		},
		"Deallocate":     {command: stock.Deallocate{At: at, OrderID: "o-Deallocate", Ref: "cancel", Quantity: 2}},
		"Ship":           {command: stock.Ship{At: at, OrderID: "o-Ship", ShipmentID: "s1", Quantity: 2}},
		"TakeParcelBack": {command: stock.TakeParcelBack{At: at, OrderID: "o1", ShipmentID: "b1", Quantity: 5, Condition: stock.Damaged}},
		"TakeBack":       {command: stock.TakeBack{At: at, ReturnID: "b1", Quantity: 5, Condition: stock.Damaged}},
		"Move":           {command: stock.Move{At: at, From: stock.Available, To: stock.Damaged, Quantity: 5}, each: true},
		"TransferOut":    {command: stock.TransferOut{At: at, TransferID: "t1", To: "shop", Quantity: 5}},
		"TransferIn":     {command: stock.TransferIn{At: at, TransferID: "t1", From: "shop", Quantity: 5}},
		"SetPolicy": {
			command: stock.SetPolicy{At: at, Policy: stock.Policy{SafetyStock: 7}},
			undo:    stock.SetPolicy{At: at}, each: true,
		},
		"Count": {command: stock.Count{At: at, Expected: 20_000, Counted: 20_000}, each: true},
	}
}

// A command is recognized for ever. If it comes again, it records nothing more. It may come again
// from the same client, from the process whose step it is, or under another command id if its
// content has an id of its own.
func TestNothingIsRefusedOrDoneTwiceBecauseItWasForgotten(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	withAndWithoutIndex(t, func(t *testing.T, store eventstore.Store) {
		stream, at := stock.Stream(mugs.SKU, mugs.Location), stock.At{Key: mugs, Now: noon}
		ask := func(s *commands.Service, id uuid.UUID, redecide bool, commands ...stock.Command) (aggregate.Result[stock.Event], error) {
			return s.StockHandler().Handle(t.Context(), aggregate.Request[stock.Command]{
				Stream: stream, Meta: eventstore.Metadata{CommandID: id, Request: "1.abc"}, Commands: commands, Redecide: redecide,
			})
		}
		service := func() *commands.Service {
			return commands.NewService(store, commands.DefaultPolicy(), func() time.Time { return noon }, aggregate.Options{})
		}
		first := service()
		must := func(id uuid.UUID, commands ...stock.Command) aggregate.Result[stock.Event] {
			t.Helper()
			answer, err := ask(first, id, false, commands...)
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
		tests, names := forgettables(at), commandsOf(t, "stock")
		must(uuid.New(), stock.Receive{At: at, Quantity: 20_000})
		for _, name := range names {
			id, ends := unit.OrderID("o-"+name), noon.Add(3*time.Hour)
			if name == "ExpireDue" {
				ends = noon.Add(time.Hour)
			}
			must(uuid.New(), stock.Allocate{At: at, OrderID: id, Quantity: 9},
				stock.Reserve{At: at, ReservationID: unit.ReservationID("r-" + name), OrderID: id, Quantity: 4, ExpiresAt: ends})
		}
		for _, name := range names { // Count comes early, because the stock must still be as it was received
			test := tests[name]
			if test == nil {
				t.Fatalf("%s has no row here", name)
			}
			if count, counts := test.command.(stock.Count); counts {
				must(uuid.New(), stock.ExpireDue{At: at})
				view(t, first, func(s stock.State) { count.Expected, count.Counted = s.OnHand(), s.OnHand() })
				test.command = count
			}
			test.id = uuid.New()
			if test.was = must(test.id, test.command); len(test.was.Events) == 0 {
				t.Fatalf("%s did nothing the first time", name)
			}
			if test.undo != nil {
				must(uuid.New(), test.undo)
			}
		}
		flood(t, first, mugs)
		length := func() (revision int64) {
			t.Helper()
			if err := service().ViewStock(t.Context(), mugs, func(_ stock.State, at int64) { revision = at }); err != nil {
				t.Fatal(err)
			}
			return revision
		}
		before := length()
		if before < 3*4200+4200 {
			t.Fatalf("the stream is at %d: no flood", before)
		}
		afresh := service()
		for _, name := range names {
			test := tests[name]
			again, err := ask(afresh, test.id, false, test.command)
			if err != nil || !again.Replayed || again.Revision != test.was.Revision || again.Position != test.was.Position {
				t.Errorf("%s asked again: %+v, %v; want revision %d replayed", name, again, err, test.was.Revision)
			}
			if again, err = ask(afresh, test.id, true, test.command); err != nil && !endedAsItShould(name, err) || len(again.Events) > 0 {
				t.Errorf("%s asked again by a process: %+v, %v", name, again, err)
			}
			if !test.each {
				if again, err = ask(afresh, uuid.New(), true, test.command); err != nil && !endedAsItShould(name, err) || len(again.Events) > 0 {
					t.Errorf("%s asked again under another id: %+v, %v", name, again, err)
				}
			}
			if after := length(); after != before {
				t.Errorf("%s: %d events were added", name, after-before)
				before = after
			}
		}
	})
}

func view(t *testing.T, service *commands.Service, read func(stock.State)) {
	t.Helper()
	if err := service.ViewStock(t.Context(), stock.Key{SKU: mugs.SKU, Location: mugs.Location}, func(s stock.State, _ int64) { read(s) }); err != nil {
		t.Fatal(err)
	}
}

// commandsOf lists the commands of an aggregate: the types that have the method which seals
// its interface.
func commandsOf(t *testing.T, aggregate string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../domain/"+aggregate+"/command.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, declaration := range file.Decls {
		if method, ok := declaration.(*ast.FuncDecl); ok && method.Recv != nil && method.Name.Name == aggregate+"Command" {
			if of, named := method.Recv.List[0].Type.(*ast.Ident); named {
				names = append(names, of.Name)
			}
		}
	}
	if len(names) == 0 {
		t.Fatalf("%s has no commands", aggregate)
	}
	return names
}

// endedAsItShould tells whether a command got the same refusal as from a fresh memory. A
// reservation that has ended can be neither made nor extended again.
func endedAsItShould(name string, err error) bool {
	return (name == "Reserve" || name == "Extend") && errors.Is(err, stock.ErrReservationEnded) ||
		name == "Count" && errors.Is(err, stock.ErrCountStale)
}

// diesBeforeSettling is the store of a node that dies after a step in stock, and before the order
// records that the step is done.
type diesBeforeSettling struct{ eventstore.Store }

func (d diesBeforeSettling) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if slices.ContainsFunc(events, func(e eventstore.Event) bool { return strings.HasPrefix(e.Type, "order.stock_settled.") }) {
		return eventstore.Result{}, shoptest.ErrDead
	}
	return d.Store.Append(ctx, stream, expected, events)
}

// A driver dies after stock has carried out an order's step. Very much may happen to that
// stock until the step is tried again. Still the step has its effect once, and the order goes
// on.
func TestAStepIsDrivenAgainAfterStockHasForgottenIt(t *testing.T) {
	t.Parallel()
	const id = unit.OrderID("o1")
	withAndWithoutIndex(t, func(t *testing.T, store eventstore.Store) {
		s := open(t, store, commands.DefaultPolicy())
		s.Sell(mugs.SKU, 10_000)
		if err := s.FillCart("c1", map[unit.SKU]unit.Quantity{mugs.SKU: 1}); err != nil {
			t.Fatal(err)
		}
		if result, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c1", OrderID: id}); err != nil || !result.Placed {
			t.Fatalf("checkout: %+v, %v", result, err)
		}
		pay := order.RecordTransaction{TransactionID: "t1", Type: order.Capture, State: order.Succeeded, Amount: s.OrderState(id).Owed()}
		for _, step := range []struct {
			name      string
			commands  []order.Command
			allocated unit.Quantity
			status    order.Status
		}{
			{"confirm", []order.Command{pay, order.Confirm{Now: s.Now()}}, 1, order.StatusConfirmed},
			{"ship", []order.Command{order.Ship{ShipmentID: "s1", Location: mugs.Location}}, 0, order.StatusConfirmed},
		} {
			if _, err := open(t, diesBeforeSettling{store}, commands.DefaultPolicy()).Order(t.Context(), shoptest.NewCall(), id, step.commands...); !errors.Is(err, shoptest.ErrDead) {
				t.Fatalf("%s: %v, want the driver to die", step.name, err)
			}
			flood(t, s.Service, mugs)
			again := open(t, store, commands.DefaultPolicy())
			var before int64
			if err := again.ViewStock(t.Context(), stock.Key{SKU: mugs.SKU, Location: mugs.Location}, func(_ stock.State, at int64) { before = at }); err != nil {
				t.Fatal(err)
			}
			if err := again.FinishOrder(t.Context(), eventstore.Metadata{}, id); err != nil {
				t.Errorf("%s, driven again: %v", step.name, err)
			}
			if now := again.OrderState(id); now.Status != step.status || len(now.Unsettled) > 0 {
				t.Errorf("%s: the order is %s, unsettled %+v", step.name, now.Status, now.Unsettled)
			}
			err := again.ViewStock(t.Context(), stock.Key{SKU: mugs.SKU, Location: mugs.Location}, func(state stock.State, at int64) {
				if state.Allocated() != step.allocated || at != before {
					t.Errorf("%s: %d allocated, want %d; %d events were added", step.name, state.Allocated(), step.allocated, at-before)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		s.Audit()
	})
}

// heldSnapshots keeps the latest snapshot of each stream in memory.
type heldSnapshots struct {
	mu    sync.Mutex
	saved map[string]aggregate.Snapshot
}

func (h *heldSnapshots) Load(_ context.Context, stream string, foldVersion int) (*aggregate.Snapshot, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if found, ok := h.saved[stream]; ok && found.FoldVersion == foldVersion {
		return &found, nil
	}
	return nil, nil
}

func (h *heldSnapshots) Save(_ context.Context, snapshot aggregate.Snapshot) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.saved[snapshot.Stream] = snapshot
	return nil
}

var mugs = stock.Key{SKU: "MUG", Location: unit.DefaultLocation}

// crowd sends more commands on the mugs than a handler remembers: reservations, and the parcels of
// a large order. The state guards all of them. There are also more parcels than a stock remembers.
func crowd(t *testing.T, service *commands.Service) {
	t.Helper()
	at := service.At(mugs)
	const parcels = 1100
	batch := []stock.Command{stock.Allocate{At: at, OrderID: "large", Quantity: parcels}}
	for i := range parcels {
		batch = append(batch, stock.Ship{At: at, OrderID: "large", ShipmentID: unit.ShipmentID(fmt.Sprint("parcel-", i)), Quantity: 1})
	}
	for i := range 512 {
		order := unit.OrderID(fmt.Sprint("small-", i))
		batch = append(batch, stock.Reserve{
			At: at, ReservationID: stock.ReservationIDFor(order, mugs.SKU, mugs.Location), OrderID: order, Quantity: 1, ExpiresAt: at.Now.Add(time.Hour),
		})
	}
	for _, command := range batch {
		if _, err := service.MoveStock(t.Context(), commands.Call{Who: access.Everyone, Meta: eventstore.Metadata{CommandID: uuid.New()}}, mugs, command); err != nil {
			t.Fatal(err)
		}
	}
}

// These commands are not recorded in a state that would notice a repeat. If the log keeps no index
// of ids, only the handler's memory knows them. It must know them even after very many reservations
// and shipments.
func TestStockCommandsAreRecordedOnceWithoutAnIndexOfIDs(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	at := stock.At{Key: mugs, Now: noon}
	for name, test := range map[string]struct {
		command stock.Command
		undo    stock.Command // done in between
		process bool          // the caller is a process, which is decided again each time
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
			store, snapshots := logtest.Unindexed{Store: memory.New()}, &heldSnapshots{saved: map[string]aggregate.Snapshot{}}
			open := func(options aggregate.Options) *commands.Service {
				return commands.NewService(store, commands.DefaultPolicy(), func() time.Time { return noon }, options)
			}
			ask := func(service *commands.Service, id uuid.UUID, commands ...stock.Command) aggregate.Result[stock.Event] {
				t.Helper()
				answer, err := service.StockHandler().Handle(t.Context(), aggregate.Request[stock.Command]{
					Stream: stock.Stream(mugs.SKU, mugs.Location), Meta: eventstore.Metadata{CommandID: id},
					Commands: commands, Redecide: test.process,
				})
				if err != nil {
					t.Fatal(err)
				}
				return answer
			}
			first, id := open(aggregate.Options{Snapshots: snapshots}), uuid.New()
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
			for node, options := range map[string]aggregate.Options{"from a snapshot": {Snapshots: snapshots}, "from the log": {}} {
				again := ask(open(options), id, test.command)
				if test.process && !again.Replayed && len(again.Events) == 0 {
					continue // the state already has the change
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
