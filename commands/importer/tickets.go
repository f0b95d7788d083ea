package importer

import (
	"context"
	"sync"

	"daybook/domain/unit"
)

// tickets keep the order of invoices per SKU while they run side by side. Each
// invoice takes a ticket on every SKU it touches, in file order, and may begin
// when it is first in all its lines. It releases its tickets once what it does
// to availability is decided, and is then finished apart from them.
type tickets struct {
	mu     sync.Mutex
	queues map[unit.SKU]*queue
}

type queue struct {
	waiting []*ticket // the first has its turn
	going   int       // released, not finished
}

// ticket is one invoice's place in the lines of its SKUs.
type ticket struct {
	all  *tickets
	skus []unit.SKU // each once
	// alone means that the invoice also waits until those before it are
	// finished: it looks at what is on hand, not only at what is promised.
	alone    bool
	waits    int // SKUs whose turn has not come
	turn     chan struct{}
	released bool
	finished bool
}

func newTickets() *tickets { return &tickets{queues: map[unit.SKU]*queue{}} }

// take is called in the order of the invoices.
func (t *tickets) take(skus []unit.SKU, alone bool) *ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := &ticket{all: t, skus: skus, alone: alone, turn: make(chan struct{})}
	for _, sku := range skus {
		q := t.queues[sku]
		if q == nil {
			q = &queue{}
			t.queues[sku] = q
		}
		q.waiting = append(q.waiting, taken)
		if len(q.waiting) > 1 || alone && q.going > 0 {
			taken.waits++
		}
	}
	if taken.waits == 0 {
		close(taken.turn)
	}
	return taken
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

// release lets the next invoices have their turn.
func (t *ticket) release() {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.releaseLocked()
}

func (t *ticket) releaseLocked() {
	if t.released {
		return
	}
	t.released = true
	for _, sku := range t.skus {
		q := t.all.queues[sku]
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		q.going++
		if len(q.waiting) > 0 && !q.waiting[0].alone {
			q.waiting[0].oneLess()
		}
	}
}

// finish tells that the invoice is done with stock altogether.
func (t *ticket) finish() {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.releaseLocked()
	if t.finished {
		return
	}
	t.finished = true
	for _, sku := range t.skus {
		q := t.all.queues[sku]
		q.going--
		switch {
		case q.going == 0 && len(q.waiting) == 0:
			delete(t.all.queues, sku)
		case q.going == 0 && q.waiting[0].alone:
			q.waiting[0].oneLess()
		}
	}
}

func (t *ticket) oneLess() {
	if t.waits--; t.waits == 0 {
		close(t.turn)
	}
}
