// Package commands changes things. Service has a method for everything that can be asked:
// it routes commands to their aggregates, and carries out the processes that span
// aggregates, at once (inline) and again from the log (the reactor).
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
	"strconv"
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
	Products = aggregate.Handler[product.State, product.Command, product.Event]
	Carts    = aggregate.Handler[cart.State, cart.Command, cart.Event]
	Stock    = aggregate.Handler[stock.State, stock.Command, stock.Event]
	Orders   = aggregate.Handler[order.State, order.Command, order.Event]
	Returns  = aggregate.Handler[returns.State, returns.Command, returns.Event]
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
	Products *Products
	Carts    *Carts
	Stock    *Stock
	Orders   *Orders
	Returns  *Returns

	store  eventstore.Store
	policy Policy
	now    func() time.Time
	logger *slog.Logger

	mu      sync.Mutex
	driving map[workKey]int
}

// NewService wires the handlers over one store. now is the clock of decisions.
func NewService(store eventstore.Store, policy Policy, now func() time.Time, options aggregate.Options) *Service {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{
		Products: aggregate.NewHandler(store, ProductRules(), options),
		Carts:    aggregate.NewHandler(store, CartRules(), options),
		Stock:    aggregate.NewHandler(store, StockRules(), options),
		Orders:   aggregate.NewHandler(store, OrderRules(), options),
		Returns:  aggregate.NewHandler(store, ReturnRules(), options),
		store:    store, policy: policy, now: now, logger: options.Logger, driving: map[workKey]int{},
	}
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
	return errors.Join(s.Products.Close(ctx), s.Carts.Close(ctx), s.Orders.Close(ctx), s.Returns.Close(ctx), s.Stock.Close(ctx))
}

// Call is who asks, under which id, and on which belief.
type Call struct {
	// Meta goes on every event that follows. CommandID must be set; the ids of
	// all that follows derive from it or from the thing it is about.
	Meta eventstore.Metadata
	// IfRevision is the If-Match of the aggregate the call is for.
	IfRevision *int64
	// New says that the aggregate probably does not exist yet.
	New bool
}

func request[C any](call Call, stream string, commands []C) aggregate.Request[C] {
	return aggregate.Request[C]{Stream: stream, Meta: call.Meta, Commands: commands, IfRevision: call.IfRevision, New: call.New}
}

// Product carries out commands on a catalogue entry.
func (s *Service) Product(ctx context.Context, call Call, sku unit.SKU, commands ...product.Command) (aggregate.Result[product.Event], error) {
	if err := s.admit(call); err != nil {
		return aggregate.Result[product.Event]{}, err
	}
	return s.Products.Handle(ctx, request(call, product.Stream(sku), commands))
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
	return s.Stock.Handle(ctx, request(call, stock.Stream(key.SKU, key.Location), commands))
}

// At stamps a stock command with its key and the time of the decision.
func (s *Service) At(key stock.Key) stock.At { return stock.At{Key: key, Now: s.now()} }

// Cart carries out commands on a cart, all or none. Lines are added by AddLines,
// which prices them.
func (s *Service) Cart(ctx context.Context, call Call, id unit.CartID, commands ...cart.Command) (aggregate.Result[cart.Event], error) {
	if err := s.admit(call); err != nil {
		return aggregate.Result[cart.Event]{}, err
	}
	return s.Carts.Handle(ctx, request(call, cart.Stream(id), commands))
}

// WantedLine is a line as a customer asks for it.
type WantedLine struct {
	SKU      unit.SKU
	SKUText  string // as given
	Quantity unit.Quantity
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
		repeats, err := s.Carts.Repeats(ctx, cart.Stream(id), call.Meta)
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
	return s.Carts.Handle(ctx, request(call, cart.Stream(id), commands))
}

// priced are lines with what the catalogue offers. Where it refuses one, they are
// all there, and some have no offer.
func (s *Service) priced(ctx context.Context, id unit.CartID, currency unit.Currency, lines []WantedLine) ([]cart.AddLine, error) {
	var refusal error
	priced := make([]cart.AddLine, len(lines))
	for i, line := range lines {
		priced[i] = cart.AddLine{SKU: line.SKU, SKUText: line.SKUText, Quantity: line.Quantity}
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
	err := s.Carts.View(ctx, cart.Stream(id), func(state cart.State, _ int64) { exists = state.Phase != cart.NotOpened })
	return exists, err
}

func (s *Service) cartCurrency(ctx context.Context, id unit.CartID) (unit.Currency, error) {
	var currency unit.Currency
	err := s.Carts.View(ctx, cart.Stream(id), func(state cart.State, _ int64) { currency = state.Currency })
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
	err := s.Products.ViewAged(ctx, product.Stream(sku), offerAge, func(state product.State, _ int64) {
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

// drive marks work as being carried out by this node.
func (s *Service) drive(key workKey) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.driving[key]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.driving[key]--; s.driving[key] == 0 {
			delete(s.driving, key)
		}
	}
}

// Driving tells whether this node is carrying the work out right now.
func (s *Service) Driving(work Work) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.driving[workKey{kind: work.key.kind, id: work.key.id}] > 0
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

// timerCommand is the id of what a timer's firing does: one for each deadline,
// and round.
func timerCommand(timer Timer, round int) uuid.UUID {
	return uuid.UUID(unit.TimerCommand.Of(
		string(timer.Kind), timer.Target, timer.Item, timer.DueAt.UTC().Format(time.RFC3339Nano), strconv.Itoa(round)).UUID())
}

// errNoCheckout means that a cart's stream does not hold the checkout asked for.
func errNoCheckout(id unit.CartID, order unit.OrderID) error {
	return fmt.Errorf("cart %s has no checkout for order %s", id, order)
}
