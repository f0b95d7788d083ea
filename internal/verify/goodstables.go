package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/product"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/projections"
)

func compareStock(ctx context.Context, b *Book, from source) ([]*Check, error) {
	holds, allocated := map[reservationKey]hold{}, map[allocationKey]int64{}
	for key, shelf := range b.Stock {
		for id, h := range shelf.holds {
			holds[reservationKey{key, string(id)}] = h
		}
		for id, q := range shelf.allocated {
			allocated[allocationKey{key, string(id)}] = int64(q)
		}
	}
	items, err := compareTable(ctx, from, "stock_items", itemColumns, b.Stock, &itemRow{})
	if err != nil {
		return nil, err
	}
	reservations, err := compareTable(ctx, from, "stock_reservations",
		"sku, location, reservation_id, order_id, quantity, expires_at, reserved_at", holds, &reservationRow{})
	if err != nil {
		return nil, err
	}
	allocations, err := compareTable(ctx, from, "stock_allocations", "sku, location, order_id, quantity", allocated, &allocationRow{})
	if err != nil {
		return nil, err
	}
	return []*Check{items, reservations, allocations}, nil
}

const itemColumns = `sku, location, on_hand, reserved, allocated, damaged, quality_control, other_unavailable,
	safety_stock, backorder_limit, reorder_point, reorder_crossed_at, changed_at, revision`

type itemRow struct {
	sku, location                                                             string
	onHand, reserved, allocated, damaged, qualityControl, other, safety, back int64
	reorder, revision                                                         int64
	crossedAt                                                                 *time.Time
	changedAt                                                                 time.Time
}

func (r *itemRow) into() []any {
	return []any{
		&r.sku, &r.location, &r.onHand, &r.reserved, &r.allocated, &r.damaged, &r.qualityControl, &r.other,
		&r.safety, &r.back, &r.reorder, &r.crossedAt, &r.changedAt, &r.revision,
	}
}

func (r *itemRow) key() stock.Key {
	return stock.Key{SKU: unit.SKU(r.sku), Location: unit.LocationID(r.location)}
}

// compare takes the quantities that were added up here. What is reserved counts
// all reservations without a recorded end.
func (r *itemRow) compare(s *StockLevel, d *deviation) {
	d.column("on_hand", r.onHand, int64(s.onHand))
	d.column("reserved", r.reserved, int64(s.held))
	d.column("allocated", r.allocated, int64(s.promised))
	d.column("damaged", r.damaged, int64(s.unavailable[stock.Damaged]))
	d.column("quality_control", r.qualityControl, int64(s.unavailable[stock.QualityControl]))
	d.column("other_unavailable", r.other, int64(s.unavailable[stock.OtherCondition]))
	d.column("safety_stock", r.safety, int64(s.policy.SafetyStock))
	d.column("backorder_limit", r.back, int64(s.policy.BackorderLimit))
	d.column("reorder_point", r.reorder, int64(s.policy.ReorderPoint))
	d.column("reorder_crossed_at", r.crossedAt, s.crossedAt)
	d.column("changed_at", r.changedAt, s.end.recordedAt)
	d.column("revision", r.revision, s.end.revision)
}

type reservationKey struct {
	stock.Key
	id string
}

func (k reservationKey) String() string {
	return fmt.Sprintf("reservation %s of %s@%s", k.id, k.SKU, k.Location)
}

type reservationRow struct {
	sku, location, id, order string
	quantity                 int64
	expiresAt, reservedAt    time.Time
}

func (r *reservationRow) into() []any {
	return []any{&r.sku, &r.location, &r.id, &r.order, &r.quantity, &r.expiresAt, &r.reservedAt}
}

func (r *reservationRow) key() reservationKey {
	return reservationKey{stock.Key{SKU: unit.SKU(r.sku), Location: unit.LocationID(r.location)}, r.id}
}

func (r *reservationRow) compare(h hold, d *deviation) {
	d.column("order_id", r.order, string(h.order))
	d.column("quantity", r.quantity, int64(h.quantity))
	d.column("expires_at", r.expiresAt, h.expiresAt)
	d.column("reserved_at", r.reservedAt, h.reservedAt)
}

type allocationKey struct {
	stock.Key
	order string
}

func (k allocationKey) String() string {
	return fmt.Sprintf("%s@%s for order %s", k.SKU, k.Location, k.order)
}

type allocationRow struct {
	sku, location, order string
	quantity             int64
}

func (r *allocationRow) into() []any { return []any{&r.sku, &r.location, &r.order, &r.quantity} }

func (r *allocationRow) key() allocationKey {
	return allocationKey{stock.Key{SKU: unit.SKU(r.sku), Location: unit.LocationID(r.location)}, r.order}
}

func (r *allocationRow) compare(quantity int64, d *deviation) {
	d.column("quantity", r.quantity, quantity)
}

func compareProducts(ctx context.Context, b *Book, from source) ([]*Check, error) {
	prices := map[priceKey]decimal.Decimal{}
	for sku, p := range b.Products {
		for currency, price := range p.Prices {
			prices[priceKey{string(sku), string(currency)}] = price.Amount
		}
	}
	products, err := compareTable(ctx, from, "products", "sku, title, kind, retired, listed_at, changed_at, revision", b.Products, &productRow{})
	if err != nil {
		return nil, err
	}
	priced, err := compareTable(ctx, from, "product_prices", "sku, currency, price", prices, &priceRow{})
	if err != nil {
		return nil, err
	}
	return []*Check{products, priced}, nil
}

type productRow struct {
	sku, title, kind    string
	retired             bool
	listedAt, changedAt time.Time
	revision            int64
}

func (r *productRow) into() []any {
	return []any{&r.sku, &r.title, &r.kind, &r.retired, &r.listedAt, &r.changedAt, &r.revision}
}

func (r *productRow) key() unit.SKU { return unit.SKU(r.sku) }

func (r *productRow) compare(p *Product, d *deviation) {
	d.column("title", r.title, p.Title)
	d.column("kind", r.kind, string(p.Kind))
	d.column("retired", r.retired, p.Phase == product.OffSale)
	d.column("listed_at", r.listedAt, p.listedAt)
	d.column("changed_at", r.changedAt, p.end.recordedAt)
	d.column("revision", r.revision, p.end.revision)
}

type priceKey struct{ sku, currency string }

func (k priceKey) String() string { return k.sku + " in " + k.currency }

type priceRow struct {
	priceKey priceKey
	price    decimal.Decimal
}

func (r *priceRow) into() []any   { return []any{&r.priceKey.sku, &r.priceKey.currency, &r.price} }
func (r *priceRow) key() priceKey { return r.priceKey }
func (r *priceRow) compare(price decimal.Decimal, d *deviation) {
	d.column("price", r.price, price)
}

func compareCarts(ctx context.Context, b *Book, from source) ([]*Check, error) {
	carts, err := compareTable(ctx, from, "carts", cartColumns, b.Carts, &cartRow{})
	if err != nil {
		return nil, err
	}
	return []*Check{carts}, nil
}

const cartColumns = `cart_id, phase, customer_id, currency, country, channel, order_id, line_count, units, total, short,
	opened_at, changed_at, recorded_at, revision, state`

type cartRow struct {
	id, phase, customer, currency, country, channel, order string
	lineCount                                              int
	units, revision                                        int64
	total                                                  decimal.Decimal
	short                                                  bool
	openedAt, changedAt, recordedAt                        time.Time
	state                                                  []byte
}

func (r *cartRow) into() []any {
	return []any{
		&r.id, &r.phase, &r.customer, &r.currency, &r.country, &r.channel, &r.order, &r.lineCount, &r.units, &r.total, &r.short,
		&r.openedAt, &r.changedAt, &r.recordedAt, &r.revision, &r.state,
	}
}

func (r *cartRow) key() unit.CartID { return unit.CartID(r.id) }

func (r *cartRow) compare(c *Cart, d *deviation) {
	units, total := int64(0), decimal.Zero
	for _, l := range c.Lines {
		units += int64(l.Quantity)
		total = total.Add(times(l.Price, l.Quantity))
	}
	d.column("phase", r.phase, string(c.Phase))
	d.column("customer_id", r.customer, string(c.CustomerID))
	d.column("currency", r.currency, string(c.Currency))
	d.column("country", r.country, projections.Key(c.Country))
	d.column("channel", r.channel, c.channel)
	d.column("order_id", r.order, string(c.OrderID))
	d.column("line_count", r.lineCount, len(c.Lines))
	d.column("units", r.units, units)
	d.column("total", r.total, total)
	d.column("short", r.short, len(c.shortages) > 0)
	d.column("opened_at", r.openedAt, c.openedAt)
	d.column("changed_at", r.changedAt, c.changedAt)
	d.column("recorded_at", r.recordedAt, c.end.recordedAt)
	d.column("revision", r.revision, c.end.revision)
	r.compareState(c, d)
}

func (r *cartRow) compareState(c *Cart, d *deviation) {
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
