package groups

import (
	"slices"
	"time"
)

// measured bounds the latencies kept of a consumer.
const measured = 1000

// stats counts what a consumer was given. Averages are over the time between
// two looks, as the protocol has it.
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

// look returns the count since the last look, and what that is per second.
func (s *stats) look(now time.Time) (since int64, perSecond int) {
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

// measurements are the figures the protocol's tools know.
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

// ConsumerInfo is how a consumer of a group does.
type ConsumerInfo struct {
	Connection
	Total        int64 // events given to it
	SinceLook    int64 // of these, since the last look
	PerSecond    int   // on average since the last look
	FreeSlots    int
	InFlight     int
	Measurements []Measurement // if the settings ask for extra statistics
}

// Info is how a group does.
type Info struct {
	Definition
	Status       string
	Consumers    []ConsumerInfo
	Total        int64 // events handed out
	SinceLook    int64 // of these, since the last look
	PerSecond    int   // on average since the last look
	Checkpoint   Place // None: no checkpoint yet
	Last         Place // of the source's last event, None if it has none
	ReadBuffer   int   // events that wait, read behind the head
	LiveBuffer   int   // events that wait, read at the head
	RetryBuffer  int   // events that wait to be handed out again
	InFlight     int   // events that consumers work on
	Outstanding  int   // events not handled: those in flight and those being parked
	ParkedEvents int64
}
