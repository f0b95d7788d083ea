package shoppers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/shopspring/decimal"
)

// Product is an entry of the sample catalogue.
type Product struct {
	SKU, Title string
	Price      Money
	Opening    int64 // units of opening stock
}

// currency is that of all prices.
const currency = "GBP"

// Catalogue is the catalogue of the sample shop. Some products are scarce and sell out.
func Catalogue() []Product {
	price := func(amount string) Money { return Money{Amount: amount, Currency: currency} }
	return []Product{
		{"LANTERN-RED", "Lantern, red glass", price("7.95"), 20_000},
		{"LANTERN-BLUE", "Lantern, blue glass", price("7.95"), 20_000},
		{"MUG-ENAMEL", "Enamel mug, white", price("4.25"), 30_000},
		{"TIN-TEA", "Tea tin, 250 g", price("3.75"), 30_000},
		{"BAG-JUTE", "Jute bag, large", price("1.95"), 50_000},
		{"CLOCK-WALL", "Wall clock, railway", price("14.95"), 8_000},
		{"NOTEBOOK-A5", "Notebook A5, dotted", price("2.55"), 40_000},
		{"CANDLE-SET", "Candles, set of 12", price("0.85"), 60_000},
		{"APRON-STRIPE", "Apron, striped", price("9.50"), 10_000},
		{"BOARD-OAK", "Chopping board, oak", price("18.00"), 5_000},
		{"UMBRELLA-MAP", "Umbrella with a city map", price("12.75"), 120},
		{"GLOBE-1930", "Globe, print of 1930", price("59.00"), 60},
	}
}

// FlashSale is the product of one flash sale. There are only a few units of it. name makes its SKU
// differ from those of other flash sales.
func FlashSale(name string) Product {
	return Product{"RADIO-" + name, "Radio, limited edition", Money{Amount: "19.54", Currency: currency}, 200}
}

var countries = []string{"United Kingdom", "Germany", "France", "Netherlands", "Norway"}

// Open lists products and receives their opening stock. It returns the present stock of each
// product, which is more than the opening stock if the shop was open before.
func Open(ctx context.Context, c *Client, products []Product) (available map[string]int64, err error) {
	available = make(map[string]int64, len(products))
	for _, p := range products {
		if err := c.List(ctx, p); err != nil {
			return nil, err
		}
		stock, err := c.Receive(ctx, newKey(), p.SKU, p.Opening)
		if err != nil {
			return nil, err
		}
		available[p.SKU] = stock.Available
	}
	return available, nil
}

// Tally is what happened, as the shoppers saw it.
type Tally struct {
	mu sync.Mutex

	Orders    int64            // placed, canceled ones included
	Refused   int64            // checkouts that found the stock short
	Canceled  int64            // orders that were canceled; they count in Orders, too
	Delivered int64            // orders that were delivered; they count in Orders, too
	Returned  int64            // units sent back
	Units     map[string]int64 // sold by SKU, canceled orders not counted
	Revenue   decimal.Decimal  // what orders were charged, without canceled orders; refunds are not subtracted
	Faults    int64            // answers that should not happen
	Fault     error            // the first of them
}

// NewTally returns an empty tally.
func NewTally() *Tally { return &Tally{Units: make(map[string]int64)} }

// Read calls read with the present tally. read must not use it after it has returned.
func (t *Tally) Read(read func(t *Tally)) { t.note(func() { read(t) }) }

func (t *Tally) note(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}

// sold adds an order to the tally, or subtracts it if sign is -1.
func (t *Tally) sold(o Order, sign int64) error {
	owed, err := decimal.NewFromString(o.Owed.Amount)
	if err != nil {
		return fmt.Errorf("order %s owes %q: %w", o.OrderID, o.Owed.Amount, err)
	}
	t.note(func() {
		t.Revenue = t.Revenue.Add(owed.Mul(decimal.NewFromInt(sign)))
		for _, line := range o.Lines {
			t.Units[line.SKU] += sign * line.Quantity
		}
	})
	return nil
}

// Stroll lets a number of shoppers buy from the catalogue until ctx ends. They finish purchases
// that have begun.
func Stroll(ctx context.Context, c *Client, shoppers int, tally *Tally) {
	var wait sync.WaitGroup
	for n := range shoppers {
		wait.Go(func() {
			s := &shopper{client: c, tally: tally, name: fmt.Sprintf("demo-%03d", n+1), gone: make(map[string]bool)}
			for ctx.Err() == nil {
				if err := s.shop(context.WithoutCancel(ctx)); err != nil {
					tally.note(func() {
						tally.Faults++
						if tally.Fault == nil {
							tally.Fault = err
						}
					})
				}
				think(ctx)
			}
		})
	}
	wait.Wait()
}

// think is the pause between two purchases.
func think(ctx context.Context) {
	timer := time.NewTimer(time.Duration(20+rand.IntN(200)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// shopper is one customer.
type shopper struct {
	client *Client
	tally  *Tally
	name   string
	gone   map[string]bool // SKUs that were short; the shopper does not ask for them again
}

// shop is one visit: from a cart to a delivered order, sometimes with a cancellation or a return.
func (s *shopper) shop(ctx context.Context) error {
	cart, err := s.client.OpenCart(ctx, s.name, currency, countries[rand.IntN(len(countries))], s.choose())
	if err != nil {
		return err
	}
	order, _, err := s.client.Checkout(ctx, newKey(), cart, true)
	if refusal, short := refused(err, "stock-insufficient"); short {
		s.gone[refusal.SKU] = true
		s.tally.note(func() { s.tally.Refused++ })
		return nil
	}
	if err != nil {
		return err
	}
	s.tally.note(func() { s.tally.Orders++ })
	if err := s.tally.sold(order, 1); err != nil {
		return err
	}
	if rand.IntN(20) == 0 {
		return s.cancel(ctx, order)
	}
	if err := s.client.Deliver(ctx, order.OrderID); err != nil {
		return err
	}
	s.tally.note(func() { s.tally.Delivered++ })
	if rand.IntN(12) == 0 {
		return s.sendBack(ctx, order)
	}
	return nil
}

func (s *shopper) cancel(ctx context.Context, order Order) error {
	if err := s.client.Cancel(ctx, order.OrderID, "changed my mind"); err != nil {
		return err
	}
	s.tally.note(func() { s.tally.Canceled++ })
	return s.tally.sold(order, -1)
}

// sendBack returns one unit of the first line.
func (s *shopper) sendBack(ctx context.Context, order Order) error {
	if err := s.client.Return(ctx, order); err != nil {
		return err
	}
	s.tally.note(func() { s.tally.Returned++ })
	one := order.Lines[0]
	one.Quantity = 1
	return s.tally.sold(Order{OrderID: order.OrderID, Owed: one.Price, Lines: []OrderLine{one}}, -1)
}

// choose fills a cart with one to four products.
func (s *shopper) choose() []Line {
	products := Catalogue()
	rand.Shuffle(len(products), func(i, j int) { products[i], products[j] = products[j], products[i] })
	products = slices.DeleteFunc(products, func(p Product) bool { return s.gone[p.SKU] })
	lines := make([]Line, min(1+rand.IntN(4), len(products)))
	for i := range lines {
		lines[i] = Line{SKU: products[i].SKU, Quantity: 1 + rand.Int64N(3)}
	}
	return lines
}
