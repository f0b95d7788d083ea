package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"daybook/commands/aggregate"
	"daybook/commands/payments"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// RecordReport records what a provider has told of a payment: each of its transactions that the
// order does not have yet, in their order. What the order has stays as it is, so a report may come
// any number of times, and older ones may come after newer ones.
//
// An order that does not exist, or a payment for no order, is order.ErrNotFound. The provider then
// sends the report again later, because it may have been faster than the order.
func (s *Service) RecordReport(ctx context.Context, meta eventstore.Metadata, provider string, report payments.Report) error {
	if report.OrderID == "" {
		return order.ErrNotFound
	}
	meta = by(theProvider, meta)
	for _, reported := range report.Transactions {
		if err := s.recordReported(ctx, meta, provider, report, reported); err != nil {
			return fmt.Errorf("%s %s of payment %s: %w", reported.Kind, reported.Reference, report.Payment, err)
		}
	}
	return s.orderExists(ctx, report.OrderID) // a report without transactions
}

func (s *Service) orderExists(ctx context.Context, id unit.OrderID) error {
	exists := false
	err := s.orders.View(ctx, order.Stream(id), func(state order.State, _ int64) { exists = state.Exists() })
	if err == nil && !exists {
		err = order.ErrNotFound
	}
	return err
}

// reportTries bounds how often a report is compared with the order again because somebody else has
// changed the order in between.
const reportTries = 20

func (s *Service) recordReported(ctx context.Context, meta eventstore.Metadata, provider string, report payments.Report, reported payments.Transaction) error {
	id := report.OrderID
	for range reportTries {
		var command order.Command
		var derived unit.Derived
		var at int64
		exists := false
		err := s.orders.View(ctx, order.Stream(id), func(state order.State, revision int64) {
			exists, at = state.Exists(), revision
			if exists {
				command, derived = recordOf(state, provider, report, reported)
			}
		})
		switch {
		case err != nil:
			return err
		case !exists:
			return order.ErrNotFound
		case command == nil:
			return nil
		}
		_, err = s.Order(ctx, Call{Who: theProvider, Meta: derivedMeta(meta, derived), If: aggregate.AtRevision(at)}, id, command)
		if _, changed := errors.AsType[*aggregate.StaleError](err); !changed {
			return err
		}
	}
	return aggregate.ErrOverloaded
}

// standsAs is the state of a transaction that a provider reports; empty if it is not known.
func standsAs(reported payments.State) order.TransactionState {
	switch reported {
	case payments.Pending:
		return order.Pending
	case payments.Succeeded:
		return order.Succeeded
	case payments.Failed:
		return order.Failed
	case payments.Unknown, payments.Unseen:
	}
	return ""
}

// recordOf compares a reported transaction with an order. It returns the command that records what
// the order does not have yet, with its id; nil if there is nothing to record.
func recordOf(state order.State, provider string, report payments.Report, reported payments.Transaction) (order.Command, unit.Derived) {
	stands := standsAs(reported.State)
	typ := order.TransactionType(reported.Kind)
	if of, is := partOf(state, reported); is {
		if settle, ended := settlementOf(of, reported); ended {
			return settle, settleRefundID(of, settle.State)
		}
		if !stranger(state, of, reported) {
			return nil, unit.Derived{}
		}
	}
	if have, found := sameTransaction(state, provider, report, reported, typ); found {
		if have.State != order.Pending || stands == order.Pending {
			return nil, unit.Derived{}
		}
		return order.SettleTransaction{TransactionID: have.ID, State: stands, Reference: reported.Reference},
			unit.ReportTransaction.Of(string(state.OrderID), string(have.ID), string(stands))
	}
	record := order.RecordTransaction{
		TransactionID: reportedID(provider, reported.Reference, typ), Type: typ, State: stands, Amount: reported.Amount,
		Parent: parentOf(state, provider, report, reported, typ), Provider: provider, Reference: reported.Reference, Payment: report.Payment,
		RespondBy: reported.RespondBy, ByProvider: true,
	}
	if typ == order.Dispute {
		record.Reason = reported.Reason
	}
	return record, unit.ReportTransaction.Of(string(state.OrderID), string(record.TransactionID), string(stands))
}

// reportedID is the id of a transaction that its provider has a name for.
func reportedID(provider, reference string, typ order.TransactionType) unit.TransactionID {
	return unit.TransactionID(unit.ProviderTransaction.Of(provider, reference, string(typ)).ID())
}

// sameTransaction finds a reported transaction in the order. Whoever recorded it before may have
// known only the provider's name of the whole payment.
func sameTransaction(state order.State, provider string, report payments.Report, reported payments.Transaction, typ order.TransactionType) (order.Transaction, bool) {
	id := reportedID(provider, reported.Reference, typ)
	for _, exact := range []bool{true, false} {
		i := slices.IndexFunc(state.Transactions, func(t order.Transaction) bool {
			switch {
			case t.Type != typ:
				return false
			case exact:
				return t.ID == id || t.Provider == provider && t.Reference == reported.Reference
			}
			return t.Provider == provider && t.Payment == "" && t.Reference == report.Payment && t.Amount.Equal(reported.Amount)
		})
		if i >= 0 {
			return state.Transactions[i], true
		}
	}
	return order.Transaction{}, false
}

// parentOf is the order's id of the transaction that a reported one is about. It is empty if the
// order does not have it.
func parentOf(state order.State, provider string, report payments.Report, reported payments.Transaction, typ order.TransactionType) unit.TransactionID {
	parent := order.Capture
	switch typ {
	case order.Authorize:
		return ""
	case order.Capture, order.Void:
		parent = order.Authorize
	case order.Reversal:
		parent = order.Chargeback
	case order.Refund, order.Chargeback, order.Dispute:
	}
	i := slices.IndexFunc(report.Transactions, func(t payments.Transaction) bool { return t.Reference == reported.Parent })
	if i < 0 {
		return ""
	}
	found, _ := sameTransaction(state, provider, report, report.Transactions[i], parent)
	if found.State == order.Failed {
		return ""
	}
	return found.ID
}

// partOf finds the part of a refund that the executor has told the provider to pay, by its key.
func partOf(state order.State, reported payments.Transaction) (openRefund, bool) {
	if reported.Kind != payments.Refund || reported.Key == "" {
		return openRefund{}, false
	}
	for _, refund := range state.Refunds {
		for _, part := range refund.Parts {
			for attempt := 1; attempt <= part.Attempt; attempt++ {
				if order.RefundKey(part.ID, attempt) == reported.Key {
					return openRefund{order: state.OrderID, refund: refund.ID, part: withAttempt(part, attempt)}, true
				}
			}
		}
	}
	return openRefund{}, false
}

func withAttempt(part order.Part, attempt int) order.Part {
	if part.Attempt != attempt {
		part.State = order.RefundHasFailed // there was a further attempt, so this one has failed
	}
	part.Attempt = attempt
	return part
}

// settlementOf is the command that records how an attempt ended. ended is false if that is known,
// or if the attempt has not ended.
func settlementOf(of openRefund, reported payments.Transaction) (settle order.SettleRefund, ended bool) {
	if !of.part.Open() || reported.State == payments.Pending {
		return settle, false
	}
	settle = order.SettleRefund{RefundID: of.refund, PartID: of.part.ID, Attempt: of.part.Attempt, State: order.RefundSucceeded, Reference: reported.Reference}
	if reported.State == payments.Failed {
		settle.State, settle.Code = order.RefundHasFailed, reported.Reason
	}
	return settle, true
}

// stranger tells whether a refund has moved money that its part does not stand for: the part has
// another refund of the provider, or it has failed. It is then recorded as a fact of its own.
func stranger(state order.State, of openRefund, reported payments.Transaction) bool {
	if reported.State != payments.Succeeded {
		return false
	}
	t, _ := state.Transaction(of.part.Transaction)
	return of.part.State == order.RefundHasFailed || t.Reference != "" && t.Reference != reported.Reference
}
