package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// CheckoutRequest asks for an order from a cart. Zero values take the shop's
// policy.
type CheckoutRequest struct {
	CartID unit.CartID
	// OrderID is chosen by the caller, so that asking twice is asking once. Empty:
	// it is derived from the cart and the call's command id, and is another one
	// after each refusal, so that the same call can succeed later.
	OrderID   unit.OrderID
	Reference string
	Sourcing  *cart.Sourcing
	Shortage  cart.Policy
	HoldUntil time.Time
	// Held, where set, is called as soon as all stock is held at the first
	// asking: from there on the checkout can only end in an order, and asks
	// stock for nothing more and gives nothing back. It may not be called.
	Held func()
}

// CheckoutResult is how a checkout ended.
type CheckoutResult struct {
	OrderID unit.OrderID
	// Placed means there is an order and all its stock is held; otherwise the
	// cart is open again and nothing is held.
	Placed bool
	// OrderIDTaken means that the order id is another cart's.
	OrderIDTaken bool
	// Spent means that the caller's order id belongs to a checkout that was
	// refused before this call. Nothing was decided now: Shortages are from then.
	Spent     bool
	Shortages []cart.Shortage
	Dropped   []int // lines left out under cart.LineByLine
	// BegunBy is the command id of another call that began this checkout. It is zero if
	// this call did.
	BegunBy uuid.UUID
	Cart    aggregate.Result[cart.Event]
	Order   aggregate.Result[order.Event]
}

// Refusal is the checkout's refusal as an error, or nil if it was placed.
func (r CheckoutResult) Refusal() error {
	switch {
	case r.Placed:
		return nil
	case r.OrderIDTaken:
		return order.ErrIDTaken.With(order.ErrIDTaken.Detail, map[string]any{"order_id": r.OrderID})
	case r.Spent:
		return checkout.ErrOrderIDSpent.With(checkout.ErrOrderIDSpent.Detail, map[string]any{"order_id": r.OrderID})
	}
	return checkout.Refusal(r.Shortages)
}

// Checkout turns a cart into an order, or says what was short. A refusal of the
// cart itself (it is empty, not open, ...) is an error; a shortage is a result. An
// order id that is another cart's is an error (order.ErrIDTaken) where it is known
// before anything is recorded, and else a result.
//
// A call that names no order id is told of the order that another call for the cart makes,
// or has made. CheckoutResult.BegunBy then names that call.
//
// A call that is repeated goes on where it stands. If its checkout was refused,
// it is decided anew, under the next attempt's command id.
func (s *Service) Checkout(ctx context.Context, call Call, ask CheckoutRequest) (CheckoutResult, error) {
	if err := s.admit(call); err != nil {
		return CheckoutResult{}, err
	}
	if err := s.admitDeadline(ask.HoldUntil); err != nil {
		return CheckoutResult{}, err
	}
	start := s.startCheckout(call, ask)
	if start.OrderIDFrom == cart.FromCaller {
		if err := s.checkOrderIDFree(ctx, ask.CartID, ask.OrderID); err != nil {
			return CheckoutResult{}, err
		}
	}
	defer s.drive(cart.Stream(ask.CartID))()
	if result, done, err := s.refuseAtOnce(ctx, call, ask.CartID, start); done || err != nil {
		return result, err
	}
	begin := request(call, cart.Stream(ask.CartID), []cart.Command{start})
	begin.AnyContent = true // after a refusal the call may ask for something else
	answer, err := s.carts.Handle(ctx, begin)
	if ask.OrderID == "" && errors.Is(err, cart.ErrNotOpen) {
		return s.joinCheckout(ctx, call, ask, err)
	}
	if err != nil && !errors.Is(err, cart.ErrCheckoutDecided) {
		return CheckoutResult{}, err
	}
	for _, event := range answer.Events {
		if started, ok := event.(cart.CheckoutStarted); ok {
			return s.finishCheckout(ctx, call.Meta, started, nil, ask.Held)
		}
	}
	if answer.Replayed {
		return s.repeatCheckout(ctx, call, ask)
	}
	// Asked before, by another call.
	checkouts, err := s.readCheckouts(ctx, ask.CartID)
	if err != nil {
		return CheckoutResult{}, err
	}
	past, found := checkouts[start.OrderID]
	if !found {
		return CheckoutResult{}, errNoCheckout(ask.CartID, start.OrderID)
	}
	if err := past.differsFrom(ask); err != nil {
		return CheckoutResult{}, err
	}
	_, refused := past.outcome.(cart.CheckoutRefused)
	result, err := s.finishCheckout(ctx, call.Meta, past.started, past.outcome, ask.Held)
	result.Spent, result.BegunBy = refused && ask.OrderID != "", begunBy(checkouts, past)
	return result, err
}

// startCheckout is the command that a call's attempt begins with.
func (s *Service) startCheckout(call Call, ask CheckoutRequest) cart.StartCheckout {
	start := cart.StartCheckout{
		OrderID: ask.OrderID, Reference: ask.Reference, Sourcing: s.policy.Sourcing, Policy: ask.Shortage, HoldUntil: ask.HoldUntil,
		OrderIDFrom: cart.FromCaller,
	}
	if ask.OrderID == "" {
		start.OrderID = unit.OrderID(unit.NewOrder.Of(string(ask.CartID), call.Meta.CommandID.String()).ID())
		start.OrderIDFrom = cart.FromServer
	}
	if ask.Sourcing != nil {
		start.Sourcing = *ask.Sourcing
	}
	if start.Policy == "" {
		start.Policy = s.policy.Shortage
	}
	if start.HoldUntil.IsZero() {
		start.HoldUntil = s.now().Add(s.policy.HoldFor)
	}
	return start
}

// repeatCheckout carries on a call whose command id the cart knows: with the
// checkout it began, or, where that was refused, with the next attempt.
func (s *Service) repeatCheckout(ctx context.Context, call Call, ask CheckoutRequest) (CheckoutResult, error) {
	checkouts, err := s.readCheckouts(ctx, ask.CartID)
	if err != nil {
		return CheckoutResult{}, err
	}
	byCommand := make(map[uuid.UUID]pastCheckout, len(checkouts))
	for _, past := range checkouts {
		byCommand[past.meta.CommandID] = past
	}
	if _, ours := byCommand[call.Meta.CommandID]; !ours {
		return CheckoutResult{}, aggregate.ErrCommandReused
	}
	for {
		past, begun := byCommand[call.Meta.CommandID]
		_, refused := past.outcome.(cart.CheckoutRefused)
		switch {
		case !begun:
			return s.Checkout(ctx, call, ask)
		case refused:
			call.Meta.CommandID = nextAttempt(call.Meta.CommandID)
		case ask.OrderID != "" && ask.OrderID != past.started.OrderID, !eventstore.SameRequest(past.meta.Request, call.Meta.Request):
			return CheckoutResult{}, aggregate.ErrCommandReused
		default:
			if err := past.differsFrom(ask); err != nil {
				return CheckoutResult{}, err
			}
			defer s.drive(cart.Stream(ask.CartID))()
			return s.finishCheckout(ctx, call.Meta, past.started, past.outcome, ask.Held)
		}
	}
}

// nextAttempt is the command id of a call's checkout after the one under this id
// was refused.
func nextAttempt(command uuid.UUID) uuid.UUID {
	return uuid.UUID(unit.NextAttemptCommand.Of(command.String()).UUID())
}

// checkOrderIDFree refuses an order id that this node knows to be another cart's.
// It does not read the log, because nearly every id is free. Place refuses what is
// missed here, and then the checkout is taken back.
func (s *Service) checkOrderIDFree(ctx context.Context, id unit.CartID, orderID unit.OrderID) error {
	var refusal error
	err := s.orders.Recall(ctx, order.Stream(orderID), func(state order.State, _ int64) {
		_, refusal = order.Decide(order.Claim{OrderID: orderID, CartID: id}, state)
	})
	return errors.Join(err, refusal)
}

// FinishCheckout ends a checkout the log shows as begun.
func (s *Service) FinishCheckout(ctx context.Context, id unit.CartID, orderID unit.OrderID) error {
	defer s.drive(cart.Stream(id))()
	past, err := s.readCheckout(ctx, id, orderID)
	if err != nil {
		return err
	}
	_, err = s.finishCheckout(ctx, past.meta, past.started, past.outcome, nil)
	return err
}

// finishCheckout is the process: ask for the stock, let the cart's stream
// record one outcome, follow what is recorded. Any number of drivers may do it
// at once and stop anywhere.
func (s *Service) finishCheckout(ctx context.Context, meta eventstore.Metadata, started cart.CheckoutStarted, outcome cart.Event, held func()) (CheckoutResult, error) {
	result := CheckoutResult{OrderID: started.OrderID}
	if outcome == nil {
		var err error
		if outcome, result.Cart, err = s.decideCheckout(ctx, meta, started, held); err != nil {
			return result, err
		}
	}
	var keep []cart.Reservation
	switch outcome := outcome.(type) {
	case cart.Opened, cart.LineAdded, cart.QuantityChanged, cart.LineRemoved, cart.CustomerChanged, cart.CountryChanged, cart.CheckoutStarted, cart.Abandoned, cart.Expired,
		cart.MergedInto, cart.MergeRefused, cart.MergedFrom, cart.MergeDeclined:
		panic(fmt.Sprintf("commands: %T is not an outcome of a checkout", outcome))
	case cart.CheckedOut:
		place := checkout.Place(started, outcome)
		placed, err := s.orders.Handle(ctx, aggregate.Request[order.Command]{
			Stream: order.Stream(started.OrderID), Meta: follow(meta, unit.CheckoutPlace.Of(string(started.CartID), string(started.OrderID))),
			Commands: []order.Command{place}, New: true, Redecide: true,
		})
		if errors.Is(err, order.ErrIDTaken) {
			result.OrderIDTaken = true
			result.Cart, err = s.withdraw(ctx, meta, started)
		} else if err == nil {
			result.Placed, result.Order, result.Dropped, result.Shortages = true, placed, outcome.Dropped, outcome.Shortages
			keep = outcome.Held
		}
		if err != nil {
			return result, err
		}
	case cart.CheckoutRefused:
		result.Shortages, result.OrderIDTaken = outcome.Shortages, outcome.OrderIDTaken
	}
	return result, s.releaseUnkept(ctx, meta, started, result, keep)
}

// withdraw opens the cart again of a checkout whose order cannot be placed.
func (s *Service) withdraw(ctx context.Context, meta eventstore.Metadata, started cart.CheckoutStarted) (aggregate.Result[cart.Event], error) {
	answer, err := s.carts.Handle(ctx, aggregate.Request[cart.Command]{
		Stream: cart.Stream(started.CartID), Meta: follow(meta, unit.CheckoutWithdraw.Of(string(started.CartID), string(started.OrderID))),
		Commands: []cart.Command{checkout.Withdraw(started)}, Redecide: true,
	})
	if errors.Is(err, cart.ErrCheckoutUnknown) {
		err = nil // withdrawn before, and the cart has gone on since
	}
	return answer, err
}

// decideCheckout asks for the stock and records the outcome; it returns the one
// that stands, which may be another driver's.
func (s *Service) decideCheckout(ctx context.Context, meta eventstore.Metadata, started cart.CheckoutStarted, held func()) (cart.Event, aggregate.Result[cart.Event], error) {
	process := checkout.Begin(started)
	smooth := true
	for asks := process.Asks(); len(asks) > 0; asks = process.Asks() {
		answers := make([]checkout.StockReply, len(asks))
		err := each(ctx, asks, func(ctx context.Context, i int, ask checkout.Ask) error {
			_, err := s.stock.Handle(ctx, aggregate.Request[stock.Command]{
				Stream:   stock.Stream(ask.SKU, ask.Location),
				Meta:     follow(meta, reserveCommand(started, ask)),
				Commands: []stock.Command{ask.Reserve(s.now())},
				Redecide: true,
			})
			answers[i] = checkout.StockReply{Ask: ask, Err: err}
			if aggregate.IsRejection(err) {
				return nil
			}
			return err
		})
		if err != nil {
			return nil, aggregate.Result[cart.Event]{}, err
		}
		smooth = smooth && !slices.ContainsFunc(answers, func(a checkout.StockReply) bool { return a.Err != nil })
		process = process.Reply(answers)
	}
	decision, _ := process.Outcome()
	if smooth && held != nil {
		held()
	}
	return s.recordOutcome(ctx, meta, started, decision)
}

func reserveCommand(started cart.CheckoutStarted, ask checkout.Ask) unit.Derived {
	return unit.CheckoutReserve.Of(string(started.CartID), string(started.OrderID), string(ask.SKU), string(ask.Location), fmt.Sprint(ask.Quantity))
}

// recordOutcome offers an outcome to the cart; it returns the one that stands.
func (s *Service) recordOutcome(ctx context.Context, meta eventstore.Metadata, started cart.CheckoutStarted, decision cart.Command) (cart.Event, aggregate.Result[cart.Event], error) {
	answer, err := s.carts.Handle(ctx, aggregate.Request[cart.Command]{
		Stream: cart.Stream(started.CartID), Meta: follow(meta, unit.CheckoutOutcome.Of(string(started.CartID), string(started.OrderID))),
		Commands: []cart.Command{decision}, Redecide: true,
	})
	if err == nil && len(answer.Events) == 1 {
		return answer.Events[0], answer, nil
	}
	if err != nil && !errors.Is(err, cart.ErrCheckoutDecided) {
		return nil, answer, err
	}
	past, err := s.readCheckout(ctx, started.CartID, started.OrderID)
	if err == nil && past.outcome == nil {
		err = fmt.Errorf("cart %s: outcome of checkout %s is decided and not recorded", started.CartID, started.OrderID)
	}
	return past.outcome, answer, err
}

// releaseUnkept gives back what the checkout may hold and its outcome does not keep. The
// order id of a checkout that was refused is kept for its cart.
func (s *Service) releaseUnkept(ctx context.Context, meta eventstore.Metadata, started cart.CheckoutStarted, result CheckoutResult, keep []cart.Reservation) error {
	var others []unit.ReservationID
	if started.OrderIDFrom == "" {
		err := s.orders.View(ctx, order.Stream(started.OrderID), func(state order.State, _ int64) {
			others = checkout.OfAnother(started, state)
		})
		if err != nil {
			return err
		}
	}
	var steps []func(context.Context) error
	for _, release := range checkout.Releases(started, keep, others) {
		id := unit.CheckoutRelease.Of(string(started.CartID), string(started.OrderID), string(release.SKU), string(release.Location))
		steps = append(steps, func(ctx context.Context) error {
			_, err := s.stock.Handle(ctx, aggregate.Request[stock.Command]{
				Stream: stock.Stream(release.SKU, release.Location), Meta: follow(meta, id),
				Commands: []stock.Command{release.Command(s.now())}, Redecide: true,
			})
			return err
		})
	}
	if claim, chosen := checkout.Claim(started); chosen && !result.Placed && !result.OrderIDTaken {
		steps = append(steps, func(ctx context.Context) error {
			if err := s.claim(ctx, meta, claim); !errors.Is(err, order.ErrIDTaken) {
				return err
			}
			return nil // another cart has it by now: there is nothing to keep
		})
	}
	return each(ctx, steps, func(ctx context.Context, _ int, step func(context.Context) error) error { return step(ctx) })
}

// claim keeps an order id for the cart whose checkout under it is refused, so that no
// other cart's order has it. It returns order.ErrIDTaken where one has it by now.
func (s *Service) claim(ctx context.Context, meta eventstore.Metadata, claim order.Claim) error {
	_, err := s.orders.Handle(ctx, aggregate.Request[order.Command]{
		Stream: order.Stream(claim.OrderID), Meta: follow(meta, unit.CheckoutClaim.Of(string(claim.CartID), string(claim.OrderID))),
		Commands: []order.Command{claim}, New: true, Redecide: true,
	})
	return err
}

// pastCheckout is what a cart's stream says of one checkout.
type pastCheckout struct {
	started cart.CheckoutStarted // without lines if it was refused before it began
	meta    eventstore.Metadata  // of its start
	outcome cart.Event           // CheckedOut, CheckoutRefused, or nil
}

// differsFrom refuses a repeated request that asks for something else than the
// checkout under its order id. What the request leaves to the shop is not
// compared, nor is the deadline, which moves with the clock.
func (p pastCheckout) differsFrom(ask CheckoutRequest) error {
	if _, refused := p.outcome.(cart.CheckoutRefused); refused {
		return nil // it is told that the order id is spent
	}
	same := ask.Reference == p.started.Reference && (ask.Shortage == "" || ask.Shortage == p.started.Policy)
	if ask.Sourcing != nil {
		same = same && ask.Sourcing.Split == p.started.Sourcing.Split && slices.Equal(cart.Distinct(ask.Sourcing.Locations), p.started.Sourcing.Locations)
	}
	if same {
		return nil
	}
	return checkout.ErrDiffers.With(checkout.ErrDiffers.Detail, map[string]any{"order_id": p.started.OrderID})
}

func (s *Service) readCheckout(ctx context.Context, id unit.CartID, orderID unit.OrderID) (pastCheckout, error) {
	checkouts, err := s.readCheckouts(ctx, id)
	if err != nil {
		return pastCheckout{}, err
	}
	past, found := checkouts[orderID]
	if !found {
		return past, errNoCheckout(id, orderID)
	}
	return past, nil
}

// readCheckouts reads all checkouts of a cart.
func (s *Service) readCheckouts(ctx context.Context, id unit.CartID) (map[unit.OrderID]pastCheckout, error) {
	checkouts := map[unit.OrderID]pastCheckout{}
	ended := func(id unit.OrderID, outcome cart.Event) {
		past := checkouts[id]
		past.outcome = outcome
		checkouts[id] = past
	}
	for recorded, err := range s.store.ReadStream(ctx, cart.Stream(id), 0, 0) {
		if err != nil {
			return nil, fmt.Errorf("cart %s: %w", id, err)
		}
		event, err := eventstore.Decode(&recorded, cart.Decode)
		if eventstore.IsForeign(err) {
			continue
		}
		if err != nil {
			return nil, &aggregate.UndecodableError{Stream: recorded.Stream, Revision: recorded.Revision, Cause: err}
		}
		switch event := event.(type) {
		case cart.CheckoutStarted:
			checkouts[event.OrderID] = pastCheckout{started: event, meta: eventstore.MetadataOrNone(recorded.Meta)}
		case cart.CheckedOut:
			ended(event.OrderID, event)
		case cart.CheckoutRefused:
			if asked := event.Asked; asked != nil {
				started := cart.CheckoutStarted{
					OrderID: event.OrderID, CartID: id, Reference: asked.Reference,
					Sourcing: asked.Sourcing, Policy: asked.Policy, OrderIDFrom: asked.OrderIDFrom,
				}
				checkouts[event.OrderID] = pastCheckout{started: started, meta: eventstore.MetadataOrNone(recorded.Meta)}
			}
			ended(event.OrderID, event)
		case cart.Opened, cart.LineAdded, cart.QuantityChanged, cart.LineRemoved, cart.CustomerChanged, cart.CountryChanged, cart.Abandoned, cart.Expired,
			cart.MergedInto, cart.MergeRefused, cart.MergedFrom, cart.MergeDeclined:
		}
	}
	return checkouts, nil
}
