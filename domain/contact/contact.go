// Package contact holds what a parcel and a letter need: addresses, e-mail addresses and phone
// numbers. It knows what such a text may look like, and what of it is personal data.
//
// It does not know whether an address exists, or whether an e-mail address was confirmed.
package contact

import (
	"fmt"
	"strings"
	"unicode"

	"daybook/domain/unit"
)

// Limits of an address.
const (
	MaxLines    = 4   // lines of an address
	MaxLine     = 100 // characters of a line, a name or a town
	MaxPostcode = 20  // characters
	MaxEmail    = 254 // characters
	MaxPhone    = 32  // characters
)

// Address is where goods or a bill go to. The country and the region are open, because taxes and
// postage depend on them. Everything else is personal data.
type Address struct {
	Name     string       `json:"name,omitempty" class:"personal"` // of the person who gets the parcel
	Company  string       `json:"company,omitempty" class:"personal"`
	Lines    []string     `json:"lines" class:"personal"` // the street with its number, and the like
	Postcode string       `json:"postcode,omitempty" class:"personal"`
	City     string       `json:"city,omitempty" class:"personal"`
	Region   string       `json:"region,omitempty" class:"open"` // the code of a state or province, such as CA
	Country  unit.Country `json:"country"`
	Phone    string       `json:"phone,omitempty" class:"personal"` // for the carrier
}

// Fault says what is wrong with a member, such as "lines/0".
type Fault struct{ Member, Text string }

// Name is the member without the number of a list's item.
func (f Fault) Name() string {
	name, _, _ := strings.Cut(f.Member, "/")
	return name
}

// Faults returns what is wrong with an address, in the order of its members.
func (a Address) Faults() []Fault {
	var found []Fault
	note := func(member, fault string) {
		if fault != "" {
			found = append(found, Fault{member, fault})
		}
	}
	note("name", unit.LineFault(a.Name, MaxLine))
	note("company", unit.LineFault(a.Company, MaxLine))
	switch {
	case len(a.Lines) == 0:
		note("lines", "an address has at least one line")
	case len(a.Lines) > MaxLines:
		note("lines", fmt.Sprintf("an address has at most %d lines", MaxLines))
	}
	for i, line := range a.Lines {
		at := fmt.Sprintf("lines/%d", i)
		if line == "" {
			note(at, "a line is empty")
		}
		note(at, unit.LineFault(line, MaxLine))
	}
	note("postcode", unit.LineFault(a.Postcode, MaxPostcode))
	note("city", unit.LineFault(a.City, MaxLine))
	note("region", RegionFault(a.Region))
	if !a.Country.Known() {
		note("country", "want a code of ISO 3166-1 with two letters, such as GB")
	}
	note("phone", PhoneFault(a.Phone))
	return found
}

// RegionFault says what is wrong with the code of a region, or returns "". A region is the second
// part of a code of ISO 3166-2, such as CA in US-CA. An empty text means that none is given.
func RegionFault(text string) string {
	if len(text) > 3 || strings.IndexFunc(text, func(r rune) bool { return !plain(r) || r >= 'a' && r <= 'z' }) >= 0 {
		return "want the code of a state or province: at most 3 capital letters and digits, such as CA"
	}
	return ""
}

func plain(r rune) bool { return r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

// EmailFault says what is wrong with the form of an e-mail address, or returns "". An empty text
// means that none is given. Whether mail arrives there is not known.
func EmailFault(text string) string {
	if fault := unit.LineFault(text, MaxEmail); fault != "" || text == "" {
		return fault
	}
	local, domain, one := strings.Cut(text, "@")
	odd := func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`@<>()[]\,;:"`, r) }
	switch {
	case !one || local == "" || len(local) > 64 || strings.IndexFunc(local, odd) >= 0,
		strings.IndexFunc(domain, odd) >= 0, !strings.Contains(domain, "."), strings.HasPrefix(domain, "."), strings.HasSuffix(domain, "."), strings.Contains(domain, ".."):
		return "want an e-mail address such as ann@shop.example"
	}
	return ""
}

// FoldEmail is an e-mail address in the form in which two addresses are compared: upper and lower
// case are the same.
func FoldEmail(text string) string { return strings.ToLower(strings.TrimSpace(text)) }

// PhoneFault says what is wrong with a phone number, or returns "". An empty text means that none
// is given.
func PhoneFault(text string) string {
	if text == "" {
		return ""
	}
	digits := 0
	for i, r := range text {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r == '+' && i == 0, strings.ContainsRune(" -()./", r):
		default:
			digits = -len(text) // never enough
		}
	}
	if digits < 3 || len(text) > MaxPhone {
		return fmt.Sprintf("want a phone number such as +44 20 7946 0000, with at most %d characters", MaxPhone)
	}
	return ""
}

// LocaleFault says what is wrong with the name of a language and its region, or returns "". An
// empty text means that none is given.
func LocaleFault(text string) string {
	if text == "" {
		return ""
	}
	const want = "want a language such as en or de-AT"
	if len(text) > 35 {
		return want
	}
	for i, part := range strings.Split(text, "-") {
		letters := strings.IndexFunc(part, func(r rune) bool { return !plain(r) || i == 0 && unicode.IsDigit(r) }) < 0
		if !letters || part == "" || len(part) > 8 || i == 0 && (len(part) < 2 || len(part) > 3) {
			return want
		}
	}
	return ""
}
