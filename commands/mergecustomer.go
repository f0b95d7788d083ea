package commands

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/customer"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// accountMerge is a merge of an account, the source, into another one, the target.
type accountMerge struct {
	source customer.State
	target unit.CustomerID
}

// MergeCustomer merges an account, the source, into another one, the target, of the same person.
// From then on the target answers for the source: carts, orders and returns of the source count as
// the target's, also those that begin later. The condition of the call is about the source, and so
// is the result, apart from its position.
//
// If the target cannot take the source, the source stays open, or is open again when MergeCustomer
// returns. The error is then the refusal. If it is about the target, its fact customer_id is the id
// of the target. If the two are merged already, nothing happens, and that is no error.
func (s *Service) MergeCustomer(ctx context.Context, call Call, source, target unit.CustomerID) (aggregate.Result[customer.Event], error) {
	var result aggregate.Result[customer.Event]
	if err := s.admit(call, access.HandleCustomers); err != nil {
		return result, err
	}
	for _, id := range []unit.CustomerID{source, target} {
		if err := s.ownsCustomer(ctx, call, id); err != nil {
			return result, err
		}
	}
	defer s.drive(customer.Stream(source))()
	for range maxMergeAttempts {
		repeats, err := s.customers.Repeats(ctx, customer.Stream(source), call.Meta)
		if err != nil {
			return result, err
		}
		if !repeats {
			if err := s.mayMerge(ctx, source, target); err != nil {
				return result, err
			}
		}
		result, err = s.customers.Handle(ctx, request(call, customer.Stream(source), []customer.Command{customer.MergeInto{Into: target}}))
		if err != nil {
			return result, err
		}
		m, err := s.accountMergeOf(ctx, source)
		if err != nil {
			return result, err
		}
		if m.target != target { // this attempt was declined before
			call.Meta.CommandID = nextAttempt(call.Meta.CommandID)
			continue
		}
		var absorbed bool
		if result.Position, absorbed, err = s.finishAccountMerge(ctx, call.Meta, m); err != nil {
			return result, err
		}
		if absorbed {
			return result, nil
		}
		call.Meta.CommandID = nextAttempt(call.Meta.CommandID) // the next look says why
	}
	return result, fmt.Errorf("customer %s declined customer %s %d times: %w", target, source, maxMergeAttempts, aggregate.ErrOverloaded)
}

// mayMerge refuses a merge that the target would decline now. For two accounts that are merged
// already it returns nil.
func (s *Service) mayMerge(ctx context.Context, source, target unit.CustomerID) error {
	if source == target {
		return customer.ErrMergeSelf
	}
	m, err := s.accountMergeOf(ctx, source)
	if err != nil || m.target == target {
		return err
	}
	var refusal error
	err = s.ViewCustomer(ctx, target, func(state customer.State, _ int64) {
		if m.source.Registered() {
			_, refusal = customer.Decide(customer.Absorb{Source: m.source}, state)
		}
	})
	if err = errors.Join(err, namingCustomer(target, refusal)); err != nil {
		return err
	}
	if err := s.refuseErased(ctx, target); err != nil {
		return namingCustomer(target, err)
	}
	return s.refuseErased(ctx, source)
}

// refuseErased returns customer.ErrErased if the texts of a customer were erased.
func (s *Service) refuseErased(ctx context.Context, id unit.CustomerID) error {
	state, _, err := s.Subject(ctx, id.Owner())
	if err == nil && state.IsErased() {
		err = customer.ErrErased
	}
	return err
}

// FinishCustomerMerge ends the merge of an account that the log shows as begun. meta is the
// metadata of the event that began it.
func (s *Service) FinishCustomerMerge(ctx context.Context, meta eventstore.Metadata, id unit.CustomerID) error {
	defer s.drive(customer.Stream(id))()
	m, err := s.accountMergeOf(ctx, id)
	if err != nil || m.target == "" {
		return err
	}
	_, _, err = s.finishAccountMerge(ctx, by(theReactor, meta), m)
	return err
}

// accountMergeOf returns the merge of an account. If there is none, its target is empty.
func (s *Service) accountMergeOf(ctx context.Context, id unit.CustomerID) (m accountMerge, err error) {
	err = s.ViewCustomer(ctx, id, func(state customer.State, _ int64) {
		m = accountMerge{source: state.Merging(), target: state.MergedInto}
	})
	return m, err
}

// finishAccountMerge is the process: the target takes the source or declines it, and if it has
// declined it, the source opens again. The target's stream is the referee, because both outcomes
// have one command id. Any number of drivers may do this at once and stop anywhere.
func (s *Service) finishAccountMerge(ctx context.Context, meta eventstore.Metadata, m accountMerge) (at eventstore.Position, absorbed bool, err error) {
	source, attempt := m.source.CustomerID, m.source.Merges
	parts := []string{string(source), string(m.target), strconv.Itoa(attempt)}
	take := aggregate.Request[customer.Command]{
		Stream: customer.Stream(m.target), Meta: derivedMeta(meta, unit.AccountMergeOutcome.Of(parts...)),
		Commands: []customer.Command{customer.Absorb{Source: m.source, Attempt: attempt}},
	}
	var result aggregate.Result[customer.Event]
	for _, id := range []unit.CustomerID{m.target, source} { // nothing is copied to or from an erased customer
		if err == nil {
			err = s.refuseErased(ctx, id)
		}
	}
	if err == nil {
		result, err = s.customers.Handle(ctx, take)
	}
	if reason := declineReason(err); reason != "" {
		take.Commands = []customer.Command{customer.DeclineMerge{CustomerID: source, Attempt: attempt, Reason: reason}}
		result, err = s.customers.Handle(ctx, take)
	}
	if err != nil {
		return result.Position, false, err
	}
	err = s.ViewCustomer(ctx, m.target, func(state customer.State, _ int64) { absorbed = state.StandsFor(source) })
	if err != nil || absorbed {
		return result.Position, absorbed, err
	}
	declined, err := s.declineOf(ctx, m)
	if err != nil {
		return result.Position, false, err
	}
	result, err = s.customers.Handle(ctx, aggregate.Request[customer.Command]{
		Stream: customer.Stream(source), Meta: derivedMeta(meta, unit.AccountMergeRefuse.Of(parts...)),
		Commands: []customer.Command{customer.RefuseMerge{Attempt: attempt, Reason: declined.Reason}},
	})
	return result.Position, false, err
}

// declineOf returns the event by which the target has declined a merge.
func (s *Service) declineOf(ctx context.Context, m accountMerge) (customer.MergeDeclined, error) {
	stream := customer.Stream(m.target)
	for recorded, err := range s.store.ReadStreamBackwards(ctx, stream, eventstore.LastRevision, 0) {
		if err != nil {
			return customer.MergeDeclined{}, fmt.Errorf("customer %s: %w", m.target, err)
		}
		event, err := eventstore.Decode(&recorded, customer.Decode)
		if err != nil && !eventstore.IsForeign(err) {
			return customer.MergeDeclined{}, &aggregate.UndecodableError{Stream: stream, Revision: recorded.Revision, Cause: err}
		}
		if declined, is := event.(customer.MergeDeclined); is && declined.CustomerID == m.source.CustomerID && declined.Attempt == m.source.Merges {
			return declined, nil
		}
	}
	return customer.MergeDeclined{}, fmt.Errorf("customer %s: the outcome of the merge of customer %s is decided and not recorded", m.target, m.source.CustomerID)
}

// namingCustomer says in a refusal which account it is about.
func namingCustomer(id unit.CustomerID, err error) error {
	return naming("customer", id, err)
}
