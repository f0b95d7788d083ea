package reactor

import (
	"slices"

	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// ended is a checkout that has ended.
type ended struct {
	workKey
	from cart.OrderIDSource
}

func (t *tracker) beginCheckout(of ended, e eventstore.Recorded) {
	id := unit.OrderID(of.step)
	if !slices.Contains(t.checkouts[id], of.workKey) {
		t.checkouts[id] = append(t.checkouts[id], of.workKey)
	}
	t.begin(of.workKey, e)
	work := t.open[of.workKey]
	work.ID, work.from = of.step, of.from
}

func (t *tracker) endIfReleased(work *Work) {
	if work.refused && work.held <= 0 {
		t.endCheckout(work.key)
	}
}

func (t *tracker) endCheckout(key workKey) {
	work := t.open[key]
	if work == nil {
		return
	}
	delete(t.open, key)
	id, over := unit.OrderID(key.step), ended{key, work.from}
	remove(t.checkouts, id, key)
	if slices.Contains(t.past[id], over) {
		return
	}
	if len(t.pastRing) < rememberedCheckouts {
		t.pastRing = append(t.pastRing, over)
	} else {
		oldest := t.pastRing[t.pastNext]
		remove(t.past, unit.OrderID(oldest.step), oldest)
		t.pastRing[t.pastNext] = over
		t.pastNext = (t.pastNext + 1) % rememberedCheckouts
	}
	t.past[id] = append(t.past[id], over)
}

func remove[T comparable](from map[unit.OrderID][]T, id unit.OrderID, one T) {
	left := slices.DeleteFunc(from[id], func(t T) bool { return t == one })
	if len(left) == 0 {
		delete(from, id)
		return
	}
	from[id] = left
}

// made tells whether the checkout made a reservation. Other reservations with the same order
// id belong to another cart's checkout, or were made for the order later.
func (of ended) made(id unit.ReservationID, at stock.Key) bool {
	started := cart.CheckoutStarted{CartID: unit.CartID(of.id), OrderID: unit.OrderID(of.step), OrderIDFrom: of.from}
	return id == checkout.ReservationID(started, at.SKU, at.Location)
}

// reserved counts a reservation for the checkout that made it. If that checkout has ended, it
// becomes open work again, because a reservation that its outcome does not keep must be
// released.
func (t *tracker) reserved(event stock.Reserved, e eventstore.Recorded) {
	for _, over := range slices.Clone(t.past[event.OrderID]) {
		if over.made(event.ReservationID, event.Key) {
			e.Stream = cart.Stream(unit.CartID(over.id))
			t.beginCheckout(over, e)
			t.open[over.workKey].refused = true
		}
	}
	t.holds(event.OrderID, event.ReservationID, event.Key, 1)
}

func (t *tracker) holds(id unit.OrderID, reservation unit.ReservationID, at stock.Key, change int) {
	for _, key := range slices.Clone(t.checkouts[id]) {
		work := t.open[key]
		if (ended{key, work.from}).made(reservation, at) {
			work.held += change
			t.endIfReleased(work)
		}
	}
}
