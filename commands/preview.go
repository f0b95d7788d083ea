package commands

import (
	"context"
	"errors"
	"slices"
	"time"

	"daybook/domain/access"
	"daybook/domain/money/pricing"
	"daybook/domain/product"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// PreviewLine is a line of a cart that somebody thinks about.
type PreviewLine struct {
	SKU      unit.SKU
	Quantity unit.Quantity
}

// Preview is what a cart would cost, and why.
type Preview struct {
	Quote pricing.Quote // zero if the cart is refused
	// Refused says why the cart has no price; nil: it has one.
	Refused    *rule.Rejection
	Considered []pricing.Considered
}

// PreviewPrice says what a cart would cost at a time. It changes nothing. The groups of the
// customer's account are added to those of the cart, and its tax status counts if the cart has
// none. The lines of the cart are made from lines.
//
// Errors: *LinesError with product.ErrNotFound or product.ErrRetired for each line that the
// catalogue refuses, and those of the log.
func (s *Service) PreviewPrice(ctx context.Context, call Call, like pricing.Cart, lines []PreviewLine, at time.Time) (Preview, error) {
	if err := s.admit(call, access.ReadPrices); err != nil {
		return Preview{}, err
	}
	if err := s.ofAccount(ctx, &like); err != nil {
		return Preview{}, err
	}
	var refused LinesError
	for i, line := range lines {
		item, refusal, err := s.item(ctx, i+1, line, like.Currency)
		if err != nil {
			return Preview{}, err
		}
		if refusal != nil {
			refused.Refused = append(refused.Refused, RefusedLine{Index: i, SKU: line.SKU, Cause: refusal})
		}
		like.Lines = append(like.Lines, item)
	}
	if len(refused.Refused) > 0 {
		return Preview{}, &refused
	}
	rules := pricing.Compile(pricing.Book{})
	if s.Prices != nil {
		rules = s.Prices.Rules()
	}
	quote, considered, err := rules.Explain(like, at)
	refusal, isRefused := errors.AsType[*rule.Rejection](err)
	if err != nil && !isRefused {
		return Preview{}, err
	}
	return Preview{Quote: quote, Refused: refusal, Considered: considered}, nil
}

// item is a line as package pricing wants it, from the catalogue. The price of the catalogue may be
// missing, because a price list may have one.
func (s *Service) item(ctx context.Context, number int, line PreviewLine, currency unit.Currency) (item pricing.Item, refusal *rule.Rejection, err error) {
	err = s.products.ViewAged(ctx, product.Stream(line.SKU), offerAge, func(state product.State, _ int64) {
		item = pricing.Item{
			Number: number, SKU: line.SKU, Quantity: line.Quantity, Kind: state.Kind, TaxClass: state.Description.TaxClass,
			Categories: slices.Clone(state.Description.Categories), Weight: state.Description.Grams, GiftCard: state.Description.GiftCard,
		}
		switch price, priceless := state.Price(currency); {
		case priceless == nil:
			item.Catalogue = &price
		case !errors.Is(priceless, product.ErrNotPriced):
			refusal, _ = errors.AsType[*rule.Rejection](priceless)
		}
	})
	return item, refusal, err
}
