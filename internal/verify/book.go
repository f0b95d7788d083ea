package verify

import (
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/money/coupon"
	"daybook/domain/money/entity"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/staff"
	"daybook/domain/stock"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// Book is what the whole log folds to: every product, cart, order, return and stock level, and
// the ledger of sales. It also has the checks that are made while the log is read.
type Book struct {
	Position eventstore.Position
	Now      time.Time
	Products map[unit.SKU]*Product

	definitions map[string]*definition  // by stream
	stored      map[string]*storedValue // gift cards and credit accounts, by stream
	uses        map[string]*uses        // of promotions and of customers, by stream
	payments    map[string]unit.OrderID // the order that has claimed a payment, by stream
	codes       map[string]string       // the promotion of a code, by stream
	Carts       map[unit.CartID]*Cart
	Orders      map[unit.OrderID]*Order
	Returns     map[unit.ReturnID]*Return
	Stock       map[stock.Key]*StockLevel
	Sales       *Ledger
	reports     *reports // about the money of orders
	Customers   map[unit.CustomerID]*Customer
	Access      access.State             // API keys and roles
	actors      *Actors                  // nil: no event is about keys or roles
	Staff       staff.State              // people who sign in
	erased      map[unit.Owner]bool      // whose texts were erased
	subjects    map[string]subject.State // by stream: what was erased

	grace     time.Duration
	checkouts map[unit.OrderID][]*checkoutAttempt // by order id; two carts may have been checked out under one
	claimed   map[unit.OrderID]unit.CartID        // the cart that got the order id
	cameBack  map[parcelAtStock]unit.Quantity     // what stock took back of a parcel
	restocked map[returnAtStock]unit.Quantity     // what stock took back for a return
	merges    map[merge]*merging

	accountMerges map[accountMerge]*accountMerging

	eventsRead   int64                // all events of the log
	events       int64                // of these, the ones in the shop's streams
	streams      map[string]lastEvent // the shop's streams
	unreadable   map[string]*unreadableStream
	others       *otherStreams
	lastPosition eventstore.Position
	lastTime     time.Time
	interned     map[string]string // one copy of each string that is in many events
	seed         maphash.Seed

	positions    *Check // positions and revisions are in order
	promises     *Check // each reservation and allocation is within what can be sold
	reservations *Check // each reservation begins once and ends at most once
	readable     *Check // each event can be read, and comes after the event that begins its stream
	money        *Check // prices, pots and money of each order follow from its events
	outOfBounds  *Check // counts the events with values out of bounds; it has no differences
}

// checkoutAttempt is a checkout of a cart under an order id.
type checkoutAttempt struct {
	cart    unit.CartID
	from    cart.OrderIDSource
	refused *lastEvent // the refusal, or nil
}

// lastEvent is a stream's last event.
type lastEvent struct {
	revision   int64
	recordedAt time.Time
}

// Product is a product of the catalogue, with the times that the view shows.
type Product struct {
	product.State
	listedAt  time.Time // effective time of the last listing
	described bool
	last      lastEvent
}

// Cart is a cart, with what the view shows and the domain's fold does not keep.
type Cart struct {
	cart.State
	channel   string
	openedAt  time.Time // effective times
	changedAt time.Time
	last      lastEvent
	shortages []cart.Shortage
	dropped   []int
	// quoteWithOrder: the last checkout says that only its order has the quote.
	quoteWithOrder bool
	reason         string
	customers      map[string]bool // that it had before another one; nil: none
	arrival        *outcome        // lines of another cart come in, by the events of one append
}

// Order is an order, with what the view shows and the domain's fold does not keep.
type Order struct {
	order.State
	channel      string
	placedAt     time.Time // effective
	placedTotal  decimal.Decimal
	lines        uint64               // hash of the lines as placed
	times        map[string]time.Time // effective times, see timeOf
	last         lastEvent
	pot          *pot
	moneyDiffers bool // a difference of its money was reported
	parcels      parcels
}

// Return is a return or a credit note, with what the view shows and the domain's fold does not
// keep.
type Return struct {
	returns.State
	channel   string
	createdAt time.Time // effective
	times     map[string]time.Time
	last      lastEvent
	admitted  bool     // its orders have admitted it
	overpaid  []string // describes refunds that were larger than the worth of the goods received until then
}

func newBook(now time.Time, grace time.Duration, shop Shop) *Book {
	return &Book{
		Now:      now,
		Products: map[unit.SKU]*Product{},

		definitions: map[string]*definition{},
		stored:      map[string]*storedValue{},
		uses:        map[string]*uses{},
		payments:    map[string]unit.OrderID{},
		codes:       map[string]string{},
		Carts:       map[unit.CartID]*Cart{},
		Orders:      map[unit.OrderID]*Order{},
		Returns:     map[unit.ReturnID]*Return{},
		Stock:       map[stock.Key]*StockLevel{},
		Sales:       newLedger(shop),
		reports:     newReports(),
		Customers:   map[unit.CustomerID]*Customer{},
		grace:       grace,
		checkouts:   map[unit.OrderID][]*checkoutAttempt{},
		claimed:     map[unit.OrderID]unit.CartID{},
		restocked:   map[returnAtStock]unit.Quantity{},
		cameBack:    map[parcelAtStock]unit.Quantity{},
		merges:      map[merge]*merging{},

		accountMerges: map[accountMerge]*accountMerging{},

		erased:       map[unit.Owner]bool{},
		subjects:     map[string]subject.State{},
		streams:      map[string]lastEvent{},
		unreadable:   map[string]*unreadableStream{},
		others:       newOtherStreams(),
		interned:     map[string]string{},
		seed:         maphash.MakeSeed(),
		positions:    &Check{Name: "log: positions rise, revisions are dense, times never fall"},
		promises:     &Check{Name: "stock: never promised beyond policy, never below zero"},
		reservations: &Check{Name: "reservations: one beginning, at most one end"},
		readable:     &Check{Name: "log: every event can be read and follows from those before it"},
		money:        &Check{Name: "orders: prices, what is left of them, and money follow from the events"},
		outOfBounds:  &Check{Name: "log: values out of bounds, each read as the nearest value within bounds (examined: how many)"},
	}
}

// checks makes all checks that need only the log.
func (b *Book) checks() []*Check {
	checks := b.eventChecks()
	for _, check := range []func() *Check{b.checkStock, b.checkOrders, b.checkMoney, b.checkStockOfOrders, b.checkCarts, b.checkMerges, b.checkReturns, b.checkOrdersAndReturns, b.checkParcels} {
		checks = append(checks, b.safely(check))
	}
	for _, of := range []func() *Check{b.checkKept, b.checkAccountMerges, b.checkWishLists} {
		if check := b.safely(of); check.Examined+check.Differences > 0 {
			checks = append(checks, check)
		}
	}
	return checks
}

// eventChecks returns the checks that were made while the log was read.
func (b *Book) eventChecks() []*Check {
	checks := []*Check{b.positions, b.readable, b.safely(b.checkStreamNames), b.promises, b.reservations, b.money}
	if b.outOfBounds.Examined > 0 { // the report has this check only if there are such events
		checks = append(checks, b.outOfBounds)
	}
	return checks
}

// safely runs a check. Events that no version of Daybook can have written may make the check
// panic. The panic is reported as a difference, and the verification goes on.
func (b *Book) safely(check func() *Check) (done *Check) {
	defer func() {
		if cause := recover(); cause != nil {
			done = &Check{Name: "a check that broke off"}
			done.differ("%v", cause)
		}
	}()
	return check()
}

// foldEvent folds one event. An event that makes no sense is a difference. It changes nothing,
// because the views skip it too.
func (b *Book) foldEvent(e *event) {
	defer func() {
		if cause := recover(); cause != nil {
			b.report(e, fmt.Sprintf("it cannot be folded: %v", cause))
		}
	}()
	b.eventsRead++
	if !b.lastPosition.Before(e.Position) {
		b.positions.differ("position %s comes after %s", e.Position, b.lastPosition)
	}
	b.lastPosition = e.Position
	if e.foreign {
		b.others.add(e.Stream)
		return
	}
	b.events++
	b.noteActor(e)
	if _, ours := b.streams[e.Stream]; !ours && e.unreadable != "" {
		b.noteUnreadable(e)
		return
	}
	b.checkPosition(e)
	if e.outOfBounds != "" {
		b.outOfBounds.Examined++
	}
	if e.unreadable != "" {
		b.report(e, e.unreadable)
		return
	}
	b.readable.Examined++
	_, id, _ := strings.Cut(e.Stream, "-")
	switch value := e.value.(type) {
	case product.Event:
		b.foldProduct(e, unit.SKU(id), value)
	case cart.Event:
		b.foldCart(e, unit.CartID(id), value)
	case order.Event:
		b.checkPayment(e, unit.OrderID(id), value)
		b.foldOrder(e, unit.OrderID(id), value)
	case returns.Event:
		b.foldReturn(e, unit.ReturnID(id), value)
	case stock.Event:
		b.foldStock(e, value)
	case access.Event:
		b.foldAccess(e, value)
	case staff.Event:
		b.foldStaff(e, value)
	case customer.Event:
		b.foldCustomer(e, unit.CustomerID(id), value)
	case subject.Event:
		b.foldSubject(e, value)
	case pricelist.Event, shipping.Event, entity.Event:
		b.foldDefinition(e, id)
	case promotion.Event:
		b.foldPromotion(e, id, value)
	case coupon.Event:
		b.foldCoupon(e, value)
	case payment.Event:
		b.foldPayment(e, value)
	case giftcard.Event:
		b.reports.bookStored(e.at.In(b.Sales.shop.Location), value)
		b.foldGiftCard(e, value)
	}
}

// report counts a difference: event e makes no sense, and why says the reason.
func (b *Book) report(e *event, why string) {
	b.readable.differ("%s at revision %d of stream %s: %s", eventstore.Visible(e.Type), e.Revision, eventstore.Visible(e.Stream), eventstore.Visible(why))
}

// checkBeginning tells whether an event may be where it is in its stream. The event that begins
// an aggregate, such as order.Placed, must come once, and all others must come after it.
func (b *Book) checkBeginning(e *event, begins, known bool) bool {
	switch {
	case begins && known:
		b.report(e, "it begins a stream that has begun")
		return false
	case !begins && !known:
		b.report(e, "the stream has not begun")
		return false
	}
	return true
}

// checkPosition checks the revision and the time of an event in one of the shop's streams.
func (b *Book) checkPosition(e *event) {
	b.positions.Examined++
	before, seen := b.streams[e.Stream]
	if !seen {
		before.revision = b.noteUnreadableAsDifferences(e.Stream)
	}
	if next := before.revision + 1; e.Revision != next && !e.isTombstone() {
		b.positions.differ("stream %s: revision %d, want %d", e.Stream, e.Revision, next)
	}
	if e.RecordedAt.Before(b.lastTime) {
		b.positions.differ("position %s was recorded at %s, before the one before it", e.Position, e.RecordedAt)
	}
	b.lastTime = e.RecordedAt
	b.streams[e.Stream] = lastEvent{e.Revision, e.RecordedAt}
}

func (e *event) lastEvent() lastEvent { return lastEvent{e.Revision, e.RecordedAt} }

// intern returns the one copy of a string that the book keeps.
func (b *Book) intern(word string) string {
	kept, ok := b.interned[word]
	if !ok {
		kept = strings.Clone(word)
		b.interned[kept] = kept
	}
	return kept
}

// underWay tells whether a process whose last event is last may still be in progress.
func (b *Book) underWay(last lastEvent) bool { return b.Now.Sub(last.recordedAt) < b.grace }

func (b *Book) foldProduct(e *event, sku unit.SKU, value product.Event) {
	p := b.Products[sku]
	if p == nil {
		p = &Product{}
		b.Products[sku] = p
	}
	if _, listed := value.(product.Listed); listed {
		p.listedAt = e.at
	}
	if _, described := value.(product.Described); described {
		p.described = true
	}
	p.State, p.last = product.Evolve(p.State, value), e.lastEvent()
}

func (b *Book) foldCart(e *event, id unit.CartID, value cart.Event) {
	c := b.Carts[id]
	if _, opens := value.(cart.Opened); !b.checkBeginning(e, opens, c != nil) {
		return
	}
	if c == nil {
		c = &Cart{}
		b.Carts[id] = c
	}
	switch value := value.(type) {
	case cart.Opened:
		c.channel, c.openedAt = b.intern(e.meta.Channel), e.at
		c.had(value.CustomerID)
	case cart.CustomerChanged:
		c.had(value.CustomerID)
	case cart.CheckoutStarted:
		c.shortages, c.dropped, c.quoteWithOrder = nil, nil, value.QuoteWithOrder
		b.checkouts[value.OrderID] = append(b.checkouts[value.OrderID], &checkoutAttempt{cart: id, from: value.OrderIDFrom})
	case cart.CheckoutRefused:
		if value.Asked != nil {
			c.dropped = nil
			b.checkouts[value.OrderID] = append(b.checkouts[value.OrderID], &checkoutAttempt{cart: id, from: value.Asked.OrderIDFrom})
		}
		for _, a := range b.checkouts[value.OrderID] {
			if a.cart == id {
				ended := e.lastEvent()
				a.refused = &ended
			}
		}
		c.shortages = value.Shortages
	case cart.CheckedOut:
		c.shortages, c.dropped = value.Shortages, value.Dropped
	case cart.Abandoned:
		c.reason = value.Reason
	case cart.Expired, cart.LineAdded, cart.QuantityChanged, cart.LineRemoved, cart.CountryChanged, cart.DetailsSet, cart.CouponAdded, cart.CouponRemoved, cart.ShippingChosen, cart.DiscountGiven, cart.DiscountWithdrawn, cart.TaxStatusSet,
		cart.MergedInto, cart.MergeRefused, cart.MergedFrom, cart.MergeDeclined:
	}
	b.foldMerge(e, id, c, value)
	c.State = cart.Evolve(c.State, value)
	c.changedAt, c.last = e.at, e.lastEvent()
}

// had notes the customer whom the cart has had until it gets another one.
func (c *Cart) had(id unit.CustomerID) {
	if c.CustomerID != "" && c.CustomerID != id {
		if c.customers == nil {
			c.customers = make(map[string]bool)
		}
		c.customers[string(c.CustomerID)] = true
	}
}

// before are the customers that the cart had before, and does not have now.
func (c *Cart) before() []string {
	all := []string{}
	for _, id := range sorted(c.customers) {
		if id != string(c.CustomerID) {
			all = append(all, id)
		}
	}
	return all
}

func (b *Book) foldStock(e *event, value stock.Event) {
	key, err := stock.ParseStream(e.Stream)
	if err != nil {
		b.report(e, err.Error())
		return
	}
	level := b.Stock[key]
	if level == nil {
		level = newStockLevel()
		b.Stock[key] = level
	}
	if back, ok := value.(stock.Returned); ok && !back.Direct {
		b.restocked[returnAtStock{back.ReturnID, key}] += back.Quantity
	}
	if back, ok := value.(stock.CameBack); ok {
		b.cameBack[parcelAtStock{back.OrderID, back.ShipmentID, key, back.Condition}] += back.Quantity
	}
	level.State, level.last = stock.Evolve(level.State, value), e.lastEvent()
	level.imported += b.importedChange(e, value)
	if promise := level.add(e, value, b.reservations, b.promises); promise {
		b.promises.Examined++
		if sellable := level.sellable(e.RecordedAt.Add(clockSkew)); sellable < 0 {
			b.promises.differ("%s, revision %d: promised %d more than there is", e.Stream, e.Revision, -sellable)
		}
	}
	switch {
	case level.onHand >= level.unavailableTotal():
		// Goods that are not for sale are on hand again. After a forced shipment, on hand may be
		// less than these. If they are then written off, on hand may fall below zero.
		level.shippedByForce = false
	case level.onHand < 0 && !level.shippedByForce:
		b.promises.differ("%s, revision %d: %d on hand", e.Stream, e.Revision, level.onHand)
	}
	b.Sales.bookStock(e, value)
}

// importedChange is how many units an event adds (or, below zero, removes) because of an invoice
// that an import recorded. A Direct event is not counted, because it comes from a command to the
// stock itself and not from an invoice.
func (b *Book) importedChange(e *event, value stock.Event) unit.Quantity {
	switch value := value.(type) { //nolint:gochecksumtype // an import causes only these
	case stock.Adjusted:
		if e.meta.Channel == importChannel {
			return value.Change
		}
	case stock.Shipped:
		if o := b.Orders[value.OrderID]; o != nil && o.channel == importChannel && !value.Direct {
			return -value.Quantity
		}
	case stock.Returned:
		if r := b.Returns[value.ReturnID]; r != nil && r.channel == importChannel && !value.Direct {
			return value.Quantity
		}
	}
	return 0
}

// clockSkew is how far the clock of a node may be ahead of the log's clock. For example, a node
// may take a reservation as expired one second before the log's clock reaches its deadline.
const clockSkew = 2 * time.Second
