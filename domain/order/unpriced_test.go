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
