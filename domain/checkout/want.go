package checkout

import (
	"daybook/domain/cart"
	"daybook/domain/rule"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// want is what a checkout needs of one SKU, and what stock has replied so far.
type want struct {
	sku      unit.SKU
	lines    []cart.Line // of this SKU, in the order of the cart
	quantity unit.Quantity
	places   []place // in the order of the sourcing
	refusals int
}

// place is what one location has replied.
type place struct {
	asked     bool
	reserved  unit.Quantity // > 0: reserved, and can no longer be changed
	available unit.Quantity // as the last refusal said
	// exists is the quantity of a reservation that another driver of this checkout has made
	// here. This driver can get exactly that quantity or nothing, because the reservation's id
	// is the same for both.
	exists unit.Quantity
	reason string // code of the last refusal
}

// maxExtraRefusals bounds how often a checkout asks for one SKU. Each location may refuse
// once. After that, stock may refuse this many times more, because it was sold to others in
// the meantime. Then the checkout takes the SKU as short.
const maxExtraRefusals = 8

// plan is what to do next for a SKU: ask locations (ask), or nothing more (done).
type plan struct {
	ask  []unit.Quantity // how many units to ask of each location; 0: do not ask it
	done bool
	take unit.Quantity // if done: how many of the reserved units the checkout keeps
}

func (w want) lineNumbers() []int {
	numbers := make([]int, len(w.lines))
	for i, l := range w.lines {
		numbers[i] = l.Number
	}
	return numbers
}

func short() plan { return plan{done: true} }

func (w want) reserved() (sum unit.Quantity) {
	for _, at := range w.places {
		sum += at.reserved
	}
	return sum
}

// plan first asks one location after the other for the whole quantity. If no location has it,
// the policy says how much is enough (all of it, or the lines that fit). The sourcing says
// whether several locations together may serve that.
func (w want) plan(policy cart.Policy, split bool) plan {
	reserved := w.reserved()
	if reserved == w.quantity {
		return plan{done: true, take: reserved}
	}
	if w.refusals > len(w.places)+maxExtraRefusals {
		return short()
	}
	ask := make([]unit.Quantity, len(w.places))
	if reserved == 0 {
		for i, at := range w.places {
			if !at.asked {
				ask[i] = w.quantity
				return plan{ask: ask}
			}
		}
	}
	enough := func(capacity unit.Quantity) unit.Quantity {
		if policy == cart.LineByLine {
			return w.fit(capacity)
		}
		if capacity < w.quantity {
			return 0
		}
		return w.quantity
	}
	if split {
		return w.planSplit(enough, reserved)
	}
	if reserved > 0 {
		return plan{done: true, take: reserved}
	}
	best, most := 0, unit.Quantity(0)
	for i, at := range w.places {
		q := enough(at.available)
		if at.exists > 0 && q != at.exists {
			q = 0
		}
		if q > most {
			best, most = i, q
		}
	}
	if most == 0 {
		return short()
	}
	ask[best] = most
	return plan{ask: ask}
}

// planSplit takes what each location has, in order, until there is enough. A reservation cannot be
// reduced. If less than what is reserved would be enough now, the whole SKU is dropped (Releases
// takes it back).
//
// Example: 10 units are wanted, A has 6 and B has 5. The plan asks A for 6 and B for 4. A reserves,
// and B refuses because it has sold 3 meanwhile. Now 8 units are the most. Under AllOrNothing the
// SKU is short. Under LineByLine, lines of 6 and 4 units end with the 6 that are reserved. Lines of
// 4 and 6 would need only 4, so the SKU is dropped.
func (w want) planSplit(enough func(unit.Quantity) unit.Quantity, reserved unit.Quantity) plan {
	capacity := reserved
	for _, at := range w.places {
		if at.reserved == 0 {
			capacity += at.available
		}
	}
	for {
		target := enough(capacity)
		if target == 0 || target < reserved {
			return short()
		}
		if target == reserved {
			return plan{done: true, take: reserved}
		}
		ask, left := make([]unit.Quantity, len(w.places)), target-reserved
		for i, at := range w.places {
			part := min(left, at.available)
			if at.reserved > 0 || at.exists > 0 && at.exists > left {
				part = 0
			}
			ask[i] = part
			left -= part
		}
		if left == 0 {
			return plan{ask: ask}
		}
		// The reservation that exists is too large for the plan, so plan with fewer units.
		capacity = target - left
	}
}

// fit is the sum of the lines that fit into a capacity. Each line fits whole or not at all,
// and lines are served in the order of the cart.
func (w want) fit(capacity unit.Quantity) (sum unit.Quantity) {
	for _, l := range w.lines {
		if sum+l.Quantity <= capacity {
			sum += l.Quantity
		}
	}
	return sum
}

// replied notes a location's reply. After a refusal it assumes that the location has fewer
// units than were asked for, whatever the reply says. Otherwise the process might ask for the
// same quantity for ever.
func (w want) replied(at int, asked unit.Quantity, no *rule.Rejection) want {
	places := append([]place(nil), w.places...)
	p := &places[at]
	p.asked = true
	if no == nil {
		p.reserved = asked
	} else {
		w.refusals++
		p.reason, p.available, p.exists = no.Code, 0, 0
		switch no.Code {
		case stock.ErrInsufficient.Code:
			p.available = max(0, min(quantityFact(no, "available"), asked-1))
		case stock.ErrReservationDiffers.Code:
			if have := quantityFact(no, "quantity"); have != asked && have > 0 && have <= w.quantity {
				p.available, p.exists = have, have
			}
		}
	}
	w.places = places
	return w
}

func (w want) reason() string {
	for _, at := range w.places {
		if at.reason != "" {
			return at.reason
		}
	}
	return stock.ErrInsufficient.Code
}

// quantityFact reads a fact of a refusal; one that is missing is zero.
func quantityFact(no *rule.Rejection, name string) unit.Quantity {
	q, _ := no.Facts[name].(unit.Quantity)
	return q
}
