package verify

import (
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// Book is the log, folded.
type Book struct {
	Position eventstore.Position
	Now      time.Time
	Products map[unit.SKU]*Product
	Carts    map[unit.CartID]*Cart
	Orders   map[unit.OrderID]*Order
	Returns  map[unit.ReturnID]*Return
	Stock    map[stock.Key]*StockLevel
	Sales    *Ledger

	grace     time.Duration
	checkouts map[unit.OrderID][]*attempt // by their order ids, of which two carts may have one
	claimed   map[unit.OrderID]unit.CartID
	tookBack  map[returned]unit.Quantity

	looked   int64          // events of the log
	events   int64          // of them, those in streams with names of the shop's
	streams  map[string]end // of the shop
	strange  map[string]*strange
	others   *others
	last     eventstore.Position
	lastTime time.Time
	words    map[string]string // one copy of each word that comes again and again
	seed     maphash.Seed

	order    *Check // of positions and revisions
	promises *Check // of stock, at each promise
	once     *Check // each reservation has one beginning and at most one end
	readable *Check // of events: each can be read, and comes after what begins its stream
	bounded  *Check // events read within bounds, which is no difference
}

// attempt is a checkout of a cart under an order id.
type attempt struct {
	cart    unit.CartID
	from    cart.OrderIDSource
	refused *end // when it was, if it was
}

// end is a stream's last event.
type end struct {
	revision   int64
	recordedAt time.Time
}

// Product is an entry of the catalogue, and when it came to be as it is.
type Product struct {
	product.State
	listedAt time.Time // effective time of the last listing
	end      end
}

// Cart is a cart, with what its fold forgets.
type Cart struct {
	cart.State
	channel   string
	openedAt  time.Time // effective times
	changedAt time.Time
	end       end
	shortages []cart.Shortage
	dropped   []int
	reason    string
}

// Order is an order, with what its fold has no use for.
type Order struct {
	order.State
	channel     string
	placedAt    time.Time // effective
	placedTotal decimal.Decimal
	lines       uint64               // hash of the lines as placed
	times       map[string]time.Time // effective times, see timeOf
	history     []entry
	end         end
}

// Return is a return or a credit note, likewise.
type Return struct {
	returns.State
	channel   string
	createdAt time.Time // effective
	times     map[string]time.Time
	history   []entry
	end       end
	admitted  bool     // by its orders
	overpaid  []string // refunds of more than the return was worth when they were recorded
}

// entry is an event as whoever reads the history of an order is told of it.
type entry struct {
	revision       int64
	eventType      string
	actor, channel string
	at, recordedAt time.Time
	position       eventstore.Position
	words, facts   uint64 // hashes
}

func newBook(now time.Time, grace time.Duration, shop Shop) *Book {
	return &Book{
		Now:       now,
		Products:  map[unit.SKU]*Product{},
		Carts:     map[unit.CartID]*Cart{},
		Orders:    map[unit.OrderID]*Order{},
		Returns:   map[unit.ReturnID]*Return{},
		Stock:     map[stock.Key]*StockLevel{},
		Sales:     newLedger(shop),
		grace:     grace,
		checkouts: map[unit.OrderID][]*attempt{},
		claimed:   map[unit.OrderID]unit.CartID{},
		tookBack:  map[returned]unit.Quantity{},
		streams:   map[string]end{},
		strange:   map[string]*strange{},
		others:    newOthers(),
		words:     map[string]string{},
		seed:      maphash.MakeSeed(),
		order:     &Check{Name: "log: positions rise, revisions are dense, times never fall"},
		promises:  &Check{Name: "stock: never promised beyond policy, never below zero"},
		once:      &Check{Name: "reservations: one beginning, at most one end"},
		readable:  &Check{Name: "log: every event can be read and follows from those before it"},
		bounded:   &Check{Name: "log: values beyond all bounds, read as the nearest within (examined: how many)"},
	}
}

// checks are those of the log by itself.
func (b *Book) checks() []*Check {
	checks := b.eventChecks()
	for _, check := range []func() *Check{b.checkStock, b.checkOrders, b.checkHolds, b.checkCarts, b.checkReturns, b.checkComebacks} {
		checks = append(checks, b.safely(check))
	}
	return checks
}

// eventChecks are those that were made while the log was read.
func (b *Book) eventChecks() []*Check {
	checks := []*Check{b.order, b.readable, b.safely(b.checkNames), b.promises, b.once}
	if b.bounded.Examined > 0 { // which says nothing where there are none
		checks = append(checks, b.bounded)
	}
	return checks
}

// safely runs a check. Facts that no program of ours can have written may make it
// panic: that is reported as a difference and does not end the verification.
func (b *Book) safely(check func() *Check) (done *Check) {
	defer func() {
		if cause := recover(); cause != nil {
			done = &Check{Name: "a check that broke off"}
			done.differ("%v", cause)
		}
	}()
	return check()
}

// read folds one event. One that makes no sense is a difference and left out, as
// the views leave it out.
func (b *Book) read(e *event) {
	defer func() {
		if cause := recover(); cause != nil {
			b.senseless(e, fmt.Sprintf("it cannot be folded: %v", cause))
		}
	}()
	b.looked++
	if !b.last.Before(e.Position) {
		b.order.differ("position %s comes after %s", e.Position, b.last)
	}
	b.last = e.Position
	if e.foreign {
		b.others.add(e.Stream)
		return
	}
	b.events++
	if _, ours := b.streams[e.Stream]; !ours && e.unread != "" {
		b.noteUnreadable(e)
		return
	}
	b.place(e)
	if e.bounded != "" {
		b.bounded.Examined++
	}
	if e.unread != "" {
		b.senseless(e, e.unread)
		return
	}
	b.readable.Examined++
	_, id, _ := strings.Cut(e.Stream, "-")
	switch value := e.value.(type) {
	case product.Event:
		b.readProduct(e, unit.SKU(id), value)
	case cart.Event:
		b.readCart(e, unit.CartID(id), value)
	case order.Event:
		b.readOrder(e, unit.OrderID(id), value)
	case returns.Event:
		b.readReturn(e, unit.ReturnID(id), value)
	case stock.Event:
		b.readStock(e, value)
	}
}

func (b *Book) senseless(e *event, why string) {
	b.readable.differ("%s at revision %d of stream %s: %s", eventstore.Visible(e.Type), e.Revision, eventstore.Visible(e.Stream), eventstore.Visible(why))
}

// follows tells whether an event has its place in its stream: what begins an
// aggregate comes once, and everything else comes after it.
func (b *Book) follows(e *event, begins, known bool) bool {
	switch {
	case begins && known:
		b.senseless(e, "it begins a stream that has begun")
		return false
	case !begins && !known:
		b.senseless(e, "the stream has not begun")
		return false
	}
	return true
}

// place checks where an event of the shop's stands.
func (b *Book) place(e *event) {
	b.order.Examined++
	before, seen := b.streams[e.Stream]
	if !seen {
		before.revision = b.noteUnreadableAsDifferences(e.Stream)
	}
	if next := before.revision + 1; e.Revision != next && !e.isTombstone() {
		b.order.differ("stream %s: revision %d, want %d", e.Stream, e.Revision, next)
	}
	if e.RecordedAt.Before(b.lastTime) {
		b.order.differ("position %s was recorded at %s, before the one before it", e.Position, e.RecordedAt)
	}
	b.lastTime = e.RecordedAt
	b.streams[e.Stream] = end{e.Revision, e.RecordedAt}
}

func (e *event) end() end { return end{e.Revision, e.RecordedAt} }

// intern keeps one copy of a word.
func (b *Book) intern(word string) string {
	known, ok := b.words[word]
	if !ok {
		known = strings.Clone(word)
		b.words[known] = known
	}
	return known
}

// underWay tells whether work that a stream's last event began may still be
// going on.
func (b *Book) underWay(last end) bool { return b.Now.Sub(last.recordedAt) < b.grace }

func (b *Book) readProduct(e *event, sku unit.SKU, value product.Event) {
	p := b.Products[sku]
	if p == nil {
		p = &Product{}
		b.Products[sku] = p
	}
	if _, listed := value.(product.Listed); listed {
		p.listedAt = e.at
	}
	p.State, p.end = product.Evolve(p.State, value), e.end()
}

func (b *Book) readCart(e *event, id unit.CartID, value cart.Event) {
	c := b.Carts[id]
	if _, opens := value.(cart.Opened); !b.follows(e, opens, c != nil) {
		return
	}
	if c == nil {
		c = &Cart{}
		b.Carts[id] = c
	}
	switch value := value.(type) {
	case cart.Opened:
		c.channel, c.openedAt = b.intern(e.meta.Channel), e.at
	case cart.CheckoutStarted:
		c.shortages, c.dropped = nil, nil
		b.checkouts[value.OrderID] = append(b.checkouts[value.OrderID], &attempt{cart: id, from: value.OrderIDFrom})
	case cart.CheckoutRefused:
		for _, a := range b.checkouts[value.OrderID] {
			if a.cart == id {
				ended := e.end()
				a.refused = &ended
			}
		}
		c.shortages = value.Shortages
	case cart.CheckedOut:
		c.shortages, c.dropped = value.Shortages, value.Dropped
	case cart.Abandoned:
		c.reason = value.Reason
	case cart.Expired, cart.LineAdded, cart.QuantityChanged, cart.LineRemoved, cart.CustomerChanged, cart.CountryChanged:
	}
	c.State = cart.Evolve(c.State, value)
	c.changedAt, c.end = e.at, e.end()
}

func (b *Book) readStock(e *event, value stock.Event) {
	key, err := stock.ParseStream(e.Stream)
	if err != nil {
		b.senseless(e, err.Error())
		return
	}
	shelf := b.Stock[key]
	if shelf == nil {
		shelf = newStockLevel()
		b.Stock[key] = shelf
	}
	if back, ok := value.(stock.Returned); ok && !back.Direct {
		b.tookBack[returned{back.ReturnID, key}] += back.Quantity
	}
	shelf.State, shelf.end = stock.Evolve(shelf.State, value), e.end()
	shelf.imported += b.importedChange(e, value)
	if promise := shelf.add(e, value, b.once, b.promises); promise {
		b.promises.Examined++
		if room := shelf.sellable(e.RecordedAt.Add(clockSkew)); room < 0 {
			b.promises.differ("%s, revision %d: promised %d more than there is", e.Stream, e.Revision, -room)
		}
	}
	switch {
	case shelf.onHand >= shelf.notForSale():
		shelf.forced = false // mended; until then what is set apart may be written off, though it has left
	case shelf.onHand < 0 && !shelf.forced:
		b.promises.differ("%s, revision %d: %d on hand", e.Stream, e.Revision, shelf.onHand)
	}
	b.Sales.stock(e, value)
}

// importedChange is how much of a SKU an event brings or takes because of an invoice that
// an import recorded. What is done at the stock itself, Direct, is done by hand.
func (b *Book) importedChange(e *event, value stock.Event) unit.Quantity {
	switch value := value.(type) { //nolint:gochecksumtype // an import causes no others
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

// clockSkew is how far the clock of the node that decided may have been ahead of
// the log's: a reservation that was due to the one was not yet to the other.
const clockSkew = 2 * time.Second
