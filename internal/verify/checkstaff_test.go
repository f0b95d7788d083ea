package verify

import (
	"strings"
	"testing"
	"time"

	"daybook/domain/access"
	"daybook/domain/staff"
	"daybook/eventstore"
)

// An event about people that cannot follow from those before it is a difference.
func TestEventsAboutPeopleFollowFromThoseBefore(t *testing.T) {
	t.Parallel()
	invited := staff.Invited{Person: "p1", Role: access.Admin}
	joined := staff.Joined{Person: "p1", Credential: "c1"}
	factor := staff.FactorSet{Person: "p1", Factor: "f1", Step: 1}
	renewed := staff.RecoverySet{Person: "p1", Recovery: []string{"h1"}}
	asked := staff.EmailAsked{Person: "p1", Change: "c1"}
	for name, c := range map[string]struct {
		events []staff.Event
		want   string // empty: nothing is wrong
	}{
		"a person with recovery codes":  {[]staff.Event{invited, joined, factor, renewed, staff.SignedIn{Person: "p1", Session: "s1"}}, ""},
		"codes without a factor":        {[]staff.Event{invited, joined, renewed}, "the person p1 has no second factor, and gets recovery codes"},
		"codes after the factor":        {[]staff.Event{invited, joined, factor, staff.FactorRemoved{Person: "p1"}, renewed}, "the person p1 has no second factor, and gets recovery codes"},
		"an address":                    {[]staff.Event{invited, joined, factor, renewed, asked, staff.EmailChanged{Person: "p1", Change: "c1"}}, ""},
		"an address that nobody wanted": {[]staff.Event{invited, joined, staff.EmailChanged{Person: "p1"}}, "the person p1 has another address, and nobody has asked"},
		"another address":               {[]staff.Event{invited, joined, asked, staff.EmailChanged{Person: "p1", Change: "c2"}}, "the person p1 has another address, and nobody has asked"},
		"codes of nobody":               {[]staff.Event{renewed}, "the person p1 was not invited before"},
		"an invitation twice":           {[]staff.Event{invited, invited}, "the person p1 was invited before"},
		"a sign-in before joining":      {[]staff.Event{invited, staff.SignedIn{Person: "p1"}}, "the person p1 is invited, and signs in"},
	} {
		book := newBook(time.Now(), 0, Shop{})
		for _, value := range c.events {
			book.foldStaff(&event{Recorded: eventstore.Recorded{Stream: staff.Stream()}, value: value}, value)
		}
		first := strings.Join(book.readable.First, "\n")
		if (c.want == "") != (first == "") || !strings.Contains(first, c.want) {
			t.Errorf("%s: %q, want %q", name, first, c.want)
		}
		if c.want == "" && len(book.Staff.People["p1"].Recovery) != 1 {
			t.Errorf("%s: %+v", name, book.Staff)
		}
	}
}
