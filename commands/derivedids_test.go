package commands_test

import (
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/commands/payments"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore/memory"
)

// owner is a cart, its order, its return and a SKU at a location. Two owners have the same
// inner ids, such as shipment ids and transaction ids.
type owner struct {
	cart     unit.CartID
	order    unit.OrderID
	back     unit.ReturnID
	sku      unit.SKU
	location unit.LocationID
}

func (o owner) key() stock.Key { return stock.Key{SKU: o.sku, Location: o.location} }

// askedTwice names a scenario for each kind of derived id. The scenario makes an id of this kind.
// Two owners with the same inner ids carry it out, one after the other, and it must succeed for
// both. The name is a key of derivations, or the file and the name of another test.
var askedTwice = map[*unit.Derivation]string{
	unit.RequestCommand: twoCallers, unit.StepCommand: twoCallers, unit.NextAttemptCommand: "commandapi/idempotency_test.go:TestAKeyCanSucceedAfterAnyNumberOfRefusals",
	unit.NewCart: twoCallers, unit.NewReturn: twoCallers, unit.NewTransaction: twoCallers, unit.NewRefund: twoCallers, unit.NewOrderRefund: twoCallers, unit.NewCredit: twoCallers, unit.NewCharge: twoCallers, unit.NewShipment: twoCallers,
	unit.NewCustomer: twoCallers, unit.NewAddress: twoCallers, unit.NewNote: twoCallers, unit.NewWishList: twoCallers,
	unit.NewTransfer: twoCallers, unit.NewDeallocation: twoCallers, unit.DirectReservation: twoCallers,
	unit.CartOpening:      "commandapi/creates_test.go:TestACreateThatNamesItsIDIsRepeatable",
	unit.ImportCommand:    "importer/resume_test.go:TestRunTwiceItChangesNothing",
	unit.ProcessID:        "reactor/parked_test.go:TestWorkThatCannotBeFinishedHoldsUpNothing",
	unit.TimerCommand:     "reactor/timers_test.go:TestTwoTimersOfAKindThatDifferInOnePartBothFire",
	unit.OrderReservation: "orderid_test.go:TestCheckoutsThatAnOlderProgramBeganEnd",

	unit.NewOrder: "derived order", unit.CheckoutReservation: "sale", unit.CheckoutReserve: "sale", unit.CheckoutOutcome: "sale", unit.CheckoutPlace: "sale",
	unit.CheckoutRelease: "refusal", unit.CheckoutClaim: "refusal", unit.CheckoutWithdraw: "orderid_test.go:TestCartsCheckedOutAtOnceUnderOneOrderIDAreOneOrder",
	unit.MergeOutcome: "merge", unit.MergeRefuse: "merge_test.go:TestMergesAtTheSameMomentKeepTheGoods",
	unit.AccountMergeOutcome: "merge of accounts", unit.AccountMergeRefuse: "mergecustomer_test.go:TestAccountsMergedIntoEachOtherDoNotGetLost",
	unit.FulfilOrder: "sale", unit.MoveCommit: "sale", unit.MoveShip: "sale", unit.MoveShipForced: "forced parcel", unit.MoveRelease: "cancelation", unit.MoveExtend: "extension",
	unit.MoveParcelBack: "parcel that comes back", unit.ParcelReservation: "parcel that comes back", unit.ParcelCredit: "lost parcel", unit.ParcelRefund: "lost parcel",
	unit.MoveDeallocate: "cancelation", unit.MoveReserve: "lost stock", unit.MoveCommitOver: "lost stock", unit.RetryReservation: "lost stock",
	unit.SubmitRefund: "refund at a provider", unit.SettleRefund: "refund at a provider", unit.ReportTransaction: "refund at a provider",
	unit.RemedyTransaction: "lost stock", unit.FollowCart: "claim", unit.FollowReturn: "claim",
	unit.ReturnOutcome: "return", unit.ReturnAdmit: "return", unit.ReturnRelease: "return", unit.ReturnRefund: "return", unit.ReturnSettle: "return",
	unit.GiftCardBack: "endcards_test.go:TestWhatIsSpentOfAGiftCardIsNotGivenBack", unit.ReturnCredit: "return", unit.CreditReturn: "return", unit.RefundPart: "return", unit.EndRefund: "lost stock",
	unit.RefuseRefund:        "../domain/fulfilment/returnprocess_test.go:TestARefusalForLackOfMoneyIsMadeFinal",
	unit.PaymentStream:       "../domain/payment/payment_test.go:TestEachPaymentHasAStreamOfItsOwn",
	unit.ClaimPayment:        "claimpayment_test.go:TestOnePaymentIsForOneOrder",
	unit.ProviderTransaction: "commandapi/payments_test.go:TestAClientAndAProviderReportOnePayment",
	unit.MoveTakeBack:        "return", unit.SubjectStream: "erasure",
	unit.CustomerUses: "holds_test.go:TestACustomerUsesAPromotionOnce", unit.FirstOrder: "holds_test.go:TestTwoFirstOrdersAtOnceCannotBothWin",
	unit.CouponCode: "../domain/money/coupon/coupon_test.go:TestFold", unit.CreditAccount: "../domain/money/giftcard/giftcard_test.go:TestIDs",
	unit.HoldTake: "holds_test.go:TestOnlyAsManyBuyersUseAPromotionAsItHasUses", unit.HoldCommit: "holds_test.go:TestAGiftCardNeverPaysMoreThanItHas",
	unit.HoldRelease: "holds_test.go:TestOnlyAsManyBuyersUseAPromotionAsItHasUses", unit.HoldReturn: "holds_test.go:TestOnlyAsManyBuyersUseAPromotionAsItHasUses",
	unit.HoldPayment: "holds_test.go:TestTwoGiftCardsPayWhatIsDue", unit.CreditBack: "holds_test.go:TestMoneyComesBackToAGiftCardOncePerRefund",
	unit.IssueGiftCard: "holds_test.go:TestAGiftCardThatWasSoldIsIssuedOncePerUnit",
}

func (s *shop) stockUp(o owner, units unit.Quantity) {
	s.T.Helper()
	s.Sell(o.sku, 0)
	_, err := s.MoveStock(s.T.Context(), shoptest.NewCall(), o.key(), stock.Receive{At: s.At(o.key()), Quantity: units})
	s.Must(err)
}

func (s *shop) buy(o owner, units unit.Quantity, orderID unit.OrderID) commands.CheckoutResult {
	s.T.Helper()
	s.Must(s.FillCart(o.cart, map[unit.SKU]unit.Quantity{o.sku: units}))
	result, err := s.Checkout(s.T.Context(), shoptest.NewCall(), commands.CheckoutRequest{
		CartID: o.cart, OrderID: orderID, Sourcing: &cart.Sourcing{Locations: []unit.LocationID{o.location}},
	})
	s.Must(err)
	return result
}

func (s *shop) ask(o owner, asked ...order.Command) {
	s.T.Helper()
	_, err := s.Order(s.T.Context(), shoptest.NewCall(), o.order, asked...)
	s.Must(err)
}

func paid(s *shop, o owner) order.RecordTransaction {
	return order.RecordTransaction{TransactionID: "t", Type: order.Capture, State: order.Succeeded, Amount: s.OrderState(o.order).Owed()}
}

// derivations are the scenarios of askedTwice.
var derivations = map[string]func(s *shop, o owner){
	"sale": func(s *shop, o owner) {
		s.buy(o, 2, o.order)
		s.ask(o, paid(s, o), order.Confirm{Now: s.Now()})
		s.ask(o, order.Ship{ShipmentID: "p", Location: o.location})
		s.ask(o, order.Deliver{ShipmentID: "p"}, order.Complete{})
	},
	"parcel that comes back": func(s *shop, o owner) {
		s.buy(o, 2, o.order)
		s.ask(o, paid(s, o), order.Confirm{Now: s.Now()})
		s.ask(o, order.Ship{ShipmentID: "p", Location: o.location})
		s.ask(o, order.TakeParcelBack{ShipmentID: "p", Location: o.location, Lines: []order.BackUnits{{Line: 1, Quantity: 2, Disposition: order.Restocked}}, Resend: true})
		s.ask(o, order.Ship{ShipmentID: "p2", Location: o.location})
		s.ask(o, order.Deliver{ShipmentID: "p2"}, order.Complete{})
	},
	"lost parcel": func(s *shop, o owner) {
		s.buy(o, 2, o.order)
		s.ask(o, paid(s, o), order.Confirm{Now: s.Now()})
		s.ask(o, order.Ship{ShipmentID: "p", Location: o.location})
		s.ask(o, order.ReportParcel{ShipmentID: "p", State: order.ParcelLost})
		for range 2 {
			s.ask(o, order.CreditParcel{ShipmentID: "p", Lines: []order.LineQuantity{{Line: 1, Quantity: 1}}, Reason: "lost"})
		}
	},
	"extension": func(s *shop, o owner) {
		s.buy(o, 2, o.order)
		until := s.OrderState(o.order).ConfirmBy.Add(time.Hour)
		s.ask(o, order.Extend{Until: until, Reason: "asked by telephone", Now: s.Now(), Latest: until})
	},
	"derived order": func(s *shop, o owner) {
		if result := s.buy(o, 2, ""); !result.Placed {
			s.T.Fatal(result.Refusal())
		}
	},
	"refusal": func(s *shop, o owner) {
		if result := s.buy(o, 500, o.order); result.Placed || result.OrderIDTaken {
			s.T.Fatalf("checkout: %+v", result)
		}
	},
	"erasure": func(s *shop, o owner) {
		s.Must(s.FillCart(o.cart, map[unit.SKU]unit.Quantity{o.sku: 1}))
		for range 2 { // the second one changes nothing
			_, err := s.Erase(s.T.Context(), shoptest.NewCall(), subject.Erased{CartID: o.cart, Reason: subject.Requested})
			s.Must(err)
		}
		state, revision, err := s.Subject(s.T.Context(), o.cart.Owner())
		if err != nil || revision != 0 || state.Erased.CartID != o.cart {
			s.T.Fatalf("%+v at %d, %v", state, revision, err)
		}
	},
	"claim": func(s *shop, o owner) {
		s.buy(o, 3, o.order)
		s.ask(o, order.Confirm{Now: s.Now()})
		s.ask(o, order.Ship{ShipmentID: "p", Location: o.location})
		_, err := s.Return(s.T.Context(), shoptest.NewCall(), o.back, returns.Request{ReturnID: o.back, OrderID: o.order, Currency: "GBP", Lines: []returns.Line{
			{SKU: o.sku, Kind: unit.Stocked, Quantity: 1, Price: pounds("2.50"), Links: []returns.Link{{OrderID: o.order, Line: 1, Quantity: 1}}},
		}})
		s.Must(err)
		_, err = s.ClaimOrder(s.T.Context(), shoptest.NewCall(), commands.OrderClaim{OrderID: o.order, Customer: "ann"})
		s.Must(err)
		if of := s.returnState(o.back).Customer(); of != "ann" {
			s.T.Fatalf("the return is %q's", of)
		}
	},
	"merge": func(s *shop, o owner) {
		more := o.cart + "-2"
		s.Must(s.FillCart(o.cart, map[unit.SKU]unit.Quantity{o.sku: 2}))
		s.Must(s.FillCart(more, map[unit.SKU]unit.Quantity{o.sku: 1}))
		s.Must(s.MergeInto(o.cart, more))
		if now := s.CartState(o.cart); now.Units != 3 {
			s.T.Fatalf("the cart has %d units, want 3", now.Units)
		}
	},
	"merge of accounts": func(s *shop, o owner) {
		one, other := unit.CustomerID(o.cart), unit.CustomerID(o.cart+"-2")
		s.register(one, other)
		s.Must(s.mergeAccounts(other, one))
		if !s.account(one).StandsFor(other) {
			s.T.Fatalf("%s has not absorbed %s", one, other)
		}
	},
	"forced parcel": func(s *shop, o owner) {
		_, err := s.MoveStock(s.T.Context(), shoptest.NewCall(), o.key(), stock.SetPolicy{At: s.At(o.key()), Policy: stock.Policy{BackorderLimit: 500}})
		s.Must(err)
		s.buy(o, 150, o.order)
		s.ask(o, order.Confirm{Now: s.Now()})
		s.ask(o, order.Ship{ShipmentID: "p", Location: o.location, Force: true})
	},
	"cancelation": func(s *shop, o owner) {
		s.buy(o, 3, o.order)
		s.ask(o, order.Cancel{Reason: "no"})
		more := o
		more.cart, more.order = o.cart+"-2", o.order+"-2"
		s.buy(more, 3, more.order)
		s.ask(more, order.Confirm{Now: s.Now()})
		s.ask(more, order.CancelLines{Lines: []order.LineQuantity{{Line: 1, Quantity: 1}}})
		s.ask(more, order.Cancel{Reason: "no"})
	},
	"refund at a provider": func(s *shop, o owner) {
		s.buy(o, 2, o.order)
		bank, err := payments.NewProviders(map[string]payments.Provider{"bank": generousBank{}})
		s.Must(err)
		s.Payments = bank
		// A payment is for one order, so the provider's numbers differ.
		number := string(o.order) + string(o.sku) + string(o.location)
		report := payments.Report{Payment: "pi-" + number, OrderID: o.order, Transactions: []payments.Transaction{
			{Kind: payments.Capture, State: payments.Succeeded, Reference: "ca-" + number, Amount: s.OrderState(o.order).Owed()},
		}}
		s.Must(s.RecordReport(s.T.Context(), shoptest.NewCall().Meta, "bank", report))
		s.ask(o, order.Cancel{Reason: "no"})
		part := s.OrderState(o.order).Refunds[0].Parts[0]
		s.Must(s.FinishRefund(s.T.Context(), shoptest.NewCall().Meta, o.order, part.ID))
		if part = s.OrderState(o.order).Refunds[0].Parts[0]; part.State != order.RefundSucceeded {
			s.T.Fatalf("the part is %+v", part)
		}
	},
	"lost stock": func(s *shop, o owner) {
		s.buy(o, 2, o.order)
		held := s.OrderState(o.order).Holdings[0]
		_, err := s.MoveStock(s.T.Context(), shoptest.NewCall(), o.key(), stock.Release{At: s.At(o.key()), ReservationID: held.ReservationID})
		s.Must(err)
		var left unit.Quantity
		s.Must(s.ViewStock(s.T.Context(), stock.Key{SKU: o.sku, Location: o.location}, func(now stock.State, _ int64) { left = now.Available(s.Now()) }))
		_, err = s.MoveStock(s.T.Context(), shoptest.NewCall(), o.key(), stock.Adjust{At: s.At(o.key()), Change: -left, Reason: stock.Shrinkage})
		s.Must(err)
		s.ask(o, paid(s, o), order.Confirm{Now: s.Now()})
		if now := s.OrderState(o.order); now.Status != order.StatusCanceled || len(now.Transactions) != 2 {
			s.T.Fatalf("the order is %s with %+v", now.Status, now.Transactions)
		}
		s.stockUp(o, left)
	},
	"return": func(s *shop, o owner) {
		s.buy(o, 4, o.order)
		s.ask(o, paid(s, o), order.Confirm{Now: s.Now()})
		s.ask(o, order.Ship{ShipmentID: "p", Location: o.location})
		line := s.OrderState(o.order).Lines[0]
		request := func(id unit.ReturnID) returns.Request {
			return returns.Request{ReturnID: id, OrderID: o.order, Currency: "GBP", Lines: []returns.Line{{
				SKU: o.sku, Kind: unit.Stocked, Quantity: 1, Price: line.Price, Links: []returns.Link{{OrderID: o.order, Line: 1, Quantity: 1}},
			}}}
		}
		_, err := s.Return(s.T.Context(), shoptest.NewCall(), o.back+"-not", request(o.back+"-not"))
		s.Must(err)
		_, err = s.Return(s.T.Context(), shoptest.NewCall(), o.back+"-not", returns.Cancel{})
		s.Must(err)
		_, err = s.Return(s.T.Context(), shoptest.NewCall(), o.back, request(o.back))
		s.Must(err)
		_, err = s.Return(s.T.Context(), shoptest.NewCall(), o.back, returns.Approve{},
			returns.Receive{Receipt: 1, Lines: []returns.ReceivedLine{{Line: 1, Quantity: 1, Disposition: returns.Restocked, Location: o.location}}},
			returns.RecordRefund{TransactionID: "refund", Amount: line.Price})
		s.Must(err)
		s.ask(o, order.RequestRefund{RefundID: "sorry", Purpose: order.Compensation, Amount: line.Price})
	},
}

// generousBank is a provider that gives back all that it is asked for.
type generousBank struct{ payments.Manual }

func (generousBank) Refund(context.Context, payments.Instruction) payments.Outcome {
	return payments.Outcome{State: payments.Succeeded, Reference: "re"}
}

const twoCallers = "commandapi/reuse_test.go:TestTwoCallersUnderOneKeyHaveIDsOfTheirOwn"

// isTest tells whether "file:name" names a test that exists.
func isTest(t *testing.T, name string) bool {
	t.Helper()
	path, function, _ := strings.Cut(name, ":")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return false
	}
	return function != "" && file.Scope.Lookup(function) != nil
}

func TestEachDerivedIDIsAskedForByTwoOwners(t *testing.T) {
	t.Parallel()
	for _, d := range unit.Derivations() {
		scenario, listed := askedTwice[d]
		if _, here := derivations[scenario]; !listed || !here && !isTest(t, scenario) {
			t.Errorf("no scenario makes the id %q of %v twice: %q is neither a key of derivations nor a test", d.Name(), d.Parts(), scenario)
		}
	}
	a := owner{"c-a", "o-a", "r-a", "MUG", "main"}
	for name, differ := range map[string]func(o owner) owner{
		"SKU":      func(o owner) owner { o.sku = "TRAY"; return o },
		"location": func(o owner) owner { o.location = "annex"; return o },
		"order":    func(o owner) owner { return o }, // SKU and location are the same; cart, order and return differ
	} {
		b := differ(owner{"c-b", "o-b", "r-b", "MUG", "main"})
		for scenario, do := range derivations {
			t.Run(scenario+" with another "+name, func(t *testing.T) {
				t.Parallel()
				s := open(t, memory.New(), commands.DefaultPolicy())
				for _, o := range []owner{a, b} {
					s.stockUp(o, 100)
					do(s, o)
				}
				recoverFrom(t, s)
				s.Audit()
			})
		}
	}
}

// The page lists every derived id, with its parts as they are in the code.
func TestThePageOfDerivedIDsIsComplete(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/derived-ids.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `") {
			rows++
		}
	}
	for _, d := range unit.Derivations() {
		row := fmt.Sprintf("| `%s` | %s |", d.Name(), strings.Join(d.Parts(), ", "))
		if strings.Count(string(page), row) != 1 {
			t.Errorf("the page has no row %q", row)
		}
	}
	if want := len(unit.Derivations()); rows != want {
		t.Errorf("the page has %d rows, want %d", rows, want)
	}
}
