package sealing

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// neverDestroyed is a table of keys of which none is destroyed.
type neverDestroyed struct{ Table }

func (neverDestroyed) Destroyed(context.Context, time.Duration) ([]string, error) { return nil, nil }

// BenchmarkEvent shows what it costs to seal and to open an event with ten texts: an order with an
// e-mail address and two addresses. "clear text" is the same way through the code of an event
// without texts, and "open again" that of an event which is in memory.
func BenchmarkEvent(b *testing.B) {
	keys := NewKeys(neverDestroyed{}, nil, time.Now)
	aead, err := newAEAD(bytes.Repeat([]byte{1}, dataKeySize))
	if err = errors.Join(err, keys.compare(b.Context(), false)); err != nil {
		b.Fatal(err)
	}
	keys.keep(&dataKey{id: "B9SL5K1JgB6ZvRUX", subject: "cart:c-1", aead: aead}, keys.timesForgotten())
	store := New(nil, keys, func(string) []Field {
		fields := []Field{"details.email", "details.phone", "details.gift_message"}
		for _, address := range []Field{"billing", "shipping"} {
			for _, field := range []Field{"name", "company", "lines.*", "postcode", "city", "phone"} {
				fields = append(fields, "details."+address+"."+field)
			}
		}
		return fields
	})
	event := eventstore.Event{ID: eventstore.EventID(uuid.New(), 0), Type: "order.placed.v1", Subject: "cart:c-1", Data: []byte(orderWith(`"details":{` +
		`"email":"ann.example@home.example","billing":{"name":"Ann Example","lines":["1 High Street","Flat 2"],"postcode":"SW1A 1AA","city":"London","country":"GB"},` +
		`"shipping":{"name":"Bob Example","lines":["22 Low Street"],"postcode":"M1 1AE","city":"Manchester","country":"GB"}},`))}
	open := func(b *testing.B, e eventstore.Event, forget bool) {
		b.ReportAllocs()
		for b.Loop() {
			if forget {
				keys.recent.forget()
			}
			recorded := eventstore.Recorded{Event: e, Stream: "order-o"}
			if err := store.open(b.Context(), &recorded); err != nil {
				b.Fatal(err)
			}
		}
	}
	seal := func(b *testing.B, e eventstore.Event) {
		b.ReportAllocs()
		var sealed []eventstore.Event
		for b.Loop() {
			var err error
			if sealed, err = store.sealed(b.Context(), "order-o", []eventstore.Event{e}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(sealed[0].Data)), "bytes/event")
	}
	without := event
	without.Data = []byte(orderWith(""))
	b.Run("append clear text", func(b *testing.B) { seal(b, without) })
	b.Run("seal", func(b *testing.B) { seal(b, event) })
	sealed, err := store.sealed(b.Context(), "order-o", []eventstore.Event{event})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("read clear text", func(b *testing.B) { open(b, event, false) })
	b.Run("open", func(b *testing.B) { open(b, sealed[0], true) })
	b.Run("open again", func(b *testing.B) { open(b, sealed[0], false) })
}

// orderWith is an order of three lines.
func orderWith(details string) string {
	return `{"order_id":"o-6a1c2d3e-1","cart_id":"c-6a1c2d3e-1","currency":"GBP","country":"GB",` + details + `"lines":[` +
		`{"line":1,"sku":"BENCH-6A1C2D3E-0001","sku_text":"BENCH-6a1c2d3e-0001","title":"A thing to be sold","kind":"stocked","quantity":3,"price":{"amount":"2.95","currency":"GBP"}},` +
		`{"line":2,"sku":"BENCH-6A1C2D3E-0002","sku_text":"BENCH-6a1c2d3e-0002","title":"A thing to be sold","kind":"stocked","quantity":1,"price":{"amount":"2.95","currency":"GBP"}},` +
		`{"line":3,"sku":"BENCH-6A1C2D3E-0003","sku_text":"BENCH-6a1c2d3e-0003","title":"A thing to be sold","kind":"stocked","quantity":5,"price":{"amount":"2.95","currency":"GBP"}}],` +
		`"held":[{"reservation_id":"rA-6a1c2d3e","sku":"BENCH-6A1C2D3E-0001","location":"main","quantity":3},{"reservation_id":"rB-6a1c2d3e","sku":"BENCH-6A1C2D3E-0002","location":"main","quantity":1}],` +
		`"total":{"amount":"26.55","currency":"GBP"},"charge":{"amount":"26.55","currency":"GBP"},"confirm_by":"2026-03-01T12:15:00Z"}`
}
