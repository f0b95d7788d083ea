package orderview_test

import (
	"fmt"
	"slices"
	"testing"

	"daybook/domain/contact"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/projections/orderview"
	"daybook/projections/query"
	"daybook/projections/viewtest"
)

// The orders of guests are found by the whole address until a customer has them. Then they are in
// the customer's list, and so are their returns.
func TestTheOrdersOfAnAddressAreFoundUntilTheyAreTakenOver(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	of := func(id, customer, email string) order.Placed {
		p := placed(id, "1", "7")
		p.CustomerID = unit.CustomerID(customer)
		if email != "" {
			p.Details = &contact.Details{Email: email}
		}
		return p
	}
	orderFact(b, "o-1", by("a", day), of("o-1", "", "Ann@Home.example"))
	orderFact(b, "o-2", by("a", day), of("o-2", "", " ann@home.example"))
	orderFact(b, "o-3", by("a", day), of("o-3", "bob", "ann@home.example"))
	orderFact(b, "o-4", by("a", day), of("o-4", "", "ann@home.example.org"))
	orderFact(b, "o-5", by("a", day), of("o-5", "", ""))
	orderFact(b, "o-6", by("a", day), of("o-6", "", "(erased)"))
	for _, id := range []string{"o-1", "o-2", "o-3", "o-4", "o-5", "o-6"} {
		orderFact(b, id, by("a", day), order.Confirmed{})
	}
	orderFact(b, "o-7", by("a", day), of("o-7", "", "ann@home.example")) // anybody can place it, and it is pending
	viewtest.Fact(b, returns.Stream("r-1"), by("a", day), returns.Encode, returns.Event(returns.Requested{ReturnID: "r-1", OrderID: "o-1", Currency: "GBP"}))
	b.CaughtUp()
	for email, want := range map[string][]unit.OrderID{"ANN@home.example ": {"o-1", "o-2"}, "ann@home": nil, "": nil, "(erased)": nil, "bob@home.example": nil} {
		if got, err := orderview.OfGuest(t.Context(), b.Pool, email); err != nil || len(got) != len(want) || len(want) > 0 && !slices.Equal(got, want) {
			t.Errorf("%q has %q, %v; want %q", email, got, err, want)
		}
	}
	orderFact(b, "o-1", by("a", day), order.TakenOver{CustomerID: "ann"})
	viewtest.Fact(b, returns.Stream("r-1"), by("a", day), returns.Encode, returns.Event(returns.TakenOver{CustomerID: "ann"}))
	b.CaughtUp()
	if got, err := orderview.OfGuest(t.Context(), b.Pool, "ann@home.example"); err != nil || !slices.Equal(got, []unit.OrderID{"o-2"}) {
		t.Errorf("afterwards there are %q, %v", got, err)
	}
	list, err := orderview.List(t.Context(), b.Pool, orderview.Filter{CustomerIDs: []string{"ann"}}, query.Page{Limit: 9})
	back, failed := orderview.ListReturns(t.Context(), b.Pool, orderview.ReturnFilter{CustomerIDs: []string{"ann"}}, query.Page{Limit: 9})
	if err != nil || failed != nil || len(list.Items) != 1 || len(back.Items) != 1 {
		t.Errorf("ann has %s", fmt.Sprint(list.Items, err, back.Items, failed))
	}
}
