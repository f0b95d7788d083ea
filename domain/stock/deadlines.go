package stock

import (
	"cmp"
	"slices"
	"time"

	"daybook/domain/unit"
)

// Deadlines is a binary heap of the deadlines of reservations, earliest first. An entry is
// stale if its reservation has ended or has another deadline. Stale entries are removed when
// they reach the top, or when there are too many of them. So a check whether anything is due
// costs one comparison, and each reservation costs a few in its whole life.
type Deadlines []Deadline

// Deadline is when a reservation is due.
type Deadline struct {
	At time.Time          `json:"at"`
	ID unit.ReservationID `json:"id"`
}

// compare orders by time, and entries with the same time by id. So the same history always
// gives the same heap.
func (d Deadline) compare(other Deadline) int {
	return cmp.Or(d.At.Compare(other.At), cmp.Compare(d.ID, other.ID))
}

func (d Deadline) live(reservations map[unit.ReservationID]Reservation) bool {
	h, found := reservations[d.ID]
	return found && h.ExpiresAt.Equal(d.At)
}

func (d Deadlines) with(added Deadline) Deadlines {
	d = append(d, added)
	for child := len(d) - 1; child > 0; {
		parent := (child - 1) / 2
		if d[parent].compare(d[child]) <= 0 {
			break
		}
		d[parent], d[child] = d[child], d[parent]
		child = parent
	}
	return d
}

func (d Deadlines) withoutFirst() Deadlines {
	last := len(d) - 1
	d[0] = d[last]
	d[last] = Deadline{}
	d = d[:last]
	for parent := 0; ; {
		child := 2*parent + 1
		if child >= len(d) {
			return d
		}
		if right := child + 1; right < len(d) && d[right].compare(d[child]) < 0 {
			child = right
		}
		if d[parent].compare(d[child]) <= 0 {
			return d
		}
		d[parent], d[child] = d[child], d[parent]
		parent = child
	}
}

// pruned makes the first entry a live one and bounds the number of stale ones.
func (d Deadlines) pruned(reservations map[unit.ReservationID]Reservation) Deadlines {
	for len(d) > 0 && !d[0].live(reservations) {
		d = d.withoutFirst()
	}
	if len(d) > 64+2*len(reservations) {
		d = slices.DeleteFunc(d, func(e Deadline) bool { return !e.live(reservations) })
		slices.SortFunc(d, Deadline.compare) // a sorted list is a heap
		d = slices.CompactFunc(d, func(a, b Deadline) bool { return a.compare(b) == 0 })
	}
	return d
}

// anyDue tells whether there is a reservation that has reached its deadline and has no recorded
// end.
func (s State) anyDue(now time.Time) bool {
	return len(s.Deadlines) > 0 && !s.Deadlines[0].At.After(now)
}

// due are the reservations that have reached their deadline and have no recorded end,
// earliest first. It visits no other entries, except stale ones.
func (s State) due(now time.Time) []Deadline {
	if !s.anyDue(now) {
		return nil
	}
	var found []Deadline
	var visit func(int)
	visit = func(i int) {
		if i >= len(s.Deadlines) || s.Deadlines[i].At.After(now) {
			return // nothing below is earlier
		}
		if s.Deadlines[i].live(s.Reservations) {
			found = append(found, s.Deadlines[i])
		}
		visit(2*i + 1)
		visit(2*i + 2)
	}
	visit(0)
	slices.SortFunc(found, Deadline.compare)
	// A deadline moved away and back again has two entries.
	return slices.CompactFunc(found, func(a, b Deadline) bool { return a.ID == b.ID })
}

func (s State) dueQuantity(now time.Time) unit.Quantity {
	var sum unit.Quantity
	for _, d := range s.due(now) {
		sum += s.Reservations[d.ID].Quantity
	}
	return sum
}
