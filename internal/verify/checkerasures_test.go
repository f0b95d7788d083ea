package verify_test

import (
	"strings"
	"testing"
	"time"

	"daybook/domain/customer"
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
