package resource

// This file has the reports about money. Each row is of one currency. A member by which a report is
// not divided is left out.

// OrdersTakenTotal is one row of the report of orders taken.
type OrdersTakenTotal struct {
	Day            string `json:"day,omitempty"`
	Month          string `json:"month,omitempty"`
	Kind           string `json:"kind,omitempty" enum:"placed,canceled,returned,reduced,added,written_off,kept_as_gain,beyond_owed" doc:"What has happened: orders were placed, units were canceled before they left or came back, prices were reduced afterwards, or surcharges were added and discounts taken back. written_off and kept_as_gain are differences between what was paid and what was owed that somebody ended. beyond_owed is what was taken off orders that owed nothing any more."`
	SKU            string `json:"sku,omitempty"`
	Charge         string `json:"charge,omitempty"`
	Entity         string `json:"entity,omitempty"`
	Channel        string `json:"channel,omitempty"`
	Country        string `json:"country,omitempty"`
	CustomerGroups string `json:"customer_groups,omitempty"`
	Currency       string `json:"currency"`
	Units          int64  `json:"units"`
	List           Money  `json:"list"`
	Discount       Money  `json:"discount"`
	Net            Money  `json:"net"`
	Tax            Money  `json:"tax"`
	Gross          Money  `json:"gross"`
}

// OrdersTaken is the report of orders taken.
type OrdersTaken struct {
	Items []OrdersTakenTotal `json:"items"`
}

// DiscountTotal is one row of the report of discounts.
type DiscountTotal struct {
	Day            string `json:"day,omitempty"`
	Month          string `json:"month,omitempty"`
	Kind           string `json:"kind,omitempty" enum:"placed,canceled,returned,reduced" doc:"Whether the discount was given when orders were placed, or went with what was taken off them later."`
	PromotionID    string `json:"promotion_id,omitempty"`
	Code           string `json:"code,omitempty"`
	SKU            string `json:"sku,omitempty"`
	Charge         string `json:"charge,omitempty"`
	Entity         string `json:"entity,omitempty"`
	Channel        string `json:"channel,omitempty"`
	Country        string `json:"country,omitempty"`
	CustomerGroups string `json:"customer_groups,omitempty"`
	Currency       string `json:"currency"`
	Discount       Money  `json:"discount"`
}

// Discounts is the report of discounts.
type Discounts struct {
	Items []DiscountTotal `json:"items"`
}

// TaxTotal is one row of the report of taxes.
type TaxTotal struct {
	Day       string `json:"day,omitempty"`
	Month     string `json:"month,omitempty"`
	Kind      string `json:"kind,omitempty" enum:"placed,canceled,returned,reduced,added" doc:"Whether the tax came with the orders, was added to them, or went with what was taken off them later."`
	Entity    string `json:"entity,omitempty"`
	Country   string `json:"country,omitempty"`
	Component string `json:"component,omitempty"`
	Place     string `json:"place,omitempty"`
	Rate      string `json:"rate,omitempty"`
	Treatment string `json:"treatment,omitempty"`
	Currency  string `json:"currency"`
	Base      Money  `json:"base"`
	Tax       Money  `json:"tax"`
}

// Taxes is the report of taxes.
type Taxes struct {
	Items []TaxTotal `json:"items"`
}

// MoneyTotal is one row of the report of money.
type MoneyTotal struct {
	Day          string `json:"day,omitempty"`
	Month        string `json:"month,omitempty"`
	Type         string `json:"type,omitempty" enum:"capture,refund,chargeback,reversal,lost" doc:"What moved the money. lost is money that was written off although the order never owed it."`
	Purpose      string `json:"purpose,omitempty" enum:"settlement,compensation" doc:"Of refunds: whether they gave back what was paid too much, or gave money on top."`
	Provider     string `json:"provider,omitempty"`
	Tender       string `json:"tender,omitempty"`
	Entity       string `json:"entity,omitempty"`
	Channel      string `json:"channel,omitempty"`
	Currency     string `json:"currency"`
	Transactions int64  `json:"transactions"`
	Amount       Money  `json:"amount"`
}

// MoneyMoved is the report of money.
type MoneyMoved struct {
	Items []MoneyTotal `json:"items"`
}

// OpenItemTotal is one row of the open items of orders.
type OpenItemTotal struct {
	Age       string `json:"age,omitempty" enum:"0-7,8-30,31-90,91+" doc:"How many days ago the orders were placed."`
	Channel   string `json:"channel,omitempty"`
	Status    string `json:"status,omitempty" enum:"pending,confirmed,completed,canceled,expired" doc:"The status of the orders."`
	Currency  string `json:"currency"`
	Orders    int64  `json:"orders"`
	ToReturn  Money  `json:"to_return"`
	ToCollect Money  `json:"to_collect"`
}

// StoredValue is what gift cards and credit accounts have in one currency.
type StoredValue struct {
	Currency     string `json:"currency"`
	Issued       Money  `json:"issued"`
	Redeemed     Money  `json:"redeemed"`
	CreditedBack Money  `json:"credited_back"`
	Ended        Money  `json:"ended"`
	Balance      Money  `json:"balance"`
}

// OpenItems is the report of open items.
type OpenItems struct {
	Items       []OpenItemTotal `json:"items"`
	StoredValue []StoredValue   `json:"stored_value"`
}

// BridgeTotal is one row of the bridge from what was ordered to the money that was kept.
type BridgeTotal struct {
	Day         string `json:"day,omitempty"`
	Month       string `json:"month,omitempty"`
	Entity      string `json:"entity,omitempty"`
	Channel     string `json:"channel,omitempty"`
	Currency    string `json:"currency"`
	Charged     Money  `json:"charged"`
	Canceled    Money  `json:"canceled"`
	Returned    Money  `json:"returned"`
	Reduced     Money  `json:"reduced"`
	Added       Money  `json:"added"`
	BeyondOwed  Money  `json:"beyond_owed"`
	WrittenOff  Money  `json:"written_off"`
	KeptAsGain  Money  `json:"kept_as_gain"`
	Owed        Money  `json:"owed"`
	Captured    Money  `json:"captured"`
	Refunded    Money  `json:"refunded"`
	ChargedBack Money  `json:"charged_back"`
	Reversed    Money  `json:"reversed"`
	Kept        Money  `json:"kept"`
	Compensated Money  `json:"compensated"`
	Lost        Money  `json:"lost"`
	Balance     Money  `json:"balance"`
}

// Bridge is the report that follows the money from what was ordered to what was kept.
type Bridge struct {
	Items []BridgeTotal `json:"items"`
}
