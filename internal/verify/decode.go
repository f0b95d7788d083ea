package verify

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync"
	"time"

	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/money/coupon"
	"daybook/domain/money/entity"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/staff"
	"daybook/domain/stock"
	"daybook/domain/subject"
	"daybook/eventstore"
	"daybook/projections"
)

// event is a recorded event, decoded.
type event struct {
	eventstore.Recorded
	value any // one of the domain's event types, or nil if the event is not one
	meta  eventstore.Metadata
	at    time.Time // effective time
	// unreadable says why an event in one of the shop's streams has no value. outOfBounds
	// says what in it was out of bounds and is read as the nearest value within bounds.
	unreadable, outOfBounds string
	foreign                 bool // its stream's name is none of the shop's
}

// decode decodes an event. It uses the same bounds as the views, because a value out of
// bounds would otherwise be a difference in each row. It shares no other code with them.
func decode(recorded eventstore.Recorded) (e event) {
	e.Recorded = recorded
	defer func() { e.Data, e.Meta = nil, nil }() // if a part of the event is kept, it must not keep these in memory
	category, id, _ := strings.Cut(recorded.Stream, "-")
	read, known := decoders[category]
	if id == "" || !known {
		e.foreign = true // for example "order" or "order-", which have no id
		return e
	}
	value, err := decodeWith(read, recorded)
	switch {
	case e.isTombstone():
		e.unreadable = "the stream was ended for good"
		return e
	case !projections.OfItsKind(recorded.Type, recorded.Stream):
		e.unreadable = "its type is of another kind than its stream"
		return e
	case err != nil:
		e.unreadable = err.Error()
		return e
	}
	e.value, e.outOfBounds = projections.Bounded(value)
	var odd string
	if e.meta, odd = projections.ReadMetadata(recorded); odd != "" {
		e.outOfBounds = odd
	}
	e.at = e.meta.EffectiveAt(recorded.RecordedAt)
	return e
}

// decoders are the functions that decode events, by the category of their stream.
var decoders = map[string]func(eventType string, data []byte) (any, error){
	product.Category:           func(t string, data []byte) (any, error) { return product.Decode(t, data) },
	cart.Category:              func(t string, data []byte) (any, error) { return cart.Decode(t, data) },
	order.Category:             func(t string, data []byte) (any, error) { return order.Decode(t, data) },
	returns.Category:           func(t string, data []byte) (any, error) { return returns.Decode(t, data) },
	access.Category:            func(t string, data []byte) (any, error) { return access.Decode(t, data) },
	customer.Category:          func(t string, data []byte) (any, error) { return customer.Decode(t, data) },
	staff.Category:             func(t string, data []byte) (any, error) { return staff.Decode(t, data) },
	staff.LoginCategory:        func(t string, data []byte) (any, error) { return staff.DecodeLogin(t, data) },
	stock.Category:             func(t string, data []byte) (any, error) { return stock.Decode(t, data) },
	subject.Category:           func(t string, data []byte) (any, error) { return subject.Decode(t, data) },
	pricelist.Category:         func(t string, data []byte) (any, error) { return pricelist.Decode(t, data) },
	shipping.Category:          func(t string, data []byte) (any, error) { return shipping.Decode(t, data) },
	entity.Category:            func(t string, data []byte) (any, error) { return entity.Decode(t, data) },
	promotion.Category:         func(t string, data []byte) (any, error) { return promotion.Decode(t, data) },
	promotion.CustomerCategory: func(t string, data []byte) (any, error) { return promotion.DecodeCustomer(t, data) },
	coupon.Category:            func(t string, data []byte) (any, error) { return coupon.Decode(t, data) },
	payment.Category:           func(t string, data []byte) (any, error) { return payment.Decode(t, data) },
	giftcard.Category:          func(t string, data []byte) (any, error) { return giftcard.Decode(t, data) },
}

func decodeWith(read func(string, []byte) (any, error), recorded eventstore.Recorded) (value any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("cannot be read: %v", cause)
		}
	}()
	return eventstore.Decode(&recorded, read)
}

// chunk is a run of the log's events. One goroutine decodes all of them.
type chunk struct {
	recorded []eventstore.Recorded
	events   []event
	err      error // the log could not be read after these events
	done     chan struct{}
}

const (
	chunkEvents = 256
	chunkBytes  = 1 << 20 // a chunk ends when its events have this size
	chunksAhead = 16      // how many chunks are read or decoded ahead
)

func (c *chunk) decode() {
	defer close(c.done)
	c.events = make([]event, 0, len(c.recorded))
	for _, recorded := range c.recorded {
		c.events = append(c.events, decode(recorded))
	}
}

// decoded yields the log's events in order. It reads ahead, and it decodes on all processors
// because decoding is most of the work.
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

// readChunks calls give with each chunk of the log. If the log cannot be read further, the
// last chunk has the error.
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
