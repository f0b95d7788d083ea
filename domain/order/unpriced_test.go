package order

import (
	"reflect"
	"testing"

	"daybook/domain/money/pricing"
)

func TestDecodeUnpricedLeavesOutOnlyTheQuote(t *testing.T) {
	priced := isPlaced
	priced.Quote = &pricing.Quote{Hash: "abc", Currency: "GBP", Lines: []pricing.PricedLine{{Line: 1, SKU: "A"}}}
	for _, event := range []Event{priced, isPlaced, Confirmed{Allocated: true}} {
		typ, data, err := Encode(event)
		if err != nil {
			t.Fatal(err)
		}
		want, err := Decode(typ, data)
		if err != nil {
			t.Fatal(err)
		}
		if placed, is := want.(Placed); is {
			placed.Quote = nil
			want = placed
		}
		if got, err := DecodeUnpriced(typ, data); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s without its quote is %#v, %v; want %#v", typ, got, err, want)
		}
	}
	if event, err := DecodeUnpriced(typePlaced, []byte(`{"lines":7}`)); err == nil {
		t.Errorf("an event that cannot be read is %#v", event)
	}
}

// The accounts of an order are the same, whether or not its event was read whole.
func TestDecodeAmountsReadsWhatTheAccountsNeed(t *testing.T) {
	place, _ := pricedOrder(t)
	events, err := Decide(place, State{})
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []Event{events[0], isPlaced, Confirmed{Allocated: true}} {
		typ, data, err := Encode(event)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := Decode(typ, data)
		if err != nil {
			t.Fatal(err)
		}
		amounts, err := DecodeAmounts(typ, data)
		if err != nil {
			t.Fatal(err)
		}
		got, want := Evolve(State{}, amounts), Evolve(State{}, whole)
		if (got.Quote == nil) != (want.Quote == nil) {
			t.Errorf("%s: a quote %v, want %v", typ, got.Quote, want.Quote)
		}
		if got.Quote, want.Quote = nil, nil; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", typ, got, want)
		}
	}
	if event, err := DecodeAmounts(typePlaced, []byte(`{"lines":7}`)); err == nil {
		t.Errorf("an event that cannot be read is %#v", event)
	}
}
