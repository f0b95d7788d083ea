package order

import (
	"cmp"
	"slices"

	"daybook/domain/cart"
	"daybook/domain/money/pricing"
	"daybook/domain/money/shares"
	"daybook/domain/unit"
)

// This file has the money of single lines and charges. An order that was placed with a quote, or
// with rounded lines, has an account for each of them: what is open, and what has left in parcels.
// Their sum is Total less Credited. An older order has none; its lines have only a price.

// Charge is money that is no goods, such as shipping, and what is left of it.
type Charge struct {
	Number  int            `json:"charge"`
	Account shares.Account `json:"account,omitzero"`
	// Added says what a charge is that was added later. The others are in the quote.
	Added *Addition `json:"added,omitempty"`
}

// CreditPart is what a credit took from one line or charge.
type CreditPart struct {
	Line     int           `json:"line,omitzero"`
	Charge   int           `json:"charge,omitzero"` // instead of a line
	Quantity unit.Quantity `json:"quantity,omitzero"`
	Amount   unit.Money    `json:"amount"` // with tax
	// Tax is the part of Amount that is tax, for each entry of the tax of the line or charge in the
	// order's quote.
	Tax []unit.Money `json:"tax,omitempty"`
}

// quoteFault tells whether a quote is not of these lines, or does not add up.
func quoteFault(quote *pricing.Quote, lines []cart.Line, currency unit.Currency) error {
	if quote == nil {
		return nil
	}
	if err := quote.Check(); err != nil {
		return ErrQuoteInvalid.With("The quote does not add up: "+err.Error()+".", nil)
	}
	if quote.Currency != currency || !slices.EqualFunc(quote.Lines, lines, func(p pricing.PricedLine, l cart.Line) bool {
		return p.Line == l.Number && p.SKU == l.SKU && p.Quantity == l.Quantity && p.Price.Equal(l.Price)
	}) {
		return ErrQuoteInvalid.With("The quote is not of these lines.", nil)
	}
	return nil
}

// totalOf is what an order costs when it is placed.
func totalOf(cmd Place) unit.Money {
	if cmd.Quote != nil {
		return cmd.Quote.Total
	}
	total := unit.Zero(cmd.Currency)
	for _, l := range cmd.Lines {
		if cmd.RoundedLines {
			total = total.Plus(l.Total().Charge())
			continue
		}
		total = total.Plus(l.Total())
	}
	return total
}

// openAccounts gives each line and charge its account.
func (s *State) openAccounts(e Placed) {
	if e.Quote == nil && !e.RoundedLines {
		return
	}
	s.Accounts, s.Quote = true, e.Quote
	for i := range s.Lines {
		l := &s.Lines[i]
		part := shares.Part{Units: int64(l.Quantity)}
		if e.Quote != nil && i < len(e.Quote.Lines) {
			part = partOf(part.Units, e.Quote.Lines[i].Priced)
		} else {
			amount := l.Price
			amount.Currency = s.Currency()
			part.Money, _ = amount.Times(l.Quantity).Charge().Minor()
		}
		l.Account = shares.NewAccount(part)
	}
	if e.Quote == nil {
		return
	}
	for _, c := range e.Quote.Charges {
		s.Charges = append(s.Charges, Charge{Number: c.Number, Account: shares.NewAccount(partOf(1, c.Priced))})
	}
}

func partOf(units int64, p pricing.Priced) shares.Part {
	part := shares.Part{Units: units}
	part.Money, _ = p.Gross.Minor()
	for _, t := range p.Tax {
		tax, _ := t.Amount.Minor()
		part.Tax = append(part.Tax, tax)
	}
	return part
}

// worth is what open units of a line are worth that are canceled now, and takes them off the line's
// account.
func (s *State) takeOpen(line int, units unit.Quantity) unit.Money {
	l := &s.Lines[line]
	if !s.Accounts {
		return l.Price.Times(units)
	}
	return s.money(l.Account.Open.Take(int64(units)).Money)
}

func (s State) money(minor int64) unit.Money { return unit.OfMinor(minor, s.Currency()) }

// takeChargesOff takes all charges off an order of which nothing has shipped.
func (s *State) takeChargesOff() {
	if shipped, _ := s.units(); shipped > 0 {
		return
	}
	for i := range s.Charges {
		if of := s.Charges[i].Added; of != nil && of.Kind == ReturnedCard {
			continue // what is spent of a gift card stays spent
		}
		s.Total.Amount = s.Total.Amount.Sub(s.money(s.Charges[i].Account.Open.Take(1).Money).Amount)
	}
}

// deliverUnits moves the money of a parcel's units, and that of all charges with the first parcel,
// from open to delivered.
func (s *State) deliverUnits(line int, units unit.Quantity) {
	if !s.Accounts {
		return
	}
	s.Lines[line].Account.Deliver(int64(units))
	for i := range s.Charges {
		s.Charges[i].Account.Deliver(1)
	}
}

// partsOf is what a credit takes off the accounts: units that came back, and an amount of all lines
// and charges: a price reduction, or what units are worth that belong to no line. Nothing changes;
// applyCredited takes it.
func (s State) partsOf(cmd Credit) []CreditPart {
	parts := s.unitsBack(cmd)
	rest := floor(cmd.Worth)
	if rest.Currency != s.Currency() || rest.Sign() == 0 {
		return parts
	}
	if cmd.Cause == CreditForReturn { // nobody gets back more than is owed
		rest = lesser(rest.Charge(), floor(s.Owed().Minus(s.sumOf(parts))))
	}
	after := s.Clone()
	after.takeParts(parts)
	return append(parts, after.reduction(rest)...)
}

// unitsBack is what the units of a credit give.
func (s State) unitsBack(cmd Credit) []CreditPart {
	var parts []CreditPart
	for _, back := range cmd.Lines {
		i, found := s.lineIndex(back.Line)
		if !found {
			continue
		}
		l := &s.Lines[i] // s is a copy, and Clone below keeps the caller's accounts
		account := l.Account.Clone()
		for _, earlier := range parts {
			if earlier.Line == back.Line {
				account.Delivered.Take(int64(earlier.Quantity))
			}
		}
		part := account.Delivered.Of(int64(back.Quantity))
		if full := l.Price.Times(back.Quantity); back.Worth.Currency == full.Currency && back.Worth.Compare(full) < 0 {
			if less, ok := floor(back.Worth.Charge()).Minor(); ok && less < part.Money {
				part = account.Delivered.OfMoney(less)
			}
		}
		parts = append(parts, s.creditPart(CreditPart{Line: back.Line, Quantity: back.Quantity}, part))
	}
	return parts
}

// reduction splits a price reduction over all accounts.
func (s State) reduction(amount unit.Money) []CreditPart {
	minor, _ := amount.Minor()
	var accounts []*shares.Account
	var parts []CreditPart
	for _, l := range s.Lines {
		account := l.Account.Clone()
		accounts, parts = append(accounts, &account), append(parts, CreditPart{Line: l.Number})
	}
	for _, c := range s.Charges {
		account := c.Account.Clone()
		accounts, parts = append(accounts, &account), append(parts, CreditPart{Charge: c.Number})
	}
	var taken []CreditPart
	for i, part := range shares.Reduce(accounts, minor) {
		if part.Money > 0 {
			taken = append(taken, s.creditPart(parts[i], part))
		}
	}
	return taken
}

func (s State) creditPart(of CreditPart, part shares.Part) CreditPart {
	of.Amount = s.money(part.Money)
	if part.TaxSum() > 0 {
		for _, t := range part.Tax {
			of.Tax = append(of.Tax, s.money(t))
		}
	}
	return of
}

// sumOf is the money of some parts.
func (s State) sumOf(parts []CreditPart) unit.Money {
	sum := unit.Zero(s.Currency())
	for _, p := range parts {
		sum = sum.Plus(p.Amount)
	}
	return sum
}

// takeCredit takes a credit's money off the accounts. A credit without parts, of an older program,
// is taken off all accounts, as a price reduction is.
func (s *State) takeCredit(c CreditState) {
	switch {
	case !s.Accounts:
	case len(c.Parts) == 0:
		minor, _ := c.Amount.Minor()
		shares.Reduce(s.accounts(), minor)
	case c.Cause == CreditForCharge:
		for _, p := range c.Parts {
			if i := s.chargeIndex(p.Charge); i >= 0 {
				minor, _ := p.Amount.Minor()
				shares.Reduce([]*shares.Account{&s.Charges[i].Account}, minor)
			}
		}
	default:
		s.takeParts(c.Parts)
	}
}

// takeParts takes the units of parts off their lines, and then the sum of the parts without units
// off all accounts.
func (s *State) takeParts(parts []CreditPart) {
	var rest int64
	for _, p := range parts {
		minor, _ := p.Amount.Minor()
		if p.Quantity == 0 {
			rest += minor
			continue
		}
		if i, found := s.lineIndex(p.Line); found {
			s.Lines[i].Account.Delivered.TakeFor(int64(p.Quantity), minor)
		}
	}
	if rest > 0 {
		shares.Reduce(s.accounts(), rest)
	}
}

// giveCreditBack puts the money of a credit back into the accounts.
func (s *State) giveCreditBack(c CreditState) {
	if !s.Accounts {
		return
	}
	for _, p := range c.Parts {
		part := shares.Part{Units: int64(p.Quantity)}
		part.Money, _ = p.Amount.Minor()
		for _, t := range p.Tax {
			tax, _ := t.Minor()
			part.Tax = append(part.Tax, tax)
		}
		if i, found := s.lineIndex(p.Line); found {
			s.Lines[i].Account.PutBack(part)
		} else if i := s.chargeIndex(p.Charge); i >= 0 {
			s.Charges[i].Account.PutBack(part)
		}
	}
}

// accounts are those of all lines, then those of all charges.
func (s *State) accounts() []*shares.Account {
	accounts := make([]*shares.Account, 0, len(s.Lines)+len(s.Charges))
	for i := range s.Lines {
		accounts = append(accounts, &s.Lines[i].Account)
	}
	for i := range s.Charges {
		accounts = append(accounts, &s.Charges[i].Account)
	}
	return accounts
}

// Left is the money of all accounts. It is Total less Credited in an order that has accounts.
func (s State) Left() unit.Money {
	var sum int64
	for _, account := range s.accounts() {
		sum += account.Money()
	}
	return s.money(sum)
}

// Amount is what a line cost when the order was placed, with tax: the sum of these amounts and of
// the charges is what the order was placed for.
func (s State) Amount(l Line) unit.Money {
	if s.Quote != nil {
		if i := slices.IndexFunc(s.Quote.Lines, func(p pricing.PricedLine) bool { return p.Line == l.Number }); i >= 0 {
			return s.Quote.Lines[i].Gross
		}
	}
	amount := l.Price.Times(l.Quantity)
	if s.Accounts {
		return amount.Charge()
	}
	return amount
}

func sameQuote(a, b *pricing.Quote) bool {
	return cmp.Or(hashOf(a), "none") == cmp.Or(hashOf(b), "none")
}

func hashOf(q *pricing.Quote) string {
	if q == nil {
		return ""
	}
	return q.Hash
}
