package projections_test

import (
	"testing"
	"time"

	"daybook/projections"
)

// After a transaction, a view rests. A reader who waits for it ends the rest, and does not wait for
// the next one.
func TestAReaderWhoWaitsEndsTheRestOfAView(t *testing.T) {
	b := newBench(t)
	r, _ := b.run(projections.Config{Views: []projections.View{tally()}, Gap: time.Hour})
	for range 3 {
		b.wait(r, b.write("number.v1", "a", `{"n":1}`))
	}
	if total := b.one(`SELECT total::text FROM read.tally WHERE key = 'a'`); total != "3" {
		t.Errorf("the sum is %s, want 3", total)
	}
}
