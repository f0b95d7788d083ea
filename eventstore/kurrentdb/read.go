package kurrentdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/eventstore"
	"daybook/internal/pause"
)

// Pages grow while a reader goes on, because most readers want few events.
const (
	firstPage  = 64
	pageGrowth = 4
	pageEvents = 1000
	pageBytes  = 4 << 20
)

// page is what one call reads. It is read to its end before its events are yielded, so no call is
// open meanwhile.
type page struct {
	events []eventstore.Recorded
	ended  bool // no events come after these
}

// opening begins a read of at most count events.
type opening func(ctx context.Context, client *esdb.Client, count uint64) (*esdb.ReadStream, error)

// readPage makes an operation of a read.
func readPage(open opening, count int) operation[page] {
	return func(ctx context.Context, client *esdb.Client) (page, error) {
		events, err := open(ctx, client, uint64(max(count, 0)))
		if err != nil {
			return page{}, err
		}
		defer events.Close()
		var p page
		// A page may begin with an event that is already known.
		for size := 0; size < pageBytes || len(p.events) < 2; {
			event, err := events.Recv()
			if errors.Is(err, io.EOF) {
				p.ended = len(p.events) < count
				return p, nil
			}
			if err != nil {
				return page{}, err
			}
			e, err := incoming(event.OriginalEvent())
			if err != nil {
				return page{}, err
			}
			p.events = append(p.events, e)
			size += e.Size()
		}
		return p, nil
	}
}

// read gets a page. If the connection is lost, it uses another one. at is the position where
// the page begins; Start if it begins at none.
func (s *Store) read(ctx context.Context, at eventstore.Position, open opening, count int) (page, error) {
	began := time.Now()
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		p, err := call(ctx, s.supervisor, readPage(open, count))
		if err == nil || ctx.Err() != nil {
			return p, err
		}
		err = s.placeless(ctx, at, err)
		limit := patience
		if judge(err) == nowhere { // or this node has just become the leader
			limit = settling
		} else if !passes(err) {
			return p, err
		}
		if time.Since(began) > limit || errors.Is(err, errClosed) {
			return p, err
		}
		pause.For(ctx, backoff)
	}
}

// placeless makes an UnknownPlaceError if a server has refused to read from a position. The
// server's error is only the text of an exception, which could mean anything. So the server
// is asked again. It must refuse the position again, and must be able to read the end of the
// log.
func (s *Store) placeless(ctx context.Context, at eventstore.Position, err error) error {
	if at.IsStart() || at == eventstore.End || !refusesPlace(err) {
		return err
	}
	if _, again := call(ctx, s.supervisor, readPage(forwardsFrom(place(at)), 1)); !refusesPlace(again) {
		return err
	}
	end, lost := call(ctx, s.supervisor, endOfLog)
	if lost != nil {
		return err
	}
	return &eventstore.UnknownPlaceError{Position: at, Head: end, Cause: err}
}

// endOfLog is the position of the last event in the log, including the server's own events.
func endOfLog(ctx context.Context, client *esdb.Client) (eventstore.Position, error) {
	p, err := readPage(backwardsFrom(esdb.End{}), 1)(ctx, client)
	if err != nil || len(p.events) == 0 {
		return eventstore.Start, err
	}
	return p.events[0].Position, nil
}

func forwardsFrom(from esdb.AllPosition) opening {
	return func(ctx context.Context, client *esdb.Client, count uint64) (*esdb.ReadStream, error) {
		return client.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Forwards, From: from}, count)
	}
}

func backwardsFrom(from esdb.AllPosition) opening {
	return func(ctx context.Context, client *esdb.Client, count uint64) (*esdb.ReadStream, error) {
		return client.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: from}, count)
	}
}

// Head implements eventstore.Store.
func (s *Store) Head(ctx context.Context) (eventstore.Position, error) {
	head, err := s.readHead(ctx)
	if err != nil {
		return eventstore.Start, readError(ctx, "head", err)
	}
	return head, nil
}

// readHead looks for the last event that does not belong to the server.
func (s *Store) readHead(ctx context.Context) (eventstore.Position, error) {
	whole := newSelection(eventstore.Filter{})
	var from esdb.AllPosition = esdb.End{}
	for count := 1; ; count = min(count*32, pageEvents) {
		p, err := s.read(ctx, eventstore.Start, backwardsFrom(from), count)
		if err != nil {
			return eventstore.Start, err
		}
		for i := range p.events {
			if whole.selects(&p.events[i]) {
				s.head.advance(p.events[i].Position)
				return p.events[i].Position, nil
			}
			from = place(p.events[i].Position)
		}
		if p.ended {
			return eventstore.Start, nil
		}
	}
}

// ReadAll implements eventstore.Store. The client has no filter for reads, so all events are
// fetched. Subscribe uses the server's filter.
func (s *Store) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		head, err := s.Head(ctx)
		if err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		r := &reading{store: s, ctx: ctx, what: "read log", log: true, yield: yield, selection: newSelection(filter), limit: limit}
		for at := after; at.Before(head); {
			var from esdb.AllPosition = esdb.Start{}
			if !at.IsStart() {
				from = place(at)
			}
			// The page also has the event where it begins, which is already known.
			p, ok := r.page(at, forwardsFrom(from), 1)
			if !ok {
				return
			}
			for i := range p.events {
				e := &p.events[i]
				if !at.Before(e.Position) {
					continue
				}
				if head.Before(e.Position) || !r.give(e) {
					return
				}
				at = e.Position
			}
			if p.ended {
				return
			}
		}
	}
}

// ReadAllBackwards implements eventstore.Store.
func (s *Store) ReadAllBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		r := &reading{store: s, ctx: ctx, what: "read log", log: true, yield: yield, selection: newSelection(filter), limit: limit}
		for {
			var from esdb.AllPosition = esdb.End{}
			if before != eventstore.End {
				from = place(before)
			}
			p, ok := r.page(before, backwardsFrom(from), 0)
			if !ok {
				return
			}
			for i := range p.events {
				if !r.give(&p.events[i]) {
					return
				}
				before = p.events[i].Position
			}
			if p.ended {
				return
			}
		}
	}
}

// ReadStream implements eventstore.Store.
func (s *Store) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		r := &reading{store: s, ctx: ctx, what: "read stream " + stream, stream: stream, yield: yield, limit: limit}
		for at := max(from, 0); ; {
			p, ok := r.page(eventstore.Start, streamFrom(stream, esdb.Forwards, esdb.Revision(uint64(at))), 0) //nolint:gosec // not below 0
			if !ok {
				return
			}
			for i := range p.events {
				if !r.give(&p.events[i]) {
					return
				}
				at = p.events[i].Revision + 1
			}
			if p.ended {
				return
			}
		}
	}
}

// ReadStreamBackwards implements eventstore.Store.
func (s *Store) ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		r := &reading{store: s, ctx: ctx, what: "read stream " + stream, stream: stream, yield: yield, limit: limit}
		if from < 0 { // there are no such events, but the stream must exist
			r.page(eventstore.Start, streamFrom(stream, esdb.Backwards, esdb.End{}), 0)
			return
		}
		for at := from; at >= 0; {
			var begin esdb.StreamPosition = esdb.End{}
			if at < math.MaxInt64 {
				begin = esdb.Revision(uint64(at))
			}
			p, ok := r.page(eventstore.Start, streamFrom(stream, esdb.Backwards, begin), 0)
			if !ok {
				return
			}
			for i := range p.events {
				if !r.give(&p.events[i]) {
					return
				}
				at = p.events[i].Revision - 1
			}
			if p.ended {
				return
			}
		}
	}
}

func streamFrom(stream string, direction esdb.Direction, from esdb.StreamPosition) opening {
	return func(ctx context.Context, client *esdb.Client, count uint64) (*esdb.ReadStream, error) {
		return client.ReadStream(ctx, stream, esdb.ReadStreamOptions{Direction: direction, From: from}, count)
	}
}

// reading is one read, which may need several pages.
type reading struct {
	store     *Store
	ctx       context.Context
	what      string
	log       bool // the whole log is read; otherwise one stream
	stream    string
	yield     func(eventstore.Recorded, error) bool
	selection selection // used if the whole log is read
	limit     int       // 0: none
	given     int       // events yielded so far
	count     int       // events that the last page could have had
}

// page gets the next page, from a position or from Start. It asks for at most as many events as are
// still wanted, plus extra. Example: extra is 1 if the page begins with an event that was yielded
// already. If it fails, it yields the error to the consumer.
func (r *reading) page(at eventstore.Position, open opening, extra int) (page, bool) {
	if !r.log && !isName(r.stream) {
		r.fail(&eventstore.NotFoundError{Stream: r.stream})
		return page{}, false
	}
	r.count = min(max(r.count*pageGrowth, firstPage), pageEvents)
	count := r.count
	everything := !r.log || len(r.selection.filter.TypePrefixes)+len(r.selection.filter.StreamPrefixes) == 0
	if r.limit > 0 && everything {
		count = min(count, r.limit-r.given+extra)
	}
	p, err := r.store.read(r.ctx, at, open, count)
	if err == nil {
		return p, true
	}
	switch fate := judge(err); {
	case !r.log && fate == missing:
		err = &eventstore.NotFoundError{Stream: r.stream}
	case !r.log && fate == deleted:
		err = &eventstore.DeletedError{Stream: r.stream}
	default:
		err = readError(r.ctx, r.what, err)
	}
	r.fail(err)
	return page{}, false
}

func (r *reading) fail(err error) { r.yield(eventstore.Recorded{}, err) }

// give yields an event if it is selected, and tells whether to go on.
func (r *reading) give(e *eventstore.Recorded) bool {
	if r.log && !r.selection.selects(e) {
		return true
	}
	if err := r.ctx.Err(); err != nil {
		r.fail(fmt.Errorf("%s: %w", r.what, err))
		return false
	}
	if !r.yield(*e, nil) {
		return false
	}
	r.given++
	return r.given != r.limit
}

// isName tells whether a stream can have this name. If not, the server need not be asked.
func isName(stream string) bool {
	return stream != "" && eventstore.StreamNameBytes(stream) <= eventstore.MaxStreamName && utf8.ValidString(stream) && strings.IndexByte(stream, 0) < 0
}
