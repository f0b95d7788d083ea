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
	"daybook/domain/customer"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/promotion"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// reactorFilter selects the events that begin or end work.
var reactorFilter = eventstore.Filter{TypePrefixes: append(slices.Clone(cartLifeFilter.TypePrefixes), "order.", "return.", "stock.reserv", "customer.merge", "customer.absorbed",
	"promotion.use_", "customeruse.", "giftcard.")}

// reactorReads selects the events that the reactor reads. They are all events with the shop's
// types, because the reactor also parks such an event if another program wrote it into a
// stream of the shop.
var reactorReads = eventstore.Filter{TypePrefixes: streams.TypePrefixes()}

// Filter selects the events that the reactor must not miss in the log.
func Filter() eventstore.Filter { return reactorFilter }

type workKind string

const (
	workCheckout workKind = "checkout"
	workOrder    workKind = "order"
	workReturn   workKind = "return"
	workMerge    workKind = "merge"
	// workAccounts is a merge of two customers' accounts.
	workAccounts workKind = "customer_merge"
	// workRefund is a part of an order's refund.
	workRefund workKind = "refund"
)

// workKey identifies unfinished work: a checkout (by cart and order), an order, a step of a
// return, a part of a refund, or a merge (by its two carts or accounts).
type workKey struct {
	kind workKind
	id   string // of the cart, the order, the return or the customer
	// step is the order of a checkout, the receipt or the question to the orders of a return, the
	// part of a refund, or the other cart or account of a merge.
	step string
}

func checkoutWork(id unit.CartID, orderID unit.OrderID) workKey {
	return workKey{workCheckout, string(id), string(orderID)}
}

func (k workKey) String() string { return string(k.kind) + " " + k.id + " " + k.step }

// Work is a process that was begun, and whose end was not read yet.
type Work struct {
	key workKey
	// Stream is the stream of its first event. ID is the id of the order or the return.
	Stream string
	ID     string
	Since  time.Time // when its first event was recorded
	Meta   []byte    // of its first event

	revision int64
	position eventstore.Position
	before   eventstore.Position // a reader that begins here reads its first event again
	order    int                 // its number in the order of beginning
	steps    int                 // of an order: how many are open
	// Only for a checkout: who chose its order id, how many of its reservations have not
	// ended, and whether it was refused.
	from    cart.OrderIDSource
	held    int
	refused bool
}

// tracker folds the log into the list of unfinished work. It is the pure part of the reactor:
// it only notes what events say, and changes nothing outside.
type tracker struct {
	open     map[workKey]*Work
	begun    int
	position eventstore.Position // everything up to here was read
	seen     eventstore.Anchor   // the latest event known at or before position
	caughtUp bool

	// checkouts are the open checkouts, by order id. Two carts may use the same order id.
	checkouts map[unit.OrderID][]workKey
	// past are the latest checkouts that have ended, by order id. A slow driver may still make
	// a reservation for one of them.
	past     map[unit.OrderID][]ended
	pastRing []ended
	pastNext int

	carts  cartTimers
	timers youngTimers

	// park is the work that will be written to the parking lot. parked has, for each stream, the
	// ids of the parked work that is tried again after a new event of that stream. stirred has the
	// ids of the parked work that must be tried again now, because its stream has a new event.
	park    []UnfinishedWork
	parked  map[string][]uuid.UUID
	stirred map[uuid.UUID]bool
	// foreign counts the events of other programs in the shop's streams. Only the first
	// maxForeign of them are parked.
	foreign int
}

// maxForeign bounds how many events of other programs are parked while a node leads,
// because another program may write any number of them under the shop's names.
const maxForeign = 10_000

// rememberedCheckouts is how many ended checkouts tracker.past has. If a driver is so slow
// that its checkout is no longer there, its reservation ends at its deadline.
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

// checkpoint is the position from which a new leader must read. All work that began before it
// has ended.
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

// removeWork removes finished work from the list. The end of some work records no event, and the
// event of other work may not be read yet. If the work has new steps in the meantime, it stays
// on the list.
func (t *tracker) removeWork(work Work) {
	now := t.open[work.key]
	switch {
	case now == nil || now.order != work.order || now.steps != work.steps || now.held != work.held:
		return
	case work.key.kind == workCheckout:
		t.endCheckout(work.key) // a driver that is slower than the reactor may still reserve for it
	default:
		delete(t.open, work.key)
	}
}

// setTimer sets a timer for the event that is being observed.
func (t *tracker) setTimer(timer Timer) { t.timers.put(timer, t.position) }

// observe notes what follows from an event. An event that cannot be read is parked, because
// nobody knows what follows from it. An event that another program wrote is parked, too, so
// that operators see it, but nothing follows from it.
func (t *tracker) observe(item eventstore.Item) {
	t.seen = t.seen.Later(item.Anchor).Later(eventstore.AnchorOf(item.Event))
	if item.Event != nil {
		for _, id := range t.parked[item.Event.Stream] {
			t.stirred[id] = true
		}
		if err := aggregate.Safely(func() error { return t.event(*item.Event) }); err != nil {
			t.noteParkEvent(undecodable(*item.Event, err, time.Now()))
		}
	}
	t.position = item.Checkpoint
}

func (t *tracker) event(e eventstore.Recorded) error {
	category, _, _ := strings.Cut(e.Type, ".")
	if id, ours := strings.CutPrefix(e.Stream, category+"-"); !ours || id == "" {
		return nil // not a stream of the shop
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
	case customer.Category:
		return t.account(e)
	case promotion.Category:
		return t.promotion(e, promotion.Decode)
	case promotion.CustomerCategory:
		return t.promotion(e, promotion.DecodeCustomer)
	case giftcard.Category:
		return t.giftCard(e)
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
	event, err := eventstore.Decode(&e, cart.DecodeUnpriced)
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
	case cart.CheckedOut, cart.Opened, cart.LineAdded, cart.QuantityChanged, cart.LineRemoved, cart.CustomerChanged, cart.CountryChanged, cart.DetailsSet, cart.CouponAdded, cart.CouponRemoved, cart.ShippingChosen, cart.DiscountGiven, cart.DiscountWithdrawn, cart.TaxStatusSet, cart.Abandoned, cart.Expired, cart.MergeDeclined:
		// A successful checkout ends when its order is placed. A declined merge ends when the first
		// cart is open again.
	case cart.MergedInto:
		t.begin(workKey{workMerge, string(cartOf(e.Stream)), string(event.Target)}, e)
	case cart.MergedFrom:
		t.end(workMerge, string(event.Source), string(cartOf(e.Stream)))
	case cart.MergeRefused:
		t.end(workMerge, string(cartOf(e.Stream)), string(event.Target))
	}
	return nil
}

// account notes merges of accounts. The reactor reads no other events of accounts.
func (t *tracker) account(e eventstore.Recorded) error {
	event, err := eventstore.Decode(&e, customer.Decode)
	if err != nil {
		return err
	}
	id := strings.TrimPrefix(e.Stream, customer.Stream(""))
	switch event := event.(type) { //nolint:gochecksumtype // the others begin and end no work
	case customer.Merged:
		t.begin(workKey{workAccounts, id, string(event.Into)}, e)
	case customer.Absorbed:
		t.end(workAccounts, string(event.CustomerID), id)
	case customer.MergeRefused:
		t.end(workAccounts, id, string(event.Into))
	}
	return nil
}

// errUnstorable means that no timer can be set for an event, because the database cannot store
// its stream's name or its reservation's id.
var errUnstorable = errors.New("it has a name that Daybook never gives: it is not text, or is too long")

// maxItem bounds the id of a reservation in a timer, in bytes. Daybook's own ids are much
// shorter. Together with a stream's name, an id of this length still fits into a key of the
// database.
const maxItem = 1024

// storable tells whether the database can store the id of the event's reservation.
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
	case stock.Received, stock.Adjusted, stock.Counted, stock.Allocated, stock.Deallocated, stock.Shipped, stock.Returned, stock.CameBack,
		stock.Moved, stock.TransferredOut, stock.TransferredIn, stock.PolicySet, stock.ReorderPointCrossed:
		// These make or end no reservation.
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
	case stock.Received, stock.Adjusted, stock.Counted, stock.Allocated, stock.Deallocated, stock.Shipped, stock.Returned, stock.CameBack,
		stock.Moved, stock.TransferredOut, stock.TransferredIn, stock.PolicySet, stock.ReorderPointCrossed:
		// These make or end no reservation.
	}
	return nil
}

func (t *tracker) orderEvent(e eventstore.Recorded) error {
	event, err := eventstore.Decode(&e, order.DecodeUnpriced)
	if err != nil {
		return err
	}
	id := unit.OrderID(strings.TrimPrefix(e.Stream, order.Stream("")))
	switch event := event.(type) {
	case order.Placed:
		t.endCheckout(checkoutWork(event.CartID, id))
		t.setTimer(Timer{Deadline: orderDeadline(id), DueAt: event.ConfirmBy})
	case order.Confirmed:
		t.timers.remove(orderDeadline(id))
		if !event.Allocated {
			t.stepOpened(id, e)
		}
	case order.Canceled, order.Expired:
		t.timers.remove(orderDeadline(id))
		t.stepOpened(id, e)
	case order.LinesCanceled, order.Shipped, order.ParcelBack, order.PaymentOrphaned, order.AllocationRetried:
		t.stepOpened(id, e)
	case order.TakenOver:
		// No event says that the returns and the cart have followed the order. Like a step of an
		// order that has only services, it ends when the reactor finds nothing to do.
		t.stepOpened(id, e)
	case order.StockSettled:
		if event.Step != order.StepHolds { // it is settled together with a step of stock, or with the last work
			t.stepSettled(id)
		}
	case order.RefundRequested:
		for _, part := range event.Parts {
			t.begin(workKey{workRefund, string(id), string(part.PartID)}, e)
		}
	case order.RefundSubmitted:
		// Usually the part is on the list already. After a failure, a person may submit it again.
		t.begin(workKey{workRefund, string(id), string(event.PartID)}, e)
		t.setTimer(Timer{Deadline: refundDeadline(id, event.PartID), DueAt: e.RecordedAt.Add(refundAnswerMax)})
	case order.RefundSettled:
		if event.State == order.RefundSucceeded || event.State == order.RefundHasFailed {
			t.end(workRefund, string(id), string(event.PartID))
			t.timers.remove(refundDeadline(id, event.PartID))
		}
	case order.AllocationFailed, order.AllocationRecovered, order.TransactionRecorded, order.TransactionSettled:
		// What is open stays open: a failed allocation needs a retry or a remedy, and a recovered
		// one needs a commit. A transaction opens nothing itself. If its money came too late,
		// PaymentOrphaned follows it. If it is a part of a refund, the reactor finds that there is
		// nothing left to do, and removes the work from the list.
	case order.DeadlineExtended:
		t.setTimer(Timer{Deadline: orderDeadline(id), DueAt: event.ConfirmBy})
		t.stepOpened(id, e)
	case order.ChargeAdded:
		if event.Card != nil {
			t.begin(workKey{workOrder, string(id), cardStep(event.Charge)}, e)
		}
	case order.Credited:
		if event.Cause == order.CreditForCharge && len(event.Parts) == 1 {
			t.end(workOrder, string(id), cardStep(event.Parts[0].Charge))
		}
	case order.TransactionUnreadable, order.ReturnRefundRefused, order.RefundExplained, order.DifferenceWrittenOff:
		// These begin no work.
	case order.Claimed, order.PutOnHold, order.HoldReleased, order.Delivered, order.ParcelReported, order.ParcelResent, order.Completed, order.ReturnAdmitted, order.ReturnReleased,
		order.RefundClaimed, order.Archived, order.Unarchived:
		// These move no stock. Units that are sent again are in a step that another event opens.
	}
	return nil
}

// stepOpened counts a step of an order that may need stock. If the order has only services, the
// step ends without an event. Then the reactor finds after Grace that there is nothing to do, and
// removes the work from the list.
// cardStep is the work of a gift card whose purchase was undone: it has to end.
func cardStep(charge int) string { return "card-" + strconv.Itoa(charge) }

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
		// If no order was asked, the reactor finds after Grace that there is nothing to release,
		// and removes the work from the list.
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
		if len(event.Credits) > 0 {
			t.begin(workKey{workReturn, id, ordersStep(returns.StepCredit, returns.CreditRef(event.Receipt))}, e)
		}
	case returns.Approved:
		if len(event.Credits) > 0 {
			t.begin(workKey{workReturn, id, ordersStep(returns.StepCredit, returns.CreditRef(0))}, e)
		}
	case returns.StockSettled:
		t.end(workReturn, id, strconv.Itoa(event.Receipt))
	case returns.Closed, returns.TakenOver, returns.CreditNoted:
		// These move no goods and ask no order.
	}
	return nil
}

// admission is the step of a return in which its orders admit what comes back.
const admission = "admission"

func ordersStep(step returns.OrderStep, ref unit.TransactionID) string {
	return string(step) + " " + string(ref)
}
