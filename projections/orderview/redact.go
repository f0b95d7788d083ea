package orderview

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/projections"
)

// redact folds the orders and returns of erased subjects again from the log, which has no clear
// text of them any more.
func redact(ctx context.Context, tx *projections.Tx, erasures []subject.Erased, o *orders, c *returnRecords) error {
	if len(erasures) == 0 {
		return nil
	}
	gone := subject.Collect(erasures)
	if err := o.redact(ctx, tx, gone); err != nil {
		return fmt.Errorf("orders: %w", err)
	}
	if err := c.redact(ctx, tx, gone); err != nil {
		return fmt.Errorf("returns: %w", err)
	}
	return nil
}

func (o *orders) redact(ctx context.Context, tx *projections.Tx, gone subject.Gone) error {
	ids, err := idsOf(ctx, tx, `
		SELECT order_id FROM orders WHERE customer_id = ANY ($1) UNION SELECT order_id FROM orders WHERE order_id = ANY ($2) ORDER BY 1`, gone)
	if err != nil {
		return err
	}
	fresh := newOrders(time.UTC)
	for _, id := range ids {
		if o.records[id] == nil {
			r := &record{id: id}
			o.records[id], fresh.records[id] = r, r
			o.inOrder, fresh.inOrder = append(o.inOrder, r), append(fresh.inOrder, r)
		}
	}
	if err := fresh.load(ctx, tx); err != nil {
		return err
	}
	for _, r := range o.inOrder {
		if !r.present || !gone.OwnsOrder(unit.OrderID(r.id), r.Fold.CustomerID) {
			continue
		}
		again := &record{id: r.id}
		folding := &orders{records: map[string]*record{r.id: again}}
		for e, err := range tx.ReadAgain(ctx, order.Category+"-"+r.id) {
			if err != nil {
				return err
			}
			if event, is := e.Value.(order.Event); is {
				folding.apply(&e, event)
			}
		}
		r.stored, r.changed = again.stored, true
		r.changedAt, r.revision = again.changedAt, again.revision
	}
	return nil
}

func (c *returnRecords) redact(ctx context.Context, tx *projections.Tx, gone subject.Gone) error {
	ids, err := idsOf(ctx, tx, `
		SELECT return_id FROM returns WHERE customer_id = ANY ($1)
		UNION SELECT return_id FROM return_orders WHERE order_id = ANY ($2) ORDER BY 1`, gone)
	if err != nil {
		return err
	}
	fresh := newReturns()
	for _, id := range ids {
		if c.records[id] == nil {
			r := &returnRecord{id: id}
			c.records[id], fresh.records[id] = r, r
			c.inOrder, fresh.inOrder = append(c.inOrder, r), append(fresh.inOrder, r)
		}
	}
	if err := fresh.load(ctx, tx); err != nil {
		return err
	}
	for _, r := range c.inOrder {
		if !r.present || !ownsReturn(gone, r) {
			continue
		}
		again := &returnRecord{id: r.id}
		folding := &returnRecords{records: map[string]*returnRecord{r.id: again}}
		for e, err := range tx.ReadAgain(ctx, returns.Category+"-"+r.id) {
			if err != nil {
				return err
			}
			if event, is := e.Value.(returns.Event); is {
				folding.apply(&e, event)
			}
		}
		r.storedReturn, r.changed = again.storedReturn, true
		r.changedAt, r.revision = again.changedAt, again.revision
	}
	return nil
}

func ownsReturn(gone subject.Gone, r *returnRecord) bool {
	h := headerOf(r.Fold)
	return slices.ContainsFunc(append(h.orders, h.orderID), func(id string) bool { return gone.OwnsOrder(unit.OrderID(id), unit.CustomerID(h.customerID)) })
}

func idsOf(ctx context.Context, tx *projections.Tx, sql string, gone subject.Gone) ([]string, error) {
	rows, err := tx.Query(ctx, sql, gone.Customers(), gone.Orders())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// isSubject tells whether an event type is one of subjects.
func isSubject(eventType string) bool { return strings.HasPrefix(eventType, subject.Category+".") }
