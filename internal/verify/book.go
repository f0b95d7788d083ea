package verify

import (
	"strings"
	"time"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// Book is the whole log, folded.
type Book struct {
	Position eventstore.Position
	Now      time.Time
	Products map[unit.SKU]product.State
	Carts    map[unit.CartID]cart.State
	Orders   map[unit.OrderID]order.State
	Returns  map[unit.ReturnID]returns.State
	Stock    map[stock.Key]*Shelf
	Sales    *Ledger

	refused  map[unit.OrderID]bool // checkouts that ended without an order
	tookBack map[returned]unit.Quantity

	events    int64
	revisions map[string]int64
	last      eventstore.Position
	lastTime  time.Time

	order    *Check // of positions and revisions
	promises *Check // of stock, at each promise
	once     *Check // each reservation has one beginning and at most one end
}

// Shelf is the stock of a SKU at a location: the fold that decides, and the same
// quantities added up here.
type Shelf struct {
	State stock.State

	onHand      unit.Quantity
	opened      unit.Quantity // received as opening stock
	unavailable map[stock.Condition]unit.Quantity
	holds       map[unit.ReservationID]hold
	held        unit.Quantity // sum over holds
	earliest    time.Time     // no hold's deadline is before it
	allocated   map[unit.OrderID]unit.Quantity
	promised    unit.Quantity // sum over allocated
	policy      stock.Policy
	forced      bool
	ended       map[unit.ReservationID]string
}

type hold struct {
	order     unit.OrderID
	quantity  unit.Quantity
	expiresAt time.Time
}

func newBook(now time.Time) *Book {
	return &Book{
		Now:       now,
		Products:  map[unit.SKU]product.State{},
		Carts:     map[unit.CartID]cart.State{},
		Orders:    map[unit.OrderID]order.State{},
		Returns:   map[unit.ReturnID]returns.State{},
		Stock:     map[stock.Key]*Shelf{},
		Sales:     newLedger(),
		refused:   map[unit.OrderID]bool{},
		tookBack:  map[returned]unit.Quantity{},
		revisions: map[string]int64{},
		order:     &Check{Name: "log: positions rise, revisions are dense, times never fall"},
		promises:  &Check{Name: "stock: never promised beyond policy, never below zero"},
		once:      &Check{Name: "reservations: one beginning, at most one end"},
	}
}

// read folds one event.
func (b *Book) read(e eventstore.Recorded) error {
	b.events++
	b.order.Examined++
	if !b.last.Before(e.Position) {
		b.order.differ("position %s comes after %s", e.Position, b.last)
	}
	next := int64(0)
	if at, seen := b.revisions[e.Stream]; seen {
		next = at + 1
	}
	if e.Revision != next {
		b.order.differ("stream %s: revision %d, want %d", e.Stream, e.Revision, next)
	}
	if e.RecordedAt.Before(b.lastTime) {
		b.order.differ("position %s was recorded at %s, before the one before it", e.Position, e.RecordedAt)
	}
	b.last, b.lastTime, b.revisions[e.Stream] = e.Position, e.RecordedAt, e.Revision

	category, id, _ := strings.Cut(e.Stream, "-")
	switch category {
	case product.Category:
		return fold(b.Products, unit.SKU(id), e, product.Decode, product.Evolve, nil)
	case cart.Category:
		return fold(b.Carts, unit.CartID(id), e, cart.Decode, cart.Evolve, b.seeCart)
	case order.Category:
		return fold(b.Orders, unit.OrderID(id), e, order.Decode, order.Evolve, b.Sales.order)
	case returns.Category:
		return fold(b.Returns, unit.ReturnID(id), e, returns.Decode, returns.Evolve, b.Sales.returned)
	case stock.Category:
		return b.readStock(e)
	}
	return nil // a stream of someone else's
}

// fold evolves one aggregate of a kind, and shows the event to see, with the
// state before it.
func fold[K comparable, S, E any](states map[K]S, key K, e eventstore.Recorded, decode func(string, []byte) (E, error), evolve func(S, E) S, see func(eventstore.Recorded, S, E) error) error {
	event, err := decode(e.Type, e.Data)
	if err != nil {
		return err
	}
	if see != nil {
		if err := see(e, states[key], event); err != nil {
			return err
		}
	}
	states[key] = evolve(states[key], event)
	return nil
}

func (b *Book) seeCart(_ eventstore.Recorded, _ cart.State, event cart.Event) error {
	switch e := event.(type) {
	case cart.CheckoutRefused:
		b.refused[e.OrderID] = true
	case cart.Opened, cart.LineAdded, cart.QuantityChanged, cart.LineRemoved, cart.CheckoutStarted, cart.CheckedOut, cart.Abandoned, cart.Expired:
	}
	return nil
}

func (b *Book) readStock(e eventstore.Recorded) error {
	event, err := stock.Decode(e.Type, e.Data)
	if err != nil {
		return err
	}
	key := keyOf(e.Stream)
	shelf := b.Stock[key]
	if shelf == nil {
		shelf = &Shelf{
			unavailable: make(map[stock.Condition]unit.Quantity), holds: map[unit.ReservationID]hold{},
			allocated: map[unit.OrderID]unit.Quantity{}, ended: map[unit.ReservationID]string{},
		}
		b.Stock[key] = shelf
	}
	if back, ok := event.(stock.Returned); ok {
		b.tookBack[returned{back.ReturnID, key}] += back.Quantity
	}
	shelf.State = stock.Evolve(shelf.State, event)
	if promise := shelf.add(event, b.once, e.Stream); promise {
		b.promises.Examined++
		if room := shelf.sellable(e.RecordedAt); room < 0 {
			b.promises.differ("%s, revision %d: promised %d more than there is", e.Stream, e.Revision, -room)
		}
	}
	if shelf.onHand < 0 && !shelf.forced {
		b.promises.differ("%s, revision %d: %d on hand", e.Stream, e.Revision, shelf.onHand)
	}
	return b.Sales.stock(e, event)
}

// keyOf reads the name of a stock stream.
func keyOf(stream string) stock.Key {
	name := strings.TrimPrefix(stream, stock.Category+"-")
	at := strings.LastIndexByte(name, '@')
	if at < 0 {
		return stock.Key{SKU: unit.SKU(name)}
	}
	return stock.Key{SKU: unit.SKU(name[:at]), Location: unit.LocationID(name[at+1:])}
}
