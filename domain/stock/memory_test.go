package stock

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/domain/bloom"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

func TestRecentForgetsTheOldest(t *testing.T) {
	var r Recent[int]
	if !r.IsZero() {
		t.Error("a new memory is not empty")
	}
	for i := range 10 {
		r.Put(fmt.Sprint(i), i, 4)
	}
	r.Put("7", 70, 4) // the name is known, so this changes its value and not its age
	r.Put("10", 10, 4)
	for i := range 11 {
		value, found := r.Get(fmt.Sprint(i))
		if want := i >= 7; found != want {
			t.Errorf("%d remembered: %v, want %v", i, found, want)
		}
		if i == 7 && value != 70 {
			t.Errorf("7 is %d, want 70", value)
		}
	}
	if got := r.Len(); got != 4 {
		t.Errorf("%d remembered, want 4", got)
	}
}

func TestRecentKeepsItsOrderInASnapshot(t *testing.T) {
	var r, back Recent[int]
	for i := range 6 {
		r.Put(fmt.Sprint(i), i, 4)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	back.Put("6", 6, 4)
	if _, found := back.Get("2"); found {
		t.Error("the oldest was kept")
	}
	if _, found := back.Get("3"); !found {
		t.Error("another than the oldest was forgotten")
	}
	if err := json.Unmarshal([]byte(`{"not":"a list"}`), &back); err == nil {
		t.Error("JSON that is not a memory was read as one")
	}
}

// The size of a state is bounded, after any number of movements. Only the filter grows, by a few
// bytes for each name.
func TestAStateStaysSmall(t *testing.T) {
	s := Evolve(State{}, received(1_000_000))
	now := noon
	names := 0
	for i := range 20_000 {
		now = now.Add(time.Second)
		id := fmt.Sprintf("r%05d", i)
		order := unit.OrderID("o-" + id)
		for _, e := range []Event{
			Reserved{Key: lamp, ReservationID: unit.ReservationID(id), OrderID: order, Quantity: 1, ExpiresAt: now.Add(15 * time.Minute)},
			committed(id, 1),
			Shipped{Key: lamp, OrderID: order, ShipmentID: "s1", Quantity: 1},
			Allocated{Key: lamp, OrderID: order, Quantity: 1},
			Shipped{Key: lamp, OrderID: order, ShipmentID: "s2", Quantity: 1},
			Returned{Key: lamp, ReturnID: unit.ReturnID(id), Quantity: 1, Condition: Available},
		} {
			s = Evolve(s, e)
		}
		names += 5 // a reservation, an order, and three movements
	}
	forgotten := 0
	for _, part := range s.Forgotten.Parts {
		forgotten += len(part.Bits)
	}
	for _, n := range []struct {
		name       string
		got, limit int
	}{
		{"reservations", len(s.Reservations), 0},
		{"orders", len(s.Orders), 0},
		{"deadlines", len(s.Deadlines), 64},
		{"ends", s.Ended.Len(), rememberedEnds},
		{"movements", s.Movements.Len(), rememberedMovements},
		{"bytes of forgotten names", forgotten, 10*names + 512},
	} {
		if n.got > n.limit {
			t.Errorf("%d %s are kept, want at most %d", n.got, n.name, n.limit)
		}
	}
	s.Forgotten = bloom.Filter{}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if limit := 512 << 10; len(data) > limit {
		t.Errorf("a snapshot without the forgotten names has %d bytes, want at most %d", len(data), limit)
	}
}

// Reservations begin and end. One open reservation with a far or a near deadline must not keep the
// ended ones in memory.
func TestDeadlinesOfEndedReservationsAreDropped(t *testing.T) {
	s := Evolve(State{}, received(1_000_000))
	s = Evolve(s, reserved("first", 1)) // stays at the top throughout
	for i := range 10_000 {
		id := fmt.Sprintf("r%05d", i)
		s = Evolve(s, Reserved{Key: lamp, ReservationID: unit.ReservationID(id), Quantity: 1, ExpiresAt: late})
		s = Evolve(s, committed(id, 1))
		if got, limit := len(s.Deadlines), 64+2*1; got > limit {
			t.Fatalf("%d deadlines for one reservation, want at most %d", got, limit)
		}
	}
	if got, want := s.Reserved(soon), unit.Quantity(0); got != want {
		t.Errorf("%d reserved, want %d", got, want)
	}
}

func TestDeadlinesComeInOrder(t *testing.T) {
	s := Evolve(State{}, received(1000))
	for i := range 500 {
		minute := i * 7919 % 500 // a permutation of 0 to 499
		id := unit.ReservationID(fmt.Sprintf("r%03d", minute))
		s = Evolve(s, Reserved{Key: lamp, ReservationID: id, Quantity: 1, ExpiresAt: noon.Add(time.Duration(minute) * time.Minute)})
	}
	for i := 0; i < 500; i += 5 { // moved away and back: two entries, one reservation
		id := unit.ReservationID(fmt.Sprintf("r%03d", i))
		s = Evolve(s, extended(string(id), noon.Add(9000*time.Hour)))
		s = Evolve(s, extended(string(id), noon.Add(time.Duration(i)*time.Minute)))
	}
	due := s.due(noon.Add(299 * time.Minute))
	if !slices.IsSortedFunc(due, Deadline.compare) || len(due) != 300 {
		t.Errorf("%d due, sorted: %v, want 300 in order", len(due), slices.IsSortedFunc(due, Deadline.compare))
	}
	if got, want := s.Reserved(noon.Add(299*time.Minute)), unit.Quantity(200); got != want {
		t.Errorf("%d reserved, want %d", got, want)
	}
}

// After the earliest reservation has ended, its deadline causes no work.
func TestNothingIsVisitedWhenNothingIsDue(t *testing.T) {
	s := stocks.Fold(received(9), reserved("a", 1), reserved("b", 1), extended("b", late), committed("a", 1))
	if s.anyDue(soon) {
		t.Error("a deadline of an ended reservation is still watched")
	}
	if !s.anyDue(late) {
		t.Error("a deadline of an open one is not")
	}
}

// A direct command may have promised units to the order. That does not show that the order's
// process has committed a forgotten reservation, so the log is asked.
func TestDirectAllocationsAreNotTakenForACommitment(t *testing.T) {
	t.Parallel()
	for name, after := range map[string][]Event{
		"allocated":                    {allocated("o-a", 2)},
		"allocated and partly shipped": {allocated("o-a", 3), shipped("o-a", "s", 1)},
		"reserved by itself": {
			Reserved{Key: lamp, Origin: Origin{Direct: true}, ReservationID: "d", OrderID: "o-a", Quantity: 2, ExpiresAt: late},
			ReservationCommitted{Key: lamp, ReservationID: "d", OrderID: "o-a", Quantity: 2},
		},
	} {
		for end, was := range map[End]Event{ //nolint:exhaustive // these end without a commitment
			EndExpired: expired("a", 2), EndReleased: released("a", 2),
		} {
			s := State{}
			for _, e := range append([]Event{received(9), reserved("a", 2), was}, after...) {
				s = Evolve(s, e)
			}
			s.Ended = Recent[End]{} // as after thousands of others
			s.Forgotten.Add(reservationName, "a")
			cmd := Commit{At: then, ReservationID: "a", OrderID: "o-a", Quantity: 2}
			events, err := Decide(cmd, s)
			forgotten, asks := errors.AsType[*rule.ForgottenError](err)
			if !asks {
				t.Errorf("%s: %v, %v; want the log to be asked", name, events, err)
				continue
			}
			_, err = Decide(cmd, Recall(s, forgotten.Name, []Event{was}))
			if refused, ok := errors.AsType[*rule.Rejection](err); !ok || refused.Code != ErrReservationEnded.Code || refused.Facts["end"] != end {
				t.Errorf("%s, and the reservation %s: %v, want a refusal that tells its end", name, end, err)
			}
		}
	}
}
