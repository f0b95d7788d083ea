package verify

import (
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/unit"
)

// This file folds the money of an order with code of its own: what each line and charge is worth,
// what a cancel or a credit takes from it, and what is owed. Amounts of lines and charges are in
// the currency's smallest units.

// share is some units with their money. Money contains the tax.
type share struct {
	units, money int64
	tax          []int64
}

func (s share) plus(t share, sign int64) share {
	sum := share{s.units + sign*t.units, s.money + sign*t.money, slices.Clone(s.tax)}
	for len(sum.tax) < len(t.tax) {
		sum.tax = append(sum.tax, 0)
	}
	for i := range t.tax {
		sum.tax[i] += sign * t.tax[i]
	}
	return sum
}

func (s share) empty() bool { return s.units == 0 && s.money == 0 }

func (s share) taxSum() (sum int64) {
	for _, t := range s.tax {
		sum += t
	}
	return sum
}

// taxAt is the tax of a component; a share without tax has zeros.
func (s share) taxAt(i int) int64 {
	if i < len(s.tax) {
		return s.tax[i]
	}
	return 0
}

// pool is money that is taken out unit by unit. start is what was there when the last frame began.
type pool struct{ left, start share }

func newPool(s share) pool { return pool{left: s, start: s} }

// portion is round(amount * part / whole), half away from zero.
func portion(amount, part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	return decimal.NewFromInt(amount).Mul(decimal.NewFromInt(part)).DivRound(decimal.NewFromInt(whole), 0).IntPart()
}

// worth is what the next units are worth.
func (p pool) worth(units int64) share {
	units = max(0, min(units, p.left.units))
	gone := p.start.units - p.left.units
	return share{units, portion(p.start.money, gone+units, p.start.units) - portion(p.start.money, gone, p.start.units), nil}.with(p)
}

// with adds the tax that the money of a share carries.
func (s share) with(p pool) share {
	gone := p.start.money - p.left.money
	for _, tax := range p.start.tax {
		s.tax = append(s.tax, portion(tax, gone+s.money, p.start.money)-portion(tax, gone, p.start.money))
	}
	return s
}

func (p *pool) take(units int64) share {
	s := p.worth(units)
	p.left = p.left.plus(s, -1)
	if p.left.units == 0 && p.left.money == 0 {
		p.start = p.left
	}
	return s
}

// change begins a new frame with what is left after a change.
func (p *pool) change(by share, sign int64) {
	p.left = p.left.plus(by, sign)
	p.start = p.left
}

// earning is a line or a charge with its money: what is open, and what is delivered.
type earning struct {
	line     int    // its number; 0 for a charge
	number   int    // of a charge
	clawback string // the credit of a charge that takes a discount back
	sku      string
	charge   string // what it is for
	units    int64  // as placed
	quoted   *priced
	list     decimal.Decimal
	price    unit.Money
	open     pool
	received pool

	ofNoLine int64 // what the event took off for units of a return that belong to no line, or put back

	canceled, credited int64           // units; credited only in an order without pots
	undelivered        int64           // units of parcels that never arrived, and were credited
	exact              decimal.Decimal // what is left of the worth of a line in an order without pots
}

func (e *earning) left() share { return e.open.left.plus(e.received.left, 1) }

// orderAmounts is the money of an order.
type orderAmounts struct {
	currency unit.Currency
	quote    *quote
	pots     bool
	earnings []*earning // lines, then charges
	shipped  bool

	total                             decimal.Decimal         // of what was not canceled, not rounded
	credited, writtenOff, gain, given decimal.Decimal         // given: written off, and never owed
	cards                             map[order.SoldUnit]bool // gift cards whose purchase was undone
	unpooled                          []order.ChargeAdded     // those that were added to an order without pots
	credits                           map[string][]order.Credited
}

func (m *orderAmounts) round(amount decimal.Decimal) decimal.Decimal {
	return amount.Round(m.currency.Digits())
}

// largest bounds what pots have, in the currency's smallest units. An order with a larger amount,
// or with one that is finer, has nothing in its pots.
var largest = decimal.New(1, 15)

func (m *orderAmounts) minor(amount decimal.Decimal) int64 {
	units := amount.Shift(m.currency.Digits())
	if !units.IsInteger() || units.Abs().GreaterThan(largest) {
		return 0
	}
	return units.IntPart()
}

func (m *orderAmounts) amount(minor int64) decimal.Decimal {
	return decimal.New(minor, -m.currency.Digits())
}

// owed is what the order owes.
func (m *orderAmounts) owed() decimal.Decimal {
	return decimal.Max(decimal.Zero, m.round(m.total).Sub(m.credited).Sub(m.writtenOff)).Add(m.gain)
}

func newAmounts(p order.Placed) *orderAmounts {
	m := &orderAmounts{currency: p.Currency, pots: p.Quote != nil || p.RoundedLines, credits: map[string][]order.Credited{}}
	if p.Quote != nil {
		m.quote = quoteOf(p)
	}
	for i, l := range p.Lines {
		m.add(i, l)
	}
	if m.quote != nil {
		for _, c := range m.quote.charges {
			e := &earning{number: c.number, charge: c.kind, units: 1, quoted: &c.priced, list: c.list}
			e.open = newPool(m.shareOf(1, c.priced))
			m.earnings = append(m.earnings, e)
			m.total = m.total.Add(c.gross)
		}
	}
	return m
}

func (m *orderAmounts) add(i int, l cart.Line) {
	e := &earning{line: l.Number, sku: string(l.SKU), units: int64(l.Quantity), price: l.Price, exact: times(l.Price, l.Quantity)}
	e.list = e.exact
	switch {
	case m.quote != nil && i < len(m.quote.lines):
		e.quoted = &m.quote.lines[i].priced
		e.list = e.quoted.list
		e.open = newPool(m.shareOf(e.units, *e.quoted))
		m.total = m.total.Add(e.quoted.gross)
	case m.pots:
		e.list = m.round(e.exact)
		e.open = newPool(share{units: e.units, money: m.minor(e.list)})
		m.total = m.total.Add(e.list)
	default:
		m.total = m.total.Add(e.exact)
	}
	m.earnings = append(m.earnings, e)
}

func (m *orderAmounts) shareOf(units int64, p priced) share {
	s := share{units: units, money: m.minor(p.gross)}
	for _, t := range p.taxes {
		s.tax = append(s.tax, m.minor(t.amount))
	}
	return s
}

func (m *orderAmounts) lineOf(number int) *earning {
	for _, e := range m.earnings {
		if e.line == number && number != 0 {
			return e
		}
	}
	return nil
}

// fold changes the money by an event. The result names the first term of the event that differs;
// empty: none does.
func (m *orderAmounts) fold(value order.Event) (fault string) {
	for _, e := range m.earnings {
		e.ofNoLine = 0
	}
	switch value := value.(type) { //nolint:gochecksumtype // only these change what is owed
	case order.LinesCanceled:
		for _, l := range value.Lines {
			if e := m.lineOf(l.Line); e != nil {
				m.cancel(e, int64(l.Quantity))
			}
		}
	case order.Canceled, order.Expired:
		for _, e := range m.earnings {
			if e.line != 0 {
				m.cancel(e, e.openUnits(m.pots))
			} else if !m.shipped && e.charge != string(order.ReturnedCard) {
				m.cancel(e, 1)
			}
		}
	case order.Shipped:
		m.deliver(value)
	case order.ParcelResent:
		m.reopen(value)
	case order.Credited:
		fault = m.credit(value)
	case order.ChargeAdded:
		fault = m.addCharge(value)
	case order.ReturnReleased:
		m.giveBack(string(value.ReturnID))
	case order.DifferenceWrittenOff:
		if value.Amount.Currency == m.currency {
			m.writeOff(value.Amount.Amount)
		}
	}
	return fault
}

func firstOf(faults ...string) string {
	for _, fault := range faults {
		if fault != "" {
			return fault
		}
	}
	return ""
}

// openUnits are the units that were not delivered and not canceled.
func (e *earning) openUnits(pots bool) int64 {
	if pots {
		return e.open.left.units
	}
	return e.units - e.canceled - e.received.left.units
}

func (m *orderAmounts) cancel(e *earning, units int64) {
	if !m.pots {
		units = min(units, e.openUnits(false))
		worth := times(e.price, unit.Quantity(units))
		e.canceled += units
		e.exact, m.total = e.exact.Sub(worth), m.total.Sub(worth)
		return
	}
	taken := e.open.take(units)
	e.canceled += taken.units
	m.total = m.total.Sub(m.amount(taken.money))
}

// deliver moves the units of a parcel from open to received, and all charges with the first one.
func (m *orderAmounts) deliver(parcel order.Shipped) {
	for _, l := range parcel.Lines {
		e := m.lineOf(l.Line)
		switch {
		case e == nil:
			continue
		case !m.pots:
			e.received.left.units += int64(l.Quantity)
			continue
		}
		if s := e.open.take(int64(l.Quantity)); s.units > 0 || s.money != 0 {
			e.received.change(s, 1)
		}
		for _, charge := range m.earnings {
			if charge.line == 0 && charge.open.left.units > 0 {
				charge.received.change(charge.open.take(1), 1)
			}
		}
		m.shipped = true
	}
	m.shipped = m.shipped || len(parcel.Lines) > 0
}

// reopen moves the units of a parcel that are sent again from received to open. Charges stay.
func (m *orderAmounts) reopen(again order.ParcelResent) {
	for _, l := range again.Lines {
		e := m.lineOf(l.Line)
		switch {
		case e == nil:
		case !m.pots:
			e.received.left.units -= int64(l.Quantity)
		default:
			if s := e.received.take(int64(l.Quantity)); s.units > 0 || s.money != 0 {
				e.open.change(s, 1)
			}
		}
	}
}

// credit takes a credit off the pots, and compares what it says of each with what it takes.
func (m *orderAmounts) credit(c order.Credited) (fault string) {
	m.credits[string(c.ReturnID)] = append(m.credits[string(c.ReturnID)], c)
	owed := m.owed()
	if c.Amount.Sign() < 0 || c.Amount.Amount.GreaterThan(owed) {
		fault = fmt.Sprintf("credit %s: the amount is %s, but %s is owed", c.CreditID, c.Amount, unit.Money{Amount: owed, Currency: m.currency})
	}
	m.credited = m.credited.Add(c.Amount.Amount)
	if !m.pots {
		for _, l := range c.Lines {
			if e := m.lineOf(l.Line); e != nil {
				e.credited += int64(l.Quantity)
				e.exact = e.exact.Sub(l.Worth.Amount)
			}
		}
		return fault
	}
	if c.Cause == order.CreditForCharge {
		return firstOf(fault, m.creditCharge(c))
	}
	for _, part := range c.Parts {
		if part.Quantity == 0 {
			continue // a part of an amount that is split over all
		}
		e := m.lineOf(part.Line)
		if e == nil {
			fault = firstOf(fault, fmt.Sprintf("credit %s: the order has no line %d", c.CreditID, part.Line))
			continue
		}
		if c.Cause == order.CreditForParcel {
			e.undelivered += int64(part.Quantity)
		}
		worth := e.received.worth(int64(part.Quantity))
		whole := worth.money <= m.minor(part.Amount.Amount)
		if !whole { // a return that gives less than the units are worth: the rest stays
			worth = share{units: worth.units, money: m.minor(part.Amount.Amount)}.with(e.received)
		}
		fault = firstOf(fault, m.comparePart(c, part, worth))
		if whole {
			e.received.take(int64(part.Quantity))
		} else {
			e.received.change(worth, -1)
		}
	}
	return firstOf(fault, m.reduce(c))
}

// creditCharge takes a credit off one charge: first of what is received, then of what is open.
func (m *orderAmounts) creditCharge(c order.Credited) (fault string) {
	for _, part := range c.Parts {
		e := m.chargeOf(part.Charge)
		if e == nil {
			return fmt.Sprintf("credit %s: the order has no charge %d", c.CreditID, part.Charge)
		}
		pots := []*pool{&e.received, &e.open}
		var taken share
		for i, money := range split(min(m.minor(part.Amount.Amount), e.left().money), pots, e.left().money) {
			if s := (share{money: money}).with(*pots[i]); s.money != 0 {
				pots[i].change(s, -1)
				taken = taken.plus(s, 1)
			}
		}
		fault = firstOf(fault, m.comparePart(c, part, taken))
	}
	if len(c.Parts) != 1 {
		fault = firstOf(fault, fmt.Sprintf("credit %s: it has %d parts, want 1, of a charge", c.CreditID, len(c.Parts)))
	}
	return fault
}

func (m *orderAmounts) chargeOf(number int) *earning {
	for _, e := range m.earnings {
		if e.line == 0 && e.number == number && number != 0 {
			return e
		}
	}
	return nil
}

// comparePart compares a part of a credit with what it takes.
func (m *orderAmounts) comparePart(c order.Credited, part order.CreditPart, want share) string {
	of := fmt.Sprintf("credit %s, line %d", c.CreditID, part.Line)
	if part.Charge != 0 {
		of = fmt.Sprintf("credit %s, charge %d", c.CreditID, part.Charge)
	}
	if got := part.Amount.Amount; !got.Equal(m.amount(want.money)) {
		return fmt.Sprintf("%s: amount is %s, want %s", of, got, m.amount(want.money))
	}
	if int64(part.Quantity) != want.units {
		return fmt.Sprintf("%s: quantity is %d, want %d", of, part.Quantity, want.units)
	}
	for i := range max(len(part.Tax), len(want.tax)) {
		var got decimal.Decimal
		if i < len(part.Tax) {
			got = part.Tax[i].Amount
		}
		if !got.Equal(m.amount(want.taxAt(i))) {
			return fmt.Sprintf("%s: tax %d is %s, want %s", of, i+1, got, m.amount(want.taxAt(i)))
		}
	}
	return ""
}

// reduce takes an amount off all pots, in proportion to their money: of each line and charge first
// what is received, then what is open. The largest remainders get the units that are left over. The
// amount is the sum of the parts without units. A credit of an older program may have no parts.
func (m *orderAmounts) reduce(c order.Credited) (fault string) {
	var amount int64
	var parts []order.CreditPart
	for _, part := range c.Parts {
		if part.Quantity == 0 {
			amount += m.minor(part.Amount.Amount)
			parts = append(parts, part)
		}
	}
	if len(c.Parts) == 0 {
		amount = m.minor(c.Amount.Amount)
	}
	var pots []*pool
	var all int64
	for _, e := range m.earnings {
		pots = append(pots, &e.received, &e.open)
		all += e.left().money
	}
	shares := split(min(amount, all), pots, all)
	taken := make([]share, len(m.earnings))
	for i, p := range pots {
		s := share{money: shares[i]}.with(*p)
		if s.money != 0 {
			p.change(s, -1)
		}
		taken[i/2] = taken[i/2].plus(s, 1)
	}
	at := 0
	for i, e := range m.earnings {
		if taken[i].money == 0 || len(c.Parts) == 0 {
			continue
		}
		if c.Cause == order.CreditForReturn {
			e.ofNoLine += taken[i].money
		}
		if at >= len(parts) || parts[at].Line != e.line || parts[at].Charge != e.number {
			return firstOf(fault, fmt.Sprintf("credit %s: part %d is not of the line or charge that gives %s", c.CreditID, at+1, m.amount(taken[i].money)))
		}
		fault = firstOf(fault, m.comparePart(c, parts[at], taken[i]))
		at++
	}
	return fault
}

func split(amount int64, pots []*pool, all int64) []int64 {
	shares, rests := make([]int64, len(pots)), make([]decimal.Decimal, len(pots))
	if amount <= 0 || all <= 0 {
		return shares
	}
	left := amount
	for i, p := range pots {
		product := decimal.NewFromInt(amount).Mul(decimal.NewFromInt(p.left.money))
		whole, rest := product.QuoRem(decimal.NewFromInt(all), 0)
		shares[i], rests[i] = whole.IntPart(), rest
		left -= shares[i]
	}
	for ; left > 0; left-- {
		best := 0
		for i := range rests {
			if rests[i].GreaterThan(rests[best]) {
				best = i
			}
		}
		shares[best]++
		rests[best] = decimal.NewFromInt(-1)
	}
	return shares
}

// giveBack undoes the credits of a return that brings nothing back.
func (m *orderAmounts) giveBack(id string) {
	for _, c := range m.credits[id] {
		m.takeBackClawbacks(string(c.CreditID))
		m.credited = m.credited.Sub(c.Amount.Amount)
		for _, part := range c.Parts {
			e := m.lineOf(part.Line)
			if part.Line == 0 {
				e = m.chargeOf(part.Charge)
			}
			if e == nil || !m.pots {
				continue
			}
			s := share{units: int64(part.Quantity), money: m.minor(part.Amount.Amount)}
			for _, t := range part.Tax {
				s.tax = append(s.tax, m.minor(t.Amount))
			}
			if s.units == 0 {
				e.ofNoLine -= s.money
			}
			if s.units == 0 && e.received.left.empty() && !e.open.left.empty() {
				e.open.change(s, 1)
				continue
			}
			e.received.change(s, 1)
		}
		if !m.pots {
			for _, l := range c.Lines {
				if e := m.lineOf(l.Line); e != nil {
					e.credited -= int64(l.Quantity)
					e.exact = e.exact.Add(l.Worth.Amount)
				}
			}
		}
	}
	delete(m.credits, id)
}

// imply books the refund of a return for which an older program has recorded no credit: the order
// owes that much less.
func (m *orderAmounts) imply(id unit.ReturnID, refund decimal.Decimal) {
	if len(m.credits[string(id)]) > 0 {
		return
	}
	amount := decimal.Min(refund, m.owed())
	m.credited = m.credited.Add(amount)
	if m.pots {
		m.reduce(order.Credited{Amount: unit.Money{Amount: amount, Currency: m.currency}})
	}
}

// writeOff ends a difference: money that the shop does not get, or that it keeps.
func (m *orderAmounts) writeOff(balance decimal.Decimal) {
	if balance.Sign() > 0 {
		m.gain = m.gain.Add(balance)
		return
	}
	given := balance.Neg()
	owed := decimal.Min(given, m.owed().Sub(m.gain))
	m.writtenOff, m.given = m.writtenOff.Add(owed), m.given.Add(given.Sub(owed))
}

// compare compares the money with the order's own fold.
func (m *orderAmounts) compare(s order.State) string {
	for _, term := range []struct {
		name      string
		got, want decimal.Decimal
	}{
		{"total", s.Total.Amount, m.total},
		{"credited", s.Credited.Amount, m.credited},
		{"written off", s.WrittenOff.Amount, m.writtenOff},
		{"kept as gain", s.KeptAsGain.Amount, m.gain},
		{"owed", s.Owed().Amount, m.owed()},
	} {
		if !term.got.Equal(term.want) {
			return fmt.Sprintf("%s is %s, want %s", term.name, term.got, term.want)
		}
	}
	if !m.pots {
		return ""
	}
	for _, e := range m.earnings {
		left := e.left()
		if left.money < 0 || left.units < 0 || slices.ContainsFunc(left.tax, func(t int64) bool { return t < 0 }) {
			return fmt.Sprintf("%s: below zero is left: %d units, %s", e.name(), left.units, m.amount(left.money))
		}
	}
	var sum decimal.Decimal
	for _, e := range m.earnings {
		sum = sum.Add(m.amount(e.left().money))
	}
	if got := s.Left().Amount; !got.Equal(sum) {
		return fmt.Sprintf("what is left of all lines and charges is %s, want %s", got, sum)
	}
	return ""
}

func (e *earning) name() string {
	if e.line == 0 {
		return "charge " + e.charge
	}
	return fmt.Sprintf("line %d", e.line)
}

// moving are the transactions that moved money of the order's currency.
func moving(s order.State) (all []order.Transaction) {
	for _, t := range s.Transactions {
		moves := t.Type == order.Capture || t.Type == order.Reversal || t.Type == order.Refund || t.Type == order.Chargeback
		if moves && t.State == order.Succeeded && t.Amount.Currency == s.Currency() {
			all = append(all, t)
		}
	}
	return all
}
