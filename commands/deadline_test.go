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
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MUG", 10)
	s.Must(s.FillCart("c", map[unit.SKU]unit.Quantity{"MUG": 10}))
	s.Must(s.PlaceOrder("c", "o"))
	amount, err := unit.ParseMoney(captured, "GBP")
	s.Must(err)
	_, err = s.Order(t.Context(), shoptest.NewCall(), "o", order.RecordTransaction{TransactionID: "p", Type: order.Capture, State: order.Succeeded, Amount: amount})
	s.Must(err)
	return s
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
// Until the refund has succeeded, the order needs attention.
func TestTheMoneyOfAnExpiredOrderIsGivenBack(t *testing.T) {
	t.Parallel()
	s := pending(t, "10.00")
	s.deadline("o", func() {})
	state := s.OrderState("o")
	refund, found := state.Transaction(order.RemedyTransactionID("o", "p"))
	if state.Status != order.StatusExpired || !found || refund.State != order.Pending || !refund.Amount.Equal(state.Captured()) || !state.NeedsAttention() {
		t.Fatalf("the order is %s, with the refund %+v, and needs attention: %t", state.Status, refund, state.NeedsAttention())
	}
	if s.Available("MUG") != 10 {
		t.Errorf("%d mugs are available", s.Available("MUG"))
	}
	_, err := s.Order(t.Context(), shoptest.NewCall(), "o", order.SettleTransaction{TransactionID: refund.ID, State: order.Succeeded})
	s.Must(err)
	if s.OrderState("o").NeedsAttention() {
		t.Error("it needs attention although everything was given back")
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
