// Package returns has the rules of returns and credit notes: goods, money or both go back,
// with or without a known order. Package stock puts the goods back.
package returns

import "daybook/domain/unit"

// Category begins the name of every return's stream.
const Category = "return"

// Stream is the name of a return's stream.
func Stream(id unit.ReturnID) string { return Category + "-" + string(id) }

// Event is what can have happened to a return. The wire names in codec.go are
// storage format: they are versioned, never renamed.
//
//sumtype:decl
type Event interface{ returnEvent() }

// Link connects units of a returned line with the order line that sold them.
type Link struct {
	OrderID  unit.OrderID  `json:"order_id"`
	Line     int           `json:"line"`
	Quantity unit.Quantity `json:"quantity"`
}

// Line is one line of a return.
type Line struct {
	Number   int           `json:"line"` // 1, 2, ...
	SKU      unit.SKU      `json:"sku"`
	SKUText  string        `json:"sku_text,omitempty" class:"open"`
	Title    string        `json:"title,omitempty" class:"open"`
	Kind     unit.Kind     `json:"kind"`
	Quantity unit.Quantity `json:"quantity"` // > 0
	Price    unit.Money    `json:"price"`    // credited for one unit
	// Links may cover all of the quantity, a part of it, or nothing. Many real returns name
	// no order.
	Links []Link `json:"links,omitempty"`
}

// Requested starts a return; it is a stream's first event unless CreditNoted is.
type Requested struct {
	ReturnID   unit.ReturnID   `json:"return_id"`
	OrderID    unit.OrderID    `json:"order_id,omitempty"` // set if all of it is of one order
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	CartID     unit.CartID     `json:"cart_id,omitempty"` // of the order, if it is a guest's; older programs did not record it
	Reference  string          `json:"reference,omitempty" class:"personal,compared"`
	Currency   unit.Currency   `json:"currency"`
	Country    string          `json:"country,omitempty" class:"open"`
	Lines      []Line          `json:"lines"`
	Reason     string          `json:"reason,omitempty" class:"personal,compared"`
	// Admit is what each linked order must admit before the return can be approved. It is
	// empty in returns that older programs recorded.
	Admit []OrderUnits `json:"admit,omitempty"`
}

// OrderUnits is units that come back of an order, by its lines.
type OrderUnits struct {
	OrderID unit.OrderID `json:"order_id"`
	Lines   []LineUnits  `json:"lines"` // by ascending line, each once
}

// LineUnits is units of one line of an order.
type LineUnits struct {
	Line     int           `json:"line"`
	Quantity unit.Quantity `json:"quantity"`
}

// Admitted says that every order has admitted its units.
type Admitted struct{}

// AdmissionRefused declines the return because an order did not admit its units: they have
// not shipped, or another return brings them back.
type AdmissionRefused struct {
	OrderID    unit.OrderID  `json:"order_id"`
	Code       string        `json:"code" class:"open"` // of the order's refusal
	Reason     string        `json:"reason" class:"open"`
	Line       int           `json:"line,omitzero"`
	Returnable unit.Quantity `json:"returnable,omitzero"`
	Requested  unit.Quantity `json:"requested,omitzero"`
}

// Approved allows the customer to send the goods. The return is open from now on.
type Approved struct {
	// Credits are what the orders owe less for services. Older programs did not record them.
	Credits []OrderCredit `json:"credits,omitempty"`
}

// OrderCredit is what an order owes less because units came back. The money is given back on the
// order: a return has no money of its own.
type OrderCredit struct {
	OrderID unit.OrderID    `json:"order_id"`
	Lines   []CreditedUnits `json:"lines,omitempty"` // by ascending line, each once
	// Worth is what units are worth that belong to no line of the order.
	Worth *unit.Money `json:"worth,omitempty"`
}

// CreditedUnits is units of one line of an order, and what the return credits for all of them.
type CreditedUnits struct {
	Line     int           `json:"line"`
	Quantity unit.Quantity `json:"quantity"`
	Worth    unit.Money    `json:"worth"`
}

// Declined ends the return.
type Declined struct {
	Reason string `json:"reason" class:"personal"`
}

// Canceled ends the return before anything was received.
type Canceled struct {
	Reason string `json:"reason,omitempty" class:"personal"`
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
	// Credits are what the orders owe less. Older programs did not record them.
	Credits []OrderCredit `json:"credits,omitempty"`
}

// Refunded records money given back for the return.
type Refunded struct {
	TransactionID unit.TransactionID `json:"transaction_id"`
	Amount        unit.Money         `json:"amount"`
	Provider      string             `json:"provider,omitempty" class:"chosen,compared"`
	Reference     string             `json:"reference,omitempty" class:"personal,compared"`
	// Shares say which part of the refund belongs to which order. A part that belongs to no
	// order has no share.
	Shares []Share `json:"shares,omitempty"`
	// Limit is that of RecordRefund. It is recorded so that whoever carries out the shares asks the
	// orders with the same limit. Older programs did not record it.
	Limit *unit.Money `json:"limit,omitempty"`
}

// RefundWithdrawn takes a recorded refund back, because orders refused their shares. It takes back
// the whole refund or only the refused shares, and ends the refund's step. Example of a refusal:
// another return has recorded a transaction with this id at the order.
type RefundWithdrawn struct {
	TransactionID unit.TransactionID `json:"transaction_id"`
	// Amount no longer counts as given back. It is the sum of Shares if another order has
	// recorded its share, and otherwise the whole refund.
	Amount unit.Money `json:"amount"`
	// Shares are those of the orders that refused.
	Shares []Share `json:"shares"`
	// OrderID, Code and Reason are of the first refusal.
	OrderID unit.OrderID `json:"order_id"`
	Code    string       `json:"code" class:"open"`
	Reason  string       `json:"reason" class:"open"`
}

// Share is the part of a refund that belongs to one order.
type Share struct {
	OrderID unit.OrderID `json:"order_id"`
	Amount  unit.Money   `json:"amount"` // > 0
}

// OrderStep names what a return asks of its orders.
type OrderStep string

const (
	// StepRelease asks the orders to release the admitted units, because the return brings nothing
	// back.
	StepRelease OrderStep = "release"
	// StepCredit asks the orders to owe less, because units came back.
	StepCredit OrderStep = "credit"
	// StepRefund asks the orders to record the shares of a refund.
	StepRefund OrderStep = "refund"
)

// OrdersSettled says that the orders have recorded what a step asks of them.
type OrdersSettled struct {
	Step OrderStep          `json:"step"`
	Ref  unit.TransactionID `json:"ref,omitempty"` // of a refund, or CreditRef of a credit
}

// Closed ends a received return.
type Closed struct{}

// TakenOver gives a return that has no customer to the customer who has taken over its order. It is
// final.
type TakenOver struct {
	CustomerID unit.CustomerID `json:"customer_id"`
}

// StockSettled says that every stock movement of a receipt is recorded.
type StockSettled struct {
	Receipt int `json:"receipt"`
}

// CreditNoted is a document that changes money, or quantities of services, and no goods: bad
// debt, a goodwill credit, a correction of the books. It is the only event in its stream.
type CreditNoted struct {
	ReturnID   unit.ReturnID   `json:"return_id"`
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	Reference  string          `json:"reference,omitempty" class:"personal,compared"`
	Country    string          `json:"country,omitempty" class:"open"`
	Reason     string          `json:"reason" class:"personal,compared"` // "bad_debt", "adjustment", or other words
	Lines      []CreditLine    `json:"lines"`
	// Amount is the sum of the lines as it changes the merchant's sales:
	// negative is a credit to the customer.
	Amount unit.Money `json:"amount"`
}

// CreditLine is a line of a credit note. Quantity and price may each be positive or negative.
// Their product is the change of the merchant's sales.
type CreditLine struct {
	Number   int           `json:"line"`
	SKU      unit.SKU      `json:"sku"`
	SKUText  string        `json:"sku_text,omitempty" class:"open"`
	Title    string        `json:"title,omitempty" class:"open"`
	Quantity unit.Quantity `json:"quantity"`
	Price    unit.Money    `json:"price"`
}

func (Requested) returnEvent()        {}
func (Admitted) returnEvent()         {}
func (AdmissionRefused) returnEvent() {}
func (Approved) returnEvent()         {}
func (Declined) returnEvent()         {}
func (Canceled) returnEvent()         {}
func (Received) returnEvent()         {}
func (Refunded) returnEvent()         {}
func (RefundWithdrawn) returnEvent()  {}
func (OrdersSettled) returnEvent()    {}
func (Closed) returnEvent()           {}
func (TakenOver) returnEvent()        {}
func (StockSettled) returnEvent()     {}
func (CreditNoted) returnEvent()      {}
