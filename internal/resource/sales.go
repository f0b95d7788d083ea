package resource

import "time"

// SalesTotal is one row of totals. A member is left out if the totals are not grouped by it.
type SalesTotal struct {
	Day       string `json:"day,omitempty"`
	Month     string `json:"month,omitempty"`
	SKU       string `json:"sku,omitempty"`
	Country   string `json:"country,omitempty"`
	Channel   string `json:"channel,omitempty"`
	Kind      string `json:"kind,omitempty" enum:"sale,free_order,order_canceled,return,adjust_in,adjust_out,bad_debt,credit" doc:"What kind of documents the totals are made of. Left out if the totals are not divided by kind."`
	Currency  string `json:"currency"`
	Documents int64  `json:"documents"`
	Lines     int64  `json:"lines"`
	Units     int64  `json:"units"`
	Amount    Money  `json:"amount"`
}

// SalesTotals are totals of what was sold.
type SalesTotals struct {
	Items []SalesTotal `json:"items"`
}

// SalesDocument is a document that changes the shop's sales.
type SalesDocument struct {
	Document   string    `json:"document"`
	Kind       string    `json:"kind" enum:"sale,free_order,order_canceled,return,adjust_in,adjust_out,bad_debt,credit" doc:"What kind of document it is."`
	Reference  string    `json:"reference,omitempty" class:"personal"`
	CustomerID string    `json:"customer_id,omitempty" class:"customer"`
	Country    string    `json:"country,omitempty"`
	Channel    string    `json:"channel,omitempty"`
	Currency   string    `json:"currency,omitempty"`
	Day        string    `json:"day"`
	OccurredAt time.Time `json:"occurred_at"`
	Lines      int64     `json:"lines"`
	Units      int64     `json:"units"`
	Amount     Money     `json:"amount"`
}

// SalesCustomer is what a customer bought, all in all, in one currency.
type SalesCustomer struct {
	CustomerID   string     `json:"customer_id" class:"customer"`
	Currency     string     `json:"currency"`
	Orders       int64      `json:"orders"`
	Returns      int64      `json:"returns"`
	Units        int64      `json:"units"`
	Ordered      Money      `json:"ordered"`
	Amount       Money      `json:"amount"`
	FirstOrderAt *time.Time `json:"first_order_at,omitempty"`
	LastOrderAt  *time.Time `json:"last_order_at,omitempty"`
	LastOrderID  string     `json:"last_order_id,omitempty"`
}
