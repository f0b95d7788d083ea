package commands

import (
	"context"
	"slices"

	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/unit"
)

// cartPermissions are the permissions of which commands on a cart need one. Discounts and the tax
// status have permissions of their own, and no other command is sent together with them.
func cartPermissions(commands []cart.Command) []access.Permission {
	of := []access.Permission{access.WriteCarts, access.ExpireCarts}
	for _, command := range commands {
		switch command.(type) { //nolint:gochecksumtype // all others are changes of a cart by its holder
		case cart.GiveDiscount, cart.WithdrawDiscount:
			of = []access.Permission{access.GiveDiscounts}
		case cart.SetTaxStatus:
			of = []access.Permission{access.SetTaxStatus}
		}
	}
	return of
}

// discountLimit is the most that a sender may take off one cart by hand, in a currency. nil means
// that there is no limit.
func (p Policy) discountLimit(who access.Principal, currency unit.Currency) *unit.Money {
	if len(p.DiscountLimits) == 0 || who.May(access.UnlimitedDiscounts) {
		return nil
	}
	return limitIn(p.DiscountLimits, currency)
}

// withDiscountLimit completes commands that give a discount with the sender's limit.
func (s *Service) withDiscountLimit(ctx context.Context, call Call, id unit.CartID, commands []cart.Command) ([]cart.Command, error) {
	for i, command := range commands {
		give, is := command.(cart.GiveDiscount)
		if !is {
			continue
		}
		currency, err := s.cartCurrency(ctx, id)
		if err != nil {
			return nil, err
		}
		give.Discount.Most, give.Limit = nil, s.policy.discountLimit(call.Who, currency)
		commands = slices.Clone(commands)
		commands[i] = give
	}
	return commands, nil
}
