package groups

import (
	"bytes"
	"hash/fnv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/eventstore"
)

// linkType is the type of an event that points to another: its data is
// revision@stream.
const linkType = "$>"

// dispatch gives waiting messages to consumers that have free slots.
func (g *group) dispatch(now time.Time) {
	free := 0
	for _, c := range g.consumers {
		free += c.free()
	}
	for _, queue := range []*[]*message{&g.retry, &g.replayed, &g.buffer} {
		*queue, free = g.handOut(*queue, free, now)
	}
}

// handOut gives the messages of a queue to consumers and returns the rest, in order. If a
// message is pinned to a consumer that is busy, it waits, and the messages behind it do not.
func (g *group) handOut(queue []*message, free int, now time.Time) (rest []*message, left int) {
	kept, at := 0, 0
	for ; at < len(queue) && free > 0; at++ {
		m := queue[at]
		if c := g.choose(m); c != nil {
			g.send(c, m, now)
			free--
			continue
		}
		queue[kept] = m
		kept++
	}
	copy(queue[at-kept:at], queue[:kept])
	clear(queue[:at-kept])
	return queue[at-kept:], free
}

// choose picks the consumer for a message by the group's strategy. It returns nil if that
// consumer has no free slot.
func (g *group) choose(m *message) *consumer {
	switch g.settings.Strategy {
	case Pinned, PinnedByCorrelation:
		if c := g.pinnedTo(m.pin); c.takes(m) {
			return c
		}
		return nil
	case RoundRobin:
		for range g.consumers {
			c := g.consumers[g.nextConsumer%len(g.consumers)]
			if g.nextConsumer++; c.takes(m) {
				return c
			}
		}
		return nil
	default:
		for _, c := range g.consumers {
			if c.takes(m) {
				return c
			}
		}
		return nil
	}
}

// pinnedTo is the consumer with the highest weight for a key (rendezvous hashing). If a
// consumer comes or goes, only that consumer's keys move.
func (g *group) pinnedTo(key uint64) *consumer {
	var best *consumer
	var most uint64
	for _, c := range g.consumers {
		if weight := mix(key ^ c.salt); best == nil || weight > most {
			best, most = c, weight
		}
	}
	return best
}

// mix spreads the bits of a number (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (g *group) send(c *consumer, m *message, now time.Time) {
	m.holder, m.sentAt, m.again = c, now, false
	c.inFlight[m.Original.ID] = m
	c.stats.total++
	g.stats.total++
	if g.settings.MessageTimeout > 0 {
		m.deadline = now.Add(max(g.settings.MessageTimeout, minTimeout))
		m.sent = g.sent.PushBack(m)
	}
	g.out = append(g.out, effect{to: c, delivery: Delivery{Event: m.Event, Retries: m.retries}})
}

// pin is the hash of the key by which a message is pinned.
func pin(strategy Strategy, e Event) uint64 {
	var key string
	switch strategy {
	case Pinned:
		key = streamOf(e)
	case PinnedByCorrelation:
		if key = correlationOf(e); key == "" {
			key = streamOf(e)
		}
	default:
		return 0
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(key)) // never fails
	return hash.Sum64()
}

// streamOf is the stream an event belongs to; of a link, the one it points to.
func streamOf(e Event) string {
	if e.Resolved != nil {
		return e.Resolved.Stream
	}
	if e.Original.Type == linkType {
		if _, stream, ok := strings.Cut(string(eventstore.Unwrap(e.Original.Event).Data), "@"); ok {
			return stream
		}
	}
	return e.Original.Stream
}

// correlationOf is the correlation id in an event's metadata, or nothing.
func correlationOf(e Event) string {
	recorded := e.Original
	if e.Resolved != nil {
		recorded = e.Resolved
	}
	meta := eventstore.Unwrap(recorded.Event).Meta
	if !bytes.Contains(meta, []byte(`"$correlationId"`)) {
		return ""
	}
	var parsed struct {
		Correlation string `json:"$correlationId"`
	}
	if err := json.Unmarshal(meta, &parsed); err != nil {
		return "" // a foreign writer's metadata has another form
	}
	return parsed.Correlation
}
