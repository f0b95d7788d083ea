package commands_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/internal/shoptest"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// watched is a store that calls a function before each read of a stream.
type watched struct {
	eventstore.Store
	reads func(stream string)
}

func (w *watched) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	w.reads(stream)
	return w.Store.ReadStream(ctx, stream, from, limit)
}

// sold is a shop with a confirmed order "o" of ten mugs.
func sold(t *testing.T, log eventstore.Store) *shop {
	t.Helper()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 50)
	if err := s.FillCart("c", map[unit.SKU]unit.Quantity{"MUG": 10}); err != nil {
		t.Fatal(err)
	}
	if err := s.PlaceOrder("c", "o"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Order(t.Context(), shoptest.NewCall(), "o", order.Confirm{Now: s.Now()}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shop) allocated(id unit.OrderID, sku unit.SKU) (open unit.Quantity) {
	s.T.Helper()
	if err := s.ViewStock(s.T.Context(), stock.Key{SKU: sku, Location: unit.DefaultLocation}, func(state stock.State, _ int64) { open = state.Orders[id].Open }); err != nil {
		s.T.Fatal(err)
	}
	return open
}

// shipMugs sends mugs of the order's only line.
func (s *shop) shipMugs(parcel unit.ShipmentID, units unit.Quantity) {
	s.T.Helper()
	ship := order.Ship{ShipmentID: parcel, Location: unit.DefaultLocation, Lines: []order.LineQuantity{{Line: 1, Quantity: units}}}
	if _, err := s.Order(s.T.Context(), shoptest.NewCall(), "o", ship); err != nil {
		s.T.Error(err)
	}
}

func TestWhatShipsWhileAnOrderIsComparedWithStockIsNotLost(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := sold(t, log)
	shipped := false
	between := &watched{Store: log, reads: func(stream string) {
		if strings.HasPrefix(stream, stock.Stream("MUG", "")) && !shipped {
			shipped = true
			s.shipMugs("p", 4)
		}
	}}
	result, err := open(t, between, commands.DefaultPolicy()).RetryAllocation(t.Context(), shoptest.NewCall(), "o")
	if err != nil || !shipped || result.Outcome != commands.RetryNothing || len(result.Lost) != 0 {
		t.Errorf("retried: %+v, %v (shipped meanwhile: %t); nothing was lost", result, err, shipped)
	}
	if got := s.allocated("o", "MUG"); got != 6 {
		t.Errorf("%d are allocated, want the 6 that have not shipped", got)
	}
}

// If the order changes all the time, the refusal tells the caller to try again later.
func TestAnOrderThatAlwaysChangesIsComparedOnlySoOften(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := sold(t, log)
	parcels, orderRead := 0, false
	between := &watched{Store: log}
	between.reads = func(stream string) {
		if !strings.HasPrefix(stream, stock.Stream("MUG", "")) {
			orderRead = true
			return
		}
		if orderRead && parcels < 9 {
			orderRead = false
			parcels++
			s.shipMugs(unit.ShipmentID(strings.Repeat("p", parcels)), 1)
		}
	}
	_, err := open(t, between, commands.DefaultPolicy()).RetryAllocation(t.Context(), shoptest.NewCall(), "o")
	if !errors.Is(err, aggregate.ErrOverloaded) || parcels != commands.MaxComparisons {
		t.Errorf("after %d parcels: %v, want %v after %d", parcels, err, aggregate.ErrOverloaded, commands.MaxComparisons)
	}
	if got := s.allocated("o", "MUG"); got != unit.Quantity(10-parcels) {
		t.Errorf("%d are allocated after %d of 10 have shipped", got, parcels)
	}
}

func TestARetryAtAnImpossibleTimeFinishesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, &watched{Store: memory.New(), reads: func(stream string) { t.Errorf("%s is read", stream) }}, commands.DefaultPolicy())
	at := shoptest.NewCall()
	at.Meta.OccurredAt = time.Date(1066, 10, 14, 0, 0, 0, 0, time.UTC)
	_, err := s.RetryAllocation(t.Context(), at, "o")
	if _, refused := errors.AsType[*commands.TimeError](err); !refused {
		t.Errorf("got %v, want it refused", err)
	}
}

func TestAnEventThatCannotBeReadIsSaidToBeThat(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	stream := order.Stream("o")
	shoptest.AppendRaw(t, s.Log, stream, "order.teleported.v1", `{}`, nil)
	_, shortages := s.LastShortages(t.Context(), "o")
	for what, err := range map[string]error{
		"shortages": shortages,
		"state":     s.ViewOrder(t.Context(), "o", func(order.State, int64) {}),
	} {
		if bad, is := errors.AsType[*aggregate.UndecodableError](err); !is || bad.Stream != stream || bad.Revision != 0 {
			t.Errorf("%s: %v", what, err)
		}
	}
}
