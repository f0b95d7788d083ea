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
	"daybook/domain/customer"
	"daybook/domain/order"
	"daybook/domain/rule"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

func (s *shop) register(ids ...unit.CustomerID) {
	s.T.Helper()
	for _, id := range ids {
		s.change(id, customer.Register{CustomerID: id, Profile: customer.Profile{Name: string(id)}})
	}
}

func (s *shop) change(id unit.CustomerID, asked ...customer.Command) {
	s.T.Helper()
	_, err := s.Customer(s.T.Context(), shoptest.NewCall(), id, asked...)
	s.Must(err)
}

func (s *shop) mergeAccounts(source, target unit.CustomerID) error {
	_, err := s.MergeCustomer(s.T.Context(), shoptest.NewCall(), source, target)
	return err
}

func (s *shop) account(id unit.CustomerID) (state customer.State) {
	s.T.Helper()
	s.Must(s.ViewCustomer(s.T.Context(), id, func(now customer.State, _ int64) { state = now }))
	return state
}

// twoAccounts is a shop in which ally and alice are one person.
func twoAccounts(t *testing.T, log eventstore.Store) *shop {
	t.Helper()
	s := open(t, log, commands.DefaultPolicy())
	s.register("ally", "alice", "bob")
	s.change("ally", customer.SetGroups{Groups: []customer.Group{"trade"}}, customer.Block{Reason: "fraud"})
	return s
}

func TestTwoAccountsBecomeOne(t *testing.T) {
	t.Parallel()
	s := twoAccounts(t, memory.New())
	call := shoptest.NewCall()
	first, err := s.MergeCustomer(t.Context(), call, "ally", "alice")
	s.Must(err)
	if first.Position != s.LastEvent(customer.Stream("alice")).Position || first.Revision != s.LastEvent(customer.Stream("ally")).Revision {
		t.Errorf("the result is %+v", first)
	}
	if now := s.account("alice"); !now.StandsFor("ally") || !now.Blocked || !slices.Equal(now.Groups, []customer.Group{"trade"}) || now.Profile.Name != "alice" {
		t.Errorf("alice is %+v", now)
	}
	before := len(recordedIn(t, s.Log))
	again, err := s.MergeCustomer(t.Context(), call, "ally", "alice")
	if err != nil || !again.Replayed || again.Position != first.Position {
		t.Errorf("again: %+v, %v", again, err)
	}
	s.Must(s.mergeAccounts("ally", "alice"))
	s.Must(s.FinishCustomerMerge(t.Context(), call.Meta, "ally"))
	s.Must(s.FinishCustomerMerge(t.Context(), call.Meta, "alice"))
	if after := len(recordedIn(t, s.Log)); after != before {
		t.Errorf("repetitions recorded %d events", after-before)
	}
	refusal, _ := errors.AsType[*rule.Rejection](second(s.Customer(t.Context(), shoptest.NewCall(), "ally", customer.Unblock{})))
	if !errors.Is(refusal, customer.ErrMerged) || refusal.Facts["merged_into"] != unit.CustomerID("alice") {
		t.Errorf("a merged account changes: %v", refusal)
	}
	s.Audit()
}

// A merge that is impossible records nothing, and names the account that is the reason.
func TestAnImpossibleMergeOfAccountsIsRefused(t *testing.T) {
	t.Parallel()
	erase := func(id unit.CustomerID) func(s *shop) {
		return func(s *shop) {
			_, err := s.Erase(s.T.Context(), shoptest.NewCall(), subject.Erased{CustomerID: id, Reason: subject.Requested})
			s.Must(err)
		}
	}
	for name, c := range map[string]struct {
		before     func(s *shop)
		from, into unit.CustomerID
		want       *rule.Rejection
		about      any
	}{
		"into itself":                {from: "ally", into: "ally", want: customer.ErrMergeSelf},
		"from nobody":                {from: "nobody", into: "alice", want: customer.ErrNotFound},
		"into nobody":                {from: "ally", into: "nobody", want: customer.ErrNotFound, about: unit.CustomerID("nobody")},
		"from a merged account":      {func(s *shop) { s.Must(s.mergeAccounts("ally", "bob")) }, "ally", "alice", customer.ErrMerged, nil},
		"into a merged account":      {func(s *shop) { s.Must(s.mergeAccounts("alice", "bob")) }, "ally", "alice", customer.ErrMerged, unit.CustomerID("alice")},
		"into the account's own one": {func(s *shop) { s.Must(s.mergeAccounts("alice", "ally")) }, "ally", "alice", customer.ErrMerged, unit.CustomerID("alice")},
		"from an erased customer":    {erase("ally"), "ally", "alice", customer.ErrErased, nil},
		"into an erased customer":    {erase("alice"), "ally", "alice", customer.ErrErased, unit.CustomerID("alice")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := twoAccounts(t, memory.New())
			if c.before != nil {
				c.before(s)
			}
			before := len(recordedIn(t, s.Log))
			err := s.mergeAccounts(c.from, c.into)
			no, _ := errors.AsType[*rule.Rejection](err)
			if !errors.Is(err, c.want) || no.Facts["customer_id"] != c.about {
				t.Errorf("got %v with %v, want %s about %v", err, no, c.want.Code, c.about)
			}
			if after := len(recordedIn(t, s.Log)); after != before {
				t.Errorf("%d events were recorded", after-before)
			}
		})
	}
}

// The driver of a merge dies after each possible number of appends. Then something happens to one
// of the accounts. Then another driver finishes the merge.
func TestAMergeOfAccountsIsFinishedWhereverItsDriverDies(t *testing.T) {
	t.Parallel()
	meanwhile := map[string]func(s *shop){
		"nothing":                         func(*shop) {},
		"the other changes":               func(s *shop) { s.change("alice", customer.AddNote{NoteID: "n", Text: "late"}) },
		"the other is merged":             func(s *shop) { s.Must(s.mergeAccounts("alice", "bob")) },
		"the other is merged into this":   func(s *shop) { _ = s.mergeAccounts("alice", "ally") },
		"this is merged elsewhere":        func(s *shop) { _ = s.mergeAccounts("ally", "bob") },
		"another is merged into this one": func(s *shop) { _ = s.mergeAccounts("bob", "ally") },
		"the other is erased": func(s *shop) {
			_, _ = s.Erase(s.T.Context(), shoptest.NewCall(), subject.Erased{CustomerID: "alice", Reason: subject.Requested})
		},
	}
	finish := map[string]func(s *shop, call commands.Call){
		"the reactor":   func(*shop, commands.Call) {},
		"the same call": func(s *shop, call commands.Call) { _, _ = s.MergeCustomer(s.T.Context(), call, "ally", "alice") },
		"another call":  func(s *shop, _ commands.Call) { _ = s.mergeAccounts("ally", "alice") },
	}
	for between, happen := range meanwhile {
		for who, goOn := range finish {
			for appends := range 4 {
				for engine, empty := range emptyLogs {
					t.Run(fmt.Sprintf("%s, after append %d, %s, %s goes on", engine, appends, between, who), func(t *testing.T) {
						t.Parallel()
						log := empty(t)
						twoAccounts(t, log)
						call := shoptest.NewCall()
						dying := open(t, &shoptest.Mortal{Store: log, Left: appends}, commands.DefaultPolicy())
						_, _ = dying.MergeCustomer(t.Context(), call, "ally", "alice")
						after := open(t, log, commands.DefaultPolicy())
						happen(after)
						goOn(after, call)
						recoverFrom(t, after)
						after.oneStands(t)
						after.Audit()
					})
				}
			}
		}
	}
}

// oneStands checks that exactly one open account answers for each customer: the account itself, or
// the one at the end of its merges.
func (s *shop) oneStands(t *testing.T) {
	t.Helper()
	ids := []unit.CustomerID{"ally", "alice", "bob"}
	for _, id := range ids {
		var answer []unit.CustomerID
		for _, other := range ids {
			if state := s.account(other); state.MergedInto == "" && state.StandsFor(id) {
				answer = append(answer, other)
			}
		}
		if len(answer) != 1 {
			t.Errorf("%q answer for %s, which is merged into %q", answer, id, s.account(id).MergedInto)
		}
	}
}

// Before one append of a merge, another node merges the accounts in another way.
func TestAccountsMergedIntoEachOtherDoNotGetLost(t *testing.T) {
	t.Parallel()
	for name, happen := range map[string]func(s *shop){
		"the other way round":         func(s *shop) { _ = s.mergeAccounts("alice", "ally") },
		"the same":                    func(s *shop) { _ = s.mergeAccounts("ally", "alice") },
		"the other into a third":      func(s *shop) { _ = s.mergeAccounts("alice", "bob") },
		"this one into a third":       func(s *shop) { _ = s.mergeAccounts("ally", "bob") },
		"a third into this one":       func(s *shop) { _ = s.mergeAccounts("bob", "ally") },
		"the reactor is quicker":      func(s *shop) { _ = s.FinishCustomerMerge(s.T.Context(), shoptest.NewCall().Meta, "ally") },
		"the other begins to merge":   func(s *shop) { begun(s, "alice", "ally") },
		"the other begins into bob":   func(s *shop) { begun(s, "alice", "bob") },
		"bob begins to merge into it": func(s *shop) { begun(s, "bob", "ally") },
	} {
		for at := range 4 {
			t.Run(fmt.Sprintf("%s at append %d", name, at), func(t *testing.T) {
				t.Parallel()
				log := &overhearing{Store: memory.New(), hear: func(string) {}}
				s := twoAccounts(t, log)
				beside := open(t, log.Store, commands.DefaultPolicy())
				appends := 0
				log.hear = func(string) {
					if appends++; appends-1 == at {
						happen(beside)
					}
				}
				_ = s.mergeAccounts("ally", "alice")
				log.hear = func(string) {}
				after := open(t, log.Store, commands.DefaultPolicy())
				recoverFrom(t, after)
				after.oneStands(t)
				after.Audit()
			})
		}
	}
}

// A customer who is blocked is merged into an account that is not. At no moment can the customer
// check out: not before an append of the merge, not after its driver has died, not if the other
// account declines or is merged itself, and not at the end.
func TestABlockedCustomerCannotCheckOutWhileMerged(t *testing.T) {
	t.Parallel()
	for name, happen := range map[string]func(s *shop){
		"nothing":              func(*shop) {},
		"the other is merged":  func(s *shop) { _ = s.mergeAccounts("alice", "bob") },
		"the other begins to":  func(s *shop) { begun(s, "alice", "bob") },
		"it is merged already": func(s *shop) { _ = s.mergeAccounts("ally", "bob") },
		"the other is erased": func(s *shop) {
			_, _ = s.Erase(s.T.Context(), shoptest.NewCall(), subject.Erased{CustomerID: "alice", Reason: subject.Requested})
		},
	} {
		for at := range 4 {
			t.Run(fmt.Sprintf("%s at append %d", name, at), func(t *testing.T) {
				t.Parallel()
				log := &overhearing{Store: memory.New(), hear: func(string) {}}
				s := twoAccounts(t, log)
				s.Sell("MUG", 10)
				_, err := s.AddLines(t.Context(), shoptest.NewCall(), "c", &cart.Open{CartID: "c", CustomerID: "ally", Currency: "GBP"}, []commands.WantedLine{{SKU: "MUG", Quantity: 1}})
				s.Must(err)
				tries := 0
				refused := func(when string) {
					t.Helper()
					tries++
					other := open(t, log.Store, commands.DefaultPolicy()) // it has nothing in memory
					if _, err := other.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c", OrderID: "o"}); !errors.Is(err, customer.ErrBlocked) {
						t.Errorf("%s: %v", when, err)
					}
				}
				appends, hear := 0, log.hear
				log.hear = func(stream string) {
					refused("before an append to " + stream)
					if appends++; appends-1 == at {
						happen(open(t, log.Store, commands.DefaultPolicy()))
						refused("after " + name)
					}
				}
				_ = s.mergeAccounts("ally", "alice")
				log.hear = hear
				refused("after the merge")
				recoverFrom(t, open(t, log.Store, commands.DefaultPolicy()))
				refused("at the end")
				if tries < 4 {
					t.Errorf("%d tries", tries)
				}
			})
		}
	}
}

// begun begins a merge, whose driver dies before the other account knows of it.
func begun(s *shop, source, target unit.CustomerID) {
	_ = open(s.T, &shoptest.Mortal{Store: s.Log, Left: 1}, commands.DefaultPolicy()).mergeAccounts(source, target)
}

// What belongs to an account that was merged exists for a call of the other account, also if it was
// begun after the merge. The other way round it does not.
func TestACallReachesWhatBelongsToAMergedAccount(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MUG", 100)
	s.register("ally", "alice")
	opened := func(id unit.CartID, of unit.CustomerID) {
		_, err := s.AddLines(t.Context(), shoptest.NewCall(), id, &cart.Open{CartID: id, CustomerID: of, Currency: "GBP"}, []commands.WantedLine{{SKU: "MUG", Quantity: 1}})
		s.Must(err)
	}
	opened("before", "ally")
	s.Must(s.mergeAccounts("ally", "alice"))
	opened("later", "ally")
	opened("hers", "alice")
	grants, _ := access.BuiltIn(access.Customer)
	as := func(id unit.CustomerID, needs access.Permission) commands.Call {
		call := shoptest.NewCall()
		call.Who, call.Meta.Actor, call.Needs = access.Principal{ID: "key:a", Role: access.Customer, Grants: grants, Customer: id}, "key:a", needs
		absorbed, err := s.AbsorbedBy(t.Context(), call.Who, needs)
		s.Must(err)
		call.Absorbed = absorbed
		return call
	}
	for _, row := range []struct {
		who    unit.CustomerID
		cart   unit.CartID
		hidden bool
	}{{"alice", "before", false}, {"alice", "later", false}, {"alice", "hers", false}, {"ally", "later", false}, {"ally", "hers", true}} {
		_, err := s.Cart(t.Context(), as(row.who, access.WriteCarts), row.cart, cart.ChangeCountry{Country: string(row.who)})
		if _, hidden := errors.AsType[*access.HiddenError](err); hidden != row.hidden || err != nil != row.hidden {
			t.Errorf("%s changes %s: %v", row.who, row.cart, err)
		}
	}
	result, err := s.Checkout(t.Context(), as("alice", access.CheckOut), commands.CheckoutRequest{CartID: "later", OrderID: "o1"})
	if err != nil || !result.Placed {
		t.Fatalf("%+v, %v", result, err)
	}
	if _, err := s.Order(t.Context(), as("alice", access.CancelOrders), "o1", order.Cancel{Reason: "no"}); err != nil {
		t.Errorf("alice cancels the order: %v", err)
	}
	if _, err := s.Customer(t.Context(), as("ally", access.WriteCustomers), "ally", customer.ChangeProfile{Name: new("x")}); err == nil || !errors.Is(err, customer.ErrMerged) {
		t.Errorf("a merged account changes: %v", err)
	} else if refusal, _ := errors.AsType[*rule.Rejection](err); refusal.Facts["merged_into"] != nil {
		t.Errorf("a customer learns of the other account: %v", refusal)
	}

	// The account that answers can be blocked, and then nobody of the two checks out.
	s.change("alice", customer.Block{Reason: "fraud"})
	if _, err := s.Checkout(t.Context(), as("ally", access.CheckOut), commands.CheckoutRequest{CartID: "before", OrderID: "o2"}); !errors.Is(err, customer.ErrBlocked) {
		t.Errorf("ally checks out: %v", err)
	}
	s.change("alice", customer.Unblock{})
	if _, err := s.Checkout(t.Context(), as("ally", access.CheckOut), commands.CheckoutRequest{CartID: "before", OrderID: "o2"}); err != nil {
		t.Errorf("ally checks out: %v", err)
	}
	s.Audit()
}

// Who erases a customer erases the accounts that were merged into theirs. A merged account is not
// erased alone.
func TestAMergedAccountIsErasedWithTheOtherOne(t *testing.T) {
	t.Parallel()
	s := twoAccounts(t, memory.New())
	s.Must(s.mergeAccounts("ally", "alice"))
	erase := func(id unit.CustomerID) error {
		_, err := s.Erase(t.Context(), shoptest.NewCall(), subject.Erased{CustomerID: id, Reason: subject.Requested})
		return err
	}
	if refusal, _ := errors.AsType[*rule.Rejection](erase("ally")); !errors.Is(refusal, customer.ErrMerged) || refusal.Facts["merged_into"] != unit.CustomerID("alice") {
		t.Errorf("erasing ally: %v", refusal)
	}
	s.Must(erase("alice"))
	state, _, err := s.Subject(t.Context(), unit.CustomerID("alice").Owner())
	if err != nil || !slices.Equal(state.Erased.Customers, []unit.CustomerID{"ally"}) || s.LastEvent(subject.Stream("customer:alice")).Type != "subject.erased.v2" {
		t.Errorf("%+v, %v", state, err)
	}

	// Both happen at the same moment: the erasure does not know of the merge.
	s = twoAccounts(t, memory.New())
	s.Must(s.EraseLater(t.Context(), "alice")) // she was not erased
	log := &overhearing{Store: s.Log, hear: func(string) {}}
	beside := open(t, log, commands.DefaultPolicy())
	log.hear = func(stream string) {
		if stream == customer.Stream("alice") {
			log.hear = func(string) {}
			s.Must(erase("alice"))
		}
	}
	s.Must(beside.mergeAccounts("ally", "alice"))
	for range 2 {
		s.Must(s.EraseLater(t.Context(), "alice"))
	}
	state, revision, err := s.Subject(t.Context(), unit.CustomerID("alice").Owner())
	if err != nil || !slices.Equal(state.Erased.Customers, []unit.CustomerID{"ally"}) || revision != 1 {
		t.Errorf("%+v at %d, %v", state, revision, err)
	}
	if meta := eventstore.MetadataOrNone(s.LastEvent(subject.Stream("customer:alice")).Meta); meta.Actor != "system:erasure" {
		t.Errorf("it was erased by %s", meta.Actor)
	}

	// The account that is to be merged is erased, and the erasure does not know of the merge.
	s = twoAccounts(t, memory.New())
	s.Eraser = &meanwhile{do: func() { s.Must(s.mergeAccounts("ally", "alice")) }}
	s.Must(erase("ally"))
	if state, _, err := s.Subject(t.Context(), unit.CustomerID("alice").Owner()); err != nil || state.IsErased() {
		t.Fatalf("%+v, %v", state, err)
	}
	for range 2 {
		s.Must(s.EraseLater(t.Context(), "ally"))
	}
	if state, _, err := s.Subject(t.Context(), unit.CustomerID("alice").Owner()); err != nil || !slices.Equal(state.Erased.Customers, []unit.CustomerID{"ally"}) {
		t.Errorf("the account that has the texts: %+v, %v", state, err)
	}
}

// meanwhile is an Eraser in which something happens while it looks.
type meanwhile struct{ do func() }

func (m *meanwhile) Of(context.Context, unit.Owner, []unit.CustomerID) (commands.Belonging, error) {
	do := m.do
	m.do = func() {}
	do()
	return commands.Belonging{}, nil
}

func (m *meanwhile) Keep(context.Context, []unit.OrderID) ([]subject.Kept, error) { return nil, nil }

func (m *meanwhile) Done(context.Context, unit.Owner) (bool, error) { return false, nil }

func (m *meanwhile) Note(context.Context, subject.Erased) error { return nil }
