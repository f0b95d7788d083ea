package postgres

import (
	"testing"
	"time"

	"daybook/internal/pgpool"
)

// The tests of silent lines have slack for a busy machine; what is configured has
// none.
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
