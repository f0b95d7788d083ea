package customerview_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/domain/contact"
	"daybook/domain/customer"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections/customerview"
	"daybook/projections/orderview"
	"daybook/projections/query"
	"daybook/projections/viewtest"
)

func fact(b *viewtest.Bench, id unit.CustomerID, day int, events ...customer.Event) {
	b.Helper()
	meta := eventstore.Metadata{OccurredAt: time.Date(2026, 12, day, 10, 0, 0, 0, time.UTC)}
	viewtest.Fact(b, customer.Stream(id), meta, customer.Encode, events...)
}

func TestCustomersAreFound(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, customerview.View(), orderview.View())
	home := contact.Address{Lines: []string{"1 High Street"}, Country: "GB"}
	fact(b, "c1", 1, customer.Registered{CustomerID: "c1", Profile: customer.Profile{Name: "Ann Example", Email: "Ann@Home.example"}})
	fact(b, "c2", 2, customer.Registered{CustomerID: "c2", Profile: customer.Profile{Name: "ANNA 100%", Email: "anna_b@home.example"}}, customer.Blocked{Reason: "chargebacks"})
	fact(b, "c3", 3, customer.Registered{CustomerID: "c3"})
	viewtest.Fact(b, order.Stream("o-1"), eventstore.Metadata{}, order.Encode, order.Event(order.Placed{OrderID: "o-1", CartID: "x", CustomerID: "c3", Currency: "GBP", Total: unit.Zero("GBP"), Charge: unit.Zero("GBP")}))
	b.CaughtUp()
	fact(b, "c1", 4, customer.AddressAdded{AddressID: "a1", Address: home}, customer.DefaultsSet{Billing: "a1"}, customer.GroupsSet{Groups: []customer.Group{"trade"}})
	fact(b, "c3", 5, customer.ProfileChanged{Profile: customer.Profile{Name: "Bob"}})
	b.CaughtUp()

	c, err := customerview.Get(t.Context(), b.Pool, "c1")
	if err != nil || c.Name != "Ann Example" || c.Email != "Ann@Home.example" || c.Revision != 3 || len(c.Fold.Addresses) != 1 || c.Fold.Billing != "a1" || c.RegisteredAt.Day() != 1 || c.ChangedAt.Day() != 4 {
		t.Fatalf("customer %+v, %v", c, err)
	}
	if _, err := customerview.Get(t.Context(), b.Pool, "17850"); !errors.Is(err, query.ErrNotFound) {
		t.Errorf("a customer without an account: %v, want ErrNotFound", err)
	}
	yes := true
	for name, row := range map[string]struct {
		filter customerview.Filter
		want   string
	}{
		"all, the newest first":         {customerview.Filter{}, "c3 c2 c1"},
		"by the beginning of a name":    {customerview.Filter{Name: "ann"}, "c2 c1"},
		"by a name with a blank":        {customerview.Filter{Name: "Ann E"}, "c1"},
		"not by the middle of a name":   {customerview.Filter{Name: "example"}, ""},
		"a percent sign is a character": {customerview.Filter{Name: "anna 100%"}, "c2"},
		"and stands for nothing else":   {customerview.Filter{Name: "a%e"}, ""},
		"by an e-mail address":          {customerview.Filter{Email: "ann@home.EXAMPLE"}, "c1"},
		"not by a part of one":          {customerview.Filter{Email: "ann@home"}, ""},
		"by the beginning of one":       {customerview.Filter{EmailPrefix: "ANN"}, "c2 c1"},
		"an underscore is a character":  {customerview.Filter{EmailPrefix: "ann_"}, ""},
		"by an order":                   {customerview.Filter{OrderIDs: []string{"o-1", "o-2"}}, "c3"},
		"by an order that is not there": {customerview.Filter{OrderIDs: []string{"o-2"}}, ""},
		"by a group":                    {customerview.Filter{Group: "trade"}, "c1"},
		"who is blocked":                {customerview.Filter{Blocked: &yes}, "c2"},
		"by ids":                        {customerview.Filter{CustomerIDs: []string{"c1", "c3", "c9"}}, "c3 c1"},
	} {
		var got []string
		for p := (query.Page{Limit: 1}); ; {
			list, err := customerview.List(t.Context(), b.Pool, row.filter, p)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, item := range list.Items {
				got = append(got, item.CustomerID)
			}
			if p.After = list.Next; p.After == "" {
				break
			}
		}
		if want := strings.Fields(row.want); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	b.SameWhenRebuilt("customers")
}
