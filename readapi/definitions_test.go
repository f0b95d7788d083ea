package readapi_test

import (
	"cmp"

	"daybook/commands"
	"daybook/domain/money/entity"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/domain/unit"
)

// define makes a price list "base", a shipping method "post", a legal entity "seller", a promotion
// "spring" with two codes, and a gift card whose id it returns. Of each kind but the gift card,
// there is also one that has ended, so that filters choose.
func (s *shop) define() giftcard.ID {
	s.Helper()
	percent, err := unit.ParsePercent("20")
	must := func(failed error) {
		s.Helper()
		if failed != nil {
			s.Fatal(failed)
		}
	}
	must(err)
	base := pricelist.Define{ID: "base", Kind: pricing.Regular, Currency: "GBP", Mode: pricing.Inclusive, Active: true}
	tiers := []pricing.Tier{{From: 1, Price: unit.OfMinor(250, "GBP")}}
	_, err = s.service.PriceList(s.Context(), call("ann"), "base", base, pricelist.SetPrices{Prices: []pricelist.Entry{{SKU: "CUP", Tiers: tiers}, {SKU: "MUG", Tiers: tiers}}})
	must(err)
	post := shipping.Define{ID: "post", Active: true, Terms: shipping.Terms{
		Title: "Post", Mode: pricing.Inclusive, Rates: []pricing.RateTable{{Currency: "GBP", Basis: pricing.Flat, Steps: []pricing.Step{{From: "0", Price: unit.OfMinor(495, "GBP")}}}},
	}}
	_, err = s.service.ShippingMethod(s.Context(), call("ann"), "post", post)
	must(err)
	home := pricing.Zone{Country: "GB"}
	seller := entity.Define{
		ID: "seller", Terms: entity.Terms{Title: "Seller", Home: home, Mode: pricing.Inclusive},
		Rows: []pricing.TaxRow{{Place: home, Class: "standard", Component: "VAT", Rate: percent}},
	}
	_, err = s.service.LegalEntity(s.Context(), call("ann"), "seller", seller)
	must(err)
	spring := promotion.Define{ID: "spring", Kind: pricing.Coupon, Class: pricing.OrderClass, Active: true, Terms: promotion.Terms{
		Title: "Spring", Action: pricing.Action{Type: pricing.PercentOff, Percent: percent},
	}}
	_, err = s.service.Promotion(s.Context(), call("ann"), "spring", spring)
	must(err)
	_, err = s.service.GiveCodes(s.Context(), call("ann"), "spring", []string{"SPRING10", "SPRING20"})
	must(err)
	base.ID, post.ID, seller.ID, spring.ID = "old", "old", "old", "old"
	_, list := s.service.PriceList(s.Context(), call("ann"), "old", base, pricelist.End{})
	_, method := s.service.ShippingMethod(s.Context(), call("ann"), "old", post, shipping.End{})
	_, sells := s.service.LegalEntity(s.Context(), call("ann"), "old", seller, entity.End{})
	_, promo := s.service.Promotion(s.Context(), call("ann"), "old", spring, promotion.End{})
	must(cmp.Or(list, method, sells, promo))
	card, _, _, err := s.service.IssueGiftCard(s.Context(), call("ann"), commands.NewGiftCard{Amount: unit.OfMinor(1_000, "GBP")})
	must(err)
	must(s.book.Open(s.Context()))
	return card
}
