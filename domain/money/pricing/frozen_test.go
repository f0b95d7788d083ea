package pricing_test

import (
	"testing"

	"daybook/domain/money/pricing"
)

// An order keeps each quote that says something its lines do not say. That a line is a gift card is
// said by the quote alone, and without it no card would be issued.
func TestAQuoteWithAGiftCardIsNotPlain(t *testing.T) {
	t.Parallel()
	quote := pricing.Quote{Lines: []pricing.PricedLine{{Line: 1, SKU: "MUG"}, {Line: 2, SKU: "VOUCHER"}}}
	if !quote.Plain() {
		t.Error("a quote that says nothing more than its lines is not plain")
	}
	quote.Lines[1].GiftCard = true
	if quote.Plain() {
		t.Error("a quote with a gift card is plain")
	}
}
