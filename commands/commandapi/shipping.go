package commandapi

import (
	"context"
	"strings"
	"time"

	"daybook/domain/money/entity"
	"daybook/domain/money/pricing"
	"daybook/domain/money/shipping"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// MethodPath names a shipping method.
type MethodPath struct {
	Headers
	MethodID string `path:"method_id" maxLength:"64" example:"parcel"`
}

func (p *MethodPath) id(bad *check) string {
	return inPath(bad, "method_id", p.MethodID, unit.ParseCode)
}

// ShippingRateInput has the prices of a method for one zone and currency, in a request.
type ShippingRateInput struct {
	Zone      ZoneInput           `json:"zone,omitzero" doc:"The most specific zone that has the place of the customer counts. Left out: everywhere."`
	Currency  string              `json:"currency" minLength:"3" maxLength:"3" example:"EUR" doc:"ISO 4217."`
	Basis     string              `json:"basis" enum:"by_weight,by_amount,by_quantity,flat" doc:"What the price depends on: nothing, grams, the amount of the goods, or units."`
	Steps     []ShippingStepInput `json:"steps" minItems:"1" maxItems:"50" doc:"Ascending. A flat rate has one, from 0."`
	FreeAbove string              `json:"free_above,omitempty" maxLength:"26" example:"90.00" doc:"If the goods cost at least this, shipping is free."`
}

// ShippingStepInput is the price from a weight, an amount or a quantity on, in a request.
type ShippingStepInput struct {
	From     string `json:"from_value,omitempty" maxLength:"26" default:"0" example:"2000" doc:"Grams, an amount of the currency, or units."`
	Price    string `json:"price" maxLength:"26" example:"6.95" doc:"In the currency of the rate."`
	PerExtra string `json:"per_extra,omitempty" maxLength:"26" example:"0.001" doc:"On top, for each whole gram, unit of the currency or unit above from_value."`
}

type defineMethodInput struct {
	MethodPath
	Body struct {
		Title     string              `json:"title" minLength:"1" maxLength:"200" doc:"Customers see it."`
		Carrier   string              `json:"carrier,omitempty" maxLength:"100"`
		PriceMode string              `json:"price_mode" enum:"incl,excl" doc:"Whether the rates contain tax."`
		TaxClass  string              `json:"tax_class,omitempty" maxLength:"64" doc:"Left out: the charge is taxed in proportion to the goods."`
		Active    bool                `json:"active,omitzero" doc:"Customers can choose only active methods."`
		Channels  []string            `json:"channels,omitempty" maxItems:"200" maxLength:"32" doc:"Left out: all."`
		Measure   string              `json:"measure,omitempty" enum:"list,after_order" default:"after_order" doc:"Which amount of the goods free_above and by_amount look at: before or after discounts."`
		MaxGrams  int64               `json:"max_weight_grams,omitzero" minimum:"0" maximum:"100000000" doc:"Heavier carts cannot choose it. Left out: no bound."`
		Rates     []ShippingRateInput `json:"rates" minItems:"1" maxItems:"500"`
	}
}

func (a *api) defineMethod(ctx context.Context, c call, in *defineMethodInput) (*response[resource.ShippingMethod], error) {
	var bad check
	id := in.id(&bad)
	b := in.Body
	wanted := shipping.Define{ID: id, Active: b.Active, Terms: shipping.Terms{
		Title: b.Title, Carrier: b.Carrier, Mode: pricing.Mode(b.PriceMode), TaxClass: b.TaxClass, Channels: b.Channels, Measure: pricing.Measure(b.Measure), MaxGrams: b.MaxGrams,
	}}
	if wanted.Measure == pricing.AfterOrder {
		wanted.Measure = "" // the default has one form
	}
	for i, given := range b.Rates {
		wanted.Rates = append(wanted.Rates, given.rate(&bad, at("/rates", i)))
	}
	if len(bad.faults) == 0 {
		for _, fault := range wanted.Faults() {
			bad.fault(problem.InBody(stepPaths.Replace(fault.Path), fault.What))
		}
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeMethod(ctx, c, id, wanted)
}

var stepPaths = strings.NewReplacer("/from", "/from_value")

func (r ShippingRateInput) rate(bad *check, path string) pricing.RateTable {
	currency := unit.Currency(r.Currency)
	amount := func(pointer, text string) unit.Money {
		return unit.Money{Amount: inBody(bad, path+pointer, text, unit.ParseAmount), Currency: currency}
	}
	rate := pricing.RateTable{Zone: r.Zone.zone(), Currency: currency, Basis: pricing.Basis(r.Basis)}
	if r.FreeAbove != "" {
		rate.FreeAbove = new(amount("/free_above", r.FreeAbove))
	}
	for i, given := range r.Steps {
		step := pricing.Step{From: given.From, Price: amount(at("/steps", i)+"/price", given.Price)}
		if given.PerExtra != "" {
			step.PerExtra = amount(at("/steps", i)+"/per_extra", given.PerExtra)
		}
		rate.Steps = append(rate.Steps, step)
	}
	return rate
}

func (a *api) changeMethod(ctx context.Context, c call, id string, wanted shipping.Command) (*response[resource.ShippingMethod], error) {
	done, err := a.service.ShippingMethod(ctx, c.Call, id, wanted)
	if err != nil {
		return nil, err
	}
	reflected(ctx, a, done)
	shown, err := view(ctx, a.service.ViewShippingMethod, id, resource.ShippingMethodOf)
	if err != nil {
		return nil, err
	}
	return respond(shown.Revision, done, shown), nil
}

type endMethodInput struct {
	MethodPath
	Reason string `query:"reason" maxLength:"500"`
}

func (a *api) endMethod(ctx context.Context, c call, in *endMethodInput) (*response[resource.ShippingMethod], error) {
	var bad check
	id, reason := in.id(&bad), note(&bad, "reason", in.Reason)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeMethod(ctx, c, id, shipping.End{Reason: reason})
}

// EntityPath names a legal entity.
type EntityPath struct {
	Headers
	EntityID string `path:"entity_id" maxLength:"64" example:"nl"`
}

func (p *EntityPath) id(bad *check) string {
	return inPath(bad, "entity_id", p.EntityID, unit.ParseCode)
}

// TaxRegistrationInput is a tax number in a request.
type TaxRegistrationInput struct {
	Country string `json:"country" minLength:"2" maxLength:"2" example:"NL" doc:"ISO 3166, two letters."`
	Number  string `json:"number" minLength:"1" maxLength:"100" example:"NL001234567B01"`
}

// TaxRateInput is one rate of a legal entity in a request.
type TaxRateInput struct {
	Place      ZoneInput `json:"place,omitzero" doc:"For each component, the row with the most specific place counts."`
	TaxClass   string    `json:"tax_class" minLength:"1" maxLength:"64" example:"standard" doc:"Of products and shipping methods."`
	Component  string    `json:"component" minLength:"1" maxLength:"40" example:"NL VAT" doc:"The authority and the kind of the tax. The components of a place are added up."`
	Rate       string    `json:"rate,omitempty" maxLength:"20" default:"0" example:"21" doc:"Percent, 0 to 100."`
	Treatment  string    `json:"treatment,omitempty" enum:"standard,zero,exempt,reverse_charge,export,outside" default:"standard" doc:"All but standard have the rate 0."`
	ValidFrom  time.Time `json:"valid_from,omitzero"`
	ValidUntil time.Time `json:"valid_until,omitzero" doc:"The first moment at which it does not count any more."`
}

type defineEntityInput struct {
	EntityPath
	Body struct {
		Title         string                 `json:"title" minLength:"1" maxLength:"200"`
		Home          ZoneInput              `json:"home" doc:"Where it sends from."`
		PriceMode     string                 `json:"price_mode" enum:"incl,excl" doc:"Whether the prices of the catalogue contain tax on its channels."`
		Channels      []string               `json:"channels,omitempty" maxItems:"200" maxLength:"32" doc:"Left out: all channels that no other entity names."`
		Registrations []TaxRegistrationInput `json:"registrations,omitempty" maxItems:"100" doc:"The countries in which it collects tax."`
		Rounding      string                 `json:"rounding,omitempty" enum:"order,line" default:"order" doc:"What tax is rounded for: each component over the order, or over each line."`
		UntaxedBuyer  string                 `json:"untaxed_buyer,omitempty" enum:"net,same" default:"net" doc:"What a buyer pays who owes no tax, where prices contain tax: the price without the tax of the home, or the same price."`
		DefaultClass  string                 `json:"default_class,omitempty" maxLength:"64" doc:"The tax class of products without one."`
		Clawback      bool                   `json:"clawback,omitzero" doc:"A discount may be taken back whose condition a return has broken. The law often forbids that if the buyer is a consumer."`
		Taxes         []TaxRateInput         `json:"taxes,omitempty" maxItems:"2000"`
	}
}

func (a *api) defineEntity(ctx context.Context, c call, in *defineEntityInput) (*response[resource.LegalEntity], error) {
	var bad check
	id := in.id(&bad)
	b := in.Body
	wanted := entity.Define{ID: id, Terms: entity.Terms{
		Title: b.Title, Home: b.Home.zone(), Mode: pricing.Mode(b.PriceMode), Channels: b.Channels, Rounding: pricing.RoundTax(b.Rounding),
		Untaxed: pricing.UntaxedBuyer(b.UntaxedBuyer), DefaultClass: b.DefaultClass, Clawback: b.Clawback,
	}}
	for _, given := range b.Registrations {
		wanted.Registrations = append(wanted.Registrations, pricing.Registration{Country: upper([]string{given.Country})[0], Number: given.Number})
	}
	for i, given := range b.Taxes {
		row := pricing.TaxRow{
			Place: given.Place.zone(), Class: given.TaxClass, Component: given.Component, Treatment: pricing.Treatment(given.Treatment),
			Rate: inBody(&bad, at("/taxes", i)+"/rate", given.Rate, unit.ParsePercent), Window: window(given.ValidFrom, given.ValidUntil),
		}
		wanted.Rows = append(wanted.Rows, row)
	}
	if len(bad.faults) == 0 {
		faulty(&bad, wanted.Faults())
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeEntity(ctx, c, id, wanted)
}

func (a *api) changeEntity(ctx context.Context, c call, id string, wanted entity.Command) (*response[resource.LegalEntity], error) {
	done, err := a.service.LegalEntity(ctx, c.Call, id, wanted)
	if err != nil {
		return nil, err
	}
	reflected(ctx, a, done)
	shown, err := view(ctx, a.service.ViewLegalEntity, id, resource.LegalEntityOf)
	if err != nil {
		return nil, err
	}
	return respond(shown.Revision, done, shown), nil
}

type endEntityInput struct {
	EntityPath
	Reason string `query:"reason" maxLength:"500"`
}

func (a *api) endEntity(ctx context.Context, c call, in *endEntityInput) (*response[resource.LegalEntity], error) {
	var bad check
	id, reason := in.id(&bad), note(&bad, "reason", in.Reason)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeEntity(ctx, c, id, entity.End{Reason: reason})
}
