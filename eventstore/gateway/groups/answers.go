package groups

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// ack takes that a consumer is done with events.
func (g *group) ack(c *consumer, ids []uuid.UUID, now time.Time) {
	for _, id := range ids {
		m := c.inFlight[id]
		if m != nil {
			c.stats.handled(now.Sub(m.sentAt))
		} else if m = g.late(id); m == nil {
			continue
		}
		g.release(m)
		g.finish(m)
	}
	g.dispatch(now)
}

// late finds a message that a consumer may be done with after it was taken from
// it: with another consumer, or waiting for one.
func (g *group) late(id uuid.UUID) *message {
	for _, c := range g.consumers {
		if m := c.inFlight[id]; m != nil {
			return m
		}
	}
	for _, queue := range []*[]*message{&g.retry, &g.replayed} {
		for at, m := range *queue {
			if m.Original.ID == id {
				*queue = slices.Delete(*queue, at, at+1)
				return m
			}
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
	Stop // the consumer is dropped
)

// nack takes that a consumer could not handle events.
func (g *group) nack(c *consumer, ids []uuid.UUID, action Action, reason string, now time.Time) {
	if action == Stop {
		g.drop(c, now)
		return
	}
	for _, id := range ids {
		m := c.inFlight[id]
		if m == nil {
			continue
		}
		c.stats.handled(now.Sub(m.sentAt))
		g.release(m)
		switch action {
		case Park:
			g.park(m, "Client explicitly NAK'ed message.\n"+reason)
		case Skip:
			g.finish(m)
		default:
			g.retryOrPark(m)
		}
	}
	g.dispatch(now)
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
