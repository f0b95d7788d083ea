package checkout

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func pounds(text string) unit.Money {
	return unit.Money{Amount: decimal.RequireFromString(text), Currency: "GBP"}
}

func goods(number int, sku unit.SKU, quantity unit.Quantity) cart.Line {
	return cart.Line{Number: number, SKU: sku, Kind: unit.Stocked, Quantity: quantity, Price: pounds("2")}
}

func postage(number int, price string) cart.Line {
	return cart.Line{Number: number, SKU: "POST", Kind: unit.Service, Quantity: 1, Price: pounds(price)}
}

func started(policy cart.Policy, sourcing cart.Sourcing, lines ...cart.Line) cart.CheckoutStarted {
	return cart.CheckoutStarted{
		OrderID: "o1", CartID: "c1", CustomerID: "u1", Currency: "GBP", Country: "EIRE", Reference: "r", Lines: lines,
		Sourcing: sourcing, Policy: policy, ReserveUntil: noon.Add(time.Hour),
	}
}

var (
	fromMain  = cart.Sourcing{Locations: []unit.LocationID{"main"}}
	preferred = cart.Sourcing{Locations: []unit.LocationID{"main", "east", "west"}}
	split     = cart.Sourcing{Locations: []unit.LocationID{"main", "east", "west"}, Split: true}
)

// fixedStock is a stock of fixed numbers, and of reservations that exist already.
type fixedStock struct {
	free   map[stock.Key]unit.Quantity
	exists map[stock.Key]unit.Quantity
	gone   map[stock.Key]bool            // the reservation has ended
	after  map[stock.Key][]unit.Quantity // the free units after each refusal, because others are buying
}

func (s *fixedStock) answer(a Ask) error {
	switch {
	case s.gone[a.Key]:
		return stock.ErrReservationEnded
	case s.exists[a.Key] > 0 && s.exists[a.Key] != a.Quantity:
		return stock.ErrReservationDiffers.With("", map[string]any{"quantity": s.exists[a.Key]})
	case s.exists[a.Key] > 0:
		return nil
	}
	free := s.free[a.Key]
	if free >= a.Quantity {
		return nil
	}
	if later := s.after[a.Key]; len(later) > 0 {
		s.free[a.Key], s.after[a.Key] = later[0], later[1:]
	}
	return stock.ErrInsufficient.With("", map[string]any{"available": free, "requested": a.Quantity})
}

func at(sku unit.SKU, location unit.LocationID) stock.Key {
	return stock.Key{SKU: sku, Location: location}
}

// run drives a checkout to its outcome. It returns the asks as text, with one line for each round.
func run(t *testing.T, start cart.CheckoutStarted, s *fixedStock) (rounds string, outcome cart.Command) {
	t.Helper()
	p := Begin(start)
	var told []string
	for range 100 {
		asks := p.Asks()
		if len(asks) == 0 {
			break
		}
		var round []string
		var answers []StockReply
		for _, a := range asks {
			if a.ReservationID != stock.ReservationIDFor("o1", a.SKU, a.Location) || a.OrderID != "o1" || !a.ExpiresAt.Equal(start.ReserveUntil) {
				t.Errorf("ask %+v", a)
			}
			round = append(round, fmt.Sprintf("%d %s %s", a.Quantity, a.SKU, a.Location))
			answers = append(answers, StockReply{Ask: a, Err: s.answer(a)})
		}
		told = append(told, strings.Join(round, ", "))
		slices.Reverse(answers) // the answers may come in any order
		p = p.Reply(answers)
	}
	outcome, known := p.Outcome()
	if !known {
		t.Fatal("no outcome")
	}
	return strings.Join(told, "; "), outcome
}

// said returns an outcome as text: the units held, dropped and short.
func said(outcome cart.Command) string {
	var words []string
	var short []cart.Shortage
	switch o := any(outcome).(type) {
	case cart.RefuseCheckout:
		words, short = append(words, "refused"), o.Shortages
	case cart.CompleteCheckout:
		for _, h := range o.Reservations {
			words = append(words, fmt.Sprintf("%d %s %s", h.Quantity, h.SKU, h.Location))
		}
		if len(o.Dropped) > 0 {
			words = append(words, fmt.Sprint("without ", o.Dropped))
		}
		short = o.Shortages
	}
	for _, s := range short {
		words = append(words, strings.Join(strings.Fields(fmt.Sprintf("short %s %s %d/%d %s", s.SKU, s.Location, s.Available, s.Requested, strings.TrimPrefix(s.Reason, "stock-"))), " "))
	}
	return strings.Join(words, "; ")
}

func TestOutcomes(t *testing.T) {
	free := func(pairs ...any) fixedStock {
		s := fixedStock{free: map[stock.Key]unit.Quantity{}}
		for i := 0; i < len(pairs); i += 2 {
			s.free[pairs[i].(stock.Key)] = unit.Quantity(pairs[i+1].(int))
		}
		return s
	}
	for name, c := range map[string]struct {
		start         cart.CheckoutStarted
		available     fixedStock
		asks, becomes string
	}{
		"the asks add up the lines of each SKU, are sorted by SKU and have no services": {
			started(cart.AllOrNothing, fromMain, goods(1, "B", 1), goods(2, "A", 2), postage(3, "3"), goods(5, "B", 4)),
			free(at("A", "main"), 2, at("B", "main"), 5),
			"2 A main, 5 B main", "2 A main; 5 B main",
		},
		"a checkout of services alone asks nothing": {started(cart.AllOrNothing, fromMain, postage(1, "3")), free(), "", ""},
		"under all-or-nothing, a shortage refuses the checkout, which names every shortage": {
			started(cart.AllOrNothing, fromMain, goods(1, "A", 2), goods(2, "B", 5), goods(3, "C", 1)),
			free(at("A", "main"), 2, at("B", "main"), 4),
			"2 A main, 5 B main, 1 C main", "refused; short B main 4/5 insufficient; short C main 0/1 insufficient",
		},
		"the first location that has all of it serves it": {
			started(cart.AllOrNothing, preferred, goods(1, "A", 3), goods(2, "B", 1)),
			free(at("A", "main"), 2, at("A", "east"), 1, at("A", "west"), 3, at("B", "main"), 1),
			"3 A main, 1 B main; 3 A east; 3 A west", "3 A west; 1 B main",
		},
		"without splitting, several locations cannot serve a SKU together": {
			started(cart.AllOrNothing, preferred, goods(1, "A", 3)),
			free(at("A", "main"), 2, at("A", "east"), 1),
			"3 A main; 3 A east; 3 A west", "refused; short A 2/3 insufficient",
		},
		"with splitting, several locations serve a SKU together in their order": {
			started(cart.AllOrNothing, split, goods(1, "A", 4)),
			free(at("A", "main"), 1, at("A", "east"), 2, at("A", "west"), 3),
			"4 A main; 4 A east; 4 A west; 2 A east, 1 A main, 1 A west", "1 A main; 2 A east; 1 A west",
		},
		"with splitting, a location that has all of a SKU serves it alone": {
			started(cart.AllOrNothing, split, goods(1, "A", 4)), free(at("A", "main"), 3, at("A", "east"), 4),
			"4 A main; 4 A east", "4 A east",
		},
		"with splitting, too little at all locations together is refused": {
			started(cart.AllOrNothing, split, goods(1, "A", 9)), free(at("A", "main"), 3, at("A", "east"), 4),
			"9 A main; 9 A east; 9 A west", "refused; short A 7/9 insufficient",
		},
		"if units of a split are sold meanwhile, the next location makes up for them": {
			started(cart.AllOrNothing, split, goods(1, "A", 4)),
			fixedStock{free: map[stock.Key]unit.Quantity{at("A", "main"): 3, at("A", "east"): 2, at("A", "west"): 1}, after: map[stock.Key][]unit.Quantity{at("A", "main"): {2}}},
			"4 A main; 4 A east; 4 A west; 1 A east, 3 A main; 2 A main, 1 A west", "2 A main; 1 A east; 1 A west",
		},
		"line by line, the first lines are served, each whole": {
			started(cart.LineByLine, fromMain, goods(1, "A", 4), goods(2, "A", 10), goods(3, "A", 2), goods(4, "B", 1)),
			free(at("A", "main"), 7, at("B", "main"), 1),
			"16 A main, 1 B main; 6 A main", "6 A main; 1 B main; without [2]; short A main 7/16 insufficient",
		},
		"line by line, all lines of a SKU can be dropped": {
			started(cart.LineByLine, fromMain, goods(1, "A", 4), goods(2, "B", 1)), free(at("A", "main"), 3, at("B", "main"), 1),
			"4 A main, 1 B main", "1 B main; without [1]; short A main 3/4 insufficient",
		},
		"line by line, postage alone is no order": {
			started(cart.LineByLine, fromMain, goods(1, "A", 4), postage(2, "3")), free(at("A", "main"), 3),
			"4 A main", "refused; short A main 3/4 insufficient",
		},
		"line by line, a discount for dropped goods is no order": {
			started(cart.LineByLine, fromMain, goods(1, "A", 4), goods(2, "B", 1), postage(3, "-3")), free(at("B", "main"), 1),
			"4 A main, 1 B main", "refused; short A main 0/4 insufficient",
		},
		"line by line, the location where most fits serves a SKU": {
			started(cart.LineByLine, preferred, goods(1, "A", 4), goods(2, "A", 2)), free(at("A", "main"), 3, at("A", "east"), 5, at("A", "west"), 4),
			"6 A main; 6 A east; 6 A west; 4 A east", "4 A east; without [2]; short A 5/6 insufficient",
		},
		"line by line with splitting, locations serve the lines that fit together": {
			started(cart.LineByLine, split, goods(1, "A", 4), goods(2, "A", 4)), free(at("A", "main"), 3, at("A", "east"), 3),
			"8 A main; 8 A east; 8 A west; 1 A east, 3 A main", "3 A main; 1 A east; without [2]; short A 6/8 insufficient",
		},
		"line by line, fewer lines are asked for after each sale to others": {
			started(cart.LineByLine, fromMain, goods(1, "A", 2), goods(2, "A", 2), goods(3, "A", 2)),
			fixedStock{free: map[stock.Key]unit.Quantity{at("A", "main"): 5}, after: map[stock.Key][]unit.Quantity{at("A", "main"): {3, 2}}},
			"6 A main; 4 A main; 2 A main", "2 A main; without [2 3]; short A main 3/6 insufficient",
		},
		"another driver's smaller reservation is taken as it is": {
			started(cart.LineByLine, fromMain, goods(1, "A", 4), goods(2, "A", 2)),
			fixedStock{exists: map[stock.Key]unit.Quantity{at("A", "main"): 4}},
			"6 A main; 4 A main", "4 A main; without [2]; short A main 4/6 reservation-differs",
		},
		"another driver's reservation is not taken if no lines make up its quantity": {
			started(cart.LineByLine, fromMain, goods(1, "A", 4), goods(2, "A", 2), goods(3, "B", 1)),
			fixedStock{exists: map[stock.Key]unit.Quantity{at("A", "main"): 5}, free: map[stock.Key]unit.Quantity{at("B", "main"): 1}},
			"6 A main, 1 B main", "1 B main; without [1 2]; short A main 5/6 reservation-differs",
		},
		"with splitting, another driver's reservation of a part is taken as it is": {
			started(cart.AllOrNothing, split, goods(1, "A", 4)),
			fixedStock{exists: map[stock.Key]unit.Quantity{at("A", "main"): 1}, free: map[stock.Key]unit.Quantity{at("A", "east"): 3}},
			"4 A main; 4 A east; 4 A west; 3 A east, 1 A main", "1 A main; 3 A east",
		},
		"a reserved part is not kept if the rest was sold and no lines fit the part": {
			started(cart.LineByLine, split, goods(1, "A", 4), goods(2, "B", 1)),
			fixedStock{free: map[stock.Key]unit.Quantity{at("A", "main"): 3, at("A", "east"): 1, at("B", "main"): 1}, after: map[stock.Key][]unit.Quantity{at("A", "east"): {0}}},
			"4 A main, 1 B main; 4 A east; 4 A west; 1 A east, 3 A main", "1 B main; without [1]; short A 3/4 insufficient",
		},
		"a reserved part is kept if the rest was sold and lines make up the part": {
			started(cart.LineByLine, split, goods(1, "A", 3), goods(2, "A", 2)),
			fixedStock{free: map[stock.Key]unit.Quantity{at("A", "main"): 3, at("A", "east"): 2}, after: map[stock.Key][]unit.Quantity{at("A", "east"): {0}}},
			"5 A main; 5 A east; 5 A west; 2 A east, 3 A main", "3 A main; without [2]; short A 3/5 insufficient",
		},
		"a reserved part is not kept if fewer units than that would be enough": {
			started(cart.LineByLine, split, goods(1, "A", 4), goods(2, "A", 1), goods(3, "B", 1)),
			fixedStock{free: map[stock.Key]unit.Quantity{at("A", "main"): 3, at("A", "east"): 2, at("B", "main"): 1}, after: map[stock.Key][]unit.Quantity{at("A", "east"): {0}}},
			"5 A main, 1 B main; 5 A east; 5 A west; 2 A east, 3 A main", "1 B main; without [1 2]; short A 3/5 insufficient",
		},
		"another driver's reservation that is too large for the lines is left out": {
			started(cart.LineByLine, split, goods(1, "A", 3), goods(2, "A", 3)),
			fixedStock{free: map[stock.Key]unit.Quantity{at("A", "main"): 3}, exists: map[stock.Key]unit.Quantity{at("A", "east"): 5}},
			"6 A main; 6 A east; 6 A west; 3 A main", "3 A main; without [2]; short A 5/6 insufficient",
		},
		"a reservation that has ended is not asked for again": {
			started(cart.AllOrNothing, preferred, goods(1, "A", 1)),
			fixedStock{gone: map[stock.Key]bool{at("A", "main"): true, at("A", "east"): true, at("A", "west"): true}},
			"1 A main; 1 A east; 1 A west", "refused; short A 0/1 reservation-ended",
		},
	} {
		t.Run(name, func(t *testing.T) {
			rounds, outcome := run(t, c.start, &c.available)
			if rounds != c.asks {
				t.Errorf("asks\n got %s\nwant %s", rounds, c.asks)
			}
			if got := said(outcome); got != c.becomes {
				t.Errorf("outcome\n got %s\nwant %s", got, c.becomes)
			}
		})
	}
}

// A shop shows which lines of the cart are short, with every policy.
func TestAShortageNamesItsLines(t *testing.T) {
	for policy, want := range map[cart.Policy]string{cart.AllOrNothing: "[1 4]", cart.LineByLine: "[1 4]"} {
		start := started(policy, fromMain, goods(1, "A", 4), goods(2, "B", 1), postage(3, "1"), goods(4, "A", 2))
		_, outcome := run(t, start, &fixedStock{free: map[stock.Key]unit.Quantity{at("A", "main"): 5, at("B", "main"): 1}})
		var short []cart.Shortage
		switch o := any(outcome).(type) {
		case cart.RefuseCheckout:
			short = o.Shortages
		case cart.CompleteCheckout:
			short = o.Shortages
		}
		if len(short) != 1 || fmt.Sprint(short[0].Lines) != want || short[0].Requested != 6 {
			t.Errorf("%s: %+v, want one shortage of 6 units, of lines %s", policy, short, want)
		}
	}
}

func TestStockThatRunsAwayEndsTheAsking(t *testing.T) {
	start := started(cart.LineByLine, fromMain)
	for i := range 1000 {
		start.Lines = append(start.Lines, goods(i+1, "A", 1))
	}
	s := fixedStock{free: map[stock.Key]unit.Quantity{at("A", "main"): 999}, after: map[stock.Key][]unit.Quantity{}}
	for i := 998; i > 0; i-- {
		s.after[at("A", "main")] = append(s.after[at("A", "main")], unit.Quantity(i-1))
	}
	rounds, outcome := run(t, start, &s)
	if n := strings.Count(rounds, ";") + 1; n > 10 {
		t.Errorf("%d rounds", n)
	}
	if _, refused := outcome.(cart.RefuseCheckout); !refused {
		t.Errorf("%T", outcome)
	}
}

func TestAReplyThatStockCannotGivePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a broken connection was taken for a reply")
		}
	}()
	p := Begin(started(cart.AllOrNothing, fromMain, goods(1, "A", 1)))
	p.Reply([]StockReply{{Ask: p.Asks()[0], Err: fmt.Errorf("connection reset")}})
}

func TestTheOrderIsWhatTheOutcomeKeeps(t *testing.T) {
	start := started(cart.LineByLine, preferred, goods(1, "B", 1), goods(2, "A", 2), postage(3, "3"), goods(5, "A", 4))
	done := cart.CheckedOut{
		OrderID: "o1", Dropped: []int{5},
		Reservations: []cart.Reservation{{ReservationID: stock.ReservationIDFor("o1", "A", "east"), SKU: "A", Location: "east", Quantity: 2}, {ReservationID: stock.ReservationIDFor("o1", "B", "main"), SKU: "B", Location: "main", Quantity: 1}},
	}
	events, err := order.Decide(Place(start, done), order.State{})
	if err != nil {
		t.Fatal(err)
	}
	placed := events[0].(order.Placed)
	if got, want := len(placed.Lines), 3; got != want || placed.CartID != "c1" || placed.CustomerID != "u1" || placed.Reference != "r" ||
		placed.Country != "EIRE" || !placed.ConfirmBy.Equal(start.ReserveUntil) || !placed.Total.Equal(pounds("9")) {
		t.Errorf("%+v", placed)
	}
	var got []string
	for _, r := range Releases(start, done.Reservations, nil) {
		if r.ReservationID != stock.ReservationIDFor("o1", r.SKU, r.Location) || r.Command(noon).ReservationID != r.ReservationID {
			t.Errorf("%+v", r)
		}
		got = append(got, string(r.SKU)+" "+string(r.Location))
	}
	if want := "A main, A west, B east, B west"; strings.Join(got, ", ") != want {
		t.Errorf("released %v, want %s", got, want)
	}
	if n := len(Releases(start, nil, nil)); n != 6 {
		t.Errorf("a refusal releases %d, want all 6", n)
	}
}
