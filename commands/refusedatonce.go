package commands

import (
	"context"
	"errors"
	"time"

	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// foreseenRefusal is a checkout that stock would refuse now.
type foreseenRefusal struct {
	started cart.CheckoutStarted
	refuse  cart.RefuseCheckout
	at      int64 // the cart's revision for which this is true
}

// refuseAtOnce records a checkout that stock would refuse: its start and its refusal, in one
// event. done is false if it recorded nothing, because the checkout may succeed. The caller
// then begins the checkout in the usual way.
//
// Nothing has to be released, because no driver can reserve anything for a checkout before its
// start is recorded. If the caller chose the order id, the id is claimed first, or in the same
// append if the log can do that. If the node dies after the claim, the cart owns the id and can
// still use it.
func (s *Service) refuseAtOnce(ctx context.Context, call Call, id unit.CartID, start cart.StartCheckout) (result CheckoutResult, done bool, err error) {
	what, short, err := s.foreseeRefusal(ctx, call, id, start)
	if err != nil || !short {
		return CheckoutResult{}, false, err
	}
	start.Short = what.refuse.Shortages
	begin := request(call, cart.Stream(id), []cart.Command{start})
	begin.AnyContent, begin.If = true, aggregate.AtRevision(what.at)
	if claim, chosen := checkout.Claim(what.started); chosen {
		recorded, err := s.together.refuse(ctx, claiming(call.Meta, claim), begin)
		if !errors.Is(err, aggregate.ErrStepByStep) {
			return CheckoutResult{OrderID: start.OrderID, Shortages: what.refuse.Shortages, Cart: recorded}, err == nil, err
		}
		if err := s.claim(ctx, call.Meta, claim); err != nil {
			return CheckoutResult{}, false, err
		}
	}
	recorded, err := s.carts.Handle(ctx, begin)
	if _, moved := errors.AsType[*aggregate.StaleError](err); moved || err == nil && recorded.Replayed {
		return CheckoutResult{}, false, nil
	}
	return CheckoutResult{OrderID: start.OrderID, Shortages: what.refuse.Shortages, Cart: recorded}, err == nil, err
}

// foreseeRefusal tells whether stock would refuse a checkout. It records nothing.
//
// Most checkouts succeed. So it first tries the states that this node has in memory, and reads only
// the streams that are not there. Only if these states would refuse, it reads the present states
// from the log. A cart that was refused before will probably be refused again, so it reads the
// present states at once. If it overlooks a shortage, stock refuses later, when it is asked to
// reserve.
//
// After it, all streams of the checkout are in memory, so that together need not read them.
func (s *Service) foreseeRefusal(ctx context.Context, call Call, id unit.CartID, start cart.StartCheckout) (what foreseenRefusal, short bool, err error) {
	ages := []time.Duration{anyAge, 0}
	begins := false
	start.Quote = nil // stock does not ask for it, and checking it takes time
	err = s.carts.ViewAged(ctx, cart.Stream(id), anyAge, func(state cart.State, revision int64) {
		events, refusal := cart.Decide(start, state)
		if refusal != nil || len(events) != 1 {
			return
		}
		what.started, begins = events[0].(cart.CheckoutStarted)
		what.at = revision
		if len(state.Refused) > 0 {
			ages = ages[1:]
		}
	})
	if err != nil || !begins || !call.If.Allows(what.at) {
		return what, false, err
	}
	for _, maxAge := range ages {
		if what.refuse, short, err = s.rehearse(ctx, what.started, maxAge); err != nil || !short {
			return what, false, err
		}
	}
	return what, true, nil
}

// anyAge lets a View use whatever state this node has in memory. If it has none, it reads the
// stream.
const anyAge = time.Hour

// rehearse goes through a checkout with stock states that may be as old as maxAge, and reserves
// nothing. It returns true if the checkout would be refused.
func (s *Service) rehearse(ctx context.Context, started cart.CheckoutStarted, maxAge time.Duration) (cart.RefuseCheckout, bool, error) {
	process := checkout.Begin(started)
	for asks := process.Asks(); len(asks) > 0; asks = process.Asks() {
		replies, keys := make([]checkout.StockReply, len(asks)), make([]stock.Key, len(asks))
		for i, ask := range asks {
			replies[i].Ask, keys[i] = ask, ask.Key
		}
		err := s.viewStocks(ctx, keys, maxAge, func(i int, state stock.State) {
			if _, err := stock.Decide(asks[i].Reserve(s.now()), state); aggregate.IsRejection(err) {
				replies[i].Err = err
			}
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
