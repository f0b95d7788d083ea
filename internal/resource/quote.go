package resource

import (
	"time"

	"daybook/domain/checkout"
	"daybook/domain/money/pricing"
)

// Quote is what a cart costs at a moment, with every part of it.
type Quote struct {
	Hash       string        `json:"hash" doc:"Of everything in the quote except the times. Another hash means another price."`
	PricedAt   time.Time     `json:"priced_at"`
	PriceMode  string        `json:"price_mode" enum:"incl,excl" doc:"Whether the amounts contain tax."`
	Channel    string        `json:"channel,omitempty"`
	EntityID   string        `json:"entity_id,omitempty" doc:"The legal entity that sells."`
	TaxStatus  *TaxStatus    `json:"tax_status,omitempty" doc:"What the law of taxes says of the buyer. Left out: a consumer."`
	StatusUsed string        `json:"tax_status_used,omitempty" enum:"reverse-charge,exempt,unchecked,certificate-expired,outside-the-union,id-of-home,goods-stay-home" doc:"What the tax status did. With reverse-charge and exempt the buyer owes no tax. All others say why tax is charged: nobody has checked the tax id or the certificate, the certificate has ended, the shop, the buyer or the place of the goods is outside the European Union, or the tax id or the place of the goods is in the shop's own country."`
	Legal      string        `json:"legal_words,omitempty" example:"Reverse charge: Article 138 or 196 of Directive 2006/112/EC" doc:"What the invoice has to say, because the buyer owes no tax."`
	Lines      []QuoteLine   `json:"lines"`
	Charges    []QuoteCharge `json:"charges" doc:"Money that is no goods, such as shipping."`
	Taxes      []TaxAmount   `json:"taxes" doc:"Each component over the whole order."`
	Net        Money         `json:"net"`
	Total      Money         `json:"total" doc:"What the customer owes."`
	Coupons    []string      `json:"coupons,omitzero" doc:"Codes that took something off."`
}

// QuotePart is what lines and charges have in common.
type QuotePart struct {
	List        Money        `json:"list_amount" doc:"Before discounts."`
	Adjustments []Adjustment `json:"adjustments" doc:"What was taken off."`
	Amount      Money        `json:"amount" doc:"After discounts."`
	Tax         []TaxAmount  `json:"tax"`
	Net         Money        `json:"net"`
	Gross       Money        `json:"gross"`
}

// QuoteLine is a priced line.
type QuoteLine struct {
	Line        int    `json:"line"`
	SKU         string `json:"sku"`
	Quantity    int64  `json:"quantity"`
	Price       Money  `json:"price" doc:"Of one unit, before discounts."`
	PriceListID string `json:"price_list_id,omitempty" doc:"Left out: the price of the catalogue."`
	Tier        int64  `json:"from_quantity,omitzero" doc:"The tier of the price list that counts."`
	Reference   *Money `json:"reference,omitempty" doc:"The regular price, if the price is that of a sale."`
	TaxClass    string `json:"tax_class,omitempty"`
	GiftCard    bool   `json:"gift_card,omitzero"`
	QuotePart
}

// QuoteCharge is a priced charge.
type QuoteCharge struct {
	Charge   int    `json:"charge"`
	Kind     string `json:"kind" doc:"Such as shipping."`
	MethodID string `json:"method_id,omitempty"`
	Title    string `json:"title,omitempty"`
	QuotePart
}

// CartQuote is what a cart costs now, and how it can be sent.
type CartQuote struct {
	CartID   string           `json:"cart_id"`
	Revision int64            `json:"revision" doc:"Of the cart that was priced."`
	Quote    *Quote           `json:"quote,omitempty" doc:"Left out if the cart has no price."`
	Refused  *Refused         `json:"refused,omitempty" doc:"Why the cart has no price."`
	Reasons  []PriceReason    `json:"reasons" doc:"In what the quote differs from the prices that the lines of the cart show."`
	Shipping []ShippingOption `json:"shipping_options" doc:"The shipping methods, and what each would cost."`
}

// PriceReason is one difference between an expected price and the price now.
type PriceReason struct {
	Code     string `json:"code" enum:"price-changed,price-missing,product-retired,promotion-ended,coupon-invalid,shipping-changed,tax-changed"`
	Line     int    `json:"line,omitempty"`
	SKU      string `json:"sku,omitempty"`
	MethodID string `json:"method_id,omitempty"`
	Coupon   string `json:"coupon,omitempty"`
	Why      string `json:"why,omitempty" doc:"Why a coupon takes nothing off, as in a preview."`
	Was      *Money `json:"was,omitempty"`
	Is       *Money `json:"is,omitempty"`
}

// ShippingOption is a shipping method and what it would cost.
type ShippingOption struct {
	MethodID  string `json:"method_id"`
	Title     string `json:"title"`
	Carrier   string `json:"carrier,omitempty"`
	Available bool   `json:"available"`
	Reason    string `json:"reason,omitempty" doc:"Why it is not available."`
	Price     Money  `json:"price" doc:"With tax, after discounts."`
}

// ReasonsOf shows why a price differs.
func ReasonsOf(reasons []checkout.Reason) []PriceReason {
	return listed(reasons, func(r checkout.Reason) PriceReason {
		shown := PriceReason{Code: string(r.Code), Line: r.Line, SKU: string(r.SKU), MethodID: r.Method, Coupon: r.Coupon, Why: r.Why}
		if r.Was != nil {
			shown.Was = new(MoneyOf(*r.Was))
		}
		if r.Is != nil {
			shown.Is = new(MoneyOf(*r.Is))
		}
		return shown
	})
}

// ShippingOptionsOf shows shipping options.
func ShippingOptionsOf(options []pricing.Option) []ShippingOption {
	return listed(options, func(o pricing.Option) ShippingOption {
		return ShippingOption{MethodID: o.Method, Title: o.Title, Carrier: o.Carrier, Available: o.Available, Reason: o.Reason, Price: MoneyOf(o.Price)}
	})
}

// Adjustment is what one promotion or person took off.
type Adjustment struct {
	PromotionID string `json:"promotion_id" doc:"manual: a person took it off."`
	Title       string `json:"title,omitempty"`
	Code        string `json:"code,omitempty"`
	Class       string `json:"class" enum:"item,order,shipping"`
	Base        Money  `json:"base" doc:"The amount that the promotion saw."`
	Amount      Money  `json:"amount" doc:"What it took off."`
	DiscountID  string `json:"discount_id,omitempty" example:"sorry-1" doc:"The discount of the cart, if a person took it off."`
	Reason      string `json:"reason_code,omitempty" example:"damaged" doc:"Why a person took it off, as a word of the shop."`
}

// TaxAmount is one component of a tax.
type TaxAmount struct {
	Component string `json:"component"`
	Rate      string `json:"rate" doc:"Percent."`
	Treatment string `json:"treatment" enum:"standard,zero,exempt,reverse_charge,export,outside"`
	Base      Money  `json:"base" doc:"The net amount that is taxed."`
	Amount    Money  `json:"amount"`
}

// QuoteOf shows a quote.
func QuoteOf(q pricing.Quote) Quote {
	return Quote{
		Hash: q.Hash, PricedAt: q.PricedAt, PriceMode: string(q.Mode), Channel: q.Channel, EntityID: q.Entity,
		TaxStatus: taxStatusOf(q.Status), StatusUsed: q.StatusUsed, Legal: q.Legal,
		Lines: listed(q.Lines, quoteLineOf), Charges: listed(q.Charges, quoteChargeOf),
		Taxes: listed(q.Taxes, func(t pricing.TaxTotal) TaxAmount {
			return TaxAmount{t.Component, t.Rate.String(), string(t.Treatment), MoneyOf(t.Base), MoneyOf(t.Amount)}
		}),
		Net: MoneyOf(q.Net), Total: MoneyOf(q.Total), Coupons: q.Coupons,
	}
}

func quoteLineOf(l pricing.PricedLine) QuoteLine {
	line := QuoteLine{
		Line: l.Line, SKU: string(l.SKU), Quantity: int64(l.Quantity), Price: MoneyOf(l.Price), PriceListID: l.PriceList, Tier: int64(l.Tier),
		TaxClass: l.TaxClass, GiftCard: l.GiftCard, QuotePart: quotePartOf(l.Priced),
	}
	if l.Reference != nil {
		line.Reference = new(MoneyOf(*l.Reference))
	}
	return line
}

func quoteChargeOf(c pricing.Charge) QuoteCharge {
	return QuoteCharge{Charge: c.Number, Kind: c.Kind, MethodID: c.Method, Title: c.Title, QuotePart: quotePartOf(c.Priced)}
}

func quotePartOf(p pricing.Priced) QuotePart {
	return QuotePart{
		List: MoneyOf(p.List), Amount: MoneyOf(p.Amount), Net: MoneyOf(p.Net), Gross: MoneyOf(p.Gross),
		Adjustments: listed(p.Adjustments, func(a pricing.Adjustment) Adjustment {
			shown := Adjustment{
				PromotionID: a.Promotion, Title: a.Title, Code: a.Code, Class: string(a.Class), Base: MoneyOf(a.Base), Amount: MoneyOf(a.Amount),
				Reason: a.Reason,
			}
			if a.Manual() {
				shown.Title, shown.DiscountID = "", a.Title
			}
			return shown
		}),
		Tax: listed(p.Tax, func(t pricing.TaxEntry) TaxAmount {
			return TaxAmount{t.Component, t.Rate.String(), string(t.Treatment), MoneyOf(t.Base), MoneyOf(t.Amount)}
		}),
	}
}

// PricePreview says what a cart would cost, and why.
type PricePreview struct {
	Quote      *Quote       `json:"quote,omitempty" doc:"Left out if the cart has no price."`
	Refused    *Refused     `json:"refused,omitempty" doc:"Why the cart has no price."`
	Considered []Considered `json:"considered" doc:"Every rule that applied or did not apply."`
}

// Refused says why a cart has no price.
type Refused struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Considered says of one rule whether it applied, and why.
type Considered struct {
	What    string `json:"what" enum:"price_list,promotion,discount,coupon,method,tax" doc:"What kind of rule it is."`
	ID      string `json:"rule_id" doc:"Its id. The rules of taxes have that of the tax class, or the kind of the buyer."`
	Line    int    `json:"line,omitzero"`
	Applied bool   `json:"applied"`
	Reason  string `json:"reason" doc:"A word such as won, expired or below-subtotal."`
}

// ConsideredOf shows what was considered.
func ConsideredOf(all []pricing.Considered) []Considered {
	return listed(all, func(c pricing.Considered) Considered { return Considered{c.What, c.ID, c.Line, c.Applied, c.Reason} })
}
