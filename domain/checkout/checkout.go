// Package checkout is the process that turns a frozen cart into an order whose stock is
// reserved, or into a refusal with nothing reserved. It decides and computes. A driver asks
// stock and appends events: it is a request or the reactor.
//
// # The protocol
//
// A driver gets a cart.CheckoutStarted and does three things:
//
//  1. It asks stock for reservations: Asks, Reply, again. If the order needs more than stock, it
//     then asks promotions and gift cards for Holds, and replies once (ReplyHolds). Then there is
//     an Outcome.
//  2. It records the outcome on the cart's stream. That stream is the referee:
//     the first outcome that is recorded for an order id stands, and the other is
//     refused (cart.ErrCheckoutDecided).
//  3. It follows the outcome that is recorded, even if another driver wrote it.
//     After CheckedOut it places the order (Place). After CheckoutRefused it claims
//     the order id for the cart (Claim), so that no other cart can use it. In both
//     cases it releases every reservation that the outcome does not keep (Releases).
//
// Example: the cart ann is checked out under the order id o-1, with 3 units of A and 1 of B at
// main. The driver asks the stock of A for 3 units and the stock of B for 1. If both reserve them,
// the driver records CheckedOut with both reservations on the stream of ann, and places o-1. If B
// refuses, it records CheckoutRefused, claims o-1 for ann, and releases the 3 units of A.
//
// Two carts may be checked out under one order id that their callers chose. Here the order's
// stream is the referee: the cart that is first to place or to claim the order id has it for
// ever. Placing the other cart's order is refused (order.ErrIDTaken), and its checkout is
// withdrawn: CheckoutRefused is recorded after CheckedOut, the cart has its lines again, and
// every reservation is released. To avoid most of this, a driver looks at the order, if it has
// it in memory, before it starts a checkout.
//
// Any number of drivers may work on one checkout at the same time, in the request and from
// the log. Each driver may be cut off at any point. In the end nothing is reserved in part,
// for four reasons:
//   - A reservation's id is derived from cart, order, SKU and location. Two drivers
//     of one cart get the same reservation, another cart gets another one, and a
//     reservation that has ended is never revived.
//   - What an outcome keeps was reserved before the outcome was recorded.
//   - What an outcome does not keep is released by the driver that follows it.
//     Step 3 is repeated from the log until it is done.
//   - A slow driver may make a reservation after the outcome was followed. The
//     reactor finds it when it reads the Reserved event, and follows the outcome
//     once more. If no reactor reads it, the reservation ends at its deadline.
//
// So a driver that works from the log acts on these events: CheckoutStarted (all three steps),
// CheckedOut and CheckoutRefused (step 3), and stock's Reserved if it comes after the outcome
// (step 3).
package checkout

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"daybook/domain/cart"
	"daybook/domain/rule"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// Process is the state of one driver's work with stock. It is a value: Reply returns a new
// one.
type Process struct {
	started  cart.CheckoutStarted
	confirms bool   // see BeginConfirmed
	wants    []want // by SKU

	holdsAsked bool
	unheld     []cart.HoldRefusal
}

// Begin starts a driver's work with stock. It adds up the lines of each SKU. Services need no
// stock.
func Begin(started cart.CheckoutStarted) Process {
	p := Process{started: started}
	at := map[unit.SKU]int{}
	for _, l := range started.Lines {
		if l.Kind != unit.Stocked {
			continue
		}
		i, seen := at[l.SKU]
		if !seen {
			i = len(p.wants)
			at[l.SKU] = i
			p.wants = append(p.wants, want{sku: l.SKU, places: make([]place, len(started.Sourcing.Locations))})
		}
		p.wants[i].lines = append(p.wants[i].lines, l)
		p.wants[i].quantity += l.Quantity
	}
	slices.SortFunc(p.wants, func(a, b want) int { return cmp.Compare(a.sku, b.sku) })
	return p
}

// BeginConfirmed is Begin for a checkout whose order is placed and confirmed in the same append.
// Its reservations become allocations at once, so stock needs only one event for each.
func BeginConfirmed(started cart.CheckoutStarted) Process {
	p := Begin(started)
	p.confirms = true
	return p
}

// ReservationID is the id of what a checkout reserves of a SKU at a location. A checkout that
// an older program began keeps the ids that it began with. Two carts with one order id share
// those older ids.
func ReservationID(started cart.CheckoutStarted, sku unit.SKU, location unit.LocationID) unit.ReservationID {
	if started.OrderIDFrom == "" {
		return stock.ReservationIDFor(started.OrderID, sku, location)
	}
	return unit.ReservationID(unit.CheckoutReservation.Of(string(started.CartID), string(started.OrderID), string(sku), string(location)).ID())
}

// Ask is one reservation to be asked for.
type Ask struct {
	stock.Key
	ReservationID unit.ReservationID
	OrderID       unit.OrderID
	Quantity      unit.Quantity
	ExpiresAt     time.Time
	Commit        bool // see BeginConfirmed
}

// Reserve is the command to stock, at a time.
func (a Ask) Reserve(now time.Time) stock.Reserve {
	return stock.Reserve{
		At:            stock.At{Key: a.Key, Now: now},
		ReservationID: a.ReservationID, OrderID: a.OrderID, Quantity: a.Quantity, ExpiresAt: a.ExpiresAt, Commit: a.Commit,
	}
}

// StockReply is what stock replied to an Ask. Err is nil if the units are reserved, and is or
// wraps a *rule.Rejection if not. A failure to reach stock is no reply.
type StockReply struct {
	Ask Ask
	Err error
}

func (a StockReply) refusal() *rule.Rejection {
	if a.Err == nil {
		return nil
	}
	no, is := errors.AsType[*rule.Rejection](a.Err)
	if !is {
		panic("checkout: not a reply of stock: " + a.Err.Error()) // a programmer's error
	}
	return no
}

// Asks are the reservations to ask for next, by SKU and then by location. They do not depend
// on each other, so they may be sent at the same time and replied to in any order. There are
// none once stock has decided; before that there is at least one.
func (p Process) Asks() []Ask {
	if p.refused() {
		return nil
	}
	var asks []Ask
	for _, w := range p.wants {
		plan := w.plan(p.started.Policy, p.started.Sourcing.Split)
		for i, q := range plan.ask {
			if q > 0 {
				asks = append(asks, p.ask(w.sku, p.started.Sourcing.Locations[i], q))
			}
		}
	}
	slices.SortStableFunc(asks, func(a, b Ask) int { return cmp.Or(cmp.Compare(a.SKU, b.SKU), cmp.Compare(a.Location, b.Location)) })
	return asks
}

func (p Process) ask(sku unit.SKU, location unit.LocationID, quantity unit.Quantity) Ask {
	return Ask{
		Key:           stock.Key{SKU: sku, Location: location},
		ReservationID: ReservationID(p.started, sku, location),
		OrderID:       p.started.OrderID, Quantity: quantity, ExpiresAt: p.started.ReserveUntil, Commit: p.confirms,
	}
}

// Reply takes replies to Asks, all of them or some, in any order.
func (p Process) Reply(replies []StockReply) Process {
	p.wants = slices.Clone(p.wants)
	for _, a := range replies {
		i, known := slices.BinarySearchFunc(p.wants, a.Ask.SKU, func(w want, sku unit.SKU) int { return cmp.Compare(w.sku, sku) })
		at := slices.Index(p.started.Sourcing.Locations, a.Ask.Location)
		if !known || at < 0 {
			panic("checkout: a reply to a reservation that was not asked for")
		}
		p.wants[i] = p.wants[i].replied(at, a.Ask.Quantity, a.refusal())
	}
	return p
}

// refused tells whether the checkout cannot succeed any more.
func (p Process) refused() bool {
	return p.started.Policy != cart.LineByLine && slices.ContainsFunc(p.wants, p.isShort)
}

func (p Process) isShort(w want) bool {
	plan := w.plan(p.started.Policy, p.started.Sourcing.Split)
	return plan.done && plan.take < w.quantity
}

// Holds are what to hold next besides stock, in any order. They are asked for when stock has
// reserved everything, because a checkout is refused for a shortage far more often.
func (p Process) Holds() []cart.Hold {
	if p.holdsAsked {
		return nil
	}
	if decision, known := p.stockOutcome(); !known || !completes(decision) {
		return nil
	}
	return p.started.Holds
}

// ReplyHolds takes the refusals of Holds. There are none if everything is held.
func (p Process) ReplyHolds(refused []cart.HoldRefusal) Process {
	p.holdsAsked, p.unheld = true, refused
	return p
}

func completes(decision cart.Command) bool {
	_, is := decision.(cart.CompleteCheckout)
	return is
}

// Outcome is what to record on the cart's stream, once it is known: a
// cart.CompleteCheckout or a cart.RefuseCheckout.
func (p Process) Outcome() (cart.Command, bool) {
	decision, known := p.stockOutcome()
	switch {
	case !known || !completes(decision) || len(p.started.Holds) == 0:
		return decision, known
	case !p.holdsAsked:
		return nil, false
	case len(p.unheld) > 0:
		return p.refuse(), true
	}
	return decision, true
}

// stockOutcome is the outcome as far as stock decides it.
func (p Process) stockOutcome() (cart.Command, bool) {
	if p.refused() {
		return p.refuse(), true
	}
	done := cart.CompleteCheckout{OrderID: p.started.OrderID}
	kept := map[unit.SKU]unit.Quantity{}
	for _, w := range p.wants {
		plan := w.plan(p.started.Policy, p.started.Sourcing.Split)
		if !plan.done {
			return nil, false
		}
		kept[w.sku] = plan.take
		for i, at := range w.places {
			if plan.take > 0 && at.reserved > 0 {
				ask := p.ask(w.sku, p.started.Sourcing.Locations[i], at.reserved)
				done.Reservations = append(done.Reservations, cart.Reservation{ReservationID: ask.ReservationID, SKU: ask.SKU, Location: ask.Location, Quantity: at.reserved})
			}
		}
	}
	done.Dropped = p.dropped(kept)
	done.Shortages = p.shortages()
	if p.leavesNothing(done.Dropped) {
		return p.refuse(), true
	}
	return done, true
}

// dropped returns the numbers of the lines for which what is reserved is not enough. Lines
// are served in the order of the cart.
func (p Process) dropped(kept map[unit.SKU]unit.Quantity) []int {
	var dropped []int
	for _, l := range p.started.Lines {
		switch {
		case l.Kind != unit.Stocked:
		case l.Quantity <= kept[l.SKU]:
			kept[l.SKU] -= l.Quantity
		default:
			dropped = append(dropped, l.Number)
		}
	}
	return dropped
}

// leavesNothing tells whether the lines that remain make no useful order: they have no goods,
// only services such as postage; or their total is below zero, because a discount was for
// goods that were dropped.
func (p Process) leavesNothing(dropped []int) bool {
	if len(dropped) == 0 {
		return false
	}
	goods, total := false, unit.Zero(p.started.Currency)
	for _, l := range p.started.Lines {
		if slices.Contains(dropped, l.Number) {
			continue
		}
		goods = goods || l.Kind == unit.Stocked
		total = total.Plus(l.Total())
	}
	return !goods || total.Sign() < 0
}

func (p Process) refuse() cart.RefuseCheckout {
	return cart.RefuseCheckout{OrderID: p.started.OrderID, Shortages: p.shortages(), Holds: p.unheld}
}

// shortages lists the SKUs of which not everything could be reserved, as far as that is known.
func (p Process) shortages() []cart.Shortage {
	var shortages []cart.Shortage
	for _, w := range p.wants {
		if !p.isShort(w) {
			continue
		}
		s := cart.Shortage{SKU: w.sku, Requested: w.quantity, Reason: w.reason(), Lines: w.lineNumbers()}
		for i, at := range w.places {
			switch {
			case p.started.Sourcing.Split:
				s.Available += max(at.available, at.reserved)
			case at.available >= s.Available:
				s.Available = at.available
			}
			if len(w.places) == 1 {
				s.Location = p.started.Sourcing.Locations[i]
			}
		}
		s.Available = min(s.Available, s.Requested-1) // stock refused the whole quantity, so it has less
		shortages = append(shortages, s)
	}
	return shortages
}
