package order

import (
	"slices"

	"daybook/domain/unit"
)

// Term names one of the sums of which an order's money is made.
type Term string

// The terms. Each is the sum of its changes, which the order's events have made:
//
//	owed    = placed + added - canceled - credited - written off + kept as gain
//	kept    = captured - refunded - charged back + reversed
//	balance = kept + compensated + lost - owed
//
// What is owed is never below zero.
const (
	TermPlaced      Term = "placed"
	TermAdded       Term = "added" // surcharges and clawbacks
	TermCanceled    Term = "canceled"
	TermCredited    Term = "credited"
	TermWrittenOff  Term = "written_off"
	TermKeptAsGain  Term = "kept_as_gain"
	TermLost        Term = "lost"
	TermCaptured    Term = "captured"
	TermRefunded    Term = "refunded"
	TermAddedBack   Term = "charged_back"
	TermReversed    Term = "reversed"
	TermCompensated Term = "compensated"
	TermInFlight    Term = "in_flight" // refunds that are under way; no part of the balance yet
)

// Terms are all terms.
func Terms() []Term {
	return []Term{
		TermPlaced, TermCanceled, TermAdded, TermCredited, TermWrittenOff, TermKeptAsGain, TermLost, TermCaptured, TermRefunded,
		TermAddedBack, TermReversed, TermCompensated, TermInFlight,
	}
}

// Change is by how much an event has changed a term.
type Change struct {
	Term   Term
	Amount unit.Money
}

// ItemChange is by how much an event has changed the money of a line or a charge.
type ItemChange struct {
	Line, Charge int // one of them is 0
	Amount       unit.Money
	Tax          unit.Money // the part of Amount that is tax
}

// Changes says what an event has changed: the terms, and the money of single lines and charges.
// before is the state to which the event was applied, and after the state that came of it. Lines
// and charges of orders without accounts have no changes of their own.
func Changes(e Event, before, after State) (terms []Change, items []ItemChange) {
	zero := unit.Zero(after.Currency())
	was := before
	if _, placed := e.(Placed); placed {
		was = State{Total: zero, Credited: zero, WrittenOff: zero, KeptAsGain: zero, Lost: zero}
		terms = append(terms, Change{Term: TermPlaced, Amount: after.Total.Charge()})
	} else if off := was.Total.Charge().Plus(after.term(TermAdded).Minus(was.term(TermAdded))).Minus(after.Total.Charge()); off.Sign() != 0 {
		terms = append(terms, Change{Term: TermCanceled, Amount: off})
	}
	for _, term := range Terms()[2:] {
		if by := after.term(term).Minus(was.term(term)); by.Sign() != 0 {
			terms = append(terms, Change{Term: term, Amount: by})
		}
	}
	if !after.Accounts {
		return terms, nil
	}
	for i, l := range after.Lines {
		items = appendChange(items, ItemChange{Line: l.Number}, after.moneyOf(after.Lines, i), was.moneyOf(was.Lines, i))
	}
	for i, c := range after.Charges {
		items = appendChange(items, ItemChange{Charge: c.Number}, after.chargeMoney(i), was.chargeMoney(i))
	}
	return terms, items
}

func appendChange(items []ItemChange, item ItemChange, is, was itemMoney) []ItemChange {
	item.Amount, item.Tax = is.money.Minus(was.money), is.tax.Minus(was.tax)
	if item.Amount.Sign() == 0 && item.Tax.Sign() == 0 {
		return items
	}
	return append(items, item)
}

// itemMoney is the money of a line or a charge, and the tax in it.
type itemMoney struct{ money, tax unit.Money }

func (s State) moneyOf(lines []Line, i int) itemMoney {
	if i >= len(lines) {
		return itemMoney{s.money(0), s.money(0)}
	}
	left := lines[i].Account.Left()
	return itemMoney{s.money(left.Money), s.money(left.TaxSum())}
}

func (s State) chargeMoney(i int) itemMoney {
	if i >= len(s.Charges) {
		return itemMoney{s.money(0), s.money(0)}
	}
	left := s.Charges[i].Account.Left()
	return itemMoney{s.money(left.Money), s.money(left.TaxSum())}
}

// term is the value of a term that the state has.
func (s State) term(term Term) unit.Money {
	refunds := func(compensation bool, states ...TransactionState) unit.Money {
		return s.sum(func(t Transaction) bool {
			return t.Type == Refund && slices.Contains(states, t.State) && (!compensation || t.Purpose == Compensation)
		})
	}
	value := unit.Zero(s.Currency())
	switch term {
	case TermAdded:
		return s.added(func(Addition) bool { return true })
	case TermCredited:
		value.Amount = s.Credited.Amount
	case TermWrittenOff:
		value.Amount = s.WrittenOff.Amount
	case TermKeptAsGain:
		value.Amount = s.KeptAsGain.Amount
	case TermLost:
		value.Amount = s.Lost.Amount
	case TermCaptured:
		return s.succeeded(Capture)
	case TermRefunded:
		return refunds(false, Succeeded)
	case TermAddedBack:
		return s.succeeded(Chargeback)
	case TermReversed:
		return s.succeeded(Reversal)
	case TermCompensated:
		return refunds(true, Succeeded)
	case TermInFlight:
		return refunds(false, Pending)
	case TermPlaced, TermCanceled: // they follow from Total
	}
	return value
}
