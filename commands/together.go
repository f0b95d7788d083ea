package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// together records whole checkouts in one append, if the log can append to several streams at
// once: the checkout's start and outcome, the reservations, the order, its payment and its
// confirmation, and the allocation of its stock. Step by step, this takes seven rounds of appends,
// one after the other.
//
// It decides with the same functions as a checkout that goes step by step. So a call that was
// recorded in one append can be repeated step by step, and the other way round. There are two
// differences. No driver can be cut off between two steps. And if the order is confirmed at once,
// stock records only an allocation for each SKU. Step by step it would record a reservation and
// then its commitment, and the commitment would be an open step of the order.
//
// All checkouts that wait are one batch: each is decided on the state that the one before left.
// together does only what succeeds at once. If another node is first, or a stream is not in memory,
// Checkout reads the streams and asks together again, and from then on the nodes take turns. If
// something is short or refused, the checkout goes step by step.
type together struct {
	service *Service
	log     eventstore.MultiAppender
	options aggregate.Options

	carts  *aggregate.Handler[cart.State, cart.Command, cart.Event]
	stock  *aggregate.Handler[stock.State, stock.Command, stock.Event]
	orders *aggregate.Handler[order.State, order.Command, order.Event]

	promotions, customerUses *aggregate.Handler[promotion.State, promotion.Command, promotion.Event]
	giftCards                *aggregate.Handler[giftcard.State, giftcard.Command, giftcard.Event]

	turns eventstore.TurnTaker // nil: the log has no turns
	news  *aggregate.News

	mu      sync.Mutex
	waiting []*wholeCheckout
	working bool

	takeTurns time.Time // until when batches take turns; used only by work
}

// wholeCheckout is a checkout that waits for together.
type wholeCheckout struct {
	ctx   context.Context //nolint:containedctx // the caller's, because a batch has many callers
	call  Call
	ask   CheckoutRequest
	start cart.StartCheckout
	seen  int64       // the revision of the cart that the caller has looked at
	taken atomic.Bool // by a batch, or by the caller when it gives up

	result CheckoutResult
	err    error
	done   chan struct{}
}

const (
	maxTogether = 64 // checkouts of a batch
	// These bounds are far below the log's limits for one append, so one more checkout of usual
	// size does not exceed them.
	maxTogetherStreams = eventstore.MaxAppendStreams / 2
	maxTogetherBytes   = eventstore.MaxAppendBytes / 2

	// turnsAfterLoss is for how long batches take turns with those of other nodes after another
	// writer was first (aggregate.ErrLost). maxTurnWait bounds how long a batch waits for its
	// turn, and for the events of the turns before.
	turnsAfterLoss = 10 * time.Second
	maxTurnWait    = 250 * time.Millisecond
)

// checkout carries out a checkout. It returns aggregate.ErrStepByStep if the checkout must go step
// by step. seen is the revision of the cart that the caller has looked at. If the cart has changed
// since, the checkout goes step by step, too. Its other errors are those of Checkout.
func (t *together) checkout(ctx context.Context, call Call, ask CheckoutRequest, start cart.StartCheckout, seen int64) (CheckoutResult, error) {
	if t == nil || ask.OnReserved != nil { // in one append, OnReserved could not be called before the end
		return CheckoutResult{}, aggregate.ErrStepByStep
	}
	whole := &wholeCheckout{ctx: ctx, call: call, ask: ask, start: start, seen: seen, done: make(chan struct{})}
	t.add(whole)
	select {
	case <-whole.done:
		if whole.err != nil { // what was decided is not recorded, as far as is known
			return CheckoutResult{}, whole.err
		}
		return whole.result, nil
	case <-ctx.Done():
	}
	if whole.taken.CompareAndSwap(false, true) {
		return CheckoutResult{}, fmt.Errorf("checkout of cart %s not begun: %w", ask.CartID, ctx.Err())
	}
	return CheckoutResult{}, &eventstore.OutcomeUnknownError{Cause: ctx.Err()}
}

func (t *together) add(whole *wholeCheckout) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, whole)
	if !t.working {
		t.working = true
		go t.work()
	}
}

// work carries out batches until nothing waits.
func (t *together) work() {
	for t.hasWork() {
		giveBack := t.takeTurn()
		t.carryOut(t.take(), giveBack)
	}
}

// hasWork tells whether a checkout waits. If not, the caller must stop.
func (t *together) hasWork() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.waiting, t.working = nil, false
	}
	return t.working
}

// takeTurn waits until no other node decides checkouts, and until their events are heard of. So the
// next batch rarely meets a conflict. A node that sells alone never takes turns, because only
// a conflict shows that there is another one. If a turn takes too long, the batch goes on without
// it.
//
// Example: two nodes sell the same 1,000 products, each in batches of ten orders with three lines.
// Without turns, another node's batch comes between deciding and recording, and has one of the
// three products in about every fifth order.
func (t *together) takeTurn() (giveBack func()) {
	if t.turns == nil || time.Now().After(t.takeTurns) {
		return func() {}
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxTurnWait)
	defer cancel()
	head, giveBack, err := t.turns.TakeTurn(ctx)
	if err != nil {
		t.service.logger.Debug("checkouts do not wait for their turn", "error", err)
		t.takeTurns = time.Time{}
		return func() {}
	}
	_ = t.news.Await(ctx, head) // after this time, the batch goes on with what was heard
	return giveBack
}

// take returns the next batch.
func (t *together) take() (batch []*wholeCheckout) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.waiting), maxTogether)
	for _, w := range t.waiting[:n] {
		if w.taken.CompareAndSwap(false, true) {
			batch = append(batch, w)
		}
	}
	t.waiting = t.waiting[n:]
	return batch
}

// carryOut decides a batch, appends its events, and ends each checkout of it. It gives the turn
// back after the append.
func (t *together) carryOut(batch []*wholeCheckout, giveBack func()) {
	joint := aggregate.NewJoint(t.log, t.options)
	var ended []*wholeCheckout
	defer func() {
		joint.Close()
		for _, w := range batch {
			if !slices.Contains(ended, w) { // the batch was full before it
				w.err = aggregate.ErrStepByStep
			}
			close(w.done)
		}
	}()
	carts, orders := aggregate.Join(joint, t.carts), aggregate.Join(joint, t.orders)
	s := &Service{
		carts: carts, stock: aggregate.Join(joint, t.stock), orders: orders,
		promotions: aggregate.Join(joint, t.promotions), customerUses: aggregate.Join(joint, t.customerUses), giftCards: aggregate.Join(joint, t.giftCards),
		store: t.service.store, policy: t.service.policy, now: t.service.now, logger: t.service.logger, driving: t.service.driving, joined: true,
	}
	var decided []*wholeCheckout
	for _, w := range batch {
		if streams, bytes := joint.Size(); streams > maxTogetherStreams || bytes > maxTogetherBytes {
			break
		}
		decided = append(decided, w)
		_ = joint.Do(w.ctx, func(ctx context.Context) (err error) { // Commit returns the error, too
			w.result, err = s.checkoutAtOnce(ctx, w)
			return err
		})
	}
	errs := joint.Commit(context.Background()) // not a caller's context, because the batch has many
	giveBack()
	for i, err := range errs {
		w := decided[i]
		w.err = err
		if errors.Is(err, aggregate.ErrLost) {
			t.takeTurns = time.Now().Add(turnsAfterLoss)
		}
		w.result.Cart.Position = carts.Position(cart.Stream(w.ask.CartID))
		w.result.Order.Position = orders.Position(order.Stream(w.start.OrderID))
		w.result.Final.Position = w.result.Order.Position
		ended = append(ended, w)
	}
}

// refuse records a refused checkout and the claim of its order id in one append. It returns
// aggregate.ErrStepByStep if nothing is recorded and the two must be recorded one after the other.
func (t *together) refuse(ctx context.Context, claim aggregate.Request[order.Command], begin aggregate.Request[cart.Command]) (recorded aggregate.Result[cart.Event], err error) {
	if t == nil {
		return recorded, aggregate.ErrStepByStep
	}
	joint := aggregate.NewJoint(t.log, t.options)
	defer joint.Close()
	carts, orders := aggregate.Join(joint, t.carts), aggregate.Join(joint, t.orders)
	_ = joint.Do(ctx, func(ctx context.Context) (err error) { // Commit returns the error, too
		if _, err = orders.Handle(ctx, claim); err == nil {
			recorded, err = carts.Handle(ctx, begin)
		}
		return err
	})
	err = joint.Commit(ctx)[0]
	recorded.Position = carts.Position(begin.Stream)
	return recorded, err
}

// checkoutAtOnce decides a whole checkout. It first tries every step, so that a checkout that
// cannot succeed at once changes nothing.
func (s *Service) checkoutAtOnce(ctx context.Context, w *wholeCheckout) (CheckoutResult, error) {
	call, ask := w.call, w.ask
	if err := s.trySteps(ctx, w); err != nil {
		return CheckoutResult{}, err
	}
	begun, err := s.carts.Handle(ctx, s.beginning(call, ask.CartID, w.start))
	if err != nil {
		return CheckoutResult{}, err
	}
	started, ok := begun.Events[0].(cart.CheckoutStarted)
	if !ok {
		return CheckoutResult{}, aggregate.ErrStepByStep
	}
	result, err := s.finishCheckout(ctx, call.Meta, started, nil, driver{confirms: ask.After.confirms()})
	if err != nil {
		return result, err
	}
	result.Final, err = s.afterPlacing(ctx, call, result, ask.After)
	return result, err
}

// trySteps decides the steps of a checkout without changing anything. It returns an error if one
// of them would be refused, and the checkout must then go step by step.
func (s *Service) trySteps(ctx context.Context, w *wholeCheckout) error {
	call, ask, start := w.call, w.ask, w.start
	var started cart.CheckoutStarted
	begins := false
	err := s.carts.View(ctx, cart.Stream(ask.CartID), func(state cart.State, revision int64) {
		if revision != w.seen {
			return
		}
		if events, refusal := cart.Decide(start, state); refusal == nil && len(events) == 1 {
			started, begins = events[0].(cart.CheckoutStarted)
		}
	})
	if err == nil && !begins {
		err = aggregate.ErrStepByStep
	}
	if err != nil {
		return err
	}
	free := true
	err = s.orders.ViewCached(ctx, order.Stream(start.OrderID), func(_ order.State, revision int64) { free = revision < 0 })
	if err == nil && !free {
		err = aggregate.ErrStepByStep
	}
	if err != nil {
		return err
	}
	if started.Quote != nil && slices.ContainsFunc(started.Quote.Lines, func(l pricing.PricedLine) bool { return l.GiftCard }) {
		return aggregate.ErrStepByStep // the cards that are sold are issued after the order is recorded
	}
	process := checkout.Begin(started)
	asks := process.Asks()
	replies := make([]checkout.StockReply, len(asks))
	for i, ask := range asks {
		replies[i].Ask = ask
		var refusal error
		err := s.stock.View(ctx, stock.Stream(ask.SKU, ask.Location), func(state stock.State, _ int64) {
			_, refusal = stock.Decide(ask.Reserve(s.now()), state)
		})
		if err = errors.Join(err, refusal); err != nil {
			return err
		}
	}
	process = process.Reply(replies)
	if len(process.Holds()) > 0 {
		refused, err := s.tryHolds(ctx, started)
		if err != nil {
			return err
		}
		process = process.ReplyHolds(refused)
	}
	outcome, known := process.Outcome()
	complete, ok := outcome.(cart.CompleteCheckout)
	if !known || !ok {
		return aggregate.ErrStepByStep
	}
	w.start.WithOrder = len(complete.Dropped) == 0
	return s.tryOrder(call, ask.After, checkout.Place(started, cart.CheckedOut{OrderID: complete.OrderID, Reservations: complete.Reservations, Dropped: complete.Dropped}))
}

// tryOrder decides the steps of an order that is not placed yet.
func (s *Service) tryOrder(call Call, after *AfterPlacing, place order.Place) error {
	events, err := order.Decide(place, order.State{})
	if err != nil || after == nil {
		return err
	}
	state := folded(events)
	wanted, err := after.commands(s, call.Meta.CommandID, func() (unit.Money, error) { return state.Owed(), nil })
	for _, command := range wanted {
		if err == nil {
			events, err = order.Decide(command, state)
		}
		for _, event := range events {
			state = order.Evolve(state, event)
		}
	}
	return err
}
