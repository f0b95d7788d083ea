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
	items, err := compareTable(ctx, from, "stock_items", b.Stock, &itemRow{})
	if err != nil {
		return nil, err
	}
	reservations, err := compareTable(ctx, from, "stock_reservations", holds, &reservationRow{})
	if err != nil {
		return nil, err
	}
	allocations, err := compareTable(ctx, from, "stock_allocations", allocated, &allocationRow{})
	if err != nil {
		return nil, err
	}
	return []*Check{items, reservations, allocations}, nil
}

type itemRow struct {
	sku, location                                                             string
	onHand, reserved, allocated, damaged, qualityControl, other, safety, back int64
	reorder, revision                                                         int64
	crossedAt                                                                 *time.Time
	changedAt                                                                 time.Time
}

// columns take the quantities that were added up here. What is reserved counts
// all reservations without a recorded end.
func (r *itemRow) columns() []column[*StockLevel] {
	return []column[*StockLevel]{
		keyColumn[*StockLevel]("sku", &r.sku), keyColumn[*StockLevel]("location", &r.location),
		is("on_hand", &r.onHand, func(s *StockLevel) int64 { return int64(s.onHand) }),
		is("reserved", &r.reserved, func(s *StockLevel) int64 { return int64(s.held) }),
		is("allocated", &r.allocated, func(s *StockLevel) int64 { return int64(s.promised) }),
		is("damaged", &r.damaged, func(s *StockLevel) int64 { return int64(s.unavailable[stock.Damaged]) }),
		is("quality_control", &r.qualityControl, func(s *StockLevel) int64 { return int64(s.unavailable[stock.QualityControl]) }),
		is("other_unavailable", &r.other, func(s *StockLevel) int64 { return int64(s.unavailable[stock.OtherCondition]) }),
		is("safety_stock", &r.safety, func(s *StockLevel) int64 { return int64(s.policy.SafetyStock) }),
		is("backorder_limit", &r.back, func(s *StockLevel) int64 { return int64(s.policy.BackorderLimit) }),
		is("reorder_point", &r.reorder, func(s *StockLevel) int64 { return int64(s.policy.ReorderPoint) }),
		is("reorder_crossed_at", &r.crossedAt, func(s *StockLevel) *time.Time { return s.crossedAt }),
		is("changed_at", &r.changedAt, func(s *StockLevel) time.Time { return s.end.recordedAt }),
		is("revision", &r.revision, func(s *StockLevel) int64 { return s.end.revision }),
	}
}

func (r *itemRow) key() stock.Key {
	return stock.Key{SKU: unit.SKU(r.sku), Location: unit.LocationID(r.location)}
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

func (r *reservationRow) columns() []column[hold] {
	return []column[hold]{
		keyColumn[hold]("sku", &r.sku), keyColumn[hold]("location", &r.location), keyColumn[hold]("reservation_id", &r.id),
		is("order_id", &r.order, func(h hold) string { return string(h.order) }),
		is("quantity", &r.quantity, func(h hold) int64 { return int64(h.quantity) }),
		is("expires_at", &r.expiresAt, func(h hold) time.Time { return h.expiresAt }),
		is("reserved_at", &r.reservedAt, func(h hold) time.Time { return h.reservedAt }),
	}
}

func (r *reservationRow) key() reservationKey {
	return reservationKey{stock.Key{SKU: unit.SKU(r.sku), Location: unit.LocationID(r.location)}, r.id}
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

func (r *allocationRow) columns() []column[int64] {
	return []column[int64]{
		keyColumn[int64]("sku", &r.sku), keyColumn[int64]("location", &r.location), keyColumn[int64]("order_id", &r.order),
		is("quantity", &r.quantity, func(quantity int64) int64 { return quantity }),
	}
}

func (r *allocationRow) key() allocationKey {
	return allocationKey{stock.Key{SKU: unit.SKU(r.sku), Location: unit.LocationID(r.location)}, r.order}
}

func compareProducts(ctx context.Context, b *Book, from source) ([]*Check, error) {
	prices := map[priceKey]decimal.Decimal{}
	for sku, p := range b.Products {
		for currency, price := range p.Prices {
			prices[priceKey{string(sku), string(currency)}] = price.Amount
		}
	}
	products, err := compareTable(ctx, from, "products", b.Products, &productRow{})
	if err != nil {
		return nil, err
	}
	priced, err := compareTable(ctx, from, "product_prices", prices, &priceRow{})
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

func (r *productRow) columns() []column[*Product] {
	return []column[*Product]{
		keyColumn[*Product]("sku", &r.sku),
		is("title", &r.title, func(p *Product) string { return p.Title }),
		is("kind", &r.kind, func(p *Product) string { return string(p.Kind) }),
		is("retired", &r.retired, func(p *Product) bool { return p.Phase == product.OffSale }),
		is("listed_at", &r.listedAt, func(p *Product) time.Time { return p.listedAt }),
		is("changed_at", &r.changedAt, func(p *Product) time.Time { return p.end.recordedAt }),
		is("revision", &r.revision, func(p *Product) int64 { return p.end.revision }),
	}
}

func (r *productRow) key() unit.SKU { return unit.SKU(r.sku) }

type priceKey struct{ sku, currency string }

func (k priceKey) String() string { return k.sku + " in " + k.currency }

type priceRow struct {
	priceKey priceKey
	price    decimal.Decimal
}

func (r *priceRow) columns() []column[decimal.Decimal] {
	return []column[decimal.Decimal]{
		keyColumn[decimal.Decimal]("sku", &r.priceKey.sku), keyColumn[decimal.Decimal]("currency", &r.priceKey.currency),
		is("price", &r.price, func(price decimal.Decimal) decimal.Decimal { return price }),
	}
}

func (r *priceRow) key() priceKey { return r.priceKey }

func compareCarts(ctx context.Context, b *Book, from source) ([]*Check, error) {
	carts, err := compareTable(ctx, from, "carts", b.Carts, &cartRow{})
	if err != nil {
		return nil, err
	}
	return []*Check{carts}, nil
}

type cartRow struct {
	id, phase, customer, currency, country, channel, order string
	lineCount                                              int
	units, revision                                        int64
	total                                                  decimal.Decimal
	short                                                  bool
	openedAt, changedAt, recordedAt                        time.Time
	state                                                  []byte
}

func (r *cartRow) columns() []column[*Cart] {
	return []column[*Cart]{
		keyColumn[*Cart]("cart_id", &r.id),
		is("phase", &r.phase, func(c *Cart) string { return string(c.Phase) }),
		is("customer_id", &r.customer, func(c *Cart) string { return string(c.CustomerID) }),
		is("currency", &r.currency, func(c *Cart) string { return string(c.Currency) }),
		is("country", &r.country, func(c *Cart) string { return projections.Key(c.Country) }),
		is("channel", &r.channel, func(c *Cart) string { return c.channel }),
		is("order_id", &r.order, func(c *Cart) string { return string(c.OrderID) }),
		is("line_count", &r.lineCount, func(c *Cart) int { return len(c.Lines) }),
		is("units", &r.units, func(c *Cart) (sum int64) {
			for _, l := range c.Lines {
				sum += int64(l.Quantity)
			}
			return sum
		}),
		is("total", &r.total, func(c *Cart) (sum decimal.Decimal) {
			for _, l := range c.Lines {
				sum = sum.Add(times(l.Price, l.Quantity))
			}
			return sum
		}),
		is("short", &r.short, func(c *Cart) bool { return len(c.shortages) > 0 }),
		is("opened_at", &r.openedAt, func(c *Cart) time.Time { return c.openedAt }),
		is("changed_at", &r.changedAt, func(c *Cart) time.Time { return c.changedAt }),
		is("recorded_at", &r.recordedAt, func(c *Cart) time.Time { return c.end.recordedAt }),
		is("revision", &r.revision, func(c *Cart) int64 { return c.end.revision }),
		differs("state", &r.state, r.compareState),
	}
}

func (r *cartRow) key() unit.CartID { return unit.CartID(r.id) }

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
