package commands_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/commands/payments"
	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// twoOrders is a shop with two pending orders of one mug each.
func twoOrders(t *testing.T, log eventstore.Store) *shop {
	t.Helper()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 10)
	for _, id := range []string{"a", "b"} {
		s.Must(s.FillCart(unit.CartID("c"+id), map[unit.SKU]unit.Quantity{"MUG": 1}))
		s.Must(s.PlaceOrder(unit.CartID("c"+id), unit.OrderID(id)))
	}
	return s
}

func charged(reference string) order.RecordTransaction {
	return order.RecordTransaction{
		TransactionID: unit.TransactionID("t" + reference), Type: order.Capture, State: order.Succeeded, Amount: gbp("2.50"),
		Provider: "stripe", Reference: reference,
	}
}

// A payment is for the first order that records it, whatever the other one calls it. What the order
// refuses is not claimed.
func TestOnePaymentIsForOneOrder(t *testing.T) {
	t.Parallel()
	s := twoOrders(t, memory.New())
	pay := func(id unit.OrderID, record order.RecordTransaction) error {
		_, err := s.Order(t.Context(), shoptest.NewCall(), id, record)
		return err
	}
	foreign := charged("ch_1")
	foreign.Amount.Currency = "EUR"
	if err := pay("b", foreign); !errors.Is(err, order.ErrCurrencyDiffers) {
		t.Fatalf("a payment in another currency: %v", err)
	}
	s.Must(pay("a", charged("ch_1")))
	s.Must(pay("a", charged("ch_1")))
	renamed := charged("ch_1")
	renamed.TransactionID = "other"
	for name, record := range map[string]order.RecordTransaction{"the same": charged("ch_1"), "under another id": renamed} {
		if err := pay("b", record); !errors.Is(err, payment.ErrClaimed) {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
	s.Must(pay("b", charged("ch_2")))
	cash := charged("slip 7")
	cash.Provider = payments.ManualName
	s.Must(pay("a", cash)) // a person's number names no payment
	s.Must(pay("b", cash))
	if got := s.OrderState("b").Captured().String(); got != "5.00 GBP" {
		t.Errorf("%s came for b", got)
	}
	s.Audit()
}

// The client and the provider report one payment at the same moment, and somebody records it for
// another order. One order has it, and once.
func TestAPaymentThatIsReportedAtOnceIsForOneOrder(t *testing.T) {
	t.Parallel()
	for round := range 20 {
		s := twoOrders(t, memory.New())
		reference := fmt.Sprint("ch_", round)
		var reports sync.WaitGroup
		errs := make([]error, 3)
		for i, send := range []func() error{
			func() error { _, err := s.Order(t.Context(), shoptest.NewCall(), "a", derived(reference)); return err },
			func() error { _, err := s.Order(t.Context(), shoptest.NewCall(), "b", derived(reference)); return err },
			func() error {
				return s.RecordReport(t.Context(), shoptest.NewCall().Meta, "stripe", payments.Report{Payment: reference, OrderID: "a", Transactions: []payments.Transaction{
					{Reference: reference, Kind: payments.Capture, State: payments.Succeeded, Amount: gbp("2.50")},
				}})
			},
		} {
			reports.Go(func() { errs[i] = send() })
		}
		reports.Wait()
		has := map[unit.OrderID]string{"a": s.OrderState("a").Captured().String(), "b": s.OrderState("b").Captured().String()}
		byA := errs[0] == nil && errs[2] == nil && errors.Is(errs[1], payment.ErrClaimed) && has["a"] == "2.50 GBP" && has["b"] == "0.00 GBP"
		byB := errs[1] == nil && errors.Is(errs[0], payment.ErrClaimed) && errors.Is(errs[2], payment.ErrClaimed) && has["b"] == "2.50 GBP" && has["a"] == "0.00 GBP"
		if !byA && !byB {
			t.Fatalf("round %d: the orders have %v, and the reports ended with %v", round, has, errs)
		}
		s.Audit()
	}
}

// derived is a charge under the id that everybody gives to it.
func derived(reference string) order.RecordTransaction {
	record := charged(reference)
	record.TransactionID = unit.TransactionID(unit.ProviderTransaction.Of(record.Provider, reference, string(record.Type)).ID())
	return record
}

// A checkout that is paid at once claims its payment, too. If another order has the payment, the
// order is placed and stays unpaid.
func TestACheckoutClaimsItsPayment(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]eventstore.Store{"one append": memory.New(), "step by step": stepwise(memory.New())} {
		s := twoOrders(t, log)
		check := func(id string, reference string) error {
			s.Must(s.FillCart(unit.CartID("c"+id), map[unit.SKU]unit.Quantity{"MUG": 1}))
			pay := charged(reference)
			pay.TransactionID, pay.Amount = "", unit.Money{}
			_, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{
				CartID: unit.CartID("c" + id), OrderID: unit.OrderID(id), After: &commands.AfterPlacing{Call: shoptest.NewCall(), Pay: &pay, Confirm: true},
			})
			return err
		}
		s.Must(check("first", "ch_1"))
		if state := s.OrderState("first"); state.Status != order.StatusConfirmed || state.Transactions[0].ID != derived("ch_1").TransactionID {
			t.Errorf("%s: the order is %s, with %+v", name, state.Status, state.Transactions)
		}
		if err := check("second", "ch_1"); !errors.Is(err, payment.ErrClaimed) {
			t.Errorf("%s: the second order: %v", name, err)
		}
		if state := s.OrderState("second"); state.Status != order.StatusPending || len(state.Transactions) != 0 {
			t.Errorf("%s: the second order is %s, with %+v", name, state.Status, state.Transactions)
		}
		s.Audit()
	}
}
