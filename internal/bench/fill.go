package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// What a filled log of N events has: N/10 events of one hot SKU, N/10 open reservations, N/10 SKUs
// with three events each, and N/100 open carts. The rest is confirmed orders of 3 lines. So a log
// of 10 million events has a stream of a million events, a million open reservations, a million
// SKUs and 100,000 open carts.
const (
	hotShare         = 10
	reservationShare = 10
	skuShare         = 10
	cartShare        = 100

	skusMin       = 1 + 2*cartLines // with fewer, two lines of a cart could have the same SKU
	skusForOrders = 1000            // at most; all orders and reservations are for these SKUs

	fillCustomers = 1000

	fillCalls = 32     // calls of the service at once
	fillRound = 1000   // calls before the events are counted again
	fillEvery = 20_000 // how many events are made before they are recorded together
)

// openFor is how long the reservations of a filled log stay open. It is longer than any
// measurement.
const openFor = 29 * 24 * time.Hour

// filling makes the events of a shop that has been open for long. The events are made by the shop's
// own command handlers.
type filling struct {
	env  Env
	run  string
	done contents
	sold int64 // how many SKUs orders are for. It is set for the first size and stays, so that all orders are for the same SKUs

	// While the log grows:
	log     *writeBehind
	service *commands.Service
	written int64      // events that were handed to the log
	writing chan error // has the result of the present flush; nil: there is none
}

// contents counts what a filled log has.
type contents struct {
	Events       int64 // of all kinds
	SKUs         int64
	HotPairs     int64 // a reservation of the hot SKU, and its release
	Reservations int64 // open ones
	Carts        int64 // open ones
	Orders       int64
}

// newFilling begins with an empty shop. The log need not be empty.
func newFilling(env Env) *filling { return &filling{env: env, run: uuid.NewString()[:8]} }

func keyOf(sku unit.SKU) stock.Key { return stock.Key{SKU: sku, Location: unit.DefaultLocation} }

func (f *filling) name(n int64) string { return f.run + "-" + strconv.FormatInt(n, 10) }

func (f *filling) sku(n int64) unit.SKU {
	return unit.SKU(fmt.Sprintf("FILL-%s-%07d", strings.ToUpper(f.run), n))
}

// hot is the SKU of the long stream. No order is for it.
func (f *filling) hot() stock.Key { return keyOf(f.sku(0)) }

// goods returns the SKUs that orders and reservations are for.
func (f *filling) goods() []stock.Key {
	keys := make([]stock.Key, f.sold)
	for i := range keys {
		keys[i] = keyOf(f.good(int64(i)))
	}
	return keys
}

func (f *filling) good(n int64) unit.SKU { return f.sku(1 + n%f.sold) }

// grow makes events until the log has this many, records them, and waits until the node has seen
// them.
func (f *filling) grow(ctx context.Context, events int64) (err error) {
	// Each time there is a new service, so that the states in its memory do not count as what the
	// program needs for a log of this size.
	f.log = newWriteBehind(f.env.Store)
	f.service = commands.NewService(f.log, commands.DefaultPolicy(), f.env.Service.Now, aggregate.Options{CacheStreams: 1 << 17})
	f.written = 0
	defer func() {
		if f.writing != nil {
			err = errors.Join(err, <-f.writing) // a flush is still under way only after a fault
			f.writing = nil
		}
		err = errors.Join(err, f.service.Close(ctx))
		f.log, f.service = nil, nil
	}()
	skus := max(skusMin, events/skuShare)
	if f.sold == 0 {
		f.sold = min(skus-1, skusForOrders) // without the hot one
	}
	before := f.done.Events
	fixed := func(n int64) func() int64 { return func() int64 { return n } }
	for _, kind := range []struct {
		count *int64
		until func() int64 // how many there are to be
		make  func(ctx context.Context, n int64) error
	}{
		{&f.done.SKUs, fixed(skus), f.makeSKU},
		{&f.done.HotPairs, fixed(events / hotShare / 2), f.makeHotPair},
		{&f.done.Reservations, fixed(events / reservationShare), f.makeReservation},
		{&f.done.Carts, fixed(events / cartShare), f.makeCart},
		{&f.done.Orders, func() int64 { return f.done.Orders + f.ordersFor(events-before-f.log.count()) }, f.makeOrder},
	} {
		for until := kind.until(); *kind.count < until; until = kind.until() {
			if err := f.round(ctx, kind.count, min(until-*kind.count, fillRound), kind.make); err != nil {
				return fmt.Errorf("fill the log: %w", err)
			}
		}
	}
	if err := f.write(ctx, 0); err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	f.done.Events = before + f.log.count()
	return f.env.Settle(ctx)
}

// ordersFor is how many orders can be made before the missing events are counted again. How many
// events an order has depends on the version of the program.
func (f *filling) ordersFor(missing int64) int64 {
	const eventsAtMost = 20 // of an order
	if missing <= 0 {
		return 0
	}
	return max(1, missing/eventsAtMost)
}

// round makes some things of one kind at once.
func (f *filling) round(ctx context.Context, count *int64, n int64, make func(ctx context.Context, n int64) error) error {
	first := *count
	_, err := load{callers: int(min(fillCalls, n)), limit: n, operate: func(ctx context.Context, _ int, i int64) error {
		return make(ctx, first+i)
	}}.run(ctx)
	if err != nil {
		return err
	}
	*count += n
	return f.write(ctx, fillEvery)
}

// write begins to record the events if there are at least so many, and further events are made
// meanwhile. If atLeast is 0, it waits until all are recorded.
func (f *filling) write(ctx context.Context, atLeast int64) error {
	if f.log.count()-f.written < atLeast {
		return nil
	}
	if f.writing != nil {
		if err := <-f.writing; err != nil {
			return err
		}
	}
	f.written, f.writing = f.log.count(), make(chan error, 1)
	go func(done chan<- error) { done <- f.log.flush(ctx) }(f.writing)
	if atLeast > 0 {
		return nil
	}
	done := f.writing
	f.writing = nil
	return <-done
}

func newCall() commands.Call {
	return commands.Call{Who: access.System("bench"), Meta: newMeta(), New: true}
}

var fillPrice = unit.Money{Amount: decimal.New(295, -2), Currency: "GBP"}

// makeSKU puts a product on sale, with more stock than all orders need.
func (f *filling) makeSKU(ctx context.Context, n int64) error {
	sku := f.sku(n)
	_, err := f.service.Product(ctx, newCall(), sku, product.List{SKU: sku, Title: "A thing to be sold", Kind: unit.Stocked}, product.SetPrice{Price: fillPrice})
	if err != nil {
		return err
	}
	key := keyOf(sku)
	_, err = f.service.MoveStock(ctx, newCall(), key, stock.Receive{At: f.service.At(key), Quantity: ampleUnits})
	return err
}

// makeHotPair reserves a unit of the hot SKU and releases it.
func (f *filling) makeHotPair(ctx context.Context, n int64) error {
	return reserveAndRelease(ctx, f.service, f.hot(), unit.OrderID("hot-"+f.name(n)))
}

func reserveAndRelease(ctx context.Context, service *commands.Service, key stock.Key, owner unit.OrderID) error {
	reserve := reservation(service, key, owner, openFor)
	_, err := service.MoveStock(ctx, commands.Call{Who: access.System("bench"), Meta: newMeta()}, key, reserve)
	if err != nil {
		return err
	}
	_, err = service.MoveStock(ctx, commands.Call{Who: access.System("bench"), Meta: newMeta()}, key, stock.Release{
		At: service.At(key), Origin: reserve.Origin, ReservationID: reserve.ReservationID, Reason: "not wanted",
	})
	return err
}

// reservation is the command that reserves one unit directly, without an order.
func reservation(service *commands.Service, key stock.Key, owner unit.OrderID, lasts time.Duration) stock.Reserve {
	return stock.Reserve{
		At: service.At(key), Origin: stock.Origin{Direct: true}, ReservationID: stock.DirectReservationIDFor(owner, key.SKU, key.Location),
		OrderID: owner, Quantity: 1, ExpiresAt: service.Now().Add(lasts),
	}
}

func (f *filling) makeReservation(ctx context.Context, n int64) error {
	key := keyOf(f.good(n))
	_, err := f.service.MoveStock(ctx, commands.Call{Who: access.System("bench"), Meta: newMeta()}, key, reservation(f.service, key, unit.OrderID("held-"+f.name(n)), openFor))
	return err
}

func (f *filling) makeCart(ctx context.Context, n int64) error {
	return f.openCart(ctx, unit.CartID("open-"+f.name(n)), n)
}

func (f *filling) openCart(ctx context.Context, id unit.CartID, n int64) error {
	wanted := make([]commands.WantedLine, cartLines)
	for i := range wanted {
		wanted[i] = commands.WantedLine{SKU: f.good(n*cartLines + int64(i)), Quantity: 1 + unit.Quantity(n%maxOfALine)}
	}
	open := &cart.Open{CartID: id, CustomerID: unit.CustomerID(fmt.Sprintf("customer-%d", n%fillCustomers)), Currency: fillPrice.Currency, Country: "United Kingdom"}
	_, err := f.service.AddLines(ctx, newCall(), id, open, wanted)
	return err
}

// makeOrder takes a cart to an order that is paid and confirmed.
func (f *filling) makeOrder(ctx context.Context, n int64) error {
	cartID, orderID := unit.CartID("c-"+f.name(n)), unit.OrderID("o-"+f.name(n))
	if err := f.openCart(ctx, cartID, n); err != nil {
		return err
	}
	result, err := f.service.Checkout(ctx, commands.Call{Who: access.System("bench"), Meta: newMeta()}, commands.CheckoutRequest{CartID: cartID, OrderID: orderID})
	if err != nil {
		return err
	}
	if err := result.Refusal(); err != nil {
		return err
	}
	charge := fillPrice
	charge.Amount = charge.Amount.Mul(decimal.NewFromInt(cartLines * (1 + n%maxOfALine)))
	_, err = f.service.Order(ctx, commands.Call{Who: access.System("bench"), Meta: newMeta()}, orderID, order.RecordTransaction{
		TransactionID: unit.TransactionID("t-" + f.name(n)), Type: order.Capture, State: order.Succeeded, Amount: charge, Provider: "bench",
	}, order.Confirm{Now: f.service.Now()})
	return err
}
