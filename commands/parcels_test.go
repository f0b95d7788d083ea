package commands_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// shippedParcel is a shop whose only two mugs have left in the parcel p of the order o, which is
// paid.
func shippedParcel(t *testing.T, log eventstore.Store) *shop {
	t.Helper()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 2)
	s.Must(s.FillCart("c", map[unit.SKU]unit.Quantity{"MUG": 2}))
	s.Must(s.PlaceOrder("c", "o"))
	s.send(
		order.RecordTransaction{TransactionID: "t", Type: order.Capture, State: order.Succeeded, Amount: s.OrderState("o").Owed()},
		order.Confirm{Now: s.Now()},
	)
	s.send(order.Ship{ShipmentID: "p", Location: unit.DefaultLocation})
	return s
}

func (s *shop) send(asked ...order.Command) {
	s.T.Helper()
	_, err := s.Order(s.T.Context(), shoptest.NewCall(), "o", asked...)
	s.Must(err)
}

func (s *shop) mugs() (state stock.State) {
	s.T.Helper()
	s.Must(s.ViewStock(s.T.Context(), shoptest.Key("MUG"), func(now stock.State, _ int64) { state = now }))
	return state
}

func bothBack(resend bool) order.TakeParcelBack {
	return order.TakeParcelBack{
		ShipmentID: "p", Location: unit.DefaultLocation, Resend: resend, Reason: "nobody at home",
		Lines: []order.BackUnits{{Line: 1, Quantity: 1, Disposition: order.Restocked}, {Line: 1, Quantity: 1, Disposition: order.Damaged}},
	}
}

// A node dies after any number of appends while it takes a parcel back. Two others finish its work
// at the same time. The goods come back once, and the mug that is for sale stays with its order.
func TestAParcelComesBackOnceWhoeverDies(t *testing.T) {
	t.Parallel()
	for left := range 5 {
		t.Run(fmt.Sprint("after append ", left), func(t *testing.T) {
			t.Parallel()
			log := memory.New()
			shippedParcel(t, log).Receive("MUG", 1) // for the mug that is damaged
			call := shoptest.NewCall()
			dying := open(t, &shoptest.Mortal{Store: log, Left: left}, commands.DefaultPolicy())
			_, died := dying.Order(t.Context(), call, "o", bothBack(true))
			if died == nil && left < 2 {
				t.Fatalf("the node did not die after %d appends", left)
			}
			others := []*shop{open(t, log, commands.DefaultPolicy()), open(t, log, commands.DefaultPolicy())}
			var wait sync.WaitGroup
			for _, s := range others {
				wait.Go(func() {
					if _, err := s.Order(t.Context(), call, "o", bothBack(true)); err != nil {
						t.Error(err)
					}
				})
			}
			wait.Wait()
			s := others[1]
			recoverFrom(t, s)
			if state := s.mugs(); state.Goods != 3 || state.Unavailable(stock.Damaged) != 1 {
				t.Errorf("%d mugs on hand, %d damaged; want 3 and 1", state.Goods, state.Unavailable(stock.Damaged))
			}
			if state := s.OrderState("o"); len(state.Unsettled) > 0 {
				t.Errorf("still open: %+v", state.Unsettled)
			}
			s.Audit()
		})
	}
}

// Goods that are sent again are allocated in the append that takes them back, so another buyer does
// not get them.
func TestGoodsThatComeBackStayWithTheirOrder(t *testing.T) {
	t.Parallel()
	s := shippedParcel(t, memory.New())
	back := bothBack(true)
	back.Lines = []order.BackUnits{{Line: 1, Quantity: 2, Disposition: order.Restocked}}
	s.send(back)
	if state := s.mugs(); s.Available("MUG") != 0 || state.Orders["o"].Open != 2 {
		t.Errorf("%d available, %d allocated to the order; want 0 and 2", s.Available("MUG"), state.Orders["o"].Open)
	}
	s.send(order.Ship{ShipmentID: "p2", Location: unit.DefaultLocation})
	s.send(order.Deliver{ShipmentID: "p2"}, order.Complete{})
	s.Audit()
}

// Without stock nothing is sent again, and nothing is recorded. The units can be credited instead,
// and what was paid for them is on its way back.
func TestALostParcelIsSentAgainOrCredited(t *testing.T) {
	t.Parallel()
	s := shippedParcel(t, memory.New())
	s.send(order.ReportParcel{ShipmentID: "p", State: order.ParcelLost, Reason: "the carrier cannot find it"})
	if !s.OrderState("o").NeedsAttention() {
		t.Error("nobody looks at the lost parcel")
	}
	_, err := s.Order(t.Context(), shoptest.NewCall(), "o", order.ResendParcel{ShipmentID: "p", Reason: "asked"})
	if !errors.Is(err, stock.ErrInsufficient) || s.OrderState("o").Lines[0].Shipped != 2 {
		t.Errorf("sent again without stock: %v, %+v", err, s.OrderState("o").Lines[0])
	}
	s.Receive("MUG", 1)
	s.send(order.ResendParcel{ShipmentID: "p", Lines: []order.LineQuantity{{Line: 1, Quantity: 1}}, Reason: "still wants one"})
	s.send(order.CreditParcel{ShipmentID: "p", Reason: "the other one is sold out"})
	state := s.OrderState("o")
	if len(state.Refunds) != 1 || state.ToReturn().Sign() != 0 || state.InFlight().Compare(state.Owed()) != 0 || state.NeedsAttention() {
		t.Errorf("refunds %+v, to return %s, owed %s, attention %v", state.Refunds, state.ToReturn(), state.Owed(), state.Attention())
	}
	s.send(order.Ship{ShipmentID: "p2", Location: unit.DefaultLocation})
	s.send(order.Deliver{ShipmentID: "p2"})
	s.Audit()
}
