// Package cartview is the read model of carts: what customers mean to buy, and
// what their last checkout could not get.
//
// A cart that became an order shows no lines any more: the order has them.
package cartview

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/projections"
)

//go:embed schema.sql
var tables string

//go:embed indexes.sql
var indexes string

// View is the read model, to be given to the runner.
func View() projections.View {
	return projections.View{
		Name:     "carts",
		Version:  3,                                        // what other programs wrote is skipped
		Setting:  "fold " + strconv.Itoa(cart.FoldVersion), // rows hold the aggregate's fold
		Claims:   []string{cart.Category + "."},
		Tables:   tables,
		Indexes:  indexes,
		Metadata: true,
		Belongs:  projections.OfItsKind,
		Decode: func(eventType string, data []byte) (any, error) {
			return cart.Decode(eventType, data)
		},
		Apply: apply,
	}
}

// stored is the document in carts.state.
type stored struct {
	Fold      cart.State      `json:"fold"`
	Shortages []cart.Shortage `json:"shortages,omitempty"` // of the last checkout
	Dropped   []int           `json:"dropped,omitempty"`   // lines it left out
	Reason    string          `json:"reason,omitempty"`    // for which the cart was abandoned
}

// record is one cart while a batch is folded into it.
type record struct {
	stored
	id         string
	channel    string
	openedAt   time.Time
	changedAt  time.Time
	recordedAt time.Time
	revision   int64
	known      bool // there is, or will be, a row
	changed    bool // by an event of this batch
}

func apply(ctx context.Context, tx pgx.Tx, batch []projections.Event) error {
	records := make(map[string]*record)
	var inOrder []*record
	var absent []string
	for i := range batch {
		id := cartID(batch[i].Stream)
		if records[id] != nil {
			continue
		}
		r := &record{id: id}
		if batch[i].Revision > 0 {
			absent = append(absent, id)
		}
		records[id] = r
		inOrder = append(inOrder, r)
	}
	if err := load(ctx, tx, absent, records); err != nil {
		return fmt.Errorf("load carts: %w", err)
	}
	for i := range batch {
		e := &batch[i]
		event, ok := e.Value.(cart.Event)
		if !ok {
			return fmt.Errorf("event %s at %s: not of a cart", e.Type, e.Position)
		}
		r := records[cartID(e.Stream)]
		if _, opens := event.(cart.Opened); !e.Follows(opens, r.known) {
			continue
		}
		r.known, r.changed = true, true
		r.apply(e, event)
	}
	inOrder = slices.DeleteFunc(inOrder, func(r *record) bool { return !r.changed })
	if err := store(ctx, tx, inOrder); err != nil {
		return fmt.Errorf("store carts: %w", err)
	}
	return nil
}

func cartID(stream string) string { return strings.TrimPrefix(stream, cart.Category+"-") }

func load(ctx context.Context, tx pgx.Tx, ids []string, into map[string]*record) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT cart_id, state, channel, opened_at FROM carts WHERE cart_id = ANY ($1)`, ids)
	if err != nil {
		return err
	}
	var id, channel string
	var state []byte
	var openedAt time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &state, &channel, &openedAt}, func() error {
		r := into[id]
		r.channel, r.openedAt, r.known = channel, openedAt, true
		return json.Unmarshal(state, &r.stored)
	})
	return err
}

func (r *record) apply(e *projections.Event, event cart.Event) {
	at := e.EffectiveAt()
	switch event := event.(type) {
	case cart.Opened:
		r.channel, r.openedAt = e.Meta.Channel, at
	case cart.CheckoutStarted:
		r.Shortages, r.Dropped = nil, nil
	case cart.CheckoutRefused:
		r.Shortages = event.Shortages
	case cart.CheckedOut:
		r.Shortages, r.Dropped = event.Shortages, event.Dropped
	case cart.Abandoned:
		r.Reason = event.Reason
	case cart.Expired, cart.LineAdded, cart.QuantityChanged, cart.LineRemoved:
	}
	r.Fold = cart.Evolve(r.Fold, event)
	r.changedAt, r.recordedAt, r.revision = at, e.RecordedAt, e.Revision
}

const upsertCarts = `INSERT INTO carts (cart_id, phase, customer_id, currency, country, channel, order_id, line_count, units, total, short,
		opened_at, changed_at, recorded_at, revision, state)
	SELECT cart_id, phase, customer_id, currency, country, channel, order_id, line_count, units, total::numeric, short,
		opened_at, changed_at, recorded_at, revision, state::json
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[], $9::bigint[], $10::text[], $11::boolean[],
		$12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::bigint[], $16::text[])
		AS n(cart_id, phase, customer_id, currency, country, channel, order_id, line_count, units, total, short,
			opened_at, changed_at, recorded_at, revision, state)
	ON CONFLICT (cart_id) DO UPDATE SET phase = excluded.phase, order_id = excluded.order_id, line_count = excluded.line_count,
		units = excluded.units, total = excluded.total, short = excluded.short, changed_at = excluded.changed_at,
		recorded_at = excluded.recorded_at, revision = excluded.revision, state = excluded.state`

func store(ctx context.Context, tx pgx.Tx, records []*record) error {
	if len(records) == 0 {
		return nil
	}
	slices.SortFunc(records, func(a, b *record) int { return strings.Compare(a.id, b.id) })
	var ids, phases, customers, currencies, countries, channels, orders, totals, states []string
	var counts []int32
	var units, revisions []int64
	var short []bool
	var opened, changed, recorded []time.Time
	for _, r := range records {
		state, err := json.Marshal(r.stored)
		if err != nil {
			return fmt.Errorf("encode cart %s: %w", r.id, err)
		}
		var sum unit.Quantity
		var total decimal.Decimal
		for _, l := range r.Fold.Lines {
			sum, total = sum+l.Quantity, total.Add(l.Total().Amount)
		}
		f := r.Fold
		ids, phases, customers = append(ids, r.id), append(phases, string(f.Phase)), append(customers, string(f.CustomerID))
		currencies, countries, channels = append(currencies, string(f.Currency)), append(countries, projections.Key(f.Country)), append(channels, r.channel)
		orders, counts, units = append(orders, string(f.OrderID)), append(counts, int32(len(r.Fold.Lines))), append(units, int64(sum))
		totals, short, states = append(totals, total.String()), append(short, len(r.Shortages) > 0), append(states, string(state))
		opened, changed, recorded = append(opened, r.openedAt), append(changed, r.changedAt), append(recorded, r.recordedAt)
		revisions = append(revisions, r.revision)
	}
	_, err := tx.Exec(ctx, upsertCarts, ids, phases, customers, currencies, countries, channels, orders, counts, units, totals, short,
		opened, changed, recorded, revisions, states)
	return err
}
