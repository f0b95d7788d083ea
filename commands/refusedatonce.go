package commands

import (
	"context"
	"errors"

	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// foreseen is a checkout that would be refused by the stock there is.
type foreseen struct {
	started cart.CheckoutStarted
	refuse  cart.RefuseCheckout
	at      int64 // revision of the cart for which this holds
}

// refuseAtOnce records a checkout that stock would refuse, its start and its refusal in
// one append. done is false where it did nothing, because the checkout may well succeed;
// then it must be begun as ever.
//
// Nothing is reserved, so nothing has to be released: before its start is recorded,
// nobody can have reserved anything for a checkout. A chosen order id is claimed first. If
// the node dies after that, the id is the cart's, and the cart can use it.
func (s *Service) refuseAtOnce(ctx context.Context, call Call, id unit.CartID, start cart.StartCheckout) (result CheckoutResult, done bool, err error) {
	what, short, err := s.foreseeRefusal(ctx, call, id, start)
	if err != nil || !short {
		return CheckoutResult{}, false, err
	}
	if claim, chosen := checkout.Claim(what.started); chosen {
		if err := s.claim(ctx, call.Meta, claim); err != nil {
			return CheckoutResult{}, false, err
		}
	}
	begin := request(call, cart.Stream(id), []cart.Command{start, what.refuse})
	begin.AnyContent, begin.If = true, aggregate.AtRevision(what.at)
	answer, err := s.carts.Handle(ctx, begin)
	if _, moved := errors.AsType[*aggregate.StaleError](err); moved || err == nil && answer.Replayed {
		return CheckoutResult{}, false, nil
	}
	return CheckoutResult{OrderID: start.OrderID, Shortages: what.refuse.Shortages, Cart: answer}, err == nil, err
}

// foreseeRefusal goes through a checkout without recording anything.
//
// Most checkouts succeed, so it looks first at what this node has in memory, which reads
// nothing of the log. Only where that refuses does it look at the present. A cart that was
// refused before is likely to be refused again, so there it looks at the present at once.
// What it misses is refused later, when stock is asked to reserve.
func (s *Service) foreseeRefusal(ctx context.Context, call Call, id unit.CartID, start cart.StartCheckout) (what foreseen, short bool, err error) {
	views := []func(context.Context, string, func(stock.State, int64)) error{s.stock.Recall, s.stock.View}
	begins := false
	err = s.carts.Recall(ctx, cart.Stream(id), func(state cart.State, revision int64) {
		events, refusal := cart.Decide(start, state)
		if refusal != nil || len(events) != 1 {
			return
		}
		what.started, begins = events[0].(cart.CheckoutStarted)
		what.at = revision
		if len(state.Refused) > 0 {
			views = views[1:]
		}
	})
	if err != nil || !begins || !call.If.Allows(what.at) {
		return what, false, err
	}
	for _, view := range views {
		if what.refuse, short, err = s.rehearse(ctx, what.started, view); err != nil || !short {
			return what, false, err
		}
	}
	return what, true, nil
}

// rehearse asks stock, as view shows it, what a checkout asks, and holds nothing. It tells
// whether the checkout would be refused. Stock that view does not show refuses nothing.
func (s *Service) rehearse(ctx context.Context, started cart.CheckoutStarted, view func(context.Context, string, func(stock.State, int64)) error) (cart.RefuseCheckout, bool, error) {
	process := checkout.Begin(started)
	for asks := process.Asks(); len(asks) > 0; asks = process.Asks() {
		replies := make([]checkout.StockReply, len(asks))
		err := each(ctx, asks, func(ctx context.Context, i int, ask checkout.Ask) error {
			replies[i].Ask = ask
			return view(ctx, stock.Stream(ask.SKU, ask.Location), func(state stock.State, _ int64) {
				if _, err := stock.Decide(ask.Reserve(s.now()), state); aggregate.IsRejection(err) {
					replies[i].Err = err
				}
			})
		})
		if err != nil {
			return cart.RefuseCheckout{}, false, err
		}
		process = process.Reply(replies)
	}
	outcome, _ := process.Outcome()
	refuse, short := outcome.(cart.RefuseCheckout)
	return refuse, short, nil
}
