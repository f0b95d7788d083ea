package postgres

import (
	"testing"
	"time"

	"daybook/internal/pgpool"
)

// The tests of silent connections allow more than 15 s, because the machine may be busy. This test
// adds up the configured times, and they must not exceed 15 s.
func TestASilentLineIsConfiguredToBeNoticedIn15s(t *testing.T) {
	t.Parallel()
	const noticeMax = 15 * time.Second
	for name, longest := range map[string]time.Duration{
		"the end of the log is read again": defaultPoll + headMax + maxBackoff + headMax,
		"the listener is connected again":  heartbeat + headMax + maxBackoff + connectTime,
		"an append finds no connection":    defaultQueueWait + pingTime + connectTime,
		"an append has no answer":          defaultQueueWait + batchTime,
		"a read has no answer":             pgpool.ResponseMax,
	} {
		if longest >= noticeMax {
			t.Errorf("%s after up to %s, want less than %s", name, longest, noticeMax)
		}
	}
}
