package reactor

import (
	"cmp"
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/commands/streams"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// reactorFilter selects what begins and ends work.
var reactorFilter = eventstore.Filter{TypePrefixes: append(slices.Clone(cartLifeFilter.TypePrefixes), "order.", "return.", "stock.reserv")}

// reactorReads selects what the reactor reads: all types of the shop's, because such an
// event that another program wrote into a stream of the shop's is parked.
var reactorReads = eventstore.Filter{TypePrefixes: streams.TypePrefixes()}

// Filter selects what the reactor must not miss in the log.
func Filter() eventstore.Filter { return reactorFilter }

type workKind string

const (
	workCheckout workKind = "checkout"
	workOrder    workKind = "order"
	workReturn   workKind = "return"
)

// workKey names unfinished work: a checkout by its cart and order, an order, a
// step of a return.
type workKey struct {
	kind workKind
	id   string // of the cart, the order or the return
	step string // of a cart: the order; of a return: the receipt, or what its orders are asked
}

func checkoutWork(id unit.CartID, orderID unit.OrderID) workKey {
	return workKey{workCheckout, string(id), string(orderID)}
}

func (k workKey) String() string { return string(k.kind) + " " + k.id + " " + k.step }

// Work is a process that was begun and not seen to end.
type Work struct {
	key workKey
	// Stream is where it began; ID is the order or the return it is about.
	Stream string
	ID     string
	Since  time.Time // when its first event was recorded
	Meta   []byte    // of its first event

	revision int64
	position eventstore.Position
	before   eventstore.Position // reading from here meets it again
	order    int                 // in which it was begun
	steps    int                 // of an order: opened and not settled
	// Of a checkout: who chose its order id, how many of its reservations have not
	// ended, and whether it was refused.
	from    cart.OrderIDSource
	held    int
	refused bool
}

// tracker folds the log into what is unfinished. It is the pure part of the
// reactor: it reads events and does nothing.
type tracker struct {
	open     map[workKey]*Work
	begun    int
	position eventstore.Position // looked at so far
	seen     eventstore.Anchor   // the latest event known at or before position
	caughtUp bool

	// checkouts are those that are open, by order id. Two carts may have one.
	checkouts map[unit.OrderID][]workKey
	// past are the latest checkouts that ended, by order id: a driver that was slow
	// may still reserve for one.
	past     map[unit.OrderID][]ended
	pastRing []ended
	pastNext int

	carts  cartTimers
	timers youngTimers

	// park: work to be written to the parking lot.
	// parked: stream → ids of the parked work that its events may let end.
	// stirred: ids of parked work to try again now, because its stream has a new event.
	park    []Process
	parked  map[string][]uuid.UUID
	stirred map[uuid.UUID]bool
	// foreign counts the events of other programs that were to be parked.
	foreign int
}

// maxForeign bounds how many events of other programs are parked while a node leads,
// because another program may write any number of them under the shop's names.
const maxForeign = 10_000

// rememberedCheckouts bounds how slow such a driver may be; what it reserves
// later than that ends at its deadline.
const rememberedCheckouts = 4096

func newTracker(checkpoint eventstore.Position, cartsExpireAfter time.Duration) *tracker {
	t := &tracker{
		open:      map[workKey]*Work{},
		checkouts: map[unit.OrderID][]workKey{},
		past:      map[unit.OrderID][]ended{},
		position:  checkpoint,
		timers:    newYoungTimers(),
		parked:    map[string][]uuid.UUID{},
		stirred:   map[uuid.UUID]bool{},
	}
	t.carts = cartTimers{after: cartsExpireAfter, set: t.setTimer, clear: t.timers.remove}
	return t
}

// checkpoint is as far as a new reader may skip: everything before it has ended.
func (t *tracker) checkpoint() eventstore.Position {
	at := t.timers.before(t.position)
	for _, work := range t.open {
		if work.before.Before(at) {
			at = work.before
		}
	}
	return at
}

// inOrder yields the open work, the oldest first.
func (t *tracker) inOrder() iter.Seq[Work] {
	works := slices.SortedFunc(maps.Values(t.open), func(a, b *Work) int { return cmp.Compare(a.order, b.order) })
	return func(yield func(Work) bool) {
		for _, work := range works {
			if !yield(*work) {
				return
			}
		}
	}
}

// handled takes work off the list that was driven to its end, which may leave no
// event behind or one that is still to be read, unless there is more of it by now.
func (t *tracker) handled(work Work) {
	now := t.open[work.key]
	switch {
	case now == nil || now.order != work.order || now.steps != work.steps || now.held != work.held:
		return
	case work.key.kind == workCheckout:
		t.endCheckout(work.key) // whoever was slower than the reactor may still reserve for it
	default:
		delete(t.open, work.key)
	}
}

// setTimer sets the timer of a deadline that the event being observed gives.
func (t *tracker) setTimer(timer Timer) { t.timers.put(timer, t.position) }

// observe takes note of an event. One that cannot be read is parked, because what follows
// from it is not known; and so is one that another program wrote, from which nothing does.
func (t *tracker) observe(item eventstore.Item) {
	t.seen = t.seen.Later(item.Known).Later(eventstore.AnchorOf(item.Event))
	if item.Event != nil {
		for _, id := range t.parked[item.Event.Stream] {
			t.stirred[id] = true
		}
		if err := aggregate.Safely(func() error { return t.event(*item.Event) }); err != nil {
			t.parksEvent(undecodable(*item.Event, err, time.Now()))
		}
	}
	t.position = item.Checkpoint
}

func (t *tracker) event(e eventstore.Recorded) error {
	category, _, _ := strings.Cut(e.Type, ".")
	if id, ours := strings.CutPrefix(e.Stream, category+"-"); !ours || id == "" {
		return nil // somebody else's
	}
	if !eventstore.IsText(e.Stream) {
		return errUnstorable
	}
	if !reactorFilter.Selects(e.Type, e.Stream) { // it begins and ends no work
		if !reactorReads.Selects(e.Type, e.Stream) {
			return nil
		}
		return eventstore.Foreign(&e)
	}
	switch category {
	case cart.Category:
		return t.cart(e)
	case order.Category:
		return t.orderEvent(e)
	case returns.Category:
		return t.returnEvent(e)
	case stock.Category:
		return t.stock(e)
	}
	return nil
}

func (t *tracker) begin(key workKey, e eventstore.Recorded) {
	if _, twice := t.open[key]; twice {
		return
	}
	t.begun++
	t.open[key] = &Work{
		key: key, Stream: e.Stream, ID: key.id, Since: e.RecordedAt, Meta: e.Meta, before: t.position, order: t.begun,
		revision: e.Revision, position: e.Position,
	}
}

func (t *tracker) end(kind workKind, id, step string) { delete(t.open, workKey{kind, id, step}) }

func (t *tracker) cart(e eventstore.Recorded) error {
	event, err := eventstore.Decode(&e, cart.Decode)
	if err != nil {
		return err
	}
	t.carts.observe(event, e)
	switch event := event.(type) {
	case cart.CheckoutStarted:
		t.beginCheckout(ended{checkoutWork(cartOf(e.Stream), event.OrderID), event.OrderIDFrom}, e)
	case cart.CheckoutRefused:
		if work := t.open[checkoutWork(cartOf(e.Stream), event.OrderID)]; work != nil {
			work.refused = true
			t.endIfReleased(work)
		}
	case cart.CheckedOut, cart.Opened, cart.LineAdded, cart.QuantityChanged, cart.LineRemoved, cart.CustomerChanged, cart.CountryChanged, cart.Abandoned, cart.Expired:
		// A checkout that succeeded ends with its order placed.
	}
	return nil
}

// errUnstorable means that an event's deadline cannot be kept, because the database
// takes no such name.
var errUnstorable = errors.New("it has a name that no program of ours gives: not text, or too long")

// maxItem bounds the id of a reservation in a timer, in bytes. It is far longer than
// any of ours, and with a stream's name short enough for a key of the database.
const maxItem = 1024

// storable tells whether a timer can have the name of the event's reservation.
func storable(event stock.Event) bool {
	var id unit.ReservationID
	switch event := event.(type) {
	case stock.Reserved:
		id = event.ReservationID
	case stock.ReservationExtended:
		id = event.ReservationID
	case stock.ReservationReleased:
		id = event.ReservationID
	case stock.ReservationExpired:
		id = event.ReservationID
	case stock.ReservationCommitted:
		id = event.ReservationID
	case stock.Received, stock.Adjusted, stock.Counted, stock.Allocated, stock.Deallocated, stock.Shipped, stock.Returned,
		stock.Moved, stock.TransferredOut, stock.TransferredIn, stock.PolicySet, stock.ReorderPointCrossed:
		// No hold.
	}
	return eventstore.IsText(string(id)) && len(id) <= maxItem
}

func cartOf(stream string) unit.CartID {
	return unit.CartID(strings.TrimPrefix(stream, cart.Stream("")))
}

func (t *tracker) stock(e eventstore.Recorded) error {
	event, err := eventstore.Decode(&e, stock.Decode)
	if err != nil {
		return err
	}
	if !storable(event) {
		return errUnstorable
	}
	switch event := event.(type) {
	case stock.Reserved:
		t.setTimer(Timer{Deadline: reservationDeadline(e.Stream, event.ReservationID), DueAt: event.ExpiresAt})
		t.reserved(event, e)
	case stock.ReservationExtended:
		t.timers.move(Timer{Deadline: reservationDeadline(e.Stream, event.ReservationID), DueAt: event.ExpiresAt}, t.position)
	case stock.ReservationReleased:
		t.timers.remove(reservationDeadline(e.Stream, event.ReservationID))
		t.holds(event.OrderID, event.ReservationID, event.Key, -1)
	case stock.ReservationExpired:
		t.timers.remove(reservationDeadline(e.Stream, event.ReservationID))
		t.holds(event.OrderID, event.ReservationID, event.Key, -1)
	case stock.ReservationCommitted:
		t.timers.remove(reservationDeadline(e.Stream, event.ReservationID))
		t.holds(event.OrderID, event.ReservationID, event.Key, -1)
	case stock.Received, stock.Adjusted, stock.Counted, stock.Allocated, stock.Deallocated, stock.Shipped, stock.Returned,
		stock.Moved, stock.TransferredOut, stock.TransferredIn, stock.PolicySet, stock.ReorderPointCrossed:
		// No hold and no deadline.
	}
	return nil
}

func (t *tracker) orderEvent(e eventstore.Recorded) error {
	event, err := eventstore.Decode(&e, order.Decode)
	if err != nil {
		return err
	}
	id := unit.OrderID(strings.TrimPrefix(e.Stream, order.Stream("")))
	switch event := event.(type) {
	case order.Placed:
		t.endCheckout(checkoutWork(event.CartID, id))
		t.setTimer(Timer{Deadline: orderDeadline(id), DueAt: event.ConfirmBy})
	case order.Confirmed, order.Canceled, order.Expired:
		t.timers.remove(orderDeadline(id))
		t.stepOpened(id, e)
	case order.LinesCanceled, order.Shipped, order.PaymentOrphaned, order.AllocationRetried:
		t.stepOpened(id, e)
	case order.StockSettled:
		t.stepSettled(id)
	case order.AllocationFailed, order.AllocationRecovered, order.TransactionRecorded, order.TransactionSettled:
		// A failed allocation ends its step and calls for a remedy, a recovered one
		// for a commit: there is still something to do.
	case order.Claimed, order.PutOnHold, order.HoldReleased, order.Delivered, order.Completed, order.ReturnAdmitted, order.ReturnReleased,
		order.RefundClaimed, order.Archived, order.Unarchived:
		// Nothing moves.
	}
	return nil
}

// stepOpened counts a step of an order that may ask something of stock. One that
// asks nothing (there are only services) leaves no event at its end; then the
// reactor finds nothing to do after the grace, and strikes it off.
func (t *tracker) stepOpened(id unit.OrderID, e eventstore.Recorded) {
	t.begin(workKey{workOrder, string(id), ""}, e)
	t.open[workKey{workOrder, string(id), ""}].steps++
}

func (t *tracker) stepSettled(id unit.OrderID) {
	key := workKey{workOrder, string(id), ""}
	if work := t.open[key]; work != nil {
		if work.steps--; work.steps <= 0 {
			delete(t.open, key)
		}
	}
}

func (t *tracker) returnEvent(e eventstore.Recorded) error {
	event, err := eventstore.Decode(&e, returns.Decode)
	if err != nil {
		return err
	}
	id := strings.TrimPrefix(e.Stream, returns.Stream(""))
	switch event := event.(type) {
	case returns.Requested:
		if len(event.Admit) > 0 {
			t.begin(workKey{workReturn, id, admission}, e)
		}
	case returns.Admitted:
		t.end(workReturn, id, admission)
	case returns.AdmissionRefused, returns.Declined, returns.Canceled:
		// Where no order was asked, the reactor finds nothing to release after the
		// grace, and strikes it off.
		t.end(workReturn, id, admission)
		t.begin(workKey{workReturn, id, ordersStep(returns.StepRelease, "")}, e)
	case returns.Refunded:
		if len(event.Shares) > 0 {
			t.begin(workKey{workReturn, id, ordersStep(returns.StepRefund, event.TransactionID)}, e)
		}
	case returns.RefundWithdrawn:
		t.end(workReturn, id, ordersStep(returns.StepRefund, event.TransactionID))
	case returns.OrdersSettled:
		t.end(workReturn, id, ordersStep(event.Step, event.Ref))
	case returns.Received:
		t.begin(workKey{workReturn, id, strconv.Itoa(event.Receipt)}, e)
	case returns.StockSettled:
		t.end(workReturn, id, strconv.Itoa(event.Receipt))
	case returns.Approved, returns.Closed, returns.CreditNoted:
		// No goods move, and no order is asked.
	}
	return nil
}

// admission is the step of a return in which its orders admit what comes back.
const admission = "admission"

func ordersStep(step returns.OrderStep, ref unit.TransactionID) string {
	return string(step) + " " + string(ref)
}
