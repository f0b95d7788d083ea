package stock

import (
	"fmt"
	"testing"
	"time"

	"daybook/domain/unit"
)

// The benchmark measures one sale of a hot item: reserve, commit and ship. Each command is decided,
// and its events are folded and encoded.
func BenchmarkSale(b *testing.B) {
	for _, open := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("open=%d", open), func(b *testing.B) {
			s := Evolve(State{}, received(1<<40))
			for i := range open {
				s = Evolve(s, Reserved{
					Key: lamp, ReservationID: unit.ReservationID(fmt.Sprintf("open-%d", i)), Quantity: 1, ExpiresAt: late.Add(1000 * time.Hour),
				})
			}
			now := noon
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = now.Add(time.Millisecond)
				at := At{Key: lamp, Now: now}
				order := unit.OrderID(fmt.Sprintf("o%d", i))
				id := ReservationIDFor(order, lamp.SKU, lamp.Location)
				for _, cmd := range []Command{
					Reserve{At: at, ReservationID: id, OrderID: order, Quantity: 1, ExpiresAt: now.Add(15 * time.Minute)},
					Commit{At: at, ReservationID: id},
					Ship{At: at, OrderID: order, ShipmentID: "s1", Quantity: 1},
				} {
					events, err := Decide(cmd, s)
					if err != nil || len(events) != 1 {
						b.Fatalf("%T: %d events, %v", cmd, len(events), err)
					}
					if _, _, err := Encode(events[0]); err != nil {
						b.Fatal(err)
					}
					s = Evolve(s, events[0])
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	var event Event = Reserved{
		Key: lamp, ReservationID: "2ab60df2-4b0c-5c0b-9e5e-3c1f5f1d1a11", OrderID: "01JNA1B2C3D4E5F6G7H8J9K0MN", Quantity: 6, ExpiresAt: soon,
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Encode(event); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	_, data, err := Encode(reserved("2ab60df2-4b0c-5c0b-9e5e-3c1f5f1d1a11", 6))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(typeReserved, data); err != nil {
			b.Fatal(err)
		}
	}
}
