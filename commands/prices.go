package commands

import (
	"cmp"
	"context"
	"fmt"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/money/entity"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/pricing"
	"daybook/domain/money/shipping"
	"daybook/eventstore"
)

// Prices has the rules by which carts are priced now. Package pricebook implements it.
type Prices interface {
	// Rules are the rules now. They never change, so a caller may keep them while it prices a cart.
	Rules() *pricing.Rules
	// Has waits until the rules reflect the log up to a position. It returns the error of ctx if
	// that takes longer.
	Has(ctx context.Context, position eventstore.Position) error
	// KnowsTaxClass tells whether a legal entity has taxes of a class. It is true if there is no
	// entity yet, because then no class is known.
	KnowsTaxClass(class string) bool
}

// knowsTaxClass refuses a tax class that no legal entity has. Entities are in streams of their
// own, so an entity that loses the class at the same moment is not noticed here. Then the price
// of a cart is refused (tax-unknown).
func (s *Service) knowsTaxClass(class string) error {
	if class == "" || s.Prices == nil || s.Prices.KnowsTaxClass(class) {
		return nil
	}
	return entity.ErrClassUnknown.With(fmt.Sprintf("No legal entity has taxes of the class %q.", class), map[string]any{"tax_class": class})
}

// PriceList carries out commands on a price list, all or none.
func (s *Service) PriceList(ctx context.Context, call Call, id string, commands ...pricelist.Command) (aggregate.Result[pricelist.Event], error) {
	if err := s.admit(call, access.WritePrices); err != nil {
		return aggregate.Result[pricelist.Event]{}, err
	}
	return s.priceLists.Handle(ctx, request(call, pricelist.Stream(id), commands))
}

// ShippingMethod carries out commands on a shipping method, all or none.
func (s *Service) ShippingMethod(ctx context.Context, call Call, id string, commands ...shipping.Command) (aggregate.Result[shipping.Event], error) {
	err := s.admit(call, access.WriteShipping)
	for _, command := range commands {
		if define, is := command.(shipping.Define); is {
			err = cmp.Or(err, s.knowsTaxClass(define.TaxClass))
		}
	}
	if err != nil {
		return aggregate.Result[shipping.Event]{}, err
	}
	return s.methods.Handle(ctx, request(call, shipping.Stream(id), commands))
}

// LegalEntity carries out commands on a legal entity, all or none.
func (s *Service) LegalEntity(ctx context.Context, call Call, id string, commands ...entity.Command) (aggregate.Result[entity.Event], error) {
	if err := s.admit(call, access.WriteTaxes); err != nil {
		return aggregate.Result[entity.Event]{}, err
	}
	return s.entities.Handle(ctx, request(call, entity.Stream(id), commands))
}

// ViewPriceList calls read with the state of a price list; see ViewProduct.
func (s *Service) ViewPriceList(ctx context.Context, id string, read func(pricelist.State, int64)) error {
	return s.priceLists.View(ctx, pricelist.Stream(id), read)
}

// ViewShippingMethod calls read with the state of a shipping method; see ViewProduct.
func (s *Service) ViewShippingMethod(ctx context.Context, id string, read func(shipping.State, int64)) error {
	return s.methods.View(ctx, shipping.Stream(id), read)
}

// ViewLegalEntity calls read with the state of a legal entity; see ViewProduct.
func (s *Service) ViewLegalEntity(ctx context.Context, id string, read func(entity.State, int64)) error {
	return s.entities.View(ctx, entity.Stream(id), read)
}
