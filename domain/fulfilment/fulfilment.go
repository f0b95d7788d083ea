// Package fulfilment is the process that makes stock, and money owed back,
// follow what was recorded of an order or a return. It decides and computes;
// asking stock and appending are the business of whoever drives it.
//
// Every movement of stock belongs to a step, and the order lists the steps that
// are not settled (order.State.Unsettled): that list is the work. A driver
// reads the order, makes the Moves in stock, gives the Answers until there are
// no more moves, sends the Commands to the order, and begins again with the
// order as it is then, until there is nothing to do:
//
//	confirmed   commit the reservations. Where one has ended meanwhile, the
//	            allocation has failed, a named state of the order, and is
//	            retried once by itself
//	retried     reserve what is missing, all or nothing. All of it: recovered,
//	            commit. Else the allocation has failed, and the remedy is due
//	canceled    release what is still reserved, deallocate what is allocated
//	expired     release
//	shipped     ship. The parcel has left: if stock does not have the goods on
//	            its books, or has taken the promise back, the dispatch is recorded by force
//
// The remedies: with RemedyVoidOrRefund an order whose allocation failed is
// canceled, and authorizations to void and captures to refund are recorded as
// pending transactions, for the payment provider to settle; with
// RemedyBackorder it waits for RetryAllocation. Money that came too late
// (PaymentOrphaned) is given back likewise. An order canceled by someone's wish
// is not refunded by itself: that is the merchant's decision.
//
// Of a return, Receipts are what stock takes in, and ReturnProcess what its orders are
// asked.
//
// Any number of drivers may do this at the same time, and each may die
// anywhere or come late: a move asked again is made once, and the order's stream
// is the referee. The first end recorded of a step stands; a driver that comes
// to another sends it in vain, looks again, and follows what is recorded. Only a
// late retry can leave something behind, a reservation, which ends at its
// deadline; nothing is allocated that is not first reserved under a recorded id.
package fulfilment

import (
	"slices"
	"strings"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/rule"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// Process is where one driver's work on an order stands. It keeps nothing of
// the state it began from that the order's Evolve may change.
type Process struct {
	id     unit.OrderID
	remedy order.Remedy
	mayEnd bool // confirmed: a failed allocation may cancel it

	// A confirm step, or a retry of one, goes before all others: a cancel gives
	// back what it allocates. The others do not depend on each other.
	allocating *order.OpenStep
	others     []order.OpenStep
	reached    bool // the others have been asked for

	asked     []asked
	shortages []cart.Shortage
	lines     map[unit.SKU][]int // numbers of the lines of what is allocated
	stuck     []order.StepRef
	refusals  []*rule.Rejection // of what is stuck
	owed      []keyedCommand    // what the state calls for without asking stock
}

type asked struct {
	move  Move
	step  order.OpenStep
	want  order.Move
	again bool // a commit, after its reservation was surely ended
}

// Begin looks at what an order has open. remedy is the merchant's policy for an
// allocation that fails now.
func Begin(s order.State, remedy order.Remedy) Process {
	p := Process{id: s.OrderID, remedy: remedy, mayEnd: s.Status == order.StatusConfirmed, owed: remedies(s)}
	for _, step := range s.Unsettled {
		if step.Step == order.StepConfirm {
			p.allocating = &step
		} else {
			p.others = append(p.others, step)
		}
	}
	if p.allocating != nil {
		p.lines = linesBySKU(s)
		for _, want := range p.allocating.Moves {
			if want.Action != order.ActDeallocate { // that follows its commit
				p.ask(*p.allocating, want)
			}
		}
	}
	p.goOn()
	return p
}

// linesBySKU are the numbers of the lines that still ask for units, by SKU.
func linesBySKU(s order.State) map[unit.SKU][]int {
	lines := map[unit.SKU][]int{}
	for _, l := range s.Lines {
		if l.Kind == unit.Stocked && l.Canceled < l.Quantity {
			lines[l.SKU] = append(lines[l.SKU], l.Number)
		}
	}
	return lines
}

func (p *Process) ask(step order.OpenStep, want order.Move) {
	p.asked = append(p.asked, asked{move: p.toStock(step, want, false), step: step, want: want})
}

// makeSure ends a reservation that could not be committed, and then asks to
// commit it again. A refusal alone is not the end: it may be that the
// reservation is due by this driver's clock and not yet by another's, who could
// commit it still. When the second commit is refused, nobody can.
func (p *Process) makeSure(a asked) {
	a.again = true
	if a.want.Action == order.ActCommit {
		a.want.Action = order.ActRelease
	} else {
		a.want.Action = order.ActCommit
	}
	a.move = p.toStock(a.step, a.want, true)
	p.asked = append(p.asked, a)
}

// goOn turns to the other steps when nothing of the allocation is left to ask;
// not when it failed, for that may change what they ask.
func (p *Process) goOn() {
	if len(p.asked) > 0 || len(p.shortages) > 0 || p.reached {
		return
	}
	p.reached = true
	for _, step := range p.others {
		for _, want := range step.Moves {
			p.ask(step, want)
		}
	}
}

// Moves are the movements to ask of stock next; they do not depend on each
// other. When there are none, Commands says what to send to the order.
func (p Process) Moves() []Move {
	moves := make([]Move, len(p.asked))
	for i, a := range p.asked {
		moves[i] = a.move
	}
	return moves
}

// Reply takes the answers to all Moves, in any order.
func (p Process) Reply(answers []StockReply) Process {
	refusals := make(map[unit.Derived]*rule.Rejection, len(answers))
	for _, a := range answers {
		refusals[a.Move.ID] = a.Refusal
	}
	done := p.asked
	p.asked, p.shortages, p.stuck = nil, slices.Clone(p.shortages), slices.Clone(p.stuck)
	for _, a := range done {
		refusal, answered := refusals[a.move.ID]
		switch {
		case !answered:
			panic("fulfilment: a move was not answered")
		case refusal != nil:
			p.refused(a, refusal)
		case a.again && a.want.Action == order.ActRelease:
			p.makeSure(a)
		case a.want.Action == order.ActCommit:
			if excess, is := a.excess(); is {
				p.ask(a.step, excess)
			}
		}
	}
	p.goOn()
	return p
}

// excess is what was canceled of a reservation before it became an allocation,
// and is to be given back after.
func (a asked) excess() (order.Move, bool) {
	i := slices.IndexFunc(a.step.Moves, func(m order.Move) bool {
		return m.Action == order.ActDeallocate && m.SKU == a.want.SKU && m.Location == a.want.Location
	})
	if i < 0 {
		return order.Move{}, false
	}
	return a.step.Moves[i], true
}

// refused finds another way, or notes that there is none.
func (p *Process) refused(a asked, no *rule.Rejection) {
	switch {
	case a.want.Action == order.ActCommit && !a.again:
		p.makeSure(a)
	case a.want.Action == order.ActCommit, a.want.Action == order.ActReserve:
		available, _ := no.Facts["available"].(unit.Quantity)
		p.shortages = append(p.shortages, cart.Shortage{
			SKU: a.want.SKU, Location: a.want.Location, Requested: a.want.Quantity, Available: available, Reason: no.Code,
			Lines: p.lines[a.want.SKU],
		})
	case a.want.Action == order.ActShip && (no.Code == stock.ErrNotOnHand.Code || no.Code == stock.ErrNotAllocated.Code) && !a.step.Forced:
		a.step.Forced = true
		p.ask(a.step, a.want)
	default:
		p.stuck = append(p.stuck, a.step.StepRef)
		p.refusals = append(p.refusals, no)
	}
}

// Stuck returns the first step that stock refused for good, and the refusal; nil
// if there is none.
func (p Process) Stuck() (order.StepRef, *rule.Rejection) {
	if len(p.stuck) == 0 {
		return order.StepRef{}, nil
	}
	return p.stuck[0], p.refusals[0]
}

// keyedCommand is a command to the order with its key, which is unique among all commands
// that the process ever sends to that order.
type keyedCommand struct {
	key     string
	command order.Command
}

func settle(ref order.StepRef) keyedCommand {
	return keyedCommand{"settle " + string(ref.Step) + "/" + ref.Ref, order.SettleStock{Step: ref.Step, Ref: ref.Ref}}
}

// cancelLost is a remedy.
var cancelLost = keyedCommand{"cancel", order.Cancel{Reason: "stock lost"}}

// Commands are for the order, all or none, once there are no more Moves. They do
// not settle a step that stock refused for good (see Stuck): it stays open, where
// it can be seen.
func (p Process) Commands() []order.Command {
	var commands []order.Command
	for _, t := range p.keyedCommands() {
		commands = append(commands, t.command)
	}
	return commands
}

// Key tells Commands from those of any other turn of the same order, and is the
// same for every driver that comes to the same commands.
func (p Process) Key() string {
	var keys []string
	for _, t := range p.keyedCommands() {
		keys = append(keys, t.key)
	}
	return strings.Join(keys, ", ")
}

func (p Process) keyedCommands() []keyedCommand {
	if len(p.shortages) > 0 {
		return p.failure()
	}
	var turns []keyedCommand
	if p.allocating != nil && !slices.Contains(p.stuck, p.allocating.StepRef) {
		turns = append(turns, settle(p.allocating.StepRef))
	}
	for _, step := range p.others {
		if !slices.Contains(p.stuck, step.StepRef) {
			turns = append(turns, settle(step.StepRef))
		}
	}
	return append(turns, p.owed...)
}

// failure ends an allocation that failed. The first failure leads to a retry,
// for the stock may still be there; the next to the remedy.
func (p Process) failure() []keyedCommand {
	ref := p.allocating.Ref
	fail := keyedCommand{"fail " + ref, order.FailAllocation{Ref: ref, Shortages: p.shortages, Remedy: p.remedy}}
	switch {
	case !p.mayEnd:
		return []keyedCommand{fail}
	case ref == "":
		return []keyedCommand{fail, {"retry", order.RetryAllocation{}}}
	case p.remedy == order.RemedyVoidOrRefund:
		return []keyedCommand{fail, cancelLost}
	}
	return []keyedCommand{fail}
}

// LostBy is what stock no longer has of a confirmed order's promises. allocated
// tells what is promised to the order at a stock. Ask when no step is open: an
// open step may not have been asked of stock yet.
func LostBy(s order.State, allocated func(stock.Key) unit.Quantity) []order.Lost {
	if s.Status != order.StatusConfirmed || len(s.Unsettled) > 0 {
		return nil
	}
	var lost []order.Lost
	for _, h := range s.Holdings {
		if backed := h.Backed(); backed > 0 {
			if gone := backed - allocated(stock.Key{SKU: h.SKU, Location: h.Location}); gone > 0 {
				lost = append(lost, order.Lost{SKU: h.SKU, Location: h.Location, Quantity: min(gone, backed)})
			}
		}
	}
	return lost
}

// ShipmentMoves are the movements that shipping would ask of stock, or the
// order's refusal. A driver tries them on stock's present state before it sends
// the command, so that a parcel that stock does not have is refused
// (stock-not-on-hand) while it can still be; see the package comment for what
// happens when it is too late.
func ShipmentMoves(s order.State, cmd order.Ship) ([]Move, error) {
	events, err := order.Decide(cmd, s)
	if err != nil {
		return nil, err
	}
	after := s.Clone()
	for _, e := range events {
		after = order.Evolve(after, e)
	}
	step, _ := after.Step(order.StepRef{Step: order.StepShipment, Ref: string(cmd.ShipmentID)})
	p := Process{id: s.OrderID}
	for _, want := range step.Moves {
		p.ask(step, want)
	}
	return p.Moves(), nil
}
