package commands_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// openWishes opens a shop in which Alice has a shared wish list "w", and Bob an empty cart "c".
func openWishes(t *testing.T) (*shop, *memory.Store) {
	t.Helper()
	log := memory.New()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 9)
	_, err := s.Customer(t.Context(), using(access.WriteCustomers, shoptest.NewCall()), "alice", customer.Register{CustomerID: "alice"},
		customer.MakeWishList{ListID: "w", Name: "Birthday"}, customer.SetWish{ListID: "w", SKU: "MUG", Quantity: 2}, customer.ShareWishList{ListID: "w"})
	s.Must(err)
	_, err = s.AddLines(t.Context(), using(access.WriteCarts, shoptest.NewCall()), "c", &cart.Open{CartID: "c", CustomerID: "bob", Currency: "GBP"}, nil)
	s.Must(err)
	return s, log
}

// A list without a share is for its customer, and for callers who may read all customers. A share
// is for everybody who may change the cart, as long as it lasts.
func TestWhoMayPutAWishListIntoACart(t *testing.T) {
	t.Parallel()
	s, log := openWishes(t)
	all, _ := access.BuiltIn(access.Admin)
	blind := maps.Clone(all)
	delete(blind, access.ReadCustomers)
	grants, _ := access.BuiltIn(access.Customer)
	add := func(who access.Principal, from commands.Wishes) error {
		call := commands.Call{Who: who, Needs: access.WriteCarts, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: who.ID}}
		_, err := s.AddWishes(t.Context(), call, "c", from)
		return err
	}
	bob := access.Principal{ID: "key:b", Role: access.Customer, Grants: grants, Customer: "bob"}
	shop, clerk := access.Principal{ID: "key:s", Role: "some", Grants: all}, access.Principal{ID: "key:c", Role: "some", Grants: blind}
	own, shared := commands.Wishes{Customer: "alice", List: "w"}, commands.Wishes{Customer: "alice", List: "w", Share: 1}
	before := len(recordedIn(t, log))
	if err := add(bob, own); !errors.Is(err, customer.ErrWishListUnknown) {
		t.Errorf("bob, alice's list without a share: %v", err)
	}
	if lacks, is := errors.AsType[*access.LacksError](add(clerk, own)); !is || lacks.Permission != access.ReadCustomers {
		t.Errorf("a caller who may not read customers: %v", lacks)
	}
	if err := add(bob, commands.Wishes{Customer: "alice", List: "w", Share: 2}); !errors.Is(err, customer.ErrWishListUnknown) {
		t.Errorf("bob, another share: %v", err)
	}
	if after := len(recordedIn(t, log)); after != before {
		t.Errorf("%d events were recorded", after-before)
	}
	for _, c := range []struct {
		who  access.Principal
		from commands.Wishes
	}{{bob, shared}, {clerk, shared}, {shop, own}} {
		if err := add(c.who, c.from); err != nil {
			t.Errorf("%s: %v", c.who.ID, err)
		}
	}
	s.Must(s.ViewCart(t.Context(), "c", func(state cart.State, _ int64) {
		if len(state.Lines) != 1 || state.Lines[0].Quantity != 6 {
			t.Errorf("the cart has %+v", state.Lines)
		}
	}))
}

// An erasure removes the wish lists of its customer. If the node that has recorded it dies, whoever
// finishes the erasure removes them. Nothing is recorded if there are none.
func TestAnErasureRemovesWishLists(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		erase func(*shop) error
		actor string
		want  int
	}{
		"at once": {func(s *shop) error {
			_, err := s.Erase(t.Context(), using(access.ErasePersonal, shoptest.NewCall()), subject.Erased{CustomerID: "alice", Reason: subject.Requested})
			return err
		}, shoptest.NewCall().Meta.Actor, 2},
		"by whoever finishes": {func(s *shop) error { return s.FinishErasure(t.Context(), uuid.New(), unit.CustomerID("alice").Owner()) }, "system:erasure", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, log := openWishes(t)
			before := len(recordedIn(t, log))
			s.Must(c.erase(s))
			recorded := recordedIn(t, log)[before:]
			last := recorded[len(recorded)-1]
			if len(recorded) != c.want || last.Type != "customer.wish_list_removed.v1" || eventstore.MetadataOrNone(last.Meta).Actor != c.actor {
				t.Errorf("recorded: %d events, the last is %s by %s", len(recorded), last.Type, eventstore.MetadataOrNone(last.Meta).Actor)
			}
			s.Must(s.ViewCustomer(t.Context(), "alice", func(state customer.State, _ int64) {
				if len(state.WishLists) > 0 {
					t.Errorf("alice has %+v", state.WishLists)
				}
			}))
			s.Must(c.erase(s))
			for _, owner := range []unit.Owner{unit.CustomerID("bob").Owner(), unit.CartID("c").Owner(), unit.CustomerID("alice").Owner()} {
				s.Must(s.FinishErasure(t.Context(), uuid.New(), owner))
			}
			if after := len(recordedIn(t, log)) - before; after != c.want {
				t.Errorf("later, %d further events were recorded", after-c.want)
			}
		})
	}
}
