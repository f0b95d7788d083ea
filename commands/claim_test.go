package commands_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/internal/shoptest"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/eventstore/memory"
)

// asAnn is a call of the customer ann.
func asAnn() commands.Call {
	grants, _ := access.BuiltIn(access.Customer)
	call := shoptest.NewCall()
	call.Who, call.Meta.Actor, call.Needs = access.Principal{ID: "key:a", Role: access.Customer, Grants: grants, Customer: "ann"}, "key:a", access.ClaimCarts
	return call
}

// claimable is a shop in which a guest and ann have a cart each.
func claimable(t *testing.T, store *memory.Store) *shop {
	t.Helper()
	s := twoCarts(t, store)
	_, err := s.Cart(t.Context(), shoptest.NewCall(), "ann", cart.ChangeCustomer{CustomerID: "ann"})
	s.Must(err)
	return s
}

func TestACustomerClaimsTheCartThatTheyFilledAsAGuest(t *testing.T) {
	t.Parallel()
	s := claimable(t, memory.New())
	claim := commands.Claim{CartID: "guest", Customer: "ann", Proven: true, Into: "ann"}
	unproven := claim
	unproven.Proven = false
	if _, err := s.ClaimCart(t.Context(), asAnn(), unproven); !errors.Is(err, cart.ErrNotFound) {
		t.Errorf("without the token: %v", err)
	}
	other := claim
	other.Into = "guest2"
	s.Must(s.FillCart("guest2", map[unit.SKU]unit.Quantity{"TRAY": 1}))
	if _, err := s.ClaimCart(t.Context(), asAnn(), other); !errors.Is(err, cart.ErrNotFound) {
		t.Errorf("into a cart of somebody else: %v", err)
	}
	if s.CartState("guest").CustomerID != "" {
		t.Error("a claim that was refused has given the cart away")
	}
	call := asAnn()
	for range 2 { // the second time it is repeated
		_, err := s.ClaimCart(t.Context(), call, claim)
		s.Must(err)
	}
	s.has("guest", cart.PhaseMerged, 2, 1)
	s.has("ann", cart.PhaseOpen, 5, 1)

	// The token of a cart that has a customer is not good any more.
	bobs := commands.Claim{CartID: "ann", Customer: "bob", Proven: true}
	thief := asAnn()
	thief.Who.Customer = "bob"
	if _, err := s.ClaimCart(t.Context(), thief, bobs); !errors.Is(err, cart.ErrNotFound) {
		t.Errorf("with the token of a cart that has a customer: %v", err)
	}
	if owner := s.CartState("ann").CustomerID; owner != "ann" {
		t.Errorf("the cart is %s's now", owner)
	}
	// Without another cart, the cart itself becomes the customer's.
	if _, err := s.ClaimCart(t.Context(), asAnn(), commands.Claim{CartID: "guest2", Customer: "ann", Proven: true}); err != nil || s.CartState("guest2").CustomerID != "ann" {
		t.Errorf("%v, %+v", err, s.CartState("guest2"))
	}
	s.Audit()
}

// A node dies at each append of a claim. Afterwards all units are in one of the two carts, and the
// call that is repeated goes on.
func TestAClaimThatIsCutOffLosesNothing(t *testing.T) {
	t.Parallel()
	for appends := range 4 {
		t.Run(fmt.Sprint(appends), func(t *testing.T) {
			t.Parallel()
			log := memory.New()
			s := claimable(t, log)
			dying := commands.NewService(&shoptest.Mortal{Store: log, Left: appends}, commands.DefaultPolicy(), time.Now, aggregate.Options{})
			call, claim := asAnn(), commands.Claim{CartID: "guest", Customer: "ann", Proven: true, Into: "ann"}
			_, err := dying.ClaimCart(t.Context(), call, claim)
			if died := err != nil; died != (appends < 4) {
				t.Fatalf("after %d appends: %v", appends, err)
			}
			after := &shop{&shoptest.Shop{Service: commands.NewService(log, commands.DefaultPolicy(), time.Now, aggregate.Options{}), T: t, Log: log}}
			guest, ann := after.CartState("guest"), after.CartState("ann")
			if guest.Phase == cart.PhaseOpen && (guest.Units != 3 || ann.Units != 3) {
				t.Errorf("%d and %d units", guest.Units, ann.Units)
			}
			_, err = after.ClaimCart(t.Context(), call, claim)
			after.Must(err)
			after.has("guest", cart.PhaseMerged, 2, 1)
			after.has("ann", cart.PhaseOpen, 5, 1)
			s.Audit()
		})
	}
}
