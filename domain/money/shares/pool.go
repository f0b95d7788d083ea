package shares

import "slices"

// Pool is money that is given away unit by unit, or as an amount. Its zero value is empty.
//
// Shares are differences of rounded running totals: with k units taken so far, the next j are worth
// round(M*(k+j)/N) - round(M*k/N), where M and N are what was there when the frame began. So the
// last unit takes exactly the rest, and every partial result is within half a minor unit of the
// exact share. A frame begins anew whenever the pool changes other than by taking units.
type Pool struct {
	Left Part `json:"left,omitzero"`
	// Frame is what was there when the frame began. nil: nothing was taken since then.
	Frame *Part `json:"frame,omitempty"`
}

// NewPool is a pool with what is in the part.
func NewPool(part Part) Pool { return Pool{Left: part} }

func (p Pool) frame() Part {
	if p.Frame != nil {
		return *p.Frame
	}
	return p.Left
}

// Of says what the next units would be worth. It takes as many as there are.
func (p Pool) Of(units int64) Part {
	units = min(units, p.Left.Units)
	if units <= 0 {
		return Part{}
	}
	f := p.frame()
	taken := f.Units - p.Left.Units
	money := Round(f.Money, taken+units, f.Units) - Round(f.Money, taken, f.Units)
	return Part{Units: units, Money: money, Tax: p.tax(money)}
}

// OfMoney says how much tax an amount of the pool contains. It takes as much as there is.
func (p Pool) OfMoney(money int64) Part {
	money = max(0, min(money, p.Left.Money))
	return Part{Money: money, Tax: p.tax(money)}
}

// tax is the tax of the next money of the frame.
func (p Pool) tax(money int64) []int64 {
	f := p.frame()
	if len(f.Tax) == 0 {
		return nil
	}
	tax := make([]int64, len(f.Tax))
	if f.Money == 0 {
		return tax // no tax without money
	}
	taken := f.Money - p.Left.Money
	for i, t := range f.Tax {
		tax[i] = Round(t, taken+money, f.Money) - Round(t, taken, f.Money)
	}
	return tax
}

// Take takes units out.
func (p *Pool) Take(units int64) Part {
	part := p.Of(units)
	if part.Units == 0 {
		return part
	}
	if p.Frame == nil {
		frame := p.Left
		p.Frame = &frame
	}
	p.Left = p.Left.minus(part)
	if p.Left.IsZero() {
		*p = Pool{}
	}
	return part
}

// TakeMoney takes an amount out, and no unit: each unit that is left is worth less.
func (p *Pool) TakeMoney(money int64) Part {
	part := p.OfMoney(money)
	if part.Money == 0 {
		return part
	}
	p.Left, p.Frame = p.Left.minus(part), nil
	return part
}

// Add puts a part in.
func (p *Pool) Add(part Part) {
	if part.IsZero() {
		return
	}
	p.Left, p.Frame = p.Left.Plus(part), nil
}

// Clone is a copy that shares nothing with the pool.
func (p Pool) Clone() Pool {
	p.Left.Tax = slices.Clone(p.Left.Tax)
	if p.Frame != nil {
		frame := *p.Frame
		frame.Tax = slices.Clone(frame.Tax)
		p.Frame = &frame
	}
	return p
}

// Account is the money of one line or charge: what is open (ordered, and not delivered) and what is
// delivered. Units that are canceled or come back leave it.
type Account struct {
	Open      Pool `json:"open,omitzero"`
	Delivered Pool `json:"delivered,omitzero"`
}

// NewAccount is an account with everything open.
func NewAccount(part Part) Account { return Account{Open: NewPool(part)} }

// Deliver moves units from open to delivered, and returns what they are worth.
func (a *Account) Deliver(units int64) Part {
	part := a.Open.Take(units)
	a.Delivered.Add(part)
	return part
}

// PutBack puts back what a credit has taken: into what is delivered, or, if nothing is, into what
// is open.
func (a *Account) PutBack(part Part) {
	if part.Units == 0 && a.Delivered.Left.IsZero() && !a.Open.Left.IsZero() {
		a.Open.Add(part)
		return
	}
	a.Delivered.Add(part)
}

// TakeBack moves units from delivered to open, because they are delivered again, and returns what
// they are worth.
func (a *Account) TakeBack(units int64) Part {
	part := a.Delivered.Take(units)
	a.Open.Add(part)
	return part
}

// Money is what is left.
func (a Account) Money() int64 { return a.Open.Left.Money + a.Delivered.Left.Money }

// Left is what is left of both pools.
func (a Account) Left() Part { return a.Delivered.Left.Plus(a.Open.Left) }

// Clone is a copy that shares nothing with the account.
func (a Account) Clone() Account {
	return Account{Open: a.Open.Clone(), Delivered: a.Delivered.Clone()}
}

// Reduce takes an amount off all accounts in proportion to their money: of each account first of
// what is delivered, then of what is open. It takes as much as there is. The result has what each
// account gave, in their order.
func Reduce(accounts []*Account, amount int64) []Part {
	weights := make([]int64, 0, 2*len(accounts))
	var sum int64
	for _, a := range accounts {
		weights = append(weights, a.Delivered.Left.Money, a.Open.Left.Money)
		sum += a.Money()
	}
	split := Allocate(max(0, min(amount, sum)), weights)
	parts := make([]Part, len(accounts))
	for i, a := range accounts {
		parts[i] = a.Delivered.TakeMoney(split[2*i]).Plus(a.Open.TakeMoney(split[2*i+1]))
	}
	return parts
}

// TakeFor takes units out for less money than they are worth; the rest of their money stays in the
// pool. It takes at most what the units are worth.
func (p *Pool) TakeFor(units, money int64) Part {
	worth := p.Of(units)
	if worth.Money <= money {
		return p.Take(units)
	}
	part := p.OfMoney(money)
	part.Units = worth.Units
	p.Left, p.Frame = p.Left.minus(part), nil
	return part
}
