package commands_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/verify"
)

// between runs a function at the first append of an event of a type: before the event is recorded,
// or before the writer gets the answer.
type between struct {
	eventstore.Store
	eventType string
	after     bool
	once      sync.Once
	run       func()
}

func (b *between) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	meets := events[0].Type == b.eventType
	if meets && !b.after {
		b.once.Do(b.run)
	}
	result, err := b.Store.Append(ctx, stream, expected, events)
	if meets && b.after {
		b.once.Do(b.run)
	}
	return result, err
}

const refundRecorded = "return.refunded.v1"

// racing sells orders of 2 mugs. Each order has two returns, a and b, of one mug each, and both are
// received.
func racing(t *testing.T, log eventstore.Store, orders ...unit.OrderID) *shop {
	t.Helper()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 9)
	for _, id := range orders {
		s.deliver(id, 2)
	}
	for _, id := range []unit.ReturnID{"a", "b"} {
		of := orders
		if id == "b" {
			of = orders[:1]
		}
		if _, err := s.Return(t.Context(), shoptest.NewCall(), id, mugsOf(id, 1, of...)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Return(t.Context(), shoptest.NewCall(), id, giveBack(unit.Quantity(len(of)), "1")[:2]...); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func refundOf(amount string) returns.RecordRefund {
	return returns.RecordRefund{TransactionID: "rf", Amount: pounds(amount)}
}

// auditLater fails the test if verify finds a fault. It verifies at a late time, at which nothing
// counts as still in progress.
func (s *shop) auditLater() {
	s.T.Helper()
	_, report, err := verify.Log(s.T.Context(), s.Log, time.Now().Add(48*time.Hour), nil)
	if err != nil {
		s.T.Fatal(err)
	}
	for _, check := range report.Checks {
		for _, first := range check.First {
			s.T.Errorf("%s: %s", check.Name, first)
		}
	}
}

func TestOneOfTwoReturnsRecordsARefundOfAnOrder(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for loser, winner := range map[unit.ReturnID]unit.ReturnID{"a": "b", "b": "a"} {
			t.Run(fmt.Sprintf("%s loses, after=%t", loser, after), func(t *testing.T) {
				t.Parallel()
				ctx, log := t.Context(), memory.New()
				s := racing(t, log, "o1")
				slow := open(t, &between{Store: log, eventType: refundRecorded, after: after, run: func() {
					if _, err := s.Return(ctx, shoptest.NewCall(), winner, refundOf("2.50")); err != nil {
						t.Errorf("the winner: %v", err)
					}
				}}, commands.DefaultPolicy())
				late := shoptest.NewCall()
				for range 2 { // asked again, it is refused again
					_, err := slow.Return(ctx, late, loser, refundOf("2.50"))
					refusedAt(t, err, "o1")
				}
				_, err := slow.Return(ctx, shoptest.NewCall(), loser, refundOf("2.50"))
				refusedAt(t, err, "o1")
				wantRefunded(t, slow, map[unit.ReturnID]string{winner: "2.50", loser: "0"})
				slow.auditLater()
				if _, err := slow.Return(ctx, shoptest.NewCall(), loser, returns.RecordRefund{TransactionID: "rf2", Amount: pounds("2.50")}); err != nil {
					t.Errorf("the loser by another id: %v", err)
				}
				wantRefunded(t, slow, map[unit.ReturnID]string{winner: "2.50", loser: "2.50"})
				slow.auditLater()
			})
		}
	}
}

func refusedAt(t *testing.T, err error, id unit.OrderID) {
	t.Helper()
	no, refused := commands.RefusedBy(err)
	if !refused || no.Code != order.ErrTransactionDiffers.Code || no.Facts["order_id"] != id {
		t.Errorf("%v (%+v), want %s of order %s", err, no, order.ErrTransactionDiffers.Code, id)
	}
}

func wantRefunded(t *testing.T, s *shop, want map[unit.ReturnID]string) {
	t.Helper()
	for id, amount := range want {
		if now := s.returnState(id); !now.Refunded().Equal(pounds(amount)) || len(now.OrdersUnsettled) > 0 {
			t.Errorf("return %s: %s refunded, open %+v; want %s", id, now.Refunded(), now.OrdersUnsettled, amount)
		}
	}
}

// TestARefundRacesATransactionOfItsOrder: the return checks the order, then the order records
// another transaction with the refund's id, and only then the return asks the order to record
// the refund.
func TestARefundRacesATransactionOfItsOrder(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		other   order.RecordTransaction
		refused bool
	}{
		"the same refund":    {order.RecordTransaction{TransactionID: "rf", Type: order.Refund, State: order.Succeeded, Amount: pounds("2.50")}, false},
		"a pending one":      {order.RecordTransaction{TransactionID: "rf", Type: order.Refund, State: order.Pending, Amount: pounds("2.50")}, false},
		"one that failed":    {order.RecordTransaction{TransactionID: "rf", Type: order.Refund, State: order.Failed, Amount: pounds("2.50")}, true},
		"of another amount":  {order.RecordTransaction{TransactionID: "rf", Type: order.Refund, State: order.Succeeded, Amount: pounds("1.50")}, true},
		"of another kind":    {order.RecordTransaction{TransactionID: "rf", Type: order.Capture, State: order.Succeeded, Amount: pounds("2.50")}, true},
		"not the same money": {order.RecordTransaction{TransactionID: "rf", Type: order.Chargeback, State: order.Succeeded, Amount: pounds("2.50")}, true},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after=%t", name, after), func(t *testing.T) {
				t.Parallel()
				ctx, log := t.Context(), memory.New()
				s := racing(t, log, "o1")
				slow := open(t, &between{Store: log, eventType: refundRecorded, after: after, run: func() {
					if _, err := s.Order(ctx, shoptest.NewCall(), "o1", test.other); err != nil {
						t.Errorf("the order's transaction: %v", err)
					}
				}}, commands.DefaultPolicy())
				_, err := slow.Return(ctx, shoptest.NewCall(), "a", refundOf("2.50"))
				if !test.refused {
					if err != nil {
						t.Errorf("the refund: %v", err)
					}
					wantRefunded(t, slow, map[unit.ReturnID]string{"a": "2.50"})
				} else {
					refusedAt(t, err, "o1")
					wantRefunded(t, slow, map[unit.ReturnID]string{"a": "0"})
				}
				slow.auditLater()
			})
		}
	}
}

// The return asks for a refund of 2.50, but the order has recorded a refund with the same id and
// the amount 1.50. So the refund of 2.50 is taken back. Then a refund of 1.50 with this id
// succeeds.
func TestARefundIsRecordedAgainUnderTheIDOfOneTakenBack(t *testing.T) {
	t.Parallel()
	ctx, log := t.Context(), memory.New()
	s := racing(t, log, "o1")
	slow := open(t, &between{Store: log, eventType: refundRecorded, run: func() {
		told := order.RecordTransaction{TransactionID: "rf", Type: order.Refund, State: order.Succeeded, Amount: pounds("1.50")}
		if _, err := s.Order(ctx, shoptest.NewCall(), "o1", told); err != nil {
			t.Error(err)
		}
	}}, commands.DefaultPolicy())
	first := shoptest.NewCall()
	_, err := slow.Return(ctx, first, "a", refundOf("2.50"))
	refusedAt(t, err, "o1")
	if _, err := slow.Return(ctx, shoptest.NewCall(), "a", refundOf("1.50")); err != nil {
		t.Fatalf("with the order's amount: %v", err)
	}
	_, err = slow.Return(ctx, first, "a", refundOf("2.50"))
	refusedAt(t, err, "o1")
	wantRefunded(t, slow, map[unit.ReturnID]string{"a": "1.50"})
	slow.auditLater()
}

// A refund has shares of two orders. One order refuses its share, and the other has recorded its
// share. Only the refused share is taken back.
func TestOnlyTheShareThatAnOrderRefusesIsTakenBack(t *testing.T) {
	t.Parallel()
	ctx, log := t.Context(), memory.New()
	s := racing(t, log, "o1", "o2")
	slow := open(t, &between{Store: log, eventType: refundRecorded, run: func() {
		if _, err := s.Return(ctx, shoptest.NewCall(), "b", refundOf("2.50")); err != nil {
			t.Error(err)
		}
	}}, commands.DefaultPolicy())
	_, err := slow.Return(ctx, shoptest.NewCall(), "a", refundOf("5.00"))
	refusedAt(t, err, "o1")
	wantRefunded(t, slow, map[unit.ReturnID]string{"a": "2.50", "b": "2.50"})
	slow.auditLater()
	if _, err := slow.Return(ctx, shoptest.NewCall(), "a", returns.RecordRefund{TransactionID: "rest", Amount: pounds("2.50")}); err != nil {
		t.Errorf("the rest by another id: %v", err)
	}
	for _, id := range []unit.OrderID{"o1", "o2"} {
		want := map[unit.OrderID]string{"o1": "5.00", "o2": "2.50"}[id]
		if now := slow.OrderState(id).Returned(); !now.Equal(pounds(want)) {
			t.Errorf("order %s: %s returned, want %s", id, now, want)
		}
	}
	slow.auditLater()
}

// TestACrashWhileARefundIsRefusedEndsInTheSameState lets the loser's node die
// after each number of appends; then another takes over with the reactor.
func TestACrashWhileARefundIsRefusedEndsInTheSameState(t *testing.T) {
	t.Parallel()
	for left := 1; left <= 3; left++ {
		t.Run(fmt.Sprint(left, " appends"), func(t *testing.T) {
			t.Parallel()
			ctx, log := t.Context(), memory.New()
			s := racing(t, log, "o1", "o2")
			dying := open(t, &shoptest.Mortal{Store: &between{Store: log, eventType: refundRecorded, run: func() {
				if _, err := s.Return(ctx, shoptest.NewCall(), "b", refundOf("2.50")); err != nil {
					t.Error(err)
				}
			}}, Left: left}, commands.DefaultPolicy())
			late := shoptest.NewCall()
			if _, err := dying.Return(ctx, late, "a", refundOf("5.00")); !errors.Is(err, shoptest.ErrDead) {
				t.Errorf("the dying node: %v", err)
			}
			after := open(t, log, commands.DefaultPolicy())
			recoverFrom(t, after)
			wantRefunded(t, after, map[unit.ReturnID]string{"a": "2.50", "b": "2.50"})
			after.auditLater()
			_, err := after.Return(ctx, late, "a", refundOf("5.00"))
			refusedAt(t, err, "o1")
			if n := withdrawals(t, log); n != 1 {
				t.Errorf("%d withdrawals are recorded, want 1", n)
			}
		})
	}
}

func withdrawals(t *testing.T, log eventstore.Store) (n int) {
	t.Helper()
	for e, err := range log.ReadStream(t.Context(), returns.Stream("a"), 0, 100) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == "return.refund_withdrawn.v1" {
			n++
		}
	}
	return n
}
