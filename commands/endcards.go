package commands

import (
	"context"
	"fmt"

	"daybook/commands/aggregate"
	"daybook/domain/money/giftcard"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// endCards ends the gift cards whose purchase was undone, and lets the order credit what was left
// of each. Both steps can be taken again: a driver that is cut off leaves the charge for the card
// without its credit, and the next one goes on.
func (s *Service) endCards(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, currency unit.Currency, cards []order.SoldUnit) (last aggregate.Result[order.Event], err error) {
	for _, of := range cards {
		sold := giftcard.Sold{OrderID: id, Line: of.Line, Unit: of.Unit}
		card, err := s.cardOf(s.soldCode(sold))
		if err != nil {
			return last, err
		}
		as := derivedMeta(meta, order.GiftCardBack(id, of))
		_, err = s.giftCards.Handle(ctx, aggregate.Request[giftcard.Command]{
			Stream: giftcard.Stream(card), Meta: as, Commands: []giftcard.Command{giftcard.Revoke{Currency: currency}}, Redecide: true,
		})
		if err != nil {
			return last, err
		}
		settle := order.SettleGiftCard{Of: of}
		err = s.ViewGiftCard(ctx, card, func(state giftcard.State, _ int64) {
			if settle.Left = state.Unspent(); !state.Exists() {
				settle.Left = unit.OfMinor(unit.MaxMinor, currency) // all of it: it was never issued
			}
		})
		if err != nil {
			return last, err
		}
		done, err := s.orders.Handle(ctx, aggregate.Request[order.Command]{
			Stream: order.Stream(id), Meta: derivedMeta(meta, unit.FulfilOrder.Of(string(id), fmt.Sprintf("end card %d of line %d", of.Unit, of.Line))), Commands: []order.Command{settle}, Redecide: true,
		})
		if err != nil {
			return last, err
		}
		done.Events = append(last.Events, done.Events...)
		last = done
	}
	return last, nil
}
