package importer

import (
	"context"
	"slices"
	"sync"

	"daybook/domain/unit"
)

// tickets lets invoices run at the same time, with the same result as one after the other.
//
// Each invoice takes a place in the line of every SKU that it changes, in the order of the
// file. It waits until its turn has come in all its lines. In the line of one SKU, its turn
// comes when
//
//   - it is first in line, because everything before it is decided; or
//   - enough units are left for this invoice and everyone before it. Then none of them can be
//     short of this SKU, in whatever order they ask stock. Example: 10 units are left, and the
//     first three want 2, 3 and 4. All three may run at once.
//
// The units that are left are counted here, and never more than stock has. When it is decided
// what an invoice takes, it leaves its lines (release). The rest of its work goes on outside
// the lines, until finish.
type tickets struct {
	mu     sync.Mutex
	queues map[unit.SKU]*queue
	// additions tells whether goods that a cancellation brings back are added to the units that are
	// left. They must not be added if an earlier run may have brought them back already.
	additions bool
}

type queue struct {
	left    unit.Quantity // at least this much is available to the invoices in line
	line    []place
	turns   int           // how many places at the front have their turn
	claimed unit.Quantity // what the places with a turn want together
	going   int           // invoices that are released and not finished
}

// place is an invoice's place in the line of one SKU.
type place struct {
	ticket *ticket
	change unit.Quantity // how the units that are left change if all of the invoice is accepted
}

func (p place) wants() unit.Quantity { return max(0, -p.change) }

// ticket is one invoice's places in all its lines.
type ticket struct {
	all     *tickets
	changes map[unit.SKU]unit.Quantity
	// alone means that the invoice also waits until all invoices before it are finished,
	// unless enough units are left anyway. An adjustment needs this, because it is checked
	// against what is on hand, and parcels that are not shipped yet are still on hand.
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

// take gives an invoice its places. Call it in the order of the invoices.
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

// advance gives the turn to each place whose turn has come. It never takes a turn back,
// because an invoice never takes more than it wanted, so more units are left for the later
// ones.
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

// took returns how many units of a SKU an invoice took. Goods that came back count as
// negative.
type took func(unit.SKU) unit.Quantity

func tookNothing(unit.SKU) unit.Quantity { return 0 }

// releaseAll releases the ticket of an invoice that has taken everything it wanted, or brought back
// everything it brings.
func (t *ticket) releaseAll() {
	t.release(func(sku unit.SKU) unit.Quantity { return -t.changes[sku] })
}

// release notes what an invoice took, and takes it out of its lines, so that the next invoices
// get their turn. Only the first call counts.
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

// finish notes that the invoice changes no stock any more. If it was not released before, it
// took nothing.
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
