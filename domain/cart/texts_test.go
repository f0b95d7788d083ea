package cart

import (
	"testing"

	"daybook/domain/unit"
)

func TestEveryTextIsChecked(t *testing.T) {
	catalogue := "the catalogue's titles are checked when a product is listed; the next test has the others"
	passed := "a code that the checkout passes on"
	carts.EveryTextIsChecked(t, map[string]string{
		"Open.Lines.Offer.Title":            catalogue,
		"AddLine.Offer.Title":               catalogue,
		"StartCheckout.Short.Reason":        passed,
		"RefuseCheckout.Shortages.Reason":   passed,
		"RefuseCheckout.Holds.Reason":       passed,
		"CompleteCheckout.Shortages.Reason": passed,
		"WithdrawCheckout.Lines.SKUText":    "of the cart's own lines",
		"WithdrawCheckout.Lines.Title":      "of the cart's own lines",
		"MergeFrom.Lines.Title":             catalogue,
		"DeclineMerge.Reason":               passed,
		"RefuseMerge.Reason":                passed,
	}, discountRows(t), lineRows(t), checkoutRows(t), limitRows(t), mergeRows(t), detailsRows(t), pricingRows(t), map[string]row{
		"an opening with a line": {
			When: Open{CartID: "c", Currency: "GBP", Lines: []AddLine{{SKU: "LAMP", SKUText: "lamp", Quantity: 1, Offer: Offer{Kind: unit.Stocked, Price: money(t, "1", "GBP")}}}},
			Then: []Event{Opened{}},
		},
	})
}

func TestATitleThatOverridesTheCatalogueIsChecked(t *testing.T) {
	opened := Opened{CartID: "c", Currency: "GBP"}
	add := func(title string, overridden bool) AddLine {
		return AddLine{SKU: "LAMP", Quantity: 1, Offer: Offer{Title: title, Kind: unit.Stocked, Price: money(t, "1", "GBP"), Overridden: overridden}}
	}
	old := "a\u202eb"
	refused := ErrTextTooLong.With("", map[string]any{"field": "title", "max_characters": 200})
	carts.Run(t, map[string]row{
		"a title that a caller gives cannot change the direction of text":                {Given: []Event{opened}, When: add(old, true), Refused: refused},
		"a title that a caller gives at the opening cannot change the direction of text": {When: Open{CartID: "c", Currency: "GBP", Lines: []AddLine{add(old, true)}}, Refused: refused},
		"a title that a caller gives must have a visible character":                      {Given: []Event{opened}, When: add(" ", true), Refused: refused},
		"a bad title of the catalogue does not stop the sale":                            {Given: []Event{opened}, When: add(old, false), Then: []Event{LineAdded{Line{Number: 1, SKU: "LAMP", Title: old, Kind: unit.Stocked, Quantity: 1, Price: money(t, "1", "GBP")}}}, Repeats: true},
	})
}

func TestComparedTextsSaySo(t *testing.T) {
	if n := carts.ComparedTextsSaySo(t, lineRows(t), checkoutRows(t), limitRows(t), mergeRows(t), detailsRows(t)); n < 5 {
		t.Errorf("%d texts were changed", n)
	}
}
