// Package pricing says what a cart costs. Price is one pure function: the cart, the price lists,
// promotions, shipping methods and taxes of the shop, and a time go in, and a Quote comes out. The
// order freezes the quote, and nothing computes it again.
//
// Definitions such as PriceList are what the aggregates of package money keep: they decide which
// definitions may exist, and pricing only reads them.
package pricing

import (
	"time"

	"daybook/domain/unit"
)

// Mode says whether prices, and so all amounts of discounts, contain tax.
type Mode string

const (
	Inclusive Mode = "incl" // usual for consumers in Europe
	Exclusive Mode = "excl" // tax is added to the prices
)

// Window is a span of time: From <= t < Until. A zero time is no bound.
type Window struct {
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Contains tells whether t is in the window.
func (w Window) Contains(t time.Time) bool {
	return (w.From.IsZero() || !t.Before(w.From)) && (w.Until.IsZero() || t.Before(w.Until))
}

// Bounded tells whether the window has a bound.
func (w Window) Bounded() bool { return !w.From.IsZero() || !w.Until.IsZero() }

// ListKind tells two kinds of price lists apart.
type ListKind string

const (
	// Regular lists replace the price of the catalogue.
	Regular ListKind = "regular"
	// Sale lists count only where their price is lower than the best regular one, which is frozen
	// as the reference price.
	Sale ListKind = "sale"
)

// PriceList has prices for some customers, channels or countries, or for some time. Empty filters
// match everything.
type PriceList struct {
	ID       string        `json:"price_list_id" class:"open"`
	Version  int64         `json:"version"` // 1, 2, ...: the number of changes so far
	Title    string        `json:"title,omitempty" class:"open"`
	Kind     ListKind      `json:"kind"`
	Currency unit.Currency `json:"currency"`
	Mode     Mode          `json:"price_mode"`
	Priority int           `json:"priority,omitzero"` // the highest wins
	Active   bool          `json:"active"`
	Window   Window        `json:"window,omitzero"`
	// Channels, Groups, Customers and Countries limit the list to carts that match one name of each
	// member that is not empty.
	Channels  []string          `json:"channels,omitempty" class:"open"`
	Groups    []string          `json:"groups,omitempty" class:"open"` // groups of customers
	Customers []unit.CustomerID `json:"customers,omitempty"`
	Countries []string          `json:"countries,omitempty" class:"open"` // ISO 3166, two letters
	// Prices are the entries of the list. The tiers of a SKU have ascending quantities.
	Prices map[unit.SKU][]Tier `json:"prices,omitempty"`
}

// Tier is the price of one unit from a quantity on. The price may be finer than the currency.
type Tier struct {
	From  unit.Quantity `json:"from"` // >= 1
	Price unit.Money    `json:"price"`
}

// PromotionKind says how a promotion comes to a cart.
type PromotionKind string

const (
	Automatic PromotionKind = "automatic"
	Coupon    PromotionKind = "coupon" // only with one of its codes
)

// Class says what a promotion takes something off. Promotions of items are applied before those of
// orders, and those before promotions of shipping.
type Class string

const (
	ItemClass     Class = "item"
	OrderClass    Class = "order"
	ShippingClass Class = "shipping"
)

// ActionType is what a promotion does. See MONEY 1.3.
type ActionType string

const (
	PercentOff   ActionType = "percent_off"   // any class
	FixedOff     ActionType = "fixed_off"     // items: off each unit; orders and shipping: off the whole
	BuyXGetY     ActionType = "buy_x_get_y"   // items
	FixedPrice   ActionType = "fixed_price"   // items: the price of one unit
	FreeShipping ActionType = "free_shipping" // shipping
)

// Action is the one thing that a promotion does, with its numbers.
type Action struct {
	Type    ActionType    `json:"type"`
	Percent unit.Percent  `json:"percent,omitzero"`  // percent_off; buy_x_get_y: off the free units, 100 if absent
	Amounts []unit.Money  `json:"amounts,omitempty"` // fixed_off, fixed_price: one for each currency
	Buy     unit.Quantity `json:"buy,omitzero"`
	Get     unit.Quantity `json:"get,omitzero"`
	MaxSets unit.Quantity `json:"max_sets,omitzero"` // buy_x_get_y; 0: no bound
	// OnFreeUnits puts the discount of buy_x_get_y on the free units only, and not on all units of
	// the set.
	OnFreeUnits bool `json:"on_free_units,omitzero"`
	// Target limits the action to some lines (items), to some lines' amounts (orders) or to some
	// methods (shipping). Empty: all.
	Target Target `json:"target,omitzero"`
	// IncludeOverridden lets a promotion of items take something off lines whose price a person
	// gave.
	IncludeOverridden bool `json:"include_overridden,omitzero"`
}

// Target names lines by SKU or category, or shipping methods. A line matches if one name matches.
type Target struct {
	SKUs       []unit.SKU `json:"skus,omitempty"`
	Categories []string   `json:"categories,omitempty" class:"open"`
	Methods    []string   `json:"methods,omitempty" class:"open"`
}

// Measure says which amount a condition about the subtotal compares.
type Measure string

const (
	OfList     Measure = "list"
	AfterItems Measure = "after_items" // the default of order promotions
	AfterOrder Measure = "after_order" // the default of shipping promotions
)

// Conditions must all hold. An empty member asks for nothing.
type Conditions struct {
	MinSubtotal []unit.Money  `json:"min_subtotal,omitempty"` // one for each currency
	Measure     Measure       `json:"measure,omitempty"`
	MinQuantity unit.Quantity `json:"min_quantity,omitzero"` // units of Of
	Of          Target        `json:"of,omitzero"`           // must be in the cart, also without MinQuantity
	Groups      []string      `json:"groups,omitempty" class:"open"`
	Countries   []string      `json:"countries,omitempty" class:"open"`
	Channels    []string      `json:"channels,omitempty" class:"open"`
	FirstOrder  bool          `json:"first_order,omitzero"` // only the first order of a customer
	Days        []int         `json:"days,omitempty"`       // 1 Monday ... 7 Sunday, in UTC
	FromHour    int           `json:"from_hour,omitzero"`   // 0 to 23, in UTC
	UntilHour   int           `json:"until_hour,omitzero"`  // 1 to 24; 0: no bound
}

// Exclusivity says what may follow a promotion that took something off.
type Exclusivity string

const (
	Combines       Exclusivity = "none"
	EndsItsClass   Exclusivity = "class"
	EndsEverything Exclusivity = "all"
)

// Limits of the uses of a promotion. Zero is no limit. Package promotion counts the uses.
type Limits struct {
	Uses            int          `json:"uses,omitzero"`
	UsesPerCustomer int          `json:"uses_per_customer,omitzero"`
	Budget          []unit.Money `json:"budget,omitempty"` // at most one, with its currency
}

// Limited tells whether uses must be held at a checkout.
func (l Limits) Limited() bool { return l.Uses > 0 || l.UsesPerCustomer > 0 || len(l.Budget) > 0 }

// Promotion lowers prices. It has exactly one action.
type Promotion struct {
	ID         string        `json:"promotion_id" class:"open"`
	Version    int64         `json:"version"`
	Title      string        `json:"title" class:"open"` // customers see it
	Kind       PromotionKind `json:"kind"`
	Class      Class         `json:"class"`
	Action     Action        `json:"action"`
	Conditions Conditions    `json:"conditions,omitzero"`
	Priority   int           `json:"priority,omitzero"` // the highest goes first, then the lower id
	Exclusive  Exclusivity   `json:"exclusive,omitempty"`
	Active     bool          `json:"active"`
	Window     Window        `json:"window,omitzero"`
	Limits     Limits        `json:"limits,omitzero"`
	// Codes of a coupon, in the form of FoldCode.
	Codes []string `json:"codes,omitempty" class:"open"`
	// KeepUseAfterCancel: a use is not given back if everything is canceled before shipping.
	KeepUseAfterCancel bool `json:"keep_use_after_cancel,omitzero"`
}

// Zone is a set of places. Region and Postcode may end in "*". The most specific zone wins:
// postcode, then region, then country, then the zone without a country.
type Zone struct {
	Country  string `json:"country,omitempty" class:"open"`
	Region   string `json:"region,omitempty" class:"open"`
	Postcode string `json:"postcode,omitempty" class:"open"`
}

// Basis is what a rate of shipping depends on.
type Basis string

const (
	Flat       Basis = "flat"
	ByWeight   Basis = "by_weight"   // grams
	ByAmount   Basis = "by_amount"   // of the goods after discounts
	ByQuantity Basis = "by_quantity" // units
)

// Step is the price of shipping from a weight, an amount or a quantity on.
type Step struct {
	From     string     `json:"from" class:"open"` // a plain decimal
	Price    unit.Money `json:"price"`
	PerExtra unit.Money `json:"per_extra,omitzero"` // for each whole gram, currency unit or unit above From
}

// RateTable has the prices of a method for one zone and currency.
type RateTable struct {
	Zone      Zone          `json:"zone,omitzero"`
	Currency  unit.Currency `json:"currency"`
	Basis     Basis         `json:"basis"`
	Steps     []Step        `json:"steps"`                // ascending; flat has one from 0
	FreeAbove *unit.Money   `json:"free_above,omitempty"` // the goods cost at least this
}

// ShippingMethod is a way to send an order.
type ShippingMethod struct {
	ID       string   `json:"method_id" class:"open"`
	Version  int64    `json:"version"`
	Title    string   `json:"title" class:"open"`
	Carrier  string   `json:"carrier,omitempty" class:"open"`
	Mode     Mode     `json:"price_mode"`
	TaxClass string   `json:"tax_class,omitempty" class:"open"` // empty: in proportion to the goods
	Active   bool     `json:"active"`
	Channels []string `json:"channels,omitempty" class:"open"`
	// Measure is the amount that FreeAbove and ByAmount look at: list or after_order (default).
	Measure   Measure     `json:"measure,omitempty"`
	MaxWeight int64       `json:"max_weight,omitzero"` // grams; 0: no bound
	Rates     []RateTable `json:"rates"`
}

// TaxRow is one rate. The most specific row that is valid on the day of the tax wins, for each
// class and component.
type TaxRow struct {
	Place     Zone         `json:"place"`
	Class     string       `json:"class" class:"open"`     // of products: "standard", "books"
	Component string       `json:"component" class:"open"` // "NL VAT", "CA GST"
	Rate      unit.Percent `json:"rate"`
	Treatment Treatment    `json:"treatment,omitempty"` // empty: standard
	Window    Window       `json:"window,omitzero"`
}

// Treatment is how the law treats a supply.
type Treatment string

const (
	StandardRate  Treatment = "standard"
	ZeroRate      Treatment = "zero"
	Exempt        Treatment = "exempt"
	ReverseCharge Treatment = "reverse_charge"
	Export        Treatment = "export"
	OutsideScope  Treatment = "outside"
)

// RoundTax says what is rounded: each component over the order, or over each line.
type RoundTax string

const (
	RoundByOrder RoundTax = "order"
	RoundByLine  RoundTax = "line"
)

// UntaxedBuyer says what a buyer pays who owes no tax, where list prices contain tax.
type UntaxedBuyer string

const (
	PaysNet  UntaxedBuyer = "net"  // the list price without the tax of the shop's home
	PaysSame UntaxedBuyer = "same" // the list price, and all of it is net
)

// LegalEntity sells: it has taxes and the policies of prices for its channels.
type LegalEntity struct {
	ID      string `json:"entity_id" class:"open"`
	Version int64  `json:"version"`
	Title   string `json:"title" class:"open"`
	Home    Zone   `json:"home"` // where it sends from
	Mode    Mode   `json:"price_mode"`
	// Channels that the entity sells on. Empty: all that no other entity names.
	Channels []string `json:"channels,omitempty" class:"open"`
	// Registrations are the countries in which the entity collects tax. In other countries the
	// export rule of the table's rows applies.
	Registrations []Registration `json:"registrations,omitempty"`
	Rows          []TaxRow       `json:"rows,omitempty"`
	Rounding      RoundTax       `json:"rounding,omitempty"`      // empty: order
	Untaxed       UntaxedBuyer   `json:"untaxed_buyer,omitempty"` // empty: net
	// DefaultClass is the tax class of products without one.
	DefaultClass string `json:"default_class,omitempty" class:"open"`
	// Clawback lets a discount be taken back whose condition a return has broken.
	Clawback bool `json:"clawback,omitzero"`
}

// Registration is a tax number of the entity.
type Registration struct {
	Country string `json:"country" class:"open"`
	Number  string `json:"number" class:"open"`
}

// Book is everything that prices depend on besides the cart and the catalogue.
type Book struct {
	Lists      []PriceList
	Promotions []Promotion
	Methods    []ShippingMethod
	Entities   []LegalEntity
}
