package verify_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	commandspg "daybook/commands/postgres"
	"daybook/commands/reactor"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/kurrentdb"
	"daybook/eventstore/memory"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/pgtest"
	"daybook/internal/verify"
	"daybook/projections"
	"daybook/projections/salesview"
	"daybook/projections/views"
	"daybook/projections/viewtest"
)

// kind is what the walk needs to know of an aggregate.
type kind struct {
	types []string
	// state folds a stream of it anew.
	state func(s *commands.Service, stream string) (state any, revision int64, err error)
	// live are the ids of those that the story leaves behind and that still take command,
	// which begin is how one is begun, in a stream that holds something already.
	live   []string
	demand func(s *shop, id string, at *int64) error
	only   string // an id that the story does not use
	begin  func(s *shop)
}

func stateOf[ID, S any](ctx context.Context, read func(context.Context, ID, func(S, int64)) error, id ID) (state any, revision int64, err error) {
	err = read(ctx, id, func(s S, at int64) { state, revision = s, at }) // no command follows that could change it
	return state, revision, err
}

func kinds(t *testing.T) map[string]kind {
	t.Helper()
	ctx := t.Context()
	all := map[string]kind{
		product.Category: {
			types: product.Types(), live: []string{"MUG", "TRAY"}, only: "ONLY",
			state: func(s *commands.Service, stream string) (any, int64, error) {
				return stateOf(ctx, s.ViewProduct, unit.SKU(strings.TrimPrefix(stream, product.Stream(""))))
			},
			demand: func(s *shop, id string, at *int64) error {
				_, err := s.Product(ctx, ifAt(at), unit.SKU(id), product.SetPrice{Price: gbp("9.99")})
				return err
			},
			begin: func(s *shop) { s.list("ONLY", unit.Stocked, "1.00", 0) },
		},
		cart.Category: {
			types: cart.Types(), live: []string{"open"}, only: "x",
			state: func(s *commands.Service, stream string) (any, int64, error) {
				return stateOf(ctx, s.ViewCart, unit.CartID(strings.TrimPrefix(stream, cart.Stream(""))))
			},
			demand: func(s *shop, id string, at *int64) error {
				_, err := s.AddLines(ctx, ifAt(at), unit.CartID(id), nil, []commands.WantedLine{want("TRAY", 1)})
				return err
			},
			begin: func(s *shop) { s.fill("x", "17850", want("TRAY", 1)) },
		},
		order.Category: {
			types: order.Types(), live: []string{"36365", "36367", "36368"}, only: "zzz",
			state: func(s *commands.Service, stream string) (any, int64, error) {
				return stateOf(ctx, s.ViewOrder, unit.OrderID(strings.TrimPrefix(stream, order.Stream(""))))
			},
			demand: func(s *shop, id string, at *int64) error {
				_, err := s.Order(ctx, ifAt(at), unit.OrderID(id), order.RecordTransaction{TransactionID: "paid", Type: order.Capture, State: order.Succeeded, Amount: gbp("0.01")})
				return err
			},
			begin: func(s *shop) { s.checkout("zzz", autumn, want("TRAY", 1)) },
		},
		returns.Category: {
			types: returns.Types(), live: []string{"r4"}, only: "theirs",
			state: func(s *commands.Service, stream string) (any, int64, error) {
				return stateOf(ctx, s.ViewReturn, unit.ReturnID(strings.TrimPrefix(stream, returns.Stream(""))))
			},
			demand: func(s *shop, id string, at *int64) error {
				_, err := s.Return(ctx, ifAt(at), unit.ReturnID(id), returns.Approve{})
				return err
			},
			begin: func(s *shop) { s.must(s.Return(ctx, call(autumn), "theirs", requestOf("theirs"))) },
		},
		stock.Category: {
			types: stock.Types(), live: []string{"MUG@main", "TRAY@main"}, only: "ONLY@main",
			state: func(s *commands.Service, stream string) (any, int64, error) {
				key, err := stock.ParseStream(stream)
				if err != nil { // it names no stock that anybody could ask for
					return stock.State{}, -1, nil //nolint:nilerr // so there is none
				}
				return stateOf(ctx, s.ViewStock, key)
			},
			demand: func(s *shop, id string, at *int64) error {
				sku, _, _ := strings.Cut(id, "@")
				_, err := s.MoveStock(ctx, ifAt(at), key(unit.SKU(sku)), stock.Receive{At: s.At(key(unit.SKU(sku))), Quantity: 1, Document: "more"})
				return err
			},
			begin: func(s *shop) {
				s.must(s.MoveStock(ctx, call(autumn), key("ONLY"), stock.Receive{At: s.At(key("ONLY")), Quantity: 3}))
			},
		},
	}
	codecs, err := filepath.Glob("../../domain/*/codec.go")
	if err != nil || len(codecs) != len(all) {
		t.Fatalf("the domain has %d codecs (%v), and this test knows of %d", len(codecs), err, len(all))
	}
	return all
}

func ifAt(revision *int64) commands.Call {
	c := call(autumn)
	if revision != nil {
		c.If = aggregate.AtRevision(*revision)
	}
	return c
}

func requestOf(id string) returns.Request {
	return returns.Request{
		ReturnID: unit.ReturnID(id), CustomerID: "17850", Currency: "GBP", Country: "EIRE",
		Lines: []returns.Line{{SKU: "POST", Kind: unit.Service, Quantity: 1, Price: gbp("2.55")}},
	}
}

// foreignShop is a node at work on a log: its command side, reactor and read models.
type foreignShop struct {
	*shop
	log     eventstore.Store
	parking commandspg.Parking
	written []eventstore.Recorded // by another program
	service func() *commands.Service
}

func newForeignShop(t *testing.T, log eventstore.Store) *foreignShop {
	t.Helper()
	pool := pgtest.New(t)
	for _, err := range []error{projections.Migrate(t.Context(), pool), commandspg.Migrate(t.Context(), pool)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	all := views.All(salesview.Options{Location: time.UTC, Country: "United Kingdom", Currency: "GBP"})
	quiet := slog.New(slog.DiscardHandler)
	runner, err := projections.New(projections.Config{Store: log, Pool: pool, Views: all, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	s := &foreignShop{
		log: log, parking: commandspg.Parking{Pool: pool},
		shop: &shop{Bench: &viewtest.Bench{TB: t, Pool: pool, Runner: runner}, where: time.UTC},
		service: func() *commands.Service {
			return commands.NewService(log, commands.DefaultPolicy(), time.Now, aggregate.Options{})
		},
	}
	s.Service = s.service()
	reactor := &reactor.Reactor{
		Store: log, Journal: commandspg.Journal{Pool: pool, Reader: commandspg.ReactorReader}, Parking: s.parking, Finisher: s.Service, Logger: quiet,
		Grace: 100 * time.Millisecond, CartsExpireAfter: commands.DefaultPolicy().CartsExpireAfter,
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 2)
	go func() { ended <- runner.Run(ctx) }()
	go func() { ended <- reactor.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		s.Close(context.WithoutCancel(t.Context()))
	})
	return s
}

// settled waits until the read models hold the whole log.
func (s *foreignShop) settled() {
	s.Helper()
	head, err := s.log.Head(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	if err := s.Runner.WaitFor(ctx, head); err != nil {
		s.Fatal(err)
	}
}

// allParked waits until so much is parked as another program has written.
func (s *foreignShop) allParked() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 30*time.Second)
	defer cancel()
	for {
		n, err := s.parking.CountParked(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		if n >= int64(len(s.written)) {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return // foreignIsTold says which are missing
		}
	}
}

// write appends events as another program does.
func (s *foreignShop) write(stream, eventType string, data ...string) {
	s.Helper()
	for _, d := range data {
		event := eventstore.Event{ID: uuid.New(), Type: eventType, Data: []byte(d), Meta: []byte(`{"command_id":"6ba7b810-9dad-41d1-80b4-00c04fd430c8"}`)}
		result, err := s.log.Append(s.Context(), stream, eventstore.Any, []eventstore.Event{event})
		if err != nil {
			s.Fatal(err)
		}
		s.written = append(s.written, eventstore.Recorded{Event: event, Stream: stream, Revision: result.Revision})
	}
}

// samples are data with which another program may write a type: of its own making, and as
// the shop writes it.
func (s *foreignShop) samples(eventType string) []string {
	s.Helper()
	data := []string{`{"a":1}`}
	files, err := filepath.Glob("../../domain/*/testdata/" + eventType + "*.json")
	if err != nil || len(files) == 0 {
		s.Fatal(eventType, files, err)
	}
	for _, file := range files {
		sample, err := os.ReadFile(file)
		if err != nil {
			s.Fatal(err)
		}
		data = append(data, string(sample))
	}
	return data
}

// rows are the fingerprints of all views.
func (s *foreignShop) rows() map[string]string {
	s.Helper()
	rows := map[string]string{}
	for _, view := range s.config().Views {
		content, _, err := s.Runner.Fingerprint(s.Context(), view.Name, 0)
		if err != nil {
			s.Fatal(err)
		}
		rows[view.Name] = content
	}
	return rows
}

func (s *foreignShop) sameRows(when string, before map[string]string) {
	s.Helper()
	for view, content := range s.rows() {
		if content != before[view] {
			s.Errorf("%s, the view %s is %s, and was %s", when, view, content, before[view])
		}
	}
}

func (s *foreignShop) verify() *verify.Report {
	s.Helper()
	config := s.config()
	config.Store = s.log
	report, err := verify.Run(s.Context(), config)
	if err != nil {
		s.Fatal(err)
	}
	return report
}

// folded is what an aggregate comes to.
type folded struct {
	state    any
	revision int64
}

// onEachEngine runs a test over a log of each engine.
func onEachEngine(t *testing.T, test func(s *foreignShop)) {
	t.Helper()
	t.Parallel()
	for engine, open := range map[string]func(t *testing.T) eventstore.Store{
		"memory": func(*testing.T) eventstore.Store { return memory.New() },
		"PostgreSQL": func(t *testing.T) eventstore.Store {
			pool := pgtest.New(t)
			if err := eventstorepg.Migrate(t.Context(), pool); err != nil {
				t.Fatal(err)
			}
			log, err := eventstorepg.Open(t.Context(), pool, eventstorepg.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { log.Close(context.WithoutCancel(t.Context())) })
			return log
		},
		"KurrentDB": func(t *testing.T) eventstore.Store {
			server, err := gateway.New(memory.New(), gateway.Options{})
			if err != nil {
				t.Fatal(err)
			}
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go server.Serve(listener) //nolint:errcheck // its client tells
			log, err := kurrentdb.Open(t.Context(), "esdb://"+listener.Addr().String()+"?tls=false", kurrentdb.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
				defer cancel()
				log.Close(ctx)
				server.Close(ctx)
			})
			return log
		},
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			test(newForeignShop(t, open(t)))
		})
	}
}

// Every type of every aggregate, written by another program into its live streams: no
// state changes and no row, commands go on, and each such event is parked and a difference.
func TestAnEventThatAnotherProgramWroteChangesNothing(t *testing.T) {
	onEachEngine(t, func(s *foreignShop) {
		t := s.TB.(*testing.T) //nolint:forcetypeassert // onEachEngine made it
		s.trade()
		s.fill("open", "17850", want("MUG", 1))
		s.must(s.Return(t.Context(), call(autumn), "r4", requestOf("r4")))
		s.settled()
		s.wantClean(s.verify())
		before, states, words := s.rows(), map[string]folded{}, map[string]string{}
		fresh := s.service()
		all := kinds(t)
		for category, k := range all {
			for _, id := range k.live {
				stream := category + "-" + id
				state, revision, err := k.state(fresh, stream)
				if err != nil {
					t.Fatal(err)
				}
				states[stream] = folded{state, revision}
				if state, _, err = k.state(s.Service, stream); err != nil {
					t.Fatal(err)
				}
				words[stream] = fmt.Sprintf("%+v", state) // it is the service's own, which goes on with it
			}
		}
		for category, k := range all {
			for _, id := range k.live {
				for _, eventType := range k.types {
					s.write(category+"-"+id, eventType, s.samples(eventType)...)
				}
			}
		}
		s.settled()
		s.sameRows("after another program wrote", before)
		another := s.service()
		for category, k := range all {
			for _, id := range k.live {
				stream := category + "-" + id
				state, revision, err := k.state(another, stream)
				if err != nil || revision != states[stream].revision || !reflect.DeepEqual(state, states[stream].state) {
					t.Errorf("another node: %s is %+v at %d (%v), and was %+v", stream, state, revision, err, states[stream])
				}
				state, revision, err = k.state(s.Service, stream)
				if now := fmt.Sprintf("%+v", state); err != nil || revision != states[stream].revision || now != words[stream] {
					t.Errorf("the node that knew it: %s is %s at %d (%v), and was %s", stream, now, revision, err, words[stream])
				}
			}
		}
		s.foreignIsTold()

		for category, k := range all {
			for _, id := range k.live {
				at := states[category+"-"+id].revision // as a client has it from a read model
				if err := k.demand(s.shop, id, &at); err != nil {
					t.Errorf("%s-%s takes no command: %v", category, id, err)
				}
			}
		}
		s.settled()
		s.foreignIsTold()
		after := s.rows()
		for _, view := range s.config().Views {
			if err := s.Runner.Rebuild(t.Context(), view.Name); err != nil {
				t.Fatal(err)
			}
		}
		s.sameRows("built anew", after)
	})
}

// foreignIsTold wants each event of another program to be parked and to be a difference, and
// nothing else to be either.
func (s *foreignShop) foreignIsTold() {
	s.Helper()
	s.allParked()
	parked := map[string]reactor.Process{}
	for after := uuid.Nil; ; {
		page, err := s.parking.Parked(s.Context(), after, 500)
		if err != nil {
			s.Fatal(err)
		}
		for _, p := range page {
			parked[fmt.Sprint(p.Stream, " ", p.Revision)] = p
			after = p.ID
		}
		if len(page) < 500 {
			break
		}
	}
	if len(parked) != len(s.written) {
		s.Errorf("%d events are parked, another program has written %d", len(parked), len(s.written))
	}
	for _, e := range s.written {
		p := parked[fmt.Sprint(e.Stream, " ", e.Revision)]
		if p.Kind != "event" || !strings.Contains(p.Reason, "another program wrote "+e.Type+" at revision ") || !strings.Contains(p.Reason, e.Stream) {
			s.Errorf("%s at revision %d of %s is parked as %+v", e.Type, e.Revision, e.Stream, p)
		}
	}
	report := s.verify()
	found := differences(report)
	if names := slices.Sorted(maps.Keys(found)); !slices.Equal(names, []string{readable, "processes: nothing is parked"}) {
		s.Errorf("differences of %q: %q", names, found)
	}
	if report.Differences != int64(2*len(s.written)) {
		s.Errorf("%d differences, want each of %d events twice", report.Differences, len(s.written))
	}
	for _, words := range found[readable] {
		if !strings.Contains(words, "another program wrote ") {
			s.Errorf("the difference does not say why: %s", words)
		}
	}
}

// A stream of each kind that holds only events of another program is nothing of the shop's:
// one difference with its name, no row, and what is begun in it afterwards is as it should be.
func TestAStreamThatHoldsOnlyEventsOfAnotherProgramIsOneDifference(t *testing.T) {
	onEachEngine(t, func(s *foreignShop) {
		t := s.TB.(*testing.T) //nolint:forcetypeassert // onEachEngine made it
		s.trade()
		s.settled()
		before, all := s.rows(), kinds(t)
		var streams []string
		for category, k := range all {
			ids := []string{k.only, "p-7"}
			if category == stock.Category {
				ids = append(ids, "A@B")
			}
			for _, id := range ids {
				stream := category + "-" + id
				streams = append(streams, stream)
				for _, eventType := range k.types {
					s.write(stream, eventType, s.samples(eventType)...)
				}
				if state, revision, err := k.state(s.Service, stream); err != nil || revision != -1 || !reflect.ValueOf(state).IsZero() {
					t.Errorf("%s is %+v at revision %d (%v), want none", stream, state, revision, err)
				}
			}
		}
		s.settled()
		s.sameRows("after another program wrote", before)
		s.allParked()
		report := s.verify()
		var named []string
		for _, check := range report.Checks {
			if check.Name != ownNames {
				continue
			}
			if check.Differences != int64(len(streams)) {
				t.Errorf("%d streams are named, want %d", check.Differences, len(streams))
			}
			named = check.First
		}
		for _, words := range named {
			if !slices.ContainsFunc(streams, func(stream string) bool {
				return strings.HasPrefix(words, "stream "+stream+" has a name of the shop's, and none of its ")
			}) || !strings.Contains(words, "another program wrote ") {
				t.Errorf("named as %q", words)
			}
		}
		if others := report.Differences - int64(len(streams)+len(s.written)); others != 0 {
			t.Errorf("%d further differences: %q", others, differences(report))
		}

		for _, category := range slices.Sorted(maps.Keys(all)) {
			all[category].begin(s.shop)
		}
		s.settled()
		found := differences(s.verify())
		for _, check := range []string{readable, ownNames, "processes: nothing is parked"} {
			delete(found, check)
		}
		if len(found) > 0 {
			t.Errorf("with what was begun there, the books differ: %q", found)
		}
		after := s.rows()
		if before["orders"] == after["orders"] || before["carts"] == after["carts"] || before["products"] == after["products"] || before["stock"] == after["stock"] {
			t.Error("what was begun is in no view")
		}
		for _, view := range s.config().Views {
			if err := s.Runner.Rebuild(t.Context(), view.Name); err != nil {
				t.Fatal(err)
			}
		}
		s.sameRows("built anew", after)
	})
}
