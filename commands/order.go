package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/fulfilment"
	"daybook/domain/money/entity"
	"daybook/domain/order"
	"daybook/domain/rule"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// Order carries out commands on an order, all or none. Then it moves the stock that they need,
// before it returns. For example, it commits the reservations of a confirmed order, gives back
// the goods of a canceled order, and takes the goods of a shipment off the shelf. The result has
// the events of the commands and of what followed on the order.
func (s *Service) Order(ctx context.Context, call Call, id unit.OrderID, commands ...order.Command) (aggregate.Result[order.Event], error) {
	if err := cmp.Or(refuseSteps(commands), s.admit(call, access.ConfirmOrder, access.CancelOrders, access.HandleOrders, access.ShipOrders, access.RecordMoney, access.RefundOrders, access.ReducePrices, access.AddSurcharges, access.ClawBack), s.ownsOrder(ctx, call, id), s.reachesOrder(ctx, call, id, commands...)); err != nil {
		return aggregate.Result[order.Event]{}, err
	}
	defer s.drive(order.Stream(id))()
	for _, command := range commands {
		err := s.mayMove(ctx, id, command)
		if err == nil {
			continue
		}
		if repeats, fault := s.orders.Repeats(ctx, order.Stream(id), call.Meta); !repeats {
			return aggregate.Result[order.Event]{}, cmp.Or(fault, err)
		}
	}
	commands, err := s.limitTransactions(ctx, call, id, commands)
	if err != nil {
		return aggregate.Result[order.Event]{}, err
	}
	if err := s.claimPayments(ctx, call.Meta, id, commands); err != nil {
		return aggregate.Result[order.Event]{}, err
	}
	result, err := s.orders.Handle(ctx, request(call, order.Stream(id), commands))
	if err != nil {
		return result, err
	}
	last, err := s.fulfil(ctx, call.Meta, id, freshEnough)
	if _, stuck := errors.AsType[*stuckError](err); stuck {
		err = nil // the commands are recorded; the reactor tries the rest again
	}
	result.Revision, result.Position = max(result.Revision, last.Revision), later(result.Position, last.Position)
	result.Events = append(result.Events[:len(result.Events):len(result.Events)], last.Events...)
	return result, err
}

// limitTransactions returns the commands with the shop's limits for refunds and write-offs, if they
// hold for the sender, and with the latest deadline that the shop allows. The order's lane compares
// the limits with what has been given back.
func (s *Service) limitTransactions(ctx context.Context, call Call, id unit.OrderID, commands []order.Command) ([]order.Command, error) {
	limited := slices.Clone(commands)
	for i, command := range limited {
		if record, is := command.(order.RecordTransaction); is {
			record.Limit = s.policy.refundLimit(call.Who, record.Amount.Currency)
			limited[i] = record
			continue
		}
		if !limitedInCurrency(command) {
			continue
		}
		var currency unit.Currency
		var seller string
		if err := s.orders.View(ctx, order.Stream(id), func(state order.State, _ int64) {
			if currency = state.Currency(); state.Quote != nil {
				seller = state.Quote.Entity
			}
		}); err != nil {
			return nil, err
		}
		limited[i] = s.limit(call.Who, command, currency)
		if charge, is := limited[i].(order.AddCharge); is && charge.Kind == order.Clawback && seller != "" {
			err := s.ViewLegalEntity(ctx, seller, func(state entity.State, _ int64) { charge.Allowed = state.Terms.Clawback })
			if err != nil {
				return nil, err
			}
			limited[i] = charge
		}
	}
	return limited, nil
}

// limitedInCurrency tells whether a command has a limit in the currency of its order.
func limitedInCurrency(command order.Command) bool {
	switch any(command).(type) { // most commands have no limit
	case order.SettleTransaction, order.RequestRefund, order.SubmitRefund, order.SettleRefund, order.ExplainRefund, order.WriteOff, order.Extend, order.AddCharge:
		return true
	}
	return false
}

func (s *Service) limit(who access.Principal, command order.Command, currency unit.Currency) order.Command {
	refunds := s.policy.refundLimit(who, currency)
	switch command := any(command).(type) { // most commands have no limit
	case order.SettleTransaction:
		command.Limit = refunds
		return command
	case order.RequestRefund:
		command.Limit = refunds
		return command
	case order.SubmitRefund:
		command.Limit = refunds
		return command
	case order.SettleRefund:
		command.Limit = refunds
		return command
	case order.ExplainRefund:
		command.Limit = refunds
		return command
	case order.WriteOff:
		command.Tolerance = s.policy.writeOffLimit(who, currency)
		return command
	case order.AddCharge:
		if command.Kind == order.Surcharge {
			command.Limit = s.policy.surchargeLimit(who, currency)
		}
		return command
	case order.Extend:
		command.Now, command.Latest = s.now(), s.now().Add(s.policy.ExtendAtMost)
		return command
	}
	return command
}

// mayMove refuses a parcel whose goods stock does not have on its books, goods to send again that
// it does not have, and goods that came back for which it has no room. This is possible only before
// the command is recorded. If stock changes between this check and the recording, stock records a
// shipment by force, because the parcel has left, and the process goes on as the package fulfilment
// says.
func (s *Service) mayMove(ctx context.Context, id unit.OrderID, command order.Command) error {
	var asks func(order.State) ([]fulfilment.Move, error)
	switch command := any(command).(type) { // most commands are not about parcels
	case order.Ship:
		if command.Force {
			return nil
		}
		asks = func(state order.State) ([]fulfilment.Move, error) { return fulfilment.ShipmentMoves(state, command) }
	case order.ResendParcel:
		asks = func(state order.State) ([]fulfilment.Move, error) { return fulfilment.ResendMoves(state, command) }
	case order.TakeParcelBack:
		asks = func(state order.State) ([]fulfilment.Move, error) { return fulfilment.ParcelBackMoves(state, command) }
	default:
		return nil
	}
	return s.stockAllows(ctx, func(maxAge time.Duration) (moves []fulfilment.Move, err error) {
		err = s.orders.ViewAged(ctx, order.Stream(id), maxAge, func(state order.State, _ int64) {
			// A refusal by the order itself is not returned here. The order's handler returns it,
			// so that the first refusal is always the same.
			moves, _ = asks(state)
		})
		return moves, err
	})
}

// stockAllows tries movements on stock's state, and returns stock's refusals, joined. moves
// computes the movements from a state that is at most maxAge old.
//
// Most movements are possible. So it first tries states of the last second, which are usually in
// memory. Only if these would refuse, it reads the present states.
func (s *Service) stockAllows(ctx context.Context, moves func(maxAge time.Duration) ([]fulfilment.Move, error)) error {
	var refusal error
	for _, maxAge := range []time.Duration{time.Second, 0} {
		asked, err := moves(maxAge)
		if err != nil {
			return err
		}
		if refusal, err = s.tryMoves(ctx, asked, maxAge); err != nil || refusal == nil {
			return err
		}
	}
	return refusal
}

// tryMoves tries movements on states of stock that are at most maxAge old. refusal is what stock
// would answer. err means that it could not be asked.
func (s *Service) tryMoves(ctx context.Context, moves []fulfilment.Move, maxAge time.Duration) (refusal, err error) {
	now := s.now()
	keys, refusals := make([]stock.Key, len(moves)), make([]error, len(moves))
	for i, move := range moves {
		keys[i] = move.Key
	}
	err = s.viewStocks(ctx, keys, maxAge, func(i int, state stock.State) {
		_, refusals[i] = stock.Decide(moves[i].Command(now), state)
		if _, forgotten := errors.AsType[*rule.ForgottenError](refusals[i]); forgotten {
			// The movement was almost certainly made before. Stock looks it up when it is asked.
			refusals[i] = nil
		}
	})
	return errors.Join(refusals...), err
}

func later(a, b eventstore.Position) eventstore.Position {
	if a.Before(b) {
		return b
	}
	return a
}

// FinishOrder carries out the steps of an order that are open in the log, and lets its returns and
// its cart follow if a customer has taken the order over. meta is the metadata of the event that
// made this necessary.
func (s *Service) FinishOrder(ctx context.Context, meta eventstore.Metadata, id unit.OrderID) error {
	defer s.drive(order.Stream(id))()
	_, unfollowed := s.followTakenOver(ctx, by(theReactor, meta), id, 0)
	_, err := s.fulfil(ctx, by(theReactor, meta), id, freshEnough)
	return errors.Join(err, unfollowed)
}

// stuckError means that stock refuses a step of the order, and that there is no other way to carry
// it out.
type stuckError struct {
	order   unit.OrderID
	step    order.StepRef
	refusal *rule.Rejection
}

func (e *stuckError) Error() string {
	return fmt.Sprintf("order %s: stock refuses step %s %s: %v", e.order, e.step.Step, e.step.Ref, e.refusal)
}

func (e *stuckError) Unwrap() error { return e.refusal }

// maxFulfilRounds bounds the rounds of the process. A step leads to a few further steps at
// most: for example, a failed allocation leads to a cancel, and the cancel to a refund.
const maxFulfilRounds = 10

// freshEnough is how old an order's state may be. A state that this call has read or written within
// this time need not be read again. Another node may have recorded events since then. That does not
// matter here, because that node carries out what follows from them.
const freshEnough = time.Second

// fulfil carries out the rest of an order's process, and returns the results of the process's
// commands as one: the events of all, and the revision and position of the last. The order's state
// may be as old as maxAge.
func (s *Service) fulfil(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, maxAge time.Duration) (aggregate.Result[order.Event], error) {
	var last aggregate.Result[order.Event]
	for range maxFulfilRounds {
		var process fulfilment.Process
		var of order.State
		var sold []soldCard
		var back []order.SoldUnit
		err := s.orders.ViewAged(ctx, order.Stream(id), maxAge, func(state order.State, _ int64) {
			process = fulfilment.Begin(state, s.policy.Remedy)
			of.CartID, of.OrderID = state.CartID, state.OrderID
			of.Total.Currency = state.Currency()
			sold, back = soldCards(state), state.CardsToEnd()
		})
		if err != nil {
			return last, err
		}
		ended, err := s.endCards(ctx, meta, id, of.Currency(), back)
		if err != nil {
			return last, err
		}
		if len(ended.Events) > 0 {
			ended.Events = append(last.Events, ended.Events...)
			last = ended
		}
		if err := errors.Join(s.moveHolds(ctx, meta, process, of), s.issueAll(ctx, meta, sold)); err != nil {
			return last, err
		}
		for moves := process.Moves(); len(moves) > 0; moves = process.Moves() {
			replies, err := s.move(ctx, meta, moves)
			if err != nil {
				return last, err
			}
			process = process.Reply(replies)
		}
		commands := process.Commands()
		if len(commands) == 0 {
			if step, refusal := process.Stuck(); refusal != nil {
				return last, &stuckError{id, step, refusal}
			}
			return last, nil
		}
		as := meta
		if slices.ContainsFunc(commands, givesBack) {
			as = by(theRemedy, meta)
		}
		done, err := s.orders.Handle(ctx, aggregate.Request[order.Command]{
			Stream: order.Stream(id), Meta: derivedMeta(as, unit.FulfilOrder.Of(string(id), process.Key())), Commands: commands, Redecide: true,
		})
		if err != nil {
			return last, err
		}
		done.Events = append(last.Events, done.Events...)
		last = done
	}
	return last, fmt.Errorf("order %s: fulfilment does not end", id)
}

// givesBack tells whether a command of the process records a void or a refund. The program itself
// has decided that, and not whoever sent the request.
func givesBack(command order.Command) bool {
	_, is := command.(order.RecordTransaction)
	return is
}

// move carries out stock movements. If stock refuses a movement, the reply has the refusal. If
// stock cannot be asked, move returns an error.
func (s *Service) move(ctx context.Context, meta eventstore.Metadata, moves []fulfilment.Move) ([]fulfilment.StockReply, error) {
	replies := make([]fulfilment.StockReply, len(moves))
	err := each(ctx, s, moves, func(ctx context.Context, i int, move fulfilment.Move) error {
		_, err := s.stock.Handle(ctx, aggregate.Request[stock.Command]{
			Stream: stock.Stream(move.SKU, move.Location), Meta: derivedMeta(meta, move.ID),
			Commands: []stock.Command{move.Command(s.now())}, Redecide: true,
		})
		replies[i] = fulfilment.StockReply{Move: move}
		if refusal, refused := errors.AsType[*rule.Rejection](err); refused {
			replies[i].Refusal = refusal
			return nil
		}
		return err
	})
	return replies, err
}
