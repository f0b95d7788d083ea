package commands

import (
	"context"
	"slices"

	"daybook/commands/aggregate"
	"daybook/commands/payments"
	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// This file gives each payment of a provider to one order (package payment). The claim is recorded
// before the order records the payment. If the program is killed in between, the order has the
// payment, and the same request, or the provider's next report, records it.

// unclaimed are the providers whose numbers do not name a payment: a person, an import, and this
// shop's own gift cards, which pay many orders.
var unclaimed = []string{"", payments.ManualName, order.GiftCardProvider, "import"}

// paymentNames are the provider's numbers that a report gives to a payment: that of the whole
// payment, and that of its capture or authorization. Somebody may know only one of them. They are
// empty for reports that name no payment.
func paymentNames(record order.RecordTransaction) (names []string) {
	if slices.Contains(unclaimed, record.Provider) {
		return nil
	}
	if record.Payment != "" {
		names = append(names, record.Payment)
	}
	if moves := record.Type == order.Authorize || record.Type == order.Capture; moves && record.Reference != "" && record.Reference != record.Payment {
		names = append(names, record.Reference)
	}
	return names
}

// ViewClaim calls read with which order has a payment; see ViewProduct. The stream is that of
// payment.Stream.
func (s *Service) ViewClaim(ctx context.Context, stream string, read func(payment.State, int64)) error {
	return s.claims.View(ctx, stream, read)
}

// claims tells whether a checkout records a payment that its order has to claim first.
func (a *AfterPlacing) claims() bool {
	return a != nil && a.Pay != nil && len(paymentNames(*a.Pay)) > 0
}

// claimPayments claims the payments that the commands record for their order. It returns
// payment.ErrClaimed if another order has one of them. What the order itself refuses is not
// claimed.
func (s *Service) claimPayments(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, commands []order.Command) error {
	for _, command := range commands {
		record, is := command.(order.RecordTransaction)
		if !is {
			continue
		}
		names := paymentNames(record)
		if len(names) == 0 {
			continue
		}
		if s.joined {
			return aggregate.ErrStepByStep
		}
		var refusal error
		err := s.orders.View(ctx, order.Stream(id), func(state order.State, _ int64) { _, refusal = order.Decide(record, state) })
		if err != nil {
			return err
		}
		if refusal != nil {
			return nil // the order answers with it
		}
		for _, name := range names {
			if err := s.claimPayment(ctx, meta, id, payment.Stream(record.Provider, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) claimPayment(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, stream string) error {
	theirs := false
	err := s.claims.ViewCached(ctx, stream, func(state payment.State, _ int64) { theirs = state.OrderID == id })
	if err != nil || theirs { // a claim is for good
		return err
	}
	_, err = s.claims.Handle(ctx, aggregate.Request[payment.Command]{
		Stream: stream, Meta: derivedMeta(meta, unit.ClaimPayment.Of(string(id), stream)), Commands: []payment.Command{payment.Claim{OrderID: id}}, Redecide: true,
	})
	return err
}
