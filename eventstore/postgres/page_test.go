package postgres

import (
	"testing"

	"golang.org/x/sync/semaphore"
)

// If no large page is free, a query does not ask for more rows than fit into a small page.
func TestASmallPageAsksForWhatFits(t *testing.T) {
	size := sizer{rows: firstPage, large: semaphore.NewWeighted(0)}
	size.adapt(1, true)
	if size.rows != 1 {
		t.Errorf("%d rows after a page that one filled, want 1", size.rows)
	}
	size.adapt(1, false)
	if size.rows != 2 {
		t.Errorf("%d rows after a page with room, want 2", size.rows)
	}
	size.large = semaphore.NewWeighted(1)
	if size.adapt(1, size.mayGrow()); size.rows != smallestPage {
		t.Errorf("%d rows for a large page, want %d", size.rows, smallestPage)
	}
}
