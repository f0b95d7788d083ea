package commands

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore/memory"
)

// owner is a cart, its order and its return, and a SKU at a place; all that it names
// inside has the same ids as another's.
type owner struct {
	cart     unit.CartID
	order    unit.OrderID
	back     unit.ReturnID
	sku      unit.SKU
	location unit.LocationID
}

func (o owner) key() stock.Key { return stock.Key{SKU: o.sku, Location: o.location} }

// askedTwice are, for each kind of derived id, what makes it. Each is done by two
// owners with the same inner ids, and must succeed for both.
var askedTwice = map[*unit.Derivation]string{
	unit.RequestCommand: "by two callers, in commandapi", unit.StepCommand: "by two requests, in commandapi",
	unit.NextAttemptCommand: "by two requests, in commandapi", unit.ImportCommand: "by two invoices, in importer",
	unit.ProcessID: "by two orders that are parked", unit.TimerCommand: "by two deadlines: timers_test.go",
	unit.NewCart: "by two requests, in commandapi", unit.NewReturn: "by two requests, in commandapi", unit.NewTransaction: "by two requests, in commandapi",
	unit.NewRefund: "by two requests, in commandapi", unit.NewShipment: "by two requests, in commandapi", unit.NewTransfer: "by two requests, in commandapi",
	unit.NewDeallocation: "by two requests, in commandapi", unit.OrderReservation: "by two carts of an older program: orderid_test.go",
	unit.DirectReservation: "by two orders, in commandapi", unit.CartOpening: "by two carts, in commandapi",

	unit.NewOrder: "derived order", unit.CheckoutReservation: "sale", unit.CheckoutReserve: "sale", unit.CheckoutOutcome: "sale", unit.CheckoutPlace: "sale",
	unit.CheckoutRelease: "refusal", unit.CheckoutClaim: "refusal", unit.CheckoutWithdraw: "by carts that are checked out at once: orderid_test.go",
	unit.FulfilOrder: "sale", unit.MoveCommit: "sale", unit.MoveShip: "sale", unit.MoveShipForced: "forced parcel", unit.MoveRelease: "cancelation",
	unit.MoveDeallocate: "cancelation", unit.MoveReserve: "lost stock", unit.MoveCommitOver: "lost stock", unit.RetryReservation: "lost stock",
	unit.RemedyTransaction: "lost stock",
	unit.ReturnOutcome:     "return", unit.ReturnAdmit: "return", unit.ReturnRelease: "return", unit.ReturnRefund: "return", unit.ReturnSettle: "return",
	unit.MoveTakeBack: "return",
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) stockUp(o owner, units unit.Quantity) {
	s.t.Helper()
	s.sell(o.sku, 0)
	_, err := s.MoveStock(s.t.Context(), call(), o.key(), stock.Receive{At: s.At(o.key()), Quantity: units})
	s.must(err)
}

func (s *shop) buy(o owner, units unit.Quantity, orderID unit.OrderID) CheckoutResult {
	s.t.Helper()
	s.must(s.cart(o.cart, map[unit.SKU]unit.Quantity{o.sku: units}))
	result, err := s.Checkout(s.t.Context(), call(), CheckoutRequest{
		CartID: o.cart, OrderID: orderID, Sourcing: &cart.Sourcing{Locations: []unit.LocationID{o.location}},
	})
	s.must(err)
	return result
}

func (s *shop) ask(o owner, commands ...order.Command) {
	s.t.Helper()
	_, err := s.Order(s.t.Context(), call(), o.order, commands...)
	s.must(err)
}

func paid(s *shop, o owner) order.RecordTransaction {
	return order.RecordTransaction{TransactionID: "t", Type: order.Capture, State: order.Succeeded, Amount: s.order(o.order).Owed()}
}

// derivations are the scenarios of askedTwice.
var derivations = map[string]func(s *shop, o owner){
	"sale": func(s *shop, o owner) {
		s.buy(o, 2, o.order)
		s.ask(o, paid(s, o), order.Confirm{Now: s.Now()})
		s.ask(o, order.Ship{ShipmentID: "p", Location: o.location})
		s.ask(o, order.Deliver{ShipmentID: "p"}, order.Complete{})
	},
	"derived order": func(s *shop, o owner) {
		if result := s.buy(o, 2, ""); !result.Placed {
			s.t.Fatal(result.Refusal())
		}
	},
	"refusal": func(s *shop, o owner) {
		if result := s.buy(o, 500, o.order); result.Placed || result.OrderIDTaken {
			s.t.Fatalf("checkout: %+v", result)
		}
	},
	"forced parcel": func(s *shop, o owner) {
		_, err := s.MoveStock(s.t.Context(), call(), o.key(), stock.SetPolicy{At: s.At(o.key()), Policy: stock.Policy{BackorderLimit: 500}})
		s.must(err)
		s.buy(o, 150, o.order)
		s.ask(o, order.Confirm{Now: s.Now()})
		s.ask(o, order.Ship{ShipmentID: "p", Location: o.location, Force: true})
	},
	"cancelation": func(s *shop, o owner) {
		s.buy(o, 3, o.order)
		s.ask(o, order.Cancel{Reason: "no"})
		more := o
		more.cart, more.order = o.cart+"-2", o.order+"-2"
		s.buy(more, 3, more.order)
		s.ask(more, order.Confirm{Now: s.Now()})
		s.ask(more, order.CancelLines{Lines: []order.LineQuantity{{Line: 1, Quantity: 1}}})
		s.ask(more, order.Cancel{Reason: "no"})
	},
	"lost stock": func(s *shop, o owner) {
		s.buy(o, 2, o.order)
		held := s.order(o.order).Holdings[0]
		_, err := s.MoveStock(s.t.Context(), call(), o.key(), stock.Release{At: s.At(o.key()), ReservationID: held.ReservationID})
		s.must(err)
		var left unit.Quantity
		s.must(s.Stock.View(s.t.Context(), stock.Stream(o.sku, o.location), func(now stock.State, _ int64) { left = now.Available(s.Now()) }))
		_, err = s.MoveStock(s.t.Context(), call(), o.key(), stock.Adjust{At: s.At(o.key()), Change: -left, Reason: stock.Shrinkage})
		s.must(err)
		s.ask(o, paid(s, o), order.Confirm{Now: s.Now()})
		if now := s.order(o.order); now.Status != order.StatusCanceled || len(now.Transactions) != 2 {
			s.t.Fatalf("the order is %s with %+v", now.Status, now.Transactions)
		}
		s.stockUp(o, left)
	},
	"return": func(s *shop, o owner) {
		s.buy(o, 4, o.order)
		s.ask(o, paid(s, o), order.Confirm{Now: s.Now()})
		s.ask(o, order.Ship{ShipmentID: "p", Location: o.location})
		line := s.order(o.order).Lines[0]
		request := func(id unit.ReturnID) returns.Request {
			return returns.Request{ReturnID: id, OrderID: o.order, Currency: "GBP", Lines: []returns.Line{{
				SKU: o.sku, Kind: unit.Stocked, Quantity: 1, Price: line.Price, Links: []returns.Link{{OrderID: o.order, Line: 1, Quantity: 1}},
			}}}
		}
		_, err := s.Return(s.t.Context(), call(), o.back+"-not", request(o.back+"-not"))
		s.must(err)
		_, err = s.Return(s.t.Context(), call(), o.back+"-not", returns.Cancel{})
		s.must(err)
		_, err = s.Return(s.t.Context(), call(), o.back, request(o.back))
		s.must(err)
		_, err = s.Return(s.t.Context(), call(), o.back, returns.Approve{},
			returns.Receive{Receipt: 1, Lines: []returns.ReceivedLine{{Line: 1, Quantity: 1, Disposition: returns.Restocked, Location: o.location}}},
			returns.RecordRefund{TransactionID: "refund", Amount: line.Price})
		s.must(err)
	},
}

func TestEachDerivedIDIsAskedForByTwoOwners(t *testing.T) {
	t.Parallel()
	for _, d := range unit.Derivations() {
		scenario, listed := askedTwice[d]
		if _, here := derivations[scenario]; !listed || !here && !strings.HasPrefix(scenario, "by two ") && !strings.HasPrefix(scenario, "by carts ") {
			t.Errorf("nothing asks twice for the id %q of %v", d.Name(), d.Parts())
		}
	}
	a := owner{"c-a", "o-a", "r-a", "MUG", "main"}
	for name, differ := range map[string]func(o owner) owner{
		"SKU":      func(o owner) owner { o.sku = "TRAY"; return o },
		"location": func(o owner) owner { o.location = "annex"; return o },
		"order":    func(o owner) owner { return o }, // everything but what it is of
	} {
		b := differ(owner{"c-b", "o-b", "r-b", "MUG", "main"})
		for scenario, do := range derivations {
			t.Run(scenario+" with another "+name, func(t *testing.T) {
				t.Parallel()
				s := open(t, memory.New(), DefaultPolicy())
				for _, o := range []owner{a, b} {
					s.stockUp(o, 100)
					do(s, o)
				}
				recoverFrom(t, s)
				s.audit()
			})
		}
	}
}

// The page lists every derived id, with its parts as they are in the code.
func TestThePageOfDerivedIDsIsComplete(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/derived-ids.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `") {
			rows++
		}
	}
	for _, d := range unit.Derivations() {
		row := fmt.Sprintf("| `%s` | %s |", d.Name(), strings.Join(d.Parts(), ", "))
		if strings.Count(string(page), row) != 1 {
			t.Errorf("the page has no row %q", row)
		}
	}
	if want := len(unit.Derivations()); rows != want {
		t.Errorf("the page has %d rows, want %d", rows, want)
	}
}
