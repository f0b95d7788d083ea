package cartview

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"daybook/domain/cart"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/projections"
)

func decode(eventType string, data []byte) (any, error) {
	if strings.HasPrefix(eventType, subject.Category+".") {
		return subject.Decode(eventType, data)
	}
	return cart.DecodeUnpriced(eventType, data)
}

// redact folds the carts of erased subjects again from the log, which has no clear text of them any
// more. It returns the records with those of these carts.
func redact(ctx context.Context, tx *projections.Tx, erasures []subject.Erased, records map[string]*record, inOrder []*record) ([]*record, error) {
	if len(erasures) == 0 {
		return inOrder, nil
	}
	gone := subject.Collect(erasures)
	ids, err := cartsOf(ctx, tx, gone)
	if err != nil {
		return nil, err
	}
	var absent []string
	for _, id := range ids {
		if records[id] == nil {
			records[id] = &record{id: id}
			inOrder, absent = append(inOrder, records[id]), append(absent, id)
		}
	}
	if err := load(ctx, tx, absent, records); err != nil {
		return nil, err
	}
	for _, r := range inOrder {
		if !r.known || !r.belongs(gone) {
			continue
		}
		if r.stored, err = foldAgain(ctx, tx, r.id); err != nil {
			return nil, err
		}
		r.changed = true
	}
	return inOrder, nil
}

// belongs tells whether a cart belongs to an erased subject, or belonged to one before and may
// still have their texts.
func (r *record) belongs(gone subject.Gone) bool {
	return gone.OwnsCart(r.Fold.CartID, r.Fold.CustomerID) ||
		slices.ContainsFunc(r.past, func(id string) bool { return gone.Names(unit.CustomerID(id)) })
}

// cartsOf returns the carts in the table that belong to erased subjects, or belonged to them
// before.
func cartsOf(ctx context.Context, tx *projections.Tx, gone subject.Gone) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT cart_id FROM carts WHERE customer_id = ANY ($1)
		UNION SELECT cart_id FROM carts WHERE past_customers <> '{}' AND past_customers && $1::text[]
		UNION SELECT cart_id FROM carts WHERE cart_id = ANY ($2) ORDER BY 1`,
		gone.Customers(), gone.Carts())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// foldAgain is what a cart folds to, as the log shows its events now.
func foldAgain(ctx context.Context, tx *projections.Tx, id string) (stored, error) {
	r := &record{id: id}
	for e, err := range tx.ReadAgain(ctx, cart.Category+"-"+id) {
		if err != nil {
			return stored{}, err
		}
		event, is := e.Value.(cart.Event)
		if _, opens := event.(cart.Opened); is && e.Follows(opens, r.known) {
			r.known = true
			r.apply(&e, event)
		}
	}
	return r.stored, nil
}
