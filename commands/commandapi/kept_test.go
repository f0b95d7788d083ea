package commandapi_test

import (
	"fmt"
	"strings"
	"testing"

	"daybook/commands/commandapi"
	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/problem"
)

// Each caller has a limit of answers that are kept, and what it does for customers counts, too. Of
// three requests of each kind, as many answers are kept as its limit says.
func TestEachCallerHasALimitOfKeptAnswers(t *testing.T) {
	t.Parallel()
	limits := commandapi.KeptLimits{PerCustomer: 1, PerPerson: 2, PerKey: 2}
	same := func(who access.Principal) func(int) access.Principal {
		return func(int) access.Principal { return who }
	}
	acting := func(id string) func(int) access.Principal {
		return func(i int) access.Principal {
			return access.Principal{ID: id, Role: access.Storefront, ActsFor: unit.CustomerID(fmt.Sprint("c", i))}
		}
	}
	for name, c := range map[string]struct {
		who  func(i int) access.Principal
		want string
	}{
		"a customer":                         {same(access.Principal{ID: "key:a", Customer: "alice"}), "true false false"},
		"a customer with a token":            {same(access.Principal{ID: "oidc:a", Customer: "alice"}), "true false false"},
		"guests at one address":              {func(i int) access.Principal { return access.GuestOf(unit.CartID(fmt.Sprint(i))) }, "true false false"},
		"a storefront for one customer":      {same(access.Principal{ID: "key:s", ActsFor: "alice"}), "true false false"},
		"a storefront for many customers":    {acting("key:s"), "true true false"},
		"a person for many customers":        {acting("staff:s"), "true true false"},
		"a storefront for no customer":       {same(access.Principal{ID: "key:s"}), "true true false"},
		"a program":                          {same(access.Principal{ID: "key:p"}), "true true false"},
		"a person":                           {same(access.Principal{ID: "staff:p"}), "true true false"},
		"the holder of an issuer's token":    {same(access.Principal{ID: "oidc:p"}), "true true false"},
		"everyone, without access control":   {same(access.Everyone), "true true true"},
		"three programs, each for the first": {func(i int) access.Principal { return access.Principal{ID: fmt.Sprint("key:", i)} }, "true true true"},
	} {
		take := commandapi.TakeKept(limits)
		var got []string
		for i := range 3 {
			got = append(got, fmt.Sprint(take(&problem.Request{Who: c.who(i), Client: "192.0.2.1"})))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
	// People and programs have limits of their own.
	for _, id := range []string{"key:p", "staff:p"} {
		take := commandapi.TakeKept(commandapi.KeptLimits{PerPerson: 1})
		for range 2 {
			take(&problem.Request{Who: access.Principal{ID: id}})
		}
		if got := take(&problem.Request{Who: access.Principal{ID: id}}); got != strings.HasPrefix(id, "key:") {
			t.Errorf("with a limit for people, %s: %t", id, got)
		}
	}
}
