package commands_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// pending is a shop with ten mugs, and a pending order "o" of ten mugs for which an amount was
// captured.
func pending(t *testing.T, captured string) *shop {
	t.Helper()
	s := placedUnpaid(t)
	s.captures(captured)
	return s
}

// placedUnpaid is a shop with ten mugs, and a pending order "o" of them.
func placedUnpaid(t *testing.T) *shop {
	t.Helper()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MUG", 10)
	s.Must(s.FillCart("c", map[unit.SKU]unit.Quantity{"MUG": 10}))
	s.Must(s.PlaceOrder("c", "o"))
	return s
}

// captures records that money came for order "o".
func (s *shop) captures(captured string) {
	s.T.Helper()
	amount, err := unit.ParseMoney(captured, "GBP")
	s.Must(err)
	_, err = s.Order(s.T.Context(), shoptest.NewCall(), "o", order.RecordTransaction{TransactionID: "p", Type: order.Capture, State: order.Succeeded, Amount: amount})
	s.Must(err)
}

// deadline lets the timer of an order's stock act, does something, and lets the timer of the order
// act.
func (s *shop) deadline(id unit.OrderID, between func()) {
	s.T.Helper()
	after := s.OrderState(id).ConfirmBy.Add(time.Second)
	for some := true; some; {
		var err error
		some, err = s.ExpireReservations(s.T.Context(), eventstore.Metadata{CommandID: uuid.New()}, shoptest.Key("MUG"), after)
		s.Must(err)
	}
	between()
	s.Must(s.ExpireOrder(s.T.Context(), eventstore.Metadata{CommandID: uuid.New()}, id, after))
}

// An order that is paid is confirmed at its deadline, also if the call that should have confirmed
// it was lost. Its stock is allocated, even though the reservation has ended at the same time.
func TestAPaidOrderIsConfirmedAtItsDeadline(t *testing.T) {
	t.Parallel()
	s := pending(t, "25.00")
	s.deadline("o", func() {})
	if state := s.OrderState("o"); state.Status != order.StatusConfirmed || s.allocated("o", "MUG") != 10 || state.NeedsAttention() {
		t.Errorf("the order is %s, with %d mugs", state.Status, s.allocated("o", "MUG"))
	}
	s.deadline("o", func() {})
	s.Audit()
}

// If the goods were sold to somebody else meanwhile, the order is canceled, and its money is given
// back.
func TestAPaidOrderWithoutGoodsIsGivenBack(t *testing.T) {
	t.Parallel()
	s := pending(t, "25.00")
	s.deadline("o", func() {
		s.Must(s.FillCart("d", map[unit.SKU]unit.Quantity{"MUG": 10}))
		s.Must(s.PlaceOrder("d", "quick"))
	})
	state := s.OrderState("o")
	if refund, found := state.Transaction(order.RemedyTransactionID("o", "p")); state.Status != order.StatusCanceled || !found || refund.Amount.String() != "25 GBP" && refund.Amount.String() != "25.00 GBP" {
		t.Errorf("the order is %s, and its refund is %+v", state.Status, refund)
	}
	if !state.NeedsAttention() {
		t.Error("the money is kept, and nobody sees it")
	}
	s.Audit()
}

// An order that is paid in part ends at its deadline, and a refund of what came begins by itself.
// If the refund fails, the order needs attention until somebody sends it again.
func TestTheMoneyOfAnExpiredOrderIsGivenBack(t *testing.T) {
	t.Parallel()
	s := pending(t, "10.00")
	s.deadline("o", func() {})
	state := s.OrderState("o")
	refund, found := state.Transaction(order.RemedyTransactionID("o", "p"))
	if state.Status != order.StatusExpired || !found || refund.State != order.Pending || !refund.Amount.Equal(state.Captured()) || state.NeedsAttention() {
		t.Fatalf("the order is %s, with the refund %+v, and needs attention: %t", state.Status, refund, state.NeedsAttention())
	}
	if s.Available("MUG") != 10 {
		t.Errorf("%d mugs are available", s.Available("MUG"))
	}
	ask := func(command order.Command) order.State {
		t.Helper()
		_, err := s.Order(t.Context(), shoptest.NewCall(), "o", command)
		s.Must(err)
		return s.OrderState("o")
	}
	part := state.Refunds[0].Parts[0].ID
	if failed := ask(order.SettleTransaction{TransactionID: refund.ID, State: order.Failed}); !failed.NeedsAttention() || failed.ToReturn().String() != "10.00 GBP" {
		t.Errorf("after the failure, %s are to be returned, and attention is %v", failed.ToReturn(), failed.Attention())
	}
	if again := ask(order.SubmitRefund{RefundID: refund.RefundID, PartID: part}); again.NeedsAttention() {
		t.Errorf("it needs attention while the refund is under way: %v", again.Attention())
	}
	if done := ask(order.SettleRefund{RefundID: refund.RefundID, PartID: part, Latest: true, State: order.RefundSucceeded}); done.NeedsAttention() || done.Kept().Sign() != 0 {
		t.Errorf("%s are kept, and attention is %v", done.Kept(), done.Attention())
	}
	s.Audit()
}

// A checkout that asks for a confirmed order beside a payment that has not succeeded places a
// pending order. The payment is recorded, the stock is reserved, and the deadline stands. It is the
// same whether or not the log records the checkout in one append.
func TestAConfirmBesideAFailedPaymentWaits(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]eventstore.Store{"one append": memory.New(), "step by step": stepwise(memory.New())} {
		for state, want := range map[order.TransactionState]order.Status{order.Failed: order.StatusPending, order.Pending: order.StatusPending, order.Succeeded: order.StatusConfirmed} {
			s := open(t, log, commands.DefaultPolicy())
			sku := unit.SKU("MUG-" + state)
			s.Sell(sku, 10)
			cartID := unit.CartID("c-" + state)
			s.Must(s.FillCart(cartID, map[unit.SKU]unit.Quantity{sku: 2}))
			pay := order.RecordTransaction{Type: order.Capture, State: state}
			result, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: cartID, After: &commands.AfterPlacing{Call: shoptest.NewCall(), Pay: &pay, Confirm: true}})
			s.Must(err)
			placed := s.OrderState(result.OrderID)
			if placed.Status != want || len(placed.Transactions) != 1 || placed.Transactions[0].State != state || s.Available(sku) != 8 {
				t.Errorf("%s, %s: the order is %s with %+v, and %d are available", name, state, placed.Status, placed.Transactions, s.Available(sku))
			}
			s.Audit()
		}
	}
}

// On hold the clock of an order stands still. An order that nobody has paid waits for the release,
// too, and only then ends.
func TestAHoldStopsTheClock(t *testing.T) {
	t.Parallel()
	for captured, want := range map[string]order.Status{"": order.StatusExpired, "10.00": order.StatusExpired, "25.00": order.StatusConfirmed} {
		s := placedUnpaid(t)
		if captured != "" {
			s.captures(captured)
		}
		_, err := s.Order(t.Context(), shoptest.NewCall(), "o", order.Hold{Reason: "review"})
		s.Must(err)
		s.deadline("o", func() {})
		if state := s.OrderState("o"); state.Status != order.StatusPending {
			t.Errorf("paid %q: the order is %s on hold", captured, state.Status)
		}
		late := s.OrderState("o").ConfirmBy.Add(time.Second)
		_, err = s.Order(t.Context(), shoptest.NewCall(), "o", order.ReleaseHold{Now: late})
		s.Must(err)
		if state := s.OrderState("o"); state.Status != want {
			t.Errorf("paid %q: the order is %s after the release, want %s", captured, state.Status, want)
		}
		s.Audit()
	}
}

// Nothing expires under an order whose deadline was moved: its stock stays reserved past the first
// deadline. At the new deadline all of it ends.
func TestWhatAnOrderHoldsFollowsItsDeadline(t *testing.T) {
	t.Parallel()
	s := placedUnpaid(t)
	first := s.OrderState("o").ConfirmBy
	until := first.Add(time.Hour)
	_, err := s.Order(t.Context(), shoptest.NewCall(), "o", order.Extend{Until: until, Reason: "waits for a transfer"})
	s.Must(err)
	meta := func() eventstore.Metadata { return eventstore.Metadata{CommandID: uuid.New()} }
	some, err := s.ExpireReservations(t.Context(), meta(), shoptest.Key("MUG"), first.Add(time.Second))
	s.Must(err)
	s.Must(s.ExpireOrder(t.Context(), meta(), "o", first.Add(time.Second)))
	if state := s.OrderState("o"); some || state.Status != order.StatusPending || len(state.Unsettled) > 0 {
		t.Fatalf("after the first deadline: a reservation has ended: %t; the order is %s with %v", some, state.Status, state.Unsettled)
	}
	if s.Available("MUG") != 0 {
		t.Errorf("%d mugs are available", s.Available("MUG"))
	}
	s.deadline("o", func() {})
	if state := s.OrderState("o"); state.Status != order.StatusExpired || s.Available("MUG") != 10 {
		t.Errorf("after the new deadline the order is %s, and %d mugs are available", state.Status, s.Available("MUG"))
	}
	s.Audit()
}
