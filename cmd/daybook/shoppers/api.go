package shoppers

import "context"

// Money is an amount as the API writes it.
type Money struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// Line is a number of units of one SKU.
type Line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// Order is the answer to a checkout and to commands on an order.
type Order struct {
	OrderID string      `json:"order_id"`
	Status  string      `json:"status"`
	Owed    Money       `json:"owed"`
	Lines   []OrderLine `json:"lines"`
}

// OrderLine is a line of an order.
type OrderLine struct {
	Line     int    `json:"line"`
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
	Price    Money  `json:"price"`
}

// Stock is one SKU at one location.
type Stock struct {
	OnHand    int64 `json:"on_hand"`
	Reserved  int64 `json:"reserved"`
	Allocated int64 `json:"allocated"`
	Available int64 `json:"available"`
}

// location is where all goods are.
const location = "main"

// List puts a product into the catalogue.
func (c *Client) List(ctx context.Context, p Product) error {
	body := map[string]any{"title": p.Title, "prices": []Money{p.Price}}
	_, err := c.ask(ctx, "PUT", path("products", p.SKU), "", body, nil)
	return err
}

// Receive adds goods, once for each key, and returns the stock after that.
func (c *Client) Receive(ctx context.Context, key, sku string, quantity int64) (Stock, error) {
	body := map[string]any{"quantity": quantity, "document": "opening stock"}
	var stock Stock
	_, err := c.ask(ctx, "POST", path("stock", sku, location, "receipts"), key, body, &stock)
	return stock, err
}

// OpenCart opens a cart with its lines and returns its id.
func (c *Client) OpenCart(ctx context.Context, customer, currency, country string, lines []Line) (string, error) {
	body := map[string]any{"currency": currency, "country": country, "lines": lines}
	if customer != "" { // empty: a guest
		body["customer_id"] = customer
	}
	var cart struct {
		CartID string `json:"cart_id"`
	}
	_, err := c.ask(ctx, "POST", path("carts"), newKey(), body, &cart)
	return cart.CartID, err
}

// Checkout turns a cart into an order that is paid and confirmed, or, with pay
// not set, into one that waits for both.
func (c *Client) Checkout(ctx context.Context, key, cart string, pay bool) (Order, Reply, error) {
	body := map[string]any{}
	if pay {
		body = map[string]any{"payment": map[string]any{"provider": "demo"}, "confirm": true}
	}
	return c.checkout(ctx, key, cart, body)
}

// CheckoutWithoutShortLines turns a cart into an order that waits for its payment and confirmation.
// Lines whose stock is short are left out.
func (c *Client) CheckoutWithoutShortLines(ctx context.Context, key, cart string) (Order, Reply, error) {
	return c.checkout(ctx, key, cart, map[string]any{"policy": "line-by-line"})
}

func (c *Client) checkout(ctx context.Context, key, cart string, body map[string]any) (Order, Reply, error) {
	var placed struct {
		Order Order `json:"order"`
	}
	reply, err := c.ask(ctx, "POST", path("carts", cart, "checkout"), key, body, &placed)
	return placed.Order, reply, err
}

// Cancel takes a whole order back.
func (c *Client) Cancel(ctx context.Context, order, reason string) error {
	_, err := c.ask(ctx, "POST", path("orders", order, "cancel"), newKey(), map[string]any{"reason": reason}, nil)
	return err
}

// Deliver ships all of an order in one parcel, sees it arrive and completes the
// order.
func (c *Client) Deliver(ctx context.Context, order string) error {
	var shipped struct {
		ShipmentID string `json:"shipment_id"`
	}
	if _, err := c.ask(ctx, "POST", path("orders", order, "shipments"), newKey(), map[string]any{"carrier": "post"}, &shipped); err != nil {
		return err
	}
	if _, err := c.ask(ctx, "POST", path("orders", order, "shipments", shipped.ShipmentID, "deliver"), "", nil, nil); err != nil {
		return err
	}
	_, err := c.ask(ctx, "POST", path("orders", order, "complete"), "", nil, nil)
	return err
}

// Return sends one unit of an order's first line back and gets the money for it.
func (c *Client) Return(ctx context.Context, order Order) error {
	line := order.Lines[0]
	var opened struct {
		ReturnID string `json:"return_id"`
	}
	body := map[string]any{
		"order_id": order.OrderID, "reason": "not as expected",
		"lines": []map[string]any{{"order_line": line.Line, "quantity": 1}},
	}
	if _, err := c.ask(ctx, "POST", path("returns"), newKey(), body, &opened); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		key  string
		body any
	}{
		{"approve", "", nil},
		{"receipts", newKey(), map[string]any{"lines": []map[string]any{{"line": 1, "quantity": 1, "disposition": "restocked"}}}},
		{"refunds", newKey(), map[string]any{"amount": line.Price, "provider": "demo"}},
		{"close", "", nil},
	} {
		if _, err := c.ask(ctx, "POST", path("returns", opened.ReturnID, step.name), step.key, step.body, nil); err != nil {
			return err
		}
	}
	return nil
}
