package groups

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Connection describes a consumer, for those who look at the group's state.
type Connection struct {
	From     string // network address
	Username string
	Name     string
}

// Consumer is one end of a connection to a group. Its methods are safe for
// concurrent use.
type Consumer struct {
	of  *running
	is  *consumer
	who Connection

	mu      sync.Mutex
	waiting []Delivery // at most as many as the consumer has slots
	over    error
	filled  chan struct{}
}

func (c *Consumer) put(d Delivery) {
	c.mu.Lock()
	c.waiting = append(c.waiting, d)
	c.mu.Unlock()
	signal(c.filled)
}

// recall takes back an event that Next has not returned yet. So the waiting events are always
// a part of those in flight.
func (c *Consumer) recall(at Place) {
	c.mu.Lock()
	c.waiting = slices.DeleteFunc(c.waiting, func(d Delivery) bool { return d.Place == at })
	c.mu.Unlock()
}

func (c *Consumer) end(why error) {
	c.mu.Lock()
	c.over = why
	c.mu.Unlock()
	signal(c.filled)
}

// Next waits for events. It fails with *DroppedError, *NotLeaderError or ErrNotReady when the
// group no longer serves this consumer.
func (c *Consumer) Next(ctx context.Context) ([]Delivery, error) {
	for {
		c.mu.Lock()
		deliveries, over := c.waiting, c.over
		c.waiting = nil
		c.mu.Unlock()
		switch {
		case over != nil:
			return nil, over
		case len(deliveries) > 0:
			return deliveries, nil
		}
		if err := waitFor(ctx, c.filled, time.Time{}); err != nil {
			return nil, err
		}
	}
}

// Ack says that the consumer has handled events.
func (c *Consumer) Ack(ids []uuid.UUID) {
	c.of.with(func(g *group, now time.Time) { g.ack(c.is, ids, now) })
}

// Nack says that the consumer could not handle events.
func (c *Consumer) Nack(ids []uuid.UUID, action Action, reason string) {
	c.of.with(func(g *group, now time.Time) { g.nack(c.is, ids, action, reason, now) })
}

// Close ends the connection. Events that the consumer has not handled go to others.
func (c *Consumer) Close() {
	c.of.mu.Lock()
	delete(c.of.consumerEnds, c.is)
	c.of.mu.Unlock()
	c.of.with(func(g *group, now time.Time) { g.disconnect(c.is, now) })
}
