package pricing

import (
	"strings"
	"time"

	"daybook/domain/unit"
)

// buyer works out what the tax status of the buyer does. A claim that nobody has checked does
// nothing: tax is charged.
func (p *pricing) buyer() {
	if !p.cart.Status.Given() || p.cart.Status.Kind == Consumer {
		return
	}
	p.untaxed, p.statusUsed = p.cart.Status.treatment(p.entity.Home.Country, p.place.Country, p.at)
	p.consider("tax", string(p.cart.Status.Kind), 0, p.untaxed != "", p.statusUsed)
}

// treatment is that of a buyer who owes no tax to a shop of a country, or "", and the reason.
func (s TaxStatus) treatment(home, place string, at time.Time) (_ Treatment, why string) {
	switch {
	case s.CheckedAt.IsZero():
		return "", "unchecked"
	case !s.Until.IsZero() && !at.Before(s.Until):
		return "", "certificate-expired"
	case s.Kind == ExemptBuyer:
		return Exempt, "exempt"
	case s.Kind != Business:
		return "", "consumer"
	case !member(home) || !member(s.Country) || !member(place):
		return "", "outside-the-union"
	case s.Country == home:
		return "", "id-of-home"
	case place == home:
		return "", "goods-stay-home"
	}
	return ReverseCharge, "reverse-charge"
}

// Same tells whether two statuses have the same effect on prices. Their texts are not compared.
func (s TaxStatus) Same(other TaxStatus) bool {
	return s.Kind == other.Kind && s.Country == other.Country && s.CheckedAt.Equal(other.CheckedAt) && s.Until.Equal(other.Until)
}

// The bounds of the texts of a tax status.
const (
	MaxTaxID = 40
	MaxProof = 100
)

// Fault says which member of a tax status is wrong, and why. member is "" if nothing is.
func (s TaxStatus) Fault() (member, why string) {
	for _, text := range []struct {
		member, text string
		most         int
	}{{"tax_id", s.TaxID, MaxTaxID}, {"checked_by", s.CheckedBy, MaxProof}, {"proof", s.Proof, MaxProof}} {
		if why := unit.LineFault(text.text, text.most); why != "" {
			return text.member, why
		}
	}
	if s.Country != "" {
		if code, err := unit.ParseCountry(s.Country); err != nil || string(code) != s.Country {
			return "country", "want two capital letters of ISO 3166"
		}
	}
	checked := !s.CheckedAt.IsZero()
	switch {
	case checked != (s.CheckedBy != ""):
		return "checked_by", "a check has a time, and says who or what has checked"
	case s.Kind == Business && s.Country == "":
		return "country", "a business has the country of its tax id"
	case s.Kind == Business && s.TaxID == "":
		return "tax_id", "a business has a tax id"
	case s.Kind == Business && checked && s.Proof == "":
		return "proof", "a check has a reference"
	case s.Kind == ExemptBuyer && s.Proof == "":
		return "proof", "an exempt buyer has a certificate"
	case s.Kind == ExemptBuyer && (s.TaxID != "" || s.Country != ""), s.Kind == Business && !s.Until.IsZero():
		return "kind", "a business has a tax id with a country, and an exempt buyer has a certificate with its end"
	case s.Kind != Business && s.Kind != ExemptBuyer:
		return "kind", "want business or exempt"
	}
	return "", ""
}

// legalWords are what an invoice says of a buyer who owes no tax.
func legalWords(untaxed Treatment) string {
	switch untaxed {
	case ReverseCharge:
		return "Reverse charge: Article 138 or 196 of Directive 2006/112/EC"
	case Exempt:
		return "Exempt from tax: the buyer has a certificate"
	case StandardRate, ZeroRate, Export, OutsideScope:
	}
	return ""
}

// union are the member states of the European Union.
const union = " AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK "

func member(country string) bool {
	return len(country) == 2 && strings.Contains(union, " "+country+" ")
}
