package views_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections/stockview"
	"daybook/projections/viewtest"
)

// BenchmarkRebuildStock builds the stock view again from a log of orders. Each order reserves,
// commits and ships one unit of one of 4,000 items.
func BenchmarkRebuildStock(b *testing.B) {
	v := viewtest.New(b, stockview.View())
	const orders = 100_000
	stocked := recordOrders(v, orders)
	v.CaughtUp()
	for b.Loop() {
		if err := v.Runner.Rebuild(b.Context(), "stock"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(stocked)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkLiveStock measures the time from the first append until the last event is visible.
func BenchmarkLiveStock(b *testing.B) {
	events := 0
	for b.Loop() {
		b.StopTimer()
		v := viewtest.New(b, stockview.View())
		b.StartTimer()
		events += recordOrders(v, 30_000)
		v.CaughtUp()
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}

func recordOrders(v *viewtest.Bench, orders int) (events int) {
	r := rand.New(rand.NewPCG(1, 1))
	until := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	meta := eventstore.Metadata{Actor: "customer:7", Channel: "web"}
	// Orders overlap: while one order has a reservation, another one ships.
	type later struct {
		event stock.Event
		key   stock.Key
	}
	var open []later
	put := func(e stock.Event, key stock.Key) {
		viewtest.Fact(v, stock.Stream(key.SKU, key.Location), meta, stock.Encode, e)
		events++
	}
	for i := range orders {
		key := stock.Key{SKU: unit.SKU(fmt.Sprintf("SKU%04d", r.IntN(4000))), Location: "main"}
		order, id := unit.OrderID(fmt.Sprint("o-", i)), unit.ReservationID(fmt.Sprint("r-", i))
		put(stock.Reserved{Key: key, ReservationID: id, OrderID: order, Quantity: 1, ExpiresAt: until}, key)
		open = append(open,
			later{stock.ReservationCommitted{Key: key, ReservationID: id, OrderID: order, Quantity: 1}, key},
			later{stock.Shipped{Key: key, OrderID: order, ShipmentID: "p", Quantity: 1}, key})
		for len(open) > 200 {
			put(open[0].event, open[0].key)
			open = open[1:]
		}
	}
	return events
}
