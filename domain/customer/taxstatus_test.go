package customer

import (
	"slices"
	"time"

	"daybook/domain/money/pricing"
)

var (
	business = pricing.TaxStatus{Kind: pricing.Business, Country: "NL", TaxID: "NL123456789B01", CheckedBy: "vies", CheckedAt: noon, Proof: "WAPIAAAAY1"}
	exempt   = pricing.TaxStatus{Kind: pricing.ExemptBuyer, CheckedBy: "ann", CheckedAt: noon, Proof: "cert 7", Until: noon.AddDate(1, 0, 0)}
)

func taxStatuses() map[string]row {
	old, gone := []Event{registered}, []Event{registered, TaxStatusSet{business}, Merged{Into: "c2", Attempt: 1}}
	refused := func(of pricing.TaxStatus, member string, change func(*pricing.TaxStatus)) row {
		return row{Given: old, When: SetTaxStatus{with(of, change)}, Refused: ErrTaxStatusInvalid.With("", field(member))}
	}
	return map[string]row{
		"a customer can be a business":                         {Given: old, When: SetTaxStatus{business}, Then: []Event{TaxStatusSet{business}}, Repeats: true},
		"a customer can be exempt":                             {Given: old, When: SetTaxStatus{exempt}, Then: []Event{TaxStatusSet{exempt}}, Repeats: true},
		"an id that nobody has checked is recorded":            {Given: old, When: SetTaxStatus{pricing.TaxStatus{Kind: pricing.Business, Country: "NL", TaxID: "1"}}, Then: []Event{TaxStatusSet{pricing.TaxStatus{Kind: pricing.Business, Country: "NL", TaxID: "1"}}}, Repeats: true},
		"a status replaces the one before":                     {Given: []Event{registered, TaxStatusSet{exempt}}, When: SetTaxStatus{business}, Then: []Event{TaxStatusSet{business}}, Repeats: true},
		"a status can be withdrawn":                            {Given: []Event{registered, TaxStatusSet{business}}, When: WithdrawTaxStatus{}, Then: []Event{TaxStatusWithdrawn{}}},
		"a consumer has none to withdraw":                      {Given: old, When: WithdrawTaxStatus{}, Nothing: true},
		"the status of a merged account can be withdrawn":      {Given: gone, When: WithdrawTaxStatus{}, Then: []Event{TaxStatusWithdrawn{}}},
		"a merged account gets no status":                      {Given: slices.Clone(gone), When: SetTaxStatus{exempt}, Refused: ErrMerged},
		"a customer who is not registered has no tax status":   {When: SetTaxStatus{business}, Refused: ErrNotFound},
		"a kind is known":                                      refused(business, "kind", func(s *pricing.TaxStatus) { s.Kind = "club" }),
		"a consumer has no status to set":                      refused(pricing.TaxStatus{}, "kind", func(s *pricing.TaxStatus) { s.Kind = pricing.Consumer }),
		"a business has a country":                             refused(business, "country", func(s *pricing.TaxStatus) { s.Country = "" }),
		"a country has its code":                               refused(business, "country", func(s *pricing.TaxStatus) { s.Country = "EL" }),
		"a business has a tax id":                              refused(business, "tax_id", func(s *pricing.TaxStatus) { s.TaxID = "" }),
		"a check has a reference":                              refused(business, "proof", func(s *pricing.TaxStatus) { s.Proof = "" }),
		"a check says who has checked":                         refused(business, "checked_by", func(s *pricing.TaxStatus) { s.CheckedBy = "" }),
		"a check has a time":                                   refused(business, "checked_by", func(s *pricing.TaxStatus) { s.CheckedAt = time.Time{} }),
		"an exempt buyer has a certificate":                    refused(exempt, "proof", func(s *pricing.TaxStatus) { s.Proof = "" }),
		"an exempt buyer has no tax id":                        refused(exempt, "kind", func(s *pricing.TaxStatus) { s.TaxID = "NL1" }),
		"a tax id does not end":                                refused(business, "kind", func(s *pricing.TaxStatus) { s.Until = noon }),
		"a text of a tax status cannot turn the text about it": refused(business, "proof", func(s *pricing.TaxStatus) { s.Proof = "a\u202eb" }),
	}
}
