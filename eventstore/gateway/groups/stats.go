package groups

import (
	"slices"
	"time"
)

// measured is how many latencies of a consumer are kept.
const measured = 1000

// stats counts the events that a consumer was given. Averages are over the time between two
// requests for the statistics, as the protocol requires.
type stats struct {
	total     int64
	lastTotal int64
	lastLook  time.Time
	latencies []time.Duration // the latest, in a ring
	next      int             // in the ring
}

func newStats(now time.Time) stats { return stats{lastLook: now} }

// handled notes how long a message took.
func (s *stats) handled(took time.Duration) {
	if len(s.latencies) < measured {
		s.latencies = append(s.latencies, took)
		return
	}
	s.latencies[s.next] = took
	s.next = (s.next + 1) % measured
}

// rates returns how many events there were since the last request for the statistics, and how many
// that is for each second.
func (s *stats) rates(now time.Time) (since int64, perSecond int) {
	since = s.total - s.lastTotal
	if passed := now.Sub(s.lastLook); passed > 0 {
		perSecond = int(float64(since) / passed.Seconds())
	}
	s.lastTotal, s.lastLook = s.total, now
	return since, perSecond
}

// Measurement is a figure about how long a consumer takes, in milliseconds.
type Measurement struct {
	Key   string
	Value int64
}

// measurements are the figures that the protocol's tools know.
func (s *stats) measurements() []Measurement {
	if len(s.latencies) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(s.latencies))
	var sum time.Duration
	for _, took := range sorted {
		sum += took
	}
	at := func(percent float64) int64 {
		return sorted[min(int(percent/100*float64(len(sorted))), len(sorted)-1)].Milliseconds()
	}
	return []Measurement{
		{"Mean", (sum / time.Duration(len(sorted))).Milliseconds()},
		{"Median", at(50)},
		{"Fastest", at(0)},
		{"Quintile 1", at(0)},
		{"Quintile 2", at(20)},
		{"Quintile 3", at(40)},
		{"Quintile 4", at(60)},
		{"Quintile 5", at(80)},
		{"90%", at(90)},
		{"95%", at(95)},
		{"99%", at(99)},
		{"99.5%", at(99.5)},
		{"99.9%", at(99.9)},
		{"Highest", at(100)},
	}
}
