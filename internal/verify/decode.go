package verify

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync"
	"time"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/eventstore"
	"daybook/projections"
)

// event is a recorded event, decoded.
type event struct {
	eventstore.Recorded
	value any // of one of the domain's event types; nil where it is not
	meta  eventstore.Metadata
	at    time.Time // effective
	// unread is why an event of the domain has no value. bounded says what of it
	// was beyond all bounds, and so is read as the nearest value within.
	unread, bounded string
	foreign         bool // its stream has no name of the shop's
}

// decode reads an event as the views do: within the same bounds, which are all
// that the two have in common.
func decode(recorded eventstore.Recorded) (e event) {
	e.Recorded = recorded
	defer func() { e.Data, e.Meta = nil, nil }() // who keeps a piece of the event must not keep these
	category, id, _ := strings.Cut(recorded.Stream, "-")
	read, known := decoders[category]
	if id == "" || !known {
		e.foreign = true // "order" is no order, and "order-" is none either
		return e
	}
	value, err := decodeWith(read, recorded)
	switch {
	case e.isTombstone():
		e.unread = "the stream was ended for good"
		return e
	case !projections.OfItsKind(recorded.Type, recorded.Stream):
		e.unread = "its type is of another kind than its stream"
		return e
	case err != nil:
		e.unread = err.Error()
		return e
	}
	e.value, e.bounded = projections.Bounded(value)
	var odd string
	if e.meta, odd = projections.ReadMetadata(recorded); odd != "" {
		e.bounded = odd
	}
	e.at = e.meta.EffectiveAt(recorded.RecordedAt)
	return e
}

// decoders read the events of each category of streams.
var decoders = map[string]func(eventType string, data []byte) (any, error){
	product.Category: func(t string, data []byte) (any, error) { return product.Decode(t, data) },
	cart.Category:    func(t string, data []byte) (any, error) { return cart.Decode(t, data) },
	order.Category:   func(t string, data []byte) (any, error) { return order.Decode(t, data) },
	returns.Category: func(t string, data []byte) (any, error) { return returns.Decode(t, data) },
	stock.Category:   func(t string, data []byte) (any, error) { return stock.Decode(t, data) },
}

func decodeWith(read func(string, []byte) (any, error), recorded eventstore.Recorded) (value any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("cannot be read: %v", cause)
		}
	}()
	return eventstore.Decode(&recorded, read)
}

// chunk is some events that are decoded together.
type chunk struct {
	recorded []eventstore.Recorded
	events   []event
	err      error // after the events
	done     chan struct{}
}

const (
	chunkEvents = 256
	chunkBytes  = 1 << 20 // a chunk ends when it has come to so many
	chunksAhead = 16      // read or decoded before they are wanted
)

func (c *chunk) decode() {
	defer close(c.done)
	c.events = make([]event, 0, len(c.recorded))
	for _, recorded := range c.recorded {
		c.events = append(c.events, decode(recorded))
	}
}

// decoded yields the log's events in order. It reads ahead and decodes on all
// processors: decoding is most of the work.
func decoded(ctx context.Context, store eventstore.Store) iter.Seq2[*event, error] {
	return func(yield func(*event, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		work, inOrder := make(chan *chunk, chunksAhead), make(chan *chunk, chunksAhead)
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		running.Go(func() {
			defer close(inOrder)
			defer close(work)
			readChunks(ctx, store, func(c *chunk) bool {
				for _, to := range []chan<- *chunk{inOrder, work} {
					select {
					case to <- c:
					case <-ctx.Done():
						return false
					}
				}
				return true
			})
		})
		for range runtime.GOMAXPROCS(0) {
			running.Go(func() {
				for c := range work {
					c.decode()
				}
			})
		}
		for c := range inOrder {
			select {
			case <-c.done:
			case <-ctx.Done():
				yield(nil, context.Cause(ctx))
				return
			}
			for i := range c.events {
				if !yield(&c.events[i], nil) {
					return
				}
			}
			if c.err != nil {
				yield(nil, c.err)
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// readChunks gives out the log in chunks. An error of the log is a chunk's last.
func readChunks(ctx context.Context, store eventstore.Store, give func(*chunk) bool) {
	next := func() *chunk {
		return &chunk{recorded: make([]eventstore.Recorded, 0, chunkEvents), done: make(chan struct{})}
	}
	c, bytes := next(), 0
	for recorded, err := range store.ReadAll(ctx, eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			c.err = fmt.Errorf("read the log: %w", err)
			break
		}
		c.recorded, bytes = append(c.recorded, recorded), bytes+recorded.Size()
		if len(c.recorded) == chunkEvents || bytes >= chunkBytes {
			if !give(c) {
				return
			}
			c, bytes = next(), 0
		}
	}
	give(c)
}
