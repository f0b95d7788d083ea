package kurrentdb

import (
	"testing"
	"time"
)

// The tests of silent connections allow more than 15 s, because the machine may be busy. This test
// adds up the configured times, and they must not exceed 15 s.
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
