package ratelimit

import (
	"fmt"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// A name may take the allowance of ten seconds at once, and after that only as much as fills up.
// Other names are not affected.
func TestAnAllowanceFillsUp(t *testing.T) {
	t.Parallel()
	limiter := New(2, 10*time.Second)
	for i := range 20 {
		if wait := limiter.Take("ann", noon); wait != 0 {
			t.Fatalf("request %d waits %s", i, wait)
		}
	}
	for range 3 { // what is refused takes nothing
		if asked, wait := limiter.Wait("ann", noon), limiter.Take("ann", noon); wait != 500*time.Millisecond || asked != wait {
			t.Errorf("a request over the limit waits %s, and was told %s, want 500ms", wait, asked)
		}
	}
	if wait := limiter.Take("bob", noon); wait != 0 {
		t.Errorf("another name waits %s", wait)
	}
	for range 30 { // who only asks takes nothing
		if wait := limiter.Wait("bob", noon) + limiter.Wait("eve", noon); wait != 0 {
			t.Errorf("names that have some left would wait %s", wait)
		}
	}
	if len(limiter.byName) != 2 {
		t.Errorf("%d names are remembered, want only those that took something", len(limiter.byName))
	}
	later := noon.Add(500 * time.Millisecond)
	if first, second := limiter.Take("ann", later), limiter.Take("ann", later); first != 0 || second == 0 {
		t.Errorf("half a second later: %s, %s; want one request", first, second)
	}
	if slow := New(0.01, 10*time.Second); slow.Take("ann", noon) != 0 || slow.Take("ann", noon) != 100*time.Second {
		t.Error("less than one in ten seconds is not one at once")
	}
}

// However many names there are, the memory is bounded, and the names used last keep their count.
func TestFewNamesAreRemembered(t *testing.T) {
	t.Parallel()
	limiter := New(0.1, 10*time.Second)
	limiter.most = 3
	for i := range 100 {
		limiter.Take(fmt.Sprint(i), noon)
		limiter.Take("ann", noon)
	}
	if len(limiter.byName) != 3 || limiter.order.Len() != 3 {
		t.Errorf("%d names are remembered, in a list of %d", len(limiter.byName), limiter.order.Len())
	}
	if limiter.Take("ann", noon) == 0 {
		t.Error("a name that is used all the time was forgotten")
	}
	if limiter.Take("0", noon) != 0 {
		t.Error("a name that was used long ago is remembered")
	}
}

func TestNoLimit(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []float64{0, -1} {
		limiter := New(perSecond, 10*time.Second)
		for range 1000 {
			if wait := limiter.Take("ann", noon); wait != 0 || limiter.PerSecond() != 0 {
				t.Fatalf("with %f per second, a request waits %s", perSecond, wait)
			}
		}
	}
}
