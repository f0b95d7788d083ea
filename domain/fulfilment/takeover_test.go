package fulfilment

import (
	"reflect"
	"testing"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
)

func TestTheCartAndTheReturnsFollowAnOrder(t *testing.T) {
	var s order.State
	for _, e := range []order.Event{
		order.Placed{OrderID: "o1", CartID: "c1", Currency: "GBP"},
		order.ReturnAdmitted{ReturnID: "r1"},
		order.ReturnAdmitted{ReturnID: "r2"},
		order.ReturnReleased{ReturnID: "r2"},
		order.ReturnReleased{ReturnID: "r3"},
	} {
		s = order.Evolve(s, e)
	}
	if early := Followers(s); len(early) > 0 {
		t.Errorf("of a guest's order: %+v", early)
	}
	s = order.Evolve(s, order.TakenOver{CustomerID: "u1"})
	take := returns.TakeOver{OrderID: "o1", CustomerID: "u1"}
	want := []Follower{
		{ID: unit.FollowReturn.Of("o1", "r1"), ReturnID: "r1", Return: take},
		{ID: unit.FollowReturn.Of("o1", "r2"), ReturnID: "r2", Return: take},
		{ID: unit.FollowReturn.Of("o1", "r3"), ReturnID: "r3", Return: take},
		{ID: unit.FollowCart.Of("o1", "c1"), CartID: "c1", Cart: cart.FollowOrder{OrderID: "o1", CustomerID: "u1"}},
	}
	if got := Followers(s); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	var customers order.State
	for _, e := range []order.Event{order.Placed{OrderID: "o2", CartID: "c2", CustomerID: "u1"}, order.ReturnAdmitted{ReturnID: "r4"}} {
		customers = order.Evolve(customers, e)
	}
	if none := Followers(customers); len(none) > 0 {
		t.Errorf("of a customer's order: %+v", none)
	}
}

// follow is a driver of an order that may have been taken over. When one driver has come to its
// end, no other one follows.
func (m *market) follow(id unit.OrderID, pause func() bool) {
	if !m.orders[id].TakenOver || m.followed[id] {
		return
	}
	for _, f := range Followers(*m.orders[id]) {
		if !pause() {
			return
		}
		m.tell(f.ReturnID, f.Return)
	}
	m.followed[id] = true
}

// returnsFollowTheirOrders checks that each return of one order has the order's customer, whenever
// the order was taken over.
func (m *market) returnsFollowTheirOrders() {
	for id, back := range m.backs {
		var of unit.OrderID
		several := false
		for _, link := range back.Requested.Lines[0].Links {
			several = several || of != "" && of != link.OrderID
			of = link.OrderID
		}
		want := unit.CustomerID("")
		if s := m.orders[of]; s != nil && !several {
			want = s.CustomerID
		}
		if back.Customer() != want {
			m.fatalf("return %s of order %s has the customer %q, want %q", id, of, back.Customer(), want)
		}
	}
}
