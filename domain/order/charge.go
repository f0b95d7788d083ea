package order

import (
	"slices"
	"strconv"

	"daybook/domain/money/pricing"
	"daybook/domain/money/shares"
	"daybook/domain/unit"
)

// This file has what adds a charge to an order that was placed, and what changes a single one.

// ChargeKind is what a charge is for that is added to an order after it was placed.
type ChargeKind string

const (
	// Surcharge is for something that was not ordered, such as another delivery.
	Surcharge ChargeKind = "surcharge"
	// Clawback takes back a part of a discount whose condition a return has broken. It belongs to
	// the credit of the return.
	Clawback ChargeKind = "clawback"
)

// ChargeAdded raises what the order owes. It moves no money.
type ChargeAdded struct {
	Charge   int           `json:"charge"`    // its number in the order
	ChargeID unit.ChargeID `json:"charge_id"` // unique in the order
	Kind     ChargeKind    `json:"kind" class:"open"`
	// CreditID is the credit to which a clawback belongs.
	CreditID unit.CreditID `json:"credit_id,omitempty"`
	// Limit is the most that all surcharges of the order could be together for the sender. nil: any
	// amount.
	Limit *unit.Money `json:"limit,omitempty"`
	// Card is the gift card of a charge for one (ReturnedCard).
	Card   *SoldUnit `json:"card,omitempty"`
	Reason string    `json:"reason" class:"personal"`
	// Priced has the amount, and the tax in it by the rates that were frozen with the order.
	pricing.Priced
}

// Addition is what a charge is that was added after the order was placed.
type Addition struct {
	ChargeID unit.ChargeID  `json:"charge_id"`
	Kind     ChargeKind     `json:"kind"`
	CreditID unit.CreditID  `json:"credit_id,omitempty"`
	Card     *SoldUnit      `json:"card,omitempty"`
	Priced   pricing.Priced `json:"priced"`
	// Gone means that the credit was taken back, and the clawback with it.
	Gone bool `json:"gone,omitzero"`
}

// AddCharge raises what the order owes by a charge. The same charge id with the same content
// changes nothing.
type AddCharge struct {
	ChargeID unit.ChargeID
	Kind     ChargeKind
	Amount   unit.Money    // with tax
	CreditID unit.CreditID // of a clawback
	Reason   string
	// Limit is that of ChargeAdded. It holds for surcharges.
	Limit *unit.Money
	// Allowed says that who sells books clawbacks.
	Allowed bool
}

func addCharge(cmd AddCharge, s State) ([]Event, error) {
	if i := slices.IndexFunc(s.Charges, func(c Charge) bool { return c.Added != nil && c.Added.ChargeID == cmd.ChargeID }); i >= 0 {
		if have := s.Charges[i].Added; have.Kind != cmd.Kind || have.CreditID != cmd.CreditID || !have.Priced.Gross.Equal(cmd.Amount) {
			return nil, ErrChargeDiffers
		}
		return nil, nil
	}
	if cmd.Kind != Surcharge && cmd.Kind != Clawback {
		return nil, ErrTransactionInvalid
	}
	if err := s.payable(cmd.Amount); err != nil {
		return nil, err
	}
	if err := s.mayCharge(cmd); err != nil {
		return nil, err
	}
	if _, fits := s.Total.Plus(cmd.Amount).Charge().Minor(); !fits || !s.Total.Plus(cmd.Amount).WithinLimit() {
		return nil, ErrAmountLimit.With(ErrAmountLimit.Detail, map[string]any{"before": s.Total, "amount": cmd.Amount})
	}
	number := 1
	for _, c := range s.Charges {
		number = max(number, c.Number+1)
	}
	return []Event{ChargeAdded{
		Charge: number, ChargeID: cmd.ChargeID, Kind: cmd.Kind, CreditID: cmd.CreditID, Limit: cmd.Limit, Reason: cmd.Reason,
		Priced: s.Quote.Later(cmd.Amount),
	}}, nil
}

// mayCharge refuses a surcharge of an order that has ended, or above the sender's limit, and a
// clawback that takes back more than its credit gives.
func (s State) mayCharge(cmd AddCharge) error {
	if cmd.Kind == Surcharge {
		if no := s.ended(); no != nil {
			return no
		}
		all := s.added(func(a Addition) bool { return a.Kind == Surcharge }).Plus(cmd.Amount)
		if cmd.Limit != nil && all.Compare(*cmd.Limit) > 0 {
			return ErrSurchargeLimit.With(ErrSurchargeLimit.Detail, map[string]any{"limit": *cmd.Limit, "requested": all})
		}
		return nil
	}
	i := slices.IndexFunc(s.Credits, func(c CreditState) bool { return c.ID == cmd.CreditID && !c.Implied && c.Cause == CreditForReturn })
	switch {
	case i < 0:
		return ErrCreditUnknown
	case !cmd.Allowed:
		return ErrClawbackOff
	}
	left := s.Credits[i].Amount.Minus(s.added(func(a Addition) bool { return a.CreditID == cmd.CreditID }))
	if cmd.Amount.Compare(left) > 0 {
		return exceeded(left, cmd.Amount)
	}
	return nil
}

// untaxed is an amount without tax.
func untaxed(amount unit.Money) pricing.Priced {
	return pricing.Priced{List: amount, Amount: amount, Net: amount, Gross: amount}
}

// added is the sum of charges that were added.
func (s State) added(pass func(Addition) bool) unit.Money {
	sum := unit.Zero(s.Currency())
	for _, c := range s.Charges {
		if c.Added != nil && pass(*c.Added) {
			sum.Amount = sum.Amount.Add(c.Added.Priced.Gross.Amount)
		}
	}
	return sum
}

// applyChargeAdded changes nothing if the amount is of another currency: commands record none. A
// charge of an order that has sent a parcel counts as delivered.
func (s *State) applyChargeAdded(e ChargeAdded) {
	if e.Gross.Currency != s.Currency() {
		return
	}
	charge := Charge{Number: e.Charge, Added: &Addition{ChargeID: e.ChargeID, Kind: e.Kind, CreditID: e.CreditID, Card: e.Card, Priced: e.Priced}}
	if s.Accounts {
		charge.Account = shares.NewAccount(partOf(1, e.Priced))
		if shipped, _ := s.units(); shipped > 0 {
			charge.Account.Deliver(1)
		}
	}
	s.Charges = append(s.Charges, charge)
	s.Total.Amount = s.Total.Amount.Add(e.Gross.Amount)
}

// takeBackClawbacks takes clawbacks off whose credit is taken back.
func (s *State) takeBackClawbacks(credit unit.CreditID) {
	for i, c := range s.Charges {
		if credit == "" || c.Added == nil || c.Added.CreditID != credit || c.Added.Gone {
			continue
		}
		gone := *c.Added
		gone.Gone = true
		left := gone.Priced.Gross.Amount
		if s.Accounts {
			left = s.money(c.Account.Money()).Amount
		}
		s.Charges[i].Account, s.Charges[i].Added = shares.Account{}, &gone
		s.Total.Amount = s.Total.Amount.Sub(left)
	}
}

func (s State) chargeIndex(number int) int {
	return slices.IndexFunc(s.Charges, func(c Charge) bool { return c.Number == number })
}

// creditCharge credits one charge, or a part of it. Its tax goes with it.
func creditCharge(cmd Credit, s State) ([]Event, error) {
	i := s.chargeIndex(cmd.Charge)
	if i < 0 || !s.Accounts {
		return nil, ErrChargeUnknown.With("The order has no charge "+strconv.Itoa(cmd.Charge)+".", map[string]any{"charge": cmd.Charge})
	}
	account := s.Charges[i].Account.Clone()
	left := lesser(s.money(account.Money()), s.Owed())
	if of := s.Charges[i].Added; of != nil && of.Card != nil && slices.Contains(s.CardsToEnd(), *of.Card) {
		left = unit.Zero(s.Currency()) // it is not known yet what was left of the card
	}
	amount := cmd.Worth
	if amount.Currency == "" {
		amount = left
	}
	switch {
	case amount.Currency != s.Currency():
		return nil, ErrCurrencyDiffers
	case amount.Sign() < 0 || amount.Sign() == 0 && cmd.Worth.Currency != "":
		return nil, ErrAmountInvalid
	case amount.TooFine():
		return nil, ErrAmountTooFine
	case amount.Sign() == 0 || amount.Compare(left) > 0:
		return nil, exceeded(left, amount)
	}
	minor, _ := amount.Minor()
	part := shares.Reduce([]*shares.Account{&account}, minor)[0]
	return []Event{Credited{
		CreditID: cmd.CreditID, Cause: CreditForCharge, Worth: amount, Amount: amount, Reason: cmd.Reason,
		Parts: []CreditPart{s.creditPart(CreditPart{Charge: cmd.Charge}, part)},
	}}, nil
}
