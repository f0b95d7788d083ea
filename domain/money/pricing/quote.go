package pricing

import (
	"time"

	"daybook/domain/unit"
)

// Cart is what Price needs to know of a cart and of its buyer.
type Cart struct {
	Currency unit.Currency
	Channel  string
	ShipTo   Zone // without a country if it is not known
	Customer unit.CustomerID
	Groups   []string
	Status   TaxStatus
	// FirstOrder tells whether the customer has no order yet.
	FirstOrder bool
	Lines      []Item
	Codes      []string // of coupons, in the form of FoldCode
	Method     string   // the shipping method that was chosen; empty: none yet
	Manual     []Manual // discounts that a person gave
}

// Item is one line to be priced.
type Item struct {
	Number     int
	SKU        unit.SKU
	Quantity   unit.Quantity
	Catalogue  *unit.Money // the price of the catalogue in the cart's currency; nil: none
	Override   *Override   // a price that a trusted caller gave
	TaxClass   string      // empty: the default class of the entity
	Categories []string
	Weight     int64 // of one unit, in grams
	// Kind tells goods, services and gift cards apart.
	Kind     unit.Kind
	GiftCard bool // no discount, no tax, never counted by conditions
}

// Override replaces the price of a line.
type Override struct {
	Price  unit.Money  `json:"price"`
	Reason string      `json:"reason,omitempty" class:"open"` // a code such as "damaged"
	Text   string      `json:"text,omitempty" class:"personal"`
	Was    *unit.Money `json:"was,omitempty"`             // the price that it replaces
	By     string      `json:"by,omitempty" class:"open"` // the key or person who gave it
}

// TaxStatus is what the law says of the buyer, and how that was checked. Prices depend on the kind,
// the country and the times alone. So they stay what they are when the texts are erased.
type TaxStatus struct {
	Kind BuyerKind `json:"kind,omitempty" class:"open"` // empty: consumer
	// Country is the one that gave a business its tax id, in ISO 3166. Greece is GR, although its
	// ids begin with EL.
	Country string `json:"country,omitempty" class:"open"`
	TaxID   string `json:"tax_id,omitempty" class:"personal"` // of a business; that of a sole trader is personal
	// CheckedBy is who or what has checked the tax id or the certificate, such as "vies".
	CheckedBy string    `json:"checked_by,omitempty" class:"personal"`
	CheckedAt time.Time `json:"checked_at,omitzero"`              // zero: nobody has checked it
	Proof     string    `json:"proof,omitempty" class:"personal"` // reference of the check, or number of the certificate
	Until     time.Time `json:"until,omitzero"`                   // of an exempt buyer: when the certificate ends
}

// Given tells whether there is a status at all. A buyer without one is a consumer.
func (s TaxStatus) Given() bool { return s.Kind != "" }

// BuyerKind is what a buyer is for the law of taxes.
type BuyerKind string

const (
	Consumer    BuyerKind = "consumer"
	Business    BuyerKind = "business"
	ExemptBuyer BuyerKind = "exempt"
)

// Quote is a priced cart. All amounts are whole minor units of its currency, except list prices.
// The equations of MONEY 1.9 hold; Check proves them.
type Quote struct {
	Hash          string        `json:"hash" class:"open"` // of everything below; see Hash
	PricedAt      time.Time     `json:"priced_at"`
	ValidUntil    time.Time     `json:"valid_until,omitzero"` // of older programs; it never had an effect
	Currency      unit.Currency `json:"currency"`
	Mode          Mode          `json:"price_mode" class:"open"`
	Channel       string        `json:"channel,omitempty" class:"open"`
	Entity        string        `json:"entity,omitempty" class:"open"`
	EntityVersion int64         `json:"entity_version,omitzero"`
	Rounding      RoundTax      `json:"rounding,omitempty" class:"open"`
	Untaxed       UntaxedBuyer  `json:"untaxed_buyer,omitempty" class:"open"`
	Status        *TaxStatus    `json:"tax_status,omitempty"`
	// StatusUsed says what the status of the buyer did: "reverse-charge" and "exempt" if no tax is
	// due from them, else why the tax is charged.
	StatusUsed string `json:"tax_status_used,omitempty" class:"open"`
	// Legal are the words that an invoice must have, because of how the buyer is taxed.
	Legal   string       `json:"legal_words,omitempty" class:"open"`
	Groups  []string     `json:"customer_groups,omitempty" class:"open"` // all of the buyer's, sorted
	ShipTo  Zone         `json:"ship_to,omitzero"`
	Lines   []PricedLine `json:"lines"`
	Charges []Charge     `json:"charges,omitempty"`
	Taxes   []TaxTotal   `json:"taxes,omitempty"`
	Net     unit.Money   `json:"net"`
	Total   unit.Money   `json:"total"`                          // what the customer owes
	Coupons []string     `json:"coupons,omitempty" class:"open"` // codes that took something off
}

// Priced is what lines and charges have in common.
type Priced struct {
	List        unit.Money   `json:"list"` // list price times quantity, rounded once
	Adjustments []Adjustment `json:"adjustments,omitempty"`
	Amount      unit.Money   `json:"amount"` // List less all adjustments
	Tax         []TaxEntry   `json:"tax,omitempty"`
	Net         unit.Money   `json:"net"`
	Gross       unit.Money   `json:"gross"`
}

// PricedLine is a line with its price and where it comes from.
type PricedLine struct {
	Line        int           `json:"line"`
	SKU         unit.SKU      `json:"sku"`
	Quantity    unit.Quantity `json:"quantity"`
	Price       unit.Money    `json:"price"` // list price of one unit, at most 6 digits
	PriceList   string        `json:"price_list,omitempty" class:"open"`
	ListVersion int64         `json:"price_list_version,omitzero"`
	Tier        unit.Quantity `json:"tier,omitzero"`
	Reference   *unit.Money   `json:"reference,omitempty"` // what a sale price was lowered from
	Override    *Override     `json:"override,omitempty"`
	TaxClass    string        `json:"tax_class,omitempty" class:"open"`
	Weight      int64         `json:"weight,omitzero"`
	GiftCard    bool          `json:"gift_card,omitzero"`
	Priced
}

// Charge is money that is no goods, such as shipping.
type Charge struct {
	Number        int    `json:"charge"`            // 1, 2, ...
	Kind          string `json:"kind" class:"open"` // "shipping"
	Method        string `json:"method,omitempty" class:"open"`
	MethodVersion int64  `json:"method_version,omitzero"`
	Title         string `json:"title,omitempty" class:"open"`
	TaxClass      string `json:"tax_class,omitempty" class:"open"` // empty: in proportion to the goods
	Priced
}

// Adjustment is what one promotion or person took off one line or charge.
type Adjustment struct {
	Promotion string        `json:"promotion" class:"open"` // its id, or "manual"
	Version   int64         `json:"version,omitzero"`
	Title     string        `json:"title,omitempty" class:"open"`
	Code      string        `json:"code,omitempty" class:"open"`
	Class     Class         `json:"class" class:"open"`
	Action    ActionType    `json:"action,omitempty" class:"open"`
	Base      unit.Money    `json:"base"`   // what it saw
	Amount    unit.Money    `json:"amount"` // > 0
	Sets      unit.Quantity `json:"sets,omitzero"`
	Reason    string        `json:"reason,omitempty" class:"open"`
	By        string        `json:"by,omitempty" class:"open"` // of older programs
}

// TaxEntry is one component of the tax of a line or charge.
type TaxEntry struct {
	Component string       `json:"component" class:"open"`
	Place     string       `json:"place,omitempty" class:"open"` // country and region of the rate
	Class     string       `json:"class,omitempty" class:"open"`
	Rate      unit.Percent `json:"rate" class:"open"`
	Treatment Treatment    `json:"treatment" class:"open"`
	Base      unit.Money   `json:"base"`   // net amount that the rate applies to
	Amount    unit.Money   `json:"amount"` // >= 0
}

// TaxTotal is one component over the whole order.
type TaxTotal struct {
	Component string       `json:"component" class:"open"`
	Rate      unit.Percent `json:"rate" class:"open"`
	Treatment Treatment    `json:"treatment" class:"open"`
	Base      unit.Money   `json:"base"`
	Amount    unit.Money   `json:"amount"`
}

// Considered says of one definition why it applied or why it did not. A preview shows it.
type Considered struct {
	What    string `json:"what"` // price_list, promotion, discount, method or tax
	ID      string `json:"id"`
	Line    int    `json:"line,omitempty"`
	Applied bool   `json:"applied"`
	Reason  string `json:"reason"` // a code, such as "below-subtotal"
}
