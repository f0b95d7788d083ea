package pricebook_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/pricebook"
	"daybook/domain/access"
	"daybook/domain/money/entity"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/pricing"
	"daybook/domain/money/shipping"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/eventstore/postgres"
	"daybook/internal/gatewaytest"
	"daybook/internal/pgtest"
)

var at = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func euros(t testing.TB, amount string) unit.Money {
	t.Helper()
	m, err := unit.ParseMoney(amount, "EUR")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// shop is a service over a log, and what it needs to send commands.
type shop struct {
	testing.TB
	*commands.Service
	log eventstore.Store
}

func newShop(t testing.TB, log eventstore.Store) *shop {
	t.Helper()
	service := commands.NewService(log, commands.DefaultPolicy(), time.Now, aggregate.Options{})
	t.Cleanup(func() { _ = service.Close(context.WithoutCancel(t.Context())) })
	return &shop{t, service, log}
}

func call() commands.Call {
	who := access.System("test")
	return commands.Call{Who: who, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: who.ID}}
}

func (s *shop) list(id string, command ...pricelist.Command) eventstore.Position {
	s.Helper()
	done, err := s.PriceList(s.Context(), call(), id, command...)
	if err != nil {
		s.Fatal(err)
	}
	return done.Position
}

func defined(id string) pricelist.Define {
	return pricelist.Define{ID: id, Kind: pricing.Regular, Currency: "EUR", Mode: pricing.Inclusive, Active: true}
}

func (s *shop) prices(sku unit.SKU, amount string) pricelist.SetPrices {
	return pricelist.SetPrices{Prices: []pricelist.Entry{{SKU: sku, Tiers: []pricing.Tier{{From: 1, Price: euros(s, amount)}}}}}
}

// price is the price of one mug by the rules of a book; "none" if there is none.
func price(t testing.TB, book *pricebook.Book) string {
	t.Helper()
	quote, err := book.Rules().Price(pricing.Cart{Currency: "EUR", Lines: []pricing.Item{{Number: 1, SKU: "MUG", Quantity: 1, Kind: unit.Stocked}}}, at)
	if err != nil {
		return "none"
	}
	return quote.Total.String()
}

func newBook(log eventstore.Store) *pricebook.Book {
	return pricebook.New(log, slog.New(slog.DiscardHandler))
}

// follow runs a book until the test ends.
func follow(t *testing.T, book *pricebook.Book) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = book.Run(ctx) // it ends with ctx
	}()
	t.Cleanup(func() { stop(); <-ended })
}

// On each engine, a running book hears of a change, and a book that starts later reads everything.
func TestABookReflectsEachChange(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) eventstore.Store{
		"memory": func(*testing.T) eventstore.Store { return memory.New() },
		"PostgreSQL": func(t *testing.T) eventstore.Store {
			pool := pgtest.New(t)
			if err := postgres.Migrate(t.Context(), pool); err != nil {
				t.Fatal(err)
			}
			log, err := postgres.Open(t.Context(), pool, postgres.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = log.Close(context.WithoutCancel(t.Context())) })
			return log
		},
		"KurrentDB over the gateway": func(t *testing.T) eventstore.Store { return gatewaytest.Open(t, memory.New()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, open(t))
			s.list("first", defined("first"), s.prices("MUG", "9.99"))
			book := newBook(s.log)
			if got := price(t, book); got != "none" {
				t.Errorf("before it is opened: %s", got)
			}
			if err := book.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := price(t, book); got != "9.99 EUR" {
				t.Errorf("after a restart: %s", got)
			}
			follow(t, book)
			for i, change := range []struct {
				command pricelist.Command
				want    string
			}{
				{s.prices("MUG", "8.50"), "8.50 EUR"},
				{pricelist.Define{ID: "first", Kind: pricing.Regular, Currency: "EUR", Mode: pricing.Inclusive}, "none"},
				{defined("first"), "8.50 EUR"},
				{pricelist.End{}, "none"},
			} {
				position := s.list("first", change.command)
				if err := book.Has(t.Context(), position); err != nil {
					t.Fatal(err)
				}
				if got := price(t, book); got != change.want {
					t.Errorf("change %d: %s, want %s", i, got, change.want)
				}
			}
			// An event of another kind is behind the last definition, and a reader waits for it.
			id := unit.SKU("X")
			done, err := s.Product(t.Context(), call(), id, listed(id))
			if err != nil {
				t.Fatal(err)
			}
			if err := book.Has(t.Context(), done.Position); err != nil || book.Edition().Position.Before(done.Position) {
				t.Errorf("at %s, want %s: %v", book.Edition().Position, done.Position, err)
			}
			later := newBook(s.log)
			if err := later.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			if lists := later.Edition().Lists; len(lists) != 1 || !lists[0].State.Ended || lists[0].Revision != 6 || price(t, later) != "none" {
				t.Errorf("a later book has %+v", lists)
			}
		})
	}
}

// Rules that a reader has stay as they are while prices change.
func TestAnEditionDoesNotChange(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.New())
	s.list("first", defined("first"), s.prices("MUG", "9.99"))
	book := newBook(s.log)
	if err := book.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, rules := book.Edition(), book.Rules()
	s.list("first", s.prices("MUG", "1"), s.prices("CUP", "2"))
	if err := book.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if book.Rules() == rules || price(t, book) != "1.00 EUR" || len(book.Edition().Lists[0].State.Prices) != 2 {
		t.Errorf("the book has %+v", book.Edition().Lists)
	}
	if prices := before.Lists[0].State.Prices; len(prices) != 1 || !prices["MUG"][0].Price.Equal(euros(t, "9.99")) {
		t.Errorf("the edition before has %v", prices)
	}
	same := book.Rules()
	if _, err := s.Product(t.Context(), call(), "MUG", listed("MUG")); err != nil {
		t.Fatal(err)
	}
	if err := book.Open(t.Context()); err != nil || book.Rules() != same {
		t.Errorf("the rules were made again without a change: %v", err)
	}
}

// A tax class is known if an entity has it. While there is no entity, nobody can know one.
func TestTaxClassesAreThoseOfEntities(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.New())
	book := newBook(s.log)
	s.Prices = book
	class := "books"
	describe := func() error {
		_, err := s.Product(t.Context(), call(), "MUG", listed("MUG"), describing(class))
		return err
	}
	ship := func(class string) error {
		rates := []pricing.RateTable{{Currency: "EUR", Basis: pricing.Flat, Steps: []pricing.Step{{From: "0", Price: euros(t, "4.95")}}}}
		_, err := s.ShippingMethod(t.Context(), call(), "parcel", shipping.Define{ID: "parcel", Terms: shipping.Terms{Title: "Parcel", Mode: pricing.Inclusive, TaxClass: class, Rates: rates}})
		return err
	}
	if err := describe(); err != nil {
		t.Errorf("without an entity: %v", err)
	}
	rate, err := unit.ParsePercent("21")
	if err != nil {
		t.Fatal(err)
	}
	define := entity.Define{
		ID: "nl", Terms: entity.Terms{Title: "A", Home: pricing.Zone{Country: "NL"}, Mode: pricing.Inclusive},
		Rows: []pricing.TaxRow{{Place: pricing.Zone{Country: "NL"}, Class: "standard", Component: "NL VAT", Rate: rate}},
	}
	if _, err := s.LegalEntity(t.Context(), call(), "nl", define); err != nil {
		t.Fatal(err)
	}
	if err := book.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	class = "toys"
	if err := describe(); err == nil || !strings.Contains(err.Error(), "tax-class-unknown") || !strings.Contains(err.Error(), `"toys"`) {
		t.Errorf("an unknown class of a product: %v", err)
	}
	if err := ship("toys"); err == nil || !strings.Contains(err.Error(), "tax-class-unknown") {
		t.Errorf("an unknown class of a method: %v", err)
	}
	if err := ship("standard"); err != nil {
		t.Errorf("a class of the entity: %v", err)
	}
	if err := ship(""); err != nil {
		t.Errorf("no class: %v", err)
	}
}

// If another program writes into the stream of a list, the book passes over it. An event that only
// a newer program knows is a trouble, and the rules that were read before stay good.
func TestABookPassesOverForeignEvents(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.New())
	s.list("first", defined("first"), s.prices("MUG", "9.99"))
	foreign := eventstore.Event{ID: uuid.New(), Type: "pricelist.ended.v1", Data: []byte(`{}`)}
	if _, err := s.log.Append(t.Context(), pricelist.Stream("first"), eventstore.Any, []eventstore.Event{foreign}); err != nil {
		t.Fatal(err)
	}
	book := newBook(s.log)
	if err := book.Open(t.Context()); err != nil || price(t, book) != "9.99 EUR" {
		t.Errorf("%s, %v", price(t, book), err)
	}
	newer := eventstore.Event{ID: aggregate.EventID(uuid.New(), 0), Type: "pricelist.painted.v1", Data: []byte(`{}`)}
	if _, err := s.log.Append(t.Context(), pricelist.Stream("first"), eventstore.Any, []eventstore.Event{newer}); err != nil {
		t.Fatal(err)
	}
	follow(t, book)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for book.Trouble() == nil {
		<-ticker.C // if this never ends, the time limit of the test ends it
	}
	if !strings.Contains(book.Trouble().Error(), "painted") || price(t, book) != "9.99 EUR" {
		t.Errorf("the trouble is %v, the price %s", book.Trouble(), price(t, book))
	}
}

// BenchmarkCompile changes one price of one list among 20, of 20,000 SKUs each.
func BenchmarkCompile(b *testing.B) {
	s := newShop(b, memory.New())
	for i := range 20 {
		id := fmt.Sprint("list-", i)
		s.list(id, defined(id))
		var all []pricelist.Entry
		for j := range pricelist.MaxPrices {
			all = append(all, pricelist.Entry{SKU: unit.SKU(fmt.Sprint("S", j)), Tiers: []pricing.Tier{{From: 1, Price: euros(b, "9.99")}}})
		}
		for part := 0; part < len(all); part += 2_000 {
			s.list(id, pricelist.SetPrices{Prices: all[part : part+2_000]})
		}
	}
	book := newBook(s.log)
	began := time.Now()
	if err := book.Open(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/start")
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		s.list("list-7", s.prices("S1", fmt.Sprint(i+1)))
		b.StartTimer()
		if err := book.Open(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
