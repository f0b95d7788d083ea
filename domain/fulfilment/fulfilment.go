// Package fulfilment is the process that carries out what was recorded of an order or a
// return: it moves the stock, and gives back money that is owed. It decides and computes. A
// driver asks stock and appends events: it is a request or the reactor.
//
// Every movement of stock belongs to a step, and the order lists the steps that are not
// settled (order.State.Unsettled). That list is the work. A driver reads the order, asks
// stock for the Moves and passes on the replies (Reply) until there are no more Moves. Then
// it sends the Commands to the order. It begins again with the order's new state, until there
// is nothing to do:
//
//	confirmed   commit the reservations. If one has ended in the meantime, the
//	            allocation has failed. That is a named state of the order, and
//	            the process retries it once without a request
//	retried     reserve what is missing, all or nothing. If all is reserved, the
//	            order has recovered, and the reservations are committed. If not,
//	            the allocation has failed again, and the remedy follows
//	canceled    release what is still reserved, deallocate what is allocated
//	expired     release
//	extended    move the deadlines of the reservations with the order's
//	holds       commit the uses of promotions, and let gift cards pay. If the
//	            order ends, give them back. The payments are recorded together
//	            with the end of the step
//	shipped     ship. The parcel has left already. If stock does not have the goods
//	            on its books, or has taken the promise back, stock records the
//	            shipment by force
//	came back   take the goods of a parcel back. Those that are sent again are
//	            allocated to the order in the same append
//
// There are two remedies. With RemedyVoidOrRefund, an order whose allocation failed is
// canceled. Authorizations to void and captures to refund are recorded as pending
// transactions, and the payment provider settles them. With RemedyBackorder, the order waits
// for RetryAllocation. Money that came too late (PaymentOrphaned) is given back in the same
// way. An order that somebody canceled is not refunded automatically, because that is the
// merchant's decision.
//
// Example: an order of 2 units of A is confirmed, and its reservation has expired in the meantime.
// Stock refuses to commit it, twice. The driver sends FailAllocation and RetryAllocation. Then it
// asks stock to reserve 2 units under a new id. If stock reserves them, the driver settles the step
// retry-1, asks for the commit, and settles the step commit-1. If not, it sends FailAllocation
// again, and with RemedyVoidOrRefund also Cancel.
//
// For a return, Receipts are what stock takes in, and ReturnProcess is what its orders are
// asked.
//
// Any number of drivers may do this at the same time, and each may be cut off at any point or come
// late. A move that is asked again is made once, and the order's stream is the referee. The first
// recorded end of a step stands. If a driver reaches another outcome, its command changes nothing.
// The driver reads the order again and follows what is recorded. If a driver carries out a retry
// after another driver has ended it, a reservation may be left in stock, which ends at its
// deadline. No allocation can be left in this way, because stock allocates only what was reserved
// before under an id that the order has recorded.
package fulfilment

import (
	"slices"
	"strings"

	"daybook/domain/cart"
	"daybook/domain/money/giftcard"
	"daybook/domain/order"
	"daybook/domain/rule"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// Process is the state of one driver's work on an order. It keeps no part of the order's
// state that Evolve may change.
type Process struct {
	id     unit.OrderID
	remedy order.Remedy
	mayEnd bool // the order is confirmed, so a failed allocation may cancel it

	// A confirm step, or a retry of it, goes before all other steps, because a cancel gives back
	// what the confirm step has allocated. Then come the parcels that came back, because stock
	// allocates units of them, which a later step may give back or ship. The other steps do not
	// depend on each other.
	allocating *order.OpenStep
	others     []order.OpenStep
	stage      int // 0: none of others was asked, 1: those of parcels that came back, 2: all

	asked     []asked
	holds     []order.HoldMove
	shortages []cart.Shortage
	lines     map[unit.SKU][]int // line numbers of each SKU
	stuck     []order.StepRef
	refusals  []*rule.Rejection // one for each of stuck
	owed      []keyedCommand    // commands that the state needs and that do not depend on stock's replies
}

type asked struct {
	move  Move
	step  order.OpenStep
	want  order.Move
	again bool // part of a second try: stock refused the first commit, so the reservation is released and committed once more
}

// Begin collects what an order has open. remedy is the merchant's policy for an allocation
// that fails now.
func Begin(s order.State, remedy order.Remedy) Process {
	p := Process{id: s.OrderID, remedy: remedy, mayEnd: s.Status == order.StatusConfirmed, owed: remedies(s)}
	for _, step := range s.Unsettled {
		if step.Step == order.StepConfirm {
			p.allocating = &step
		} else {
			p.others = append(p.others, step)
		}
		p.holds = append(p.holds, step.Holds...)
	}
	if p.allocating != nil {
		p.lines = linesBySKU(s)
		for _, want := range p.allocating.Moves {
			if want.Action != order.ActDeallocate { // a deallocation is asked for after its commit
				p.ask(*p.allocating, want)
			}
		}
	}
	p.askOthers()
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

// commitAgain ends a reservation that could not be committed, and then asks to commit it
// again. The first refusal is not enough to be sure: the reservation may be due by this
// driver's clock and not yet by another driver's clock, and that driver could still commit
// it. After the second refusal no driver can.
func (p *Process) commitAgain(a asked) {
	a.again = true
	if a.want.Action == order.ActCommit {
		a.want.Action = order.ActRelease
	} else {
		a.want.Action = order.ActCommit
	}
	a.move = p.toStock(a.step, a.want, true)
	p.asked = append(p.asked, a)
}

// askOthers asks for the moves of the other steps, when no move of the allocation is left. If
// the allocation failed, it does not ask for them, because the failure may change these moves.
func (p *Process) askOthers() {
	if len(p.shortages) > 0 {
		return
	}
	for len(p.asked) == 0 && p.stage < 2 {
		p.stage++
		for _, step := range p.others {
			if (step.Step == order.StepCameBack) != (p.stage == 1) {
				continue
			}
			for _, want := range step.Moves {
				p.ask(step, want)
			}
		}
	}
}

// Holds are what to ask of promotions and gift cards. Ask for all of it, in this order, before the
// Moves and Commands. It does not depend on stock, and is never refused.
func (p Process) Holds() []order.HoldMove { return p.holds }

// paid records what the gift cards have paid.
func (p Process) paid() (commands []keyedCommand) {
	for _, m := range p.holds {
		if m.Action != order.HoldCommit || m.Kind != cart.HoldGiftCard || m.Amount.Sign() <= 0 {
			continue
		}
		id := order.GiftCardPayment(p.id, m.ID)
		tender := order.GiftCard
		if giftcard.ID(m.ID).Kind() == giftcard.Account {
			tender = order.StoreCredit
		}
		commands = append(commands, keyedCommand{"record " + string(id), order.RecordTransaction{
			TransactionID: id, Type: order.Capture, State: order.Succeeded, Amount: m.Amount, Provider: order.GiftCardProvider, Reference: string(m.ID), Tender: tender,
		}})
	}
	return commands
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

// Reply takes the replies to all Moves, in any order.
func (p Process) Reply(replies []StockReply) Process {
	refusals := make(map[unit.Derived]*rule.Rejection, len(replies))
	for _, a := range replies {
		refusals[a.Move.ID] = a.Refusal
	}
	done := p.asked
	p.asked, p.shortages, p.stuck = nil, slices.Clone(p.shortages), slices.Clone(p.stuck)
	for _, a := range done {
		refusal, replied := refusals[a.move.ID]
		switch {
		case !replied:
			panic("fulfilment: a move has no reply")
		case refusal != nil:
			p.refused(a, refusal)
		case a.again && a.want.Action == order.ActRelease:
			p.commitAgain(a)
		case a.want.Action == order.ActCommit:
			if excess, is := a.excess(); is {
				p.ask(a.step, excess)
			}
		}
	}
	p.askOthers()
	return p
}

// excess is the part of a reservation that was canceled before the reservation became an
// allocation. It is given back after the commit.
func (a asked) excess() (order.Move, bool) {
	i := slices.IndexFunc(a.step.Moves, func(m order.Move) bool {
		return m.Action == order.ActDeallocate && m.SKU == a.want.SKU && m.Location == a.want.Location
	})
	if i < 0 {
		return order.Move{}, false
	}
	return a.step.Moves[i], true
}

// refused asks stock in another way, or notes that no other way is left.
func (p *Process) refused(a asked, no *rule.Rejection) {
	switch {
	case a.want.Action == order.ActCommit && !a.again:
		p.commitAgain(a)
	case a.want.Action == order.ActCommit, a.want.Action == order.ActReserve:
		available, _ := no.Facts["available"].(unit.Quantity)
		p.shortages = append(p.shortages, cart.Shortage{
			SKU: a.want.SKU, Location: a.want.Location, Requested: a.want.Quantity, Available: available, Reason: no.Code,
			Lines: p.lines[a.want.SKU],
		})
	case a.want.Action == order.ActExtend:
		// The reservation has ended in the meantime. If the order is confirmed, its commit is
		// refused, and the process looks for the goods again.
	case a.want.Action == order.ActShip && (no.Code == stock.ErrNotOnHand.Code || no.Code == stock.ErrNotAllocated.Code) && !a.step.Forced:
		a.step.Forced = true
		p.ask(a.step, a.want)
	default:
		p.stuck = append(p.stuck, a.step.StepRef)
		p.refusals = append(p.refusals, no)
	}
}

// Stuck returns the first step that stock has refused for good, and the refusal. If there is
// none, the refusal is nil.
func (p Process) Stuck() (order.StepRef, *rule.Rejection) {
	if len(p.stuck) == 0 {
		return order.StepRef{}, nil
	}
	return p.stuck[0], p.refusals[0]
}

// keyedCommand is a command to the order, with its key. The key is unique among all commands of the
// process to that order.
type keyedCommand struct {
	key     string
	command order.Command
}

func settle(ref order.StepRef) keyedCommand {
	return keyedCommand{"settle " + string(ref.Step) + "/" + ref.Ref, order.SettleStock{Step: ref.Step, Ref: ref.Ref}}
}

// cancelLost is the remedy that cancels an order whose stock was lost.
var cancelLost = keyedCommand{"cancel", order.Cancel{Reason: "stock lost"}}

// Commands are the commands for the order, all or none. Send them when there are no more
// Moves. They do not settle a step that stock refused for good (see Stuck). Such a step stays
// open, so that operators can see it.
func (p Process) Commands() []order.Command {
	var commands []order.Command
	for _, t := range p.keyedCommands() {
		commands = append(commands, t.command)
	}
	return commands
}

// Key differs from the Key of all other Commands for the same order. All drivers that come to
// the same Commands have the same Key.
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
	commands := p.paid()
	if p.allocating != nil && !slices.Contains(p.stuck, p.allocating.StepRef) {
		commands = append(commands, settle(p.allocating.StepRef))
	}
	for _, step := range p.others {
		if !slices.Contains(p.stuck, step.StepRef) {
			commands = append(commands, settle(step.StepRef))
		}
	}
	return append(commands, p.owed...)
}

// failure ends an allocation that failed. The first failure leads to a retry, because the
// stock may still be there. The next failure leads to the remedy.
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

// LostBy returns the units of a confirmed order that stock no longer has for it. allocated
// returns how many units a stock has allocated to the order. Call it only when no step is
// open, because stock may not have been asked for an open step yet. With an open step, LostBy
// returns none.
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

// ShipmentMoves returns the movements that a shipment would ask of stock, or the order's refusal.
// Before it sends the command, a driver tries the movements on stock's present state. So a parcel
// whose goods stock does not have is refused (stock-not-on-hand) while that is possible. The
// package comment says what happens if the goods are lost after that.
func ShipmentMoves(s order.State, cmd order.Ship) ([]Move, error) {
	return movesOf(s, cmd, order.StepRef{Step: order.StepShipment, Ref: string(cmd.ShipmentID)})
}

// ResendMoves returns what the parcel's units that are sent again would ask of stock, or the
// order's refusal. A driver tries them as those of a shipment: goods that stock does not have are
// refused (stock-insufficient), and the caller can credit the units instead.
func ResendMoves(s order.State, cmd order.ResendParcel) ([]Move, error) {
	return movesOf(s, cmd, order.RetryStep(s.Retries+1))
}

// ParcelBackMoves returns what the goods of a parcel that came back would ask of stock.
func ParcelBackMoves(s order.State, cmd order.TakeParcelBack) ([]Move, error) {
	return movesOf(s, cmd, order.StepRef{Step: order.StepCameBack, Ref: string(cmd.ShipmentID)})
}

// movesOf returns the movements of the step that a command would open.
func movesOf(s order.State, cmd order.Command, ref order.StepRef) ([]Move, error) {
	events, err := order.Decide(cmd, s)
	if err != nil {
		return nil, err
	}
	after := s.Clone()
	for _, e := range events {
		after = order.Evolve(after, e)
	}
	step, _ := after.Step(ref)
	p := Process{id: s.OrderID}
	for _, want := range step.Moves {
		p.ask(step, want)
	}
	return p.Moves(), nil
}
