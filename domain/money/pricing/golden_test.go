package pricing_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"daybook/domain/money/pricing"
	"daybook/domain/money/pricingtest"
	"daybook/domain/money/shares"
	"daybook/domain/unit"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC) // a Monday

var (
	percent    = pricingtest.Percent
	money      = pricingtest.Money
	items      = pricingtest.Items
	seller     = pricingtest.Seller
	off        = pricingtest.Off
	flat       = pricingtest.Flat
	percentOff = pricingtest.PercentOff
	fixedOff   = pricingtest.FixedOff
	freeAbove  = pricingtest.FreeAbove
	examples   = pricingtest.Examples
)

// Every example is right line by line and cent by cent, with every step after it.
func TestTheExamplesAreRightToTheCent(t *testing.T) {
	t.Parallel()
	for _, e := range examples() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			quote, err := pricing.Compile(e.Book).Price(e.Cart, noon)
			if err != nil {
				t.Fatal(err)
			}
			if err := quote.Check(); err != nil {
				t.Error(err)
			}
			l := newLedger(quote)
			if got := l.text(); !slices.Equal(got, e.Lines) {
				t.Errorf("lines\n got %q\nwant %q", got, e.Lines)
			}
			if got := totalsText(quote); got != e.Totals {
				t.Errorf("totals\n got %s\nwant %s", got, e.Totals)
			}
			for _, step := range e.Then {
				if got := l.do(step); got != step {
					t.Errorf("step\n got %s\nwant %s", got, step)
				}
			}
		})
	}
}

// In whatever order the steps come, as far as they can, the same is left of each line and of each
// component of its tax.
func TestTheExamplesEndTheSameInEveryOrder(t *testing.T) {
	t.Parallel()
	for _, e := range examples() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			quote, err := pricing.Compile(e.Book).Price(e.Cart, noon)
			if err != nil {
				t.Fatal(err)
			}
			end := newLedger(quote)
			for _, step := range e.Then {
				end.do(step)
			}
			want := end.left()
			orders := 0
			var walk func(l *ledger, rest []string)
			walk = func(l *ledger, rest []string) {
				if len(rest) == 0 {
					orders++
					if got := l.left(); got != want {
						t.Errorf("left %s, want %s, after %q", got, want, l.done)
					}
					return
				}
				tried := map[string]bool{}
				for i, step := range rest {
					command, _, _ := strings.Cut(step, ":")
					if tried[command] || !l.possible(command) {
						continue
					}
					tried[command] = true
					next := l.clone()
					next.do(step)
					walk(next, slices.Concat(rest[:i], rest[i+1:]))
				}
			}
			walk(newLedger(quote), e.Then)
			if orders < 1 {
				t.Error("no order of the steps is possible")
			}
		})
	}
}

// ledger carries out steps on the accounts of a quote.
type ledger struct {
	quote    pricing.Quote
	names    []string
	priced   []pricing.Priced
	accounts []shares.Account
	charge   []bool
	done     []string
}

func newLedger(q pricing.Quote) *ledger {
	l := &ledger{quote: q}
	count := map[unit.SKU]int{}
	for _, line := range q.Lines {
		count[line.SKU]++
	}
	for _, line := range q.Lines {
		name := string(line.SKU)
		if count[line.SKU] > 1 {
			name += strconv.Itoa(line.Line)
		}
		l.add(name, int64(line.Quantity), line.Priced, false)
	}
	for _, c := range q.Charges {
		l.add(c.Method, 1, c.Priced, true)
	}
	return l
}

func (l *ledger) add(name string, units int64, p pricing.Priced, charge bool) {
	part := shares.Part{Units: units}
	part.Money, _ = p.Gross.Minor()
	for _, t := range p.Tax {
		tax, _ := t.Amount.Minor()
		part.Tax = append(part.Tax, tax)
	}
	l.names, l.priced, l.charge = append(l.names, name), append(l.priced, p), append(l.charge, charge)
	l.accounts = append(l.accounts, shares.NewAccount(part))
}

func (l *ledger) clone() *ledger {
	other := *l
	other.accounts = make([]shares.Account, len(l.accounts))
	for i, a := range l.accounts {
		other.accounts[i] = a.Clone()
	}
	other.done = slices.Clone(l.done)
	return &other
}

func (l *ledger) find(name string) *shares.Account { return &l.accounts[slices.Index(l.names, name)] }

// possible tells whether the units of a step are where it takes them from.
func (l *ledger) possible(command string) bool {
	f := strings.Fields(command)
	if len(f) < 3 {
		return true
	}
	n, _ := strconv.ParseInt(f[2], 10, 64)
	a := l.find(f[1])
	switch f[0] {
	case "return":
		return a.Delivered.Left.Units >= n
	case "cancel", "ship":
		return a.Open.Left.Units >= n
	}
	return true
}

func (l *ledger) owed() int64 {
	var sum int64
	for _, a := range l.accounts {
		sum += a.Money()
	}
	return sum
}

func (l *ledger) shipCharges() {
	for i := range l.accounts {
		if l.charge[i] {
			l.accounts[i].Deliver(1)
		}
	}
}

// do carries out the command of a step, and says what came of it in the words of the examples.
func (l *ledger) do(step string) string {
	command, _, _ := strings.Cut(step, ":")
	l.done = append(l.done, command)
	f := strings.Fields(command)
	if command == "ship" {
		for i := range l.accounts {
			l.accounts[i].Deliver(l.accounts[i].Open.Left.Units)
		}
		return command
	}
	if f[0] == "reduce" {
		return command + ": " + l.reduce(f[1])
	}
	n, _ := strconv.ParseInt(f[2], 10, 64)
	i := slices.Index(l.names, f[1])
	a := &l.accounts[i]
	var part shares.Part
	switch f[0] {
	case "cancel":
		part = a.Open.Take(n)
	case "return":
		part = a.Delivered.Take(n)
	case "ship":
		l.shipCharges()
		part = a.Deliver(n)
		return command + ": " + l.part(part, i)
	case "credit":
		part = a.Delivered.Take(n)
		if part.Units < n {
			part = part.Plus(a.Open.Take(n - part.Units))
		}
	}
	return command + ": " + l.part(part, i) + " -> " + l.amount(l.owed())
}

func (l *ledger) reduce(amount string) string {
	minor, _ := money(amount, l.quote.Currency).Minor()
	accounts := make([]*shares.Account, len(l.accounts))
	for i := range l.accounts {
		accounts[i] = &l.accounts[i]
	}
	taxes := map[string]int64{}
	var names, each []string
	for i, part := range shares.Reduce(accounts, minor) {
		each = append(each, l.names[i]+" "+l.amount(part.Money))
		for j, t := range l.priced[i].Tax {
			if taxes[t.Component] == 0 {
				names = append(names, t.Component)
			}
			if j < len(part.Tax) {
				taxes[t.Component] += part.Tax[j]
			}
		}
	}
	names = slices.Compact(names)
	sums := make([]string, 0, len(names))
	for _, name := range names {
		if sum := l.amount(taxes[name]) + " " + name; !slices.Contains(sums, sum) {
			sums = append(sums, sum)
		}
	}
	return fmt.Sprintf("%s (%s) [%s] -> %s", amount, strings.Join(sums, " + "), strings.Join(each, ", "), l.amount(l.owed()))
}

func (l *ledger) amount(minor int64) string {
	m := unit.OfMinor(minor, l.quote.Currency)
	return m.Currency.Text(m.Amount)
}

func (l *ledger) part(p shares.Part, i int) string {
	text := l.amount(p.Money)
	var taxes []string
	for j, tax := range p.Tax {
		taxes = append(taxes, l.amount(tax)+" "+l.priced[i].Tax[j].Component)
	}
	if p.TaxSum() == 0 {
		return text
	}
	return text + " (" + strings.Join(taxes, " + ") + ")"
}

func (l *ledger) left() string {
	var all []string
	for i, a := range l.accounts {
		part := a.Left()
		all = append(all, fmt.Sprintf("%s %d units %s", l.names[i], part.Units, l.part(part, i)))
	}
	return strings.Join(all, "; ")
}

func text(m unit.Money) string { return m.Currency.Text(m.Amount) }

func taxText(tax []string) string {
	if len(tax) == 0 {
		return ""
	}
	return ", tax " + strings.Join(tax, " + ")
}

// text writes the lines and charges in the words of the examples.
func (l *ledger) text() []string {
	all := make([]string, 0, len(l.names))
	for i, p := range l.priced {
		line := l.names[i] + " " + text(p.List)
		for _, a := range p.Adjustments {
			line += " - " + text(a.Amount) + " " + cmp.Or(a.Promotion, a.Title)
		}
		if len(p.Adjustments) > 0 {
			line += " = " + text(p.Amount)
		}
		if l.quote.Mode == pricing.Inclusive && p.Gross.Compare(p.Amount) < 0 {
			line += ", net " + text(p.Net)
		}
		var tax []string
		for _, t := range p.Tax {
			tax = append(tax, text(t.Amount)+" "+t.Component)
		}
		all = append(all, line+taxText(tax))
	}
	return all
}

func totalsText(q pricing.Quote) string {
	var tax []string
	for _, t := range q.Taxes {
		tax = append(tax, text(t.Amount)+" "+t.Component)
	}
	return "net " + text(q.Net) + taxText(tax) + ", total " + text(q.Total)
}
