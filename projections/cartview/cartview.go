// Package cartview is the read model of carts: what customers want to buy, and what their last
// checkout could not get.
//
// A cart that became an order shows no lines, because the order has them.
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
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/projections"
	"daybook/projections/table"
)

//go:embed schema.sql
var tables string

//go:embed indexes.sql
var indexes string

// View returns the view, for the runner.
func View() projections.View {
	return projections.View{
		Name:     "carts",
		Version:  7,                                        // 7 added the customers that it had before
		Setting:  "fold " + strconv.Itoa(cart.FoldVersion), // rows hold the aggregate's fold
		Claims:   []string{cart.Category + ".", subject.Category + "."},
		Tables:   tables,
		Columns:  map[string][]string{carts.Name(): carts.Names()},
		Indexes:  indexes,
		Metadata: true,
		Belongs:  projections.OfItsKind,
		Decode:   decode,
		Apply:    apply,
	}
}

// stored is the document in carts.state.
type stored struct {
	Fold      cart.State      `json:"fold"`
	Shortages []cart.Shortage `json:"shortages,omitempty"` // of the last checkout
	Dropped   []int           `json:"dropped,omitempty"`   // lines that the last checkout left out
	Reason    string          `json:"reason,omitempty"`    // why the cart was abandoned
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
	past       []string // customers that it had before and does not have now; sorted
	known      bool     // there is, or will be, a row
	changed    bool     // an event of this batch changed it

	// The columns are computed from these when the batch is stored.
	document []byte
	units    unit.Quantity
	total    decimal.Decimal
}

func apply(ctx context.Context, tx *projections.Tx, batch []projections.Event) (err error) {
	records := make(map[string]*record)
	var inOrder []*record
	var absent []string
	var erasures []subject.Erased
	for i := range batch {
		id := cartID(batch[i].Stream)
		if _, ofCart := batch[i].Value.(cart.Event); !ofCart || records[id] != nil {
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
		if erased, is := e.Value.(subject.Erased); is {
			erasures = append(erasures, erased)
			continue
		}
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
	if inOrder, err = redact(ctx, tx, erasures, records, inOrder); err != nil {
		return fmt.Errorf("redact carts: %w", err)
	}
	inOrder = slices.DeleteFunc(inOrder, func(r *record) bool { return !r.changed })
	if err := store(tx, inOrder); err != nil {
		return fmt.Errorf("store carts: %w", err)
	}
	return nil
}

func cartID(stream string) string { return strings.TrimPrefix(stream, cart.Category+"-") }

func load(ctx context.Context, tx *projections.Tx, ids []string, into map[string]*record) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT `+carts.Only("cart_id", "state", "channel", "opened_at", "changed_at", "recorded_at", "revision", "past_customers")+` FROM carts WHERE cart_id = ANY ($1)`, ids)
	if err != nil {
		return err
	}
	var id, channel string
	var state []byte
	var openedAt, changedAt, recordedAt time.Time
	var revision int64
	var past []string
	_, err = pgx.ForEachRow(rows, []any{&id, &state, &channel, &openedAt, &changedAt, &recordedAt, &revision, &past}, func() error {
		r := into[id]
		r.channel, r.openedAt, r.known = channel, openedAt, true
		r.changedAt, r.recordedAt, r.revision, r.past = changedAt, recordedAt, revision, slices.Clone(past)
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
		if event.Asked != nil { // no CheckoutStarted came before it
			r.Dropped = nil
		}
	case cart.CheckedOut:
		r.Shortages, r.Dropped = event.Shortages, event.Dropped
	case cart.Abandoned:
		r.Reason = event.Reason
	case cart.CustomerChanged:
		r.past = pastCustomers(r.past, string(r.Fold.CustomerID), string(event.CustomerID))
	case cart.Expired, cart.LineAdded, cart.QuantityChanged, cart.LineRemoved, cart.CountryChanged, cart.DetailsSet, cart.CouponAdded, cart.CouponRemoved, cart.ShippingChosen, cart.DiscountGiven, cart.DiscountWithdrawn, cart.TaxStatusSet,
		cart.MergedInto, cart.MergeRefused, cart.MergedFrom, cart.MergeDeclined:
	}
	r.Fold = cart.Evolve(r.Fold, event)
	r.changedAt, r.recordedAt, r.revision = at, e.RecordedAt, e.Revision
}

// pastCustomers are the customers that a cart had before, after it got another one. A guest is
// none.
func pastCustomers(past []string, before, now string) []string {
	past = slices.DeleteFunc(append(slices.Clone(past), before), func(id string) bool { return id == "" || id == now })
	slices.Sort(past)
	return slices.Compact(past)
}

var carts = table.New("carts",
	table.Key("cart_id", table.Text, func(r *record) string { return r.id }),
	table.Set("phase", table.Text, func(r *record) string { return string(r.Fold.Phase) }),
	table.Set("customer_id", table.Text, func(r *record) string { return string(r.Fold.CustomerID) }),
	table.Fixed("currency", table.Text, func(r *record) string { return string(r.Fold.Currency) }),
	table.Set("country", table.Text, func(r *record) string { return projections.Key(r.Fold.Country) }),
	table.Fixed("channel", table.Text, func(r *record) string { return r.channel }),
	table.Set("order_id", table.Text, func(r *record) string { return string(r.Fold.OrderID) }),
	table.Set("merged_into", table.Text, func(r *record) string { return string(r.Fold.MergeTarget()) }),
	table.Set("past_customers", table.Texts, func(r *record) []string { return append([]string{}, r.past...) }),
	table.Set("line_count", table.Small, func(r *record) int32 { return int32(len(r.Fold.Lines)) }), //nolint:gosec // a cart has few lines
	table.Set("units", table.Number, func(r *record) int64 { return int64(r.units) }),
	table.Set("total", table.Amount, func(r *record) decimal.Decimal { return r.total }),
	table.Set("short", table.Flag, func(r *record) bool { return len(r.Shortages) > 0 }),
	table.Fixed("opened_at", table.Time, func(r *record) time.Time { return r.openedAt }),
	table.Set("changed_at", table.Time, func(r *record) time.Time { return r.changedAt }),
	table.Set("recorded_at", table.Time, func(r *record) time.Time { return r.recordedAt }),
	table.Set("revision", table.Number, func(r *record) int64 { return r.revision }),
	table.Set("state", table.Document, func(r *record) []byte { return r.document }),
)

var upsertCarts = carts.Upsert()

func store(tx *projections.Tx, records []*record) (err error) {
	slices.SortFunc(records, func(a, b *record) int { return strings.Compare(a.id, b.id) })
	for _, r := range records {
		if r.document, err = json.Marshal(r.stored); err != nil {
			return fmt.Errorf("encode cart %s: %w", r.id, err)
		}
		for _, l := range r.Fold.Lines {
			r.units, r.total = r.units+l.Quantity, r.total.Add(l.Total().Amount)
		}
	}
	upsertCarts.Queue(tx.Writes(), records)
	return nil
}
