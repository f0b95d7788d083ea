package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/semaphore"

	"daybook/eventstore"
)

const (
	// positionSQL reads the head without a check of the log. The result is only a hint,
	// because the log may have diverged.
	positionSQL = `SELECT position FROM eventstore.head`

	// headSQL is the head and the event there. LIMIT keeps the join a look-up.
	headSQL = `SELECT h.position, e.revision, e.recorded_at, coalesce(e.given_id, e.event_id), e.stream
		FROM (` + positionSQL + ` LIMIT 1) h
		LEFT JOIN LATERAL (SELECT revision, recorded_at, given_id, event_id, stream FROM eventstore.events WHERE position = h.position LIMIT 1) e ON true WHERE ` + holdsSQL

	columnsSQL = `SELECT position, revision, recorded_at, coalesce(given_id, event_id), stream, type, data, meta FROM eventstore.events `

	logSQL = columnsSQL + `WHERE ` + holdsSQL + ` AND position > $4 AND position <= $5 ORDER BY position LIMIT $6`

	filteredSQL = columnsSQL + `WHERE ` + holdsSQL + ` AND position > $4 AND position <= $5
		AND (type ^@ ANY ($7::text[]) OR stream ^@ ANY ($8::text[])) ORDER BY position LIMIT $6`

	// Each page looks whether the stream has ended, in its own snapshot. So a tombstone is
	// never read as one of the stream's events.
	inStreamSQL = `WHERE ` + holdsSQL + ` AND stream_id = (SELECT stream_id FROM eventstore.streams WHERE stream = $4 AND NOT ended) `

	streamSQL = columnsSQL + inStreamSQL + `AND revision >= $5 ORDER BY revision LIMIT $6`

	streamBackwardsSQL = columnsSQL + inStreamSQL + `AND revision <= $5 ORDER BY revision DESC LIMIT $6`

	endedSQL = `SELECT ended FROM eventstore.streams WHERE ` + holdsSQL + ` AND stream = $4 AND revision >= 0`
)

// One page of events is read at a time. No connection is in use while its events are yielded.
const (
	firstPage    = 500
	largestPage  = 5000
	smallestPage = 16
	shortStream  = 16 // events that most streams do not exceed
	pageBytes    = 4 << 20
	// A consumer that does not go on keeps its page in memory. So only some readers may have
	// large pages at a time; the pages of all others end at smallBytes.
	largePages = 16
	smallBytes = 128 << 10
	// filteredPage is the number of events that are examined at a time. At most so many lie
	// between two marks of a subscription.
	filteredPage = 1000
)

// number is a position as the engine counts it.
func number(p eventstore.Position) uint64 {
	n, _ := p.Pair()
	return n
}

// Head implements eventstore.Store.
func (s *Store) Head(ctx context.Context) (eventstore.Position, error) {
	head, err := s.head(ctx)
	if err != nil {
		return eventstore.Start, readError(ctx, "head", err)
	}
	// So a subscription of this node has caught up only when it reaches this head.
	s.tail.prove(head)
	return eventstore.At(head), nil
}

func (s *Store) head(ctx context.Context) (head uint64, err error) {
	latest := s.latest.get()
	var e struct { // null where no event is
		revision   *int64
		recordedAt *time.Time
		id         *uuid.UUID
		stream     *string
	}
	if err = s.pool.QueryRow(ctx, headSQL, naming(latest)...).Scan(&head, &e.revision, &e.recordedAt, &e.id, &e.stream); err != nil {
		return 0, s.explain(ctx, latest, err) // wrapped by its callers, which know what was read
	}
	if e.stream != nil {
		s.latest.note(&eventstore.Recorded{
			Event: eventstore.Event{ID: *e.id}, Stream: *e.stream, Revision: *e.revision, Position: eventstore.At(head), RecordedAt: e.recordedAt.UTC(),
		})
	}
	return head, nil
}

// ReadStream implements eventstore.Store.
func (s *Store) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		if err := s.readStream(ctx, forwards, stream, max(from, 0), limit, yield); err != nil {
			yield(eventstore.Recorded{}, err)
		}
	}
}

// direction is the way a stream is read.
type direction struct {
	query string
	step  int64 // from a revision to the one that is read next
}

var (
	forwards  = direction{streamSQL, 1}
	backwards = direction{streamBackwardsSQL, -1}
)

func (s *Store) readStream(ctx context.Context, way direction, stream string, from int64, limit int, yield func(eventstore.Recorded, error) bool) error {
	if !utf8.ValidString(stream) || strings.Contains(stream, "\x00") {
		return &eventstore.NotFoundError{Stream: stream} // no stream can have this name
	}
	size := sizer{rows: firstPage, large: s.large}
	defer size.done()
	for given := 0; limit <= 0 || given < limit; {
		rows := size.rows
		if limit > 0 {
			rows = min(rows, limit-given)
		}
		page, full, err := s.readPage(ctx, &size, shortStream, way.query, stream, from, rows)
		if err != nil {
			return readError(ctx, "read stream "+stream, err)
		}
		if len(page) == 0 {
			return s.whyEmpty(ctx, stream)
		}
		for i := range page {
			if !yield(page[i], nil) {
				return nil
			}
		}
		if given += len(page); !full && len(page) < rows {
			return nil
		}
		from = page[len(page)-1].Revision + way.step
		size.adapt(len(page), full)
	}
	return nil
}

// whyEmpty explains a page without events. A read from beyond the end of a stream is no
// error. A read of a stream that has ended or does not exist is one.
func (s *Store) whyEmpty(ctx context.Context, stream string) error {
	var deleted bool
	latest := s.latest.get()
	err := s.explain(ctx, latest, s.pool.QueryRow(ctx, endedSQL, naming(latest, stream)...).Scan(&deleted))
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return &eventstore.NotFoundError{Stream: stream}
	case err != nil:
		return readError(ctx, "read stream "+stream, err)
	case deleted:
		return &eventstore.DeletedError{Stream: stream}
	}
	return nil
}

// ReadAll implements eventstore.Store.
func (s *Store) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		head, err := s.head(ctx)
		if err != nil {
			yield(eventstore.Recorded{}, readError(ctx, "read log", err))
			return
		}
		p := newPager(filter, s.large)
		defer p.done()
		for last, given := after.Whole(), 0; last < head && (limit <= 0 || given < limit); {
			page, reached, err := p.page(ctx, s, last, head, max(limit-given, 0))
			if err != nil {
				yield(eventstore.Recorded{}, readError(ctx, "read log", err))
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			last, given = reached, given+len(page)
		}
	}
}

// pager reads the log page by page.
type pager struct {
	sizer
	filtered       bool
	types, streams []string
}

func newPager(filter eventstore.Filter, large *semaphore.Weighted) *pager {
	p := &pager{sizer: sizer{rows: firstPage, large: large}, types: texts(filter.TypePrefixes), streams: texts(filter.StreamPrefixes)}
	p.filtered = len(filter.TypePrefixes)+len(filter.StreamPrefixes) > 0
	return p
}

// texts leaves out prefixes that the database would refuse to compare. No name begins with
// them.
func texts(prefixes []string) []string {
	kept := make([]string, 0, len(prefixes))
	for _, prefix := range prefixes {
		if utf8.ValidString(prefix) && !strings.Contains(prefix, "\x00") {
			kept = append(kept, prefix)
		}
	}
	return kept
}

// page returns selected events after a position and up to another one, and the position up to
// which it has read. limit 0 means as many as fit a page.
func (p *pager) page(ctx context.Context, store *Store, after, upTo uint64, limit int) (page []eventstore.Recorded, reached uint64, err error) {
	rows := p.rows
	if limit > 0 {
		rows = min(rows, limit)
	}
	var full bool
	if p.filtered {
		upTo = min(upTo, after+filteredPage)
		page, full, err = store.readPage(ctx, &p.sizer, 0, filteredSQL, after, upTo, rows, p.types, p.streams)
	} else {
		upTo = min(upTo, after+uint64(rows))
		page, full, err = store.readPage(ctx, &p.sizer, int(upTo-after), logSQL, after, upTo, rows)
	}
	if err != nil {
		return nil, after, err
	}
	if full || len(page) == rows {
		upTo = number(page[len(page)-1].Position)
	}
	if limit == 0 || full {
		p.adapt(len(page), full)
	}
	return page, upTo, nil
}

// sizer chooses how many rows to ask for. A page of small events must be worth its round
// trip, and a page of large events must fit in memory.
type sizer struct {
	rows  int
	large *semaphore.Weighted // the store's large pages
	holds bool                // this page is one of them
}

// mayGrow tells whether this page may become a large one, and takes the right to it.
func (s *sizer) mayGrow() bool {
	s.holds = s.holds || s.large.TryAcquire(1)
	return s.holds
}

// done gives the right to a large page back.
func (s *sizer) done() {
	if s.holds {
		s.holds = false
		s.large.Release(1)
	}
}

func (s *sizer) adapt(got int, full bool) {
	switch {
	case full && !s.holds: // rows that do not fit would be read for nothing
		s.rows = max(got, 1)
	case full:
		s.rows = max(got, smallestPage)
	case got == s.rows:
		s.rows = min(2*s.rows, largestPage)
	}
}

// readPage reads rows until there are no more or the page is full. It allocates memory for
// the likely number of rows.
func (s *Store) readPage(ctx context.Context, size *sizer, likely int, query string, args ...any) (page []eventstore.Recorded, full bool, err error) {
	latest := s.latest.get()
	rows, err := s.pool.Query(ctx, query, naming(latest, args...)...)
	if err != nil {
		return nil, false, s.explain(ctx, latest, err) // wrapped by readError
	}
	defer rows.Close()
	page = make([]eventstore.Recorded, 0, likely)
	names := make(map[string]string, 16)
	for bytes := 0; rows.Next(); {
		e, err := recorded(rows.RawValues(), names)
		if err != nil {
			return nil, false, err
		}
		page = append(page, e)
		if bytes += e.Size(); bytes >= pageBytes || bytes >= smallBytes && !size.mayGrow() {
			full = true
			break
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, false, s.explain(ctx, latest, err) // wrapped by readError
	}
	// The latest known event is either the page's last one or the one known before.
	if len(page) > 0 {
		s.latest.note(&page[0])
		s.latest.note(&page[len(page)-1])
	}
	return page, full, nil
}

var errRow = errors.New("a row of eventstore.events has an unknown form")

// recorded makes an event from a row in binary format. names holds type names, which are few,
// so that each is allocated once for a page.
func recorded(row [][]byte, names map[string]string) (eventstore.Recorded, error) {
	if len(row) != 8 || len(row[0]) != 8 || len(row[1]) != 8 || len(row[2]) != 8 || len(row[3]) != 16 {
		return eventstore.Recorded{}, errRow
	}
	name, ok := names[string(row[5])]
	if !ok {
		name = string(row[5])
		names[name] = name
	}
	// Data and metadata share one allocation. The capacity of data ends where meta begins, so an
	// append to data cannot overwrite meta.
	data, meta := row[6], row[7]
	both := make([]byte, len(data)+len(meta))
	copy(both, data)
	copy(both[len(data):], meta)
	e := eventstore.Recorded{
		Event:      eventstore.Event{ID: idOf(row[3]), Type: name, Data: both[:len(data):len(data)]},
		Stream:     string(row[4]),
		Revision:   int8Of(row[1]),
		Position:   eventstore.At(binary.BigEndian.Uint64(row[0])),
		RecordedAt: timestamp(row[2]),
	}
	if len(meta) > 0 {
		e.Meta = both[len(data):]
	}
	return e, nil
}

// notTheLog is the error of a subscription that starts beyond the head of this log.
func notTheLog(after eventstore.Position, head uint64) error {
	return fmt.Errorf("subscribe: %w", &eventstore.UnknownPlaceError{Position: after, Head: eventstore.At(head)})
}
