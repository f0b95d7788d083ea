// Package commands changes the shop. Service has a method for each thing that a caller can ask
// for. It sends commands to their aggregates, and carries out the processes that span several
// aggregates. Each process has a file: checkout, merge, mergecustomer, order, claimorder,
// return, retry. If a call is cut off, package reactor finds its process in the log, and asks the
// service to finish it.
//
// The rules are in domain, the queries in readapi, and the HTTP routes in commandapi.
package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/commands/payments"
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
	"daybook/domain/rule"
	"daybook/domain/staff"
	"daybook/domain/stock"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// briefStreams is how many carts, orders and the like are kept in memory at most. Nearly all
// commands on them come within seconds or minutes. Products and stocks are kept longer, because
// every order needs some. With 20,000 orders in memory, a server spent a sixth of its time on
// garbage collection.
const briefStreams = 4000

// handler carries out commands on one kind of aggregate. aggregate.Handler records them at once.
// aggregate.Joined records them together with those of other streams; see together.go.
type handler[S, C, E any] interface {
	Handle(ctx context.Context, request aggregate.Request[C]) (aggregate.Result[E], error)
	Repeats(ctx context.Context, stream string, meta eventstore.Metadata) (bool, error)
	View(ctx context.Context, stream string, read func(state S, revision int64)) error
	ViewAged(ctx context.Context, stream string, maxAge time.Duration, read func(state S, revision int64)) error
	ViewIdle(stream string, maxAge time.Duration, read func(state S, revision int64)) (done bool, err error)
	ViewCached(ctx context.Context, stream string, read func(state S, revision int64)) error
	Close(ctx context.Context) error
}

// The types of the handlers of all aggregates.
type (
	productHandler  = handler[product.State, product.Command, product.Event]
	cartHandler     = handler[cart.State, cart.Command, cart.Event]
	stockHandler    = handler[stock.State, stock.Command, stock.Event]
	orderHandler    = handler[order.State, order.Command, order.Event]
	returnHandler   = handler[returns.State, returns.Command, returns.Event]
	accessHandler   = handler[access.State, access.Command, access.Event]
	staffHandler    = handler[staff.State, staff.Command, staff.Event]
	customerHandler = handler[customer.State, customer.Command, customer.Event]
	subjectHandler  = handler[subject.State, subject.Command, subject.Event]

	promotionHandler = handler[promotion.State, promotion.Command, promotion.Event]
	couponHandler    = handler[coupon.State, coupon.Command, coupon.Event]
	paymentHandler   = handler[payment.State, payment.Command, payment.Event]
	giftCardHandler  = handler[giftcard.State, giftcard.Command, giftcard.Event]
	priceListHandler = handler[pricelist.State, pricelist.Command, pricelist.Event]
	methodHandler    = handler[shipping.State, shipping.Command, shipping.Event]
	entityHandler    = handler[entity.State, entity.Command, entity.Event]
)

// Policy is what the shop decides about its processes.
type Policy struct {
	// ReserveFor is how long a checkout reserves stock for an order that is not confirmed.
	ReserveFor time.Duration
	// CartsExpireAfter is how long after its last change an open cart expires. 0 means never.
	CartsExpireAfter time.Duration
	// Sourcing is where stock is taken from, unless a checkout says otherwise.
	Sourcing cart.Sourcing
	// Shortage is what a checkout does when stock is short, unless it says
	// otherwise.
	Shortage cart.Policy
	// Remedy is what happens to a confirmed order whose stock was lost.
	Remedy order.Remedy
	// Times bounds the effective times that calls may give. The zero value means
	// unit.DefaultTimeBounds.
	Times unit.TimeBounds
	// RefundLimits, if there are any, are the most that a sender without the permission
	// access.UnlimitedRefunds may give back in all on one order, and for one return. There is one
	// for each currency. In a currency without one, such a sender may give back nothing.
	RefundLimits []unit.Money
	// DiscountLimits, if there are any, are the most that a sender without the permission
	// access.UnlimitedDiscounts may take off one cart by hand. There is one for each currency. In a
	// currency without one, such a sender may take off nothing.
	DiscountLimits []unit.Money
	// WriteOffLimits are the largest differences that a sender without the permission
	// access.WriteOffs may write off on one order. There is one for each currency. Without one,
	// such a sender may write off nothing.
	WriteOffLimits []unit.Money
	// SurchargeLimits are the most that a sender without the permission access.UnlimitedSurcharges
	// may add to one order in all. There is one for each currency. Without one, such a sender may
	// add nothing.
	SurchargeLimits []unit.Money
	// ExtendAtMost is how far after now the deadline of an order may be moved.
	ExtendAtMost time.Duration
}

// refundLimit is the limit for a sender, in a currency. nil means that there is none.
func (p Policy) refundLimit(who access.Principal, currency unit.Currency) *unit.Money {
	if len(p.RefundLimits) == 0 || who.May(access.UnlimitedRefunds) {
		return nil
	}
	return limitIn(p.RefundLimits, currency)
}

// writeOffLimit is the largest difference that a sender may write off, in a currency. nil means
// any.
func (p Policy) writeOffLimit(who access.Principal, currency unit.Currency) *unit.Money {
	if who.May(access.WriteOffs) {
		return nil
	}
	return limitIn(p.WriteOffLimits, currency)
}

// surchargeLimit is the most that a sender may add to one order, in a currency. nil means any
// amount.
func (p Policy) surchargeLimit(who access.Principal, currency unit.Currency) *unit.Money {
	if who.May(access.UnlimitedSurcharges) {
		return nil
	}
	return limitIn(p.SurchargeLimits, currency)
}

func limitIn(limits []unit.Money, currency unit.Currency) *unit.Money {
	limit := unit.Zero(currency)
	for _, of := range limits {
		if of.Currency == currency {
			limit = of
		}
	}
	return &limit
}

// DefaultPolicy reserves stock for 15 minutes, at the default location. It refuses a checkout
// whose stock is short. It cancels an order whose stock was lost and gives the money back.
// Carts expire after 30 days. A deadline can be moved to 30 days from now.
func DefaultPolicy() Policy {
	return Policy{
		ReserveFor:       15 * time.Minute,
		ExtendAtMost:     30 * 24 * time.Hour,
		CartsExpireAfter: 30 * 24 * time.Hour,
		Sourcing:         cart.Sourcing{Locations: []unit.LocationID{unit.DefaultLocation}},
		Shortage:         cart.AllOrNothing,
		Remedy:           order.RemedyVoidOrRefund,
	}
}

// Service carries out every change, for the HTTP API, the importer and the reactor. It sends
// commands to their aggregates, and drives the processes that the commands begin. So when a
// call returns, its process is finished as far as possible.
type Service struct {
	products  productHandler
	carts     cartHandler
	stock     stockHandler
	orders    orderHandler
	returns   returnHandler
	access    accessHandler
	staff     staffHandler
	logins    staffHandler
	customers customerHandler
	subjects  subjectHandler

	promotions   promotionHandler
	customerUses promotionHandler
	coupons      couponHandler
	giftCards    giftCardHandler
	claims       paymentHandler

	// Secrets makes the codes of gift cards.
	Secrets    Secrets
	priceLists priceListHandler
	methods    methodHandler
	entities   entityHandler

	// Prices has the rules of prices. nil: there are none, as in a program that prices nothing.
	Prices Prices
	// Eraser does the part of an erasure that is not in the log. nil: there is nothing to do.
	Eraser Eraser
	// Payments are the providers that move money. The zero value: only people do.
	Payments payments.Providers
	// GuestOrders finds orders of guests. nil: there are none to be found.
	GuestOrders   GuestOrders
	changingCodes sync.Mutex // see changeCodes
	// PastOrders tells who has ordered before. nil: only the uses of promotions for first orders
	// are known.
	PastOrders PastOrders

	store  eventstore.Store
	news   *aggregate.News
	policy Policy
	now    func() time.Time
	logger *slog.Logger

	driving *driving
	// together records whole checkouts in one append. It is nil if the log cannot do that.
	together *together
	// joined means that this service works for together: its handlers decide, and record nothing.
	joined bool
}

// driving counts the processes that this node is carrying out, by the stream that a process is
// about.
type driving struct {
	mu sync.Mutex
	by map[string]int
}

// NewService makes a service over one store, with the shop's rules. now gives the time of each
// decision.
func NewService(store eventstore.Store, policy Policy, now func() time.Time, options aggregate.Options) *Service {
	return NewServiceWith(ShopRules(), store, policy, now, options)
}

// NewServiceWith is NewService with rules that the caller gives. A test gives faulty rules, to
// see which check notices them.
func NewServiceWith(rules Rules, store eventstore.Store, policy Policy, now func() time.Time, options aggregate.Options) *Service {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	options.News = new(aggregate.News)
	brief := options
	brief.CacheStreams = cmp.Or(options.CacheStreams, briefStreams)
	carts, stocks, orders := aggregate.NewHandler(store, rules.Carts, brief), aggregate.NewHandler(store, rules.Stock, options), aggregate.NewHandler(store, rules.Orders, brief)
	promotions, customerUses, giftCards := aggregate.NewHandler(store, rules.Promotions, options), aggregate.NewHandler(store, rules.CustomerUses, brief), aggregate.NewHandler(store, rules.GiftCards, brief)
	s := &Service{
		promotions: promotions, customerUses: customerUses, giftCards: giftCards, coupons: aggregate.NewHandler(store, rules.Coupons, options),
		claims:    aggregate.NewHandler(store, rules.Payments, brief),
		products:  aggregate.NewHandler(store, rules.Products, options),
		carts:     carts,
		stock:     stocks,
		orders:    orders,
		returns:   aggregate.NewHandler(store, rules.Returns, brief),
		access:    aggregate.NewHandler(store, rules.Access, options),
		staff:     aggregate.NewHandler(store, rules.Staff, options),
		logins:    aggregate.NewHandler(store, rules.Logins, options),
		customers: aggregate.NewHandler(store, rules.Customers, options),
		store:     store, news: options.News, policy: policy, now: now, logger: options.Logger, driving: &driving{by: map[string]int{}},
		subjects: aggregate.NewHandler(store, rules.Subjects, options),

		priceLists: aggregate.NewHandler(store, rules.PriceLists, options),
		methods:    aggregate.NewHandler(store, rules.Methods, options),
		entities:   aggregate.NewHandler(store, rules.Entities, options),
	}
	if log, can := eventstore.MultiAppenderOf(store); can {
		s.together = &together{service: s, log: log, options: options, carts: carts, stock: stocks, orders: orders, promotions: promotions, customerUses: customerUses, giftCards: giftCards, news: options.News}
		s.together.turns, _ = eventstore.TurnTakerOf(store)
	}
	return s
}

// ViewProduct calls read with a product's present state, and the revision of its last event. A
// product that was never listed has the zero state and revision -1. The state belongs to the
// service: read must not keep it or change it, and must not wait for anything. The errors are
// those of reading the log. The other View methods work in the same way.
func (s *Service) ViewProduct(ctx context.Context, sku unit.SKU, read func(product.State, int64)) error {
	return s.products.View(ctx, product.Stream(sku), read)
}

// ViewCart calls read with a cart's state; see ViewProduct.
func (s *Service) ViewCart(ctx context.Context, id unit.CartID, read func(cart.State, int64)) error {
	return s.carts.View(ctx, cart.Stream(id), read)
}

// ViewCartFrom calls read with a cart's state that has at least the event of a revision. A caller
// that has just written this event needs no read of the log.
func (s *Service) ViewCartFrom(ctx context.Context, id unit.CartID, revision int64, read func(cart.State, int64)) error {
	return viewFrom(ctx, s.carts, cart.Stream(id), revision, read)
}

// viewFrom reads the state that this node has in memory, if it has at least the event of a
// revision. Otherwise it reads the present state from the log.
func viewFrom[S, C, E any](ctx context.Context, of handler[S, C, E], stream string, revision int64, read func(S, int64)) error {
	seen := false
	_, err := of.ViewIdle(stream, anyAge, func(state S, at int64) {
		if seen = at >= revision; seen {
			read(state, at)
		}
	})
	if seen || err != nil {
		return err
	}
	return of.View(ctx, stream, read)
}

// ViewStock calls read with the state of a SKU's stock at a location; see ViewProduct.
func (s *Service) ViewStock(ctx context.Context, key stock.Key, read func(stock.State, int64)) error {
	return s.stock.View(ctx, stock.Stream(key.SKU, key.Location), read)
}

// ViewOrder calls read with an order's state; see ViewProduct.
func (s *Service) ViewOrder(ctx context.Context, id unit.OrderID, read func(order.State, int64)) error {
	return s.orders.View(ctx, order.Stream(id), read)
}

// ViewOrderFrom calls read with an order's state that has at least the event of a revision; see
// ViewCartFrom.
func (s *Service) ViewOrderFrom(ctx context.Context, id unit.OrderID, revision int64, read func(order.State, int64)) error {
	return viewFrom(ctx, s.orders, order.Stream(id), revision, read)
}

// ViewReturn calls read with the state of a return or a credit note; see ViewProduct.
func (s *Service) ViewReturn(ctx context.Context, id unit.ReturnID, read func(returns.State, int64)) error {
	return s.returns.View(ctx, returns.Stream(id), read)
}

// StockRepeats tells whether a stock has carried out the request with this metadata before. If so,
// the caller must send the request even if a check of its own would refuse it; see
// aggregate.Handler.Repeats.
func (s *Service) StockRepeats(ctx context.Context, key stock.Key, meta eventstore.Metadata) (bool, error) {
	return s.stock.Repeats(ctx, stock.Stream(key.SKU, key.Location), meta)
}

// Now is the time of decisions.
func (s *Service) Now() time.Time { return s.now() }

// CheckLog returns *eventstore.DivergedError if the log has diverged. It is called before a
// response is given without reading the log, such as a kept answer: the response may describe
// events that the log no longer has. If the log does not respond within a second, CheckLog
// returns nil.
func (s *Service) CheckLog(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := s.store.Head(ctx)
	if diverged, is := errors.AsType[*eventstore.DivergedError](err); is {
		return diverged
	}
	return nil
}

// Follow hears of what other nodes record in the streams of carts and stock, until ctx ends.
// Without Follow, a node learns of these events only from conflicts. A node that is alone, or whose
// log is on another server, need not call it.
func (s *Service) Follow(ctx context.Context) error {
	return s.news.Follow(ctx, s.store, []string{cart.Category + "-", stock.Category + "-"}, s.logger)
}

// Close refuses new commands, and waits for those that are under way.
func (s *Service) Close(ctx context.Context) error {
	return errors.Join(s.products.Close(ctx), s.carts.Close(ctx), s.orders.Close(ctx), s.returns.Close(ctx), s.stock.Close(ctx), s.access.Close(ctx), s.staff.Close(ctx), s.logins.Close(ctx), s.customers.Close(ctx), s.subjects.Close(ctx),
		s.priceLists.Close(ctx), s.methods.Close(ctx), s.entities.Close(ctx), s.promotions.Close(ctx), s.customerUses.Close(ctx), s.coupons.Close(ctx), s.giftCards.Close(ctx), s.claims.Close(ctx))
}

// Call says who asks, under which command id, and what the caller expects of the aggregate.
type Call struct {
	// Meta is recorded with every event of the call. CommandID must be set. The ids of all
	// further commands derive from it, or from the ids of the aggregates.
	Meta eventstore.Metadata
	// If is the condition that the aggregate of the call must meet. nil means that there is no
	// condition.
	If *aggregate.Condition
	// New says that the aggregate probably does not exist yet.
	New bool
	// Who is the principal who sends the call. The zero value is nobody, whose calls are refused.
	Who access.Principal
	// Needs is the permission of Who that the call uses. If Who has it only for its own things, the
	// carts, orders and returns of others do not exist for the call. Only parts of the program, and
	// everyone without access control, may leave it out.
	Needs access.Permission
	// Absorbed are the accounts that were merged into the account of Who, if Who has the permission
	// only for its own things. What belongs to them counts as its own. See Service.AbsorbedBy.
	Absorbed []unit.CustomerID
}

// Owner must own the carts, orders and returns that the call is about. It is empty if the call may
// be about all of them.
func (c Call) Owner() unit.Owner {
	if c.Needs == "" {
		return ""
	}
	owner, _ := c.Who.Owned(c.Needs)
	return owner
}

// owns tells whether something that belongs to a customer or a guest exists for the call.
func (c Call) owns(thing interface{ OwnedBy(owner unit.Owner) bool }) bool {
	return thing.OwnedBy(c.Owner()) || slices.ContainsFunc(c.Absorbed, func(id unit.CustomerID) bool { return thing.OwnedBy(id.Owner()) })
}

// Reaches tells whether an order exists for the call.
func (c Call) Reaches(of order.State) bool { return c.Owner() == "" || c.owns(of) }

// also are the further owners whose things exist for the call.
func (c Call) also() (owners []string) {
	for _, id := range c.Absorbed {
		owners = append(owners, string(id.Owner()))
	}
	return owners
}

func request[C any](call Call, stream string, commands []C) aggregate.Request[C] {
	var locations []string
	for _, location := range call.Who.Scope.Locations {
		locations = append(locations, string(location))
	}
	return aggregate.Request[C]{
		Stream: stream, Meta: call.Meta, Commands: commands, If: call.If, New: call.New, Owner: string(call.Owner()), Also: call.also(), Locations: locations,
	}
}

// Product carries out commands on a catalogue entry.
func (s *Service) Product(ctx context.Context, call Call, sku unit.SKU, commands ...product.Command) (aggregate.Result[product.Event], error) {
	if err := s.admit(call, access.WriteCatalogue); err != nil {
		return aggregate.Result[product.Event]{}, err
	}
	for _, command := range commands {
		if describe, is := command.(product.Describe); is && describe.TaxClass != nil {
			if err := s.knowsTaxClass(*describe.TaxClass); err != nil {
				return aggregate.Result[product.Event]{}, err
			}
		}
	}
	return s.products.Handle(ctx, request(call, product.Stream(sku), commands))
}

// MoveStock carries out commands on one SKU at one location. key must be the key in the
// commands.
func (s *Service) MoveStock(ctx context.Context, call Call, key stock.Key, commands ...stock.Command) (aggregate.Result[stock.Event], error) {
	if err := s.admit(call, access.WriteStock, access.OverrideStock, access.SetStock); err != nil {
		return aggregate.Result[stock.Event]{}, err
	}
	if err := s.admitDeadlines(commands); err != nil {
		return aggregate.Result[stock.Event]{}, err
	}
	return s.stock.Handle(ctx, request(call, stock.Stream(key.SKU, key.Location), commands))
}

// At is the part that every stock command has: the key, and the time of the decision.
func (s *Service) At(key stock.Key) stock.At { return stock.At{Key: key, Now: s.now()} }

// Cart carries out commands on a cart, all or none. To add lines, use AddLines, because it
// looks up their prices.
func (s *Service) Cart(ctx context.Context, call Call, id unit.CartID, commands ...cart.Command) (aggregate.Result[cart.Event], error) {
	if err := cmp.Or(refuseSteps(commands), s.admitCart(ctx, call, id, cartPermissions(commands)...)); err != nil {
		return aggregate.Result[cart.Event]{}, err
	}
	commands, err := s.withDiscountLimit(ctx, call, id, commands)
	if err != nil {
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
	// Override replaces the catalogue's offer. Only trusted callers may set it.
	Override *cart.Offer
}

// AddLines looks up the prices of lines in the catalogue and adds the lines to a cart, all or
// none. If open is set, it opens the cart with them. If the cart was opened with the same
// lines before, nothing changes.
//
// Errors: *LinesError with product.ErrNotFound, product.ErrRetired or product.ErrNotPriced for
// each line that the catalogue refuses, and the cart's refusals.
func (s *Service) AddLines(ctx context.Context, call Call, id unit.CartID, open *cart.Open, lines []WantedLine) (aggregate.Result[cart.Event], error) {
	if err := cmp.Or(s.admit(call, access.WriteCarts), s.ownsCart(ctx, call, id, open != nil)); err != nil {
		return aggregate.Result[cart.Event]{}, asTaken(open != nil, err, cart.ErrNotFound, cart.ErrExists)
	}
	var currency unit.Currency
	if open != nil {
		currency = open.Currency
	}
	priced, refusal := s.priced(ctx, id, currency, lines)
	if refusal != nil {
		// The lines may be in the cart already, from the first time that this request was
		// made. The catalogue may have changed since then.
		repeats, err := s.carts.Repeats(ctx, cart.Stream(id), call.Meta)
		if err == nil && !repeats && open != nil {
			// If it exists, the cart compares the lines as they were asked for, and needs no
			// prices.
			repeats, err = s.cartExists(ctx, id)
		}
		if err != nil || !repeats {
			return aggregate.Result[cart.Event]{}, cmp.Or(err, refusal)
		}
	}
	var commands []cart.Command
	if open != nil {
		opening := *open
		opening.Lines, opening.Channel = priced, call.Meta.Channel
		commands = append(commands, opening)
	} else {
		for _, line := range priced {
			commands = append(commands, line)
		}
	}
	result, err := s.carts.Handle(ctx, request(call, cart.Stream(id), commands))
	err = asTaken(open != nil, err, cart.ErrNotFound, cart.ErrExists)
	return result, s.tooMuch(ctx, id, open, priced, err)
}

// limits are the refusals of a line that is too much for its cart.
var limits = []*rule.Rejection{cart.ErrFull, cart.ErrUnitLimit, cart.ErrAmountLimit}

// tooMuch turns a cart's refusal into a LinesError that names the line which is too much. If the
// cart has changed since, and no line is too much any more, it returns the refusal as it is.
func (s *Service) tooMuch(ctx context.Context, id unit.CartID, open *cart.Open, lines []cart.AddLine, refusal error) error {
	at := slices.IndexFunc(limits, func(limit *rule.Rejection) bool { return errors.Is(refusal, limit) })
	cause, is := errors.AsType[*rule.Rejection](refusal)
	if at < 0 || !is {
		return refusal
	}
	var state cart.State
	if open != nil {
		state = cart.Evolve(state, cart.Opened{CartID: id, Currency: open.Currency})
	} else if err := s.ViewCart(ctx, id, func(now cart.State, _ int64) {
		state = now
		state.Lines = slices.Clone(now.Lines) // Evolve changes them in place
	}); err != nil {
		return refusal
	}
	for i, line := range lines {
		events, err := cart.Decide(line, state)
		if errors.Is(err, limits[at]) {
			return &LinesError{Refused: []RefusedLine{{Index: i, SKU: line.SKU, Cause: cause}}}
		}
		if err != nil {
			return refusal
		}
		for _, event := range events {
			state = cart.Evolve(state, event)
		}
	}
	return refusal
}

// LinesError says which of the wanted lines are refused, and why. It has at least one.
type LinesError struct{ Refused []RefusedLine }

// RefusedLine is a line that the catalogue does not offer, or that is too much for its cart.
type RefusedLine struct {
	Index int // in the list of wanted lines, from 0
	SKU   unit.SKU
	Cause *rule.Rejection
}

func (e *LinesError) Error() string {
	first := e.Refused[0]
	return fmt.Sprintf("%s: %v (the first of %d refused lines)", first.SKU, first.Cause, len(e.Refused))
}

// Unwrap returns why the first line is refused.
func (e *LinesError) Unwrap() error { return e.Refused[0].Cause }

// maxRefusedLines is how many refused lines are looked for. Each costs a read of the log.
const maxRefusedLines = 20

// priced returns the lines with the catalogue's offers. If the catalogue refuses some, it returns
// *LinesError and all lines; some of these lines have no offer.
func (s *Service) priced(ctx context.Context, id unit.CartID, currency unit.Currency, lines []WantedLine) ([]cart.AddLine, error) {
	var refused []RefusedLine
	var failure error
	priced := make([]cart.AddLine, len(lines))
	for i, line := range lines {
		priced[i] = cart.AddLine{SKU: line.SKU, SKUText: line.SKUText, Quantity: line.Quantity, Join: line.Join}
		if failure != nil || len(refused) == maxRefusedLines {
			continue
		}
		if line.Override != nil {
			priced[i].Offer = *line.Override
			continue
		}
		if currency == "" {
			if currency, failure = s.cartCurrency(ctx, id); failure != nil {
				continue
			}
		}
		priced[i].Offer, failure = s.offer(ctx, line.SKU, currency)
		if cause, is := errors.AsType[*rule.Rejection](failure); is {
			refused, failure = append(refused, RefusedLine{Index: i, SKU: line.SKU, Cause: cause}), nil
		}
	}
	if failure == nil && len(refused) > 0 {
		failure = &LinesError{Refused: refused}
	}
	return priced, failure
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

// offerAge is how long this node may still offer an old price after another node has changed
// it.
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

// derivedMeta is the metadata of a command that follows from another one. It has the same
// correlation, actor and effective time, and the derived id. It does not have
// Metadata.Request, because that belongs to the first command only.
func derivedMeta(meta eventstore.Metadata, id unit.Derived) eventstore.Metadata {
	next := meta
	next.Request = ""
	if meta.CommandID != uuid.Nil {
		next.CausationID = meta.CommandID.String()
	}
	next.CommandID = uuid.UUID(id.UUID())
	return next
}

// drive notes that this node is carrying out the process of a stream, until done is called.
func (s *Service) drive(stream string) (done func()) {
	d := s.driving
	d.mu.Lock()
	defer d.mu.Unlock()
	d.by[stream]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.by[stream]--; d.by[stream] == 0 {
			delete(d.by, stream)
		}
	}
}

// Driving tells whether this node is carrying out a process of this cart's, order's or
// return's stream right now.
func (s *Service) Driving(stream string) bool {
	s.driving.mu.Lock()
	defer s.driving.mu.Unlock()
	return s.driving.by[stream] > 0
}

// each calls do for every item, several at once, and returns all errors. If s is a service of
// together, it calls do for one item after the other, and returns the first error.
func each[T any](ctx context.Context, s *Service, items []T, do func(ctx context.Context, i int, item T) error) error {
	const atOnce = 256
	if s.joined {
		for i, item := range items {
			if err := do(ctx, i, item); err != nil {
				return err
			}
		}
		return nil
	}
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

// viewStocks calls read with the state of each stock. Several goroutines may call it at once, each
// with another i. The states may be as old as maxAge. Those that are in memory are read in this
// goroutine, because to start a goroutine for each of them costs more than to read it.
func (s *Service) viewStocks(ctx context.Context, keys []stock.Key, maxAge time.Duration, read func(i int, state stock.State)) error {
	var others []int
	for i, key := range keys {
		done, err := s.stock.ViewIdle(stock.Stream(key.SKU, key.Location), maxAge, func(state stock.State, _ int64) { read(i, state) })
		if err != nil {
			return err
		}
		if !done {
			others = append(others, i)
		}
	}
	return each(ctx, s, others, func(ctx context.Context, _, i int) error {
		return s.stock.ViewAged(ctx, stock.Stream(keys[i].SKU, keys[i].Location), maxAge, func(state stock.State, _ int64) { read(i, state) })
	})
}

// errNoCheckout means that a cart's stream does not have the checkout that was looked for.
func errNoCheckout(id unit.CartID, order unit.OrderID) error {
	return fmt.Errorf("cart %s has no checkout for order %s", id, order)
}
