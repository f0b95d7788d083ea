package pricing

import (
	"slices"

	"daybook/domain/unit"
)

// Manual is a discount that a person gave on the whole order or on one line. It has an amount or a
// percentage. Who gave it is the actor of the event.
type Manual struct {
	ID      string       `json:"id" class:"open"`
	Line    int          `json:"line,omitzero"` // 0: the whole order
	Amount  *unit.Money  `json:"amount,omitempty"`
	Percent unit.Percent `json:"percent,omitzero"` // more than 0, at most 100
	// Most is what a percentage takes off at most. nil: any amount.
	Most   *unit.Money `json:"most,omitempty"`
	Reason string      `json:"reason" class:"open"` // a code such as "damaged"
}

// Bound is the most that the discount can take off, and false if nothing bounds it.
func (m Manual) Bound() (unit.Money, bool) {
	switch {
	case m.Amount != nil:
		return *m.Amount, true
	case m.Most != nil:
		return *m.Most, true
	}
	return unit.Money{}, false
}

// Same tells whether two discounts are the same.
func (m Manual) Same(other Manual) bool {
	same := func(a, b *unit.Money) bool { return a == b || a != nil && b != nil && a.Equal(*b) }
	return m.ID == other.ID && m.Line == other.Line && m.Reason == other.Reason && m.Percent.Equal(other.Percent) &&
		same(m.Amount, other.Amount) && same(m.Most, other.Most)
}

// ManualIDs are the ids of the discounts that persons gave and that took something off.
func (q Quote) ManualIDs() (ids []string) {
	for _, l := range q.Lines {
		for _, a := range l.Adjustments {
			if a.Manual() && !slices.Contains(ids, a.Title) {
				ids = append(ids, a.Title)
			}
		}
	}
	return ids
}

// Manual tells whether a person took it off. Its title is then the id of the discount.
func (a Adjustment) Manual() bool { return a.Promotion == ofManual }

// ofManual is the promotion of all discounts that persons gave, in the adjustments.
const ofManual = "manual"

// manual takes off what persons gave, on single lines or on the whole order. It comes after the
// promotions of its class, and is capped by what they left. A promotion that excludes others of the
// class excludes these, too.
func (p *pricing) manual(ofLines bool) error {
	for i := range p.cart.Manual {
		m := &p.cart.Manual[i]
		if (m.Line > 0) != ofLines {
			continue
		}
		on := func(l *priced) bool { return l.eligible() && (!ofLines || l.item.Number == m.Line) }
		off, err := p.manualAmount(m, p.left(on))
		if err != nil {
			return err
		}
		why := "applied"
		var taken int64
		if by, ended := p.ended[classOf(ofLines)]; ended {
			why = "excluded-by-" + by
		} else if taken = p.spread(on, off, source{manual: m}); taken == 0 {
			why = "nothing-to-take-off"
		}
		p.consider("discount", m.ID, m.Line, taken > 0, why)
	}
	return nil
}

// manualAmount is what a discount takes off an amount. It may be more than the amount.
func (p *pricing) manualAmount(m *Manual, amount int64) (int64, error) {
	facts := map[string]any{"discount": m.ID}
	if m.Amount != nil {
		return p.minor(*m.Amount, "The discount "+m.ID, facts)
	}
	off := share(m.Percent, amount)
	if m.Most == nil {
		return off, nil
	}
	most, err := p.minor(*m.Most, "The bound of the discount "+m.ID, facts)
	return min(off, most), err
}

func classOf(ofLines bool) Class {
	if ofLines {
		return ItemClass
	}
	return OrderClass
}
