package checkout

import (
	"daybook/domain/cart"
	"daybook/domain/rule"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// want is what a checkout needs of one SKU, and what is known about getting it.
type want struct {
	sku      unit.SKU
	lines    []cart.Line // of this SKU, in the order of the cart
	quantity unit.Quantity
	places   []place // by preference, as the sourcing has them
	refusals int
}

// place is what one location has said.
type place struct {
	asked     bool
	held      unit.Quantity // > 0: reserved, and can no longer be changed
	available unit.Quantity // as last told by a refusal
	// exists is the quantity of a reservation that another driver of this
	// checkout has made here: this one can have just that, or nothing.
	exists unit.Quantity
	reason string // code of the last refusal
}

// maxExtraRefusals bounds the asking for one SKU: each location may refuse
// once, and then stock may run away this many times (it is being sold to others
// between the asks) before the checkout takes it as short.
const maxExtraRefusals = 8

// plan is what follows from what is known: either asks by place (zero: none),
// or done with what is taken, the whole, a part, or nothing.
type plan struct {
	ask  []unit.Quantity
	done bool
	take unit.Quantity
}

func (w want) lineNumbers() []int {
	numbers := make([]int, len(w.lines))
	for i, l := range w.lines {
		numbers[i] = l.Number
	}
	return numbers
}

func short() plan { return plan{done: true} }

func (w want) held() (sum unit.Quantity) {
	for _, at := range w.places {
		sum += at.held
	}
	return sum
}

// plan first asks one location after the other for the whole. When none has it,
// the policy says how much would do (all of it, or the lines that fit), and the
// sourcing says whether several locations may add up to that.
func (w want) plan(policy cart.Policy, split bool) plan {
	held := w.held()
	if held == w.quantity {
		return plan{done: true, take: held}
	}
	if w.refusals > len(w.places)+maxExtraRefusals {
		return short()
	}
	ask := make([]unit.Quantity, len(w.places))
	if held == 0 {
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
		return w.planSplit(enough, held)
	}
	if held > 0 {
		return plan{done: true, take: held}
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

// planSplit takes what each location has, in order, until there is enough. What
// is held already cannot be given up in part; when less than that would do now,
// the SKU is given up whole (Releases takes it back).
func (w want) planSplit(enough func(unit.Quantity) unit.Quantity, held unit.Quantity) plan {
	capacity := held
	for _, at := range w.places {
		if at.held == 0 {
			capacity += at.available
		}
	}
	for {
		target := enough(capacity)
		if target == 0 || target < held {
			return short()
		}
		if target == held {
			return plan{done: true, take: held}
		}
		ask, left := make([]unit.Quantity, len(w.places)), target-held
		for i, at := range w.places {
			part := min(left, at.available)
			if at.held > 0 || at.exists > 0 && at.exists > left {
				part = 0
			}
			ask[i] = part
			left -= part
		}
		if left == 0 {
			return plan{ask: ask}
		}
		capacity = target - left // an existing reservation did not fit: do with less
	}
}

// fit is how many units the lines take up that fit into a capacity, each whole,
// first line first.
func (w want) fit(capacity unit.Quantity) (sum unit.Quantity) {
	for _, l := range w.lines {
		if sum+l.Quantity <= capacity {
			sum += l.Quantity
		}
	}
	return sum
}

// answered notes an answer of a location. After a refusal, less than was asked
// is taken to be there, whatever was said: so the asking comes to an end.
func (w want) answered(at int, asked unit.Quantity, no *rule.Rejection) want {
	places := append([]place(nil), w.places...)
	p := &places[at]
	p.asked = true
	if no == nil {
		p.held = asked
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
