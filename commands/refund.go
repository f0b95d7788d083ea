package commands

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"daybook/commands/aggregate"
	"daybook/commands/payments"
	"daybook/domain/money/giftcard"
	"daybook/domain/order"
	"daybook/domain/rule"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// providerMax bounds one question to a provider. It is longer than a client's own limit, and
// shorter than the time that a request has.
const providerMax = 15 * time.Second

// checkMax bounds the question of CheckRefund, because other deadlines wait for it.
const checkMax = 5 * time.Second

// RefundUnknownError means that a provider was told to give money back, and nobody knows what
// became of it. The part stays open: the provider is asked again under the same key.
type RefundUnknownError struct {
	OrderID unit.OrderID
	PartID  unit.TransactionID
	Attempt int
	Reason  string
}

func (e *RefundUnknownError) Error() string {
	return fmt.Sprintf("order %s: the provider has not said what became of refund %s, attempt %d: %s", e.OrderID, e.PartID, e.Attempt, e.Reason)
}

// RefundOverdueError means that a part of a refund was submitted long ago, and its provider has not
// said how it ended.
type RefundOverdueError struct {
	OrderID  unit.OrderID
	PartID   unit.TransactionID
	Provider string
}

func (e *RefundOverdueError) Error() string {
	return fmt.Sprintf("order %s: refund %s was sent to %s long ago, and its end is not known: ask the provider, and record how it ended", e.OrderID, e.PartID, e.Provider)
}

// openRefund is a part of a refund whose end is not known.
type openRefund struct {
	order    unit.OrderID
	refund   unit.RefundID
	part     order.Part
	provider string
	// The provider's names of the payment and of the capture.
	payment, transaction string
}

func (o openRefund) instruction() payments.Instruction {
	return payments.Instruction{
		Key: order.RefundKey(o.part.ID, o.part.Attempt), OrderID: o.order, Payment: o.payment, Transaction: o.transaction, Amount: o.part.Amount,
	}
}

// openRefund finds a part of a refund. open is false if there is nothing to do for it.
func (s *Service) openRefund(ctx context.Context, id unit.OrderID, part unit.TransactionID) (found openRefund, open bool, err error) {
	err = s.orders.View(ctx, order.Stream(id), func(state order.State, _ int64) {
		for _, refund := range state.Refunds {
			for _, each := range refund.Parts {
				if each.ID != part || !each.Open() {
					continue
				}
				of, _ := state.Transaction(each.Payment)
				found, open = openRefund{order: id, refund: refund.ID, part: each, provider: of.Provider}, true
				found.payment, found.transaction = providersNames(of)
			}
		}
	})
	return found, open, err
}

// providersNames are the provider's names of the payment that a capture belongs to, and of the
// capture itself. If only one is known, it is that of the payment.
func providersNames(of order.Transaction) (payment, transaction string) {
	if of.Payment == "" || of.Payment == of.Reference {
		return of.Reference, ""
	}
	return of.Payment, of.Reference
}

// FinishRefund gives the money of a part of a refund back, through the provider of its payment.
// Each step is recorded before the next one, so it can be called again after any of them:
//
//  1. It records that the part is about to be sent (order.RefundSubmitted).
//  2. It tells the provider, under the key of the part and the attempt. If the part was about to be
//     sent before, it first asks the provider what became of the key.
//  3. It records how the attempt ended.
//
// If a bank asks about the payment, or has taken the money, nothing is sent, and the part has
// failed. If nobody knows the outcome, it records that and returns *RefundUnknownError. If the
// provider has accepted the refund and will report its end later, or if no provider of this name is
// known, it returns nil: then the provider reports the end, or a person records it. After a failure
// people decide what to do.
func (s *Service) FinishRefund(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, part unit.TransactionID) error {
	now, open, err := s.openRefund(ctx, id, part)
	if err != nil || !open {
		return err
	}
	meta = by(theExecutor, meta)
	provider, known := s.refunder(meta, now)
	if !known {
		return nil
	}
	sentBefore := now.part.Attempt > 0
	if now.part.State == order.RefundIsRequested {
		now.part.Attempt++
		submit := order.SubmitRefund{RefundID: now.refund, PartID: part, Attempt: now.part.Attempt}
		err := s.recordRefund(ctx, derivedMeta(meta, unit.SubmitRefund.Of(string(id), string(part), strconv.Itoa(now.part.Attempt))), id, submit)
		if errors.Is(err, order.ErrAmountExceeded) { // meanwhile a bank asks about the money, or has taken it
			now.part.Attempt--
			return s.settleRefund(ctx, meta, now, payments.Outcome{State: payments.Failed, Reason: order.ErrAmountExceeded.Code})
		}
		if err != nil {
			return err
		}
	}
	return s.settleRefund(ctx, meta, now, askProvider(ctx, provider, now.instruction(), sentBefore))
}

// refunder is who gives the money of a part back: a provider of payments, or the gift cards.
func (s *Service) refunder(meta eventstore.Metadata, of openRefund) (refunder, bool) {
	if of.provider == order.GiftCardProvider {
		return cardRefunds{service: s, meta: meta, refund: of.part.ID}, true
	}
	return s.Payments.Provider(of.provider)
}

// refunder has the methods of payments.Provider with which money goes back.
type refunder interface {
	Refund(ctx context.Context, i payments.Instruction) payments.Outcome
	LookUp(ctx context.Context, i payments.Instruction) payments.Outcome
}

// cardRefunds gives money back to the gift cards and credit accounts that have paid. The name of a
// payment is the id of the card. A part of a refund goes back once, whatever its attempt is.
type cardRefunds struct {
	service *Service
	meta    eventstore.Metadata
	refund  unit.TransactionID
}

func (c cardRefunds) command(i payments.Instruction) eventstore.Metadata {
	return derivedMeta(c.meta, unit.CreditBack.Of(string(i.OrderID), string(c.refund)))
}

// Refund gives money back. A card that has ended refuses it; then people decide what to do.
func (c cardRefunds) Refund(ctx context.Context, i payments.Instruction) payments.Outcome {
	back := giftcard.CreditBack{RefundID: c.refund, OrderID: i.OrderID, Amount: i.Amount}
	return c.outcome(i, c.service.CreditBack(ctx, c.meta, giftcard.ID(i.Payment), back))
}

// LookUp tells whether the money went back.
func (c cardRefunds) LookUp(ctx context.Context, i payments.Instruction) payments.Outcome {
	back, err := c.service.giftCards.Repeats(ctx, giftcard.Stream(giftcard.ID(i.Payment)), c.command(i))
	if err == nil && !back {
		return payments.Outcome{State: payments.Unseen}
	}
	return c.outcome(i, err)
}

func (c cardRefunds) outcome(i payments.Instruction, err error) payments.Outcome {
	if err == nil {
		return payments.Outcome{State: payments.Succeeded, Reference: string(c.refund)}
	}
	if no, is := errors.AsType[*rule.Rejection](err); is {
		return payments.Outcome{State: payments.Failed, Reason: no.Code}
	}
	reason := eventstore.Visible(fmt.Sprintf("the gift card %s cannot be reached: %v", i.Payment, err))
	return payments.Outcome{State: payments.Unknown, Reason: reason[:min(len(reason), payments.MaxReason)]}
}

// askProvider tells the provider to give money back, and returns what became of it. If it may have
// been told before, it is first asked what it knows. Either way it carries out a key once.
func askProvider(ctx context.Context, provider refunder, i payments.Instruction, sentBefore bool) payments.Outcome {
	ctx, cancel := context.WithTimeout(ctx, providerMax)
	defer cancel()
	if sentBefore {
		if found := provider.LookUp(ctx, i); found.State != payments.Unseen {
			return found
		}
	}
	done := provider.Refund(ctx, i)
	if done.State != payments.Unknown {
		return done
	}
	if found := provider.LookUp(ctx, i); found.State.Known() {
		return found
	}
	return done
}

// settleRefund records an outcome.
func (s *Service) settleRefund(ctx context.Context, meta eventstore.Metadata, of openRefund, done payments.Outcome) error {
	settle := order.SettleRefund{RefundID: of.refund, PartID: of.part.ID, Attempt: of.part.Attempt, Reference: done.Reference}
	switch done.State {
	case payments.Pending:
		return nil
	case payments.Succeeded:
		settle.State = order.RefundSucceeded
	case payments.Failed:
		settle.State, settle.Code = order.RefundHasFailed, done.Reason
	case payments.Unknown, payments.Unseen:
		settle.State, settle.Reference = order.RefundIsUnknown, ""
	}
	if err := s.recordRefund(ctx, derivedMeta(meta, settleRefundID(of, settle.State)), of.order, settle); err != nil {
		return err
	}
	if settle.State == order.RefundIsUnknown {
		return &RefundUnknownError{OrderID: of.order, PartID: of.part.ID, Attempt: of.part.Attempt, Reason: done.Reason}
	}
	return nil
}

// settleRefundID derives the command that records how an attempt ended. The executor and the
// provider's report send the same command.
func settleRefundID(of openRefund, state order.RefundState) unit.Derived {
	return unit.SettleRefund.Of(string(of.order), string(of.part.ID), strconv.Itoa(of.part.Attempt), string(state))
}

// recordRefund records a step of a part, and carries out what follows from it.
func (s *Service) recordRefund(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, command order.Command) error {
	_, err := s.orders.Handle(ctx, aggregate.Request[order.Command]{Stream: order.Stream(id), Meta: meta, Commands: []order.Command{command}, Redecide: true})
	if err != nil {
		return err
	}
	_, err = s.fulfil(ctx, meta, id, freshEnough)
	return err
}

// CheckRefund is called when a part of a refund was sent long ago. It asks the provider. If the end
// is still not known, it returns *RefundOverdueError, so that somebody looks at it.
func (s *Service) CheckRefund(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, part unit.TransactionID) error {
	now, open, err := s.openRefund(ctx, id, part)
	if err != nil || !open || now.part.Attempt == 0 {
		return err
	}
	if provider, known := s.refunder(by(theExecutor, meta), now); known {
		ask, cancel := context.WithTimeout(ctx, checkMax)
		found := provider.LookUp(ask, now.instruction())
		cancel()
		if found.State == payments.Succeeded || found.State == payments.Failed {
			return s.settleRefund(ctx, by(theExecutor, meta), now, found)
		}
	}
	return &RefundOverdueError{OrderID: id, PartID: part, Provider: now.provider}
}
