package orderview

import (
	"context"
	"errors"
	"time"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections"
)

// History reads who did what when with an order or a return. It reads the events of the stream,
// because a table of them would be a second copy of the log.
type History struct{ Log projections.StreamReader }

// Entry is one line of a timeline: an event that changed the order or the return.
type Entry struct {
	Revision    int64
	Entry       string // what happened, in words
	Type        string // the event's wire name
	Actor       string
	Channel     string
	EffectiveAt time.Time
	RecordedAt  time.Time
	Position    string
	Facts       Facts

	event any // the event of the domain
}

// Order is the timeline of an order, the oldest entry first. last is the revision of the order's
// row, so the timeline and the row are about the same events.
func (h History) Order(ctx context.Context, id string, last int64) ([]Entry, error) {
	return timeline(ctx, h.Log, order.Stream(unit.OrderID(id)), last, func(e order.Event) (listed, begins bool, words string, facts Facts) {
		if _, claimed := e.(order.Claimed); claimed {
			return false, false, "", Facts{} // there is no order yet
		}
		_, begins = e.(order.Placed)
		return true, begins, OrderWords(e), OrderFacts(e)
	})
}

// MoneyEntry is an entry of a timeline that has changed an amount of the order.
type MoneyEntry struct {
	Entry
	Changes []order.Change
	Items   []order.ItemChange
}

// Money explains the amounts of an order.
type Money struct {
	Entries []MoneyEntry // the events that have changed one, the oldest first
	// Sums are the sums of the changes.
	Sums map[order.Term]unit.Money
	// Fold is the order that these events make. It was not placed if the stream was deleted.
	Fold order.State
}

// Money explains the amounts of an order by the events of its stream, up to a revision.
func (h History) Money(ctx context.Context, id string, last int64) (Money, error) {
	entries, err := h.Order(ctx, id, last)
	if err != nil {
		return Money{}, err
	}
	money := Money{Sums: make(map[order.Term]unit.Money)}
	for _, entry := range entries {
		event, _ := entry.event.(order.Event)
		before := money.Fold.Clone()
		money.Fold = order.Evolve(money.Fold, event)
		changes, items := order.Changes(event, before, money.Fold)
		if len(changes) == 0 && len(items) == 0 {
			continue
		}
		money.Entries = append(money.Entries, MoneyEntry{Entry: entry, Changes: changes, Items: items})
		for _, change := range changes {
			sum := money.Sums[change.Term]
			sum.Amount, sum.Currency = sum.Amount.Add(change.Amount.Amount), change.Amount.Currency
			money.Sums[change.Term] = sum
		}
	}
	return money, nil
}

// Return is the timeline of a return or a credit note, the oldest entry first. last is the revision
// of its row.
func (h History) Return(ctx context.Context, id string, last int64) ([]Entry, error) {
	return timeline(ctx, h.Log, returns.Stream(unit.ReturnID(id)), last, func(e returns.Event) (listed, begins bool, words string, facts Facts) {
		return true, beginsReturn(e), ReturnWords(e), ReturnFacts(e)
	})
}

// historyPage is how many events are read at once. Nearly all orders have fewer.
const historyPage = 1000

// describer says whether an event has an entry in the timeline, whether the order or the return
// begins with it, and what the entry says.
type describer[E any] func(E) (listed, begins bool, words string, facts Facts)

// timeline makes the entries of a stream. It leaves out the events that the view skips: those of
// other programs, those that cannot be read, and those at a place that makes no sense. The
// events of a deleted stream cannot be read, so its timeline is empty.
func timeline[E any](ctx context.Context, log projections.StreamReader, stream string, last int64, describe describer[E]) ([]Entry, error) {
	view := View()
	var entries []Entry
	for next, begun := int64(0), false; next <= last; {
		page, err := projections.ReadRevisions(ctx, log, stream, next, int(min(historyPage, last-next+1)))
		if _, deleted := errors.AsType[*eventstore.DeletedError](err); deleted {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		next += int64(len(page))
		for _, recorded := range page {
			e, err := view.Read(recorded)
			if err != nil {
				return nil, err
			}
			event, readable := e.Value.(E)
			if !readable {
				continue
			}
			listed, begins, words, facts := describe(event)
			if !listed || !e.Follows(begins, begun) {
				continue
			}
			begun = true
			entries = append(entries, Entry{
				Revision: e.Revision, Entry: words, Type: e.Type, Actor: e.Meta.Actor, Channel: e.Meta.Channel,
				EffectiveAt: e.EffectiveAt(), RecordedAt: e.RecordedAt, Position: e.Position.String(), Facts: facts, event: event,
			})
		}
	}
	return entries, nil
}
