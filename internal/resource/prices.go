package resource

import (
	"time"

	"daybook/domain/money/entity"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/pricing"
	"daybook/domain/money/shipping"
	"daybook/domain/unit"
)

// The statuses of price lists, shipping methods and legal entities.
const (
	Active   = "active"
	Inactive = "inactive"
	Ended    = "ended"
)

func definitionStatus(active, ended bool) string {
	switch {
	case ended:
		return Ended
	case active:
		return Active
	}
	return Inactive
}

// PriceList is a price list without its prices.
type PriceList struct {
	PriceListID    string    `json:"price_list_id"`
	Title          string    `json:"title,omitempty" doc:"What the list is called."`
	Kind           string    `json:"kind" enum:"regular,sale" doc:"A sale counts only where it is cheaper than the best regular list."`
	Currency       string    `json:"currency"`
	PriceMode      string    `json:"price_mode" enum:"incl,excl" doc:"Whether the prices contain tax."`
	Priority       int       `json:"priority" doc:"Of the lists that fit a cart, the one with the highest priority wins."`
	Status         string    `json:"status" enum:"active,inactive,ended" doc:"Only an active one counts."`
	ValidFrom      time.Time `json:"valid_from,omitzero" doc:"The first moment at which it counts."`
	ValidUntil     time.Time `json:"valid_until,omitzero" doc:"The first moment at which it does not count any more."`
	Channels       []string  `json:"channels,omitempty" doc:"Left out: all."`
	CustomerGroups []string  `json:"customer_groups,omitempty" doc:"Left out: everybody."`
	CustomerIDs    []string  `json:"customer_ids,omitempty" class:"customer" doc:"Left out: everybody."`
	Countries      []string  `json:"countries,omitempty" doc:"Left out: all."`
	SKUCount       int       `json:"sku_count" doc:"How many SKUs have a price in the list."`
	Version        int64     `json:"version" doc:"How many changes there were. A quote names it."`
	Revision       int64     `json:"revision"`
}

// PriceListOf shows a price list.
func PriceListOf(s pricelist.State, revision int64) PriceList {
	return PriceList{
		PriceListID: s.ID, Title: s.Terms.Title, Kind: string(s.Kind), Currency: string(s.Currency), PriceMode: string(s.Mode), Priority: s.Terms.Priority,
		Status: definitionStatus(s.Active, s.Ended), ValidFrom: s.Terms.Window.From, ValidUntil: s.Terms.Window.Until,
		Channels: s.Terms.Channels, CustomerGroups: s.Terms.Groups, CustomerIDs: each(s.Terms.Customers, func(id unit.CustomerID) string { return string(id) }),
		Countries: s.Terms.Countries, SKUCount: len(s.Prices), Version: s.Version, Revision: revision,
	}
}

// ListPrice has the prices of one SKU in a list.
type ListPrice struct {
	SKU   string      `json:"sku"`
	Tiers []PriceTier `json:"tiers" doc:"By ascending quantity."`
}

// PriceTier is the price of one unit from a quantity on.
type PriceTier struct {
	From  int64 `json:"from_quantity"`
	Price Money `json:"price" doc:"Of one unit. It may be finer than the currency."`
}

// ListPriceOf shows the prices of a SKU.
func ListPriceOf(sku unit.SKU, tiers []pricing.Tier) ListPrice {
	return ListPrice{SKU: string(sku), Tiers: listed(tiers, func(t pricing.Tier) PriceTier { return PriceTier{int64(t.From), MoneyOf(t.Price)} })}
}

// Zone is a set of places.
type Zone struct {
	Country  string `json:"country,omitempty" doc:"ISO 3166, two letters. Left out: everywhere."`
	Region   string `json:"region,omitempty" doc:"Such as a state. An asterisk at the end stands for any text."`
	Postcode string `json:"postcode,omitempty" doc:"An asterisk at the end stands for any text."`
}

func zoneOf(z pricing.Zone) Zone {
	return Zone{Country: z.Country, Region: z.Region, Postcode: z.Postcode}
}

// ShippingMethod is a way to send an order.
type ShippingMethod struct {
	MethodID  string         `json:"method_id"`
	Title     string         `json:"title" doc:"What it is called."`
	Carrier   string         `json:"carrier,omitempty"`
	PriceMode string         `json:"price_mode" enum:"incl,excl" doc:"Whether the rates contain tax."`
	TaxClass  string         `json:"tax_class,omitempty" doc:"Left out: the charge is taxed in proportion to the goods."`
	Status    string         `json:"status" enum:"active,inactive,ended" doc:"Only an active one counts."`
	Channels  []string       `json:"channels,omitempty" doc:"Left out: all."`
	Measure   string         `json:"measure" enum:"list,after_order" doc:"Which amount of the goods free_above and by_amount look at: before or after discounts."`
	MaxGrams  int64          `json:"max_weight_grams,omitzero"`
	Rates     []ShippingRate `json:"rates"`
	Version   int64          `json:"version" doc:"How many changes there were. A quote names it."`
	Revision  int64          `json:"revision"`
}

// ShippingRate has the prices of a method for one zone and currency.
type ShippingRate struct {
	Zone      Zone           `json:"zone" doc:"The most specific zone that has the place of the customer counts."`
	Currency  string         `json:"currency"`
	Basis     string         `json:"basis" enum:"flat,by_weight,by_amount,by_quantity"`
	Steps     []ShippingStep `json:"steps"`
	FreeAbove *Money         `json:"free_above,omitempty" doc:"If the goods cost at least this, shipping is free."`
}

// ShippingStep is the price from a weight, an amount or a quantity on.
type ShippingStep struct {
	From     string `json:"from_value" doc:"Grams, an amount of the currency, or units."`
	Price    Money  `json:"price"`
	PerExtra *Money `json:"per_extra,omitempty" doc:"On top, for each whole gram, unit of the currency or unit above from_value."`
}

// ShippingMethodOf shows a shipping method.
func ShippingMethodOf(s shipping.State, revision int64) ShippingMethod {
	measure := s.Terms.Measure
	if measure == "" {
		measure = pricing.AfterOrder
	}
	return ShippingMethod{
		MethodID: s.ID, Title: s.Terms.Title, Carrier: s.Terms.Carrier, PriceMode: string(s.Terms.Mode), TaxClass: s.Terms.TaxClass,
		Status: definitionStatus(s.Active, s.Ended), Channels: s.Terms.Channels, Measure: string(measure), MaxGrams: s.Terms.MaxGrams,
		Rates: listed(s.Terms.Rates, shippingRateOf), Version: s.Version, Revision: revision,
	}
}

func shippingRateOf(r pricing.RateTable) ShippingRate {
	rate := ShippingRate{Zone: zoneOf(r.Zone), Currency: string(r.Currency), Basis: string(r.Basis)}
	rate.Steps = listed(r.Steps, func(s pricing.Step) ShippingStep {
		step := ShippingStep{From: s.From, Price: MoneyOf(s.Price)}
		if s.PerExtra.Sign() != 0 {
			step.PerExtra = new(MoneyOf(s.PerExtra))
		}
		return step
	})
	if r.FreeAbove != nil {
		rate.FreeAbove = new(MoneyOf(*r.FreeAbove))
	}
	return rate
}

// LegalEntity is a legal entity with its taxes.
type LegalEntity struct {
	EntityID      string            `json:"entity_id"`
	Title         string            `json:"title" doc:"What it is called."`
	Status        string            `json:"status" enum:"active,ended" doc:"Only an active one counts."`
	Home          Zone              `json:"home" doc:"Where it sends from."`
	PriceMode     string            `json:"price_mode" enum:"incl,excl" doc:"Whether the prices of the catalogue contain tax on its channels."`
	Channels      []string          `json:"channels,omitempty" doc:"Left out: all channels that no other entity names."`
	Registrations []TaxRegistration `json:"registrations"`
	Rounding      string            `json:"rounding" enum:"order,line" doc:"What tax is rounded for: each component over the order, or over each line."`
	UntaxedBuyer  string            `json:"untaxed_buyer" enum:"net,same" doc:"What a buyer pays who owes no tax, where prices contain tax: the price without the tax of the home, or the same price."`
	DefaultClass  string            `json:"default_class,omitempty" doc:"The tax class of products without one."`
	Clawback      bool              `json:"clawback" doc:"A discount may be taken back whose condition a return has broken."`
	Taxes         []TaxRate         `json:"taxes" doc:"For each component, the row with the most specific place counts."`
	Version       int64             `json:"version" doc:"How many changes there were. A quote names it."`
	Revision      int64             `json:"revision"`
}

// TaxRegistration is a tax number.
type TaxRegistration struct {
	Country string `json:"country"`
	Number  string `json:"number"`
}

// TaxRate is one rate of a legal entity.
type TaxRate struct {
	Place      Zone      `json:"place"`
	TaxClass   string    `json:"tax_class"`
	Component  string    `json:"component"`
	Rate       string    `json:"rate" doc:"Percent."`
	Treatment  string    `json:"treatment" enum:"standard,zero,exempt,reverse_charge,export,outside"`
	ValidFrom  time.Time `json:"valid_from,omitzero" doc:"The first moment at which it counts."`
	ValidUntil time.Time `json:"valid_until,omitzero" doc:"The first moment at which it does not count any more."`
}

// LegalEntityOf shows a legal entity.
func LegalEntityOf(s entity.State, revision int64) LegalEntity {
	rounding, untaxed := s.Terms.Rounding, s.Terms.Untaxed
	if rounding == "" {
		rounding = pricing.RoundByOrder
	}
	if untaxed == "" {
		untaxed = pricing.PaysNet
	}
	return LegalEntity{
		EntityID: s.ID, Title: s.Terms.Title, Status: definitionStatus(true, s.Ended), Home: zoneOf(s.Terms.Home), PriceMode: string(s.Terms.Mode), Channels: s.Terms.Channels,
		Registrations: listed(s.Terms.Registrations, func(r pricing.Registration) TaxRegistration { return TaxRegistration{r.Country, r.Number} }),
		Rounding:      string(rounding), UntaxedBuyer: string(untaxed), DefaultClass: s.Terms.DefaultClass, Clawback: s.Terms.Clawback,
		Taxes: listed(s.Rows, taxRateOf), Version: s.Version, Revision: revision,
	}
}

func taxRateOf(r pricing.TaxRow) TaxRate {
	treatment := r.Treatment
	if treatment == "" {
		treatment = pricing.StandardRate
	}
	return TaxRate{
		Place: zoneOf(r.Place), TaxClass: r.Class, Component: r.Component, Rate: r.Rate.String(), Treatment: string(treatment),
		ValidFrom: r.Window.From, ValidUntil: r.Window.Until,
	}
}

// PriceImport says what an import of prices does, or would do.
type PriceImport struct {
	DryRun    bool          `json:"dry_run" doc:"Nothing was changed."`
	Rows      int           `json:"rows" doc:"How many rows the file has, without its header."`
	Added     int           `json:"added" doc:"SKUs that had no price in the list before."`
	Changed   int           `json:"changed" doc:"SKUs that had other prices before."`
	Removed   int           `json:"removed" doc:"SKUs that have no price in the list afterwards."`
	Unchanged int           `json:"unchanged" doc:"SKUs of the file that stay as they are."`
	Changes   []PriceChange `json:"changes" doc:"The first 1,000 SKUs that are added, changed or removed, sorted by SKU."`
	Revision  int64         `json:"revision" doc:"Of the price list."`
}

// PriceChange is what happens to one SKU.
type PriceChange struct {
	SKU string      `json:"sku"`
	Was []PriceTier `json:"was" doc:"Empty if the SKU is added."`
	Is  []PriceTier `json:"is" doc:"Empty if the SKU is removed."`
}

// PriceChangeOf shows what happens to a SKU.
func PriceChangeOf(sku unit.SKU, was, is []pricing.Tier) PriceChange {
	return PriceChange{SKU: string(sku), Was: ListPriceOf(sku, was).Tiers, Is: ListPriceOf(sku, is).Tiers}
}
