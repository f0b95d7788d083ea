// Package faults collects what is wrong with a definition of money, such as a price list or a
// shipping method. Each fault says where it is and what is wrong, so that whoever sent a definition
// can mend all faults at once. The package does not know which definitions there are.
package faults

import (
	"fmt"
	"strconv"

	"daybook/domain/access"
	"daybook/domain/customer"
	"daybook/domain/money/pricing"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// MaxNames is how many channels, groups, customers or countries a definition may name, each.
const MaxNames = 200

// Fault is one thing that is wrong.
type Fault struct {
	Path string // a JSON pointer into the definition, such as "/rates/0/steps/1/price"
	What string // "the price is below zero"
}

// List collects faults. The zero List has none.
type List []Fault

// Add adds a fault.
func (l *List) Add(path, what string, args ...any) {
	*l = append(*l, Fault{path, fmt.Sprintf(what, args...)})
}

// If adds a fault if it is true that something is wrong.
func (l *List) If(wrong bool, path, what string, args ...any) {
	if wrong {
		l.Add(path, what, args...)
	}
}

// Refusal is the refusal of a definition with these faults. It names the first one, and says how
// many there are. It is nil if there are none.
func (l List) Refusal(as *rule.Rejection) error {
	switch len(l) {
	case 0:
		return nil
	case 1:
		return as.With(l[0].Path+": "+l[0].What+".", map[string]any{"field": l[0].Path})
	}
	return as.With(fmt.Sprintf("%s: %s. There are %d more faults.", l[0].Path, l[0].What, len(l)-1), map[string]any{"field": l[0].Path})
}

// OfReason refuses the reason for which a definition ends, if it cannot be recorded. It may be
// empty.
func OfReason(reason string, as *rule.Rejection) error {
	var found List
	if fault := unit.TextFault(reason, unit.MaxNote); fault != "" {
		found.Add("/reason", "%s", fault)
	}
	return found.Refusal(as)
}

// At is the path of an element of a list.
func At(list string, i int) string { return list + "/" + strconv.Itoa(i) }

// Line checks a text of one line. required: it must not be empty.
func (l *List) Line(path, text string, most int, required bool) {
	if fault := unit.LineFault(text, most); fault != "" {
		l.Add(path, "%s", fault)
	} else if text == "" && required {
		l.Add(path, "it is missing")
	}
}

// Code checks the name of a thing in the form that ids have. An empty one is not checked.
func (l *List) Code(path, text string) {
	if text == "" {
		return
	}
	if _, err := unit.ParseCode(text); err != nil {
		l.Add(path, "%s", err)
	}
}

// Codes checks a list of names in the form that ids have. No name may occur twice.
func (l *List) Codes(path string, names []string) {
	l.names(path, names, func(name string) error { _, err := unit.ParseCode(name); return err })
}

// Channels checks the names of channels.
func (l *List) Channels(path string, names []string) {
	l.names(path, names, func(name string) error { _, err := access.ParseChannel(name); return err })
}

// Groups checks the names of groups of customers.
func (l *List) Groups(path string, names []string) {
	l.names(path, names, func(name string) error { _, err := customer.ParseGroup(name); return err })
}

// Countries checks codes of countries.
func (l *List) Countries(path string, codes []string) {
	l.names(path, codes, knownCountry)
}

func knownCountry(code string) error {
	if !unit.Country(code).Known() {
		return fmt.Errorf("country %q: want a code of ISO 3166-1 in capital letters, such as GB", code)
	}
	return nil
}

// Customers checks ids of customers.
func (l *List) Customers(path string, ids []unit.CustomerID) {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	l.names(path, names, func(id string) error { _, err := unit.ParseCustomerID(id); return err })
}

func (l *List) names(path string, names []string, check func(string) error) {
	l.If(len(names) > MaxNames, path, "there are %d, and at most %d are allowed", len(names), MaxNames)
	seen := make(map[string]bool, len(names))
	for i, name := range names {
		if err := check(name); err != nil {
			l.Add(At(path, i), "%s", err)
		}
		l.If(seen[name], At(path, i), "%q is named twice", name)
		seen[name] = true
	}
}

// Mode checks a price mode.
func (l *List) Mode(path string, mode pricing.Mode) {
	l.If(mode != pricing.Inclusive && mode != pricing.Exclusive, path, "want incl or excl")
}

// Currency checks the code of a currency. It tells whether the currency is known.
func (l *List) Currency(path string, code unit.Currency) bool {
	if _, err := unit.ParseCurrency(string(code)); err != nil {
		l.Add(path, "%s", err)
		return false
	}
	return true
}

// Price checks an amount of money that is not below zero. It may be finer than the currency.
func (l *List) Price(path string, price unit.Money, currency unit.Currency) {
	l.If(price.Currency != currency, path, "its currency is %q, and not %q", price.Currency, currency)
	l.If(price.Sign() < 0, path, "the price is below zero")
	l.If(!price.WithinLimit() || price.Amount.Exponent() < -6, path, "want at most 18 digits before the point and 6 after it")
}

// Window checks that a span of time does not end before it begins. Its bounds are whole
// microseconds, because the log keeps no more.
func (l *List) Window(path string, w pricing.Window) {
	l.If(!w.From.IsZero() && !w.Until.IsZero() && !w.From.Before(w.Until), path+"/until", "the end is not after the beginning")
}

// Zone checks a set of places. Region and postcode are patterns: capital letters, digits, blanks
// and hyphens, and at the end an asterisk if more may follow.
func (l *List) Zone(path string, z pricing.Zone) {
	if z.Country != "" {
		if err := knownCountry(z.Country); err != nil {
			l.Add(path+"/country", "%s", err)
		}
	}
	l.If(z.Country == "" && (z.Region != "" || z.Postcode != ""), path+"/country", "a region or postcode needs a country")
	l.pattern(path+"/region", z.Region)
	l.pattern(path+"/postcode", z.Postcode)
}

const maxPattern = 16

func (l *List) pattern(path, text string) {
	if text == "" {
		return
	}
	for i := range len(text) {
		c := text[i]
		good := c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || (c == ' ' || c == '-') && i > 0 || c == '*' && i == len(text)-1 && i > 0
		if !good || len(text) > maxPattern {
			l.Add(path, "want 1 to %d capital letters, digits, blanks and hyphens, and an asterisk at the end if more may follow", maxPattern)
			return
		}
	}
}
