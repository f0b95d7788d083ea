package fulfilment

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

func line(sku unit.SKU, quantity unit.Quantity, links ...returns.Link) returns.Line {
	return returns.Line{SKU: sku, Kind: unit.Stocked, Quantity: quantity, Price: pounds("1"), Links: links}
}

func foldReturn(commands ...returns.Command) returns.State {
	var s returns.State
	for _, cmd := range commands {
		events, err := returns.Decide(cmd, s)
		if err != nil {
			panic(err)
		}
		for _, e := range events {
			s = returns.Evolve(s, e)
		}
	}
	return s
}

// ofTwo is a return of units of two orders.
var ofTwo = returns.Request{ReturnID: "r1", Currency: "GBP", Lines: []returns.Line{
	line("A", 3, returns.Link{OrderID: "o2", Line: 1, Quantity: 2}, returns.Link{OrderID: "o1", Line: 1, Quantity: 1}),
}}

func asksOf(asks []Ask) (told []string) {
	for _, a := range asks {
		told = append(told, fmt.Sprintf("%s: %+v", a.OrderID, a.Command))
	}
	return told
}

func TestAReturnAsksItsOrders(t *testing.T) {
	received := returns.Receive{Receipt: 1, Lines: []returns.ReceivedLine{{Line: 1, Quantity: 3, Disposition: returns.Lost, Location: "main"}}}
	for name, test := range map[string]struct {
		given []returns.Command
		asks  []string
		then  returns.Command // when all orders agree
	}{
		"to admit its units": {
			given: []returns.Command{ofTwo},
			asks: []string{
				"o1: {ReturnID:r1 Currency:GBP Lines:[{Line:1 Quantity:1}]}",
				"o2: {ReturnID:r1 Currency:GBP Lines:[{Line:1 Quantity:2}]}",
			},
			then: returns.Admit{},
		},
		"to release its units": {
			given: []returns.Command{ofTwo, returns.Admit{}, returns.Decline{}},
			asks:  []string{"o1: {ReturnID:r1}", "o2: {ReturnID:r1}"},
			then:  returns.SettleOrders{Step: returns.StepRelease},
		},
		"to owe less": {
			given: []returns.Command{ofTwo, returns.Admit{}, returns.Approve{}, received},
			asks: []string{
				"o2: {CreditID:" + creditID + " Cause:return ReturnID:r1 Currency:GBP Lines:[{Line:1 Quantity:2 Worth:2.00 GBP}] Worth:0  Charge:0 Reason:}",
				"o1: {CreditID:" + creditID + " Cause:return ReturnID:r1 Currency:GBP Lines:[{Line:1 Quantity:1 Worth:1.00 GBP}] Worth:0  Charge:0 Reason:}",
			},
			then: credited,
		},
		"to record a refund": {
			given: []returns.Command{ofTwo, returns.Admit{}, returns.Approve{}, received, credited, returns.RecordRefund{TransactionID: "t", Amount: pounds("3"), Reference: "re"}},
			asks: []string{
				"o2: {ReturnID:r1 TransactionID:t Amount:2.00 GBP Provider: Reference:re Limit:<nil>}",
				"o1: {ReturnID:r1 TransactionID:t Amount:1.00 GBP Provider: Reference:re Limit:<nil>}",
			},
			then: returns.SettleOrders{Step: returns.StepRefund, Ref: "t"},
		},
		"nothing while it is admitted": {given: []returns.Command{ofTwo, returns.Admit{}}},
	} {
		t.Run(name, func(t *testing.T) {
			next, open := NextReturnProcess(foldReturn(test.given...))
			if open != (test.then != nil) || !slices.Equal(asksOf(next.Asks), test.asks) {
				t.Fatalf("asks %q, want %q", asksOf(next.Asks), test.asks)
			}
			if got := next.Outcome(make([]Reply, len(next.Asks))); open && !reflect.DeepEqual(got, test.then) {
				t.Errorf("outcome %+v, want %+v", got, test.then)
			}
		})
	}
}

// credited says that the orders owe less because of the first receipt.
var credited = returns.SettleOrders{Step: returns.StepCredit, Ref: returns.CreditRef(1)}

var creditID = unit.ReturnCredit.Of("r1", "receipt-1").ID()

func TestARefusalForLackOfMoneyIsMadeFinal(t *testing.T) {
	share := Ask{OrderID: "o1", Command: order.RecordReturnRefund{ReturnID: "r1", TransactionID: "t", Amount: pounds("1")}}
	want := order.RefuseReturnRefund{ReturnID: "r1", TransactionID: "t", Amount: pounds("1")}
	if got := share.Finally(order.ErrAmountExceeded); !reflect.DeepEqual(got, order.Command(want)) {
		t.Errorf("got %+v", got)
	}
	if share.Finally(order.ErrRefundLimit) != nil || (Ask{Command: order.AdmitReturn{}}).Finally(order.ErrAmountExceeded) != nil {
		t.Error("another refusal is final already")
	}
	recorded := fold(order.TransactionRecorded{TransactionID: "t", Type: order.Refund, State: order.Succeeded, Amount: pounds("1"), ReturnID: "r1"})
	if !share.RecordedBy(recorded) || share.RecordedBy(fold()) {
		t.Error("the order's transactions say whether it has recorded the share")
	}
}

func TestOneRefusalOfAnOrderRefusesTheReturn(t *testing.T) {
	s := foldReturn(ofTwo)
	next, _ := NextReturnProcess(s)
	no := order.ErrReturnExceeded.With("Fewer.", map[string]any{"line": 1, "returnable": unit.Quantity(1), "requested": unit.Quantity(2)})
	refuse := next.Outcome([]Reply{{Ask: next.Asks[0]}, {Ask: next.Asks[1], Refusal: no}})
	want := returns.RefuseAdmission{OrderID: "o2", Code: "return-exceeds-shipped", Reason: "Fewer.", Line: 1, Returnable: 1, Requested: 2}
	if refuse != want {
		t.Errorf("outcome %+v, want %+v", refuse, want)
	}
	told := RefusedAdmission(foldReturn(ofTwo, refuse))
	if !errors.Is(told, order.ErrReturnExceeded) || told.Detail != "Fewer." || told.Facts["order_id"] != unit.OrderID("o2") || told.Facts["returnable"] != unit.Quantity(1) {
		t.Errorf("the refusal is %+v", told)
	}
	if RefusedAdmission(s) != nil {
		t.Error("an open admission is reported as refused")
	}
}

func TestARefundIsTakenBackAsFarAsOrdersRefuseIt(t *testing.T) {
	received := returns.Receive{Receipt: 1, Lines: []returns.ReceivedLine{{Line: 1, Quantity: 3, Disposition: returns.Lost, Location: "main"}}}
	refund := returns.RecordRefund{TransactionID: "t", Amount: pounds("3")}
	given := []returns.Command{ofTwo, returns.Admit{}, returns.Approve{}, received, credited, refund}
	next, _ := NextReturnProcess(foldReturn(given...)) // asks o2, then o1
	no := order.ErrTransactionDiffers
	for name, test := range map[string]struct {
		replies []*rule.Rejection
		want    returns.Command
	}{
		"refused by all": {[]*rule.Rejection{no, no}, returns.WithdrawRefund{TransactionID: "t", Refused: []unit.OrderID{"o2", "o1"}, Whole: true, Code: no.Code, Reason: no.Detail}},
		"refused by one": {[]*rule.Rejection{nil, no}, returns.WithdrawRefund{TransactionID: "t", Refused: []unit.OrderID{"o1"}, Code: no.Code, Reason: no.Detail}},
		"refused by one, and the other does not exist": {[]*rule.Rejection{order.ErrNotFound, no}, returns.WithdrawRefund{TransactionID: "t", Refused: []unit.OrderID{"o1"}, Whole: true, Code: no.Code, Reason: no.Detail}},
		"refused by none, and one does not exist":      {[]*rule.Rejection{nil, order.ErrNotFound}, returns.SettleOrders{Step: returns.StepRefund, Ref: "t"}},
	} {
		t.Run(name, func(t *testing.T) {
			var replies []Reply
			for i, refusal := range test.replies {
				replies = append(replies, Reply{Ask: next.Asks[i], Refusal: refusal})
			}
			outcome := next.Outcome(replies)
			if !reflect.DeepEqual(outcome, test.want) {
				t.Fatalf("outcome %+v, want %+v", outcome, test.want)
			}
			after := foldReturn(append(slices.Clone(given), outcome)...)
			told := RefusedRefund(after, refund)
			if _, settled := test.want.(returns.SettleOrders); settled != (told == nil) || told != nil && told.Facts["order_id"] == nil {
				t.Errorf("the refusal is %+v", told)
			}
		})
	}
	whole := next.Outcome([]Reply{{Ask: next.Asks[0], Refusal: no}, {Ask: next.Asks[1], Refusal: no}})
	again := foldReturn(append(slices.Clone(given), whole, refund)...)
	if second, open := NextReturnProcess(again); !open || second.Key() == next.Key() {
		t.Errorf("recorded again its outcome has the key %q, as before", second.Key())
	}
	if told := RefusedRefund(again, refund); told != nil {
		t.Errorf("after it was recorded again, it is reported as refused: %v", told)
	}
}

func TestWhatAReturnWouldAskCanBeTriedFirst(t *testing.T) {
	s := foldReturn(ofTwo, returns.Admit{}, returns.Approve{}, returns.Receive{Receipt: 1, Lines: []returns.ReceivedLine{{Line: 1, Quantity: 3, Disposition: returns.Lost, Location: "main"}}})
	refund := returns.RecordRefund{TransactionID: "t", Amount: pounds("3")}
	if asks := ReturnAsks(s, []returns.Command{refund, refund}); len(asks) != 2 || len(s.Refunds) != 0 {
		t.Errorf("asks %q, refunds %+v", asksOf(asks), s.Refunds)
	}
	if asks := ReturnAsks(returns.State{}, []returns.Command{ofTwo}); len(asks) != 2 {
		t.Errorf("asks %q", asksOf(asks))
	}
	if asks := ReturnAsks(s, []returns.Command{ofTwo, returns.Request{}, refund}); len(asks) != 0 {
		t.Errorf("a return that is there, and another: asks %q", asksOf(asks))
	}
}

func TestAnOrderThatCannotRecordARefundDoesNotStandInItsWay(t *testing.T) {
	for no, stands := range map[*rule.Rejection]bool{order.ErrNotFound: false, order.ErrCurrencyDiffers: false, order.ErrTransactionDiffers: true} {
		if told := (Ask{Command: order.RecordReturnRefund{}}).FinalRefusal(no); (told != nil) != stands {
			t.Errorf("of a refund, FinalRefusal(%v) = %v", no, told)
		}
		if told := (Ask{OrderID: "o1", Command: order.AdmitReturn{}}).FinalRefusal(no); !errors.Is(told, no) || told.Facts["order_id"] != unit.OrderID("o1") {
			t.Errorf("of an admission, FinalRefusal(%v) = %+v", no, told)
		}
	}
}

// market is some orders that have shipped, and returns that ask for their units. Each decision is
// atomic. Between two decisions anything may happen.
type market struct {
	t      testing.TB
	name   string        // how to repeat it
	pick   func(int) int // 0 to n-1
	orders map[unit.OrderID]*order.State
	backs  map[unit.ReturnID]*returns.State
	count  map[string]int // of events
	// followed are the orders whose returns have followed.
	followed map[unit.OrderID]bool
}

func (m *market) fatalf(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf(m.name+": "+format, args...)
}

// sell makes an order of two lines and ships a part of it.
func (m *market) sell(id unit.OrderID) {
	s := &order.State{}
	m.orders[id] = s
	for _, e := range []order.Event{
		order.Placed{
			OrderID: id, Currency: "GBP", Total: pounds("10"),
			Lines: []cart.Line{
				{Number: 1, SKU: "A", Kind: unit.Stocked, Quantity: 5, Price: pounds("1")},
				{Number: 2, SKU: "B", Kind: unit.Stocked, Quantity: 5, Price: pounds("1")},
			},
		},
		order.Confirmed{},
		order.Shipped{ShipmentID: "p", Location: "main", Lines: []order.ShippedLine{
			{Line: 1, SKU: "A", Kind: unit.Stocked, Quantity: unit.Quantity(1 + m.pick(3))},
			{Line: 2, SKU: "B", Kind: unit.Stocked, Quantity: unit.Quantity(m.pick(3))},
		}},
	} {
		*s = order.Evolve(*s, e)
	}
}

func (m *market) tellOrder(id unit.OrderID, cmd order.Command) *rule.Rejection {
	s := m.orders[id]
	if s == nil {
		return order.ErrNotFound
	}
	events, err := order.Decide(cmd, *s)
	for _, e := range events {
		*s = order.Evolve(*s, e)
		m.count[fmt.Sprintf("%T", e)]++
	}
	for _, l := range s.Lines {
		if l.Returning < 0 || l.Returning > l.Shipped {
			m.fatalf("order %s, line %+v", id, l)
		}
	}
	no, refused := errors.AsType[*rule.Rejection](err)
	if err != nil && !refused {
		m.fatalf("%T: %v", cmd, err)
	}
	return no
}

func (m *market) tell(id unit.ReturnID, cmd returns.Command) {
	events, _ := returns.Decide(cmd, *m.backs[id])
	for _, e := range events {
		*m.backs[id] = returns.Evolve(*m.backs[id], e)
		m.count[fmt.Sprintf("%T", e)]++
	}
}

// drive is a driver of one return. It calls pause before each decision. If pause says so, the
// driver dies.
func (m *market) drive(id unit.ReturnID, pause func() bool) {
	for range 20 {
		next, open := NextReturnProcess(*m.backs[id])
		if !open {
			return
		}
		var replies []Reply
		for _, ask := range next.Asks {
			if !pause() {
				return
			}
			reply := Reply{Ask: ask, Refusal: m.tellOrder(ask.OrderID, ask.Command)}
			if !pause() {
				return
			}
			if s := m.orders[ask.OrderID]; s != nil && reply.Refusal == nil {
				reply.TakenOverBy = s.CustomerID
			}
			replies = append(replies, reply)
		}
		if !pause() {
			return
		}
		for _, cmd := range next.Commands(replies) {
			m.tell(id, cmd)
		}
	}
	m.fatalf("the process of return %s does not end", id)
}

func (m *market) start() *worker {
	if m.pick(10) == 0 {
		of := m.anyOrder()
		next, stop := iter.Pull(func(yield func(struct{}) bool) { m.follow(of, func() bool { return yield(struct{}{}) }) })
		return &worker{next, stop}
	}
	id := m.anyReturn()
	next, stop := iter.Pull(func(yield func(struct{}) bool) { m.drive(id, func() bool { return yield(struct{}{}) }) })
	return &worker{next, stop}
}

func (m *market) anyOrder() unit.OrderID { return []unit.OrderID{"o1", "o2"}[m.pick(2)] }

func (m *market) anyReturn() unit.ReturnID {
	return []unit.ReturnID{"r1", "r2", "r3"}[m.pick(3)]
}

// happen is what people ask.
func (m *market) happen(step int) {
	id := m.anyReturn()
	switch m.pick(14) {
	case 0, 1:
		m.tell(id, m.request(id))
	case 9:
		_ = m.tellOrder(m.anyOrder(), order.TakeOver{CustomerID: []unit.CustomerID{"u1", "u2"}[m.pick(2)]})
	case 7: // a provider tells an order of a refund that failed
		_ = m.tellOrder([]unit.OrderID{"o1", "o2"}[m.pick(2)], order.RecordTransaction{
			TransactionID: m.sameRefund(), Type: order.Refund, State: order.Failed, Amount: pounds("1"),
		})
	case 2:
		m.tell(id, returns.Approve{})
	case 3:
		m.tell(id, returns.Decline{})
	case 4:
		m.tell(id, returns.Cancel{})
	default: // the goods come, and a part of their worth is paid back
		m.tell(id, returns.Approve{})
		if lines := m.backs[id].Lines; len(lines) > 0 {
			m.tell(id, returns.Receive{Receipt: len(m.backs[id].Receipts) + 1, Lines: []returns.ReceivedLine{
				{Line: 1, Quantity: unit.Quantity(1 + m.pick(4)), Disposition: returns.Restocked, Location: "main"},
			}})
		}
		refund := returns.RecordRefund{TransactionID: unit.TransactionID(fmt.Sprint("t", step)), Amount: pounds("1")}
		if m.pick(2) == 0 { // returns record the same refund, or the order has it already
			refund.TransactionID = m.sameRefund()
		}
		m.tell(id, refund)
	}
}

func (m *market) sameRefund() unit.TransactionID {
	return unit.TransactionID(fmt.Sprint("same", m.pick(2)))
}

func (m *market) request(id unit.ReturnID) returns.Request {
	var links []returns.Link
	for range 1 + m.pick(3) {
		of := []unit.OrderID{"o1", "o2", "o1", "o2", "nobody's"}[m.pick(5)]
		links = append(links, returns.Link{OrderID: of, Line: 1 + m.pick(2), Quantity: unit.Quantity(1 + m.pick(2))})
	}
	return returns.Request{ReturnID: id, Currency: "GBP", Lines: []returns.Line{line("A", 9, links...)}}
}

func (m *market) simulate() {
	m.sell("o1")
	m.sell("o2")
	for _, id := range []unit.ReturnID{"r1", "r2", "r3"} {
		m.backs[id] = &returns.State{}
		m.tell(id, m.request(id))
	}
	var workers []*worker
	for step := range 20 + m.pick(80) {
		switch m.pick(9) {
		case 0, 1:
			workers = append(workers, m.start())
		case 2:
			if len(workers) > 0 { // a driver dies
				i := m.pick(len(workers))
				workers[i].stop()
				workers = slices.Delete(workers, i, i+1)
			}
		case 3:
			m.happen(step)
		default:
			if len(workers) > 0 {
				i := m.pick(len(workers))
				if _, more := workers[i].next(); !more {
					workers = slices.Delete(workers, i, i+1)
				}
			}
		}
	}
	finish := func() {
		for id := range m.orders {
			m.follow(id, func() bool { return true })
		}
		for id := range m.backs {
			m.drive(id, func() bool { return true })
		}
	}
	if m.pick(2) == 0 { // other drivers come late, when everything is done
		finish()
		for _, late := range workers {
			for more := true; more; {
				_, more = late.next()
			}
		}
	}
	for _, each := range workers {
		each.stop()
	}
	finish()
	m.ordersAreWhatTheReturnsSay()
	m.returnsKnowTheirRefunds()
	m.returnsFollowTheirOrders()
}

// ordersAreWhatTheReturnsSay checks that each admitted unit belongs to a valid return, and
// that all orders of each valid return have admitted its units.
func (m *market) ordersAreWhatTheReturnsSay() {
	for id, back := range m.backs {
		stands := false
		switch back.Status {
		case returns.StatusRequested, returns.StatusOpen, returns.StatusReceived, returns.StatusClosed:
			stands = true
		case returns.StatusDeclined, returns.StatusCanceled, returns.StatusNoted:
		}
		if stands && back.Admission != returns.AdmissionGiven || len(back.OrdersUnsettled) > 0 {
			m.fatalf("return %s is %s, its admission %s; open %+v", id, back.Status, back.Admission, back.OrdersUnsettled)
		}
		for _, of := range back.Requested.Admit {
			s := m.orders[of.OrderID]
			if s == nil && !stands {
				continue
			}
			i := slices.IndexFunc(s.Returns, func(r order.Return) bool { return r.ID == id })
			if i < 0 || s.Returns[i].Released == stands {
				m.fatalf("return %s is %s, at order %s it is %+v", id, back.Status, of.OrderID, s.Returns)
			}
		}
		for _, refund := range back.Refunds {
			for _, share := range refund.Shares {
				if t, found := m.orders[share.OrderID].Transaction(refund.TransactionID); !found || !t.Amount.Equal(share.Amount) || t.ReturnID != id {
					m.fatalf("return %s: the share %+v of refund %s is %+v", id, share, refund.TransactionID, t)
				}
			}
		}
	}
}

// returnsKnowTheirRefunds checks the refunds of returns that orders have recorded. Each must be a
// share of a refund of its return.
func (m *market) returnsKnowTheirRefunds() {
	for id, s := range m.orders {
		for _, t := range s.Transactions {
			if t.ReturnID == "" {
				continue
			}
			found := slices.ContainsFunc(m.backs[t.ReturnID].Refunds, func(r returns.Refunded) bool {
				return r.TransactionID == t.ID && slices.Contains(r.Shares, returns.Share{OrderID: id, Amount: t.Amount})
			})
			if !found {
				m.fatalf("order %s: refund %s is not known to return %s", id, t.ID, t.ReturnID)
			}
		}
	}
}

func TestWhateverDriversDoOrdersAreWhatTheReturnsSay(t *testing.T) {
	count := map[string]int{}
	for seed := range uint64(*simulations) {
		m := &market{
			t: t, name: fmt.Sprintf("seed %d", seed), pick: rand.New(rand.NewPCG(seed, 0)).IntN, count: count,
			orders: map[unit.OrderID]*order.State{}, backs: map[unit.ReturnID]*returns.State{}, followed: map[unit.OrderID]bool{},
		}
		m.simulate()
	}
	for _, rare := range []string{
		"returns.Admitted", "returns.AdmissionRefused", "returns.Declined", "returns.Canceled", "returns.OrdersSettled", "returns.Refunded", "returns.RefundWithdrawn",
		"order.ReturnAdmitted", "order.ReturnReleased", "order.TransactionRecorded", "order.TakenOver", "returns.TakenOver",
	} {
		if count[rare] < *simulations/100 {
			t.Errorf("%s happened %d times: the markets are too quiet to prove anything", rare, count[rare])
		}
	}
}
