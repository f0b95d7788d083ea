package cartview

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"daybook/domain/cart"
	"daybook/domain/subject"
	"daybook/projections"
)

func decode(eventType string, data []byte) (any, error) {
	if strings.HasPrefix(eventType, subject.Category+".") {
		return subject.Decode(eventType, data)
	}
	return cart.Decode(eventType, data)
}

// redact folds the carts of erased subjects again from the log, which has no clear text of them any
// more. It returns the records with those of these carts.
func redact(ctx context.Context, tx *projections.Tx, erasures []subject.Erased, records map[string]*record, inOrder []*record) ([]*record, error) {
	for _, erased := range erasures {
		ids, err := cartsOf(ctx, tx, erased)
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
			if !r.known || !belongs(r, erased) {
				continue
			}
			if r.stored, err = foldAgain(ctx, tx, r.id); err != nil {
				return nil, err
			}
			r.changed = true
		}
	}
	return inOrder, nil
}

// belongs tells whether a cart belongs to an erased subject, or belonged to them and may still have
// their texts.
func belongs(r *record, erased subject.Erased) bool {
	if id := erased.CustomerID; id != "" && (r.Fold.CustomerID == id || slices.Contains(r.past, string(id))) {
		return true
	}
	if r.Fold.CustomerID != "" {
		return false
	}
	for _, owner := range erased.Owners() {
		if r.Fold.CartID.Owner() == owner {
			return true
		}
	}
	return false
}

// cartsOf returns the carts in the table that belong to an erased subject.
func cartsOf(ctx context.Context, tx *projections.Tx, erased subject.Erased) ([]string, error) {
	var guests []string
	for _, owner := range erased.Owners() {
		if id, is := strings.CutPrefix(string(owner), "cart:"); is {
			guests = append(guests, id)
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT cart_id FROM carts WHERE customer_id = $1 AND customer_id <> ''
		UNION SELECT cart_id FROM carts WHERE past_customers <> '{}' AND past_customers @> ARRAY[$1] UNION SELECT cart_id FROM carts WHERE cart_id = ANY ($2) ORDER BY 1`,
		string(erased.CustomerID), guests)
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
