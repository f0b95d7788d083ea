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
	"daybook/domain/money/shares"
	"daybook/domain/unit"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC) // a Monday

// example is one row of the examples of docs/money.md.
type example struct {
	name   string
	book   pricing.Book
	cart   pricing.Cart
	lines  []string // lines and charges
	totals string
	then   []string // steps, each with what it takes off and what is owed afterwards
}

func percent(text string) unit.Percent {
	p, err := unit.ParsePercent(text)
	if err != nil {
		panic(err)
	}
	return p
}

func money(amount string, currency unit.Currency) unit.Money {
	m, err := unit.ParseMoney(amount, string(currency))
	if err != nil {
		panic(err)
	}
	return m
}

// item is a line: "A 3 9.99 standard".
func items(currency unit.Currency, texts ...string) []pricing.Item {
	lines := make([]pricing.Item, len(texts))
	for i, text := range texts {
		f := strings.Fields(text)
		q, _ := strconv.ParseInt(f[1], 10, 64)
		price := money(f[2], currency)
		lines[i] = pricing.Item{
			Number: i + 1, SKU: unit.SKU(f[0]), Quantity: unit.Quantity(q), Catalogue: &price, Kind: unit.Stocked,
			TaxClass: strings.Join(f[3:], " "),
		}
	}
	return lines
}

// seller is an entity with rates by class: "standard NL VAT 21".
func seller(mode pricing.Mode, rows ...string) []pricing.LegalEntity {
	e := pricing.LegalEntity{ID: "shop", Version: 1, Mode: mode, DefaultClass: "standard", Home: pricing.Zone{Country: "DE"}}
	for _, text := range rows {
		f := strings.Fields(text)
		row := pricing.TaxRow{Class: f[0], Component: f[1], Rate: percent(f[2])}
		if row.Rate.IsZero() {
			row.Treatment = pricing.ZeroRate
		}
		e.Rows = append(e.Rows, row)
	}
	return []pricing.LegalEntity{e}
}

func off(id string, class pricing.Class, action pricing.Action) pricing.Promotion {
	return pricing.Promotion{ID: id, Version: 1, Kind: pricing.Automatic, Class: class, Action: action, Active: true}
}

func flat(currency unit.Currency, price, class string, mode pricing.Mode) []pricing.ShippingMethod {
	return []pricing.ShippingMethod{{
		ID: "S", Version: 1, Mode: mode, TaxClass: class, Active: true,
		Rates: []pricing.RateTable{{Currency: currency, Basis: pricing.Flat, Steps: []pricing.Step{{Price: money(price, currency)}}}},
	}}
}

func percentOff(p string) pricing.Action {
	return pricing.Action{Type: pricing.PercentOff, Percent: percent(p)}
}

func fixedOff(amount string, currency unit.Currency) pricing.Action {
	return pricing.Action{Type: pricing.FixedOff, Amounts: []unit.Money{money(amount, currency)}}
}

func examples() []example {
	incl, excl := pricing.Inclusive, pricing.Exclusive
	order, item := pricing.OrderClass, pricing.ItemClass
	return []example{
		{
			name: "1", book: pricing.Book{Entities: seller(incl, "standard V21 21")},
			cart:   pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 3 9.99")},
			lines:  []string{"A 29.97, tax 5.20 V21"},
			totals: "net 24.77, tax 5.20 V21, total 29.97",
			then: []string{
				"cancel A 1: 9.99 (1.73 V21) -> 19.98", "ship", "return A 1: 9.99 (1.74 V21) -> 9.99", "return A 1: 9.99 (1.73 V21) -> 0.00",
			},
		},
		{
			name: "2", book: pricing.Book{Entities: seller(incl, "standard V21 21"), Promotions: []pricing.Promotion{{
				ID: "TEN", Version: 1, Kind: pricing.Coupon, Class: order, Action: fixedOff("10", "EUR"), Active: true, Codes: []string{"TEN"},
			}}},
			cart:   pricing.Cart{Currency: "EUR", Codes: []string{"TEN"}, Lines: items("EUR", "A 1 19.99", "B 2 5.00", "C 1 33.33")},
			lines:  []string{"A 19.99 - 3.16 TEN = 16.83, tax 2.92 V21", "B 10.00 - 1.58 TEN = 8.42, tax 1.46 V21", "C 33.33 - 5.26 TEN = 28.07, tax 4.87 V21"},
			totals: "net 44.07, tax 9.25 V21, total 53.32",
			then: []string{
				"ship", "return B 1: 4.21 (0.73 V21) -> 49.11", "return A 1: 16.83 (2.92 V21) -> 32.28",
				"return C 1: 28.07 (4.87 V21) -> 4.21", "return B 1: 4.21 (0.73 V21) -> 0.00",
			},
		},
		{
			name: "3a", cart: pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 3 0.335")},
			lines: []string{"A 1.01"}, totals: "net 1.01, total 1.01",
			then: []string{"ship", "return A 1: 0.34 -> 0.67", "return A 1: 0.33 -> 0.34", "return A 1: 0.34 -> 0.00"},
		},
		{
			name: "3b", cart: pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 3 0.334")},
			lines: []string{"A 1.00"}, totals: "net 1.00, total 1.00",
			then: []string{"ship", "return A 1: 0.33 -> 0.67", "return A 1: 0.34 -> 0.33", "return A 1: 0.33 -> 0.00"},
		},
		{
			name: "3c", cart: pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 9 13.9563")},
			lines: []string{"A 125.61"}, totals: "net 125.61, total 125.61",
			then: []string{
				"ship", "return A 1: 13.96 -> 111.65", "return A 1: 13.95 -> 97.70", "return A 1: 13.96 -> 83.74", "return A 1: 13.96 -> 69.78",
				"return A 1: 13.95 -> 55.83", "return A 1: 13.96 -> 41.87", "return A 1: 13.96 -> 27.91", "return A 1: 13.95 -> 13.96", "return A 1: 13.96 -> 0.00",
			},
		},
		{
			name: "4", book: pricing.Book{
				Entities: seller(excl, "standard GST 5", "standard QST 9.975", "basic GST 0"),
				Methods:  flat("CAD", "9.95", "standard", excl),
			},
			cart:   pricing.Cart{Currency: "CAD", Method: "S", Lines: items("CAD", "A 3 19.99", "B 1 4.50 basic")},
			lines:  []string{"A 59.97, tax 3.00 GST + 5.98 QST", "B 4.50, tax 0.00 GST", "S 9.95, tax 0.50 GST + 0.99 QST"},
			totals: "net 74.42, tax 3.50 GST + 6.97 QST + 0.00 GST, total 84.89",
			then: []string{
				"ship", "return A 1: 22.98 (1.00 GST + 1.99 QST) -> 61.91", "return A 2: 45.97 (2.00 GST + 3.99 QST) -> 15.94",
				"credit S 1: 11.44 (0.50 GST + 0.99 QST) -> 4.50",
			},
		},
		{
			name: "5", book: pricing.Book{
				Entities: seller(incl, "standard V19 19", "books V7 7"), Methods: flat("EUR", "4.95", "", incl),
				Promotions: []pricing.Promotion{{
					ID: "10%", Version: 1, Kind: pricing.Coupon, Class: order, Action: percentOff("10"), Active: true, Codes: []string{"TEN"},
				}},
			},
			cart:   pricing.Cart{Currency: "EUR", Method: "S", Codes: []string{"TEN"}, Lines: items("EUR", "BOOK 2 24.90 books", "LAMP 1 39.95")},
			lines:  []string{"BOOK 49.80 - 4.98 10% = 44.82, tax 2.93 V7", "LAMP 39.95 - 4.00 10% = 35.95, tax 5.74 V19", "S 4.95, tax 0.18 V7 + 0.35 V19"},
			totals: "net 76.52, tax 3.11 V7 + 6.09 V19, total 85.72",
			then: []string{
				"ship", "return BOOK 1: 22.41 (1.47 V7) -> 63.31", "return LAMP 1: 35.95 (5.74 V19) -> 27.36",
				"return BOOK 1: 22.41 (1.46 V7) -> 4.95", "credit S 1: 4.95 (0.18 V7 + 0.35 V19) -> 0.00",
			},
		},
		{
			name: "6a", book: pricing.Book{Entities: seller(incl, "standard V20 20"), Promotions: []pricing.Promotion{off("20%", order, percentOff("20"))}},
			cart:   pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 1 150.00", "B 1 60.00")},
			lines:  []string{"A 150.00 - 30.00 20% = 120.00, tax 20.00 V20", "B 60.00 - 12.00 20% = 48.00, tax 8.00 V20"},
			totals: "net 140.00, tax 28.00 V20, total 168.00",
			then:   []string{"ship", "return A 1: 120.00 (20.00 V20) -> 48.00", "return B 1: 48.00 (8.00 V20) -> 0.00"},
		},
		{
			name: "6b", book: pricing.Book{Promotions: []pricing.Promotion{off("off", order, fixedOff("15", "EUR"))}, Methods: flat("EUR", "4.00", "", incl)},
			cart:  pricing.Cart{Currency: "EUR", Method: "S", Lines: items("EUR", "A 2 10.00")},
			lines: []string{"A 20.00 - 15.00 off = 5.00", "S 4.00"}, totals: "net 9.00, total 9.00",
			then: []string{"cancel A 1: 2.50 -> 6.50", "cancel A 1: 2.50 -> 4.00", "credit S 1: 4.00 -> 0.00"},
		},
		{
			name: "7", book: pricing.Book{
				Entities: seller(incl, "standard V21 21"), Methods: freeAbove(flat("EUR", "5.95", "standard", incl), "90"),
				Lists: []pricing.PriceList{
					{ID: "base", Version: 1, Kind: pricing.Regular, Currency: "EUR", Mode: incl, Active: true, Prices: map[unit.SKU][]pricing.Tier{
						"A": {{From: 1, Price: money("12.00", "EUR")}, {From: 10, Price: money("10.50", "EUR")}},
					}},
					{ID: "trade", Version: 1, Kind: pricing.Regular, Currency: "EUR", Mode: incl, Active: true, Groups: []string{"trade"}, Prices: map[unit.SKU][]pricing.Tier{
						"A": {{From: 1, Price: money("9.80", "EUR")}},
					}},
				},
				Promotions: []pricing.Promotion{
					off("15%", item, pricing.Action{Type: pricing.PercentOff, Percent: percent("15"), Target: pricing.Target{SKUs: []unit.SKU{"A"}}}),
					{ID: "code", Version: 1, Kind: pricing.Coupon, Class: order, Action: fixedOff("20", "EUR"), Active: true, Codes: []string{"TWENTY"}},
				},
			},
			cart:   pricing.Cart{Currency: "EUR", Method: "S", Codes: []string{"TWENTY"}, Lines: items("EUR", "A 7 12.00", "A 5 12.00")},
			lines:  []string{"A1 73.50 - 11.03 15% - 11.67 code = 50.80, tax 8.82 V21", "A2 52.50 - 7.88 15% - 8.33 code = 36.29, tax 6.30 V21", "S 5.95, tax 1.03 V21"},
			totals: "net 76.89, tax 16.15 V21, total 93.04",
			then: []string{
				"cancel A2 2: 14.52 (2.52 V21) -> 78.52", "ship", "return A1 3: 21.77 (3.78 V21) -> 56.75",
				"return A1 4: 29.03 (5.04 V21) -> 27.72", "return A2 3: 21.77 (3.78 V21) -> 5.95",
			},
		},
		{
			name: "8", book: pricing.Book{
				Entities:   seller(incl, "standard V21 21", "food V9 9"),
				Promotions: []pricing.Promotion{off("B2G1", item, pricing.Action{Type: pricing.BuyXGetY, Buy: 2, Get: 1})},
			},
			cart:   pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 2 30.00", "B 1 12.00 food")},
			lines:  []string{"A 60.00 - 10.00 B2G1 = 50.00, tax 8.68 V21", "B 12.00 - 2.00 B2G1 = 10.00, tax 0.83 V9"},
			totals: "net 50.49, tax 8.68 V21 + 0.83 V9, total 60.00",
			then: []string{
				"ship", "return B 1: 10.00 (0.83 V9) -> 50.00", "return A 1: 25.00 (4.34 V21) -> 25.00", "return A 1: 25.00 (4.34 V21) -> 0.00",
			},
		},
		{
			name: "9", book: pricing.Book{Entities: seller(incl, "standard J10 10", "food J8 8"), Promotions: []pricing.Promotion{off("5%", order, percentOff("5"))}},
			cart:   pricing.Cart{Currency: "JPY", Lines: items("JPY", "CUP 3 1980", "TEA 2 745 food")},
			lines:  []string{"CUP 5940 - 297 5% = 5643, tax 513 J10", "TEA 1490 - 75 5% = 1415, tax 105 J8"},
			totals: "net 6440, tax 513 J10 + 105 J8, total 7058",
			then: []string{
				"ship CUP 3: 5643 (513 J10)", "cancel TEA 1: 708 (53 J8) -> 6350", "ship TEA 1: 707 (52 J8)",
				"return CUP 1: 1881 (171 J10) -> 4469", "return CUP 2: 3762 (342 J10) -> 707", "return TEA 1: 707 (52 J8) -> 0",
			},
		},
		{
			name: "10", book: pricing.Book{Entities: seller(excl, "standard B10 10"), Promotions: []pricing.Promotion{off("12.5%", item, percentOff("12.5"))}},
			cart:   pricing.Cart{Currency: "BHD", Lines: items("BHD", "A 7 1.2345")},
			lines:  []string{"A 8.642 - 1.080 12.5% = 7.562, tax 0.756 B10"},
			totals: "net 7.562, tax 0.756 B10, total 8.318",
			then: []string{
				"ship", "return A 3: 3.565 (0.324 B10) -> 4.753", "return A 3: 3.565 (0.324 B10) -> 1.188", "return A 1: 1.188 (0.108 B10) -> 0.000",
			},
		},
		{
			name: "11", book: pricing.Book{Entities: seller(excl, "standard V19 19"), Promotions: []pricing.Promotion{off("2.00", order, fixedOff("2", "EUR"))}},
			cart:   pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 10 3.335")},
			lines:  []string{"A 33.35 - 2.00 2.00 = 31.35, tax 5.96 V19"},
			totals: "net 31.35, tax 5.96 V19, total 37.31",
			then: []string{
				"ship A 4: 14.92 (2.38 V19)", "cancel A 1: 3.74 (0.60 V19) -> 33.57", "return A 2: 7.46 (1.19 V19) -> 26.11",
				"ship A 5: 18.65 (2.98 V19)", "return A 3: 11.19 (1.79 V19) -> 14.92", "return A 4: 14.92 (2.38 V19) -> 0.00",
			},
		},
		{
			name: "12", book: pricing.Book{Entities: seller(incl, "standard V19 19", "books V7 7"), Methods: flat("EUR", "4.90", "standard", incl)},
			cart:   pricing.Cart{Currency: "EUR", Method: "S", Lines: items("EUR", "A 2 20.00", "B 1 15.00 books")},
			lines:  []string{"A 40.00, tax 6.39 V19", "B 15.00, tax 0.98 V7", "S 4.90, tax 0.78 V19"},
			totals: "net 51.75, tax 7.17 V19 + 0.98 V7, total 59.90",
			then: []string{
				"ship", "reduce 5.00: 5.00 (0.60 V19 + 0.08 V7) [A 3.34, B 1.25, S 0.41] -> 54.90", "return A 1: 18.33 (2.93 V19) -> 36.57",
				"return B 1: 13.75 (0.90 V7) -> 22.82", "return A 1: 18.33 (2.93 V19) -> 4.49", "credit S 1: 4.49 (0.71 V19) -> 0.00",
			},
		},
		{
			name: "13", book: pricing.Book{Entities: seller(incl, "standard V19 19")},
			cart: pricing.Cart{
				Currency: "EUR", ShipTo: pricing.Zone{Country: "NL"}, Lines: items("EUR", "A 1 119.00", "B 3 9.99"),
				Status: pricing.TaxStatus{Kind: pricing.Business, TaxID: "NL123456789B01", Proof: "vies-1"},
			},
			lines:  []string{"A 119.00, net 100.00, tax 0.00 V19", "B 29.97, net 25.18, tax 0.00 V19"},
			totals: "net 125.18, tax 0.00 V19, total 125.18",
			then:   []string{"ship", "return B 1: 8.39 -> 116.79", "return B 2: 16.79 -> 100.00"},
		},
	}
}

func freeAbove(methods []pricing.ShippingMethod, amount string) []pricing.ShippingMethod {
	m := money(amount, methods[0].Rates[0].Currency)
	methods[0].Rates[0].FreeAbove = &m
	return methods
}

// Every example is right line by line and cent by cent, with every step after it.
func TestTheExamplesAreRightToTheCent(t *testing.T) {
	t.Parallel()
	for _, e := range examples() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			quote, err := pricing.Compile(e.book).Price(e.cart, noon)
			if err != nil {
				t.Fatal(err)
			}
			if err := quote.Check(); err != nil {
				t.Error(err)
			}
			l := newLedger(quote)
			if got := l.text(); !slices.Equal(got, e.lines) {
				t.Errorf("lines\n got %q\nwant %q", got, e.lines)
			}
			if got := totalsText(quote); got != e.totals {
				t.Errorf("totals\n got %s\nwant %s", got, e.totals)
			}
			for _, step := range e.then {
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
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			quote, err := pricing.Compile(e.book).Price(e.cart, noon)
			if err != nil {
				t.Fatal(err)
			}
			end := newLedger(quote)
			for _, step := range e.then {
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
			walk(newLedger(quote), e.then)
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
