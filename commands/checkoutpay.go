package commands

import (
	"cmp"
	"context"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/order"
	"daybook/domain/unit"
)

// AfterPlacing is what a checkout does with its order as soon as it is placed: it records a
// payment, or confirms the order, or both in one step.
type AfterPlacing struct {
	// Call is the call of this step. Its command id must not be that of the checkout's call.
	Call Call
	// Pay, if not nil, is recorded. Without an amount it is what the order owes and gift cards do
	// not pay. Without an id, the id derives from the provider's number for it, or, without one,
	// from the call that began the checkout: so two calls that get the same order also have the
	// same payment. A free order is paid without a transaction.
	Pay *order.RecordTransaction
	// Confirm asks for a confirmed order. Beside a payment that has not succeeded, the order stays
	// pending: at its deadline the money decides.
	Confirm bool
}

// confirms tells whether the order is confirmed as soon as it is placed.
func (a *AfterPlacing) confirms() bool {
	return a != nil && a.Confirm && (a.Pay == nil || a.Pay.State == order.Succeeded)
}

// calls are the calls of the step, one for each permission that it uses.
func (a *AfterPlacing) calls() (all []Call) {
	using := func(needs access.Permission) {
		call := a.Call
		if call.Needs != "" {
			call.Needs = needs
		}
		all = append(all, call)
	}
	if a.Pay != nil {
		using(access.RecordMoney)
	}
	if a.Confirm { // the permission is needed whether or not the payment has succeeded
		using(access.ConfirmOrder)
	}
	return all
}

// afterPlacing pays and confirms the order that a checkout has placed. It returns the results of
// the placing and of this step as one result. If the step is refused, the order stays placed.
func (s *Service) afterPlacing(ctx context.Context, call Call, result CheckoutResult, after *AfterPlacing) (aggregate.Result[order.Event], error) {
	placed := result.Order
	if after == nil || !result.Placed {
		return placed, nil
	}
	wanted, err := after.commands(s, cmp.Or(result.BegunBy, call.Meta.CommandID), func() (unit.Money, error) {
		return s.owed(ctx, result.OrderID, placed)
	})
	if err != nil || len(wanted) == 0 {
		return placed, err
	}
	done, err := s.Order(ctx, after.calls()[0], result.OrderID, wanted...)
	if err != nil {
		return placed, err
	}
	if !placed.Replayed && !done.Replayed && len(placed.Events) > 0 && len(done.Events) > 0 {
		done.Events = append(placed.Events[:len(placed.Events):len(placed.Events)], done.Events...)
	} else {
		done.Events = nil // a part was done before, so the events of this call are not all events of the order
	}
	return done, nil
}

// commands are the commands of the step. begunBy is the command id of the call that began the
// checkout. owed returns what the order owes.
func (a *AfterPlacing) commands(s *Service, begunBy uuid.UUID, owed func() (unit.Money, error)) ([]order.Command, error) {
	var wanted []order.Command
	if a.Pay != nil {
		pay := *a.Pay
		if pay.TransactionID == "" {
			pay.TransactionID = unit.TransactionID(unit.NewTransaction.Of(begunBy.String()).ID())
			if pay.Provider != "" && pay.Reference != "" { // the provider reports it under the same id
				pay.TransactionID = reportedID(pay.Provider, pay.Reference, pay.Type)
			}
		}
		if pay.Amount.Currency == "" {
			var err error
			if pay.Amount, err = owed(); err != nil {
				return nil, err
			}
		}
		if pay.Amount.Sign() != 0 {
			wanted = append(wanted, pay)
		}
	}
	free := a.Pay != nil && len(wanted) == 0 // there is nothing to pay, so no payment can fail
	if a.confirms() || a.Confirm && free {
		wanted = append(wanted, order.Confirm{Now: s.now(), Allocated: s.joined && a.confirms()})
	}
	return wanted, nil
}

// owed is what an order owes after it was placed. If this call placed it, the order is not read.
func (s *Service) owed(ctx context.Context, id unit.OrderID, placed aggregate.Result[order.Event]) (owed unit.Money, err error) {
	if !placed.Replayed && len(placed.Events) > 0 && placed.Revision == int64(len(placed.Events))-1 {
		return folded(placed.Events).LeftToPay(), nil
	}
	err = s.orders.View(ctx, order.Stream(id), func(state order.State, _ int64) { owed = state.LeftToPay() })
	return owed, err
}

// folded is the state of an order that has these events.
func folded(events []order.Event) (state order.State) {
	for _, event := range events {
		state = order.Evolve(state, event)
	}
	return state
}
