package groups

import (
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// ack notes that a consumer has handled events.
func (g *group) ack(c *consumer, ids []uuid.UUID, now time.Time) {
	waited := false
	for _, id := range ids {
		m := c.inFlight[id]
		if m != nil {
			c.stats.handled(now.Sub(m.sentAt))
		} else if m = g.late(id); m == nil {
			continue
		}
		waited = waited || m.again
		m.again = false
		g.release(m)
		g.finish(m)
	}
	if waited { // once for all ids, because the queues may be long
		done := func(m *message) bool { return !m.again }
		g.retry, g.replayed = slices.DeleteFunc(g.retry, done), slices.DeleteFunc(g.replayed, done)
	}
	g.dispatch(now)
}

// late finds a message that a consumer may have handled although it was already taken away
// from it: another consumer has it now, or it waits for one.
func (g *group) late(id uuid.UUID) *message {
	for _, m := range g.byID[id] {
		if m.holder != nil || m.again {
			return m
		}
	}
	return nil
}

// Action is what a consumer wants done with events it could not handle.
type Action int

// The actions. Unknown leaves it to the group, which retries.
const (
	Unknown Action = iota
	Park
	Retry
	Skip
	Stop // the consumer is disconnected
)

// maxReason is how many bytes of a consumer's reason are kept, because it is stored with each
// event.
const maxReason = 1 << 10

// nack notes that a consumer could not handle events.
func (g *group) nack(c *consumer, ids []uuid.UUID, action Action, reason string, now time.Time) {
	if action == Stop {
		g.drop(c, now)
		return
	}
	reason = "Client explicitly NAK'ed message.\n" + shortened(reason)
	for _, id := range ids {
		m := c.inFlight[id]
		if m == nil {
			continue
		}
		c.stats.handled(now.Sub(m.sentAt))
		g.release(m)
		switch action {
		case Park:
			g.park(m, reason)
		case Skip:
			g.finish(m)
		default:
			g.retryOrPark(m)
		}
	}
	g.dispatch(now)
}

// shortened cuts a consumer's reason to maxReason bytes, between two runes.
func shortened(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	end := maxReason
	for end > 0 && !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end]
}

func (g *group) retryOrPark(m *message) {
	if m.retries >= g.settings.MaxRetryCount {
		g.park(m, fmt.Sprintf("Reached retry count of %d", g.settings.MaxRetryCount))
		return
	}
	m.retries++
	g.enqueue(m)
}

func (g *group) park(m *message, reason string) {
	m.parking, m.reason = true, reason
	g.parks = append(g.parks, m)
}
