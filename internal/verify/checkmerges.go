package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"daybook/domain/cart"
	"daybook/domain/unit"
)

// merge is an attempt to merge a cart into another.
type merge struct {
	cart    unit.CartID
	attempt int
}

func (m merge) String() string { return fmt.Sprintf("merge %d of cart %s", m.attempt, m.cart) }

// merging is what the streams of both carts say about a merge.
type merging struct {
	begun    bool
	into     unit.CartID
	left     map[offer]unit.Quantity // what the first cart had
	refused  bool                    // the first cart is open again
	outcomes []*outcome
	last     lastEvent // of those about it
}

// outcome is what a cart records about lines that another cart wants to move into it.
type outcome struct {
	cart    unit.CartID
	taken   bool
	command uuid.UUID
	came    map[offer]unit.Quantity
}

// offer is what two lines must have in common so that a cart adds up their units.
type offer struct {
	sku        unit.SKU
	kind       unit.Kind
	price      string
	overridden bool
}

func offerOf(l cart.Line) offer {
	return offer{l.SKU, l.Kind, l.Price.Amount.String() + " " + string(l.Price.Currency), l.Overridden}
}

// foldMerge notes what an event of a cart says about merges. It is called before the event is
// folded into the cart.
func (b *Book) foldMerge(e *event, id unit.CartID, c *Cart, value cart.Event) {
	about := func(of unit.CartID, attempt int) *merging {
		m := b.merges[merge{of, attempt}]
		if m == nil {
			m = &merging{}
			b.merges[merge{of, attempt}] = m
		}
		m.last = e.lastEvent()
		return m
	}
	if c.arrival != nil && !c.arrival.add(e, c, value) {
		c.arrival = nil
	}
	switch value := value.(type) { //nolint:gochecksumtype // the others are not about a merge
	case cart.MergedInto:
		m := about(id, value.Attempt)
		m.begun, m.into, m.left = true, value.Target, map[offer]unit.Quantity{}
		for _, l := range c.Lines {
			m.left[offerOf(l)] += l.Quantity
		}
	case cart.MergeRefused:
		about(id, value.Attempt).refused = true
	case cart.MergedFrom:
		c.arrival = &outcome{cart: id, taken: true, command: e.meta.CommandID, came: map[offer]unit.Quantity{}}
		m := about(value.Source, value.Attempt)
		m.outcomes = append(m.outcomes, c.arrival)
	case cart.MergeDeclined:
		m := about(value.Source, value.Attempt)
		m.outcomes = append(m.outcomes, &outcome{cart: id})
	}
}

// add counts an event that follows a MergedFrom in the same append. It returns false for
// every other event.
func (o *outcome) add(e *event, c *Cart, value cart.Event) bool {
	if e.meta.CommandID != o.command {
		return false
	}
	switch value := value.(type) { //nolint:gochecksumtype // no other event adds units
	case cart.LineAdded:
		o.came[offerOf(value.Line)] += value.Quantity
		return true
	case cart.QuantityChanged:
		for _, l := range c.Lines {
			if l.Number == value.Line {
				o.came[offerOf(l)] += value.Quantity - l.Quantity
			}
		}
		return true
	}
	return false
}

// checkMerges checks two things. The lines of a merged cart came into exactly one cart, once. A
// cart whose lines were declined is open again.
func (b *Book) checkMerges() *Check {
	check := &Check{Name: "carts: the lines of a merged cart came into one other cart, once"}
	for _, id := range slices.SortedFunc(maps.Keys(b.merges), func(x, y merge) int {
		return cmp.Or(cmp.Compare(x.cart, y.cart), cmp.Compare(x.attempt, y.attempt))
	}) {
		m := b.merges[id]
		check.Examined++
		taken := false
		for _, o := range m.outcomes {
			if o.cart != m.into {
				check.differ("%s has an outcome in cart %s, which is not the cart that it went into", id, o.cart)
			}
			taken = taken || o.taken
			if o.taken && !maps.Equal(o.came, m.left) {
				check.differ("%s: cart %s took %v, cart %s had %v", id, o.cart, o.came, id.cart, m.left)
			}
		}
		switch {
		case !m.begun:
			check.differ("%s never began", id)
		case len(m.outcomes) > 1:
			check.differ("%s has %d outcomes", id, len(m.outcomes))
		case taken && m.refused:
			check.differ("%s: cart %s has its lines, and cart %s is open again", id, m.into, id.cart)
		case len(m.outcomes) == 0 && m.refused:
			check.differ("%s was refused, cart %s did not decline it", id, m.into)
		case b.underWay(m.last):
		case len(m.outcomes) == 0:
			check.differ("%s into cart %s has not ended", id, m.into)
		case !taken && !m.refused:
			check.differ("%s was declined, and the cart is not open again", id)
		}
	}
	return check
}
