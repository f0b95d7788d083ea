package subject

import (
	"fmt"
	"testing"
	"time"

	"daybook/domain/decidertest"
	"daybook/domain/unit"
)

var subjects = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}

type row = decidertest.Case[Command, Event]

func rows(testing.TB) map[string]row {
	alice := Erased{CustomerID: "alice", Carts: []unit.CartID{"c-1"}, Reason: Requested}
	merged := Erased{CustomerID: "alice", Customers: []unit.CustomerID{"ally"}, Carts: []unit.CartID{"c-1"}, Reason: Requested}
	guest := Erased{CartID: "c-9", Orders: []unit.OrderID{"o-9"}, Reason: Retention}
	more := Erased{CustomerID: "alice", Carts: []unit.CartID{"c-1", "c-2", "c-2"}, Reason: Requested}
	order := Erased{CartID: "c-9", Orders: []unit.OrderID{"o-9", "o-10"}, Reason: Other}
	kept := func(ids ...unit.OrderID) (list []Kept) {
		for _, id := range ids {
			list = append(list, Kept{OrderID: id, Country: "DE", Until: time.Date(2036, 1, 2, 3, 4, 5, 0, time.UTC), Reason: KeptInvoice})
		}
		return list
	}
	invoiced, later := alice, alice
	invoiced.Kept, later.Kept = kept("o-1"), kept("o-1", "o-2", "o-2")
	later.Kept[0].Until = later.Kept[0].Until.AddDate(1, 0, 0)
	return map[string]row{
		"an erasure says what is kept":                   {When: Erase{Erased: invoiced}, Then: []Event{invoiced}},
		"what is kept is named once":                     {Given: []Event{invoiced}, When: Erase{Erased: invoiced}, Nothing: true},
		"what is kept later is named, too":               {Given: []Event{invoiced}, When: Erase{Erased: later}, Then: []Event{Erased{CustomerID: "alice", Reason: Requested, Kept: kept("o-2")}}},
		"an open order stops an erasure with an invoice": {When: Erase{Erased: invoiced, Open: []unit.OrderID{"o-2"}}, Refused: ErrOrderOpen},
		"a customer can be erased":                       {When: Erase{Erased: alice}, Then: []Event{alice}},
		"a guest can be erased":                          {When: Erase{Erased: guest}, Then: []Event{guest}},
		"erasing again changes nothing":                  {Given: []Event{alice}, When: Erase{Erased: alice}, Nothing: true},
		"a cart that is found later is erased, too":      {Given: []Event{alice}, When: Erase{Erased: more}, Then: []Event{Erased{CustomerID: "alice", Carts: []unit.CartID{"c-2"}, Reason: Requested}}},
		"an order that is found later is erased, too":    {Given: []Event{guest}, When: Erase{Erased: order}, Then: []Event{Erased{CartID: "c-9", Orders: []unit.OrderID{"o-10"}, Reason: Other}}},
		"other accounts are erased with the customer":    {When: Erase{Erased: merged}, Then: []Event{merged}},
		"an account that is merged later is erased, too": {Given: []Event{alice}, When: Erase{Erased: merged}, Then: []Event{Erased{CustomerID: "alice", Customers: []unit.CustomerID{"ally"}, Reason: Requested}}},
		"other accounts erased again change nothing":     {Given: []Event{merged}, When: Erase{Erased: merged}, Nothing: true},
		"an open order stops an erasure":                 {When: Erase{Erased: alice, Open: []unit.OrderID{"o-1", "o-2"}}, Refused: ErrOrderOpen.With("", map[string]any{"order_id": unit.OrderID("o-1")})},
		"an open order stops a repeated erasure":         {Given: []Event{alice}, When: Erase{Erased: more, Open: []unit.OrderID{"o-1"}}, Refused: ErrOrderOpen},
		"a guest stays erased if a customer takes over":  {Given: []Event{guest}, When: Erase{Erased: order, HasCustomer: true}, Nothing: true},
		"the cart of a customer is not a guest's":        {When: Erase{Erased: guest, HasCustomer: true}, Refused: ErrHasCustomer},
		"an erasure is about somebody":                   {When: Erase{Erased: Erased{Reason: Requested}}, Refused: ErrInvalid},
		"an erasure is about one subject":                {When: Erase{Erased: Erased{CustomerID: "alice", CartID: "c-1", Reason: Requested}}, Refused: ErrInvalid},
		"an erasure has a reason":                        {When: Erase{Erased: Erased{CustomerID: "alice"}}, Refused: ErrInvalid},
		"the reason of an erasure is not a free text":    {When: Erase{Erased: Erased{CustomerID: "alice", Reason: "Alice Smith wrote"}}, Refused: ErrInvalid},
	}
}

func TestSubject(t *testing.T) { subjects.Run(t, rows(t)) }

func TestEveryRefusalHasARow(t *testing.T) { subjects.EveryRefusalHasARow(t, Rejections, rows(t)) }

func TestEveryTextIsChecked(t *testing.T) {
	subjects.EveryTextIsChecked(t, nil, rows(t))
}

func TestWireForm(t *testing.T) {
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{
		Erased{CustomerID: "17850", Carts: []unit.CartID{"c-1", "c-2"}, Reason: Requested},
		Erased{CartID: "c-9", Orders: []unit.OrderID{"o-9"}, Reason: Retention},
		Erased{CustomerID: "17850", Customers: []unit.CustomerID{"17849"}, Reason: Requested},
		Erased{CustomerID: "17850", Reason: Requested, Kept: []Kept{{OrderID: "o-1", Country: "DE", Until: time.Date(2036, 1, 2, 3, 4, 5, 0, time.UTC), Reason: KeptInvoice}}},
	})
}

// The name of a stream does not show the customer, and two subjects never share a stream.
func TestStream(t *testing.T) {
	for owner, want := range map[unit.Owner]string{
		unit.CustomerID("17850").Owner(): "subject-e4c22df3-86af-5642-84f6-94cc4df4b73a",
	} {
		if got := Stream(owner); got != want {
			t.Errorf("%s: got %s, want %s", owner, got, want)
		}
	}
	if Stream(unit.CustomerID("c-1").Owner()) == Stream(unit.CartID("c-1").Owner()) {
		t.Error("a customer and a guest share a stream")
	}
}

func TestEverythingOfAnErasureHasAKey(t *testing.T) {
	got := Erased{CustomerID: "alice", Carts: []unit.CartID{"c-1"}}.Owners()
	if len(got) != 2 || got[0] != "customer:alice" || got[1] != "cart:c-1" {
		t.Errorf("owners %q", got)
	}
	merged := Erased{CustomerID: "alice", Customers: []unit.CustomerID{"ally"}, Carts: []unit.CartID{"c-1"}}
	if got := merged.Owners(); len(got) != 3 || got[1] != "customer:ally" || got[2] != "cart:c-1" || len(merged.OfCustomers()) != 2 {
		t.Errorf("owners %q", got)
	}
	if got := (Erased{CartID: "c-9"}).OfCustomers(); len(got) != 0 {
		t.Errorf("a guest has the accounts %q", got)
	}
	if got := (Erased{CartID: "c-9"}).Owners(); len(got) != 1 || got[0] != "cart:c-9" {
		t.Errorf("owners %q", got)
	}
}

// One event names a bounded number of carts. The others are erased by a repetition.
func TestOneEventNamesABoundedNumberOfCarts(t *testing.T) {
	many := make([]unit.CartID, MaxCarts+1)
	for i := range many {
		many[i] = unit.CartID(fmt.Sprint("c-", i))
	}
	ask := Erase{Erased: Erased{CustomerID: "alice", Carts: many, Reason: Requested}}
	var state State
	for _, want := range []int{MaxCarts, 1, 0} {
		events, err := Decide(ask, state)
		if err != nil || len(events) != min(want, 1) {
			t.Fatalf("%d events, %v", len(events), err)
		}
		for _, event := range events {
			if erased, is := event.(Erased); !is || len(erased.Carts) != want {
				t.Errorf("%d carts, want %d", len(erased.Carts), want)
			}
			state = Evolve(state, event)
		}
	}
}

// One event names a bounded number of kept orders, and the others are in further events of the same
// append. All of them together name each order once.
func TestOneEventNamesABoundedNumberOfKeptOrders(t *testing.T) {
	ask := Erase{Erased: Erased{CustomerID: "alice", Carts: []unit.CartID{"c-1"}, Reason: Requested}}
	for i := range 2*MaxKept + 1 {
		ask.Erased.Kept = append(ask.Erased.Kept, Kept{OrderID: unit.OrderID(fmt.Sprint("o-", i)), Country: "DE", Reason: KeptInvoice})
	}
	events, err := Decide(ask, State{})
	if err != nil || len(events) != 3 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	var state State
	for i, want := range []int{MaxKept, MaxKept, 1} {
		if erased, is := events[i].(Erased); !is || len(erased.Kept) != want {
			t.Errorf("event %d names %d orders, want %d", i, len(erased.Kept), want)
		}
		state = Evolve(state, events[i])
	}
	if len(state.Erased.Kept) != 2*MaxKept+1 || len(state.Erased.Carts) != 1 {
		t.Errorf("the state has %d kept orders and the carts %q", len(state.Erased.Kept), state.Erased.Carts)
	}
	if again, err := Decide(ask, state); err != nil || len(again) != 0 {
		t.Errorf("again: %d events, %v", len(again), err)
	}
}
