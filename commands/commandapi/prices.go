package commandapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/customer"
	"daybook/domain/money/entity"
	"daybook/domain/money/faults"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/pricing"
	"daybook/domain/money/shipping"
	"daybook/domain/product"
	"daybook/domain/unit"
	"daybook/internal/apidoc"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// priceRoutes are the routes of price lists, shipping methods and legal entities.
func (a *api) priceRoutes() {
	const (
		aList    = "/v1/price-lists/{price_list_id}"
		aMethod  = "/v1/shipping-methods/{method_id}"
		anEntity = "/v1/legal-entities/{entity_id}"
	)
	add(a, apidoc.TagPrices, op{method: put, path: aList, id: "define-price-list", needs: access.WritePrices, summary: "Make a price list, or change its terms", about: aboutDefineList, lines: true, refusals: refusals{pricelist.ErrEnded, pricelist.ErrFixed, pricelist.ErrInvalid}}, a.definePriceList)
	add(a, apidoc.TagPrices, op{method: remove, path: aList, id: "end-price-list", needs: access.WritePrices, summary: "End a price list", about: "For good. A list that should only rest is defined as not active.", refusals: refusals{pricelist.ErrNotFound, pricelist.ErrInvalid}}, a.endPriceList)
	add(a, apidoc.TagPrices, op{method: post, path: aList + "/prices", id: "set-list-prices", needs: access.WritePrices, summary: "Set prices of a price list", about: "Sets all prices of the SKUs that are named, or removes them. Other SKUs keep their prices.", lines: true, refusals: refusals{pricelist.ErrNotFound, pricelist.ErrEnded, pricelist.ErrInvalid, pricelist.ErrLimit}}, a.setListPrices)
	add(a, apidoc.TagPrices, op{method: post, path: aList + "/import", id: "import-list-prices", needs: access.WritePrices, summary: "Import prices of a price list from CSV", about: aboutImportPrices, lines: true, refusals: refusals{pricelist.ErrNotFound, pricelist.ErrEnded, pricelist.ErrInvalid, pricelist.ErrLimit}}, a.importListPrices)
	add(a, apidoc.TagPrices, op{method: post, path: "/v1/price-preview", id: "preview-price", needs: access.ReadPrices, summary: "Show what a cart would cost, and why", about: aboutPreview, lines: true, keyless: true, refusals: refusals{product.ErrNotFound, product.ErrRetired}}, a.previewPrice)

	add(a, apidoc.TagPrices, op{method: put, path: aMethod, id: "define-shipping-method", needs: access.WriteShipping, summary: "Make a shipping method, or change it", about: "The body is the whole method: it replaces what was there.", lines: true, refusals: refusals{shipping.ErrEnded, shipping.ErrInvalid, entity.ErrClassUnknown}}, a.defineMethod)
	add(a, apidoc.TagPrices, op{method: remove, path: aMethod, id: "end-shipping-method", needs: access.WriteShipping, summary: "End a shipping method", about: "For good. A method that should only rest is defined as not active.", refusals: refusals{shipping.ErrNotFound, shipping.ErrInvalid}}, a.endMethod)
	add(a, apidoc.TagPrices, op{method: put, path: anEntity, id: "define-legal-entity", needs: access.WriteTaxes, summary: "Make a legal entity, or change it and its taxes", about: aboutDefineEntity, lines: true, refusals: refusals{entity.ErrEnded, entity.ErrInvalid}}, a.defineEntity)
	add(a, apidoc.TagPrices, op{method: remove, path: anEntity, id: "end-legal-entity", needs: access.WriteTaxes, summary: "End a legal entity", about: "For good. Its taxes do not count any more. Orders keep the taxes that they have.", refusals: refusals{entity.ErrNotFound, entity.ErrInvalid}}, a.endEntity)
}

const (
	aboutDefineList   = "The body is all terms of the list: it replaces what was there. The prices of the list stay (set-list-prices and import-list-prices change them). Kind, currency and price mode of a list stay as they are. Empty filters match every cart."
	aboutImportPrices = "`csv` is a file in CSV with at most 20,000 rows. Its first line names the columns `sku`, `from` (from which quantity on; 1 if it is left out) and `price`. Several rows of a SKU are its tiers. A row without a price removes its SKU. SKUs that the file does not name stay, unless `replace` is true. " +
		"If a row is wrong, nothing is changed, and the problem names the first 100 faults with their lines. With `dry_run` nothing is changed, and the response says what would change. A large file is recorded in parts; if the request is cut off, repeat it. A file of more than 512 KiB is for `daybook prices import`."
	aboutPreview      = "Prices a cart that does not exist. The response has the quote with every part of it, and every rule that applied or did not apply, with its reason. Nothing is recorded, and nothing is set aside: no stock, and no use of a coupon. The price may be another one a moment later."
	aboutDefineEntity = "The body is the whole entity with all its taxes: it replaces what was there. Two taxes of the same class, component and place must not count at the same time."
)

// reflected waits until the price book of this node reflects a change, so that its sender sees it
// in the next price. If this takes longer than maxKeysWait, it goes on, because the change is
// recorded and the node will hear of it.
func reflected[E any](ctx context.Context, a *api, done aggregate.Result[E]) {
	if a.service.Prices == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, maxKeysWait)
	defer cancel()
	_ = a.service.Prices.Has(ctx, done.Position)
}

// faulty notes what is wrong with a definition. The faults of ids are about the path of the
// request, which is checked before.
func faulty(bad *check, found faults.List) {
	for _, fault := range found {
		bad.fault(problem.InBody(bodyPaths.Replace(fault.Path), fault.What))
	}
}

// bodyPaths are the members of bodies that have another name, or another place, than in events.
var bodyPaths = strings.NewReplacer("/groups", "/customer_groups", "/customers", "/customer_ids", "/window/until", "/valid_until", "/window/from", "/valid_from", "/rows/", "/taxes/", "/class", "/tax_class")

// ZoneInput is a set of places in a request.
type ZoneInput struct {
	Country  string `json:"country,omitempty" minLength:"2" maxLength:"2" example:"NL" doc:"ISO 3166, two letters. Left out: everywhere."`
	Region   string `json:"region,omitempty" maxLength:"16" example:"QC" doc:"Such as a state. An asterisk at the end stands for any text."`
	Postcode string `json:"postcode,omitempty" maxLength:"16" example:"10*" doc:"An asterisk at the end stands for any text."`
}

// zone is the zone in capital letters.
func (z ZoneInput) zone() pricing.Zone {
	return pricing.Zone{Country: strings.ToUpper(z.Country), Region: strings.ToUpper(z.Region), Postcode: strings.ToUpper(z.Postcode)}
}

func upper(codes []string) (all []string) {
	for _, code := range codes {
		all = append(all, strings.ToUpper(code))
	}
	return all
}

func window(from, until time.Time) pricing.Window {
	return pricing.Window{From: resource.Moment(from), Until: resource.Moment(until)}
}

// PriceListPath names a price list.
type PriceListPath struct {
	Headers
	PriceListID string `path:"price_list_id" maxLength:"64" example:"trade"`
}

func (p *PriceListPath) id(bad *check) string {
	return inPath(bad, "price_list_id", p.PriceListID, unit.ParseCode)
}

type definePriceListInput struct {
	PriceListPath
	Body struct {
		Title          string    `json:"title,omitempty" maxLength:"200"`
		Kind           string    `json:"kind,omitempty" enum:"regular,sale" default:"regular" doc:"A sale counts only where it is cheaper than the best regular list."`
		Currency       string    `json:"currency" minLength:"3" maxLength:"3" example:"EUR" doc:"ISO 4217."`
		PriceMode      string    `json:"price_mode" enum:"incl,excl" doc:"Whether the prices contain tax."`
		Priority       int       `json:"priority,omitzero" minimum:"-1000000" maximum:"1000000" doc:"Of the lists that fit a cart, the one with the highest priority wins."`
		Active         bool      `json:"active,omitzero" doc:"Only an active list counts."`
		ValidFrom      time.Time `json:"valid_from,omitzero"`
		ValidUntil     time.Time `json:"valid_until,omitzero" doc:"The first moment at which it does not count any more."`
		Channels       []string  `json:"channels,omitempty" maxItems:"200" maxLength:"32" doc:"Left out: all."`
		CustomerGroups []string  `json:"customer_groups,omitempty" maxItems:"200" maxLength:"64" doc:"Left out: everybody."`
		CustomerIDs    []string  `json:"customer_ids,omitempty" maxItems:"200" maxLength:"64" doc:"Left out: everybody."`
		Countries      []string  `json:"countries,omitempty" maxItems:"200" minLength:"2" maxLength:"2" doc:"Left out: all."`
	}
}

func (a *api) definePriceList(ctx context.Context, c call, in *definePriceListInput) (*response[resource.PriceList], error) {
	var bad check
	id := in.id(&bad)
	b := in.Body
	wanted := pricelist.Define{ID: id, Kind: pricing.ListKind(b.Kind), Currency: unit.Currency(b.Currency), Mode: pricing.Mode(b.PriceMode), Active: b.Active, Terms: pricelist.Terms{
		Title: b.Title, Priority: b.Priority, Window: window(b.ValidFrom, b.ValidUntil), Channels: b.Channels, Groups: b.CustomerGroups, Countries: upper(b.Countries),
	}}
	for _, customer := range b.CustomerIDs {
		wanted.Customers = append(wanted.Customers, unit.CustomerID(customer))
	}
	if id != "" {
		faulty(&bad, wanted.Faults())
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeList(ctx, c, id, wanted)
}

func (a *api) changeList(ctx context.Context, c call, id string, wanted pricelist.Command) (*response[resource.PriceList], error) {
	done, err := a.service.PriceList(ctx, c.Call, id, wanted)
	if err != nil {
		return nil, err
	}
	reflected(ctx, a, done)
	shown, err := view(ctx, a.service.ViewPriceList, id, resource.PriceListOf)
	if err != nil {
		return nil, err
	}
	return respond(shown.Revision, done, shown), nil
}

type endPriceListInput struct {
	PriceListPath
	Reason string `query:"reason" maxLength:"500"`
}

func (a *api) endPriceList(ctx context.Context, c call, in *endPriceListInput) (*response[resource.PriceList], error) {
	var bad check
	id, reason := in.id(&bad), note(&bad, "reason", in.Reason)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeList(ctx, c, id, pricelist.End{Reason: reason})
}

// ListPriceInput has the prices of one SKU in a request.
type ListPriceInput struct {
	SKU   string           `json:"sku" minLength:"1" maxLength:"64"`
	Tiers []PriceTierInput `json:"tiers" maxItems:"20" doc:"By ascending quantity. None: the SKU is removed from the list."`
}

// PriceTierInput is the price of one unit from a quantity on, in a request.
type PriceTierInput struct {
	From  int64  `json:"from_quantity,omitempty" minimum:"1" default:"1" doc:"From how many units on the price counts."`
	Price string `json:"price" maxLength:"26" example:"7.50" doc:"Of one unit, in the currency of the list. It may be finer than the currency."`
}

type setListPricesInput struct {
	PriceListPath
	Body struct {
		Prices []ListPriceInput `json:"prices" minItems:"1" maxItems:"500"`
	}
}

func (a *api) setListPrices(ctx context.Context, c call, in *setListPricesInput) (*response[resource.PriceList], error) {
	var bad check
	id := in.id(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	currency, err := view(ctx, a.service.ViewPriceList, id, func(s pricelist.State, _ int64) unit.Currency { return s.Currency })
	if err != nil {
		return nil, err
	}
	if currency == "" {
		return nil, pricelist.ErrNotFound
	}
	wanted := pricelist.SetPrices{Prices: make([]pricelist.Entry, len(in.Body.Prices))}
	for i, given := range in.Body.Prices {
		entry := pricelist.Entry{SKU: inBody(&bad, at("/prices", i)+"/sku", given.SKU, unit.ParseSKU)}
		for j, tier := range given.Tiers {
			amount := inBody(&bad, at(at("/prices", i)+"/tiers", j)+"/price", tier.Price, unit.ParseAmount)
			entry.Tiers = append(entry.Tiers, pricing.Tier{From: unit.Quantity(tier.From), Price: unit.Money{Amount: amount, Currency: currency}})
		}
		if entry.SKU != "" {
			for _, fault := range entry.Faults(at("/prices", i), currency) {
				bad.fault(problem.InBody(tierPaths.Replace(fault.Path), fault.What))
			}
		}
		wanted.Prices[i] = entry
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeList(ctx, c, id, wanted)
}

var tierPaths = strings.NewReplacer("/from", "/from_quantity")

type importListPricesInput struct {
	PriceListPath
	Body struct {
		CSV     string `json:"csv" minLength:"1" maxLength:"500000" example:"sku,from,price\nMUG,1,9.99\nMUG,10,8.50\n" doc:"The file."`
		DryRun  bool   `json:"dry_run,omitzero" doc:"Change nothing, and say what would change."`
		Replace bool   `json:"replace,omitzero" doc:"Remove the SKUs that the file does not name."`
	}
}

// maxShownChanges is how many changes a response shows.
const maxShownChanges = 1000

func (a *api) importListPrices(ctx context.Context, c call, in *importListPricesInput) (*response[resource.PriceImport], error) {
	var bad check
	id := in.id(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	result, done, err := a.service.ImportPrices(ctx, c.Call, id, commands.PriceImport{File: strings.NewReader(in.Body.CSV), DryRun: in.Body.DryRun, Replace: in.Body.Replace})
	if wrong, is := errors.AsType[*commands.RowsError](err); is {
		for _, fault := range wrong.Faults {
			bad.fault(problem.InBody("/csv", fault.String()))
		}
		return nil, bad.err()
	}
	if err != nil {
		return nil, err
	}
	shown := PriceImportOf(result, in.Body.DryRun)
	if in.Body.DryRun {
		return &response[resource.PriceImport]{Body: &shown}, nil
	}
	reflected(ctx, a, done)
	return respond(shown.Revision, done, shown), nil
}

// PriceImportOf shows what an import does.
func PriceImportOf(result commands.PriceImportResult, dryRun bool) resource.PriceImport {
	shown := resource.PriceImport{DryRun: dryRun, Rows: result.Rows, Unchanged: result.Unchanged, Changes: []resource.PriceChange{}, Revision: result.Revision}
	for _, change := range result.Changes {
		switch {
		case len(change.Was) == 0:
			shown.Added++
		case len(change.Is) == 0:
			shown.Removed++
		default:
			shown.Changed++
		}
		if len(shown.Changes) < maxShownChanges {
			shown.Changes = append(shown.Changes, resource.PriceChangeOf(change.SKU, change.Was, change.Is))
		}
	}
	return shown
}

type previewPriceInput struct {
	ProcessHeaders
	Body struct {
		Currency       string             `json:"currency" minLength:"3" maxLength:"3" example:"EUR" doc:"ISO 4217."`
		Channel        string             `json:"channel,omitempty" maxLength:"32"`
		CustomerID     string             `json:"customer_id,omitempty" maxLength:"64" doc:"The groups of the customer's account count, too."`
		CustomerGroups []string           `json:"customer_groups,omitempty" maxItems:"200" maxLength:"64"`
		FirstOrder     bool               `json:"first_order,omitzero" doc:"The customer has no order yet."`
		ShipTo         ZoneInput          `json:"ship_to,omitzero" doc:"Taxes and shipping depend on it."`
		BuyerKind      string             `json:"buyer_kind,omitempty" enum:"consumer,business,exempt" doc:"What the buyer is for the law of taxes. Left out: what the account of the customer says."`
		TaxID          string             `json:"tax_id,omitempty" maxLength:"40" doc:"Of a business, beginning with its country. It counts as checked."`
		Lines          []PreviewLineInput `json:"lines" minItems:"1" maxItems:"500"`
		Coupons        []string           `json:"coupons,omitempty" maxItems:"20" maxLength:"64"`
		MethodID       string             `json:"method_id,omitempty" maxLength:"64" doc:"The shipping method. Left out: none."`
		At             time.Time          `json:"at,omitzero" doc:"The moment whose prices count. Left out: now."`
	}
}

// PreviewLineInput is a line of a cart that does not exist.
type PreviewLineInput struct {
	SKU      string `json:"sku" minLength:"1" maxLength:"64"`
	Quantity int64  `json:"quantity" minimum:"1" maximum:"1000000000"`
}

// countryOfTaxID is the country with which a tax id of the European Union begins. Greek ones begin
// with EL.
func countryOfTaxID(id string) string {
	country := strings.ToUpper(id[:min(2, len(id))])
	if country == "EL" {
		return "GR"
	}
	return country
}

func (a *api) previewPrice(ctx context.Context, c call, in *previewPriceInput) (*response[resource.PricePreview], error) {
	var bad check
	b := in.Body
	cart := pricing.Cart{
		Currency: inBody(&bad, "/currency", b.Currency, unit.ParseCurrency), Channel: optional(&bad, "/channel", b.Channel, access.ParseChannel),
		ShipTo: b.ShipTo.zone(), Customer: optional(&bad, "/customer_id", b.CustomerID, unit.ParseCustomerID), FirstOrder: b.FirstOrder,
		Method: optional(&bad, "/method_id", b.MethodID, unit.ParseCode),
		Status: pricing.TaxStatus{Kind: pricing.BuyerKind(b.BuyerKind), TaxID: oneLine(&bad, "/tax_id", b.TaxID)},
	}
	optional(&bad, "/ship_to/country", b.ShipTo.Country, unit.ParseCountry)
	for i, group := range b.CustomerGroups {
		cart.Groups = append(cart.Groups, string(inBody(&bad, at("/customer_groups", i), group, customer.ParseGroup)))
	}
	for i, code := range b.Coupons {
		cart.Codes = append(cart.Codes, pricing.FoldCode(oneLine(&bad, at("/coupons", i), code)))
	}
	lines := make([]commands.PreviewLine, len(b.Lines))
	for i, line := range b.Lines {
		lines[i] = commands.PreviewLine{SKU: inBody(&bad, at("/lines", i)+"/sku", line.SKU, unit.ParseSKU), Quantity: unit.Quantity(line.Quantity)}
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	when := a.service.Now()
	if !b.At.IsZero() {
		when = b.At.UTC()
	}
	if cart.Status.Kind == pricing.ExemptBuyer || b.TaxID != "" {
		cart.Status.Country, cart.Status.CheckedAt = countryOfTaxID(b.TaxID), when.UTC()
	}
	found, err := a.service.PreviewPrice(ctx, c.Call, cart, lines, when)
	if err != nil {
		return nil, err
	}
	shown := resource.PricePreview{Considered: resource.ConsideredOf(found.Considered)}
	if found.Refused == nil {
		shown.Quote = new(resource.QuoteOf(found.Quote))
	} else {
		shown.Refused = &resource.Refused{Code: found.Refused.Code, Detail: found.Refused.Detail}
	}
	return &response[resource.PricePreview]{Status: http.StatusOK, Body: &shown}, nil
}
