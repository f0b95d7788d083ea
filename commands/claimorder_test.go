package commands_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/contact"
	"daybook/domain/customer"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// claims is a call of a customer who claims an order.
func claims(who unit.CustomerID) commands.Call {
	call := asAnn()
	call.Who.Customer, call.Needs = who, access.ClaimOrders
	return call
}

// byGuest is a call of the guest who has the cart of order o1.
func byGuest(needs access.Permission) commands.Call {
	call := shoptest.NewCall()
	call.Who, call.Needs = access.GuestOf("c-o1"), needs
	call.Meta.Actor = call.Who.ID
	return call
}

// bought is a shop in which a guest has bought o1 and sends a mug back (r1), and somebody else has
// bought o2 and sends mugs of both orders back (r2).
func bought(t *testing.T, log eventstore.Store) *shop {
	t.Helper()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 20)
	s.deliver("o1", 5)
	s.deliver("o2", 5)
	for _, asked := range []returns.Request{mugsOf("r1", 1, "o1"), mugsOf("r2", 1, "o1", "o2")} {
		if asked.ReturnID == "r1" {
			asked.OrderID, asked.CartID = "o1", "c-o1"
		}
		_, err := s.Return(t.Context(), shoptest.NewCall(), asked.ReturnID, asked)
		s.Must(err)
	}
	return s
}

// is checks whose order o1 is, with its cart and the returns that are of it alone.
func (s *shop) is(who unit.CustomerID, alone ...unit.ReturnID) {
	s.T.Helper()
	if of := s.OrderState("o1").CustomerID; of != who {
		s.T.Errorf("the order is %q's, want %q", of, who)
	}
	if of := s.CartState("c-o1").CustomerID; of != who {
		s.T.Errorf("the cart is %q's, want %q", of, who)
	}
	for _, id := range alone {
		if of := s.returnState(id).Customer(); of != who {
			s.T.Errorf("return %s is %q's, want %q", id, of, who)
		}
	}
}

func TestACustomerClaimsTheOrderThatTheyPlacedAsAGuest(t *testing.T) {
	t.Parallel()
	s := bought(t, memory.New())
	claim := commands.OrderClaim{OrderID: "o1", Customer: "ann", Guest: "c-o1"}
	call := claims("ann")
	first, err := s.ClaimOrder(t.Context(), call, claim)
	s.Must(err)
	if len(first.Events) != 1 || first.Position.Before(s.LastEvent(cart.Stream("c-o1")).Position) {
		t.Errorf("the result is %+v", first)
	}
	before := len(recordedIn(t, s.Log))
	again, err := s.ClaimOrder(t.Context(), call, claim)
	if err != nil || !again.Replayed {
		t.Errorf("again: %+v, %v", again, err)
	}
	claim.Guest = "" // the order is hers, so she needs no token
	_, err = s.ClaimOrder(t.Context(), claims("ann"), claim)
	s.Must(err)
	_, err = s.ClaimOrder(t.Context(), shoptest.NewCall(), claim)
	s.Must(err)
	s.Must(s.FinishOrder(t.Context(), call.Meta, "o1"))
	s.Must(s.FinishOrder(t.Context(), call.Meta, "o2"))
	if after := len(recordedIn(t, s.Log)); after != before {
		t.Errorf("repetitions recorded %d events", after-before)
	}
	s.is("ann", "r1")
	if of := s.returnState("r2").Customer(); of != "" {
		t.Errorf("the return of two orders is %s's", of)
	}
	if of := s.OrderState("o2").CustomerID; of != "" {
		t.Errorf("the other order is %s's", of)
	}
	for name, err := range map[string]error{
		"calls the return off": second(s.Return(t.Context(), byGuest(access.AskReturns), "r1", returns.Cancel{})),
		"asks for a return":    second(s.Return(t.Context(), byGuest(access.AskReturns), "r3", returns.Request{ReturnID: "r3", OrderID: "o1", Currency: "GBP", Lines: mugsOf("r3", 1, "o1").Lines})),
		"changes the cart":     second(s.Cart(t.Context(), byGuest(access.WriteCarts), "c-o1", cart.Abandon{})),
	} {
		if !errors.Is(err, order.ErrNotFound) && !errors.Is(err, returns.ErrNotFound) && !errors.Is(err, cart.ErrNotFound) {
			t.Errorf("the guest %s: %v", name, err)
		}
	}
	_, err = s.Return(t.Context(), claimsReturn("ann"), "r1", returns.Cancel{})
	s.Must(err)
	s.Audit()
}

func claimsReturn(who unit.CustomerID) commands.Call {
	call := claims(who)
	call.Needs = access.AskReturns
	return call
}

// A claim that is not proven changes nothing, and says no more than that there is no such order.
func TestAClaimOfAnOrderThatIsNotProvenIsRefused(t *testing.T) {
	t.Parallel()
	taken := func(s *shop) {
		_, err := s.ClaimOrder(s.T.Context(), claims("ann"), commands.OrderClaim{OrderID: "o1", Customer: "ann", Guest: "c-o1"})
		s.Must(err)
	}
	erased := func(s *shop) {
		_, err := s.Erase(s.T.Context(), shoptest.NewCall(), subject.Erased{CustomerID: "ann", Reason: subject.Requested})
		s.Must(err)
	}
	merged := func(s *shop) {
		taken(s)
		s.register("ann", "bob")
		s.Must(s.mergeAccounts("ann", "bob"))
	}
	proven := commands.OrderClaim{OrderID: "o1", Customer: "ann", Guest: "c-o1"}
	for name, c := range map[string]struct {
		before func(s *shop)
		call   commands.Call
		claim  commands.OrderClaim
		want   error // nil: it succeeds
		whose  unit.CustomerID
	}{
		"without a token":                       {nil, claims("ann"), commands.OrderClaim{OrderID: "o1", Customer: "ann"}, order.ErrNotFound, ""},
		"with the token of another cart":        {nil, claims("ann"), commands.OrderClaim{OrderID: "o1", Customer: "ann", Guest: "c-o2"}, order.ErrNotFound, ""},
		"for somebody else":                     {nil, claims("bob"), proven, order.ErrNotFound, ""},
		"of an order that is not there":         {nil, claims("ann"), commands.OrderClaim{OrderID: "none", Customer: "ann", Guest: "c-o1"}, order.ErrNotFound, ""},
		"by the guest":                          {nil, byGuest(access.ClaimOrders), proven, order.ErrNotFound, ""},
		"for an erased customer":                {erased, claims("ann"), proven, customer.ErrErased, ""},
		"by another customer, with the token":   {taken, claims("bob"), commands.OrderClaim{OrderID: "o1", Customer: "bob", Guest: "c-o1"}, order.ErrNotFound, "ann"},
		"by the staff, for another customer":    {taken, shoptest.NewCall(), commands.OrderClaim{OrderID: "o1", Customer: "bob"}, order.ErrHasCustomer, "ann"},
		"by the staff, for a guest":             {nil, shoptest.NewCall(), commands.OrderClaim{OrderID: "o1", Customer: "ann"}, nil, "ann"},
		"for who answers for the other account": {merged, shoptest.NewCall(), commands.OrderClaim{OrderID: "o1", Customer: "bob"}, nil, "ann"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := bought(t, memory.New())
			if c.before != nil {
				c.before(s)
			}
			before := len(recordedIn(t, s.Log))
			_, err := s.ClaimOrder(t.Context(), c.call, c.claim)
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if after := len(recordedIn(t, s.Log)); c.want != nil && after != before {
				t.Errorf("%d events were recorded", after-before)
			}
			s.is(c.whose)
			s.Audit()
		})
	}
}

// A node dies at each append of a claim, and at each append of a return that is asked for at this
// moment. Afterwards the order, its cart and the return are the customer's.
func TestAClaimOfAnOrderIsFinishedWhereverItsDriverDies(t *testing.T) {
	t.Parallel()
	finish := map[string]func(s *shop, call commands.Call, claim commands.OrderClaim){
		"the reactor": func(s *shop, _ commands.Call, _ commands.OrderClaim) {},
		"the same call": func(s *shop, call commands.Call, claim commands.OrderClaim) {
			_, err := s.ClaimOrder(s.T.Context(), call, claim)
			s.Must(err)
		},
	}
	for who, goOn := range finish {
		for appends := range 5 {
			for asked := range 5 {
				for engine, empty := range emptyLogs {
					t.Run(fmt.Sprintf("%s, after append %d, a return after append %d, %s goes on", engine, appends, asked, who), func(t *testing.T) {
						t.Parallel()
						log := empty(t)
						bought(t, log)
						returning := open(t, &shoptest.Mortal{Store: log, Left: asked}, commands.DefaultPolicy())
						late := mugsOf("r3", 1, "o1")
						late.OrderID, late.CartID = "o1", "c-o1"
						call, claim := claims("ann"), commands.OrderClaim{OrderID: "o1", Customer: "ann", Guest: "c-o1"}
						_, _ = returning.Return(t.Context(), byGuest(access.AskReturns), "r3", late)
						dying := open(t, &shoptest.Mortal{Store: log, Left: appends}, commands.DefaultPolicy())
						_, err := dying.ClaimOrder(t.Context(), call, claim)
						after := open(t, log, commands.DefaultPolicy())
						if after.OrderState("o1").CustomerID == "" && err == nil {
							t.Fatal("a claim that succeeded left nothing")
						}
						goOn(after, call, claim)
						recoverFrom(t, after)
						who := after.OrderState("o1").CustomerID // the claim may have died before its first append
						after.is(who, "r1")
						if after.returnState("r3").Exists() {
							after.is(who, "r3")
						}
						after.Audit()
					})
				}
			}
		}
	}
}

// A return that is asked for while its order is claimed becomes the customer's, whichever of the
// two the order records first. A return that the order refuses does, too.
func TestAReturnThatIsAskedForDuringAClaimFollows(t *testing.T) {
	t.Parallel()
	claim := func(s *shop) {
		if _, err := s.ClaimOrder(s.T.Context(), claims("ann"), commands.OrderClaim{OrderID: "o1", Customer: "ann", Guest: "c-o1"}); err != nil {
			s.T.Errorf("the claim: %v", err)
		}
	}
	ask := func(s *shop) error {
		asked := mugsOf("r3", 1, "o1")
		asked.OrderID, asked.CartID = "o1", "c-o1"
		_, err := s.Return(s.T.Context(), byGuest(access.AskReturns), "r3", asked)
		return err
	}
	takesTheRest := func(s *shop) {
		if _, err := s.Return(s.T.Context(), shoptest.NewCall(), "r4", mugsOf("r4", 3, "o1")); err != nil {
			s.T.Errorf("the other return: %v", err)
		}
	}
	// The order records some events only when it refuses the return, and one only when it does not.
	onlyWhenRefused := map[string]bool{
		"return.admitted.v1":          false,
		"return.admission_refused.v1": true,
		"order.return_released.v1":    true,
		"return.orders_settled.v1":    true,
	}
	for _, refused := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			for during, run := range map[string]struct {
				first, other func(s *shop)
			}{
				"order.taken_over.v1":         {claim, func(s *shop) { _ = ask(s) }},
				"return.taken_over.v1":        {claim, func(s *shop) { _ = ask(s) }}, // the guest has lost the order
				"cart.customer_changed.v1":    {claim, func(s *shop) { _ = ask(s) }},
				"return.requested.v1":         {func(s *shop) { _ = ask(s) }, claim},
				"order.return_admitted.v1":    {func(s *shop) { _ = ask(s) }, claim},
				"return.admitted.v1":          {func(s *shop) { _ = ask(s) }, claim},
				"return.admission_refused.v1": {func(s *shop) { _ = ask(s) }, claim},
				"order.return_released.v1":    {func(s *shop) { _ = ask(s) }, claim},
				"return.orders_settled.v1":    {func(s *shop) { _ = ask(s) }, claim},
			} {
				if only, found := onlyWhenRefused[during]; found && only != refused {
					continue
				}
				t.Run(fmt.Sprintf("%s, after it %t, refused %t", during, after, refused), func(t *testing.T) {
					t.Parallel()
					log := memory.New()
					bought(t, log)
					met := false
					other := open(t, log, commands.DefaultPolicy())
					var node eventstore.Store = &between{Store: log, eventType: during, after: after, run: func() { met = true; run.other(other) }}
					if refused {
						node = &between{Store: node, eventType: "order.return_admitted.v1", run: func() { takesTheRest(other) }}
					}
					run.first(open(t, node, commands.DefaultPolicy()))
					if !met {
						t.Fatalf("nothing recorded a %s, so nothing came in between", during)
					}
					now := open(t, log, commands.DefaultPolicy())
					now.is("ann", "r1")
					if now.returnState("r3").Exists() {
						now.is("ann", "r3")
					}
					now.Audit()
				})
			}
		}
	}
}

// found is a read model with these orders.
type found []unit.OrderID

func (f found) ByEmail(context.Context, string) ([]unit.OrderID, error) { return f, nil }

// guestsOf is a shop with orders of guests: o1 and o2 of ann's address, o3 of another one, o4
// without one, and o5 of ann's address, which bob has.
func guestsOf(t *testing.T, log eventstore.Store) *shop {
	t.Helper()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 20)
	for id, email := range map[unit.OrderID]string{"o1": "ann@home.example", "o2": "Ann@HOME.example", "o3": "ann@home.example.org", "o4": "", "o5": "ann@home.example"} {
		cartID := unit.CartID("c-" + id)
		s.Must(s.FillCart(cartID, map[unit.SKU]unit.Quantity{"MUG": 1}))
		if email != "" {
			_, err := s.Cart(t.Context(), shoptest.NewCall(), cartID, cart.SetDetails{Details: contact.Details{Email: email}})
			s.Must(err)
		}
		s.Must(s.PlaceOrder(cartID, id))
		_, err := s.Order(t.Context(), shoptest.NewCall(), id, order.Confirm{Now: s.Now()})
		s.Must(err)
	}
	_, err := s.ClaimOrder(t.Context(), shoptest.NewCall(), commands.OrderClaim{OrderID: "o5", Customer: "bob"})
	s.Must(err)
	return s
}

func TestOrdersAreClaimedByAConfirmedAddress(t *testing.T) {
	t.Parallel()
	all := found{"o5", "o4", "o3", "o2", "o1", "none"} // the read model says too much, so the orders are compared
	for name, c := range map[string]struct {
		email string
		found commands.GuestOrders
		call  commands.Call
		want  []unit.OrderID
		err   error
	}{
		"the address":               {"ann@home.example", all, shoptest.NewCall(), []unit.OrderID{"o1", "o2"}, nil},
		"in upper case":             {" ANN@home.example ", all, shoptest.NewCall(), []unit.OrderID{"o1", "o2"}, nil},
		"by the customer":           {"ann@home.example", all, claims("ann"), []unit.OrderID{"o1", "o2"}, nil},
		"by another customer":       {"ann@home.example", all, claims("bob"), nil, order.ErrNotFound},
		"another address":           {"bob@home.example", all, shoptest.NewCall(), nil, nil},
		"a part of it":              {"home.example", all, shoptest.NewCall(), nil, nil},
		"no address":                {"", all, shoptest.NewCall(), nil, nil},
		"an erased address":         {"(erased)", all, shoptest.NewCall(), nil, nil},
		"without a read model":      {"ann@home.example", nil, shoptest.NewCall(), nil, nil},
		"one that is not there yet": {"ann@home.example", found{"o2"}, shoptest.NewCall(), []unit.OrderID{"o2"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := guestsOf(t, memory.New())
			s.GuestOrders = c.found
			claimed, err := s.ClaimGuestOrders(t.Context(), c.call, "ann", c.email)
			if claimed != len(c.want) || !errors.Is(err, c.err) {
				t.Errorf("%d claimed, %v; want %d, %v", claimed, err, len(c.want), c.err)
			}
			for _, id := range []unit.OrderID{"o1", "o2", "o3", "o4"} {
				want := unit.CustomerID("")
				if slices.Contains(c.want, id) {
					want = "ann"
				}
				if got, its := s.OrderState(id).CustomerID, s.CartState(unit.CartID("c-"+id)).CustomerID; got != want || its != want {
					t.Errorf("order %s is %q's and its cart %q's, want %q", id, got, its, want)
				}
			}
			if got := s.OrderState("o5").CustomerID; got != "bob" {
				t.Errorf("bob's order is %q's", got)
			}
			claimed, err = s.ClaimGuestOrders(t.Context(), c.call, "ann", c.email)
			if claimed != 0 || !errors.Is(err, c.err) {
				t.Errorf("again: %d claimed, %v", claimed, err)
			}
			s.Audit()
		})
	}
}

// Two customers claim the same orders at once, and a node dies in between. Each order gets one
// customer, and what was begun is finished.
func TestClaimsByAnAddressAreFinished(t *testing.T) {
	t.Parallel()
	for appends := range 5 {
		t.Run(fmt.Sprint(appends), func(t *testing.T) {
			t.Parallel()
			log := memory.New()
			guestsOf(t, log)
			call := shoptest.NewCall()
			dying := open(t, &shoptest.Mortal{Store: log, Left: appends}, commands.DefaultPolicy())
			dying.GuestOrders = found{"o1", "o2"}
			if _, err := dying.ClaimGuestOrders(t.Context(), call, "ann", "ann@home.example"); err == nil {
				t.Fatalf("after %d appends it succeeded", appends)
			}
			after := open(t, log, commands.DefaultPolicy())
			after.GuestOrders = found{"o1", "o2"}
			_, err := after.ClaimGuestOrders(t.Context(), call, "ann", "ann@home.example")
			after.Must(err)
			recoverFrom(t, after)
			for _, id := range []unit.OrderID{"o1", "o2"} {
				if got, its := after.OrderState(id).CustomerID, after.CartState(unit.CartID("c-"+id)).CustomerID; got != "ann" || its != "ann" {
					t.Errorf("order %s is %q's and its cart %q's", id, got, its)
				}
			}
			after.Audit()
		})
	}
}
