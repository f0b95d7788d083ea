package main

import (
	"time"

	"daybook/domain/unit"
	"daybook/eventstore"
)

// timeFlags bound the effective times that requests and files may give.
type timeFlags struct {
	EarliestDay string        `default:"1990-01-01" placeholder:"DAY" from:"DAYBOOK_EARLIEST_DAY" help:"The earliest day that a request may give as its effective time, 1900-01-01 or later. Default: ${default}."`
	TimeAhead   time.Duration `default:"24h" placeholder:"DURATION" from:"DAYBOOK_TIME_AHEAD" help:"How far in the future an effective time may be, at most 8760h (365 days). Default: ${default}."`
}

// maxTimeAhead is a day less than what readers of the log accept (eventstore.MostAhead). Readers
// compare an effective time with the recorded time, and the clock of the log may be behind this
// node's clock.
const maxTimeAhead = eventstore.MostAhead - 24*time.Hour

// bounds are what the flags say. They cannot be wider than what readers of the log accept.
func (f timeFlags) bounds(now time.Time) (unit.TimeBounds, error) {
	earliest, err := time.Parse(time.DateOnly, f.EarliestDay)
	if err != nil {
		return unit.TimeBounds{}, usagef("--earliest-day %q: want a day such as 1990-01-31", f.EarliestDay)
	}
	if earliest.Before(eventstore.EarliestCredible) || earliest.After(now) {
		return unit.TimeBounds{}, usagef("--earliest-day %s must be from %s to today", f.EarliestDay, eventstore.EarliestCredible.Format(time.DateOnly))
	}
	if f.TimeAhead < 0 || f.TimeAhead > maxTimeAhead {
		return unit.TimeBounds{}, usagef("--time-ahead %s must be from 0 to %s", f.TimeAhead, maxTimeAhead)
	}
	return unit.TimeBounds{Earliest: earliest, Ahead: f.TimeAhead}, nil
}
