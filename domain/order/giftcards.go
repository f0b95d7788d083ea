package order

import (
	"slices"
	"strconv"

	"daybook/domain/money/shares"
	"daybook/domain/unit"
)

// This file has what an order does with gift cards that it has sold, if their purchase is undone.
// What a card was worth is taken off the order like any unit. At the same time the order charges
// for the card, because something of it may be spent. The process then ends the card, and the
// order credits what was left of it (SettleGiftCard). So what was spent stays owed, and is not
// given back.

// SoldUnit is a unit of a line that is a gift card. Units are counted from 1.
type SoldUnit struct {
	Line int `json:"line"`
	Unit int `json:"unit"`
}

// ReturnedCard charges for a gift card whose purchase is undone, until it is known what was left of
// it.
const ReturnedCard ChargeKind = "gift_card"

// SettleGiftCard says what was left of a gift card whose purchase is undone, when it ended. If the
// order was canceled, the money is requested to go back in the same decision.
type SettleGiftCard struct {
	Of   SoldUnit
	Left unit.Money
}

// GiftCardBack is the id of all that happens when the purchase of a gift card is undone.
func GiftCardBack(id unit.OrderID, of SoldUnit) unit.Derived {
	return unit.GiftCardBack.Of(string(id), strconv.Itoa(of.Line), strconv.Itoa(of.Unit))
}

// CardsToEnd are the gift cards whose purchase was undone, and which have not ended yet.
func (s State) CardsToEnd() (cards []SoldUnit) {
	for _, c := range s.Charges {
		if c.Added != nil && c.Added.Card != nil && !s.credited(unit.CreditID(GiftCardBack(s.OrderID, *c.Added.Card).ID())) {
			cards = append(cards, *c.Added.Card)
		}
	}
	return cards
}

func (s State) credited(id unit.CreditID) bool {
	return slices.ContainsFunc(s.Credits, func(c CreditState) bool { return c.ID == id })
}

// sellsCard tells whether a line sells gift cards that may have been issued.
func (s State) sellsCard(line int) bool {
	if s.Quote == nil || s.Status != StatusConfirmed && s.Status != StatusCompleted {
		return false
	}
	for _, l := range s.Quote.Lines {
		if l.Line == s.Lines[line].Number {
			return l.GiftCard
		}
	}
	return false
}

// chargeCards charges for the gift cards among units that are taken off a line for an amount.
// before are charges of the same decision. The units with the highest numbers go first.
func (s State) chargeCards(before []Event, line int, units unit.Quantity, amount int64) []Event {
	if !s.sellsCard(line) || amount <= 0 {
		return before
	}
	number, gone := len(before), 0
	for _, c := range s.Charges {
		number = max(number, c.Number+len(before))
		if c.Added != nil && c.Added.Card != nil && c.Added.Card.Line == s.Lines[line].Number {
			gone++
		}
	}
	alike := make([]int64, units)
	for i := range alike {
		alike[i] = 1
	}
	for i, part := range shares.Allocate(amount, alike) {
		of := SoldUnit{Line: s.Lines[line].Number, Unit: int(s.Lines[line].Quantity) - gone - i}
		if part == 0 || of.Unit < 1 {
			continue
		}
		number++
		money := s.money(part)
		before = append(before, ChargeAdded{
			Charge: number, ChargeID: unit.ChargeID(GiftCardBack(s.OrderID, of).ID()), Kind: ReturnedCard, Card: &of,
			Priced: untaxed(money),
		})
	}
	return before
}

// cardsOff charges for the gift cards among open units that are canceled.
func (s State) cardsOff(lines []LineQuantity) (charges []Event) {
	for _, l := range lines {
		if i, found := s.lineIndex(l.Line); found {
			charges = s.chargeCards(charges, i, l.Quantity, s.Lines[i].Account.Open.Of(int64(l.Quantity)).Money)
		}
	}
	return charges
}

// openLines are all units that can be canceled.
func (s State) openLines() (lines []LineQuantity) {
	for _, l := range s.Lines {
		if l.Open() > 0 {
			lines = append(lines, LineQuantity{Line: l.Number, Quantity: l.Open()})
		}
	}
	return lines
}

// cardsBack charges for the gift cards among units that a return brings back.
func (s State) cardsBack(e Credited) []Event {
	var charges []Event
	for _, p := range e.Parts {
		if i, found := s.lineIndex(p.Line); found && p.Quantity > 0 {
			minor, _ := p.Amount.Minor()
			charges = s.chargeCards(charges, i, p.Quantity, minor)
		}
	}
	return charges
}

func settleGiftCard(cmd SettleGiftCard, s State) ([]Event, error) {
	id := GiftCardBack(s.OrderID, cmd.Of).ID()
	i := slices.IndexFunc(s.Charges, func(c Charge) bool { return c.Added != nil && c.Added.Card != nil && *c.Added.Card == cmd.Of })
	switch {
	case i < 0:
		return nil, ErrChargeUnknown.With(ErrChargeUnknown.Detail, map[string]any{"charge": 0})
	case s.credited(unit.CreditID(id)):
		return nil, nil
	}
	account := s.Charges[i].Account.Clone()
	left := lesser(lesser(floor(cmd.Left), s.money(account.Money())), s.Owed())
	minor, _ := left.Minor()
	part := shares.Reduce([]*shares.Account{&account}, minor)[0]
	e := Credited{
		CreditID: unit.CreditID(id), Cause: CreditForCharge, Worth: left, Amount: left,
		Parts: []CreditPart{s.creditPart(CreditPart{Charge: s.Charges[i].Number}, part)},
	}
	if s.Status != StatusCanceled {
		return []Event{e}, nil
	}
	after := Evolve(s.Clone(), e)
	give, unplaced := after.Plan(after.ToReturn())
	if len(give) == 0 {
		return []Event{e}, nil
	}
	refund := unit.RefundID(unit.EndRefund.Of(string(s.OrderID), string(RefundOfCanceled), id).ID())
	return []Event{e, after.refundRequested(refund, Settlement, RefundOfCanceled, give, unplaced, "")}, nil
}
