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
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// Return carries out commands on a return, all or none. Then it carries out what follows from
// them: the orders admit the units or refuse them, the orders record their shares of a refund,
// and stock takes in the goods that came. A return that is linked to orders cannot be
// requested and approved in the same call.
//
// Usually an order refuses before anything is recorded. It may refuse later if two returns ask
// for the same units at once, or record refunds with the same id at once. Then the return is
// recorded and declined, or its refund is recorded and taken back. The other commands of the
// call stay recorded.
func (s *Service) Return(ctx context.Context, call Call, id unit.ReturnID, commands ...returns.Command) (aggregate.Result[returns.Event], error) {
	if err := cmp.Or(refuseSteps(commands), s.admit(call, access.AskReturns, access.HandleReturns, access.RefundReturns, access.NoteCredit), s.ownsReturn(ctx, call, id, commands)); err != nil {
		return aggregate.Result[returns.Event]{}, err
	}
	for _, command := range commands { // before stock is asked for the receipts
		if err := call.Who.Scope.ReachesLocations(returns.Locations(command, returns.State{})...); err != nil {
			return aggregate.Result[returns.Event]{}, err
		}
	}
	commands = s.limitRefunds(call, commands)
	defer s.drive(returns.Stream(id))()
	err := s.refusalByOrder(ctx, call, id, commands)
	if err == nil {
		err = s.mayTakeIn(ctx, id, commands)
	}
	if err != nil {
		if repeats, fault := s.returns.Repeats(ctx, returns.Stream(id), call.Meta); !repeats {
			return aggregate.Result[returns.Event]{}, cmp.Or(fault, err)
		}
	}
	result, err := s.returns.Handle(ctx, request(call, returns.Stream(id), commands))
	if err != nil {
		return result, err
	}
	last, err := s.followReturn(ctx, call.Meta, id)
	result.Revision, result.Position = max(result.Revision, last.Revision), later(result.Position, last.Position)
	if err == nil && slices.ContainsFunc(commands, asksOrders) {
		err = s.refusedAfter(ctx, id, commands)
	}
	return result, err
}

// limitRefunds returns the commands with the shop's limit for refunds, if it holds for the sender.
func (s *Service) limitRefunds(call Call, commands []returns.Command) []returns.Command {
	limited := slices.Clone(commands)
	for i, command := range limited {
		if refund, is := command.(returns.RecordRefund); is {
			refund.Limit = s.policy.refundLimit(call.Who, refund.Amount.Currency)
			limited[i] = refund
		}
	}
	return limited
}

// mayTakeIn refuses goods that would exceed the limit of a stock. This is possible only before
// the receipt is recorded.
func (s *Service) mayTakeIn(ctx context.Context, id unit.ReturnID, commands []returns.Command) error {
	return s.stockAllows(ctx, func(maxAge time.Duration) (moves []fulfilment.Move, err error) {
		for _, command := range commands {
			receive, ok := command.(returns.Receive)
			if !ok {
				continue
			}
			err := s.returns.ViewAged(ctx, returns.Stream(id), maxAge, func(state returns.State, _ int64) {
				// A refusal by the return itself is not returned here. The return's handler
				// returns it, so that the first refusal is always the same.
				asked, _ := fulfilment.ReceiptMoves(state, receive)
				moves = append(moves, asked...)
			})
			if err != nil {
				return nil, err
			}
		}
		return moves, nil
	})
}

// asksOrders reports whether an order may refuse what follows from a command.
func asksOrders(command returns.Command) bool {
	_, requests := command.(returns.Request)
	_, refunds := command.(returns.RecordRefund)
	return requests || refunds
}

// refusalByOrder returns the refusal that an order would give. It is asked before the return
// records anything.
func (s *Service) refusalByOrder(ctx context.Context, call Call, id unit.ReturnID, commands []returns.Command) error {
	if !slices.ContainsFunc(commands, asksOrders) {
		return nil
	}
	var asks []fulfilment.Ask
	err := s.returns.View(ctx, returns.Stream(id), func(state returns.State, revision int64) {
		if call.If.Allows(revision) { // otherwise the handler refuses with StaleError
			asks = fulfilment.ReturnAsks(state, commands)
		}
	})
	if err != nil {
		return err
	}
	asked := map[unit.OrderID]order.State{} // as the orders are after the asks before
	for _, ask := range asks {
		var refusal error
		err := s.orders.View(ctx, order.Stream(ask.OrderID), func(state order.State, _ int64) {
			if after, before := asked[ask.OrderID]; before {
				state = after
			}
			var events []order.Event
			events, refusal = order.Decide(ask.Command, state)
			state = state.Clone()
			for _, event := range events {
				state = order.Evolve(state, event)
			}
			asked[ask.OrderID] = state
		})
		no, refused := refusedBy(cmp.Or(err, refusal))
		if err != nil && !refused {
			return err
		}
		if refused {
			if no = ask.FinalRefusal(no); no != nil {
				return no
			}
		}
	}
	return nil
}

// refusedBy returns an order's refusal, if err is one. An order whose stream was deleted for
// good counts as an order that does not exist.
func refusedBy(err error) (*rule.Rejection, bool) {
	if _, deleted := errors.AsType[*eventstore.DeletedError](err); deleted {
		return order.ErrNotFound, true
	}
	return errors.AsType[*rule.Rejection](err)
}

// refusedAfter returns the refusal of an order that refused only after the commands were
// recorded; nil if none did.
func (s *Service) refusedAfter(ctx context.Context, id unit.ReturnID, commands []returns.Command) error {
	var no *rule.Rejection
	err := s.returns.View(ctx, returns.Stream(id), func(state returns.State, _ int64) {
		for _, command := range commands {
			if _, is := command.(returns.Request); is {
				no = cmp.Or(no, fulfilment.RefusedAdmission(state))
			}
			if refund, is := command.(returns.RecordRefund); is {
				no = cmp.Or(no, fulfilment.RefusedRefund(state, refund))
			}
		}
	})
	if err == nil && no != nil {
		return no
	}
	return err
}

// FinishReturn carries out the steps of a return that are open in the log. meta is the
// metadata of the event that made them necessary.
func (s *Service) FinishReturn(ctx context.Context, meta eventstore.Metadata, id unit.ReturnID) error {
	defer s.drive(returns.Stream(id))()
	_, err := s.followReturn(ctx, by(theReactor, meta), id)
	return err
}

// followReturn carries out the rest of a return's process, and returns the result of the
// process's last command.
func (s *Service) followReturn(ctx context.Context, meta eventstore.Metadata, id unit.ReturnID) (aggregate.Result[returns.Event], error) {
	last, err := s.askOrders(ctx, meta, id)
	if err != nil {
		return last, err
	}
	taken, err := s.takeBack(ctx, meta, id)
	last.Revision, last.Position = max(last.Revision, taken.Revision), later(last.Position, taken.Position)
	return last, err
}

// askOrders carries out the steps that a return has open with its orders, and records the
// outcome of each.
func (s *Service) askOrders(ctx context.Context, meta eventstore.Metadata, id unit.ReturnID) (aggregate.Result[returns.Event], error) {
	var last aggregate.Result[returns.Event]
	for asked := ""; ; {
		var next fulfilment.ReturnProcess
		open := false
		err := s.returns.View(ctx, returns.Stream(id), func(state returns.State, _ int64) { next, open = fulfilment.NextReturnProcess(state) })
		if err != nil || !open {
			return last, err
		}
		if next.Key() == asked { // the outcome was recorded, and the step is still open
			return last, fmt.Errorf("return %s: step %s does not end", id, asked)
		}
		asked = next.Key()
		replies := make([]fulfilment.Reply, len(next.Asks))
		err = each(ctx, s, next.Asks, func(ctx context.Context, i int, ask fulfilment.Ask) error {
			_, err := s.orders.Handle(ctx, aggregate.Request[order.Command]{
				Stream: order.Stream(ask.OrderID), Meta: derivedMeta(meta, ask.ID), Commands: []order.Command{ask.Command}, Redecide: true,
			})
			replies[i] = fulfilment.Reply{Ask: ask}
			if refusal, refused := refusedBy(err); refused {
				replies[i].Refusal, err = s.finally(ctx, meta, ask, refusal)
				return err
			}
			if err != nil {
				return err
			}
			var cards []order.SoldUnit
			var currency unit.Currency
			err = s.orders.ViewAged(ctx, order.Stream(ask.OrderID), freshEnough, func(state order.State, _ int64) {
				if state.TakenOver {
					replies[i].TakenOverBy = state.CustomerID
				}
				cards, currency = state.CardsToEnd(), state.Currency()
			})
			if err == nil {
				_, err = s.endCards(ctx, meta, ask.OrderID, currency, cards)
			}
			return err
		})
		if err != nil {
			return last, err
		}
		if last, err = s.returns.Handle(ctx, aggregate.Request[returns.Command]{
			Stream: returns.Stream(id), Meta: derivedMeta(meta, unit.ReturnOutcome.Of(string(id), next.Key())),
			Commands: next.Commands(replies), Redecide: true,
		}); err != nil {
			return last, fmt.Errorf("return %s: %w", id, err)
		}
	}
}

// finally makes an order's refusal final, and returns it. It returns nil if another driver has got
// the share recorded meanwhile.
func (s *Service) finally(ctx context.Context, meta eventstore.Metadata, ask fulfilment.Ask, no *rule.Rejection) (*rule.Rejection, error) {
	refuse := ask.Finally(no)
	if refuse == nil {
		return no, nil
	}
	_, err := s.orders.Handle(ctx, aggregate.Request[order.Command]{
		Stream: order.Stream(ask.OrderID), Meta: derivedMeta(meta, ask.RefusalID()), Commands: []order.Command{refuse}, Redecide: true,
	})
	if err != nil {
		return nil, err
	}
	err = s.orders.View(ctx, order.Stream(ask.OrderID), func(state order.State, _ int64) {
		if ask.RecordedBy(state) {
			no = nil
		}
	})
	return no, err
}

func (s *Service) takeBack(ctx context.Context, meta eventstore.Metadata, id unit.ReturnID) (aggregate.Result[returns.Event], error) {
	var last aggregate.Result[returns.Event]
	var receipts []fulfilment.Receipt
	err := s.returns.View(ctx, returns.Stream(id), func(state returns.State, _ int64) { receipts = fulfilment.Receipts(state) })
	if err != nil {
		return last, err
	}
	for _, receipt := range receipts {
		replies, err := s.move(ctx, meta, receipt.Moves)
		if err != nil {
			return last, err
		}
		for _, reply := range replies {
			if reply.Refusal != nil {
				return last, fmt.Errorf("return %s: stock refused what came back: %w", id, reply.Refusal)
			}
		}
		last, err = s.returns.Handle(ctx, aggregate.Request[returns.Command]{
			Stream: returns.Stream(id), Meta: derivedMeta(meta, unit.ReturnSettle.Of(string(id), fmt.Sprint(receipt.Number))),
			Commands: []returns.Command{returns.SettleStock{Receipt: receipt.Number}}, Redecide: true,
		})
		if err != nil {
			return last, err
		}
	}
	return last, nil
}
