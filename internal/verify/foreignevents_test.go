package verify_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
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
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/filestest"
	"daybook/domain/money/coupon"
	"daybook/domain/money/entity"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/staff"
	"daybook/domain/stock"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/gatewaytest"
	"daybook/internal/pgtest"
	"daybook/internal/verify"
	"daybook/projections"
	"daybook/projections/salesview"
	"daybook/projections/views"
	"daybook/projections/viewtest"
)

// aggregateKind is what these tests need to know about a kind of aggregate.
type aggregateKind struct {
	types []string
	// state returns the state that service s has of the stream.
	state func(s *commands.Service, stream string) (state any, revision int64, err error)
	// live are the ids of aggregates that shop.trade begins and that still take commands. command
	// sends a command to the aggregate with an id. If the argument at is not nil, the command is
	// carried out only at this revision.
	live    []string
	command func(s *shop, id string, at *int64) error
	// foreignOnly is an id that shop.trade does not use. begin begins an aggregate with this
	// id, after another program has written into its stream.
	foreignOnly string
	begin       func(s *shop)
}

func stateOf[ID, S any](ctx context.Context, read func(context.Context, ID, func(S, int64)) error, id ID) (state any, revision int64, err error) {
	err = read(ctx, id, func(s S, at int64) { state, revision = s, at }) // the state is not copied, because no command comes after that could change it
	return state, revision, err
}

func aggregateKinds(t *testing.T) map[string]aggregateKind {
	t.Helper()
	ctx := t.Context()
	all := map[string]aggregateKind{
		product.Category: {
			types: product.Types(), live: []string{"MUG", "TRAY"}, foreignOnly: "ONLY",
			state: func(s *commands.Service, stream string) (any, int64, error) {
				return stateOf(ctx, s.ViewProduct, unit.SKU(strings.TrimPrefix(stream, product.Stream(""))))
			},
			command: func(s *shop, id string, at *int64) error {
				_, err := s.Product(ctx, atRevision(at), unit.SKU(id), product.SetPrice{Price: gbp("9.99")})
				return err
			},
			begin: func(s *shop) { s.list("ONLY", unit.Stocked, "1.00", 0) },
		},
		cart.Category: {
			types: cart.Types(), live: []string{"open"}, foreignOnly: "x",
			state: func(s *commands.Service, stream string) (any, int64, error) {
				return stateOf(ctx, s.ViewCart, unit.CartID(strings.TrimPrefix(stream, cart.Stream(""))))
			},
			command: func(s *shop, id string, at *int64) error {
				_, err := s.AddLines(ctx, atRevision(at), unit.CartID(id), nil, []commands.WantedLine{wantedLine("TRAY", 1)})
				return err
			},
			begin: func(s *shop) { s.fillCart("x", "17850", wantedLine("TRAY", 1)) },
		},
		order.Category: {
			types: order.Types(), live: []string{"36365", "36367", "36368"}, foreignOnly: "zzz",
			state: func(s *commands.Service, stream string) (any, int64, error) {
				return stateOf(ctx, s.ViewOrder, unit.OrderID(strings.TrimPrefix(stream, order.Stream(""))))
			},
			command: func(s *shop, id string, at *int64) error {
				_, err := s.Order(ctx, atRevision(at), unit.OrderID(id), order.RecordTransaction{TransactionID: "paid", Type: order.Capture, State: order.Succeeded, Amount: gbp("0.01")})
				return err
			},
			begin: func(s *shop) { s.checkout("zzz", autumn, wantedLine("TRAY", 1)) },
		},
		returns.Category: {
			types: returns.Types(), live: []string{"r4"}, foreignOnly: "theirs",
			state: func(s *commands.Service, stream string) (any, int64, error) {
				return stateOf(ctx, s.ViewReturn, unit.ReturnID(strings.TrimPrefix(stream, returns.Stream(""))))
			},
			command: func(s *shop, id string, at *int64) error {
				_, err := s.Return(ctx, atRevision(at), unit.ReturnID(id), returns.Approve{})
				return err
			},
			begin: func(s *shop) { s.must(s.Return(ctx, callAt(autumn), "theirs", requestOf("theirs"))) },
		},
		stock.Category: {
			types: stock.Types(), live: []string{"MUG@main", "TRAY@main"}, foreignOnly: "ONLY@main",
			state: func(s *commands.Service, stream string) (any, int64, error) {
				key, err := stock.ParseStream(stream)
				if err != nil { // no SKU and location have this stream
					return stock.State{}, -1, nil //nolint:nilerr // so there is no state
				}
				return stateOf(ctx, s.ViewStock, key)
			},
			command: func(s *shop, id string, at *int64) error {
				sku, _, _ := strings.Cut(id, "@")
				_, err := s.MoveStock(ctx, atRevision(at), key(unit.SKU(sku)), stock.Receive{At: s.At(key(unit.SKU(sku))), Quantity: 1, Document: "more"})
				return err
			},
			begin: func(s *shop) {
				s.must(s.MoveStock(ctx, callAt(autumn), key("ONLY"), stock.Receive{At: s.At(key("ONLY")), Quantity: 3}))
			},
		},
	}
	all[customer.Category] = aggregateKind{
		types: customer.Types(), foreignOnly: "theirs",
		state: func(s *commands.Service, stream string) (any, int64, error) {
			return stateOf(ctx, s.ViewCustomer, unit.CustomerID(strings.TrimPrefix(stream, customer.Stream(""))))
		},
		begin: func(s *shop) {
			s.must(s.Customer(ctx, callAt(autumn), "theirs", customer.Register{CustomerID: "theirs"}))
		},
	}
	gone := unit.CustomerID("theirs").Owner()
	all[subject.Category] = aggregateKind{
		types: subject.Types(), foreignOnly: strings.TrimPrefix(subject.Stream(gone), subject.Category+"-"),
		state: func(s *commands.Service, stream string) (state any, revision int64, err error) {
			if stream != subject.Stream(gone) {
				return subject.State{}, -1, nil
			}
			return s.Subject(ctx, gone)
		},
		begin: func(s *shop) {
			s.must(s.Erase(ctx, callAt(autumn), subject.Erased{CustomerID: "theirs", Reason: subject.Requested}))
		},
	}
	all[pricelist.Category] = aggregateKind{
		types: pricelist.Types(), foreignOnly: "theirs",
		state: func(s *commands.Service, stream string) (any, int64, error) {
			return stateOf(ctx, s.ViewPriceList, strings.TrimPrefix(stream, pricelist.Stream("")))
		},
		begin: func(s *shop) {
			s.must(s.PriceList(ctx, callAt(autumn), "theirs", pricelist.Define{ID: "theirs", Kind: pricing.Regular, Currency: "GBP", Mode: pricing.Inclusive}))
		},
	}
	all[shipping.Category] = aggregateKind{
		types: shipping.Types(), foreignOnly: "theirs",
		state: func(s *commands.Service, stream string) (any, int64, error) {
			return stateOf(ctx, s.ViewShippingMethod, strings.TrimPrefix(stream, shipping.Stream("")))
		},
		begin: func(s *shop) {
			rates := []pricing.RateTable{{Currency: "GBP", Basis: pricing.Flat, Steps: []pricing.Step{{From: "0", Price: gbp("4.95")}}}}
			s.must(s.ShippingMethod(ctx, callAt(autumn), "theirs", shipping.Define{ID: "theirs", Terms: shipping.Terms{Title: "Parcel", Mode: pricing.Inclusive, Rates: rates}}))
		},
	}
	all[entity.Category] = aggregateKind{
		types: entity.Types(), foreignOnly: "theirs",
		state: func(s *commands.Service, stream string) (any, int64, error) {
			return stateOf(ctx, s.ViewLegalEntity, strings.TrimPrefix(stream, entity.Stream("")))
		},
		begin: func(s *shop) {
			s.must(s.LegalEntity(ctx, callAt(autumn), "theirs", entity.Define{ID: "theirs", Terms: entity.Terms{Title: "A", Home: pricing.Zone{Country: "GB"}, Mode: pricing.Inclusive}}))
		},
	}
	addPromotions(ctx, all)
	// All API keys are in one stream, which shop.trade does not begin.
	all[access.Category] = aggregateKind{
		types: access.Types(), foreignOnly: strings.TrimPrefix(access.Stream(), access.Category+"-"),
		state: func(s *commands.Service, stream string) (state any, revision int64, err error) {
			if stream != access.Stream() {
				return access.State{}, -1, nil
			}
			err = s.ViewAccess(ctx, func(now access.State, at int64) { state, revision = now, at })
			return state, revision, err
		},
		begin: func(s *shop) {
			s.must(s.Access(ctx, callAt(autumn), access.IssueKey{Key: "k1", Name: "owner", Role: access.Admin, Hash: strings.Repeat("0", 64), Now: time.Now()}))
		},
	}
	all[staff.Category] = aggregateKind{
		types: staff.Types(), foreignOnly: strings.TrimPrefix(staff.Stream(), staff.Category+"-"),
		state: func(s *commands.Service, stream string) (state any, revision int64, err error) {
			if stream != staff.Stream() {
				return staff.State{}, -1, nil
			}
			err = s.ViewStaff(ctx, func(now staff.State, at int64) { state, revision = now, at })
			return state, revision, err
		},
		begin: func(s *shop) {
			s.must(s.Staff(ctx, callAt(autumn), "p1", staff.Invite{Person: "p1", Role: access.Admin, Token: strings.Repeat("0", 64), Until: time.Now().Add(time.Hour), Now: time.Now()}))
		},
	}
	if codecs := filestest.OfAggregates(t, "../../domain", "codec.go"); len(codecs) != len(all) {
		t.Fatalf("the domain has %d codecs, and this test knows %d", len(codecs), len(all))
	}
	return all
}

// addPromotions adds promotions, their codes, and gift cards.
func addPromotions(ctx context.Context, all map[string]aggregateKind) {
	begin := func(s *shop) {
		define := promotion.Define{ID: "theirs", Kind: pricing.Coupon, Class: pricing.OrderClass, Terms: promotion.Terms{
			Title: "A pound off", Action: pricing.Action{Type: pricing.FixedOff, Amounts: []unit.Money{gbp("1.00")}},
		}}
		s.must(s.Promotion(ctx, callAt(autumn), "theirs", define))
	}
	all[promotion.Category] = aggregateKind{
		types: promotion.Types(), foreignOnly: "theirs",
		state: func(s *commands.Service, stream string) (any, int64, error) {
			return stateOf(ctx, s.ViewPromotion, strings.TrimPrefix(stream, promotion.Stream("")))
		},
		begin: begin,
	}
	all[coupon.Category] = aggregateKind{
		types: coupon.Types(), foreignOnly: strings.TrimPrefix(coupon.Stream("THEIRS"), coupon.Category+"-"),
		state: func(s *commands.Service, stream string) (any, int64, error) {
			if stream != coupon.Stream("THEIRS") {
				return coupon.State{}, -1, nil
			}
			return stateOf(ctx, s.ViewCoupon, "THEIRS")
		},
		begin: func(s *shop) {
			begin(s)
			s.must(s.GiveCodes(ctx, callAt(autumn), "theirs", []string{"THEIRS"}))
		},
	}
	claim := payment.Stream("bank", "theirs")
	all[payment.Category] = aggregateKind{
		types: payment.Types(), foreignOnly: strings.TrimPrefix(claim, payment.Category+"-"),
		state: func(s *commands.Service, stream string) (any, int64, error) {
			return stateOf(ctx, s.ViewClaim, stream)
		},
		begin: func(s *shop) {
			s.checkout("paid", autumn, wantedLine("TRAY", 1))
			s.must(s.Order(ctx, callAt(autumn), "paid", order.RecordTransaction{
				TransactionID: "t", Type: order.Capture, State: order.Succeeded, Amount: gbp("0.01"), Provider: "bank", Reference: "theirs",
			}))
		},
	}
	account := giftcard.AccountID("theirs", "GBP")
	all[giftcard.Category] = aggregateKind{
		types: giftcard.Types(), foreignOnly: string(account),
		state: func(s *commands.Service, stream string) (any, int64, error) {
			return stateOf(ctx, s.ViewGiftCard, giftcard.ID(strings.TrimPrefix(stream, giftcard.Stream(""))))
		},
		begin: func(s *shop) {
			_, _, done, err := s.IssueGiftCard(ctx, callAt(autumn), commands.NewGiftCard{Amount: gbp("5.00"), CustomerID: "theirs"})
			s.must(done, err)
		},
	}
}

func atRevision(revision *int64) commands.Call {
	c := callAt(autumn)
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

// runningShop is a node that runs on a log: its command side, reactor and read models.
type runningShop struct {
	*shop
	log     eventstore.Store
	parking commandspg.Parking
	written []eventstore.Recorded // by another program
	service func() *commands.Service
}

func newRunningShop(t *testing.T, log eventstore.Store) *runningShop {
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
	s := &runningShop{
		log: log, parking: commandspg.Parking{Pool: pool},
		shop: &shop{Bench: &viewtest.Bench{TB: t, Pool: pool, Runner: runner, Log: log}, where: time.UTC},
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

// waitForParked waits until as many events are parked as the other program has written.
func (s *runningShop) waitForParked() {
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
			return // wantForeignReported says which are missing
		}
	}
}

// writeForeign appends events as another program does.
func (s *runningShop) writeForeign(stream, eventType string, data ...string) {
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

// samples are the data of the events that another program writes: one of its own form, and those
// that the shop itself would write.
func (s *runningShop) samples(eventType string) []string {
	s.Helper()
	data := []string{`{"a":1}`}
	for _, file := range filestest.OfAggregates(s.TB, "../../domain", "testdata/"+eventType+"*.json") {
		sample, err := os.ReadFile(file)
		if err != nil {
			s.Fatal(err)
		}
		data = append(data, string(sample))
	}
	return data
}

// fingerprints returns the fingerprints of all views.
func (s *runningShop) fingerprints() map[string]string {
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

func (s *runningShop) wantSameRows(when string, before map[string]string) {
	s.Helper()
	for view, content := range s.fingerprints() {
		if content != before[view] {
			s.Errorf("%s, the view %s is %s, and was %s", when, view, content, before[view])
		}
	}
}

func (s *runningShop) verify() *verify.Report {
	s.Helper()
	config := s.config()
	config.Store = s.log
	report, err := verify.Run(s.Context(), config)
	if err != nil {
		s.Fatal(err)
	}
	return report
}

// foldedState is the state of an aggregate, and the revision it was folded at.
type foldedState struct {
	state    any
	revision int64
}

// onEachEngine runs a test on a log of each engine.
func onEachEngine(t *testing.T, test func(s *runningShop)) {
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
		"KurrentDB": func(t *testing.T) eventstore.Store { return gatewaytest.Open(t, memory.New()) },
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			test(newRunningShop(t, open(t)))
		})
	}
}

// Another program writes events of every type into live streams of every kind of aggregate. No
// state and no row changes, and commands still work. Each of these events is parked, and each is
// a difference.
func TestAnEventThatAnotherProgramWroteChangesNothing(t *testing.T) {
	onEachEngine(t, func(s *runningShop) {
		t := s.TB.(*testing.T) //nolint:forcetypeassert // onEachEngine made it
		s.trade()
		s.fillCart("open", "17850", wantedLine("MUG", 1))
		s.must(s.Return(t.Context(), callAt(autumn), "r4", requestOf("r4")))
		s.waitForViews()
		s.wantClean(s.verify())
		before, states, words := s.fingerprints(), map[string]foldedState{}, map[string]string{}
		fresh := s.service()
		all := aggregateKinds(t)
		for category, k := range all {
			for _, id := range k.live {
				stream := category + "-" + id
				state, revision, err := k.state(fresh, stream)
				if err != nil {
					t.Fatal(err)
				}
				states[stream] = foldedState{state, revision}
				if state, _, err = k.state(s.Service, stream); err != nil {
					t.Fatal(err)
				}
				// The state is kept as text, because the service keeps changing its own state.
				words[stream] = fmt.Sprintf("%+v", state)
			}
		}
		for category, k := range all {
			for _, id := range k.live {
				for _, eventType := range k.types {
					s.writeForeign(category+"-"+id, eventType, s.samples(eventType)...)
				}
			}
		}
		s.waitForViews()
		s.wantSameRows("after another program wrote", before)
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
		s.wantForeignReported()

		for category, k := range all {
			for _, id := range k.live {
				// A client knows this revision from a read model.
				at := states[category+"-"+id].revision
				if err := k.command(s.shop, id, &at); err != nil {
					t.Errorf("%s-%s takes no command: %v", category, id, err)
				}
			}
		}
		s.waitForViews()
		s.wantForeignReported()
		after := s.fingerprints()
		for _, view := range s.config().Views {
			if err := s.Runner.Rebuild(t.Context(), view.Name); err != nil {
				t.Fatal(err)
			}
		}
		s.wantSameRows("after a rebuild", after)
	})
}

// wantForeignReported checks that each event of the other program is parked and is a difference,
// and that nothing else is.
func (s *runningShop) wantForeignReported() {
	s.Helper()
	s.waitForParked()
	parked := map[string]reactor.UnfinishedWork{}
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
		s.Errorf("%d events are parked, but another program has written %d", len(parked), len(s.written))
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

// A stream may be named like a stream of the shop and have only events of another program. Then it
// is one difference, which names the stream, and no row is made of it. The shop can still begin an
// aggregate in it.
func TestAStreamThatHoldsOnlyEventsOfAnotherProgramIsOneDifference(t *testing.T) {
	onEachEngine(t, func(s *runningShop) {
		t := s.TB.(*testing.T) //nolint:forcetypeassert // onEachEngine made it
		s.trade()
		s.waitForViews()
		before, all := s.fingerprints(), aggregateKinds(t)
		var streams []string
		for category, k := range all {
			ids := []string{k.foreignOnly, "p-7"}
			if category == stock.Category {
				ids = append(ids, "A@B")
			}
			for _, id := range ids {
				stream := category + "-" + id
				streams = append(streams, stream)
				for _, eventType := range k.types {
					s.writeForeign(stream, eventType, s.samples(eventType)...)
				}
				if state, revision, err := k.state(s.Service, stream); err != nil || revision != -1 || !reflect.ValueOf(state).IsZero() {
					t.Errorf("%s is %+v at revision %d (%v), want none", stream, state, revision, err)
				}
			}
		}
		s.waitForViews()
		s.wantSameRows("after another program wrote", before)
		s.waitForParked()
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
				return strings.HasPrefix(words, "stream "+stream+" is named like a stream of the shop, but none of its ")
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
		s.waitForViews()
		found := differences(s.verify())
		for _, check := range []string{readable, ownNames, "processes: nothing is parked"} {
			delete(found, check)
		}
		if len(found) > 0 {
			t.Errorf("after aggregates were begun there, verify finds %q", found)
		}
		after := s.fingerprints()
		if before["orders"] == after["orders"] || before["carts"] == after["carts"] || before["products"] == after["products"] || before["stock"] == after["stock"] {
			t.Error("a view does not have the new aggregates")
		}
		for _, view := range s.config().Views {
			if err := s.Runner.Rebuild(t.Context(), view.Name); err != nil {
				t.Fatal(err)
			}
		}
		s.wantSameRows("after a rebuild", after)
	})
}
