package eventstore_test

import (
	"slices"
	"testing"

	"daybook/eventstore"
)

func TestPositionTextRoundTrip(t *testing.T) {
	for position, text := range map[eventstore.Position]string{
		eventstore.Start:                      "0",
		eventstore.At(1):                      "1",
		eventstore.At(1<<64 - 1):              "18446744073709551615",
		eventstore.AtPair(123, 120):           "123/120",
		eventstore.AtPair(1<<64-1, 1<<64-1-1): "18446744073709551615/18446744073709551614",
	} {
		if got := position.String(); got != text {
			t.Errorf("text %q, want %q", got, text)
		}
		got, err := eventstore.ParsePosition(text)
		if err != nil || got != position {
			t.Errorf("%q is read as %v (error %v), want %v", text, got, err, position)
		}
	}
	for _, text := range []string{"", "x", "-1", "1/", "/1", "1/2/3", "1.0", " 1", "18446744073709551616"} {
		if got, err := eventstore.ParsePosition(text); err == nil {
			t.Errorf("%q is read as %v, want an error", text, got)
		}
		kept := eventstore.At(7)
		if err := kept.UnmarshalText([]byte(text)); err == nil || kept != eventstore.At(7) {
			t.Errorf("%q changed a position to %v (error %v)", text, kept, err)
		}
	}
}

func TestPositionsAreOrdered(t *testing.T) {
	inOrder := []eventstore.Position{
		eventstore.Start, eventstore.AtPair(1, 0), eventstore.At(1), eventstore.At(2),
		eventstore.AtPair(10, 3), eventstore.AtPair(10, 9), eventstore.At(10), eventstore.At(1 << 63),
	}
	if !slices.IsSortedFunc(inOrder, eventstore.Position.Compare) {
		t.Error("positions do not compare in order")
	}
	for i, p := range inOrder {
		for j, other := range inOrder {
			if got, want := p.Before(other), i < j; got != want {
				t.Errorf("%s before %s: %t, want %t", p, other, got, want)
			}
		}
	}
}
