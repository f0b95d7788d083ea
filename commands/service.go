// Package commands changes things. Service has a method for everything that can be asked:
// it routes commands to their aggregates, and carries out the processes that span
// aggregates. One file has one process: checkout, order, return, retry. If a call is cut
// off, package reactor finds its process in the log, and asks the service to finish it.
//
// It holds no rules: those are in domain. It answers no queries: those are in
// readapi. How commands arrive is the business of commandapi.
package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// Handlers of the five aggregates.
type (
	productHandler = aggregate.Handler[product.State, product.Command, product.Event]
	cartHandler    = aggregate.Handler[cart.State, cart.Command, cart.Event]
	stockHandler   = aggregate.Handler[stock.State, stock.Command, stock.Event]
	orderHandler   = aggregate.Handler[order.State, order.Command, order.Event]
	returnHandler  = aggregate.Handler[returns.State, returns.Command, returns.Event]
)

// Policy is what the shop decides about its processes.
type Policy struct {
	// HoldFor is how long a checkout holds stock for an order that is not
	// confirmed.
	HoldFor time.Duration
	// CartsExpireAfter is how long after its last change an open cart expires; 0 is
	// never.
	CartsExpireAfter time.Duration
	// Sourcing is where stock is taken from, unless a checkout says otherwise.
	Sourcing cart.Sourcing
	// Shortage is what a checkout does when stock is short, unless it says
	// otherwise.
	Shortage cart.Policy
	// Remedy is for orders whose stock was lost after they were confirmed.
	Remedy order.Remedy
	// Times are the effective times that calls may give; the zero value is
	// unit.DefaultTimeBounds.
	Times unit.TimeBounds
}

// DefaultPolicy holds stock for 15 minutes, takes it from the default location,
// refuses a checkout that is short, gives money back, and lets carts expire after
// 30 days.
func DefaultPolicy() Policy {
	return Policy{
		HoldFor:          15 * time.Minute,
		CartsExpireAfter: 30 * 24 * time.Hour,
		Sourcing:         cart.Sourcing{Locations: []unit.LocationID{unit.DefaultLocation}},
		Shortage:         cart.AllOrNothing,
		Remedy:           order.RemedyVoidOrRefund,
	}
}

// Service is everything that can be done, for the HTTP API, the importer and
// the reactor alike. It routes commands to their aggregates and drives the
// processes they set off, so that when a call returns, what it asked for is
// done as far as it can be.
type Service struct {
	products *productHandler
	carts    *cartHandler
	stock    *stockHandler
	orders   *orderHandler
	returns  *returnHandler

	store  eventstore.Store
	policy Policy
	now    func() time.Time
	logger *slog.Logger

	mu      sync.Mutex
	driving map[string]int // by the stream that the process is about
}

// NewService wires the handlers over one store, with the shop's rules. now is the clock
// of decisions.
func NewService(store eventstore.Store, policy Policy, now func() time.Time, options aggregate.Options) *Service {
	return NewServiceWith(ShopRules(), store, policy, now, options)
}

// NewServiceWith is NewService with rules that may be others than the shop's, so that a
// test sees what notices them.
func NewServiceWith(rules Rules, store eventstore.Store, policy Policy, now func() time.Time, options aggregate.Options) *Service {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{
		products: aggregate.NewHandler(store, rules.Products, options),
		carts:    aggregate.NewHandler(store, rules.Carts, options),
		stock:    aggregate.NewHandler(store, rules.Stock, options),
		orders:   aggregate.NewHandler(store, rules.Orders, options),
		returns:  aggregate.NewHandler(store, rules.Returns, options),
		store:    store, policy: policy, now: now, logger: options.Logger, driving: map[string]int{},
	}
}

// ViewProduct calls look with a product's state as of now, and the revision of its last
// event; a product that was never listed has the zero state and revision -1. The state is
// the service's own: look must not keep or change it, nor wait for anything. The other
// views are alike. Errors are those of reading the log.
func (s *Service) ViewProduct(ctx context.Context, sku unit.SKU, look func(product.State, int64)) error {
	return s.products.View(ctx, product.Stream(sku), look)
}

// ViewCart looks at a cart; see ViewProduct.
func (s *Service) ViewCart(ctx context.Context, id unit.CartID, look func(cart.State, int64)) error {
	return s.carts.View(ctx, cart.Stream(id), look)
}

// ViewStock looks at the stock of a SKU at a location; see ViewProduct.
func (s *Service) ViewStock(ctx context.Context, key stock.Key, look func(stock.State, int64)) error {
	return s.stock.View(ctx, stock.Stream(key.SKU, key.Location), look)
}

// ViewOrder looks at an order; see ViewProduct.
func (s *Service) ViewOrder(ctx context.Context, id unit.OrderID, look func(order.State, int64)) error {
	return s.orders.View(ctx, order.Stream(id), look)
}

// ViewReturn looks at a return or a credit note; see ViewProduct.
func (s *Service) ViewReturn(ctx context.Context, id unit.ReturnID, look func(returns.State, int64)) error {
	return s.returns.View(ctx, returns.Stream(id), look)
}

// StockRepeats tells whether a stock has carried out the request with this metadata before.
// A refusal that is found before it is asked must then be ignored.
func (s *Service) StockRepeats(ctx context.Context, key stock.Key, meta eventstore.Metadata) (bool, error) {
	return s.stock.Repeats(ctx, stock.Stream(key.SKU, key.Location), meta)
}

// Now is the time of decisions.
func (s *Service) Now() time.Time { return s.now() }

// CheckLog returns *eventstore.DivergedError if the log is not the one that was
// followed: what is answered without the log must not outlive it. A log that does not
// answer within a second tells nothing.
func (s *Service) CheckLog(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := s.store.Head(ctx)
	if diverged, is := errors.AsType[*eventstore.DivergedError](err); is {
		return diverged
	}
	return nil
}

// Close waits for what is in flight.
func (s *Service) Close(ctx context.Context) error {
	return errors.Join(s.products.Close(ctx), s.carts.Close(ctx), s.orders.Close(ctx), s.returns.Close(ctx), s.stock.Close(ctx))
}

// Call is who asks, under which id, and on which belief.
type Call struct {
	// Meta goes on every event that follows. CommandID must be set; the ids of
	// all that follows derive from it or from the thing it is about.
	Meta eventstore.Metadata
	// If is what the aggregate that the call is for must be like; nil: as it is.
	If *aggregate.Condition
	// New says that the aggregate probably does not exist yet.
	New bool
}

func request[C any](call Call, stream string, commands []C) aggregate.Request[C] {
	return aggregate.Request[C]{Stream: stream, Meta: call.Meta, Commands: commands, If: call.If, New: call.New}
}

// Product carries out commands on a catalogue entry.
func (s *Service) Product(ctx context.Context, call Call, sku unit.SKU, commands ...product.Command) (aggregate.Result[product.Event], error) {
	if err := s.admit(call); err != nil {
		return aggregate.Result[product.Event]{}, err
	}
	return s.products.Handle(ctx, request(call, product.Stream(sku), commands))
}

// MoveStock carries out a command on one SKU at one location. at must be the
// command's own.
func (s *Service) MoveStock(ctx context.Context, call Call, key stock.Key, commands ...stock.Command) (aggregate.Result[stock.Event], error) {
	if err := s.admit(call); err != nil {
		return aggregate.Result[stock.Event]{}, err
	}
	if err := s.admitDeadlines(commands); err != nil {
		return aggregate.Result[stock.Event]{}, err
	}
	return s.stock.Handle(ctx, request(call, stock.Stream(key.SKU, key.Location), commands))
}

// At stamps a stock command with its key and the time of the decision.
func (s *Service) At(key stock.Key) stock.At { return stock.At{Key: key, Now: s.now()} }

// Cart carries out commands on a cart, all or none. Lines are added by AddLines,
// which prices them.
func (s *Service) Cart(ctx context.Context, call Call, id unit.CartID, commands ...cart.Command) (aggregate.Result[cart.Event], error) {
	if err := s.admit(call); err != nil {
		return aggregate.Result[cart.Event]{}, err
	}
	return s.carts.Handle(ctx, request(call, cart.Stream(id), commands))
}

// WantedLine is a line as a customer asks for it.
type WantedLine struct {
	SKU      unit.SKU
	SKUText  string // as given
	Quantity unit.Quantity
	Join     bool // to a line of the same SKU at the same price
	// Override replaces the catalogue's offer: a right of trusted callers.
	Override *cart.Offer
}

// AddLines prices lines from the catalogue and adds them to a cart, all or none;
// with open set, it opens the cart with them. A cart that was opened with the same
// lines before is left as it is.
//
// Errors: product.ErrNotFound, product.ErrRetired, product.ErrNotPriced, and
// those of the cart.
func (s *Service) AddLines(ctx context.Context, call Call, id unit.CartID, open *cart.Open, lines []WantedLine) (aggregate.Result[cart.Event], error) {
	if err := s.admit(call); err != nil {
		return aggregate.Result[cart.Event]{}, err
	}
	var currency unit.Currency
	if open != nil {
		currency = open.Currency
	}
	priced, refusal := s.priced(ctx, id, currency, lines)
	if refusal != nil {
		// The catalogue may have changed since this was done before.
		repeats, err := s.carts.Repeats(ctx, cart.Stream(id), call.Meta)
		if err == nil && !repeats && open != nil {
			repeats, err = s.cartExists(ctx, id) // and then only the content is compared
		}
		if err != nil || !repeats {
			return aggregate.Result[cart.Event]{}, cmp.Or(err, refusal)
		}
	}
	var commands []cart.Command
	if open != nil {
		opening := *open
		opening.Lines = priced
		commands = append(commands, opening)
	} else {
		for _, line := range priced {
			commands = append(commands, line)
		}
	}
	return s.carts.Handle(ctx, request(call, cart.Stream(id), commands))
}

// priced are lines with what the catalogue offers. Where it refuses one, they are
// all there, and some have no offer.
func (s *Service) priced(ctx context.Context, id unit.CartID, currency unit.Currency, lines []WantedLine) ([]cart.AddLine, error) {
	var refusal error
	priced := make([]cart.AddLine, len(lines))
	for i, line := range lines {
		priced[i] = cart.AddLine{SKU: line.SKU, SKUText: line.SKUText, Quantity: line.Quantity, Join: line.Join}
		if refusal != nil {
			continue
		}
		if line.Override != nil {
			priced[i].Offer = *line.Override
			continue
		}
		if currency == "" {
			if currency, refusal = s.cartCurrency(ctx, id); refusal != nil {
				continue
			}
		}
		priced[i].Offer, refusal = s.offer(ctx, line.SKU, currency)
	}
	return priced, refusal
}

func (s *Service) cartExists(ctx context.Context, id unit.CartID) (bool, error) {
	exists := false
	err := s.carts.View(ctx, cart.Stream(id), func(state cart.State, _ int64) { exists = state.Phase != cart.NotOpened })
	return exists, err
}

func (s *Service) cartCurrency(ctx context.Context, id unit.CartID) (unit.Currency, error) {
	var currency unit.Currency
	err := s.carts.View(ctx, cart.Stream(id), func(state cart.State, _ int64) { currency = state.Currency })
	if err == nil && currency == "" {
		err = cart.ErrNotFound
	}
	return currency, err
}

// offerAge is how long after a price was changed on another node the old one may
// still be offered.
const offerAge = 5 * time.Second

// offer is what the catalogue offers now.
func (s *Service) offer(ctx context.Context, sku unit.SKU, currency unit.Currency) (cart.Offer, error) {
	var offer cart.Offer
	var refusal error
	err := s.products.ViewAged(ctx, product.Stream(sku), offerAge, func(state product.State, _ int64) {
		offer = cart.Offer{Title: state.Title, Kind: state.Kind}
		offer.Price, refusal = state.Price(currency)
	})
	if refusal != nil {
		return offer, fmt.Errorf("%s: %w", sku, refusal)
	}
	return offer, err
}

// follow is the metadata of a command that follows from another: the same
// correlation, actor and effective time, under an id that is the same each time. What
// was requested stays behind: it is of the first command.
func follow(meta eventstore.Metadata, id unit.Derived) eventstore.Metadata {
	next := meta
	next.Request = ""
	if meta.CommandID != uuid.Nil {
		next.CausationID = meta.CommandID.String()
	}
	next.CommandID = uuid.UUID(id.UUID())
	return next
}

// drive marks the process of a stream as being carried out by this node.
func (s *Service) drive(stream string) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.driving[stream]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.driving[stream]--; s.driving[stream] == 0 {
			delete(s.driving, stream)
		}
	}
}

// Driving tells whether this node is carrying out a process of this cart's, order's or
// return's stream right now.
func (s *Service) Driving(stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.driving[stream] > 0
}

// each runs do for every item, some at a time, and returns the first fault.
func each[T any](ctx context.Context, items []T, do func(ctx context.Context, i int, item T) error) error {
	const atOnce = 256
	if len(items) == 1 {
		return aggregate.Safely(func() error { return do(ctx, 0, items[0]) })
	}
	var wait sync.WaitGroup
	errs := make([]error, len(items))
	slots := make(chan struct{}, atOnce)
	for i, item := range items {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			errs[i] = aggregate.Safely(func() error { return do(ctx, i, item) })
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// errNoCheckout means that a cart's stream does not hold the checkout asked for.
func errNoCheckout(id unit.CartID, order unit.OrderID) error {
	return fmt.Errorf("cart %s has no checkout for order %s", id, order)
}
