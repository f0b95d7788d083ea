package postgres

import (
	"context"
	"iter"

	"daybook/eventstore"
)

const (
	logBackwardsSQL = columnsSQL + `WHERE ` + holdsSQL + ` AND position >= $4 AND position < $5 ORDER BY position DESC LIMIT $6`

	filteredBackwardsSQL = columnsSQL + `WHERE ` + holdsSQL + ` AND position >= $4 AND position < $5
		AND (type ^@ ANY ($7::text[]) OR stream ^@ ANY ($8::text[])) ORDER BY position DESC LIMIT $6`

	// largestWindow is the largest number of events that one query examines if a filter selects
	// few of them. It is larger than filteredPage, because a read has no marks to send. It has a
	// limit, so that a query ends soon after the reader's context.
	largestWindow = 64 * filteredPage
)

// ReadStreamBackwards implements eventstore.Store.
func (s *Store) ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		if err := s.readStream(ctx, backwards, stream, from, limit, yield); err != nil {
			yield(eventstore.Recorded{}, err)
		}
	}
}

// ReadAllBackwards implements eventstore.Store.
func (s *Store) ReadAllBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		head, err := s.head(ctx)
		if err != nil {
			yield(eventstore.Recorded{}, readError(ctx, "read log", err))
			return
		}
		p := backwardsPager{pager: newPager(filter, s.large), window: filteredPage}
		defer p.done()
		for next, given := min(number(before), head+1), 0; next > 1 && (limit <= 0 || given < limit); {
			page, reached, err := p.page(ctx, s, next, max(limit-given, 0))
			if err != nil {
				yield(eventstore.Recorded{}, readError(ctx, "read log", err))
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			next, given = reached, given+len(page)
		}
	}
}

// backwardsPager reads the log page by page, the latest first.
type backwardsPager struct {
	*pager
	window uint64 // events examined by the next query with a filter
}

// page returns selected events before a position, which is above 1, and the position down to
// which it has read. limit 0 means as many as fit a page.
func (p *backwardsPager) page(ctx context.Context, store *Store, before uint64, limit int) (page []eventstore.Recorded, reached uint64, err error) {
	rows := p.rows
	if limit > 0 {
		rows = min(rows, limit)
	}
	var full bool
	if p.filtered {
		reached = before - min(p.window, before-1)
		page, full, err = store.readPage(ctx, &p.sizer, 0, filteredBackwardsSQL, reached, before, rows, p.types, p.streams)
	} else {
		reached = before - min(uint64(rows), before-1)
		page, full, err = store.readPage(ctx, &p.sizer, int(before-reached), logBackwardsSQL, reached, before, rows)
	}
	if err != nil {
		return nil, before, err
	}
	if full || len(page) == rows {
		reached = number(page[len(page)-1].Position)
	} else {
		p.window = min(2*p.window, largestWindow)
	}
	if limit == 0 || full {
		p.adapt(len(page), full)
	}
	return page, reached, nil
}
