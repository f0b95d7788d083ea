package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/projections"
)

func compareCarts(ctx context.Context, b *Book, from build) ([]*Check, error) {
	carts, err := compareTable(ctx, from, "carts", b.Carts, &cartRow{})
	if err != nil {
		return nil, err
	}
	return []*Check{carts}, nil
}

type cartRow struct {
	id, phase, customer, currency, country, channel, order, merged string
	lineCount                                                      int
	units, revision                                                int64
	total                                                          decimal.Decimal
	short                                                          bool
	openedAt, changedAt, recordedAt                                time.Time
	past                                                           []string
	state                                                          []byte
}

func (r *cartRow) columns() []column[*Cart] {
	return []column[*Cart]{
		keyColumn[*Cart]("cart_id", &r.id),
		equals("phase", &r.phase, func(c *Cart) string { return string(c.Phase) }),
		equals("customer_id", &r.customer, func(c *Cart) string { return string(c.CustomerID) }),
		equals("currency", &r.currency, func(c *Cart) string { return string(c.Currency) }),
		equals("country", &r.country, func(c *Cart) string { return projections.Key(c.Country) }),
		equals("channel", &r.channel, func(c *Cart) string { return c.channel }),
		equals("order_id", &r.order, func(c *Cart) string { return string(c.OrderID) }),
		equals("merged_into", &r.merged, func(c *Cart) string { return string(c.MergeTarget()) }),
		equals("past_customers", &r.past, func(c *Cart) []string { return c.before() }),
		equals("line_count", &r.lineCount, func(c *Cart) int { return len(c.Lines) }),
		equals("units", &r.units, func(c *Cart) (sum int64) {
			for _, l := range c.Lines {
				sum += int64(l.Quantity)
			}
			return sum
		}),
		equals("total", &r.total, func(c *Cart) (sum decimal.Decimal) {
			for _, l := range c.Lines {
				sum = sum.Add(times(l.Price, l.Quantity))
			}
			return sum
		}),
		equals("short", &r.short, func(c *Cart) bool { return len(c.shortages) > 0 }),
		equals("opened_at", &r.openedAt, func(c *Cart) time.Time { return c.openedAt }),
		equals("changed_at", &r.changedAt, func(c *Cart) time.Time { return c.changedAt }),
		equals("recorded_at", &r.recordedAt, func(c *Cart) time.Time { return c.last.recordedAt }),
		equals("revision", &r.revision, func(c *Cart) int64 { return c.last.revision }),
		comparedBy("state", &r.state, r.compareState),
	}
}

func (r *cartRow) key() unit.CartID { return unit.CartID(r.id) }

func (r *cartRow) compareState(c *Cart, d *rowDifference) {
	var got map[string]jsontext.Value
	if err := json.Unmarshal(r.state, &got); err != nil {
		d.columns = append(d.columns, fmt.Sprintf("state cannot be read: %v", err))
		return
	}
	text, err := json.Marshal(struct {
		Fold      cart.State      `json:"fold"`
		Shortages []cart.Shortage `json:"shortages,omitempty"`
		Dropped   []int           `json:"dropped,omitempty"`
		Reason    string          `json:"reason,omitempty"`
	}{c.State, c.shortages, c.dropped, c.reason}, json.Deterministic(true))
	var want map[string]jsontext.Value
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		d.columns = append(d.columns, fmt.Sprintf("state cannot be written: %v", err))
		return
	}
	for _, name := range sorted(want) {
		d.document("state."+name, got[name], want[name])
	}
	d.column("state", len(got), len(want))
}
