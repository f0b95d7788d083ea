package resource

import (
	"time"

	"daybook/domain/money/pricing"
)

// TaxStatus is what the law of taxes says of a buyer, and how that was checked.
type TaxStatus struct {
	Kind      string    `json:"kind" enum:"business,exempt" doc:"What the buyer is for the law of taxes. A buyer without a tax status is a consumer."`
	Country   string    `json:"country,omitempty" example:"NL" doc:"The country that gave a business its tax id. ISO 3166-1."`
	TaxID     string    `json:"tax_id,omitempty" class:"personal" example:"NL001234567B01" doc:"The tax id of a business."`
	CheckedBy string    `json:"checked_by,omitempty" class:"personal" example:"vies" doc:"Who or what has checked the tax id or the certificate. Left out: nobody has, so tax is charged."`
	CheckedAt time.Time `json:"checked_at,omitzero" doc:"When it was checked."`
	Proof     string    `json:"proof,omitempty" class:"personal" example:"WAPIAAAAYxqn1Rsv" doc:"The reference of the check, or the number of the certificate."`
	Until     time.Time `json:"certificate_until,omitzero" example:"2046-01-31T12:00:00Z" doc:"When the certificate of an exempt buyer ends. From then on tax is charged."`
}

func taxStatusOf(s *pricing.TaxStatus) *TaxStatus {
	if s == nil {
		return nil
	}
	return &TaxStatus{Kind: string(s.Kind), Country: s.Country, TaxID: s.TaxID, CheckedBy: s.CheckedBy, CheckedAt: s.CheckedAt, Proof: s.Proof, Until: s.Until}
}

// CartDiscount is what a person takes off a cart.
type CartDiscount struct {
	DiscountID string `json:"discount_id" example:"sorry-1" doc:"The name of the discount in the cart."`
	Line       int    `json:"line,omitzero" doc:"Left out: the whole cart."`
	Amount     *Money `json:"amount,omitempty" doc:"Left out: a percentage."`
	Percent    string `json:"percent,omitempty" example:"10" doc:"Left out: an amount."`
	Most       *Money `json:"most,omitempty" doc:"What a percentage takes off at most, because of the limit of the person who gave it."`
	Reason     string `json:"reason_code" example:"damaged" doc:"Why, as a word of the shop."`
}

func cartDiscountOf(m pricing.Manual) CartDiscount {
	d := CartDiscount{DiscountID: m.ID, Line: m.Line, Reason: m.Reason}
	if m.Amount != nil {
		d.Amount = new(MoneyOf(*m.Amount))
	} else {
		d.Percent = m.Percent.String()
	}
	if m.Most != nil {
		d.Most = new(MoneyOf(*m.Most))
	}
	return d
}
