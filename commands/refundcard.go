package commands

import (
	"context"
	"errors"

	"daybook/commands/payments"
	"daybook/domain/money/giftcard"
	"daybook/domain/order"
	"daybook/domain/rule"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// provider finds the provider that moves the money of a part of a refund. Gift cards and credit
// accounts are the shop's own.
func (s *Service) provider(meta eventstore.Metadata, part unit.TransactionID, name string) (payments.Provider, bool) {
	if name == order.GiftCardProvider {
		return giftCards{s, meta, part}, true
	}
	return s.Payments.Provider(name)
}

// giftCards gives money back to the gift card that had paid it. A part of a refund comes back once,
// however often it is asked for.
type giftCards struct {
	service *Service
	meta    eventstore.Metadata
	part    unit.TransactionID
}

// Refund implements payments.Provider. The payment of an instruction is the id of the card.
func (g giftCards) Refund(ctx context.Context, i payments.Instruction) payments.Outcome {
	back := giftcard.CreditBack{RefundID: g.part, OrderID: i.OrderID, Amount: i.Amount}
	err := g.service.CreditBack(ctx, g.meta, giftcard.ID(i.Payment), back)
	if refusal, is := errors.AsType[*rule.Rejection](err); is {
		return payments.Outcome{State: payments.Failed, Reason: refusal.Code}
	}
	if err != nil {
		return payments.Outcome{State: payments.Unknown, Reason: "the log did not answer"}
	}
	return payments.Outcome{State: payments.Succeeded}
}

// LookUp implements payments.Provider. Refund can be repeated, so nobody has to ask first.
func (g giftCards) LookUp(context.Context, payments.Instruction) payments.Outcome {
	return payments.Outcome{State: payments.Unseen}
}

// Capture implements payments.Provider. Gift cards pay by their holds.
func (g giftCards) Capture(context.Context, payments.Instruction) payments.Outcome {
	return payments.Outcome{State: payments.Failed, Reason: "not by a capture"}
}

// Void implements payments.Provider.
func (g giftCards) Void(context.Context, payments.Instruction) payments.Outcome {
	return payments.Outcome{State: payments.Failed, Reason: "not by a void"}
}
