package stockview_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"daybook/domain/decidertest"
	"daybook/domain/rule"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections/query"
	"daybook/projections/stockview"
	"daybook/projections/viewtest"
)

var start = time.Date(2011, 4, 18, 9, 0, 0, 0, time.UTC)

// stockStream records the events of one stock, which the domain decides. The view is compared with
// the domain's state.
type stockStream struct {
	*viewtest.Bench
	key    stock.Key
	state  stock.State
	events []stock.Event
	now    time.Time
}

var stocks = decidertest.Decider[stock.Command, stock.Event, stock.State]{
	Decide: stock.Decide, Evolve: stock.Evolve, About: stock.About, Recall: stock.Recall,
}

func (s *stockStream) at() stock.At { return stock.At{Key: s.key, Now: s.now} }

// do sends a command to the domain and records its events. A refusal records nothing.
func (s *stockStream) do(cmd stock.Command) {
	s.Helper()
	events, err := stocks.Ask(cmd, s.state, s.events)
	if _, refused := errors.AsType[*rule.Rejection](err); err != nil && !refused {
		s.Fatal(err)
	}
	if len(events) == 0 {
		return
	}
	for _, e := range events {
		s.state = stock.Evolve(s.state, e)
	}
	s.events = append(s.events, events...)
	meta := eventstore.Metadata{Actor: "operator:ann", Channel: "api", OccurredAt: s.now}
	viewtest.Fact(s.Bench, stock.Stream(s.key.SKU, s.key.Location), meta, stock.Encode, events...)
}

// random sends a random command of any kind.
func (s *stockStream) random(r *rand.Rand) {
	order := unit.OrderID("o-" + strconv.Itoa(r.IntN(12)))
	reservation := stock.ReservationIDFor(order, s.key.SKU, s.key.Location)
	q := unit.Quantity(1 + r.IntN(20))
	conditions := []stock.Condition{stock.Available, stock.Damaged, stock.QualityControl, stock.OtherCondition}
	condition, other := conditions[r.IntN(4)], conditions[r.IntN(4)]
	once := strconv.Itoa(r.IntN(1 << 30))
	s.now = s.now.Add(time.Duration(r.IntN(60)) * time.Second)
	switch r.IntN(19) {
	case 0, 1:
		s.do(stock.Receive{At: s.at(), Quantity: q * 3, Document: "po-1"})
	case 2:
		s.do(stock.Adjust{At: s.at(), Change: q - 10, Reason: stock.Correction, Condition: condition, Note: "found"})
	case 3:
		s.do(stock.Count{At: s.at(), Expected: s.state.OnHand(), Counted: s.state.OnHand() + q - 10})
	case 4, 5, 6:
		s.do(stock.Reserve{At: s.at(), ReservationID: reservation, OrderID: order, Quantity: q, ExpiresAt: s.now.Add(10 * time.Minute)})
	case 7:
		s.do(stock.Extend{At: s.at(), ReservationID: reservation, ExpiresAt: s.now.Add(20 * time.Minute)})
	case 8:
		s.do(stock.Release{At: s.at(), ReservationID: reservation, Reason: "changed"})
	case 9:
		s.do(stock.ExpireDue{At: s.at()})
	case 10, 11:
		s.do(stock.Commit{At: s.at(), ReservationID: reservation})
	case 12:
		s.do(stock.Allocate{At: s.at(), OrderID: order, Quantity: q})
	case 13:
		s.do(stock.Deallocate{At: s.at(), OrderID: order, Quantity: q})
	case 14:
		s.do(stock.Ship{At: s.at(), OrderID: order, ShipmentID: unit.ShipmentID("p-" + once), Quantity: q, Force: r.IntN(4) == 0})
	case 15:
		s.do(stock.TakeBack{At: s.at(), ReturnID: unit.ReturnID("r-" + once), OrderID: order, Quantity: q, Condition: condition})
	case 16:
		s.do(stock.Move{At: s.at(), From: condition, To: other, Quantity: q})
	case 17:
		s.do(stock.TransferOut{At: s.at(), TransferID: unit.TransferID("t-" + once), To: "back", Quantity: q})
		s.do(stock.TransferIn{At: s.at(), TransferID: unit.TransferID("u-" + once), From: "back", Quantity: q})
	case 18:
		s.do(stock.SetPolicy{At: s.at(), Policy: stock.Policy{SafetyStock: q % 5, BackorderLimit: q % 3, ReorderPoint: q}})
	}
}

func TestLevelsEqualTheDomainsOwnFoldAtAnyTime(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, stockview.View())
	const seed = 20110418
	r := rand.New(rand.NewPCG(seed, 1))
	shelves := []*stockStream{
		{Bench: b, key: stock.Key{SKU: "85123A", Location: "main"}, now: start},
		{Bench: b, key: stock.Key{SKU: "85123A", Location: "back"}, now: start},
		{Bench: b, key: stock.Key{SKU: "BANK CHARGES", Location: "main"}, now: start},
	}
	for _, s := range shelves {
		s.do(stock.Receive{At: s.at(), Quantity: 100})
	}
	for range 20 {
		for range 60 {
			shelves[r.IntN(len(shelves))].random(r)
		}
		b.CaughtUp()
		for _, s := range shelves {
			for _, now := range []time.Time{s.now, s.now.Add(9 * time.Minute), s.now.Add(time.Hour)} {
				s.compare(now)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	for _, s := range shelves {
		s.compareHistory()
	}
	b.SameWhenRebuilt("stock")
}

func (s *stockStream) compare(now time.Time) {
	s.Helper()
	l, err := stockview.LevelOf(s.Context(), s.Pool, string(s.key.SKU), string(s.key.Location), now)
	if err != nil {
		s.Fatal(err)
	}
	st := s.state
	got := fmt.Sprint(l.OnHand, l.Reserved, l.Allocated, l.Unavailable, l.Damaged, l.QualityControl, l.OtherUnavail,
		l.SafetyStock, l.BackorderLimit, l.ReorderPoint, l.Available, l.Sellable, l.Backordered)
	want := fmt.Sprint(st.OnHand(), st.Reserved(now), st.Allocated(), st.UnavailableTotal(), st.Unavailable(stock.Damaged),
		st.Unavailable(stock.QualityControl), st.Unavailable(stock.OtherCondition), st.Policy.SafetyStock, st.Policy.BackorderLimit,
		st.Policy.ReorderPoint, st.Available(now), max(0, st.Sellable(now)), st.Backordered())
	if got != want {
		s.Errorf("%v at %s:\n got %s\nwant %s", s.key, now, got, want)
	}
	if below := st.Policy.ReorderPoint > 0 && st.Available(now) <= st.Policy.ReorderPoint; l.BelowReorder != below {
		s.Errorf("%v below reorder point: %t, want %t", s.key, l.BelowReorder, below)
	}
	s.comparePromises(now)
}

func (s *stockStream) comparePromises(now time.Time) {
	s.Helper()
	f := stockview.PromiseFilter{SKUs: []string{string(s.key.SKU)}, Locations: []string{string(s.key.Location)}}
	reservations, err := stockview.Reservations(s.Context(), s.Pool, f, now, query.Page{Limit: 500})
	if err != nil {
		s.Fatal(err)
	}
	open := 0
	for _, h := range s.state.Reservations {
		if h.ExpiresAt.After(now) {
			open++
		}
	}
	if len(reservations.Items) != open {
		s.Errorf("%v: %d reservations open at %s, want %d", s.key, len(reservations.Items), now, open)
	}
	for _, r := range reservations.Items {
		h := s.state.Reservations[unit.ReservationID(r.ReservationID)]
		if int64(h.Quantity) != r.Quantity || string(h.OrderID) != r.OrderID || !h.ExpiresAt.Equal(r.ExpiresAt) {
			s.Errorf("%v: reservation %+v, want %+v", s.key, r, h)
		}
	}
	allocations, err := stockview.Allocations(s.Context(), s.Pool, f, query.Page{Limit: 500})
	if err != nil {
		s.Fatal(err)
	}
	if len(allocations.Items) != len(s.state.Orders) {
		s.Errorf("%v: %d allocations, want %d", s.key, len(allocations.Items), len(s.state.Orders))
	}
	for _, a := range allocations.Items {
		if p := s.state.Orders[unit.OrderID(a.OrderID)]; int64(p.Open) != a.Quantity {
			s.Errorf("%v: allocation %+v, want %d", s.key, a, p.Open)
		}
	}
}

// compareHistory adds up the history of movements, read forwards and backwards.
func (s *stockStream) compareHistory() {
	s.Helper()
	h := stockview.History{Log: s.Log}
	read := func(f stockview.MovementFilter, limit int) (all []stockview.Movement) {
		for p := (query.Page{Limit: limit}); ; {
			list, err := h.Movements(s.Context(), s.Pool, s.key.SKU, s.key.Location, f, p)
			if err != nil {
				s.Fatal(err)
			}
			all = append(all, list.Items...)
			if p.After = list.Next; p.After == "" {
				return all
			}
		}
	}
	forwards, backwards := read(stockview.MovementFilter{OldestFirst: true}, 7), read(stockview.MovementFilter{}, 11)
	slices.Reverse(backwards)
	if !slices.Equal(forwards, backwards) {
		s.Errorf("%v: %d movements forwards, %d backwards, or not the same", s.key, len(forwards), len(backwards))
	}
	var onHand unit.Quantity
	received := 0
	for i, m := range forwards {
		if m.Revision != int64(i) || m.Kind == "" || m.Actor != "operator:ann" {
			s.Errorf("movement %d: %+v", i, m)
		}
		onHand += m.Change.OnHand
		if m.Kind == "received" {
			received++
		}
	}
	if onHand != s.state.OnHand() {
		s.Errorf("%v: movements add up to %d on hand, want %d", s.key, onHand, s.state.OnHand())
	}
	if got := len(read(stockview.MovementFilter{Kinds: []string{"received"}}, 3)); got != received {
		s.Errorf("%v: %d received, want %d", s.key, got, received)
	}
}

func TestAnAlertIsOpenWhileAvailableIsAtOrBelowTheReorderPoint(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, stockview.View())
	s := &stockStream{Bench: b, key: stock.Key{SKU: "22423", Location: "main"}, now: start}
	alerts := func(now time.Time) []stockview.Alert {
		t.Helper()
		b.CaughtUp()
		list, err := stockview.Alerts(t.Context(), b.Pool, stockview.Filter{Locations: []string{"main"}}, now, query.Page{})
		if err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	s.do(stock.SetPolicy{At: s.at(), Policy: stock.Policy{ReorderPoint: 5}})
	s.do(stock.Receive{At: s.at(), Quantity: 10})
	if got := alerts(s.now); len(got) != 0 {
		t.Errorf("alerts %+v, want none", got)
	}
	s.now = start.Add(time.Minute)
	s.do(stock.Reserve{At: s.at(), ReservationID: "r-1", OrderID: "o-1", Quantity: 6, ExpiresAt: start.Add(time.Hour)})
	got := alerts(s.now)
	if len(got) != 1 || got[0].Available != 4 || got[0].Since == nil || !got[0].Since.Equal(s.now) {
		t.Errorf("alerts %+v, want one since %s", got, s.now)
	}
	if got := alerts(start.Add(time.Hour)); len(got) != 0 {
		t.Errorf("alerts %+v after the reservation's deadline, want none", got)
	}
	levels, err := stockview.Levels(t.Context(), b.Pool, stockview.Filter{SKUPrefix: "224", BelowReorder: true}, s.now, query.Page{})
	if err != nil || len(levels.Items) != 1 {
		t.Errorf("levels %+v, %v", levels, err)
	}
	if _, err := stockview.LevelOf(t.Context(), b.Pool, "X", "main", s.now); !errors.Is(err, query.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// A log may have events that no version of Daybook can have written, and that contradict each
// other. The rows of the view must not depend on where the batches end.
func TestRowsDoNotDependOnTheBatchesAlsoWhereTheLogMakesNoSense(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, stockview.View())
	for name, events := range map[string]func(key stock.Key) []stock.Event{
		"reserved twice and released once": func(key stock.Key) []stock.Event {
			reserved := stock.Reserved{Key: key, ReservationID: "r", OrderID: "o", Quantity: 2, ExpiresAt: start}
			return []stock.Event{reserved, reserved, stock.ReservationReleased{Key: key, ReservationID: "r", OrderID: "o", Quantity: 2}}
		},
		"reserved again after it was released": func(key stock.Key) []stock.Event {
			reserved := stock.Reserved{Key: key, ReservationID: "r", OrderID: "o", Quantity: 2, ExpiresAt: start}
			return []stock.Event{reserved, stock.ReservationReleased{Key: key, ReservationID: "r", OrderID: "o", Quantity: 2}, reserved}
		},
		"taken back before it was promised": func(key stock.Key) []stock.Event {
			return []stock.Event{
				stock.Deallocated{Key: key, OrderID: "o", Quantity: 2},
				stock.Allocated{Key: key, OrderID: "o", Quantity: 2},
			}
		},
	} {
		for end := range 3 {
			key := stock.Key{SKU: unit.SKU(fmt.Sprintf("%s %d", strings.ToUpper(name), end)), Location: "main"}
			for i, event := range events(key) {
				viewtest.Fact(b, stock.Stream(key.SKU, key.Location), eventstore.Metadata{}, stock.Encode, event)
				if i == end {
					b.CaughtUp()
				}
			}
		}
	}
	b.SameWhenRebuilt("stock")
}
