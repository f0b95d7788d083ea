package stock

import (
	"fmt"
	"testing"

	"daybook/domain/unit"
)

func TestNames(t *testing.T) {
	if got, want := Stream("85123A", "main"), "stock-85123A@main"; got != want {
		t.Errorf("stream %s, want %s", got, want)
	}
	id := ReservationIDFor("o1", "85123A", "main")
	if again := ReservationIDFor("o1", "85123A", "main"); id != again || len(id) != 36 {
		t.Errorf("reservation id %s, then %s", id, again)
	}
	if other := ReservationIDFor("o1", "85123A", "north"); id == other {
		t.Error("two locations share a reservation id")
	}
}

func TestQuantities(t *testing.T) {
	s := stocks.Fold(
		received(20), policy(2, 5, 0), moved(Available, Damaged, 1), moved(Available, QualityControl, 2), moved(Available, OtherCondition, 3),
		reserved("a", 4), allocated("o1", 6), reserved("b", 1), extended("b", late),
	)
	for _, q := range []struct {
		name      string
		got, want unit.Quantity
	}{
		{"on hand", s.OnHand(), 20},
		{"reserved", s.Reserved(noon), 5},
		{"reserved when one is due", s.Reserved(soon), 1},
		{"reserved when all are due", s.Reserved(late), 0},
		{"allocated", s.Allocated(), 6},
		{"damaged", s.Unavailable(Damaged), 1},
		{"in quality control", s.Unavailable(QualityControl), 2},
		{"otherwise unavailable", s.Unavailable(OtherCondition), 3},
		{"unavailable while available", s.Unavailable(Available), 0},
		{"unavailable", s.UnavailableTotal(), 6},
		{"safety stock", s.SafetyStock(), 2},
		{"available", s.Available(noon), 1},
		{"available when one is due", s.Available(soon), 5},
		{"sellable", s.Sellable(noon), 6},
		{"backordered", s.Backordered(), 0},
	} {
		if q.got != q.want {
			t.Errorf("%s: %d, want %d", q.name, q.got, q.want)
		}
	}
	s = stocks.Fold(received(2), policy(0, 5, 0), allocated("o1", 6))
	if got, want := s.Backordered(), unit.Quantity(4); got != want {
		t.Errorf("backordered: %d, want %d", got, want)
	}
	if got, want := s.Available(noon), unit.Quantity(-4); got != want {
		t.Errorf("available: %d, want %d", got, want)
	}
}

// manyDue is a stock with n reservations of one unit each, all due.
func manyDue(n int) State {
	s := Evolve(State{}, received(unit.Quantity(n)))
	for i := range n {
		s = Evolve(s, reserved(fmt.Sprintf("r%05d", i), 1))
	}
	return s
}

func TestDueReservationsAreRecordedABoundedNumberAtATime(t *testing.T) {
	for name, c := range map[string]struct {
		when Command
		want int // expirations recorded
	}{
		"beside a reservation that needs no room":  {reserve(then, "new", 1), 100},
		"for a reservation that needs their units": {reserve(then, "new", 250), 250},
		"by ExpireDue": {ExpireDue{At: then}, 1000},
	} {
		got, err := Decide(c.when, manyDue(2500))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n := 0
		for _, e := range got {
			if e, ok := e.(ReservationExpired); ok {
				if want := fmt.Sprintf("r%05d", n); string(e.ReservationID) != want {
					t.Errorf("%s: expired %s, want %s: the earliest first", name, e.ReservationID, want)
				}
				n++
			}
		}
		if n != c.want {
			t.Errorf("%s: %d recorded, want %d", name, n, c.want)
		}
	}
	s := manyDue(2500)
	for range 3 {
		events, err := Decide(ExpireDue{At: then}, s)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			s = Evolve(s, e)
		}
	}
	if len(s.Reservations) != 0 || s.Available(then.Now) != 2500 {
		t.Errorf("%d reserved, %d available after three sweeps", len(s.Reservations), s.Available(then.Now))
	}
}

// If a promise uses the units of a due reservation, the reservation's end must be recorded.
// Otherwise a node whose clock is behind could commit the reservation.
func TestUnitsOfADueReservationArePromisedOnlyIfItsEndIsRecorded(t *testing.T) {
	s := manyDue(1500)
	if _, err := Decide(reserve(then, "new", 1001), s); err == nil {
		t.Error("promised more than could be recorded as expired")
	}
	events, err := Decide(reserve(then, "new", 1000), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		s = Evolve(s, e)
	}
	behind := At{Key: lamp, Now: noon}
	for i := range 1500 {
		events, err := Decide(Commit{At: behind, ReservationID: unit.ReservationID(fmt.Sprintf("r%05d", i))}, s)
		if err != nil {
			continue
		}
		for _, e := range events {
			s = Evolve(s, e)
		}
	}
	if promised := s.ReservedTotal + s.Promised; promised > s.Goods {
		t.Errorf("%d promised of %d", promised, s.Goods)
	}
}
