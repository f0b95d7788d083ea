package cart

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestDecodeUnpricedLeavesOutOnlyTheQuote(t *testing.T) {
	files, err := filepath.Glob("testdata/" + typeCheckoutStarted + "*.json")
	if err != nil {
		t.Fatal(err)
	}
	priced := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		event, err := Decode(typeCheckoutStarted, data)
		if err != nil {
			t.Fatal(err)
		}
		want := event.(CheckoutStarted)
		if want.Quote != nil {
			priced++
		}
		want.Quote = nil
		if got, err := DecodeUnpriced(typeCheckoutStarted, data); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s without its quote is %#v, %v; want %#v", file, got, err, want)
		}
	}
	if priced == 0 {
		t.Error("no file has a quote")
	}
}
