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
)

// event is a recorded event, decoded.
type event struct {
	eventstore.Recorded
	value any // of one of the domain's event types; nil for a stream of someone else's
	meta  eventstore.Metadata
	at    time.Time // effective
}

func decode(recorded eventstore.Recorded) (e event, err error) {
	e.Recorded = recorded
	category, _, named := strings.Cut(recorded.Stream, "-")
	if !named {
		return e, nil // "order" is no order
	}
	switch category {
	case product.Category:
		e.value, err = product.Decode(recorded.Type, recorded.Data)
	case cart.Category:
		e.value, err = cart.Decode(recorded.Type, recorded.Data)
	case order.Category:
		e.value, err = order.Decode(recorded.Type, recorded.Data)
	case returns.Category:
		e.value, err = returns.Decode(recorded.Type, recorded.Data)
	case stock.Category:
		e.value, err = stock.Decode(recorded.Type, recorded.Data)
	default:
		return e, nil
	}
	if err == nil {
		e.meta, err = eventstore.DecodeMetadata(recorded.Meta)
	}
	if err != nil {
		return e, fmt.Errorf("stream %s, revision %d: %w", eventstore.Visible(recorded.Stream), recorded.Revision, err)
	}
	e.at = e.meta.EffectiveAt(recorded.RecordedAt)
	e.Data, e.Meta = nil, nil // who keeps a piece of the event must not keep these
	return e, nil
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
	chunksAhead = 16 // read or decoded before they are wanted
)

func (c *chunk) decode() {
	defer close(c.done)
	c.events = make([]event, 0, len(c.recorded))
	for _, recorded := range c.recorded {
		e, err := decode(recorded)
		if err != nil {
			c.err = err
			return
		}
		c.events = append(c.events, e)
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
	c := next()
	for recorded, err := range store.ReadAll(ctx, eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			c.err = fmt.Errorf("read the log: %w", err)
			break
		}
		if c.recorded = append(c.recorded, recorded); len(c.recorded) == chunkEvents {
			if !give(c) {
				return
			}
			c = next()
		}
	}
	give(c)
}
