package importer

import (
	"context"
	"slices"
	"sync"

	"daybook/domain/unit"
)

// tickets let invoices run side by side with the result of one after the other.
//
// Each invoice takes a ticket on every SKU it touches, in file order. It may
// begin once its turn has come for all of them. For one SKU that is so when
//
//   - it is first in line: everything before it is decided; or
//   - what is left covers what everyone in line up to and including it wants:
//     then none of them can be short of this SKU, in whatever order they ask.
//
// What is left is counted here, never above what stock would say. When an
// invoice's effect is decided it releases its tickets, and is then finished
// apart from them.
type tickets struct {
	mu     sync.Mutex
	queues map[unit.SKU]*queue
	// additions tells whether goods that come back count as left. They must not
	// where they may have come back in an earlier run already.
	additions bool
}

type queue struct {
	left    unit.Quantity // at least that much is available to those in line
	line    []place
	turns   int           // the places at the front whose turn has come
	claimed unit.Quantity // what those want
	going   int           // released, not finished
}

// place is an invoice's place in the line of one SKU.
type place struct {
	ticket *ticket
	change unit.Quantity // of what is left, if all of the invoice is taken
}

func (p place) wants() unit.Quantity { return max(0, -p.change) }

// ticket is one invoice's places in all its lines.
type ticket struct {
	all     *tickets
	changes map[unit.SKU]unit.Quantity
	// alone means that the invoice, unless it cannot be short, also waits until
	// those before it are finished: it looks at what is on hand, not only at
	// what is promised.
	alone    bool
	waits    int // SKUs for which the turn has not come
	turn     chan struct{}
	released bool
	finished bool
}

func newTickets(left map[unit.SKU]unit.Quantity, additions bool) *tickets {
	t := &tickets{queues: make(map[unit.SKU]*queue, len(left)), additions: additions}
	for sku, quantity := range left {
		t.queues[sku] = &queue{left: max(0, quantity)}
	}
	return t
}

// take is called in the order of the invoices.
func (t *tickets) take(changes map[unit.SKU]unit.Quantity, alone bool) *ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := &ticket{all: t, changes: changes, alone: alone, turn: make(chan struct{}), waits: len(changes)}
	if taken.waits == 0 {
		close(taken.turn)
	}
	for sku, change := range changes {
		q := t.queues[sku]
		if q == nil {
			q = &queue{}
			t.queues[sku] = q
		}
		q.line = append(q.line, place{ticket: taken, change: change})
		q.advance()
	}
	return taken
}

// advance gives the turn to everyone for whom it has come. It never takes one
// back: those behind can only gain by what those before them do.
func (q *queue) advance() {
	for q.turns < len(q.line) {
		next := q.line[q.turns]
		covered := q.left >= q.claimed+next.wants()
		first := q.turns == 0 && (!next.ticket.alone || q.going == 0)
		if !covered && !first {
			return
		}
		q.turns++
		q.claimed += next.wants()
		if next.ticket.waits--; next.ticket.waits == 0 {
			close(next.ticket.turn)
		}
	}
}

// leave takes an invoice out of the line.
func (q *queue) leave(t *ticket) {
	at := slices.IndexFunc(q.line, func(p place) bool { return p.ticket == t })
	if at < q.turns {
		q.turns--
		q.claimed -= q.line[at].wants()
	}
	q.line = slices.Delete(q.line, at, at+1)
}

// wait returns when the invoice has its turn for all its SKUs.
func (t *ticket) wait(ctx context.Context) error {
	select {
	case <-t.turn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// took tells how much of a SKU an invoice took.
type took func(unit.SKU) unit.Quantity

func tookNothing(unit.SKU) unit.Quantity { return 0 }

// releaseAll says that all the invoice wanted is taken, or all it brings is back.
func (t *ticket) releaseAll() {
	t.release(func(sku unit.SKU) unit.Quantity { return -t.changes[sku] })
}

// release says what was taken, and lets the next have their turn. Only the first
// time counts.
func (t *ticket) release(took took) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.releaseLocked(took)
}

func (t *ticket) releaseLocked(took took) {
	if t.released {
		return
	}
	t.released = true
	for sku := range t.changes {
		q := t.all.queues[sku]
		q.leave(t)
		if taken := took(sku); taken > 0 || t.all.additions {
			q.left = max(0, q.left-taken)
		}
		q.going++
		q.advance()
	}
}

// finish tells that the invoice is done with stock altogether; if it was not
// released, it took nothing.
func (t *ticket) finish() {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.releaseLocked(tookNothing)
	if t.finished {
		return
	}
	t.finished = true
	for sku := range t.changes {
		q := t.all.queues[sku]
		q.going--
		q.advance()
	}
}
