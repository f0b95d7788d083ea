package unit

import (
	"fmt"
	"time"
)

// TimeBounds says which times a writer may give as the time at which something
// took effect.
type TimeBounds struct {
	Earliest time.Time     // the earliest allowed time
	Ahead    time.Duration // the latest allowed time is now + Ahead
}

// DefaultTimeBounds are from 1990 to one day from now. The day is there because clocks
// differ, and because another time zone may already have the next date.
func DefaultTimeBounds() TimeBounds {
	return TimeBounds{Earliest: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), Ahead: 24 * time.Hour}
}

// Check returns nil for a time within the bounds. Otherwise the error says what the bounds
// are.
func (b TimeBounds) Check(at, now time.Time) error {
	if latest := now.Add(b.Ahead); at.Before(b.Earliest) || at.After(latest) {
		return fmt.Errorf("%s is out of bounds: want a time from %s to %s, which is %s from now",
			at.UTC().Format(time.RFC3339), b.Earliest.UTC().Format(time.RFC3339), latest.UTC().Format(time.RFC3339), b.Ahead)
	}
	return nil
}

// MaxReservation is the longest time for which stock is reserved: a deadline is at most this
// far from now.
const MaxReservation = 366 * 24 * time.Hour
