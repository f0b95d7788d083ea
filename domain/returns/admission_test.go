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
	"units of an order's line are asked for at once": {When: linkedTwice(), Then: []Event{addedUp()}},
	"orders admit a return":                          {Given: askedOf(), When: Admit{}, Then: []Event{Admitted{}}},
	"once admitted is admitted":                      {Given: askedOf(Admitted{}), When: Admit{}, Nothing: true},
	"it is then approved":                            {Given: askedOf(Admitted{}), When: Approve{}, Then: []Event{Approved{}}},
	"not before":                                     {Given: askedOf(), When: Approve{}, Refused: ErrNotAdmitted},
	"an order refuses it":                            {Given: askedOf(), When: refuse, Then: []Event{denied}},
	"it is then declined":                            {Given: askedOf(denied), When: Approve{}, Refused: ErrDeclined},
	"the first outcome stands":                       {Given: askedOf(Admitted{}), When: refuse, Nothing: true},
	"whichever it is":                                {Given: askedOf(denied), When: Admit{}, Nothing: true},
	"a cancel is one":                                {Given: askedOf(Canceled{}), When: Admit{}, Nothing: true},
	"so is a decline":                                {Given: askedOf(Declined{}), When: refuse, Nothing: true},
	"it may be called off while orders are asked":    {Given: askedOf(), When: Cancel{}, Then: []Event{Canceled{}}},
	"a refused one has its units released":           {Given: askedOf(denied), When: SettleOrders{Step: StepRelease}, Then: []Event{OrdersSettled{Step: StepRelease}}},
	"so has one canceled":                            {Given: askedOf(Admitted{}, Approved{}, Canceled{}), When: SettleOrders{Step: StepRelease}, Then: []Event{OrdersSettled{Step: StepRelease}}},
	"also while orders are asked":                    {Given: askedOf(Canceled{}), When: SettleOrders{Step: StepRelease}, Then: []Event{OrdersSettled{Step: StepRelease}}},
	"so has one declined":                            {Given: askedOf(Admitted{}, Declined{}), When: SettleOrders{Step: StepRelease}, Then: []Event{OrdersSettled{Step: StepRelease}}},
	"released once":                                  {Given: askedOf(Canceled{}, OrdersSettled{Step: StepRelease}), When: SettleOrders{Step: StepRelease}, Nothing: true},
	"where no order was asked none is told":          {Given: given(Canceled{}), When: SettleOrders{Step: StepRelease}, Nothing: true},
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
	"the first order's units first":            {Given: mixed(), When: payBack(refund("t", "4")), Then: []Event{shared("t", "4", Share{"o1", pounds("4")})}},
	"up to what they are worth, then the next": {Given: mixed(), When: payBack(refund("t", "6")), Then: []Event{shared("t", "6", Share{"o1", pounds("5.01")}, Share{"o2", pounds("0.99")})}},
	"the rest is of no order":                  {Given: mixed(), When: payBack(refund("t", "20")), Then: []Event{shared("t", "20", Share{"o1", pounds("5.01")}, Share{"o2", pounds("2.51")})}},
	"a second refund goes on after the first":  {Given: mixed(refund("t", "6")), When: payBack(refund("u", "14")), Then: []Event{shared("u", "14", Share{"o2", pounds("1.52")})}},
	"a return of no order has none":            {Given: []Event{unlinkedOfNone(), Approved{}}, When: payBack(refund("t", "3.95")), Then: []Event{refund("t", "3.95")}},
	"its shares are recorded":                  {Given: mixed(shared("t", "4", Share{"o1", pounds("4")})), When: SettleOrders{Step: StepRefund, Ref: "t"}, Then: []Event{OrdersSettled{Step: StepRefund, Ref: "t"}}},
	"recorded once":                            {Given: mixed(shared("t", "4", Share{"o1", pounds("4")}), OrdersSettled{Step: StepRefund, Ref: "t"}), When: SettleOrders{Step: StepRefund, Ref: "t"}, Nothing: true},
	"each refund for itself":                   {Given: mixed(shared("t", "4", Share{"o1", pounds("4")})), When: SettleOrders{Step: StepRefund, Ref: "u"}, Nothing: true},
	"one older than shares has none to record": {Given: open(refund("t", "1")), When: SettleOrders{Step: StepRefund, Ref: "t"}, Nothing: true},
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
	if len(clone.OrdersUnsettled) != 1 || clone.OrdersUnsettled[0].Ref != "t" || len(clone.Unsettled) != 1 || clone.Unsettled[0].Receipt != 1 {
		t.Errorf("clone %+v, %+v", clone.OrdersUnsettled, clone.Unsettled)
	}
}
