package verify_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/verify"
)

// facts appends events, also those that no command can record.
func facts[E any](t *testing.T, log eventstore.Store, stream string, encode func(E) (string, []byte, error), events ...E) {
	t.Helper()
	for _, event := range events {
		name, data, err := encode(event)
		if err == nil {
			_, err = log.Append(t.Context(), stream, eventstore.Any, []eventstore.Event{{ID: eventstore.EventID(uuid.New(), 0), Type: name, Data: data}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

const (
	inOrder      = "log: positions rise, revisions are dense, times never fall"
	promised     = "stock: never promised beyond policy, never below zero"
	oneEnd       = "reservations: one beginning, at most one end"
	sumsOfEvents = "stock: every quantity is the sum of its events"
	ordersAddUp  = "orders: lines, holdings and totals add up; nothing is left undone"
	bothWays     = "stock and orders: each promise has its order, each order its promise"
	mergesAgree  = "carts: the lines of a merged cart came into one other cart, once"
	cartsAgree   = "carts and orders: each checkout that succeeded has its order"
	returnsAgree = "returns: received, refunded and taken back agree"
	parcelsAgree = "parcels: each unit arrived, came back, is sent again or was credited once"
	ordersAgree  = "orders and returns: no unit comes back twice, refunds are on both"
)

var farFuture = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// faultyLog is a log of events about one SKU and one order. Some of the events are wrong.
type faultyLog struct {
	t   *testing.T
	log eventstore.Store
}

var mugs = stock.Key{SKU: "MUG", Location: unit.DefaultLocation}

// reservationOfO1 is the reservation that the checkout of order o1 makes.
var reservationOfO1 = stock.ReservationIDFor("o1", mugs.SKU, mugs.Location)

func (f faultyLog) stock(events ...stock.Event) {
	f.t.Helper()
	facts(f.t, f.log, stock.Stream(mugs.SKU, mugs.Location), stock.Encode, events...)
}

func (f faultyLog) order(events ...order.Event) {
	f.t.Helper()
	facts(f.t, f.log, order.Stream("o1"), order.Encode, events...)
}

func (f faultyLog) cart(events ...cart.Event) {
	f.t.Helper()
	facts(f.t, f.log, cart.Stream("c1"), cart.Encode, events...)
}

// other is cart c2, which takes lines of cart c1.
func (f faultyLog) other(events ...cart.Event) {
	f.t.Helper()
	events = append([]cart.Event{cart.Opened{CartID: "c2", Currency: "GBP"}}, events...)
	facts(f.t, f.log, cart.Stream("c2"), cart.Encode, events...)
}

// inCart is a line of a cart, with a number of mugs.
func inCart(line int, units unit.Quantity) cart.Event {
	return cart.LineAdded{Line: cart.Line{Number: line, SKU: mugs.SKU, Kind: unit.Stocked, Quantity: units, Price: gbp("2.50")}}
}

// takenOver is order o1 of cart c1, whose only line is a service, with further events.
func (f faultyLog) takenOver(taken order.TakenOver, follows ...cart.Event) {
	f.t.Helper()
	f.cart(append([]cart.Event{opened(), started(), cart.CheckedOut{OrderID: "o1"}}, follows...)...)
	placed := placed(1)
	placed.CartID, placed.Reservations, placed.Lines[0].Kind = "c1", nil, unit.Service
	f.order(placed, taken)
}

// returnOfO1 is a return of one unit of order o1.
func (f faultyLog) returnOfO1(id unit.ReturnID, events ...returns.Event) {
	f.t.Helper()
	asked := returns.Requested{
		ReturnID: id, OrderID: "o1", Currency: "GBP", Admit: []returns.OrderUnits{{OrderID: "o1", Lines: []returns.LineUnits{{Line: 1, Quantity: 1}}}},
		Lines: []returns.Line{{Number: 1, SKU: "FEE", Kind: unit.Service, Quantity: 1, Price: gbp("2.50"), Links: []returns.Link{{OrderID: "o1", Line: 1, Quantity: 1}}}},
	}
	facts(f.t, f.log, returns.Stream(id), returns.Encode, append([]returns.Event{asked}, events...)...)
}

// comes says that lines of cart c1 come into a cart.
var comes = cart.MergedFrom{Source: "c1", Attempt: 1}

func (f faultyLog) returns(events ...returns.Event) {
	f.t.Helper()
	facts(f.t, f.log, returns.Stream("r1"), returns.Encode, events...)
}

func (f faultyLog) receive(units unit.Quantity) { f.stock(stock.Received{Key: mugs, Quantity: units}) }

func (f faultyLog) reserve(units unit.Quantity) {
	f.stock(stock.Reserved{Key: mugs, ReservationID: reservationOfO1, OrderID: "o1", Quantity: units, ExpiresAt: farFuture})
}

func (f faultyLog) release(units unit.Quantity) {
	f.stock(stock.ReservationReleased{Key: mugs, ReservationID: reservationOfO1, OrderID: "o1", Quantity: units})
}

func (f faultyLog) commit(units unit.Quantity) {
	f.stock(stock.ReservationCommitted{Key: mugs, ReservationID: reservationOfO1, OrderID: "o1", Quantity: units})
}

// placed is order o1 with a number of mugs at 2.50 each.
func placed(units unit.Quantity) order.Placed {
	total := gbp("2.50").Times(units)
	return order.Placed{
		OrderID: "o1", Currency: "GBP", ConfirmBy: farFuture, Total: total, Charge: total.Charge(),
		Lines:        []cart.Line{{Number: 1, SKU: mugs.SKU, Kind: unit.Stocked, Quantity: units, Price: gbp("2.50")}},
		Reservations: []cart.Reservation{{ReservationID: reservationOfO1, SKU: mugs.SKU, Location: mugs.Location, Quantity: units}},
	}
}

var settled = order.StockSettled{Step: order.StepConfirm}

func opened() cart.Event { return cart.Opened{CartID: "c1", Currency: "GBP"} }

func started() cart.Event {
	return cart.CheckoutStarted{OrderID: "o1", CartID: "c1", Currency: "GBP", ReserveUntil: farFuture}
}

func requested(units unit.Quantity) returns.Requested {
	return returns.Requested{ReturnID: "r1", Currency: "GBP", Lines: []returns.Line{{
		Number: 1, SKU: mugs.SKU, Kind: unit.Stocked, Quantity: units, Price: gbp("2.50"),
	}}}
}

func received(units unit.Quantity) returns.Received {
	return returns.Received{Receipt: 1, Lines: []returns.ReceivedLine{{
		Line: 1, Quantity: units, Disposition: returns.Restocked, Location: mugs.Location,
	}}}
}

// shippedMugs records order o1 with this many mugs, all of them in parcel p.
func (f faultyLog) shippedMugs(units unit.Quantity) {
	f.t.Helper()
	f.receive(5)
	f.reserve(units)
	f.order(placed(units), order.Confirmed{})
	f.commit(units)
	f.order(settled, order.Shipped{ShipmentID: "p", Location: mugs.Location, Lines: []order.ShippedLine{{Line: 1, SKU: mugs.SKU, Kind: unit.Stocked, Quantity: units}}})
	f.stock(stock.Shipped{Key: mugs, OrderID: "o1", ShipmentID: "p", Quantity: units})
	f.order(order.StockSettled{Step: order.StepShipment, Ref: "p"})
}

var settledBack = order.StockSettled{Step: order.StepCameBack, Ref: "p"}

func parcelBack(units unit.Quantity) order.ParcelBack {
	return order.ParcelBack{ShipmentID: "p", Location: mugs.Location, Lines: []order.BackLine{{Line: 1, SKU: mugs.SKU, Quantity: units, Disposition: order.Restocked}}}
}

func mugsBack(units unit.Quantity) stock.CameBack {
	return stock.CameBack{Key: mugs, OrderID: "o1", ShipmentID: "p", Quantity: units, Condition: stock.Available}
}

// shippedServices records order o1 with this many services at 2.50, all of them shipped. Services
// are used here because returns of them move no stock.
func (f faultyLog) shippedServices(units unit.Quantity) {
	f.t.Helper()
	total := gbp("2.50").Times(units)
	f.order(order.Placed{
		OrderID: "o1", Currency: "GBP", ConfirmBy: farFuture, Total: total, Charge: total.Charge(),
		Lines: []cart.Line{{Number: 1, SKU: "FEE", Kind: unit.Service, Quantity: units, Price: gbp("2.50")}},
	}, order.Confirmed{}, order.Shipped{ShipmentID: "p", Location: mugs.Location, Lines: []order.ShippedLine{
		{Line: 1, SKU: "FEE", Kind: unit.Service, Quantity: units},
	}})
}

// linkedReturn records a return of this many of these services. Order o1 is asked to admit it.
func (f faultyLog) linkedReturn(id unit.ReturnID, units unit.Quantity, events ...returns.Event) {
	f.t.Helper()
	asked := returns.Requested{
		ReturnID: id, OrderID: "o1", Currency: "GBP",
		Lines: []returns.Line{{
			Number: 1, SKU: "FEE", Kind: unit.Service, Quantity: units, Price: gbp("2.50"),
			Links: []returns.Link{{OrderID: "o1", Line: 1, Quantity: units}},
		}},
		Admit: []returns.OrderUnits{{OrderID: "o1", Lines: []returns.LineUnits{{Line: 1, Quantity: units}}}},
	}
	facts(f.t, f.log, returns.Stream(id), returns.Encode, append([]returns.Event{asked}, events...)...)
}

func admitted(id unit.ReturnID, units unit.Quantity) order.Event {
	return order.ReturnAdmitted{ReturnID: id, Lines: []order.LineQuantity{{Line: 1, Quantity: units}}}
}

// refundOfFive is a refund of 5.00. All of it is the share of order o1.
var refundOfFive = returns.Refunded{TransactionID: "t", Amount: gbp("5.00"), Shares: []returns.Share{{OrderID: "o1", Amount: gbp("5.00")}}}

func refundOnOrder(amount string) order.Event {
	return order.TransactionRecorded{TransactionID: "t", Type: order.Refund, State: order.Succeeded, Amount: gbp(amount), ReturnID: "r1"}
}

func returnedToStock(units unit.Quantity) stock.Returned {
	return stock.Returned{Key: mugs, ReturnID: "r1", Receipt: 1, Quantity: units, Condition: stock.Available}
}

func TestEveryFaultOfTheLogIsFound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		write func(f faultyLog)
		check string // the check that finds the fault; empty if there is none
		words string
	}{
		"nothing at all": {write: func(faultyLog) {}},
		"an order that is as it should be": {write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			f.order(placed(2), order.Confirmed{})
			f.commit(2)
			f.order(settled)
		}},
		"a stream of another program": {write: func(f faultyLog) {
			facts(f.t, f.log, "weather-london", func(text string) (string, []byte, error) { return "rained", []byte(text), nil }, `{}`)
		}},

		"a reservation ended twice": {check: oneEnd, words: `is expired, and was "released" before`, write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			f.release(2)
			f.stock(stock.ReservationExpired{Key: mugs, ReservationID: reservationOfO1, OrderID: "o1", Quantity: 2})
		}},
		"an end without a beginning": {check: oneEnd, words: `is released, and was "" before`, write: func(f faultyLog) { f.release(2) }},
		"a reservation begun again": {check: oneEnd, words: "begins again (released)", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			f.release(2)
			f.reserve(2)
			f.release(2)
		}},
		"more released than was reserved": {check: oneEnd, words: "had 2, but 3 were released", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			f.release(3)
		}},
		"an extension of nothing": {check: oneEnd, words: "is extended, but it is not open", write: func(f faultyLog) {
			f.stock(stock.ReservationExtended{Key: mugs, ReservationID: reservationOfO1, ExpiresAt: farFuture})
		}},

		"oversold stock": {check: promised, words: "promised 1 more than there is", write: func(f faultyLog) {
			f.receive(5)
			f.stock(stock.PolicySet{Key: mugs, Policy: stock.Policy{SafetyStock: 1}})
			f.stock(stock.Allocated{Key: mugs, OrderID: "outside", Quantity: 5})
		}},
		"a backorder is not oversold": {write: func(f faultyLog) {
			f.stock(stock.PolicySet{Key: mugs, Policy: stock.Policy{BackorderLimit: 1}})
			f.stock(stock.Allocated{Key: mugs, OrderID: "outside", Quantity: 1})
		}},
		"a reservation committed after its deadline, when its goods were sold": {check: promised, words: "promised 5 more than there is", write: func(f faultyLog) {
			f.receive(5)
			f.stock(stock.Reserved{Key: mugs, ReservationID: "x", OrderID: "outside", Quantity: 5, ExpiresAt: time.Unix(0, 0)},
				stock.Allocated{Key: mugs, OrderID: "other", Quantity: 5},
				stock.ReservationCommitted{Key: mugs, ReservationID: "x", OrderID: "outside", Quantity: 5})
		}},
		"fewer than zero units on hand": {check: promised, words: "-1 on hand", write: func(f faultyLog) {
			f.receive(1)
			f.stock(stock.TransferredOut{Key: mugs, TransferID: "x", To: "north", Quantity: 2})
		}},
		"goods for an order without an allocation": {check: promised, words: "2 more units went to order outside than were allocated to it", write: func(f faultyLog) {
			f.receive(5)
			f.stock(stock.Allocated{Key: mugs, OrderID: "other", Quantity: 1},
				stock.Shipped{Key: mugs, OrderID: "outside", ShipmentID: "p", Quantity: 2})
		}},
		"a count that expected another quantity": {check: promised, words: "expected 4 on hand, but there were 5", write: func(f faultyLog) {
			f.receive(5)
			f.stock(stock.Counted{Key: mugs, Expected: 4, Counted: 4})
		}},
		"goods in a condition that no rule counts": {check: sumsOfEvents, words: "unavailable: 0, want 2", write: func(f faultyLog) {
			f.receive(5)
			f.stock(stock.Moved{Key: mugs, From: stock.Available, To: "stolen", Quantity: 2})
		}},

		"a total that is not the sum of the lines": {check: moneyFollows, words: "order o1, placed at revision 0: total is 7.00 GBP, want 5", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			wrong := placed(2)
			wrong.Total = gbp("7.00")
			f.order(wrong)
		}},
		"lines without a reservation": {check: ordersAddUp, words: "MUG: 2 more units are open than are reserved or allocated", write: func(f faultyLog) {
			f.receive(5)
			wrong := placed(2)
			wrong.Reservations = nil
			f.order(wrong)
		}},
		"more shipped than ordered": {check: ordersAddUp, words: "line 1: 0 of 2 canceled, 3 shipped", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			f.order(placed(2), order.Confirmed{})
			f.commit(2)
			f.order(settled, order.Shipped{ShipmentID: "p", Location: mugs.Location, Lines: []order.ShippedLine{{Line: 1, SKU: mugs.SKU, Kind: unit.Service, Quantity: 3}}})
		}},
		"a parcel that came back twice": {check: parcelsAgree, words: "parcel p is came_back after it was came_back", write: func(f faultyLog) {
			f.shippedMugs(2)
			f.order(parcelBack(2), parcelBack(2))
			f.stock(mugsBack(4))
			f.order(settledBack)
		}},
		"units of a parcel that neither came back nor were lost": {check: parcelsAgree, words: "parcel p, line 1: 1 units of it neither came back nor were lost", write: func(f faultyLog) {
			f.shippedMugs(2)
			f.order(parcelBack(1))
			f.stock(mugsBack(1))
			f.order(settledBack)
		}},
		"stock that took back less than came back": {check: parcelsAgree, words: "took back 1 of parcel p as available, 2 came back", write: func(f faultyLog) {
			f.shippedMugs(2)
			f.order(parcelBack(2))
			f.stock(mugsBack(1))
			f.order(settledBack)
		}},
		"stock that took back what never came back": {check: parcelsAgree, words: "took back 1 of parcel p as available, 0 came back", write: func(f faultyLog) {
			f.shippedMugs(2)
			f.stock(mugsBack(1))
		}},
		"units that are sent again while their parcel is under way": {check: parcelsAgree, words: "units are sent again or credited while it is shipped", write: func(f faultyLog) {
			f.shippedMugs(2)
			f.order(order.ParcelResent{ShipmentID: "p", Location: mugs.Location, Lines: []order.ResentLine{{Line: 1, SKU: mugs.SKU, Quantity: 1}}})
		}},
		"a step whose stock was never settled": {check: ordersAddUp, words: "the stock of step confirm  is not settled", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			f.order(placed(2), order.Confirmed{})
			f.commit(2)
		}},

		"a pending order without its reservation": {check: bothWays, words: "order o1 is pending with 2 of MUG@main reserved", write: func(f faultyLog) {
			f.receive(5)
			f.order(placed(2))
		}},
		"a pending order with a smaller reservation": {check: bothWays, words: "has 1 (no end)", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(1)
			f.order(placed(2))
		}},
		"a confirmed order that was allocated nothing": {check: bothWays, words: "order o1 counts on 2 of MUG@main", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			f.order(placed(2))
			f.release(2)
			f.order(order.Confirmed{}, settled)
		}},
		"more allocated than the order has": {check: bothWays, words: "allocated to order o1: 3, want 2", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			f.order(placed(2), order.Confirmed{})
			f.commit(2)
			f.order(settled)
			f.stock(stock.Reserved{Key: mugs, ReservationID: "another", OrderID: "o1", Quantity: 1, ExpiresAt: farFuture})
			f.stock(stock.ReservationCommitted{Key: mugs, ReservationID: "another", OrderID: "o1", Quantity: 1})
		}},
		"more is missing than was taken by force": {check: bothWays, words: "order o1 counts on 3 of", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(3)
			f.order(placed(3), order.Confirmed{})
			f.commit(3)
			f.order(settled)
			f.stock(stock.Deallocated{Key: mugs, Origin: stock.Origin{Direct: true, Override: "counter"}, OrderID: "o1", Quantity: 2})
			f.stock(stock.Deallocated{Key: mugs, OrderID: "o1", Quantity: 1})
		}},
		"allocated to an order by hand, too": {write: func(f faultyLog) {
			f.receive(5)
			f.stock(stock.Allocated{Key: mugs, OrderID: "o1", Quantity: 1})
			f.reserve(2)
			f.order(placed(2), order.Confirmed{})
			f.commit(2)
			f.order(settled)
			f.stock(stock.Shipped{Key: mugs, Origin: stock.Origin{Direct: true}, OrderID: "o1", ShipmentID: "by hand", Quantity: 1})
		}},
		"taken from an order's allocation with a reason": {write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			f.order(placed(2), order.Confirmed{})
			f.commit(2)
			f.order(settled)
			f.stock(stock.Deallocated{Key: mugs, Origin: stock.Origin{Direct: true, Override: "broken"}, OrderID: "o1", Quantity: 2})
		}},
		"taken from an order's allocation without a reason": {check: bothWays, words: "order o1 counts on 2 of MUG@main", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			f.order(placed(2), order.Confirmed{})
			f.commit(2)
			f.order(settled)
			f.stock(stock.Deallocated{Key: mugs, OrderID: "o1", Quantity: 2})
		}},
		"goods taken back by hand under a return's id": {write: func(f faultyLog) {
			f.returns(requested(2))
			byHand := returnedToStock(1)
			byHand.Direct = true
			f.stock(byHand)
		}},
		"a canceled return with a worth below zero": {write: func(f faultyLog) {
			less := requested(1)
			less.Lines = append(less.Lines, returns.Line{Number: 2, SKU: "OFF", Kind: unit.Service, Quantity: 1, Price: gbp("-9.00")})
			f.returns(less, returns.Approved{}, returns.Canceled{})
		}},
		"a return whose worth falls after its refund": {write: func(f faultyLog) {
			less := requested(2)
			less.Lines = append(less.Lines, returns.Line{Number: 2, SKU: "PIECE", Kind: unit.Stocked, Quantity: 1, Price: gbp("-1.00")})
			f.returns(less, returns.Approved{}, received(2), returns.StockSettled{Receipt: 1}, returns.Refunded{TransactionID: "t", Amount: gbp("5.00")},
				returns.Received{Receipt: 2, Lines: []returns.ReceivedLine{{Line: 2, Quantity: 1, Disposition: returns.Lost, Location: mugs.Location}}})
			f.stock(returnedToStock(2))
		}},
		"damaged units that were shipped by force and then written off": {write: func(f faultyLog) {
			f.receive(5)
			f.stock(stock.Allocated{Key: mugs, OrderID: "outside", Quantity: 3},
				stock.Moved{Key: mugs, From: stock.Available, To: stock.Damaged, Quantity: 5},
				stock.Shipped{Key: mugs, OrderID: "outside", ShipmentID: "p", Quantity: 3, Forced: true},
				stock.Adjusted{Key: mugs, Change: -5, Reason: stock.DamagedGoods, Condition: stock.Damaged})
		}},
		"more is missing after the order recorded what was taken": {check: bothWays, words: "order o1 counts on 1 of", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(3)
			f.order(placed(3), order.Confirmed{})
			f.commit(3)
			f.order(settled)
			f.stock(stock.Deallocated{Key: mugs, Origin: stock.Origin{Direct: true, Override: "counter"}, OrderID: "o1", Quantity: 2})
			f.order(order.AllocationRetried{Attempt: 1, Lost: []order.Lost{{SKU: mugs.SKU, Location: mugs.Location, Quantity: 2}}},
				order.AllocationFailed{Remedy: order.RemedyBackorder}, order.StockSettled{Step: order.StepCancel, Ref: "1"})
			f.stock(stock.Deallocated{Key: mugs, OrderID: "o1", Quantity: 1})
		}},
		"a reservation for an order that is canceled": {check: bothWays, words: "has 2 reserved for order o1, which is canceled", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			f.order(placed(2), order.Canceled{}, order.StockSettled{Step: order.StepCancel, Ref: "1"})
		}},
		"a reservation for a checkout that was refused": {check: bothWays, words: "whose checkout was refused", write: func(f faultyLog) {
			f.receive(5)
			f.cart(opened(), started())
			f.reserve(2)
			f.cart(cart.CheckoutRefused{OrderID: "o1"})
		}},

		"a merge that is as it should be": {write: func(f faultyLog) {
			f.cart(opened(), inCart(1, 2), inCart(2, 1), cart.MergedInto{Target: "c2", Attempt: 1})
			f.other(inCart(1, 3), comes, cart.QuantityChanged{Line: 1, Quantity: 6}, cart.CountryChanged{Country: "EIRE"}, inCart(2, 9))
		}},
		"a merge that was refused": {write: func(f faultyLog) {
			f.cart(opened(), inCart(1, 2), cart.MergedInto{Target: "c2", Attempt: 1})
			f.other(cart.Expired{}, cart.MergeDeclined{Source: "c1", Attempt: 1, Reason: "cart-not-open"})
			f.cart(cart.MergeRefused{Target: "c2", Attempt: 1, Reason: "cart-not-open"})
		}},
		"a merge that never ended": {check: mergesAgree, words: "merge 1 of cart c1 into cart c2 has not ended", write: func(f faultyLog) {
			f.cart(opened(), inCart(1, 2), cart.MergedInto{Target: "c2", Attempt: 1})
			f.other()
		}},
		"a merged cart whose lines came in part": {check: mergesAgree, words: "merge 1 of cart c1: cart c2 took ", write: func(f faultyLog) {
			f.cart(opened(), inCart(1, 2), cart.MergedInto{Target: "c2", Attempt: 1})
			f.other(comes, inCart(1, 1))
		}},
		"a merged cart whose lines came twice": {check: mergesAgree, words: "merge 1 of cart c1 has 2 outcomes", write: func(f faultyLog) {
			f.cart(opened(), inCart(1, 2), cart.MergedInto{Target: "c2", Attempt: 1})
			f.other(comes, inCart(1, 2), comes, inCart(2, 2))
		}},
		"a merged cart whose lines came elsewhere": {check: mergesAgree, words: "has an outcome in cart c2, which is not the cart that it went into", write: func(f faultyLog) {
			f.cart(opened(), inCart(1, 2), cart.MergedInto{Target: "c3", Attempt: 1})
			f.other(comes, inCart(1, 2))
		}},
		"lines of a cart that was never merged": {check: mergesAgree, words: "merge 1 of cart c1 never began", write: func(f faultyLog) {
			f.cart(opened(), inCart(1, 2))
			f.other(comes, inCart(1, 2))
		}},
		"a cart that is open and whose lines came": {check: mergesAgree, words: "cart c2 has its lines, and cart c1 is open again", write: func(f faultyLog) {
			f.cart(opened(), inCart(1, 2), cart.MergedInto{Target: "c2", Attempt: 1}, cart.MergeRefused{Target: "c2", Attempt: 1})
			f.other(comes, inCart(1, 2))
		}},
		"a refusal that nobody asked for": {check: mergesAgree, words: "merge 1 of cart c1 was refused, cart c2 did not decline it", write: func(f faultyLog) {
			f.cart(opened(), inCart(1, 2), cart.MergedInto{Target: "c2", Attempt: 1}, cart.MergeRefused{Target: "c2", Attempt: 1})
		}},
		"a cart that stays closed after a refusal": {check: mergesAgree, words: "was declined, and the cart is not open again", write: func(f faultyLog) {
			f.cart(opened(), inCart(1, 2), cart.MergedInto{Target: "c2", Attempt: 1})
			f.other(cart.MergeDeclined{Source: "c1", Attempt: 1})
		}},
		"a checkout without its order": {check: cartsAgree, words: "order o1 was not placed", write: func(f faultyLog) {
			f.cart(opened(), started(), cart.CheckedOut{OrderID: "o1"})
		}},
		"a checkout whose quote is nowhere": {check: cartsAgree, words: "order o1 keeps the quote, and the order has none", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			begun, _ := started().(cart.CheckoutStarted)
			begun.QuoteWithOrder = true
			f.cart(opened(), begun, cart.CheckedOut{OrderID: "o1"})
			wrong := placed(2)
			wrong.CartID = "c1"
			f.order(wrong)
		}},
		"a checkout that never ended": {check: cartsAgree, words: "checkout of order o1 has not ended", write: func(f faultyLog) {
			f.cart(opened(), started())
		}},
		"an order of a cart that was not checked out": {check: cartsAgree, words: "order o1 belongs to cart c1, which was not checked out for it", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			f.cart(opened())
			wrong := placed(2)
			wrong.CartID = "c1"
			f.order(wrong)
		}},
		"an order of another cart": {check: cartsAgree, words: "checked out as order o1, which belongs to cart ", write: func(f faultyLog) {
			f.receive(5)
			f.reserve(2)
			f.cart(opened(), started(), cart.CheckedOut{OrderID: "o1"})
			f.order(placed(2))
		}},

		"a cart that has followed its order": {write: func(f faultyLog) {
			f.takenOver(order.TakenOver{CustomerID: "17850"}, cart.CustomerChanged{CustomerID: "17850"})
		}},
		"a cart that has not followed its order": {check: cartsAgree, words: "order o1 was taken over, but its cart c1 has another customer", write: func(f faultyLog) {
			f.takenOver(order.TakenOver{CustomerID: "17850"})
		}},
		"a cart that has followed to another customer": {check: cartsAgree, words: "order o1 was taken over, but its cart c1 has another customer", write: func(f faultyLog) {
			f.takenOver(order.TakenOver{CustomerID: "17850"}, cart.CustomerChanged{CustomerID: "17851"})
		}},

		"more received than requested": {check: returnsAgree, words: "line 1: 3 of 2 received", write: func(f faultyLog) {
			f.returns(requested(2), returns.Approved{}, received(3))
			f.stock(returnedToStock(3))
			f.returns(returns.StockSettled{Receipt: 1})
		}},
		"more refunded than received": {check: returnsAgree, words: "5.01 refunded, but what was received is worth 5", write: func(f faultyLog) {
			f.returns(requested(2), returns.Approved{}, received(2), returns.Refunded{TransactionID: "t", Amount: gbp("5.01")})
			f.stock(returnedToStock(2))
			f.returns(returns.StockSettled{Receipt: 1})
		}},
		"less taken back than received": {check: returnsAgree, words: "took back 1, 2 were received", write: func(f faultyLog) {
			f.returns(requested(2), returns.Approved{}, received(2))
			f.stock(returnedToStock(1))
			f.returns(returns.StockSettled{Receipt: 1})
		}},
		"taken back and never received": {check: returnsAgree, words: "took back 1, 0 were received", write: func(f faultyLog) {
			f.returns(requested(2), returns.Approved{})
			f.stock(returnedToStock(1))
		}},
		"a receipt whose stock was never settled": {check: returnsAgree, words: "the stock of receipt 1 is not settled", write: func(f faultyLog) {
			f.returns(requested(2), returns.Approved{}, received(2))
			f.stock(returnedToStock(2))
		}},

		"returns that are as they should be": {write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2, returns.Admitted{}, returns.Approved{}, refundOfFive, returns.OrdersSettled{Step: returns.StepRefund, Ref: "t"})
			f.linkedReturn("r2", 1, returns.Admitted{}, returns.Canceled{}, returns.OrdersSettled{Step: returns.StepRelease})
			f.linkedReturn("r3", 1, returns.Admitted{})
			f.order(admitted("r1", 2), refundOnOrder("5.00"), admitted("r2", 1), order.ReturnReleased{ReturnID: "r2"}, admitted("r3", 1))
		}},
		"returns of a version without admissions": {write: func(f faultyLog) {
			f.shippedServices(1)
			for _, id := range []unit.ReturnID{"r1", "r2"} {
				facts(f.t, f.log, returns.Stream(id), returns.Encode, []returns.Event{
					returns.Requested{ReturnID: id, OrderID: "o1", Currency: "GBP", Lines: []returns.Line{{
						Number: 1, SKU: "FEE", Kind: unit.Service, Quantity: 1, Price: gbp("2.50"), Links: []returns.Link{{OrderID: "o1", Line: 1, Quantity: 1}},
					}}}, returns.Approved{}, returns.Refunded{TransactionID: "t", Amount: gbp("2.50")}, returns.Closed{},
				}...)
			}
		}},
		"a return that has followed its order": {write: func(f faultyLog) {
			f.shippedServices(3)
			f.returnOfO1("r1", returns.Admitted{}, returns.TakenOver{CustomerID: "17850"})
			f.order(admitted("r1", 1), order.TakenOver{CustomerID: "17850"})
		}},
		"a return that has not followed its order": {check: ordersAgree, words: "order o1 was taken over, but its return r1 has no customer", write: func(f faultyLog) {
			f.shippedServices(3)
			f.returnOfO1("r1", returns.Admitted{})
			f.order(admitted("r1", 1), order.TakenOver{CustomerID: "17850"})
		}},
		"a return that has followed to another customer": {check: ordersAgree, words: "return r1 was taken over by another customer than its order o1", write: func(f faultyLog) {
			f.shippedServices(3)
			f.returnOfO1("r1", returns.Admitted{}, returns.TakenOver{CustomerID: "17851"})
			f.order(admitted("r1", 1), order.TakenOver{CustomerID: "17850"})
		}},
		"a unit that comes back twice": {check: ordersAgree, words: "order o1, line 1: 4 come back, 3 have shipped", write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2, returns.Admitted{})
			f.linkedReturn("r2", 2, returns.Admitted{})
			f.order(admitted("r1", 2), admitted("r2", 2))
		}},
		"a return that names the cart of another order": {check: ordersAgree, words: "return r1 names cart c9, which is not the cart of its order", write: func(f faultyLog) {
			f.shippedServices(1)
			facts[returns.Event](f.t, f.log, returns.Stream("r1"), returns.Encode, returns.Requested{
				ReturnID: "r1", OrderID: "o1", CartID: "c9", Currency: "GBP", Lines: []returns.Line{{
					Number: 1, SKU: "FEE", Kind: unit.Service, Quantity: 1, Price: gbp("2.50"), Links: []returns.Link{{OrderID: "o1", Line: 1, Quantity: 1}},
				}},
			})
		}},
		"a return that its order never admitted": {check: ordersAgree, words: "return r1: it has 2 more units of line 1 of order o1 than the order has admitted", write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2, returns.Admitted{})
		}},
		"a return admitted for other units": {check: ordersAgree, words: "return r1: it has 1 more units of line 1", write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2, returns.Admitted{})
			f.order(admitted("r1", 1))
		}},
		"a released return that is active": {check: ordersAgree, words: "return r1: it has 2 more units of line 1", write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2, returns.Admitted{})
			f.order(admitted("r1", 2), order.ReturnReleased{ReturnID: "r1"})
		}},
		"an admission of a return that does not exist": {check: ordersAgree, words: "order o1 has admitted return r1, which is not active", write: func(f faultyLog) {
			f.shippedServices(3)
			f.order(admitted("r1", 2))
		}},
		"an admission of a return that was canceled": {check: ordersAgree, words: "order o1 has admitted return r1, which is not active", write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2, returns.Admitted{}, returns.Canceled{}, returns.OrdersSettled{Step: returns.StepRelease})
			f.order(admitted("r1", 2))
		}},
		"a return whose orders never replied": {check: ordersAgree, words: "return r1: its orders have not said whether they admit it", write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2)
		}},
		"a release that was never settled": {check: ordersAgree, words: "return r1: its orders are not settled for release", write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2, returns.Admitted{}, returns.Canceled{})
		}},
		"a refund that was taken back, because another return has it": {write: func(f faultyLog) {
			f.shippedServices(4)
			f.linkedReturn("r1", 2, returns.Admitted{}, returns.Approved{}, refundOfFive, returns.OrdersSettled{Step: returns.StepRefund, Ref: "t"})
			f.linkedReturn("r2", 2, returns.Admitted{}, returns.Approved{}, refundOfFive, returns.RefundWithdrawn{
				TransactionID: "t", Amount: refundOfFive.Amount, Shares: refundOfFive.Shares, OrderID: "o1", Code: "transaction-differs",
			})
			f.order(admitted("r1", 2), admitted("r2", 2), refundOnOrder("5.00"))
		}},
		"a refund taken back that the order has": {check: ordersAgree, words: "order o1: refund t belongs to return r1, which has not recorded it", write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2, returns.Admitted{}, returns.Approved{}, refundOfFive, returns.RefundWithdrawn{
				TransactionID: "t", Amount: refundOfFive.Amount, Shares: refundOfFive.Shares, OrderID: "o1", Code: "transaction-differs",
			})
			f.order(admitted("r1", 2), refundOnOrder("5.00"))
		}},
		"a refund that the order does not know": {check: ordersAgree, words: "return r1: refund t of 5.00 GBP is not on order o1", write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2, returns.Admitted{}, returns.Approved{}, refundOfFive, returns.OrdersSettled{Step: returns.StepRefund, Ref: "t"})
			f.order(admitted("r1", 2))
		}},
		"a refund of other money on the order": {check: ordersAgree, words: "return r1: refund t of 5.00 GBP is a refund of 4.00 GBP on order o1, succeeded", write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2, returns.Admitted{}, returns.Approved{}, refundOfFive, returns.OrdersSettled{Step: returns.StepRefund, Ref: "t"})
			f.order(admitted("r1", 2), refundOnOrder("4.00"))
		}},
		"a refund on the order that no return has claimed": {check: ordersAgree, words: "return r1: refund t of 5.00 GBP is a refund of 5.00 GBP on order o1, succeeded, of return \"\"", write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2, returns.Admitted{}, returns.Approved{}, refundOfFive, returns.OrdersSettled{Step: returns.StepRefund, Ref: "t"})
			f.order(admitted("r1", 2), order.TransactionRecorded{TransactionID: "t", Type: order.Refund, State: order.Succeeded, Amount: gbp("5.00")})
		}},
		"a refund on the order that its return does not know": {check: ordersAgree, words: "order o1: refund t belongs to return r1, which has not recorded it", write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2, returns.Admitted{}, returns.Approved{})
			f.order(admitted("r1", 2), refundOnOrder("5.00"))
		}},
		"an admission that was not asked for": {check: ordersAgree, words: "order o1 has admitted return r1, which did not ask it", write: func(f faultyLog) {
			f.shippedServices(3)
			facts(f.t, f.log, returns.Stream("r1"), returns.Encode, []returns.Event{
				returns.Requested{ReturnID: "r1", Currency: "GBP", Lines: []returns.Line{
					{Number: 1, SKU: "FEE", Kind: unit.Service, Quantity: 1, Price: gbp("2.50")},
				}}, returns.Approved{},
			}...)
			f.order(admitted("r1", 3))
		}},
		"a refund on a return that was canceled": {check: ordersAgree, words: "return r1: it has 1 refunds, but it is canceled", write: func(f faultyLog) {
			f.shippedServices(3)
			f.linkedReturn("r1", 2, returns.Admitted{}, returns.Approved{}, refundOfFive, returns.OrdersSettled{Step: returns.StepRefund, Ref: "t"},
				returns.Canceled{}, returns.OrdersSettled{Step: returns.StepRelease})
			f.order(admitted("r1", 2), refundOnOrder("5.00"), order.ReturnReleased{ReturnID: "r1"})
		}},
		"a receipt of a missing line": {check: returnsAgree, words: "receipt 1 names line 7, which the return does not have", write: func(f faultyLog) {
			f.returns(requested(2), returns.Approved{})
			wrong := received(1)
			wrong.Lines[0].Line = 7
			f.returns(wrong)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := faultyLog{t: t, log: memory.New()}
			test.write(f)
			_, report, err := verify.Log(t.Context(), f.log, time.Now(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if test.check == "" {
				if found := differences(report); len(found) != 0 {
					t.Errorf("found %q, want nothing", found)
				}
				return
			}
			wantOnly(t, report, test.check, test.words)
		})
	}
}

// changedLog is a log that changes the events that are read from it, or leaves some out.
type changedLog struct {
	eventstore.Store
	change func(n int, e eventstore.Recorded) (_ eventstore.Recorded, keep bool)
}

func (w changedLog) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		n := 0
		for e, err := range w.Store.ReadAll(ctx, after, filter, limit) {
			n++
			e, keep := w.change(n, e)
			if keep && !yield(e, err) {
				return
			}
		}
	}
}

func TestEveryFaultOfTheOrderIsFound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(n int, e eventstore.Recorded) (eventstore.Recorded, bool)
		words  string
	}{
		"an event that was taken out": {words: "stream stock-MUG@main: revision 2, want 1", change: func(n int, e eventstore.Recorded) (eventstore.Recorded, bool) {
			return e, n != 2
		}},
		"a stream without its beginning": {words: "stream stock-MUG@main: revision 1, want 0", change: func(n int, e eventstore.Recorded) (eventstore.Recorded, bool) {
			return e, n != 1
		}},
		"a position that comes twice": {words: "position 1 comes after 1", change: func(n int, e eventstore.Recorded) (eventstore.Recorded, bool) {
			if n == 2 {
				e.Position = eventstore.At(1)
			}
			return e, true
		}},
		"a time that falls": {words: "position 2 was recorded at", change: func(n int, e eventstore.Recorded) (eventstore.Recorded, bool) {
			if n == 2 {
				e.RecordedAt = e.RecordedAt.Add(-time.Second)
			}
			return e, true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := faultyLog{t: t, log: memory.New()}
			f.receive(1)
			f.receive(2)
			f.receive(3)
			_, report, err := verify.Log(t.Context(), changedLog{f.log, test.change}, time.Now(), nil)
			if err != nil {
				t.Fatal(err)
			}
			wantOnly(t, report, inOrder, test.words)
		})
	}
}

func TestAnEventThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		write func(f faultyLog)
		want  string
	}{
		"an unknown type": {want: `stock.vanished.v1 at revision 1 of stream stock-MUG@main: unknown event type "stock.vanished.v1"`, write: func(f faultyLog) {
			facts(f.t, f.log, "stock-MUG@main", func(s string) (string, []byte, error) { return "stock.vanished.v1", []byte(s), nil }, "{}")
		}},
		"a stream of stock without a location": {want: "stock.received.v1 at revision 0 of stream stock-MUG: ", write: func(f faultyLog) {
			facts(f.t, f.log, "stock-MUG", stock.Encode, stock.Event(stock.Received{Key: mugs, Quantity: 1}))
		}},
		"an order without its beginning": {want: "order.canceled.v1 at revision 0 of stream order-9: the stream has not begun", write: func(f faultyLog) {
			facts(f.t, f.log, "order-9", order.Encode, order.Event(order.Canceled{Reason: "lost"}))
		}},
		"an order that is placed twice": {want: "order.placed.v1 at revision 1 of stream order-9: it begins a stream that has begun", write: func(f faultyLog) {
			placed := order.Placed{OrderID: "9", Currency: "GBP", Total: unit.Zero("GBP"), Charge: unit.Zero("GBP")}
			facts(f.t, f.log, "order-9", order.Encode, order.Event(placed), order.Event(placed))
		}},
		"an event of another kind than its stream": {want: "cart.expired.v1 at revision 1 of stream order-o1: its type is of another kind than its stream", write: func(f faultyLog) {
			f.order(placed(1))
			facts(f.t, f.log, "order-o1", cart.Encode, cart.Event(cart.Expired{}))
		}},
		"a quantity that is not a whole number": {want: "stock.received.v1 at revision 1 of stream stock-MUG@main: decode stock.received.v1", write: func(f faultyLog) {
			facts(f.t, f.log, "stock-MUG@main", func(s string) (string, []byte, error) { return "stock.received.v1", []byte(s), nil }, `{"quantity":1.5}`)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := faultyLog{t: t, log: memory.New()}
			f.receive(1)
			test.write(f)
			_, report, err := verify.Log(t.Context(), f.log, time.Now(), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, check := range report.Checks {
				if slices.ContainsFunc(check.First, func(d string) bool { return strings.HasPrefix(d, test.want) }) {
					return
				}
			}
			t.Errorf("no difference says %q", test.want)
		})
	}
}

func TestWorkUnderWayIsNotLeftUndone(t *testing.T) {
	t.Parallel()
	f := faultyLog{t: t, log: memory.New()}
	f.cart(opened(), started())
	f.receive(5)
	f.reserve(2)
	f.returns(requested(2), returns.Approved{}, received(2))
	f.linkedReturn("r2", 1)
	// The checkout of order o2 was refused, and its reservation is not released yet.
	facts(t, f.log, cart.Stream("c2"), cart.Encode,
		cart.Event(cart.Opened{CartID: "c2", Currency: "GBP"}),
		cart.Event(cart.CheckoutStarted{OrderID: "o2", CartID: "c2", Currency: "GBP", ReserveUntil: farFuture}))
	f.stock(stock.Reserved{Key: mugs, ReservationID: stock.ReservationIDFor("o2", mugs.SKU, mugs.Location), OrderID: "o2", Quantity: 1, ExpiresAt: farFuture})
	facts(t, f.log, cart.Stream("c2"), cart.Encode, cart.Event(cart.CheckoutRefused{OrderID: "o2"}))
	now := time.Now()
	for _, test := range []struct {
		after time.Duration
		want  int64
	}{{time.Second, 0}, {time.Hour, 4}} {
		report, err := verify.Run(t.Context(), verify.Config{Store: f.log, Now: now.Add(test.after), Grace: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if report.Differences != test.want {
			t.Errorf("after %s: %d differences, want %d: %q", test.after, report.Differences, test.want, differences(report))
		}
	}
}

func TestVerifyingStopsWhenAsked(t *testing.T) {
	t.Parallel()
	f := faultyLog{t: t, log: memory.New()}
	for range 2_000 {
		f.receive(1)
	}
	ctx, stop := context.WithCancel(t.Context())
	n := 0
	log := changedLog{f.log, func(_ int, e eventstore.Recorded) (eventstore.Recorded, bool) {
		if n++; n == 1_000 {
			stop()
		}
		return e, true
	}}
	if _, _, err := verify.Log(ctx, log, time.Now(), nil); err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("got %v, want that it was canceled", err)
	}
}
