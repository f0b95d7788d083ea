package commands_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/internal/shoptest"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/logtest"
	"daybook/eventstore/memory"
	"daybook/eventstore/postgres"
	"daybook/internal/gatewaytest"
	"daybook/internal/pgtest"
	"daybook/internal/racetest"
)

// onEachStore runs a test with each engine of the log. The KurrentDB is the gateway over a log
// without an index of event ids.
func onEachStore(t *testing.T, test func(t *testing.T, store eventstore.Store)) {
	t.Helper()
	onIndexedStores(t, test)
	t.Run("kurrentdb", func(t *testing.T) {
		racetest.Skip(t, "the engines are raced in their own packages")
		t.Parallel()
		test(t, overKurrentDB(t))
	})
}

func overKurrentDB(t *testing.T) eventstore.Store {
	t.Helper()
	return gatewaytest.Open(t, logtest.Unindexed{Store: memory.New()})
}

// onIndexedStores runs a test with the engines that have an index of event ids.
func onIndexedStores(t *testing.T, test func(t *testing.T, store eventstore.Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, memory.New())
	})
	t.Run("postgres", func(t *testing.T) {
		racetest.Skip(t, "the engines are raced in their own packages")
		t.Parallel()
		pool := pgtest.New(t)
		if err := postgres.Migrate(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
		store, err := postgres.Open(t.Context(), pool, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ending := context.WithoutCancel(t.Context())
		t.Cleanup(func() { store.Close(ending) })
		test(t, store)
	})
}

// deliver sells an order of mugs. It is paid, and all mugs have shipped.
func (s *shop) deliver(id unit.OrderID, units unit.Quantity) {
	s.T.Helper()
	ctx := s.T.Context()
	if err := s.FillCart(unit.CartID("c-"+id), map[unit.SKU]unit.Quantity{"MUG": units}); err != nil {
		s.T.Fatal(err)
	}
	if result, err := s.Checkout(ctx, shoptest.NewCall(), commands.CheckoutRequest{CartID: unit.CartID("c-" + id), OrderID: id}); err != nil || !result.Placed {
		s.T.Fatalf("checkout: %+v, %v", result, err)
	}
	paid := order.RecordTransaction{TransactionID: "paid", Type: order.Capture, State: order.Succeeded, Amount: s.OrderState(id).Owed()}
	if _, err := s.Order(ctx, shoptest.NewCall(), id, paid, order.Confirm{Now: s.Now()}); err != nil {
		s.T.Fatal(err)
	}
	if _, err := s.Order(ctx, shoptest.NewCall(), id, order.Ship{ShipmentID: "s1", Location: unit.DefaultLocation}); err != nil {
		s.T.Fatal(err)
	}
}

func pounds(amount string) unit.Money {
	money, err := unit.ParseMoney(amount, "GBP")
	if err != nil {
		panic(err)
	}
	return money
}

// mugsOf is a return of this many units of each order.
func mugsOf(id unit.ReturnID, units unit.Quantity, orders ...unit.OrderID) returns.Request {
	line := returns.Line{SKU: "MUG", Kind: unit.Stocked, Quantity: units * unit.Quantity(len(orders)), Price: pounds("2.50")}
	for _, of := range orders {
		line.Links = append(line.Links, returns.Link{OrderID: of, Line: 1, Quantity: units})
	}
	return returns.Request{ReturnID: id, Currency: "GBP", Lines: []returns.Line{line}}
}

func (s *shop) returnState(id unit.ReturnID) (state returns.State) {
	s.T.Helper()
	if err := s.ViewReturn(s.T.Context(), id, func(now returns.State, _ int64) { state = now.Clone() }); err != nil {
		s.T.Fatal(err)
	}
	return state
}

// giveBack receives all units of a return and refunds some money.
func giveBack(units unit.Quantity, refund string) []returns.Command {
	return []returns.Command{
		returns.Approve{},
		returns.Receive{Receipt: 1, Lines: []returns.ReceivedLine{{Line: 1, Quantity: units, Disposition: returns.Restocked, Location: unit.DefaultLocation}}},
		returns.RecordRefund{TransactionID: "re", Amount: pounds(refund), Provider: "stripe"},
	}
}

func TestAUnitComesBackByOneReturn(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store eventstore.Store) {
		ctx := t.Context()
		s := open(t, store, commands.DefaultPolicy())
		s.Sell("MUG", 5)
		s.deliver("o1", 2)
		first := shoptest.NewCall()
		for range 2 { // asked again, it is the same
			if _, err := s.Return(ctx, first, "r1", mugsOf("r1", 1, "o1")); err != nil {
				t.Fatal(err)
			}
		}
		before := s.OrderState("o1")
		_, err := s.Return(ctx, shoptest.NewCall(), "r2", mugsOf("r2", 2, "o1"))
		no, refused := errors.AsType[*rule.Rejection](err)
		if !refused || no.Code != "return-exceeds-shipped" || no.Facts["returnable"] != unit.Quantity(1) || no.Facts["order_id"] != unit.OrderID("o1") {
			t.Errorf("two more of two: %+v (%v)", no, err)
		}
		if s.returnState("r2").Exists() || len(s.OrderState("o1").Returns) != len(before.Returns) {
			t.Error("a refusal was recorded")
		}
		if _, err := s.Return(ctx, shoptest.NewCall(), "r1", returns.Cancel{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Return(ctx, shoptest.NewCall(), "r2", mugsOf("r2", 2, "o1")); err != nil {
			t.Errorf("once the first is canceled: %v", err)
		}
		if _, err := s.Return(ctx, shoptest.NewCall(), "r3", mugsOf("r3", 1, "nobodys")); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("a return of a missing order: %v", err)
		}
		s.Audit()
	})
}

func TestManyReturnsRaceForTheLastUnits(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store eventstore.Store) {
		const units, racers = 3, 24
		nodes := []*shop{open(t, store, commands.DefaultPolicy()), open(t, store, commands.DefaultPolicy())}
		nodes[0].Sell("MUG", 10)
		for _, id := range []unit.OrderID{"o1", "o2"} {
			nodes[0].deliver(id, units)
		}
		var admitted atomic.Int64
		var wait sync.WaitGroup
		for i := range racers {
			wait.Go(func() {
				id := unit.ReturnID(fmt.Sprint("r", i))
				// Each return takes a mug of both orders. Every second return names the orders the
				// other way round.
				orders := [][]unit.OrderID{{"o1", "o2"}, {"o2", "o1"}}[i%2]
				_, err := nodes[i%2].Return(t.Context(), shoptest.NewCall(), id, mugsOf(id, 1, orders...))
				switch {
				case err == nil:
					admitted.Add(1)
				case !errors.Is(err, order.ErrReturnExceeded):
					t.Errorf("%s: %v", id, err)
				}
			})
		}
		wait.Wait()
		// There may be fewer returns than units. Example: one return was admitted the last unit of
		// o1, and another one the last unit of o2. Then both are refused at the other order.
		if n := admitted.Load(); n > units {
			t.Errorf("%d returns of %d units", n, units)
		}
		for _, id := range []unit.OrderID{"o1", "o2"} {
			if back := nodes[1].OrderState(id).Lines[0].Returning; back != unit.Quantity(admitted.Load()) {
				t.Errorf("order %s counts %d, %d were admitted", id, back, admitted.Load())
			}
		}
		nodes[0].Audit()
	})
}

// TestARefusalAfterTheRequestIsRecorded: the return checks the order, then another return
// takes the units, and only then the order is asked.
func TestARefusalAfterTheRequestIsRecorded(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 5)
	s.deliver("o1", 1)
	ask := aggregate.Request[returns.Command]{Stream: returns.Stream("late"), Meta: shoptest.NewCall().Meta, Commands: []returns.Command{mugsOf("late", 1, "o1")}}
	if _, err := s.ReturnHandler().Handle(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Return(t.Context(), shoptest.NewCall(), "early", mugsOf("early", 1, "o1")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Return(t.Context(), shoptest.NewCall(), "late", returns.Approve{}); !errors.Is(err, returns.ErrNotAdmitted) {
		t.Errorf("approving what no order has admitted: %v", err)
	}
	for range 2 {
		if _, err := s.Return(t.Context(), shoptest.NewCall(), "late", mugsOf("late", 1, "o1")); !errors.Is(err, order.ErrReturnExceeded) {
			t.Errorf("the late one: %v", err)
		}
	}
	if now := s.returnState("late"); now.Status != returns.StatusDeclined || len(now.OrdersUnsettled) > 0 {
		t.Errorf("the late one is %s, open %+v", now.Status, now.OrdersUnsettled)
	}
	s.Audit()
}

func TestARefundShowsInThePaymentStateOfItsOrder(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store eventstore.Store) {
		ctx := t.Context()
		s := open(t, store, commands.DefaultPolicy())
		s.Sell("MUG", 9)
		s.deliver("o1", 1)
		s.deliver("o2", 2)
		if _, err := s.Return(ctx, shoptest.NewCall(), "r1", mugsOf("r1", 1, "o1", "o2")); err != nil {
			t.Fatal(err)
		}
		refund := shoptest.NewCall()
		for range 2 {
			if _, err := s.Return(ctx, refund, "r1", giveBack(2, "5.00")...); err != nil {
				t.Fatal(err)
			}
		}
		for id, want := range map[unit.OrderID]order.PaymentState{"o1": order.Refunded, "o2": order.PartiallyRefunded} {
			now := s.OrderState(id)
			if now.PaymentState() != want || !now.Returned().Equal(pounds("2.50")) {
				t.Errorf("order %s is %s, %s returned; want it %s", id, now.PaymentState(), now.Returned(), want)
			}
		}
		again := returns.RecordRefund{TransactionID: "paid", Amount: pounds("0.01")}
		if _, err := s.Return(ctx, shoptest.NewCall(), "r2", mugsOf("r2", 1, "o2")); err != nil {
			t.Fatal(err)
		}
		pay := append(giveBack(1, "1.00"), again)
		if _, err := s.Return(ctx, shoptest.NewCall(), "r2", pay...); !errors.Is(err, order.ErrTransactionDiffers) {
			t.Errorf("a refund under the id of a payment: %v", err)
		}
		stale := shoptest.NewCall()
		stale.If = aggregate.AtRevision(0)
		_, err := s.Return(ctx, stale, "r2", pay...)
		if _, is := errors.AsType[*aggregate.StaleError](err); !is {
			t.Errorf("the same command with an older revision: %v, want a StaleError before any other refusal", err)
		}
		s.Audit()
	})
}

// TestADeletedOrderHoldsUpNoReturn: a deleted order admits nothing more. Releases and refunds
// at it count as settled, because they cannot be recorded there.
func TestADeletedOrderHoldsUpNoReturn(t *testing.T) {
	t.Parallel()
	ctx, log := t.Context(), memory.New()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 9)
	s.deliver("o1", 3)
	s.deliver("gone", 3)
	for _, id := range []unit.ReturnID{"canceled", "refunded"} {
		if _, err := s.Return(ctx, shoptest.NewCall(), id, mugsOf(id, 1, "o1", "gone")); err != nil {
			t.Fatal(err)
		}
	}
	late := aggregate.Request[returns.Command]{Stream: returns.Stream("late"), Meta: shoptest.NewCall().Meta, Commands: []returns.Command{mugsOf("late", 1, "o1", "gone")}}
	if _, err := s.ReturnHandler().Handle(ctx, late); err != nil {
		t.Fatal(err)
	}
	tombstone := []eventstore.Event{{ID: uuid.New(), Type: eventstore.TombstoneType, Data: []byte("{}")}}
	if _, err := log.Append(ctx, order.Stream("gone"), eventstore.Any, tombstone); err != nil {
		t.Fatal(err)
	}
	s = open(t, log, commands.DefaultPolicy())
	if _, err := s.Return(ctx, shoptest.NewCall(), "new", mugsOf("new", 1, "gone")); !errors.Is(err, order.ErrNotFound) || s.returnState("new").Exists() {
		t.Errorf("a return of the missing order: %v", err)
	}
	if err := s.FinishReturn(ctx, eventstore.Metadata{}, "late"); err != nil {
		t.Errorf("the reactor: %v", err)
	}
	if _, err := s.Return(ctx, shoptest.NewCall(), "canceled", returns.Cancel{}); err != nil {
		t.Errorf("cancel: %v", err)
	}
	if _, err := s.Return(ctx, shoptest.NewCall(), "refunded", giveBack(2, "5.00")...); err != nil {
		t.Errorf("refund: %v", err)
	}
	for id, status := range map[unit.ReturnID]returns.Status{"late": returns.StatusDeclined, "canceled": returns.StatusCanceled, "refunded": returns.StatusReceived} {
		if now := s.returnState(id); now.Status != status || len(now.OrdersUnsettled) > 0 {
			t.Errorf("%s is %s, open %+v; want it %s", id, now.Status, now.OrdersUnsettled, status)
		}
	}
	if now := s.OrderState("o1"); now.Lines[0].Returning != 1 || !now.Returned().Equal(pounds("2.50")) {
		t.Errorf("the other order has %d come back and %s returned", now.Lines[0].Returning, now.Returned())
	}
}

// TestACrashInAReturnAnywhereEndsInTheSameState lets a node die after each number
// of appends, while returns race, are canceled and are paid back; then another
// takes over with the reactor.
func TestACrashInAReturnAnywhereEndsInTheSameState(t *testing.T) {
	t.Parallel()
	for left := range 40 {
		t.Run(fmt.Sprint(left, " appends"), func(t *testing.T) {
			t.Parallel()
			log := memory.New()
			before := open(t, log, commands.DefaultPolicy())
			before.Sell("MUG", 9)
			before.deliver("o1", 2)
			before.deliver("o2", 2)
			dying := open(t, &shoptest.Mortal{Store: log, Left: left}, commands.DefaultPolicy())
			told := returnUntilDeath(dying, rand.New(rand.NewPCG(uint64(left), 2)))

			after := open(t, log, commands.DefaultPolicy())
			recoverFrom(t, after)
			after.Audit()
			for id, refused := range told {
				if standing := after.returnState(id).Admission; refused != (standing == returns.AdmissionDenied) && standing != "" {
					t.Errorf("the answer for return %s said refused: %t, but its admission is %q", id, refused, standing)
				}
			}
		})
	}
}

// returnUntilDeath returns, for each return that got an answer, whether it was refused.
func returnUntilDeath(s *shop, random *rand.Rand) map[unit.ReturnID]bool {
	var mu sync.Mutex
	told := map[unit.ReturnID]bool{}
	var wait sync.WaitGroup
	for i := range 5 {
		end := random.IntN(3)
		wait.Go(func() {
			ctx, id := s.T.Context(), unit.ReturnID(fmt.Sprint("r", i))
			_, err := s.Return(ctx, shoptest.NewCall(), id, mugsOf(id, 1, "o1", "o2"))
			if err != nil && !errors.Is(err, order.ErrReturnExceeded) {
				return
			}
			mu.Lock()
			told[id] = err != nil
			mu.Unlock()
			switch {
			case err != nil:
			case end == 0:
				_, _ = s.Return(ctx, shoptest.NewCall(), id, returns.Cancel{}) // it may be dead by now
			case end == 1:
				pay := giveBack(2, "5.00")
				pay[2] = returns.RecordRefund{TransactionID: unit.TransactionID("re-" + id), Amount: pounds("5.00")}
				_, _ = s.Return(ctx, shoptest.NewCall(), id, pay...)
			}
		})
	}
	wait.Wait()
	return told
}

// A return of an older program, from before orders admitted returns, goes on as before. Only
// one thing is new: the order records its refunds.
func TestAReturnOlderThanAdmissionsGoesOn(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 5)
	s.deliver("o1", 1)
	requested := returns.Requested{ReturnID: "old", OrderID: "o1", Currency: "GBP", Lines: mugsOf("old", 1, "o1").Lines}
	kind, data, err := returns.Encode(requested)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), returns.Stream("old"), eventstore.NoStream, []eventstore.Event{{ID: eventstore.EventID(uuid.New(), 0), Type: kind, Data: data}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Return(t.Context(), shoptest.NewCall(), "old", giveBack(1, "2.50")...); err != nil {
		t.Fatal(err)
	}
	if now := s.OrderState("o1"); now.PaymentState() != order.Refunded {
		t.Errorf("the order is %s, want it refunded", now.PaymentState())
	}
	recoverFrom(t, s)
	s.Audit()
}
