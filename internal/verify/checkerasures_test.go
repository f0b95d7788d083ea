package verify_test

import (
	"strings"
	"testing"
	"time"

	"daybook/domain/customer"
	"daybook/domain/order"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore/memory"
	"daybook/internal/verify"
)

// The wish lists that a customer had at an erasure are removed after it, within the grace.
func TestWishListsOfAnErasedCustomerAreRemoved(t *testing.T) {
	t.Parallel()
	const name = "erasures: no wish list of an erased customer is left"
	var birthday, later customer.Event = customer.WishListMade{ListID: "w1", Name: "Birthday"}, customer.WishListMade{ListID: "w2", Name: "Christmas"}
	for what, c := range map[string]struct {
		after []customer.Event // the erasure
		grace time.Duration
		want  string
	}{
		"a list that is left":                  {want: "customer ann was erased and has the wish list w1"},
		"a list that is removed":               {after: []customer.Event{customer.WishListRemoved{ListID: "w1"}}},
		"an erasure that is under way":         {grace: time.Hour},
		"a list that was made after":           {after: []customer.Event{customer.WishListRemoved{ListID: "w1"}, later}},
		"a list that is left beside a new one": {after: []customer.Event{later}, want: "customer ann was erased and has the wish list w1"},
	} {
		log := memory.New()
		facts[customer.Event](t, log, customer.Stream("ann"), customer.Encode, customer.Registered{CustomerID: "ann"}, birthday)
		facts[subject.Event](t, log, subject.Stream(unit.CustomerID("ann").Owner()), subject.Encode, subject.Erased{CustomerID: "ann", Reason: subject.Requested})
		facts(t, log, customer.Stream("ann"), customer.Encode, c.after...)
		report, err := verify.Run(t.Context(), verify.Config{Store: log, Now: time.Now().Add(time.Minute), Grace: c.grace})
		if err != nil {
			t.Fatal(err)
		}
		found, examined := "", int64(0)
		for _, check := range report.Checks {
			if check.Name == name {
				examined = check.Examined
			}
			found += strings.Join(check.First, "; ")
		}
		if found != c.want || examined != 1 {
			t.Errorf("%s: verify examines %d lists and says %q, want %q", what, examined, found, c.want)
		}
	}
}

// An erasure keeps orders of its own subject only: of its customer, of accounts that were merged
// into this one, and of the guest's cart.
func TestKeptOrdersAreThoseOfTheirSubjects(t *testing.T) {
	t.Parallel()
	const name = "erasures: kept orders are those of their subjects"
	ann, guest := subject.Erased{CustomerID: "ann", Reason: subject.Requested}, subject.Erased{CartID: "c-2", Reason: subject.Retention}
	merged := ann
	merged.Customers = []unit.CustomerID{"anna"}
	order1 := order.Placed{OrderID: "o-1", CartID: "c-1", CustomerID: "ann", Currency: "GBP"}
	order2 := order.Placed{OrderID: "o-2", CartID: "c-2", Currency: "GBP"}
	order3 := order.Placed{OrderID: "o-3", CartID: "c-3", CustomerID: "anna", Currency: "GBP"}
	for what, c := range map[string]struct {
		erasures []subject.Erased // of one subject; the last one keeps
		keeps    unit.OrderID
		want     string
	}{
		"an order of the customer":               {[]subject.Erased{ann}, "o-1", ""},
		"an order of a merged account":           {[]subject.Erased{merged}, "o-3", ""},
		"an order of an account named before":    {[]subject.Erased{merged, ann}, "o-3", ""},
		"the order of a guest":                   {[]subject.Erased{guest}, "o-2", ""},
		"an order of another customer":           {[]subject.Erased{ann}, "o-3", "the erasure of customer:ann keeps the order o-3, which is somebody else's"},
		"an order of a guest for a customer":     {[]subject.Erased{ann}, "o-2", "the erasure of customer:ann keeps the order o-2, which is somebody else's"},
		"an order of a customer for a guest":     {[]subject.Erased{guest}, "o-1", "the erasure of cart:c-2 keeps the order o-1, which is somebody else's"},
		"an order that does not exist":           {[]subject.Erased{ann}, "o-9", "the erasure of customer:ann keeps the order o-9, which does not exist"},
		"nothing is examined if nothing is kept": {[]subject.Erased{ann}, "", ""},
	} {
		log := memory.New()
		for _, placed := range []order.Placed{order1, order2, order3} {
			facts[order.Event](t, log, order.Stream(placed.OrderID), order.Encode, placed)
		}
		for i, erased := range c.erasures {
			if i == len(c.erasures)-1 && c.keeps != "" {
				erased.Kept = []subject.Kept{{OrderID: c.keeps, Country: "DE", Until: time.Now(), Reason: subject.KeptInvoice}}
			}
			facts[subject.Event](t, log, subject.Stream(erased.Owner()), subject.Encode, erased)
		}
		report, err := verify.Run(t.Context(), verify.Config{Store: log, Now: time.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		found, examined := "", int64(0)
		for _, check := range report.Checks {
			if check.Name == name {
				examined = check.Examined
				found = strings.Join(check.First, "; ")
			}
		}
		if want := int64(len(c.keeps)); found != c.want || examined != min(want, 1) {
			t.Errorf("%s: verify examines %d orders and says %q, want %q", what, examined, found, c.want)
		}
	}
}
