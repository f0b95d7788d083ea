package kurrentdb

import (
	"testing"
	"time"
)

// The tests of silent lines have slack for a busy machine; what is configured has
// none.
func TestASilentLineIsConfiguredToBeNoticedIn15s(t *testing.T) {
	t.Parallel()
	const noticeMax = 15 * time.Second
	for name, longest := range map[string]time.Duration{
		"the connection is made again":    pulseEvery + proveMax + probeTimeout + maxBackoff + connectMax,
		"a stuck subscription is renewed": pulseEvery + 2*proveMax,
		"a call has no connection":        defaultWait,
		"a call has no answer":            defaultTimeout,
	} {
		if longest >= noticeMax {
			t.Errorf("%s after up to %s, want less than %s", name, longest, noticeMax)
		}
	}
}
