// Package returns is what comes back: goods, money, or both, with or without
// the order it belongs to. Putting goods back on the shelf is the business of
// stock.
package returns

import "daybook/domain/unit"

// Event is what can have happened to a return. The wire names in codec.go are
// storage format: they are versioned, never renamed.
//
//sumtype:decl
type Event interface{ returnEvent() }

// Link ties units of a returned line to the order line they were sold on.
type Link struct {
	OrderID  unit.OrderID  `json:"order_id"`
	Line     int           `json:"line"`
	Quantity unit.Quantity `json:"quantity"`
}

// Line is one line of a return.
type Line struct {
	Number   int           `json:"line"` // 1, 2, ...
	SKU      unit.SKU      `json:"sku"`
	SKUText  string        `json:"sku_text,omitempty"`
	Title    string        `json:"title,omitempty"`
	Kind     unit.Kind     `json:"kind"`
	Quantity unit.Quantity `json:"quantity"` // > 0
	Price    unit.Money    `json:"price"`    // credited for one unit
	// Links may cover all of the quantity, some, or none: real returns often
	// name no order.
	Links []Link `json:"links,omitempty"`
}

// Requested starts a return; it is a stream's first event unless CreditNoted is.
type Requested struct {
	ReturnID   unit.ReturnID   `json:"return_id"`
	OrderID    unit.OrderID    `json:"order_id,omitempty"` // where all of it is of one order
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	Reference  string          `json:"reference,omitempty"`
	Currency   unit.Currency   `json:"currency"`
	Country    string          `json:"country,omitempty"`
	Lines      []Line          `json:"lines"`
	Reason     string          `json:"reason,omitempty"`
}

// Approved allows the goods to be sent; the return is open.
type Approved struct{}

// Declined ends the return.
type Declined struct {
	Reason string `json:"reason"`
}

// Canceled ends the return before anything came.
type Canceled struct {
	Reason string `json:"reason,omitempty"`
}

// Disposition is what became of returned units; each has exactly one.
type Disposition string

const (
	Restocked  Disposition = "restocked"
	Damaged    Disposition = "damaged"
	Lost       Disposition = "lost"
	WrongItem  Disposition = "wrong_item"
	WrittenOff Disposition = "written_off"
)

// ReceivedLine says what became of units of a line, and where.
type ReceivedLine struct {
	Line        int             `json:"line"`
	Quantity    unit.Quantity   `json:"quantity"`
	Disposition Disposition     `json:"disposition"`
	Location    unit.LocationID `json:"location"`
}

// Received records one arrival; there may be several.
type Received struct {
	// Receipt numbers the arrivals: 1, 2, ...
	Receipt int            `json:"receipt"`
	Lines   []ReceivedLine `json:"lines"`
}

// Refunded records money given back for the return.
type Refunded struct {
	TransactionID unit.TransactionID `json:"transaction_id"`
	Amount        unit.Money         `json:"amount"`
	Provider      string             `json:"provider,omitempty"`
	Reference     string             `json:"reference,omitempty"`
}

// Closed ends a received return.
type Closed struct{}

// StockSettled says that every stock movement of a receipt is recorded.
type StockSettled struct {
	Receipt int `json:"receipt"`
}

// CreditNoted is a document that moves money, or quantities of services, and no
// goods: bad debt, a goodwill credit, a book correction. It is alone in its
// stream.
type CreditNoted struct {
	ReturnID   unit.ReturnID   `json:"return_id"`
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	Reference  string          `json:"reference,omitempty"`
	Country    string          `json:"country,omitempty"`
	Reason     string          `json:"reason"` // "bad_debt", "adjustment", or other words
	Lines      []CreditLine    `json:"lines"`
	// Amount is the sum of the lines as it changes the merchant's sales:
	// negative is a credit to the customer.
	Amount unit.Money `json:"amount"`
}

// CreditLine is a line of a credit note. Quantity and price may have any sign;
// their product is the change of the merchant's sales.
type CreditLine struct {
	Number   int           `json:"line"`
	SKU      unit.SKU      `json:"sku"`
	SKUText  string        `json:"sku_text,omitempty"`
	Title    string        `json:"title,omitempty"`
	Quantity unit.Quantity `json:"quantity"`
	Price    unit.Money    `json:"price"`
}

func (Requested) returnEvent()    {}
func (Approved) returnEvent()     {}
func (Declined) returnEvent()     {}
func (Canceled) returnEvent()     {}
func (Received) returnEvent()     {}
func (Refunded) returnEvent()     {}
func (Closed) returnEvent()       {}
func (StockSettled) returnEvent() {}
func (CreditNoted) returnEvent()  {}
