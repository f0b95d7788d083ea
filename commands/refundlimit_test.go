package commands_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/access"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// limitedPolicy is that of a shop where 5.00 GBP may be given back without the permission.
func limitedPolicy() commands.Policy {
	policy := commands.DefaultPolicy()
	policy.RefundLimits = []unit.Money{pounds("5.00")}
	return policy
}

// callAs is a call of a principal with the grants of a role, or with these grants.
func callAs(role access.Role, grants access.Grants) commands.Call {
	call := shoptest.NewCall()
	if grants == nil {
		grants, _ = access.BuiltIn(role)
	}
	call.Who = access.Principal{ID: "key:" + string(role), Role: role, Grants: grants}
	call.Meta.Actor = call.Who.ID
	return call
}

// soldWithReturns sells an order of 10 mugs (25.00 GBP), of which returns a and b bring back 5
// each.
func soldWithReturns(t *testing.T, log eventstore.Store) *shop {
	t.Helper()
	s := open(t, log, limitedPolicy())
	s.Sell("MUG", 11)
	s.deliver("o1", 10)
	for _, id := range []unit.ReturnID{"a", "b"} {
		if _, err := s.Return(t.Context(), shoptest.NewCall(), id, mugsOf(id, 5, "o1")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Return(t.Context(), shoptest.NewCall(), id, giveBack(5, "1")[:2]...); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// aRefund gives an amount back under an id, by one of the routes.
type aRefund func(s *shop, call commands.Call, id unit.TransactionID, amount string) error

func byOrder(of order.TransactionType, state order.TransactionState) aRefund {
	return func(s *shop, call commands.Call, id unit.TransactionID, amount string) error {
		_, err := s.Order(s.T.Context(), using(access.RecordMoney, call), "o1", order.RecordTransaction{TransactionID: id, Type: of, State: state, Amount: pounds(amount)})
		return err
	}
}

func byReturn(of unit.ReturnID) aRefund {
	return func(s *shop, call commands.Call, id unit.TransactionID, amount string) error {
		_, err := s.Return(s.T.Context(), using(access.RefundReturns, call), of, returns.RecordRefund{TransactionID: id, Amount: pounds(amount)})
		return err
	}
}

var refundPaths = map[string]aRefund{
	"a refund of the order":         byOrder(order.Refund, order.Succeeded),
	"a pending refund of the order": byOrder(order.Refund, order.Pending),
	"a chargeback of the order":     byOrder(order.Chargeback, order.Succeeded),
	"a refund of a return":          byReturn("a"),
}

func overLimit(err error) bool {
	return errors.Is(err, order.ErrRefundLimit) || errors.Is(err, returns.ErrRefundLimit)
}

// By each path, an operator may give back as much as the limit, in one or in several refunds, and
// no more. What was refused has changed nothing.
func TestAnOperatorGivesBackAsMuchAsTheLimit(t *testing.T) {
	t.Parallel()
	for name, refund := range refundPaths {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := soldWithReturns(t, memory.New())
			if err := refund(s, callAs(access.Operator, nil), "all", "5.01"); !overLimit(err) {
				t.Errorf("5.01: %v", err)
			}
			for _, id := range []unit.TransactionID{"one", "two"} {
				if err := refund(s, callAs(access.Operator, nil), id, "2.50"); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			}
			for other, again := range refundPaths {
				if other == "a refund of a return" {
					again = byReturn("b") // it has given back nothing, but its order has
				}
				err := again(s, callAs(access.Operator, nil), "more", "0.01")
				if no, refused := errors.AsType[*rule.Rejection](err); !refused || !errors.Is(no, order.ErrRefundLimit) || no.Facts["given_back"] == nil {
					t.Errorf("0.01 more by %s: %v", other, err)
				}
			}
			if now := s.OrderState("o1").GivenBack(); !now.Equal(pounds("5.00")) {
				t.Errorf("%s given back", now)
			}
			s.auditLater()
		})
	}
}

// The permission is that of a manager, an admin, the program itself, or a role of the shop's own.
func TestOthersGiveBackMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	operator, _ := access.BuiltIn(access.Operator)
	custom := maps.Clone(operator)
	custom[access.UnlimitedRefunds] = access.All
	for name, call := range map[string]func() commands.Call{
		"a manager":           func() commands.Call { return callAs(access.Manager, nil) },
		"an admin":            func() commands.Call { return callAs(access.Admin, nil) },
		"a custom role":       func() commands.Call { return callAs("cashier", custom) },
		"the program, itself": shoptest.NewCall,
		"without access control": func() commands.Call {
			call := shoptest.NewCall()
			call.Who, call.Meta.Actor = access.Everyone, "operator:eve"
			return call
		},
	} {
		for path, refund := range refundPaths {
			t.Run(name+", "+path, func(t *testing.T) {
				t.Parallel()
				s := soldWithReturns(t, memory.New())
				if err := refund(s, call(), "all", "7.50"); err != nil {
					t.Error(err)
				}
				// What a manager has given back counts.
				if err := byOrder(order.Refund, order.Succeeded)(s, callAs(access.Operator, nil), "more", "0.01"); !overLimit(err) {
					t.Errorf("an operator, after it: %v", err)
				}
				s.auditLater()
			})
		}
	}
}

// A repeated request gets its first result, although the limit is reached. A repeated request of a
// refund that was refused is refused again.
func TestARefundUnderTheLimitIsRepeated(t *testing.T) {
	t.Parallel()
	for name, refund := range refundPaths {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := soldWithReturns(t, memory.New())
			tooMuch, call := callAs(access.Operator, nil), callAs(access.Operator, nil)
			for range 2 {
				if err := refund(s, tooMuch, "much", "5.01"); !overLimit(err) {
					t.Errorf("5.01: %v", err)
				}
				if err := refund(s, call, "all", "5.00"); err != nil {
					t.Error(err)
				}
			}
			if err := refund(s, callAs(access.Operator, nil), "all", "5.00"); err != nil {
				t.Errorf("the same refund by another request: %v", err)
			}
			if now := s.OrderState("o1").GivenBack(); !now.Equal(pounds("5.00")) {
				t.Errorf("%s given back", now)
			}
		})
	}
}

// Sixteen refunds at once, half of them by each return, together give back no more than the limit.
func TestRefundsAtOnceDoNotPassTheLimit(t *testing.T) {
	t.Parallel()
	s := soldWithReturns(t, memory.New())
	var wait sync.WaitGroup
	for i := range 16 {
		refund := []aRefund{byReturn("a"), byReturn("b"), byOrder(order.Refund, order.Succeeded)}[i%3]
		wait.Go(func() {
			id := unit.TransactionID(fmt.Sprint("t", i))
			if err := refund(s, callAs(access.Operator, nil), id, "1.00"); err != nil && !overLimit(err) {
				t.Errorf("%s: %v", id, err)
			}
		})
	}
	wait.Wait()
	if now := s.OrderState("o1").GivenBack(); !now.Equal(pounds("5.00")) {
		t.Errorf("%s given back", now)
	}
	for _, id := range []unit.ReturnID{"a", "b"} {
		if open := s.returnState(id).OrdersUnsettled; len(open) > 0 {
			t.Errorf("return %s has %+v open", id, open)
		}
	}
	s.auditLater()
}

// Another return of the order is paid back after the order was asked. The order refuses its share,
// and the return takes its refund back.
func TestARefundThatComesSecondIsTakenBack(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := soldWithReturns(t, log)
	slow := open(t, &between{Store: log, eventType: refundRecorded, run: func() {
		if err := byReturn("b")(s, callAs(access.Operator, nil), "first", "3.00"); err != nil {
			t.Error(err)
		}
	}}, limitedPolicy())
	call := callAs(access.Operator, nil)
	for range 2 {
		if err := byReturn("a")(slow, call, "second", "3.00"); !errors.Is(err, order.ErrRefundLimit) {
			t.Error(err)
		}
	}
	wantRefunded(t, slow, map[unit.ReturnID]string{"a": "0", "b": "3.00"})
	slow.auditLater()
}

// othersCarryOut are the ways in which the refund of a return is carried out by somebody else.
var othersCarryOut = map[string]func(s *shop, of returns.RecordRefund) error{
	"a call of an operator": func(s *shop, _ returns.RecordRefund) error {
		_, err := s.Return(s.T.Context(), using(access.HandleReturns, callAs(access.Operator, nil)), "a", returns.Close{})
		return err
	},
	"a call of a manager": func(s *shop, _ returns.RecordRefund) error {
		_, err := s.Return(s.T.Context(), using(access.HandleReturns, callAs(access.Manager, nil)), "a", returns.Close{})
		return err
	},
	"the same refund": func(s *shop, of returns.RecordRefund) error {
		_, err := s.Return(s.T.Context(), using(access.RefundReturns, callAs(access.Operator, nil)), "a", of)
		return err
	},
	"the reactor": func(s *shop, _ returns.RecordRefund) error {
		return s.FinishReturn(s.T.Context(), shoptest.NewCall().Meta, "a")
	},
}

// An operator's refund was recorded at the return, and its node died before the order had recorded
// it, or is slow. In the meantime another return was paid back. Whoever carries the refund out asks
// the order with the operator's limit. So the order refuses it, and the return takes it back.
func TestTheLimitOfARefundHoldsForEveryDriver(t *testing.T) {
	t.Parallel()
	refund := returns.RecordRefund{TransactionID: "second", Amount: pounds("3.00")}
	for name, carryOut := range othersCarryOut {
		for _, dies := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, dies=%t", name, dies), func(t *testing.T) {
				t.Parallel()
				onIndexedStores(t, func(t *testing.T, log eventstore.Store) {
					soldWithReturns(t, log)
					other := open(t, log, limitedPolicy())
					meanwhile := func() {
						if err := byReturn("b")(other, callAs(access.Operator, nil), "first", "3.00"); err != nil {
							t.Error(err)
						}
						if err := carryOut(other, refund); err != nil && !errors.Is(err, order.ErrRefundLimit) {
							t.Error(err)
						}
					}
					if dies {
						dying := open(t, &shoptest.Mortal{Store: log, Left: 1}, limitedPolicy())
						_, _ = dying.Return(t.Context(), using(access.RefundReturns, callAs(access.Operator, nil)), "a", refund) // it dies after the first append
						meanwhile()
					} else {
						slow := open(t, &between{Store: log, eventType: refundRecorded, after: true, run: meanwhile}, limitedPolicy())
						if _, err := slow.Return(t.Context(), using(access.RefundReturns, callAs(access.Operator, nil)), "a", refund); !errors.Is(err, order.ErrRefundLimit) {
							t.Error(err)
						}
					}
					s := open(t, log, limitedPolicy())
					wantRefunded(t, s, map[unit.ReturnID]string{"a": "0", "b": "3.00"})
					if now := s.OrderState("o1").GivenBack(); !now.Equal(pounds("3.00")) {
						t.Errorf("%s given back", now)
					}
					s.auditLater()
				})
			})
		}
	}
}

// An order has refused the share of a refund. Before the return takes the refund back, something
// happens to the order with which there would be room for the share, and another driver asks the
// order and dies. The order refuses the share again. Otherwise it would have a refund that its
// return has taken back.
func TestAnOrderRefusesAShareForGood(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]order.Command{
		"the refund that left no room has failed": order.SettleTransaction{TransactionID: "pending", State: order.Failed},
		"the provider reports the refund":         order.RecordTransaction{TransactionID: "second", Type: order.Refund, State: order.Succeeded, Amount: pounds("3.00")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onIndexedStores(t, func(t *testing.T, log eventstore.Store) {
				s := soldWithReturns(t, log)
				full := &between{Store: log, eventType: refundRecorded, run: func() {
					if err := byOrder(order.Refund, order.Pending)(s, callAs(access.Operator, nil), "pending", "3.00"); err != nil {
						t.Error(err)
					}
				}}
				slow := open(t, &between{Store: full, eventType: "return.refund_withdrawn.v1", run: func() {
					if _, err := s.Order(t.Context(), using(access.RecordMoney, callAs(access.Manager, nil)), "o1", happens); err != nil {
						t.Error(err)
					}
					dying := open(t, &shoptest.Mortal{Store: log, Left: 1}, limitedPolicy())
					_ = dying.FinishReturn(t.Context(), shoptest.NewCall().Meta, "a")
				}}, limitedPolicy())
				if err := byReturn("a")(slow, callAs(access.Operator, nil), "second", "3.00"); !errors.Is(err, order.ErrRefundLimit) {
					t.Error(err)
				}
				s = open(t, log, limitedPolicy())
				wantRefunded(t, s, map[unit.ReturnID]string{"a": "0"})
				s.auditLater()
			})
		})
	}
}

// Several nodes record refunds of two returns at once, each request twice, while others close the
// returns and the reactor carries out what is open. All agree on what was given back.
func TestManyDriversKeepTheLimit(t *testing.T) {
	t.Parallel()
	onIndexedStores(t, func(t *testing.T, log eventstore.Store) {
		soldWithReturns(t, log)
		nodes := []*shop{open(t, log, limitedPolicy()), open(t, log, limitedPolicy())}
		var wait sync.WaitGroup
		for i := range 24 {
			node, of := nodes[i%2], []unit.ReturnID{"a", "b"}[i/2%2]
			wait.Go(func() {
				for range 3 {
					if err := byReturn(of)(node, callAs(access.Operator, nil), unit.TransactionID("t-"+of), "5.00"); err != nil && !overLimit(err) {
						t.Error(err)
					}
					if _, err := node.Return(t.Context(), using(access.HandleReturns, callAs(access.Operator, nil)), of, returns.Close{}); err != nil {
						t.Error(err)
					}
					if err := node.FinishReturn(t.Context(), shoptest.NewCall().Meta, of); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		s := open(t, log, limitedPolicy())
		if now := s.OrderState("o1").GivenBack(); !now.Equal(pounds("5.00")) {
			t.Errorf("%s given back", now)
		}
		s.auditLater()
	})
}

// A manager's refund was recorded at the return, and its node died before the order had recorded
// it. A call of an operator carries it out and does not take it back. So does the reactor.
func TestARefundOfAManagerIsCarriedOutByOthers(t *testing.T) {
	t.Parallel()
	for name, carryOut := range map[string]func(s *shop) error{
		"a call of an operator": func(s *shop) error {
			_, err := s.Return(s.T.Context(), using(access.HandleReturns, callAs(access.Operator, nil)), "a", returns.Close{})
			return err
		},
		"the same refund of an operator": func(s *shop) error {
			return byReturn("a")(s, callAs(access.Operator, nil), "large", "7.50")
		},
		"the reactor": func(s *shop) error {
			return s.FinishReturn(s.T.Context(), shoptest.NewCall().Meta, "a")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := memory.New()
			soldWithReturns(t, log)
			dying := open(t, &shoptest.Mortal{Store: log, Left: 1}, limitedPolicy())
			_ = byReturn("a")(dying, callAs(access.Manager, nil), "large", "7.50") // it dies after the first append
			s := open(t, log, limitedPolicy())
			if open := s.returnState("a").OrdersUnsettled; len(open) != 1 {
				t.Fatalf("open: %+v", open)
			}
			if err := carryOut(s); err != nil {
				t.Error(err)
			}
			wantRefunded(t, s, map[unit.ReturnID]string{"a": "7.50"})
			if now := s.OrderState("o1").GivenBack(); !now.Equal(pounds("7.50")) {
				t.Errorf("%s given back", now)
			}
		})
	}
}

// To settle a refund that somebody has begun needs no permission. A failed refund is no refund.
func TestSettlingARefundNeedsNoPermission(t *testing.T) {
	t.Parallel()
	s := soldWithReturns(t, memory.New())
	if err := byOrder(order.Refund, order.Failed)(s, callAs(access.Operator, nil), "failed", "20.00"); err != nil {
		t.Errorf("a failed refund: %v", err)
	}
	if err := byOrder(order.Refund, order.Pending)(s, callAs(access.Manager, nil), "pending", "20.00"); err != nil {
		t.Error(err)
	}
	settle := order.SettleTransaction{TransactionID: "pending", State: order.Succeeded}
	if _, err := s.Order(t.Context(), using(access.RecordMoney, callAs(access.Operator, nil)), "o1", settle); err != nil {
		t.Errorf("an operator settles a refund: %v", err)
	}
	s.auditLater()
}

// The program begins to give back money that comes in after an order was canceled, also above the
// limit of whoever records the money.
func TestARemedyIsBegunAboveTheLimit(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), limitedPolicy())
	s.Sell("MUG", 3)
	if err := errors.Join(s.FillCart("c", map[unit.SKU]unit.Quantity{"MUG": 3}), s.PlaceOrder("c", "o1")); err != nil {
		t.Fatal(err)
	}
	for _, command := range []order.Command{
		order.Cancel{Reason: "no"},
		order.RecordTransaction{TransactionID: "paid", Type: order.Capture, State: order.Succeeded, Amount: pounds("7.50")},
	} {
		if _, err := s.Order(t.Context(), using(access.RecordMoney, callAs(access.Operator, nil)), "o1", command); err != nil {
			t.Fatal(err)
		}
	}
	remedy, found := s.OrderState("o1").Transaction(order.RemedyTransactionID("o1", "paid"))
	if !found || remedy.Type != order.Refund || remedy.State != order.Pending || !remedy.Amount.Equal(pounds("7.50")) {
		t.Errorf("the remedy is %+v", remedy)
	}
	s.auditLater()
}

// A return without an order counts on no order. So an operator gives back nothing for it, however
// little, as soon as there is a limit. Otherwise several such returns would pass the limit.
func TestAnOperatorGivesBackNothingWithoutAnOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy  commands.Policy
		role    access.Role
		allowed bool
	}{
		"an operator":               {limitedPolicy(), access.Operator, false},
		"a manager":                 {limitedPolicy(), access.Manager, true},
		"an operator, and no limit": {commands.DefaultPolicy(), access.Operator, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, memory.New(), c.policy)
			for _, id := range []unit.ReturnID{"a", "b"} {
				ask := returns.Request{ReturnID: id, Currency: "GBP", Lines: []returns.Line{{SKU: "MUG", Kind: unit.Stocked, Quantity: 1, Price: pounds("4.00")}}}
				for _, command := range append([]returns.Command{ask}, giveBack(1, "1")[:2]...) {
					if _, err := s.Return(t.Context(), shoptest.NewCall(), id, command); err != nil {
						t.Fatal(err)
					}
				}
				err := byReturn(id)(s, callAs(c.role, nil), "t", "4.00")
				if (err == nil) != c.allowed || err != nil && !errors.Is(err, returns.ErrRefundOfNoOrder) {
					t.Errorf("return %s: %v", id, err)
				}
				if now := s.returnState(id).Refunded(); (now.Sign() == 0) == c.allowed {
					t.Errorf("%s given back for return %s", now, id)
				}
			}
		})
	}
}

// Money that comes in after an order was canceled is given back by the program, in its own name. An
// operator, who may have recorded the money, does not settle this refund above the limit.
func TestAnOperatorDoesNotSettleARemedyAboveTheLimit(t *testing.T) {
	t.Parallel()
	for amount, allowed := range map[string]bool{"5.00": true, "5.01": false, "5000.00": false} {
		t.Run(amount, func(t *testing.T) {
			t.Parallel()
			log := memory.New()
			s := open(t, log, limitedPolicy())
			s.Sell("MUG", 1)
			if err := errors.Join(s.FillCart("c", map[unit.SKU]unit.Quantity{"MUG": 1}), s.PlaceOrder("c", "o1")); err != nil {
				t.Fatal(err)
			}
			capture := order.RecordTransaction{TransactionID: "late", Type: order.Capture, State: order.Succeeded, Amount: pounds(amount)}
			for _, command := range []order.Command{order.Cancel{Reason: "no"}, capture} {
				if _, err := s.Order(t.Context(), using(access.RecordMoney, callAs(access.Operator, nil)), "o1", command); err != nil {
					t.Fatal(err)
				}
			}
			settle := order.SettleTransaction{TransactionID: order.RemedyTransactionID("o1", "late"), State: order.Succeeded}
			if _, err := s.Order(t.Context(), using(access.RecordMoney, callAs(access.Operator, nil)), "o1", settle); err == nil != allowed || err != nil && !errors.Is(err, order.ErrRefundLimit) {
				t.Errorf("an operator: %v", err)
			}
			if _, err := s.Order(t.Context(), using(access.RecordMoney, callAs(access.Manager, nil)), "o1", settle); err != nil {
				t.Errorf("a manager: %v", err)
			}
			if now := s.OrderState("o1").Returned(); !now.Equal(pounds(amount)) {
				t.Errorf("%s given back", now)
			}
			for e, err := range log.ReadStream(t.Context(), order.Stream("o1"), 0, 100) {
				if err != nil {
					t.Fatal(err)
				}
				meta, err := eventstore.DecodeMetadata(e.Meta)
				if err != nil {
					t.Fatal(err)
				}
				pending := strings.Contains(string(e.Data), `"type":"refund"`)
				if pending != (meta.Actor == "system:remedy") || pending && meta.OnBehalfOf != "key:operator" {
					t.Errorf("%s by %q on behalf of %q", e.Type, meta.Actor, meta.OnBehalfOf)
				}
			}
			s.auditLater()
		})
	}
}

// If there is any limit, a refund in a currency without one needs the permission.
func TestACurrencyWithoutALimitAllowsNoRefund(t *testing.T) {
	t.Parallel()
	policy := commands.DefaultPolicy()
	policy.RefundLimits = []unit.Money{{Amount: pounds("5").Amount, Currency: "EUR"}}
	log := memory.New()
	soldWithReturns(t, log)
	s := open(t, log, policy)
	for name, refund := range refundPaths {
		if err := refund(s, callAs(access.Operator, nil), "t", "0.01"); !overLimit(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
