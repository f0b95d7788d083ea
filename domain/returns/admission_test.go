package returns

import (
	"testing"

	"daybook/domain/unit"
)

// The order lines that the lines of ask are linked to.
var (
	admits = []OrderUnits{
		{OrderID: "o1", Lines: []LineUnits{{2, 2}}},
		{OrderID: "o2", Lines: []LineUnits{{1, 1}}},
	}
	isAsked = asked()
	refuse  = RefuseAdmission{OrderID: "o2", Code: "return-exceeds-shipped", Reason: "Fewer.", Line: 1, Returnable: 0, Requested: 1}
	denied  = AdmissionRefused{OrderID: "o2", Code: "return-exceeds-shipped", Reason: "Fewer.", Line: 1, Requested: 1}
	// The refusal of a missing order says nothing about units.
	deniedUnheard = AdmissionRefused{OrderID: "o2", Code: "order-not-found", Reason: "There is no such order."}
)

func asked() Requested {
	e := isRequested
	e.Admit = admits
	return e
}

// askedOf is a return whose orders were asked to admit units.
func askedOf(events ...Event) []Event { return append([]Event{isAsked}, events...) }

func linkedTwice() Request {
	return withLine(func(l *Line) { l.Links = []Link{{"o2", 1, 1}, {"o1", 2, 1}, {"o2", 1, 1}} })
}

func addedUp() Requested {
	e := isRequested
	e.Lines = numbered(linkedTwice().Lines)
	e.Admit = []OrderUnits{{OrderID: "o1", Lines: []LineUnits{{2, 1}}}, {OrderID: "o2", Lines: []LineUnits{{1, 2}}}}
	return e
}

var admitting = map[string]row{
	"an order is asked once for all units of its lines":                           {When: linkedTwice(), Then: []Event{addedUp()}},
	"orders admit a return":                                                       {Given: askedOf(), When: Admit{}, Then: []Event{Admitted{}}},
	"admitting a return again changes nothing":                                    {Given: askedOf(Admitted{}), When: Admit{}, Nothing: true},
	"an admitted return can be approved":                                          {Given: askedOf(Admitted{}), When: Approve{}, Then: []Event{approved}},
	"a return cannot be approved while its orders are asked":                      {Given: askedOf(), When: Approve{}, Refused: ErrNotAdmitted},
	"an order can refuse a return":                                                {Given: askedOf(), When: refuse, Then: []Event{denied}},
	"a return that an order refused cannot be approved":                           {Given: askedOf(denied), When: Approve{}, Refused: ErrDeclined},
	"refusing a return changes nothing after it was admitted":                     {Given: askedOf(Admitted{}), When: refuse, Nothing: true},
	"admitting a return changes nothing after it was refused":                     {Given: askedOf(denied), When: Admit{}, Nothing: true},
	"admitting a return changes nothing after it was canceled":                    {Given: askedOf(Canceled{}), When: Admit{}, Nothing: true},
	"refusing a return changes nothing after it was declined":                     {Given: askedOf(Declined{}), When: refuse, Nothing: true},
	"a return can be canceled while its orders are asked":                         {Given: askedOf(), When: Cancel{}, Then: []Event{Canceled{}}},
	"a refused return has its units released":                                     {Given: askedOf(denied), When: SettleOrders{Step: StepRelease}, Then: []Event{OrdersSettled{Step: StepRelease}}},
	"a canceled return has its units released":                                    {Given: askedOf(Admitted{}, Approved{}, Canceled{}), When: SettleOrders{Step: StepRelease}, Then: []Event{OrdersSettled{Step: StepRelease}}},
	"a return that is canceled while its orders are asked has its units released": {Given: askedOf(Canceled{}), When: SettleOrders{Step: StepRelease}, Then: []Event{OrdersSettled{Step: StepRelease}}},
	"a declined return has its units released":                                    {Given: askedOf(Admitted{}, Declined{}), When: SettleOrders{Step: StepRelease}, Then: []Event{OrdersSettled{Step: StepRelease}}},
	"settling a release again changes nothing":                                    {Given: askedOf(Canceled{}, OrdersSettled{Step: StepRelease}), When: SettleOrders{Step: StepRelease}, Nothing: true},
	"a canceled return that asked no order has nothing to release":                {Given: given(Canceled{}), When: SettleOrders{Step: StepRelease}, Nothing: true},
}

func shared(id unit.TransactionID, amount string, shares ...Share) Refunded {
	e := refund(id, amount)
	e.Shares = shares
	return e
}

func ofO1(id unit.TransactionID, amount string) Refunded {
	return shared(id, amount, Share{"o1", pounds(amount)})
}

// mixed is a return of several orders: 2 units of o1 and 1 of o2 at 2.505, and 1 unit of no order
// at 10. All are received.
func mixed(events ...Event) []Event {
	e := isAsked
	e.OrderID = ""
	return append([]Event{e, Admitted{}, Approved{}, firstReceipt, lastReceipt}, events...)
}

var sharing = map[string]row{
	"a refund goes to the first order first":                                      {Given: mixed(), When: payBack(refund("t", "4")), Then: []Event{shared("t", "4", Share{"o1", pounds("4")})}},
	"a refund beyond the worth of the first order's units goes to the next order": {Given: mixed(), When: payBack(refund("t", "6")), Then: []Event{shared("t", "6", Share{"o1", pounds("5.01")}, Share{"o2", pounds("0.99")})}},
	"the rest of a refund belongs to no order":                                    {Given: mixed(), When: payBack(refund("t", "20")), Then: []Event{shared("t", "20", Share{"o1", pounds("5.01")}, Share{"o2", pounds("2.51")})}},
	"a second refund is divided from where the first one ended":                   {Given: mixed(refund("t", "6")), When: payBack(refund("u", "14")), Then: []Event{shared("u", "14", Share{"o2", pounds("1.52")})}},
	"a refund of a return without orders has no shares":                           {Given: []Event{unlinkedOfNone(), Approved{}}, When: payBack(refund("t", "3.95")), Then: []Event{refund("t", "3.95")}},
	"a sender with a limit gives back what belongs to orders":                     {Given: mixed(), When: within(payBack(refund("t", "4"))), Then: []Event{limited(shared("t", "4", Share{"o1", pounds("4")}))}},
	"a sender with a limit gives back nothing that belongs to no order":           {Given: mixed(refund("t", "7.52")), When: within(payBack(refund("u", "0.01"))), Refused: facts(ErrRefundOfNoOrder, map[string]any{"without_order": pounds("0.01"), "requested": pounds("0.01")})},
	"a sender with a limit gives back nothing for a return without orders":        {Given: []Event{unlinkedOfNone(), Approved{}}, When: within(payBack(refund("t", "0.01"))), Refused: ErrRefundOfNoOrder},
	"a refund of no order that is recorded is repeated in spite of the limit":     {Given: []Event{unlinkedOfNone(), Approved{}, refund("t", "1")}, When: within(payBack(refund("t", "1"))), Nothing: true},
	"the shares of a refund can be settled":                                       {Given: mixed(shared("t", "4", Share{"o1", pounds("4")})), When: SettleOrders{Step: StepRefund, Ref: "t"}, Then: []Event{OrdersSettled{Step: StepRefund, Ref: "t"}}},
	"settling the shares of a refund again changes nothing":                       {Given: mixed(shared("t", "4", Share{"o1", pounds("4")}), OrdersSettled{Step: StepRefund, Ref: "t"}), When: SettleOrders{Step: StepRefund, Ref: "t"}, Nothing: true},
	"settling the shares of another refund changes nothing":                       {Given: mixed(shared("t", "4", Share{"o1", pounds("4")})), When: SettleOrders{Step: StepRefund, Ref: "u"}, Nothing: true},
	"a refund that an older program recorded has no shares to settle":             {Given: open(refund("t", "1")), When: SettleOrders{Step: StepRefund, Ref: "t"}, Nothing: true},
}

func unlinkedOfNone() Requested {
	e := unlinked()
	e.OrderID = ""
	return e
}

func TestAdmitting(t *testing.T) { backs.Run(t, admitting) }
func TestSharing(t *testing.T)   { backs.Run(t, sharing) }

func TestFoldingAReturnFurtherLeavesACloneAsItWas(t *testing.T) {
	s := backs.Fold(mixed(shared("t", "4", Share{"o1", pounds("4")}))...)
	clone := s.Clone()
	_ = Evolve(Evolve(s, OrdersSettled{Step: StepRefund, Ref: "t"}), StockSettled{Receipt: 1})
	last := len(clone.OrdersUnsettled) - 1 // the credits come first
	if last != 2 || clone.OrdersUnsettled[last].Ref != "t" || len(clone.Unsettled) != 1 || clone.Unsettled[0].Receipt != 1 {
		t.Errorf("clone %+v, %+v", clone.OrdersUnsettled, clone.Unsettled)
	}
}
