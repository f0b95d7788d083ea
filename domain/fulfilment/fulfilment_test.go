package fulfilment

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func pounds(text string) unit.Money {
	return unit.Money{Amount: decimal.RequireFromString(text), Currency: "GBP"}
}

// Most tests use this order: two lines of A (3 and 2 at 1.00), held at two places, and one line of
// B (1 at 5.00). Its total is 10.00.
var isPlaced = order.Placed{
	OrderID: "o1", Currency: "GBP", Total: pounds("10"), Charge: pounds("10"), ConfirmBy: noon.Add(time.Hour),
	Lines: []cart.Line{
		{Number: 1, SKU: "A", Kind: unit.Stocked, Quantity: 3, Price: pounds("1")},
		{Number: 2, SKU: "A", Kind: unit.Stocked, Quantity: 2, Price: pounds("1")},
		{Number: 3, SKU: "B", Kind: unit.Stocked, Quantity: 1, Price: pounds("5")},
	},
	Reservations: []cart.Reservation{
		{ReservationID: "rAm", SKU: "A", Location: "main", Quantity: 4},
		{ReservationID: "rAe", SKU: "A", Location: "east", Quantity: 1},
		{ReservationID: "rBm", SKU: "B", Location: "main", Quantity: 1},
	},
}

func fold(events ...order.Event) order.State {
	s := order.Evolve(order.State{}, isPlaced)
	for _, e := range events {
		s = order.Evolve(s, e)
	}
	return s
}

var settled = order.StockSettled{Step: order.StepConfirm}

func off(pairs ...int) order.LinesCanceled {
	var e order.LinesCanceled
	for i := 0; i < len(pairs); i += 2 {
		e.Lines = append(e.Lines, order.LineQuantity{Line: pairs[i], Quantity: unit.Quantity(pairs[i+1])})
	}
	return e
}

// told returns a command to stock as text.
func told(m Move) string {
	at := fmt.Sprintf("%s@%s", m.SKU, m.Location)
	switch c := any(m.Command(noon)).(type) {
	case stock.Commit:
		return fmt.Sprintf("commit %s %s", at, c.ReservationID)
	case stock.Release:
		return fmt.Sprintf("release %s %s", at, c.ReservationID)
	case stock.Reserve:
		if !c.ExpiresAt.Equal(noon.Add(15 * time.Minute)) {
			return "reserve until " + c.ExpiresAt.String()
		}
		return fmt.Sprintf("reserve %s %d", at, c.Quantity)
	case stock.Deallocate:
		return fmt.Sprintf("deallocate %s %d %s", at, c.Quantity, c.Ref)
	case stock.Ship:
		words := fmt.Sprintf("ship %s %d %s", at, c.Quantity, c.ShipmentID)
		if c.Force {
			words += " by force"
		}
		return words
	case stock.TakeBack:
		return fmt.Sprintf("take back %s %d %s of %s, receipt %d of %s", at, c.Quantity, c.Condition, c.OrderID, c.Receipt, c.ReturnID)
	}
	return "?"
}

// refusals are the refusals of stock, by the text of a move. Each is for the first tries of the
// move only.
type refusals map[string]*refusal

type refusal struct {
	no    *rule.Rejection
	times int
}

func once(move string, no *rule.Rejection) refusals   { return refusals{move: {no, 1}} }
func always(move string, no *rule.Rejection) refusals { return refusals{move: {no, 99}} }

func (r refusals) next(move string) *rule.Rejection {
	if r[move] == nil || r[move].times == 0 {
		return nil
	}
	r[move].times--
	return r[move].no
}

// run drives a process.
func run(t *testing.T, s order.State, remedy order.Remedy, refuse refusals) (rounds string, commands []order.Command) {
	t.Helper()
	p := Begin(s, remedy)
	var lines []string
	ids := map[string]bool{}
	for moves := p.Moves(); len(moves) > 0; moves = p.Moves() {
		var words []string
		var answers []StockReply
		for _, m := range moves {
			if id := m.ID.String(); ids[id] || strings.Split(id, " | ")[1] != "o1" {
				t.Errorf("id %q", m.ID.String())
			} else {
				ids[id] = true
			}
			words = append(words, told(m))
			answers = append(answers, StockReply{Move: m, Refusal: refuse.next(told(m))})
		}
		lines = append(lines, strings.Join(words, ", "))
		p = p.Reply(answers)
	}
	return strings.Join(lines, "; "), p.Commands()
}

// asked returns commands to an order as text.
func inWords(commands []order.Command) string {
	var words []string
	for _, c := range commands {
		switch c := any(c).(type) {
		case order.SettleStock:
			words = append(words, strings.TrimSpace(fmt.Sprintf("settle %s %s", c.Step, c.Ref)))
		case order.FailAllocation:
			fail := "fail " + c.Ref
			for _, short := range c.Shortages {
				fail += fmt.Sprintf(" %s@%s %d/%d %s", short.SKU, short.Location, short.Available, short.Requested, short.Reason)
			}
			words = append(words, fail+" "+string(c.Remedy))
		case order.RetryAllocation:
			words = append(words, "retry")
		case order.Cancel:
			words = append(words, "cancel: "+c.Reason)
		case order.RecordTransaction:
			words = append(words, fmt.Sprintf("%s %s %s of %s", c.State, c.Type, c.Amount.Amount, c.Parent))
		default:
			words = append(words, fmt.Sprintf("%T", c))
		}
	}
	return strings.Join(words, "; ")
}

var (
	ended = stock.ErrReservationEnded
	short = stock.ErrInsufficient.With("", map[string]any{"available": unit.Quantity(0), "requested": unit.Quantity(1)})
)

// If the stock of an order was lost, the shortage names the lines that still ask for the SKU.
func TestALostAllocationNamesItsLines(t *testing.T) {
	for _, c := range []struct {
		sku, move, want string
		events          []order.Event
	}{
		{"A", "commit A@main rAm", "[1 2]", []order.Event{order.Confirmed{}}},
		{"A", "commit A@main rAm", "[1]", []order.Event{off(2, 2), order.Confirmed{}}},
		{"B", "commit B@main rBm", "[3]", []order.Event{order.Confirmed{}}},
	} {
		_, commands := run(t, fold(c.events...), order.RemedyBackorder, always(c.move, ended))
		fail, failed := commands[0].(order.FailAllocation)
		if !failed || len(fail.Shortages) != 1 || string(fail.Shortages[0].SKU) != c.sku || fmt.Sprint(fail.Shortages[0].Lines) != c.want {
			t.Errorf("%+v, want a shortage of %s, lines %s", commands, c.sku, c.want)
		}
	}
}

func TestStockFollowsTheOrder(t *testing.T) {
	parcel := order.Shipped{ShipmentID: "p1", Location: "main", Lines: []order.ShippedLine{
		{Line: 1, SKU: "A", Kind: unit.Stocked, Quantity: 3}, {Line: 2, SKU: "A", Kind: unit.Stocked, Quantity: 1},
	}}
	forced := parcel
	forced.Forced = true
	lostB := order.AllocationFailed{Shortages: []cart.Shortage{{SKU: "B", Location: "main", Requested: 1}}, Remedy: order.RemedyBackorder}
	lostA := order.AllocationFailed{Shortages: []cart.Shortage{{SKU: "A", Location: "main", Requested: 4}}, Remedy: order.RemedyBackorder}
	retryA, retryB := unit.RetryReservation.Of("o1", "A", "main", "retry", "1").ID(), unit.RetryReservation.Of("o1", "B", "main", "retry", "1").ID()
	for name, c := range map[string]struct {
		events   []order.Event
		refuse   refusals
		remedy   order.Remedy
		moves    string
		commands string
	}{
		"a pending order asks nothing": {},
		"a confirmed order commits its reservations": {
			events: []order.Event{order.Confirmed{}},
			moves:  "commit A@main rAm, commit A@east rAe, commit B@main rBm", commands: "settle confirm",
		},
		"a confirmed order asks nothing after its step was settled": {events: []order.Event{order.Confirmed{}, settled}},
		"a reservation whose commit was refused is released and committed again": {
			events: []order.Event{order.Confirmed{}}, refuse: once("commit A@main rAm", ended),
			moves: "commit A@main rAm, commit A@east rAe, commit B@main rBm; release A@main rAm; commit A@main rAm", commands: "settle confirm",
		},
		"if the second commit is refused, the allocation fails and is retried": {
			events: []order.Event{order.Confirmed{}, off(3, 1)}, remedy: order.RemedyVoidOrRefund,
			refuse:   always("commit B@main rBm", ended),
			moves:    "commit A@main rAm, commit A@east rAe, commit B@main rBm; release B@main rBm; commit B@main rBm",
			commands: "fail  B@main 0/1 reservation-ended void_or_refund; retry",
		},
		"units that were canceled before the confirmation are given back after the commit": {
			events: []order.Event{off(1, 2), order.Confirmed{}},
			moves:  "commit A@main rAm, commit B@main rBm; deallocate A@main 1 confirm; release A@east rAe", commands: "settle confirm; settle cancel 1",
			refuse: nil,
		},
		"a reservation that was canceled whole before the confirmation is released": {
			events: []order.Event{off(1, 1)}, moves: "release A@east rAe", commands: "settle cancel 1",
		},
		"a canceled order releases what it reserved": {
			events: []order.Event{order.Canceled{}}, moves: "release A@east rAe, release A@main rAm, release B@main rBm", commands: "settle cancel 1",
		},
		"units that were released are not released again": {
			events: []order.Event{off(1, 1), order.StockSettled{Step: order.StepCancel, Ref: "1"}, order.Expired{}},
			moves:  "release A@main rAm, release B@main rBm", commands: "settle expire",
		},
		"a canceled order gives back what it was allocated": {
			events: []order.Event{order.Confirmed{}, settled, order.Canceled{}},
			moves:  "deallocate A@east 1 cancel/1, deallocate A@main 4 cancel/1, deallocate B@main 1 cancel/1", commands: "settle cancel 1",
		},
		"a canceled order gives back exactly what has neither shipped nor been canceled before": {
			events: []order.Event{
				order.Confirmed{},
				settled, off(1, 2),
				order.StockSettled{Step: order.StepCancel, Ref: "1"},
				off(3, 1),
				order.StockSettled{Step: order.StepCancel, Ref: "2"},
				order.Shipped{ShipmentID: "p9", Location: "main", Lines: []order.ShippedLine{{Line: 2, SKU: "A", Kind: unit.Stocked, Quantity: 1}}},
				order.StockSettled{Step: order.StepShipment, Ref: "p9"},
				order.Canceled{},
			},
			moves: "deallocate A@main 2 cancel/3", commands: "settle cancel 3",
		},
		"a cancel waits for the confirm before it": {
			events:   []order.Event{order.Confirmed{}, order.Canceled{}},
			moves:    "commit A@main rAm, commit A@east rAe, commit B@main rBm; deallocate A@east 1 cancel/1, deallocate A@main 4 cancel/1, deallocate B@main 1 cancel/1",
			commands: "settle confirm; settle cancel 1",
		},
		"the allocation of a canceled order can fail and is not retried": {
			events: []order.Event{order.Confirmed{}, order.Canceled{}}, refuse: always("commit B@main rBm", ended),
			moves:    "commit A@main rAm, commit A@east rAe, commit B@main rBm; release B@main rBm; commit B@main rBm",
			commands: "fail  B@main 0/1 reservation-ended backorder",
		},
		"a canceled order whose allocation failed gives back what it has": {
			events: []order.Event{order.Confirmed{}, order.Canceled{}, lostB},
			moves:  "deallocate A@east 1 cancel/1, deallocate A@main 4 cancel/1", commands: "settle cancel 1",
		},
		"a parcel ships with its lines of one SKU added up": {
			events: []order.Event{order.Confirmed{}, settled, parcel}, moves: "ship A@main 4 p1", commands: "settle shipment p1",
		},
		"a forced parcel ships by force": {
			events: []order.Event{order.Confirmed{}, settled, forced}, moves: "ship A@main 4 p1 by force", commands: "settle shipment p1",
		},
		"a parcel ships by force if stock does not have the goods on its books": {
			events: []order.Event{order.Confirmed{}, settled, parcel}, refuse: once("ship A@main 4 p1", stock.ErrNotOnHand),
			moves: "ship A@main 4 p1; ship A@main 4 p1 by force", commands: "settle shipment p1",
		},
		"a step that stock refuses for good stays open, and other steps go on": {
			events: []order.Event{order.Confirmed{}, settled, parcel, off(3, 1)}, refuse: always("ship A@main 4 p1", stock.ErrMovementDiffers),
			moves: "ship A@main 4 p1, deallocate B@main 1 cancel/1", commands: "settle cancel 1",
		},
		"a retry reserves the missing units": {
			events: []order.Event{order.Confirmed{}, lostB, order.AllocationRetried{Attempt: 1}}, moves: "reserve B@main 1", commands: "settle confirm retry-1",
		},
		"a retry commits its reservations after the order has recovered": {
			events: []order.Event{order.Confirmed{}, lostB, order.AllocationRetried{Attempt: 1}, order.AllocationRecovered{}},
			moves:  "commit B@main " + retryB, commands: "settle confirm commit-1",
		},
		"a retry can fail, and with the remedy backorder the order waits": {
			events: []order.Event{order.Confirmed{}, lostB, order.AllocationRetried{Attempt: 1}}, refuse: always("reserve B@main 1", short),
			moves: "reserve B@main 1", commands: "fail retry-1 B@main 0/1 stock-insufficient backorder",
		},
		"a retry can fail, and with the remedy void_or_refund the order is canceled": {
			events: []order.Event{order.Confirmed{}, lostB, order.AllocationRetried{Attempt: 1}}, remedy: order.RemedyVoidOrRefund, refuse: always("reserve B@main 1", short),
			moves: "reserve B@main 1", commands: "fail retry-1 B@main 0/1 stock-insufficient void_or_refund; cancel: stock lost",
		},
		"after a retry failed, its reservations are released": {
			events: []order.Event{order.Confirmed{}, lostB, order.AllocationRetried{Attempt: 1}, lostB},
			moves:  "release B@main " + retryB, commands: "settle cancel 1",
		},
		"the commit of a retry can fail": {
			events: []order.Event{order.Confirmed{}, lostB, order.AllocationRetried{Attempt: 1}, order.AllocationRecovered{}}, refuse: always("commit B@main "+retryB, ended),
			moves:    "commit B@main " + retryB + "; release B@main " + retryB + "; commit B@main " + retryB,
			commands: "fail commit-1 B@main 0/1 reservation-ended backorder",
		},
		"a canceled order does not give back missing units": {
			events: []order.Event{order.Confirmed{}, lostB, order.Canceled{}}, moves: "deallocate A@east 1 cancel/1, deallocate A@main 4 cancel/1", commands: "settle cancel 1",
		},
		"units that were canceled during a retry are released when it succeeds": {
			events: []order.Event{order.Confirmed{}, lostB, order.AllocationRetried{Attempt: 1}, off(3, 1), order.AllocationRecovered{}},
			moves:  "release B@main " + retryB, commands: "settle confirm commit-1",
		},
		"a part that was canceled during a retry is given back after the commit": {
			events: []order.Event{order.Confirmed{}, lostA, order.AllocationRetried{Attempt: 1}, off(1, 1), order.AllocationRecovered{}},
			moves:  "commit A@main " + retryA + "; deallocate A@main 1 confirm/commit-1", commands: "settle confirm commit-1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.remedy == "" {
				c.remedy = order.RemedyBackorder
			}
			moves, commands := run(t, fold(c.events...), c.remedy, c.refuse)
			if moves != c.moves {
				t.Errorf("moves\n got %s\nwant %s", moves, c.moves)
			}
			if got := inWords(commands); got != c.commands {
				t.Errorf("commands\n got %s\nwant %s", got, c.commands)
			}
		})
	}
}

func tx(id unit.TransactionID, typ order.TransactionType, state order.TransactionState, amount string, parent unit.TransactionID) order.Event {
	return order.TransactionRecorded{TransactionID: id, Type: typ, State: state, Amount: pounds(amount), Parent: parent, Provider: "stripe"}
}

func TestMoneyIsGivenBackAsARemedy(t *testing.T) {
	failed := order.AllocationFailed{Shortages: []cart.Shortage{{SKU: "B", Location: "main", Requested: 1}}, Remedy: order.RemedyVoidOrRefund}
	lost := []order.Event{order.Confirmed{}, failed, order.Canceled{}, order.StockSettled{Step: order.StepCancel, Ref: "1"}}
	orphan := func(id unit.TransactionID, amount string) order.Event {
		return order.PaymentOrphaned{TransactionID: id, Amount: pounds(amount), Remedy: order.RemedyVoidOrRefund}
	}
	gone := []order.Event{order.Expired{}, order.StockSettled{Step: order.StepExpire}}
	capture := tx("c", order.Capture, order.Succeeded, "10", "")
	for name, c := range map[string]struct {
		before, after []order.Event
		want          string
	}{
		"a canceled order whose stock was lost gives nothing back if nothing was paid":  {nil, lost, ""},
		"a confirmed order whose stock was lost is canceled":                            {[]order.Event{capture}, []order.Event{order.Confirmed{}, failed}, "cancel: stock lost"},
		"a captured amount is refunded":                                                 {[]order.Event{capture}, lost, "pending refund 10 of c"},
		"the last capture is refunded first, and no capture by more than is left of it": {[]order.Event{tx("c1", order.Capture, order.Succeeded, "6", ""), tx("c2", order.Capture, order.Succeeded, "4", ""), tx("r", order.Refund, order.Succeeded, "1", "c1")}, lost, "pending refund 4 of c2; pending refund 5 of c1"},
		"a pending refund counts as given back":                                         {[]order.Event{capture, tx("r", order.Refund, order.Pending, "4", "")}, lost, "pending refund 6 of c"},
		"a failed refund does not count as given back":                                  {[]order.Event{capture, tx("r", order.Refund, order.Failed, "4", "")}, lost, "pending refund 10 of c"},
		"an amount that was charged back is not refunded":                               {[]order.Event{capture, tx("b", order.Chargeback, order.Succeeded, "10", "c")}, lost, ""},
		"an authorized amount is voided":                                                {[]order.Event{tx("a", order.Authorize, order.Succeeded, "10", "")}, lost, "pending void 10 of a"},
		"the captured part of an authorization is refunded":                             {[]order.Event{tx("a", order.Authorize, order.Succeeded, "10", ""), tx("c", order.Capture, order.Succeeded, "4", "a")}, lost, "pending void 6 of a; pending refund 4 of c"},
		"a remedy refund that failed is not tried again":                                {[]order.Event{capture, tx(order.RemedyTransactionID("o1", "c"), order.Refund, order.Failed, "10", "c")}, lost, ""},
		"an order that somebody canceled is not refunded":                               {[]order.Event{capture}, []order.Event{order.Canceled{}, order.StockSettled{Step: order.StepCancel, Ref: "1"}}, ""},
		"money that came too late is refunded":                                          {nil, append(gone, capture, orphan("c", "10")), "pending refund 10 of c"},
		"only the amount that came too late is refunded":                                {nil, append(gone, capture, orphan("c", "4")), "pending refund 4 of c"},
		"an authorization that came too late is voided":                                 {nil, append(gone, tx("a", order.Authorize, order.Succeeded, "10", ""), orphan("a", "10")), "pending void 10 of a"},
		"money that came too late and was refunded by hand is not refunded again":       {nil, append(gone, capture, orphan("c", "10"), tx("r", order.Refund, order.Succeeded, "10", "c")), ""},
		"money that came in time is not refunded with money that came too late":         {[]order.Event{tx("early", order.Capture, order.Succeeded, "3", "")}, append(gone, capture, orphan("c", "10")), "pending refund 10 of c"},
		"a late capture of a late authorization is refunded, and nothing is voided":     {nil, append(gone, tx("a", order.Authorize, order.Succeeded, "10", ""), orphan("a", "10"), tx("c", order.Capture, order.Succeeded, "10", "a"), orphan("c", "10")), "pending refund 10 of c"},
	} {
		s := fold(append(c.before, c.after...)...)
		_, commands := run(t, s, order.RemedyVoidOrRefund, nil)
		if got := inWords(commands); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", name, got, c.want)
		}
		for _, cmd := range commands {
			events, err := order.Decide(cmd, s)
			if err != nil || len(events) == 0 {
				t.Errorf("%s: the order does not take %+v: %v", name, cmd, err)
			}
			for _, e := range events {
				s = order.Evolve(s, e)
			}
		}
		if commands := Begin(s, order.RemedyVoidOrRefund).Commands(); len(commands) > 0 && !strings.HasPrefix(c.want, "cancel") {
			t.Errorf("%s: again %s", name, inWords(commands))
		}
	}
}

// The customer still pays for the units that shipped before the stock was lost.
func TestARemedyKeepsWhatIsOwedForGoodsThatLeft(t *testing.T) {
	lost := []order.Event{
		order.Confirmed{},
		order.AllocationFailed{Shortages: []cart.Shortage{{SKU: "B", Location: "main", Requested: 1}}, Remedy: order.RemedyBackorder},
		order.Shipped{ShipmentID: "p1", Location: "main", Lines: []order.ShippedLine{{Line: 1, SKU: "A", Kind: unit.Stocked, Quantity: 3}}},
		order.StockSettled{Step: order.StepShipment, Ref: "p1"},
		order.AllocationRetried{Attempt: 1},
		order.AllocationFailed{Shortages: []cart.Shortage{{SKU: "B", Location: "main", Requested: 1}}, Remedy: order.RemedyVoidOrRefund},
		order.StockSettled{Step: order.StepCancel, Ref: "1"},
		order.Canceled{},
		order.StockSettled{Step: order.StepCancel, Ref: "2"},
	}
	for paid, want := range map[string]string{"10": "pending refund 7 of c", "3": "", "2": ""} {
		_, commands := run(t, fold(append([]order.Event{tx("c", order.Capture, order.Succeeded, paid, "")}, lost...)...), order.RemedyVoidOrRefund, nil)
		if got := inWords(commands); got != want {
			t.Errorf("paid %s: %s, want %s", paid, got, want)
		}
	}
	back := order.TransactionRecorded{TransactionID: "re", Type: order.Refund, State: order.Succeeded, Amount: pounds("2"), ReturnID: "r1"}
	// The refund is the same if a return has already paid back a part.
	for paid, want := range map[string]string{"10": "pending refund 7 of c", "3": ""} {
		s := fold(append(append([]order.Event{tx("c", order.Capture, order.Succeeded, paid, "")}, lost...), back)...)
		if _, commands := run(t, s, order.RemedyVoidOrRefund, nil); inWords(commands) != want {
			t.Errorf("paid %s, 2 paid back: %s, want %s", paid, inWords(commands), want)
		}
	}
	authorized := append([]order.Event{tx("a", order.Authorize, order.Succeeded, "10", "")}, lost...)
	if _, commands := run(t, fold(authorized...), order.RemedyVoidOrRefund, nil); len(commands) > 0 {
		t.Errorf("the authorization is still needed: %s", inWords(commands))
	}
}

func TestKeysOfDifferentCommandsDiffer(t *testing.T) {
	keys := map[string]bool{}
	for _, c := range []struct {
		s      order.State
		refuse refusals
	}{
		{fold(order.Confirmed{}), nil},
		{fold(order.Confirmed{}), always("commit B@main rBm", ended)},
		{fold(order.Confirmed{}, settled, off(1, 1)), nil},
		{fold(order.Confirmed{}, settled, off(1, 1), order.StockSettled{Step: order.StepCancel, Ref: "1"}, off(1, 1)), nil},
		{fold(order.Expired{}), nil},
	} {
		p := Begin(c.s, order.RemedyVoidOrRefund)
		for moves := p.Moves(); len(moves) > 0; moves = p.Moves() {
			var answers []StockReply
			for _, m := range moves {
				answers = append(answers, StockReply{Move: m, Refusal: c.refuse.next(told(m))})
			}
			p = p.Reply(answers)
		}
		if key := p.Key(); key == "" || keys[key] {
			t.Errorf("key %q", key)
		} else {
			keys[key] = true
		}
	}
}

func TestShippingCanBeTriedFirst(t *testing.T) {
	s := fold(order.Confirmed{}, settled)
	before := len(s.Unsettled)
	moves, err := ShipmentMoves(s, order.Ship{ShipmentID: "p1", Location: "main"})
	if err != nil || len(moves) != 2 || told(moves[0]) != "ship A@main 4 p1" || told(moves[1]) != "ship B@main 1 p1" {
		t.Errorf("%v %v", moves, err)
	}
	if len(s.Unsettled) != before || s.Lines[0].Shipped != 0 {
		t.Error("trying changed the order")
	}
	if _, err := ShipmentMoves(fold(), order.Ship{ShipmentID: "p1"}); err == nil {
		t.Error("a pending order can be shipped")
	}
}

func TestReturnedGoodsGoBackIntoStock(t *testing.T) {
	s := returns.Evolve(returns.State{}, returns.Requested{ReturnID: "r1", Currency: "GBP", Lines: []returns.Line{
		{Number: 1, SKU: "A", Kind: unit.Stocked, Quantity: 9, Price: pounds("1"), Links: []returns.Link{{OrderID: "o1", Line: 1, Quantity: 5}}},
		{Number: 2, SKU: "B", Kind: unit.Stocked, Quantity: 9, Price: pounds("1"), Links: []returns.Link{{OrderID: "o1", Line: 2, Quantity: 1}, {OrderID: "o2", Line: 2, Quantity: 1}}},
	}})
	for _, e := range []returns.Event{
		returns.Approved{},
		returns.Received{Receipt: 1, Lines: []returns.ReceivedLine{
			{Line: 1, Quantity: 1, Disposition: returns.Restocked, Location: "main"},
			{Line: 1, Quantity: 2, Disposition: returns.Damaged, Location: "main"},
			{Line: 1, Quantity: 1, Disposition: returns.Restocked, Location: "main"},
			{Line: 2, Quantity: 1, Disposition: returns.Restocked, Location: "east"},
		}},
		returns.Received{Receipt: 2, Lines: []returns.ReceivedLine{
			{Line: 1, Quantity: 1, Disposition: returns.Lost, Location: "main"}, {Line: 1, Quantity: 1, Disposition: returns.WrongItem, Location: "main"}, {Line: 1, Quantity: 1, Disposition: returns.WrittenOff, Location: "main"},
		}},
		returns.Received{Receipt: 3, Lines: []returns.ReceivedLine{{Line: 1, Quantity: 1, Disposition: returns.Restocked, Location: "main"}}},
	} {
		s = returns.Evolve(s, e)
	}
	var got []string
	ids := map[string]bool{}
	for _, receipt := range Receipts(s) {
		for _, m := range receipt.Moves {
			got = append(got, fmt.Sprintf("%d: %s", receipt.Number, told(m)))
			ids[m.ID.String()] = true
		}
	}
	want := []string{
		"1: take back A@main 2 available of o1, receipt 1 of r1",
		"1: take back A@main 2 damaged of o1, receipt 1 of r1",
		"1: take back B@east 1 available of , receipt 1 of r1",
		"3: take back A@main 1 available of o1, receipt 3 of r1",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || len(ids) != len(want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if open := Receipts(returns.Evolve(s, returns.StockSettled{Receipt: 1})); len(open) != 1 || open[0].Number != 3 {
		t.Errorf("%+v", open)
	}
}
