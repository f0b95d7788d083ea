package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/contact"
	"daybook/domain/money/giftcard"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// CheckoutRequest asks for an order from a cart. A member that is zero takes the value of the
// shop's policy.
type CheckoutRequest struct {
	CartID unit.CartID
	// OrderID is the caller's own id. It makes a repeated request harmless. If it is empty, an
	// id is derived from the cart and the call's command id. After each refusal the derived id
	// is a new one, so the same call can succeed later.
	OrderID   unit.OrderID
	Reference string
	// Details, if it is set, are the order's in place of those of the cart.
	Details *contact.Details
	// Expect is what the caller believes that the cart costs.
	Expect       Expectation
	Sourcing     *cart.Sourcing
	Shortage     cart.Policy
	ReserveUntil time.Time
	// GiftCards pay for the order, in this order, as far as their money goes.
	GiftCards []giftcard.ID
	// UseCredit lets the credit account of the customer pay, too, after the gift cards.
	UseCredit bool
	// Uses are the promotions that take something off the order, if it has no quote that says so.
	Uses []Use
	// OnReserved, if set, is called as soon as all stock is reserved, if no stock refused before.
	// From then on, the checkout changes no stock any more and ends with an order, unless its order
	// id is taken. If stock refuses something first, OnReserved is never called. A checkout with
	// OnReserved goes step by step. If it were recorded in one append, the stock would be reserved
	// no earlier than the rest.
	OnReserved func()
	// After, if set, is what happens to the order as soon as it is placed.
	After *AfterPlacing
}

// CheckoutResult is how a checkout ended.
type CheckoutResult struct {
	OrderID unit.OrderID
	// Placed means that there is an order and all its stock is reserved. Otherwise the cart is
	// open again and nothing is reserved.
	Placed bool
	// OrderIDTaken means that the order id belongs to another cart.
	OrderIDTaken bool
	// Spent means that the caller's order id belongs to a checkout that was refused before
	// this call. This call decided nothing. Shortages are those of the earlier refusal.
	Spent     bool
	Shortages []cart.Shortage
	// Unheld are the uses of promotions and the gift cards that could not be held.
	Unheld  []cart.HoldRefusal
	Dropped []int // lines left out under cart.LineByLine
	// BegunBy is the command id of another call that began this checkout. It is zero if
	// this call did.
	BegunBy uuid.UUID
	// Repeated means that the same call was made before, and began this checkout then.
	Repeated bool
	Cart     aggregate.Result[cart.Event]
	Order    aggregate.Result[order.Event] // what the command order.Place recorded
	// Final is the result of the placing and of CheckoutRequest.After, as one result.
	Final aggregate.Result[order.Event]
}

// Refusal is the checkout's refusal as an error, or nil if there is an order.
func (r CheckoutResult) Refusal() error {
	switch {
	case r.Placed:
		return nil
	case r.OrderIDTaken:
		return order.ErrIDTaken.With(order.ErrIDTaken.Detail, map[string]any{"order_id": r.OrderID})
	case r.Spent:
		return checkout.ErrOrderIDSpent.With(checkout.ErrOrderIDSpent.Detail, map[string]any{"order_id": r.OrderID, "shortages": r.Shortages})
	}
	return checkout.Refusal(r.Shortages, r.Unheld)
}

// Checkout turns a cart into an order, or says which stock was short. If the cart itself refuses
// (it is empty, not open, ...), that is an error. A shortage is a result. The order id may belong
// to another cart. If that is known before anything is recorded, it is the error order.ErrIDTaken.
// If it is found later, it is the result OrderIDTaken.
//
// If a call names no order id, and another call has already begun a checkout of the cart, the call
// gets the result of that checkout. CheckoutResult.BegunBy then names the other call.
//
// A call that is repeated continues its checkout. If that checkout was refused, it is decided
// again, under the command id of the next attempt.
//
// If CheckoutRequest.After is refused, Checkout returns the refusal and a result in which Placed
// is set: there is an order, and it is not paid or confirmed.
func (s *Service) Checkout(ctx context.Context, call Call, ask CheckoutRequest) (CheckoutResult, error) {
	if err := s.admitCheckout(call, ask); err != nil {
		return CheckoutResult{}, err
	}
	start := s.startCheckout(call, ask)
	if err := call.Who.Scope.ReachesLocations(cart.Locations(start, cart.State{})...); err != nil {
		return CheckoutResult{}, err
	}
	seen, err := s.seeCart(ctx, call, ask.CartID)
	if err != nil {
		return CheckoutResult{}, err
	}
	if start.OrderIDFrom == cart.FromCaller {
		if err := s.checkOrderIDFree(ctx, ask.CartID, ask.OrderID); err != nil {
			return CheckoutResult{}, err
		}
	}
	defer s.drive(cart.Stream(ask.CartID))()
	for try := 1; ; try++ {
		result, err := s.checkoutSeen(ctx, call, ask, start, seen)
		if try == maxTries || !errors.Is(err, cart.ErrQuoteStale) {
			return result, err
		}
		if seen, err = s.seeCartAged(ctx, call, ask.CartID, 0); err != nil {
			return CheckoutResult{}, err
		}
	}
}

// checkoutSeen carries out a checkout of a cart as it was seen. If the cart has changed since it
// was priced, the error is cart.ErrQuoteStale, and nothing is recorded.
func (s *Service) checkoutSeen(ctx context.Context, call Call, ask CheckoutRequest, start cart.StartCheckout, seen seenCart) (CheckoutResult, error) {
	for range maxTries {
		if err := s.offerSeen(ctx, call, ask, &start, &seen); err != nil {
			return CheckoutResult{}, err
		}
		if result, done, err := s.refuseAtOnce(ctx, call, ask.CartID, start); done || err != nil {
			return result, err
		}
		s.bringKey(ctx, ask, seen)
		atOnce := ask
		if ask.After.claims() { // the order claims its payment when it is placed
			atOnce.After = nil
		}
		result, err := s.together.checkout(ctx, call, atOnce, start, seen.revision)
		if err == nil && atOnce.After != ask.After {
			result.Final, err = s.afterPlacing(ctx, call, result, ask.After)
		}
		if !errors.Is(err, aggregate.ErrStepByStep) {
			return result, err
		}
		again := errors.Is(err, aggregate.ErrAgain)
		if s.together != nil { // without it, the cart was read just now
			if seen, err = s.seeCartAged(ctx, call, ask.CartID, 0); err != nil {
				return CheckoutResult{}, err
			}
		}
		if !again {
			break
		}
	}
	if err := s.offerSeen(ctx, call, ask, &start, &seen); err != nil {
		return CheckoutResult{}, err
	}
	result, err := s.checkoutStepByStep(ctx, call, ask, start)
	if err != nil {
		return result, err
	}
	result.Final, err = s.afterPlacing(ctx, call, result, ask.After)
	return result, err
}

// offerSeen gives the command that begins a checkout what follows from the cart that was seen: the
// texts of the account, the quote and the holds. If the cart from memory is refused, the present
// cart is read, because only it may refuse.
func (s *Service) offerSeen(ctx context.Context, call Call, ask CheckoutRequest, start *cart.StartCheckout, seen *seenCart) error {
	if seen.offered {
		return nil
	}
	err := s.offerFor(ctx, call, ask, start, *seen)
	if err != nil && seen.remembered {
		if *seen, err = s.seeCartAged(ctx, call, ask.CartID, 0); err == nil {
			err = s.offerFor(ctx, call, ask, start, *seen)
		}
	}
	seen.offered = err == nil
	return err
}

// offerFor is offerSeen for one cart.
func (s *Service) offerFor(ctx context.Context, call Call, ask CheckoutRequest, start *cart.StartCheckout, seen seenCart) error {
	start.Defaults, start.Holds = seen.defaults, nil
	err := s.price(ctx, call, ask, start, seen.cart)
	if err == nil {
		start.Holds, err = s.holdsOf(ctx, call, ask, *start, seen.cart)
	}
	return err
}

// admitCheckout compares a checkout with what its caller may do.
func (s *Service) admitCheckout(call Call, ask CheckoutRequest) error {
	if err := cmp.Or(s.admit(call, access.CheckOut), s.admitDeadline(ask.ReserveUntil)); err != nil {
		return err
	}
	if ask.After == nil {
		return nil
	}
	for _, step := range ask.After.calls() {
		if err := s.admit(step, access.RecordMoney, access.ConfirmOrder); err != nil {
			return err
		}
	}
	return nil
}

// seenCart is what a checkout knows of its cart before it begins.
type seenCart struct {
	revision   int64      // of the cart that was seen; -1: there is none
	cart       cart.State // as a copy; see copyOf
	remembered bool       // the cart is as this node had it in memory, and may be old
	offered    bool       // the quote and the holds are those of this cart
	subject    string     // whose key seals the texts of the cart's people
	defaults   *contact.Details
}

// seeCart looks at the cart of a checkout, in the name of the caller. A checkout in one append
// takes the cart as this node has it in memory, so that nothing is read. That is safe, because
// together then goes on only with a cart of this revision, and the append finds out if another node
// has changed it. If the cart in memory says no, or if the log cannot append so, the present cart
// is read.
func (s *Service) seeCart(ctx context.Context, call Call, id unit.CartID) (seenCart, error) {
	if s.together != nil {
		if seen, err := s.seeCartAged(ctx, call, id, anyAge); err == nil {
			return seen, nil
		}
	}
	return s.seeCartAged(ctx, call, id, 0)
}

// seeCartAged is seeCart with a state that may be as old as maxAge. Its errors are
// access.Hide(cart.ErrNotFound) and customer.ErrBlocked, and those of reading.
func (s *Service) seeCartAged(ctx context.Context, call Call, id unit.CartID, maxAge time.Duration) (seen seenCart, err error) {
	seen.remembered = maxAge > 0
	var who unit.CustomerID
	viewed := s.carts.ViewAged(ctx, cart.Stream(id), maxAge, func(state cart.State, revision int64) {
		seen.revision = revision
		if call.Owner() != "" && !call.owns(state) {
			err = hidden(revision, cart.ErrNotFound)
			return
		}
		seen.cart = copyOf(state)
		if revision >= 0 {
			seen.subject = subjectOf(state.CustomerID, state.CartID, "")
		}
		if state.Phase == cart.PhaseOpen {
			who = state.CustomerID
		}
	})
	if err = cmp.Or(viewed, err); err != nil {
		return seen, err
	}
	seen.defaults, err = s.checkoutAccount(ctx, who)
	return seen, err
}

// holdsOf is what a checkout has to hold besides stock. A checkout that has begun keeps its holds.
// So if the cart is not open, nothing is worked out.
func (s *Service) holdsOf(ctx context.Context, call Call, ask CheckoutRequest, start cart.StartCheckout, state cart.State) ([]cart.Hold, error) {
	uses := ask.Uses
	if start.Quote != nil {
		uses = usesOf(*start.Quote)
	}
	open := state.Phase == cart.PhaseOpen && !slices.Contains(state.Refused, start.OrderID)
	if len(ask.GiftCards) == 0 && !ask.UseCredit && len(uses) == 0 || !open {
		return nil, nil
	}
	due, of := state.Total().Charge(), buyerOf{customer: state.CustomerID}
	for _, details := range []*contact.Details{start.Defaults, state.Details, ask.Details} {
		if details != nil && details.Email != "" {
			of.email = details.Email
		}
	}
	if start.Quote != nil {
		due = start.Quote.Total
		for _, line := range start.Quote.Lines {
			if line.GiftCard { // a gift card is not paid with a gift card
				due = due.Minus(line.Gross)
			}
		}
	}
	for _, use := range uses {
		if use.Amount.Currency != due.Currency {
			return nil, cart.ErrCurrencyMismatch
		}
	}
	if len(ask.GiftCards) == 0 && !ask.UseCredit {
		if limited, err := s.holdsFor(ctx, uses, nil, due, of); err == nil && len(limited) == 0 {
			return nil, nil // so most checkouts need not know whether they repeat another
		}
	}
	repeats, err := s.carts.Repeats(ctx, cart.Stream(ask.CartID), call.Meta)
	if err != nil || repeats {
		return nil, err
	}
	cards := ask.GiftCards
	if ask.UseCredit && of.customer != "" {
		account := giftcard.AccountID(of.customer, due.Currency)
		usable := false
		err := s.ViewGiftCard(ctx, account, func(state giftcard.State, _ int64) { usable = state.Exists() && state.Available(s.now()).Sign() > 0 })
		if err != nil {
			return nil, err
		}
		if usable {
			cards = append(slices.Clone(cards), account)
		}
	}
	holds, err := s.holdsFor(ctx, uses, cards, due, of)
	if err != nil || len(holds) == 0 {
		return nil, err
	}
	// Now the streams of all holds are in memory, so that together need not read them. Whether the
	// holds are refused is decided later.
	_, err = s.tryHolds(ctx, cart.CheckoutStarted{OrderID: start.OrderID, CartID: ask.CartID, ReserveUntil: start.ReserveUntil, Holds: holds})
	return holds, err
}

// keyBringer is a log that encrypts texts of people with a key for each subject.
type keyBringer interface {
	// BringKey makes sure that the key of a subject is in memory. If that fails, who needs the key
	// gets the error.
	BringKey(ctx context.Context, subject string)
}

// bringKey brings the key of an order with texts of a person. If that were left to the append, all
// checkouts of a batch would wait for the keys of all.
func (s *Service) bringKey(ctx context.Context, ask CheckoutRequest, seen seenCart) {
	keys, sealing := s.store.(keyBringer)
	if sealing && seen.subject != "" && (seen.defaults != nil || ask.Details != nil || seen.cart.Details != nil) {
		keys.BringKey(ctx, seen.subject)
	}
}

// maxTries is how often a checkout is tried in one append, if other writers are first. Step by step
// it takes more appends, and each of them can meet another writer, too. But it goes on even if many
// nodes sell the same goods: there each stock decides for itself.
const maxTries = 4

// beginning is the request that begins a call's checkout.
func (s *Service) beginning(call Call, id unit.CartID, start cart.StartCheckout) aggregate.Request[cart.Command] {
	begin := request(call, cart.Stream(id), []cart.Command{start})
	// After a refusal, the same key may come with other content. repeatCheckout compares it.
	begin.AnyContent = true
	return begin
}

// checkoutStepByStep carries out a checkout up to the placing of its order.
func (s *Service) checkoutStepByStep(ctx context.Context, call Call, ask CheckoutRequest, start cart.StartCheckout) (CheckoutResult, error) {
	begun, err := s.carts.Handle(ctx, s.beginning(call, ask.CartID, start))
	if ask.OrderID == "" && errors.Is(err, cart.ErrNotOpen) {
		return s.joinCheckout(ctx, call, ask, err)
	}
	if err != nil && !errors.Is(err, cart.ErrCheckoutDecided) {
		return CheckoutResult{}, err
	}
	for _, event := range begun.Events {
		if started, ok := event.(cart.CheckoutStarted); ok {
			return s.finishCheckout(ctx, call.Meta, started, nil, driver{onReserved: ask.OnReserved})
		}
	}
	if begun.Replayed {
		return s.repeatCheckout(ctx, call, ask)
	}
	// The checkout was begun before, by another call.
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
	result, err := s.finishCheckout(ctx, call.Meta, past.started, past.outcome, driver{onReserved: ask.OnReserved})
	result.Spent, result.BegunBy = refused && ask.OrderID != "", callThatBegan(checkouts, past)
	return result, err
}

// startCheckout is the command with which a call begins its checkout.
func (s *Service) startCheckout(call Call, ask CheckoutRequest) cart.StartCheckout {
	start := cart.StartCheckout{
		OrderID: ask.OrderID, Reference: ask.Reference, Details: ask.Details, Sourcing: s.policy.Sourcing, Policy: ask.Shortage, ReserveUntil: ask.ReserveUntil,
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
	if start.ReserveUntil.IsZero() {
		start.ReserveUntil = s.now().Add(s.policy.ReserveFor)
	}
	return start
}

// repeatCheckout continues a call whose command id the cart knows. It continues the call's
// checkout, or, if that was refused, makes the next attempt.
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
			ask.After = nil // Checkout, which has called this, carries it out
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
			result, err := s.finishCheckout(ctx, call.Meta, past.started, past.outcome, driver{onReserved: ask.OnReserved})
			result.Repeated = true
			return result, err
		}
	}
}

// nextAttempt is the command id of a call's next checkout, after the checkout with this
// command id was refused.
func nextAttempt(command uuid.UUID) uuid.UUID {
	return uuid.UUID(unit.NextAttemptCommand.Of(command.String()).UUID())
}

// checkOrderIDFree refuses an order id if this node knows that it belongs to another cart. It
// rarely reads the log, because nearly every id is free. If it overlooks one, the
// command order.Place is refused later, and the checkout is withdrawn.
func (s *Service) checkOrderIDFree(ctx context.Context, id unit.CartID, orderID unit.OrderID) error {
	var refusal error
	err := s.orders.ViewCached(ctx, order.Stream(orderID), func(state order.State, _ int64) {
		_, refusal = order.Decide(order.Claim{OrderID: orderID, CartID: id}, state)
	})
	return errors.Join(err, refusal)
}

// FinishCheckout finishes a checkout that has begun in the log. The actor of the events of
// FinishCheckout, FinishOrder, FinishReturn and FinishMerge is system:reactor, on behalf of whoever
// began the work.
func (s *Service) FinishCheckout(ctx context.Context, id unit.CartID, orderID unit.OrderID) error {
	defer s.drive(cart.Stream(id))()
	past, err := s.readCheckout(ctx, id, orderID)
	if err != nil {
		return err
	}
	_, err = s.finishCheckout(ctx, by(theReactor, past.meta), past.started, past.outcome, driver{})
	return err
}

// driver says what a driver wants in addition to the checkout itself. Its zero value wants nothing
// more.
type driver struct {
	onReserved func() // see CheckoutRequest.OnReserved
	confirms   bool   // the order is confirmed in the same append
}

// finishCheckout is the process of a checkout: it asks stock for reservations, records one
// outcome on the cart's stream, and follows the recorded outcome. Any number of drivers may do
// this at once, and each may stop at any point.
func (s *Service) finishCheckout(ctx context.Context, meta eventstore.Metadata, started cart.CheckoutStarted, outcome cart.Event, by driver) (CheckoutResult, error) {
	result := CheckoutResult{OrderID: started.OrderID}
	if outcome == nil {
		var err error
		if outcome, result.Cart, err = s.decideCheckout(ctx, meta, started, by); err != nil {
			return result, err
		}
	}
	var keep []cart.Reservation
	switch outcome := outcome.(type) {
	case cart.Opened, cart.LineAdded, cart.QuantityChanged, cart.LineRemoved, cart.CustomerChanged, cart.CountryChanged, cart.DetailsSet, cart.CouponAdded, cart.CouponRemoved, cart.ShippingChosen, cart.DiscountGiven, cart.DiscountWithdrawn, cart.TaxStatusSet, cart.CheckoutStarted, cart.Abandoned, cart.Expired,
		cart.MergedInto, cart.MergeRefused, cart.MergedFrom, cart.MergeDeclined:
		panic(fmt.Sprintf("commands: %T is not an outcome of a checkout", outcome))
	case cart.CheckedOut:
		place := checkout.Place(started, outcome)
		placed, err := s.orders.Handle(ctx, aggregate.Request[order.Command]{
			Stream: order.Stream(started.OrderID), Meta: derivedMeta(meta, unit.CheckoutPlace.Of(string(started.CartID), string(started.OrderID))),
			Commands: []order.Command{place}, New: true, Redecide: true,
		})
		if errors.Is(err, order.ErrIDTaken) {
			result.OrderIDTaken = true
			result.Cart, err = s.withdraw(ctx, meta, started)
		} else if err == nil {
			result.Placed, result.Order, result.Dropped, result.Shortages = true, placed, outcome.Dropped, outcome.Shortages
			keep = outcome.Reservations
		}
		if err != nil {
			return result, err
		}
	case cart.CheckoutRefused:
		result.Shortages, result.Unheld, result.OrderIDTaken = outcome.Shortages, outcome.Holds, outcome.OrderIDTaken
	}
	return result, s.releaseUnkept(ctx, meta, started, result, keep)
}

// withdraw opens the cart again, after a checkout whose order cannot be placed.
func (s *Service) withdraw(ctx context.Context, meta eventstore.Metadata, started cart.CheckoutStarted) (aggregate.Result[cart.Event], error) {
	withdrawn, err := s.carts.Handle(ctx, aggregate.Request[cart.Command]{
		Stream: cart.Stream(started.CartID), Meta: derivedMeta(meta, unit.CheckoutWithdraw.Of(string(started.CartID), string(started.OrderID))),
		Commands: []cart.Command{checkout.Withdraw(started)}, Redecide: true,
	})
	if errors.Is(err, cart.ErrCheckoutUnknown) {
		err = nil // it was withdrawn before, and the cart has changed since
	}
	return withdrawn, err
}

// decideCheckout asks stock for the reservations and records the outcome. It returns the
// recorded outcome, which another driver may have recorded.
func (s *Service) decideCheckout(ctx context.Context, meta eventstore.Metadata, started cart.CheckoutStarted, by driver) (cart.Event, aggregate.Result[cart.Event], error) {
	process := checkout.Begin(started)
	if by.confirms {
		process = checkout.BeginConfirmed(started)
	}
	noRefusal := true
	for asks := process.Asks(); len(asks) > 0; asks = process.Asks() {
		replies := make([]checkout.StockReply, len(asks))
		err := each(ctx, s, asks, func(ctx context.Context, i int, ask checkout.Ask) error {
			_, err := s.stock.Handle(ctx, aggregate.Request[stock.Command]{
				Stream:   stock.Stream(ask.SKU, ask.Location),
				Meta:     derivedMeta(meta, reserveCommand(started, ask)),
				Commands: []stock.Command{ask.Reserve(s.now())},
				Redecide: true,
			})
			replies[i] = checkout.StockReply{Ask: ask, Err: err}
			if aggregate.IsRejection(err) {
				return nil
			}
			return err
		})
		if err != nil {
			return nil, aggregate.Result[cart.Event]{}, err
		}
		noRefusal = noRefusal && !slices.ContainsFunc(replies, func(reply checkout.StockReply) bool { return reply.Err != nil })
		process = process.Reply(replies)
	}
	if holds := process.Holds(); len(holds) > 0 {
		refused, err := s.takeHolds(ctx, meta, started, holds)
		if err != nil {
			return nil, aggregate.Result[cart.Event]{}, err
		}
		process, noRefusal = process.ReplyHolds(refused), noRefusal && len(refused) == 0
	}
	decision, _ := process.Outcome()
	if noRefusal && by.onReserved != nil {
		by.onReserved()
	}
	return s.recordOutcome(ctx, meta, started, decision)
}

func reserveCommand(started cart.CheckoutStarted, ask checkout.Ask) unit.Derived {
	return unit.CheckoutReserve.Of(string(started.CartID), string(started.OrderID), string(ask.SKU), string(ask.Location), fmt.Sprint(ask.Quantity))
}

// recordOutcome records an outcome on the cart's stream, if it has none yet. It returns the
// recorded outcome.
func (s *Service) recordOutcome(ctx context.Context, meta eventstore.Metadata, started cart.CheckoutStarted, decision cart.Command) (cart.Event, aggregate.Result[cart.Event], error) {
	recorded, err := s.carts.Handle(ctx, aggregate.Request[cart.Command]{
		Stream: cart.Stream(started.CartID), Meta: derivedMeta(meta, unit.CheckoutOutcome.Of(string(started.CartID), string(started.OrderID))),
		Commands: []cart.Command{decision}, Redecide: true,
	})
	if err == nil && len(recorded.Events) == 1 {
		return recorded.Events[0], recorded, nil
	}
	if err != nil && !errors.Is(err, cart.ErrCheckoutDecided) {
		return nil, recorded, err
	}
	past, err := s.readCheckout(ctx, started.CartID, started.OrderID)
	if err == nil && past.outcome == nil {
		err = fmt.Errorf("cart %s: outcome of checkout %s is decided and not recorded", started.CartID, started.OrderID)
	}
	return past.outcome, recorded, err
}

// releaseUnkept releases the reservations that the checkout may have made and that its outcome
// does not keep. If the checkout was refused, it also claims the order id for the cart.
func (s *Service) releaseUnkept(ctx context.Context, meta eventstore.Metadata, started cart.CheckoutStarted, result CheckoutResult, keep []cart.Reservation) error {
	if s.joined {
		return nil // the outcome keeps all reservations; no other driver can have made one, because the start is not recorded yet
	}
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
				Stream: stock.Stream(release.SKU, release.Location), Meta: derivedMeta(meta, id),
				Commands: []stock.Command{release.Command(s.now())}, Redecide: true,
			})
			return err
		})
	}
	if !result.Placed {
		for _, h := range started.Holds {
			steps = append(steps, func(ctx context.Context) error {
				return s.releaseHold(ctx, meta, started.CartID, started.OrderID, h.Kind, h.ID)
			})
		}
	}
	if claim, chosen := checkout.Claim(started); chosen && !result.Placed && !result.OrderIDTaken {
		steps = append(steps, func(ctx context.Context) error {
			if err := s.claim(ctx, meta, claim); !errors.Is(err, order.ErrIDTaken) {
				return err
			}
			return nil // another cart has the id by now, so there is nothing to claim
		})
	}
	return each(ctx, s, steps, func(ctx context.Context, _ int, step func(context.Context) error) error { return step(ctx) })
}

// claim keeps an order id for the cart whose checkout with this id is refused. Then no other
// cart can use the id. It returns order.ErrIDTaken if another cart has the id by now.
func (s *Service) claim(ctx context.Context, meta eventstore.Metadata, claim order.Claim) error {
	_, err := s.orders.Handle(ctx, claiming(meta, claim))
	return err
}

// claiming is the request that claims an order id.
func claiming(meta eventstore.Metadata, claim order.Claim) aggregate.Request[order.Command] {
	return aggregate.Request[order.Command]{
		Stream: order.Stream(claim.OrderID), Meta: derivedMeta(meta, unit.CheckoutClaim.Of(string(claim.CartID), string(claim.OrderID))),
		Commands: []order.Command{claim}, New: true, Redecide: true,
	}
}

// pastCheckout is what a cart's stream says about one checkout.
type pastCheckout struct {
	started cart.CheckoutStarted // without lines if it was refused before it began
	meta    eventstore.Metadata  // of the event that began it
	outcome cart.Event           // CheckedOut, CheckoutRefused, or nil
}

// differsFrom refuses a repeated request that asks for something else than the checkout with
// its order id. It does not compare values that the request leaves to the shop. It does not
// compare the deadline either, because the deadline moves with the clock.
func (p pastCheckout) differsFrom(ask CheckoutRequest) error {
	if _, refused := p.outcome.(cart.CheckoutRefused); refused {
		return nil // the result will say that the order id is spent
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
		case cart.Opened, cart.LineAdded, cart.QuantityChanged, cart.LineRemoved, cart.CustomerChanged, cart.CountryChanged, cart.DetailsSet, cart.CouponAdded, cart.CouponRemoved, cart.ShippingChosen, cart.DiscountGiven, cart.DiscountWithdrawn, cart.TaxStatusSet, cart.Abandoned, cart.Expired,
			cart.MergedInto, cart.MergeRefused, cart.MergedFrom, cart.MergeDeclined:
		}
	}
	return checkouts, nil
}
