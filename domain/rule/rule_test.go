package rule

import (
	"errors"
	"fmt"
	"testing"
)

var errShort = &Rejection{Code: "stock-insufficient", Detail: "Not enough is available."}

func TestARefusalIsKnownByItsCode(t *testing.T) {
	facts := map[string]any{"available": 3}
	got := errShort.With("3 available.", facts)
	wrapped := fmt.Errorf("line 4: %w", got)
	if !errors.Is(wrapped, errShort) {
		t.Error("a refusal with particulars is not the declared one")
	}
	if errors.Is(wrapped, &Rejection{Code: "cart-empty"}) || errors.Is(errors.New("stock-insufficient"), errShort) {
		t.Error("something else is taken for the refusal")
	}
	if got, want := got.Error(), "stock-insufficient: 3 available."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParticularsStayWithTheirCase(t *testing.T) {
	facts := map[string]any{"available": 3}
	got := errShort.With("3 available.", facts)
	facts["available"] = 4
	if got.Facts["available"] != 3 {
		t.Error("the facts changed afterwards")
	}
	if errShort.Facts != nil || errShort.Detail != "Not enough is available." {
		t.Error("the declared refusal was changed")
	}
}
